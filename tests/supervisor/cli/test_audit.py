"""`run --audit` and `audit verify`, as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

from llmspell_supervisor._audit import verify
from tests.support.command import Command


def test_the_command_writes_a_log_and_checks_it(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("return 1")
    log = tmp_path / "audit.jsonl"
    assert command("run", "--audit", str(log), str(tmp_path / "a.lua")).stdout == "1\n"
    checked = command("audit", "verify", str(log))
    assert checked.returncode == 0
    assert "2 records of 1 runs" in checked.stdout
    last = verify(str(log)).last
    assert last in checked.stdout
    assert command("audit", "verify", "--holds", last, str(log)).returncode == 0
    assert command("audit", "verify", "--holds", "f" * 64, str(log)).returncode == 2
    assert command("audit", "verify", "--holds", "short", str(log)).returncode == 2
    log.write_text(log.read_text().replace("a.lua", "b.lua"))
    broken = command("audit", "verify", "--json", str(log))
    assert (broken.returncode, json.loads(broken.stdout)["line"]) == (1, 1)
    assert f"{log}:1: it has been changed" in broken.stderr


def test_the_command_refuses_to_run_what_it_cannot_record(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("return 1")
    done = command("run", "--audit", "/dev/full", str(tmp_path / "a.lua"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "audit log /dev/full cannot be written: it is not a file" in done.stderr
