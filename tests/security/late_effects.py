"""Runs that are ended at random moments of their host calls: nothing happens after the report.

Each run posts, writes, inserts, notifies and asks a model, over and over, until it is cancelled, its
worker is killed, its time is over, or its script returns with calls still open. Everything that it
does bears its number. What there is of a number when its report has been returned must be all that
there ever is.

`make late-effects` ends a thousand runs; the suite ends a few. A seed repeats what is tried, though
not its timing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import selectors
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, Self

from llmspell_bridges import Bridge
from llmspell_bridges.fs._names import TEMPORARY
from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor

KILLS: Final = 1000
LONGEST: Final = 0.12
"""Seconds after which a run is ended at the latest: some thirty calls, or one that is repeated."""
SETTLE: Final = 5.0
"""Seconds after the last report before it is counted again: longer than any call waits to repeat."""
WAYS: Final = ("cancelled", "killed", "out of time", "returned")

_LUA: Final = """
local made = 0
local acts = {
  http = function() http.post(params.web .. "/http", {body = params.tag}) end,
  fs = function()
    fs.write(params.folder .. "/" .. params.tag .. "-" .. made % 4, ("x"):rep(made % 9 * 1000))
    fs.append(params.folder .. "/" .. params.tag .. "-log", "x")
  end,
  sql = function()
    sql.execute("sink", "INSERT INTO effects (tag) VALUES (:tag)", {tag = params.tag})
  end,
  notify = function() notify.send("sink", params.tag) end,
  llm = function() llm.complete({prompt = params.tag, retries = {attempts = 3, base_delay = 0.01}}) end,
  late = function() late.act(params.tag) end,
}
while true do
  for _, name in ipairs(params.acts) do
    made = made + 1
    pcall(acts[name])
    if params.most > 0 and made > params.most then return made end
  end
