"""Prompts with `{{placeholders}}`: look-ups of data and a few filters, rendered once.

Templates are a spell's, and what they are filled with is a model's or a stranger's. So of Jinja's
language there is only what cannot compute: names, dots, constant indices, and `FILTERS`. Everything
else is refused by the kind of node it parses to, before anything is compiled. A dot looks into a
map and nowhere else; what a value holds is never a template.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from llmspell_protocol import pack

from .._errors import BridgeError

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

FILTERS: Final = ("default", "join", "length", "lower", "tojson", "trim", "upper")
"""Each gives at most a few times what it is given; none takes a width, a count or a format."""

MAX_PLACEHOLDERS: Final = 64
"""Of one template, or of all texts in one map of arguments: more than prompts have, and compiled
in a few milliseconds, for which the supervisor's event loop stands still."""
MAX_EXPRESSION: Final = 400
"""Characters inside one placeholder. Bounds the nesting that the parser can meet."""
MAX_STEPS: Final = 16
"""Dots and indices of one look-up: values are rarely deeper, and each is a call inside a call."""
MAX_SEPARATOR: Final = 16
"""Characters that `join` puts between two elements: a long one would multiply a list."""

_REFUSED: Final = {
    "Call": "calls",
    "CondExpr": "conditions",
    "Test": "tests",
    "Slice": "slices",
    "List": "lists",
    "Tuple": "lists",
    "Dict": "maps",
}
"""What a refused node is to whoever wrote it; the rest are operators and numbers."""

Path = tuple[str | int, ...]


class Placeholder(Struct, frozen=True):
    """One `{{...}}`: where it looks, and whether it has a default for what is not there."""

    path: Path
    optional: bool


def placeholders(given: Any, field: str) -> list[Placeholder]:
    """Every look-up in the texts of `given`. Raises `BridgeError` for what is no template."""
    found: list[Placeholder] = []
    for text, where in _texts(given, field):
        found += _lookups(_parse(text, where))
        if len(found) > MAX_PLACEHOLDERS:
            raise _refused(field, f"more than {MAX_PLACEHOLDERS} placeholders")
    return found


def render(given: Any, variables: Mapping[str, Any], field: str, limit: int) -> Any:
    """`given` with every text in it filled in.

    In a list or a map a text that is one plain placeholder and nothing else becomes the value
    itself. `limit` is for all that is put in: characters of texts, bytes of values. Raises
    `BridgeError`: `Validation` that names field and variable, or `Limit`.
    """
    placeholders(given, field)  # counted in all before the first is compiled
    filling = _Filling(variables, limit)
    if isinstance(given, str):
        return filling.text(given, field)
    return filling.value(given, field)


class _Filling:
    """Fills in the texts of one prompt or one map of arguments."""

    def __init__(self, variables: Mapping[str, Any], limit: int) -> None:
        self._variables = variables
        self._limit = self._left = limit

    def value(self, given: Any, field: str) -> Any:
        if isinstance(given, str):
            if (path := _sole(given, field)) is not None:
                found = _look_up(path, self._variables, field)
                self._spend(len(pack(found)), field)
                return found
            return self.text(given, field)
        if isinstance(given, list):
            return [self.value(v, f"{field}[{i}]") for i, v in enumerate(given)]
        if isinstance(given, dict):
            return {k: self.value(v, f"{field}.{k}") for k, v in given.items()}
        return given

    def text(self, source: str, field: str) -> str:
        if "{" not in source:
            return source
        from jinja2 import TemplateError

        tree = _parse(source, field)
        for lookup in _lookups(tree):
            if not lookup.optional:
                _look_up(lookup.path, self._variables, field)
        pieces = []
        try:
            for piece in _environment().from_string(tree).generate(self._variables):
                self._spend(len(piece), field)
                pieces.append(piece)
        except (TemplateError, TypeError) as error:
            raise _refused(field, str(error)) from None
        return "".join(pieces)

    def _spend(self, size: int, field: str) -> None:
        self._left -= size
        if self._left < 0:
            message = f"{field}: larger than max_request, {self._limit}, once it is filled in"
            raise BridgeError("Limit", message, field=field)


