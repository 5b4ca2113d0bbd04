"""A session of its own: no controlling terminal to push input into."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._layers import Layers


def apply(layers: Layers) -> None:
    """Become leader of a new session, unless we lead one already."""
    layers.require("session", _new_session)


def _new_session() -> str:
    if os.getsid(0) != os.getpid():
        os.setsid()
    return "own, without a terminal"
