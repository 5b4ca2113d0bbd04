"""A script put before a spell's own text, on its first line: every line keeps its number.

The script is a function of a setup (JSON) and of the spell's text, which becomes a function. It is
a script like the spell and runs in the same locked worker: nothing is added to what is trusted.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from msgspec import structs

from llmspell_supervisor import Problem, RunReport, Spell, UsageError

SHADOWS: Final = {
    "llmspell_testkit.recording:determined": (
        "util",
        "setTimeout",
        "setInterval",
        "clearTimeout",
        "clearInterval",
    )
}
"""Globals of JavaScript that a script puts others in front of: no script can replace them."""

KEPT: Final = "globalThis.__kit"
"""Where such a script leaves them for libraries, which do not see the spell's own names."""

_NAMES: Final = {"lua": "lua", "javascript": "js"}
_LUA: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\0": "\\0"}


def shadowed(text: str, script: str) -> str:
    """A library of JavaScript, with what the script puts in front of its globals."""
    names = SHADOWS[script]
    given = ", ".join(f"{KEPT}.{name}" for name in names)
    return f"return await (async function ({', '.join(names)}) {{ {text}\n}})({given})"


def wrap(spell: Spell, script: str, setup: Mapping[str, Any]) -> Spell:
    """`spell` as an argument of the script `package:name`. Raises `UsageError` for its engine."""
    return structs.replace(
        spell, source=_head(spell, script, setup) + spell.source + _tail(spell, script)
    )


def unwrap(report: RunReport, spell: Spell, script: str, setup: Mapping[str, Any]) -> RunReport:
    """The report with places as they are in `spell`, which was run wrapped."""
    problem = report.problem
    if problem is None:
        return report
    name = script.rpartition(":")[2]
    head = len(_head(spell, script, setup))
    column = problem.column
    if problem.line == 1 and column is not None:
        column = max(1, column - head)
    lines = spell.source.count("\n") + 1
    line = None if problem.line is None else min(problem.line, lines)
    stack = problem.stack and _own_frames(problem.stack, spell.name, name, head)
    problem = structs.replace(
        problem, line=line, column=column, stack=stack, message=_bare(problem, spell.name, name)
    )
    return structs.replace(report, problem=problem)


def _bare(problem: Problem, spell: str, script: str) -> str:
    """The message without a place in the script that is ours."""
    ours = rf"(?:{re.escape(script)}|{re.escape(spell)} line \d+ > eval):\d+(?::\d+)?: "
    return re.sub(f"^{ours}", "", problem.message)


def _own_frames(stack: str, spell: str, script: str, head: int) -> str | None:
    """The frames of the spell itself, their columns as they are in its own text."""
    rows = [
        row
        for row in stack.split("\n")
        if not row.strip().startswith(f"{script}:") and " > eval:" not in row
    ]
    while rows and spell not in rows[-1]:
        rows.pop()
    first = re.compile(rf"({re.escape(spell)}:1:)(\d+)")
    rows = [first.sub(lambda found: found[1] + str(int(found[2]) - head), row) for row in rows]
    return "\n".join(rows) or None


def _head(spell: Spell, script: str, setup: Mapping[str, Any]) -> str:
    text, name = _text(script, _suffix(spell)), script.rpartition(":")[2]
    given = json.dumps(setup, ensure_ascii=False, separators=(",", ":"))
    if spell.engine == "lua":
        chunk = f'load({_lua(text)}, "={name}", "t")()'
        return f"local value = {chunk}({_lua(given)}, function(...) "
    names = SHADOWS.get(script)
    if names is None:
        return f"return await eval({json.dumps(text)})({json.dumps(given)}, async function () {{"
    made = f"const __kit = eval({json.dumps(text)})({json.dumps(given)}); "
    inner = "return await __kit.run(async function () {"
    return f"{made}return await (async function ({', '.join(names)}) {{ {inner}"


def _tail(spell: Spell, script: str) -> str:
    if spell.engine == "lua":
        return "\nend) return value"
    names = SHADOWS.get(script)
    if names is None:
        return "\n})"
    return f"\n}}) }})({', '.join(f'__kit.shadow.{name}' for name in names)})"


def _suffix(spell: Spell) -> str:
    suffix = _NAMES.get(spell.engine)
    if suffix is None:
        raise UsageError(f"{spell.name}: {spell.engine} has no test library", "use lua or js")
    return suffix


@functools.cache
def _text(script: str, suffix: str) -> str:
    package, _, name = script.partition(":")
    return files(package).joinpath("library", f"{name}.{suffix}").read_text()


def _lua(text: str) -> str:
    return '"' + re.sub(r'[\\"\n\r\0]', lambda found: _LUA[found[0]], text) + '"'
