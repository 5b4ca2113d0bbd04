"""Texts that act on a terminal, or pass for another's line, on every sink of the real command."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import threading
from pathlib import Path
from typing import Final

import pytest

from llmspell_harness.peers.texts import ACTING, FORGED
from tests.support.command import PROGRAM, TIMEOUT, Command

TEXTS: Final = (*ACTING, *FORGED)
ACTS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]"
)
NAME: Final = "spell\x1b]52;c;ZXZpbA==\x07\u202e"
SOURCES: Final = {
    "lua": """
        for _, text in ipairs(params.texts) do
            for _, level in ipairs({"log", "info", "debug", "warn", "error", "write"}) do
                console[level](text)
            end
        end
        if params.raise then error(table.concat(params.texts, "\\n")) end
        if params.call then llm.complete({model = params.texts[1], prompt = "x"}) end
        return {table.concat(params.texts), params.texts}
    """,
    "js": """
        for (const text of params.texts)
            for (const level of ["log", "info", "debug", "warn", "error", "write"])
                console[level](text);
        if (params.raise) throw new Error(params.texts.join("\\n"));
        if (params.call) await llm.complete({model: params.texts[0], prompt: "x"});
        return [params.texts.join(""), params.texts];
    """,
}
OURS: Final = re.compile(r"\[(info|log|debug|warn|error|write)\] ")


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Command:
    return Command({**environment, "NO_COLOR": "1"}, tmp_path)


@pytest.fixture(params=SOURCES)
def spell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = f"{NAME}.{request.param}"
    (tmp_path / name).write_text(SOURCES[request.param])
    return name


def params(tmp_path: Path, **more: bool) -> str:
    (tmp_path / "params.json").write_text(json.dumps({"texts": TEXTS, **more}))
    return "params.json"


WAYS: Final[dict[str, dict[str, bool]]] = {
    "returned": {},
    "raised": {"raise": True},
    "in a call": {"call": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_no_text_of_a_spell_acts_on_whoever_reads_the_command(
    command: Command, tmp_path: Path, spell: str, way: str
) -> None:
    given = params(tmp_path, **WAYS[way])
    done = command("run", "--verbose", "--params", given, spell)
    shown = done.stdout + done.stderr
    assert "\\x1b" in shown
    assert not ACTS.search(shown)


@pytest.mark.parametrize("way", WAYS)
def test_a_report_in_json_holds_the_texts_and_shows_none_of_them(
    command: Command, tmp_path: Path, spell: str, way: str
) -> None:
    done = command("run", "--json", "--params", params(tmp_path, **WAYS[way]), spell)
    assert not ACTS.search(done.stdout + done.stderr)
    report = json.loads(done.stdout)
    logged = [entry["text"] for entry in report["logs"]]
    assert all(text in logged for text in TEXTS)
    assert report["verdict"] == ("ok" if way == "returned" else "script_error")


def test_no_line_of_a_spell_passes_for_one_of_the_commands_own(
    command: Command, tmp_path: Path, spell: str
) -> None:
    done = command("run", "--json", "--params", params(tmp_path), spell)
    lines = done.stderr.splitlines()
    assert len(lines) > len(TEXTS)
    assert [line for line in lines if not OURS.match(line)] == []


@pytest.mark.parametrize("way", ["returned", "raised"])
def test_no_text_of_a_spell_acts_on_a_terminal(
    command: Command, tmp_path: Path, spell: str, way: str
) -> None:
    given = params(tmp_path, **WAYS[way])
    shown = on_a_terminal(command, "run", "--params", given, spell).decode()
    assert "\\x1b" in shown
    assert not ACTS.search(shown.replace("\r\n", "\n"))


def on_a_terminal(command: Command, *arguments: str) -> bytes:
    """All that the command writes where both its streams are one terminal."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(ours, 65536):
                pieces.append(data)
        except OSError:  # EIO: the last one at the other end has gone (pty(7))
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        subprocess.run(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            cwd=command.folder,
            # A dumb terminal has no status line, whose own escapes are not the spell's.
            env={**command.environment, "TERM": "dumb"},
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    return b"".join(pieces)
