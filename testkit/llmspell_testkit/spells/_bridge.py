"""What a test may ask of its host: the bridge `testkit`, one instance for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta, Struct

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method, off_the_clock

if TYPE_CHECKING:
    from ._trial import Trial


class Declared(Struct, frozen=True, forbid_unknown_fields=True):
    """A test that a file declares."""

    name: str
    skipped: bool
    place: str
    """A stack in which the file is."""


class RunRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a test wants of a run."""

    spell: str | None = None
    """A path, relative to the test's file."""
    params: dict[str, Any] = {}
    env: dict[str, str] = {}
    answers: list[Any] = []
    fakes: dict[str, list[Any]] = {}
    timeout: float | None = None
    """Seconds; never more than the operator gives."""
    clock: float | None = None
    """Seconds since 1970 when it begins; goes on by a millisecond each time it is read."""
    seed: int | None = None
    """Where its chances begin."""
    speed: Annotated[float, Meta(ge=1, le=1_000_000)] = 1.0
    """How many times faster than real ones its sleeps and timers are over."""

    @property
    def fixed(self) -> bool:
        """Whether it is to have a clock and chances of its own."""
        return self.clock is not None or self.seed is not None or self.speed != 1


class Failed(Struct, frozen=True, forbid_unknown_fields=True):
    """An expectation that did not hold."""

    message: str
    compared: bool = False
    expected: Any = None
    actual: Any = None


class Found(Struct, frozen=True):
    """What a value is beside its snapshot."""

    held: bool
    missing: bool = False
    message: str = ""
    expected: Any = None


class TestBridge(Bridge):
    """Lets a test run spells and say what it found. For tests only: `llmspell-supervisor test`."""

    name: ClassVar[str] = "testkit"

    def __init__(self, config: BridgeConfig, trial: Trial | None = None) -> None:
        """Without a `trial` it only declares what there is."""
        super().__init__(config)
        self._trial = trial

    @method
    async def collected(self, ctx: CallContext, tests: list[Declared]) -> None:  # noqa: ARG002
        """Say which tests the file declares."""
        self._of().declared = tests

    @method
    async def run_spell(self, ctx: CallContext, request: RunRequest) -> dict[str, Any]:  # noqa: ARG002
        """Run a spell in a worker of its own, and say what came of it."""
        with off_the_clock():  # the spell has limits of its own
            return await self._of().run(request)

    @method
    async def requests(self, ctx: CallContext) -> list[Any]:  # noqa: ARG002
        """What models have been sent in this test."""
        return self._of().requests()

    @method
    async def snapshot(self, ctx: CallContext, key: str, value: Any = None) -> Found:  # noqa: ARG002
        """Compare a value with the one that is kept."""
        return self._of().snapshot(key, value)

    @method
    async def failed(self, ctx: CallContext, details: Failed) -> None:  # noqa: ARG002
        """Say which expectation did not hold, before the test fails of it."""
        self._of().failed = details

    def _of(self) -> Trial:
        assert self._trial is not None  # a run's own bridges hide the one that only declares
        return self._trial
