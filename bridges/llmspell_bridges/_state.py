"""What bridges keep for one run: open directories, connections, counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class RunState:
    """One value for each key, made when first asked for, closed when the run is over."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def get(self, key: Hashable, factory: Callable[[], T]) -> T:
        """The value of `key`: what `factory` makes the first time, and the same one from then on."""
        if key not in self._values:
            self._values[key] = factory()
        found: T = self._values[key]
        return found

    async def close(self) -> None:
        """Await `close()` of every value that has one, also when one of them fails to.

        Raises `ExceptionGroup` of what they raised.
        """
        values, self._values = list(self._values.values()), {}
        closing = [value.close() for value in values if hasattr(value, "close")]
        results = await asyncio.gather(*closing, return_exceptions=True)
        failures = [r for r in results if isinstance(r, Exception)]
        if failures:
            raise ExceptionGroup("what a run held and did not close", failures)
