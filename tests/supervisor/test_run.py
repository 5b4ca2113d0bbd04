"""One run against a worker that the test plays: nothing that it says can surprise the host."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from typing import Any

import msgspec
import pytest
from msgspec import Raw, structs

from llmspell_protocol import (
    Call,
    Close,
    Credit,
    ErrorInfo,
    Failure,
    Log,
    Raise,
    Ready,
    Result,
    Return,
    Trap,
    pack,
)
from llmspell_supervisor import LogEntry, Policy, RunReport, SystemCall
from llmspell_supervisor._budget import ENTRY_BURST, ENTRY_COST
from llmspell_supervisor._ending import MAX_TEXT
from tests.supervisor.scripted import READY, Peer, ScriptedZygote, new_run, run

NULL = Raw(pack(None))


def frame(message: Any) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack(">I", len(body)) + body


def raw(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def call(number: int, method: str = "llm.models", credit: int = 0) -> bytes:
    return frame(Call(number, method, Raw(pack([])), credit))


BEFORE_READY = {
    "a header over every cap": b"\xff\xff\xff\xff",
    "an empty frame": raw(b""),
    "a result": frame(Result(NULL)),
    "a log": frame(Log("log", "early")),
    "a call": call(1),
    "another version": frame(Ready(99, "lua", "", {})),
    "a message of the host": raw(msgspec.msgpack.encode(["reply", 1, None])),
    "an unknown tag": raw(msgspec.msgpack.encode(["exec", "rm"])),
    "no message at all": raw(msgspec.msgpack.encode(5)),
    "not even msgpack": raw(b"\xc1\xc1\xc1"),
    "a trap at no system call": frame(Trap(-1, listed=False)),
    "a trap at a call of x32": frame(Trap(1 << 30, listed=False)),
}
AFTER_START = {
    "ready again": frame(READY),
    "a call that skips a number": call(2),
    "a call by a malformed name": call(1, "os.system('x')"),
    "more calls at once than granted": call(1) + call(2) + call(3),
    "credit for a stream that is none": frame(Credit(1, 1)),
    "close of a stream that is none": frame(Close(7)),
    "an answer to nothing": frame(Return(1, NULL)),
    "an error for nothing": frame(Raise(1, ErrorInfo("Script", "no"))),
    "more credit than any window": call(1, "llm.stream", credit=1 << 20),
    "arguments that are no list": frame(Call(1, "llm.models", Raw(pack({})))),
    "text that is not UTF-8": raw(b"\x93\xa3log\xa3log\xa2\xff\xfe"),
    "a level that there is not": raw(msgspec.msgpack.encode(["log", "shout", "x"])),
    "a surplus field": raw(msgspec.msgpack.encode(["log", "log", "x", 1])),
    "a value nested too deep": raw(b"\x92\xa6result" + b"\x91" * 200 + b"\xc0"),
    "a value with a key twice": raw(b"\x92\xa6result\x82\xa1a\x01\xa1a\x02"),
    "a value of a foreign type": raw(b"\x92\xa6result\xd6\xff\x00\x00\x00\x00"),
    "a frame over its cap": struct.pack(">I", 64 << 20),
}


@pytest.mark.parametrize("what", BEFORE_READY)
def test_a_breach_before_ready_ends_the_run(what: str) -> None:
    async def play(peer: Peer) -> None:
        peer.write(BEFORE_READY[what])

    assert_violation(run(play))


@pytest.mark.parametrize("what", AFTER_START)
def test_a_breach_while_running_ends_the_run(what: str) -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(AFTER_START[what])

    assert_violation(run(play, Policy(max_concurrent=2)))


def assert_violation(report: RunReport) -> None:
    assert report.verdict == "protocol_violation"
    assert report.exit_code == 20
    assert report.problem is not None
    assert "the worker broke the protocol" in report.problem.message
    assert "hostile" in report.problem.hint


def test_a_breach_is_found_byte_by_byte() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        for byte in AFTER_START["ready again"]:
            peer.write(bytes([byte]))
            await asyncio.sleep(0)

    assert_violation(run(play))


def test_a_hostile_worker_does_not_touch_its_neighbours() -> None:
    gate = asyncio.Event()

    async def hostile(peer: Peer) -> None:
        await peer.begin()
        peer.write(b"\xff" * 4096)

    async def healthy(peer: Peer) -> None:
        await peer.begin()
        await gate.wait()
        peer.send(Result(Raw(pack("unharmed"))))

    async def both() -> tuple[RunReport, RunReport]:
        waiting = asyncio.create_task(new_run().execute(ScriptedZygote(healthy)))  # type: ignore[arg-type]
        first = await new_run().execute(ScriptedZygote(hostile))  # type: ignore[arg-type]
        gate.set()
        return first, await waiting

    first, second = asyncio.run(both())
    assert first.verdict == "protocol_violation"
    assert (second.verdict, second.value) == ("ok", "unharmed")


# --- the last word --------------------------------------------------------------------------------


def test_a_worker_that_says_its_result_and_exits_at_once_is_ok() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.send(Log("log", "one"), Result(Raw(pack({"a": [1, 2]}))))
        peer.exit("kill -SEGV $$")  # what becomes of it then is nobody's concern

    report = run(play)
    assert (report.verdict, report.value) == ("ok", {"a": [1, 2]})
    assert [entry.text for entry in report.logs] == ["one"]


def test_a_result_larger_than_the_pipe_arrives_whole_though_the_worker_exits() -> None:
    text = "x" * 5_000_000

    async def play(peer: Peer) -> None:
        await peer.begin()
        await peer.write_all(peer.connection.send(Result(Raw(pack(text)))))
        peer.exit()

    assert run(play, Policy(max_output=8 << 20)).value == text


def test_what_follows_the_last_word_is_not_read() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(frame(Result(NULL)) + b"\xff" * 64)

    assert run(play).verdict == "ok"


EXITS = {
    "exit 3": ("protocol_violation", "exited with status 3"),
    "exit 0": ("protocol_violation", "exited with status 0"),
    "kill -SEGV $$": ("engine_crash", "SIGSEGV"),
    "kill -SYS $$": ("engine_crash", "a forbidden system call, and was killed"),
    "kill -XCPU $$": ("engine_crash", "ended by SIGXCPU"),  # it used none: its own doing
    "kill -KILL $$": ("engine_crash", "SIGKILL"),
}


@pytest.mark.parametrize("command", EXITS)
def test_a_worker_without_a_last_word_is_judged_by_its_exit(command: str) -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.exit(command)

    report = run(play)
    assert report.problem is not None
    assert report.verdict == EXITS[command][0]
    assert EXITS[command][1] in report.problem.message


TRAPS = {
    Trap(41, listed=False): (
        "the worker made a forbidden system call, socket (system call 41), and was killed",
        SystemCall(number=41, name="socket", refused="call"),
    ),
    Trap(9, listed=True): (
        (
            "the worker made a system call with forbidden arguments,"
            " mmap (system call 9), and was killed"
        ),
        SystemCall(number=9, name="mmap", refused="arguments"),
    ),
    Trap(4000, listed=False): (
        "the worker made a forbidden system call, unknown (system call 4000), and was killed",
        SystemCall(number=4000, name=None, refused="call"),
    ),
}


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: str(trap.call))
def test_a_worker_that_is_killed_for_a_system_call_has_it_named(trap: Trap) -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(frame(trap))
        peer.exit("kill -SYS $$")

    report = run(play)
    assert report.verdict == "engine_crash"
    assert report.problem is not None
    assert (report.problem.message, report.problem.system_call) == TRAPS[trap]
    shown = msgspec.to_builtins(report)["problem"]["system_call"]  # as --json has it
    assert shown["number"] == trap.call
    assert shown["refused"] == ("arguments" if trap.listed else "call")


@pytest.mark.parametrize("command", ["exit 0", "exit 3", "kill -KILL $$", "kill -SEGV $$"])
def test_a_trap_that_the_kernel_does_not_confirm_is_a_violation(command: str) -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(frame(Trap(41, listed=False)))
        peer.exit(command)

    report = run(play)
    assert report.verdict == "protocol_violation"
    assert report.problem is not None
    assert "stopped at a system call; it was not" in report.problem.message
    assert report.problem.system_call is None


def test_a_worker_that_goes_on_after_its_trap_is_killed() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(frame(Trap(41, listed=False)))
        await asyncio.Event().wait()

    report = run(play)
    assert report.verdict == "protocol_violation"
    assert report.problem is not None
    assert "said that it was stopped and went on" in report.problem.message


def test_nothing_that_follows_a_trap_is_read() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(frame(Trap(41, listed=False)) + frame(Result(NULL)))
        peer.exit("kill -SYS $$")

    assert run(play).verdict == "engine_crash"


def test_a_trap_after_the_result_changes_nothing() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(frame(Result(NULL)) + frame(Trap(41, listed=False)))
        peer.exit("kill -SYS $$")

    assert run(play).verdict == "ok"


def test_a_trap_before_ready_is_our_failure_and_names_the_call() -> None:
    async def play(peer: Peer) -> None:
        peer.write(frame(Trap(41, listed=False)))
        peer.exit("kill -SYS $$")

    report = run(play)
    assert report.verdict == "supervisor_error"
    assert report.problem is not None
    assert "socket (system call 41)" in report.problem.message
    assert "before it was ready" in report.problem.message


def test_a_trap_inside_another_frame_is_judged_by_the_exit() -> None:
    """A thread is stopped while another one writes what does not fit the pipe at once."""

    async def play(peer: Peer) -> None:
        await peer.begin()
        result = frame(Result(Raw(pack(["x"] * 9))))
        trap = frame(Trap(41, listed=False))
        half = len(result) // 2
        cut = result[:half] + trap + result[half:]
        os.kill(peer.pid, signal.SIGSYS)
        os.waitid(os.P_PID, peer.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - dead at once
        peer.write(cut)

    report = run(play)
    assert report.verdict == "engine_crash"
    assert report.problem is not None
    assert report.problem.message == "the worker made a forbidden system call, and was killed"


def test_half_a_frame_and_an_exit_is_judged_by_the_exit() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.write(frame(Result(NULL))[:-1])
        peer.exit("kill -SEGV $$")

    assert run(play).verdict == "engine_crash"


def test_a_worker_that_dies_before_it_is_ready_is_our_failure() -> None:
    async def play(peer: Peer) -> None:
        peer.exit("kill -SEGV $$")

    report = run(play)
    assert report.verdict == "supervisor_error"
    assert report.problem is not None
    assert "SIGSEGV before it was ready" in report.problem.message
    assert "doctor" in report.problem.hint


def test_a_worker_that_cannot_lock_itself_says_why_and_gets_no_script() -> None:
    async def play(peer: Peer) -> None:
        peer.send(Failure("error", ErrorInfo("Internal", "isolation layer 'x' is missing")))
        assert await peer.read() == b""  # nothing came before the end

    report = run(play)
    assert report.verdict == "supervisor_error"
    assert report.problem is not None
    assert "isolation layer 'x' is missing" in report.problem.message


def test_a_worker_that_closes_its_pipe_and_lives_on_is_killed_for_it() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.close_output()
        await asyncio.Event().wait()

    report = run(play)
    assert report.verdict == "protocol_violation"
    assert report.problem is not None
    assert "closed its pipe" in report.problem.message


def failing(cause: str, error: ErrorInfo) -> RunReport:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.send(Failure(cause, error, line=3, column=4))  # type: ignore[arg-type]

    return run(play)


def test_an_uncaught_error_keeps_its_place() -> None:
    report = failing("error", ErrorInfo("Script", "no such field"))
    assert report.verdict == "script_error"
    assert report.problem is not None
    assert (report.problem.message, report.problem.line) == ("no such field", 3)
    assert report.problem.error == ErrorInfo("Script", "no such field")


def test_memory_that_ran_out_in_the_engine_is_the_memory_limit() -> None:
    assert failing("memory", ErrorInfo("Script", "out of memory")).verdict == "memory_limit"


def test_a_value_over_the_output_limit_that_the_worker_kept_back_is_the_output_limit() -> None:
    error = ErrorInfo("Limit", "the result has 2000000 bytes", field="max_output")
    assert failing("conversion", error).verdict == "output_limit"


def test_an_engine_that_failed_is_told_from_a_script_that_did() -> None:
    assert failing("error", ErrorInfo("Internal", "KeyError: 1")).verdict == "engine_crash"


def test_a_script_cannot_say_that_the_policy_denied_what_it_never_asked() -> None:
    assert failing("error", ErrorInfo("Policy", "made up")).verdict == "script_error"


# --- output ---------------------------------------------------------------------------------------


def test_output_is_counted_up_to_the_limit_and_no_further() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        peer.send(*[Log("log", "x" * 99)] * 11)

    report = run(play, Policy(max_output=1000))
    assert report.verdict == "output_limit"
    assert report.usage.output == 1000
    assert len(report.logs) == 10
    assert report.problem is not None
    assert "1000 bytes (limit: max_output)" in report.problem.message
    assert "--max-output" in report.problem.hint


def test_empty_lines_are_not_free() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        await peer.write_all(frame(Log("log", "")) * 10_000)

    report = run(play, Policy(max_output=1600))
    assert report.verdict == "output_limit"
    assert len(report.logs) == 1600 // ENTRY_COST


def test_a_flood_of_entries_is_suppressed_and_marked_with_how_many_there_were() -> None:
    shown: list[LogEntry] = []
    count = ENTRY_BURST + 5000

    async def play(peer: Peer) -> None:
        await peer.begin()
        await peer.write_all(frame(Log("log", "x")) * count)
        peer.send(Result(NULL))

    report = run(play, Policy(max_output=1 << 20), on_log=shown.append)
    assert report.verdict == "ok"
    assert tuple(shown) == report.logs
    marks = [entry for entry in report.logs if entry.suppressed]
    assert marks
    assert marks[0].text.startswith(f"{marks[0].suppressed} entries suppressed")
    assert len(report.logs) - len(marks) + sum(mark.suppressed for mark in marks) == count


def test_calls_of_methods_that_there_are_not_are_counted_under_one_name() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        for number in range(1, 4):
            peer.send(Call(number, f"made.up{number}", Raw(pack([]))))
            await peer.receive()
        peer.send(Result(NULL))

    assert run(play).usage.calls == {"unknown": 3}


@pytest.mark.parametrize("kind", ["Script", "Internal"])
def test_a_report_keeps_no_more_of_an_error_than_a_person_reads(kind: Any) -> None:
    text = "x" * 300_000

    async def play(peer: Peer) -> None:
        await peer.begin()
        failure = Failure("error", ErrorInfo(kind, text, field=text), stack=text)
        await peer.write_all(frame(failure))

    assert len(msgspec.json.encode(run(play).problem)) < 5 * MAX_TEXT


def test_the_value_counts_as_output_and_null_does_not() -> None:
    async def says(peer: Peer, value: Any) -> None:
        await peer.begin()
        peer.send(Result(Raw(pack(value))))

    none = run(lambda peer: says(peer, None), Policy(max_output=0))
    assert (none.verdict, none.usage.output) == ("ok", 0)
    text = run(lambda peer: says(peer, "abc"), Policy(max_output=4))
    assert (text.verdict, text.usage.output) == ("ok", 4)
    assert run(lambda peer: says(peer, "abc"), Policy(max_output=3)).verdict == "output_limit"


def test_what_a_callback_raises_ends_the_run_and_reaches_whoever_awaits_it() -> None:
    alive: list[int] = []

    async def play(peer: Peer) -> None:
        alive.append(peer.pid)
        await peer.begin()
        peer.send(Log("log", "one"), Log("log", "two"))
        await asyncio.Event().wait()

    def refuse(entry: LogEntry) -> None:
        raise LookupError(entry.text)

    with pytest.raises(LookupError, match="one"):
        run(play, on_log=refuse)
    with pytest.raises(ProcessLookupError):
        os.kill(alive[0], 0)


# --- the beginning, and cancelling ----------------------------------------------------------------


def test_start_carries_params_environment_and_limits() -> None:
    seen = []

    async def play(peer: Peer) -> None:
        seen.append(await peer.begin())
        peer.send(Result(NULL))

    huge = {"HUGE": "v" * 200_000}
    report = run(play, Policy(max_response=0), params={"a": 1}, env=huge)
    assert report.verdict == "ok"
    assert bytes(seen[0].params) == pack({"a": 1})
    assert seen[0].env == huge
    assert report.layers == {"zygote": "on: by a test", "played": "on: by a test"}


def test_a_worker_cannot_say_of_a_layer_what_its_zygote_says_otherwise() -> None:
    async def play(peer: Peer) -> None:
        peer.send(structs.replace(READY, layers={"zygote": "off: says the worker", "its": "on: x"}))
        await peer.receive()
        peer.send(Result(NULL))

    assert run(play).layers == {"zygote": "on: by a test", "its": "on: x"}


def test_a_run_that_is_cancelled_while_the_zygote_boots_has_no_worker() -> None:
    async def scenario() -> tuple[RunReport, list[Any]]:
        zygote = ScriptedZygote(lambda _: asyncio.sleep(0))
        zygote.started.clear()
        subject = new_run()
        task = asyncio.create_task(subject.execute(zygote))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        subject.cancel()
        return await task, zygote.workers

    report, workers = asyncio.run(scenario())
    assert report.verdict == "cancelled"
    assert workers == []


def test_a_run_that_is_cancelled_while_its_worker_is_forked_sends_it_nothing() -> None:
    heard: list[bytes] = []

    async def play(peer: Peer) -> None:
        peer.send(READY)
        heard.append(await peer.read())

    async def scenario() -> RunReport:
        zygote = ScriptedZygote(play)
        zygote.forked.clear()
        subject = new_run()
        task = asyncio.create_task(subject.execute(zygote))  # type: ignore[arg-type]
        while not subject._timers and not zygote.workers and not task.done():
            await asyncio.sleep(0)
            subject.cancel()
            zygote.forked.set()
        return await task

    assert asyncio.run(scenario()).verdict == "cancelled"
    assert b"".join(heard) == b""


def test_the_first_ending_is_the_ending() -> None:
    async def scenario() -> RunReport:
        async def play(peer: Peer) -> None:
            await peer.begin()
            subject.cancel()
            peer.send(Result(NULL))

        subject = new_run()
        return await subject.execute(ScriptedZygote(play))  # type: ignore[arg-type]

    assert asyncio.run(scenario()).verdict == "cancelled"


@pytest.mark.undisturbed
def test_the_wall_clock_ends_a_worker_that_says_nothing() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        await asyncio.Event().wait()

    report = run(play, Policy(timeout=0.1))
    assert report.verdict == "wall_limit"
    assert 0.1 <= report.usage.wall < 1
    assert report.problem is not None
    assert "100 ms (limit: timeout)" in report.problem.message


@pytest.mark.undisturbed
def test_the_processor_clock_ends_a_worker_that_spins() -> None:
    async def play(peer: Peer) -> None:
        await peer.begin()
        os.write(peer._stdin, b"while :; do :; done\n")
        await asyncio.Event().wait()

    report = run(play, Policy(cpu=0.2, timeout=30))
    assert report.verdict == "cpu_limit"
    assert 0.19 < report.usage.cpu < 0.3
