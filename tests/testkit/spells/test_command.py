"""`llmspell-supervisor test` as people run it: what it prints, its exit codes, its flags."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final
from xml.etree import ElementTree as ET

import pytest

from llmspell_supervisor import Spell, UsageError
from llmspell_supervisor.cli._kit import kit_command
from llmspell_testkit.spells._show import use_colour
from llmspell_testkit.spells._wrap import wrap
from tests.support.command import PROGRAM, Command

LANGUAGES: Final = ("lua", "js")
SPELLS: Final = {
    "hello.lua": 'console.log("Hello, " .. (params.name or "world") .. "!")\n',
    "hello.js": 'console.log(`Hello, ${params.name ?? "world"}!`);\n',
}
TESTS: Final = {
    "lua": """\
spell "hello.lua"
test("greets", function()
  expect(run_spell().output).to_equal("Hello, world!\\n")
end)
test("greets Ada", function()
  expect(run_spell { params = { name = "Ada" } }.output).to_equal("Hello, Bob!\\n")
end)
skip("later")
""",
    "js": """\
spell("hello.js");
test("greets", async () => {
  expect((await runSpell()).output).toEqual("Hello, world!\\n");
});
test("greets Ada", async () => {
  expect((await runSpell({params: {name: "Ada"}})).output).toEqual("Hello, Bob!\\n");
});
skip("later");
""",
}
SNAPSHOTS: Final = {
    "lua": """\
test("s", function()
  expect({a = VALUE}).to_match_snapshot()
end)
test("k", function()
  expect("kept").to_match_snapshot("by name")
end)
""",
    "js": """\
test("s", async () => {
  await expect({a: VALUE}).toMatchSnapshot();
});
test("k", async () => {
  await expect("kept").toMatchSnapshot("by name");
});
""",
}


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    for name, text in SPELLS.items():
        (tmp_path / name).write_text(text)
    return Command(environment, tmp_path)


FAILURE: Final = """
FAIL hello.test.{language}: greets Ada
  hello.test.{language}:6{column}: expected "Hello, Ada!\\n" to equal "Hello, Bob!\\n"
    6 |   expect({run}.output).{method}("Hello, Bob!\\n"){semicolon}
    expected: "Hello, Bob!\\n"
    actual:   "Hello, Ada!\\n"
  console:
    hello.{language}: Hello, Ada!