end
"""
_JAVASCRIPT: Final = """
let made = 0;
const acts = {
  http: () => http.post(params.web + "/http", {body: params.tag}),
  fs: async () => {
    await fs.write(`${params.folder}/${params.tag}-${made % 4}`, "x".repeat(made % 9 * 1000));
    await fs.append(`${params.folder}/${params.tag}-log`, "x");
  },
  sql: () => sql.execute("sink", "INSERT INTO effects (tag) VALUES (:tag)", {tag: params.tag}),
  notify: () => notify.send("sink", params.tag),
  llm: () => llm.complete({prompt: params.tag, retries: {attempts: 3, base_delay: 0.01}}),
  late: () => late.act(params.tag),
};
while (true) {
  for (const name of params.acts) {
    made++;
    const act = acts[name]().catch(() => 0);
    if (made % 3 === 0) await act;
    if (params.most > 0 && made > params.most) return made;
  }
}
"""
SPELLS: Final = {"lua": _LUA, "javascript": _JAVASCRIPT}
ACTS: Final = ("http", "fs", "sql", "notify", "llm")

_TAG: Final = re.compile(rb"tag-\d+-")
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Sink:
    """A server that takes everything, and knows when the last byte of each request arrived.

    One thread reads. `catch_up` reads by itself whatever the kernel has, so that what was sent before
    it is known after it: on loopback, send(2) returns when the bytes are with the receiver.
    """

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str, float]] = []
        """Of each whole request: its path, its tag, and when it was complete."""
        self._lock = threading.Lock()
        self._over = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, b"")

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def catch_up(self) -> float:
        """Read all that has been sent. The moment before which it was."""
        with self._lock:
            while self._turn(0):
                pass
            return time.monotonic()

    def _serve(self) -> None:
        while not self._over:
            with self._lock:
                self._turn(0.001)

    def _turn(self, seconds: float) -> bool:
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if key.fileobj is self._listener:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._selector.register(connection, selectors.EVENT_READ, b"")
            else:
                self._read(key.fileobj, key.data)
        return bool(ready)

    def _read(self, connection: Any, held: bytes) -> None:
        try:
            data = connection.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()
            return
        held += data
        head, end, body = held.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and len(body) >= int(length[1] if length else 0):
            path = head.split(b" ")[1].decode()
            found = _TAG.search(body)
            self.arrived.append((path, found[0].decode() if found else "", time.monotonic()))
            with contextlib.suppress(OSError):
                connection.sendall(self._answer(path))
            held = b""
        self._selector.modify(connection, selectors.EVENT_READ, held)

    def _answer(self, path: str) -> bytes:
        body, status = b"{}", 200
        if path.startswith("/v1"):
            if len(self.arrived) % 3 == 0:
                status = 503  # so that many a run ends while a call waits to be repeated
            body = json.dumps(_COMPLETION).encode()
        return (
            f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body


_COMPLETION: Final = {
    "id": "1", "object": "chat.completion", "created": 0, "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip

State = tuple[tuple[str, Any], ...]


@dataclass
class World:
    """Where the effects are had, and what there is of them."""

    folder: str
    sink: Sink

    @property
    def database(self) -> str:
        """The path of the database."""
        return f"{self.folder}/sink.db"

    def config(self) -> Config:
        """Settings of the bridges."""
        port = self.sink.port
        provider = {"base_url": f"http://127.0.0.1:{port}/v1", "max_retries": 0}
        sink = {"url": f"sqlite:///{self.database}", "mode": "write", "tables": ["effects"]}
        return Config(
            bridges={
                "llm": {"default_model": "test/m", "providers": {"test": provider}},
                "http": {"allow_private": [f"127.0.0.1:{port}"], "rate": 100_000, "burst": 100_000},
                "sql": {"databases": {"sink": sink}},
                "notify": {"targets": {"sink": {"url_env": "LATE_SINK", "per_minute": 10_000}}},
            }
        )

    def files(self, tag: str) -> State:
        """What a run has written."""
        with os.scandir(f"{self.folder}/files") as found:
            mine = [e for e in found if e.name.startswith(tag) and TEMPORARY not in e.name]
            kept = [(e.name, e.stat()) for e in mine]
        return tuple(sorted((name, (s.st_ino, s.st_size, s.st_mtime_ns)) for name, s in kept))

    def rows(self, tag: str) -> int:
        """How many rows a run has inserted."""
        with closing(sqlite3.connect(self.database)) as db:
            query = "SELECT count(*) FROM effects WHERE tag = ?"
            count: int = db.execute(query, (tag,)).fetchone()[0]
            return count


@dataclass
class LateEffects:
    """What was tried, and what is held against it."""

    kills: int
    seed: int
    ended: Counter[str] = field(default_factory=Counter)
    """By how, and the verdict."""
    effects: Counter[str] = field(default_factory=Counter)
    """Had before the report, by where."""
    late: list[str] = field(default_factory=list)
    """Had after it."""
    idle: int = 0
    """Runs that ended before they had any effect."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing was late, and there was something that could have been."""
        return not self.late and all(self.effects[act] for act in ACTS)

    def summary(self) -> list[str]:
        """Lines that can be quoted."""
        ends = ", ".join(f"{how} {n}" for how, n in sorted(self.ended.items()))
        effects = ", ".join(f"{act} {self.effects[act]}" for act in ACTS)
        return [
            f"{self.ended.total()} of {self.kills} runs ended in {self.seconds:.0f} s, seed {self.seed}",
            f"how: {ends}; {self.idle} of them before any effect",
            f"effects before the report: {effects}",
            f"effects after it: {len(self.late)} {self.late[:5] or ''}".rstrip(),
        ]


async def late_effects(
    kills: int,
    seed: int,
    *,
    also: Callable[[World], Bridge] | None = None,
    settle: float = SETTLE,
    say: Callable[[str], None] = lambda _: None,
) -> LateEffects:
    """Run it. `also` makes a bridge `late`, whose `act(tag)` every spell calls as well."""
    result = LateEffects(kills, seed)
    began = time.monotonic()
    with _world() as world:
        async with Supervisor(world.config()) as supervisor:
            if also is not None:
                supervisor.bridges.add(also(world))
            acts = ACTS if also is None else (*ACTS, "late")
            await _play(world, supervisor, result, acts, settle, say)
    result.seconds = time.monotonic() - began
    return result


@contextlib.contextmanager
def _world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="llmspell-late-") as folder, Sink() as sink:
        os.mkdir(f"{folder}/files")
        world = World(folder, sink)
        with closing(sqlite3.connect(world.database)) as db:
            db.execute("CREATE TABLE effects (tag TEXT)")
        usual = os.environ.get("LATE_SINK")
        os.environ["LATE_SINK"] = f"json://127.0.0.1:{sink.port}/notify"
        try:
            yield world
        finally:
            if usual is None:
                del os.environ["LATE_SINK"]
            else:
                os.environ["LATE_SINK"] = usual


