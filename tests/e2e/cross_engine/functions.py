"""Functions that the host calls, objects that it keeps for scripts, answers that work as text."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Failed, caught, fails, gives

FUNCTIONS = (
    gives(
        "a function is called with values and returns one",
        "return puppet.call_with(function(a, b) return {a, b} end, {1, {x = 'y'}})",
        "return await puppet.callWith((a, b) => [a, b], [1, { x: 'y' }])",
        [1, {"x": "y"}],
    ),
    gives(
        "null is a missing argument, and no value is null",
        "local seen; local r = puppet.call_with(function(a, b) seen = {a == nil, b} end, "
        "{json.null, 2}) return {seen, r == nil}",
        "let seen; const r = await puppet.callWith((a, b) => { seen = [a === null, b]; }, "
        "[null, 2]); return [seen, r === null]",
        [[True, 2], True],
    ),
    gives(
        "functions in options, in lists and in maps",
        "return puppet.carry_out({tools = {{name = 'a', run = function(n) return 'a' .. n end}}, "
        "by_name = {b = function(n) return 'b' .. n end}, last = function() return 'z' end})",
        "return await puppet.carryOut({ tools: [{ name: 'a', run: (n) => 'a' + n }], "
        "by_name: { b: (n) => 'b' + n }, last: () => 'z' })",
        ["a0", "b1", "z"],
    ),
    gives(
        "a function keeps what it closes over",
        "local n = 0 local function f() n = n + 1 return n end "
        "puppet.call_with(f, {}) puppet.call_with(f, {}) return n",
        "let n = 0; const f = () => ++n; "
        "await puppet.callWith(f, []); await puppet.callWith(f, []); return n",
        2,
    ),
    gives(
        "a function may call bridges",
        "return puppet.call_with(function(x) return puppet.say(x) .. '!' end, {'hi'})",
        "return await puppet.callWith(async (x) => await puppet.say(x) + '!', ['hi'])",
        "hi!",
    ),
    gives(
        "functions that are called at the same time",
        "return puppet.at_once({function() return puppet.say(1) end, "
        "function() return puppet.say(2) end, function() return 3 end})",
        "return await puppet.atOnce([() => puppet.say(1), () => puppet.say(2), () => 3])",
        [1, 2, 3],
    ),
    gives(
        "an answer that comes after its call has ended is dropped",
        "local r = puppet.first_of({function() return puppet.say('slow') end, "
        "function() return 'quick' end}) return {type(r), puppet.say(1)}",
        "const r = await puppet.firstOf([() => puppet.say('slow'), () => 'quick']); "
        "return [typeof r, await puppet.say(1)]",
        ["string", 1],
    ),
    gives(
        "a function is called for the chunks of a stream, whose result is text",
        "local t = {} local s = puppet.count(3, function(n) return n * n end) "
        "for v in s do t[#t + 1] = v end return {t, s.result:upper(), s.result.author}",
        "const t = []; const s = puppet.count(3, (n) => n * n); "
        "for await (const v of s) t.push(v); const r = await s.result; "
        "return [t, r.toUpperCase(), r.author]",
        [[1, 4, 9], "THE END", "host"],
    ),
    gives(
        "a stream is left early while its functions are called",
        "for v in puppet.count(100, function(n) return n end) do if v == 2 then break end end "
        "return puppet.say('on')",
        "for await (const v of puppet.count(100, (n) => n)) if (v === 2) break; "
        "return await puppet.say('on')",
        "on",
    ),
    gives(
        "functions that call each other through the host, 32 deep",
        "local function f(n) if n == 0 then return 0 end "
        "return 1 + puppet.call_with(f, {n - 1}) end return f(32)",
        "const f = async (n) => n === 0 ? 0 : 1 + await puppet.callWith(f, [n - 1]);\n"
        "return await f(32)",
        32,
        policy={"max_concurrent": 1},
    ),
    caught(
        "functions that call each other through the host without end",
        "local function f() return puppet.call_with(f, {}) end f()",
        "const f = () => puppet.callWith(f, []); await f();",
        Failed(kind="Limit", message="more than 32 functions wait for each other"),
        policy={"max_concurrent": 2},
    ),
    gives(
        "an error of a function says where it was raised",
        "return puppet.kind_of_failure(function()\n  error('boom')\nend)",
        "return await puppet.kindOfFailure(() => {\n  throw new Error('boom');\n})",
        ["Script", "spell:2: boom"],
    ),
    gives(
        "an error of a bridge that a function lets through keeps its kind",
        "return puppet.kind_of_failure(function() puppet.fail() end)",
        "return await puppet.kindOfFailure(() => puppet.fail())",
        ["RateLimit", "slow down"],
    ),
    caught(
        "an error of a function comes back with every field",
        "puppet.call_with(function() puppet.fail() end, {})",
        "await puppet.callWith(() => puppet.fail(), []);",
        Failed(kind="RateLimit", message="slow down", retryable=True, retry_after=1.5, field="x"),
    ),
    caught(
        "a function that returns what cannot cross",
        "puppet.call_with(function() return {f = print} end, {})",
        "await puppet.callWith(() => ({ f: () => 1 }), []);",
        Failed(kind="Conversion", message="a function cannot cross at $.f", field="$.f"),
    ),
    caught(
        "a function that returns more than max_request",
        "puppet.call_with(function() return string.rep('x', 5000) end, {})",
        "await puppet.callWith(() => 'x'.repeat(5000), []);",
        Failed(kind="Validation", message="a function returned 5003 bytes; the limit is 4096"),
        policy={"max_request": 4096},
    ),
    caught(
        "a function where none is taken",
        "puppet.say({f = function() end})",
        "await puppet.say({ f() {} });",
        Failed(
            kind="Conversion",
            message="a function cannot cross at argument 1.f",
            field="argument 1.f",
        ),
    ),
    caught(
        "something else where a function is taken",
        "puppet.carry_out({tools = {{name = 'a', run = 3}}})",
        "await puppet.carryOut({ tools: [{ name: 'a', run: 3 }] });",
        Failed(
            kind="Validation",
            message="puppet.carry_out: tools[0].run: must be a function",
            field="tools[0].run",
        ),
    ),
    caught(
        "an object where a function is taken",
        "puppet.call_with(puppet.doll('Ada'), {})",
        "await puppet.callWith(await puppet.doll('Ada'), []);",
        Failed(kind="Validation", message="puppet.call_with: run: must be a function", field="run"),
    ),
    caught(
        "a function that was never handed over",
        "puppet.invoke_number(7)",
        "await puppet.invokeNumber(7);",
        Failed(kind="Internal", message="the script never handed over such a function"),
    ),
    gives(
        "1,024 functions cross, and the same one again",
        "local first = function() return 'first' end puppet.at_once({first}) "
        "local t = {} for i = 1, 1023 do t[i] = function() end end puppet.at_most(t) "
        "return puppet.at_once({first})",
        "const first = () => 'first'; await puppet.atOnce([first]); "
        "await puppet.atMost(Array.from({ length: 1023 }, () => () => 1)); "
        "return await puppet.atOnce([first])",
        ["first"],
    ),
    caught(
        "one function more",
        "local t = {} for i = 1, 1025 do t[i] = function() end end puppet.at_most(t)",
        "await puppet.atMost(Array.from({ length: 1025 }, () => () => 1));",
        Failed(
            kind="Conversion",
            message="more than 1024 functions of one run cannot cross at argument 1[1024]",
            field="argument 1[1024]",
        ),
    ),
    fails(
        "a function that loops for ever ends by the limit of the run",
        "puppet.call_with(function() while true do end end, {})",
        "await puppet.callWith(() => { for (;;); }, []);",
        Failed(message="*(limit: cpu)"),
        verdict="cpu_limit",
        policy={"cpu": 0.3},
    ),
)

OBJECTS = (
    gives(
        "an object has methods and keeps its state",
        "local d = puppet.doll('Ada') d:tell('a') return {d:tell('b'), d:my_name()}",
        "const d = await puppet.doll('Ada'); await d.tell('a'); "
        "return [await d.tell('b'), await d.myName()]",
        [2, "Ada"],
    ),
    gives(
        "objects of one kind are told apart",
        "local a, b = puppet.doll('a'), puppet.doll('b') a:tell('x') "
        "return {a:tell('y'), b:tell('y'), a == b}",
        "const a = await puppet.doll('a'), b = await puppet.doll('b'); await a.tell('x'); "
        "return [await a.tell('y'), await b.tell('y'), a === b]",
        [2, 1, False],
    ),
    gives(
        "a method of an object that calls a function",
        "return puppet.doll('Ada'):tell('hi', function(words) return words .. '?' end)",
        "return await (await puppet.doll('Ada')).tell('hi', (words) => words + '?')",
        "hi?",
    ),
    gives(
        "a method of an object that is a stream",
        "local d, t = puppet.doll('Ada'), {} d:tell('a') d:tell('b') "
        "for words in d:repeat_all() do t[#t + 1] = words end return t",
        "const d = await puppet.doll('Ada'), t = []; await d.tell('a'); await d.tell('b'); "
        "for await (const words of d.repeatAll()) t.push(words); return t",
        ["a", "b"],
    ),
    gives(
        "an object as an argument, in options and as what a function returns",
        "local d = puppet.doll('Ada') return {puppet.name_of(d), puppet.carry_out({doll = d})[1], "
        "puppet.name_of_made(function() return d end)}",
        "const d = await puppet.doll('Ada'); return [await puppet.nameOf(d), "
        "(await puppet.carryOut({ doll: d }))[0], await puppet.nameOfMade(() => d)]",
        ["Ada", "Ada", "Ada"],
    ),
    gives(
        "no object is null",
        "return puppet.no_box() == nil",
        "return (await puppet.noBox()) === null",
        True,
    ),
    caught(
        "an object of another kind",
        "puppet.name_of(puppet.box())",
        "await puppet.nameOf(await puppet.box());",
        Failed(
            kind="Validation",
            message="doll: must be an object of kind 'doll'; this one is of kind 'box'",
            field="doll",
        ),
    ),
    caught(
        "an integer for an object",
        "puppet.doll('Ada') puppet.name_of(1)",
        "await puppet.doll('Ada'); await puppet.nameOf(1);",
        Failed(kind="Validation", message="puppet.name_of: doll: must be an object", field="doll"),
    ),
    caught(
        "an object that was never given",
        "puppet.name_of({['@object'] = 9})",
        "await puppet.nameOf({ '@object': 9 });",
        Failed(
            kind="Validation",
            message="doll: must be an object of kind 'doll'; this one is nothing of this run",
            field="doll",
        ),
    ),
    gives(
        "what only looks like an object or a function is data",
        "return puppet.say({['@object'] = 1, ['@function'] = 2})",
        "return await puppet.say({ '@object': 1, '@function': 2 })",
        {"@object": 1, "@function": 2},
    ),
    caught(
        "wrong arguments of an object's method",
        "puppet.doll('Ada'):tell(3)",
        "await (await puppet.doll('Ada')).tell(3);",
        Failed(
            kind="Validation",
            message="puppet.doll.tell: words: expected string, got integer",
            field="words",
        ),
    ),
    fails(
        "an object cannot be returned",
        "local d = puppet.doll('Ada') return {d}",
        "const d = await puppet.doll('Ada'); return [d]",
        Failed(kind="Conversion", message="a host object cannot cross at $[0]", field="$[0]"),
    ),
    gives(
        "an object cannot be changed",
        "local d = puppet.doll('Ada') return {pcall(function() d.tell = 1 end), d:my_name()}",
        "const d = await puppet.doll('Ada'); let ok = true; "
        "try { d.tell = 1; } catch { ok = false; } return [ok, await d.myName()]",
        [False, "Ada"],
    ),
    caught(
        "the 257th object",
        "for i = 1, 257 do puppet.doll('x') end",
        "for (let i = 0; i < 257; i++) await puppet.doll('x');",
        Failed(
            kind="Limit",
            message="256 objects are held by this run already, which is the limit",
        ),
        policy={"max_calls": 300},
    ),
)

TEXTS = (
    gives(
        "an answer works as text and has fields",
        "local s = puppet.story('hello world') "
        "return {s:sub(1, 5), #s, s .. '!', '<' .. s, tostring(s), s.author, s.content}",
        "const s = await puppet.story('hello world'); return [s.substring(0, 5), s.length, "
        "s + '!', `<${s}`, String(s), s.author, s.content]",
        ["hello", 11, "hello world!", "<hello world", "hello world", "host", "hello world"],
    ),
    gives(
        "an answer is an argument as its text, and a result with its fields",
        "local s = puppet.story('once') "
        "return {puppet.say(s), puppet.say({s}), s, json.encode(s.tags)}",
        "const s = await puppet.story('once'); "
        "return [await puppet.say(s), await puppet.say([s]), s, json.encode(s.tags)]",
        ["once", ["once"], {"content": "once", "author": "host", "tags": ["a"]}, '["a"]'],
    ),
    gives(
        "answers in a list",
        "local s = puppet.stories({'a', 'b'}) return {s[1]:upper(), s[2] .. '!', #s}",
        "const s = await puppet.stories(['a', 'b']); "
        "return [s[0].toUpperCase(), s[1] + '!', s.length]",
        ["A", "b!", 2],
    ),
    gives(
        "an answer on the console",
        "print(puppet.story('once'), {puppet.story('twice')})",
        "console.log(await puppet.story('once'), [await puppet.story('twice')])",
        logs=('log: once ["twice"]',),
    ),
    gives(
        "json writes an answer with its fields",
        "return json.decode(json.encode(puppet.story('once')))",
        "return json.decode(json.encode(await puppet.story('once')))",
        {"content": "once", "author": "host", "tags": ["a"]},
    ),
    gives(
        "what a function returns crosses as its text",
        "return puppet.call_with(function() return puppet.story('once') end, {})",
        "return await puppet.callWith(() => puppet.story('once'), [])",
        "once",
    ),
)

CASES = (*FUNCTIONS, *OBJECTS, *TEXTS)
