"""The tools of one run, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .._errors import BridgeError
from ._tool import Tool

MAX_TOOLS: Final = 256
"""Tools of one run. Providers of models take half of that in one request."""


class Toolbox:
    """Finds tools by their exact names. A name cannot be taken twice, nor one that looks alike."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {tool.name: tool for tool in tools}

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All of them, sorted by name."""
        return tuple(self._tools[name] for name in sorted(self._tools))

    def get(self, name: str, field: str = "name") -> Tool:
        """The tool of that name. Raises `BridgeError` that names `field`."""
        tool = self._tools.get(name)
        if tool is None:
            import difflib

            near = difflib.get_close_matches(name, self._tools, 1, 0.6)
            hint = f"did you mean '{near[0]}'?" if near else "see tools.list()"
            message = f"{field}: there is no tool '{name[:80]}' for this spell; {hint}"
            raise BridgeError("Validation", message, field=field)
        return tool

    def add(self, tool: Tool) -> None:
        """Take a tool in. Raises `BridgeError`."""
        taken = {likeness(name) for name in self._tools}
        if likeness(tool.name) in taken:
            message = f"name: there is a tool '{tool.name}', or one that looks alike"
            raise BridgeError("Validation", message, field="name")
        if len(self._tools) >= MAX_TOOLS:
            raise BridgeError("Limit", f"a spell has at most {MAX_TOOLS} tools", field="name")
        self._tools[tool.name] = tool


def likeness(name: str) -> str:
    """What two names have in common that a model might take for each other."""
    return name.casefold().replace("-", "_")
