"""Every limit's words: what happened, the limit and its value, and the flag that moves it."""

from __future__ import annotations

import signal
from typing import get_args

import pytest

from llmspell_bridges import BudgetExceeded
from llmspell_protocol import ErrorInfo, Failure, Trap
from llmspell_protocol.control import Exited
from llmspell_supervisor import EXIT_CODES, Policy, Verdict
from llmspell_supervisor import _ending as ending

MIB = 1024 * 1024
POLICY = Policy(
    memory=64 * MIB, cpu=2, timeout=3, max_output=2048, max_calls=7, max_tokens=9, max_cost=0.5
)
LIMITS = {
    "memory_limit": (ending.memory_limit(POLICY), "64 MiB", "memory", "--memory"),
    "cpu_limit": (ending.cpu_limit(POLICY), "2 s", "cpu", "--cpu"),
    "wall_limit": (ending.wall_limit(POLICY), "3 s", "timeout", "--timeout"),
    "output_limit": (ending.output_limit(POLICY), "2 KiB", "max_output", "--max-output"),
    "call_limit": (ending.call_limit(POLICY), "7 calls", "max_calls", "--max-calls"),
    "cost_limit": (
        ending.cost_limit(POLICY, BudgetExceeded("cost", asked=0.6, left=0.5)),
        "$0.5",
        "max_cost",
        "--max-cost",
    ),
}


@pytest.mark.parametrize("verdict", LIMITS)
def test_a_limit_is_named_with_its_value_and_its_flag(verdict: str) -> None:
    subject, value, name, flag = LIMITS[verdict]
    assert subject.verdict == verdict
    assert subject.problem is not None
    assert value in subject.problem.message
    assert f"(limit: {name})" in subject.problem.message
    assert flag in subject.problem.hint


def test_tokens_have_a_limit_and_a_flag_of_their_own() -> None:
    subject = ending.cost_limit(POLICY, BudgetExceeded("tokens", asked=12, left=5))
    assert subject.verdict == "cost_limit"
    assert subject.problem is not None
    assert "12 and 5 of 9 tokens is left (limit: max_tokens)" in subject.problem.message
    assert "--max-tokens" in subject.problem.hint


def test_each_verdict_has_an_exit_code_of_its_own() -> None:
    assert set(EXIT_CODES) == set(get_args(Verdict))
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert 2 not in EXIT_CODES.values()  # bad flags: nothing was run


def from_exit(status: int, *, peak: int = 0, resident: int = 0, out_of_memory: bool = False) -> str:
    exited = Exited(1, status, 0.0, resident)
    return ending.from_exit(exited, POLICY, peak=peak, out_of_memory=out_of_memory).verdict


def test_a_kill_by_the_kernel_for_want_of_memory_is_the_memory_limit() -> None:
    assert from_exit(signal.SIGKILL, out_of_memory=True) == "memory_limit"
    assert from_exit(signal.SIGKILL) == "engine_crash"


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTRAP, signal.SIGBUS])
def test_a_crash_near_the_memory_limit_is_put_down_to_it(crash: signal.Signals) -> None:
    assert from_exit(crash, peak=60 * MIB) == "memory_limit"
    assert from_exit(crash, peak=30 * MIB) == "engine_crash"
    # A group that does not count what the zygote gave: as SpiderMonkey dies at 64 MiB.
    assert from_exit(crash, peak=36 * MIB, resident=57 * MIB) == "memory_limit"
    assert from_exit(crash, peak=36 * MIB, resident=48 * MIB) == "engine_crash"


def test_a_forbidden_system_call_is_no_want_of_memory() -> None:
    assert from_exit(signal.SIGSYS, peak=64 * MIB) == "engine_crash"


def test_a_limit_that_was_passed_on_the_way_is_not_a_forged_trap() -> None:
    exited = Exited(1, signal.SIGXCPU, POLICY.cpu, 0)
    found = ending.from_exit(exited, POLICY, peak=0, out_of_memory=False, trap=Trap(41, False))
    assert found.verdict == "cpu_limit"
    exited = Exited(1, signal.SIGKILL, 0.0, 0)
    found = ending.from_exit(exited, POLICY, peak=0, out_of_memory=True, trap=Trap(41, False))
    assert found.verdict == "memory_limit"


def test_the_kernels_signal_for_processor_time_counts_when_the_time_was_used() -> None:
    for cpu, verdict in ((POLICY.cpu, "cpu_limit"), (POLICY.cpu / 2, "engine_crash")):
        exited = Exited(1, signal.SIGXCPU, cpu, 0)
        assert ending.from_exit(exited, POLICY, peak=0, out_of_memory=False).verdict == verdict


def test_a_trap_that_the_kernel_confirms_names_the_call() -> None:
    exited = Exited(1, signal.SIGSYS, 0.0, 0)
    for listed, refused in ((False, "call"), (True, "arguments")):
        trap = Trap(41, listed)
        found = ending.from_exit(exited, POLICY, peak=0, out_of_memory=False, trap=trap)
        assert found.verdict == "engine_crash"
        assert found.problem is not None
        assert found.problem.system_call is not None
        assert found.problem.system_call.name == "socket"
        assert found.problem.system_call.refused == refused


def test_a_worker_that_was_ended_by_any_signal_is_told_by_its_name() -> None:
    for number in (signal.SIGHUP, signal.SIGKILL):
        exited = Exited(1, number, 0.0, 0)
        found = ending.from_exit(exited, POLICY, peak=0, out_of_memory=False)
        assert found.problem is not None
        assert number.name in found.problem.message


def test_only_the_kernels_signal_is_a_forbidden_call() -> None:
    assert not ending.was_forbidden_call(None)
    assert not ending.was_forbidden_call(Exited(1, signal.SIGKILL, 0.0, 0))
    assert ending.was_forbidden_call(Exited(1, signal.SIGSYS, 0.0, 0))


@pytest.mark.parametrize("length", [3, ending.MAX_TEXT, ending.MAX_TEXT + 1])
def test_an_error_is_kept_as_far_as_a_person_reads(length: int) -> None:
    text = "x" * length
    kept = ending.bounded(ErrorInfo("Script", text)).message
    assert kept == (text if length <= ending.MAX_TEXT else text[:-1] + "...")


def failed(kind: str, faults: set[str]) -> str:
    failure = Failure("error", ErrorInfo(kind, "why"))  # type: ignore[arg-type]
    return ending.from_failure(failure, POLICY, faults=faults).verdict  # type: ignore[arg-type]


def test_only_what_the_host_has_sent_is_the_word_of_the_host() -> None:
    assert failed("Policy", {"Policy"}) == "policy_denied"
    assert failed("Policy", {"Internal"}) == "script_error"
    assert failed("Internal", {"Internal"}) == "supervisor_error"
    assert failed("Internal", {"Policy"}) == "engine_crash"
    assert failed("Provider", {"Provider"}) == "script_error"


def test_what_was_overspent_names_the_limit() -> None:
    calls = ending.overspent(POLICY, BudgetExceeded("calls", asked=1, left=0))
    tokens = ending.overspent(POLICY, BudgetExceeded("tokens", asked=2, left=1))
    assert (calls.verdict, tokens.verdict) == ("call_limit", "cost_limit")
