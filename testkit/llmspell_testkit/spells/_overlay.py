"""What one run sees of its supervisor's bridges: some watched, some answered by somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from llmspell_bridges import BoundMethod, Bridge, BridgeRegistry, CallContext
from llmspell_protocol import Call, WorkerMessage
from llmspell_supervisor import LogEntry, Policy, Spell, Supervisor
from llmspell_supervisor._budget import RunBudget
from llmspell_supervisor._run import Run


class Stood(BoundMethod):
    """A method that stands in the place of `method`, and is declared as it is."""

    def __init__(self, method: BoundMethod) -> None:
        self.__dict__.update(method.__dict__)
        self.method = method
        self.waits = True


class Overlay(BridgeRegistry):
    """A registry over another one."""

    def __init__(
        self,
        below: BridgeRegistry,
        bridges: Iterable[Bridge] = (),
        stand_in: Callable[[BoundMethod], BoundMethod] = lambda method: method,
    ) -> None:
        """`bridges` hide those of the same name below; `stand_in` gives what is called instead."""
        self._below = below
        self._stand_in = stand_in
        super().__init__(bridges)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all bridges, sorted."""
        return tuple(sorted({*super().names, *self._below.names}))

    @property
    def methods(self) -> tuple[BoundMethod, ...]:
        """Every method, sorted by name."""
        found = {method.name: method for method in self._below.methods}
        found.update((method.name, method) for method in super().methods)
        return tuple(found[name] for name in sorted(found))

    def get(self, name: str) -> BoundMethod | None:
        """The method called `bridge.method` exactly, or none."""
        found = super().get(name) or self._below.get(name)
        return None if found is None else self._stand_in(found)

    def granted(self, names: Iterable[str]) -> dict[str, Bridge]:
        """The bridges `names`, by name; others are skipped."""
        wanted = tuple(names)
        return {**self._below.granted(wanted), **super().granted(wanted)}

    def bridge(self, name: str) -> Bridge | None:
        """The bridge called `name`, or none."""
        return super().bridge(name) or self._below.bridge(name)


class Stage(Struct, frozen=True, kw_only=True):
    """Where one run takes place."""

    registry: Callable[[BridgeRegistry], BridgeRegistry] = lambda below: below
    """From the supervisor's bridges to those of the run."""
    env: Mapping[str, str] | None = None
    """What it finds in its environment; None: what its policy grants it of ours."""
    model: str | None = None
    """The model that answers, whatever is asked; None: the supervisor's."""
    identity: str | None = None
    """Whose state is what it keeps; None: its file's."""
    budget: type[RunBudget] | None = None
    """What counts its calls; None: the supervisor's."""
    on_call: Callable[[Call], None] = lambda _: None
    """Told of each call as it arrives, in the order in which the script makes them."""
    on_log: Callable[[LogEntry], None] | None = None
    """Told of what it writes, as it comes; None: the supervisor's."""


class StagedSpell(Spell, frozen=True):
    """A spell and the stage of its run."""

    stage: Stage = Stage()


def staged(spell: Spell, stage: Stage) -> StagedSpell:
    """`spell`, to be run on `stage` by a `StagedSupervisor`."""
    return StagedSpell(spell.name, spell.source, spell.engine, spell.path, stage)


class StagedRun(Run):
    """A run on its stage."""

    def __init__(
        self,
        spell: Spell,
        params: bytes,
        policy: Policy,
        registry: BridgeRegistry,
        *,
        env: Mapping[str, str],
        model: str | None,
        on_log: Callable[[LogEntry], None] | None,
        **others: Any,
    ) -> None:
        stage = spell.stage if isinstance(spell, StagedSpell) else Stage()
        super().__init__(
            spell,
            params,
            policy,
            stage.registry(registry),
            env=env if stage.env is None else stage.env,
            model=model if stage.model is None else stage.model,
            on_log=on_log if stage.on_log is None else stage.on_log,
            **others,
        )
        self._stage = stage
        if stage.budget is not None:
            self._budget = stage.budget(policy, self._usage)

    def _context(self) -> CallContext:
        context = super()._context()
        identity = self._stage.identity
        return context if identity is None else replace(context, identity=identity)

    def _handle(self, message: WorkerMessage) -> None:
        if isinstance(message, Call):
            self._stage.on_call(message)
        super()._handle(message)


class StagedSupervisor(Supervisor):
    """A supervisor whose runs have stages."""

    _run_type = StagedRun
