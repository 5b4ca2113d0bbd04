"""The supervisor as an embedder uses it: many runs, cancelling, closing, and what dies under it."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, method
from llmspell_protocol import Ready
from llmspell_supervisor import (
    Config,
    ConfigError,
    Policy,
    Problem,
    RunReport,
    Spell,
    Supervisor,
    SupervisorError,
    UsageError,
    run_spell,
)
from llmspell_supervisor._policy import MIN_MEMORY
from llmspell_supervisor._pool import NO_POOL
from llmspell_supervisor._run import Run
from llmspell_supervisor._supervisor import ATTEMPTS
from llmspell_supervisor._zygotes import Zygote
from tests.supervisor.scripted import until
from tests.support.processes import children, is_alive

ENGINES = ("lua", "javascript")
MIB = 1024 * 1024
ENDLESS = {
    "lua": "console.log('up') while true do end",
    "javascript": "console.log('up'); while (true);",
}


def spell(source: str, engine: str = "lua") -> Spell:
    return Spell.from_text(source, engine, "spell")


def existing(paths: list[str]) -> list[str]:
    return [path for path in paths if os.path.exists(path)]


def zygotes() -> list[int]:
    """Every process below this one that is a zygote's outer or inner one."""
    outer = [pid for pid in children(os.getpid()) if is_alive(pid)]
    return [*outer, *(pid for parent in outer for pid in children(parent))]


class Tools(Bridge):
    """What tests need of a host."""

    name: ClassVar[str] = "tools"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.open = 0

    @method
    async def echo(self, ctx: CallContext, value: Any) -> Any:
        """The same value."""
        return value

    @method
    async def deny(self, ctx: CallContext) -> None:
        """What the policy forbids."""
        raise BridgeError("Policy", "this host is not allowed")

    @method
    async def spend(self, ctx: CallContext) -> None:
        """More than anybody has."""
        ctx.budget.reserve(cost=1000.0)

    @method
    async def hang(self, ctx: CallContext) -> None:
        """No answer, ever."""
        self.open += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.open -= 1

    @method
    async def count(self, ctx: CallContext) -> AsyncIterator[int]:
        """Numbers without end."""
        self.open += 1
        number = 0
        try:
            while True:
                number += 1
                yield number
        finally:
            self.open -= 1


class Keeper(Bridge):
    """Keeps something for each run."""

    name: ClassVar[str] = "keeper"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.closed: list[int] = []

    @method
    async def count(self, ctx: CallContext) -> int:
        """How often this run has called."""
        held = ctx.state("keeper", lambda: Kept(self.closed))
        held.calls += 1
        return held.calls


class Kept:
    """What a run keeps."""

    def __init__(self, closed: list[int]) -> None:
        self.calls = 0
        self._closed = closed

    async def close(self) -> None:
        """Tell, and fail as a bug would."""
        self._closed.append(self.calls)
        raise RuntimeError("a bug in closing")


def cast(source: str, engine: str, **policy: Any) -> RunReport:
    """Run a spell that may call `tools`."""

    async def once() -> RunReport:
        async with Supervisor() as supervisor:
            supervisor.bridges.add(Tools())
            granted = Policy(**{"allow_bridges": ("tools",), **policy})
            return await supervisor.run(spell(source, engine), policy=granted)

    return asyncio.run(once())


# --- when it is open ------------------------------------------------------------------------------


def test_a_supervisor_that_is_not_open_runs_nothing() -> None:
    supervisor = Supervisor()

    async def refused() -> None:
        with pytest.raises(SupervisorError, match="not open") as caught:
            await supervisor.run(spell("return 1"))
        assert "async with" in caught.value.hint

    async def scenario() -> None:
        await refused_before()
        async with supervisor:
            assert (await supervisor.run(spell("return 1"))).value == 1
        await refused()

    async def refused_before() -> None:
        with pytest.raises((SupervisorError, AttributeError)):
            await supervisor.run(spell("return 1"))

    asyncio.run(scenario())
    assert zygotes() == []


