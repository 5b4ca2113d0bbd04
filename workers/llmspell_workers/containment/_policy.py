"""Which system calls a locked worker may make, as data: names, reasons, conditions."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from ._plan import IN_FD, OUT_FD

_LOW: Final = (1 << 32) - 1
_ALL: Final = (1 << 64) - 1

MOST_SYSCALLS: Final = 22
"""What the largest engine, JavaScript, needs. A policy may set a lower `most` for itself."""


NEVER: Final = frozenset(
    """
    io_uring_setup io_uring_enter io_uring_register ptrace process_vm_readv process_vm_writev
    process_madvise process_mrelease pidfd_getfd kcmp bpf perf_event_open userfaultfd
    keyctl add_key request_key mount umount2 move_mount open_tree open_tree_attr fsopen fsconfig
    fsmount fspick mount_setattr pivot_root chroot setns unshare init_module finit_module
    delete_module kexec_load kexec_file_load reboot swapon swapoff iopl ioperm acct syslog
    open_by_handle_at quotactl quotactl_fd personality modify_ldt vmsplice splice tee
    """.split()  # noqa: SIM905 - names read better as text
)
"""What no list may name, not even to answer it: zygotes and workers have no use for it."""

OUTSIDE: Final = frozenset(
    """
    open openat openat2 creat access faccessat faccessat2 stat lstat newfstatat statx statfs
    readlink readlinkat getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat mknod mknodat
    rmdir unlink unlinkat link linkat symlink symlinkat chmod fchmodat fchmodat2 chown lchown
    fchownat truncate utime utimes utimensat futimesat setxattr lsetxattr getxattr lgetxattr
    listxattr llistxattr removexattr lremovexattr setxattrat getxattrat listxattrat removexattrat
    name_to_handle_at inotify_add_watch fanotify_mark execve execveat uselib memfd_create
    memfd_secret mq_open mq_unlink file_getattr file_setattr
    socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg recvfrom recvmsg
    recvmmsg shutdown getsockname getpeername getsockopt setsockopt
    """.split()  # noqa: SIM905 - names read better as text
)
"""What takes a path, makes a file, or is about sockets. A worker's list may answer it with an
error, and never allow it."""


class Check(Struct, frozen=True):
    """One condition on one argument: `argument & mask` equals, or is at most, `value`."""

    index: int
    """Which argument, from 0."""
    value: int
    mask: int = _ALL
    op: Literal["eq", "le"] = "eq"


class SyscallRule(Struct, frozen=True):
    """One way to call one system call.

    Rules of the same name are tried in order; a call that none of them takes kills the worker.
    """

    name: str
    reason: str
    """Why a running script needs it."""
    when: tuple[Check, ...] = ()
    """All must hold; empty takes every call."""
    errno: int | None = None
    """Answer with this error and do not make the call."""


class SyscallPolicy(Struct, frozen=True):
    """The whole list of one engine. Frequent calls first: the filter tries them in order."""

    rules: tuple[SyscallRule, ...]
    most: int = MOST_SYSCALLS
    """How many names it may allow; `compile_filter` refuses more."""

    @property
    def names(self) -> tuple[str, ...]:
        """Each name once, in order."""
        return tuple(dict.fromkeys(rule.name for rule in self.rules))

    @property
    def allowed(self) -> tuple[str, ...]:
        """The names that reach the kernel at all; the others are answered with an error."""
        return tuple(dict.fromkeys(rule.name for rule in self.rules if rule.errno is None))


def is_int(index: int, value: int) -> Check:
    """An `int` argument is `value`. The kernel ignores its upper half, and so must the check."""
    return Check(index, value & _LOW, _LOW)


def is_long(index: int, value: int) -> Check:
    """A `long` argument is `value`."""
    return Check(index, value)


def only_bits(index: int, bits: int) -> Check:
    """No bit but these is set."""
    return Check(index, 0, _ALL & ~bits)


def at_most(index: int, value: int) -> Check:
    """A `long` argument is no more than `value`."""
    return Check(index, value, op="le")


BLOCK: Final = 1 << 20
"""Bytes of a chunk of SpiderMonkey's collector. In blocks like this a page of page tables, and one
of the level above, cost no more than 0.8 % of the memory that they are for."""

# --- the rules that engines share -------------------------------------------------------------

_EBADF: Final = 9
_ENOMEM: Final = 12
_EINVAL: Final = 22
_PROT_READ_WRITE: Final = 0b011
_PROT_EXEC: Final = 0b100
_MAP_PRIVATE_ANONYMOUS: Final = 0x22
_MAP_HARMLESS: Final = 0x10 | 0x4000 | 0x2_0000  # FIXED, NORESERVE, STACK
_MAY_MOVE: Final = only_bits(3, 1)  # MREMAP_MAYMOVE, and never to a place of one's choice
_ADVICE: Final = (4, 8)  # DONTNEED, FREE
_HUGE_OR_NOT: Final = (14, 15)  # HUGEPAGE, NOHUGEPAGE
_FUTEX_PRIVATE: Final = 128
_FUTEX_CLOCK_REALTIME: Final = 256
_FUTEX_OPS: Final = (0, 1, 9, 10)  # WAIT, WAKE and both with a bit set; never PI or requeue
_LAST_CLOCK: Final = 11
"""CLOCK_TAI. Those of other processes have negative numbers (clock_getcpuclockid(3)), and tell a
worker how busy its neighbours are."""
_CLOCK_MONOTONIC: Final = 1


def read_only_from(*descriptors: int) -> tuple[SyscallRule, ...]:
    """read(2) from `IN_FD` and these. Any other descriptor is closed, and answers so."""
    return _through("read", "frames from the supervisor, through the pipe", (IN_FD, *descriptors))


def write_only_to(*descriptors: int) -> tuple[SyscallRule, ...]:
    """write(2) to `OUT_FD` and these. Any other descriptor is closed, and answers so."""
    return _through("write", "frames to the supervisor, through the pipe", (OUT_FD, *descriptors))


def _through(name: str, reason: str, descriptors: tuple[int, ...]) -> tuple[SyscallRule, ...]:
    allowed = (SyscallRule(name, reason, (is_int(0, fd),)) for fd in descriptors)
    return (*allowed, SyscallRule(name, "a library's stray print must not kill", errno=_EBADF))


def private_memory(
    *, blocks: bool = False, jit: bool = False, advice: tuple[int, ...] = _ADVICE
) -> tuple[SyscallRule, ...]:
    """Private memory that its limit (RLIMIT_DATA) counts to the last page, and its page tables.

    It only ever grows at the end of the heap, by brk(2); with `blocks` also by whole, aligned blocks
    of `BLOCK` bytes. What else an allocator tries is answered like a lack of memory, and it goes
    on with the heap. That leaves out every way to memory that the limit does not see: pages that
    are written and then made read-only, a stack that mremap(2) makes larger, reserves, and single
    pages far apart, each of which costs another one of page tables.

    `advice` are the madvise(2) values that the allocators give. A JIT has to change the rights of
    its pages, so with `jit` only files, sharing and growing stacks are out.
    """
    prot = only_bits(2, _PROT_READ_WRITE | (_PROT_EXEC if jit else 0))
    private = Check(3, _MAP_PRIVATE_ANONYMOUS, _ALL & ~_MAP_HARMLESS)
    small = "no advice parts a mapping in two, each of which the kernel has to remember"
    advise = (
        *(
            SyscallRule("madvise", "the allocators say how pages are used", (is_int(2, a),))
            for a in advice
        ),
        *(SyscallRule("madvise", small, (is_int(2, a),), _EINVAL) for a in _HUGE_OR_NOT),
    )
    brk = SyscallRule("brk", "malloc grows its heap")
    if jit:
        mremap = SyscallRule("mremap", "realloc grows a large block", (_MAY_MOVE,))
        return (
            SyscallRule("mmap", "the allocators take memory", (prot, private, is_int(4, -1))),
            SyscallRule("munmap", "the allocators return memory"),
            mremap,
            *advise,
            SyscallRule("mprotect", "a JIT writes code and then runs it", (prot,)),
            brk,
        )
    other = "malloc goes on with its heap"
    return (
        *(_blocks() if blocks else ()),
        SyscallRule("mmap", other, (prot, private, is_int(4, -1)), _ENOMEM),
        SyscallRule("munmap", "what an allocator took before the lock stays", errno=_ENOMEM),
        SyscallRule("mremap", other, (_MAY_MOVE,), _ENOMEM),
        *advise,
        SyscallRule("mprotect", other, (prot,), _ENOMEM),
        brk,
    )


def _blocks() -> tuple[SyscallRule, ...]:
    """Memory in whole blocks, so that no page of page tables serves less than a block."""
    place, size = (Check(index, 0, BLOCK - 1) for index in (0, 1))
    writable = is_long(2, _PROT_READ_WRITE)
    private = is_long(3, _MAP_PRIVATE_ANONYMOUS)
    return (
        SyscallRule(
            "mmap", "the collector takes memory", (place, size, writable, private, is_int(4, -1))
        ),
        SyscallRule("munmap", "the collector returns memory", (place, size)),
    )


def futex() -> tuple[SyscallRule, ...]:
    """Waiting for and waking one's own threads.

    Private ones alone: two workers that map the same library could call each other by the others.
    """
    reason = "locks of the interpreter, and between an engine's threads"
    mask = _LOW & ~_FUTEX_CLOCK_REALTIME
    return tuple(
        SyscallRule("futex", reason, (Check(1, op | _FUTEX_PRIVATE, mask),)) for op in _FUTEX_OPS
    )


def clocks(reading: str, sleeping: str) -> tuple[SyscallRule, ...]:
    """The system's clocks and one's own, to read and to sleep by, each with its reason."""
    return (
        SyscallRule("clock_gettime", reading, (at_most(0, _LAST_CLOCK),)),
        SyscallRule("clock_nanosleep", sleeping, (at_most(0, _CLOCK_MONOTONIC),)),
    )


def prctl_option(*options: int) -> tuple[SyscallRule, ...]:
    """prctl(2) with these options alone."""
    reason = "an engine names its threads and its memory, for debuggers"
    return tuple(SyscallRule("prctl", reason, (is_int(0, o),)) for o in options)


def plain(**reasons: str) -> tuple[SyscallRule, ...]:
    """Calls whose arguments reach nothing outside the worker: name to reason."""
    return tuple(SyscallRule(name, reason) for name, reason in reasons.items())


def denied(errno: int, **reasons: str) -> tuple[SyscallRule, ...]:
    """Calls that a library makes in passing and that may fail: name to reason."""
    return tuple(SyscallRule(name, reason, errno=errno) for name, reason in reasons.items())
