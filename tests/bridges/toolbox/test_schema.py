"""Schemas that scripts bring: what fits, how errors name it, and what hostile ones cost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.toolbox import Schema

CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1},
        "days": {"type": "integer", "minimum": 1},
        "unit": {"enum": ["C", "F"]},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
    },
    "required": ["city"],
}


def check(schema: Any, value: Any, *, arguments: bool = True) -> BridgeError | None:
    """How `value` fails; none if it fits."""

    async def work() -> None:
        found = await Schema.of(schema, "parameters", arguments=arguments)
        await found.check(value, "arguments")

    try:
        asyncio.run(work())
    except BridgeError as error:
        return error
    return None


@pytest.mark.parametrize(
    "value",
    [
        {"city": "Bern"},
        {"city": "Bern", "days": 3, "unit": "C", "tags": ["a", "b"], "code": "CH"},
    ],
)
def test_what_fits_passes(value: Any) -> None:
    assert check(CITY, value) is None


@pytest.mark.attack("B25")
@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "city", "is required and missing"),
        ({"city": 1}, "city", "must be string, not integer"),
        ({"city": ""}, "city", "does not fit minLength = 1"),
        ({"city": "Bern", "days": "0"}, "days", "must be integer, not string"),
        ({"city": "Bern", "days": True}, "days", "must be integer, not boolean"),
        ({"city": "Bern", "days": 0}, "days", "does not fit minimum = 1"),
        ({"city": "Bern", "unit": "K"}, "unit", 'does not fit enum = ["C","F"]'),
        ({"city": "Bern", "tags": ["a", 1]}, "tags[1]", "must be string, not integer"),
        ({"city": "Bern", "tags": ["a", "a"]}, "tags", "does not fit uniqueItems = true"),
        ({"city": "Bern", "code": "ch"}, "code", 'does not fit pattern = "^[A-Z]{2}$"'),
        ({"city": "Bern", "day": 1}, "day", "is not known; did you mean 'days'?"),
        ({"city": "Bern", "__proto__": 1}, "__proto__", "is not known"),
    ],
)
def test_what_does_not_fit_is_named(value: Any, field: str, message: str) -> None:
    error = check(CITY, value)
    assert error is not None
    assert (error.kind, error.field) == ("Validation", field)
    assert error.message == f"arguments: {field}: {message}"


def test_what_lua_writes_as_an_empty_list_is_a_map_again() -> None:
    assert check({"properties": {"x": []}}, {"x": 1}) is None
    assert check([], {}) is None
    assert check({"properties": []}, {"x": 1}) is not None


def test_an_open_schema_stays_open() -> None:
    assert check({"additionalProperties": True}, {"anything": 1}) is None
    assert check({"additionalProperties": {"type": "integer"}}, {"anything": "x"}) is not None


def test_references_inside_a_schema_are_followed() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/node"}},
        "additionalProperties": False,
    }
    schema = {"properties": {"list": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    assert check(schema, {"list": {"next": {"next": {}}}}) is None
    error = check(schema, {"list": {"next": {"nxt": {}}}})
    assert error is not None
    assert error.field == "list.next.nxt"


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ("a text", "parameters"),
        ({"type": "string"}, "parameters.type"),
        ({"properties": {"a": {"type": "sting"}}}, "parameters.properties.a.type"),
        ({"properties": {"a": 1}}, "parameters.properties.a"),
        ({"properties": {"a": {"$ref": "https://schemas.example/x"}}}, "parameters.properties.a.$ref"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "parameters.properties.a.$ref"),
        ({"properties": {"a": {"$ref": "#/properties/b"}}}, "parameters.properties.a.$ref"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "parameters"),
        ({"$id": "https://schemas.example/"}, "parameters.$id"),
        ({"patternProperties": {"(a+)+$": {}}}, "parameters.patternProperties"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "parameters"),
        ({"properties": {"a": {"pattern": "("}}}, "parameters.properties.a.pattern"),
        ({"properties": {"a": {"enum": ["x" * 70_000]}}}, "parameters"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_is_refused(schema: Any, field: str) -> None:
    error = check(schema, {})
    assert error is not None
    assert (error.kind, error.field) == ("Validation", field)


def test_a_schema_that_is_too_deep_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"properties": {"a": schema}}
    error = check(schema, {})
    assert error is not None
    assert "levels" in error.message


def test_a_pattern_takes_linear_time() -> None:
    error = check({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 100_000 + "b"})
    assert error is not None
    assert error.field == "a"


def test_a_schema_that_branches_without_end_is_stopped() -> None:
    parts: dict[str, Any] = {
        f"p{i}": {"allOf": [{"$ref": f"#/$defs/p{i + 1}"}] * 2} for i in range(40)
    }
    error = check(
        {"properties": {"a": {"$ref": "#/$defs/p0"}}, "$defs": {**parts, "p40": {}}}, {"a": 1}
    )
    assert error is not None
    assert error.kind == "Limit"


def test_a_schema_that_refers_to_itself_is_stopped() -> None:
    error = check(
        {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"$ref": "#/$defs/x"}}},
        {"a": 1},
    )
    assert error is not None
    assert error.kind == "Limit"
