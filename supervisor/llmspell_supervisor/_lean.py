"""Imports without what a run does not use: for the command, where each millisecond is waited for.

    with lean_imports():
        import asyncio

`asyncio` and `msgspec` import modules that only some of their functions need. Inside the block
such a module is made but not run; its first attribute runs it (PEP 562), in whichever thread. It
is the same module object with the same content, only later: TLS finds all of `ssl`. Nor does the
collector run, which finds no garbage among what is being imported, and what is there at the end
stays out of its sight for good.
"""

from __future__ import annotations

import gc
import sys
from _thread import RLock
from importlib.machinery import PathFinder

TYPE_CHECKING = False  # as in `_launch`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType, TracebackType
    from typing import Any, Final

DEFERRED: Final = frozenset(
    {"asyncio.sslproto", "inspect", "linecache", "locale", "ssl", "textwrap"}
)
"""Used in a run for TLS, errors and schemas only."""

_HIDDEN: Final = "typing_extensions"
"""msgspec takes three names from it if it is installed, else the same ones from `typing`."""


class lean_imports:  # noqa: N801 - a `with` block, as in contextlib, whose import is one more
    """Inside the block, `DEFERRED` modules run when they are first used."""

    def __enter__(self) -> None:
        gc.disable()
        self._hides = _HIDDEN not in sys.modules and "msgspec" not in sys.modules
        if self._hides:
            sys.modules[_HIDDEN] = None  # type: ignore[assignment] # "there is none"
        sys.meta_path.insert(0, _Finder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.meta_path.remove(_Finder)
        if self._hides:
            del sys.modules[_HIDDEN]
        gc.freeze()
        gc.enable()


class _Finder:
    """Finds `DEFERRED` modules where they are, and puts a loader in front of theirs."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in DEFERRED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)  # type: ignore[assignment] # all that import asks for
        return spec


class _Later:
    """Loads an empty module, which the loader behind it fills when an attribute is asked for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        lock = RLock()
        running = False

        def fill(name: str) -> Any:
            nonlocal running
            with lock:  # another thread waits until the module is whole
                if running:
                    raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
                if module.__dict__.get("__getattr__") is fill:
                    running = True
                    self._loader.exec_module(module)
                    running = False
                    if module.__dict__.get("__getattr__") is fill:
                        del module.__dict__["__getattr__"]
            return getattr(module, name)

        module.__dict__["__getattr__"] = fill
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
