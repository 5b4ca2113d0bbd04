"""The engine `abacus`: a spell is lines of arithmetic, and its value is that of the last line.

    # How long a marathon takes at this pace
    distance = convert.to(26.2188, "mi", "km")
    round(distance * pace, 1)

Untrusted side: this code runs in a locked worker, after a zygote has loaded it. There are numbers,
texts and names, `+ - * / // % **`, comparison, `a if b else c`, the functions below, the parameters
of the run, and the bridges that it was granted. There is no loop; `9 ** 9 ** 9` is stopped by the
limits of the run, which hold for native code, too.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from llmspell_protocol import ErrorInfo, Fault, Invoke, ValueRejected, pack, unpack
from llmspell_workers._session import HostError
from llmspell_workers.containment import (
    SyscallPolicy,
    clocks,
    denied,
    futex,
    plain,
    private_memory,
    read_only_from,
    write_only_to,
)
from llmspell_workers.engines import ScriptFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmspell_protocol import FailureCause, Start
    from llmspell_workers._session import Session
    from llmspell_workers.engines import EngineOptions

_ENOENT: Final = 2
_BINARY: Final[dict[type[ast.AST], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_UNARY: Final[dict[type[ast.AST], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs,
    "max": max,
    "min": min,
    "round": round,
}
_TRIAL: Final = "a = 2 ** 10\nb = a // 3 if a > 1000 else 0\nround(b / 2 - min(0.25, 1), 1)"
_TRIAL_RESULT: Final = 170.2


class AbacusEngine:
    """Arithmetic, walked as a tree. An instance lives in one process and runs one script."""

    name: ClassVar[str] = "abacus"
    suffixes: ClassVar[tuple[str, ...]] = (".abacus",)
    address_space: ClassVar[int | None] = None

    @property
    def version(self) -> str:
        """Language and implementation."""
        return "Abacus 1.0"

    def preload(self) -> None:
        """Parse something: whatever that loads must be there before the worker is locked."""
        ast.parse(_TRIAL)

    def syscalls(self, *, jit: bool) -> SyscallPolicy:  # noqa: ARG002 - there is none
        """What CPython itself needs."""
        return SyscallPolicy(
            (
                *read_only_from(),
                *write_only_to(),
                *private_memory(),
                *futex(),
                *clocks("CPython's own clocks", "none of ours; CPython may"),
                *plain(getrandom="seeds of hashes", exit_group="the worker's end"),
                *denied(_ENOENT, openat="CPython looks for the file of what does not parse"),
            )
        )

    def start(self, options: EngineOptions) -> None:
        """Nothing: the walls around CPython's own memory are all that there is."""

    def self_test(self) -> None:
        """Compute something, and make sure that Python's own names are not there."""
        if _Spell({}, None).run(_parse(_TRIAL)) != _TRIAL_RESULT:
            raise RuntimeError("the trial gave a wrong result")
        for source in ("open('/etc/passwd')", "().__class__", "__import__('os')", "[1][0]"):
            try:
                _Spell({}, None).run(_parse(source))
            except ScriptFailure:
                continue
            raise RuntimeError(f"{source} should not be possible")

    def validate(self, start: Start) -> None:
        """Parse without running. Raises `ScriptFailure`."""
        _parse(start.source)

    def execute(self, start: Start, session: Session) -> bytes:
        """Run the lines. Returns the value of the last as msgpack; raises `ScriptFailure`."""
        names = msgspec.msgpack.decode(start.params)
        value = _Spell(names, session).run(_parse(start.source))
        try:
            return pack(value)
        except ValueRejected as error:
            raise _failure("conversion", str(error)) from None


def _failure(cause: FailureCause, message: str, node: ast.AST | None = None) -> ScriptFailure:
    line = getattr(node, "lineno", None)
    column = getattr(node, "col_offset", None)
    kind: Any = "Conversion" if cause == "conversion" else "Script"
    return ScriptFailure(
        cause, ErrorInfo(kind, message), line=line, column=None if column is None else column + 1
    )


def _parse(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError as error:
        info = ErrorInfo("Script", error.msg)
        raise ScriptFailure("syntax", info, line=error.lineno, column=error.offset) from None
    except RecursionError:
        raise _failure("syntax", "nested too deeply") from None


class _Spell:
    """One run: the names that it has given, and the session that its calls go through."""

    def __init__(self, names: dict[str, Any], session: Session | None) -> None:
        self._names = names
        self._session = session

    def run(self, lines: list[ast.stmt]) -> Any:
        """The value of the last line. Raises `ScriptFailure` with the line that failed."""
        value = None
        for line in lines:
            try:
                value = self._line(line)
            except RecursionError:
                raise _failure("error", "nested too deeply", line) from None
            except (ArithmeticError, TypeError, ValueError) as error:
                raise _failure("error", str(error), line) from None
        return value

    def _line(self, line: ast.stmt) -> Any:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._names[name] = self._value(value)
                return self._names[name]
            case ast.Expr(value=value):
                return self._value(value)
        raise _failure("unsupported", "a line is an expression, or a name and what it is", line)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() | str() as value):
                return value
            case ast.Name(id=name):
                if name not in self._names:
                    raise _failure("error", f"there is no '{name}'", node)
                return self._names[name]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](self._value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](self._value(left), self._value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _BINARY:
                return _BINARY[type(op)](self._value(left), self._value(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._value(body if self._value(test) else orelse)
            case ast.Call(func=function, args=args, keywords=[]):
                return self._call(function, [self._value(arg) for arg in args])
        raise _failure("unsupported", f"no such thing here: {ast.unparse(node)[:60]}", node)

    def _call(self, function: ast.expr, args: list[Any]) -> Any:
        match function:
            case ast.Name(id=name) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*args)
            case ast.Attribute(value=ast.Name(id=bridge), attr=method):
                return self._bridge(bridge, method, args, function)
        raise _failure("error", f"no such function: {ast.unparse(function)[:60]}", function)

    def _bridge(self, bridge: str, method: str, args: list[Any], node: ast.expr) -> Any:
        """Ask the host, and wait. What was not granted is not in the manifest."""
        if self._session is None or method not in self._session.manifest.get(bridge, {}):
            raise _failure("error", f"no such function: {bridge}.{method}", node)
        try:
            self._session.call(f"{bridge}.{method}", pack(args))
        except HostError as error:  # arguments that are larger than the run's limit
            raise ScriptFailure("error", error.info, line=node.lineno) from None
        answer = self._session.next_message()
        assert not isinstance(answer, Invoke)  # there are no functions to hand over
        if isinstance(answer, Fault):
            raise ScriptFailure("error", answer.error, line=node.lineno)
        return unpack(answer.value)
