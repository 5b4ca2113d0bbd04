"""`workflow`, when all is well: kinds of workflow, steps of every sort, progress, kept runs."""

from __future__ import annotations

from typing import Any

from llmspell_testkit.model_server import Answer
from tests.e2e.cross_engine.case import Case, gives

POLICY: dict[str, Any] = {"allow_bridges": ("llm", "tools", "echo", "workflow")}


def works(name: str, lua: str, js: str, value: Any = None, **more: Any) -> Case:
    """A case whose spell may use workflows."""
    return gives(name, lua, js, value, policy={**POLICY, **more.pop("policy", {})}, **more)


DOUBLE_LUA = "function(c) return c.input.n * 2 end"
DOUBLE_JS = "(c) => c.input.n * 2"
FLOW_LUA = 'local flow = workflow.sequential({name = "w"}) '
FLOW_JS = 'const flow = await workflow.sequential({ name: "w" }); '

CASES = (
    works(
        "steps one after the other, each with what the ones before gave",
        FLOW_LUA + f'flow:add_step({{name = "a", run = {DOUBLE_LUA}}}) '
        'flow:add_step({name = "b", run = function(c) return {c.previous, c.steps.a.output, '
        "c.steps.a.status, c.input.n} end}) "
        "local r = flow:run({n = 4}) "
        "return {r.name, r.status, r.output, r.steps.a.output, r.steps.b.status, r.input, #r.id}",
        FLOW_JS + f'await flow.addStep({{ name: "a", run: {DOUBLE_JS} }}); '
        'await flow.addStep({ name: "b", run: async (c) => [c.previous, c.steps.a.output, '
        "c.steps.a.status, c.input.n] }); "
        "const r = await flow.run({ n: 4 }); "
        "return [r.name, r.status, r.output, r.steps.a.output, r.steps.b.status, r.input, "
        "r.id.length]",
        ["w", "completed", [8, 8, "completed", 4], 8, "completed", {"n": 4}, 32],
    ),
    works(
        "steps that nobody waits for are all there, in their order",
        FLOW_LUA + 'flow:add_step({name = "a", run = function() return 1 end, '
        'output = {type = "integer"}}) '
        'flow:add_step({name = "b", run = function(c) return c.previous + 1 end}) '
        "return flow:run().output",
        FLOW_JS + 'flow.addStep({ name: "a", run: () => 1, output: { type: "integer" } }); '
        'flow.addStep({ name: "b", run: (c) => c.previous + 1 }); '
        "return (await flow.run()).output",
        2,
    ),
    works(
        "a model's answer goes into the next prompt",
        'local flow = workflow.sequential() flow:add_step({name = "research", model = "writer", '
        'prompt = "About {{topic}}"}) flow:add_step({name = "short", '
        'prompt = "Shorten: {{ research.output | upper }}", options = {temperature = 0}}) '
        'local r = flow:run({topic = "owls"}) '
        "return {r.output, r.usage.total_tokens, r.steps.short.usage.prompt_tokens}",
        'const flow = await workflow.sequential(); await flow.addStep({ name: "research", '
        'model: "writer", prompt: "About {{topic}}" }); await flow.addStep({ name: "short", '
        'prompt: "Shorten: {{ research.output | upper }}", options: { temperature: 0 } }); '
        'const r = await flow.run({ topic: "owls" }); '
        "return [r.output, r.usage.total_tokens, r.steps.short.usage.prompt_tokens]",
        ["Owls.", 24, 7],
        answers=(Answer("They fly."), Answer("Owls.")),
    ),
    works(
        "an agent with a prompt, and a tool with what it said",
        'local flow = workflow.sequential() flow:add_step({name = "research", '
        'agent = llm.agent({system = "Be brief."}), prompt = "How many {{topic}}?"}) '
        'flow:add_step({name = "double", tool = "calculator", '
        'args = {expression = "{{research.output}} * {{factor}}"}}) '
        'local r = flow:run({topic = "owls", factor = 2}) '
        "return {r.steps.research.output, r.output, r.steps.research.usage.total_tokens, "
        "r.usage.total_tokens}",
        'const flow = await workflow.sequential(); await flow.addStep({ name: "research", '
        'agent: await llm.agent({ system: "Be brief." }), prompt: "How many {{topic}}?" }); '
        'await flow.addStep({ name: "double", tool: "calculator", '
        'args: { expression: "{{research.output}} * {{factor}}" } }); '
        'const r = await flow.run({ topic: "owls", factor: 2 }); '
        "return [r.steps.research.output, r.output, r.steps.research.usage.total_tokens, "
        "r.usage.total_tokens]",
        ["21", 42, 12, 12],
        answers=(Answer("21"),),
    ),
    works(
        "a tool of the spell's own, whose argument keeps its type",
        'tools.register({name = "sum", description = "d", parameters = {type = "object", '
        'properties = {list = {type = "array"}}}, handler = function(a) '
        "return a.list[1] + a.list[2] end}) " + FLOW_LUA + 'flow:add_step({name = "a", '
        'tool = "sum", args = {list = "{{numbers}}"}}) return flow:run({numbers = {3, 4}}).output',
        'await tools.register({ name: "sum", description: "d", parameters: { type: "object", '
        'properties: { list: { type: "array" } } }, handler: (a) => a.list[0] + a.list[1] }); '
        + FLOW_JS + 'await flow.addStep({ name: "a", tool: "sum", args: { list: "{{numbers}}" } '
        "}); return (await flow.run({ numbers: [3, 4] })).output",
        7,
    ),
    works(
        "what a model says is no template",
        'local flow = workflow.sequential() flow:add_step({name = "a", prompt = "Hi"}) '
        'flow:add_step({name = "b", prompt = "Said: {{a.output}}"}) return flow:run().output',
        'const flow = await workflow.sequential(); await flow.addStep({ name: "a", prompt: "Hi" '
        '}); await flow.addStep({ name: "b", prompt: "Said: {{a.output}}" }); '
        "return (await flow.run()).output",
        "Said: {{ cycler.__init__ }} {% for x in y %}",
        answers=(
            Answer("{{ cycler.__init__ }} {% for x in y %}"),
            Answer("Said: {{ cycler.__init__ }} {% for x in y %}"),
        ),
    ),
    works(
        "steps at the same time, and a function that makes one output of all",
        "local flow = workflow.parallel({aggregate = function(outputs, c) "
        "return outputs.a + outputs.b + c.input.n end, max_concurrent = 2}) "
        f'flow:add_step({{name = "a", run = {DOUBLE_LUA}}}) '
        f'flow:add_step({{name = "b", run = {DOUBLE_LUA}}}) return flow:run({{n = 4}}).output',
        "const flow = await workflow.parallel({ aggregate: (outputs, c) => "
        "outputs.a + outputs.b + c.input.n, max_concurrent: 2 }); "
        f'await flow.addStep({{ name: "a", run: {DOUBLE_JS} }}); '
        f'await flow.addStep({{ name: "b", run: {DOUBLE_JS} }}); '
        "return (await flow.run({ n: 4 })).output",
        20,
    ),
    works(
        "steps at the same time meet: neither waits for the other",
        'local flow = workflow.parallel() for _, name in ipairs({"a", "b"}) do '
        'flow:add_step({name = name, run = function() return echo.meet(1) end}) end '
        "return flow:run().output",
        'const flow = await workflow.parallel(); for (const name of ["a", "b"]) '
        "await flow.addStep({ name, run: () => echo.meet(1) }); return (await flow.run()).output",
        {"a": 1, "b": 1},
    ),
    works(
        "a branch by a function",
        "local flow = workflow.conditional({choose = function(c) return c.input.n > 3 end, "
        'branches = {["true"] = "big", ["false"] = "small"}}) '
        'flow:add_step({name = "big", run = function() return "B" end}) '
        'flow:add_step({name = "small", run = function() return "S" end}) '
        "local r = flow:run({n = 4}) return {r.output, r.steps.small == nil, "
        "flow:run({n = 1}).output}",
        "const flow = await workflow.conditional({ choose: (c) => c.input.n > 3, "
        'branches: { true: "big", false: "small" } }); '
        'await flow.addStep({ name: "big", run: () => "B" }); '
        'await flow.addStep({ name: "small", run: () => "S" }); '
        "const r = await flow.run({ n: 4 }); return [r.output, r.steps.small === undefined, "
        "(await flow.run({ n: 1 })).output]",
        ["B", True, "S"],
    ),
    works(
        "a branch by a text, and another for what no branch is for",
        'local flow = workflow.conditional({choose = "{{kind}}", otherwise = "rest"}) '
        'flow:add_step({name = "bug", run = function() return "fix" end}) '
        'flow:add_step({name = "rest", run = function() return "file" end}) '
        'return {flow:run({kind = " bug "}).output, flow:run({kind = "x"}).output}',
        'const flow = await workflow.conditional({ choose: "{{kind}}", otherwise: "rest" }); '
        'await flow.addStep({ name: "bug", run: () => "fix" }); '
        'await flow.addStep({ name: "rest", run: () => "file" }); '
        'return [(await flow.run({ kind: " bug " })).output, (await flow.run({ kind: "x" })).output]',
        ["fix", "file"],
    ),
    works(
        "a loop over a list, over a placeholder and over what a function gives",
        'local out = {} for _, over in ipairs({{1, 2}, "{{items}}", '
        "function(c) return {c.input.items[1]} end}) do "
        "local flow = workflow.loop({over = over}) "
        'flow:add_step({name = "a", run = function(c) return c.item * 10 + c.index end}) '
        "out[#out + 1] = flow:run({items = {7, 8}}).output end return out",
        'const out = []; for (const over of [[1, 2], "{{items}}", (c) => [c.input.items[0]]]) { '
        "const flow = await workflow.loop({ over }); "
        'await flow.addStep({ name: "a", run: (c) => c.item * 10 + c.index }); '
        "out.push((await flow.run({ items: [7, 8] })).output); } return out",
        [[11, 22], [71, 82], [71]],
    ),
    works(
        "a loop by a count, with two steps a round",
        'local flow = workflow.loop({times = 3}) flow:add_step({name = "a", '
        "run = function(c) return c.index end}) "
        'flow:add_step({name = "b", run = function(c) return c.previous * 2 end}) '
        "local r = flow:run() return {r.output, r.steps.a.output}",
        'const flow = await workflow.loop({ times: 3 }); await flow.addStep({ name: "a", '
        "run: (c) => c.index }); "
        'await flow.addStep({ name: "b", run: (c) => c.previous * 2 }); '
        "const r = await flow.run(); return [r.output, r.steps.a.output]",
        [[2, 4, 6], 3],
    ),
    works(
        "a loop while a function says so",
        "local left = 3 local flow = workflow.loop({condition = function(c) return left > 0 end}) "
        'flow:add_step({name = "a", run = function() left = left - 1 return left end}) '
        "return flow:run().output",
        "let left = 3; const flow = await workflow.loop({ condition: (c) => left > 0 }); "
        'await flow.addStep({ name: "a", run: () => --left }); return (await flow.run()).output',
        [2, 1, 0],
    ),
    works(
        "steps that say what they come after",
        "local flow = workflow.dag({max_concurrent = 2}) "
        'flow:add_step({name = "d", after = {"b", "c"}, '
        "run = function(c) return c.steps.b.output + c.steps.c.output end}) "
        'flow:add_step({name = "a", run = function() return 1 end}) '
        'flow:add_step({name = "b", after = {"a"}, '
        "run = function(c) return c.steps.a.output + 1 end}) "
        'flow:add_step({name = "c", after = {"a"}, '
        "run = function(c) return c.steps.a.output + 2 end}) return flow:run().output",
        "const flow = await workflow.dag({ max_concurrent: 2 }); "
        'await flow.addStep({ name: "d", after: ["b", "c"], '
        "run: (c) => c.steps.b.output + c.steps.c.output }); "
        'await flow.addStep({ name: "a", run: () => 1 }); '
        'await flow.addStep({ name: "b", after: ["a"], run: (c) => c.steps.a.output + 1 }); '
        'await flow.addStep({ name: "c", after: ["a"], run: (c) => c.steps.a.output + 2 }); '
        "return (await flow.run()).output",
        5,
    ),
    works(
        "a workflow inside a workflow, with an input of its own or the outer one's",
        f'local inner = workflow.sequential() inner:add_step({{name = "i", run = {DOUBLE_LUA}}}) '
        'local flow = workflow.sequential() flow:add_step({name = "one", workflow = inner}) '
        'flow:add_step({name = "two", workflow = inner, args = {n = "{{one.output}}"}}) '
        "local r = flow:run({n = 4}) "
        "return {r.output, r.steps.one.output, r.steps.two.steps.i.output}",
        "const inner = await workflow.sequential(); "
        f'await inner.addStep({{ name: "i", run: {DOUBLE_JS} }}); '
        'const flow = await workflow.sequential(); await flow.addStep({ name: "one", '
        'workflow: inner }); await flow.addStep({ name: "two", workflow: inner, '
        'args: { n: "{{one.output}}" } }); const r = await flow.run({ n: 4 }); '
        "return [r.output, r.steps.one.output, r.steps.two.steps.i.output]",
        [16, 8, 16],
    ),
    works(
        "a step that fails twice and is tried three times",
        FLOW_LUA + 'local n = 0 flow:add_step({name = "a", retry = {attempts = 3, base_delay = 0, '
        'on = {"Script"}}, run = function() n = n + 1 if n < 3 then error("not yet") end '
        "return n end}) local r = flow:run() return {r.output, r.steps.a.attempts}",
        FLOW_JS + 'let n = 0; await flow.addStep({ name: "a", retry: { attempts: 3, base_delay: 0, '
        'on: ["Script"] }, run: () => { n += 1; if (n < 3) throw new Error("not yet"); '
        "return n; } }); const r = await flow.run(); return [r.output, r.steps.a.attempts]",
        [3, 3],
    ),
    works(
        "what a failure may mean: nothing, a gap, or something else instead",
        FLOW_LUA + 'local function bad() echo.fail("Network", "no line") end '
        'flow:add_step({name = "a", run = bad, on_error = "skip"}) '
        'flow:add_step({name = "b", run = bad, on_error = "continue"}) '
        'flow:add_step({name = "c", run = bad, on_error = {run = function() return "else" end}}) '
        "local s = flow:run().steps return {s.a.status, s.a.error.kind, s.b.status, "
        "s.b.error.message, s.c.status, s.c.output, s.c.fallback, s.c.error.kind}",
        FLOW_JS + 'const bad = () => echo.fail("Network", "no line"); '
        'await flow.addStep({ name: "a", run: bad, on_error: "skip" }); '
        'await flow.addStep({ name: "b", run: bad, on_error: "continue" }); '
        'await flow.addStep({ name: "c", run: bad, on_error: { run: () => "else" } }); '
        "const s = (await flow.run()).steps; return [s.a.status, s.a.error.kind, s.b.status, "
        "s.b.error.message, s.c.status, s.c.output, s.c.fallback, s.c.error.kind]",
        ["skipped", "Network", "failed", "no line", "completed", "else", True, "Network"],
    ),
    works(
        "the progress of a run, and its result at the end",
        f'local inner = workflow.sequential() inner:add_step({{name = "i", run = {DOUBLE_LUA}}}) '
        'local flow = workflow.sequential() flow:add_step({name = "a", workflow = inner}) '
        "local seen = {} local s = flow:run_with_progress({n = 4}) "
        'for e in s do seen[#seen + 1] = e.event .. " " .. (e.step or #e.id) end '
        "return {seen, s.result.output}",
        "const inner = await workflow.sequential(); "
        f'await inner.addStep({{ name: "i", run: {DOUBLE_JS} }}); '
        'const flow = await workflow.sequential(); await flow.addStep({ name: "a", '
        "workflow: inner }); const seen = []; const s = flow.runWithProgress({ n: 4 }); "
        "for await (const e of s) seen.push(`${e.event} ${e.step ?? e.id.length}`); "
        "return [seen, (await s.result).output]",
        [
            [
                "started 32",
                "step_started a",
                "step_started a.i",
                "step_finished a.i",
                "step_finished a",
            ],
            8,
        ],
    ),
    works(
        "a run that is left in the middle does no more",
        FLOW_LUA + 'local n = 0 for _, name in ipairs({"a", "b", "c"}) do '
        "flow:add_step({name = name, run = function() n = n + 1 end}) end "
        "local s = flow:run_with_progress() "
        'for e in s do if e.event == "step_finished" then s:close() break end end '
        "local other = workflow.sequential() "
        'other:add_step({name = "x", run = function() end}) other:run() return n < 3',
        FLOW_JS + 'let n = 0; for (const name of ["a", "b", "c"]) '
        "await flow.addStep({ name, run: () => { n += 1; } }); "
        "const s = flow.runWithProgress(); "
        'for await (const e of s) if (e.event === "step_finished") break; '
        "const other = await workflow.sequential(); "
        'await other.addStep({ name: "x", run: () => null }); await other.run(); return n < 3',
        True,
    ),
    works(
        "whether a workflow can run",
        "local flow = workflow.dag() "
        'flow:add_step({name = "a", after = {"b"}, run = function() end}) '
        "local one = flow:validate() "
        'flow:add_step({name = "b", run = function() end}) local two = flow:validate() '
        "return {one.valid, one.problems[1].step, one.problems[1].message, two.valid, "
        "#two.problems}",
        "const flow = await workflow.dag(); "
        'await flow.addStep({ name: "a", after: ["b"], run: () => null }); '
        "const one = await flow.validate(); "
        'await flow.addStep({ name: "b", run: () => null }); const two = await flow.validate(); '
        "return [one.valid, one.problems[0].step, one.problems[0].message, two.valid, "
        "two.problems.length]",
        [False, "a", "after: there is no step 'b'", True, 0],
    ),
    works(
        "what a workflow is",
        'local flow = workflow.sequential({name = "w", description = "d"}) '
        'flow:add_step({name = "a", prompt = "Hi"}) '
        'flow:add_step({name = "b", run = function() end, on_error = "skip"}) '
        "return flow:metadata()",
        'const flow = await workflow.sequential({ name: "w", description: "d" }); '
        'await flow.addStep({ name: "a", prompt: "Hi" }); '
        'await flow.addStep({ name: "b", run: () => null, on_error: "skip" }); '
        "return await flow.metadata()",
        {
            "name": "w",
            "description": "d",
            "kind": "sequential",
            "steps": [
                {"name": "a", "does": "model", "after": [], "on_error": "fail"},
                {"name": "b", "does": "function", "after": ["a"], "on_error": "skip"},
            ],
        },
    ),
    works(
        "a run that failed goes on where it stopped",
        'workflow.forget("lua") '
        'local done, broken = {}, true local flow = workflow.sequential({name = "w"}) '
        'for _, name in ipairs({"a", "b", "c"}) do flow:add_step({name = name, run = function() '
        'if name == "b" and broken then error("crash") end done[#done + 1] = name return name '
        'end}) end local ok = pcall(function() flow:run({}, {id = "lua"}) end) broken = false '
        "local kept for _, run in ipairs(workflow.runs()) do "
        'if run.id == "lua" then kept = run.status end end '
        'local r = flow:resume("lua") local again = flow:resume("lua") '
        'return {ok, kept, table.concat(done, " "), r.output, again.output, '
        'workflow.forget("lua"), workflow.forget("lua")}',
        'await workflow.forget("js"); '
        'const done = []; let broken = true; const flow = await workflow.sequential({ name: "w" });'
        ' for (const name of ["a", "b", "c"]) await flow.addStep({ name, run: () => { '
        'if (name === "b" && broken) throw new Error("crash"); done.push(name); return name; '
        '} }); let ok = true; try { await flow.run({}, { id: "js" }); } catch { ok = false; } '
        'broken = false; const kept = (await workflow.runs()).find((r) => r.id === "js").status; '
        'const r = await flow.resume("js"); const again = await flow.resume("js"); '
        'return [ok, kept, done.join(" "), r.output, again.output, '
        'await workflow.forget("js"), await workflow.forget("js")]',
        [False, "unfinished", "a b c", "c", "c", True, False],
    ),
    works(
        "the progress of a run that goes on",
        'local broken = true local flow = workflow.sequential() flow:add_step({name = "a", '
        'run = function() return 1 end}) flow:add_step({name = "b", run = function() '
        'if broken then error("crash") end return 2 end}) '
        'pcall(function() flow:run({}, {id = "lua-2"}) end) broken = false '
        'local seen, s = {}, flow:resume_with_progress("lua-2") '
        "for e in s do seen[#seen + 1] = e.step or e.event end "
        'workflow.forget("lua-2") return {seen, s.result.output}',
        "let broken = true; const flow = await workflow.sequential(); await flow.addStep({ "
        'name: "a", run: () => 1 }); await flow.addStep({ name: "b", run: () => { '
        'if (broken) throw new Error("crash"); return 2; } }); '
        'try { await flow.run({}, { id: "js-2" }); } catch {} broken = false; '
        'const seen = [], s = flow.resumeWithProgress("js-2"); '
        "for await (const e of s) seen.push(e.step ?? e.event); "
        'await workflow.forget("js-2"); return [seen, (await s.result).output]',
        [["started", "b", "b"], 2],
    ),
    works(
        "a timer's events",
        "local t = {} for e in workflow.watch({every = 0.01, times = 2}) do "
        "t[#t + 1] = e.source .. e.number end return t",
        "const t = []; for await (const e of workflow.watch({ every: 0.01, times: 2 })) "
        "t.push(e.source + e.number); return t",
        ["timer1", "timer2"],
    ),
    works(
        "a workflow that runs for each event until it is told to stop",
        FLOW_LUA + 'flow:add_step({name = "a", run = function(c) return c.input.event.number end}) '
        "local t, s = {}, flow:on({every = 0.01}) "
        "for r in s do t[#t + 1] = r.output if #t == 3 then s:close() break end end return t",
        FLOW_JS + 'await flow.addStep({ name: "a", run: (c) => c.input.event.number }); '
        "const t = []; for await (const r of flow.on({ every: 0.01 })) { t.push(r.output); "
        "if (t.length === 3) break; } return t",
        [1, 2, 3],
    ),
    works(
        "a workflow that runs for each of so many events",
        FLOW_LUA + 'flow:add_step({name = "a", run = function(c) return c.input.event.number end}) '
        "local t = {} for r in flow:on({every = 0.01, times = 2}) do t[#t + 1] = r.output end return t",
        FLOW_JS + 'await flow.addStep({ name: "a", run: (c) => c.input.event.number }); '
        "const t = []; for await (const r of flow.on({ every: 0.01, times: 2 })) t.push(r.output); "
        "return t",
        [1, 2],
    ),
    works(
        "a function of a step may run another workflow",
        'local inner = workflow.sequential() inner:add_step({name = "i", '
        'run = function(c) return c.input.n + 1 end}) ' + FLOW_LUA +
        'flow:add_step({name = "a", run = function(c) return inner:run(c.input).output end}) '
        "return flow:run({n = 1}).output",
        'const inner = await workflow.sequential(); await inner.addStep({ name: "i", '
        "run: (c) => c.input.n + 1 }); " + FLOW_JS +
        'await flow.addStep({ name: "a", run: async (c) => (await inner.run(c.input)).output }); '
        "return (await flow.run({ n: 1 })).output",
        2,
    ),
)  # fmt: skip
