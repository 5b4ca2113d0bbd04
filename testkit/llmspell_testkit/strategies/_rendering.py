"""Programs as source in each language, many in one spell, and what they are worth there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ._tree import (
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
)

if TYPE_CHECKING:
    from .._stage import Stage

LANGUAGES: Final = ("lua", "javascript")
NOTES: Final = 60
"""Values that are noted of one program: a loop in a loop says no more after that."""
LONGEST: Final = 200
"""Characters of a text that is joined: one that doubles in three loops would fill a worker."""

_LUA_OPERATIONS: Final = {
    "add": "({0} + {1})", "subtract": "({0} - {1})", "multiply": "({0} * {1})",
    "divide": "({0} / {1})", "modulo": "modulo({0}, {1})", "negate": "(-{0})",
    "floor": "floor({0})", "root": "(math.sqrt({0}))", "least": "least({0}, {1})",
    "length": "(#{0} + 0.0)", "count": "(#{0} + 0.0)", "sum": "sum({0})",
    "join": "join({0}, {1})", "upper": "string.upper({0})",
    "less": "({0} < {1})", "equal": "({0} == {1})", "before": "({0} < {1})", "same": "({0} == {1})",
    "both": "({0} and {1})", "either": "({0} or {1})", "not": "(not {0})",
    "choose": "choose({0}, {1}, {2})", "reversed": "reversed({0})", "sorted": "sorted({0})",
}  # fmt: skip
_JS_OPERATIONS: Final = {
    "add": "({0} + {1})", "subtract": "({0} - {1})", "multiply": "({0} * {1})",
    "divide": "({0} / {1})", "modulo": "modulo({0}, {1})", "negate": "(-{0})",
    "floor": "floor({0})", "root": "Math.sqrt({0})", "least": "least({0}, {1})",
    "length": "({0}.length)", "count": "({0}.length)", "sum": "sum({0})",
    "join": "join({0}, {1})", "upper": "({0}.toUpperCase())",
    "less": "({0} < {1})", "equal": "({0} === {1})", "before": "({0} < {1})",
    "same": "({0} === {1})", "both": "({0} && {1})", "either": "({0} || {1})", "not": "(!{0})",
    "choose": "choose({0}, {1}, {2})", "reversed": "reversed({0})", "sorted": "sorted({0})",
}  # fmt: skip

_LUA_PRELUDE: Final = f"""\
local function floor(a) return math.floor(a) + 0.0 end
local function modulo(a, b) return a - floor(a / b) * b end
local function least(a, b) if a < b then return a end return b end
local function choose(c, a, b) if c then return a end return b end
local function join(a, b) return (a .. b):sub(1, {LONGEST}) end
local function at(list, i) if #list == 0 then return 0.0 end return list[i % #list + 1] end
local function sum(list) local n = 0.0 for _, v in ipairs(list) do n = n + v end return n end
local function reversed(list)
  local out = {{}} for i = #list, 1, -1 do out[#out + 1] = list[i] end return out end
