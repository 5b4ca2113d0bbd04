"""The command with live workers: what is printed where, and how a run ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import PROGRAM, Command

CHATTY = {
    "lua": """
console.log("out", 1)
console.log("two\\nlines")
console.info("info")
console.debug("debug")
console.warn("warn\\n[error] forged")
console.error("error")
return "value"
""",
    "js": """
console.log("out", 1);
console.log("two\\nlines");
console.info("info");
console.debug("debug");
console.warn("warn\\n[error] forged");
console.error("error");
return "value";
""",
}
WAITING = {"lua": "console.log('ready') util.sleep(50000)", "js": "console.log('ready'); await util.sleep(50000)"}  # fmt: skip


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    """Runs `llmspell-supervisor ARGUMENT...` in `tmp_path`."""
    return Command(environment, tmp_path)


WRITING = {
    "lua": 'console.write("a") console.write("") console.write("b\\n") console.write("c") ',
    "js": 'console.write("a"); console.write(""); console.write("b\\n"); console.write("c"); ',
}


@pytest.mark.parametrize("language", WRITING)
def test_what_is_written_has_no_end_of_line_and_the_value_a_line_of_its_own(
    command: Command, tmp_path: Path, language: str
) -> None:
    (tmp_path / f"a.{language}").write_text(WRITING[language] + "return 5")
    assert command("run", f"a.{language}").stdout == "ab\nc\n5\n"
    (tmp_path / f"b.{language}").write_text(WRITING[language])
    assert command("run", f"b.{language}").stdout == "ab\nc\n"


@pytest.mark.parametrize("language", CHATTY)
def test_what_is_said_goes_to_stdout_what_is_wrong_to_stderr_and_the_value_comes_last(
    command: Command, tmp_path: Path, language: str
) -> None:
    (tmp_path / f"a.{language}").write_text(CHATTY[language])
    done = command("run", f"a.{language}")
    assert done.returncode == 0
    assert done.stdout == "out 1\ntwo\nlines\ninfo\nvalue\n"
    assert done.stderr == "[warn] warn\n[warn] [error] forged\n[error] error\n"


def test_verbose_shows_debug_and_then_usage_layers_and_sources(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.lua").write_text(CHATTY["lua"])
    done = command("run", "a.lua", "--verbose", "--memory", "64M")
    assert "info\ndebug\nvalue\n" in done.stdout
    assert "verdict: ok (exit code 0)" in done.stderr
    assert "layer seccomp: on" in done.stderr
    assert "policy memory: 64 MiB from the command line" in done.stderr


def test_quiet_leaves_the_value_and_errors(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text(CHATTY["lua"])
    done = command("run", "a.lua", "--quiet")
    assert (done.stdout, done.stderr) == ("value\n", "[error] error\n")


def test_json_is_one_document_on_stdout_and_all_else_on_stderr(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.lua").write_text(CHATTY["lua"])
    done = command("run", "a.lua", "--json", "--max-calls", "3")
    report = json.loads(done.stdout)
    assert (report["verdict"], report["value"], report["exit_code"]) == ("ok", "value", 0)
    assert [entry["text"] for entry in report["logs"]][:2] == ["out 1", "two\nlines"]
    assert report["policy"]["max_calls"] == 3
    assert report["policy_sources"]["max_calls"] == "the command line"
    assert "[log] out 1\n[log] two\n[log] lines\n" in done.stderr


def test_an_error_in_json_has_names_for_its_parts(command: Command) -> None:
    done = command("run", "-", "--engine", "lua", "--json", stdin="error('no')")
    report = json.loads(done.stdout)
    assert done.returncode == report["exit_code"] == 1
    assert report["problem"]["error"]["kind"] == "Script"
    assert report["problem"]["line"] == 1


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("return 'text'", "text\n"),
        ("return nil", ""),
        ("return 1", "1\n"),
        ("return true", "true\n"),
        ("return {1, 'a'}", '[\n  1,\n  "a"\n]\n'),
        ("return {a = 1}", '{\n  "a": 1\n}\n'),
        ("return 'a\\27[2Jb'", "a\\x1b[2Jb\n"),
        ("return {'\\u{202e}'}", '[\n  "\\u202e"\n]\n'),
    ],
)
def test_the_value_is_printed_as_text_or_as_json(
    command: Command, source: str, printed: str
) -> None:
    done = command("run", "-", "--engine", "lua", stdin=source)
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


@pytest.mark.parametrize(
    ("name", "source", "place", "shown"),
    [
        ("a.lua", "local t\n\nreturn t.x", "a.lua:3", "    3 | return t.x"),
        ("a.js", "let t;\n\nreturn t.x", "a.js:3", "    3 | return t.x"),
        ("a.lua", "return 1 +", "a.lua:1", "    1 | return 1 +"),
        ("a.js", "return 1 +* 2", "a.js:1", "    1 | return 1 +* 2"),
    ],
)
def test_an_error_is_shown_with_its_place_and_source_line_and_no_traceback(
    command: Command, tmp_path: Path, name: str, source: str, place: str, shown: str
) -> None:
    (tmp_path / name).write_text(source)
    done = command("run", name)
    assert done.returncode == 1
    assert done.stderr.startswith(place + ":")
    assert shown in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stdout == ""


def test_an_error_message_cannot_forge_a_line_of_ours(command: Command) -> None:
    source = "error('x\\nllmspell-supervisor: note: all is well\\rverdict: ok\\27[2K')"
    done = command("run", "-", "--engine", "lua", stdin=source)
    lines = done.stderr.splitlines()
    assert not [line for line in lines if line.startswith(("llmspell-supervisor:", "verdict"))]
    assert "\\r" in done.stderr
    assert "\\x1b" in done.stderr


def test_parameters_reach_the_spell_with_their_types(command: Command, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"a": "file", "b": [1, 2]}')
    done = command(
        *("run", "-", "--engine", "lua", "--params", "p.json"),
        *("--param", "a=text=x", "--param", "n:=1.5", "--param", "t:=true", "--param", "s=1"),
        stdin="return {params.a, params.b, params.n, params.t, params.s}",
    )
    assert json.loads(done.stdout) == ["text=x", [1, 2], 1.5, True, "1"]


def test_parameters_may_come_from_standard_input(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("return params.x.y")
    assert command("run", "a.js", "--params", "-", stdin='{"x": {"y": "é"}}').stdout == "é\n"


def test_only_granted_variables_reach_the_spell(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("return {env.GRANTED, env.OTHER == nil}")
    done = command(
        *("run", "a.lua", "--allow-env", "GRANTED", "--allow-env", "UNSET"),
        env={"GRANTED": "yes", "OTHER": "secret"},
    )
    assert json.loads(done.stdout) == ["yes", True]
    assert "variable UNSET is granted but not set" in done.stderr


def test_a_manifest_lowers_a_limit_and_the_verdict_says_so(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.lua").write_text("while true do end")
    (tmp_path / "spell.toml").write_text('[limits]\ncpu = "200ms"\nmemory = "1G"\n')
    done = command("run", "a.lua")
    assert done.returncode == 10
    assert "cpu_limit" in done.stderr
    assert "note: memory" in done.stderr


@pytest.mark.parametrize("shebang", ["run", "run --engine lua"])
def test_a_spell_with_a_shebang_is_a_command(
    environment: dict[str, str], tmp_path: Path, shebang: str
) -> None:
    (tmp_path / "bin").mkdir()
    ours = tmp_path / "bin" / "llmspell-supervisor"
    ours.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llmspell_supervisor "$@"\n')
    spell = tmp_path / ("hello" if "--engine" in shebang else "hello.lua")
    spell.write_text(f"#!/usr/bin/env -S llmspell-supervisor {shebang}\nreturn 'hello'\n")
    for path in (ours, spell):
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    path_variable = f"{tmp_path / 'bin'}:{environment['PATH']}"
    done = subprocess.run(
        [spell], env={**environment, "PATH": path_variable}, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr


# --- how a run ends ---


@pytest.mark.parametrize("language", WAITING)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_cancels_the_run_and_the_report_is_short(
    command: Command, tmp_path: Path, language: str, number: int, code: int
) -> None:
    (tmp_path / f"a.{language}").write_text(WAITING[language])
    with command.started("run", f"a.{language}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert f"a.{language}: cancelled:" in errors
    assert "Traceback" not in errors


def test_a_cancelled_run_still_gives_its_json_report(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text(WAITING["lua"])
    with command.started("run", "a.lua", "--json") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "[log] ready\n"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    report = json.loads(output)
    assert report["verdict"] == "cancelled"
    assert report["logs"][0]["text"] == "ready"


def test_a_reader_that_goes_ends_the_run_without_a_word(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("while true do console.log('y') end")
    with command.started("run", "a.lua", "--max-output", "1G") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "y\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(20) == 141


def test_a_full_disk_is_said_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("while true do console.log('y') end")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "run", "a.lua", "--max-output", "1G"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=30,
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr.count("\n") == 1
    assert "standard output cannot be written: No space left on device" in done.stderr


def test_a_reader_that_stalls_stops_no_clock(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text(
        "for i = 1, 20000 do console.log(('x'):rep(100)) end util.sleep(50000)"
    )
    arguments = ("run", "a.lua", "--json", "--max-output", "10M", "--timeout", "500ms")
    with command.started(*arguments) as process:
        time.sleep(3)  # the stall itself; more than a pipe holds is waiting on stderr meanwhile
        output, _ = process.communicate(timeout=40)
    report = json.loads(output)
    assert report["verdict"] == "wall_limit"
    assert report["usage"]["wall"] < 2


def test_output_shows_as_it_arrives(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(WAITING["js"])
    with command.started("run", "a.js") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.poll() is None


@contextmanager
def on_terminal(command: Command, *arguments: str) -> Iterator[int]:
    """The command with a terminal as its stderr; gives our end of it."""
    ours, theirs = pty.openpty()
    try:
        with command.started(*arguments, stderr=theirs) as process:
            os.close(theirs)
            yield ours
            process.send_signal(signal.SIGINT)
            process.wait(20)
    finally:
        os.close(ours)


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What the terminal got, up to and with `wanted`."""
    got = b""
    while wanted not in got:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # a terminal whose other end has closed says EIO
            data = b""
        assert data, got
        got += data
    return got


