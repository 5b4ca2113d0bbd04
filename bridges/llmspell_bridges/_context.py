"""What a bridge method is told about the run that calls it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct, field

from llmspell_protocol import ObjectHandle, ScriptFunction, ValueRejected, pack

from ._clock import off_the_clock
from ._effects import Effect, describe_call
from ._errors import BridgeError
from ._objects import BridgeObject, RunState

T = TypeVar("T")
B = TypeVar("B")
Kept = TypeVar("Kept", bound=BridgeObject)


MAX_TOUCHED: Final = 256
"""Texts of one kind that a call is said to have made use of: a search looks into 200 files."""


class PolicyView(Protocol):
    """The part of a run's policy that bridges enforce. Sizes are bytes, times seconds."""

    @property
    def request_timeout(self) -> float:
        """Time of one call; of one wait for the next chunk, when the call is a stream."""

    @property
    def max_request(self) -> int:
        """Bytes of the arguments of one call."""

    @property
    def max_concurrent(self) -> int:
        """Calls that may be open at once."""

    @property
    def max_response(self) -> int:
        """Bytes of one answer, or of one stream in all."""

    @property
    def allow_domain(self) -> tuple[str, ...]:
        """Hosts that a bridge may reach for the spell."""

    @property
    def allow_read(self) -> tuple[str, ...]:
        """Directories that the spell may read."""

    @property
    def allow_write(self) -> tuple[str, ...]:
        """Directories that the spell may write."""

    @property
    def allow_models(self) -> tuple[str, ...]:
        """Patterns of models that the spell may use; an empty tuple allows none."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Directories whose spells the spell may require; the first that has one gives it."""

    @property
    def require_tls(self) -> bool:
        """Whether plain HTTP is refused to anything but this machine."""


class Reservation(Protocol):
    """A share of the budget that one call holds until it is settled. Settle exactly once."""

    def settle(
        self, *, prompt_tokens: int = 0, completion_tokens: int = 0, cost: float = 0.0
    ) -> None:
        """Give back what was reserved and book what was used: nothing, without arguments.

        Raises `BudgetExceeded` if more was used than the run had left.
        """


class Budget(Protocol):
    """What the run may still spend. The supervisor implements it; calls are atomic (no await)."""

    @property
    def tokens_left(self) -> int:
        """Tokens that are neither used nor reserved."""

    @property
    def cost_left(self) -> float:
        """US dollars that are neither used nor reserved."""

    def reserve(self, *, tokens: int = 0, cost: float = 0.0) -> Reservation:
        """Set an upper bound aside before a call is made. Raises `BudgetExceeded`."""


class Script(Protocol):
    """The script of the run, which the supervisor can call."""

    async def invoke(self, function: int, args: bytes) -> bytes:
        """Call one of its functions. Takes and returns msgpack: a list of arguments, one value.

        Raises `ScriptError` when the function fails, and when the run is over.
        """


class Calls(Protocol):
    """Who counts the calls of the run and keeps their records: the supervisor."""

    async def nested(
        self,
        ctx: CallContext,
        method: str,
        arguments: tuple[Any, ...],
        work: Callable[[CallContext], Awaitable[T]],
    ) -> T:
        """See `CallContext.nested`; `ctx` is that of the call that makes it."""


