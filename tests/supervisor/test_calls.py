"""Calls, answers and streams, against a worker that the test plays and bridges that take notes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, ClassVar

import pytest
from msgspec import Raw

from llmspell_bridges import (
    Bridge,
    BridgeConfig,
    BridgeError,
    BridgeRegistry,
    CallContext,
    End,
    method,
)
from llmspell_protocol import (
    Call,
    Chunk,
    Close,
    Credit,
    ErrorInfo,
    Failure,
    Fault,
    Reply,
    Result,
    pack,
    unpack,
)
from llmspell_supervisor import Policy, RunReport
from llmspell_supervisor._turns import SLICE, Turns
from tests.supervisor.scripted import Peer, ScriptedZygote, new_run, until

NULL = Raw(pack(None))


class Notes(Bridge):
    """Writes down what begins, what is committed and what is cleaned up."""

    name: ClassVar[str] = "notes"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.log: list[str] = []
        self.sent = 0
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()

    @method
    async def commit(self, ctx: CallContext) -> str:
        """Something that must not happen after the verdict."""
        self.log.append("begun")
        self.begun.set()
        try:
            await self.gate.wait()
            self.log.append("committed")
        finally:
            self.log.append("over")
        return "done"

    @method
    def text(self, ctx: CallContext, size: int) -> str:
        """A text of a size."""
        self.sent += 1
        return "x" * size

    @method
    def length(self, ctx: CallContext, text: str) -> int:
        """The length of a text."""
        return len(text)

    @method
    async def count(self, ctx: CallContext, to: int, size: int = 0) -> AsyncIterator[Any]:
        """Numbers, or texts of a size, then a word."""
        try:
            for number in range(to):
                self.sent += 1
                yield "x" * size if size else number
            yield End("done")
        finally:
            self.log.append("closed")

    @method
    async def drip(self, ctx: CallContext) -> AsyncIterator[int]:
        """One number, then nothing; cleaning up takes a while, as for a connection."""
        try:
            yield 1
            await self.gate.wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            self.log.append("closed")

    @method
    async def stumble(self, ctx: CallContext) -> AsyncIterator[int]:
        """Two chunks and an error."""
        yield 1
        yield 2
        raise BridgeError("Network", "the line went dead", retryable=True)

    @method
    def deny(self, ctx: CallContext) -> None:
        """What the policy forbids."""
        raise BridgeError("Policy", "this host is not allowed")

    @method
    def crash(self, ctx: CallContext) -> None:
        """A bug."""
        raise RuntimeError("a secret of the host")

    @method
    def page(self, ctx: CallContext) -> None:
        """An error with a whole page for a message."""
        raise BridgeError("Provider", "<html>" * 1_000_000)

    @method
    def spend(self, ctx: CallContext, tokens: int = 0, cost: float = 0.0) -> None:
        """Ask for a budget and use all of it."""
        ctx.budget.reserve(tokens=tokens, cost=cost).settle(prompt_tokens=tokens, cost=cost)

    @method
    async def stubborn(self, ctx: CallContext) -> None:
        """Cleans up with an await of its own."""
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.log.append("cleaned up")


class Coroutines(Notes):
    """The same where each method might wait."""

    @method
    async def text(self, ctx: CallContext, size: int) -> str:  # type: ignore[override]
        """A text of a size."""
        return super().text(ctx, size)

    @method
    async def length(self, ctx: CallContext, text: str) -> int:  # type: ignore[override]
        """The length of a text."""
        return super().length(ctx, text)

    @method
    async def deny(self, ctx: CallContext) -> None:  # type: ignore[override]
        """What the policy forbids."""
        super().deny(ctx)

    @method
    async def crash(self, ctx: CallContext) -> None:  # type: ignore[override]
        """A bug."""
        super().crash(ctx)

    @method
    async def page(self, ctx: CallContext) -> None:  # type: ignore[override]
        """An error with a whole page for a message."""
        super().page(ctx)

    @method
    async def spend(self, ctx: CallContext, tokens: int = 0, cost: float = 0.0) -> None:  # type: ignore[override]
        """Ask for a budget and use all of it."""
        super().spend(ctx, tokens, cost)


KINDS = pytest.mark.parametrize("kind", [Notes, Coroutines])
"""Methods that are plain functions, and coroutines."""


def call(number: int, name: str, *args: Any, credit: int = 0) -> Call:
    return Call(number, f"notes.{name}", Raw(pack(list(args))), credit)


def play(
    script: Callable[[Peer, Notes], Awaitable[None]], kind: type[Notes] = Notes, **policy: Any
) -> tuple[RunReport, Notes]:
    """Run a script of what the worker says, after Start."""
    bridges: list[Notes] = []

    async def whole(peer: Peer) -> None:
        await peer.begin()
        await script(peer, bridges[0])

    async def once() -> RunReport:
        bridges.append(kind())
        registry = BridgeRegistry(bridges)
        granted = Policy(**{"allow_bridges": ("notes",), **policy})
        return await new_run(granted, registry=registry).execute(ScriptedZygote(whole))  # type: ignore[arg-type]

    return asyncio.run(once()), bridges[0]


def answers(*calls: Call, kind: type[Notes] = Notes, **policy: Any) -> list[Any]:
    """What the host answers to some calls."""
    heard: list[Any] = []

    async def script(peer: Peer, _: Notes) -> None:
        peer.send(*calls)
        heard.extend([await peer.receive() for _ in calls])
        peer.send(Result(NULL))

    report, _ = play(script, kind, **policy)
    assert report.verdict == "ok", report.problem
    return heard


# --- one answer each ------------------------------------------------------------------------------


@KINDS
def test_a_call_is_answered_and_counted(kind: type[Notes]) -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "length", "four"), call(2, "length", "x"))
        replies = {(r.id, unpack(r.value)) for r in [await peer.receive(), await peer.receive()]}  # type: ignore[union-attr]
        peer.send(Result(Raw(pack(sorted(replies) == [(1, 4), (2, 1)]))))

    report, _ = play(script, kind)
    assert report.value is True
    assert report.usage.calls == {"notes.length": 2}


def test_what_is_not_granted_is_refused_as_if_it_were_not_there() -> None:
    for name in ("notes.length", "llm.models", "os.system"):
        [fault] = answers(Call(1, name, Raw(pack([]))), allow_bridges=())
        assert isinstance(fault, Fault)
        assert (fault.error.kind, fault.error.message) == (
            "Policy",
            f"{name} is not granted to this spell",
        )


def test_of_a_bridge_only_the_granted_methods_are_served() -> None:
    served, refused = answers(
        call(1, "length", "four"), call(2, "deny"), allow_bridges=("notes.length",)
    )
    assert unpack(served.value) == 4
    assert refused.error.message == "notes.deny is not granted to this spell"


def test_arguments_over_the_limit_are_refused_with_their_size() -> None:
    [fault] = answers(call(1, "length", "x" * 2000), max_request=1000)
    assert isinstance(fault, Fault)
    assert fault.error.kind == "Limit"
    assert "2004 bytes" in fault.error.message
    assert "1000 (max_request)" in fault.error.message


@KINDS
def test_an_answer_over_the_limit_is_an_error_and_not_the_end(kind: type[Notes]) -> None:
    [fault] = answers(call(1, "text", 2000), kind=kind, max_response=1000)
    assert isinstance(fault, Fault)
    assert fault.error.kind == "Limit"


@KINDS
def test_a_page_for_an_error_message_is_cut(kind: type[Notes]) -> None:
    [fault] = answers(call(1, "page"), kind=kind, max_response=0)
    assert isinstance(fault, Fault)
    assert fault.error.message.startswith("<html><html>")
    assert len(fault.error.message) < 10_000


@KINDS
def test_a_bug_of_a_bridge_keeps_its_text_to_itself(kind: type[Notes]) -> None:
    [fault] = answers(call(1, "crash"), kind=kind)
    assert isinstance(fault, Fault)
    assert fault.error.kind == "Internal"
    assert "secret" not in fault.error.message


@KINDS
def test_five_megabytes_cross_in_both_directions(kind: type[Notes]) -> None:
    async def script(peer: Peer, _: Notes) -> None:
        await peer.write_all(peer.connection.send(call(1, "length", "x" * 5_000_000)))
        length = await peer.receive()
        peer.send(call(2, "text", 5_000_000))
        text = await peer.receive()
        assert isinstance(length, Reply)
        assert isinstance(text, Reply)
        peer.send(Result(Raw(pack([unpack(length.value), len(str(unpack(text.value)))]))))

    report, _ = play(script, kind, max_request=6 << 20, max_response=6 << 20)
    assert report.value == [5_000_000, 5_000_000]


def uncaught(name: str, kind: type[Notes]) -> RunReport:
    """The verdict when the script does not catch what a call answers."""

    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, name))
        fault = await peer.receive()
        assert isinstance(fault, Fault)
        peer.send(Failure("error", fault.error, line=1))

    return play(script, kind)[0]


@KINDS
def test_an_uncaught_refusal_is_policy_denied(kind: type[Notes]) -> None:
    report = uncaught("deny", kind)
    assert (report.verdict, report.exit_code) == ("policy_denied", 21)
    assert report.problem is not None
    assert report.problem.message == "this host is not allowed"


@KINDS
def test_an_uncaught_bug_of_a_bridge_is_not_blamed_on_the_engine(kind: type[Notes]) -> None:
    report = uncaught("crash", kind)
    assert (report.verdict, report.exit_code) == ("supervisor_error", 70)
    assert report.problem is not None
    assert "notes.crash" in report.problem.message
    assert "not to blame" in report.problem.hint


# --- limits ---------------------------------------------------------------------------------------


@KINDS
def test_one_call_more_than_granted_ends_the_run_and_does_not_begin(kind: type[Notes]) -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(*[call(n, "text", 1) for n in range(1, 5)])
        await asyncio.Event().wait()

    report, notes = play(script, kind, max_calls=3)
    assert report.verdict == "call_limit"
    assert report.usage.calls == {"notes.text": 3}
    assert notes.sent <= 3
    assert report.problem is not None
    assert "3 calls (limit: max_calls)" in report.problem.message
    assert "--max-calls" in report.problem.hint


@pytest.mark.parametrize(
    ("asked", "limit", "flag"),
    [
        ({"tokens": 101}, "100 tokens is left (limit: max_tokens)", "--max-tokens"),
        ({"cost": 0.75}, "$0.5 is left (limit: max_cost)", "--max-cost"),
    ],
)
@KINDS
def test_more_than_the_budget_ends_the_run(
    asked: dict[str, Any], limit: str, flag: str, kind: type[Notes]
) -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "spend", asked.get("tokens", 0), asked.get("cost", 0.0)))
        await asyncio.Event().wait()

    report, _ = play(script, kind, max_tokens=100, max_cost=0.5)
    assert (report.verdict, report.exit_code) == ("cost_limit", 15)
    assert report.problem is not None
    assert limit in report.problem.message
    assert flag in report.problem.hint
    assert (report.usage.prompt_tokens, report.usage.cost) == (0, 0.0)


# --- plain functions ------------------------------------------------------------------------------


def test_a_plain_function_is_served_without_a_task_and_what_it_sets_is_its_own() -> None:
    mark: ContextVar[str] = ContextVar("mark", default="")

    class Plain(Notes):
        @method
        def text(self, ctx: CallContext, size: int) -> str:
            """What it finds."""
            before, task = mark.get(), asyncio.current_task()
            mark.set(f"{size}")
            return f"{task} {before}"

    replies = answers(call(1, "text", 1), call(2, "text", 2), kind=Plain)
    assert [unpack(r.value) for r in replies] == ["None ", "None "]


def test_the_work_of_a_plain_function_is_not_the_worker_s_talking() -> None:
    class Busy(Notes):
        @method
        def length(self, ctx: CallContext, text: str) -> int:
            """The length, after ten slices of what a channel may use."""
            end = time.thread_time() + 10 * SLICE
            while time.thread_time() < end:
                pass
            return len(text)

    class Watched(Turns):
        asked = 0

        def others(self, channel: object) -> bool:
            """Asked where a channel has used up its slice."""
            self.asked += 1
            return False

    turns = Watched()

    async def script(peer: Peer) -> None:
        await peer.begin()
        for number in (1, 2, 3):
            peer.send(call(number, "length", "abc"))
            assert await peer.receive() == Reply(number, Raw(pack(3)))
        peer.send(Result(NULL))

    async def once() -> RunReport:
        subject = new_run(registry=BridgeRegistry([Busy()]))
        subject.turns = turns
        return await subject.execute(ScriptedZygote(script))  # type: ignore[arg-type]

    assert asyncio.run(once()).verdict == "ok"
    assert turns.asked == 0


def test_an_answer_that_is_being_written_holds_no_other_call_back_and_stays_whole() -> None:
    async def script(peer: Peer, notes: Notes) -> None:
        peer.send(call(1, "text", 200_000), call(2, "commit"), call(3, "length", "abc"))
        await notes.begun.wait()  # half of the first answer fills the pipe
        notes.gate.set()
        first, *others = [await peer.receive() for _ in range(3)]
        assert first == Reply(1, Raw(pack("x" * 200_000)))
        assert {m.id: unpack(m.value) for m in others} == {2: "done", 3: 3}  # type: ignore[union-attr]
        peer.send(Result(NULL))

    assert play(script)[0].verdict == "ok"


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_an_answer_that_nobody_reads_ends_with_the_run_and_is_recorded_once(turns: int) -> None:
    records: list[Any] = []

    async def script(peer: Peer) -> None:
        await peer.begin()
        peer.send(call(1, "text", 200_000), call(2, "text", 200_000))
        for _turn in range(turns):
            await asyncio.sleep(0)
        peer.send(Result(NULL))

    async def once() -> RunReport:
        subject = new_run(registry=BridgeRegistry([Notes()]))
        subject.observers = (records.append,)
        return await subject.execute(ScriptedZygote(script))  # type: ignore[arg-type]

    assert asyncio.run(once()).verdict == "ok"
    assert [(record.call, record.outcome) for record in records] == [(1, "ok"), (2, "ok")]


# --- the fence: nothing commits after the verdict -------------------------------------------------


def test_a_call_in_the_same_breath_as_the_result_never_begins() -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "commit"), Result(NULL))

    report, notes = play(script)
    assert report.verdict == "ok"
    assert notes.log == []


def test_a_call_under_way_is_cancelled_by_the_verdict_even_if_it_could_go_on_at_once() -> None:
    async def script(peer: Peer, notes: Notes) -> None:
        peer.send(call(1, "commit"))
        await notes.begun.wait()
        peer.send(Result(NULL))
        # The host reads the result in the next turn of the loop; from then on the gate is open.
        asyncio.get_running_loop().call_soon(
            lambda: asyncio.get_running_loop().call_soon(notes.gate.set)
        )

    report, notes = play(script)
    assert report.verdict == "ok"
    assert notes.log == ["begun", "over"]


def test_a_bridge_may_clean_up_with_an_await_of_its_own() -> None:
    async def script(peer: Peer, notes: Notes) -> None:
        peer.send(call(1, "stubborn"))
        await notes.begun.wait()
        peer.send(Result(NULL))

    report, notes = play(script)
    assert report.verdict == "ok"
    assert notes.log == ["cleaned up"]


def test_a_worker_that_dies_stops_its_calls() -> None:
    async def script(peer: Peer, notes: Notes) -> None:
        peer.send(call(1, "commit"))
        await notes.begun.wait()
        peer.exit("kill -KILL $$")

    report, notes = play(script)
    assert report.verdict == "engine_crash"
    assert notes.log == ["begun", "over"]


# --- streams --------------------------------------------------------------------------------------


def test_a_stream_ends_with_its_closing_value() -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "count", 2, credit=8))
        seen = [await peer.receive() for _ in range(3)]
        assert [type(m) for m in seen] == [Chunk, Chunk, Reply]
        peer.send(Result(Raw(pack([unpack(m.value) for m in seen]))))  # type: ignore[union-attr]

    assert play(script)[0].value == [0, 1, "done"]


def test_a_slow_reader_holds_the_bridge_back() -> None:
    window = 3

    async def script(peer: Peer, notes: Notes) -> None:
        peer.send(call(1, "count", 1000, credit=window))
        for read in range(1, 50):
            assert isinstance(await peer.receive(), Chunk)
            assert notes.sent <= window + read  # and one that waits for room
            peer.send(Credit(1, 1))
        peer.send(Result(NULL))

    report, notes = play(script)
    assert report.verdict == "ok", report.problem
    assert notes.sent < 60
    assert notes.log == ["closed"]


def test_without_credit_a_stream_goes_one_chunk_beyond_its_window_and_waits() -> None:
    async def script(peer: Peer, notes: Notes) -> None:
        peer.send(call(1, "count", 1000, credit=4))
        for _ in range(4):
            await peer.receive()
        # Answered after whatever the stream could still do.
        peer.send(call(2, "length", "x"))
        assert isinstance(await peer.receive(), Reply)
        assert notes.sent == 5
        peer.send(Result(NULL))

    assert play(script)[0].verdict == "ok"


def test_a_stream_that_is_as_long_as_its_window_ends_without_more_credit() -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "count", 2, credit=2))
        kinds = [type(await peer.receive()) for _ in range(3)]
        peer.send(Result(Raw(pack(kinds == [Chunk, Chunk, Reply]))))

    assert play(script)[0].value is True


def test_an_error_in_mid_stream_comes_after_the_chunks_before_it() -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "stumble", credit=8))
        seen = [await peer.receive() for _ in range(3)]
        assert [type(m) for m in seen] == [Chunk, Chunk, Fault]
        assert seen[2].error == ErrorInfo("Network", "the line went dead", True)  # type: ignore[union-attr]
        peer.send(Result(NULL))

    assert play(script)[0].verdict == "ok"


def test_closing_a_stream_closes_the_bridge_and_is_answered() -> None:
    async def script(peer: Peer, notes: Notes) -> None:
        peer.send(call(1, "count", 1000, credit=2))
        await peer.receive()
        peer.send(Close(1))
        while isinstance(message := await peer.receive(), Chunk):
            pass
        assert message == Reply(1, NULL)
        assert notes.log == ["closed"]
        peer.send(call(2, "length", "x"))
        assert isinstance(await peer.receive(), Reply)
        peer.send(Result(NULL))

    assert play(script)[0].verdict == "ok"


def test_a_stream_that_is_closed_before_it_began_is_answered() -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "count", 5, credit=2), Close(1))
        assert await peer.receive() == Reply(1, NULL)
        peer.send(Result(NULL))

    assert play(script)[0].verdict == "ok"


def test_closing_a_stream_in_the_middle_of_a_frame_leaves_the_frame_whole() -> None:
    async def script(peer: Peer, notes: Notes) -> None:
        # Larger than the pipe: the host waits with half of the first chunk written.
        peer.send(call(1, "count", 10, 250_000, credit=8))
        await until(lambda: notes.sent)
        peer.send(Close(1), call(2, "length", "abc"))
        seen = [await peer.receive() for _ in range(3)]  # raises on a frame that is not one
        assert [type(m) for m in seen] == [Chunk, Reply, Reply]
        peer.send(Result(NULL))

    report, notes = play(script)
    assert report.verdict == "ok", report.problem
    assert notes.log == ["closed"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
def test_a_stream_that_is_closed_just_before_the_end_is_cleaned_up_whole(turns: int) -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "drip", credit=8))
        assert isinstance(await peer.receive(), Chunk)
        peer.send(Close(1))
        for _turn in range(turns):
            await asyncio.sleep(0)
        peer.send(Result(NULL))

    report, notes = play(script)
    assert report.verdict == "ok", report.problem
    assert notes.log == ["closed"]


def test_a_worker_that_is_killed_in_mid_stream_closes_the_bridge() -> None:
    async def script(peer: Peer, _: Notes) -> None:
        peer.send(call(1, "count", 1000, credit=2))
        await peer.receive()
        peer.exit("kill -KILL $$")

    report, notes = play(script)
    assert report.verdict == "engine_crash"
    assert notes.log == ["closed"]


def test_a_call_that_asks_for_chunks_of_what_is_no_stream_gets_its_reply() -> None:
    [reply] = answers(call(1, "length", "abc", credit=3))
    assert reply == Reply(1, Raw(pack(3)))


def test_a_stream_without_credit_is_refused() -> None:
    [fault] = answers(call(1, "count", 3))
    assert isinstance(fault, Fault)
    assert fault.error.kind == "Validation"


# --- a worker that does not read ------------------------------------------------------------------


@KINDS
def test_answers_that_nobody_reads_are_as_many_as_calls_may_be_open(kind: type[Notes]) -> None:
    most = 4

    async def script(peer: Peer, notes: Notes) -> None:
        # Each answer is larger than the pipe. The first is written, in part, and so answered.
        peer.send(*[call(n, "text", 200_000) for n in range(1, most + 1)])
        await until(lambda: notes.sent == most)
        peer.send(call(most + 1, "text", 200_000))
        await until(lambda: notes.sent == most + 1)
        peer.send(call(most + 2, "text", 200_000))  # the books have no room for it
        await asyncio.Event().wait()

    report, notes = play(script, kind, max_concurrent=most)
    assert report.verdict == "protocol_violation"
    assert notes.sent == most + 1


def test_a_call_that_the_result_overtakes_never_begins_and_is_recorded_once() -> None:
    notes = Notes()
    records: list[Any] = []

    async def script(peer: Peer) -> None:
        await peer.begin()
        peer.send(
            call(1, "commit"), Result(NULL)
        )  # in one read: the call's task has not had a turn

    async def once() -> RunReport:
        registry = BridgeRegistry([notes])
        subject = new_run(registry=registry)
        subject.observers = (records.append,)
        return await subject.execute(ScriptedZygote(script))  # type: ignore[arg-type]

    assert asyncio.run(once()).verdict == "ok"
    assert notes.log == []
    assert [(record.call, record.outcome) for record in records] == [(1, "cancelled")]