def test_bad_settings_leave_nothing_behind() -> None:
    async def scenario() -> None:
        with pytest.raises(ConfigError):
            async with Supervisor(Config(bridges={"llm": {"no such key": 1}})):
                pytest.fail("it was opened")

    asyncio.run(scenario())
    assert zygotes() == []


def test_parameters_that_no_script_can_hold_are_refused_before_anything_is_started() -> None:
    async def scenario() -> None:
        async with Supervisor() as supervisor:
            with pytest.raises(UsageError, match="parameters"):
                await supervisor.run(spell("return 1"), params={"x": object()})
            assert zygotes() == []

    asyncio.run(scenario())


def test_closing_cancels_what_runs_and_waits_for_it() -> None:
    async def scenario() -> list[RunReport]:
        up = asyncio.Semaphore(0)
        async with Supervisor(on_log=lambda _: up.release()) as supervisor:
            runs = [
                asyncio.create_task(supervisor.run(spell(ENDLESS[e], e), policy=Policy(cpu=60)))
                for e in ENGINES
            ]
            for _ in runs:
                await up.acquire()
            alive = zygotes()
            assert len(alive) == 4
            groups = [own for _, own in supervisor._cgroups._own]
        assert all(run.done() for run in runs)
        assert not any(is_alive(pid) for pid in alive)
        assert existing(groups) == []
        return [run.result() for run in runs]

    assert [report.verdict for report in asyncio.run(scenario())] == ["cancelled", "cancelled"]


def test_a_run_is_cancelled_while_its_zygote_still_boots() -> None:
    async def scenario() -> RunReport:
        async with Supervisor() as supervisor:
            run = asyncio.create_task(supervisor.run(spell(ENDLESS["lua"])))
            await until(lambda: children(os.getpid()))
            supervisor.cancel_all()
            return await run

    report = asyncio.run(scenario())
    assert report.verdict == "cancelled"
    assert report.usage.wall == 0.0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_task_that_is_cancelled_at_any_moment_leaves_nothing(engine: str) -> None:
    async def scenario() -> None:
        async with Supervisor(pool=NO_POOL) as supervisor:
            tools = Tools()
            supervisor.bridges.add(tools)
            source = {
                "lua": "tools.echo(1) for i in tools.count() do end",
                "javascript": "await tools.echo(1); for await (const i of tools.count());",
            }[engine]
            policy = Policy(allow_bridges=("tools",), cpu=60)
            assert (await supervisor.run(spell("return 1", engine))).ok
            gc.collect()
            before = set(os.listdir("/proc/self/fd"))
            for turns in (0, 1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100, 1000, 5000):
                run = asyncio.create_task(supervisor.run(spell(source, engine), policy=policy))
                for _ in range(turns):
                    await asyncio.sleep(0)
                run.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await run
                assert tools.open == 0, turns
                assert set(os.listdir("/proc/self/fd")) == before, turns
            inner = zygotes()[1]
            assert children(inner) == []
            assert (await supervisor.run(spell("return 1", engine))).value == 1

    asyncio.run(scenario())


# --- many of them ---------------------------------------------------------------------------------


def test_more_runs_at_once_than_forks_all_end_well() -> None:
    async def scenario() -> list[Any]:
        async with Supervisor() as supervisor:
            runs = (supervisor.run(spell(f"return {n}")) for n in range(60))
            return [report.value for report in await asyncio.gather(*runs)]

    assert asyncio.run(scenario()) == list(range(60))


def test_two_supervisors_in_one_process_do_not_meet() -> None:
    async def scenario() -> list[Any]:
        async with Supervisor() as one:
            async with Supervisor() as other:
                reports = await asyncio.gather(
                    *(s.run(spell("return 1", e)) for s in (one, other) for e in ENGINES)
                )
                assert len(zygotes()) == 8
            assert len(zygotes()) == 4
            return [*reports, await one.run(spell("return 1"))]

    assert [report.value for report in asyncio.run(scenario())] == [1] * 5


def test_without_a_loop_of_ones_own() -> None:
    assert run_spell(spell("return params.x * 2"), params={"x": 21}).value == 42


