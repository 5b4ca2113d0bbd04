"""The local model as the rest of the supervisor sees it: ask for an endpoint, get one that lives."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._errors import BridgeError
from ._config import LocalConfig
from ._process import Endpoint, ModelProcess
from ._store import DEFAULT_MODEL, ModelStoreError, check_file, installed_path

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

MAX_DEATHS: Final = 3
"""Deaths within the window after which the model is not started again: what kills it this often
(a broken file, too little memory) will kill it the next time too."""

DEATH_WINDOW: Final = 60.0
"""Seconds. A model that lived longer than this is worth another start."""

OWN_MODEL: Final = "local"
"""The name under which a GGUF of the operator's own answers."""


class LocalModel:
    """Starts models on first use, each in a process of its own, and ends them.

    Belongs to the event loop, and the thread, that first uses it: when that thread ends, the kernel
    ends the processes. Use it as a context manager, or call `close`.
    """

    def __init__(self, config: LocalConfig | None = None, *, root: Path | None = None) -> None:
        """`root` is the cache of models; without it the user's."""
        self._config = config or LocalConfig()
        self._root = root
        self._running: dict[str, ModelProcess] = {}
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._lock = asyncio.Lock()
        self._last_words = ""
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that are alive."""
        return tuple(p.pid for p in self._running.values() if p.alive)

    async def endpoint(self, name: str | None = None) -> Endpoint:
        """Where the model answers; starts it if it is not running, or not any more.

        Without a name (or as `local`) it is the configured file, else `smollm2`. Callers that come
        while it starts wait for the same start. Raises BridgeError: Configuration when the model or
        its library is not installed or cannot be loaded, Timeout when loading takes too long,
        Provider when it keeps dying.
        """
        name = self._resolve(name)
        async with self._lock:
            if self._closed:
                raise BridgeError("Provider", "the local model has been closed")
            running = self._running.get(name)
            if running is None or not running.alive:
                running = await self._start(name, running)
            return running.endpoint

    async def healthy(self, name: str | None = None) -> bool:
        """Whether the model is running and answers. Starts nothing."""
        running = self._running.get(self._resolve(name))
        return running is not None and running.alive and await running.healthy()

    async def close(self) -> None:
        """End every process and reap it. May be called twice."""
        async with self._lock:
            self._closed = True
            running, self._running = self._running, {}
            await asyncio.gather(*(process.end() for process in running.values()))

    def _resolve(self, name: str | None) -> str:
        if name is not None and name != OWN_MODEL:
            return name
        return OWN_MODEL if self._config.path is not None else DEFAULT_MODEL

    async def _start(self, name: str, dead: ModelProcess | None) -> ModelProcess:
        if dead is not None:
            await self._bury(name, dead)
        self._refuse_what_keeps_dying()
        path, size = await asyncio.to_thread(self._file, name)
        self._running[name] = await ModelProcess.start(name, path, size, self._config)
        return self._running[name]

    async def _bury(self, name: str, dead: ModelProcess) -> None:
        del self._running[name]
        await dead.end()
        self._deaths.append(time.monotonic())
        self._last_words = dead.last_words

    def _refuse_what_keeps_dying(self) -> None:
        if len(self._deaths) < MAX_DEATHS:
            return
        wait = self._deaths[0] + DEATH_WINDOW - time.monotonic()
        if wait > 0:
            why = f": {self._last_words}" if self._last_words else ""
            raise BridgeError(
                "Provider",
                f"the local model died {MAX_DEATHS} times within {DEATH_WINDOW:g} s{why}",
                retry_after=wait,
            )

    def _file(self, name: str) -> tuple[Path, int]:
        try:
            if name == OWN_MODEL and self._config.path is not None:
                path = Path(self._config.path).expanduser().absolute()
            else:
                path = installed_path(name, self._root)
            return path, check_file(path)
        except ModelStoreError as error:
            text = f"{error.message}; {error.hint}" if error.hint else error.message
            raise BridgeError("Configuration", text) from error
