"""The calls of one run: policy, budget, the bridge's method, the answer. Exactly one answer each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmspell_bridges import BridgeError, BudgetExceeded, CallContext
from llmspell_protocol import Call, Chunk, ErrorInfo, Fault, Reply, ValueRejected
from msgspec import Raw

from . import _ending

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from llmspell_bridges import BridgeRegistry, Stream
    from llmspell_protocol import Connection

    from ._budget import RunBudget
    from ._channel import Channel
    from ._ending import Ending
    from ._policy import Policy

_NULL = b"\xc0"  # msgpack's nil
_log = logging.getLogger(__name__)


class Calls:
    """Serves what the script of one run asks for, until the run has ended."""

    def __init__(
        self,
        policy: Policy,
        budget: RunBudget,
        registry: BridgeRegistry,
        connection: Connection,
        channel: Channel,
        end: Callable[[Ending], None],
        activity: Callable[[str], None],
    ) -> None:
        self.context: CallContext
        """Set when the clocks start, before the first call."""
        self._policy = policy
        self._budget = budget
        self._registry = registry
        self._connection = connection
        self._channel = channel
        self._end = end
        self._activity = activity
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credit: dict[int, asyncio.Event] = {}
        self._closed: set[int] = set()

    def open(self, call: Call) -> None:
        """Begin to serve a call, if the policy has one left."""
        if not self._budget.count_call(call.method):
            self._end(_ending.call_limit(self._policy))
            return
        if call.credit:
            self._credit[call.id] = asyncio.Event()
        self._spawn(call.id, self._serve(call))

    def credit(self, call: int) -> None:
        """The script has read chunks of a stream: there may be room for more."""
        if call in self._credit:
            self._credit[call].set()

    def close(self, call: int) -> None:
        """The script wants no more of a stream; its end is still answered."""
        if call in self._credit and call in self._tasks:
            self._closed.add(call)
            self._tasks[call].cancel()

    async def cancel(self) -> None:
        """Stop everything that is under way and wait until it has stopped."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, call: int, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[call] = task
        task.add_done_callback(lambda _: self._tasks.pop(call, None))

    async def _serve(self, call: Call) -> None:
        self._activity(call.method)
        answer = await self._answer(call)
        if answer is None:
            return
        self._credit.pop(call.id, None)
        self._closed.discard(call.id)
        try:
            await self._channel.send(answer)
        except ValueRejected as error:
            refused = ErrorInfo("Limit", f"{call.method}: the answer is too large: {error.reason}")
            await self._channel.send(Fault(call.id, refused))
        self._activity("running")

    async def _answer(self, call: Call) -> Reply | Fault | None:
        """What to tell the script; nothing when the run ends over it."""
        try:
            return Reply(call.id, Raw(await self._perform(call)))
        except BudgetExceeded as error:
            self._end(_ending.cost_limit(self._policy, error))
            return None
        except BridgeError as error:
            if error.kind == "Internal":
                _log.warning("%s", error, exc_info=error)
            return Fault(call.id, error.info())
        except asyncio.CancelledError:
            if call.id not in self._closed:
                raise
            return Reply(call.id, Raw(_NULL))

    async def _perform(self, call: Call) -> bytes:
        bridge = call.method.partition(".")[0]
        method = self._registry.get(call.method)
        if method is None or bridge not in self._policy.allow_bridges:
            raise BridgeError("Policy", f"{call.method} is not granted to this spell")
        if len(call.args) > self._policy.max_request:
            raise BridgeError("Limit", f"{call.method}: the arguments are over max_request")
        if method.kind == "call":
            return await method.call(self.context, call.args)
        if not call.credit:
            raise BridgeError("Validation", f"{call.method} is a stream: ask for chunks")
        return await self._forward(call.id, method.stream(self.context, call.args))

    async def _forward(self, call: int, stream: Stream) -> bytes:
        """Hand over chunk after chunk, never more than the script has room for."""
        room = self._credit[call]
        try:
            async for chunk in stream:
                while not self._connection.credit(call):
                    room.clear()
                    await room.wait()
                await self._channel.send(Chunk(call, Raw(chunk)))
        finally:
            await stream.aclose()
        return stream.closing
