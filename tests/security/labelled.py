"""Hostile runs whose verdict is known beforehand: the labelled set, in both languages.

Most come from the suite: every peer and every script that can end in one way only. The rest are
written here: ends that take a bridge, and tricks by which one end would pass for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from msgspec import Struct

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, method
from llmspell_harness._attack import BOTH, Peer
from llmspell_harness._scripts import Script
from llmspell_harness._suite import declared
from llmspell_supervisor import Verdict

_MIB: Final = 1 << 20
_BUSY: Final[dict[str, Any]] = {"cpu": 0.2, "timeout": 20.0}
_SOON: Final[dict[str, Any]] = {"timeout": 0.3}
_LITTLE: Final[dict[str, Any]] = {"memory": 64 * _MIB, "timeout": 20.0}
_QUIET: Final[dict[str, Any]] = {"max_output": 5000}
_FEW: Final[dict[str, Any]] = {"max_calls": 3}
_POOR: Final[dict[str, Any]] = {"max_tokens": 100, "max_cost": 0.01}
_NONE: Final[dict[str, Any]] = {}


class Run(Struct, frozen=True):
    """A run and its label."""

    label: Verdict
    name: str
    engine: str
    source: str
    """A spell, or the name of an attack of the suite."""
    policy: dict[str, Any]


class Bait(Bridge):
    """What the spells of the set may call, so that a run can end through a bridge."""

    name: ClassVar[str] = "bait"

    def __init__(self) -> None:
        super().__init__(BridgeConfig())
        self.arrived = asyncio.Semaphore(0)
        """Released by each run that has called `here`."""

    @method
    async def say(self, ctx: CallContext, value: Any) -> Any:
        """The same value."""
        return value

    @method
    async def here(self, ctx: CallContext) -> None:
        """Tell that the run has come so far."""
        self.arrived.release()

    @method
    async def hang(self, ctx: CallContext) -> None:
        """No answer, ever."""
        await asyncio.Event().wait()

    @method
    async def deny(self, ctx: CallContext) -> None:
        """What a bridge says of that which the policy does not grant."""
        raise BridgeError("Policy", "this is not granted")

    @method
    async def crash(self, ctx: CallContext, text: str) -> None:
        """A bug of the bridge."""
        raise RuntimeError(text)

    @method
    async def spend(self, ctx: CallContext, tokens: int) -> None:
        """Reserve tokens and use half of them, as a call to a model does."""
        held = ctx.budget.reserve(tokens=tokens)
        held.settle(prompt_tokens=tokens // 2)

    @method
    async def pay(self, ctx: CallContext, cents: float) -> None:
        """Reserve money and spend it."""
        held = ctx.budget.reserve(cost=cents / 100)
        held.settle(cost=cents / 100)

    @method
    async def overspend(self, ctx: CallContext, tokens: int) -> None:
        """Use more than was reserved, as a provider may bill it."""
        ctx.budget.reserve().settle(completion_tokens=tokens)


_SPELLS: Final[tuple[tuple[Verdict, str, str, dict[str, Any]], ...]] = (
    # --- limits of the kernel, and what hides from them ---
    ("cpu_limit", "while true do end", "while (true);", _BUSY),
    (
        "cpu_limit",
        "while true do pcall(function() while true do end end) end",
        "for (;;) try { for (;;); } finally { continue; }",
        _BUSY,
    ),
    (
        "cpu_limit",
        "coroutine.wrap(function() while true do end end)()",
        "(function* () { for (;;); })().next()",
        _BUSY,
    ),
    (
        "cpu_limit",
        "bait.say(1) local n = 0 while true do n = n + 1 end",
        "await bait.say(1); let n = 0; for (;;) n++",
        _BUSY,
    ),
    (
        "cpu_limit",
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x",
        "return {get x() { for (;;); }}",
        _BUSY,
    ),
    ("wall_limit", "util.sleep(60000)", "await util.sleep(60000)", _SOON),
    ("wall_limit", "bait.hang()", "await bait.hang()", _SOON),
    (
        "wall_limit",
        "while true do pcall(util.sleep, 60000) end",
        "for (;;) try { await util.sleep(60000); } catch {}",
        _SOON,
    ),
    (
        "wall_limit",
        "while true do pcall(bait.hang) end",
        "await Promise.all([bait.hang(), bait.hang()])",
        _SOON,
    ),
    ("wall_limit", "while true do util.sleep(1) end", "for (;;) await util.sleep(1)", _SOON),
    (
        "memory_limit",
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "const t = []; for (;;) t.push(new Uint8Array(100000).fill(1))",
        _LITTLE,
    ),
    (
        "memory_limit",
        "local t = {} while true do t[#t + 1] = {#t} end",
        "const t = []; for (;;) t.push({a: t.length})",
        _LITTLE,
    ),
    (
        "memory_limit",
        "local s = 'x' while true do s = s .. s end",
        "const t = []; for (;;) t.push(new Array(1000).fill(t.length + 0.5))",
        _LITTLE,
    ),
    # --- limits that the supervisor counts ---
    (
        "output_limit",
        "while true do console.log('x') end",
        "for (;;) console.log('x')",
        _QUIET,
    ),
    (
        "output_limit",
        "while true do pcall(console.error, ('x'):rep(100)) end",
        "for (;;) try { console.error('x'.repeat(100)); } catch {}",
        _QUIET,
    ),
    ("output_limit", "return ('x'):rep(6000)", "return 'x'.repeat(6000)", _QUIET),
    (
        "output_limit",
        "console.log(('x'):rep(3000)) return ('x'):rep(3000)",
        "console.log('x'.repeat(3000)); return 'x'.repeat(3000)",
        _QUIET,
    ),
    (
        "output_limit",
        "local t = {} for i = 1, 1000 do t[i] = {i, i, i, i} end return t",
        "return Array.from({length: 1000}, (_, i) => [i, i, i, i])",
        _QUIET,
    ),
    (
        "call_limit",
        "while true do bait.say(1) end",
        "for (;;) await bait.say(1)",
        _FEW,
    ),
    (
        "call_limit",
        "while true do pcall(bait.say, 1) end",
        "for (;;) try { await bait.say(1); } catch {}",
        _FEW,
    ),
    (
        "call_limit",
        "while true do pcall(bait.deny) end",
        "for (;;) try { await bait.deny(); } catch {}",
        _FEW,
    ),
    (
        "call_limit",
        "while true do pcall(bait.say) end",
        "await Promise.allSettled([1, 2, 3, 4, 5].map((n) => bait.say(n)))",
        _FEW,
    ),
    ("call_limit", "bait.say(1)", "await bait.say(1)", {"max_calls": 0}),
    ("cost_limit", "bait.spend(101)", "await bait.spend(101)", _POOR),
    (
        "cost_limit",
        "while true do bait.spend(40) end",
        "for (;;) await bait.spend(40)",
        _POOR,
    ),
    (
        "cost_limit",
        "while true do pcall(bait.spend, 1000000000) end",
        "try { await bait.spend(1e9); } catch {} return 'went on'",
        _POOR,
    ),
    (
        "cost_limit",
        "while true do bait.pay(0.4) end",
        "for (;;) await bait.pay(0.4)",
        _POOR,
    ),
    ("cost_limit", "bait.pay(1.5)", "await bait.pay(1.5)", _POOR),
    ("cost_limit", "bait.overspend(101)", "await bait.overspend(101)", _POOR),
    (
        "cost_limit",
        "bait.spend(1)",
        "await Promise.all([bait.spend(1), bait.hang()])",
        {"max_tokens": 0},
    ),
    # --- words of the host, and spells that would put words into its mouth ---
    ("policy_denied", "bait.deny()", "await bait.deny()", _NONE),
    (
        "policy_denied",
        "local ok, e = pcall(bait.deny) error(e)",
        "try { await bait.deny(); } catch (e) { throw e; }",
        _NONE,
    ),
    (
        "policy_denied",
        "bait.say(1) pcall(bait.crash, 'x') bait.deny()",
        "await bait.say(1); try { await bait.crash('x'); } catch {} await bait.deny()",
        _NONE,
    ),
    (
        "policy_denied",
        "local run = coroutine.wrap(function() bait.deny() end) run()",
        "await Promise.all([bait.say(1), bait.deny()])",
        _NONE,
    ),
    ("supervisor_error", "bait.crash('x')", "await bait.crash('x')", _NONE),
    (
        "supervisor_error",
        "bait.crash('the spell did not end within 1 s (limit: timeout)')",
        "await bait.crash('the spell did not end within 1 s (limit: timeout)')",
        _NONE,
    ),
    (
        "supervisor_error",
        "pcall(bait.deny) bait.crash('x')",
        "try { await bait.deny(); } catch {} await bait.crash('x')",
        _NONE,
    ),
    (
        "supervisor_error",
        "local ok, e = pcall(bait.crash, 'x') error(e)",
        "try { await bait.crash('x'); } catch (e) { throw e; }",
        _NONE,
    ),
    (
        "script_error",
        "error('the spell used more than 1 s of processor time (limit: cpu)')",
        "throw new Error('the spell used more than 1 s of processor time (limit: cpu)')",
        _NONE,
    ),
    ("script_error", "error({kind = 'Policy'})", "throw {kind: 'Policy'}", _NONE),
    (
        "script_error",
        "error({kind = 'Internal', message = 'bait.crash: the bridge failed'})",
        "throw Object.assign(new Error('the bridge failed'), {kind: 'Internal'})",
        _NONE,
    ),
    ("script_error", "error('out of memory')", "throw new Error('out of memory')", _NONE),
    ("script_error", "not a spell", "not a spell", _NONE),
    (
        "ok",
        "pcall(bait.deny) pcall(bait.crash, 'x') return 1",
        "for (const f of [bait.deny, bait.crash]) try { await f('x'); } catch {} return 1",
        _NONE,
    ),
    (
        "ok",
        "return {verdict = 'cpu_limit', problem = 'killed'}",
        "return {verdict: 'cpu_limit', problem: 'killed'}",
        _NONE,
    ),
)

_CANCELLED: Final = (
    ("bait.here() bait.hang()", "await bait.here(); await bait.hang()"),
    ("bait.here() util.sleep(60000)", "await bait.here(); await util.sleep(60000)"),
    ("bait.here() while true do end", "await bait.here(); for (;;);"),
    (
        "bait.here() while true do pcall(util.sleep, 1) end",
        "await bait.here(); for (;;) try { await util.sleep(1); } catch {}",
    ),
    (
        "local ok, e = pcall(bait.deny) bait.here() pcall(bait.hang) error(e)",
        "try { await bait.deny(); } catch (e) { await bait.here(); await bait.hang(); throw e; }",
    ),
)
"""Spells that go on after they have called `here`; somebody then ends every run."""


def spells() -> Iterator[Run]:
    """Those that are written here and end by themselves."""
    for number, (label, lua, javascript, policy) in enumerate(_SPELLS):
        granted = {"allow_bridges": ("bait",), **policy}
        for engine, source in zip(BOTH, (lua, javascript), strict=True):
            yield Run(label, f"{label} {number}", engine, source, granted)


def attacks() -> Iterator[Run]:
    """Peers and scripts of the suite that can end in one way only."""
    for attack, engine in declared():
        if isinstance(attack, Peer) and not attack.early and len(attack.verdicts) == 1:
            (label,) = attack.verdicts
            yield Run(label, attack.key, engine, attack.key, attack.policy)  # type: ignore[arg-type]
        if isinstance(attack, Script) and len(attack.expect) == 1:
            (label,) = attack.expect
            yield Run(label, attack.key, engine, attack.source, attack.policy)  # type: ignore[arg-type]


def doomed() -> Iterator[Run]:
    """Spells that somebody cancels once each has called `here`."""
    for number, sources in enumerate(_CANCELLED):
        for engine, source in zip(BOTH, sources, strict=True):
            policy = {"allow_bridges": ("bait",)}
            yield Run("cancelled", f"cancelled {number}", engine, source, policy)
