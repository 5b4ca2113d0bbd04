"""A Hypothesis strategy of `Program`s."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st

from ._tree import (
    KEYS,
    OPERATIONS,
    Apply,
    At,
    Attempt,
    Expression,
    Field,
    Function,
    If,
    Let,
    ListOf,
    Literally,
    Name,
    Program,
    Push,
    Put,
    RecordOf,
    Repeat,
    Set,
    Slice,
    Statement,
    Throw,
    Type,
)

DEPTH: Final = 3
"""Levels of operations in operations, and of blocks in blocks: more say nothing new."""
TIMES: Final = 4
"""Rounds of a loop. Three inside each other are 64."""
STATEMENTS: Final = 5

TYPES: Final[tuple[Type, ...]] = ("number", "text", "truth", "numbers", "record")
_NUMBERS: Final = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 3.0, 7.0, 0.1, 1e16, 1e300, 5e-324, 2.0**53, -2.5]),
    st.integers(-1000, 1000).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
)
_ASCII: Final = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)
_BY_RESULT: Final[dict[Type, list[str]]] = {
    kind: [name for name, (_, gives) in OPERATIONS.items() if gives == kind] for kind in TYPES
}


@dataclass
class _Scope:
    """What is visible where something is generated."""

    draw: st.DrawFn
    functions: list[Function] = field(default_factory=list)
    names: dict[str, Type] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    """Names that have been given, in all scopes: no name has two meanings."""

    def inner(self) -> _Scope:
        return _Scope(self.draw, self.functions, dict(self.names), self.taken)

    def new(self) -> str:
        name = f"v{len(self.taken)}"
        self.taken.append(name)
        return name

    def of(self, kind: Type) -> list[str]:
        return [name for name, its in self.names.items() if its == kind]


def programs() -> st.SearchStrategy[Program]:
    """Small programs that end, and that mean the same in every language."""
    return _programs()


@st.composite
def _programs(draw: st.DrawFn) -> Program:
    scope = _Scope(draw)
    for number in range(draw(st.integers(0, 2))):
        scope.functions.append(_function(scope, f"f{number}"))
    return Program(tuple(scope.functions), _block(scope, DEPTH))


def _function(scope: _Scope, name: str) -> Function:
    parameters = tuple(f"p{n}" for n in range(scope.draw(st.integers(1, 2))))
    inside = _Scope(scope.draw, list(scope.functions), dict.fromkeys(parameters, "number"))
    return Function(name, parameters, _expression(inside, "number", DEPTH))


def _block(scope: _Scope, depth: int) -> tuple[Statement, ...]:
    count = scope.draw(st.integers(1, STATEMENTS))
    return tuple(_statement(scope, depth) for _ in range(count))


def _statement(scope: _Scope, depth: int) -> Statement:
    choices = ["let"]
    if scope.names:
        choices += ["set", "let"]
    choices += ["push"] if scope.of("numbers") else []
    choices += ["put"] if scope.of("record") else []
    choices += ["if", "repeat", "attempt"] if depth else []
    choices += ["throw"] if depth < DEPTH else []
    match scope.draw(st.sampled_from(choices)):
        case "set":
            name = scope.draw(st.sampled_from(sorted(scope.names)))
            return Set(name, _expression(scope, scope.names[name], DEPTH))
        case "push":
            name = scope.draw(st.sampled_from(scope.of("numbers")))
            return Push(name, _expression(scope, "number", DEPTH))
        case "put":
            name = scope.draw(st.sampled_from(scope.of("record")))
            key = scope.draw(st.sampled_from(KEYS))
            return Put(name, key, _expression(scope, "number", DEPTH))
        case "throw":
            return Throw(_expression(scope, "text", 1))
        case "if":
            condition = _expression(scope, "truth", DEPTH)
            return If(condition, _block(scope.inner(), depth - 1), _block(scope.inner(), depth - 1))
        case "repeat":
            times = scope.draw(st.integers(0, TIMES))
            inside = scope.inner()
            counter = inside.new()
            inside.names[counter] = "number"
            return Repeat(counter, times, _block(inside, depth - 1))
        case "attempt":
            body = _block(scope.inner(), depth - 1)
            name = scope.new()
            scope.names[name] = "text"
            return Attempt(body, name)
        case _:
            kind = scope.draw(st.sampled_from(TYPES))
            value = _expression(scope, kind, DEPTH)
            name = scope.new()
            scope.names[name] = kind
            return Let(name, value)


def _expression(scope: _Scope, kind: Type, depth: int) -> Expression:
    names = scope.of(kind)
    choices = ["literal"] + (["name", "name"] if names else [])
    if depth:
        choices += ["operation", "operation"] if _BY_RESULT[kind] else []
        choices += ["part"] if kind in ("number", "text") else []
        choices += ["call"] if kind == "number" and scope.functions else []
    match scope.draw(st.sampled_from(choices)):
        case "name":
            return Name(scope.draw(st.sampled_from(names)))
        case "operation":
            operation = scope.draw(st.sampled_from(_BY_RESULT[kind]))
            takes = OPERATIONS[operation][0]
            return Apply(operation, tuple(_expression(scope, each, depth - 1) for each in takes))
        case "call":
            called = scope.draw(st.sampled_from(scope.functions))
            operands = (_expression(scope, "number", depth - 1) for _ in called.parameters)
            return Apply(called.name, tuple(operands))
        case "part":
            return _part(scope, kind, depth)
        case _:
            return _literal(scope, kind, depth)


def _part(scope: _Scope, kind: Type, depth: int) -> Expression:
    draw = scope.draw
    if kind == "text":
        text = _expression(scope, "text", depth - 1)
        return Slice(text, draw(st.integers(0, 4)), draw(st.integers(0, 4)))
    if draw(st.booleans()):
        return At(_expression(scope, "numbers", depth - 1), draw(st.integers(0, 5)))
    return Field(_expression(scope, "record", depth - 1), draw(st.sampled_from(KEYS)))


def _literal(scope: _Scope, kind: Type, depth: int) -> Expression:
    draw = scope.draw
    below = max(0, depth - 1)
    if kind == "number":
        return Literally(draw(_NUMBERS))
    if kind == "text":
        return Literally(draw(_ASCII))
    if kind == "truth":
        return Literally(draw(st.booleans()))
    if kind == "numbers":
        count = draw(st.integers(0, 3))
        return ListOf(tuple(_expression(scope, "number", below) for _ in range(count)))
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=2))
    return RecordOf(tuple((key, _expression(scope, "number", below)) for key in keys))
