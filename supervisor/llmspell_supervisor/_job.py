"""One run as it was asked for, before anybody has a worker for it: here, or in a shard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from ._policy import Policy
    from ._record import Observer
    from ._report import LogEntry
    from ._spell import Spell


class Job(Struct, frozen=True, kw_only=True, eq=False):
    """What a run is made of, and who is told of it."""

    number: int
    """Of all runs of one supervisor."""
    spell: Spell
    params: bytes
    """Msgpack of a map."""
    policy: Policy
    env: Mapping[str, str]
    """The variables that the policy grants, as they are."""
    mode: Literal["execute", "validate"]
    dry_run: bool
    on_log: Callable[[LogEntry], None] | None
    on_activity: Callable[[str], None] | None
    observers: tuple[Observer, ...]
    heard: Callable[[], Awaitable[None]] | None = None
    """Waits until the observers, where they are in another process, have heard of every call."""
    on_start: Callable[[], None] | None = None
    """Called before the worker is sent the script."""
