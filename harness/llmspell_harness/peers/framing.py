"""Frames that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._attack import peer

if TYPE_CHECKING:
    from .._wire import Wire


@peer("P01", "a frame that says it has 4 GiB")
def largest_length(wire: Wire) -> None:
    wire.send(b"\xff\xff\xff\xff")
    wire.hang()
