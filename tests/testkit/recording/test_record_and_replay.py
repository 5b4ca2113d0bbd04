"""Runs that are recorded and replayed: equal byte for byte, and different where the spell is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import msgspec
import pytest

from llmspell_bridges import (
    Bridge,
    BridgeConfig,
    BridgeError,
    BridgeObject,
    CallContext,
    End,
    ScriptFunction,
    method,
)
from llmspell_supervisor import Policy, RunReport, Spell, UsageError
from llmspell_testkit.recording._difference import Difference
from llmspell_testkit.recording._file import Recording, from_json, load, made, save, to_json
from llmspell_testkit.recording._record import record
from llmspell_testkit.recording._replay import replay
from llmspell_testkit.spells._overlay import StagedSupervisor

LANGUAGES: Final = ("lua", "javascript")
T = TypeVar("T")


class Counter(BridgeObject):
    """An object that counts."""

    name: ClassVar[str] = "counter"

    def __init__(self) -> None:
        self._count = 0

    @method
    async def up(self, ctx: CallContext, by: int = 1) -> int:
        """Count up."""
        self._count += by
        return self._count


class Outside(Bridge):
    """A world that is never the same twice."""

    name: ClassVar[str] = "outside"
    objects: ClassVar[tuple[type[BridgeObject], ...]] = (Counter,)
    calls = 0

    @method
    async def changing(self, ctx: CallContext, text: str = "", delay: float = 0) -> Any:
        """Another answer each time."""
        Outside.calls += 1
        await asyncio.sleep(delay)
        return {"text": text, "count": Outside.calls, "octets": b"\xff\x00", "float": 1.0}

    @method
    async def failing(self, ctx: CallContext) -> None:
        """Another error each time."""
        Outside.calls += 1
        raise BridgeError("RateLimit", f"failure {Outside.calls}", retryable=True, retry_after=2.5)

    @method
    async def leaking(self, ctx: CallContext) -> str:
        """What no bridge should say."""
        return os.environ["SOME_API_KEY"]

    @method
    async def counting(self, ctx: CallContext, most: int) -> AsyncIterator[int | End[str]]:
        """Numbers, then a word."""
        for _ in range(most):
            Outside.calls += 1
            yield Outside.calls
        yield End(f"done at {Outside.calls}")

    @method
    async def asking(self, ctx: CallContext, function: ScriptFunction) -> Any:
        """Calls a function of the script twice."""
        Outside.calls += 1
        first = await ctx.invoke(function, Outside.calls)
        return [first, await ctx.invoke(function, 10)]

    @method
    async def counter(self, ctx: CallContext) -> Counter:
        """A counter."""
        return Counter()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def _opened(runner: asyncio.Runner) -> Iterator[StagedSupervisor]:
    supervisor = StagedSupervisor()
    runner.run(supervisor.__aenter__())
    supervisor.bridges.add(Outside(BridgeConfig()))
    yield supervisor
    runner.run(supervisor.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def supervisor(runner: asyncio.Runner) -> Iterator[StagedSupervisor]:
    yield from _opened(runner)


@pytest.fixture(scope="module")
def another(runner: asyncio.Runner) -> Iterator[StagedSupervisor]:
    """Its zygotes have other addresses and other seeds of hashes: replays are run here."""
    yield from _opened(runner)


@pytest.fixture
def recorded(
    runner: asyncio.Runner, supervisor: StagedSupervisor
) -> Callable[..., tuple[RunReport, Recording]]:
    def run(
        language: str, source: str, policy: Policy | None = None, **params: Any
    ) -> tuple[RunReport, Recording]:
        policy = policy or Policy(allow_bridges=("outside",))
        spell = Spell("spell", source, language)
        return runner.run(record(supervisor, spell, params=params, policy=policy))

    return run


@pytest.fixture
def replayed(
    runner: asyncio.Runner, another: StagedSupervisor, tmp_path: Path
) -> Callable[..., tuple[RunReport | None, Difference | None]]:
    """Through a file, as people do it."""

    def run(
        recording: Recording, source: str | None = None
    ) -> tuple[RunReport | None, Difference | None]:
        path = str(tmp_path / "run.json")
        save(path, recording)
        spell = None if source is None else Spell("spell", source, recording.spell.engine)
        return runner.run(replay(another, load(path), spell))

    return run


RUNS: Final[dict[str, dict[str, str]]] = {
    "chances, clock and order of keys": {
        "lua": """
            local t = {}
            for i = 1, 50 do t["k" .. i] = i end
            local keys = {}
            for k in pairs(t) do keys[#keys + 1] = k end
            for k in next, t do keys[#keys + 1] = k end
            math.randomseed()
            console.log(tostring(t), tostring(print), util.uuid(), os.clock())
            util.sleep(5)
            return {keys, math.random(), math.random(1 << 40), os.time(), os.date(), util.time(),
                next(t), util.uuid()}
        """,
        "javascript": """
            const order = [];
            const say = (text) => { order.push(text, Date.now()); };
            setTimeout(say, 30, "30");
            setTimeout(say, 10, "10");
            const never = setTimeout(say, 60000, "never");
            clearTimeout(never);
            let ticks = 0;
            const ticking = setInterval(() => {
                say("tick");
                if (++ticks === 3) clearInterval(ticking);
            }, 7);
            await util.sleep(5);
            await util.sleep(50);
            const plain = new Date(5).getTime();
            class Later extends Date {}
            return [order, Math.random(), Math.random(), util.uuid(), util.uuid(), util.time(), plain,
                new Date().toISOString(), Date(), new Later() instanceof Later, Date.UTC(2020),
                new Intl.DateTimeFormat("en", {timeStyle: "long"}).format()];
        """,
    },
    "answers, errors and bytes": {
        "lua": """
            local first = outside.changing("a")
            local ok, e = pcall(outside.failing)
            console.write("x")
            return {first, e.kind, e.message, e.retryable, e.retry_after, outside.changing(params.word)}
        """,
        "javascript": """
            const first = await outside.changing("a");
            console.write("x");
            try { await outside.failing(); }
            catch (e) {
                return [first, e.kind, e.message, e.retryable, e.retry_after,
                    await outside.changing(params.word)];
            }
        """,
    },
    "streams, to their end and left": {
        "lua": """
            local seen = {}
            local whole = outside.counting(40)
            for n in whole do seen[#seen + 1] = n end
            for n in outside.counting(100000) do
                seen[#seen + 1] = n
                if #seen == 60 then break end
            end
            return {seen, whole.result}
        """,
        "javascript": """
            const seen = [];
            const whole = outside.counting(40);
            for await (const n of whole) seen.push(n);
            for await (const n of outside.counting(100000)) {
                seen.push(n);
                if (seen.length === 60) break;
            }
            return [seen, await whole.result];
        """,
    },
    "functions and objects": {
        "lua": """
            local counter = outside.counter()
            local got = outside.asking(function(n) return counter:up(n) end)
            return {got, counter:up(), (pcall(outside.asking, function(n) error("no " .. n) end))}
        """,
        "javascript": """
            const counter = await outside.counter();
            const got = await outside.asking(async (n) => await counter.up(n));
            let failed = "";
            try { await outside.asking((n) => { throw new Error("no " + n); }); }
            catch (e) { failed = e.message; }
            return [got, await counter.up(), failed];
        """,
    },
    "many at once": {
        "lua": "return outside.changing('alone')",
        "javascript": """
            const order = [];
            const ask = async (text, delay) => {
                const answer = await outside.changing(text, delay);
                order.push(answer.text, answer.count);
                if (text.length < 3) await ask(text + "'", 0);
            };
            await Promise.all([
                ask("a", 0.06), ask("b", 0.02), ask("c", 0), util.sleep(30).then(() => order.push("t")),
            ]);
            return [order, await Promise.race([outside.changing("slow", 0.2), util.sleep(10)]) ?? null];
        """,
    },
    "an error that nobody caught": {
        "lua": "local x = outside.changing('a')\nerror('no luck ' .. x.count)",
        "javascript": "const x = await outside.changing('a');\nthrow new Error('no luck ' + x.count);",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", RUNS)
def test_a_replay_is_equal_byte_for_byte(
    name: str,
    language: str,
    recorded: Callable[..., tuple[RunReport, Recording]],
    replayed: Callable[..., tuple[RunReport | None, Difference | None]],
) -> None:
    first, recording = recorded(language, RUNS[name][language], word="w")
    calls = Outside.calls
    again, difference = replayed(recording)
    assert difference is None
    assert again is not None
    assert Outside.calls == calls  # nobody was asked
    assert (first.verdict == "ok") is (name != "an error that nobody caught")
    assert _shown(again) == _shown(first)
    once_more, _ = replayed(recording)
    assert once_more is not None
    assert _shown(once_more) == _shown(first)


def _shown(report: RunReport) -> bytes:
    logs = [(entry.level, entry.text) for entry in report.logs]
    calls = {k: v for k, v in report.usage.calls.items() if k != "recorded_clock.wait"}
    return msgspec.msgpack.encode(
        [report.verdict, report.value, logs, report.problem, calls], order="sorted"
    )


ASK: Final = {
    "lua": """
        local a = outside.changing("first")
        local b = outside.changing("second")
        console.log("done")
        return 1
    """,
    "javascript": """
        const a = await outside.changing("first");
        const b = await outside.changing("second");
        console.log("done");
        return 1;
    """,
}

CHANGES: Final = {
    "another argument": (
        '"second"',
        '"third"',
        "call 2, outside.changing: argument 1 differs",
        "second",
        "third",
    ),
    "another method": (
        'outside.changing("second")',
        "outside.counter()",
        "call 2, outside.counter: another method is called",
        "outside.changing",
        "outside.counter",
    ),
    "a call less": (
        'outside.changing("second")',
        "1",
        "call 2, outside.changing: the spell does not make it",
        {"outside.changing": ["second"]},
        None,
    ),
    "a call more": (
        "return 1",
        'return AWAIT outside.changing("third")',
        "call 3, outside.changing: the recording has no more calls",
        None,
        {"outside.changing": ["third"]},
    ),
    "another value": ("return 1", "return 2", "the result differs: value", 1, 2),
    "another line of output": (
        '"done"',
        '"over"',
        "the result differs: logs[0][1]",
        "done",
        "over",
    ),
    "an error": (
        "return 1",
        "FAIL",
        "the result differs: verdict",
        "ok",
        "script_error",
    ),
}
"""What is replaced in the spell, what is said of it, and both values."""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CHANGES)
def test_the_first_difference_of_a_changed_spell_is_named(
    name: str,
    language: str,
    recorded: Callable[..., tuple[RunReport, Recording]],
    replayed: Callable[..., tuple[RunReport | None, Difference | None]],
) -> None:
    old, new, what, before, now = CHANGES[name]
    source = ASK[language]
    _, recording = recorded(language, source)
    waits, fails = ("", "error('x')") if language == "lua" else ("await", "throw 1")
    changed = source.replace(old, new).replace("AWAIT", waits).replace("FAIL", fails)
    assert changed != source
    _, difference = replayed(recording, changed)
    assert difference is not None
    assert (difference.what, difference.recorded, difference.now) == (what, before, now)


def test_a_function_that_gives_something_else_is_a_difference(
    recorded: Callable[..., tuple[RunReport, Recording]],
    replayed: Callable[..., tuple[RunReport | None, Difference | None]],
) -> None:
    for language, source in (
        ("lua", "return outside.asking(function(n) return 'x' end)"),
        ("javascript", "return await outside.asking((n) => 'x');"),
    ):
        _, recording = recorded(language, source)
        _, difference = replayed(recording, source.replace("'x'", "'y'"))
        assert difference is not None
        assert difference.what == "outside.asking: what function 1 of the script gives differs"
        assert (difference.recorded, difference.now) == ("x", "y")


def test_libraries_are_recorded_and_have_the_clock_of_their_spell(
    recorded: Callable[..., tuple[RunReport, Recording]],
    replayed: Callable[..., tuple[RunReport | None, Difference | None]],
    tmp_path: Path,
) -> None:
    (tmp_path / "times.lua").write_text("util.sleep(5) return {util.uuid(), util.time()}")
    (tmp_path / "times.js").write_text(
        "const util2 = util; { const util = 1; }\n"
        "await util2.sleep(5);\nreturn [util.uuid(), util.time(), Math.random()];"
    )
    policy = Policy(libraries=(str(tmp_path),))
    for language, source in (
        ("lua", "return require('times')"),
        ("javascript", "return await require('times');"),
    ):
        first, recording = recorded(language, source, policy)
        assert first.ok, first.problem
        assert [call.method for call in made(recording)] == ["library.require"]
        assert "util.uuid()" in made(recording)[0].value
        assert "__kit" not in made(recording)[0].value
        again, difference = replayed(recording)
        assert difference is None
        assert again is not None
        assert _shown(again) == _shown(first)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_secret_is_kept_and_the_replay_is_equal_all_the_same(
    language: str,
    recorded: Callable[..., tuple[RunReport, Recording]],
    replayed: Callable[..., tuple[RunReport | None, Difference | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_LOGIN", "hunter-two-2")
    monkeypatch.setenv("SOME_API_KEY", "sk-of-the-operator")
    source = {
        "lua": """
            console.log("I know " .. env.SHOP_LOGIN)
            return {outside.changing("as " .. env.SHOP_LOGIN), params.password,
                outside.changing("for " .. outside.leaking()), {api_key = "x" .. env.SHOP_LOGIN}}
        """,
        "javascript": """
            console.log("I know " + env.SHOP_LOGIN);
            return [await outside.changing("as " + env.SHOP_LOGIN), params.password,
                await outside.changing("for " + await outside.leaking()), {api_key: "x" + env.SHOP_LOGIN}];
        """,
    }[language]
    policy = Policy(allow_bridges=("outside",), allow_env=("SHOP_LOGIN",))
    report, recording = recorded(language, source, policy, password="swordfish")  # noqa: S106
    assert report.ok
    kept = msgspec.json.encode(recording).decode()
    assert "hunter-two-2" not in kept
    assert "swordfish" not in kept
    assert "sk-of-the-operator" not in kept
    assert "[redacted SHOP_LOGIN]" in kept
    again, difference = replayed(recording)
    assert difference is None
    assert again is not None
    assert again.logs[0].text == "I know [redacted SHOP_LOGIN]"


VALUES: Final[list[Any]] = [
    None, True, 0, -(2**63), 2**63 - 1, 1.0, 0.1, "", "é\u202e", b"", b"\xff\x00", [], {},
    {"@bytes": "no bytes"}, {"@map": {"a": b"x"}}, {"@function": 1}, {"@other": [b"y"]},
    {"a": {"@bytes": 1}, "b": [{}]},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_from_json_as_it_was(value: Any) -> None:
    text = msgspec.json.encode(to_json(value))
    back = from_json(msgspec.json.decode(text))
    assert back == value
    assert type(back) is type(value)


def test_a_file_that_is_no_recording_of_ours_is_refused_with_the_reason(
    tmp_path: Path, recorded: Callable[..., tuple[RunReport, Recording]]
) -> None:
    _, recording = recorded("lua", "return outside.changing('a')")
    path = tmp_path / "run.json"
    save(str(path), recording)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [call.method for call in made(load(str(path)))] == ["outside.changing"]
    good = path.read_text()
    for text, reason in (
        ("", "is no recording"),
        ("[]", "is no recording"),
        ('{"format": "x", "version": 1}', "is no recording"),
        (good.replace('"version": 1', '"version": 2'), "has version 2 of recordings; known is 1"),
        (good.replace('"seed"', '"sed"'), "sed"),
        (good.replace('"limits": {}', '"limits": {"cpu": -1}'), "cpu"),
        (good.replace('"@bytes": "/wA="', '"@bytes": "/w"'), "padding"),
    ):
        assert text != good
        path.write_text(text)
        with pytest.raises(UsageError, match=reason):
            load(str(path))
    with pytest.raises(UsageError, match="no such file"):
        load(str(tmp_path / "nothing.json"))
