"""What the bridges for data are configured with while the table runs."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.support.webhook import webhook


@contextmanager
def data_settings() -> Iterator[dict[str, dict[str, Any]]]:
    """Settings by bridge; their files are gone afterwards."""
    with (
        tempfile.TemporaryDirectory() as folder,
        webhook() as hook,
        pytest.MonkeyPatch.context() as p,
    ):
        p.setenv("CROSS_ENGINE_HOOK", f"json://127.0.0.1:{hook.port}/")
        with closing(sqlite3.connect(f"{folder}/shop.db")) as db:
            db.executescript(
                "CREATE TABLE books(id INTEGER PRIMARY KEY, title TEXT, price REAL, cover BLOB);"
                "INSERT INTO books VALUES (1, 'Emma', 7.5, x'00ff'), (2, 'Ulysses', NULL, NULL);"
                "CREATE TABLE notes(text TEXT NOT NULL); CREATE TABLE secrets(card TEXT);"
            )
        targets = {
            "ops": {"url_env": "CROSS_ENGINE_HOOK", "per_minute": 100, "max_body": 100},
            "lost": {"url_env": "CROSS_ENGINE_NOT_SET"},
        }
        shop = {"url": f"sqlite:///{folder}/shop.db", "tables": ["books"]}
        desk = {**shop, "mode": "write", "tables": ["books", "notes"]}
        yield {
            "sql": {"databases": {"shop": shop, "desk": desk}},
            "memory": {"directory": folder, "max_value": 1000},
            "vector": {"directory": folder},
            "rag": {"directory": folder},
            "notify": {"targets": targets},
            "storage": {
                "stores": {
                    "files": {"url": "memory:///", "mode": "write", "max_object": 100},
                    "archive": {"url": "memory:///"},
                }
            },
        }
