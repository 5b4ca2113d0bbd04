"""The local model's process: one GGUF behind an OpenAI-compatible server on loopback.

Run by its file name (`python -I -S .../_server.py`), with an empty environment, so it imports the
standard library and, from the directories that it is told, `xllamacpp` and `seccompy`: none of our
own packages. It reads one line of JSON (`Order`) from standard input and answers with one on
standard output: `{"port": N}` once the model is loaded, or `{"error": "..."}`. When standard input
ends, so does the process.

llama.cpp parses a file that may come from anyone, so it does that with next to no authority:
bounded memory, no capabilities, Landlock (may read the model's file and accept on a TCP port,
nothing else) and a seccomp allow-list. A kernel without Landlock leaves the other layers.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
import threading
from typing import Any, Final, NoReturn, TypedDict

MAX_ORDER: Final = 64 * 1024
"""Bytes of the order line. Paths and numbers; a longer line is a bug of the manager."""

MAX_DESCRIPTORS: Final = 256
"""Open files: three pipes, the model, and a socket for each call that runs or waits."""

HTTP_THREADS: Final = 16
"""Calls that are answered or queued at once: the ten that a run may have open, and some to spare.
Each costs 8 MiB of address space for its stack, not of memory."""

IO_TIMEOUT: Final = 60
"""Seconds without progress after which the connection of a client that stopped is dropped."""


class Order(TypedDict):
    """What the manager asks for. Sizes in bytes, times in seconds."""

    model: str
    name: str
    api_key: str
    import_from: list[str]
    context: int
    max_tokens: int
    parallel: int
    threads: int
    memory: int
    idle: int


def main() -> NoReturn:
    """Confine this process, load the model, serve until standard input ends."""
    _die_with_parent()
    order: Order = json.loads(sys.stdin.buffer.readline(MAX_ORDER))
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the native code prints goes to the manager's ring
    sys.path.extend(order["import_from"])
    # Threads that wait for each other must sleep, not spin: with busy neighbours spinning made
    # answers five to ten times slower. Read by OpenMP when the library is loaded.
    os.environ["OMP_WAIT_POLICY"] = "passive"
    try:
        xllamacpp = importlib.import_module("xllamacpp")  # before the walls: it is a file
        confine(order["model"], order["memory"])
        threading.Thread(target=_watch_parent, daemon=True).start()
        server = xllamacpp.Server(_parameters(xllamacpp, order))
    except Exception as error:  # noqa: BLE001  whatever it is, the manager must hear of it
        _tell(report, {"error": f"{type(error).__name__}: {error}"})
        os._exit(1)
    _tell(report, {"port": int(server.listening_address.rsplit(":", 1)[1])})
    threading.Event().wait()
    os._exit(0)


def _tell(report: Any, message: dict[str, object]) -> None:
    report.write(json.dumps(message) + "\n")
    report.close()


def _parameters(xllamacpp: Any, order: Order) -> Any:
    """llama.cpp's settings: the order's, and nothing that grows or reaches out."""
    p = xllamacpp.CommonParams()
    p.model.path = order["model"]
    p.model_alias = {order["name"]}
    p.api_keys = [order["api_key"]]
    p.hostnames = ["127.0.0.1"]
    p.port = 0  # the kernel picks a free one
    p.n_ctx = order["context"]
    p.n_parallel = order["parallel"]
    p.kv_unified = True  # open answers share one context: four cost no more memory than one
    p.n_predict = order["max_tokens"]
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = order["threads"]
    p.n_threads_http = HTTP_THREADS
    p.timeout_read = p.timeout_write = IO_TIMEOUT
    p.sleep_idle_seconds = order["idle"]
    # Embeddings are the mean over all tokens; chat works beside them, unchanged.
    p.embedding = True
    p.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    p.cache_ram_mib = 0  # its default may hold 8 GiB of old prompts
    p.fit_params = False  # would change the context behind the operator's back
    p.n_gpu_layers = 0
    p.warmup = False  # costs 50 ms of every start, saves less on the first call
    p.ui = p.endpoint_slots = p.endpoint_props = False
    p.offline = True
    p.verbosity = 1  # errors
    return p


# --- the parent's death -----------------------------------------------------------------------

_libc: Final = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22
SECCOMP_MODE_FILTER: Final = 2


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the thread that started this process ends (prctl(2)).

    A parent that died before this call is noticed by the end of standard input.
    """
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _watch_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


# --- containment ------------------------------------------------------------------------------


def confine(model: str, memory: int) -> None:
    """Give up everything but reading `model` and serving a TCP port. Irreversible.

    Must run before another thread exists: Landlock and seccomp bind the calling thread and those
    that it starts. Raises OSError when a layer that the kernel has cannot be put on.
    """
    program = _allow_list()  # first, for its imports read files
    _limit(memory)
    _drop_capabilities()
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    _landlock(model)
    _seccomp(program)


def _limit(memory: int) -> None:
    limits = (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
    )
    for limit, value in limits:
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
        resource.setrlimit(limit, (value, value))


