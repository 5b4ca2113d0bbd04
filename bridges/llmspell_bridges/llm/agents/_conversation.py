"""A conversation as scripts hold it: kept in memory, or in a file by its name."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from ..._context import CallContext
from ..._errors import BridgeError
from ..._interface import method
from ..._objects import BridgeObject
from ..._private_file import make_private_file
from . import _library
from ._types import Turn

if TYPE_CHECKING:
    from agents import SQLiteSession

    from ._loop import Items

FILE: Final = "conversations.sqlite"

_MEMORY: Final = ":memory:"

MAX_BYTES: Final = 1 << 20
"""Of one conversation: about as much as the largest models read."""

MAX_FILE: Final = 256 << 20
"""Bytes of the file with the conversations of all spells."""


class Conversation(BridgeObject):
    """What was said so far. One agent at a time adds to it."""

    name: ClassVar[str] = "conversation"

    def __init__(self, session: SQLiteSession, path: str | None) -> None:
        self._session = session
        self._path = path
        self._busy = False

    @classmethod
    async def of(cls, ctx: CallContext, name: str | None, folder: str | None) -> Conversation:
        """The conversation `name` of this spell in `folder`; a new one without a name."""
        await _library.load()
        if name is None:
            return cls(await asyncio.to_thread(_open, "memory", _MEMORY), None)
        if folder is None:
            message = (
                "conversations are kept nowhere: set conversations under [llm] in the config file"
                " to a folder, or leave the name out"
            )
            raise BridgeError("Configuration", message, field="name")
        if not name.isprintable() or not 1 <= len(name) <= 100:
            message = "name: 1 to 100 printable characters"
            raise BridgeError("Validation", message, field="name")
        path = os.path.join(folder, FILE)
        try:
            # A spell has its own: another one's is not found by its name.
            session = await asyncio.to_thread(_open, f"{ctx.spell}\n{name}", path)
        except OSError as error:
            raise _no_file(error.strerror or "cannot be opened") from error
        return cls(session, path)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Items]:
        """What was said so far, while nobody else adds to it. Raises `BridgeError`."""
        with self._alone():
            if self._path and await asyncio.to_thread(os.path.getsize, self._path) > MAX_FILE:
                raise BridgeError(
                    "Limit", f"the file of conversations has more than {MAX_FILE} bytes"
                )
            items = await self._session.get_items()
            if len(msgspec.json.encode(items)) > MAX_BYTES:
                message = f"the conversation has more than {MAX_BYTES} bytes: clear it"
                raise BridgeError("Limit", message)
            yield list(items)

    async def add(self, items: Items) -> None:
        """What was said now; all of it or nothing. Call it within `turn`."""
        await self._session.add_items(items)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        # To wait would be for ever, where a tool of the agent that is at work is the one that waits.
        if self._busy:
            message = "context: an agent is at work in this conversation"
            raise BridgeError("Validation", message, field="context")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    @method(effect="read")
    async def messages(self, ctx: CallContext) -> list[Turn]:  # noqa: ARG002 - all take it
        """What was said so far, without tools."""
        items: list[Any] = list(await self._session.get_items())
        return [turn for item in items if (turn := _turn(item)) is not None]

    @method(effect="write")
    async def clear(self, ctx: CallContext) -> None:  # noqa: ARG002 - all take it
        """Forget what was said."""
        with self._alone():
            await self._session.clear_session()

    async def close(self) -> None:
        """Close the file. What was added is kept."""
        await asyncio.to_thread(self._session.close)


def _open(identity: str, path: str) -> SQLiteSession:
    import sqlite3

    from agents import SQLiteSession

    if path != _MEMORY:  # before SQLite does, for others to read
        make_private_file(path)
    try:
        session = SQLiteSession(identity, path)
    except sqlite3.Error as error:
        raise _no_file(str(error)) from None
    return session


def _no_file(why: str) -> BridgeError:
    message = f"the folder for conversations cannot be used: {why}"
    return BridgeError("Configuration", message)


def _turn(item: dict[str, Any]) -> Turn | None:
    content = item.get("content")
    if item.get("role") not in ("user", "assistant") or not content:
        return None
    if not isinstance(content, str):
        content = "".join(part.get("text", "") for part in content)
    return Turn(role=item["role"], content=content)
