"""`sql`: queries, changes and what the schema shows."""

from __future__ import annotations

from typing import Any

from llmspell_protocol import ErrorKind
from tests.e2e.cross_engine.case import Case, Failed, caught, gives

GRANTED = {"allow_bridges": ("sql",)}


def finds(name: str, lua: str, js: str, value: Any) -> Case:
    return gives(name, f"return {lua}", f"return {js}", value, policy=GRANTED)


def refuses(
    name: str, lua: str, js: str, kind: ErrorKind, message: str, field: str | None = None
) -> Case:
    failed = Failed(kind=kind, message=message, field=field)
    return caught(name, lua, f"await {js}", failed, policy=GRANTED)


CASES = (
    finds(
        "a query with parameters gives rows",
        'sql.query("shop", "SELECT * FROM books WHERE id = :id", {id = 1})',
        'sql.query("shop", "SELECT * FROM books WHERE id = :id", { id: 1 })',
        {
            "columns": ["id", "title", "price", "cover"],
            "rows": [{"id": 1, "title": "Emma", "price": 7.5, "cover": b"\x00\xff"}],
        },
    ),
    finds(
        "what is null in a row is null",
        'sql.query("shop", "SELECT price FROM books WHERE id = 2").rows[1].price == json.null',
        '(await sql.query("shop", "SELECT price FROM books WHERE id = 2")).rows[0].price === null',
        True,
    ),
    refuses(
        "a table that is not granted",
        'sql.query("shop", "SELECT * FROM secrets", {})',
        'sql.query("shop", "SELECT * FROM secrets", {})',
        "Policy",
        "shop: the table secrets is not granted to spells",
        "sql",
    ),
    refuses(
        "a statement that is none",
        'sql.query("shop", "SELEKT 1")',
        'sql.query("shop", "SELEKT 1")',
        "Validation",
        'shop: near "SELEKT": syntax error',
        "sql",
    ),
    refuses(
        "a statement that is no text",
        'sql.query("shop", 5)',
        'sql.query("shop", 5)',
        "Validation",
        "sql.query: sql: expected string, got integer",
        "sql",
    ),
    finds(
        "a change says what it changed",
        'sql.execute("desk", "INSERT INTO notes VALUES (:t) RETURNING text", {t = "hi"})',
        'sql.execute("desk", "INSERT INTO notes VALUES (:t) RETURNING text", { t: "hi" })',
        {"changed": 1, "rows": [{"text": "hi"}]},
    ),
    refuses(
        "a change of a database that is read-only",
        'sql.execute("shop", "DELETE FROM books")',
        'sql.execute("shop", "DELETE FROM books")',
        "Policy",
        "shop is read-only for spells",
        "db",
    ),
    refuses(
        "a parameter that is a list",
        'sql.execute("desk", "DELETE FROM notes WHERE text = :t", {t = {1}})',
        'sql.execute("desk", "DELETE FROM notes WHERE text = :t", { t: [1] })',
        "Validation",
        "params.t: a list or a map is no value of a column; encode it as JSON",
        "params.t",
    ),
    finds("the tables", 'sql.tables("desk")', 'sql.tables("desk")', ["books", "notes"]),
    refuses(
        "the tables of a database that there is not",
        'sql.tables("shoe")',
        'sql.tables("shoe")',
        "Configuration",
        "db: the config names no database 'shoe'; did you mean 'shop'?",
        "db",
    ),
    refuses(
        "the tables of a number",
        "sql.tables(5)",
        "sql.tables(5)",
        "Validation",
        "sql.tables: db: expected string, got integer",
        "db",
    ),
    finds(
        "the columns of a table",
        'sql.columns("desk", "notes")',
        'sql.columns("desk", "notes")',
        [{"name": "text", "type": "TEXT", "nullable": False, "primary_key": False}],
    ),
    refuses(
        "the columns of a table that is not granted",
        'sql.columns("shop", "secrets")',
        'sql.columns("shop", "secrets")',
        "Policy",
        "shop: there is no table secrets for spells",
        "table",
    ),
    refuses(
        "the columns of a list",
        'sql.columns("shop", {1})',
        'sql.columns("shop", [1])',
        "Validation",
        "sql.columns: table: expected string, got list",
        "table",
    ),
)
