"""Reading spells: from files that may be anything, and from text."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_supervisor._errors import SpellError
from llmspell_supervisor._spell import MAX_SOURCE, Spell


@pytest.mark.parametrize(
    ("name", "engine"),
    [("a.lua", "lua"), ("a.js", "javascript"), ("a.mjs", "javascript"), ("A.LUA", "lua")],
)
def test_the_suffix_names_the_engine(tmp_path: Path, name: str, engine: str) -> None:
    (tmp_path / name).write_text("return 1")
    assert Spell.from_path(tmp_path / name) == Spell(name, "return 1", engine, str(tmp_path / name))


def test_a_named_engine_stands_above_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("return 1")
    assert Spell.from_path(tmp_path / "a.txt", engine="lua").engine == "lua"


@pytest.mark.parametrize(
    ("line", "engine"),
    [
        ("#!/usr/bin/env -S llmspell-supervisor run --engine lua", "lua"),
        ("#!/usr/bin/lua", "lua"),
        ("#!/usr/bin/env node", "javascript"),
        ("#!/usr/bin/env -S llmspell-supervisor run --engine javascript", "javascript"),
    ],
)
def test_a_shebang_names_the_engine_and_lines_still_count_the_same(line: str, engine: str) -> None:
    spell = Spell.from_text(f"{line}\nreturn 1\n")
    assert spell.engine == engine
    assert spell.source == "\nreturn 1\n"


def test_a_byte_order_mark_is_no_part_of_the_spell(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_bytes(b"\xef\xbb\xbf#!/usr/bin/lua\nreturn 1")
    assert Spell.from_path(tmp_path / "a.lua").source == "\nreturn 1"


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50 << 20)


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.lua", lambda _: None, "no such file"),
    "a directory": ("a.lua", Path.mkdir, "is a directory"),
    "a pipe": ("a.lua", _fifo, "is a pipe"),
    "a socket": ("s.lua", _socket, "is a socket"),
    "a device": ("a.lua", lambda p: p.symlink_to("/dev/zero"), "is a device"),
    "a link to itself": ("a.lua", _loop, "cannot be read"),
    "empty": ("a.lua", Path.touch, "is empty"),
    "blank": ("a.lua", lambda p: p.write_text(" \n\t\n"), "is empty"),
    "only a shebang's suffix": ("a.lau", lambda p: p.write_text("x"), "did you mean '.lua'"),
    "of unknown suffix": ("a.xyz", lambda p: p.write_text("x"), "known are .lua, .js, .mjs"),
    "without suffix": ("spell", lambda p: p.write_text("x"), "no suffix"),
    "not UTF-8": ("a.lua", lambda p: p.write_bytes(b"ok\nx = \xff"), "line 2, byte offset 7"),
    "NUL bytes": ("a.lua", lambda p: p.write_bytes(b"x\0y"), "NUL byte at line 1"),
    "too large": ("a.lua", _large, "50 MiB; the cap is 4 MiB"),
}


@pytest.mark.parametrize(("name", "make", "message"), BAD.values(), ids=BAD.keys())
@pytest.mark.timeout(5)
def test_a_file_that_is_no_spell_is_refused_in_one_line_that_names_it(
    tmp_path: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(SpellError) as caught:
        Spell.from_path(tmp_path / name)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_bytes(b"-" * MAX_SOURCE)
    assert len(Spell.from_path(tmp_path / "a.lua").source) == MAX_SOURCE


def test_a_name_that_is_not_utf8_is_shown_with_a_replacement(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.lua"
    Path(os.fsdecode(path)).write_text("return 1")
    assert Spell.from_path(os.fsdecode(path)).name == "\ufffd.lua"


def test_a_name_with_escapes_reaches_no_terminal_raw(tmp_path: Path) -> None:
    with pytest.raises(SpellError) as caught:
        Spell.from_path(tmp_path / "\x1b[2J.lua")
    assert str(caught.value).isprintable()


def test_text_without_an_engine_is_refused_with_the_flag() -> None:
    with pytest.raises(SpellError, match="--engine lua"):
        Spell.from_text("return 1")


def test_an_engine_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpellError, match="did you mean 'lua'"):
        Spell.from_text("return 1", "lau")


@pytest.mark.parametrize("source", ["a\0b", "a\ud800", "", "x" * (MAX_SOURCE + 1)])
def test_text_that_is_no_spell_is_refused(source: str) -> None:
    with pytest.raises(SpellError):
        Spell.from_text(source, "lua")
