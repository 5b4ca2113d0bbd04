"""What may go wrong, how often, and when."""

from __future__ import annotations

import random
from typing import Final, Literal, get_args

from msgspec import Struct

Fault = Literal["latency", "errors", "cuts", "kills", "zygote_kills", "full_disks", "clock_jumps"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)


class Plan(Struct, frozen=True, kw_only=True):
    """How often each fault strikes a call: shares from 0 to 1. Raises `ValueError` for others."""

    seed: int = 0
    latency: float = 0.0
    """The call begins late."""
    errors: float = 0.0
    """The call fails before the bridge has done anything."""
    cuts: float = 0.0
    """The bridge does it, and the answer is lost; of a stream, the rest of it."""
    kills: float = 0.0
    """The worker is killed while the bridge is at work."""
    zygote_kills: float = 0.0
    """The zygote is, with all of its workers."""
    full_disks: float = 0.0
    """The audit log cannot be written: half of a record, then nothing."""
    clock_jumps: float = 0.0
    """The wall clock jumps a day ahead, or back."""
    most_latency: float = 0.02
    """Seconds that a call begins late at most."""

    def __post_init__(self) -> None:
        for fault in FAULTS:
            share = getattr(self, fault)
            if not 0 <= share <= 1:
                raise ValueError(f"{fault}: must be a share from 0 to 1, not {share}")

    def strikes(self, fault: Fault, run: str, call: int) -> bool:
        """Whether a fault strikes a call of a run; both count from 1."""
        share: float = getattr(self, fault)
        return self._dice(fault, run, call).random() < share

    def amount(self, fault: Fault, run: str, call: int) -> float:
        """How much of it, from 0 to 1, if it strikes."""
        dice = self._dice(fault, run, call)
        dice.random()
        return dice.random()

    def _dice(self, fault: Fault, run: str, call: int) -> random.Random:
        return random.Random(f"{self.seed} {fault} {run} {call}")  # noqa: S311 - to be repeated
