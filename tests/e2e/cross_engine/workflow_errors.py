"""`workflow`, when it goes wrong: what scripts are told, and by which name."""

from __future__ import annotations

from typing import Any

from tests.e2e.cross_engine.case import Case, Failed, caught, fails
from tests.e2e.cross_engine.workflows import FLOW_JS, FLOW_LUA, POLICY


def wrong(name: str, lua: str, js: str, failed: Failed, **more: Any) -> Case:
    """A case whose spell may use workflows and catches an error."""
    return caught(name, lua, js, failed, policy={**POLICY, **more.pop("policy", {})}, **more)


def invalid(name: str, lua: str, js: str, message: str, field: str | None) -> Case:
    """An argument that is refused."""
    return wrong(name, lua, js, Failed(message=message, kind="Validation", field=field))


def bad_step(name: str, lua: str, js: str, message: str, field: str, kind: str = "w") -> Case:
    """A step that is refused when it is added."""
    return invalid(
        name,
        FLOW_LUA + f"flow:add_step({lua})",
        FLOW_JS + f"await flow.addStep({js});",
        f"workflow.flow.add_step: {field}: {message}" if kind == "w" else message,
        field,
    )


def bad_flow(name: str, lua: str, js: str, message: str, field: str | None) -> Case:
    """A workflow that cannot run."""
    return invalid(name, f"{lua} flow:run({{}})", f"{js} await flow.run({{}});", message, field)


