"""Whatever the kernel refuses while a worker is being held: no worker, and the layer is named.

Every place in the checklist that calls the kernel is found by a run in which nothing fails; then
each of them fails, once by each errno.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import ExitStack

import pytest

from llmspell_workers.containment import LayerMissing
from llmspell_workers.containment import _heap as heap
from tests.support.faults import ERRNOS, LIE, Fault, KernelCalls, install
from tests.workers.containment.jailed import Spawn, spawned
from tests.workers.containment.test_layers import EVERY_LAYER

CONTAINMENT = "llmspell_workers.containment"
PARTS = 3
"""Tests for one errno: a worker is quick, and forty of them are."""
OPTIONAL = frozenset({"oom_score", "core_filter"})
"""Layers that are welcome, and that a strict run does without."""
HARMLESS = ("_namespaces._remedy", "_memory._is_known", "_trap.prepare_trap", "_trap._seal")
"""Places that look for words, for a reason to be less strict, which a refusal is not, or for a way
to name a forbidden call, which kills without a name as well."""
UNLAYERED = {
    "_place": "fds",
    "die_with_parent": "parent_death",
    "_reach_loopback": "net_namespace",
    "prove": "seccomp",
}
"""Functions that are no layer's step, and the layer that they stand for. Of others the text tells."""


def attempt(fault: Fault | None = None) -> tuple[KernelCalls, dict[str, str]]:
    """One worker, with every layer that a strict run can have: what was called, and its report."""
    calls = KernelCalls(CONTAINMENT, fault)
    group = os.open(os.devnull, os.O_WRONLY)  # takes what a control group takes
    spawn = Spawn(
        in_host=lambda: install(calls, ExitStack()), options={"cgroups": (group,)}, trap="sealed"
    )
    try:
        with spawned(spawn) as worker:
            report = worker.report
            if report and "missing" not in report:
                assert worker.run() == 0
            return calls, report
    finally:
        os.close(group)


@pytest.fixture(scope="module")
def places() -> list[str]:
    calls, report = attempt()
    assert "missing" not in report
    return calls.seen


def layer_of(place: str) -> str:
    first, _, rest = place.partition(" ")
    return first if " " in rest else UNLAYERED.get(function_of(place).partition(".")[2], "")


def function_of(place: str) -> str:
    return place.rpartition(":")[0].rpartition(" ")[2]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("code", ERRNOS, ids=errno.errorcode.get)
def test_a_call_that_fails_ends_the_worker_and_names_its_layer(
    code: int, part: int, places: list[str]
) -> None:
    for place in places[part::PARTS]:
        calls, report = attempt(Fault(place, code))
        assert calls.hit, place
        assert report, f"{place}: it died without a word"
        if function_of(place) in HARMLESS:
            assert "missing" not in report, place
        elif (layer := layer_of(place)) in OPTIONAL:
            assert report[layer] == f"off: {os.strerror(code)}", place
        else:
            assert report.get("missing") == layer, f"{place}: {report}"
            assert not layer or "[Errno" not in report["text"], f"{place}: {report}"
            assert layer or os.strerror(code) in report["text"], f"{place}: {report}"


def test_every_layer_has_a_call_that_is_made_to_fail(places: list[str]) -> None:
    assert {*EVERY_LAYER, "cgroup", "fds_proved", "identity_proved", "parent_death"} <= {
        layer_of(place) for place in places
    }


FIRST, LAST = 0, -1
LIES = {
    "uid _identity._leave_root setresgid": LAST,
    "uid _identity._leave_root setresuid": LAST,
    "net_namespace _namespaces._enter _UNSHARE": LAST,
    "root _root._swap _SYSCALL": LAST,
    "root _root._swap _MOUNT": LAST,
    "no_new_namespaces _namespaces._no_more write": LAST,
    "zygote_limits _rlimits._set prlimit": LAST,
    "capabilities _identity._drop_capabilities _PRCTL": FIRST,
    "capabilities _identity._empty_bounding_set _PRCTL": LAST,
    "capabilities _identity._drop_capabilities _SYSCALL": LAST,
    "no_new_privs _identity._no_new_privs _PRCTL": LAST,
    "dumpable _identity._hide _PRCTL": LAST,
    "zygote_seccomp _seccomp._load _SYSCALL": LAST,
    "_signals.die_with_parent _PRCTL": LAST,
    "fds _fds._close_all_but_two _SYSCALL": LAST,
    "signals _signals.die_with_parent _PRCTL": LAST,
    "rlimits _rlimits._set prlimit": LAST,
    "write_xor_execute _memory._refuse _PRCTL": LAST,
    "landlock _landlock._restrict _SYSCALL": LAST,
    "rlimits_closed _rlimits._set prlimit": LAST,
    "seccomp _seccomp._load _SYSCALL": LAST,
}
"""Calls that change something, as layer, function and call; and which of several it is."""


@pytest.mark.parametrize("lie", LIES)
def test_a_call_that_only_says_that_it_went_well_is_found_out(lie: str, places: list[str]) -> None:
    place = [p for p in places if re.sub(r":\d+", "", p) == lie][LIES[lie]]
    calls, report = attempt(Fault(place, LIE))
    assert calls.hit
    assert report.get("missing") == layer_of(place), report


def test_a_zygote_whose_supervisor_went_before_it_could_ask_to_be_told_ends() -> None:
    def orphan() -> None:
        parents = iter((1000, 1))
        os.getppid = lambda: next(parents)

    with spawned(Spawn(in_host=orphan)) as worker:
        assert worker.report["missing"] == "parent_death"
        assert "the supervisor has gone" in worker.report["text"]


def test_a_library_that_cannot_settle_its_heap_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    too_large = (1, 99_999_999)  # M_MXFAST, the one option of mallopt(3) that is checked
    monkeypatch.setattr(heap, "_SETTINGS", (too_large,))
    with pytest.raises(LayerMissing, match="one_heap"):
        heap.prepare_heap()
