"""Attacks that are one system call each, as a table."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .._attack import native
from ._raw import named, trying


class Row(Struct, frozen=True):
    """One call that an attack tries."""

    name: str
    title: str
    call: tuple[Any, ...]
    """Its name and its arguments."""
    errors: tuple[int, ...] = ()
    """What the kernel answers to these arguments once it has found the caller entitled."""
    walls: tuple[str, ...] = ()
    """Where they differ from the table's."""
    uncontrolled: str = ""
    """As in `Native`, where it differs from the table's."""


def declare(attack_id: str, *rows: Row, walls: tuple[str, ...] = (), **more: Any) -> None:
    """Declare a native attack for each row; `walls` and `more` hold for all of them."""
    for row in rows:
        facts = {**more, "uncontrolled": row.uncontrolled or more.get("uncontrolled", "")}
        run = named(row.name, trying(*row.call, errors=row.errors))
        native(attack_id, row.title, walls=row.walls or walls, **facts)(run)
