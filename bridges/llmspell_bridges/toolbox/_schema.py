"""JSON Schemas that scripts bring: checked before use, and applied within bounds.

A schema is a program of its writer's: references to follow, patterns to match, branches to try. The
library's validator would fetch the first, match the second with an engine that can take for ever,
and try the third without end. So references stay inside the schema, patterns go to an engine that
is linear, steps are counted, and what cannot be bounded is refused by name.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, cast

import msgspec

from .._clock import off_the_clock
from .._errors import BridgeError

MAX_BYTES: Final = 64 * 1024
"""Of one schema as JSON. The largest of public servers of tools are a quarter of that."""

MAX_DEPTH: Final = 32
"""Levels of one schema. Deeper ones come from generators, and no model follows them."""

MAX_STEPS: Final = 20_000
"""Keywords that one check may apply: a list of several thousand things, or a fifth of a second."""

_REFUSED: Final = frozenset(
    {
        "$anchor",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$recursiveRef",
        "patternProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords that lead out of the schema, or that the library works off where nobody counts."""

_MAPS: Final = frozenset({"$defs", "definitions", "dependentSchemas", "properties"})
_SCHEMAS: Final = frozenset({"additionalProperties", "contains", "else", "if", "items", "not",
                             "propertyNames", "then"})  # fmt: skip
_REFERENCE: Final = r"#|#/(?P<where>\$defs|definitions)/(?P<name>[A-Za-z0-9_.-]{1,64})"
"""What a reference may be: to elsewhere, it could reach what has not been looked at."""
_BRANCHING: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if"})

_left: ContextVar[list[int]] = ContextVar("left")
"""How many steps the check at hand still has."""


class SchemaTooCostly(Exception):
    """A check took more than `MAX_STEPS` steps."""


class Schema:
    """A JSON Schema that has been found usable. Made by `Schema.of`."""

    def __init__(self, definition: dict[str, Any], validator: Any) -> None:
        self.definition: dict[str, Any] = definition
        self._validator = validator

    @classmethod
    async def of(cls, given: Any, field: str, *, arguments: bool = False) -> Schema:
        """The schema in `given`. Raises `BridgeError` of kind `Validation` that names `field`.

        With `arguments` it describes those of a tool: an object, closed unless it says otherwise.
        """
        definition = _plain(given, field, 0)
        if arguments:
            definition = _closed(definition, field)
        if len(msgspec.json.encode(definition)) > MAX_BYTES:
            raise _refused(field, f"a schema has at most {MAX_BYTES} bytes")
        with off_the_clock():
            checker = await asyncio.to_thread(_checker)
        return cls(definition, await asyncio.to_thread(_usable, checker, definition, field))

    async def check(self, value: Any, what: str) -> None:
        """Raise `BridgeError` of kind `Validation`, with the field, unless `value` fits.

        `what` names the value in the message: `arguments`, `answer`.
        """
        await asyncio.to_thread(self._check, value, what)

    def _check(self, value: Any, what: str) -> None:
        _left.set([MAX_STEPS])
        try:
            error = next(self._validator.iter_errors(value), None)
        except (SchemaTooCostly, RecursionError):
            raise BridgeError("Limit", f"{what}: the schema takes too long to check") from None
        if error is not None:
            raise _explain(error, what)


def _plain(given: Any, field: str, depth: int) -> dict[str, Any]:
    """`given` as a schema, with what Lua cannot tell from a list made a map again."""
    if given == []:
        return {}
    if not isinstance(given, dict):
        raise _refused(field, "a JSON Schema is a map")
    if depth > MAX_DEPTH:
        raise _refused(field, f"a schema has at most {MAX_DEPTH} levels")
    out: dict[str, Any] = {}
    for key, value in given.items():
        if key in _REFUSED:
            raise _refused(f"{field}.{key}", f"{key} is not supported in schemas of spells")
        if key == "$ref" and not (isinstance(value, str) and re.fullmatch(_REFERENCE, value)):
            raise _refused(f"{field}.{key}", "a reference is # or #/$defs/NAME")
        out[key] = _inner(key, value, f"{field}.{key}", depth + 1)
    return out


