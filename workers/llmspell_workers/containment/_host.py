"""What the host's /proc is told about the zygote and its workers before they lose sight of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._libc import write_text

if TYPE_CHECKING:
    from ._layers import Layers

_FIRST_TO_GO: Final = "1000"
"""The highest oom_score_adj: when memory runs out, a worker dies and not its supervisor."""
_NO_MEMORY_KIND: Final = "0"
"""coredump_filter: not one kind of mapping would be dumped."""


def apply(layers: Layers, proc: int) -> None:
    """Both are inherited by every worker. `proc` is a descriptor of /proc."""
    layers.attempt("oom_score", lambda: _tell(proc, "oom_score_adj", _FIRST_TO_GO), optional=True)
    layers.attempt(
        "core_filter", lambda: _tell(proc, "coredump_filter", _NO_MEMORY_KIND), optional=True
    )


def _tell(proc: int, name: str, value: str) -> str:
    write_text(f"self/{name}", value, directory=proc)
    return value
