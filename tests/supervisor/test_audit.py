"""The audit log: what is in it, how it is chained, and that nothing is done which it cannot hold."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, End, method
from llmspell_protocol import pack
from llmspell_supervisor import (
    AuditError,
    Config,
    Policy,
    PolicyError,
    RunReport,
    Spell,
    Supervisor,
    SupervisorError,
)
from llmspell_supervisor._audit import FIRST, AuditLog, Broken, verify
from llmspell_supervisor._config import AuditSettings
from llmspell_supervisor._record import CallRecord

CAP = 1 << 20


class Ledger(Bridge):
    """Does what calls do, and notes it."""

    name: ClassVar[str] = "ledger"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.effects = 0
        self.before_effect: Any = None

    @method
    async def send(self, ctx: CallContext, text: str) -> str:
        """Note a host, spend, answer."""
        ctx.note(domain="api.example.com", attempts=2)
        ctx.budget.reserve(tokens=10, cost=0.5).settle(
            prompt_tokens=3, completion_tokens=4, cost=0.25
        )
        self.effects += 1
        return text

    @method
    async def fail(self, ctx: CallContext) -> None:
        """An error whose text is nobody's business."""
        raise BridgeError("Network", "the password is hunter2")

    @method
    async def count(self, ctx: CallContext) -> AsyncIterator[int | End[str]]:
        """A stream."""
        yield 1
        yield 2
        yield End("done")

    @method
    async def hang(self, ctx: CallContext) -> None:
        """Never answers."""
        await asyncio.Event().wait()

    @method
    async def strange(self, ctx: CallContext) -> None:
        """Notes more than anyone reads."""
        ctx.note(**{f"note{n}": "x" * 10_000 for n in range(100)})
        ctx.note(note0=1 << 80, note1='a\n{"type":"end"}\u2028\ud800')

    @method
    async def touch(self, ctx: CallContext) -> None:
        """Makes use of more than anyone reads."""
        ctx.note(first=1)
        for number in range(2000):
            ctx.touch(read="\0" * 1000 + str(number // 2))


def run(path: Path, source: str, **policy: Any) -> RunReport:
    async def once() -> RunReport:
        async with Supervisor(audit=str(path)) as supervisor:
            supervisor.bridges.add(Ledger())
            granted = Policy(**{"allow_bridges": ("ledger",), **policy})
            return await supervisor.run(Spell.from_text(source, "lua", "a.lua"), policy=granted)

    return asyncio.run(once())


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_leaves_its_begin_each_call_and_its_end(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    source = 'ledger.send("four") pcall(ledger.fail) for _ in ledger.count() do end return 1'
    assert run(log, source).value == 1
    begin, send, fail, count, end = records(log)
    assert [r["type"] for r in records(log)] == ["begin", "call", "call", "call", "end"]
    about = {"spell": "a.lua", "sha256": hashlib.sha256(source.encode()).hexdigest()}
    assert all(r.items() >= about.items() and r["run"] == begin["run"] for r in records(log))
    arguments = pack(["four"])
    assert send | {"time": 0, "duration": 0, "hash": 0, "prev": 0} == {
        **about,
        "n": 2,
        "run": begin["run"],
        "type": "call",
        "call": 1,
        "nested": "",
        "method": "ledger.send",
        "args_sha256": hashlib.sha256(arguments).hexdigest(),
        "args_size": len(arguments),
        "outcome": "ok",
        "size": len(pack("four")),
        "tokens": 7,
        "cost": 0.25,
        "detail": {"domain": "api.example.com", "attempts": 2},
        "time": 0,
        "duration": 0,
        "hash": 0,
        "prev": 0,
    }
    assert (fail["outcome"], fail["size"], fail["detail"]) == ("Network", 0, {})
    assert (count["outcome"], count["size"]) == ("ok", 2 + len(pack("done")))
    assert (end["verdict"], end["usage"]["calls"]["ledger.send"]) == ("ok", 1)


def test_nothing_of_an_error_or_an_argument_is_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    run(log, 'ledger.send("CANARY-1") ledger.fail()')
    assert "CANARY" not in log.read_text()
    assert "hunter2" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.attack("P28")
def test_no_text_of_a_spell_makes_a_record_or_ends_one(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    forged = '\n{"n":9,"type":"end","verdict":"ok"}\n\u2028\r'
    spell = Spell.from_text("ledger.strange() nowhere()", "lua", "a" + forged)

    async def once() -> None:
        async with Supervisor(audit=str(log)) as supervisor:
            supervisor.bridges.add(Ledger())
            await supervisor.run(spell, policy=Policy(allow_bridges=("ledger",)))

    asyncio.run(once())
    assert log.read_bytes().count(b"\n") == 3
    assert not {"\u2028", "\r"} & set(log.read_text())
    begin, call, end = records(log)
    assert begin["spell"] == spell.name
    assert end["verdict"] == "script_error"
    assert len(call["detail"]) == 16
    assert call["detail"]["note0"] == (1 << 63) - 1
    assert max(len(str(v)) for v in call["detail"].values()) <= 256
    assert verify(str(log)).records == 3


def test_what_a_call_made_use_of_is_kept_within_bounds(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    assert run(log, "ledger.touch()").verdict == "ok"
    found = records(log)[1]["detail"]
    assert found["first"] == 1
    assert len(found["read"]) == 15
    assert max(map(len, found["read"])) <= 256
    assert verify(str(log)).records == 3


def test_calls_that_the_end_of_the_run_cut_short_are_recorded_before_it(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    assert run(log, "ledger.hang()", timeout=0.3).verdict == "wall_limit"
    assert [r.get("outcome") for r in records(log)] == [None, "cancelled", None]
    assert records(log)[-1]["verdict"] == "wall_limit"


def test_limits_that_a_call_met_are_its_outcome(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    run(log, 'ledger.send("a") ledger.send("b")', max_calls=1)
    run(log, 'ledger.send("a")', max_cost=0.1)
    run(log, "pcall(ledger.send, {})")
    outcomes = [r["outcome"] for r in records(log) if r["type"] == "call"]
    assert outcomes == ["ok", "call_limit", "cost_limit", "Validation"]
    assert verify(str(log)).runs == 3


# --- the chain ------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of five records."""
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(str(path), CAP)
    trail = audit.begin(1, Spell.from_text("return 1", "lua", "a.lua"))
    for number in (1, 2, 3):
        trail.call(call(number))
    trail.broke("ok")
    audit.close()
    return path


def call(number: int, **fields: Any) -> CallRecord:
    whole: dict[str, Any] = {
        "call": number,
        "method": "ledger.send",
        "args_sha256": "",
        "args_size": 0,
        "outcome": "ok",
        "size": 0,
        "duration": 0.0,
        "tokens": 0,
        "cost": 0.0,
        "detail": {},
    }
    return CallRecord(**{**whole, **fields})


def test_each_record_carries_the_hash_of_the_one_before(log: Path) -> None:
    found = records(log)
    assert [r["prev"] for r in found] == [FIRST, *(r["hash"] for r in found[:-1])]
    assert [r["n"] for r in found] == [1, 2, 3, 4, 5]
    whole = verify(str(log))
    assert (whole.records, whole.runs, whole.open_runs) == (5, 1, 0)
    assert whole.last == found[-1]["hash"]


TAMPERINGS: dict[str, tuple[Any, int, str]] = {
    "a word changed": (lambda ls: [*ls[:2], ls[2].replace("ok", "no"), *ls[3:]], 3, "been changed"),
    "the last line changed": (lambda ls: [*ls[:4], ls[4].replace("ok", "no")], 5, "been changed"),
    "a line removed": (lambda ls: [*ls[:2], *ls[3:]], 3, "removed or put in"),
    "the first line removed": (lambda ls: ls[1:], 1, "removed or put in"),
    "a line repeated": (lambda ls: [*ls[:3], ls[2], *ls[3:]], 4, "removed or put in"),
    "two lines swapped": (lambda ls: [ls[0], ls[2], ls[1], *ls[3:]], 2, "removed or put in"),
    "a line of text": (lambda ls: [*ls, "hello"], 6, "not a record"),
    "an empty line": (lambda ls: [*ls[:1], "", *ls[1:]], 2, "not a record"),
    "a second hash": (
        lambda ls: [*ls[:1], ls[1][:-1] + f',"hash":"{"0" * 64}"}}', *ls[2:]],
        2,
        "been changed",
    ),
    "a line without a bound": (lambda ls: [*ls[:1], "x" * 100_000], 2, "longer than a record"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_the_first_broken_line_is_named(log: Path, name: str) -> None:
    change, line, reason = TAMPERINGS[name]
    log.write_text("\n".join(change(log.read_text().splitlines())) + "\n")
    with pytest.raises(Broken, match=reason) as caught:
        verify(str(log))
    assert caught.value.line == line


def test_a_chain_that_was_rewritten_lacks_a_hash_that_somebody_kept(log: Path) -> None:
    kept = verify(str(log)).last
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:3]))
    assert verify(str(log)).records == 3
    with pytest.raises(AuditError, match="no record has the hash"):
        verify(str(log), holds=kept)


def test_a_log_goes_on_where_it_ended_and_processes_share_it(log: Path) -> None:
    first, second = AuditLog(str(log), CAP), AuditLog(str(log), CAP)
    for number in range(20):
        (first, second)[number % 2].append("call", {"run": "x"})
    first.close()
    second.close()
    assert verify(str(log)).records == 25


def test_many_processes_at_once_leave_one_chain(log: Path) -> None:
    program = (
        "import sys; from llmspell_supervisor._audit import AuditLog\n"
        f"log = AuditLog(sys.argv[1], {CAP})\n"
        "for n in range(200): log.append('call', {'run': 'x'})"
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(log)]) for _ in range(3)]
    assert [p.wait() for p in started] == [0, 0, 0]
    assert verify(str(log)).records == 605


# --- what cannot be recorded is not done ----------------------------------------------------------


def refused(path: str, cap: int = CAP) -> str:
    with pytest.raises(AuditError) as caught:
        AuditLog(path, cap).append("begin", {"run": "x"})
    return caught.value.message


def test_what_is_no_log_is_refused(tmp_path: Path, log: Path) -> None:
    pipe, link, text = tmp_path / "pipe", tmp_path / "link", tmp_path / "text"
    os.mkfifo(pipe)
    link.symlink_to(log)
    text.write_text("a letter to my mother\n")
    torn = tmp_path / "torn"
    torn.write_bytes(log.read_bytes()[:-10])
    assert "it is not a file" in refused(str(pipe))
    assert "it is not a file" in refused("/dev/full")
    assert "symbolic links" in refused(str(link))
    assert "no record" in refused(str(text))
    assert text.read_text() == "a letter to my mother\n"
    assert "it has no end" in refused(str(torn))
    assert "No such file" in refused(str(tmp_path / "nowhere" / "log"))
    assert "Is a directory" in refused(str(tmp_path))
    assert "it is full" in refused(str(log), 100)


def test_a_log_that_somebody_keeps_locked_is_refused_and_not_waited_for(log: Path) -> None:
    import fcntl

    with log.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "keeps it locked" in refused(str(log))


def test_half_a_record_is_taken_back(log: Path) -> None:
    before = log.read_bytes()
    program = (
        "import resource, sys; from llmspell_supervisor._audit import AuditLog\n"
        f"log = AuditLog(sys.argv[1], {CAP})\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 20},) * 2)\n"
        "log.append('call', {'run': 'x'})"
    )
    done = subprocess.run([sys.executable, "-c", program, str(log)], capture_output=True, text=True)
    assert "no space left" in done.stderr
    assert log.read_bytes() == before


def test_a_run_that_cannot_be_recorded_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(SupervisorError, match="cannot be written"):
        run(tmp_path / "nowhere" / "log", "return 1")


def with_cap(path: Path, cap: int, source: str) -> tuple[RunReport, Ledger]:
    bridge = Ledger()

    async def once() -> RunReport:
        config = Config(audit=AuditSettings(path=str(path), max_size=cap))
        async with Supervisor(config) as supervisor:
            supervisor.bridges.add(bridge)
            spell = Spell.from_text(source, "lua", "a.lua")
            return await supervisor.run(spell, policy=Policy(allow_bridges=("ledger",)))

    return asyncio.run(once()), bridge


def test_a_log_that_fills_up_ends_the_run_before_the_answer_is_sent(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    source = 'for n = 1, 100 do ledger.send("x") console.log(n) end'
    report, bridge = with_cap(log, 2000, source)
    assert (report.verdict, report.value) == ("supervisor_error", None)
    assert report.problem is not None
    assert "it is full" in report.problem.message
    assert "[audit]" in report.problem.hint
    recorded = sum(r["type"] == "call" for r in records(log))
    assert [entry.text for entry in report.logs] == [str(n + 1) for n in range(recorded)]
    assert bridge.effects == recorded + 1
    assert verify(str(log)).open_runs == 1


def test_a_run_of_which_a_record_is_missing_has_no_end(log: Path) -> None:
    size = log.stat().st_size
    audit = AuditLog(str(log), size + 1500)
    trail = audit.begin(2, Spell.from_text("return 1", "lua", "b.lua"))
    with pytest.raises(AuditError, match="it is full"):
        trail.call(call(1, detail={f"note{n}": "x" * 256 for n in range(16)}))
    with pytest.raises(AuditError, match="it is full"):
        trail.broke("ok")
    audit.close()
    assert verify(str(log)).open_runs == 1


def test_a_run_that_a_callback_of_the_embedder_ends_has_an_end(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"

    def refuse(record: CallRecord) -> None:
        raise RuntimeError(record.method)

    async def once() -> None:
        async with Supervisor(audit=str(log), on_call=refuse) as supervisor:
            supervisor.bridges.add(Ledger())
            spell = Spell.from_text("ledger.send('x')", "lua", "a.lua")
            await supervisor.run(spell, policy=Policy(allow_bridges=("ledger",)))

    with pytest.raises(RuntimeError, match=r"ledger\.send"):
        asyncio.run(once())
    assert [r.get("verdict") for r in records(log)] == [None, None, "supervisor_error"]


def test_a_run_whose_end_cannot_be_recorded_is_no_success(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    with_cap(log, 10_000, "return 1")
    begin = len(log.read_text().splitlines()[0]) + 1
    log.unlink()
    report, _ = with_cap(log, begin + 50, "return 1")
    assert (report.verdict, report.value) == ("supervisor_error", None)


def test_a_flag_does_not_lead_away_from_the_log_of_the_config(tmp_path: Path) -> None:
    config = Config(audit=AuditSettings(path=str(tmp_path / "mine")))

    async def once() -> None:
        async with Supervisor(config, audit=str(tmp_path / "other")):
            pass

    with pytest.raises(PolicyError, match="has a log already"):
        asyncio.run(once())


def test_the_config_names_a_log_beside_itself(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[audit]\npath = "audit.jsonl"\nmax_size = "2M"\n')
    settings = Config.load(str(path)).audit
    assert settings == AuditSettings(path=str(tmp_path / "audit.jsonl"), max_size=2 << 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("audit = 3", "is not a table"),
        ("[audit]", "the path of a file is due"),
        ('[audit]\npath = "~/log"', "not expanded"),
        ('[audit]\npath = "a"\nmax_size = "much"', "max_size"),
        ('[audit]\npath = "a"\nmax_size = 0', "a size is due"),
        ('[audit]\npath = "a"\nmaxsize = 3', "did you mean 'max_size'?"),
    ],
)
def test_wrong_settings_of_the_log_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(SupervisorError, match=message.replace("?", r"\?")):
        Config.load(str(path))
