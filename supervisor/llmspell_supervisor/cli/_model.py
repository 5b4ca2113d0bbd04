"""`model`: list, install or remove local models."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from llmspell_bridges import local

from .._errors import SupervisorError
from .._text import escape_line
from .._units import format_size
from ._console import Console


def model(arguments: SimpleNamespace) -> int:
    """Run the command `model`. Raises `SupervisorError` with the remedy."""
    console = Console()
    try:
        return _ACTIONS[arguments.action](arguments, console)
    except local.ModelStoreError as error:
        raise SupervisorError(error.message, error.hint) from None


def _list(arguments: SimpleNamespace, console: Console) -> int:
    models = local.list_models()
    if arguments.json:
        console.document([_entry(info) for info in models])
        return 0
    for info in models:
        state = f"installed: {info.path}" if info.path else "not installed"
        console.out(escape_line(f"{info.name:<12} {format_size(info.size):>9}  {state}"))
        console.out(escape_line(f"{'':<12} {info.description} ({info.licence})"))
    return 0


def _entry(info: local.ModelInfo) -> dict[str, Any]:
    return {**msgspec.structs.asdict(info), "path": str(info.path) if info.path else None}


def _install(arguments: SimpleNamespace, console: Console) -> int:
    def tell(step: str) -> None:
        console.err(escape_line(step))

    name = arguments.name
    info = local.install(name, progress=tell) if name else local.install(progress=tell)
    console.out(escape_line(f"{info.name}: {info.path}"))
    return 0


def _remove(arguments: SimpleNamespace, console: Console) -> int:
    info = local.remove(arguments.name) if arguments.name else local.remove()
    console.out(escape_line(f"removed {info.name}"))
    return 0


_ACTIONS = {"list": _list, "install": _install, "remove": _remove}
