"""A coroutine's first step at once, and the rest where it may wait."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def rest_of(
    steps: Generator[Any, Any, T] | Coroutine[Any, Any, T], waited_for: object
) -> Generator[Any, Any, T]:
    """What is left of it after its first step, which waits for that."""
    while True:
        try:
            yield waited_for
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:  # noqa: BLE001 - into the coroutine, where it belongs
            try:
                waited_for = steps.throw(error)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
        else:
            value: T = yield from steps  # type: ignore[misc]  # a coroutine may be awaited here
            return value
