"""The compiled filter against an independent compiler, input by input."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

import pytest
import seccompy
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.syscalls import NUMBERS
from llmspell_workers.containment import (
    Check,
    SyscallPolicy,
    SyscallRule,
    at_most,
    compile_filter,
    denied,
    futex,
    is_int,
    is_long,
    only_bits,
    plain,
    prctl_option,
    private_memory,
    read_only_from,
    write_only_to,
)
from llmspell_workers.containment._policy import NEVER, OUTSIDE
from llmspell_workers.containment._trap import KILLER

X86_64 = 0xC000003E
I386 = 0x40000003
AARCH64 = 0xC00000B7
KILL = 0x80000000
TRAP = 0x00030000
ALLOW = 0x7FFF0000
WORD = (1 << 64) - 1

EVERYTHING = SyscallPolicy(
    (
        *read_only_from(6),
        *write_only_to(),
        *private_memory(),
        *futex(),
        *prctl_option(15, 0x53564D41),
        SyscallRule("epoll_wait", "events", (is_int(0, 5), at_most(2, 64))),
        SyscallRule("lseek", "a long", (is_long(1, 1 << 40),)),
        SyscallRule("ioctl", "bits", (only_bits(1, 0xF0F0),)),
        *plain(exit_group="end"),
        *denied(2, openat="time zones"),
    )
)


def run(program: bytes, number: int, arguments: tuple[int, ...], arch: int = X86_64) -> int:
    """Interpret classic BPF over one struct seccomp_data."""
    data = struct.pack(
        "<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), arch, 0, *arguments
    )
    code = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        op, yes, no, operand = code[at]
        at += 1
        match op:
            case 0x20:
                accumulator = struct.unpack_from("<I", data, operand)[0]
            case 0x54:
                accumulator &= operand
            case 0x05:
                at += operand
            case 0x15:
                at += yes if accumulator == operand else no
            case 0x25:
                at += yes if accumulator > operand else no
            case 0x35:
                at += yes if accumulator >= operand else no
            case 0x06:
                return int(operand)
            case _:
                pytest.fail(f"an instruction that no filter needs: {op:#x}")


def oracle(policy: SyscallPolicy) -> bytes:
    """The same policy, compiled by another compiler."""
    peer = seccompy.Filter(default=seccompy.Action.KILL_PROCESS)
    for rule in policy.rules:
        conditions = [_condition(check) for check in rule.when] or None
        if rule.errno is None:
            peer.allow(rule.name, args=conditions)
        else:
            peer.errno(rule.name, rule.errno, args=conditions)
    return peer.program


def _condition(check: Check) -> seccompy.ArgCmp:
    if check.op == "le":
        return seccompy.ArgCmp(check.index, seccompy.CmpOp.LE, check.value)
    return seccompy.ArgCmp(check.index, seccompy.CmpOp.MASKED_EQ, check.value, check.mask)


def interesting(policy: SyscallPolicy) -> Iterator[int]:
    """Values on and around every number that the policy names."""
    named = {0, 1, WORD, 1 << 31, 1 << 32, (1 << 32) - 1}
    for rule in policy.rules:
        for check in rule.when:
            named |= {check.value, check.value + 1, check.value | 1 << 32, check.value ^ 4}
            named |= {
                check.value | check.mask,
                ~check.mask & WORD,
                check.value | ~check.mask & WORD,
            }
    yield from (value & WORD for value in named)


def test_every_number_and_argument_gets_the_verdict_that_another_compiler_gives() -> None:
    ours, theirs = compile_filter(EVERYTHING), oracle(EVERYTHING)
    values = sorted(set(interesting(EVERYTHING)))
    for name in (*EVERYTHING.names, "execve", "clone3"):
        number = NUMBERS[name]
        for at, value in itertools.product(range(6), values):
            for rest in (0, 3, 0x22, WORD):
                arguments = tuple(value if i == at else rest for i in range(6))
                assert run(ours, number, arguments) == run(theirs, number, arguments), (
                    name,
                    arguments,
                )


@given(
    st.sampled_from(sorted(NUMBERS.values())) | st.integers(0, 600),
    st.tuples(*[st.integers(0, 8) | st.integers(0, WORD)] * 6),
)
def test_any_call_gets_the_verdict_that_another_compiler_gives(
    number: int, arguments: tuple[int, ...]
) -> None:
    assert run(PROGRAM, number, arguments) == run(PEER, number, arguments)


PROGRAM = compile_filter(EVERYTHING)
PEER = oracle(EVERYTHING)


def trapped(number: int, arguments: tuple[int, ...]) -> None:
    """A trap is where a kill would be, says whether the call is listed, and nothing else changes."""
    without, found = run(PROGRAM, number, arguments), run(TRAPPING, number, arguments)
    if without != KILL or number >= 0x40000000 or number in IO_URING:
        assert found == without, (number, arguments)
    else:
        assert found == TRAP | (number in LISTED), (number, arguments)


def test_a_trap_is_where_a_kill_would_be_and_says_whether_the_call_is_listed() -> None:
    values = sorted(set(interesting(EVERYTHING)))
    for name in EVERYTHING.names:
        for at, value in itertools.product(range(6), values):
            for rest in (0, 3, 0x22, WORD):
                trapped(NUMBERS[name], tuple(value if i == at else rest for i in range(6)))
    for number in (*range(600), 0x3FFFFFFF, 0x40000000, 0x40000029, 0xFFFFFFFF):
        trapped(number, (0,) * 6)


@given(
    st.sampled_from(sorted(NUMBERS.values())) | st.integers(0, (1 << 32) - 1),
    st.tuples(*[st.integers(0, 8) | st.integers(0, WORD)] * 6),
)
def test_any_trap_is_where_a_kill_would_be(number: int, arguments: tuple[int, ...]) -> None:
    trapped(number, arguments)


def test_with_traps_what_could_reach_past_the_filter_kills_at_once() -> None:
    for arch in (I386, AARCH64, 0):
        assert {run(TRAPPING, n, (0,) * 6, arch) for n in range(512)} == {KILL}
    assert {run(TRAPPING, 0x40000000 | n, (0,) * 6) for n in range(600)} == {KILL}
    assert {run(TRAPPING, n, (0,) * 6) for n in IO_URING} == {KILL}
    assert run(TRAPPING, KILLER, (0,) * 6) == KILL  # by which the handler ends


TRAPPING = compile_filter(EVERYTHING, trap=True)
LISTED = {NUMBERS[name] for name in EVERYTHING.names}
IO_URING = [NUMBERS[f"io_uring_{what}"] for what in ("setup", "enter", "register")]


@pytest.mark.parametrize("arch", [I386, AARCH64, 0])
def test_another_architecture_kills_whatever_it_calls(arch: int) -> None:
    assert {run(PROGRAM, n, (0,) * 6, arch) for n in range(512)} == {KILL}


def test_x32_kills_whatever_it_calls() -> None:
    assert {run(PROGRAM, 0x40000000 | n, (0,) * 6) for n in range(600)} == {KILL}
    assert run(PROGRAM, 0xFFFFFFFF, (0,) * 6) == KILL


def test_executable_memory_is_allowed_only_with_a_jit() -> None:
    private = (0, 4096, 0b111, 0x22, 0xFFFFFFFF, 0)
    assert run(PROGRAM, NUMBERS["mmap"], private) == KILL
    assert run(PROGRAM, NUMBERS["mprotect"], (0, 4096, 0b101, 0, 0, 0)) == KILL
    jit = compile_filter(SyscallPolicy(private_memory(jit=True)))
    assert run(jit, NUMBERS["mmap"], private) == ALLOW
    assert run(jit, NUMBERS["mprotect"], (0, 4096, 0b101, 0, 0, 0)) == ALLOW


@pytest.mark.parametrize("flags", [0x01, 0x21, 0x02, 0x23, 0x03, 0x2022, 0x8022, 0x40022, 0x122])
def test_shared_locked_populated_huge_and_growing_mappings_kill(flags: int) -> None:
    assert run(PROGRAM, NUMBERS["mmap"], (0, 4096, 3, flags, 0xFFFFFFFF, 0)) == KILL


def test_the_numbers_are_those_of_the_kernel_headers() -> None:
    assert {name: seccompy.syscall_nr(name) for name in NUMBERS} == NUMBERS


def test_a_list_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="2 system calls, where 1 are allowed"):
        compile_filter(SyscallPolicy(plain(read="x", write="y"), most=1))


@pytest.mark.parametrize("name", sorted(NEVER))
def test_a_name_that_no_list_may_hold_is_refused(name: str) -> None:
    assert name in NUMBERS
    for list_ in (plain(**{name: "fast"}), denied(1, **{name: "safe"})):
        with pytest.raises(ValueError, match=f"no list may name: {name}"):
            compile_filter(SyscallPolicy(list_))


@pytest.mark.parametrize("name", sorted(OUTSIDE))
def test_a_call_that_reaches_out_may_be_answered_and_never_allowed(name: str) -> None:
    assert name in NUMBERS
    compile_filter(SyscallPolicy(denied(2, **{name: "looked for in passing"})))
    with pytest.raises(ValueError, match=f"reach files or the network: {name}"):
        compile_filter(SyscallPolicy(plain(**{name: "just one"})))


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no such system call: opne"):
        compile_filter(SyscallPolicy(denied(2, opne="mistyped")))


def test_an_impossible_condition_is_refused() -> None:
    rule = SyscallRule("read", "x", (Check(0, 3, mask=1),))
    with pytest.raises(ValueError, match="impossible condition"):
        compile_filter(SyscallPolicy((rule,)))
