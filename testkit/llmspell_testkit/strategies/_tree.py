"""A small program as a tree: written once, rendered in each language.

Only what means the same everywhere: arithmetic on doubles, text of ASCII, lists of numbers, maps to
numbers, loops that end, functions of numbers, errors that are thrown and caught. A program is worth
what its variables were in turn, and the error that ended it, if one did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["number", "text", "truth", "numbers", "record"]
"""Of an expression: there is no conversion between any two."""

KEYS = ("a", "b", "end")
"""The keys of records. The last one is a word of Lua's own."""


@dataclass(frozen=True)
class Literally:
    """A number, a text or a truth."""

    value: float | str | bool


@dataclass(frozen=True)
class Name:
    """A variable or a parameter."""

    name: str


@dataclass(frozen=True)
class Apply:
    """An operation: one of `OPERATIONS`, or a function of the program's own."""

    operation: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class ListOf:
    """A list of numbers."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class RecordOf:
    """A map of some of `KEYS` to numbers."""

    items: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True)
class Slice:
    """A part of a text: so many characters from a place that counts from 0."""

    text: Expression
    start: int
    count: int


@dataclass(frozen=True)
class At:
    """The element of a list at a place that wraps around; 0 of an empty one."""

    items: Expression
    place: int


@dataclass(frozen=True)
class Field:
    """What a record has under a key; 0 where there is nothing."""

    record: Expression
    key: str


Expression = Literally | Name | Apply | ListOf | RecordOf | Slice | At | Field


@dataclass(frozen=True)
class Let:
    """A new variable."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Set:
    """A variable gets another value of its type."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Push:
    """A number is added to the end of a list."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Put:
    """A number is put under a key of a record."""

    name: str
    key: str
    value: Expression


@dataclass(frozen=True)
class If:
    """One of two blocks."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True)
class Repeat:
    """A block, so many times; `name` counts from 1."""

    name: str
    times: int
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Throw:
    """An error with a text."""

    text: Expression


@dataclass(frozen=True)
class Attempt:
    """A block whose error, if there is one, becomes the text `name`."""

    body: tuple[Statement, ...]
    name: str


Statement = Let | Set | Push | Put | If | Repeat | Throw | Attempt


@dataclass(frozen=True)
class Function:
    """A function of numbers that gives a number."""

    name: str
    parameters: tuple[str, ...]
    value: Expression


@dataclass(frozen=True)
class Program:
    """Functions, and statements."""

    functions: tuple[Function, ...]
    body: tuple[Statement, ...]


OPERATIONS: dict[str, tuple[tuple[Type, ...], Type]] = {
    "add": (("number", "number"), "number"),
    "subtract": (("number", "number"), "number"),
    "multiply": (("number", "number"), "number"),
    "divide": (("number", "number"), "number"),
    "modulo": (("number", "number"), "number"),
    "negate": (("number",), "number"),
    "floor": (("number",), "number"),
    "root": (("number",), "number"),
    "least": (("number", "number"), "number"),
    "length": (("text",), "number"),
    "count": (("numbers",), "number"),
    "sum": (("numbers",), "number"),
    "join": (("text", "text"), "text"),
    "upper": (("text",), "text"),
    "less": (("number", "number"), "truth"),
    "equal": (("number", "number"), "truth"),
    "before": (("text", "text"), "truth"),
    "same": (("text", "text"), "truth"),
    "both": (("truth", "truth"), "truth"),
    "either": (("truth", "truth"), "truth"),
    "not": (("truth",), "truth"),
    "choose": (("truth", "number", "number"), "number"),
    "reversed": (("numbers",), "numbers"),
    "sorted": (("numbers",), "numbers"),
}
"""Operation to the types that it takes and the one that it gives."""
