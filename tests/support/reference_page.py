"""Writes `docs/reference.md` from the declarations: `python -m tests.support.reference_page`.

Every bridge that comes with the supervisor, every method, option and result, and the library inside
the worker, as both languages call them. A test holds the page against the declarations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from llmspell_bridges import BoundMethod, BridgeRegistry, load
from llmspell_bridges._catalogue import _OURS
from llmspell_protocol import Parameter, Signature
from llmspell_supervisor.cli._info import _GLOBALS, EFFECTS
from llmspell_supervisor.cli._results import ResultField, result_maps
from llmspell_workers.engines._javascript._run import camel
from llmspell_workers.library import LIBRARY

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference.md"

_HEAD: Final = """\
# Reference

What a spell can call, in both languages. This page is made from the declarations by `make docs`; a
test fails when it is not. `llmspell-supervisor info llm.complete` shows the same in a terminal.

Methods are snake_case in Lua and camelCase in JavaScript; options and keys of results are snake_case
in both. Calls wait in Lua and are awaited in JavaScript. Trailing arguments that are optional may be
left out. Errors can be caught, and have `kind`, `message`, `retryable`, and where they apply
`retry_after`, `field` and `duration`.
"""
_LIBRARY: Final = """\
## The library

Functions that are in every spell, without a bridge and without a grant. They run in the worker, and
answer at once in both languages; only `util.sleep` is awaited in JavaScript.
"""
_AWAITED: Final = ("util.sleep",)


def page() -> str:
    """The whole page."""
    return "\n".join((_HEAD, *_contents(), *_globals(), *_bridges(), *_library()))


def _contents() -> Iterator[str]:
    for name, methods in _methods().items():
        yield f"- [`{name}`](#{name}): {', '.join(_link(m.name) for m in methods)}"
    functions = [f"{module}.{name}" for module, found in LIBRARY.items() for name in found]
    yield f"- [The library](#the-library): {', '.join(map(_link, functions))}\n"


def _link(name: str) -> str:
    anchor = name.replace(".", "")  # as GitHub makes them of headings
    return f"[`{name.partition('.')[2]}`](#{anchor})"


def _globals() -> Iterator[str]:
    yield "## In every spell\n"
    yield "| name | what |\n|---|---|"
    for name, what in _GLOBALS.items():
        yield f"| `{name}` | {_cell(what)} |"
    yield ""


def _methods() -> dict[str, tuple[BoundMethod, ...]]:
    """Every method of ours, by bridge."""
    return {name: BridgeRegistry([load(name)]).methods for name in sorted(_OURS)}


def _bridges() -> Iterator[str]:
    for name, methods in _methods().items():
        yield f"## `{name}`\n"
        doc = type(load(name)).__doc__ or ""
        yield f"{' '.join(doc.split())} Granted by `--allow-bridge {name}`, or method by method.\n"
        maps: dict[str, tuple[ResultField, ...]] = {}
        for method in methods:
            yield from _method(method)
            maps |= result_maps(method.signature.result_type)
        for kind, fields in sorted(maps.items()):
            yield f"**{kind}**\n"
            yield "| key | type | |\n|---|---|---|"
            for field in fields:
                state = "" if field.always else "if any"
                yield f"| `{field.name}` | {_cell(field.type)} | {state} |"
            yield ""


def _method(method: BoundMethod) -> Iterator[str]:
    info = method.describe()
    yield from _title(info.name, info.doc)
    arguments = ", ".join(p.name for p in info.parameters)
    script = _camel(info.name)
    if info.kind == "stream":
        lua = f"for piece in {info.name}({arguments}) do ... end"
        javascript = f"for await (const piece of {script}({arguments})) {{ ... }}"
        returns = f"A stream of {_cell(info.result)}"
        returns += f"; then its `result` is {_cell(info.closing)}." if info.closing else "."
    else:
        lua, javascript = f"{info.name}({arguments})", f"await {script}({arguments})"
        returns = f"Returns {_cell(info.result)}."
    yield from _calls(lua, javascript)
    yield from _parameters(info.parameters)
    effect = EFFECTS[info.effect]
    yield f"{returns} {effect[0].upper()}{effect[1:]}.\n"


def _library() -> Iterator[str]:
    yield _LIBRARY
    for module, functions in LIBRARY.items():
        for name, signature in functions.items():
            yield from _function(f"{module}.{name}", signature)


def _function(name: str, signature: Signature) -> Iterator[str]:
    yield from _title(name, signature.doc)
    arguments = ", ".join(p.name for p in signature.parameters)
    wait = "await " if name in _AWAITED else ""
    yield from _calls(f"{name}({arguments})", f"{wait}{_camel(name)}({arguments})")
    yield from _parameters(signature.parameters)
    yield f"Returns {_cell(signature.result)}.\n"


def _title(name: str, doc: str) -> Iterator[str]:
    yield f"### `{name}`\n"
    if doc:
        yield f"{doc}\n"


def _calls(lua: str, javascript: str) -> Iterator[str]:
    yield f"```lua\n{lua}\n```\n```js\n{javascript}\n```\n"


def _camel(name: str) -> str:
    return ".".join(map(camel, name.split(".")))


def _parameters(parameters: Sequence[Parameter]) -> Iterator[str]:
    if parameters:
        yield "| argument | type | | |\n|---|---|---|---|"
        yield from _rows(parameters, "")
        yield ""


def _rows(parameters: Iterable[Parameter], path: str) -> Iterator[str]:
    """A row for each parameter, and one for each option inside it, named by its path."""
    for parameter in parameters:
        name = f"{path}{parameter.name}"
        state = "required" if parameter.required else _default(parameter)
        yield f"| `{name}` | {_cell(parameter.type)} | {_cell(state)} | {_cell(parameter.doc)} |"
        yield from _rows(parameter.options, f"{name}.")


def _default(parameter: Parameter) -> str:
    value = parameter.default
    if value is None or callable(value) or parameter.options:
        return "optional"
    return f"default `{msgspec.json.encode(value).decode()}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