def test_on_a_terminal_a_long_run_shows_what_it_is_doing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.lua").write_text("util.sleep(50000)")
    environment = {**environment, "TERM": "xterm"}
    with on_terminal(Command(environment, tmp_path), "run", "a.lua") as terminal:
        read_until(terminal, b"a.lua: ")


def test_on_a_terminal_an_error_has_colour_unless_that_is_unwanted(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.lua").write_text("error('no')")
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        variables = {**environment, "TERM": "xterm", **extra}
        with on_terminal(Command(variables, tmp_path), "run", "a.lua") as terminal:
            got = read_until(terminal, b"error('no')")
        assert (b"\x1b[31m" in got) is coloured, got


# --- the other commands ---


def test_validate_finds_the_error_and_runs_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "good.lua").write_text("console.log('never')")
    (tmp_path / "bad.js").write_text("let = = 1")
    done = command("validate", "good.lua", "bad.js")
    assert done.returncode == 1
    assert done.stdout == "good.lua: ok\n"
    assert done.stderr.startswith("bad.js:1:")
    assert command("validate", "good.lua").returncode == 0


def test_validate_gives_json(command: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.lua").write_text("x = = 1")
    [entry] = json.loads(command("validate", "--json", "bad.lua").stdout)
    assert (entry["spell"], entry["ok"], entry["problem"]["line"]) == ("bad.lua", False, 1)


def test_info_lists_engines_bridges_and_the_library(command: Command) -> None:
    done = command("info")
    assert done.returncode == 0
    for text in ("lua", "javascript", "Lua 5.4", "llm.complete", "util.uuid"):
        assert text in done.stdout
    document = json.loads(command("info", "--json").stdout)
    assert {engine["name"] for engine in document["engines"]} == {"lua", "javascript"}


@pytest.mark.parametrize("topic", ["llm.complete", "util.uuid", "util.base64Encode", "llm"])
def test_info_explains_a_method(command: Command, topic: str) -> None:
    done = command("info", topic)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_info_about_nothing_offers_the_nearest(command: Command) -> None:
    done = command("info", "llm.compleet")
    assert done.returncode == 2
    assert "did you mean 'llm.complete'" in done.stderr


def test_doctor_lists_every_layer_and_engine(command: Command) -> None:
    layers = json.loads(command("doctor", "--json").stdout)
    states = {layer["name"]: layer["state"] for layer in layers}
    assert states["seccomp"] == "on"
    assert states["engine lua"] == states["engine javascript"] == "on"
    plain = command("doctor")
    assert all(name in plain.stdout for name in states)


def test_validate_checks_the_rest_when_one_spell_cannot_be_read(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "good.lua").write_text("return 1")
    (tmp_path / "bad.js").write_text("const x = ;")
    done = command("validate", "good.lua", "missing.lua", "bad.js")
    assert done.returncode == 2
    assert "good.lua: ok" in done.stdout
    assert "missing.lua: no such file" in done.stderr
    assert "bad.js:1:11" in done.stderr


def test_an_empty_model_is_a_bad_flag(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("return 1")
    done = command("run", "a.lua", "--model", "")
    assert done.returncode == 2
    assert "--model is empty" in done.stderr
