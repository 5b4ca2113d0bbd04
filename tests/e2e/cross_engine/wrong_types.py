"""Every method of every bridge, called with a value of a wrong type; made from the declarations."""

from __future__ import annotations

import re
from typing import Final

from llmspell_bridges import BoundMethod, BridgeRegistry, available, load
from tests.e2e.cross_engine.case import Case, gives

_OBJECTS: Final = {
    "agent": ("llm.agent({})", "await llm.agent({})"),
    "conversation": ("llm.conversation()", "await llm.conversation()"),
    "flow": ("workflow.sequential({})", "await workflow.sequential({})"),
}
"""How an object of each kind is made."""

ANY: Final = "any value"
"""How a parameter that takes anything is described."""
METHODS: Final[tuple[BoundMethod, ...]] = BridgeRegistry(load(n) for n in available()).methods
"""Those that come with the supervisor."""


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


def _case(method: BoundMethod) -> Case:
    """All of its arguments are `true`, which no first parameter takes that is not of any type."""
    parameters = method.signature.parameters
    given = ", ".join(["true"] * max(1, sum(p.required for p in parameters)))
    bridge, *rest = method.name.split(".")
    if len(rest) == 2:
        lua, js = _OBJECTS[rest[0]]
        made = f"local object = {lua} ", f"const object = {js}; "
        calls = f"object:{rest[1]}({given})", f"object.{_camel(rest[1])}({given})"
    elif method.name == "library.require":
        made, calls = ("", ""), ("require(true)", "require(true)")
    else:
        made = "", ""
        calls = f"{method.name}({given})", f"{bridge}.{_camel(rest[0])}({given})"
    if method.kind == "stream":
        bodies = f"for _ in {calls[0]} do end", f"for await (const _ of {calls[1]});"
    else:
        bodies = calls[0], f"await {calls[1]};"
    checked = [p for p in parameters if p.required] or parameters[:1]
    typed = [p.name for p in checked if p.type != ANY]
    named = typed or [p.name for p in checked]
    field = named[0] if named else None
    said = "expected" if typed else "must be" if parameters else "takes no arguments"
    return gives(
        method.name,
        f"{made[0]}local ok, e = pcall(function() {bodies[0]} end) "
        f"return {{e.kind, e.field or json.null, e.message:find('{said}', 1, true) ~= nil}}",
        f"{made[1]}try {{ {bodies[1]} }} catch (e) "
        f"{{ return [e.kind, e.field, e.message.includes('{said}')]; }}",
        ["Validation", field, True],
        policy={"allow_bridges": (bridge,), "libraries": ("/",)},
    )


CASES = tuple(map(_case, METHODS))
