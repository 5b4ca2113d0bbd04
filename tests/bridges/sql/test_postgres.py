"""PostgreSQL: a server of the test's own behind a Unix socket, and what is asked of other servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from llmspell_bridges import BridgeError, load
from llmspell_bridges.sql._postgres import secured
from tests.bridges.host import Host

Ask = Callable[..., Any]

SCHEMA = """
CREATE ROLE reader LOGIN;
CREATE TABLE books(id serial PRIMARY KEY, title text NOT NULL, price numeric, at date);
INSERT INTO books(title, price, at) VALUES ('Emma', 7.50, '1815-12-23'), ('Ulysses', NULL, NULL);
GRANT SELECT ON books TO reader;
CREATE TABLE customers(card text);
"""


def binaries() -> Path | None:
    """Where the server's programs are."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return packaged[-1].parent if packaged else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The directory of a running server's socket."""
    at = binaries()
    if at is None:
        pytest.skip("no PostgreSQL server is installed here")
    folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")  # short: it is in a socket's address
    user = None
    if os.getuid() == 0:  # it refuses to run as root
        user = "nobody"
        shutil.chown(folder, user)

    def run(program: str, *args: str) -> None:
        command = [str(at / program), "-D", f"{folder}/data", *args]
        subprocess.run(
            command, check=True, user=user, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )

    try:
        run("initdb", "-A", "trust", "-U", "app", "--no-sync", "--no-instructions")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run("pg_ctl", "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            import psycopg

            with psycopg.connect(f"host={folder} user=app dbname=postgres") as connection:
                connection.execute(SCHEMA)
            yield folder
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def ask(server: str) -> Ask:
    """Calls a method on the database `shop`."""

    def call(method: str, *args: Any, role: str = "app", **settings: Any) -> Any:
        url = f"postgresql+psycopg://{role}@/postgres?host={server}"
        database = {"url": url, "tables": ["*"], **settings}
        host = Host(load("sql", {"databases": {"shop": database}}))
        return host.run(lambda: host.call(f"sql.{method}", "shop", *args))

    return call


def refusal(ask: Ask, method: str, *args: Any, **settings: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        ask(method, *args, **settings)
    return caught.value


def titles(ask: Ask) -> list[str]:
    found = ask("query", "SELECT title FROM books ORDER BY id")["rows"]
    return [row["title"] for row in found]


def test_a_query_gives_rows_and_what_has_no_type_in_scripts_is_text(ask: Ask) -> None:
    found = ask("query", "SELECT * FROM books WHERE id = :id AND '1'::int = 1", {"id": 1})
    assert found["rows"] == [{"id": 1, "title": "Emma", "price": "7.50", "at": "1815-12-23"}]


def test_tables_and_columns(ask: Ask) -> None:
    assert ask("tables") == ["books", "customers"]
    first = {"name": "id", "type": "INTEGER", "nullable": False, "primary_key": True}
    assert ask("columns", "books")[0] == first


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM books",
        "WITH x AS (DELETE FROM books RETURNING id) SELECT * FROM x",
        "SELECT 1; DELETE FROM books",
        "SELECT nextval('books_id_seq')",
        "SET TRANSACTION READ WRITE",
        "DO $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM books; END $$",
        "COPY books TO PROGRAM 'cat'",
        "COMMIT",
    ],
)
@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_query_changes_nothing(ask: Ask, sql: str, mode: str) -> None:
    assert refusal(ask, "query", sql, mode=mode).kind in ("Policy", "Validation")
    assert titles(ask) == ["Emma", "Ulysses"]


def test_execute_changes_rows_where_the_config_lets_it(ask: Ask) -> None:
    sql, params = "INSERT INTO books(title) VALUES (:t) RETURNING title", {"t": "Dune"}
    assert refusal(ask, "execute", sql, params).kind == "Policy"
    assert ask("execute", sql, params, mode="write") == {"changed": 1, "rows": [{"title": "Dune"}]}
    assert (
        ask("execute", "DELETE FROM books WHERE title = :t", params, mode="write")["changed"] == 1
    )
    assert titles(ask) == ["Emma", "Ulysses"]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM books; DELETE FROM books",
        "SET search_path = x",
        "COPY books FROM PROGRAM 'cat'",
        "INSERT INTO books(title) VALUES (NULL)",
    ],
)
def test_execute_is_one_change_of_rows_or_nothing(ask: Ask, sql: str) -> None:
    assert refusal(ask, "execute", sql, mode="write").kind == "Validation"
    assert titles(ask) == ["Emma", "Ulysses"]


def test_the_role_decides_about_tables(ask: Ask) -> None:
    assert ask("query", "SELECT count(*) AS n FROM books", role="reader")["rows"] == [{"n": 2}]
    assert refusal(ask, "query", "SELECT * FROM customers", role="reader").kind == "Policy"


@pytest.mark.attack("B28", "B27")
def test_a_statement_that_takes_too_long_is_cancelled_and_undone(ask: Ask) -> None:
    slow = "WITH a AS (SELECT pg_sleep(60)) UPDATE books SET title = 'x' FROM a"
    assert refusal(ask, "execute", slow, mode="write", timeout=0.3).kind == "Timeout"
    assert titles(ask) == ["Emma", "Ulysses"]
    left = "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%UPDATE%'"
    assert ask("query", f"{left} AND state = 'active' AND pid <> pg_backend_pid()")["rows"] == [
        {"n": 0}
    ]


def test_too_many_rows_are_a_limit(ask: Ask) -> None:
    assert refusal(ask, "query", "SELECT generate_series(1, 50) AS n", max_rows=10).kind == "Limit"


def test_a_list_of_tables_is_refused_since_only_the_role_can_enforce_it() -> None:
    database = {"url": "postgresql+psycopg://canary-host/x", "tables": ["books"]}
    host = Host(load("sql", {"databases": {"shop": database}}))
    with pytest.raises(BridgeError, match="granted to its role") as caught:
        host.run(lambda: host.call("sql.tables", "shop"))
    assert caught.value.field == "sql.databases.shop.tables"


def test_a_server_that_is_not_there_is_named_by_its_database_only() -> None:
    url = "postgresql+psycopg://me:canary-password@127.0.0.1:1/x"
    host = Host(load("sql", {"databases": {"shop": {"url": url, "tables": ["*"]}}}))
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("sql.tables", "shop"))
    assert caught.value.kind == "Network"
    assert caught.value.message == "shop: the server cannot be reached"


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql+psycopg://db.example/x", "require"),
        ("postgresql+psycopg://db.example/x?sslmode=disable", "require"),
        ("postgresql+psycopg://db.example/x?sslmode=verify-full", "verify-full"),
        ("postgresql+psycopg://127.0.0.1/x", None),
        ("postgresql+psycopg:///x?host=/run/postgresql", None),
    ],
)
def test_a_server_elsewhere_is_reached_by_tls(url: str, mode: str | None) -> None:
    assert secured(make_url(url), require_tls=True).query.get("sslmode") == mode
    assert secured(make_url(url), require_tls=False) == make_url(url)
