"""`info`: engines, bridges, what one method takes and returns, what a spell says about itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from llmspell_bridges import BoundMethod, BridgeRegistry, MethodInfo, available, load
from llmspell_protocol.control import MethodDoc

from .._errors import UsageError
from .._supervisor import EngineInfo, Supervisor
from .._text import escape_line, nearest, snake_case
from ._about import about, is_spell, rows
from ._console import Console
from ._describe import parameter_rows
from ._results import ResultField, result_maps

EFFECTS: Final = {
    "read": "changes nothing: a dry run calls it",
    "write": "writes: a dry run lists it instead",
    "send": "sends: a dry run lists it instead",
    "spend": "costs tokens or money: a dry run lists it instead",
    "varies": "a dry run calls it, and lists what it then does not do",
    "unknown": "its effect is not declared: a dry run lists it instead",
}
"""What a method does to the world, in words."""
_GLOBALS: Final = {
    "console": "log, info, debug, write (no end of line) to stdout; warn, error to stderr",
    "params": "the parameters of this run: --param, --params",
    "require": "other spells as libraries, where a folder of them is granted: --library",
    "env": "the environment variables that were granted: --allow-env",
}


def info(arguments: SimpleNamespace) -> int:
    """Run the command `info`. Raises `UsageError` for a topic that there is not."""
    console = Console()
    if arguments.topic and is_spell(arguments.topic):
        _about_spell(arguments.topic, console, json=arguments.json)
        return 0
    found = _find(snake_case(arguments.topic) if arguments.topic else None)
    if arguments.json:
        console.document(msgspec.to_builtins(found))
        return 0
    for line in _render(found):
        console.out(line)
    return 0


def _about_spell(path: str, console: Console, *, json: bool) -> None:
    """Show what a spell says about itself. Raises `SpellError` or `ConfigError`."""
    found = about(path)
    if json:
        console.document(msgspec.to_builtins(found))
        return
    for line in rows(found):
        console.out(escape_line(line))


def _find(topic: str | None) -> dict[str, Any]:
    """What there is about `topic`: of `engines`, `bridges`, `library` and `method`, some."""
    if topic == "engines":
        return {"engines": _engines()}
    bound = {m.name: m for name in available() for m in BridgeRegistry([load(name)]).methods}
    if topic in bound:
        maps = result_maps(bound[topic].signature.result_type)
        return {"method": bound[topic].describe(), "maps": maps}
    methods = _by_bridge(bound.values())
    if topic == "bridges":
        return {"bridges": methods}
    if topic in methods:
        return {"bridges": {topic: methods[topic]}}
    engines = _engines()
    library = _library(engines)
    if topic is None:
        return {"engines": engines, "bridges": methods, "library": library}
    return _in_library(topic, library, methods)


def _in_library(
    topic: str, library: dict[str, list[MethodDoc]], methods: dict[str, list[MethodInfo]]
) -> dict[str, Any]:
    if topic in library:
        return {"library": {topic: library[topic]}}
    functions = {f"{d.module}.{d.name}": d for docs in library.values() for d in docs}
    if topic in functions:
        return {"method": functions[topic]}
    names = [m.name for ms in methods.values() for m in ms]
    known = ("engines", "bridges", *methods, *library, *names, *functions)
    near = nearest(topic, known)
    raise UsageError(f"nothing is called '{escape_line(topic)}'{near}", "info lists what there is")


def _engines() -> list[EngineInfo]:
    async def ask() -> list[EngineInfo]:
        async with Supervisor() as supervisor:
            return await supervisor.engines()

    return asyncio.run(ask())


def _by_bridge(bound: Iterable[BoundMethod]) -> dict[str, list[MethodInfo]]:
    found: dict[str, list[MethodInfo]] = {}
    for method in bound:
        found.setdefault(method.name.partition(".")[0], []).append(method.describe())
    return found


def _library(engines: Iterable[EngineInfo]) -> dict[str, list[MethodDoc]]:
    """Functions by module; every engine has the same ones."""
    found: dict[str, dict[str, MethodDoc]] = {}
    for doc in (doc for engine in engines for doc in engine.library):
        found.setdefault(doc.module, {})[doc.name] = doc
    return {module: list(docs.values()) for module, docs in sorted(found.items())}


def _render(found: dict[str, Any]) -> Iterator[str]:
    for line in _sections(found):
        yield escape_line(line)


def _sections(found: dict[str, Any]) -> Iterator[str]:
    if engines := found.get("engines"):
        yield "engines"
        for engine in engines:
            yield f"  {engine.name:<12} {engine.version}  ({', '.join(engine.suffixes)})"
    for name, methods in found.get("bridges", {}).items():
        yield f"bridge {name}"
        yield from _rows((m.name, m.doc) for m in methods)
    for name, docs in found.get("library", {}).items():
        yield f"library {name}"
        yield from _rows((f"{d.module}.{d.name}", d.doc) for d in docs)
    if found.keys() >= {"engines", "library"}:
        yield "in every spell"
        yield from _rows(_GLOBALS.items())
    if method := found.get("method"):
        yield from _method(method)
        yield from _maps(found.get("maps", {}))


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    for name, doc in listed:
        yield f"  {name:<{width}}  {doc}".rstrip()


def _method(method: MethodInfo | MethodDoc) -> Iterator[str]:
    full = method.name if isinstance(method, MethodInfo) else f"{method.module}.{method.name}"
    names = ", ".join(p.name if p.required else f"{p.name}?" for p in method.parameters)
    yield f"{full}({names})"
    if method.doc:
        yield f"  {method.doc}"
    yield from parameter_rows(method.parameters, "  ")
    kind = "a stream of " if isinstance(method, MethodInfo) and method.kind == "stream" else ""
    yield f"  returns {kind}{method.result}"
    if isinstance(method, MethodInfo) and method.closing:
        yield f"  and ends with {method.closing}"
    if isinstance(method, MethodInfo):
        yield f"  {EFFECTS[method.effect]}"
    camel = re.sub(r"_([a-z])", lambda m: m[1].upper(), full)
    if camel != full:
        yield f"  in JavaScript: {camel}"


def _maps(maps: dict[str, tuple[ResultField, ...]]) -> Iterator[str]:
    for name, fields in maps.items():
        yield f"  {name}"
        width = max((len(field.name) for field in fields), default=0)
        for field in fields:
            yield f"      {field.name:<{width}}  {field.type}{'' if field.always else '; if any'}"