# --- what dies under it ---------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_zygote_that_dies_ends_its_run_and_the_next_run_gets_another(engine: str) -> None:
    async def scenario() -> tuple[RunReport, RunReport]:
        async with Supervisor() as supervisor:
            supervisor._on_log = lambda _: os.kill(zygotes()[1], signal.SIGKILL)
            first = await supervisor.run(spell(ENDLESS[engine], engine), policy=Policy(cpu=60))
            second = await supervisor.run(spell("return 1", engine))
            return first, second

    first, second = asyncio.run(scenario())
    assert (first.verdict, first.exit_code) == ("supervisor_error", 70)
    assert first.problem is not None
    assert "zygote has died; so has the worker" in first.problem.message
    assert second.value == 1
    assert zygotes() == []


class DiesEarly(Run):
    """A run whose zygote is killed, for the first `deaths` of them, before it is asked for a worker."""

    deaths: ClassVar[int]

    async def _started(self, zygote: Zygote) -> bool:
        started = await super()._started(zygote)
        if DiesEarly.deaths:
            DiesEarly.deaths -= 1
            assert zygote._first is not None
            pidfd = os.pidfd_open(zygote._first)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])  # and the loop has not heard of it
            os.close(pidfd)
        return started


def test_a_zygote_that_dies_before_it_saw_the_script_costs_the_run_nothing() -> None:
    async def scenario(deaths: int) -> RunReport:
        DiesEarly.deaths = deaths
        async with Supervisor() as supervisor:
            supervisor._run_type = DiesEarly
            return await supervisor.run(spell("return 1"))

    for deaths in range(ATTEMPTS):
        report = asyncio.run(scenario(deaths))
        assert report.value == 1, report.problem
    with pytest.raises(SupervisorError, match="zygote has died"):
        asyncio.run(scenario(ATTEMPTS))


