"""What the command `harness` shows, and what `doctor` says of a host that lacks a layer."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from llmspell_harness._catalogue import catalogue
from llmspell_harness._losses import losses
from tests.support.command import PROGRAM, Command

# By its title: here an id would count as one that this file shows to be stopped.
KEY = next(e.id for e in catalogue().values() if e.title == "sending on an inherited socket")
OF_ANOTHER_CLASS = next(e.id for e in catalogue().values() if e.aim == "lua")
_ROW = re.compile(KEY + r"  sending on an inherited socket +Lua +- +the worker made a forbidden .*")
_LAST = re.compile(r"no attack succeeded \(\d+ trials in [\d.]+ s\)")


@pytest.fixture
def harness(environment: Mapping[str, str], tmp_path: Path) -> Command:
    return Command(environment, tmp_path)


def _on_a_terminal(environment: Mapping[str, str], *arguments: str) -> tuple[str, str]:
    """Standard output, and what a terminal got on standard error."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**environment, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while data := os.read(ours, 65536):
                seen += data
        except OSError:  # EIO: the other end is closed (pty(7))
            pass
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    return out, seen.decode()


def test_a_table_and_a_summary_are_printed_and_a_terminal_shows_a_bar(
    environment: Mapping[str, str],
) -> None:
    out, screen = _on_a_terminal(environment, "harness", KEY, "--engine", "lua", "--quick")
    lines = out.splitlines()
    assert any(map(_ROW.fullmatch, lines)), out
    assert "1 attacks: 1 stopped, 0 accepted and documented, 0 wait for what they attack" in lines
    assert _LAST.fullmatch(lines[-1])
    assert "attacks" in screen
    assert "━" in screen


def test_a_file_gets_no_bar_and_the_report_as_json(harness: Command, tmp_path: Path) -> None:
    done = harness("harness", KEY, "--engine", "lua", "--json", "--output", "report.json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "report.json").read_text())
    (result,) = report["results"]
    assert (result["state"], result["controlled"]) == ("stopped", True)
    assert result["weakest"] >= 2


def test_a_quick_run_meets_every_layer_and_no_wall_alone(harness: Command) -> None:
    done = harness("harness", KEY, "--engine", "lua", "--json", "--quick")
    (result,) = json.loads(done.stdout)["results"]
    assert (result["state"], result["weakest"], result["controlled"]) == ("stopped", None, False)


def test_ablation_prints_a_row_per_attack_and_a_column_per_layer(harness: Command) -> None:
    done = harness("harness", KEY, "--engine", "lua", "--ablate")
    assert done.returncode == 0, done.stderr
    matrix = done.stdout.partition("Each attack without each layer: ")[2].splitlines()
    layers = [line.rpartition(" ")[2] for line in matrix if line.startswith("     ")]
    (row,) = (line for line in matrix if line.startswith(KEY))
    cells = row.split()[1:]
    assert set(cells) == {".", "-"}
    assert [layer for layer, cell in zip(layers, cells, strict=True) if cell == "-"] == [
        "no_new_privs"
    ]


@pytest.mark.parametrize(
    "arguments", [("X13",), ("--class", "os", OF_ANOTHER_CLASS), ("--engine", "perl")]
)
def test_what_chooses_no_attack_is_an_error_of_use(
    arguments: tuple[str, ...], harness: Command
) -> None:
    done = harness("harness", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("llmspell-supervisor: ")


@pytest.mark.parametrize("layer", ["landlock", "seccomp", "root", "rlimits_closed", "cgroup"])
def test_a_layer_that_is_off_is_a_wall_less_against_attacks_that_are_named(layer: str) -> None:
    lost = losses([layer])
    assert list(lost) == [layer]
    assert len(lost[layer]) > 1
    assert all(key.startswith("O") for key in lost[layer])