class CallContext(Struct, frozen=True, kw_only=True):
    """One call's view of its run. Every bridge method gets it as its first parameter."""

    run_id: str
    spell: str
    """How errors and logs name the spell."""
    identity: str
    """What its kept state belongs to: the spell's file, or its name where it came as text."""
    deadline: float
    """When the run's wall time is over, on `time.monotonic()`."""
    policy: PolicyView
    budget: Budget
    engine: str = ""
    """Which engine runs the spell."""
    model: str | None = None
    """The operator's `--model`: stands above whatever the spell names."""
    calls: Calls | None = None
    """What `nested` tells; none where nobody counts, as when a bridge is used by itself."""
    number: str = ""
    """Of the call: `3`, or `3.1` for the first that was made within it."""
    script: Script | None = None
    """What `invoke` calls; none where there is no script, as when a bridge is used by itself."""
    run: RunState = field(default_factory=RunState)
    """What bridges keep for the run; closed at its end."""
    bridges: Mapping[str, Any] = {}
    """The bridges that the spell is granted, by name."""

    detail: dict[str, Any] = field(default_factory=dict)
    """What `note` and `touch` have gathered of this call."""

    dry_run: bool = False
    """Nothing may be written, sent or spent: a method that would `plan`s it, and answers as if."""
    planned: list[tuple[Effect, str]] = field(default_factory=list)
    """What `plan` has listed of this call."""
    hidden: tuple[str, ...] = ()
    """Texts that no description of a plan may show, such as values of granted variables."""

    async def invoke(self, function: ScriptFunction, *values: Any) -> Any:
        """Call a function of the script and await its value; `request_timeout` stands still.

        Structs become maps. Legal while a call of the run is open, such as the one that handed the
        function over. Raises `ScriptError` when the function fails; `BridgeError` Conversion for
        values that cannot cross, Limit for more than `max_response` bytes of them.
        """
        if self.script is None:
            raise BridgeError("Internal", "there is no script whose function could be called")
        try:
            args = pack(msgspec.to_builtins(list(values), builtin_types=(bytes,)))
        except (ValueRejected, TypeError, ValueError) as error:
            message = f"the arguments cannot be handed to a function of the script: {error}"
            raise BridgeError("Conversion", message) from error
        if len(args) > self.policy.max_response:
            message = (
                f"{len(args)} bytes of arguments for a function of the script; the limit is"
                f" {self.policy.max_response} (max_response)"
            )
            raise BridgeError("Limit", message)
        with off_the_clock():
            return msgspec.msgpack.decode(await self.script.invoke(function.number, args))

    async def nested(
        self, method: str, *arguments: Any, work: Callable[[CallContext], Awaitable[T]]
    ) -> T:
        """Do on the host what a script could have called `method` for; gives what `work` gives.

        For what this call makes others do, by itself or because a model says so: it counts for
        `max_calls` and has a record of its own in the audit log. `work` gets the context of the
        nested call. Raises `BudgetExceeded`, without `work` being called, when the run has no call
        left.
        """
        if self.calls is None:
            return await work(self)
        return await self.calls.nested(self, method, arguments, work)

    def keep(self, item: BridgeObject) -> int:
        """The number by which the script knows `item`, which lives until the end of the run.

        Not needed for what a method returns. Raises `BridgeError` Limit when there are too many.
        """
        return self.run.keep(item)

    def object(self, handle: ObjectHandle, kind: type[Kept], field: str | None = None) -> Kept:
        """The object that a script handed over, which must be a `kind`.

        Raises `BridgeError` Validation that names `field`, the parameter that took it.
        """
        return self.run.find(handle.number, kind, field)

    def state(self, key: Any, factory: Callable[[], T]) -> T:
        """One value for each run and key, made when first asked for.

        If it has an async `close`, that is awaited at the end of the run.
        """
        return self.run.value(key, factory)

    def bridge(self, name: str, kind: type[B]) -> B:
        """Another bridge, for what the spell asks of this one.

        Raises `BridgeError` of kind `Policy` if the spell is not granted it.
        """
        found = self.bridges.get(name)
        if not isinstance(found, kind):
            message = f"the bridge {name} is not granted to this spell: --allow-bridge {name}"
            raise BridgeError("Policy", message)
        self.touch(bridge=name)
        return found

    def plan(self, effect: Effect, description: str) -> None:
        """List what this call does not do because the run is dry; for methods that `vary`.

        `description` is one short line without secrets, such as `POST https://api.example.com`.
        """
        self.planned.append((effect, description))

    def plan_call(self, effect: Effect, method: str, arguments: Mapping[str, Any]) -> None:
        """List a call of another method that would be made; its arguments are shortened and masked."""
        names = sorted(arguments)
        values = [arguments[name] for name in names]
        self.plan(effect, describe_call(method, names, values, self.hidden))

    def note(self, **facts: str | float | bool | None) -> None:
        """Add facts about this call to its record in the audit log, such as `domain="a.example"`.

        Names and texts are kept in the log for good: never a secret, and of an address only the
        host. Of a fact that is noted again the last is kept; see `touch` for those that add up.
        """
        self.detail.update(facts)

    def touch(self, **used: str) -> None:
        """Add to what this call made use of, for the audit log and for whoever learns what it needed.

        `model`, `domain`, `read`, `write` (a path), `library` (a folder) and `bridge`, as a policy
        would grant them, are what a run is said to have needed. Each of several is kept, up to
        `MAX_TOUCHED` of a kind. What a text may be, `note` says.
        """
        for name, text in used.items():
            found = self.detail.setdefault(name, text)
            if found == text:
                continue
            texts = self.detail[name] = found if isinstance(found, list) else [found]
            if text not in texts and len(texts) < MAX_TOUCHED:
                texts.append(text)

    def time_left(self) -> float:
        """Seconds that the run still has; negative when it is over."""
        return self.deadline - time.monotonic()

    def call_timeout(self) -> float:
        """Seconds that this call may take at most: never past the run's own deadline."""
        return max(0.0, min(self.policy.request_timeout, self.time_left()))
