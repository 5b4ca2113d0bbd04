"""SQLite files: what spells find, what they may change, and what SQLite refuses them."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from tests.bridges.host import Host

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"

Ask = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.executescript(
            "PRAGMA synchronous = OFF; BEGIN; CREATE TABLE books(id INTEGER PRIMARY KEY, title TEXT NOT NULL, price REAL, cover BLOB);"
            "INSERT INTO books VALUES (1, 'Emma', 7.5, x'00ff'), (2, 'Ulysses', NULL, NULL);"
            "CREATE TABLE customers(id INTEGER, card TEXT);"
            "INSERT INTO customers VALUES (1, 'canary-4711');"
            "CREATE VIEW cards AS SELECT card FROM customers; COMMIT;"
        )
    db.close()
    return path


@pytest.fixture
def ask(file: Path) -> Ask:
    """Calls a method on the database `shop`."""

    def call(method: str, *args: Any, policy: Any = None, **settings: Any) -> Any:
        database = {"url": f"sqlite:///{file}", "tables": ["books"], **settings}
        host = Host(load("sql", {"databases": {"shop": database}}), **(policy or {}))
        return host.run(lambda: host.call(f"sql.{method}", "shop", *args))

    return call


def refusal(ask: Ask, method: str, *args: Any, **settings: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        ask(method, *args, **settings)
    return caught.value


def titles(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        found = [title for (title,) in db.execute("SELECT title FROM books ORDER BY id")]
    db.close()
    return found


def test_a_query_gives_rows_with_values_of_their_types(ask: Ask) -> None:
    found = ask("query", "SELECT * FROM books WHERE id = :id", {"id": 1})
    assert found["columns"] == ["id", "title", "price", "cover"]
    assert found["rows"] == [{"id": 1, "title": "Emma", "price": 7.5, "cover": b"\x00\xff"}]


def test_a_parameter_is_a_value_and_never_text_of_the_statement(ask: Ask) -> None:
    evil = "x' OR 1=1; DROP TABLE books; --"
    assert ask("query", "SELECT id FROM books WHERE title = :t", {"t": evil})["rows"] == []
    assert ask("query", "SELECT :t AS t", {"t": evil})["rows"] == [{"t": evil}]


def test_parameters_must_fit_the_statement(ask: Ask) -> None:
    assert refusal(ask, "query", "SELECT :a", {}).field == "params"
    assert refusal(ask, "query", "SELECT 1", {"b": 1}).field == "params.b"
    assert refusal(ask, "query", "SELECT :a", {"a": [1]}).field == "params.a"


def test_tables_and_columns_show_what_is_granted_and_nothing_else(ask: Ask) -> None:
    assert ask("tables") == ["books"]
    assert ask("tables", tables=["*"]) == ["books", "cards", "customers"]
    first = {"name": "id", "type": "INTEGER", "nullable": True, "primary_key": True}
    assert ask("columns", "books")[0] == first
    assert refusal(ask, "columns", "customers").kind == "Policy"


def test_no_list_of_tables_grants_none(ask: Ask) -> None:
    assert ask("tables", tables=[]) == []
    assert refusal(ask, "query", "SELECT 1 FROM books", tables=[]).kind == "Policy"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT card FROM customers",
        "SELECT count(*) FROM customers",
        "SELECT 1 FROM main.customers",
        "SELECT card FROM cards",
        "WITH books AS (SELECT card FROM customers) SELECT * FROM books",
        "SELECT title FROM books UNION SELECT card FROM customers",
        "SELECT (SELECT card FROM customers) FROM books",
        "SELECT sql FROM sqlite_schema",
        "SELECT name FROM pragma_table_list",
        "SELECT 1 FROM pragma_table_info('customers')",
        "SELECT 1 FROM sqlite_schema",
        "WITH n AS (SELECT 1 FROM customers) SELECT 1 FROM n",
        "PRAGMA table_info(customers)",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM INTO '/tmp/llmspell-copy.db'",
        "SELECT load_extension('x')",
        "CREATE TEMP TABLE t(a)",
        "BEGIN",
        "SAVEPOINT a",
        "EXPLAIN SELECT card FROM customers",
    ],
)
def test_what_is_not_granted_is_refused_by_sqlite_itself(ask: Ask, sql: str) -> None:
    error = refusal(ask, "query", sql)
    assert error.kind == "Policy", error
    assert "canary" not in error.message


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM books",
        "UPDATE books SET title = 'x'",
        "INSERT INTO books(title) VALUES ('x') RETURNING id",
        "DROP TABLE books",
        "REPLACE INTO books(id, title) VALUES (1, 'x')",
    ],
)
@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_query_changes_nothing(ask: Ask, file: Path, sql: str, mode: str) -> None:
    assert refusal(ask, "query", sql, mode=mode, tables=["*"]).kind == "Policy"
    assert titles(file) == ["Emma", "Ulysses"]


def test_one_call_is_one_statement(ask: Ask, file: Path) -> None:
    assert refusal(ask, "query", "SELECT 1; SELECT 2").field == "sql"
    two = "DELETE FROM books WHERE id = 1; DELETE FROM books"
    assert refusal(ask, "execute", two, mode="write").field == "sql"
    assert titles(file) == ["Emma", "Ulysses"]


def test_execute_changes_rows_where_the_config_lets_it(ask: Ask, file: Path) -> None:
    sql, params = "UPDATE books SET title = :t WHERE id = :id RETURNING id", {"t": "Dune", "id": 2}
    assert ask("execute", sql, params, mode="write") == {"changed": 1, "rows": [{"id": 2}]}
    assert titles(file) == ["Emma", "Dune"]
    assert refusal(ask, "execute", sql, params).kind == "Policy"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO books(title) SELECT card FROM customers",
        "UPDATE books SET title = card FROM customers",
        "DELETE FROM customers",
        "INSERT INTO customers SELECT * FROM customers",
        "UPDATE books SET title = 'x' RETURNING (SELECT card FROM customers)",
        "DROP TABLE books",
        "CREATE TRIGGER t AFTER INSERT ON books BEGIN DELETE FROM customers; END",
        "CREATE VIEW books2 AS SELECT * FROM customers",
        "ALTER TABLE books RENAME TO b",
        "PRAGMA writable_schema = ON",
        "COMMIT",
    ],
)
def test_execute_touches_granted_tables_only(ask: Ask, file: Path, sql: str) -> None:
    assert refusal(ask, "execute", sql, mode="write").kind == "Policy"
    assert titles(file) == ["Emma", "Ulysses"]


def test_a_statement_that_fails_halfway_changes_nothing(ask: Ask, file: Path) -> None:
    sql = "UPDATE books SET title = CASE id WHEN 1 THEN 'x' ELSE NULL END"
    assert refusal(ask, "execute", sql, mode="write").kind == "Validation"
    assert titles(file) == ["Emma", "Ulysses"]


def test_too_many_rows_and_bytes_are_a_limit(ask: Ask) -> None:
    assert refusal(ask, "query", ENDLESS.format("i"), max_rows=10).kind == "Limit"
    wide = ENDLESS.format("hex(zeroblob(400))")
    assert refusal(ask, "query", wide, max_rows=100_000, max_bytes=4096).kind == "Limit"
    assert refusal(ask, "query", "SELECT zeroblob(900000000)").kind == "Limit"


def test_what_a_statement_sorts_fills_neither_disk_nor_memory(ask: Ask) -> None:
    sort = ENDLESS.format("zeroblob(90000)") + " ORDER BY 1"
    error = refusal(ask, "query", sort, timeout=60, policy={"request_timeout": 60})
    assert (error.kind, error.field) == ("Limit", "sql")
    assert "memory" in error.message


@pytest.mark.attack("B28")
def test_a_statement_without_end_is_stopped(ask: Ask) -> None:
    error = refusal(ask, "query", ENDLESS.format("count(*)"), timeout=0.2)
    assert (error.kind, error.duration) == ("Timeout", 0.2)
    for thread in [t for t in threading.enumerate() if t.name == "bridge"]:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.attack("B27")
def test_a_change_whose_call_was_given_up_is_undone(ask: Ask, file: Path) -> None:
    endless = ENDLESS.format("i").replace("SELECT i FROM n", "")
    sql = f"{endless} UPDATE books SET title = 'x' WHERE id < (SELECT count(*) FROM n)"
    assert refusal(ask, "execute", sql, mode="write", timeout=0.2).kind == "Timeout"
    assert titles(file) == ["Emma", "Ulysses"]


def test_a_database_that_the_config_does_not_name(ask: Ask) -> None:
    host = Host(load("sql", {"databases": {"shop": {"url": "sqlite:////x"}}}))
    with pytest.raises(BridgeError, match="did you mean 'shop'") as caught:
        host.run(lambda: host.call("sql.query", "shops", "SELECT 1"))
    assert (caught.value.kind, caught.value.field) == ("Configuration", "db")


def test_a_file_that_is_no_database_says_so_without_its_path(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.db"
    wrong.write_text("no database, but long enough to look at" * 100)
    for path in (wrong, tmp_path / "missing.db"):
        database = {"url": f"sqlite:///{path}", "tables": ["*"], "mode": "write"}
        host = Host(load("sql", {"databases": {"a": database}}))
        with pytest.raises(BridgeError, match="cannot be opened") as caught:
            host.run(functools.partial(host.call, "sql.tables", "a"))
        assert str(tmp_path) not in caught.value.message
    assert not (tmp_path / "missing.db").exists()


def test_the_address_may_come_from_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"databases": {"a": {"url_env": "SHOP_URL", "tables": ["books"]}}}
    host = Host(load("sql", settings))
    with pytest.raises(BridgeError, match="SHOP_URL is not set") as caught:
        host.run(lambda: host.call("sql.tables", "a"))
    assert caught.value.kind == "Configuration"
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{file}")
    host = Host(load("sql", settings))
    assert host.run(lambda: host.call("sql.tables", "a")) == ["books"]


@pytest.mark.parametrize(
    ("database", "field"),
    [
        ({}, "sql.databases.a"),
        ({"url": "sqlite:////a", "url_env": "B"}, "sql.databases.a"),
        ({"url": "sqlite:///relative.db"}, "sql.databases[...].url"),
        ({"url": "mysql://x/y"}, "sql.databases[...].url"),
    ],
)
def test_settings_that_make_no_sense_are_refused(database: Any, field: str) -> None:
    with pytest.raises(BridgeError) as caught:
        load("sql", {"databases": {"a": database}})
    assert (caught.value.kind, caught.value.field) == ("Configuration", field)