local function sorted(list)
  local out = {{}}
  for _, v in ipairs(list) do if v == v then out[#out + 1] = v + 0.0 end end
  table.sort(out) return out end
local function copy(t) local out = {{}} for k, v in pairs(t) do out[k] = v end return out end
local function show(v)
  if type(v) == "table" then
    if next(v) == nil then return "empty" end
    local out = {{}} for k, x in pairs(v) do out[k] = show(x) end return out
  end
  if type(v) ~= "number" then return v end
  if v ~= v then return "nan" end
  if v == math.huge then return "inf" elseif v == -math.huge then return "-inf" end
  return v + 0.0
end
local results, trace = {{}}, nil
local function note(v) if #trace < {NOTES} then trace[#trace + 1] = show(v) end end
local function try(program)
  trace = {{}}
  local ok, e = pcall(program)
  results[#results + 1] = {{trace, ok and "" or "error: " .. tostring(e)}}
end
"""
_JS_PRELUDE: Final = f"""\
const floor = (a) => Math.floor(a) + 0;
const modulo = (a, b) => a - floor(a / b) * b;
const least = (a, b) => a < b ? a : b;
const choose = (c, a, b) => c ? a : b;
const join = (a, b) => (a + b).slice(0, {LONGEST});
const at = (list, i) => list.length === 0 ? 0 : list[i % list.length];
const sum = (list) => {{ let n = 0; for (const v of list) n += v; return n; }};
const reversed = (list) => [...list].reverse();
const sorted = (list) => list.filter((v) => v === v).map((v) => v + 0).sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
const copy = (t) => Array.isArray(t) ? [...t] : {{ ...t }};
const show = (v) => {{
  if (typeof v === "object") {{
    const keys = Object.keys(v);
    if (keys.length === 0) return "empty";
    if (Array.isArray(v)) return v.map(show);
    return Object.fromEntries(keys.map((k) => [k, show(v[k])]));
  }}
  if (typeof v !== "number") return v;
  if (v !== v) return "nan";
  if (v === Infinity) return "inf"; else if (v === -Infinity) return "-inf";
  return v + 0;
}};
const results = [];
let trace;
const note = (v) => {{ if (trace.length < {NOTES}) trace.push(show(v)); }};
const attempt = (program) => {{
  trace = [];
  let error = "";
  try {{ program(); }} catch (e) {{ error = "error: " + e.message; }}
  results.push([trace, error]);
}};
"""


def render(programs: Iterable[Program], language: str) -> str:
    """One spell that runs each program, and returns what each is worth: its values, and its error."""
    writer = _WRITERS[language]()
    return writer.spell(programs)


def run_programs(stage: Stage, programs: Sequence[Program], language: str) -> list[Any]:
    """What each program is worth in a language, with numbers as floats: they compare as they are."""
    source = render(programs, language)
    report = stage.run(source, language, max_output=8 * 1024 * 1024)
    assert report.verdict == "ok", (report.problem, source)
    found: list[Any] = [_as_floats(value) for value in report.value]
    assert len(found) == len(programs)
    return found


def _as_floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_floats(each) for each in value]
    if isinstance(value, dict):
        return {key: _as_floats(each) for key, each in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


class _Writer:
    """What the languages have in common: expressions, by templates."""

    operations: dict[str, str]

    def spell(self, programs: Iterable[Program]) -> str:
        raise NotImplementedError

    def expression(self, tree: Expression) -> str:
        match tree:
            case Literally(value=bool(value)):
                return "true" if value else "false"
            case Literally(value=float(value)):
                return f"({value!r})"
            case Literally(value=str(value)):
                return json.dumps(value)
            case Name(name):
                return name
            case Apply(operation, operands):
                written = [self.expression(each) for each in operands]
                if operation in self.operations:
                    return self.operations[operation].format(*written)
                return f"{operation}({', '.join(written)})"
            case At(items, place):
                return f"at({self.expression(items)}, {place})"
            case _:
                return self.compound(tree)

    def compound(self, tree: Expression) -> str:
        raise NotImplementedError

    def value(self, tree: Expression) -> str:
        """A value for a variable of its own: lists and maps are copied, not shared."""
        written = self.expression(tree)
        return f"copy({written})" if isinstance(tree, Name) else written

    def block(self, body: Iterable[Statement]) -> str:
        return "\n".join(self.statement(each) for each in body)

    def statement(self, tree: Statement) -> str:
        raise NotImplementedError


class _Lua(_Writer):
    operations = _LUA_OPERATIONS

    def spell(self, programs: Iterable[Program]) -> str:
        return "\n".join((_LUA_PRELUDE, *map(self.program, programs), "return results"))

    def program(self, program: Program) -> str:
        functions = "\n".join(map(self.function, program.functions))
        return f"try(function()\n{functions}\n{self.block(program.body)}\nend)"

    def function(self, function: Function) -> str:
        parameters = ", ".join(function.parameters)
        value = self.expression(function.value)
        return f"local function {function.name}({parameters}) return {value} end"

    def value(self, tree: Expression) -> str:
        if isinstance(tree, Name):
            return f'(type({tree.name}) == "table" and copy({tree.name}) or {tree.name})'
        return super().value(tree)

    def compound(self, tree: Expression) -> str:
        match tree:
            case ListOf(items):
                return f"({{{', '.join(map(self.expression, items))}}})"
            case RecordOf(items):
                written = (f'["{key}"] = {self.expression(value)}' for key, value in items)
                return f"({{{', '.join(written)}}})"
            case Slice(text, start, count):
                return f"string.sub({self.expression(text)}, {start + 1}, {start + count})"
            case Field(record, key):
                return f'(({self.expression(record)})["{key}"] or 0.0)'
        raise AssertionError(tree)

    def statement(self, tree: Statement) -> str:
        match tree:
            case Let(name, value):
                return f"local {name} = {self.value(value)} note({name})"
            case Set(name, value):
                return f"{name} = {self.value(value)} note({name})"
            case Push(name, value):
                return f"{name}[#{name} + 1] = {self.expression(value)}"
            case Put(name, key, value):
                return f'{name}["{key}"] = {self.expression(value)}'
            case If(condition, then, otherwise):
                return (
                    f"if {self.expression(condition)} then\n{self.block(then)}\n"
                    f"else\n{self.block(otherwise)}\nend"
                )
            case Repeat(name, times, body):
                head = f"for i_{name} = 1, {times} do local {name} = i_{name} + 0.0"
                return f"{head}\n{self.block(body)}\nend"
            case Throw(text):
                return f"do error({self.expression(text)}, 0) end"
            case Attempt(body, name):
                return (
                    f'local {name} = ""\ndo\nlocal ok, e = pcall(function()\n{self.block(body)}\n'
                    f"end)\nif not ok then {name} = e end\nend note({name})"
                )


class _JavaScript(_Writer):
    operations = _JS_OPERATIONS

    def spell(self, programs: Iterable[Program]) -> str:
        return "\n".join((_JS_PRELUDE, *map(self.program, programs), "return results;"))

    def program(self, program: Program) -> str:
        functions = "\n".join(map(self.function, program.functions))
        return f"attempt(() => {{\n{functions}\n{self.block(program.body)}\n}});"

    def function(self, function: Function) -> str:
        parameters = ", ".join(function.parameters)
        return f"const {function.name} = ({parameters}) => {self.expression(function.value)};"

    def value(self, tree: Expression) -> str:
        if isinstance(tree, Name):
            return f'(typeof {tree.name} === "object" ? copy({tree.name}) : {tree.name})'
        return super().value(tree)

    def compound(self, tree: Expression) -> str:
        match tree:
            case ListOf(items):
                return f"[{', '.join(map(self.expression, items))}]"
            case RecordOf(items):
                written = (f'"{key}": {self.expression(value)}' for key, value in items)
                return f"({{{', '.join(written)}}})"
            case Slice(text, start, count):
                return f"{self.expression(text)}.slice({start}, {start + count})"
            case Field(record, key):
                return f'({self.expression(record)}["{key}"] ?? 0)'
        raise AssertionError(tree)

    def statement(self, tree: Statement) -> str:
        match tree:
            case Let(name, value):
                return f"let {name} = {self.value(value)}; note({name});"
            case Set(name, value):
                return f"{name} = {self.value(value)}; note({name});"
            case Push(name, value):
                return f"{name}.push({self.expression(value)});"
            case Put(name, key, value):
                return f'{name}["{key}"] = {self.expression(value)};'
            case If(condition, then, otherwise):
                return (
                    f"if ({self.expression(condition)}) {{\n{self.block(then)}\n}}"
                    f" else {{\n{self.block(otherwise)}\n}}"
                )
            case Repeat(name, times, body):
                head = f"for (let i_{name} = 1; i_{name} <= {times}; i_{name}++)"
                return f"{head} {{\nlet {name} = i_{name};\n{self.block(body)}\n}}"
            case Throw(text):
                return f"throw new Error({self.expression(text)});"
            case Attempt(body, name):
                return (
                    f'let {name} = "";\ntry {{\n{self.block(body)}\n}}'
                    f" catch (e) {{ {name} = e.message }} note({name});"
                )


_WRITERS: Final[dict[str, type[_Writer]]] = {"lua": _Lua, "javascript": _JavaScript}
