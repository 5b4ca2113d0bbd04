"""The whole suite: which trials there are, and their run, one stage after the other.

A trial has a purpose: `held` is the attack against every layer; `wall` leaves out all walls that
the attack names but one, which must stop it alone; `control` leaves out all of them, and the attack
must succeed, or it would prove nothing; `ablation` leaves out one layer, whether named or not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Final

import msgspec

from . import hosts, native, peers
from ._attack import BOTH, HOSTS, NATIVE, PEERS, Host, Native, Peer
from ._canaries import Canaries
from ._scripts import scripts
from ._stage import Attack, Stage
from ._trial import Purpose, Trial

ORDER: Final[tuple[Purpose, ...]] = ("held", "wall", "control", "ablation")


class Planned(msgspec.Struct, frozen=True):
    """One trial to come."""

    attack: Attack | Host
    engine: str
    purpose: Purpose
    skip: frozenset[str] = frozenset()
    alone: str = ""

    @property
    def early(self) -> str:
        """The peer that takes the place of its zygote's self-tests, if it is one."""
        return self.attack.key if isinstance(self.attack, Peer) and self.attack.early else ""


def declared() -> list[tuple[Attack | Host, str]]:
    """Every attack, with each engine that it is made for."""
    native.load()
    peers.load()
    hosts.load()
    found: list[tuple[Attack | Host, str]] = [(s, s.engine) for s in scripts()]
    found += [(a, engine) for a in NATIVE.values() for engine in a.engines]
    found += [(a, engine) for a in PEERS.values() for engine in BOTH]
    found += [(a, engine) for a in HOSTS.values() for engine in a.engines]
    return found


def plan_held(chosen: Iterable[tuple[Attack | Host, str]]) -> list[Planned]:
    """Every attack against every layer."""
    return [Planned(attack, engine, "held") for attack, engine in chosen]


def plan_walls(
    chosen: Iterable[tuple[Attack | Host, str]], *, root: bool, layers: frozenset[str]
) -> list[Planned]:
    """Each wall of each native attack alone, and none of them. The clock is a wall, too.

    `layers` are those that are on here: what this host does not offer cannot be tried.
    """
    plan = []
    for attack, engine in chosen:
        if not isinstance(attack, Native):
            continue
        walls = frozenset(attack.walls)
        plan += [
            Planned(attack, engine, "wall", walls - {w}, w) for w in attack.walls if w in layers
        ]
        if attack.ends_by:
            plan.append(Planned(attack, engine, "wall", walls, attack.ends_by))
        if not attack.uncontrolled and (root or not attack.needs_root):
            plan.append(Planned(attack, engine, "control", walls))
    return plan


def plan_ablation(
    chosen: Iterable[tuple[Attack | Host, str]], layers: Iterable[str]
) -> list[Planned]:
    """Each native attack, once without each layer."""
    attacks = [(a, engine) for a, engine in chosen if isinstance(a, Native)]
    return [
        Planned(attack, engine, "ablation", frozenset({layer}))
        for layer in layers
        for attack, engine in attacks
    ]


async def carry_out(
    plan: list[Planned], canaries: Canaries, *, isolation: str, on_trial: Callable[[Trial], None]
) -> list[Trial]:
    """Run a plan: one stage for all trials that lack the same layers. The trials in plan order."""
    trials: dict[int, Trial] = {}
    for group in _groups(plan):
        _, first = group[0]
        stage = Stage(canaries, skip=first.skip, early=first.early, isolation=isolation)
        async with stage:
            async for index, trial in _play(stage, group):
                trials[index] = trial
                on_trial(trial)
    return [trials[index] for index in sorted(trials)]


async def _play(stage: Stage, group: list[tuple[int, Planned]]) -> AsyncIterator[tuple[int, Trial]]:
    for index, planned in group:
        if isinstance(planned.attack, Host):
            trial = await stage.arrange(planned.attack, planned.engine)
        else:
            trial = await stage.cast(planned.attack, planned.engine)
        yield index, msgspec.structs.replace(trial, purpose=planned.purpose, alone=planned.alone)


def _groups(plan: list[Planned]) -> Iterator[list[tuple[int, Planned]]]:
    """Trials that can share a stage, in the order in which the first of each was planned."""
    groups: dict[tuple[object, ...], list[tuple[int, Planned]]] = {}
    for index, planned in enumerate(plan):
        # An engine at a time: then no zygote waits for the other's trials.
        key = (planned.skip, planned.early, planned.engine, isinstance(planned.attack, Host))
        groups.setdefault(key, []).append((index, planned))
    yield from groups.values()


async def layers_of_this_host(canaries: Canaries, engine: str, isolation: str) -> dict[str, str]:
    """Every layer of a worker here, and its state: `on: ...` or `off: ...`."""
    async with Stage(canaries, isolation=isolation) as stage:
        report = await stage.run("return 1", engine)
    return report.layers
