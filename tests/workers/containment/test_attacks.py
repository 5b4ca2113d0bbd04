"""Native code in a locked worker: each attack meets the filter, and behind it a second layer."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from llmspell_protocol.syscalls import NUMBERS
from llmspell_workers.containment._trap import FRAME
from tests.workers.containment.jailed import ORDINARY, POLICY, SIGSYS_DEATH, Spawn, raw, spawned

_ZEROS = ctypes.create_string_buffer(256)
_PATH = ctypes.create_string_buffer(b"/")
_HOST_FILE = ctypes.create_string_buffer(b"/etc/passwd")
_NAME = ctypes.create_string_buffer(b"x")
_AT_FDCWD = -100
_OUR_LIMIT = (ctypes.c_uint64 * 2)(1 << 20, 1 << 20)
_PERSONALITY_READ = 0xFFFFFFFF
_TARGET = ctypes.addressof(_ZEROS)
_VECTOR = (ctypes.c_uint64 * 2)(_TARGET, 8)
_ARRAY_MAP = (ctypes.c_uint32 * 12)(2, 4, 4, 1)
_HANDLE = (ctypes.c_uint32 * 4)(8, 1)
_RING = ctypes.create_string_buffer(120)
_CLONE_ARGS = (ctypes.c_uint64 * 8)(0, 0, 0, 0, signal.SIGCHLD)
_PERF = ctypes.create_string_buffer((1).to_bytes(4, "little") + (128).to_bytes(4, "little"), 128)


@dataclass(frozen=True)
class Attack:
    """A raw system call; `second` is the errno that answers it when the filter is left out."""

    name: str
    call: tuple[Any, ...]
    second: int

    def __call__(self) -> int:
        return raw(*self.call)


ATTACKS = (
    Attack("fork", (57,), errno.EAGAIN),
    Attack("vfork", (58,), errno.EAGAIN),
    Attack("clone", (56, signal.SIGCHLD, 0, 0, 0, 0), errno.EAGAIN),
    Attack("execve", (59, _HOST_FILE, 0, 0), errno.ENOENT),
    Attack("open the root", (2, _PATH, os.O_DIRECTORY), errno.EMFILE),
    Attack("open a host file", (257, _AT_FDCWD, _HOST_FILE, 0), errno.EMFILE),
    Attack("stat a host file", (4, _HOST_FILE, _ZEROS), errno.ENOENT),
    Attack("inet socket", (41, 2, 1, 0), errno.EMFILE),
    Attack("unix socket", (41, 1, 1, 0), errno.EMFILE),
    Attack("netlink socket", (41, 16, 3, 0), errno.EMFILE),
    Attack("vsock socket", (41, 40, 1, 0), errno.EMFILE),
    Attack("socketpair", (53, 1, 1, 0, _ZEROS), errno.EMFILE),
    Attack("pipe", (293, _ZEROS, 0), errno.EMFILE),
    Attack("memfd_create", (319, _NAME, 0), errno.EMFILE),
    Attack("epoll_create1", (291, 0), errno.EMFILE),
    Attack("eventfd2", (290, 0, 0), errno.EMFILE),
    Attack("inotify_init1", (294, 0), errno.EMFILE),
    Attack("userfaultfd", (323, 0), errno.EPERM),
    Attack("pidfd_open of the zygote", (434, 1, 0), errno.EMFILE),
    Attack("landlock ruleset", (444, (ctypes.c_uint64 * 3)(1), 24, 0), errno.EMFILE),
    Attack("dup", (32, 3), errno.EMFILE),
    Attack("kill the zygote", (62, 1, 9), errno.EPERM),
    Attack("kill everyone", (62, -1, 9), errno.ESRCH),
    Attack("ptrace the zygote", (101, 16, 1, 0, 0), errno.EPERM),
    Attack("process_vm_readv", (310, 1, _VECTOR, 1, _VECTOR, 1, 0), errno.EPERM),
    Attack("raise NOFILE", (302, 0, 7, _OUR_LIMIT, 0), errno.EPERM),
    Attack("raise DATA", (302, 0, 2, (ctypes.c_uint64 * 2)(1 << 40, 1 << 40), 0), errno.EPERM),
    Attack("unshare a user namespace", (272, 0x10000000), errno.ENOSPC),
    Attack("unshare a mount namespace", (272, 0x20000), errno.EPERM),
    Attack("mount", (165, _NAME, _PATH, _NAME, 0, 0), errno.EPERM),
    Attack("umount", (166, _PATH, 0), errno.EPERM),
    Attack("fsopen", (430, ctypes.create_string_buffer(b"tmpfs"), 0), errno.EPERM),
    Attack("pivot_root", (155, _PATH, _PATH), errno.EPERM),
    Attack("chroot", (161, _PATH), errno.EPERM),
    Attack("mknod", (133, ctypes.create_string_buffer(b"/f"), 0o010600, 0), errno.EROFS),
    Attack("mkdir", (83, ctypes.create_string_buffer(b"/d"), 0o700), errno.EROFS),
    Attack("open_by_handle_at", (304, 3, _HANDLE, 0), errno.EPERM),
    Attack("bpf", (321, 0, _ARRAY_MAP, 48), errno.EPERM),
    Attack("init_module", (175, _ZEROS, 1, _NAME), errno.EPERM),
    Attack("reboot", (169, 0xFEE1DEAD, 672274793, 0, 0), errno.EPERM),
    Attack("setuid root", (105, 0), errno.EINVAL),
    Attack("setgroups", (116, 0, 0), errno.EPERM),
    Attack("mlock", (149, _ZEROS, 4096), errno.EPERM),
    Attack("shmget", (29, 0, 4096, 0o1600), errno.ENOSPC),
    Attack("msgget", (68, 0, 0o1600), errno.ENOSPC),
    Attack("semget", (64, 0, 1, 0o1600), errno.ENOSPC),
    Attack("mq_open", (240, _NAME, 0o102, 0o600, 0), errno.EMFILE),
    Attack("timer_create", (222, 1, 0, _ZEROS), errno.EAGAIN),
    Attack("fanotify_init", (300, 0, 0), errno.EPERM),
    Attack("setpriority", (141, 0, 0, -20), errno.EACCES),
    Attack("sched_setscheduler", (144, 0, 1, (ctypes.c_int * 1)(10)), errno.EPERM),
    Attack("iopl", (172, 3), errno.EPERM),
    Attack("acct", (163, 0), errno.EPERM),
    Attack("swapon", (167, _PATH, 0), errno.EPERM),
    Attack("settimeofday", (164, _ZEROS, 0), errno.EPERM),
    Attack("sethostname", (170, _NAME, 1), errno.EPERM),
    Attack("setns", (308, 3, 0), errno.EINVAL),
    Attack("executable memory", (9, 0, 4096, 7, 0x22, -1, 0), errno.EACCES),
    Attack("clone3", (435, _CLONE_ARGS, 64), errno.EAGAIN),
    Attack("execveat", (322, _AT_FDCWD, _HOST_FILE, 0, 0, 0), errno.ENOENT),
    Attack("shared memory", (9, 0, 1 << 40, 3, 0x21, -1, 0), errno.ENOMEM),
)
FILTERED = (
    Attack("seccomp", (317, 1, 0, _ZEROS), 0),
    Attack("x32 getpid", (0x40000000 | 39,), 0),
    Attack("x32 openat", (0x40000000 | 257, _AT_FDCWD, _HOST_FILE, 0), 0),
    Attack("no such call", (4000,), 0),
    Attack("requeue of a futex", (202, _ZEROS, 3, 1, 1, _ZEROS, 0), 0),
    Attack("priority futex", (202, _ZEROS, 6, 0, 0, 0, 0), 0),
    Attack("remap elsewhere", (25, 0, 4096, 4096, 3, 0x10000), 0),
    Attack("collapse", (28, 0, 4096, 25), 0),
)
REFUSED_TWICE = (
    Attack("io_uring_setup", (425, 1, _RING), errno.EPERM),
    Attack("perf_event_open", (298, _PERF, 0, -1, -1, 0), errno.EPERM),
    Attack("keyctl", (250, 0, -3, 0), errno.EPERM),
    Attack("add_key", (248, _NAME, _NAME, _NAME, 1, -3), errno.EPERM),
    Attack("limits of the zygote", (302, 1, 0, 0, _ZEROS), errno.EPERM),
    Attack("affinity of the zygote", (203, 1, 8, _ZEROS), errno.EPERM),
    Attack("kernel log", (103, 10, 0, 0), errno.EPERM),
    Attack("splice", (275, 3, 0, 4, 0, 1, 0), errno.EPERM),
    Attack("dumpable again", (157, 4, 1, 0, 0, 0), errno.EPERM),
    Attack("no parent-death signal", (157, 1, 0, 0, 0, 0), errno.EPERM),
    Attack("personality", (135, _PERSONALITY_READ), errno.EPERM),
    Attack("kill myself", (62, 0, 0), errno.EPERM),
    Attack("stat a host file", (4, _HOST_FILE, _ZEROS), errno.ENOENT),
    Attack("clone3", (435, _CLONE_ARGS, 64), errno.ENOSYS),
    Attack("pipe size", (72, 4, 1031, 1 << 20), errno.EPERM),
    Attack("a shared mapping", (9, 0, 4096, 3, 0x21, -1, 0), errno.EPERM),
    Attack("terminal input", (16, 3, 0x5412, _NAME), errno.EPERM),
)
"""What the namespaces and limits do not stop: the zygote's filter is the second layer."""
EVERY_ATTACK = {a.name: a for a in (*ATTACKS, *FILTERED, *REFUSED_TWICE)}
X32 = 0x40000000
IO_URING_SETUP = NUMBERS["io_uring_setup"]
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
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
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
