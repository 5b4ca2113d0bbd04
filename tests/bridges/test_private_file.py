"""Files of databases: nobody else's to read, and their locks outlive whoever makes sure of that."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_bridges._private_file import make_private_file

WRITE = """\
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
    print("written")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_private_file(str(path))
    make_private_file(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b""


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        make_private_file(str(tmp_path / "a.db"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_private_file(os.fspath(tmp_path / "none" / "a.db"))


def test_the_locks_of_another_connection_stay(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE t(x)")
        db.execute("BEGIN IMMEDIATE")
        make_private_file(path)  # as for the next call of the same process
        other = [sys.executable, "-c", WRITE, path]
        said = subprocess.run(other, capture_output=True, text=True, check=True).stdout
    assert said == "database is locked\n"
