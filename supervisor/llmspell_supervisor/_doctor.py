"""What this host offers, before the first run: every layer, every engine, and the remedy."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import msgspec

from llmspell_protocol.control import MAX_PACKET

from . import _launch
from ._cgroups import Cgroups
from ._errors import SupervisorError
from ._policy import Policy
from ._pool import NO_POOL
from ._spell import SUFFIXES, Spell
from ._supervisor import Supervisor

PROBE_TIMEOUT: Final = 20.0
"""Seconds for the scratch process, which takes about 0.2."""
_SPELL: Final = "return 6 * 7"
"""A spell in both languages."""


class LayerState(msgspec.Struct, frozen=True):
    """One layer of containment, or one engine, as this host has it."""

    name: str
    state: Literal["on", "off", "degraded"]
    detail: str
    """What is on, or why it is not."""
    remedy: str = ""
    """How to get what is off."""
    attacks: tuple[str, ...] = ()
    """Ids of the attacks that meet one wall less without it; see docs/attacks.md."""


async def diagnose() -> list[LayerState]:
    """Try everything for real: the layers in a scratch process, then a spell in each engine.

    Raises `SupervisorError` when the scratch process itself could not run.
    """
    layers = await asyncio.to_thread(_probe)
    layers.append(_cgroups())
    engines = dict.fromkeys(SUFFIXES.values())
    return [*layers, *[await _engine(name) for name in engines]]


def _probe() -> list[LayerState]:
    try:
        launched = _launch.spawn("llmspell_workers.probe")
    except OSError as error:
        raise SupervisorError(f"the probe of this host was not started: {error}") from None
    try:
        launched.control.settimeout(PROBE_TIMEOUT)
        data = launched.control.recv(MAX_PACKET)
        words = launched.last_words()
    except TimeoutError:
        data, words = b"", f"nothing within {PROBE_TIMEOUT:g} s"
    finally:
        launched.stop()
    if not data:
        raise SupervisorError(f"the probe of this host did not answer: {words}")
    return msgspec.msgpack.decode(data, type=list[LayerState])


def _cgroups() -> LayerState:
    try:
        groups = Cgroups()
    except OSError as error:
        return LayerState("cgroup", "off", f"it could not be looked for: {error.strerror}")
    try:
        if groups.state:
            return LayerState("cgroup", "on", groups.state)
    finally:
        groups.close()
    return LayerState(
        "cgroup",
        "degraded",
        "no control group is delegated to this user; rlimits hold memory and processes",
        "run as root, or below 'systemd-run --user --scope -p Delegate=yes'",
    )


async def _engine(name: str) -> LayerState:
    """Run a spell with all layers: the proof that the parts work together."""
    try:
        async with Supervisor(pool=NO_POOL) as supervisor:
            report = await supervisor.run(Spell.from_text(_SPELL, name), policy=Policy(timeout=20))
    except SupervisorError as error:
        return LayerState(f"engine {name}", "off", error.message, error.hint)
    if report.value == 6 * 7:
        return LayerState(f"engine {name}", "on", "ran a spell with every layer on")
    reason = report.problem.message if report.problem else f"it returned {report.value!r}"
    return LayerState(f"engine {name}", "off", reason)