Known = dict[str, tuple[State, int, float]]
"""Of each tag: files and rows when its report was there, and when all that it had sent was read."""


async def _play(
    world: World,
    supervisor: Supervisor,
    result: LateEffects,
    acts: tuple[str, ...],
    settle: float,
    say: Callable[[str], None],
) -> None:
    chance = random.Random(result.seed)  # noqa: S311 - a mixture, not a secret
    for engine in SPELLS:  # libraries are imported before anything is timed
        await _begin(world, supervisor, engine, f"warm-{engine}", list(acts), most=len(acts))
    known: Known = {}
    for number in range(result.kills):
        tag = f"tag-{number}-"
        engine, way = chance.choice(tuple(SPELLS)), chance.choice(WAYS)
        order = chance.sample(acts, len(acts))
        report = await _one(world, supervisor, chance, tag, engine=engine, way=way, acts=order)
        done = world.sink.catch_up()
        known[tag] = (world.files(tag), world.rows(tag), done)
        result.ended[f"{way} ({report.verdict})"] += 1
        if number % 100 == 99:
            say(f"{number + 1} runs ended")
    await asyncio.sleep(settle)
    _judge(world, known, result)


async def _one(
    world: World,
    supervisor: Supervisor,
    chance: random.Random,
    tag: str,
    *,
    engine: str,
    way: str,
    acts: list[str],
) -> RunReport:
    """One run, ended in some way at some moment."""
    moment = chance.random() * LONGEST
    more: dict[str, Any] = {}
    if way == "out of time":
        more["seconds"] = max(0.02, moment)
    if way == "returned":
        more["most"] = chance.randrange(1, 30)
    running = asyncio.create_task(_begin(world, supervisor, engine, tag, acts, **more))
    if way in ("cancelled", "killed"):
        await asyncio.wait([running], timeout=moment)
        if way == "cancelled":
            supervisor.cancel_all()
        while way == "killed" and not running.done() and not _kill(supervisor):
            # It has no worker yet.
            await asyncio.wait([running], timeout=0.001)
    return await running


async def _begin(
    world: World,
    supervisor: Supervisor,
    engine: str,
    tag: str,
    acts: list[str],
    *,
    most: int = 0,
    seconds: float = 30.0,
) -> RunReport:
    params: dict[str, Any] = {
        "web": f"http://127.0.0.1:{world.sink.port}",
        "folder": f"{world.folder}/files",
        "tag": tag,
        "acts": acts,
        "most": most,
    }
    granted = ("http", "fs", "sql", "notify", "llm", *({"late"} & set(acts)))
    policy = Policy(
        allow_bridges=granted,
        allow_domain=("127.0.0.1",),
        allow_write=(params["folder"],),
        max_calls=1_000_000,
        max_tokens=100_000_000,
        timeout=seconds,
    )
    spell = Spell.from_text(SPELLS[engine], engine, tag)
    return await supervisor.run(spell, params=params, policy=policy)


def _kill(supervisor: Supervisor) -> bool:
    """Kill the worker of the only run, if there is one."""
    for run in supervisor._runs:
        if run._worker and run._worker._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                signal.pidfd_send_signal(run._worker._pidfd, signal.SIGKILL)
            return True
    return False


def _judge(world: World, known: Known, result: LateEffects) -> None:
    world.sink.catch_up()
    sent: dict[str, Counter[str]] = {tag: Counter() for tag in known}
    for path, tag, at in world.sink.arrived:
        if tag not in known:
            continue
        act = {"/http": "http", "/notify": "notify"}.get(path, "llm")
        sent[tag][act] += 1
        if at > known[tag][2]:
            result.late.append(f"{tag} {act} {at - known[tag][2]:.3f} s after")
    for tag, (files, rows, _) in known.items():
        if world.files(tag) != files:
            result.late.append(f"{tag} fs")
        if (now := world.rows(tag)) != rows:
            result.late.append(f"{tag} sql: {rows} rows, then {now}")
        had = sent[tag] + Counter({"fs": len(files), "sql": rows})
        result.effects += had
        result.idle += not had.total()


def main() -> int:
    """The command behind `make late-effects`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    result = asyncio.run(
        late_effects(given.kills, given.seed, say=lambda line: print(line, flush=True))
    )
    print("\n".join(result.summary()))
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
