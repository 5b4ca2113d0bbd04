"""Starting a zygote with as few imports as a process can have.

The command calls `prestart` before anything heavy is imported, so that the zygote boots on one
core while the supervisor imports on the other.
"""

from __future__ import annotations

import _socket
import atexit
import os
import sys

# As mypy and pyright know it: until the spawn takes 22 ms from the start of the interpreter, 42
# with an import of `typing`, and 37 with one of `socket`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from typing import Final

ZYGOTE_PACKAGES: Final = (
    "llmspell_protocol",
    "llmspell_workers",
    "msgspec",
    "lupa",
    "pythonmonkey",
)
"""What a zygote imports from outside the standard library. It runs without `site`, so the folders
that hold these, and for an engine of others the one of its package, are put on its path, at its
end: never the current directory."""

_OURS: Final = ("lua", "javascript")
_ENGINE_GROUP: Final = "llmspell.engines"
"""As in `_spell`, which is not imported before the zygote boots."""
CONTROL_FD: Final = 3
_ISOLATED: Final = ("-P", "-s", "-S")
"""As `-I`, which would not look at the first of these variables."""
_ENVIRONMENT: Final = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.pthread.rseq=0"}
"""No mappings of the interpreter's own: a locked worker cannot return them (`prepare_heap`). And no
rseq(2), which glibc asks for in each thread as it first runs, perhaps after the lock: one that is
refused there what the first thread was given ends the process (`start_thread`, glibc 2.35)."""
_PIPE_CAPACITY: Final = 64 * 1024
"""Bytes that a pipe holds (pipe(7))."""
_MAX_ERRORS: Final = 4096
"""Bytes of standard error in which the last line is looked for."""
# Of about 90 ms for Lua and 145 for JavaScript on CPython 3.11:
# - Without the collector, which finds no garbage among what is being imported: 3 to 11 ms less.
# - msgspec takes a few names from `typing_extensions` if it is installed, else the same ones from
#   `typing`: 15 ms less for Lua on 3.11 and 3.12, nothing on 3.13. It is hidden during this one
#   import; an engine of others that wants it gets it.
_BOOT: Final = """
import gc, sys
gc.disable()
sys.path += {path!r}
sys.modules["typing_extensions"] = None
import msgspec
del sys.modules["typing_extensions"]
from {module} import main
main(*sys.argv[1:])
"""


class Launched:
    """A process of the untrusted side, just spawned. The receiver owns it and both descriptors."""

    def __init__(self, pid: int, control: int, errors: int) -> None:
        import socket  # which takes longer than the spawn

        self.pid = pid
        self.control = socket.socket(fileno=control)
        """Our end of the control pair."""
        self.errors = errors
        """Read end of its standard error, non-blocking at both ends: nobody drains it, and what
        does not fit is lost."""

    def last_words(self) -> str:
        """The last line of its standard error: the exception, if it raised one."""
        try:
            text = os.read(self.errors, _PIPE_CAPACITY)[-_MAX_ERRORS:].decode(errors="replace")
        except OSError:
            return ""
        return text.strip().rpartition("\n")[2]

    def stop(self) -> None:
        """Kill and reap it, which takes a millisecond, and close both descriptors."""
        import contextlib
        import signal

        self.control.close()
        os.close(self.errors)
        # Our own unreaped process: the pid is still its, unless an embedder reaps everything.
        with contextlib.suppress(OSError):  # it ends by itself, too, as its socket is closed
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


_prestarted: dict[tuple[str, bool], tuple[int, int, int]] = {}


def prestart(engine: str, *, strict: bool = True) -> None:
    """Begin to start the zygote of `engine`; the next `launch` of the same takes it over.

    What nobody took over is ended when the interpreter exits. Raises `OSError`.
    """
    if not _prestarted:
        atexit.register(discard)
    key = (engine, strict)
    if key not in _prestarted:
        _prestarted[key] = _spawn_zygote(engine, strict=strict)


