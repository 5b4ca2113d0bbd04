"""Several supervisor processes behind one front: as without them, and nobody dies of another."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from llmspell_bridges import Bridge, BridgeConfig
from llmspell_bridges.http import HttpConfig
from llmspell_supervisor import (
    Admission,
    AuditError,
    Busy,
    CallRecord,
    Config,
    ConfigError,
    IsolationError,
    LogEntry,
    Policy,
    PoolSize,
    RunReport,
    Spell,
    Supervisor,
    SupervisorError,
    UsageError,
    _shards,
)
from llmspell_supervisor import _shard_messages as messages
from llmspell_supervisor._admission import Gate
from llmspell_supervisor._audit import verify
from llmspell_supervisor._pool import NO_POOL
from llmspell_supervisor._shards import _part, _Shard
from tests.supervisor.scripted import until
from tests.support.processes import children, ended

ENGINES = ("lua", "javascript")
ENDLESS = {
    "lua": "console.log(params.name or 'up') while true do end",
    "javascript": "console.log(params.name ?? 'up'); for (;;);",
}
T = TypeVar("T")


@pytest.fixture(autouse=True, scope="module")
def no_tracker_is_left() -> Iterator[None]:
    """`multiprocessing` keeps a process for as long as ours lives, which is no child of a supervisor."""
    yield
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


PLUGIN = '''
import asyncio
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, method


class ProbeConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all runs together may have."""

    limit: int = 4

    def part(self, parts):
        """A part."""
        return ProbeConfig(limit=self.limit // parts)


class Probe(Bridge):
    """Looks at where it is."""

    name = "probe"
    config = ProbeConfig

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__(config)
        self._limit = config.limit

    @method
    async def limit(self, ctx: CallContext) -> int:
        """What is configured."""
        return self._limit

    @method
    async def shard(self, ctx: CallContext) -> int:
        """The process that it is in."""
        return os.getpid()

    @method(effect="read")
    async def echo(self, ctx: CallContext, value: Any) -> Any:
        """The same value."""
        ctx.note(value=str(value), large=1 << 80, strange="\\ud800", many=["a", 1])
        return value

    @method
    async def send(self, ctx: CallContext, text: str) -> str:
        """Has an effect."""
        return text

    @method(effect="read")
    async def count(self, ctx: CallContext, to: int) -> AsyncIterator[int]:
        """Numbers."""
        for number in range(to):
            yield number

    @method(effect="read")
    async def warn(self, ctx: CallContext, text: str) -> None:
        """Say something in the log, with the traceback of an error."""
        try:
            raise LookupError("deep inside")
        except LookupError:
            logging.getLogger("probe").warning("%s, it says", text, exc_info=True)
        logging.getLogger("probe").info("nobody asked")

    @method(effect="read")
    async def deny(self, ctx: CallContext) -> None:
        """What the policy forbids."""
        raise BridgeError("Policy", "not here")

    @method(effect="read")
    async def steps(self, ctx: CallContext) -> None:
        """What an agent does: calls of its own, one after the other."""
        for number in range(3):
            async def step(inner: CallContext) -> None:
                logging.getLogger("probe").warning("step %d", number)

            await ctx.nested("probe.step", number, work=step)

    @method(effect="read")
    async def bug(self, ctx: CallContext) -> None:
        """A bug of the bridge's."""
        raise RuntimeError("a bug")

    @method(effect="read")
    async def hang(self, ctx: CallContext) -> None:
        """No answer, ever."""
        await asyncio.Event().wait()
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A bridge that an installed package declares, here and in every shard."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "probe_bridge_package.py").write_text(PLUGIN)
    metadata = folder / "probe_bridge_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[llmspell.bridges]\nprobe = probe_bridge_package:Probe\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield
    sys.modules.pop("probe_bridge_package", None)
    importlib.invalidate_caches()


class Front:
    """A supervisor with two shards, its event loop, and what its callbacks were told."""

    def __init__(self, folder: Path, shards: int = 2) -> None:
        self.audit = folder / "audit.jsonl"
        self.told: list[Any] = []
        """Console entries, activities and calls, in the order in which they came."""
        self.arrived = asyncio.Event()
        self.raised: Exception | None = None
        """What the next callback raises."""
        self.supervisor = Supervisor(
            Config(bridges={"probe": {"limit": 10}}),
            shards=shards,
            pool=NO_POOL,
            audit=str(self.audit),
            on_log=self._tell,
            on_activity=self._tell,
            on_call=self._tell,
        )
        self.runner = asyncio.Runner()

    def _tell(self, what: LogEntry | str | CallRecord) -> None:
        self.told.append(what)
        self.arrived.set()
        if self.raised is not None and not isinstance(what, str):
            error, self.raised = self.raised, None
            raise error

    def play(self, scenario: Coroutine[Any, Any, T]) -> T:
        self.told.clear()
        self.raised = None
        return self.runner.run(scenario)

    @property
    def logs(self) -> list[str]:
        return [entry.text for entry in self.told if isinstance(entry, LogEntry)]

    @property
    def shards(self) -> list[_Shard]:
        assert self.supervisor._shards is not None
        return self.supervisor._shards._shards

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until what callbacks are told makes it true."""
        while not condition():
            self.arrived.clear()
            await self.arrived.wait()

    def begin(self, engine: str, source: str, **options: Any) -> asyncio.Task[RunReport]:
        return asyncio.create_task(self.run(engine, source, **options))

    async def run(self, engine: str, source: str, **options: Any) -> RunReport:
        policy = options.pop("policy", {})
        return await run(self.supervisor, engine, source, policy, **options)

    async def start_endless(
        self, *names: str, engine: str = "lua"
    ) -> list[asyncio.Task[RunReport]]:
        """Runs that go on, once each has said its name."""
        tasks = [self.begin(engine, ENDLESS[engine], params={"name": name}) for name in names]
        await self.until(lambda: set(names) <= set(self.logs))
        return tasks

    def workers(self) -> list[int]:
        """The workers of every shard: below the two processes of a zygote."""
        outer = [pid for shard in self.shards for pid in children(shard.pid)]
        return [pid for one in outer for inner in children(one) for pid in children(inner)]


async def run(
    supervisor: Supervisor, engine: str, source: str, policy: dict[str, Any], **options: Any
) -> RunReport:
    granted = Policy(**{"allow_bridges": ("probe",), "cpu": 60, **policy})
    return await supervisor.run(
        Spell.from_text(source, engine, f"a.{engine}"), policy=granted, **options
    )


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory, plugin: None) -> Iterator[Front]:
    made = Front(tmp_path_factory.mktemp("front"))
    with made.runner as runner:
        runner.run(made.supervisor.__aenter__())
        pids = [shard.pid for shard in made.shards]
        runner.run(made.supervisor.__aexit__())
        assert all(ended(pid) for pid in pids)
        runner.run(made.supervisor.__aenter__())  # it may be opened again
        yield made
        pids = [shard.pid for shard in made.shards]
        runner.run(made.supervisor.__aexit__())
        assert all(ended(pid) for pid in pids)


# --- as without shards ----------------------------------------------------------------------------

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a value": (
        "return {a = {1, 2.5, 'x', true}, b = params.n, e = env.SHARDS}",
        "return {a: [1, 2.5, 'x', true], b: params.n, e: env.SHARDS}",
        {"params": {"n": 1}, "policy": {"allow_env": ("SHARDS",)}},
    ),
    "logs": (
        "console.log('one') console.warn('two') console.debug('three')",
        "console.log('one'); console.warn('two'); console.debug('three')",
        {},
    ),
    "calls": (
        "probe.echo('a') local n = 0 for i in probe.count(30) do n = n + i end return n",
        "await probe.echo('a'); let n = 0; for await (const i of probe.count(30)) n += i; return n",
        {},
    ),
    "bytes that are large": (
        "return #probe.echo(('x'):rep(900000))",
        "return (await probe.echo('x'.repeat(900000))).length",
        {},
    ),
    "an error of the script": ("error('no')", "throw new Error('no')", {}),
    "a script that does not parse": ("return (", "return (", {}),
    "an error that is caught": (
        "local ok, e = pcall(probe.deny) return {e.kind, e.message}",
        "try { await probe.deny() } catch (e) { return [e.kind, e.message] }",
        {},
    ),
    "what is not granted": ("probe.deny()", "await probe.deny()", {}),
    "a bug of a bridge": ("probe.bug()", "await probe.bug()", {}),
    "too much output": (
        "return ('x'):rep(2000)",
        "return 'x'.repeat(2000)",
        {"policy": {"max_output": 1000}},
    ),
    "too many calls": (
        "for i = 1, 9 do probe.echo(i) end",
        "for (let i = 0; i < 9; i++) await probe.echo(i)",
        {"policy": {"max_calls": 3}},
    ),
    "too long": ("probe.hang()", "await probe.hang()", {"policy": {"timeout": 0.2}}),
    "a dry run": (
        "return {probe.send('a'), probe.echo('b')}",
        "return [await probe.send('a'), await probe.echo('b')]",
        {"dry_run": True},
    ),
    "a dry run of a bridge of ours": (
        "fs.write(params.path, 'a')",
        "await fs.write(params.path, 'a')",
        {
            "dry_run": True,
            "params": {"path": "/srv/a"},
            "policy": {"allow_bridges": ("fs",), "allow_write": ("/srv",)},
        },
    ),
}


def same(report: RunReport) -> Any:
    """What does not depend on the clock."""
    logs = [(entry.level, entry.text) for entry in report.logs]
    return (
        *(report.spell, report.engine, report.verdict, report.value, report.problem),
        *(logs, report.usage.calls, report.usage.output, report.policy),
        *(report.dry_run, report.planned, report.unlisted, sorted(report.layers)),
    )


def test_a_run_in_a_shard_is_what_it_is_without(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARDS", "after they were started")

    async def all_of(supervisor: Supervisor) -> dict[str, Any]:
        found = {}
        for what, (lua, javascript, options) in CASES.items():
            for engine, source in zip(ENGINES, (lua, javascript), strict=True):
                policy = options.get("policy", {})
                others = {name: value for name, value in options.items() if name != "policy"}
                report = await run(supervisor, engine, source, policy, **others)
                found[f"{what}, {engine}"] = same(report)
        return found

    async def without() -> dict[str, Any]:
        async with Supervisor(pool=PoolSize(0, 0), on_call=lambda _: None) as supervisor:
            return await all_of(supervisor)

    sharded = front.play(all_of(front.supervisor))
    for what, report in asyncio.run(without()).items():
        assert sharded[what] == report, what
    verdicts = {report[2] for report in sharded.values()}
    assert verdicts > {"ok", "script_error", "policy_denied", "call_limit", "wall_limit"}


@pytest.mark.parametrize("engine", ENGINES)
def test_callbacks_are_told_in_order_and_calls_before_their_answer(
    front: Front, engine: str
) -> None:
    source = {
        "lua": "for i = 1, 20 do console.log('before ' .. i) probe.echo(i) end",
        "javascript": "for (let i = 1; i <= 20; i++) { console.log('before ' + i); await probe.echo(i) }",
    }[engine]
    assert front.play(front.run(engine, source)).ok
    told = [t.text if isinstance(t, LogEntry) else t for t in front.told if not isinstance(t, str)]
    assert told[::2] == [f"before {i}" for i in range(1, 21)]
    calls = [t for t in told[1::2] if isinstance(t, CallRecord)]
    assert [c.detail["value"] for c in calls] == [str(i) for i in range(1, 21)]
    assert {"starting", "running", "probe.echo"} <= {t for t in front.told if isinstance(t, str)}


def test_the_audit_log_is_one_and_whole(front: Front) -> None:
    source = {
        "lua": "for i = 1, 5 do probe.echo(i) end",
        "javascript": "for (let i = 0; i < 5; i++) await probe.echo(i)",
    }

    async def scenario() -> list[RunReport]:
        runs = (front.run(engine, source[engine]) for engine in ENGINES * 4)
        return await asyncio.gather(*runs)

    assert front.play(front.run("lua", "return 1")).ok
    before = verify(str(front.audit))
    assert all(report.ok for report in front.play(scenario()))
    after = verify(str(front.audit), holds=before.last)
    assert (after.runs, after.open_runs) == (before.runs + 8, before.open_runs)
    records = [json.loads(line) for line in front.audit.read_text().splitlines()]
    by_run: dict[str, list[str]] = {}
    for record in records[before.records :]:
        by_run.setdefault(record["run"], []).append(record["type"])
    assert list(by_run.values()) == [["begin", *["call"] * 5, "end"]] * 8


def test_a_record_of_logging_comes_to_the_front(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    assert front.play(front.run("lua", "probe.warn('it rains') return 1")).ok
    [record] = [r for r in caplog.records if r.name == "probe"]
    assert (record.levelname, record.getMessage()) == ("WARNING", "it rains, it says")
    assert record.process in {shard.pid for shard in front.shards}
    assert record.exc_text is not None
    assert "LookupError: deep inside" in record.exc_text
    assert "it rains" in caplog.text


def test_engines_and_validation_are_as_without(front: Front) -> None:
    async def scenario() -> None:
        supervisor = front.supervisor
        assert [e.name for e in await supervisor.engines()] == list(ENGINES)
        assert await supervisor.validate(Spell.from_text("return 1", "lua")) is None
        problem = await supervisor.validate(Spell.from_text("return (", "javascript"))
        assert problem is not None
        assert problem.line == 1

    front.play(scenario())


# --- errors ---------------------------------------------------------------------------------------


def test_what_is_refused_is_refused_alike(front: Front) -> None:
    async def refused(supervisor: Supervisor) -> list[tuple[type, str, str]]:
        found = []
        for options, spell in (
            ({"policy": Policy(allow_bridges=("nothing",))}, Spell("a", "return 1", "lua")),
            ({"policy": Policy(allow_bridges=("fs.nothing",))}, Spell("a", "return 1", "lua")),
            ({"params": {"x": object()}}, Spell("a", "return 1", "lua")),
            ({}, Spell("a", "return 1", "no-such-engine")),
        ):
            with pytest.raises(SupervisorError) as caught:
                await supervisor.run(spell, **options)
            found.append((type(caught.value), caught.value.message, caught.value.hint))
        return found

    async def without() -> list[tuple[type, str, str]]:
        async with Supervisor() as supervisor:
            return await refused(supervisor)

    sharded = front.play(refused(front.supervisor))
    assert sharded == asyncio.run(without())
    assert [kind for kind, _, _ in sharded] == [
        ConfigError,
        ConfigError,
        UsageError,
        SupervisorError,
    ]


@pytest.mark.parametrize(
    "error",
    [
        SupervisorError("it is \ud800", "mend it"),
        ConfigError("wrong", "mend it", file="a.toml", line=3, key="llm.model"),
        IsolationError("landlock", "no kernel has it", "get one"),
        AuditError("full"),
        Busy("many", "wait"),
    ],
)
def test_an_error_crosses_with_its_type_and_fields(error: SupervisorError) -> None:
    crossed = messages.error_of(messages.failed(1, error))
    assert type(crossed) is type(error)
    fields = vars(error) | {"message": error.message.replace("\ud800", "\\ud800")}
    assert vars(crossed) == fields
    assert str(crossed) == str(error).replace("\ud800", "\\ud800")


def test_an_error_that_is_a_bug_is_named_and_no_more() -> None:
    crossed = messages.error_of(messages.failed(1, KeyError("x")))
    assert (type(crossed), crossed.message) == (SupervisorError, "KeyError: 'x'")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_callback_that_fails_ends_its_run_and_is_raised(front: Front, engine: str) -> None:
    async def scenario() -> None:
        for error, source in (
            (ZeroDivisionError("of the embedder"), ENDLESS[engine]),
            (ZeroDivisionError("in a call"), f"{'await ' * (engine != 'lua')}probe.echo(1)"),
        ):
            front.raised = error
            with pytest.raises(ZeroDivisionError) as caught:
                await front.run(engine, source)
            assert caught.value is error
            assert front.workers() == []

    front.play(scenario())


def refuse_calls(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the audit log hold the beginning and the end of a run, and none of its calls."""
    log = front.supervisor._audit
    assert log is not None
    append = log.append

    def refuse(kind: str, fields: Any) -> None:
        if kind == "call":
            raise AuditError("the disk is full", "make room")
        append(kind, fields)

    monkeypatch.setattr(log, "append", refuse)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_answer_is_given_that_the_audit_log_cannot_hold(
    front: Front, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_calls(front, monkeypatch)
    source = {
        "lua": "probe.echo(1) console.log('answered')",
        "javascript": "await probe.echo(1); console.log('answered')",
    }[engine]
    report = front.play(front.run(engine, source))
    assert report.verdict == "supervisor_error"
    assert report.problem is not None
    assert (report.problem.message, report.problem.hint) == ("the disk is full", "make room")
    assert front.logs == []


def test_no_call_within_a_call_follows_one_that_the_audit_log_cannot_hold(
    front: Front, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_calls(front, monkeypatch)
    report = front.play(front.run("lua", "probe.steps()"))
    assert report.verdict == "supervisor_error"
    assert [r.getMessage() for r in caplog.records if r.name == "probe"] == ["step 0"]


def test_a_bridge_is_added_by_a_plugin_and_not_here(front: Front) -> None:
    class Late(Bridge):
        name = "late"

    async def scenario() -> None:
        bridges = front.supervisor.bridges
        with pytest.raises(SupervisorError, match="bridge 'late' cannot be added") as caught:
            bridges.add(Late(BridgeConfig()))
        assert "entry point of the group llmspell.bridges" in caught.value.hint
        with pytest.raises(SupervisorError, match="bridge 'llm' cannot be removed"):
            await bridges.remove("llm")
        assert "llm" in bridges.names

    front.play(scenario())


def test_the_number_of_shards_is_checked() -> None:
    with pytest.raises(ValueError, match="shards: 0 for none"):
        Supervisor(shards=-1)


# --- who runs where, and when ---------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_the_shard_with_the_fewest_runs_gets_the_next(front: Front, engine: str) -> None:
    async def scenario() -> None:
        tasks = await front.start_endless("a", "b", "c", "d", engine=engine)
        assert [shard.load for shard in front.shards] == [2, 2]
        tasks[1].cancel()  # the second shard's
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        where = {
            "lua": "return probe.shard()",
            "javascript": "return await probe.shard()",
        }[engine]
        assert (await front.run(engine, where)).value == front.shards[1].pid
        front.supervisor.cancel_all()
        tasks.pop(1)
        assert [(await task).verdict for task in tasks] == ["cancelled"] * 3
        assert front.workers() == []

    front.play(scenario())


def test_tenants_take_turns_at_all_shards_together(front: Front) -> None:
    async def scenario() -> None:
        supervisor = front.supervisor
        usual, supervisor._gate = supervisor._gate, Gate(Admission(1, 4))
        try:
            [first] = await front.start_endless("first")
            source, tasks = "console.log(params.name)", []
            for name in ("a1", "a2", "a3", "b1"):
                params = {"name": name}
                tasks.append(front.begin("lua", source, params=params, tenant=name[0]))
                await asyncio.sleep(0)  # they stand in this order
            with pytest.raises(Busy):
                await front.run("lua", source)
            first.cancel()
            assert all(report.ok for report in await asyncio.gather(*tasks))
            assert front.logs == ["first", "a1", "b1", "a2", "a3"]
        finally:
            supervisor._gate = usual

    front.play(scenario())


def test_what_is_counted_for_all_is_divided(front: Front) -> None:
    assert front.play(front.run("lua", "return probe.limit()")).value == 5
    http = msgspec.convert({"rate": 4.0, "burst": 5}, HttpConfig)
    assert (http.part(2).rate, http.part(2).burst) == (2.0, 2)
    assert http.part(8).burst == 1
    pools = [_part(PoolSize(3, 8), number, 3) for number in range(3)]
    assert [(p.low, p.high) for p in pools] == [(1, 3), (1, 3), (1, 2)]
    assert [_part(NO_POOL, number, 2).high for number in range(2)] == [0, 0]
    assert [_part(PoolSize(1, 1), number, 2) for number in range(2)] == [
        PoolSize(1, 1),
        PoolSize(0, 1),
    ]


# --- cancelling and dying -------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_task_that_is_cancelled_at_any_moment_leaves_nothing(front: Front, engine: str) -> None:
    source = {
        "lua": "probe.echo(1) probe.hang()",
        "javascript": "await probe.echo(1); await probe.hang()",
    }

    async def scenario() -> None:
        for turns in (0, 1, 2, 3, 5, 8, 20, 100, 1000):
            task = front.begin(engine, source[engine])
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [shard.load for shard in front.shards] == [0, 0]
            assert front.workers() == [], turns
        task = front.begin(engine, source[engine])
        await front.until(lambda: "probe.hang" in front.told)
        assert len(front.workers()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert front.workers() == []

    front.play(scenario())


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 20])
def test_cancel_all_ends_what_has_begun_and_what_has_not(front: Front, turns: int) -> None:
    async def scenario() -> None:
        tasks = [front.begin(engine, ENDLESS[engine]) for engine in ENGINES]
        for _ in range(turns):
            await asyncio.sleep(0)
        front.supervisor.cancel_all()
        assert [(await task).verdict for task in tasks] == ["cancelled", "cancelled"]
        assert front.workers() == []

    front.play(scenario())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_shard_that_is_killed_ends_its_own_runs_and_is_replaced(
    front: Front, engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        first, second = await front.start_endless("a", "b", engine=engine)
        victim = front.shards[0]
        os.kill(victim.pid, signal.SIGKILL)
        report = await first
        assert report.verdict == "supervisor_error"
        assert report.problem is not None
        assert "a shard has died (killed by SIGKILL)" in report.problem.message
        assert [entry.text for entry in report.logs] == ["a"]
        assert not second.done()
        await front.shards[0].opened()
        assert front.shards[0] is not victim
        again = await front.run(engine, "return 1")
        assert again.value == 1
        front.supervisor.cancel_all()
        assert (await second).verdict == "cancelled"
        assert front.workers() == []

    front.play(scenario())
    assert "a shard has died (killed by SIGKILL); 1 runs ended with it" in caplog.text


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_that_a_dead_shard_had_not_begun_is_run_by_another(
    front: Front, engine: str
) -> None:
    async def scenario() -> None:
        for shard in front.shards:
            await shard.opened()
        victim = front.shards[0]
        os.kill(victim.pid, signal.SIGSTOP)
        task = front.begin(engine, "return 1")
        await until(lambda: victim.load)
        os.kill(victim.pid, signal.SIGKILL)
        assert (await task).value == 1
        await front.shards[0].opened()

    front.play(scenario())


def test_a_shard_obeys_its_front_and_no_key(front: Front) -> None:
    async def scenario() -> None:
        first, second = await front.start_endless("a", "b")
        asked = front.shards[0]
        for shard in front.shards:
            os.kill(shard.pid, signal.SIGINT)  # as a terminal sends it to the whole group
        assert (await front.run("lua", "return 1")).value == 1
        os.kill(asked.pid, signal.SIGTERM)
        assert (await first).verdict == "cancelled"
        await until(lambda: asked.is_dead)
        assert not second.done()
        assert (await front.run("lua", "return probe.shard()")).ok
        await front.shards[0].opened()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second

    front.play(scenario())


def test_a_shard_that_does_not_answer_is_ended_with_its_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> list[RunReport]:
        monkeypatch.setattr(_shards, "END_TIMEOUT", 0.05)
        monkeypatch.setattr(_shards, "CLOSE_TIMEOUT", 0.05)
        said = asyncio.Semaphore(0)
        async with Supervisor(
            shards=1, pool=NO_POOL, on_log=lambda _: said.release()
        ) as supervisor:
            assert supervisor._shards is not None
            [shard] = supervisor._shards._shards
            policy = {"allow_bridges": ()}
            tasks = [
                asyncio.create_task(run(supervisor, "lua", ENDLESS["lua"], policy)) for _ in "ab"
            ]
            for _ in tasks:
                await said.acquire()
            os.kill(shard.pid, signal.SIGSTOP)
            tasks.append(asyncio.create_task(run(supervisor, "lua", "return 1", policy)))
            await until(lambda: shard.load == 3)
        return await asyncio.gather(*tasks)

    reports = asyncio.run(scenario())
    verdicts = [report.verdict for report in reports]
    assert verdicts == ["supervisor_error", "supervisor_error", "cancelled"]


def test_a_program_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    program = tmp_path / "forgetful.py"
    program.write_text(
        "import asyncio\n"
        "from llmspell_supervisor import Supervisor\n"
        "if __name__ == '__main__':\n"
        "    with asyncio.Runner() as runner:\n"
        "        supervisor = Supervisor(shards=1)\n"
        "        runner.run(supervisor.__aenter__())\n"
        "    print('over')\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr


def test_when_all_shards_are_dead_a_run_waits_for_the_next(front: Front) -> None:
    async def scenario() -> None:
        dead = list(front.shards)
        tasks = await front.start_endless("a", "b")
        for shard in dead:
            os.kill(shard.pid, signal.SIGKILL)
        assert [(await task).verdict for task in tasks] == ["supervisor_error"] * 2
        waits, cancelled = front.begin("lua", "return 1"), front.begin("lua", ENDLESS["lua"])
        await asyncio.sleep(0)
        assert not any(shard.is_open for shard in front.shards)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert (await waits).value == 1

    front.play(scenario())


def test_a_shard_that_cannot_open_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        made = Supervisor(Config(bridges={"llm": {"nothing": 1}}), shards=2)
        monkeypatch.setattr(made, "_load", lambda _: Unnamed(BridgeConfig()))
        with pytest.raises(ConfigError, match="nothing"):
            await made.__aenter__()

    class Unnamed(Bridge):
        name = "llm"

    before = shards_of(os.getpid())
    asyncio.run(scenario())
    assert shards_of(os.getpid()) == before


def test_an_unguarded_main_module_is_told_so(tmp_path: Path) -> None:
    program = tmp_path / "unguarded.py"
    program.write_text(
        "import asyncio\n"
        "from llmspell_supervisor import Supervisor, SupervisorError\n"
        "async def main():\n"
        "    try:\n"
        "        async with Supervisor(shards=1): pass\n"
        "    except SupervisorError as error:\n"
        "        print(error)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    [line] = done.stdout.splitlines()
    assert "the main module starts shards while a shard imports it" in line
    assert 'if __name__ == "__main__":' in line


def test_nobody_pays_for_shards_who_has_none() -> None:
    program = (
        "import sys\n"
        "from llmspell_supervisor import Spell, run_spell\n"
        "assert run_spell(Spell.from_text('return 1', 'lua')).value == 1\n"
        "print([m for m in sys.modules if m.startswith('multiprocessing') or '_shard' in m])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


KILLED = """
import asyncio, sys
from llmspell_supervisor import Policy, PoolSize, Spell, Supervisor

ENDLESS = {endless!r}

async def main():
    left = 4
    def up(_):
        nonlocal left
        left -= 1
        if not left:
            print("up", flush=True)
    async with Supervisor(shards=2, pool=PoolSize(0, 0), on_log=up) as supervisor:
        policy = Policy(cpu=60)
        spells = [Spell.from_text(s, e) for e, s in ENDLESS.items()] * 2
        await asyncio.gather(*(supervisor.run(s, policy=policy) for s in spells))

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_the_death_of_the_front_ends_everything(tmp_path: Path) -> None:
    program = tmp_path / "front.py"
    program.write_text(KILLED.format(endless=ENDLESS))
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE) as front:
        try:
            assert front.stdout is not None
            assert front.stdout.readline() == b"up\n"
            below = descendants(front.pid)
            shards = shards_of(front.pid)
            assert len(shards) == 2
            assert len(below) >= 2 + 4 + 4  # the two processes of a zygote in each, and the workers
            os.kill(shards[0], signal.SIGSTOP)  # nobody there to see that a socket has closed
        finally:
            front.kill()
    assert [pid for pid in below if not ended(pid)] == []


def test_a_shard_keeps_its_descriptors_to_itself(front: Front) -> None:
    async def scenario() -> list[str]:
        reports = [front.begin("lua", "return 1") for _ in range(2)]
        assert all(report.ok for report in await asyncio.gather(*reports))
        return [name for shard in front.shards for name in inheritable(shard.pid)]

    assert front.play(scenario()) == []


def descendants(pid: int) -> list[int]:
    found = children(pid)
    return [*found, *(below for child in found for below in descendants(child))]


def inheritable(pid: int) -> list[str]:
    found = []
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            flags = re.search(r"^flags:\s*(\d+)$", info.read_text(), re.MULTILINE)
            assert flags is not None
            if int(info.name) > 2 and not int(flags[1], 8) & os.O_CLOEXEC:
                found.append(info.name)
    return found


def shards_of(front: int) -> list[int]:
    return [
        pid for pid in children(front) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