CASES = (
    # --- errors of steps ---
    wrong(
        "an error of a step keeps its kind and names the steps around it",
        'local inner = workflow.sequential() inner:add_step({name = "i", run = function() '
        'echo.fail("Provider", "no answer") end}) ' + FLOW_LUA +
        'flow:add_step({name = "o", workflow = inner}) flow:run()',
        'const inner = await workflow.sequential(); await inner.addStep({ name: "i", '
        'run: () => echo.fail("Provider", "no answer") }); ' + FLOW_JS +
        'await flow.addStep({ name: "o", workflow: inner }); await flow.run();',
        Failed(message="step 'o': step 'i': no answer", kind="Provider"),
    ),
    wrong(
        "an error of a step has all that its cause had",
        FLOW_LUA + 'flow:add_step({name = "a", run = function() echo.fail_fully() end}) flow:run()',
        FLOW_JS + 'await flow.addStep({ name: "a", run: () => echo.failFully() }); '
        "await flow.run();",
        Failed(
            message="step 'a': not so fast",
            kind="RateLimit",
            retryable=True,
            retry_after=1.5,
            field="speed",
            duration=2.5,
        ),
    ),
    wrong(
        "a step that takes too long",
        FLOW_LUA + 'flow:add_step({name = "a", timeout = 0.05, run = function() util.sleep(300) end}) '
        "flow:run()",
        FLOW_JS + 'await flow.addStep({ name: "a", timeout: 0.05, run: () => util.sleep(300) }); '
        "await flow.run();",
        Failed(
            message="step 'a': not done within 0.05 s",
            kind="Timeout",
            retryable=True,
            duration=0.05,
        ),
    ),
    wrong(
        "a kind of error that is not to be tried again",
        "local n = 0 " + FLOW_LUA + 'flow:add_step({name = "a", retry = {attempts = 3, '
        'base_delay = 0, on = {"Timeout"}}, run = function() n = n + 1 '
        'echo.fail("Network", "attempt " .. n) end}) flow:run()',
        "let n = 0; " + FLOW_JS + 'await flow.addStep({ name: "a", retry: { attempts: 3, '
        'base_delay: 0, on: ["Timeout"] }, run: () => { n += 1; '
        "return echo.fail(`Network`, `attempt ${n}`); } }); await flow.run();",
        Failed(message="step 'a': attempt 1", kind="Network"),
    ),
    wrong(
        "a bridge that is not granted is not granted to a step",
        FLOW_LUA + 'flow:add_step({name = "a", prompt = "Hi"}) flow:run()',
        FLOW_JS + 'await flow.addStep({ name: "a", prompt: "Hi" }); await flow.run();',
        Failed(
            message="step 'a': the bridge llm is not granted to this spell: --allow-bridge llm",
            kind="Policy",
        ),
        policy={"allow_bridges": ("workflow", "echo")},
    ),
    wrong(
        "outputs that are too large together",
        'local flow = workflow.parallel() for _, name in ipairs({"a", "b"}) do '
        "flow:add_step({name = name, run = function() return echo.text(700) end}) end flow:run()",
        'const flow = await workflow.parallel(); for (const name of ["a", "b"]) '
        "await flow.addStep({ name, run: () => echo.text(700) }); await flow.run();",
        Failed(
            message="the outputs are larger than max_response, 1000 bytes, together", kind="Limit"
        ),
        policy={"max_response": 1000},
    ),
    wrong(
        "a tool that there is not",
        FLOW_LUA + 'flow:add_step({name = "a", tool = "calculater"}) flow:run()',
        FLOW_JS + 'await flow.addStep({ name: "a", tool: "calculater" }); await flow.run();',
        Failed(
            message="step 'a': name: there is no tool 'calculater' for this spell;"
            " did you mean 'calculator'?",
            kind="Validation",
            field="name",
        ),
    ),
    fails(
        "a budget that is used up ends the run, whatever a step wants",
        FLOW_LUA + 'flow:add_step({name = "a", prompt = "x", on_error = "skip", '
        "options = {max_tokens = 500}}) flow:run()",
        FLOW_JS + 'await flow.addStep({ name: "a", prompt: "x", on_error: "skip", '
        "options: { max_tokens: 500 } }); await flow.run();",
        Failed(message="*(limit: max_tokens)"),
        verdict="cost_limit",
        policy={**POLICY, "max_tokens": 400},
    ),
    # --- templates ---
    wrong(
        "a placeholder that leads nowhere names the step and the variable",
        FLOW_LUA + 'flow:add_step({name = "research", run = function() return 1 end}) '
        'flow:add_step({name = "b", prompt = "{{reserch.output}}"}) flow:run({topic = 1})',
        FLOW_JS + 'await flow.addStep({ name: "research", run: () => 1 }); '
        'await flow.addStep({ name: "b", prompt: "{{reserch.output}}" }); '
        "await flow.run({ topic: 1 });",
        Failed(
            message="step 'b': prompt: there is no 'reserch'; did you mean 'research'?",
            kind="Validation",
            field="prompt",
        ),
    ),
    bad_step(
        "a prompt that could compute",
        '{name = "a", prompt = "{{ cycler.__init__() }}"}',
        '{ name: "a", prompt: "{{ cycler.__init__() }}" }',
        "prompt: calls are not for prompts: only names, dots and filters are",
        "prompt",
        "",
    ),
    # --- add_step ---
    bad_step(
        "a step without a name",
        "{run = function() end}",
        "{ run: () => null }",
        "required option 'name' is missing",
        "name",
    ),
    bad_step(
        "a step of the wrong type",
        "5",
        "5",
        "expected map, got integer",
        "step",
    ),
    bad_step(
        "a step whose function is none",
        '{name = "a", run = 5}',
        '{ name: "a", run: 5 }',
        "must be a function",
        "run",
    ),
    bad_step(
        "a step whose workflow is none",
        '{name = "a", workflow = {}}',
        '{ name: "a", workflow: {} }',
        "must be an object",
        "workflow",
    ),
    bad_step(
        "a step whose agent is a workflow",
        '{name = "a", agent = flow, prompt = "x"}',
        '{ name: "a", agent: flow, prompt: "x" }',
        "agent: must be an object of kind 'agent'; this one is of kind 'flow'",
        "agent",
        "",
    ),
    bad_step(
        "an option that models do not have",
        '{name = "a", prompt = "x", options = {temprature = 1}}',
        '{ name: "a", prompt: "x", options: { temprature: 1 } }',
        "options: temprature: unknown option 'temprature'; did you mean 'temperature'?",
        "options.temprature",
        "",
    ),
    bad_step(
        "a step with an unknown option",
        '{name = "a", run = function() end, retries = {}}',
        '{ name: "a", run: () => null, retries: {} }',
        "unknown option 'retries'; did you mean 'retry'?",
        "retries",
    ),
    bad_step(
        "a step that does nothing",
        '{name = "a"}',
        '{ name: "a" }',
        "a step has one of agent, tool, run, workflow and model, and there is none",
        "run",
        "",
    ),
    bad_step(
        "a step that does two things",
        '{name = "a", run = function() end, tool = "x"}',
        '{ name: "a", run: () => null, tool: "x" }',
        "a step has one of agent, tool, run, workflow and model, not tool and run",
        "run",
        "",
    ),
    invalid(
        "a step whose name is taken",
        FLOW_LUA + 'for _ = 1, 2 do flow:add_step({name = "a", run = function() end}) end',
        FLOW_JS + 'for (const _ of [1, 2]) await flow.addStep({ name: "a", run: () => null });',
        "there is a step 'a' already",
        "name",
    ),
    # --- constructors ---
    invalid(
        "a workflow whose options are of the wrong type",
        "workflow.sequential({name = 5})",
        "await workflow.sequential({ name: 5 });",
        "workflow.sequential: name: expected string, got integer",
        "name",
    ),
    invalid(
        "a parallel workflow whose aggregate is no function",
        'workflow.parallel({aggregate = "x"})',
        'await workflow.parallel({ aggregate: "x" });',
        "workflow.parallel: aggregate: must be a function",
        "aggregate",
    ),
    invalid(
        "a conditional workflow that cannot choose",
        "workflow.conditional({})",
        "await workflow.conditional({});",
        "workflow.conditional: choose: required option 'choose' is missing",
        "choose",
    ),
    invalid(
        "a loop that goes round nothing",
        "workflow.loop({})",
        "await workflow.loop({});",
        "a loop has one of over, times and condition, and there is none",
        "over",
    ),
    invalid(
        "a loop that goes round two things",
        "workflow.loop({over = {1}, times = 2})",
        "await workflow.loop({ over: [1], times: 2 });",
        "a loop has one of over, times and condition, not over and times",
        "times",
    ),
    invalid(
        "a dag with too many steps at once",
        "workflow.dag({max_concurrent = 65})",
        "await workflow.dag({ max_concurrent: 65 });",
        "workflow.dag: max_concurrent: expected integer <= 64",
        "max_concurrent",
    ),
    # --- workflows that cannot run ---
    bad_flow(
        "a workflow without steps", FLOW_LUA, FLOW_JS, "workflow 'w' has no steps", None
    ),
    bad_flow(
        "steps in a circle",
        'local flow = workflow.dag() flow:add_step({name = "a", after = {"b"}, '
        'run = function() end}) flow:add_step({name = "b", after = {"a"}, run = function() end})',
        'const flow = await workflow.dag(); await flow.addStep({ name: "a", after: ["b"], '
        'run: () => null }); await flow.addStep({ name: "b", after: ["a"], run: () => null });',
        "step 'a': after: a circle: a after b after a",
        "after",
    ),
    bad_flow(
        "a branch to nowhere",
        'local flow = workflow.conditional({choose = "x", branches = {x = "aa"}}) '
        'flow:add_step({name = "aaa", run = function() end})',
        'const flow = await workflow.conditional({ choose: "x", branches: { x: "aa" } }); '
        'await flow.addStep({ name: "aaa", run: () => null });',
        "there is no step 'aa' to branch to; did you mean 'aaa'?",
        "branches",
    ),
    bad_flow(
        "a step that no branch leads to",
        'local flow = workflow.conditional({choose = "x", branches = {x = "a"}}) '
        'flow:add_step({name = "a", run = function() end}) '
        'flow:add_step({name = "b", run = function() end})',
        'const flow = await workflow.conditional({ choose: "x", branches: { x: "a" } }); '
        'await flow.addStep({ name: "a", run: () => null }); '
        'await flow.addStep({ name: "b", run: () => null });',
        "step 'b': no branch leads to it",
        "branches",
    ),
    bad_flow(
        "a placeholder of a step that has not run by then",
        FLOW_LUA + 'flow:add_step({name = "a", prompt = "{{b.output}}"}) '
        'flow:add_step({name = "b", run = function() end})',
        FLOW_JS + 'await flow.addStep({ name: "a", prompt: "{{b.output}}" }); '
        'await flow.addStep({ name: "b", run: () => null });',
        "step 'a': prompt: step 'b' has not run by then",
        "prompt",
    ),
    bad_flow(
        "a workflow inside itself",
        FLOW_LUA + 'flow:add_step({name = "a", workflow = flow})',
        FLOW_JS + 'await flow.addStep({ name: "a", workflow: flow });',
        "workflow 'w' is a step of itself",
        "workflow",
    ),
    # --- run, and the rest ---
    invalid(
        "an input of the wrong type",
        FLOW_LUA + 'flow:run("x")',
        FLOW_JS + 'await flow.run("x");',
        "workflow.flow.run: values: expected map, got string",
        "values",
    ),
    invalid(
        "a progress of the wrong type",
        FLOW_LUA + "for _ in flow:run_with_progress(5) do end",
        FLOW_JS + "for await (const _ of flow.runWithProgress(5)) ;",
        "workflow.flow.run_with_progress: values: expected map, got integer",
        "values",
    ),
    invalid(
        "a run whose id could be a path",
        FLOW_LUA + 'flow:run({}, {id = "../x"})',
        FLOW_JS + 'await flow.run({}, { id: "../x" });',
        "workflow.flow.run: id: expected string matching regex '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'",
        "id",
    ),
    wrong(
        "a branch that there is not",
        'local flow = workflow.conditional({choose = function() return "x" end}) '
        'flow:add_step({name = "a", run = function() end}) flow:run()',
        'const flow = await workflow.conditional({ choose: () => "x" }); '
        'await flow.addStep({ name: "a", run: () => null }); await flow.run();',
        Failed(message="choose gave 'x'; there are: a", kind="Validation"),
    ),
    wrong(
        "an aggregate that fails",
        "local flow = workflow.parallel({aggregate = function() "
        'echo.fail("Provider", "bad") end}) '
        'flow:add_step({name = "a", run = function() end}) flow:run()',
        'const flow = await workflow.parallel({ aggregate: () => echo.fail("Provider", "bad") }); '
        'await flow.addStep({ name: "a", run: () => null }); await flow.run();',
        Failed(message="aggregate: bad", kind="Provider"),
    ),
    wrong(
        "a loop that does not end",
        "local flow = workflow.loop({condition = function() return true end, max_rounds = 3}) "
        'flow:add_step({name = "a", run = function() end}) flow:run()',
        "const flow = await workflow.loop({ condition: () => true, max_rounds: 3 }); "
        'await flow.addStep({ name: "a", run: () => null }); await flow.run();',
        Failed(message="4 rounds or more; max_rounds is 3", kind="Limit", field="max_rounds"),
    ),
    invalid(
        "a run that there is not",
        FLOW_LUA + 'flow:add_step({name = "a", run = function() end}) flow:resume("none")',
        FLOW_JS + 'await flow.addStep({ name: "a", run: () => null }); await flow.resume("none");',
        "this spell has no run 'none'; see workflow.runs()",
        "id",
    ),
    invalid(
        "a run of another workflow",
        'local one = workflow.sequential() one:add_step({name = "a", run = function() return 1 '
        'end}) pcall(workflow.forget, "lua-3") one:run({}, {id = "lua-3"}) ' + FLOW_LUA +
        'flow:add_step({name = "b", run = function() end}) flow:resume("lua-3")',
        'const one = await workflow.sequential(); await one.addStep({ name: "a", run: () => 1 }); '
        'await workflow.forget("js-3"); await one.run({}, { id: "js-3" }); ' + FLOW_JS +
        'await flow.addStep({ name: "b", run: () => null }); await flow.resume("js-3");',
        "this run is of another workflow: step 'a' is gone; step 'b' is new",
        "id",
    ),
    invalid(
        "a resumed run of the wrong type",
        FLOW_LUA + "flow:resume(1)",
        FLOW_JS + "await flow.resume(1);",
        "workflow.flow.resume: id: expected string, got integer",
        "id",
    ),
    invalid(
        "the progress of a run that there is not",
        FLOW_LUA + 'flow:add_step({name = "a", run = function() end}) '
        'for _ in flow:resume_with_progress("none") do end',
        FLOW_JS + 'await flow.addStep({ name: "a", run: () => null }); '
        'for await (const _ of flow.resumeWithProgress("none")) ;',
        "this spell has no run 'none'; see workflow.runs()",
        "id",
    ),
    invalid(
        "a resumed progress of the wrong type",
        FLOW_LUA + "for _ in flow:resume_with_progress(1) do end",
        FLOW_JS + "for await (const _ of flow.resumeWithProgress(1)) ;",
        "workflow.flow.resume_with_progress: id: expected string, got integer",
        "id",
    ),
    invalid(
        "methods that take nothing are given something",
        FLOW_LUA + "flow:validate(1)",
        FLOW_JS + "await flow.validate(1);",
        "workflow.flow.validate: takes no arguments: validate() -> Validation",
        None,
    ),
    invalid(
        "metadata of something",
        FLOW_LUA + "flow:metadata(1)",
        FLOW_JS + "await flow.metadata(1);",
        "workflow.flow.metadata: takes no arguments: metadata() -> Metadata",
        None,
    ),
    invalid(
        "runs of something",
        "workflow.runs(1)",
        "await workflow.runs(1);",
        "workflow.runs: takes no arguments: runs() -> list of KeptRun",
        None,
    ),
    invalid(
        "a run of the wrong type is forgotten",
        "workflow.forget(1)",
        "await workflow.forget(1);",
        "workflow.forget: id: expected string, got integer",
        "id",
    ),
    wrong(
        "a directory that is not granted is not watched",
        'for _ in workflow.watch({path = "/etc"}) do end',
        'for await (const _ of workflow.watch({ path: "/etc" })) ;',
        Failed(
            message="path: '/etc' is in no directory that is granted for reading; "
            "grant one with --allow-read /",
            kind="Policy",
            field="path",
        ),
    ),
    invalid(
        "a source of the wrong type",
        "for _ in workflow.watch(5) do end",
        "for await (const _ of workflow.watch(5)) ;",
        "workflow.watch: source: expected map, got integer",
        "source",
    ),
    wrong(
        "webhooks that are not granted",
        FLOW_LUA + 'for _ in flow:on({webhook = "/x"}) do end',
        FLOW_JS + 'for await (const _ of flow.on({ webhook: "/x" })) ;',
        Failed(
            message="webhooks are not granted: webhook_port of [workflow] names no port",
            kind="Policy",
            field="webhook",
        ),
    ),
    invalid(
        "a workflow on a source of the wrong type",
        FLOW_LUA + "for _ in flow:on({}) do end",
        FLOW_JS + "for await (const _ of flow.on({})) ;",
        "a source has one of path, every and webhook, and there is none",
        "path",
    ),
)  # fmt: skip
