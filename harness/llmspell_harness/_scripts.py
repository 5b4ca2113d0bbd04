"""Attacks written as spells: a file each, with a head of TOML in its first comment lines.

    -- id = "L13"
    -- title = "a string of 10 GB"
    -- expect = ["ok", "memory_limit"]
    -- policy = {memory = 67108864}

The spell returns the list of what it gained, as strings: an empty one is a wall that held. Its
parameters are the targets. `expect` names the verdicts that a safe end may have.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_COMMENTS: Final = {".lua": "--", ".js": "//"}
_ENGINES: Final = {".lua": "lua", ".js": "javascript"}


class _Head(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: str
    title: str
    expect: tuple[str, ...] = ("ok",)
    policy: dict[str, Any] = {}


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One attack by a script in a healthy engine."""

    id: str
    name: str
    title: str
    engine: str
    source: str
    expect: tuple[str, ...]
    policy: dict[str, Any]

    @property
    def key(self) -> str:
        """How results and messages call it, such as `L13 repeat`."""
        return f"{self.id} {self.name}"


@functools.cache
def scripts() -> tuple[Script, ...]:
    """Every script, in the order of their names. Raises `ValueError` that names a bad head."""
    folder = files(__package__).joinpath("scripts")
    paths = [path for part in folder.iterdir() if part.is_dir() for path in part.iterdir()]
    found = [_read(path) for path in paths if path.name[path.name.rfind(".") :] in _COMMENTS]
    return tuple(sorted(found, key=lambda script: (script.engine, script.key)))


def _read(path: Traversable) -> Script:
    stem, _, suffix = path.name.rpartition(".")
    source = path.read_text("utf-8")
    mark = _COMMENTS[f".{suffix}"]
    lines: list[str] = []
    for line in source.splitlines():
        if not line.startswith(mark):
            break
        lines.append(line.removeprefix(mark).strip())
    try:
        head = msgspec.toml.decode("\n".join(lines), type=_Head)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path.name}: its head is not as it should be: {error}") from None
    return Script(
        id=head.id,
        name=stem.partition("-")[2].replace("-", " ") or stem,
        title=head.title,
        engine=_ENGINES[f".{suffix}"],
        source=source,
        expect=head.expect,
        policy=head.policy,
    )
