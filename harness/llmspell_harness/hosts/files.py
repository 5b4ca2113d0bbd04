"""What a spell can do with the bridge `fs`, to which one directory is granted."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor

from .._attack import BOTH, Succeeded, host
from .._stage import Stage

_TIMEOUT: Final = 20.0
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of renameat2(2)
_AT_FDCWD: Final = -100
_LIBC: Final = ctypes.CDLL(None)

_TRY_LUA: Final = """
local found = {}
local function attempt(path, name, ...)
  local ok, got = pcall(fs[name], path, ...)
  if not ok then got = got.message end
  found[#found + 1] = {path, name, got or json.null}
end
for _, path in ipairs(params.paths) do
  for _, name in ipairs({"read", "list", "stat", "glob", "mkdir", "remove"}) do attempt(path, name) end
  for _, name in ipairs({"append", "write"}) do attempt(path, name, "x") end
end
return found
"""
_TRY_JS: Final = """
const found = [];
const attempt = async (path, name, ...more) => {
  try { found.push([path, name, await fs[name](path, ...more)]); }
  catch (e) { found.push([path, name, e.message]); }
};
for (const path of params.paths) {
  for (const name of ["read", "list", "stat", "glob", "mkdir", "remove"]) await attempt(path, name);
  for (const name of ["append", "write"]) await attempt(path, name, "x");
}
return found;
"""


class _Field:
    """A granted directory."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.folder = folder
        self._engine = stage.engine

    async def try_all(self, paths: list[str]) -> list[list[Any]]:
        """What every method gave or said, for every path; the run must end well."""
        report = await self.run(_TRY_LUA, _TRY_JS, paths=paths)
        if report.verdict != "ok":
            raise ValueError(f"the spell did not end well: {report.verdict}, {report.problem}")
        found: list[list[Any]] = report.value
        return found

    async def run(self, lua: str, javascript: str, *, supervisor: Supervisor | None = None,
                  **params: Any) -> RunReport:  # fmt: skip
        """Run a spell that may read and write the directory."""
        source = lua if self._engine == "lua" else javascript
        place = (str(self.folder),)
        policy = Policy(allow_bridges=("fs",), allow_read=place, allow_write=place,
                        timeout=_TIMEOUT, max_calls=10_000)  # fmt: skip
        spell = Spell.from_text(source, self._engine, "spell")
        if supervisor is not None:
            return await supervisor.run(spell, params=params, policy=policy)
        async with Supervisor(Config(bridges={"fs": {"max_entries": 2000}})) as own:
            return await own.run(spell, params=params, policy=policy)


@contextlib.contextmanager
def _field(stage: Stage) -> Iterator[_Field]:
    with tempfile.TemporaryDirectory(prefix="llmspell-field-") as folder:
        yield _Field(stage, Path(folder))


def _untouched(stage: Stage, before: tuple[str, bytes], found: object) -> None:
    """Raise if the canary was read or changed."""
    if leaked := stage.canaries.search(repr(found).encode()):
        raise Succeeded(f"read the canary of {', '.join(leaked)}")
    if _state(stage.canaries.folder) != before:
        raise Succeeded("changed what lies beside the granted directory")


def _state(folder: Path) -> tuple[str, bytes]:
    return " ".join(sorted(os.listdir(folder))), (folder / "secret.txt").read_bytes()


@host("B13", "paths that lead out of a granted directory", engines=BOTH)
async def traversal(stage: Stage) -> str:
    secret = stage.canaries.file
    before = _state(secret.parent)
    with _field(stage) as field:
        (field.folder / "link").symlink_to(secret)
        (field.folder / "links").symlink_to(secret.parent)
        (field.folder / "root").symlink_to("/")
        paths = _ways_out(field.folder, secret)
        found = await field.try_all(paths)
    _untouched(stage, before, found)
    return f"{len(found)} calls with {len(paths)} paths: no canary read, nothing written outside"


def _ways_out(inside: Path, secret: Path) -> list[str]:
    up = os.path.relpath(secret, inside)
    return [
        up, f"./{up}", f"a/../{up}", f"{inside}/{up}", str(secret), f"/{secret}",
        up.replace("..", "%2e%2e"), up.replace("..", "\uff0e\uff0e"), up.replace("/", "\\"),
        up.replace("..", "\u2025"), f"{up}\0.txt", f"\0{up}", "link", "links/secret.txt",
        f"root{secret}", f"{inside}/links/secret.txt", "/proc/self/environ",
        f"/proc/{os.getpid()}/environ", "/etc/passwd", "~/.ssh/id_rsa", "x" * 4096,
    ]  # fmt: skip


_SWAPPED_LUA: Final = """
local seen, met = {}, {}
for i = 1, 300 do
  local ok, got = pcall(fs.read, "d/secret.txt")
  seen[i] = ok and got or got.kind
  met[seen[i]] = true
  pcall(fs.write, "d/new", "x")
  pcall(fs.append, "d/new", "x")
  pcall(fs.mkdir, "d/e/f")
  pcall(fs.remove, "d/new")
  if i >= 40 and met.harmless and met.Policy then break end
end
return seen
"""
_SWAPPED_JS: Final = """
const seen = [];
const quiet = (promise) => promise.catch((e) => e.kind);
for (let i = 1; i <= 300; i++) {
  const [got] = await Promise.all([
    quiet(fs.read("d/secret.txt")), quiet(fs.write("d/new", "x")),
    quiet(fs.append("d/new", "x")), quiet(fs.mkdir("d/e/f")), quiet(fs.remove("d/new")),
  ]);
  seen.push(got);
  if (i >= 40 && seen.includes("harmless") && seen.includes("Policy")) break;
}
return seen;
"""


@host("B14", "links that come and go while files are read and written", engines=BOTH)
async def swapped(stage: Stage) -> str:
    outside = stage.canaries.folder
    before = _state(outside)
    with _field(stage) as field:
        inside = field.folder / "d"
        inside.mkdir()
        (inside / "secret.txt").write_text("harmless")
        link = field.folder / "link"
        link.symlink_to(outside)
        with _meanwhile(lambda: _exchange(inside, link)):
            report = await field.run(
                _SWAPPED_LUA,
                _SWAPPED_JS,
            )
    if report.verdict != "ok":
        raise ValueError(f"the spell did not end well: {report.problem}")
    _untouched(stage, before, report)
    if not {"harmless", "Policy"} <= set(report.value):
        raise ValueError("the swaps and the calls never met")
    return (
        f"{report.value.count('Policy')} of {len(report.value)} reads met the link and were refused"
    )


@host("B15", "pipes, devices, exabytes and a crowd of entries", engines=BOTH)
async def special_files(stage: Stage) -> str:
    with _field(stage) as field:
        os.mkfifo(field.folder / "fifo")
        (field.folder / "sparse").touch()
        os.truncate(field.folder / "sparse", 1 << 43)
        crowd = field.folder / "crowd"
        crowd.mkdir()
        for number in range(2100):
            (crowd / str(number)).touch()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(field.folder / "socket"))
            report = await field.run(
                "local seen = {} for i, name in ipairs({'fifo', 'socket', 'sparse'}) do"
                " local ok, e = pcall(fs.read, name) seen[i] = e.kind end"
                " local ok, e = pcall(fs.append, 'fifo', 'x') seen[4] = e.kind"
                " ok, e = pcall(fs.list, 'crowd') seen[5] = e.kind return seen",
                "const kind = (p) => p.then(() => 'got it', (e) => e.kind);"
                "return [await kind(fs.read('fifo')), await kind(fs.read('socket')),"
                "await kind(fs.read('sparse')), await kind(fs.append('fifo', 'x')),"
                "await kind(fs.list('crowd'))]",
            )
    if report.value != ["Policy", "Policy", "Limit", "Policy", "Limit"]:
        raise Succeeded(f"{report.verdict}: {report.value}")
    return f"five refusals in {report.usage.wall * 1000:.0f} ms"


