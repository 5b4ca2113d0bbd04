"""Runs of workflows: what is not done twice, how much is done at once, what ends them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from tests.bridges.workflow.stage import Flow, Meeting, Stage

pytestmark = pytest.mark.xdist_group("langgraph")  # it takes half a second to import


class Diary:
    """What functions of the spell have done, and the one that fails as long as it is told to."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.broken: str | None = None

    def entry(self, name: str) -> Any:
        def write(_: Any) -> str:
            if name == self.broken:
                raise BridgeError("Network", f"{name} is broken")
            self.done.append(name)
            return name

        return write


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def failed(stage: Stage, work: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        stage.run(work)
    return caught.value


async def interrupted(flow: Flow, diary: Diary, at: str, values: Any = None) -> Any:
    """The result of a run that fails at a step and is then resumed."""
    diary.broken = at
    with pytest.raises(BridgeError, match="is broken"):
        await flow.run(values, id="x")
    diary.broken = None
    return await flow.resume("x")


# --- what is finished is not done again --------------------------------------------------------


def test_finished_steps_of_a_nested_workflow_are_not_run_again(stage: Stage, diary: Diary) -> None:
    async def main() -> Any:
        inner = await stage.flow()
        for name in ("i1", "i2", "i3"):
            await inner.step(name, diary.entry(name))
        flow = await (await stage.flow()).step("a", diary.entry("a"))
        await flow.step("nested", workflow=inner.handle)
        await flow.step("z", diary.entry("z"))
        return await interrupted(flow, diary, "i2")

    result = stage.run(main)
    assert diary.done == ["a", "i1", "i2", "i3", "z"]
    assert list(result["steps"]["nested"]["steps"]) == ["i1", "i2", "i3"]


def test_a_branch_that_was_finished_beside_one_that_failed_is_not_run_again(
    stage: Stage, tmp_path: Path, diary: Diary
) -> None:
    async def later(context: Any) -> Any:
        await asyncio.to_thread(until_written, tmp_path)
        return diary.entry("b")(context)

    async def main() -> Any:
        flow = await (await stage.flow("parallel")).step("a", diary.entry("a"))
        await flow.step("b", later)
        return await interrupted(flow, diary, "b")

    assert stage.run(main)["output"] == {"a": "a", "b": "b"}
    assert diary.done == ["a", "b"]


def until_written(folder: Path) -> None:
    """Wait until the result of a step is in the file of the run."""
    file = next(folder.rglob("x.sqlite"))
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        query = "SELECT count(*) FROM writes WHERE channel = 'steps'"
        while connection.execute(query).fetchone() == (0,):
            time.sleep(0.01)


def test_finished_rounds_of_a_loop_are_not_run_again(stage: Stage) -> None:
    done: list[int] = []
    asked: list[str] = []
    broken = True

    def items(_: Any) -> list[int]:
        asked.append("items")
        return [1, 2, 3]

    def work(context: Any) -> int:
        if context["item"] == 2 and broken:
            raise BridgeError("Network", "is broken")
        done.append(context["item"])
        return int(context["item"]) * 10

    async def main() -> Any:
        nonlocal broken
        flow = await (await stage.flow("loop", over=items)).step("a", work)
        with pytest.raises(BridgeError, match="is broken"):
            await flow.run(id="x")
        broken = False
        return await flow.resume("x")

    assert stage.run(main)["output"] == [10, 20, 30]
    assert (done, asked) == ([1, 2, 3], ["items"])


def test_a_branch_that_was_chosen_stays_chosen(stage: Stage, diary: Diary) -> None:
    choices = iter(["a", "b"])

    async def main() -> Any:
        flow = await stage.flow("conditional", choose=lambda _: next(choices))
        await flow.step("a", diary.entry("a"))
        await flow.step("b", diary.entry("b"))
        return await interrupted(flow, diary, "a")

    assert stage.run(main)["output"] == "a"


def test_another_run_of_the_same_spell_goes_on_with_what_one_left(
    tmp_path: Path, diary: Diary
) -> None:
    def main(stage: Stage) -> Any:
        async def work() -> Any:
            flow = await (await stage.flow()).step("a", diary.entry("a"))
            await flow.step("b", diary.entry("b"))
            return await (flow.run({"n": 1}, id="x") if diary.broken else flow.resume("x"))

        return work

    diary.broken = "b"
    first = Stage(tmp_path)
    failed(first, main(first))
    diary.broken = None
    second = Stage(tmp_path)
    result = second.run(main(second))
    assert (diary.done, result["input"], result["id"]) == (["a", "b"], {"n": 1}, "x")


def test_a_changed_workflow_is_told_how_it_has_changed(stage: Stage, diary: Diary) -> None:
    async def main() -> None:
        inner = await (await stage.flow()).step("i", diary.entry("i"))
        one = await (await stage.flow()).step("a", diary.entry("a"))
        await one.step("b", workflow=inner.handle)
        await one.run(id="x")
        await inner.step("j", diary.entry("j"))
        other = await (await stage.flow()).step("b", workflow=inner.handle)
        await other.step("a", prompt="Hi")
        await other.resume("x")

    assert failed(stage, main).message == (
        "this run is of another workflow: the order was a, b; step 'a' was of kind function and is"
        " of kind model; step 'b.j' is new"
    )


def test_checkpoints_do_not_pile_up(stage: Stage, tmp_path: Path) -> None:
    async def main() -> None:
        inner = await (await stage.flow()).step("i", lambda _: "x" * 1000)
        flow = await (await stage.flow("loop", times=20)).step("a", workflow=inner.handle)
        await flow.run(id="x")

    stage.run(main)
    file = next(tmp_path.rglob("x.sqlite"))
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        kept = connection.execute("SELECT checkpoint_ns, count(*) FROM checkpoints GROUP BY 1")
        assert kept.fetchall() == [("", 1)]
        assert connection.execute("SELECT count(*) FROM writes").fetchone() == (0,)


# --- how much at once ---------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "policy"), [(2, 10), (64, 2)])
def test_no_more_steps_run_at_once_than_are_allowed(own: int, policy: int, tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_concurrent=policy)
    meeting = Meeting(2)

    async def main() -> None:
        flow = await stage.flow("parallel", max_concurrent=own)
        for name in "abcdef":
            await flow.step(name, meeting.attend)
        await flow.run()

    stage.run(main)
    assert meeting.most == 2


def test_nested_workflows_share_the_bound_of_the_policy(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_concurrent=2)
    meeting = Meeting(2)

    async def main() -> None:
        inner = await stage.flow("parallel")
        for name in "ab":
            await inner.step(name, meeting.attend)
        flow = await stage.flow("parallel")
        for name in "cd":
            await flow.step(name, workflow=inner.handle)
        await flow.run()

    stage.run(main)
    assert meeting.most == 2


def test_a_step_that_fails_ends_those_beside_it(stage: Stage) -> None:
    ended = asyncio.Event()
    begun = asyncio.Event()

    async def endless(_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fail(_: Any) -> None:
        await begun.wait()
        raise BridgeError("Provider", "no")

    async def main() -> None:
        flow = await (await stage.flow("parallel")).step("a", endless)
        await (await flow.step("b", fail)).run()

    assert failed(stage, main).message == "step 'b': no"
    assert ended.is_set()


def test_a_cancelled_call_ends_its_steps(stage: Stage) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    after: list[Any] = []

    async def endless(_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def main() -> None:
        flow = await (await stage.flow()).step("a", endless, on_error="skip")
        await flow.step("b", after.append)
        running = asyncio.ensure_future(flow.run())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    stage.run(main)
    assert ended.is_set()
    assert after == []


def test_a_workflow_that_takes_too_long_is_a_step_that_does(stage: Stage) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def main() -> Any:
        inner = await (await stage.flow()).step("i", endless)
        flow = await stage.flow()
        await flow.step("o", workflow=inner.handle, timeout=0.3, on_error="continue")
        return await flow.run(id="x")

    found = stage.run(main)["steps"]["o"]
    assert (found["status"], found["error"]["kind"]) == ("failed", "Timeout")
    assert ended.is_set() == begun.is_set()  # a busy machine may not get to it in time


# --- progress ---


def test_progress_is_told_while_the_workflow_runs(stage: Stage) -> None:
    gate = asyncio.Event()

    async def main() -> list[str]:
        flow = await (await stage.flow()).step("a", lambda _: 1)
        await flow.step("b", lambda _: gate.wait())
        told = []
        async with flow.progress() as events:
            while "step_started b" not in told:
                event = await anext(events)
                told.append(f"{event['event']} {event.get('step', '')}")
            assert not gate.is_set()
            gate.set()
            told += [event["event"] async for event in events]
        return told

    assert stage.run(main) == [
        "started ",
        "step_started a",
        "step_finished a",
        "step_started b",
        "step_finished",
    ]


def test_each_attempt_that_fails_is_told(stage: Stage) -> None:
    async def main() -> list[tuple[str, int | None, str | None]]:
        flow = await stage.flow()
        await flow.step(
            "a",
            lambda _: 1 / 0,
            retry={"attempts": 2, "base_delay": 0, "on": ["Internal"]},
            on_error="skip",
        )
        async with flow.progress() as events:
            found = [event async for event in events if "step" in event]
        return [(e["event"], e.get("attempt"), e.get("status")) for e in found]

    assert stage.run(main) == [
        ("step_started", None, None),
        ("step_failed", 1, None),
        ("step_failed", 2, None),
        ("step_finished", None, "skipped"),
    ]


# --- bounds -----------------------------------------------------------------------------------


def test_the_time_of_a_call_does_not_bound_a_workflow(tmp_path: Path) -> None:
    stage = Stage(tmp_path, request_timeout=0.5)

    async def main() -> Any:
        flow = await (await stage.flow()).step("a", lambda _: asyncio.sleep(0.8, "slept"))
        return await flow.run()

    assert stage.run(main)["output"] == "slept"


def test_steps_without_end_have_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmspell_bridges.workflow import _steps

    monkeypatch.setattr(_steps, "MAX_PERFORMED", 5)

    async def main() -> None:
        flow = await (await stage.flow("loop", times=6)).step("a", lambda _: 1)
        await flow.run()

    assert failed(stage, main).kind == "Limit"


def test_workflows_that_multiply_each_other_are_refused(stage: Stage) -> None:
    async def main() -> None:
        flow = await (await stage.flow()).step("a", lambda _: 1)
        for _ in range(7):
            outer = await stage.flow()
            for name in "abcdefghij":
                await outer.step(name, workflow=flow.handle)
            flow = outer
        await flow.run()

    error = failed(stage, main)
    assert (error.kind, "over 1024 steps" in error.message) == ("Limit", True)


def test_workflows_are_nested_so_deep_and_no_deeper(stage: Stage) -> None:
    async def main() -> None:
        flow = await (await stage.flow()).step("a", lambda _: 1)
        for _ in range(7):
            flow = await (await stage.flow()).step("a", workflow=flow.handle)
        await flow.run()
        flow = await (await stage.flow()).step("a", workflow=flow.handle)
        await flow.run()

    assert failed(stage, main).message == "workflows are nested over 8 deep"


# --- types ----------------------------------------------------------------------------------


def test_values_and_outputs_follow_their_schemas(stage: Stage) -> None:
    topic = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

    async def main() -> Any:
        flow = await stage.flow(input=topic)
        await flow.step("a", lambda c: c["input"]["n"] + 1, output={"type": "integer"})
        await flow.step("b", lambda c: [c["previous"]], output={"type": "string"})
        with pytest.raises(BridgeError, match="input: n: is required and missing") as missing:
            await flow.run({})
        assert (missing.value.kind, missing.value.field) == ("Validation", "n")
        await flow.run({"n": 1})

    error = failed(stage, main)
    assert error.message == "step 'b': output: must be string, not array"


def test_an_output_of_the_wrong_type_is_a_failure_like_others(stage: Stage) -> None:
    answers = iter(["one", 2])

    async def main() -> Any:
        flow = await stage.flow()
        again = {"attempts": 2, "base_delay": 0, "on": ["Validation"]}
        await flow.step("a", lambda _: next(answers), output={"type": "integer"}, retry=again)
        return await flow.run()

    result = stage.run(main)
    assert (result["output"], result["steps"]["a"]["attempts"]) == (2, 2)


def test_a_schema_that_is_none_is_refused(stage: Stage) -> None:
    async def main() -> None:
        await (await stage.flow()).step("a", lambda _: 1, output={"type": "interger"})

    error = failed(stage, main)
    assert (error.kind, error.field) == ("Validation", "output.type")


# --- what is wrong with a workflow ------------------------------------------------------------


def test_everything_that_is_wrong_is_told_at_once(stage: Stage) -> None:
    async def main() -> list[str]:
        empty = await stage.flow(name="empty")
        flow = await stage.flow("dag")
        await flow.step("a", lambda _: 1, after=["nowhere"])
        await flow.step("b", workflow=empty.handle)
        await flow.step("c", lambda _: 1, after=["d"])
        await flow.step("d", lambda _: 1, after=["c"])
        return await flow.validate()

    assert stage.run(main) == [
        "a: after: there is no step 'nowhere'",
        "c: after: a circle: c after d after c",
        "b: workflow 'empty' has no steps",
    ]


def test_a_dag_sees_what_it_comes_after_and_nothing_else(stage: Stage) -> None:
    async def main() -> list[str]:
        flow = await stage.flow("dag")
        await flow.step("a", lambda _: 1)
        await flow.step("b", prompt="{{a.output}}", after=["a"])
        await flow.step("c", prompt="{{a.output}} {{b.output}}", after=["b"])
        await flow.step("d", prompt="{{c.output}}")
        await flow.step("e", prompt="{{ c.output | default('none') }}")
        return await flow.validate()

    assert stage.run(main) == ["d: prompt: step 'c' has not run by then"]


# --- the library ------------------------------------------------------------------------------


def test_a_missing_library_is_named_with_its_extra() -> None:
    probe = (
        "import asyncio, sys; sys.modules['langgraph'] = None\n"
        "from llmspell_bridges.workflow import _library\n"
        "try: asyncio.run(_library.engine())\n"
        "except Exception as error: print(error)"
    )
    seen = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert seen.stdout == (
        "Configuration: langgraph is not installed: pip install 'llmspell-supervisor[workflows]'\n"
    )


def test_nothing_is_traced_to_anywhere() -> None:
    probe = (
        "import asyncio; from llmspell_bridges.workflow import _library\n"
        "asyncio.run(_library.engine())\n"
        "from langsmith.utils import tracing_is_enabled; print(tracing_is_enabled())"
    )
    on = dict.fromkeys(("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"), "true")
    seen = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **on},
    )
    assert seen.stdout == "False\n"


def test_the_bridge_is_declared_without_the_library() -> None:
    probe = (
        "import sys, llmspell_bridges.workflow;"
        "print([n for n in ('langgraph', 'jinja2', 'aiohttp', 'watchfiles', 'aiosqlite')"
        " if n in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert seen.stdout == "[]\n"
