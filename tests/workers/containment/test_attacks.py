"""Native code in a locked worker: what the attack suite leaves out, because it does no harm.

The suite (`llmspell_harness/native`) shows for each attack that every wall stops it alone. Here
are calls that would gain nothing and die all the same, and details of how they die.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import signal
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from llmspell_protocol.syscalls import NUMBERS
from llmspell_workers.containment._trap import FRAME
from tests.workers.containment.jailed import ORDINARY, POLICY, SIGSYS_DEATH, Spawn, raw, spawned

X32 = 0x40000000
IO_URING_SETUP = NUMBERS["io_uring_setup"]
_ZEROS = ctypes.create_string_buffer(256)
_NAME = ctypes.create_string_buffer(b"x")
_HOST_FILE = ctypes.create_string_buffer(b"/etc/passwd")
_AT_FDCWD = -100
_CLONE_ARGS = (ctypes.c_uint64 * 8)(0, 0, 0, 0, signal.SIGCHLD)


@dataclass(frozen=True)
class Attack:
    """A raw system call; `second` is the errno that answers it when the filter is left out."""

    name: str
    call: tuple[Any, ...]
    second: int = 0

    def __call__(self) -> int:
        return raw(*self.call)


ANSWERED = (
    Attack("epoll_create1", (291, 0), errno.EMFILE),
    Attack("eventfd2", (290, 0, 0), errno.EMFILE),
    Attack("landlock ruleset", (444, (ctypes.c_uint64 * 3)(1), 24, 0), errno.EMFILE),
    Attack("setuid root", (105, 0), errno.EINVAL),
    Attack("raise DATA", (302, 0, 2, (ctypes.c_uint64 * 2)(1 << 40, 1 << 40), 0), errno.EPERM),
    Attack("shared memory", (9, 0, 1 << 40, 3, 0x21, -1, 0), errno.ENOMEM),
)
FILTERED = (
    Attack("seccomp", (317, 1, 0, _ZEROS)),
    Attack("x32 getpid", (X32 | 39,)),
    Attack("x32 openat", (X32 | 257, _AT_FDCWD, _HOST_FILE, 0)),
    Attack("no such call", (4000,)),
    Attack("io_uring_setup", (IO_URING_SETUP, 1, _ZEROS)),
    Attack("requeue of a futex", (202, _ZEROS, 3, 1, 1, _ZEROS, 0)),
    Attack("priority futex", (202, _ZEROS, 6, 0, 0, 0, 0)),
    Attack("remap elsewhere", (25, 0, 4096, 4096, 3, 0x10000)),
    Attack("collapse", (28, 0, 4096, 25)),
)
REFUSED_TWICE = (
    Attack("kill itself", (62, 0, 0), errno.EPERM),
    Attack("stat a host file", (4, _HOST_FILE, _ZEROS), errno.ENOENT),
    Attack("clone3", (435, _CLONE_ARGS, 64), errno.ENOSYS),
    Attack("a filter of its own", (317, 1, 0, _ZEROS), errno.EPERM),
)
"""What the zygote's filter answers in another way than by killing, and not as the kernel would."""
EVERY_ATTACK = {a.name: a for a in (*ANSWERED, *FILTERED, *REFUSED_TWICE)}
USERS = pytest.mark.parametrize("user", [0, ORDINARY])
pytestmark = pytest.mark.root


@pytest.mark.parametrize("attack", EVERY_ATTACK.values(), ids=EVERY_ATTACK)
@pytest.mark.parametrize("trap", ["none", "sealed"])
def test_the_filter_kills(attack: Attack, trap: Literal["none", "sealed"]) -> None:
    with spawned(Spawn(attack=attack, trap=trap)) as worker:
        assert worker.run() is None
        assert worker.end() == SIGSYS_DEATH
        number = attack.call[0]
        named = trap != "none" and number < X32 and number != IO_URING_SETUP
        assert worker.last_words == (words(number) if named else b"")


def words(number: int) -> bytes:
    """The frame that names a call of `POLICY`'s worker."""
    listed = number in {NUMBERS[name] for name in POLICY.names}
    return FRAME[:11] + number.to_bytes(4, "big") + bytes([FRAME[15] + listed])


@USERS
@pytest.mark.parametrize("attack", ANSWERED, ids=lambda a: a.name)
def test_without_both_filters_another_layer_refuses(attack: Attack, user: int) -> None:
    spawn = Spawn(
        user=user,
        skip=frozenset({"seccomp", "zygote_seccomp"}),
        attack=attack,
        options={"address_space": 8 << 30},
    )
    with spawned(spawn) as worker:
        assert worker.report["seccomp"] == "off: left out by a test"
        # A kernel that was built without the call does not need the second layer.
        assert worker.run() in (-attack.second, -errno.ENOSYS)


@pytest.mark.parametrize("attack", REFUSED_TWICE, ids=lambda a: a.name)
def test_without_its_own_filter_the_zygote_s_refuses(attack: Attack) -> None:
    with spawned(Spawn(skip=frozenset({"seccomp"}), attack=attack)) as worker:
        assert worker.run() == -attack.second


def test_code_of_another_architecture_is_killed() -> None:
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # mov eax, 20 (getpid of i386); int 0x80; ret
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    interrupt = ctypes.CFUNCTYPE(ctypes.c_int)(address)
    with spawned(Spawn(attack=interrupt)) as worker:
        assert worker.run() is None
        assert worker.end() == SIGSYS_DEATH


def test_a_stray_descriptor_is_answered_as_closed() -> None:
    with spawned(Spawn(attack=lambda: raw(1, 2, _NAME, 1))) as worker:
        assert worker.run() == -errno.EBADF
        assert worker.end() == 0
