"""Starting a zygote with as few imports as a process can have.

The command calls `prestart` before anything heavy is imported, so that the zygote boots on one
core while the supervisor imports on the other.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from typing import Final, NamedTuple

ZYGOTE_PACKAGES: Final = (
    "llmspell_protocol",
    "llmspell_workers",
    "msgspec",
    "lupa",
    "pythonmonkey",
)
"""What a zygote imports from outside the standard library. It runs without `site`, so the folders
that hold these, and only these, are put on its path: never the current directory."""

CONTROL_FD: Final = 3
_BOOT: Final = (
    "import sys; sys.path[:0] = {path!r}; "
    "from llmspell_workers.{module} import main; main(*sys.argv[1:])"
)


class Launched(NamedTuple):
    """A process of the untrusted side, just spawned. The receiver owns both descriptors."""

    pid: int
    control: socket.socket
    """Our end of the control pair."""
    errors: int
    """Read end of its standard error."""


_prestarted: dict[tuple[str, bool], Launched] = {}


def prestart(engine: str, *, strict: bool = True) -> None:
    """Begin to start the zygote of `engine`; the next `launch` of the same takes it over."""
    key = (engine, strict)
    if key not in _prestarted:
        _prestarted[key] = _spawn_zygote(engine, strict=strict)


def launch(engine: str, *, strict: bool) -> Launched:
    """Start a zygote of `engine`, or take over the one that `prestart` began."""
    return _prestarted.pop((engine, strict), None) or _spawn_zygote(engine, strict=strict)


def _spawn_zygote(engine: str, *, strict: bool) -> Launched:
    return spawn("zygote", engine, "strict" if strict else "degraded")


def spawn(module: str, *arguments: str) -> Launched:
    """Run `main` of a module of `llmspell_workers` in a fresh interpreter of its own.

    No environment, no inherited descriptor but the control socket and its standard error.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    errors, errors_end = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _boot(module), *arguments],
            {},
            file_actions=[
                # The source descriptors are close-on-exec; dup2 makes copies that are not. The
                # order matters where one of them is itself below 4: the target is taken last.
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL_FD + 7),
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, null, 1),
                (os.POSIX_SPAWN_DUP2, errors_end, 2),
                (os.POSIX_SPAWN_DUP2, CONTROL_FD + 7, CONTROL_FD),
                (os.POSIX_SPAWN_CLOSE, CONTROL_FD + 7),
            ],
        )
    finally:
        os.close(null)
        os.close(errors_end)
        theirs.close()
    return Launched(pid, ours, errors)


def _boot(module: str) -> str:
    return _BOOT.format(path=_search_path(), module=module)


def _search_path() -> list[str]:
    """The folders that hold `ZYGOTE_PACKAGES`, each once, in order."""
    folders: dict[str, None] = {}
    for package in ZYGOTE_PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            parts = 2 if spec.submodule_search_locations else 1
            folder = spec.origin
            for _ in range(parts):
                folder = os.path.dirname(folder)
            folders[os.path.abspath(folder)] = None
    return list(folders)
