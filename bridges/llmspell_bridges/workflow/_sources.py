"""What wakes reactive workflows: changes of files, a timer, requests to a webhook."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from .._context import CallContext
from .._errors import BridgeError
from .._extras import imported
from ..fs._errors import explained
from ..fs._names import TEMPORARY
from ..fs._roots import Roots
from ._types import Event, Source

if TYPE_CHECKING:
    from ._config import WorkflowConfig
    from ._hooks import Hooks

_DEBOUNCE: Final = 100
"""Milliseconds in which changes are gathered: one save of an editor is several changes."""
_PROMPT: Final = 20
"""Milliseconds without a further change after which the gathered ones are told."""

_LOOK: Final = 100
"""Milliseconds after which a watch without changes comes up to look whether it is still wanted."""

MAX_WATCHES: Final = 16
"""Directories watched at once: each takes one of the 40 threads that anyio lends, and one of the
user's 128 inotify instances."""


class Sources:
    """Opens sources. One per bridge: all webhooks share a port."""

    def __init__(self, config: WorkflowConfig) -> None:
        self._config = config
        self._hooks: Hooks | None = None
        self._watches = 0

    async def events(self, ctx: CallContext, source: Source) -> AsyncGenerator[Event, None]:
        """The events of a source. Raises `BridgeError` for one that is not granted."""
        async with contextlib.aclosing(await self._open(ctx, source)) as events:
            count = 0
            async for event in events:
                yield event
                count += event.event != "ready"
                if source.times is not None and count >= source.times:
                    return

    async def close(self) -> None:
        """Stop listening."""
        if self._hooks is not None:
            await self._hooks.close()

    async def _open(self, ctx: CallContext, source: Source) -> AsyncGenerator[Event, None]:
        given = [name for name in ("path", "every", "webhook") if getattr(source, name) is not None]
        if len(given) != 1:
            said = f"not {' and '.join(given)}" if given else "and there is none"
            message = f"a source has one of path, every and webhook, {said}"
            raise BridgeError("Validation", message, field=given[1] if given else "path")
        if source.path is not None:
            return self._files(ctx, source.path)
        if source.every is not None:
            return _ticks(source.every)
        assert source.webhook is not None
        return (await self._listening()).requests(source.webhook)

    async def _files(self, ctx: CallContext, path: str) -> AsyncGenerator[Event, None]:
        if self._watches >= MAX_WATCHES:
            message = f"{MAX_WATCHES} directories are watched already"
            raise BridgeError("Limit", message, field="path")
        self._watches += 1
        try:
            folder = await _opened(ctx, path)
            try:
                async with contextlib.aclosing(_changes(folder, path)) as events:
                    async for event in events:
                        yield event
            finally:
                os.close(folder)
        finally:
            self._watches -= 1

    async def _listening(self) -> Hooks:
        if self._config.webhook_port is None:
            message = "webhooks are not granted: webhook_port of [workflow] names no port"
            raise BridgeError("Policy", message, field="webhook")
        (module,) = await imported("workflows", f"{__package__}._hooks")
        if self._hooks is None:
            self._hooks = module.Hooks(self._config)
        return self._hooks


async def _opened(ctx: CallContext, path: str) -> int:
    """A descriptor of a directory that may be read. Raises `BridgeError`."""
    roots = ctx.state("fs.roots", lambda: Roots(ctx.policy))

    needed: list[str] = []

    def find() -> int:
        place = roots.locate(path, "read")
        needed.append(place.needed())
        with explained(path), place.open(os.O_PATH | os.O_DIRECTORY) as found:
            return os.dup(found)

    finding = asyncio.create_task(asyncio.to_thread(find))
    try:
        return await asyncio.shield(finding)
    except asyncio.CancelledError:
        finding.add_done_callback(_close)
        raise
    finally:
        for folder in needed:
            ctx.touch(read=folder)


def _close(found: asyncio.Task[int]) -> None:
    """Close what nobody waits for any more."""
    if not found.cancelled() and not found.exception():
        os.close(found.result())


async def _changes(folder: int, shown: str) -> AsyncGenerator[Event, None]:
    """Changes of what is directly in a folder: below it, links could lead elsewhere.

    By its descriptor: what stands at its path later does not matter.
    """
    (watchfiles,) = await imported("workflows", "watchfiles")
    own = f"/proc/self/fd/{folder}"
    watch = watchfiles.awatch(
        own,
        watch_filter=lambda _, path: not os.path.basename(path).startswith(TEMPORARY),
        debounce=_DEBOUNCE,
        step=_PROMPT,
        rust_timeout=_LOOK,
        yield_on_timeout=True,  # which tells, the first time, that it watches
        recursive=False,
    )
    ready = False
    async with contextlib.aclosing(watch) as found:
        async for changes in found:
            if not ready:
                ready = True
                yield Event(source="files", event="ready", path=shown)
            for change, path in sorted(changes, key=operator.itemgetter(1)):
                there = shown.rstrip("/") + path.removeprefix(own)
                yield Event(source="files", event=change.raw_str(), path=there)


async def _ticks(every: float) -> AsyncGenerator[Event, None]:
    """One event each so many seconds; one that nobody could take in time is not made up for."""
    loop = asyncio.get_running_loop()
    due, number = loop.time(), 0
    while True:
        due = max(due + every, loop.time())
        await asyncio.sleep(due - loop.time())
        number += 1
        yield Event(source="timer", event="tick", number=number)