_CODE: Final = [
    "sitecustomize.py", "dataclasses.py", "json/__init__.py", "evil.pth", "conftest.py",
    ".git/hooks/pre-commit", ".GIT/config", ".g\u200bit/config", ".env", ".envrc", ".bashrc",
    ".vscode/tasks.json", "lib.so.1", "__pycache__/json.cpython-311.pyc", ".ssh/authorized_keys",
]  # fmt: skip


@host("B16", "files that a program of the host would run", engines=BOTH)
async def host_code(stage: Stage) -> str:
    with _field(stage) as field:
        await field.try_all(_CODE)
        left = [str(path.relative_to(field.folder)) for path in field.folder.rglob("*")]
        if left:
            raise Succeeded(f"wrote {left}")
    return f"{len(_CODE)} names, none written"


@host("B17", "a run that ends in the middle of its writes", engines=BOTH)
async def half_written(stage: Stage) -> str:
    rounds, size = 10, 500_000
    with _field(stage) as field:
        target = field.folder / "f"
        target.write_text("0" * size)
        begun = asyncio.Event()
        async with Supervisor(on_log=lambda _: begun.set()) as supervisor:
            for round_ in range(rounds):
                running = asyncio.create_task(
                    field.run(
                        "for i = 1, 9999 do fs.write('f', (tostring(i % 10)):rep(500000))"
                        " console.log('written') end",
                        "for (let i = 1; i < 9999; i++) {"
                        " await fs.write('f', String(i % 10).repeat(500000));"
                        " console.log('written') }",
                        supervisor=supervisor,
                    )
                )
                asking = asyncio.create_task(begun.wait())
                await asyncio.wait([asking, running], return_when=asyncio.FIRST_COMPLETED)
                begun.clear()
                await asyncio.sleep(0.002 * round_)  # another moment of a write each time
                supervisor.cancel_all()
                report = await running
                if report.verdict != "cancelled":
                    raise ValueError(f"the run was not cancelled: {report.problem}")
                text, number = target.read_text(), target.stat().st_ino
                if len(text) != size or len(set(text)) != 1:
                    raise Succeeded(f"{len(text)} characters of {sorted(set(text))}")
                await asyncio.sleep(0.02)
                if target.stat().st_ino != number:
                    raise Succeeded("a write was made after the verdict")
        if left := [name for name in os.listdir(field.folder) if name != "f"]:
            raise Succeeded(f"left {left}")
    return f"{rounds} runs cancelled while they wrote: always a whole file, and nothing beside it"


@contextlib.contextmanager
def _meanwhile(turn: Callable[[], None]) -> Iterator[None]:
    """`turn`, over and over, in a thread."""
    over = threading.Event()

    def play() -> None:
        while not over.is_set():
            turn()

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        over.set()
        player.join()


def _exchange(one: Path, other: Path) -> None:
    names = os.fsencode(one), os.fsencode(other)
    _LIBC.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE)
