"""`vector`: each language has collections of its own, since they run side by side."""

from __future__ import annotations

from typing import Any

from tests.e2e.cross_engine.case import Case, Differs, Failed, caught, gives

GRANTED = {"allow_bridges": ("vector",)}
LUA_FILL = (
    'vector.upsert(C, {{id = "a", vector = {1, 0}, text = "ant", metadata = {n = 1}}, '
    '{id = "b", vector = {0, 1}, metadata = {n = 2}}})'
)
JS_FILL = (
    'await vector.upsert(C, [{ id: "a", vector: [1, 0], text: "ant", metadata: { n: 1 } }, '
    '{ id: "b", vector: [0, 1], metadata: { n: 2 } }]);'
)
ANT = {"id": "a", "score": 1, "text": "ant", "metadata": {"n": 1}}


def works(name: str, lua: str, js: str, value: Any, **more: Any) -> Case:
    """`C` is the name of a collection with two items."""
    collection = name.replace(" ", "-")
    return gives(
        name,
        f'local C = "lua-{collection}" {LUA_FILL} return {lua}',
        f'const C = "js-{collection}"; {JS_FILL} return {js}',
        value,
        policy=GRANTED,
        **more,
    )


def refuses(name: str, lua: str, js: str, message: str, field: str | None = None) -> Case:
    failed = Failed(kind="Validation", message=message, field=field)
    return caught(name, f"vector.{lua}", f"await vector.{js}", failed, policy=GRANTED)


def wrong_type(method: str, code: str, parameter: str, expected: str, got: str) -> Case:
    message = f"vector.{method}: {parameter}: expected {expected}, got {got}"
    return refuses(f"a wrong type for {method}", code, code, message, parameter)


def bad_name(method: str, code: str) -> Case:
    message = "collection: letters, digits, _ and -, and 64 characters at most"
    return refuses(f"a bad name for {method}", code, code, message, "collection")


CASES = (
    works(
        "the most alike",
        "vector.search(C, {vector = {1, 0}, limit = 1})",
        "vector.search(C, { vector: [1, 0], limit: 1 })",
        [ANT],
        differs=Differs(
            reason="a number without a fraction is an integer in JavaScript",
            lua={"value": [{**ANT, "score": 1.0}]},
        ),
    ),
    works(
        "the most alike under a filter",
        "vector.search(C, {vector = {0, 1}, filter = {n = {lt = 2}}})[1].id",
        "(await vector.search(C, { vector: [0, 1], filter: { n: { lt: 2 } } }))[0].id",
        "a",
    ),
    works(
        "by words as well",
        '#vector.search(C, {vector = {0, 1}, text = "ant", hybrid = true, limit = 1})',
        '(await vector.search(C, { vector: [0, 1], text: "ant", hybrid: true, limit: 1 })).length',
        1,
    ),
    works(
        "one item put in",
        'vector.upsert(C, {id = "c", vector = {1, 1}})',
        'vector.upsert(C, { id: "c", vector: [1, 1] })',
        1,
    ),
    works("all are counted", "vector.count(C)", "vector.count(C)", 2),
    works("some are counted", "vector.count(C, {n = 2})", "vector.count(C, { n: 2 })", 1),
    works(
        "some are deleted",
        '{vector.delete(C, {"a", "x"}), vector.count(C)}',
        '[await vector.delete(C, ["a", "x"]), await vector.count(C)]',
        [1, 1],
    ),
    works(
        "a whole collection is dropped",
        "{vector.drop(C), vector.drop(C)}",
        "[await vector.drop(C), await vector.drop(C)]",
        [True, False],
    ),
    gives(
        "collections are listed",
        'vector.upsert("lua-list", {id = "a", vector = {1}}) '
        'for _, c in ipairs(vector.list()) do if c.name == "lua-list" then '
        "return {c.dimensions, c.count} end end",
        'await vector.upsert("js-list", { id: "a", vector: [1] }); '
        'const c = (await vector.list()).find((c) => c.name === "js-list"); '
        "return [c.dimensions, c.count]",
        [1, 1],
        policy=GRANTED,
    ),
    refuses(
        "an operator that there is not",
        'search("c", {vector = {1}, filter = {n = {gtee = 1}}})',
        'search("c", { vector: [1], filter: { n: { gtee: 1 } } })',
        "filter.n: no operator 'gtee'; did you mean 'gte'?",
        "filter.n",
    ),
    refuses(
        "an option that there is not",
        'search("c", {vectors = {1}})',
        'search("c", { vectors: [1] })',
        "vector.search: vectors: unknown option 'vectors'; did you mean 'vector'?",
        "vectors",
    ),
    refuses(
        "an item of nothing",
        'upsert("c", {id = "a"})',
        'upsert("c", { id: "a" })',
        "items[0]: needs a vector or a text",
        "items[0]",
    ),
    refuses(
        "too many arguments for list",
        "list(1)",
        "list(1)",
        "vector.list: takes no arguments: list() -> list of Collection",
    ),
    bad_name("delete", 'delete("a/b", "x")'),
    bad_name("count", 'count("")'),
    bad_name("drop", 'drop("../x")'),
    wrong_type("search", 'search("c", 5)', "query", "string or map", "integer"),
    wrong_type("upsert", 'upsert("c", "x")', "items", "map or list", "string"),
    wrong_type("delete", 'delete("c", 5)', "ids", "string or list", "integer"),
    wrong_type("count", 'count("c", 5)', "filter", "map", "integer"),
    wrong_type("drop", "drop(true)", "collection", "string", "boolean"),
)