def _inner(key: str, value: Any, field: str, depth: int) -> Any:
    if key in _MAPS:
        entries = {} if value == [] else value
        if not isinstance(entries, dict):
            raise _refused(field, "must be a map")
        return {k: _sub(v, f"{field}.{k}", depth + 1) for k, v in entries.items()}
    if key in _SCHEMAS:
        return _sub(value, field, depth)
    if key in ("allOf", "anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return [_sub(v, f"{field}[{i}]", depth) for i, v in enumerate(value)]
    return value


def _sub(value: Any, field: str, depth: int) -> Any:
    return value if isinstance(value, bool) else _plain(value, field, depth)


def _closed(definition: dict[str, Any], field: str) -> dict[str, Any]:
    """The schema of a tool's arguments: what it does not mention is refused."""
    kind = definition.get("type", "object")
    if kind != "object":
        raise _refused(f"{field}.type", "the arguments of a tool are an object")
    open_ended = _BRANCHING & set(definition)
    ends = {} if open_ended else {"additionalProperties": False}
    return {"type": "object", "properties": {}, **ends, **definition}


@functools.cache
def _checker() -> Any:
    """The library's validator, counted. Slow: imports it."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.validators import extend  # type: ignore[import-untyped]

    rules = {name: _counted(rule) for name, rule in Draft202012Validator.VALIDATORS.items()}
    ours = {"pattern": _counted(_pattern), "uniqueItems": _counted(_unique_items)}
    return cast("Any", extend)(Draft202012Validator, {**rules, **ours})


def _usable(checker: Any, definition: dict[str, Any], field: str) -> Any:
    from jsonschema import SchemaError
    from referencing import Registry

    try:
        checker.check_schema(definition)
        for pattern in _found(definition, "pattern"):
            _matcher(pattern)
        for reference in _found(definition, "$ref"):
            _resolve(definition, reference)
    except SchemaError as error:
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
        raise _refused(f"{field}{path}", f"not a JSON Schema: {_said(error)}") from None
    except ValueError as error:
        raise _refused(field, str(error)) from None
    return checker(definition, registry=Registry())  # one that fetches nothing


def _resolve(definition: dict[str, Any], reference: str) -> None:
    found = re.fullmatch(_REFERENCE, reference)
    if found and found["name"] and found["name"] not in definition.get(found["where"], {}):
        raise ValueError(f"there is nothing at {reference}")


def _found(node: Any, key: str) -> Iterator[str]:
    """Texts under `key` anywhere in a schema; also where it is data, which does no harm."""
    if isinstance(node, dict):
        if isinstance(text := node.get(key), str):
            yield text
        for value in node.values():
            yield from _found(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _found(value, key)


def _counted(rule: Callable[..., Any]) -> Callable[..., Any]:
    def counted(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        left = _left.get()
        left[0] -= 1
        if left[0] < 0:
            raise SchemaTooCostly
        yield from rule(validator, wanted, instance, schema) or ()

    return counted


@functools.lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text holds `pattern`, in time linear in the text. Raises `ValueError`."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    schema = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True)
    try:
        validator = SchemaValidator(schema)
    except SchemaError:
        message = f"the pattern {pattern[:80]} cannot be used; it may not look ahead or behind"
        raise ValueError(message) from None
    return validator.isinstance_python


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _matcher(pattern)(instance):
        yield ValidationError("no match")


def _unique_items(_: Any, wanted: bool, instance: Any, __: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if wanted and isinstance(instance, list):
        seen = {msgspec.json.encode(item, order="deterministic") for item in instance}
        if len(seen) < len(instance):
            yield ValidationError("repeated")


def _explain(error: Any, what: str) -> BridgeError:
    """The library's finding in the words of scripts."""
    steps = [f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path]
    at = "".join(steps).removeprefix(".")
    name, hint = _culprit(error)
    field = f"{at}.{name}".removeprefix(".") if name else at
    place = f"{what}: {field}" if field else what
    said = f"{_said(error)}{hint}"
    return BridgeError("Validation", f"{place}: {said}", field=field or None)


def _culprit(error: Any) -> tuple[str, str]:
    """The name that is missing, or one too many with the one that was probably meant."""
    if not isinstance(error.instance, dict) or not isinstance(error.schema, dict):
        return "", ""
    known = list(error.schema.get("properties", {}))
    if error.validator == "required":
        missing = [n for n in error.validator_value if n not in error.instance]
        return (missing[0] if missing else ""), ""
    if error.validator == "additionalProperties":
        import difflib

        extra = sorted(set(error.instance) - set(known))[:1]
        near = difflib.get_close_matches(extra[0], known, 1, 0.6) if extra else []
        return "".join(extra), f"; did you mean '{near[0]}'?" if near else ""
    return "", ""


def _said(error: Any) -> str:
    wanted = error.validator_value
    match error.validator:
        case "type":
            kinds = wanted if isinstance(wanted, list) else [wanted]
            return f"must be {' or '.join(map(str, kinds))}, not {_kind(error.instance)}"
        case "required":
            return "is required and missing"
        case "additionalProperties" if wanted is False:
            return "is not known"
        case "anyOf" | "oneOf" | "allOf" | "not" | "if":
            return f"does not fit {error.validator} of the schema"
        case None:
            return "nothing fits here"
        case _:
            text = msgspec.json.encode(wanted).decode()
            return f"does not fit {error.validator} = {text[:200]}"


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array",
             dict: "object", bytes: "bytes", type(None): "null"}  # fmt: skip
    return kinds.get(type(value), "another type")


def _refused(field: str, message: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: {message}", field=field)
