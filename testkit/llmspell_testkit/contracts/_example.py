"""One call of a bridge and what it comes to: what no declaration can say."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from llmspell_protocol import ErrorKind


class Example(Struct, frozen=True):
    """A call of a bridge's method, and its answer or the error that it gives.

    Examples are run one by one and all together, in any order: they must not depend on each other.
    """

    method: str
    """Without the bridge's name."""
    args: tuple[Any, ...] = ()
    value: Any = None
    """Types count. Of a stream, a list of its chunks and its closing value."""
    error: ErrorKind | None = None
    """The kind of error that is expected in place of a value."""
    field: str | None = None
    """What the error says was wrong."""
