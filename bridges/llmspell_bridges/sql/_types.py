"""What scripts send to `sql` and get back."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Parameters = dict[str, Any]
"""Values for the `:name`s of a statement: null, booleans, numbers, text or bytes."""


class Rows(Struct, frozen=True, kw_only=True):
    """What a query found."""

    columns: list[str]
    rows: list[dict[str, Any]]
    """Maps from column to value. Dates, times, decimals and UUIDs are text."""


class Changes(Struct, frozen=True, kw_only=True):
    """What a statement changed."""

    changed: int
    """Rows."""
    rows: list[dict[str, Any]]
    """What `RETURNING` asked for."""


class Column(Struct, frozen=True, kw_only=True):
    """A column of a table."""

    name: str
    type: str
    """In the database's words."""
    nullable: bool
    primary_key: bool
