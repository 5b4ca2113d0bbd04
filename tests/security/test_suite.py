"""The attack suite, as the installed command runs it, for root and for an ordinary user.

It runs in parts, a class of attacks against one engine each, so that several processes share it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from llmspell_harness._attack import BOTH
from llmspell_harness._catalogue import catalogue
from llmspell_harness._suite import declared
from tests.support.users import OrdinaryUser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
COMMAND: Final = (sys.executable, "-m", "llmspell_supervisor", "harness", "--json")
TIMEOUT: Final = 580
"""Seconds for one part, of which the longest takes half a minute when the machine is idle."""
WALLS: Final = ("os", "lua")
"""The part that also tries each wall alone, and none."""

Part = tuple[str, str]
"""A class of attacks, and the engine that they are tried in."""
Report = dict[str, Any]
ReportOf = Callable[[str, Part], Report]


def parts() -> dict[Part, list[str]]:
    """The ids of each part; those with no engine of their own are in every part of their class."""
    found: dict[Part, dict[str, None]] = {}
    for attack, engine in declared():
        for name in (engine,) if engine else BOTH:
            found.setdefault((catalogue()[attack.id].aim, name), {})[attack.id] = None
    return {part: list(ids) for part, ids in found.items()}


def _everything() -> Iterator[Any]:
    for user in ("root", "ordinary user"):
        for part, ids in parts().items():
            for key in ids:
                yield pytest.param(user, part, key, id=f"{user}-{part[1]}-{key}")


@pytest.fixture(scope="module")
def report_of(request: pytest.FixtureRequest) -> ReportOf:
    """The report of a part as one user; each is run once."""
    reports: dict[tuple[str, Part], Report] = {}

    def run(user: str, part: Part) -> Report:
        if (user, part) not in reports:
            reports[user, part] = _run(user, part, request)
        return reports[user, part]

    return run


def _run(user: str, part: Part, request: pytest.FixtureRequest) -> Report:
    aim, engine = part
    command = [*COMMAND, "--class", aim, "--engine", engine]
    if part != WALLS:
        command.append("--quick")
    if user == "root":
        if os.geteuid() != 0:
            pytest.skip("the tests are not run by root")
        done = subprocess.run(command, text=True, capture_output=True, timeout=TIMEOUT, check=False)
    else:
        ordinary: OrdinaryUser = request.getfixturevalue("ordinary_user")
        done = ordinary.run(command, timeout=TIMEOUT)
    assert done.stdout, done.stderr
    report: Report = json.loads(done.stdout)
    return report


@pytest.mark.parametrize(("user", "part", "key"), list(_everything()))
def test_the_attack_is_stopped(user: str, part: Part, key: str, report_of: ReportOf) -> None:
    result = next(r for r in report_of(user, part)["results"] if r["id"] == key)
    assert result["failures"] == []
    assert result["state"] == catalogue()[key].status
    assert result["trials"] > 0


@pytest.mark.parametrize(("user", "part"), [(user, WALLS) for user in ("root", "ordinary user")])
def test_every_attack_on_the_operating_system_met_two_walls_that_hold_alone(
    user: str, part: Part, report_of: ReportOf
) -> None:
    report = report_of(user, part)
    few = [
        result["id"]
        for result in report["results"]
        if result["weakest"] is not None and result["weakest"] < 2
    ]
    # Page tables are in no limit of a process: where no control group counts them, the filter
    # alone sees to the shape of mappings.
    grouped = report["layers"]["cgroup"].startswith("on")
    assert few == ([] if grouped else ["O19"])


@pytest.mark.parametrize(("user", "part"), [(user, WALLS) for user in ("root", "ordinary user")])
def test_every_layer_is_on(user: str, part: Part, report_of: ReportOf) -> None:
    off = {k for k, v in report_of(user, part)["layers"].items() if not v.startswith("on")}
    # An ordinary user has a control group only where the host delegates one.
    assert off <= (set() if user == "root" else {"cgroup"})


def test_the_parts_have_every_attack_in_every_engine_that_it_is_made_for() -> None:
    reached = {(key, part[1]) for part, ids in parts().items() for key in ids}
    assert {(attack.id, engine or BOTH[0]) for attack, engine in declared()} <= reached
    assert {key for key, _ in reached} == {e.id for e in catalogue().values() if not e.waits}


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
