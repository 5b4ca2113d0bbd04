"""`fs` against those who would leave the granted directory, or make the host run something."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges._beneath import open_beneath
from tests.bridges.fs.stage import do, host_of, refusal

CANARY = "the canary of another directory"
Field = tuple[Path, Path]


@pytest.fixture
def field(tmp_path: Path) -> Field:
    """A granted directory, and one beside it that nobody granted."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text(CANARY)
    return inside, outside


ESCAPES = (
    "../out/secret",
    "d/../../out/secret",
    "./../out/secret",
    "..",
    "{out}/secret",
    "/{out}/secret",
    "//{out}//secret",
    "{in}/../out/secret",
    "{in}out/secret",
    "/etc/passwd",
    "/proc/self/environ",
    "/dev/null",
    "link",
    "links/secret",
    "links",
    "hop/secret",
    "absolute/secret",
    "~/secret",
    "$HOME/secret",
    "%2e%2e/out/secret",
    "..%2fout%2fsecret",
    "\u2025/out/secret",
    "\uff0e\uff0e/out/secret",
    "..\\out\\secret",
    ".\u0301./out/secret",
    "a\0b",
    "\0",
    "",
    "../out/secret\0.txt",
    "a\nb",
    "x" * 256,
    "x/" * 2100,
    "\U0001f600" * 70,
    ".llmspell-1234",
    "d/.llmspell-1234",
)


@pytest.mark.attack("B13")
@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out_of_the_directory(field: Field, path: str) -> None:
    inside, outside = field
    (inside / "link").symlink_to(outside / "secret")
    (inside / "links").symlink_to(outside)
    (inside / "hop").symlink_to("../out")
    (inside / "absolute").symlink_to("/")
    before = sorted(os.listdir(inside))
    path = path.replace("{out}", str(outside)).replace("{in}", str(inside))
    host = host_of(inside)

    async def work() -> list[Any]:
        found: list[Any] = []
        for method, args in (
            ("read", ()), ("list", ()), ("stat", ()), ("glob", ()), ("append", ("x",)),
            ("write", ("x",)), ("remove", ()),
        ):  # fmt: skip
            try:
                found.append(await host.call(f"fs.{method}", path, *args))
            except BridgeError as error:
                found.append(error.kind)
        return found

    found = host.run(work)
    assert CANARY not in repr(found)
    assert sorted(os.listdir(outside)) == ["secret"]
    assert (outside / "secret").read_text() == CANARY
    # What is left is what may be: an odd name inside the directory, and it has been removed again.
    assert sorted(os.listdir(inside)) == before


def test_an_error_says_what_to_do_and_tells_nothing_of_the_rest(field: Field) -> None:
    inside, outside = field
    (inside / "links").symlink_to(outside)
    for path in ("links/secret", "links/none"):
        error = refusal(inside, "read", path)
        assert error.message == (
            f"path: '{path}' is a link or leads through one, and links are not followed"
        )
    there, missing = (refusal(inside, "read", f"{outside}/{name}") for name in ("secret", "none"))
    assert there.message.replace("secret", "none") == missing.message
    assert there.message.endswith(f"--allow-read {outside}")


