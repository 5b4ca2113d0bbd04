"""What is run: a spell's name, source and engine, read with care from a file or given as text."""

from __future__ import annotations

import os
import re
from typing import Final

from msgspec import Struct

from ._errors import SpellError
from ._files import decode_text, read_regular
from ._policy import MIB
from ._text import escape_line, nearest
from ._units import format_size

MAX_SOURCE: Final = 4 * MIB
"""Far above any script that a person wrote, and well below the worker's smallest memory."""

SUFFIXES: Final = {".lua": "lua", ".js": "javascript", ".mjs": "javascript"}
"""The engines that come with the supervisor. Those of others are named with `--engine`."""

ENGINE_GROUP: Final = "llmspell.engines"
_SHEBANG_WORDS: Final = {
    "lua": "lua",
    "javascript": "javascript",
    "js": "javascript",
    "node": "javascript",
}


class Spell(Struct, frozen=True):
    """A script and the engine that runs it."""

    name: str
    """How errors name it, such as `hello.lua`; never a path."""
    source: str
    """The text, with a `#!` line blanked so that lines still count the same."""
    engine: str
    """Such as `lua`."""
    path: str | None = None
    """The file that it was read from; its folder may hold a manifest."""

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], *, engine: str | None = None) -> Spell:
        """Read a spell from a file. The suffix names the engine unless `engine` does.

        Raises `SpellError` for what is missing, not a regular file, empty, over `MAX_SOURCE`, not
        UTF-8, or of no known engine.
        """
        path = os.fspath(path)
        # A file name may hold bytes that are not UTF-8; the wire carries only UTF-8.
        name = os.fsencode(os.path.basename(path)).decode(errors="replace")
        suffix = os.path.splitext(name)[1].lower()
        if engine is None and suffix:
            engine = SUFFIXES.get(suffix)
        data = read_regular(path, MAX_SOURCE, SpellError)
        text = _decode(data, escape_line(path))
        engine = engine or _engine_of_shebang(text)
        if engine is None:
            raise _unknown_suffix(escape_line(path), suffix)
        return cls.from_text(text, engine, name, path=os.path.abspath(path))

    @classmethod
    def from_text(
        cls,
        source: str | bytes,
        engine: str | None = None,
        name: str = "spell",
        *,
        path: str | None = None,
    ) -> Spell:
        """A spell from text. Without `engine`, its `#!` line has to name one.

        Raises `SpellError` as `from_path` does.
        """
        if isinstance(source, bytes):
            _check_size(len(source), name)
            source = _decode(source, name)
        source = source.removeprefix("\ufeff")
        engine = engine or _engine_of_shebang(source)
        if engine is None:
            raise SpellError(f"{name}: no engine named", "say --engine lua or --engine javascript")
        _check_text(source, name)
        return cls(name, _without_shebang(source), check_engine(engine), path)


def known_engines() -> tuple[str, ...]:
    """Names of all engines: our own, and those that installed packages declare."""
    from importlib.metadata import entry_points  # tens of milliseconds: never on the fast path

    others = {point.name for point in entry_points(group=ENGINE_GROUP)}
    return tuple(sorted({*SUFFIXES.values(), *others}))


def check_engine(name: str) -> str:
    """`name`, if there is such an engine; else `SpellError` with those that there are."""
    if name in SUFFIXES.values() or name in (known := known_engines()):
        return name
    near = nearest(name, known)
    raise SpellError(f"no engine '{escape_line(name)}'{near}", f"there are: {', '.join(known)}")


def _check_size(size: int, name: str) -> None:
    if size > MAX_SOURCE:
        raise SpellError(f"{name} is {format_size(size)}; the cap is {format_size(MAX_SOURCE)}")


def _check_text(source: str, name: str) -> None:
    try:
        _check_size(len(source.encode()), name)
    except UnicodeEncodeError as error:
        line = source.count("\n", 0, error.start) + 1
        raise SpellError(f"{name}: lone surrogate on line {line}: not valid text") from None
    if not source.strip():
        raise SpellError(f"{name} is empty", "a spell needs at least one statement")
    if "\0" in source:
        raise SpellError(f"{name}: NUL character: this is not text")


def _decode(data: bytes, shown: str) -> str:
    return decode_text(data, shown, SpellError)


def _unknown_suffix(shown: str, suffix: str) -> SpellError:
    known = ", ".join(SUFFIXES)
    if not suffix:
        return SpellError(f"{shown}: no suffix, so no engine", f"name it {known}, or say --engine")
    near = nearest(suffix, tuple(SUFFIXES))
    return SpellError(
        f"{shown}: unknown suffix '{suffix}'{near}", f"known are {known}; or say --engine NAME"
    )


def _engine_of_shebang(source: str) -> str | None:
    """The engine that a `#!` line names: `... run --engine lua`, or any whole word of ours."""
    if not source.startswith("#!"):
        return None
    words = re.findall(r"[a-z]+", source.partition("\n")[0].lower())
    return next((_SHEBANG_WORDS[word] for word in words if word in _SHEBANG_WORDS), None)


def _without_shebang(source: str) -> str:
    if not source.startswith("#!"):
        return source
    _, newline, rest = source.partition("\n")
    return newline + rest
