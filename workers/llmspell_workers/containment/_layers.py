"""The record of what holds a worker, layer by layer, and the refusal to run without one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable


class LayerMissing(Exception):
    """The host refuses a layer, or the layer did not pass its proof. Nothing has run."""

    def __init__(self, layer: str, reason: str, remedy: str = "") -> None:
        super().__init__(layer, reason, remedy)
        self.layer = layer
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"isolation layer {self.layer!r} is missing: {self.reason}"
        return f"{text}; {self.remedy}" if self.remedy else text


class LayerState(Struct, frozen=True):
    """One layer as it was found."""

    name: str
    state: Literal["on", "off"]
    detail: str
    """What is on, or why it is off."""
    remedy: str = ""
    """How to get a layer that is off."""


class Layers:
    """The layers in the order in which they were applied.

    `strict` turns a layer that the host refuses into `LayerMissing`; otherwise it is recorded.
    `skip` exists for the ablation tests: the named layers are left out and recorded as off. No
    policy, flag or message leads here.
    """

    def __init__(self, *, strict: bool = True, skip: frozenset[str] = frozenset()) -> None:
        self.strict = strict
        self.skip = skip
        self._states: dict[str, LayerState] = {}

    def on(self, name: str, detail: str) -> None:
        """Record a layer that is applied and proved."""
        self._states[name] = LayerState(name, "on", detail)

    def off(self, name: str, reason: str, remedy: str = "") -> None:
        """Record a layer that every run should have. Raises `LayerMissing` when strict."""
        if self.strict:
            raise LayerMissing(name, reason, remedy)
        self.absent(name, reason, remedy)

    def absent(self, name: str, reason: str, remedy: str = "") -> None:
        """Record a layer that is welcome where the host has it; strict runs do without."""
        self._states[name] = LayerState(name, "off", reason, remedy)

    def without(self, name: str, needed: str) -> None:
        """Record a layer that cannot be had because one that it needs is off.

        It never raises: where strict, the layer that is needed has ended the run already.
        """
        self.absent(name, f"needs {needed}", f"see {needed}")

    def attempt(
        self, name: str, step: Callable[[], str], remedy: str = "", *, optional: bool = False
    ) -> bool:
        """Apply one layer: `step` returns its detail, or raises `OSError`. True if it is on."""
        if name in self.skip:
            self.absent(name, "left out by a test")
            return False
        try:
            detail = step()
        except OSError as error:
            record = self.absent if optional else self.off
            record(name, error.strerror or str(error), remedy)
            return False
        self.on(name, detail)
        return True

    def require(self, name: str, step: Callable[[], str]) -> None:
        """Apply a layer that any Linux offers: its failure ends even a degraded run."""
        if not self.attempt(name, step) and name not in self.skip:
            state = self._states[name]
            raise LayerMissing(name, state.detail)

    def has(self, name: str) -> bool:
        """Whether the layer is on."""
        return name in self._states and self._states[name].state == "on"

    def states(self) -> list[LayerState]:
        """The layers in order."""
        return list(self._states.values())

    def as_dict(self, first: int = 0) -> dict[str, str]:
        """Layer to `on: ...` or `off: ...`, in order, as the run report shows them.

        Without the `first` of them, which are those of the zygote.
        """
        states = itertools.islice(self._states.values(), first, None)
        return {s.name: f"{s.state}: {s.detail}" for s in states}
