"""The engines' lists of system calls: how long they are, what they may hold, and their page."""

from __future__ import annotations

import pytest

from llmspell_workers.containment import SyscallPolicy
from llmspell_workers.containment._policy import OUTSIDE
from llmspell_workers.engines import load_engine
from tests.support.syscalls_page import PAGE, page

MOST = {("lua", False): 16, ("lua", True): 16, ("javascript", False): 22}
LISTS = {
    f"{engine}{' with a jit' if jit else ''}": (engine, jit)
    for engine in ("lua", "javascript")
    for jit in (False, True)
}
UNCONDITIONAL = {
    *("munmap", "brk", "getrandom", "exit_group"),
    *("select", "getpid", "getrusage", "rt_sigreturn"),
}
"""Calls that reach nothing outside the worker, whatever their arguments are."""


def policy_of(name: str) -> SyscallPolicy:
    engine, jit = LISTS[name]
    return load_engine(engine).syscalls(jit=jit)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_no_longer_than_it_was_promised(name: str) -> None:
    policy = policy_of(name)
    assert len(policy.allowed) <= MOST.get(LISTS[name], 22)
    assert policy.most <= MOST.get(LISTS[name], 22)


@pytest.mark.parametrize("name", LISTS)
def test_no_list_allows_a_path_or_a_socket(name: str) -> None:
    assert not OUTSIDE.intersection(policy_of(name).allowed)


@pytest.mark.parametrize("name", LISTS)
def test_what_is_made_is_checked_by_its_arguments_or_harmless_whatever_they_are(name: str) -> None:
    unchecked = {r.name for r in policy_of(name).rules if r.errno is None and not r.when}
    assert unchecked <= UNCONDITIONAL


@pytest.mark.parametrize("name", LISTS)
def test_every_entry_has_a_reason_of_its_own(name: str) -> None:
    reasons = {r.name: r.reason for r in policy_of(name).rules if r.errno is None}
    assert all(len(reason) > 5 for reason in reasons.values())
    assert len(set(reasons.values())) == len(reasons)


def test_only_a_jit_brings_executable_memory_and_handlers() -> None:
    plain, granted = policy_of("javascript"), policy_of("javascript with a jit")
    assert set(granted.names) - set(plain.names) == {"rt_sigaction", "rt_sigreturn"}
    assert policy_of("lua") == policy_of("lua with a jit")


def test_the_page_about_system_calls_is_written_from_the_lists() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
