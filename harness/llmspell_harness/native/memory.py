"""Memory of the host beyond the limit, hidden from it in every way that there may be.

Each way takes memory until it has `goal` bytes of it or meets a refusal, and returns what it holds.
`hosts.memory` lets the same ways go and measures from outside, which is the truth; here the
attacker's own count decides whether a wall held.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from llmspell_workers.containment import IN_FD

from .._attack import native
from ._raw import call, refused, space, text

if TYPE_CHECKING:
    from .._attack import Targets


_NONE: Final = 0
_READ: Final = 1
_READ_WRITE: Final = 3
_SHARED: Final = 1
_SHARED_ANONYMOUS: Final = 0x21
_PRIVATE_ANONYMOUS: Final = 0x22
_NORESERVE: Final = 0x4000
_GROWS_DOWN: Final = 0x100
_MAY_MOVE: Final = 1
_FIXED: Final = 2
_NONBLOCK: Final = 0o4000
_UNIX: Final = 1
_STREAM: Final = 1
_IPC_NOWAIT: Final = 0o4000
_MESSAGE: Final = 8192
"""Bytes of one message, the most that kernel.msgmax allows by default."""
_PIPE: Final = 65536
"""Bytes that a pipe takes by default."""
_NAMELESS: Final = 0o20200000  # O_TMPFILE
_READ_AND_WRITE: Final = 2

PAGE: Final = 4096
MIB: Final = 1 << 20
_TABLE_SPAN: Final = 2 * MIB
"""Bytes that one page of page tables maps: a touched page so far from the next one costs two."""
_BLOCK: Final = 4 * MIB
_MOST_MAPS: Final = 65_000
"""vm.max_map_count is 65,530, and a worker has a few."""
_SPREAD: Final = 0x2000_0000_0000
"""An address far from everything that a process has."""
_RESERVE: Final = 128 << 30
"""Bytes of address space in which pages are far from each other."""

MEMORY: Final = 128 * MIB
"""The limit under which each way is tried."""
SPARE: Final = 24 * MIB
"""Bytes beyond its limit that a spell may cost the host: its stack, page tables and pipes."""
BEYOND: Final = 72 * MIB
"""Hidden bytes at which an attack is content. An engine holds 36 MB of its limit from the start."""

_STACK: Final = 8 * MIB - 64 * 1024
"""Bytes that the stack can grow to; a little is for what starts it."""
_STACK_END: Final = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "__libc_stack_end").value or 0

WAYS: Final[dict[str, Callable[[int], int]]] = {}
"""Every way by the name of its attack, for `hosts.memory`."""
TITLES: Final[dict[str, str]] = {}


def _way(
    attack_id: str, title: str, *, walls: tuple[str, ...], **more: Any
) -> Callable[[Callable[[int], int]], Callable[[int], int]]:
    """Declare a way, and the attack that goes it."""

    def declare(take: Callable[[int], int]) -> Callable[[int], int]:
        def attack(targets: Targets) -> str:
            return _attempt(take, targets)

        attack.__name__ = take.__name__
        more.setdefault("policy", {"memory": MEMORY})
        more.setdefault("holds", ("memory_limit",))  # the group's own kill
        native(attack_id, title, walls=walls, **more)(attack)
        key = f"{attack_id} {take.__name__.replace('_', ' ')}"
        WAYS[key], TITLES[key] = take, title
        return take

    return declare


def _attempt(take: Callable[[int], int], targets: Targets) -> str:
    if "hold" in targets:
        _hold(take, targets["hold"])
    hidden = take(BEYOND)
    held = hidden + _plainly(MEMORY)
    if held <= MEMORY + SPARE:
        refused(errno.ENOMEM)
    return f"{held / MIB:.0f} MB where the limit is {MEMORY / MIB:.0f}"


def _hold(take: Callable[[int], int], goal: int) -> None:
    """Hide so much, fill the limit up as anybody may, and wait to be looked at from outside."""
    with contextlib.suppress(OSError):
        take(goal)
    _plainly(goal)
    while os.read(IN_FD, PAGE):
        pass


def _plainly(goal: int) -> int:
    """Memory that the limit counts."""

    def step() -> int:
        _touch(_map(MIB, _READ_WRITE, _PRIVATE_ANONYMOUS), MIB)
        return MIB

    held = 0
    with contextlib.suppress(OSError):
        held = _until_refused(goal, step)
    return held + _grow_heap(goal - held)


def _grow_heap(goal: int) -> int:
    start = end = call("brk", 0)
    step = MIB
    while end - start < goal and step >= PAGE:
        if call("brk", end + step) == end + step:
            _touch(end, step)
            end += step
        else:
            step //= 2
    return end - start


def _until_refused(goal: int, step: Callable[[], int]) -> int:
    """Take step after step. A refusal of the very first one is the caller's."""
    held = step()
    with contextlib.suppress(OSError):
        while held < goal:
            held += step()
    return held


