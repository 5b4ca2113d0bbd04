"""Where libraries are found: in granted folders, beneath them, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from pathlib import Path

import msgspec
import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.library import LibraryBridge
from llmspell_bridges.library._bridge import MAX_LIBRARY
from tests.bridges.host import Host


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A granted folder, beside what is not granted."""
    folder = tmp_path / "granted"
    (folder / "text").mkdir(parents=True)
    (folder / "stats.lua").write_text("return 1")
    (folder / "text" / "format.lua").write_text("return 2")
    (tmp_path / "secret.lua").write_text("return 'CANARY'")
    return folder


def host(*roots: Path, engine: str = "lua") -> Host:
    made = Host(LibraryBridge(LibraryBridge.config()), libraries=tuple(map(str, roots)))
    made.context = msgspec.structs.replace(made.context, engine=engine)
    return made


def required(subject: Host, name: object) -> object:
    return subject.run(lambda: subject.call("library.require", name))


def refused(subject: Host, name: str) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        required(subject, name)
    assert "CANARY" not in caught.value.message
    return caught.value


def test_a_library_is_found_beneath_its_folder_and_noted(root: Path) -> None:
    subject = host(root)
    assert required(subject, "text/format") == "return 2"
    assert subject.context.detail == {
        "library": str(root),
        "sha256": hashlib.sha256(b"return 2").hexdigest(),
    }


def test_the_first_folder_that_has_it_gives_it(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "stats.lua").write_text("return 'other'")
    assert required(host(root, other), "stats") == "return 1"
    assert required(host(other, root), "stats") == "return 'other'"
    assert required(host(other, root), "text/format") == "return 2"


def test_a_shebang_is_blanked_and_a_byte_order_mark_dropped(root: Path) -> None:
    (root / "a.lua").write_text("\ufeff#!/usr/bin/lua\nreturn 1")
    (root / "b.lua").write_text("#!/usr/bin/lua")
    assert required(host(root), "a") == "\nreturn 1"
    assert required(host(root), "b") == ""


@pytest.mark.attack("B13")
@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "text/../../secret",
        "./stats",
        "/etc/passwd",
        "//etc/passwd",
        "stats.lua",
        "stats\0",
        "stats\n",
        "STATS",
        "text//format",
        "text/",
        "%2e%2e/secret",
        "st\u0430ts",
        "",
        "a" * 41,
        "a/" * 4096 + "a",
    ],
)
def test_a_name_that_is_none_opens_nothing(root: Path, name: str) -> None:
    error = refused(host(root), name)
    assert (error.kind, error.field) == ("Validation", "name")
    assert "is named by" in error.message


@pytest.mark.attack("B13", "B14")
def test_no_link_is_followed_wherever_it_leads(root: Path, tmp_path: Path) -> None:
    (root / "file.lua").symlink_to(tmp_path / "secret.lua")
    (root / "inside.lua").symlink_to(root / "stats.lua")
    (root / "folder").symlink_to(tmp_path)
    (root / "process.lua").symlink_to("/proc/self/environ")
    for name in ("file", "inside", "folder/secret", "process"):
        error = refused(host(root), name)
        assert (error.kind, error.message.endswith("it is a link")) == ("Policy", True), error


@pytest.mark.attack("B14")
def test_a_folder_that_is_swapped_for_a_link_while_it_is_read_leads_nowhere(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "format.lua").write_text("return 'CANARY'")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (root / "text").rename(root / "kept")
            (root / "text").symlink_to(tmp_path)
            (root / "text").unlink()
            (root / "kept").rename(root / "text")

    subject = host(root)
    swapper = threading.Thread(target=swap)
    swapper.start()
    answers = set()
    try:
        for _ in range(300):
            try:
                answers.add(subject.run(lambda: subject.call("library.require", "text/format")))
            except BridgeError as error:
                answers.add(error.kind)
    finally:
        over.set()
        swapper.join()
    assert answers <= {"return 2", "Policy", "Validation"}
    assert "return 2" in answers


@pytest.mark.attack("B15")
@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe.lua")
    (root / "folder.lua").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.lua"))
        assert refused(host(root), "socket").kind == "Policy"
    for name in ("pipe", "folder"):
        assert refused(host(root), name).message.endswith("not a file")


@pytest.mark.attack("B15")
def test_a_library_over_the_cap_is_refused(root: Path) -> None:
    with (root / "sparse.lua").open("wb") as file:
        file.truncate(1 << 40)
    (root / "most.lua").write_text("-" * MAX_LIBRARY)
    assert refused(host(root), "sparse").kind == "Limit"
    assert required(host(root), "most") == "-" * MAX_LIBRARY


@pytest.mark.parametrize("data", [b"\xff", b"return '\0'"])
def test_what_is_no_text_is_refused(root: Path, data: bytes) -> None:
    (root / "data.lua").write_bytes(data)
    assert refused(host(root), "data").kind == "Serialization"


def test_one_that_is_missing_is_named_with_the_nearest(root: Path) -> None:
    assert refused(host(root), "stat").message == (
        "require: no library 'stat'; did you mean 'stats'?"
    )
    assert refused(host(root), "nowhere/format").message == "require: no library 'nowhere/format'"
    assert "is for lua, and this spell is for javascript" in (
        refused(host(root, engine="javascript"), "stats").message
    )


def test_without_a_folder_or_for_an_engine_that_has_none_nothing_is_read(root: Path) -> None:
    assert refused(host(), "stats").kind == "Policy"
    assert refused(host(root, engine="forth"), "stats").kind == "Configuration"


def test_a_folder_that_has_gone_holds_nothing(root: Path, tmp_path: Path) -> None:
    assert required(host(tmp_path / "gone", root), "stats") == "return 1"
