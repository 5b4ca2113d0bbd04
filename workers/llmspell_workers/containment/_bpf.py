"""From a `SyscallPolicy` to the program that the kernel runs at every system call.

Classic BPF over struct seccomp_data (seccomp(2)). It is compiled here, in a few lines, because
the time to import a library that does it is a third of a short run; the tests hold the result
against such a library. One block per system call, each ending in a verdict:

    kill unless x86-64;  kill x32;  [number? -> rules in order -> no] ...;  no

where "no" is to kill or, when there is a handler that then says which call it was, to trap.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

from llmspell_protocol.syscalls import NUMBERS

from ._layers import LayerMissing
from ._policy import NEVER, OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._policy import Check, SyscallPolicy, SyscallRule

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand

_LOAD: Final = 0x20
_AND: Final = 0x54
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER: Final = 0x25
_JUMP_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06

_NUMBER_AT: Final = 0
_ARCH_AT: Final = 4
_ARGUMENTS_AT: Final = 16

_ARCH_X86_64: Final = 0xC000_003E
_X32: Final = 0x4000_0000
"""Numbers from here on are x32's, which share the architecture's name."""

KILL: Final = 0x8000_0000
TRAP: Final = 0x0003_0000
ALLOW: Final = 0x7FFF_0000
ERRNO: Final = 0x0005_0000
_MOST_ERRNO: Final = 4095

_LISTED: Final = 1
"""What a trap says of a call that is on the list, but was made with other arguments. It comes to
the handler as si_errno (seccomp(2)); of other calls it says 0."""

CANARY: Final = 0x3FFF_C0DE
"""A number that no kernel uses. Only our filter answers it with `CANARY_ANSWER`."""
CANARY_ANSWER: Final = 3271
"""An errno that no kernel gives: it proves that this filter, and no other, is on."""

_LOW: Final = (1 << 32) - 1
_FAR: Final = 255
"""The furthest that a conditional jump reaches."""


def compile_filter(policy: SyscallPolicy, *, trap: bool = False) -> bytes:
    """Compile a worker's allow-list, once, in the zygote; a call that is not on it kills.

    With `trap` it does so by way of the handler of SIGSYS, which must be there (see `_trap`).
    Raises `ValueError` for a list that is too long, or allows what no worker may do, and
    `LayerMissing` on a machine whose system-call numbers are not known.
    """
    if len(policy.allowed) > policy.most:
        raise ValueError(f"{len(policy.allowed)} system calls, where {policy.most} are allowed")
    if reaching := OUTSIDE.intersection(policy.allowed):
        raise ValueError(f"calls that reach files or the network: {', '.join(sorted(reaching))}")
    if not trap:
        return assemble(policy, KILL, KILL, CANARY_ANSWER)
    return assemble(policy, TRAP, TRAP | _LISTED, CANARY_ANSWER, _kill_io_uring())


def _kill_io_uring() -> list[Instruction]:
    """At once, without a handler: these calls reach every other one past any filter."""
    first, last = NUMBERS["io_uring_setup"], NUMBERS["io_uring_register"]
    return [(_JUMP_AT_LEAST, 0, 2, first), (_JUMP_GREATER, 1, 0, last), (_RETURN, 0, 0, KILL)]


def assemble(
    policy: SyscallPolicy,
    other: int,
    refused: int,
    answer: int,
    last: Sequence[Instruction] = (),
) -> bytes:
    """Compile a list: the verdicts on `other` calls, and on those whose arguments are `refused`.

    `answer` is the canary's errno; `last` comes before the verdict on other calls.
    """
    if os.uname().machine != "x86_64":
        raise LayerMissing("seccomp", f"no filter for {os.uname().machine}", "use x86-64")
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, _ARCH_X86_64),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, KILL),
    ]
    blocks: dict[str, list[SyscallRule]] = {}
    for rule in policy.rules:
        blocks.setdefault(rule.name, []).append(rule)
    for name, rules in blocks.items():
        program += _block(_number(name), rules, refused)
    program += [(_JUMP_EQUAL, 0, 1, CANARY), (_RETURN, 0, 0, ERRNO | answer)]
    program += [*last, (_RETURN, 0, 0, other)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _number(name: str) -> int:
    if name not in NUMBERS:
        raise ValueError(f"no such system call: {name}")
    if name in NEVER:
        raise ValueError(f"a system call that no list may name: {name}")
    return NUMBERS[name]


def _block(number: int, rules: list[SyscallRule], refused: int) -> list[Instruction]:
    body: list[Instruction] = []
    for rule in rules:
        body += _rule(rule)
        if not rule.when:
            break
    else:
        body.append((_RETURN, 0, 0, refused))
    if len(body) > _FAR:
        raise ValueError(f"too many conditions on one system call: {rules[0].name}")
    return [(_JUMP_EQUAL, 0, len(body), number), *body]


def _rule(rule: SyscallRule) -> list[Instruction]:
    verdict = ALLOW if rule.errno is None else ERRNO | min(rule.errno, _MOST_ERRNO)
    body: list[Instruction] = []
    # From the last condition to the first, so that each knows how far it is to the next rule.
    for check in reversed(rule.when):
        body = _check(check, len(body) + 1) + body
    return [*body, (_RETURN, 0, 0, verdict)]


def _check(check: Check, rest: int) -> list[Instruction]:
    """Fall through if the condition holds, else jump over `rest` more instructions."""
    if not 0 <= check.index <= 5 or check.value & ~check.mask:
        raise ValueError(f"impossible condition: {check}")
    low_at = _ARGUMENTS_AT + 8 * check.index
    if check.op == "le":
        return _at_most(check.value, low_at, rest)
    body: list[Instruction] = []
    for at, shift in ((low_at, 0), (low_at + 4, 32)):  # a 64-bit argument, in two words
        mask = check.mask >> shift & _LOW
        if mask:
            body = _word(at, mask, check.value >> shift & _LOW) + body
    return _aim(body, rest)


def _word(at: int, mask: int, value: int) -> list[Instruction]:
    masked: list[Instruction] = [] if mask == _LOW else [(_AND, 0, 0, mask)]
    return [(_LOAD, 0, 0, at), *masked, (_JUMP_EQUAL, 0, 0, value)]


def _at_most(value: int, low_at: int, rest: int) -> list[Instruction]:
    if value > _LOW:
        raise ValueError(f"a bound of more than 32 bits: {value}")
    body: list[Instruction] = [(_LOAD, 0, 0, low_at + 4), (_JUMP_EQUAL, 0, 0, 0)]
    return [*_aim(body, rest + 2), (_LOAD, 0, 0, low_at), (_JUMP_GREATER, rest, 0, value)]


def _aim(body: list[Instruction], rest: int) -> list[Instruction]:
    """Point every comparison's "no" at the next rule."""
    last = len(body) - 1
    return [
        (code, yes, last - i + rest if code == _JUMP_EQUAL else no, operand)
        for i, (code, yes, no, operand) in enumerate(body)
    ]
