"""Parameters in lines: of a method, of its options, of a spell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from llmspell_protocol import Parameter


def parameter_rows(parameters: Sequence[Parameter], indent: str) -> Iterator[str]:
    """A line for each parameter, and below it, indented further, for each of its options."""
    width = max((len(p.name) for p in parameters), default=0)
    for parameter in parameters:
        state = "required" if parameter.required else _default(parameter)
        facts = "; ".join(part for part in (parameter.type, state, parameter.doc) if part)
        yield f"{indent}{parameter.name:<{width}}  {facts}"
        yield from parameter_rows(parameter.options, indent + "    ")


def _default(parameter: Parameter) -> str:
    value = parameter.default
    if value is None or callable(value) or parameter.options:
        return "optional"
    return f"default {msgspec.json.encode(value).decode()}"
