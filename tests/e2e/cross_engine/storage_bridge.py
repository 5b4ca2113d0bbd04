"""`storage`: each language has paths of its own, since they run side by side."""

from __future__ import annotations

from typing import Any

from llmspell_protocol import ErrorKind
from tests.e2e.cross_engine.case import Case, Failed, caught, gives

GRANTED = {"allow_bridges": ("storage",)}


def works(name: str, lua: str, js: str, value: Any) -> Case:
    """`P` is a path at which there is the text `hello`."""
    path = name.replace(" ", "-")
    return gives(
        name,
        f'local P = "lua/{path}/a.txt" storage.put("files", P, "hello") {lua}',
        f'const P = "js/{path}/a.txt"; await storage.put("files", P, "hello"); {js}',
        value,
        policy=GRANTED,
    )


def refuses(name: str, code: str, message: str, field: str, kind: ErrorKind = "Validation") -> Case:
    failed = Failed(kind=kind, message=message, field=field)
    return caught(name, f"storage.{code}", f"await storage.{code}", failed, policy=GRANTED)


def wrong_type(method: str, code: str, parameter: str, expected: str) -> Case:
    message = f"storage.{method}: {parameter}: expected {expected}, got integer"
    return refuses(f"a wrong type for {method}", code, message, parameter)


CASES = (
    works(
        "an object is read as text",
        'return storage.get("files", P, "text")',
        'return storage.get("files", P, "text")',
        "hello",
    ),
    works(
        "an object is read as bytes",
        'return #storage.get("files", P)',
        'return (await storage.get("files", P)).length',
        5,
    ),
    works(
        "an object is replaced",
        'return {storage.put("files", P, "b").size, storage.get("files", P, "text")}',
        'return [(await storage.put("files", P, "b")).size, await storage.get("files", P, "text")]',
        [1, "b"],
    ),
    works(
        "what is known of an object",
        'return storage.head("files", P).size',
        'return (await storage.head("files", P)).size',
        5,
    ),
    works(
        "objects below a path",
        'return #storage.list("files", P:sub(1, -7))',
        'return (await storage.list("files", P.slice(0, -6))).length',
        1,
    ),
    works(
        "an object is deleted",
        'return {storage.delete("files", P), storage.delete("files", P)}',
        'return [await storage.delete("files", P), await storage.delete("files", P)]',
        [True, False],
    ),
    refuses("an object that there is not", 'get("files", "no")', "files: there is no no", "path"),
    refuses("nothing is known of nothing", 'head("files", "no")', "files: there is no no", "path"),
    refuses(
        "a path that climbs",
        'head("files", "a/../b")',
        "path: names between single slashes, without '.' and '..'",
        "path",
    ),
    refuses(
        "a store that there is not",
        'list("fils")',
        "store: the config names no store 'fils'; did you mean 'files'?",
        "store",
        "Configuration",
    ),
    refuses(
        "a store that is read-only",
        'put("archive", "a", "x")',
        "archive is read-only for spells",
        "store",
        "Policy",
    ),
    refuses(
        "nothing is deleted in a store that is read-only",
        'delete("archive", "a")',
        "archive is read-only for spells",
        "store",
        "Policy",
    ),
    refuses(
        "an object that is too large",
        f'put("files", "a", "{"x" * 101}")',
        "data: 101 bytes; the limit is 100 (max_object)",
        "data",
        "Limit",
    ),
    refuses(
        "a number is no content", 'put("files", "a", 5)', "data: expected string or bytes", "data"
    ),
    wrong_type("get", 'get("files", 5)', "path", "string"),
    wrong_type("put", 'put(5, "a", "x")', "store", "string"),
    wrong_type("list", 'list("files", 5)', "prefix", "string"),
    wrong_type("head", 'head(5, "a")', "store", "string"),
    wrong_type("delete", 'delete("files", 5)', "path", "string"),
)