def _drop_capabilities() -> None:
    """For a supervisor that runs as root: root's files stay root's, but nothing else does."""
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    _check(_libc.capset(header, bytes(24)), "capset")


LANDLOCK_READ_FILE: Final = 1 << 2
LANDLOCK_BIND_TCP: Final = 1 << 0
LANDLOCK_FS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""Number of file-system rights that each ABI knows (landlock(7)); 16 from ABI 5 on."""
NET_ABI: Final = 4
SCOPE_ABI: Final = 6


def _landlock(model: str) -> None:
    """Read the model's file and bind a TCP port; no other file, connection, signal or socket."""
    abi = _libc.syscall(444, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return  # not in this kernel, or switched off at boot
    fs = (1 << LANDLOCK_FS.get(abi, 16)) - 1
    net = 0b11 if abi >= NET_ABI else 0  # bind, connect
    scope = 0b11 if abi >= SCOPE_ABI else 0  # abstract sockets, signals
    attributes = struct.pack("=QQQ", fs, net, scope)
    size = 24 if scope else 16 if net else 8  # an older kernel refuses a longer one
    ruleset = _check(_libc.syscall(444, attributes, ctypes.c_size_t(size), 0), "landlock")
    file = os.open(model, os.O_PATH | os.O_CLOEXEC)
    _add_rule(ruleset, 1, struct.pack("=Qi", LANDLOCK_READ_FILE, file))
    os.close(file)
    if net:
        _add_rule(ruleset, 2, struct.pack("=QQ", LANDLOCK_BIND_TCP, 0))
    _check(_libc.syscall(446, ruleset, 0), "landlock")
    os.close(ruleset)


def _add_rule(ruleset: int, kind: int, rule: bytes) -> None:
    _check(_libc.syscall(445, ruleset, kind, rule, 0), "landlock")


ALLOWED: Final = (
    # memory; executable pages are refused below
    *("brk", "madvise", "mremap", "munmap", "mincore"),
    # threads
    *("futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "sched_yield"),
    *("sched_getaffinity", "sched_setaffinity", "gettid", "getpid", "exit", "exit_group"),
    *("sigaltstack", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall"),
    # time and chance
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday"),
    *("getrandom", "sysinfo", "getrusage", "uname"),
    # the model's file: Landlock says which
    *("openat", "open", "close", "read", "readv", "pread64", "lseek", "fadvise64"),
    *("newfstatat", "fstat", "fstatat64", "stat", "statx", "access", "faccessat", "readlink"),
    # pipes and accepted connections
    *("write", "writev", "bind", "listen", "accept", "accept4", "recvfrom", "recvmsg"),
    *("setsockopt", "getsockopt", "getsockname", "getpeername", "shutdown"),
    *("poll", "ppoll", "select", "pselect6", "fcntl", "pipe2", "eventfd2"),
    *("epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait"),
)
"""System calls of loading, computing and serving. The rest answer EPERM: no exec, no fork, no
outgoing connection or datagram, no ptrace, no mount, no io_uring. Names that the machine's
architecture lacks are left out."""

THREAD_FLAGS: Final = 0x00000100 | 0x00000200 | 0x00000400 | 0x00000800 | 0x00010000
"""CLONE_VM, FS, FILES, SIGHAND and THREAD: what a new thread has and a new process has not."""
NAMESPACE_FLAGS: Final = 0x7E020000 | 0x00000080
PROT_EXEC: Final = 4
SOCK_TYPE_MASK: Final = 0xF


def _allow_list() -> bytes:
    """Compile the filter. clone3 answers ENOSYS: a filter cannot look into its argument."""
    from seccompy import Action, CmpOp, Filter

    wanted = THREAD_FLAGS | NAMESPACE_FLAGS
    f = Filter(default=int(Action.ERRNO) | errno.EPERM)
    for name in _known(ALLOWED):
        f.allow(name)
    f.errno("clone3", errno.ENOSYS)
    f.allow("clone", args=[(0, CmpOp.MASKED_EQ, THREAD_FLAGS, wanted)])
    for name in _known(("mmap", "mprotect")):
        f.allow(name, args=[(2, CmpOp.MASKED_EQ, 0, PROT_EXEC)])
    tcp = (1, CmpOp.MASKED_EQ, int(socket.SOCK_STREAM), SOCK_TYPE_MASK)
    f.allow("socket", args=[(0, CmpOp.EQ, int(socket.AF_INET)), tcp])
    f.allow("sendto", args={4: 0})  # to the peer of a connection: no address of its own
    return f.program


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _seccomp(program: bytes) -> None:
    """Load it. Not by `Filter.load`, which looks for libc by running a compiler."""
    packed = _Program(len(program) // 8, program)  # an instruction is 8 bytes
    _check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(packed), 0, 0), "seccomp")


def _known(names: tuple[str, ...]) -> list[str]:
    from seccompy import syscall_nr

    known = []
    for name in names:
        try:
            syscall_nr(name)
        except ValueError:
            continue
        known.append(name)
    return known


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


if __name__ == "__main__":
    main()
