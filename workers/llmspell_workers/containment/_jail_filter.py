"""The zygote's own system-call filter, inherited by every worker below its tighter one.

It allows what forking, containing and starting an engine take, and answers everything else as a
missing right would: no mount, no ptrace, no keys, no bpf, no io_uring, no socket, no signal to
another process. A worker whose own filter failed to load would still have this one over it.
"""

from __future__ import annotations

from typing import Final

from ._policy import Check, SyscallPolicy, SyscallRule, denied, is_int, is_long, plain

_ENOENT: Final = 2
_ENOMEM: Final = 12
_ENOSYS: Final = 38

_NEW_NAMESPACES: Final = 0x7E02_0080
_TRACED_OR_PARENTED: Final = 0x2000 | 0x8000  # CLONE_PTRACE, CLONE_PARENT
_O_DIRECTORY_CLOEXEC: Final = 0x9_0000
_MAP_TYPE: Final = 0x0F
_MAP_PRIVATE: Final = 0x02
_SET_FILTER: Final = 1
_ALL_THREADS: Final = 1
"""SECCOMP_FILTER_FLAG_TSYNC, and no other: no descriptor of a listener for whom calls wait."""
_AT_EMPTY_PATH: Final = 0x1000
_FIONBIO_AND_CLOEXEC: Final = (0x5421, 0x5450, 0x5451)
_FCNTL: Final = (0, 1, 2, 3, 4, 1030)
"""Duplicate, descriptor flags, file flags, duplicate with close-on-exec."""
_PRCTL_READS: Final = (2, 3, 23, 27, 39, 66)
"""Parent-death signal, dumpable, bounding set, securebits, no_new_privs, memory-deny-write-execute."""
_PRCTL_TIGHTENS: Final = ((1, 9), (4, 0), (38, 1), (65, 1))
"""Parent-death signal KILL, dumpable off, no_new_privs, memory-deny-write-execute."""
_PRCTL_NAMES: Final = (15, 0x5356_4D41)
"""A thread's name, and a mapping's."""

_COMPUTING: Final = (
    *("munmap", "mprotect", "madvise", "brk", "futex", "membarrier"),
    *("set_robust_list", "set_tid_address", "rseq", "sched_yield", "sched_getaffinity", "getcpu"),
    *("getrandom", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep"),
    *("gettimeofday", "time", "times", "getrusage", "sysinfo", "uname", "restart_syscall"),
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "exit", "exit_group"),
)
_DESCRIPTORS: Final = (
    *("read", "write", "readv", "writev", "close", "close_range", "dup", "dup2", "dup3"),
    *("fstat", "lseek", "poll", "ppoll", "select", "pipe2", "eventfd2", "timerfd_create"),
    *("epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait"),
    *("sendmsg", "recvmsg", "sendto", "recvfrom", "getsockname", "getsockopt"),
)
_CONTAINING: Final = (
    *("wait4", "waitid", "pidfd_open", "capget"),
    *("landlock_create_ruleset", "landlock_restrict_self"),
)
_PATHS: Final = (
    *("open", "stat", "lstat", "newfstatat", "statx", "access", "readlink", "readlinkat"),
    *("getcwd", "statfs"),
)


def policy() -> SyscallPolicy:
    """The list, built once per zygote."""
    rules = (
        *_each(_COMPUTING, "a Python program computes"),
        *_each(_DESCRIPTORS, "pipes, the control socket and an engine's event loop"),
        *_each(_CONTAINING, "fork and lock a worker"),
        *_forks(),
        *_options(),
        SyscallRule("mmap", "memory, never shared", (Check(3, _MAP_PRIVATE, _MAP_TYPE),)),
        *denied(_ENOMEM, mremap="malloc copies instead; it would make a stack any size"),
        SyscallRule("seccomp", "lock a worker", (is_int(0, _SET_FILTER), is_int(1, _ALL_THREADS))),
        SyscallRule("prlimit64", "limits, one's own", (is_int(0, 0),)),
        SyscallRule("newfstatat", "fstat, as libraries do it", (is_int(3, _AT_EMPTY_PATH),)),
        SyscallRule("openat", "Landlock's proof", (is_int(2, _O_DIRECTORY_CLOEXEC),)),
        *denied(_ENOENT, openat="the root is empty"),
        *denied(_ENOENT, **dict.fromkeys(_PATHS, "the root is empty")),
    )
    return SyscallPolicy(rules, most=len(rules))


def _each(names: tuple[str, ...], reason: str) -> tuple[SyscallRule, ...]:
    return plain(**dict.fromkeys(names, reason))


def _forks() -> tuple[SyscallRule, ...]:
    ordinary = Check(0, 0, _NEW_NAMESPACES | _TRACED_OR_PARENTED)
    return (
        SyscallRule("clone", "workers, and an engine's threads", (ordinary,)),
        # Its flags are in memory, where no filter can look; the C library then uses clone.
        *denied(_ENOSYS, clone3="flags out of sight"),
    )


def _options() -> tuple[SyscallRule, ...]:
    reason = "read back or tighten"
    return (
        *(SyscallRule("prctl", reason, (is_int(0, o),)) for o in _PRCTL_READS + _PRCTL_NAMES),
        *(SyscallRule("prctl", reason, (is_int(0, o), is_long(1, v))) for o, v in _PRCTL_TIGHTENS),
        *(SyscallRule("fcntl", "pipe ends", (is_int(1, c),)) for c in _FCNTL),
        *(SyscallRule("ioctl", "pipe ends", (is_int(1, c),)) for c in _FIONBIO_AND_CLOEXEC),
    )
