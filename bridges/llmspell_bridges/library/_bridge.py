"""The bridge `library`: finds the text of a library. The worker runs it, see its `require`."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import stat
from typing import Annotated, Any, ClassVar, Final

from msgspec import Meta

from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, method

MAX_LIBRARY: Final = 1 << 20
"""Bytes of one library: far above what a person writes, and below what any worker may hold."""
MAX_NAME: Final = 40
"""Characters of a name: with `library/` and a suffix, what Lua keeps of one in its messages."""
_NAME: Final = r"[a-z0-9_-]+(?:/[a-z0-9_-]+)*"
_SUFFIXES: Final = {"lua": (".lua",), "javascript": (".js", ".mjs")}
_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR)


class LibraryBridge(Bridge):
    """Other spells as libraries, from folders that the operator has granted (`--library DIR`)."""

    name: ClassVar[str] = "library"

    @method(effect="read")
    async def require(
        self,
        ctx: CallContext,
        name: Annotated[str, Meta(description="such as text/stats: letters, digits, _, - and /")],
    ) -> Any:
        """What another spell returns, which is run once in a run. Also called plain `require`."""
        if len(name) > MAX_NAME or re.fullmatch(_NAME, name) is None:
            message = f"require: a library is named by a-z, 0-9, _, - and /, at most {MAX_NAME}"
            raise BridgeError("Validation", message, field="name")
        if not ctx.policy.libraries:
            raise BridgeError(
                "Policy", "require: no folder of libraries is granted (--library DIR)"
            )
        suffixes = _SUFFIXES.get(ctx.engine)
        if suffixes is None:
            raise BridgeError("Configuration", f"require: {ctx.engine} has no libraries")
        # In a thread: a granted folder may be on a disk that is far away.
        found = await asyncio.to_thread(_find, ctx.policy.libraries, name, suffixes)
        if found is None:
            raise await asyncio.to_thread(_missing, ctx, name)
        root, data = found
        ctx.note(library=root, sha256=hashlib.sha256(data).hexdigest())
        return _text(name, data)


def _find(roots: tuple[str, ...], name: str, suffixes: tuple[str, ...]) -> tuple[str, bytes] | None:
    """The first root that has the library, and what it holds. Raises `BridgeError`."""
    for root in roots:
        for suffix in suffixes:
            data = _read(root, name + suffix)
            if data is not None:
                return root, data
    return None


def _read(root: str, path: str) -> bytes | None:
    try:
        handle = _open(root, path, os.O_RDONLY)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        reason = "it is a link" if error.errno == errno.ELOOP else os.strerror(error.errno or 0)
        raise BridgeError("Policy", f"require: {path} is refused: {reason}", field="name") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BridgeError("Policy", f"require: {path} is refused: not a file", field="name")
    with open(handle, "rb") as file:
        data = file.read(MAX_LIBRARY + 1)
    if len(data) > MAX_LIBRARY:
        message = f"require: {path} is larger than a library may be, {MAX_LIBRARY} bytes"
        raise BridgeError("Limit", message, field="name")
    return data


def _open(root: str, path: str, flags: int) -> int:
    """A descriptor; never waits for the other end of a pipe, and makes no terminal ours."""
    from .._beneath import open_beneath  # ctypes takes a while, and few spells require anything

    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_beneath(top, path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    finally:
        os.close(top)


def _text(name: str, data: bytes) -> str:
    """The text, with a `#!` line blanked so that lines count the same."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BridgeError("Serialization", f"require: {name} is not text in UTF-8", field="name")
    if text.startswith("#!"):
        _, newline, rest = text.partition("\n")
        return newline + rest
    return text


def _missing(ctx: CallContext, name: str) -> BridgeError:
    """That there is none of that name, and what was probably meant."""
    import difflib

    for engine, suffixes in _SUFFIXES.items():
        if engine != ctx.engine and _find(ctx.policy.libraries, name, suffixes):
            message = (
                f"require: library '{name}' is for {engine}, and this spell is for {ctx.engine}"
            )
            return BridgeError("Validation", message, field="name")
    folder, _, last = name.rpartition("/")
    there = {os.path.splitext(file)[0] for file in _listed(ctx, folder)}
    near = difflib.get_close_matches(last, there, 1)
    hint = f"; did you mean '{f'{folder}/' if folder else ''}{near[0]}'?" if near else ""
    return BridgeError("Validation", f"require: no library '{name}'{hint}", field="name")


def _listed(ctx: CallContext, folder: str) -> list[str]:
    """Files in `folder` that the engine could run, in every root."""
    found: list[str] = []
    for root in ctx.policy.libraries:
        try:
            handle = _open(root, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            found += [file for file in os.listdir(handle) if file.endswith(_SUFFIXES[ctx.engine])]
        finally:
            os.close(handle)
    return found
