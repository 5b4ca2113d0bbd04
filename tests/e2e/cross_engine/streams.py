"""Streams of a bridge, and calls at the same time."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Failed, caught, gives

CASES = (
    gives(
        "a stream from its beginning to its end",
        "local t = {} for n in echo.count(3) do t[#t + 1] = n end return t",
        "const t = []; for await (const n of echo.count(3)) t.push(n); return t",
        [1, 2, 3],
    ),
    gives(
        "a stream of nothing",
        "local t = {} for n in echo.count(0) do t[#t + 1] = n end return t",
        "const t = []; for await (const n of echo.count(0)) t.push(n); return t",
        [],
    ),
    gives(
        "a stream far longer than what may be under way",
        "local sum = 0 for n in echo.count(500) do sum = sum + n end return sum",
        "let sum = 0; for await (const n of echo.count(500)) sum += n; return sum",
        125250,
    ),
    gives(
        "the closing value of a stream",
        "local s = echo.count(2) for _ in s do end return s.result",
        "const s = echo.count(2); for await (const _ of s); return await s.result",
        "done",
    ),
    gives(
        "a stream without a closing value",
        "local s = echo.recite({1}) for _ in s do end return s.result == nil",
        "const s = echo.recite([1]); for await (const _ of s); return (await s.result) === null",
        True,
    ),
    gives(
        "null is a chunk like any other",
        "local t = {} for v in echo.recite({json.null, 1}) do t[#t + 1] = v end return t",
        "const t = []; for await (const v of echo.recite([null, 1])) t.push(v); return t",
        [None, 1],
    ),
    gives(
        "chunks of every type",
        "local t = {} for v in echo.recite(params.all) do t[#t + 1] = v end return t",
        "const t = []; for await (const v of echo.recite(params.all)) t.push(v); return t",
        [1, "ü", {"a": [None]}, [], b"\xff", 2**60],
        params={"all": [1, "ü", {"a": [None]}, [], b"\xff", 2**60]},
    ),
    gives(
        "a stream that is left early, and a call after it",
        "local s = echo.count(100) for n in s do if n == 2 then s:close() break end end "
        "return echo.say(5)",
        "for await (const n of echo.count(100)) if (n === 2) break;\nreturn await echo.say(5)",
        5,
    ),
    gives(
        "a stream that nobody reads",
        "local s = echo.count(100) return echo.say(1)",
        "const s = echo.count(100); return await echo.say(1)",
        1,
    ),
    gives(
        "two streams in turns",
        "local a, b, t = echo.count(3), echo.count(3), {} "
        "for n in a do t[#t + 1] = n t[#t + 1] = b() * 10 end return t",
        "const a = echo.count(3), b = echo.count(3), t = []; "
        "for await (const n of a) { t.push(n); t.push((await b.next()).value * 10) } return t",
        [1, 10, 2, 20, 3, 30],
    ),
    gives(
        "a call in the middle of a stream",
        "local t = {} for n in echo.count(3) do t[#t + 1] = echo.say(n * n) end return t",
        "const t = []; for await (const n of echo.count(3)) t.push(await echo.say(n * n)); "
        "return t",
        [1, 4, 9],
    ),
    gives(
        "after its end a stream gives nothing",
        "local s = echo.count(1) s() s() return s() == nil",
        "const s = echo.count(1); await s.next(); await s.next(); return (await s.next()).done",
        True,
    ),
    caught(
        "an error in a stream",
        "for _ in echo.count_badly(2) do end",
        "for await (const _ of echo.countBadly(2));",
        Failed(kind="Network", message="the line went dead", retryable=True),
    ),
    gives(
        "what came before an error in a stream is kept",
        "local t = {} pcall(function() for n in echo.count_badly(2) do t[#t + 1] = n end end) "
        "return t",
        "const t = []; try { for await (const n of echo.countBadly(2)) t.push(n) } catch {} "
        "return t",
        [1, 2],
    ),
    gives(
        "calls one after the other and calls at the same time give the same",
        "local t = {} for i = 1, 8 do t[i] = echo.say(i) end return t",
        "return Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((i) => echo.say(i)))",
        [1, 2, 3, 4, 5, 6, 7, 8],
    ),
    gives(
        "more calls than may be open at once take turns",
        "local t = {} for i = 1, 30 do t[i] = echo.say(i) end return t",
        "return Promise.all(Array.from({ length: 30 }, (_, i) => echo.say(i + 1)))",
        list(range(1, 31)),
        policy={"max_concurrent": 3},
    ),
    gives(
        "calls at the same time are open at the same time",
        "for _ = 1, 3 do echo.meet(1) end return 'met'",
        "await Promise.all([1, 2, 3].map(() => echo.meet(3))); return 'met'",
        "met",
    ),
    gives(
        "one of several calls fails",
        'local ok, e = pcall(echo.fail, "Network", "gone") '
        "return {echo.say(1), e.kind, echo.say(3)}",
        'return (await Promise.allSettled([echo.say(1), echo.fail("Network", "gone"), '
        "echo.say(3)])).map((r) => r.value ?? r.reason.kind)",
        [1, "Network", 3],
    ),
)