def _refused(field: str, reason: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: {reason}", field=field)


def _texts(given: Any, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(given, str):
        if "{" in given:
            yield given, field
    elif isinstance(given, list):
        for index, value in enumerate(given):
            yield from _texts(value, f"{field}[{index}]")
    elif isinstance(given, dict):
        for key, value in given.items():
            yield from _texts(value, f"{field}.{key}")


def _sole(source: str, field: str) -> Path | None:
    """The look-up, where the text is nothing else."""
    if not (source.startswith("{{") and source.endswith("}}")):
        return None
    body = _parse(source, field).body
    inside = list(body[0].iter_child_nodes()) if len(body) == 1 else []
    return _path(inside[0]) if len(inside) == 1 else None


def _look_up(path: Path, variables: Mapping[str, Any], field: str) -> Any:
    found: Any = variables
    for depth, key in enumerate(path, start=1):
        try:
            found = _element(found, key)
        except LookupError:
            raise _missing(path[:depth], found, field) from None
    return found


def _element(value: Any, key: str | int) -> Any:
    """What a map or a list holds there. Raises `LookupError`: nothing else holds anything."""
    if isinstance(value, Mapping):
        return value[key]
    if isinstance(value, list) and isinstance(key, int) and key >= 0:
        return value[key]
    raise LookupError(key)


def _missing(path: Path, found: Any, field: str) -> BridgeError:
    names = [str(name) for name in found] if isinstance(found, Mapping) else []
    near = difflib.get_close_matches(str(path[-1]), names, 1)
    before = ".".join(map(str, path[:-1]))
    hint = f"; did you mean '{'.'.join(filter(None, (before, near[0])))}'?" if near else ""
    return _refused(field, f"there is no '{'.'.join(map(str, path))}'{hint}")


def _parse(source: str, field: str) -> nodes.Template:
    """The tree of a template of which each node is one of the few that are allowed."""
    from jinja2 import TemplateSyntaxError

    inside = source.split("{{")[1:]
    if len(inside) > MAX_PLACEHOLDERS:
        raise _refused(field, f"more than {MAX_PLACEHOLDERS} placeholders")
    if any(len(piece.partition("}}")[0]) > MAX_EXPRESSION for piece in inside):
        raise _refused(field, f"a placeholder of over {MAX_EXPRESSION} characters")
    if "{%" in source:  # before the parser, which takes them in any number
        raise _refused(field, "statements ({% ... %}) are not for prompts")
    try:
        tree = _environment().parse(source)
    except TemplateSyntaxError as error:
        raise _refused(field, f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise _refused(field, "nested too deeply") from None
    for node in _parts(tree):
        _check(node, field)
    return tree


def _parts(tree: nodes.Template) -> Iterator[nodes.Node]:
    for output in tree.body:
        yield from output.iter_child_nodes()


def _check(node: Any, field: str) -> None:
    """Refuse every node that is not one of the few."""
    kind = type(node).__name__
    if kind == "Filter":
        _check_filter(node, field)
        return
    if kind == "TemplateData" or (kind == "Const" and isinstance(node.value, str)):
        return
    path = _path(node)
    if path is None:
        if kind == "Getitem":
            raise _refused(field, "between [ and ] stands a number or a text")
        said = _REFUSED.get(kind, "operators and numbers")
        raise _refused(field, f"{said} are not for prompts: only names, dots and filters are")
    if len(path) > MAX_STEPS:
        raise _refused(field, f"a look-up of more than {MAX_STEPS} steps")


def _check_filter(node: Any, field: str) -> None:
    if node.name not in FILTERS:
        raise _refused(field, f"there is no filter '{node.name}'; there are: {', '.join(FILTERS)}")
    takes = 1 if node.name in ("default", "join") else 0
    given = [getattr(argument, "value", None) for argument in node.args]
    if node.kwargs or node.dyn_args or node.dyn_kwargs or len(given) > takes:
        raise _refused(field, f"filter '{node.name}' takes {'one text' if takes else 'nothing'}")
    if not all(isinstance(value, str) for value in given):
        raise _refused(field, f"filter '{node.name}' takes a text")
    if node.name == "join" and any(len(str(value)) > MAX_SEPARATOR for value in given):
        raise _refused(field, f"join puts at most {MAX_SEPARATOR} characters between two elements")
    if node.node is None:
        raise _refused(field, f"filter '{node.name}' needs a value in front of it")
    _check(node.node, field)


def _lookups(tree: nodes.Template) -> list[Placeholder]:
    """The look-ups of a checked template."""
    found = []
    for node in _parts(tree):
        inner: Any = node
        optional = False
        while type(inner).__name__ == "Filter":
            optional = optional or inner.name == "default"
            inner = inner.node
        if (path := _path(inner)) is not None:
            found.append(Placeholder(path, optional))
    return found


def _path(node: Any) -> Path | None:
    """A look-up as a name and keys; none when the node is something else."""
    keys: list[str | int] = []
    while (kind := type(node).__name__) in ("Getattr", "Getitem"):
        key = node.attr if kind == "Getattr" else getattr(node.arg, "value", None)
        if not isinstance(key, str | int) or isinstance(key, bool):
            return None
        keys.append(key)
        node = node.node
    return (node.name, *reversed(keys)) if kind == "Name" else None


@functools.cache
def _environment() -> SandboxedEnvironment:
    """Jinja's sandbox with nothing in it but the filters. Made for the first template."""
    from jinja2 import StrictUndefined, Undefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class DataEnvironment(ImmutableSandboxedEnvironment):
        """Looks into maps and lists, and never at what Python objects have."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            if isinstance(obj, Undefined):
                return obj
            try:
                return _element(obj, argument)
            except LookupError:
                return self.undefined(name=str(argument))

    environment = DataEnvironment(
        undefined=StrictUndefined, finalize=_shown, keep_trailing_newline=True, cache_size=0
    )
    environment.globals.clear()
    environment.tests.clear()
    ours = {"join": _join, "length": _length, "tojson": _to_json}
    environment.filters = {n: ours.get(n, environment.filters[n]) for n in FILTERS}
    return environment


def _shown(value: Any) -> Any:
    """A value as prompts show it, in no language's own way."""
    if value is None:
        return ""
    return _to_json(value) if isinstance(value, bool | list | dict | bytes) else value


def _join(value: Any, between: str = "") -> str:
    if not isinstance(value, list):
        raise TypeError("join takes a list")
    return between.join(str(_shown(element)) for element in value)


def _length(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise TypeError("length takes a text, a list or a map")
    return len(value)


def _to_json(value: Any) -> str:
    """JSON as it is: Jinja's own filter escapes it for HTML."""
    return json.dumps(value, ensure_ascii=False, default=_no_json)


def _no_json(_: object) -> str:
    raise TypeError("bytes are no text")
