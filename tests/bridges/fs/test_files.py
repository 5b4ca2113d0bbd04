"""`fs`, when all is well, and what it says when it is not: real files."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.bridges.fs.stage import do, host_of, refusal


def test_what_is_written_is_read_as_text_and_as_bytes(tmp_path: Path) -> None:
    assert do(tmp_path, "write", "a.txt", "Grüße") == 7
    assert do(tmp_path, "read", "a.txt") == "Grüße"
    assert do(tmp_path, "read", "a.txt", {"encoding": "bytes"}) == "Grüße".encode()
    assert do(tmp_path, "write", "b.bin", b"\x00\xff") == 2
    assert do(tmp_path, "read", str(tmp_path / "b.bin"), {"encoding": "bytes"}) == b"\x00\xff"


def test_a_part_of_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("0123456789")
    assert do(tmp_path, "read", "a", {"offset": 7}) == "789"
    assert do(tmp_path, "read", "a", {"offset": 2, "length": 3}) == "234"
    assert do(tmp_path, "read", "a", {"offset": 99, "length": 3}) == ""
    assert do(tmp_path, "read", "a", {"length": 0}) == ""


def test_bytes_are_not_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff")
    error = refusal(tmp_path, "read", "a")
    assert (error.kind, error.field) == ("Conversion", "path")
    assert 'encoding = "bytes"' in error.message


def test_a_file_is_replaced_only_where_that_is_wanted(tmp_path: Path) -> None:
    do(tmp_path, "write", "a", "one")
    error = refusal(tmp_path, "write", "a", "two", {"overwrite": False})
    assert (error.kind, error.message) == ("Validation", "path: 'a' is there already")
    assert (tmp_path / "a").read_text() == "one"
    do(tmp_path, "write", "a", "three")
    do(tmp_path, "write", "b", "four", {"overwrite": False})
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("three", "four")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_text_is_appended_to_a_file_new_or_old(tmp_path: Path) -> None:
    assert do(tmp_path, "append", "log", "one\n") == 4
    assert do(tmp_path, "append", "log", b"two\n") == 4
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_nothing_that_is_written_can_be_run(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o4755)
    do(tmp_path, "write", "tool", "x")
    assert stat.S_IMODE(tool.stat().st_mode) == 0o644
    tool.chmod(0o755)
    assert refusal(tmp_path, "append", "tool", "x").kind == "Policy"


def test_a_directory_is_listed_with_kinds_and_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "l").symlink_to("/etc")
    os.mkfifo(tmp_path / "p")
    (tmp_path / ".llmspell-0123").write_text("half")
    assert do(tmp_path, "list") == [
        {"name": "a.txt", "kind": "file"},
        {"name": "d", "kind": "directory"},
        {"name": "l", "kind": "link"},
        {"name": "p", "kind": "other"},
    ]
    assert do(tmp_path, "list", "d") == []


def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff.md")).write_text("x")
    assert do(tmp_path, "list") == [{"name": "a\ufffd.md", "kind": "file"}]
    assert do(tmp_path, "glob", "*.md") == ["a\ufffd.md"]
    assert do(tmp_path, "stat", "a\ufffd.md") is None


def test_a_path_is_described_or_null(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("four")
    os.utime(tmp_path / "a", (0, 1.5))
    assert do(tmp_path, "stat", "a") == {"kind": "file", "size": 4, "modified": 1.5}
    assert do(tmp_path, "stat", ".")["kind"] == "directory"
    assert do(tmp_path, "stat", "none") is None
    assert do(tmp_path, "stat", "a/below") is None


def test_directories_are_made_with_those_above_them(tmp_path: Path) -> None:
    assert do(tmp_path, "mkdir", "a/b/c") is None
    assert do(tmp_path, "mkdir", "a/b") is None
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "f").write_text("")
    assert refusal(tmp_path, "mkdir", "f/x").kind == "Validation"


def test_files_and_empty_directories_are_removed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("")
    assert "is not empty" in refusal(tmp_path, "remove", "d").message
    do(tmp_path, "remove", "d/a")
    do(tmp_path, "remove", "d")
    assert os.listdir(tmp_path) == []
    assert refusal(tmp_path, "remove", "d").message == "path: there is no 'd'"
    assert "the granted directory itself" in refusal(tmp_path, "remove", ".").message


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.md", ["a.md"]),
        ("**/*.md", ["a.md", "d/b.md", "d/e/c.md"]),
        ("d/*", ["d/b.md", "d/e", "d/x.txt"]),
        ("d/**", ["d/b.md", "d/e", "d/e/c.md", "d/x.txt"]),
        ("**/e/*.md", ["d/e/c.md"]),
        ("**/**/c.md", ["d/e/c.md"]),
        ("?.md", ["a.md"]),
        ("[ab].md", ["a.md"]),
        (".h*", [".hidden"]),
        ("a.md", ["a.md"]),
        ("none/*.md", []),
        ("l/*", []),
    ],
)
def test_a_pattern_finds_paths(tmp_path: Path, pattern: str, found: list[str]) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    for name in ("a.md", "d/b.md", "d/e/c.md", "d/x.txt", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "d" / "e" / "up").symlink_to(tmp_path)
    if pattern == "l/*":
        (tmp_path / "l").symlink_to(tmp_path / "d")
        assert refusal(tmp_path, "glob", pattern).kind == "Policy"
        return
    found = [*found, "d/e/up"] if pattern == "d/**" else found
    assert do(tmp_path, "glob", pattern) == sorted(found)
    absolute = [f"{tmp_path}/{name}" for name in sorted(found)]
    assert do(tmp_path, "glob", f"{tmp_path}/{pattern}") == absolute


def test_what_a_pattern_finds_is_readable(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.md").write_text("x")
    host = host_of(tmp_path)

    async def work() -> list[str]:
        return [await host.call("fs.read", path) for path in await host.call("fs.glob", "**/*.md")]

    assert host.run(work) == ["x"]


def test_a_pattern_of_many_wildcards_costs_no_more_than_its_tree(tmp_path: Path) -> None:
    (tmp_path / "/".join("d" * 20)).mkdir(parents=True)
    pattern = "/".join(["**"] * 30) + "/x"
    assert do(tmp_path, "glob", pattern, settings={"max_entries": 20}) == []
    assert refusal(tmp_path, "glob", "/".join("*" * 40)).field == "pattern"


def test_paths_are_relative_to_the_one_directory_that_is_granted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a").write_text("x")
    grants = {"allow_read": (str(tmp_path / "in"),), "allow_write": (str(tmp_path / "out"),)}
    assert do(tmp_path, "read", "a", **grants) == "x"
    do(tmp_path, "write", "b", "y", **grants)
    assert (tmp_path / "out" / "b").read_text() == "y"
    assert do(tmp_path, "roots", **grants) == {
        "read": [str(tmp_path / "in")],
        "write": [str(tmp_path / "out")],
    }


def test_with_several_directories_a_path_is_written_in_full(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("x")
    grants = {"allow_read": (str(tmp_path), str(tmp_path / "d"))}
    error = refusal(tmp_path, "read", "a", **grants)
    assert (error.kind, error.field) == ("Validation", "path")
    assert str(tmp_path / "d") in error.message
    assert do(tmp_path, "read", f"{tmp_path}/d/a", **grants) == "x"


def test_a_directory_may_be_named_as_the_operator_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("x")
    (tmp_path / "named").symlink_to("real")
    grants = {"allow_read": (str(tmp_path / "named"),)}
    assert do(tmp_path, "read", f"{tmp_path}/named/a", **grants) == "x"
    assert do(tmp_path, "read", f"{tmp_path}/real/a", **grants) == "x"


def test_reading_and_writing_are_granted_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    path = f"{tmp_path}/a"
    error = refusal(tmp_path, "read", path, allow_read=())
    assert (error.kind, error.field) == ("Policy", "path")
    assert f"--allow-read {tmp_path}" in error.message
    error = refusal(tmp_path, "write", path, "y", allow_write=())
    assert f"--allow-write {tmp_path}" in error.message
    assert refusal(tmp_path, "list", allow_read=()).kind == "Policy"
    assert refusal(tmp_path, "glob", "*", allow_read=()).kind == "Policy"
    assert refusal(tmp_path, "remove", "a", allow_write=()).kind == "Policy"
    assert refusal(tmp_path, "mkdir", "d", allow_write=()).kind == "Policy"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("method", "args", "field"),
    [
        ("read", (1,), "path"),
        ("read", ("a", {"encodng": "bytes"}), "encodng"),
        ("read", ("a", {"offset": -1}), "offset"),
        ("write", ("a", 1), "data"),
        ("write", ("a", "x", {"overwrite": 1}), "overwrite"),
        ("append", ("a", None), "data"),
        ("list", (None,), "path"),
        ("stat", ([],), "path"),
        ("glob", (1,), "pattern"),
        ("mkdir", (False,), "path"),
        ("remove", ({},), "path"),
    ],
)
def test_a_wrong_type_names_the_parameter(
    tmp_path: Path, method: str, args: tuple[Any, ...], field: str
) -> None:
    error = refusal(tmp_path, method, *args)
    assert (error.kind, error.field) == ("Validation", field)


def test_a_granted_directory_that_is_gone_is_the_operators_to_mend(tmp_path: Path) -> None:
    error = refusal(tmp_path, "list", allow_read=(str(tmp_path / "gone"),))
    assert error.kind == "Configuration"
    assert str(tmp_path / "gone") in error.message