1 failed, 1 passed, 1 skipped in 1 file, """

SHOWN: Final = {
    "lua": {
        "column": "",
        "run": 'run_spell { params = { name = "Ada" } }',
        "method": "to_equal",
        "semicolon": "",
    },
    "js": {
        "column": ":60",
        "run": '(await runSpell({params: {name: "Ada"}}))',
        "method": "toEqual",
        "semicolon": ";",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failing_test_is_shown_with_its_line_both_values_and_the_console(
    language: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / f"hello.test.{language}").write_text(TESTS[language])
    ran = command("test", ".", "--junit", "report.xml")
    assert ran.returncode == 1
    marks, _, rest = ran.stdout.partition("\n")
    assert sorted(marks) == [".", "F", "s"]
    assert rest.startswith(FAILURE.format(language=language, **SHOWN[language]))
    assert ran.stderr == ""
    root = ET.parse(tmp_path / "report.xml").getroot()  # noqa: S314 - our own
    assert root.attrib.items() >= {"tests": "3", "failures": "1", "skipped": "1"}.items()
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert (cases["greets Ada"].get("file"), cases["greets Ada"].get("line")) == (
        f"hello.test.{language}",
        "6",
    )
    failure = cases["greets Ada"].find("failure")
    assert failure is not None
    assert "Hello, Bob!" in (failure.text or "")
    assert cases["later"].find("skipped") is not None
    assert len(cases["greets"]) == 0


def test_tests_are_chosen_by_name_and_named_where_wanted(command: Command, tmp_path: Path) -> None:
    for language, text in TESTS.items():
        (tmp_path / f"hello.test.{language}").write_text(text)
    ran = command("test", ".", "-v", "-k", "later")
    assert ran.returncode == 0
    *lines, last = ran.stdout.splitlines()
    assert sorted(lines) == ["skip hello.test.js later", "skip hello.test.lua later"]
    assert last.startswith("2 skipped, 4 not chosen in 2 files, ")


def test_snapshots_are_kept_compared_and_found_stale(command: Command, tmp_path: Path) -> None:
    files = {language: tmp_path / f"s.test.{language}" for language in LANGUAGES}
    kept = {language: tmp_path / f"s.test.{language}.snap" for language in LANGUAGES}

    def write(value: str, tests: int = 2) -> None:
        for language, file in files.items():
            lines = SNAPSHOTS[language].replace("VALUE", value).splitlines(keepends=True)
            file.write_text("".join(lines[: 3 * tests]))

    write("1")
    missing = command("test", ".")
    assert missing.returncode == 1
    assert missing.stdout.count("there is no snapshot 's 1': keep it with --update") == 2
    assert missing.stdout.count("there is no snapshot 'k by name': keep it with --update") == 2
    assert "s.test.lua:2: there is no snapshot" in missing.stdout
    assert "s.test.js:2:" in missing.stdout
    assert not any(path.exists() for path in kept.values())

    wrote = command("test", ".", "--update")
    assert wrote.returncode == 0
    assert all(f"wrote s.test.{language}.snap" in wrote.stdout for language in LANGUAGES)

    write("2")
    differs = command("test", ".")
    assert differs.returncode == 1
    assert differs.stdout.count('    expected: {"a": 1}\n    actual:   {"a": 2}\n') == 2
    assert "2 failed, 2 passed in 2 files" in differs.stdout

    write("1", tests=1)
    stale = command("test", ".")
    assert stale.returncode == 0
    for language in LANGUAGES:
        assert f"stale snapshot in s.test.{language}: 'k by name'" in stale.stdout
    assert command("test", ".", "--update").returncode == 0
    for path in kept.values():
        assert "by name" not in path.read_text()
        assert '"s 1"' in path.read_text()


def test_what_reaches_the_world_is_granted_here_or_not_at_all(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text('[policy]\nallow_bridges = ["llm", "http"]\n')
    (tmp_path / "has.lua").write_text("return type(http)")
    (tmp_path / "has.js").write_text("return typeof http;")
    (tmp_path / "has.test.toml").write_text(
        'spell = ["has.lua", "has.js"]\n[[test]]\nname = "x"\nexpect = {value = "nil"}\n'
    )
    config = ("test", ".", "--config", "config.toml")
    assert '    actual:   "undefined"\n' in command(*config).stdout
    granted = command(*config, "--allow-bridge", "http").stdout
    assert '    actual:   "table"\n' in granted
    assert '    actual:   "object"\n' in granted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no nowhere"),
        (("hello.lua",), "hello.lua is no test"),
        (("folder",), "folder holds no tests"),
        ((".", "--cpu", "soon"), "--cpu"),
        (("few", "-k", "other"), "-k other: none of 1 tests is named so"),
        (("none",), "the files declare no tests"),
        ((), "PATH"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for name, text in (("few", 'test("x", function() end)'), ("none", "local x = 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.test.lua").write_text(text)
    ran = command("test", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_data_names_the_line_of_what_was_due(command: Command, tmp_path: Path) -> None:
    (tmp_path / "d.test.toml").write_text(
        'spell = ["hello.lua", "hello.js"]\n'
        '[[test]]\nname = "right"\nparams = {name = "Ada"}\nexpect = {output = "Hello, Ada!\\n"}\n'
        '[[test]]\nname = "wrong"\n[test.expect]\nverdict = "ok"\nlogs = ["Hello, moon!"]\n'
        '[[test]]\nname = "other end"\nexpect = {verdict = "cpu_limit"}\n'
    )
    ran = command("test", "d.test.toml")
    assert ran.returncode == 1
    assert ran.stdout.count("  d.test.toml:10: the console has other entries\n") == 2
    assert ran.stdout.count("  d.test.toml:13: the run ended otherwise\n") == 2
    assert '    expected: "cpu_limit"\n    actual:   "ok"\n' in ran.stdout
    assert "4 failed, 2 passed in 1 file, " in ran.stdout


def test_colours_are_for_terminals_that_want_them(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hello.test.lua").write_text(TESTS["lua"])
    assert "\x1b" not in command("test", ".").stdout
    shown = _on_a_terminal(command, {"TERM": "xterm"})
    assert "\x1b[31;1mFAIL hello.test.lua: greets Ada\x1b[0m" in shown
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for name, value, coloured in (("TERM", "xterm", True), ("TERM", "dumb", False)):
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv(name, value)
        assert use_colour() is coloured
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not use_colour()


def _on_a_terminal(command: Command, variables: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in command.environment.items() if k != "NO_COLOR"}
    with subprocess.Popen(
        [*PROGRAM, "test", "."],
        cwd=command.folder,
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
    ):
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:  # the other side has gone
            pass
    os.close(ours)
    return shown.decode()


def test_watching_runs_the_tests_again_when_a_file_changes(
    command: Command, tmp_path: Path
) -> None:
    pytest.importorskip("watchfiles")
    tests = tmp_path / "hello.test.lua"
    tests.write_text(TESTS["lua"])
    with command.started("test", "--watch", str(tests)) as process:
        assert process.stdout is not None
        until = _reader(process.stdout)
        assert "1 failed, 1 passed, 1 skipped" in until("waiting for changes")
        tests.write_text(TESTS["lua"].replace("Bob", "Ada"))
        seen = until("waiting for changes")
        assert "changed: hello.test.lua" in seen
        assert "2 passed, 1 skipped" in seen
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def _reader(stream: IO[str]) -> Callable[[str], str]:
    def until(part: str) -> str:
        seen = ""
        for line in stream:
            seen += line
            if part in line:
                return seen
        raise AssertionError(seen)

    return until


def test_without_the_kit_the_command_says_which_extra_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "llmspell_testkit", None)
    monkeypatch.delitem(sys.modules, "llmspell_testkit._command_test", raising=False)
    with pytest.raises(UsageError) as refused:
        kit_command("test")
    assert refused.value.message == "test: llmspell_testkit is not installed"
    assert refused.value.hint == "pip install 'llmspell-supervisor[testkit]'"


def test_an_engine_without_a_test_library_is_refused_by_name() -> None:
    spell = Spell("sums.abc", "1 + 1", "abacus")
    with pytest.raises(UsageError, match="abacus has no test library"):
        wrap(spell, "llmspell_testkit.spells:testing", {})