def discard() -> None:
    """End every zygote that was prestarted and not taken over."""
    atexit.unregister(discard)
    while _prestarted:
        Launched(*_prestarted.popitem()[1]).stop()


def launch(engine: str, *, strict: bool) -> Launched:
    """Start a zygote of `engine`, or take over the one that `prestart` began. Raises `OSError`."""
    spawned = _prestarted.pop((engine, strict), None) or _spawn_zygote(engine, strict=strict)
    return Launched(*spawned)


def spawn(module: str, *arguments: str) -> Launched:
    """Run `main` of a module of the untrusted side in a fresh interpreter of its own.

    No environment, no inherited descriptor but the control socket and its standard error. The
    folder of the module's package is put on its path. Raises `OSError`, and has opened nothing then.
    """
    return Launched(*_spawn(module, *arguments))


def _spawn_zygote(engine: str, *, strict: bool) -> tuple[int, int, int]:
    level = "strict" if strict else "degraded"
    return _spawn("llmspell_workers.zygote", engine, level, folders=_homes_of(engine))


def _homes_of(engine: str) -> list[str]:
    """Where the package is that declares an engine of others: its modules, and its entry points."""
    if engine in _OURS:
        return []
    from importlib.metadata import entry_points

    for point in entry_points(group=_ENGINE_GROUP, name=engine):
        metadata = [os.path.abspath(str(point.dist.locate_file("")))] if point.dist else []
        return [*_search_path((point.module.partition(".")[0],)), *metadata]
    return []  # the zygote says that there is none


def _spawn(module: str, *arguments: str, folders: Sequence[str] = ()) -> tuple[int, int, int]:
    """The pid, our end of the control pair, the read end of its standard error."""
    ours: list[int] = []
    theirs: list[int] = []
    try:
        end, other_end = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        ours.append(end.detach())
        theirs.append(other_end.detach())
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        ours.append(reader)
        theirs.append(writer)
        theirs.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        control, errors, null = theirs
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *_ISOLATED, "-c", _boot(module, folders), *arguments],
            _ENVIRONMENT,
            file_actions=_file_actions({0: null, 1: null, 2: errors, CONTROL_FD: control}),
        )
    except OSError:
        _close(ours)
        raise
    finally:
        _close(theirs)
    return pid, ours[0], ours[1]


def _close(descriptors: list[int]) -> None:
    for fd in descriptors:
        os.close(fd)


def _file_actions(places: dict[int, int]) -> list[tuple[int, int] | tuple[int, int, int]]:
    """Put descriptors at their places, in two steps: a source may sit where another one belongs."""
    spare = max(*places, *places.values()) + 1
    up = [(os.POSIX_SPAWN_DUP2, fd, spare + i) for i, fd in enumerate(places.values())]
    down = [(os.POSIX_SPAWN_DUP2, spare + i, place) for i, place in enumerate(places)]
    # The copies are not close-on-exec, as the originals are.
    close = [(os.POSIX_SPAWN_CLOSE, spare + i) for i in range(len(places))]
    return [*up, *down, *close]


def _boot(module: str, folders: Sequence[str]) -> str:
    packages = dict.fromkeys((*ZYGOTE_PACKAGES, module.partition(".")[0]))
    path = dict.fromkeys((*_search_path(tuple(packages)), *folders))
    return _BOOT.format(path=list(path), module=module)


def _search_path(packages: tuple[str, ...]) -> list[str]:
    """The folders that hold these, each once, in order."""
    folders: dict[str, None] = {}
    for package in packages:
        spec = _find(package)
        if spec is not None and spec.origin is not None:
            parts = 2 if spec.submodule_search_locations else 1
            folder = spec.origin
            for _ in range(parts):
                folder = os.path.dirname(folder)
            folders[os.path.abspath(folder)] = None
    return list(folders)


def _find(package: str) -> ModuleSpec | None:
    """As `importlib.util.find_spec`, whose own import takes 8 ms, as long as all searches here."""
    for finder in sys.meta_path:
        if spec := finder.find_spec(package, None):
            return spec
    return None
