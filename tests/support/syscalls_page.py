"""Writes `docs/syscalls.md` from the engines' lists: `python -m tests.support.syscalls_page`.

The words about arguments come from the conditions that the filter is compiled from, so the page
cannot say what the kernel does not do. A condition without words here is a `KeyError`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from llmspell_protocol.syscalls import NUMBERS
from llmspell_workers.containment import Check, SyscallPolicy, SyscallRule
from llmspell_workers.engines import load_engine

PAGE: Final = Path(__file__).parents[2] / "docs" / "syscalls.md"
_WORD: Final = (1 << 64) - 1
_HALF: Final = (1 << 32) - 1

_NAMES: Final = {
    ("read", 0): "fd",
    ("write", 0): "fd",
    ("mmap", 0): "addr",
    ("mmap", 1): "length",
    ("mmap", 2): "prot",
    ("mmap", 3): "flags",
    ("mmap", 4): "fd",
    ("munmap", 0): "addr",
    ("munmap", 1): "length",
    ("mremap", 3): "flags",
    ("madvise", 2): "advice",
    ("mprotect", 2): "prot",
    ("futex", 1): "op",
    ("prctl", 0): "option",
    ("clock_gettime", 0): "clock",
    ("clock_nanosleep", 0): "clock",
    ("rt_sigaction", 0): "signal",
}
"""What the manual calls an argument."""

_PROT: Final = {1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC"}
_BITS: Final = {
    ("mmap", 2): _PROT,
    ("mprotect", 2): _PROT,
    ("mmap", 3): {
        0x02: "MAP_PRIVATE",
        0x10: "MAP_FIXED",
        0x20: "MAP_ANONYMOUS",
        0x4000: "MAP_NORESERVE",
        0x20000: "MAP_STACK",
    },
    ("mremap", 3): {1: "MREMAP_MAYMOVE"},
    ("futex", 1): {256: "FUTEX_CLOCK_REALTIME"},
}
"""The bits of arguments that are flags."""

_VALUES: Final = {
    ("read", 0): {3: "3"},
    ("write", 0): {4: "4"},
    ("mmap", 4): {_HALF: "-1"},
    ("madvise", 2): {
        4: "MADV_DONTNEED",
        8: "MADV_FREE",
        14: "MADV_HUGEPAGE",
        15: "MADV_NOHUGEPAGE",
    },
    ("futex", 1): {
        128: "FUTEX_WAIT_PRIVATE",
        129: "FUTEX_WAKE_PRIVATE",
        137: "FUTEX_WAIT_BITSET_PRIVATE",
        138: "FUTEX_WAKE_BITSET_PRIVATE",
    },
    ("prctl", 0): {15: "PR_SET_NAME", 0x53564D41: "PR_SET_VMA"},
    ("clock_gettime", 0): {11: "CLOCK_TAI (11)"},
    ("clock_nanosleep", 0): {1: "CLOCK_MONOTONIC (1)"},
    ("rt_sigaction", 0): {11: "SIGSEGV"},
}
"""The values of arguments that are numbers."""

_HEAD: Final = """\
# System calls

What a locked worker may ask of the kernel, engine by engine. This page is written from the lists
that the filters are compiled from (`python -m tests.support.syscalls_page`); a test fails when it
is not.

- **made**: the kernel makes the call, if the arguments are as the table says.
- **an error**: the filter answers in the kernel's place; the call is not made. Libraries make such
  calls in passing, and go on without.
- Everything else, and a listed call with other arguments, **kills** the worker: the verdict is
  `engine_crash` and names the call, in words (`socket (system call 41)`) and under
  `problem.system_call` of the report: `number`, `name`, and `refused`, which is `call` or
  `arguments`. A call of another architecture, of x32 or of io_uring kills without being named.

That the kernel killed for a system call is the kernel's word. Which one it was is the word of the
worker's own signal handler: right about a mistake, but native code that has taken a worker over can
name another one. A worker whose stack is used up, or that blocked the signal, is killed unnamed.

