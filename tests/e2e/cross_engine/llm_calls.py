"""`llm`, when all is well: against a real server that answers as it is told."""

from __future__ import annotations

from typing import Any

from llmspell_testkit.model_server import Answer
from tests.e2e.cross_engine.case import gives

HELLO = Answer("Hello, Ada!", prompt_tokens=11, completion_tokens=3)
PIXEL = "iVBORw0KGgo="
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "the weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

CASES = (
    gives(
        "a plain text is one message of the user",
        'return llm.complete("Hi").content',
        'return (await llm.complete("Hi")).content',
        "Hello, Ada!",
        answers=(HELLO,),
    ),
    gives(
        "a prompt",
        'return llm.complete({prompt = "Hi"}).content',
        'return (await llm.complete({ prompt: "Hi" })).content',
        "Hello, Ada!",
        answers=(HELLO,),
    ),
    gives(
        "a conversation",
        'return llm.complete({messages = {{role = "system", content = "Be short."}, '
        '{role = "user", content = "Hi"}, {role = "assistant", content = "Yes?"}, '
        '{role = "user", content = "Ü 🌍"}}}).content',
        'return (await llm.complete({ messages: [{ role: "system", content: "Be short." }, '
        '{ role: "user", content: "Hi" }, { role: "assistant", content: "Yes?" }, '
        '{ role: "user", content: "Ü 🌍" }] })).content',
        "Hello, Ada!",
        answers=(HELLO,),
    ),
    gives(
        "everything that an answer says",
        'local r = llm.complete("Hi") return {r.content, r.message.role, r.message.content, '
        "r.usage, r.model, r.provider, r.finish_reason, r.metadata.attempts, r.cost == nil or r.cost == json.null, "
        "r.metadata.latency_ms >= 0}",
        'const r = await llm.complete("Hi"); return [r.content, r.message.role, '
        "r.message.content, r.usage, r.model, r.provider, r.finish_reason, r.metadata.attempts, "
        "r.cost === null, r.metadata.latency_ms >= 0]",
        [
            "Hello, Ada!",
            "assistant",
            "Hello, Ada!",
            {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
            "model",
            "scripted",
            "stop",
            1,
            True,
            True,
        ],
        answers=(HELLO,),
    ),
    gives(
        "an answer that reached its length",
        'return llm.complete("Hi").finish_reason',
        'return (await llm.complete("Hi")).finish_reason',
        "length",
        answers=(Answer("Hel", finish_reason="length"),),
    ),
    gives(
        "an empty answer",
        'return llm.complete("Hi").content',
        'return (await llm.complete("Hi")).content',
        "",
        answers=(Answer(""),),
    ),
    gives(
        "an answer beyond ASCII",
        'return llm.complete("Hi").content',
        'return (await llm.complete("Hi")).content',
        'ü🌍\n"x"\t',
        answers=(Answer('ü🌍\n"x"\t'),),
    ),
    gives(
        "a long answer",
        'return #llm.complete("Hi").content',
        'return (await llm.complete("Hi")).content.length',
        200_000,
        answers=(Answer("x" * 200_000),),
    ),
    gives(
        "every option reaches the model",
        'return llm.complete({prompt = "Hi", temperature = 0.5, max_tokens = 50, top_p = 0.9, '
        'seed = 7, stop = {"a", "b"}, presence_penalty = 0.5, frequency_penalty = -0.5, '
        "extra = {top_k = 40}}).content",
        'return (await llm.complete({ prompt: "Hi", temperature: 0.5, max_tokens: 50, '
        'top_p: 0.9, seed: 7, stop: ["a", "b"], presence_penalty: 0.5, '
        "frequency_penalty: -0.5, extra: { top_k: 40 } })).content",
        "Hello, Ada!",
        answers=(HELLO,),
    ),
    gives(
        "one text that ends the answer",
        'return llm.complete({prompt = "Hi", stop = "END"}).content',
        'return (await llm.complete({ prompt: "Hi", stop: "END" })).content',
        "Hello, Ada!",
        answers=(HELLO,),
    ),
    gives(
        "a model by its alias",
        'return llm.complete({prompt = "Hi", model = "writer"}).model',
        'return (await llm.complete({ prompt: "Hi", model: "writer" })).model',
        "model",
        answers=(HELLO,),
    ),
    gives(
        "a model by provider and name",
        'return llm.complete({prompt = "Hi", model = "scripted/model"}).provider',
        'return (await llm.complete({ prompt: "Hi", model: "scripted/model" })).provider',
        "scripted",
        answers=(HELLO,),
    ),
    gives(
        "a model by provider, and name beside it",
        'return llm.complete({prompt = "Hi", provider = "scripted", model = "model"}).provider',
        'return (await llm.complete({ prompt: "Hi", provider: "scripted", model: "model" }))'
        ".provider",
        "scripted",
        answers=(HELLO,),
    ),
    gives(
        "the model asks for a tool",
        'local r = llm.complete({prompt = "Weather?", tools = {params.tool}, '
        'tool_choice = "weather"}) return {r.finish_reason, r.tool_calls, r.content}',
        'const r = await llm.complete({ prompt: "Weather?", tools: [params.tool], '
        'tool_choice: "weather" }); return [r.finish_reason, r.tool_calls, r.content]',
        ["tool_calls", [{"id": "call_0", "name": "weather", "arguments": {"city": "Bern"}}], ""],
        params={"tool": WEATHER},
        answers=(Answer(None, tool_calls=(("weather", '{"city": "Bern"}'),)),),
    ),
    gives(
        "a tool's result goes back to the model",
        'local m = {{role = "user", content = "Weather?"}}\n'
        "local r = llm.complete({messages = m, tools = {params.tool}})\n"
        "m[2] = r.message\n"
        'm[3] = {role = "tool", tool_call_id = r.tool_calls[1].id, content = "sun"}\n'
        "return llm.complete({messages = m, tools = {params.tool}}).content",
        'const m = [{ role: "user", content: "Weather?" }];\n'
        "const r = await llm.complete({ messages: m, tools: [params.tool] });\n"
        "m.push(r.message);\n"
        'm.push({ role: "tool", tool_call_id: r.tool_calls[0].id, content: "sun" });\n'
        "return (await llm.complete({ messages: m, tools: [params.tool] })).content",
        "It is sunny.",
        params={"tool": WEATHER},
        answers=(
            Answer(None, tool_calls=(("weather", '{"city": "Bern"}'),)),
            Answer("It is sunny."),
        ),
    ),
    gives(
        "a tool without parameters, asked for without arguments",
        'local r = llm.complete({prompt = "x", tools = {{name = "now", parameters = {}}}}) '
        "return llm.complete({messages = {{role = 'user', content = 'x'}, r.message, "
        "{role = 'tool', tool_call_id = 'call_0', content = 'noon'}}}).content",
        'const r = await llm.complete({ prompt: "x", tools: [{ name: "now", parameters: {} }] }); '
        "return (await llm.complete({ messages: [{ role: 'user', content: 'x' }, r.message, "
        "{ role: 'tool', tool_call_id: 'call_0', content: 'noon' }] })).content",
        "ok",
        answers=(Answer(None, tool_calls=(("now", "{}"),)), Answer("ok")),
    ),
    gives(
        "a tool's arguments that are no JSON come as they are",
        'return llm.complete("x").tool_calls[1].arguments',
        'return (await llm.complete("x")).tool_calls[0].arguments',
        '{"city": ',
        answers=(Answer(None, tool_calls=(("weather", '{"city": '),)),),
    ),
    gives(
        "an answer by a schema is read",
        'return llm.complete({prompt = "n?", schema = params.schema}).data',
        'return (await llm.complete({ prompt: "n?", schema: params.schema })).data',
        {"n": 7},
        params={"schema": SCHEMA},
        answers=(Answer('{"n": 7}'),),
    ),
    gives(
        "the provider's own response format",
        'return llm.complete({prompt = "n?", response_format = {type = "json_object"}}).content',
        'return (await llm.complete({ prompt: "n?", response_format: { type: "json_object" } }))'
        ".content",
        "{}",
        answers=(Answer("{}"),),
    ),
    gives(
        "an image as octets and as base64",
        'local image = util.base64_decode(params.pixel) return llm.complete({messages = {{role = "user", '
        'content = {{type = "text", text = "What?"}, {type = "image", data = image}, '
        '{type = "image", data = params.pixel, mime = "image/jpeg"}}}}}).content',
        "const image = util.base64Decode(params.pixel); return (await llm.complete({ messages: [{ role: "
        '"user", content: [{ type: "text", text: "What?" }, { type: "image", data: image }, '
        '{ type: "image", data: params.pixel, mime: "image/jpeg" }] }] })).content',
        "red",
        params={"pixel": PIXEL},
        answers=(Answer("red"),),
    ),
    gives(
        "metadata of a message is the script's own",
        'return llm.complete({messages = {{role = "user", content = "x", metadata = {id = 1}}}})'
        ".content",
        'return (await llm.complete({ messages: [{ role: "user", content: "x", '
        "metadata: { id: 1 } }] })).content",
        "ok",
        answers=(Answer("ok"),),
    ),
    gives(
        "a stream, piece by piece",
        'local t = {} for c in llm.stream("Hi") do if c.content then t[#t + 1] = c.content end end '
        "return t",
        'const t = []; for await (const c of llm.stream("Hi")) if (c.content) t.push(c.content); '
        "return t",
        ["Hel", "lo, ", "Ada!"],
        answers=(Answer(pieces=("Hel", "lo, ", "Ada!")),),
    ),
    gives(
        "what a stream ends with",
        'local s = llm.stream({prompt = "Hi"}) for _ in s do end '
        "return {s.result.content, s.result.usage, s.result.finish_reason}",
        'const s = llm.stream({ prompt: "Hi" }); for await (const _ of s); '
        "const r = await s.result; return [r.content, r.usage, r.finish_reason]",
        ["Hello, Ada!", {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}, "stop"],
        answers=(HELLO,),
    ),
    gives(
        "the last piece of a stream says why it ended",
        'local last for c in llm.stream("Hi") do last = c end return last.finish_reason',
        'let last; for await (const c of llm.stream("Hi")) last = c; return last.finish_reason',
        "stop",
        answers=(HELLO,),
    ),
    gives(
        "a tool that is asked for in a stream",
        'local name, text = nil, "" for c in llm.stream("x") do for _, p in ipairs(c.tool_calls or {}) '
        'do name = p.name or name text = text .. (p.arguments or "") end end return {name, text}',
        'let name, text = ""; for await (const c of llm.stream("x")) for (const p of '
        'c.tool_calls ?? []) { name = p.name ?? name; text += p.arguments ?? "" } '
        "return [name, text]",
        ["weather", '{"city": "Bern"}'],
        answers=(Answer("", tool_calls=(("weather", '{"city": "Bern"}'),)),),
    ),
    gives(
        "a stream that is left early, and a call after it",
        'local s = llm.stream("Hi") for c in s do s:close() break end '
        'return llm.complete("x").content',
        'for await (const c of llm.stream("Hi")) break; return (await llm.complete("x")).content',
        "second",
        answers=(Answer(pieces=("a ",) * 200), Answer("second")),
    ),
    gives(
        "one text embedded",
        'local r = llm.embed("four") return {#r.embeddings, r.embeddings[1][2], r.model, '
        "r.usage.total_tokens}",
        'const r = await llm.embed("four"); return [r.embeddings.length, '
        "r.embeddings[0][1], r.model, r.usage.total_tokens]",
        [1, 0.5, "model", 7],
        answers=(Answer(),),
    ),
    gives(
        "several texts embedded, in order",
        'local r = llm.embed({"a", "bb", "ccc"}) local t = {} for i, v in ipairs(r.embeddings) do '
        "t[i] = v[1] // 1 | 0 end return t",
        'const r = await llm.embed(["a", "bb", "ccc"]); return r.embeddings.map((v) => v[0])',
        [1, 2, 3],
        answers=(Answer(),),
    ),
    gives(
        "texts embedded with options",
        'return #llm.embed({input = {"a"}, timeout = 20, model = "writer"}).embeddings',
        'return (await llm.embed({ input: ["a"], timeout: 20, model: "writer" }))'
        ".embeddings.length",
        1,
        answers=(Answer(),),
    ),
    gives(
        "the models that a spell may use",
        "return llm.models()",
        "return llm.models()",
        {
            "default": "scripted/model",
            "allow": ["*"],
            "models": [
                {"name": "writer", "model": "scripted/model", "source": "alias"},
                {"name": "local", "model": "local", "source": "local"},
                {"name": "scripted/model", "model": "scripted/model", "source": "default"},
            ],
        },
    ),
    gives(
        "three questions, one after the other or all at once",
        'local t = {} for _, q in ipairs({"a", "b", "c"}) do t[#t + 1] = llm.complete(q).content end '
        "return t",
        'const t = []; for (const r of await Promise.all(["a", "b", "c"].map((q) => '
        "llm.complete(q)))) t.push(r.content); return t",
        ["so", "so", "so"],
        answers=(Answer("so"),) * 3,
    ),
)
