"""Guards that fail: a run through a real supervisor ends, says why, and leaves nothing.

`tests/workers/containment/test_faults.py` lets every call of the checklist fail. Here each layer of
a real zygote does, and the zygote's own loop, and every call that the supervisor makes.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from llmspell_supervisor import IsolationError, Spell, Supervisor, SupervisorError
from llmspell_supervisor import _launch as launch
from llmspell_supervisor._zygotes import Zygote
from tests.support.faults import ERRNOS, Fault
from tests.support.garbage import only_new_objects
from tests.support.processes import children

SUPPORT = Path(__file__).parents[1] / "support"
AT_ONCE = 4
"""Supervisors at a time: they wait more than they compute."""


class Outcome(NamedTuple):
    """What came of one run."""

    ran: bool
    """Whether the script did anything."""
    layer: str
    words: str
    verdict: str = ""


class FaultySupervisor(Supervisor):
    """Its zygotes are real ones, in which calls fail."""

    def __init__(self, fault: Fault) -> None:
        self.said: list[object] = []
        super().__init__(on_log=self.said.append)
        self._fault = fault

    def _new_zygote(self, engine: str, *, strict: bool) -> Zygote:
        return FaultyZygote(engine, self._cgroups, strict=strict, fault=self._fault)


class FaultyZygote(Zygote):
    """Runs `tests/support/faults.py`."""

    def __init__(self, *arguments: object, fault: Fault, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self._fault = fault

    def _spawn(self) -> launch.Launched:
        mode = "strict" if self._strict else "degraded"
        place, code = self._fault
        return launch.spawn("faults", self.engine, mode, place, str(code))


async def outcome(fault: Fault) -> Outcome:
    async with FaultySupervisor(fault) as supervisor:
        spell = Spell.from_text("console.log('here I am') return 1", "lua", "reached.lua")
        try:
            report = await supervisor.run(spell)
        except IsolationError as error:
            return Outcome(bool(supervisor.said), error.layer, error.message)
        except SupervisorError as error:
            return Outcome(bool(supervisor.said), "", error.message)
        words = report.problem.message if report.problem else ""
        return Outcome(bool(supervisor.said), "", words, report.verdict)


def outcomes(faults: list[Fault]) -> dict[str, Outcome]:
    """By place."""

    async def all_of_them() -> list[Outcome]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(fault: Fault) -> Outcome:
            async with turns:
                return await outcome(fault)

        return await asyncio.gather(*map(one, faults))

    return dict(zip((f.place for f in faults), asyncio.run(all_of_them()), strict=True))


@pytest.fixture(autouse=True)
def nothing_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No descriptor, no process, no control group."""
    monkeypatch.syspath_prepend(str(SUPPORT))
    with only_new_objects():
        before = held()
        yield
        assert held() == before


def held() -> tuple[int, list[int], set[str]]:
    gc.collect()
    groups = {  # a walk, for other tests' groups vanish meanwhile, which ends a `glob`
        f"{folder}/{name}"
        for folder, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(f"llmspell-{os.getpid()}-")
    }
    return len(os.listdir("/proc/self/fd")), children(os.getpid()), groups


BEFORE_THE_FORK = (
    *("uid", "user_namespace", "mount_namespace", "cgroup_namespace", "uts_namespace"),
    *("ipc_namespace", "pid_namespace", "net_namespace", "ipc_limits", "session"),
    *("zygote_signals", "root", "inner_user_namespace", "no_new_namespaces", "zygote_limits"),
    *("capabilities", "no_new_privs", "dumpable", "zygote_seccomp"),
)
IN_THE_WORKER = (
    *("fds", "signals", "rlimits", "write_xor_execute", "landlock", "fds_proved"),
    *("rlimits_closed", "identity_proved", "seccomp"),
)


@pytest.mark.root
def test_a_layer_of_the_zygote_that_fails_refuses_every_run_by_its_name() -> None:
    codes = itertools.cycle(ERRNOS)
    found = outcomes([Fault(layer, next(codes)) for layer in BEFORE_THE_FORK])
    assert {place: (o.layer, o.ran) for place, o in found.items()} == {
        layer: (layer, False) for layer in BEFORE_THE_FORK
    }


def test_a_layer_of_the_worker_that_fails_ends_its_run_by_its_name() -> None:
    codes = itertools.cycle(ERRNOS)
    found = outcomes([Fault(layer, next(codes)) for layer in IN_THE_WORKER])
    for layer, (ran, _, words, verdict) in found.items():
        assert (verdict, ran) == ("supervisor_error", False), (layer, words)
        assert f"isolation layer '{layer}' is missing" in words


ZYGOTE = {
    "zygote.run_zygote fork": "containment: [Errno",
    "zygote._say send": "the lua zygote has died",
    "zygote._receive recvmsg": "the lua zygote has died",
    "zygote._bury_strays waitid": "the lua zygote has died",
    "zygote._fork fork": "a worker was not forked",
    "zygote._fork pidfd_open": "a worker was not forked",
    "zygote._fork sendmsg": "the lua zygote has died",
    "worker._write write": "exited with status 70 and no result before it was ready",
}
"""Calls of the zygote's loop, and of a worker that is locked; what is said of their failure."""


@pytest.mark.parametrize("code", ERRNOS)
def test_a_zygote_whose_calls_fail_runs_nothing_and_says_so(code: int) -> None:
    for place, (ran, _, words, _) in outcomes([Fault(place, code) for place in ZYGOTE]).items():
        assert not ran, place
        assert ZYGOTE[place] in words, place