No list allows a call that takes a path or is about sockets: the compiler of the filter refuses it.
"""


def page() -> str:
    """The whole page."""
    lua, javascript = (load_engine(name) for name in ("lua", "javascript"))
    plain = javascript.syscalls(jit=False)
    return "\n".join(
        (
            _HEAD,
            *_section("Lua", lua.syscalls(jit=False)),
            *_section("JavaScript", plain),
            *_jit(plain, javascript.syscalls(jit=True)),
        )
    )


def _section(engine: str, policy: SyscallPolicy) -> Iterator[str]:
    made, answered = len(policy.allowed), len(policy.names) - len(policy.allowed)
    yield f"## {engine}\n"
    others = f", and {answered} more are answered with an error" if answered else ""
    yield f"{made} calls are made, of at most {policy.most}{others}.\n"
    yield from _table(policy, policy.names)


def _jit(plain: SyscallPolicy, granted: SyscallPolicy) -> Iterator[str]:
    yield "## JavaScript with a JIT\n"
    yield f"Where the operator grants one (`--jit`): {len(granted.allowed)} calls. What differs:\n"
    changed = [n for n in granted.names if _rules(granted, n) != _rules(plain, n)]
    yield from _table(granted, changed)


def _rules(policy: SyscallPolicy, name: str) -> list[SyscallRule]:
    return [rule for rule in policy.rules if rule.name == name]


def _table(policy: SyscallPolicy, names: Sequence[str]) -> Iterator[str]:
    yield "| call | number | with | answer | why |"
    yield "|---|---|---|---|---|"
    for name in names:
        for rules in _alike(_rules(policy, name)):
            first = rules[0]
            when = _condition(rules) or ("other arguments" if _is_last(policy, first) else "any")
            answer = "made" if first.errno is None else errno.errorcode[first.errno]
            yield f"| `{name}` | {NUMBERS[name]} | {when} | {answer} | {first.reason} |"
    yield ""


def _is_last(policy: SyscallPolicy, rule: SyscallRule) -> bool:
    """Whether it takes what earlier rules of its call have left."""
    return len(_rules(policy, rule.name)) > 1


def _alike(rules: list[SyscallRule]) -> list[list[SyscallRule]]:
    """Rules of one call that differ in one value alone make one line."""
    lines: list[list[SyscallRule]] = []
    for rule in rules:
        if lines and len(rule.when) == 1 and _shape(lines[-1][0]) == _shape(rule):
            lines[-1].append(rule)
        else:
            lines.append([rule])
    return lines


def _shape(rule: SyscallRule) -> tuple[object, ...]:
    return rule.reason, rule.errno, [(c.index, c.mask, c.op) for c in rule.when]


def _condition(rules: list[SyscallRule]) -> str:
    first = rules[0]
    if len(rules) == 1:
        return "; ".join(_words(first.name, check, (check.value,)) for check in first.when)
    (check,) = first.when
    return _words(first.name, check, tuple(rule.when[0].value for rule in rules))


def _words(call: str, check: Check, values: tuple[int, ...]) -> str:
    key = call, check.index
    name = f"`{_NAMES[key]}`"
    if check.op == "le":
        return f"{name} at most {_VALUES[key][check.value]}"
    if check.value == 0 and check.mask & (check.mask + 1) == 0 and key not in _BITS:
        return f"{name} is whole blocks of {(check.mask + 1) >> 20} MiB"
    width = _HALF if check.mask <= _HALF else _WORD
    free = _flags(key, ~check.mask & width)
    if key in _VALUES:
        # The condition leaves some bits free, or the value is the whole argument.
        found = _or([_VALUES[key][value] for value in values])
        return f"{name} is {found}{f', with {_or(free)} or without' if free else ''}"
    (value,) = values
    needed = _flags(key, value)
    if not needed:
        return f"{name} holds nothing but {_or(free)}"
    also = f"; {_or(free)} at will" if free else ""
    return f"{name} is {' and '.join(needed)}{also}"


def _flags(key: tuple[str, int], bits: int) -> list[str]:
    found = [text for bit, text in _BITS.get(key, {}).items() if bits & bit]
    if sum(bit for bit in _BITS.get(key, {}) if bits & bit) != bits:
        raise KeyError(f"bits without a name: {key} {bits:#x}")
    return found


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
