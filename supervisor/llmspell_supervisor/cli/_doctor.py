"""`doctor`: which layers of containment this machine offers, and how to get the others."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import msgspec

from .._doctor import LayerState, diagnose
from .._text import escape_line
from .._verdict import EXIT_CODES
from ._console import Console


def doctor(arguments: SimpleNamespace) -> int:
    """Run the command `doctor`: 0 when spells run here with every layer, 1 when one is off."""
    layers = _with_losses(asyncio.run(diagnose()))
    console = Console()
    if arguments.json:
        console.document(msgspec.to_builtins(layers))
    else:
        for line in _lines(layers):
            console.out(escape_line(line))
    missing = any(layer.state == "off" for layer in layers)
    return EXIT_CODES["script_error"] if missing else 0


def _with_losses(layers: Sequence[LayerState]) -> list[LayerState]:
    """What is off, with the attacks that it would stop."""
    off = [layer.name for layer in layers if layer.state != "on"]
    if not off:
        return list(layers)
    # By name: the trusted core does not depend on what attacks it.
    lost = importlib.import_module("llmspell_harness._losses").losses(off)
    return [
        msgspec.structs.replace(layer, attacks=tuple(lost.get(layer.name, ()))) for layer in layers
    ]


def _lines(layers: Sequence[LayerState]) -> Iterator[str]:
    width = max(len(layer.name) for layer in layers)
    for layer in layers:
        yield f"{layer.name:<{width}}  {layer.state:<8}  {layer.detail}"
        if layer.remedy and layer.state != "on":
            yield f"{'':<{width}}  {'':<8}  to get it: {layer.remedy}"
        if layer.attacks:
            yield f"{'':<{width}}  {'':<8}  one wall less against: {', '.join(layer.attacks)}"
    missing = [layer.name for layer in layers if layer.state == "off"]
    yield ""
    if missing:
        yield f"missing: {', '.join(missing)}; run --isolation degraded does without layers"
    else:
        yield "spells run here with every layer that is needed"
