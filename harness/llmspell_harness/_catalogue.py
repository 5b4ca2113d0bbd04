"""The catalogue: every attack id, what becomes of it, and why, as data (`catalogue.toml`)."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Final, Literal

import msgspec

CLASSES: Final = {
    "L": "lua",
    "J": "javascript",
    "Y": "engines",
    "O": "os",
    "P": "protocol",
    "B": "bridges",
}
"""The first letter of an id, and what such attacks are aimed at."""

Status = Literal["stopped", "accepted", "needs_bridge", "needs_engine"]
"""`stopped`: trials show it. `accepted`: not stopped, written down, and pinned by a trial. The
others wait for what they attack."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the catalogue."""

    id: str = ""
    title: str
    outcome: str
    """What is promised, beside what holds for every row: the run ends with its true verdict, nothing
    survives it, and neither the host nor another spell notices."""
    status: Status = "stopped"
    needs: str = ""
    """The bridge or the engine that it waits for."""
    note: str = ""
    """Why it is accepted, or what is special about how it is shown."""

    @property
    def aim(self) -> str:
        """The class of attacks that it belongs to, such as `os`."""
        return CLASSES[self.id[0]]

    @property
    def waits(self) -> bool:
        """Whether what it attacks is not there yet."""
        return self.status in ("needs_bridge", "needs_engine")


@functools.cache
def catalogue() -> dict[str, Entry]:
    """Every row by its id, in the order of the file."""
    text = files(__package__).joinpath("catalogue.toml").read_bytes()
    rows = msgspec.toml.decode(text, type=dict[str, Entry])
    return {key: msgspec.structs.replace(entry, id=key) for key, entry in rows.items()}
