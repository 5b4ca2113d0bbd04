"""A bridge that gives what a test tells it to, and notes what it was asked.

weather = RecordingBridge("weather", today={"sky": "clear"}, fail=BridgeError("Network", "no"))
stage.run("return weather.today('Bern')", "lua")
assert weather.calls == [RecordedCall("today", ("Bern",))]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import msgspec

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method

MOST_ARGUMENTS = 8
"""Parameters that each method has, all of them optional."""


class RecordedCall(NamedTuple):
    """One call as it arrived. Trailing arguments that were left out are not there."""

    method: str
    args: tuple[Any, ...]


class RecordingBridge(Bridge):
    """A bridge called `name` with a method for each of `answers`.

    An answer is a value; an exception, which is raised; several `InTurn`, one a call; or
    a function of the arguments, which may be `async`. Methods take any values, up to eight. Raises
    `ValueError` for a method that would hide something of the bridge's own, such as `close`.
    """

    name = "recording"

    def __new__(cls, name: str, /, **answers: Any) -> Self:
        if taken := [each for each in answers if hasattr(cls, each) or each == "calls"]:
            raise ValueError(
                f"a bridge has a '{taken[0]}' of its own: give the method another name"
            )
        methods = {each: _method(each) for each in answers}
        made = type("RecordingBridge", (cls,), {"name": name, **methods})
        return super().__new__(made)

    def __init__(self, _name: str, /, **answers: Any) -> None:
        super().__init__(BridgeConfig())
        self.calls: list[RecordedCall] = []
        """In the order in which they began."""
        self._answers = answers

    async def _give(self, called: RecordedCall) -> Any:
        """Note a call and find its answer."""
        self.calls.append(called)
        found = self._answers[called.method]
        if isinstance(found, InTurn):
            found = found.next()
        if isinstance(found, BaseException):
            raise found
        if callable(found):
            found = found(*called.args)
            if hasattr(found, "__await__"):
                found = await found
        return found


class InTurn:
    """Answers of a `RecordingBridge`, one a call. Raises `AssertionError` when there are no more."""

    def __init__(self, *answers: Any) -> None:
        self._left = deque(answers)

    def next(self) -> Any:
        """The next one."""
        assert self._left, "there was one call more than there are answers"
        return self._left.popleft()


def _method(name: str) -> Callable[..., Any]:
    async def call(  # noqa: PLR0917 - a signature is read from parameters
        self: RecordingBridge,
        ctx: CallContext,  # noqa: ARG001 - every method gets it
        a: Any = msgspec.UNSET,
        b: Any = msgspec.UNSET,
        c: Any = msgspec.UNSET,
        d: Any = msgspec.UNSET,
        e: Any = msgspec.UNSET,
        f: Any = msgspec.UNSET,
        g: Any = msgspec.UNSET,
        h: Any = msgspec.UNSET,
    ) -> Any:
        given = [value for value in (a, b, c, d, e, f, g, h) if value is not msgspec.UNSET]
        return await self._give(RecordedCall(name, tuple(given)))

    call.__name__ = name
    call.__code__ = call.__code__.replace(co_name=name)
    call.__doc__ = "What the test says."
    return method(call)
