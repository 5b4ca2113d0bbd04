"""`llm.agent` and what belongs to it, in both languages."""

from __future__ import annotations

from llmspell_testkit.model_server import Answer, Refusal
from tests.e2e.cross_engine.case import Failed, caught, gives

HELLO = Answer("Hello, Ada!", prompt_tokens=11, completion_tokens=3)
WEATHER = Answer("", tool_calls=(("weather", '{"city": "Bern"}'),))
TOOL_LUA = """{
    name = "weather", description = "the weather in a city",
    parameters = {
        type = "object", properties = {city = {type = "string"}}, required = {"city"},
    },
    handler = function(given) return "sun in " .. given.city end,
}"""
TOOL_JS = """{
    name: "weather", description: "the weather in a city",
    parameters: {
        type: "object", properties: { city: { type: "string" } }, required: ["city"],
    },
    handler: async (given) => `sun in ${given.city}`,
}"""

CASES = (
    gives(
        "an answer is a text with fields",
        'local a = llm.agent({system = "Be short."}):run("Hi") '
        'return {a:sub(1, 5), #a, a .. "", tostring(a), a.content, a.usage.total_tokens, a.turns, a.agent}',
        'const a = await (await llm.agent({ system: "Be short." })).run("Hi"); '
        "return [a.substring(0, 5), a.length, a + '', `${a}`, a.content, a.usage.total_tokens, a.turns, a.agent]",
        ["Hello", 11, "Hello, Ada!", "Hello, Ada!", "Hello, Ada!", 14, 1, "agent"],
        answers=(HELLO,),
    ),
    gives(
        "a function of the spell is a tool",
        f'local a = llm.agent({{tools = {{{TOOL_LUA}}}}}):run("Weather?") '
        "return {a.content, a.turns, a.tool_calls[1].name, a.tool_calls[1].output}",
        f'const a = await (await llm.agent({{ tools: [{TOOL_JS}] }})).run("Weather?"); '
        "return [a.content, a.turns, a.tool_calls[0].name, a.tool_calls[0].output]",
        ["It is sunny.", 2, "weather", "sun in Bern"],
        answers=(WEATHER, Answer("It is sunny.")),
    ),
    gives(
        "a tool may call bridges itself",
        'local a = llm.agent({tools = {{name = "weather", parameters = {additionalProperties = true}, '
        'handler = function() return tools.calculator("6 * 7") end}}}):run("?") '
        "return a.tool_calls[1].output",
        'const a = await (await llm.agent({ tools: [{ name: "weather", parameters: { additionalProperties: true }, '
        'handler: async () => await tools.calculator("6 * 7") }] })).run("?"); '
        "return a.tool_calls[0].output",
        "42",
        answers=(WEATHER, Answer("done")),
    ),
    gives(
        "a built-in tool by its name",
        'return llm.agent({tools = {"calculator"}}):run("6 * 7?").tool_calls[1].output',
        'return (await (await llm.agent({ tools: ["calculator"] })).run("6 * 7?")).tool_calls[0].output',
        "42",
        answers=(Answer("", tool_calls=(("calculator", '{"expression": "6*7"}'),)), Answer("42")),
    ),
    gives(
        "a tool that raises is told to the model",
        'local a = llm.agent({tools = {{name = "weather", parameters = {additionalProperties = true}, '
        'handler = function() error("no clouds", 0) end}}}):run("?") '
        "return {a.content, a.tool_calls[1].ok}",
        'const a = await (await llm.agent({ tools: [{ name: "weather", parameters: { additionalProperties: true }, '
        'handler: () => { throw new Error("no clouds") } }] })).run("?"); '
        "return [a.content, a.tool_calls[0].ok]",
        ["Alas.", False],
        answers=(WEATHER, Answer("Alas.")),
    ),
    gives(
        "a structured answer",
        'return llm.agent({output_schema = {type = "object", properties = {n = {type = "integer"}}}})'
        ':run("?").data.n',
        'return (await (await llm.agent({ output_schema: { type: "object", '
        'properties: { n: { type: "integer" } } } })).run("?")).data.n',
        3,
        answers=(Answer('{"n": 3}'),),
    ),
    gives(
        "an agent as a tool of another",
        'local poet = llm.agent({name = "poet"}) return llm.agent({tools = {poet}}):run("?").content',
        'const poet = await llm.agent({ name: "poet" }); '
        'return (await (await llm.agent({ tools: [poet] })).run("?")).content',
        "The poet says: Hoo.",
        answers=(
            Answer("", tool_calls=(("poet", '{"input": "owls"}'),)),
            Answer("Hoo."),
            Answer("The poet says: Hoo."),
        ),
    ),
    gives(
        "an agent takes over from another",
        'local poet = llm.agent({name = "poet"}) local a = llm.agent({handoffs = {poet}}):run("?") '
        "return {a.content, a.agent}",
        'const poet = await llm.agent({ name: "poet" }); '
        'const a = await (await llm.agent({ handoffs: [poet] })).run("?"); return [a.content, a.agent]',
        ["Hoo.", "poet"],
        answers=(Answer("", tool_calls=(("transfer_to_poet", "{}"),)), Answer("Hoo.")),
    ),
    gives(
        "what happens as it happens",
        f"local out = {{}} local a = llm.agent({{tools = {{{TOOL_LUA}}}}}) "
        'for c in a:run_stream("Weather?") do out[#out + 1] = c.type .. ":" .. '
        "(c.content or c.output or c.name) end return out",
        f"const out = []; const a = await llm.agent({{ tools: [{TOOL_JS}] }}); "
        'for await (const c of a.runStream("Weather?")) out.push(c.type + ":" + '
        "(c.content ?? c.output ?? c.name)); return out",
        ["tool_call:weather", "tool_result:sun in Bern", "text:It", "text: is", "text: sunny."],
        answers=(WEATHER, Answer("It is sunny.")),
    ),
    gives(
        "a conversation",
        'local a, chat = llm.agent({}), llm.conversation() a:run_with_context("I am Ada", chat) '
        'a:run_with_context("Who am I?", chat) local said = chat:messages() return {#said, said[4].content}',
        "const a = await llm.agent({}); const chat = await llm.conversation(); "
        'await a.runWithContext("I am Ada", chat); await a.runWithContext("Who am I?", chat); '
        "const said = await chat.messages(); return [said.length, said[3].content]",
        [4, "Ada."],
        answers=(HELLO, Answer("Ada.")),
    ),
    gives(
        "a conversation that is cleared",
        'local a, chat = llm.agent({}), llm.conversation() a:run_with_context("I am Ada", chat) '
        "chat:clear() return #chat:messages()",
        "const a = await llm.agent({}); const chat = await llm.conversation(); "
        'await a.runWithContext("I am Ada", chat); await chat.clear(); '
        "return (await chat.messages()).length",
        0,
        answers=(HELLO,),
    ),
    gives(
        "a conversation is not cleared while an agent is at work in it",
        "local chat, seen = llm.conversation(), nil "
        'llm.agent({tools = {{name = "weather", parameters = {additionalProperties = true}, '
        "handler = function() local ok, e = pcall(chat.clear, chat) seen = e.kind end}}})"
        ':run_with_context("?", chat) return seen',
        "const chat = await llm.conversation(); let seen; "
        'await (await llm.agent({ tools: [{ name: "weather", parameters: { additionalProperties: true }, '
        "handler: async () => { try { await chat.clear() } catch (e) { seen = e.kind } } }] }))"
        '.runWithContext("?", chat); return seen',
        "Validation",
        answers=(WEATHER, Answer("done")),
    ),
    gives(
        "several agents at the same time",
        'local a = llm.agent({}) local found = llm.parallel({{agent = a, input = "1"}, '
        '{agent = a, input = "1"}}) return {#found, found[1] .. found[2]}',
        'const a = await llm.agent({}); const found = await llm.parallel([{ agent: a, input: "1" }, '
        '{ agent: a, input: "1" }]); return [found.length, found[0] + found[1]]',
        [2, "same.same."],
        answers=(Answer("same."), Answer("same.")),
    ),
    gives(
        "a guardrail that agrees, and one that does not",
        "local a = llm.agent({guardrails = {input = {function(text) "
        'return text == "please" or "say please" end}}}) '
        'local ok, e = pcall(a.run, a, "now") return {a:run("please").content, e.field, e.message}',
        'const a = await llm.agent({ guardrails: { input: [(text) => text === "please" || "say please"] } }); '
        'let e; try { await a.run("now") } catch (caught) { e = caught } '
        'return [(await a.run("please")).content, e.field, e.message]',
        ["Hello, Ada!", "input", "agent: a guardrail refuses the input: say please"],
        answers=(HELLO,),
    ),
    gives(
        "the tools of an agent, and whether it could run",
        f'local a = llm.agent({{tools = {{"calculator", {TOOL_LUA}}}}}) '
        "local tools = a:tools() return {#tools, tools[2].name, a:validate().valid}",
        f'const a = await llm.agent({{ tools: ["calculator", {TOOL_JS}] }}); '
        "const tools = await a.tools(); return [tools.length, tools[1].name, (await a.validate()).valid]",
        [2, "weather", True],
    ),
    caught(
        "an unknown option of an agent",
        "llm.agent({sistem = 'x'})",
        "await llm.agent({ sistem: 'x' })",
        Failed(
            kind="Validation",
            field="sistem",
            message="llm.agent: sistem: unknown option 'sistem'; did you mean 'system'?",
        ),
    ),
    caught(
        "an option of a wrong type",
        "llm.agent({max_turns = 'x'})",
        "await llm.agent({ max_turns: 'x' })",
        Failed(
            kind="Validation",
            field="max_turns",
            message="llm.agent: max_turns: expected integer, got string",
        ),
    ),
    caught(
        "a tool that there is not",
        "llm.agent({tools = {'calculater'}})",
        "await llm.agent({ tools: ['calculater'] })",
        Failed(
            kind="Validation",
            field="tools[0]",
            message="tools[0]: there is no tool 'calculater' for this spell; did you mean 'calculator'?",
        ),
    ),
    caught(
        "the input of a run has a wrong type",
        "llm.agent({}):run({})",
        "await (await llm.agent({})).run([])",
        Failed(
            kind="Validation",
            field="input",
            message="llm.agent.run: input: expected string, got list",
        ),
    ),
    caught(
        "the input of a stream has a wrong type",
        "for _ in llm.agent({}):run_stream(7) do end",
        "for await (const _ of (await llm.agent({})).runStream(7));",
        Failed(
            kind="Validation",
            field="input",
            message="llm.agent.run_stream: input: expected string, got integer",
        ),
    ),
    caught(
        "what is no conversation",
        "local a = llm.agent({}) a:run_with_context('Hi', a)",
        "const a = await llm.agent({}); await a.runWithContext('Hi', a)",
        Failed(
            kind="Validation",
            field="context",
            message="context: must be an object of kind 'conversation'; this one is of kind 'agent'",
        ),
    ),
    caught(
        "a conversation that cannot be kept",
        "llm.conversation({name = 'diary'})",
        "await llm.conversation({ name: 'diary' })",
        Failed(
            kind="Configuration",
            field="name",
            message="conversations are kept nowhere: set conversations under [llm] in the config"
            " file to a folder, or leave the name out",
        ),
    ),
    caught(
        "a conversation with a wrong type",
        "llm.conversation({name = 7})",
        "await llm.conversation({ name: 7 })",
        Failed(
            kind="Validation",
            field="name",
            message="llm.conversation: name: expected string, got integer",
        ),
    ),
    caught(
        "nothing to do at the same time",
        "llm.parallel({})",
        "await llm.parallel([])",
        Failed(
            kind="Validation",
            field="tasks",
            message="llm.parallel: tasks: expected list of length >= 1",
        ),
    ),
    caught(
        "an agent without an answer in time",
        'llm.agent({max_turns = 1, tools = {"calculator"}}):run("?")',
        'await (await llm.agent({ max_turns: 1, tools: ["calculator"] })).run("?")',
        Failed(
            kind="Limit",
            field="max_turns",
            message="agent: no answer within 1 turns (max_turns)",
        ),
        answers=(Answer("", tool_calls=(("calculator", '{"expression": "1"}'),)),),
    ),
    caught(
        "an agent whose model fails",
        'llm.agent({}):run("?")',
        'await (await llm.agent({})).run("?")',
        Failed(kind="Configuration", message="scripted/model: bad key"),
        answers=(Refusal(401, "bad key"),),
    ),
    caught(
        "a stream whose model fails",
        'for _ in llm.agent({}):run_stream("?") do end',
        'for await (const _ of (await llm.agent({})).runStream("?"));',
        Failed(kind="Configuration", message="scripted/model: bad key"),
        answers=(Refusal(401, "bad key"),),
    ),
)
