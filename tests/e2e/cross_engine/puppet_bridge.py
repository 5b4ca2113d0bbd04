"""A bridge that calls functions of scripts and gives them objects and answers that work as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec

from llmspell_bridges import (
    Bridge,
    BridgeConfig,
    BridgeError,
    BridgeObject,
    CallContext,
    End,
    ObjectHandle,
    ScriptError,
    ScriptFunction,
    TextAnswer,
    method,
)


class Story(TextAnswer, frozen=True, kw_only=True):
    """A text with its author."""

    author: str
    tags: list[str] = msgspec.field(default_factory=list)


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function with its name."""

    name: str
    run: ScriptFunction


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `carry_out` takes."""

    tools: list[Tool] = []
    by_name: dict[str, ScriptFunction] = {}
    last: ScriptFunction | None = None
    doll: ObjectHandle | None = None


class Doll(BridgeObject):
    """Counts what it is told."""

    name: ClassVar[str] = "doll"

    def __init__(self, called: str) -> None:
        self.called = called
        self.heard: list[str] = []
        self.closed = False

    @method
    async def tell(self, ctx: CallContext, words: str, reply: ScriptFunction | None = None) -> Any:
        """How often it was told something, or what `reply` says to that."""
        self.heard.append(words)
        return await ctx.invoke(reply, words) if reply else len(self.heard)

    @method
    def my_name(self, ctx: CallContext) -> str:
        """What it is called."""
        return self.called

    @method
    async def repeat_all(self, ctx: CallContext) -> AsyncIterator[str]:
        """What it was told."""
        for words in self.heard:
            yield words

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True


class Box(BridgeObject):
    """An object of another kind."""

    name: ClassVar[str] = "box"

    @method
    async def open(self, ctx: CallContext) -> str:
        """What is in it."""
        return "air"


class PuppetBridge(Bridge):
    """Calls what it is given."""

    name: ClassVar[str] = "puppet"
    objects: ClassVar[tuple[type[BridgeObject], ...]] = (Doll, Box)

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.dolls: list[Doll] = []

    @method
    async def call_with(self, ctx: CallContext, run: ScriptFunction, values: list[Any]) -> Any:
        """What a function returns for these arguments."""
        return await ctx.invoke(run, *values)

    @method
    async def carry_out(self, ctx: CallContext, plan: Plan) -> list[Any]:
        """What the functions of a plan return, in their order."""
        runs = [t.run for t in plan.tools] + list(plan.by_name.values())
        results = [await ctx.invoke(run, at) for at, run in enumerate(runs)]
        if plan.doll:
            results.append(ctx.object(plan.doll, Doll, "doll").called)
        return [*results, await ctx.invoke(plan.last)] if plan.last else results

    @method
    async def at_once(self, ctx: CallContext, runs: list[ScriptFunction]) -> list[Any]:
        """What functions return that are called at the same time."""
        return list(await asyncio.gather(*(ctx.invoke(run) for run in runs)))

    @method
    def at_most(self, ctx: CallContext, runs: list[ScriptFunction]) -> int:
        """How many functions there are; none is called."""
        return len(runs)

    @method
    async def first_of(self, ctx: CallContext, runs: list[ScriptFunction]) -> Any:
        """What the first of several functions returns; the others are not waited for."""
        tasks = [asyncio.create_task(ctx.invoke(run)) for run in runs]
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return done.pop().result()

    @method
    async def kind_of_failure(self, ctx: CallContext, run: ScriptFunction) -> list[str]:
        """Kind and message of the error that a function raises."""
        try:
            await ctx.invoke(run)
        except ScriptError as error:
            return [error.kind, error.message]
        return []

    @method
    async def count(
        self, ctx: CallContext, to: int, run: ScriptFunction
    ) -> AsyncIterator[Any | End[Story]]:
        """What a function returns for the numbers from 1, then a story."""
        for number in range(1, to + 1):
            yield await ctx.invoke(run, number)
        yield End(Story(content="the end", author="host"))

    @method
    async def invoke_number(self, ctx: CallContext, number: int) -> Any:
        """What the function of that number returns."""
        return await ctx.invoke(ScriptFunction(number), None)

    @method
    def doll(self, ctx: CallContext, called: str) -> Doll:
        """A new doll."""
        self.dolls.append(doll := Doll(called))
        return doll

    @method
    async def box(self, ctx: CallContext) -> Box | None:
        """A new box."""
        return Box()

    @method
    async def no_box(self, ctx: CallContext) -> Box | None:
        """None."""
        return None

    @method
    async def name_of(self, ctx: CallContext, doll: ObjectHandle) -> str:
        """What a doll is called."""
        return ctx.object(doll, Doll, "doll").called

    @method
    async def name_of_made(self, ctx: CallContext, make: ScriptFunction) -> str:
        """What a doll is called that a function returns."""
        handle = msgspec.convert(await ctx.invoke(make), ObjectHandle)
        return ctx.object(handle, Doll).called

    @method
    def story(self, ctx: CallContext, content: str) -> Story:
        """A text with fields."""
        return Story(content=content, author="host", tags=["a"])

    @method
    async def stories(self, ctx: CallContext, contents: list[str]) -> list[Story]:
        """Several of them."""
        return [Story(content=c, author="host") for c in contents]

    @method
    async def say(self, ctx: CallContext, value: Any) -> Any:
        """The same value; takes no functions."""
        return value

    @method
    def fail(self, ctx: CallContext) -> None:
        """An error with every field."""
        raise BridgeError("RateLimit", "slow down", retryable=True, retry_after=1.5, field="x")