@contextlib.contextmanager
def meanwhile(*turns: Callable[[], None]) -> Iterator[None]:
    """Another process's part, played by a thread: `turns`, over and over."""
    over = threading.Event()

    def play() -> None:
        while not over.is_set():
            for turn in turns:
                with contextlib.suppress(OSError):
                    turn()

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        over.set()
        player.join()


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one moment: renameat2(2) with RENAME_EXCHANGE."""
    names = os.fsencode(one), os.fsencode(other)
    if LIBC.renameat2(-100, names[0], -100, names[1], 2) != 0:
        raise OSError(ctypes.get_errno(), "exchange")


LIBC = ctypes.CDLL(None, use_errno=True)
ROUNDS = 60
MOST_ROUNDS = 2000
"""Of which none is needed, unless a busy machine lets the swaps and the calls never meet."""


@pytest.mark.attack("B14")
@pytest.mark.parametrize("swapped", ["parent", "file", "both"])
def test_what_is_swapped_meanwhile_is_not_followed(field: Field, swapped: str) -> None:
    inside, outside = field
    folder, link, spare = inside / "d", inside / "link", inside / "spare"
    folder.mkdir()
    spare.mkdir()
    for place in (folder, spare):
        (place / "secret").write_text("harmless")
    target, other = folder, outside
    if swapped == "file":
        target, other = folder / "secret", outside / "secret"
    os.symlink(other, link)
    turns = [lambda: exchange(target, link)]
    if swapped == "both":
        turns.append(lambda: exchange(target, spare))
    host = host_of(inside)
    answers: list[str] = []

    async def ask(method: str, *args: Any) -> None:
        try:
            answers.append(repr(await host.call(f"fs.{method}", *args)))
        except BridgeError as error:
            answers.append(error.kind)

    async def work() -> None:
        for number in range(MOST_ROUNDS):
            if number >= ROUNDS and "Policy" in answers and repr(answers).count("harmless"):
                return
            await asyncio.gather(
                ask("read", "d/secret"),
                ask("write", "d/new", "x" * number),
                ask("append", "d/secret", "y"),
                ask("mkdir", f"d/m{number % 5}/n"),
                ask("glob", "**/secret"),
                ask("list", "d"),
                ask("remove", "d/new"),
            )

    with meanwhile(*turns):
        host.run(work)
    assert CANARY not in "".join(answers)
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == CANARY
    assert any("harmless" in answer for answer in answers), "no read ever met the file itself"
    assert "Policy" in answers, "no call ever met the link"


@pytest.mark.attack("B14")
def test_a_hard_link_is_not_written_through(field: Field) -> None:
    inside, outside = field
    (inside / "other").hardlink_to(outside / "secret")
    assert refusal(inside, "append", "other", "x").kind == "Policy"
    do(inside, "write", "other", "mine")
    assert (outside / "secret").read_text() == CANARY
    assert (inside / "other").read_text() == "mine"


@pytest.mark.attack("B14")
def test_a_directory_that_is_replaced_after_the_run_began_is_still_the_granted_one(
    field: Field,
) -> None:
    inside, outside = field
    (inside / "secret").write_text("mine")
    host = host_of(inside)

    async def work() -> list[str]:
        first = await host.call("fs.read", "secret")
        inside.rename(inside.with_name("moved"))
        inside.symlink_to(outside)
        return [first, await host.call("fs.read", "secret")]

    assert host.run(work) == ["mine", "mine"]
    assert refusal(inside.with_name("moved"), "read", f"{inside}/secret").kind == "Policy"


@pytest.mark.attack("B15")
def test_special_files_are_neither_opened_nor_waited_for(field: Field) -> None:
    inside, _ = field
    os.mkfifo(inside / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inside / "socket"))
    with contextlib.suppress(PermissionError):  # for root, and not in every container
        os.mknod(inside / "device", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    for name in os.listdir(inside):
        for method, args in (("read", ()), ("append", ("x",)), ("write", ("x",)), ("remove", ())):
            error = refusal(inside, method, name, *args)
            assert (error.kind, "no regular file" in error.message) == ("Policy", True), name


@pytest.mark.attack("B15")
def test_a_file_of_exabytes_costs_nothing(field: Field) -> None:
    inside, _ = field
    with (inside / "sparse").open("wb") as file:
        size = 1 << 43  # as large as ext4 takes
        file.truncate(size)
    error = refusal(inside, "read", "sparse")
    assert (error.kind, str(size) in error.message) == ("Limit", True)
    part = {"encoding": "bytes", "offset": size - 2, "length": 1 << 62}
    assert do(inside, "read", "sparse", part) == b"\0\0"
    error = refusal(inside, "read", "sparse", {"length": 1 << 62})
    assert error.kind == "Limit"


@pytest.mark.attack("B15")
def test_the_kernels_own_files_are_not_files() -> None:
    for path in ("/proc/self/environ", f"/proc/{os.getpid()}/environ", "/sys/kernel/vmcoreinfo"):
        assert refusal(Path("/"), "read", path, allow_write=()).kind == "Policy"
    error = refusal(Path("/proc"), "read", f"{os.getpid()}/environ", allow_write=())
    assert (error.kind, "the kernel's own" in error.message) == ("Configuration", True)


@pytest.mark.attack("B15")
def test_a_directory_of_many_entries_ends_at_the_quota(field: Field) -> None:
    inside, _ = field
    for number in range(300):
        (inside / f"f{number}").touch()
    for method, args in (("list", ()), ("glob", ("**/*",))):
        error = refusal(inside, method, *args, settings={"max_entries": 200})
        assert (error.kind, "max_entries, 200" in error.message) == ("Limit", True)


CODE = (
    "sitecustomize.py", "usercustomize.py", "SiteCustomize.PY", "conftest.py", "d/conftest.py",
    "evil.pth", "x.PTH", "dataclasses.py", "json.py", "json/__init__.py", "d/os/__main__.py",
    ".git/hooks/pre-commit", ".git/config", ".GIT/config", ".g\u200bit/config", ".git./config",
    "sub/.git", ".gitmodules", ".env", ".env.local", ".ENV", ".envrc", ".bashrc", ".profile",
    ".vscode/tasks.json", ".ssh/authorized_keys", ".npmrc", "lib.so", "lib.so.1", "mod.pyc",
    "__pycache__/a.cpython-311.pyc", ".mcp.json", "\uff0egit/config", "llmspell-supervisor/config.toml",
)  # fmt: skip


@pytest.mark.attack("B16")
@pytest.mark.parametrize("path", CODE)
def test_what_programs_run_by_themselves_is_not_written(field: Field, path: str) -> None:
    inside, _ = field
    for method, args in (("write", ("x",)), ("append", ("x",)), ("mkdir", ()), ("remove", ())):
        error = refusal(inside, method, path, *args)
        assert (error.kind, error.field) == ("Policy", "path")
        assert "allow_names under [fs]" in error.message
    assert os.listdir(inside) == []


@pytest.mark.attack("B16")
def test_no_module_is_written_to_where_this_program_imports_from(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmspell_bridges.fs import _names

    inside, _ = field
    monkeypatch.setattr(sys, "path", [*sys.path, str(inside)])
    _names._import_path.cache_clear()
    try:
        assert refusal(inside, "write", "litellm.py", "x").kind == "Policy"
        assert do(inside, "write", "data.csv", "x") == 1
    finally:
        _names._import_path.cache_clear()


def test_ordinary_names_are_written_and_the_operator_may_allow_others(field: Field) -> None:
    inside, _ = field
    for path in ("main.py", "environment", "notes.env", "git", "json", "report.pth.txt"):
        assert do(inside, "write", path, "x") == 1
    allowed = {"allow_names": ["conftest.py"]}
    assert do(inside, "write", "conftest.py", "x", settings=allowed) == 1


@pytest.mark.attack("B17")
def test_a_reader_sees_the_old_file_or_the_new_one(field: Field) -> None:
    inside, _ = field
    target = inside / "f"
    target.write_text("a" * 100_000)
    seen: set[str] = set()
    host = host_of(inside)

    async def work() -> None:
        for letter in "bcdefghij" * 5:
            await host.call("fs.write", "f", letter * 100_000)

    with meanwhile(lambda: seen.add(target.read_text())):
        host.run(work)
    assert len(seen) > 1, "the reader never saw a change"
    assert all(len(text) == 100_000 and len(set(text)) == 1 for text in seen)


@pytest.mark.attack("B17")
def test_a_write_that_fails_in_the_middle_leaves_the_old_file_and_nothing_else(
    field: Field,
) -> None:
    inside, _ = field
    (inside / "f").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # As a full disk would: Python ignores the signal, and the write ends after 4,096 bytes.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        errors = [
            refusal(inside, "write", "f", "x" * 10_000),
            refusal(inside, "append", "f", "x" * 10_000),
            refusal(inside, "write", "new", "x" * 10_000),
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {error.kind for error in errors} == {"Limit"}
    assert os.listdir(inside) == ["f"]
    assert (inside / "f").read_text() == "old"


@pytest.mark.attack("B17")
def test_a_quota_is_met_by_whole_files(field: Field) -> None:
    inside, _ = field
    host = host_of(inside, settings={"max_written": 10, "max_files": 3})

    async def work() -> list[BridgeError]:
        await host.call("fs.write", "a", "12345678")
        errors = []
        for method, args in (("write", ("b", "123")), ("append", ("a", "123"))):
            with pytest.raises(BridgeError) as caught:
                await host.call(f"fs.{method}", *args)
            errors.append(caught.value)
        await host.call("fs.append", "a", "90")
        await host.call("fs.mkdir", "d/e")
        with pytest.raises(BridgeError) as caught:
            await host.call("fs.mkdir", "d/e/f")
        return [*errors, caught.value]

    written, appended, made = host.run(work)
    assert {e.kind for e in (written, appended, made)} == {"Limit"}
    assert "max_written, 10 under [fs]: it has 2 left and needs 3" in written.message
    assert "max_files, 3" in made.message
    assert sorted(os.listdir(inside)) == ["a", "d"]
    assert (inside / "a").read_text() == "1234567890"


def test_what_has_failed_is_given_back_to_the_quota(field: Field) -> None:
    inside, _ = field
    host = host_of(inside, settings={"max_written": 4, "max_files": 1})

    async def work() -> None:
        with pytest.raises(BridgeError):
            await host.call("fs.write", "none/a", "1234")
        await host.call("fs.write", "a", "1234")

    host.run(work)


@pytest.mark.attack("B27")
@pytest.mark.parametrize(("method", "path"), [("write", "f"), ("write", "new"), ("append", "new")])
def test_a_call_that_was_cancelled_changes_nothing(
    field: Field, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    inside, _ = field
    (inside / "f").write_text("old")
    reached, released, left = threading.Event(), threading.Event(), threading.Event()
    fsync, unlink = os.fsync, os.unlink

    def slow(descriptor: int) -> None:
        reached.set()
        assert released.wait(10)
        fsync(descriptor)

    def watched(path: str, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        left.set()

    monkeypatch.setattr(os, "fsync", slow)
    monkeypatch.setattr(os, "unlink", watched)
    host = host_of(inside)

    async def work() -> None:
        call = asyncio.create_task(host.call(f"fs.{method}", path, "new"))
        assert await asyncio.to_thread(reached.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        released.set()
        assert await asyncio.to_thread(left.wait, 10)

    host.run(work)
    assert os.listdir(inside) == ["f"]
    assert (inside / "f").read_text() == "old"


def test_the_kernel_resolves_beneath_and_follows_nothing(field: Field) -> None:
    inside, outside = field
    (inside / "link").symlink_to(outside / "secret")
    top = os.open(inside, os.O_PATH)
    try:
        for path in ("../out/secret", str(outside / "secret"), "link", "/proc/self/exe"):
            with pytest.raises(OSError, match=r"cross-device|Too many levels"):
                open_beneath(top, path, os.O_RDONLY)
    finally:
        os.close(top)


def test_a_run_that_is_over_holds_nothing_open(field: Field) -> None:
    inside, _ = field
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        do(inside, "list")
    assert len(os.listdir("/proc/self/fd")) == before
