"""`memory`: values and conversations. Each language has memories of its own: they run side by side."""

from __future__ import annotations

from typing import Any

from llmspell_protocol import ErrorKind
from tests.e2e.cross_engine.case import Case, Failed, caught, gives

GRANTED = {"allow_bridges": ("memory",)}


def works(name: str, lua: str, js: str, value: Any) -> Case:
    """`M` is the name of a memory."""
    return gives(
        name, f'local M = "lua {name}" {lua}', f'const M = "js {name}"; {js}', value, policy=GRANTED
    )


def refuses(name: str, code: str, kind: ErrorKind, message: str, field: str | None) -> Case:
    failed = Failed(kind=kind, message=message, field=field)
    return caught(name, f"memory.{code}", f"await memory.{code}", failed, policy=GRANTED)


def wrong_type(method: str, code: str, parameter: str, expected: str, got: str) -> Case:
    message = f"memory.{method}: {parameter}: expected {expected}, got {got}"
    return refuses(f"a wrong type for {method}", code, "Validation", message, parameter)


def no_name(method: str, code: str, parameter: str = "memory") -> Case:
    message = f"{parameter}: 1 to 200 characters"
    return refuses(f"no name for {method}", code, "Validation", message, parameter)


CASES = (
    works(
        "what is set can be got",
        'memory.set(M, "k", {a = {1, "x", json.null}}) return memory.get(M, "k")',
        'await memory.set(M, "k", { a: [1, "x", null] }); return memory.get(M, "k")',
        {"a": [1, "x", None]},
    ),
    works(
        "what is not there is null",
        'return {memory.get(M, "k") == nil, memory.delete(M, "k")}',
        'return [(await memory.get(M, "k")) === null, await memory.delete(M, "k")]',
        [True, False],
    ),
    works(
        "what is deleted is gone",
        'memory.set(M, "k", 1) return {memory.delete(M, "k"), memory.keys(M)}',
        'await memory.set(M, "k", 1); return [await memory.delete(M, "k"), await memory.keys(M)]',
        [True, []],
    ),
    works(
        "keys by their beginning",
        'memory.set(M, "ab", 1) memory.set(M, "b", 1) return memory.keys(M, "a")',
        'await memory.set(M, "ab", 1); await memory.set(M, "b", 1); return memory.keys(M, "a")',
        ["ab"],
    ),
    works(
        "a conversation in order",
        'memory.append(M, {role = "user"}) memory.append(M, "b") return memory.history(M)',
        'await memory.append(M, { role: "user" }); await memory.append(M, "b"); '
        "return memory.history(M)",
        [{"role": "user"}, "b"],
    ),
    works(
        "the end of a conversation",
        'memory.append(M, "a") return {memory.append(M, "b"), memory.history(M, 1)}',
        'await memory.append(M, "a"); return [await memory.append(M, "b"), await memory.history(M, 1)]',
        [2, ["b"]],
    ),
    works(
        "clear forgets everything",
        'memory.set(M, "k", 1) memory.append(M, 1) return {memory.clear(M), memory.history(M)}',
        'await memory.set(M, "k", 1); await memory.append(M, 1); '
        "return [await memory.clear(M), await memory.history(M)]",
        [2, []],
    ),
    refuses(
        "a value that is too large",
        f'set("m", "k", "{"x" * 1000}")',
        "Limit",
        "value: 1003 bytes; the limit is 1000 (max_value)",
        "value",
    ),
    no_name("get", 'get("", "k")'),
    no_name("delete", 'delete("m", "")', "key"),
    no_name("keys", 'keys("")'),
    no_name("append", 'append("", 1)'),
    no_name("history", 'history("")'),
    no_name("clear", 'clear("")'),
    wrong_type("get", 'get("m", 5)', "key", "string", "integer"),
    wrong_type("set", 'set(5, "k", 1)', "memory", "string", "integer"),
    wrong_type("delete", 'delete("m", true)', "key", "string", "boolean"),
    wrong_type("keys", 'keys("m", 5)', "prefix", "string", "integer"),
    wrong_type("append", "append(5, 1)", "memory", "string", "integer"),
    wrong_type("history", 'history("m", "all")', "limit", "integer", "string"),
    wrong_type("clear", "clear(5)", "memory", "string", "integer"),
)