def _map(size: int, protection: int, flags: int, address: int = 0) -> int:
    return call("mmap", address, size, protection, flags, -1, 0)


def _touch(address: int, size: int = 1) -> None:
    ctypes.memset(address, 1, size)


_SEEN: Final = ("seccomp", "zygote_seccomp", "cgroup", "rlimits", "rlimits_closed")
"""What makes a descriptor or shares memory is in neither filter."""
_SHAPED: Final = ("seccomp", "cgroup")
"""Page tables: the filter sees to how far apart pages are, a group counts them."""
_ALLOTTED: Final = (*_SHAPED, "rlimits", "rlimits_closed")
"""Private memory that escapes RLIMIT_DATA: within that of the address space it does not help."""
_COUNTED: Final = ("seccomp", "cgroup", "rlimits_closed", "rlimits")
"""Descriptors: none can be made."""


# --- memory that is not private, and so is in no limit of a process ---


@_way("O16", "shared anonymous memory", walls=_SEEN)
def shared_maps(goal: int) -> int:
    def step() -> int:
        _touch(_map(_BLOCK, _READ_WRITE, _SHARED_ANONYMOUS), _BLOCK)
        return _BLOCK

    return _until_refused(goal, step)


@_way("O16", "a file in memory", walls=(*_SEEN, "zygote_limits"))
def memory_file(goal: int) -> int:
    fd = call("memfd_create", text("x"), 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the limit of a file's size then answers EFBIG
    call("ftruncate", fd, goal)
    address = call("mmap", 0, goal, _READ_WRITE, _SHARED, fd, 0)
    _touch(address, goal)
    return goal


@_way("O16", "System V shared memory", walls=(*_SEEN, "ipc_limits"))
def shared_segments(goal: int) -> int:
    def step() -> int:
        segment = call("shmget", 0, _BLOCK, 0o1600)
        _touch(call("shmat", segment, 0, 0), _BLOCK)
        call("shmctl", segment, 0, 0)  # gone with its last user
        return _BLOCK

    return _until_refused(goal, step)


@_way(
    "O16",
    "messages in System V queues",
    walls=("seccomp", "zygote_seccomp", "cgroup", "ipc_limits"),
)
def message_queues(goal: int) -> int:
    message = space(8 + _MESSAGE)
    message[0] = b"\x01"  # its type, which must not be 0

    def step() -> int:
        queue = call("msgget", 0, 0o1600)
        call("msgsnd", queue, message, _MESSAGE, _IPC_NOWAIT)
        return _MESSAGE

    return _until_refused(goal, step)


@_way("O17", "memory in pipes", walls=_COUNTED)
def pipes(goal: int) -> int:
    ends = (ctypes.c_int * 2)()
    block = space(_PIPE)

    def step() -> int:
        call("pipe2", ends, _NONBLOCK)
        return call("write", ends[1], block, _PIPE)

    return _until_refused(goal, step)


@_way("O17", "memory in sockets", walls=(*_COUNTED, "zygote_seccomp"))
def sockets(goal: int) -> int:
    ends = (ctypes.c_int * 2)()
    block = space(_PIPE)

    def step() -> int:
        call("socketpair", _UNIX, _STREAM | _NONBLOCK, 0, ends)
        return sum(_fill(end, block) for end in ends)

    return _until_refused(goal, step)


def _fill(end: int, block: Any) -> int:
    written = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            written += call("write", end, block, _PIPE)
    return written


@_way(
    "O16",
    "a file on a file system in memory",
    walls=(
        *("seccomp", "zygote_seccomp", "cgroup", "rlimits_closed", "landlock", "root"),
        *("rlimits", "zygote_limits"),
    ),
)
def memory_file_system(goal: int) -> int:
    block = space(_BLOCK)
    fd = call("open", text("/dev/shm"), _NAMELESS | _READ_AND_WRITE, 0o600)  # noqa: S108
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return _until_refused(goal, lambda: call("write", fd, block, _BLOCK))


# --- private memory that RLIMIT_DATA does not count ---


@_way("O19", "pages that are written and then made read-only", walls=_ALLOTTED)
def read_only_pages(goal: int) -> int:
    def step() -> int:
        address = _map(_BLOCK, _READ_WRITE, _PRIVATE_ANONYMOUS)
        _touch(address, _BLOCK)
        call("mprotect", address, _BLOCK, _READ)
        return _BLOCK

    return _until_refused(goal, step)


@_way("O19", "a reserve made writable at one stroke", walls=_ALLOTTED)
def one_stroke(goal: int) -> int:
    # mprotect(2) asks whether the change is within the limits, unless the mapping as it was would
    # not be either: with a limit of the address space nearly reached, it asks in vain.
    size = _largest_reserve()
    address = _map(size, _NONE, _PRIVATE_ANONYMOUS)
    call("mprotect", address, size, _READ_WRITE)
    _touch(address, MEMORY + goal)
    return goal


def _largest_reserve() -> int:
    size = _RESERVE
    while size > MEMORY + BEYOND:
        with contextlib.suppress(OSError):
            call("munmap", _map(size, _NONE, _PRIVATE_ANONYMOUS | _NORESERVE), size)
            break
        size -= size // 16 // PAGE * PAGE
    return MEMORY + BEYOND if size == _RESERVE else size


@_way("O19", "the stack, moved and grown", walls=(*_ALLOTTED, "zygote_seccomp"))
def moved_stack(goal: int) -> int:
    page = (_STACK_END - _BLOCK) // PAGE * PAGE
    _touch(page)  # the stack grows down to here
    address = call("mremap", page, PAGE, goal, _MAY_MOVE)
    _touch(address, goal)
    return goal


@_way("O19", "mappings that grow down, as stacks do", walls=_ALLOTTED)
def more_stacks(goal: int) -> int:
    def step() -> int:
        _touch(_map(_BLOCK, _READ_WRITE, _PRIVATE_ANONYMOUS | _GROWS_DOWN), _BLOCK)
        return _BLOCK

    return _until_refused(goal, step)


# --- page tables ---


@_way("O19", "page tables of memory that is only read", walls=_ALLOTTED)
def tables_of_reads(goal: int) -> int:
    address = _map(_RESERVE, _READ, _PRIVATE_ANONYMOUS | _NORESERVE)
    count = goal // PAGE
    for place in range(address, address + count * _TABLE_SPAN, _TABLE_SPAN):
        ctypes.c_char.from_address(place).value  # noqa: B018 - the look is the act
    return count * PAGE


@_way("O19", "page tables of mappings far from each other", walls=_SHAPED)
def tables_of_spread_maps(goal: int) -> int:
    places = iter(range(_SPREAD, _SPREAD + _MOST_MAPS * _TABLE_SPAN, _TABLE_SPAN))

    def step() -> int:
        _touch(_map(PAGE, _READ_WRITE, _PRIVATE_ANONYMOUS, next(places)))
        return 2 * PAGE

    return _until_refused(goal + MEMORY, step)


@_way("O19", "page tables of what is left between holes", walls=_SHAPED)
def tables_of_remnants(goal: int) -> int:
    size = 2 * _TABLE_SPAN

    def step() -> int:
        address = _map(size, _READ_WRITE, _PRIVATE_ANONYMOUS)
        _touch(address)
        call("munmap", address + PAGE, size - PAGE)
        return 2 * PAGE

    return _until_refused(goal + MEMORY, step)


@_way("O19", "page tables of a reserve with writable pages", walls=_ALLOTTED)
def tables_of_reserves(goal: int) -> int:
    base = _map(_RESERVE, _NONE, _PRIVATE_ANONYMOUS | _NORESERVE)
    places = iter(range(base, base + _RESERVE, _TABLE_SPAN))

    def step() -> int:
        place = next(places)
        call("mprotect", place, PAGE, _READ_WRITE)
        _touch(place)
        return 2 * PAGE

    return _until_refused(goal + MEMORY, step)


@_way("O19", "page tables of pages moved apart", walls=(*_SHAPED, "zygote_seccomp"))
def tables_of_moved_pages(goal: int) -> int:
    pages = goal // PAGE
    base = _map(pages * PAGE, _READ_WRITE, _PRIVATE_ANONYMOUS)
    _touch(base, pages * PAGE)
    for i in range(pages):
        where = _SPREAD + i * _TABLE_SPAN
        call("mremap", base + i * PAGE, PAGE, PAGE, _MAY_MOVE | _FIXED, where)
    return 2 * pages * PAGE


# --- what is left ---


@_way("O19", "all memory that may be had at once", walls=("rlimits", "rlimits_closed", "cgroup"))
def everything(goal: int) -> int:
    goal += MEMORY
    held = 0
    places = iter(range(_SPREAD, _SPREAD + (_MOST_MAPS << 30), 1 << 30))
    while held < goal:  # whole blocks, each with page tables of its own
        try:
            _touch(_map(MIB, _READ_WRITE, _PRIVATE_ANONYMOUS, next(places)), MIB)
        except OSError:
            break
        held += MIB
    held += _grow_heap(goal - held)
    _touch(_STACK_END - _STACK, _STACK - MIB)  # the rest of it is in use
    return held + _STACK
