"""The attack suite, as the installed command runs it, for root and for an ordinary user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_harness._catalogue import catalogue
from tests.support.users import OrdinaryUser

pytestmark = [pytest.mark.attacks, pytest.mark.slow, pytest.mark.timeout(600)]
USERS = pytest.mark.parametrize("user", ["root", "ordinary user"])
COMMAND = [sys.executable, "-m", "llmspell_supervisor", "harness", "--json"]
TIMEOUT = 580
"""Seconds for the whole suite, which takes about a minute when the machine is idle."""

Report = dict[str, Any]


@pytest.fixture(scope="module")
def report_of(request: pytest.FixtureRequest) -> Callable[[str], Report]:
    """The report of a whole run of the suite as one user; each is run once."""
    reports: dict[str, Report] = {}

    def run(user: str) -> Report:
        if user not in reports:
            if user == "root":
                if os.geteuid() != 0:
                    pytest.skip("the tests are not run by root")
                done = subprocess.run(
                    COMMAND, text=True, capture_output=True, timeout=TIMEOUT, check=False
                )
            else:
                ordinary: OrdinaryUser = request.getfixturevalue("ordinary_user")
                done = ordinary.run(COMMAND, timeout=TIMEOUT)
            assert done.stdout, done.stderr
            reports[user] = json.loads(done.stdout)
        return reports[user]

    return run


@USERS
@pytest.mark.parametrize("key", [e.id for e in catalogue().values() if not e.waits])
def test_the_attack_is_stopped(key: str, user: str, report_of: Callable[[str], Report]) -> None:
    result = next(r for r in report_of(user)["results"] if r["id"] == key)
    assert result["failures"] == []
    assert result["state"] == catalogue()[key].status
    assert result["trials"] > 0


@USERS
def test_every_attack_on_the_operating_system_met_two_walls_that_hold_alone(
    user: str, report_of: Callable[[str], Report]
) -> None:
    few = [
        (result["id"], result["walls"])
        for result in report_of(user)["results"]
        if result["weakest"] is not None and result["weakest"] < 2
    ]
    # Page tables are in no limit of a process: where no control group counts them, the filter
    # alone sees to the shape of mappings.
    grouped = report_of(user)["layers"]["cgroup"].startswith("on")
    assert [key for key, _ in few] == ([] if grouped else ["O19"])


@USERS
def test_every_layer_is_on(user: str, report_of: Callable[[str], Report]) -> None:
    off = {k for k, v in report_of(user)["layers"].items() if not v.startswith("on")}
    # An ordinary user has a control group only where the host delegates one.
    assert off <= (set() if user == "root" else {"cgroup"})


def test_an_attack_that_succeeds_fails_the_command(tmp_path: Path) -> None:
    """The suite can fail: an attack without its walls, in place of one with all of them."""
    program = tmp_path / "weakened.py"
    program.write_text(
        "import sys\n"
        "from llmspell_harness import _suite\n"
        "from llmspell_supervisor.__main__ import main\n"
        "held = _suite.plan_held\n"
        "def without_walls(chosen):\n"
        "    return [_suite.Planned(p.attack, p.engine, 'held', frozenset(p.attack.walls))\n"
        "            for p in held(chosen)]\n"
        "import llmspell_harness._command as command\n"
        "command.plan_held = without_walls\n"
        "sys.argv = ['x', 'harness', 'O12', '--engine', 'lua', '--json']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, program], text=True, capture_output=True, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert [r["state"] for r in report["results"]] == ["succeeded"]
    assert any("the canary of http" in failure for failure in report["results"][0]["failures"])
