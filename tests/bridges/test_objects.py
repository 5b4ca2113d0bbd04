"""What a run keeps on the host, and the calls of a script's functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import structs

from llmspell_bridges import (
    Bridge,
    BridgeConfig,
    BridgeError,
    BridgeObject,
    CallContext,
    End,
    ObjectHandle,
    RunState,
    ScriptError,
    ScriptFunction,
    TextAnswer,
    method,
)
from llmspell_bridges._objects import MAX_OBJECTS
from llmspell_protocol import Binding, ErrorInfo
from tests.bridges.host import Host


class Answer(TextAnswer, frozen=True, kw_only=True):
    """A text."""


class Step(msgspec.Struct):
    """Holds a function, or more steps that do."""

    run: ScriptFunction | None = None
    more: list[Step] = []


class Lamp(BridgeObject):
    """Notes that it was closed."""

    name: ClassVar[str] = "lamp"
    closed = 0

    @method
    async def shine(self, ctx: CallContext, how: str = "on") -> str:
        """Says how."""
        return how

    async def close(self) -> None:
        """Counts."""
        self.closed += 1


class Bell(BridgeObject):
    """Of another kind; cannot be closed."""

    name: ClassVar[str] = "bell"

    async def close(self) -> None:
        """A bug."""
        raise RuntimeError("stuck")


class House(Bridge):
    """Has methods of every sort."""

    name: ClassVar[str] = "house"
    objects: ClassVar[tuple[type[BridgeObject], ...]] = (Lamp, Bell)

    @method
    async def lamp(self, ctx: CallContext) -> Lamp | None:
        """A lamp."""
        return Lamp()

    @method
    async def walk(self, ctx: CallContext, steps: list[Step]) -> None:
        """Takes functions, at some depth."""

    @method
    async def ask(self, ctx: CallContext, run: ScriptFunction, value: Any = None) -> Answer:
        """Calls one."""
        return Answer(content=await ctx.invoke(run, value))

    @method
    async def asks(self, ctx: CallContext) -> list[Answer]:
        """Texts."""
        return []

    @method
    async def speak(self, ctx: CallContext) -> AsyncIterator[str | End[Answer]]:
        """A text at the end."""
        yield "a"
        yield End(Answer(content="b"))

    @method
    async def off(self, ctx: CallContext, lamp: ObjectHandle) -> str:
        """Takes an object."""
        return ctx.object(lamp, Lamp, "lamp").name

    @method
    async def two_at_once(self, ctx: CallContext, run: ScriptFunction) -> list[Any]:
        """Two calls of one function at a time."""
        return list(await asyncio.gather(ctx.invoke(run, 0.0), ctx.invoke(run, 0.05)))


class Sleeper:
    """A script whose function takes as long as it is told."""

    def __init__(self) -> None:
        self.gate: asyncio.Event | None = None

    async def invoke(self, function: int, args: bytes) -> bytes:
        """Fails for function 2."""
        if function == 2:
            raise ScriptError(ErrorInfo("RateLimit", "slow down", retryable=True))
        (seconds,) = msgspec.msgpack.decode(args)
        await asyncio.sleep(seconds)
        return msgspec.msgpack.encode("awake")


def house(**policy: Any) -> Host:
    """A host with a script."""
    host = Host(House(BridgeConfig()), **policy)
    host.context = structs.replace(host.context, script=Sleeper())
    return host


def failed(host: Host, name: str, *args: Any) -> BridgeError:
    """The error of one call."""
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call(name, *args))
    return caught.value


def test_bindings_are_derived_from_the_types() -> None:
    assert house().registry.manifest(["house"])["house"] == {
        "ask": Binding("call", functions=True, gives="text"),
        "asks": Binding("call", gives="texts"),
        "lamp": Binding("call", gives="lamp"),
        "lamp.shine": Binding("call"),
        "off": Binding("call"),
        "speak": Binding("stream", gives="text"),
        "two_at_once": Binding("call", functions=True),
        "walk": Binding("call", functions=True),
    }


def test_info_speaks_of_functions_and_objects_in_the_words_of_scripts() -> None:
    infos = {bound.name: bound.describe() for bound in house().registry.methods}
    assert infos["house.lamp"].result == "lamp"
    assert [p.render() for p in infos["house.ask"].parameters] == [
        "run: function",
        "value?: any value",
    ]
    assert infos["house.off"].parameters[0].render() == "lamp: object"
    assert [p.type for p in infos["house.walk"].parameters[0].options][:1] == ["function"]


def test_methods_of_objects_go_with_their_bridge() -> None:
    host = house()
    asyncio.run(host.registry.remove("house"))
    assert host.registry.methods == ()


def test_an_object_keeps_its_number_and_its_methods_find_it() -> None:
    host = house()

    async def work() -> list[Any]:
        number = await host.call("house.lamp")
        return [
            number,
            await host.call("house.lamp.shine", number, "dim"),
            await host.call("house.lamp.shine", number),
        ]

    assert host.run(work) == [1, "dim", "on"]
    lamp = Lamp()
    assert host.context.keep(lamp) == host.context.keep(lamp) == 2


@pytest.mark.parametrize("args", [(), ("x",), (None,), ({"@object": 1},), (2**64 - 1,)])
def test_a_method_of_an_object_needs_one(args: tuple[Any, ...]) -> None:
    assert failed(house(), "house.lamp.shine", *args).kind == "Validation"


@pytest.mark.parametrize("handle", [1, "lamp", None, {}, {"@object": "1"}, {"@function": 1}, [1]])
def test_what_is_no_object_is_refused_by_the_name_of_its_parameter(handle: Any) -> None:
    host = house()
    host.context.keep(Lamp())
    error = failed(host, "house.off", handle)
    assert (error.kind, error.field) == ("Validation", "lamp")
    assert "must be an object" in error.message


def test_an_object_of_another_kind_or_of_nobody_is_refused() -> None:
    host = house()
    host.context.keep(Bell())
    assert "this one is of kind 'bell'" in failed(host, "house.off", {"@object": 1}).message
    for number in (0, -1, 2, 2**63 - 1):
        error = failed(host, "house.off", {"@object": number})
        assert (error.kind, error.field) == ("Validation", "lamp")


def test_a_run_keeps_so_many_objects_and_no_more() -> None:
    state = RunState()
    for _ in range(MAX_OBJECTS):
        state.keep(Lamp())
    with pytest.raises(BridgeError) as caught:
        state.keep(Lamp())
    assert caught.value.kind == "Limit"


def test_at_its_end_everything_is_closed_also_when_something_fails_to() -> None:
    state, lamp = RunState(), Lamp()
    state.keep(Bell())
    state.keep(lamp)
    other = state.value("key", Lamp)
    assert state.value("key", Lamp) is other
    state.value("plain", dict)
    with pytest.raises(ExceptionGroup, match="did not close"):
        asyncio.run(state.close())
    assert (lamp.closed, other.closed) == (1, 1)
    asyncio.run(state.close())
    assert lamp.closed == 1


def test_a_function_is_called_and_its_error_is_that_of_the_call() -> None:
    host = house()
    assert host.run(lambda: host.call("house.ask", {"@function": 1}, 0)) == {"content": "awake"}
    error = failed(house(), "house.ask", {"@function": 2})
    assert (error.kind, error.message, error.retryable) == ("RateLimit", "slow down", True)


def test_request_timeout_stands_still_while_functions_run_side_by_side() -> None:
    host = house(request_timeout=0.02)
    found = host.run(lambda: host.call("house.two_at_once", {"@function": 1}))
    assert found == ["awake", "awake"]


def test_what_cannot_cross_or_is_too_large_is_not_handed_to_a_function() -> None:
    host = house(max_response=100)

    async def kinds() -> list[str]:
        found: list[str] = []
        for value in (object(), "x" * 200):
            with pytest.raises(BridgeError) as caught:
                await host.context.invoke(ScriptFunction(1), value)
            found.append(caught.value.kind)
        return found

    assert host.run(kinds) == ["Conversion", "Limit"]


def test_without_a_script_there_is_nothing_to_call() -> None:
    host = Host(House(BridgeConfig()))
    assert failed(host, "house.ask", {"@function": 1}).kind == "Internal"
