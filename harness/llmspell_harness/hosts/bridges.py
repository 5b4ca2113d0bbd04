"""What a spell can do through the bridges that it may call, and leave behind for its host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from llmspell_supervisor import (
    Config,
    IsolationError,
    Policy,
    PolicyError,
    RunReport,
    Spell,
    Supervisor,
    SupervisorError,
    resolve,
)
from llmspell_supervisor._policy import LIMITS
from llmspell_supervisor._pool import NO_POOL

from .._attack import BOTH, Succeeded, host
from .._model import TOKENS, Model
from .._stage import Stage

_KEY: Final = "TEST_API_KEY"
_MIB: Final = 1 << 20


async def _run(
    supervisor: Supervisor, engine: str, lua: str, javascript: str, **policy: Any
) -> RunReport:
    source = lua if engine == "lua" else javascript
    limits = {"timeout": 20.0, **policy}
    return await supervisor.run(Spell.from_text(source, engine, "spell"), policy=Policy(**limits))


@host("B18", "a provider's key, by every way to it", engines=BOTH)
async def key(stage: Stage) -> str:
    token = f"sk-{secrets.token_hex(16)}"
    os.environ[_KEY] = token
    found = []
    try:
        for echo, status in ((True, 200), (True, 401), (True, 400)):
            async with Model(echo=echo, status=status) as model:
                settings = {**model.settings}
                settings["providers"] = {
                    "test": {**settings["providers"]["test"], "api_key_env": _KEY}
                }
                async with Supervisor(Config(bridges={"llm": settings})) as supervisor:
                    report = await _run(supervisor, stage.engine, _FISH_LUA, _FISH_JS)
                if not model.requests:
                    raise ValueError(f"the model was not asked: {report.problem}")
                found.append(repr(report))
    finally:
        del os.environ[_KEY]
    for text in found:
        if token in text:
            raise Succeeded(f"the key is in the report: {text[:200]}")
    return f"not in {len(found)} reports of a provider that echoes it"


_FISH_LUA: Final = """
local found = {}
local function keep(what) found[#found + 1] = tostring(what) end
keep(env and env.TEST_API_KEY)
local ok, answer = pcall(llm.complete, {prompt = "x", retries = {attempts = 1}})
keep(ok and answer.text or answer.message)
for _, name in ipairs({"models", "providers"}) do
  if llm[name] then local ok, got = pcall(llm[name]) keep(ok and json.encode(got) or got.message) end
end
console.log(table.concat(found, " "))
return found
"""
_FISH_JS: Final = """
const found = [];
const keep = (what) => found.push(String(what));
keep(typeof env === "undefined" ? null : env.TEST_API_KEY);
try { keep((await llm.complete({prompt: "x", retries: {attempts: 1}})).text); }
catch (e) { keep(e.message + JSON.stringify(e) + e.stack); }
for (const name of ["models", "providers"]) {
  if (llm[name]) { try { keep(JSON.stringify(await llm[name]())); } catch (e) { keep(e.message); } }
}
console.log(found.join(" "));
return found;
"""


@host("B23", "a loop of calls, and calls for a billion tokens", engines=BOTH)
async def unbounded_cost(stage: Stage) -> str:
    budget = 1000
    async with Model() as model, Supervisor(Config(bridges={"llm": model.settings})) as supervisor:
        loop = await _run(
            supervisor,
            stage.engine,
            "while true do llm.complete({prompt = 'x', max_tokens = 50}) end",
            "while (true) await llm.complete({prompt: 'x', max_tokens: 50});",
            max_tokens=budget,
            max_calls=100_000,
        )
        asked = len(model.requests)
        huge = await _run(
            supervisor,
            stage.engine,
            "return llm.complete({prompt = 'x', max_tokens = 1000000000}).text",
            "return (await llm.complete({prompt: 'x', max_tokens: 1e9})).text",
            max_tokens=budget,
        )
        used = loop.usage.prompt_tokens + loop.usage.completion_tokens
        if loop.verdict != "cost_limit" or huge.verdict != "cost_limit":
            raise Succeeded(f"the verdicts are {loop.verdict} and {huge.verdict}")
        if used > budget or len(model.requests) != asked:
            raise Succeeded(f"{used} of {budget} tokens, {len(model.requests) - asked} more calls")
    return f"{used} of {budget} tokens in {asked} calls; the call for a billion was never made"


@host("B24", "a hundred calls that check the budget together", engines=("javascript",))
async def budget_race(stage: Stage) -> str:
    budget = 600
    async with Model() as model, Supervisor(Config(bridges={"llm": model.settings})) as supervisor:
        report = await _run(
            supervisor,
            stage.engine,
            "",
            "const ask = () => llm.complete({prompt: 'x', max_tokens: 50}).catch(() => 0);"
            "while (true) await Promise.all(Array.from({length: 100}, ask));",
            max_tokens=budget,
            max_calls=1000,
            max_concurrent=64,
        )
        used = report.usage.prompt_tokens + report.usage.completion_tokens
        if report.verdict != "cost_limit" or max(used, len(model.requests) * TOKENS) > budget:
            raise Succeeded(f"{report.verdict}, {used} of {budget} tokens")
    return f"{used} of {budget} tokens in {len(model.requests)} calls, {report.verdict}"


@host("B27", "effects of a run that has its verdict", engines=BOTH)
async def effects_after_the_verdict(stage: Stage) -> str:
    rounds = 12
    # It refuses at once, so that every call is in the middle of a retry when its run ends.
    async with (
        Model(status=503) as model,
        Supervisor(Config(bridges={"llm": model.settings})) as supervisor,
    ):
        for round_ in range(rounds):
            model.asked.clear()
            running = asyncio.create_task(
                _run(
                    supervisor,
                    stage.engine,
                    "return llm.complete({prompt = 'x', retries = {attempts = 5}}).text",
                    "return (await llm.complete({prompt: 'x', retries: {attempts: 5}})).text",
                )
            )
            await asyncio.wait([asyncio.create_task(model.asked.wait()), running],
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            await asyncio.sleep(0.02 * round_ / rounds)  # another moment of the call each time
            supervisor.cancel_all()
            report = await running
            if report.verdict != "cancelled":
                raise ValueError(f"the run was not cancelled: {report}")
            at_verdict = len(model.requests)
            await asyncio.sleep(0.05)
            if len(model.requests) != at_verdict:
                raise Succeeded(f"{len(model.requests) - at_verdict} requests after the verdict")
    return f"no request after any of {rounds} verdicts"


@host("B28", "waiting for a model for ever", engines=BOTH)
async def sleeping_in_a_call(stage: Stage) -> str:
    limit = 1.0
    async with Model() as model, Supervisor(Config(bridges={"llm": model.settings})) as supervisor:
        model.answering.clear()
        report = await _run(
            supervisor,
            stage.engine,
            "return llm.complete({prompt = 'x'}).text",
            "return (await llm.complete({prompt: 'x'})).text",
            timeout=limit,
        )
        if report.verdict != "wall_limit" or report.usage.wall > limit * 2:
            raise Succeeded(f"{report.verdict} after {report.usage.wall:.2f} s")
    return f"wall_limit, {(report.usage.wall - limit) * 1000:.0f} ms past its {limit:g} s"


@host("B32", "a result that its reader would act on", engines=BOTH)
async def poisoned_result(stage: Stage) -> str:
    async with Supervisor() as supervisor:
        report = await _run(
            supervisor,
            stage.engine,
            "local t = json.object() t.__proto__ = '=cmd()' t.__class__ = {9007199254740993}"
            " t['!!python/object'] = '\\27[2J<script>' return t",
            "return {['__proto__']: '=cmd()', __class__: [2 ** 53 - 1],"
            " '!!python/object': '\\x1b[2J<script>'}",
        )
    strange = [kind for kind in _types(report.value) if kind not in _PLAIN]
    if report.verdict != "ok" or strange:
        raise Succeeded(f"{report.verdict}, types {strange}")
    return "plain values of eight types; the command shows them escaped"


_PLAIN: Final = {"NoneType", "bool", "int", "float", "str", "bytes", "list", "dict"}


def _types(value: Any) -> set[str]:
    found = {type(value).__name__}
    if isinstance(value, dict):
        for name, item in value.items():
            found |= {type(name).__name__} | _types(item)
    if isinstance(value, list):
        for item in value:
            found |= _types(item)
    return found


@host("B33", "sixty spells that end in every way", engines=BOTH)
async def leaks(stage: Stage) -> str:
    ends = {
        "lua": ("return 1", "error('x')", "while true do end", "util.sleep(60000)", "return {{"),
        "javascript": ("return 1", "throw 1", "while (true);", "await util.sleep(6e4)", "return {"),
    }[stage.engine]
    with _own_folder():
        return await _end_in_every_way(stage, ends)


@contextlib.contextmanager
def _own_folder() -> Iterator[None]:
    """A temporary folder that nobody else writes to, so that what is left in it is ours."""
    with tempfile.TemporaryDirectory(prefix="llmspell-leaks-") as folder:
        usual, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        finally:
            tempfile.tempdir = usual


async def _end_in_every_way(stage: Stage, ends: tuple[str, ...]) -> str:
    async with Supervisor(pool=NO_POOL) as supervisor:
        await supervisor.run(Spell.from_text("return 1", stage.engine), policy=Policy())
        before = _held()
        for _ in range(4):
            runs = [
                supervisor.run(
                    Spell.from_text(source, stage.engine), policy=Policy(timeout=0.3, cpu=0.2)
                )
                for source in ends * 3
            ]
            await asyncio.gather(*runs)
        after = _held()
    if after != before:
        raise Succeeded(f"before {before}, after {after}")
    return ", ".join(f"{count} {what}" for what, count in after.items()) + ", as before"


def _held() -> dict[str, int]:
    """Descriptors, descendants and temporary files that are ours."""
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": _descendants(os.getpid()),
        "temporary files": len(os.listdir(tempfile.gettempdir())),
    }


def _descendants(pid: int) -> int:
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return len(below) + sum(_descendants(int(each)) for each in below)


_BOMBS: Final[dict[str, tuple[dict[str, Any], str, str, str]]] = {
    "memory": (
        {"memory": 64 * _MIB},
        "local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end",
        "const t = []; while (true) t.push(new Array(1000).fill(t.length + 0.5));",
        "memory_limit",
    ),
    "cpu": ({"cpu": 0.2}, "while true do end", "while (true);", "cpu_limit"),
    "timeout": ({"timeout": 0.3}, "util.sleep(9000)", "await util.sleep(9000)", "wall_limit"),
    "max_output": (
        {"max_output": 5000},
        "while true do console.log('line') end",
        "while (true) console.log('line')",
        "output_limit",
    ),
    "max_calls": (
        {"max_calls": 3},
        "for i = 1, 9 do llm.models() end",
        "for (let i = 0; i < 9; i++) await llm.models()",
        "call_limit",
    ),
    "max_request": (
        {"max_request": 1000},
        "llm.complete({prompt = string.rep('x', 5000)})",
        "await llm.complete({prompt: 'x'.repeat(5000)})",
        "script_error",
    ),
}
"""Limit to the policy, the spell in both languages, and the verdict."""
_BY_THE_MODEL: Final = {"max_tokens", "max_cost", "max_response", "request_timeout",
                        "max_concurrent"}  # fmt: skip
"""Limits of calls to a model, which B23, B24 and B28 and the tests of that bridge show."""


@host("B34", "a kernel that refuses one layer after the other", engines=("lua",))
async def missing_layer(stage: Stage) -> str:
    full = (await stage.run("return 1", "lua")).layers
    welcome = []
    for layer in full:
        refused = frozenset({f"!{layer}"})
        async with Stage(stage.canaries, skip=refused) as strict:
            try:
                report = await strict.run("return 1", "lua")
            except IsolationError as error:
                if layer not in str(error):
                    raise Succeeded(f"without {layer} it says: {error}") from None
                continue
        # Welcome where the host has it; runs do without, and say so.
        if report.verdict == "ok" and not report.layers[layer].startswith("off"):
            raise Succeeded(f"without {layer} it runs and says: {report.layers[layer]}")
        if report.verdict == "ok":
            welcome.append(layer)
        elif report.verdict != "supervisor_error" or layer not in str(report.problem):
            raise Succeeded(f"without {layer} the verdict is {report.verdict}")
    async with Stage(
        stage.canaries, skip=frozenset({"!landlock"}), isolation="degraded"
    ) as degraded:
        report = await degraded.run("return 1", "lua")
    if report.verdict != "ok" or not report.layers["landlock"].startswith("off"):
        raise Succeeded(f"degraded: {report.verdict}, {report.layers}")
    return f"refused for {len(full) - len(welcome)} of {len(full)} layers; without {', '.join(welcome)} it says so"


@host("B35", "each limit met by a live bomb", engines=BOTH)
async def every_limit(stage: Stage) -> str:
    unknown = LIMITS.keys() - _BOMBS.keys() - _BY_THE_MODEL
    if unknown:
        raise ValueError(f"limits without a bomb: {sorted(unknown)}")
    async with Supervisor() as supervisor:
        for name, (policy, lua, javascript, verdict) in _BOMBS.items():
            report = await _run(supervisor, stage.engine, lua, javascript, **policy)
            if report.verdict != verdict:
                raise Succeeded(f"{name}: the verdict is {report.verdict}")
    return f"{len(_BOMBS)} limits, {len(_BOMBS)} verdicts"


@host("B36", "policies that say other than they seem")
async def tricky_policies(_stage: Stage) -> str:
    with tempfile.TemporaryDirectory(prefix="llmspell-policy-") as folder:
        path = Path(folder) / "config.toml"
        for text in _TRICKS:
            path.write_text(text)
            try:
                resolved = resolve(Config.load(str(path)).layers())
            except SupervisorError:
                continue
            raise Succeeded(f"accepted: {text!r} as {resolved.policy}")
        path.write_text("[policy]\nallow_bridges = []\nallow_models = []\nallow_domain = []\n")
        policy = resolve(Config.load(str(path)).layers()).policy
        if policy.allow_bridges or policy.allow_models or policy.allow_domain:
            raise Succeeded("an empty list grants something")
    for bad in ({"cpu": float("nan")}, {"memory": True}, {"max_calls": -1}):
        try:
            Policy(**bad)
        except (ValueError, PolicyError):
            continue
        raise Succeeded(f"accepted: {bad}")
    return f"{len(_TRICKS)} files refused; an empty list grants nothing"


_TRICKS: Final = (
    "[policy]\nallow_brigdes = []\n",
    "[policy]\ndeny = ['llm']\n",
    "[polcy]\ncpu = 1\n",
    "[policy]\ncpu = -1\n",
    "[policy]\ncpu = 'inf'\n",
    "[policy]\ncpu = nan\n",
    "[policy]\ncpu = 1e99\n",
    "[policy]\nmemory = 0\n",
    "[policy]\nmemory = '1e99G'\n",
    "[policy]\nmax_calls = 1.5\n",
    "[policy]\nmax_calls = true\n",
    "[policy]\nallow_models = '*'\n",
    "[policy]\nallow_env = ['A=B']\n",
    "[policy]\nallow_domain = ['https://example.org/']\n",
    "[policy]\nisolation = 'none'\n",
    "[policy]\njit = 'no'\n",
    "policy = []\n",
    "[policy]\ncpu = 1\n[policy]\ncpu = 99\n",
    "!!python/object:os.system {}\n",
)
