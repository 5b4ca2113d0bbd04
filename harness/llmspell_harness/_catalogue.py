"""The catalogue: every attack id, what becomes of it, and why, as data (`catalogue.toml`)."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Final, Literal

import msgspec

SECTIONS: Final = {
    1: "Lua engine",
    2: "JavaScript engine",
    3: "Python and WebAssembly engines",
    4: "operating system",
    5: "protocol",
    6: "bridges and the host",
}

Status = Literal["stopped", "accepted", "needs_bridge", "needs_engine"]
"""`stopped`: trials show it. `accepted`: not stopped, written down, and pinned by a test. The others
wait for what they attack."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the catalogue."""

    id: str
    section: int
    title: str
    outcome: str
    """What is promised, beside the outcome that every row shares."""
    status: Status
    needs: str = ""
    """The bridge or the engine that it waits for."""
    note: str = ""
    """Why it is accepted, or what is special about how it is shown."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    attack: list[Entry]


@functools.cache
def catalogue() -> dict[str, Entry]:
    """Every row by its id, in the order of the file."""
    text = files(__package__).joinpath("catalogue.toml").read_bytes()
    return {entry.id: entry for entry in msgspec.toml.decode(text, type=_File).attack}
