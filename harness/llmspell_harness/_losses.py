"""What a host gives up that has not every layer: the attacks that meet one wall less."""

from __future__ import annotations

from collections.abc import Iterable

from . import native
from ._attack import NATIVE


def losses(off: Iterable[str]) -> dict[str, list[str]]:
    """Layer that is off to the ids of the attacks that it would stop, in order."""
    native.load()
    return {
        layer: sorted({attack.id for attack in NATIVE.values() if layer in attack.walls})
        for layer in off
    }
