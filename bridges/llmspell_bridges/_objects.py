"""What a run keeps on the host: objects that its script holds, and state of bridges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from ._errors import BridgeError

MAX_OBJECTS: Final = 256
"""Objects of one run: agents, workflows, sessions. Each may hold a history of megabytes."""

T = TypeVar("T")
Kept = TypeVar("Kept", bound="BridgeObject")


class BridgeObject:
    """State of a run that a script holds: a subclass with a `name` and methods marked `@method`.

    Its bridge names the class in `objects`. A method of the bridge that returns an instance gives
    the script an object with those methods. They take `ctx` and arguments as a bridge's do.
    """

    name: ClassVar[str]
    """The kind, as scripts read it: lower-case letters, digits and `_`."""

    async def close(self) -> None:
        """Free what it has opened. Called once, at the end of the run."""


class TextAnswer(msgspec.Struct, frozen=True):
    """Base of results that work as text in scripts: as `content`, with all fields beside it."""

    content: str


class RunState:
    """What bridges keep for one run. Close it when no call of the run is left."""

    def __init__(self) -> None:
        self._objects: dict[int, BridgeObject] = {}
        self._numbers: dict[int, int] = {}  # by identity: the same object keeps its number
        self._values: dict[Any, Any] = {}

    def keep(self, item: BridgeObject) -> int:
        """The number by which the script knows `item`. Raises `BridgeError` Limit."""
        number = self._numbers.get(id(item))
        if number is not None:
            return number
        if len(self._objects) >= MAX_OBJECTS:
            message = f"{MAX_OBJECTS} objects are held by this run already, which is the limit"
            raise BridgeError("Limit", message)
        number = len(self._objects) + 1
        self._objects[number] = item
        self._numbers[id(item)] = number
        return number

    def find(self, number: int, kind: type[Kept], field: str | None = None) -> Kept:
        """The object of that number. Raises `BridgeError` Validation if it is not a `kind`."""
        item = self._objects.get(number)
        if isinstance(item, kind):
            return item
        found = "nothing of this run" if item is None else f"of kind '{item.name}'"
        place = f"{field}: " if field else ""
        message = f"{place}must be an object of kind '{kind.name}'; this one is {found}"
        raise BridgeError("Validation", message, field=field)

    def value(self, key: Any, factory: Callable[[], T]) -> T:
        """What is kept under `key`: made by `factory` when first asked for."""
        if key not in self._values:
            self._values[key] = factory()
        kept: T = self._values[key]
        return kept

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to close."""
        return not (self._objects or self._values)

    async def close(self) -> None:
        """Close all that can be closed, also when some of it fails to."""
        kept = [*self._objects.values(), *self._values.values()]
        self._objects.clear()
        self._numbers.clear()
        self._values.clear()
        closers = [close() for item in kept if (close := getattr(item, "close", None))]
        results = await asyncio.gather(*closers, return_exceptions=True)
        failures = [r for r in results if isinstance(r, Exception)]
        if failures:
            raise ExceptionGroup("state of a run that did not close", failures)