class StoppedBeforeItReads(Run):
    """A run whose worker reads nothing any more, once, and whose zygote is killed then."""

    ready: ClassVar[int]

    async def execute(self, zygote: Zygote) -> RunReport:
        self.zygote = zygote
        return await super().execute(zygote)

    def _ready(self, message: Ready) -> None:
        StoppedBeforeItReads.ready += 1
        if StoppedBeforeItReads.ready > 1:
            super()._ready(message)
            return
        assert self._worker is not None
        assert self.zygote._first is not None
        signal.pidfd_send_signal(self._worker._pidfd, signal.SIGSTOP)
        stat = Path(f"/proc/{self._worker.number_on_host}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            pass  # it stops when it is next scheduled, and nothing tells
        super()._ready(message)  # which writes the script
        os.kill(self.zygote._first, signal.SIGKILL)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_that_no_worker_has_read_is_run_by_another(engine: str) -> None:
    async def scenario() -> RunReport:
        StoppedBeforeItReads.ready = 0
        async with Supervisor() as supervisor:
            supervisor._run_type = StoppedBeforeItReads
            return await supervisor.run(spell("return 1", engine))

    report = asyncio.run(scenario())
    assert (report.value, StoppedBeforeItReads.ready) == (1, 2), report.problem


# --- verdicts, in both languages ------------------------------------------------------------------

VERDICTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ok": ("return 1", "return 1", {}),
    "script_error": ("error('no')", "throw new Error('no')", {}),
    "policy_denied": ("tools.deny()", "await tools.deny()", {}),
    "cost_limit": ("tools.spend()", "await tools.spend()", {}),
    "wall_limit": ("tools.hang()", "await tools.hang()", {"timeout": 0.3}),
    "output_limit": ("return ('x'):rep(2000)", "return 'x'.repeat(2000)", {"max_output": 1000}),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_verdict_is_the_same_in_both_languages(verdict: str, engine: str) -> None:
    lua, javascript, policy = VERDICTS[verdict]
    report = cast(lua if engine == "lua" else javascript, engine, **policy)
    assert report.verdict == verdict, report.problem
    assert (report.problem is None) == (verdict == "ok")


@pytest.mark.parametrize("engine", ENGINES)
def test_five_megabytes_go_through_a_script_and_back(engine: str) -> None:
    source = {
        "lua": "return #tools.echo(('x'):rep(5000000))",
        "javascript": "return (await tools.echo('x'.repeat(5000000))).length",
    }[engine]
    report = cast(source, engine, max_request=6 * MIB, max_response=6 * MIB)
    assert report.value == 5_000_000, report.problem


@pytest.mark.parametrize("engine", ENGINES)
def test_the_least_memory_that_a_policy_allows_runs_a_small_spell(engine: str) -> None:
    source = {
        "lua": "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(100) .. i end "
        "console.log(json.encode({a = tools.echo(1)})) return #t",
        "javascript": "const t = []; for (let i = 0; i < 1000; i++) t.push('x'.repeat(100) + i); "
        "console.log(JSON.stringify({a: await tools.echo(1)})); return t.length",
    }[engine]
    report = cast(source, engine, memory=MIN_MEMORY)
    assert report.value == 1000, report.problem


ALLOCATION_BOMBS = {
    "many small ones": (
        "local t = {} while true do t[#t + 1] = string.rep('x', 100000) .. #t end",
        "const t = []; while (true) t.push('x'.repeat(10000).split(''))",
    ),
    "one that doubles": (
        "local s = 'x' while true do s = s .. s end",
        "let b = [1.5]; while (true) b = b.concat(b)",
    ),
    "buffers": (
        "local t = {} while true do t[#t + 1] = string.rep('x', 1 << 20) end",
        "const t = []; while (true) t.push(new Uint8Array(1 << 20).fill(1))",
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bomb", ALLOCATION_BOMBS)
def test_an_allocation_bomb_is_the_memory_limit(bomb: str, engine: str) -> None:
    lua, javascript = ALLOCATION_BOMBS[bomb]
    report = cast(lua if engine == "lua" else javascript, engine, memory=64 * MIB, cpu=60)
    assert report.verdict == "memory_limit", report.problem
    assert report.problem is not None
    assert "64 MiB of memory (limit: memory)" in report.problem.message
    assert report.usage.peak_memory <= 96 * MIB


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("memory", "words"), [(256, "256 MiB"), (1024, "1 GiB")])
def test_a_large_limit_is_a_limit_too(memory: int, words: str, engine: str) -> None:
    lua, javascript = ALLOCATION_BOMBS["one that doubles"]
    source = lua if engine == "lua" else javascript
    report = cast(source, engine, memory=memory * MIB, cpu=60)
    assert report.verdict == "memory_limit", report.problem
    assert report.problem is not None
    assert f"{words} of memory" in report.problem.message


def test_a_granted_bridge_that_is_not_installed_is_named() -> None:
    async def scenario() -> None:
        async with Supervisor() as supervisor:
            spell = Spell.from_text("return 1", "lua")
            await supervisor.run(spell, policy=Policy(allow_bridges=("llm", "nowhere")))

    with pytest.raises(ConfigError, match="no bridge 'nowhere'"):
        asyncio.run(scenario())


def test_a_spell_is_parsed_without_a_missing_layer_only_when_asked_to() -> None:
    async def scenario() -> Problem | None:
        async with Supervisor() as supervisor:
            return await supervisor.validate(Spell.from_text("x =", "lua"), isolation="degraded")

    problem = asyncio.run(scenario())
    assert problem is not None
    assert problem.line == 1


# --- what bridges keep for a run ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "verdict"),
    [
        ("keeper.count() return keeper.count()", "ok"),
        ("keeper.count() keeper.count() error('x')", "script_error"),
        ("keeper.count() keeper.count() while true do end", "cpu_limit"),
    ],
)
def test_what_a_bridge_keeps_is_one_runs_own_and_closed_at_its_end(
    source: str, verdict: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with Supervisor() as supervisor:
            keeper = Keeper()
            supervisor.bridges.add(keeper)
            policy = Policy(allow_bridges=("keeper",), cpu=0.2)
            for runs in (1, 2):
                report = await supervisor.run(spell(source), policy=policy)
                assert report.verdict == verdict
                assert keeper.closed == [2] * runs

    asyncio.run(scenario())
    assert "did not close" in caplog.text
