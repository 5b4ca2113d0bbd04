"""The bridge `llm`: translates, checks, budgets, and lets litellm do the rest."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from msgspec import Meta

from .._clock import off_the_clock
from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, BridgeRegistry, End, method
from .._objects import BridgeObject
from ._config import LlmConfig
from ._types import (
    CompletionDelta,
    CompletionRequest,
    CompletionResponse,
    EmbedRequest,
    EmbedResponse,
    Message,
    ModelsResponse,
)
from .agents import (
    Agent,
    AgentAnswer,
    AgentOptions,
    Conversation,
    ConversationOptions,
    ParallelTask,
)
from .agents._tasks import together

if TYPE_CHECKING:
    from ..local import Endpoint, LocalModel
    from ..toolbox import Toolbox
    from ._cache import Cache
    from ._call import ModelCall
    from ._routing import Route
    from ._web import Web


MAX_PARALLEL: Final = 32
"""Agents that one call may set to work: each waits for one answer at a time."""


_UNNAMED: Final = ConversationOptions()


class LlmBridge(Bridge):
    """Language models: chat, streams, embeddings, agents."""

    name: ClassVar[str] = "llm"
    objects: ClassVar[tuple[type[BridgeObject], ...]] = (Agent, Conversation)
    config: ClassVar[type[BridgeConfig]] = LlmConfig

    def __init__(self, config: LlmConfig, local: LocalModel | None = None) -> None:
        """`local` stands in for the local model that the config describes."""
        self._config = config
        self._local = local
        self._web: Web | None = None
        self._cache: Cache | None = None
        if config.cache is not None:
            from ._cache import Cache

            self._cache = Cache(config.cache)

    def join(self, registry: BridgeRegistry) -> None:
        """The cache may compare questions by a model."""
        if self._cache is not None:
            self._cache.join(registry)

    def prefetch(self) -> None:
        """Begin litellm's import, which takes seconds, in the background."""
        from . import _library

        _library.prefetch()

    async def close(self) -> None:
        """Stop the local model's process and close the connections to providers."""
        if self._local is not None:
            await self._local.close()
        if self._web is not None:
            await self._web.aclose()
        from . import _library

        await _library.close()

    @method(effect="spend")
    async def complete(
        self, ctx: CallContext, request: str | CompletionRequest
    ) -> CompletionResponse:
        """Continue a conversation. A plain string is one user message."""
        call = await self._completion(ctx, request)

        def ask() -> Awaitable[CompletionResponse]:
            return call.attempts(lambda number: _complete(call, number))

        return await (ask() if self._cache is None else self._cache.answer(call, ask))

    @method(effect="spend")
    async def stream(
        self, ctx: CallContext, request: str | CompletionRequest
    ) -> AsyncIterator[CompletionDelta | End[CompletionResponse]]:
        """Continue a conversation, piece by piece; ends with the whole answer.

        A stream that has brought a piece is not repeated: the script has seen it.
        """
        from ._stream import Answer

        call = await self._completion(ctx, request)
        call.arguments.update(stream=True, stream_options={"include_usage": True})
        answer = await call.attempts(lambda number: Answer.open(call, number))
        async with contextlib.aclosing(answer.deltas()) as deltas:
            async for delta in deltas:
                yield delta
        yield End(await answer.finish())

    @method(effect="spend")
    async def embed(
        self, ctx: CallContext, request: str | list[str] | EmbedRequest
    ) -> EmbedResponse:
        """Turn texts into vectors. A plain string, or a list of them, is the input."""
        if not isinstance(request, EmbedRequest):
            request = EmbedRequest(input=request)
        call = await self._embedding(ctx, request)
        return await call.attempts(lambda number: _embed(call, number))

    @method(effect="read")
    async def agent(self, ctx: CallContext, options: AgentOptions) -> Agent:
        """Make an agent: a model with a task, tools, and other agents to turn to."""
        return await Agent.of(ctx, options, self, lambda: _toolbox(ctx))

    @method(effect="read")
    async def conversation(
        self, ctx: CallContext, options: ConversationOptions = _UNNAMED
    ) -> Conversation:
        """Begin a conversation, or go on with one that is kept by its name."""
        return await Conversation.of(ctx, options.name, self._config.conversations)

    @method(effect="spend")
    async def parallel(
        self,
        ctx: CallContext,
        tasks: Annotated[
            list[ParallelTask],
            Meta(min_length=1, max_length=MAX_PARALLEL, description="what each agent is asked"),
        ],
    ) -> list[AgentAnswer]:
        """Let several agents work at the same time; their answers, in the order of the tasks.

        The first that fails ends the others.
        """
        work = [
            (ctx.object(task.agent, Agent, f"tasks[{i}].agent"), task.input)
            for i, task in enumerate(tasks)
        ]
        with off_the_clock():
            return await together(agent.run_within(ctx, text) for agent, text in work)

    @method(effect="read")
    def models(self, ctx: CallContext) -> ModelsResponse:
        """Which models this spell may name, and which one answers when it names none."""
        from ._routing import models

        return models(self._config, ctx)

    async def _completion(self, ctx: CallContext, request: str | CompletionRequest) -> ModelCall:
        from . import _budget, _request, _routing

        if isinstance(request, str):
            request = CompletionRequest(prompt=request)
        found = _request.conversation(request)
        arguments = _request.options(request, self._config.extra_options)
        arguments["messages"] = _request.messages(found, ctx)
        beside = [arguments.get("tools"), arguments.get("response_format")]
        call = await self._call(ctx, request, arguments, _budget.estimate(found, beside))
        if call.route.provider == _routing.LOCAL:
            _request.refuse_images(found, call.route.name)
        call.arguments["max_tokens"] = call.bound.completion
        return call

    async def _embedding(self, ctx: CallContext, request: EmbedRequest) -> ModelCall:
        from . import _budget

        texts = [request.input] if isinstance(request.input, str) else request.input
        if not texts:
            raise BridgeError("Validation", "input: there is nothing to embed", field="input")
        arguments: dict[str, object] = {"input": texts}
        if request.dimensions is not None:
            # litellm knows which models of OpenAI take it, and refuses it for all others.
            arguments |= {"dimensions": request.dimensions, "allowed_openai_params": ["dimensions"]}
        prompt = _budget.estimate([Message(role="user", content=text) for text in texts])
        return await self._call(ctx, request, arguments, prompt)

    async def _call(
        self,
        ctx: CallContext,
        request: CompletionRequest | EmbedRequest,
        arguments: dict[str, object],
        prompt: int,
    ) -> ModelCall:
        # Here, not above: a run that calls no model loads none of this.
        from . import _budget
        from ._call import ModelCall

        litellm, route = await self._route(ctx, request)
        # In a thread: for some providers (ollama) litellm asks the server about the model.
        price = await asyncio.to_thread(_budget.price_of, route, litellm)
        asked = 0 if isinstance(request, EmbedRequest) else request.max_tokens
        timeout = min(request.timeout or route.timeout, ctx.call_timeout())
        where = {**route.options(), **self._client(route, timeout)}
        return ModelCall(
            ctx=ctx,
            litellm=litellm,
            route=route,
            arguments={**arguments, **where, "timeout": timeout},
            request=request,
            bound=_budget.bound(ctx, prompt, asked, price),
            timeout=timeout,
        )

    async def check_model(self, ctx: CallContext, request: CompletionRequest) -> None:
        """Raise `BridgeError` unless the model of `request` could be asked. It is not asked."""
        await self._route(ctx, request)

    async def _route(
        self, ctx: CallContext, request: CompletionRequest | EmbedRequest
    ) -> tuple[Any, Route]:
        from . import _library, _routing

        embed = isinstance(request, EmbedRequest)
        choice = _routing.choose(self._config, ctx, request, embed=embed)
        with off_the_clock():
            litellm = await _library.litellm()
        router = _routing.Router(self._config, self._endpoint)
        route = await router.route(choice, ctx.policy, litellm)
        ctx.note(route=route.name)
        ctx.touch(model=choice.model)
        return litellm, route

    async def _endpoint(self, model: str | None) -> Endpoint:
        if self._local is None:
            from ..local import LocalModel

            self._local = LocalModel(self._config.local)
        with off_the_clock():  # its start has a limit of its own
            return await self._local.endpoint(model)

    def _client(self, route: Route, timeout: float) -> dict[str, object]:
        """The bounded client, for an OpenAI-compatible server at an address that we were given."""
        if route.api_base is None or not route.model.startswith("openai/"):
            return {}
        from . import _web

        if self._web is None:
            self._web = _web.Web()
        return {"client": _web.client(self._web, route, timeout)}


def _toolbox(ctx: CallContext) -> Toolbox:
    """The tools of the run. Raises `BridgeError` where the spell may use none."""
    from ..tools import ToolsBridge

    return ctx.bridge("tools", ToolsBridge).toolbox(ctx)


async def _complete(call: ModelCall, number: int) -> CompletionResponse:
    from . import _response

    attempt = _response.Attempt(number, time.monotonic())
    with call.book() as held:
        raw = await call.within(call.litellm.acompletion(**call.arguments))
        found = _response.completion(raw, call.route, call.litellm, attempt, as_data=call.as_data)
        held.used(found.usage.prompt_tokens, found.usage.completion_tokens, found.cost)
    return found


async def _embed(call: ModelCall, number: int) -> EmbedResponse:
    from . import _response

    attempt = _response.Attempt(number, time.monotonic())
    with call.book() as held:
        raw = await call.within(call.litellm.aembedding(**call.arguments))
        found = _response.embeddings(raw, call.route, call.litellm, attempt)
        held.used(found.usage.prompt_tokens, found.usage.completion_tokens, found.cost)
    return found
