"""`llm`, when something is wrong: the seven kinds, and requests that are refused."""

from __future__ import annotations

from typing import Any

from llmspell_testkit.model_server import Answer, Bytes, Gate, Hangup, Refusal
from tests.e2e.cross_engine.case import Case, Failed, caught, fails, gives

WHO = "scripted/model"


def refused(name: str, option: tuple[str, str], message: str, field: str) -> Case:
    """A request that never leaves: an option in Lua and in JavaScript, and what is said of it."""
    lua, js = option
    failed = Failed(kind="Validation", message=message, field=field)
    return caught(f"refused: {name}", f"llm.complete({{{lua}}})", f"await llm.complete({{ {js} }})",
                  failed)  # fmt: skip


def answered(name: str, answer: Any, failed: Failed) -> Case:
    """What the provider does, and how the spell sees it."""
    return caught(name, 'llm.complete("Hi")', 'await llm.complete("Hi")', failed, answers=(answer,))


CASES = (
    answered(
        "Provider: the server failed",
        Refusal(500, "the stars are wrong"),
        Failed(kind="Provider", message=f"{WHO}: the stars are wrong", retryable=True),
    ),
    answered(
        "Configuration: the key is wrong",
        Refusal(401, "bad key"),
        Failed(kind="Configuration", message=f"{WHO}: bad key"),
    ),
    answered(
        "Configuration: there is no such model",
        Refusal(404, "no such model"),
        Failed(kind="Configuration", message=f"{WHO}: no such model"),
    ),
    answered(
        "Validation: the provider refuses the request",
        Refusal(400, "too hot"),
        Failed(kind="Validation", message=f"{WHO}: too hot"),
    ),
    gives(
        "Network: the connection is reset",
        'local ok, e = pcall(llm.complete, "Hi") return {e.kind, e.retryable}',
        'try { await llm.complete("Hi") } catch (e) { return [e.kind, e.retryable] }',
        ["Network", True],
        answers=(Hangup(),),
    ),
    answered(
        "Serialization: the answer is no JSON",
        Bytes(b"<html>"),
        Failed(
            kind="Serialization",
            message=f"{WHO}: what came back is not an answer of a model; is its base_url right?",
        ),
    ),
    answered(
        "RateLimit: with the time to wait",
        Refusal(429, "slow down", retry_after=2.5),
        Failed(kind="RateLimit", message=f"{WHO}: slow down", retryable=True, retry_after=2.5),
    ),
    caught(
        "Timeout: with its duration",
        'llm.complete({prompt = "Hi", timeout = 0.2})',
        'await llm.complete({ prompt: "Hi", timeout: 0.2 })',
        Failed(
            kind="Timeout", message=f"{WHO}: no answer within 0.2 s", retryable=True, duration=0.2
        ),
        answers=(Answer("never", gate=Gate()),),
    ),
    caught(
        "Policy: a model that is not granted",
        'llm.complete("Hi")',
        'await llm.complete("Hi")',
        Failed(
            kind="Policy",
            field="model",
            message="the model scripted/model is not granted to this spell (granted: other/*)",
        ),
        policy={"allow_models": ("other/*",)},
    ),
    fails(
        "Policy: a model that is not granted, and nobody catches it",
        '\nllm.complete("Hi")',
        '\nawait llm.complete("Hi")',
        Failed(
            kind="Policy",
            field="model",
            line=2,
            message="the model scripted/model is not granted to this spell (granted: other/*)",
        ),
        policy={"allow_models": ("other/*",)},
        verdict="policy_denied",
    ),
    caught(
        "Configuration: nobody serves the model",
        'llm.complete({prompt = "Hi", model = "no-such-model-x"})',
        'await llm.complete({ prompt: "Hi", model: "no-such-model-x" })',
        Failed(
            kind="Configuration",
            field="model",
            message="nobody is known to serve the "
            "model 'no-such-model-x': write PROVIDER/no-such-model-x, or give the name a "
            "meaning under [llm.aliases] in the config file",
        ),
    ),
    fails(
        "RateLimit: nobody catches it",
        '\n\nllm.complete("Hi")',
        '\n\nawait llm.complete("Hi")',
        Failed(
            kind="RateLimit", message=f"{WHO}: slow down", retryable=True, retry_after=2.5, line=3
        ),
        answers=(Refusal(429, "slow down", retry_after=2.5),),
    ),
    gives(
        "a call is repeated when the spell says so",
        'local r = llm.complete({prompt = "Hi", retries = {attempts = 3, base_delay = 0}}) '
        "return {r.content, r.metadata.attempts}",
        'const r = await llm.complete({ prompt: "Hi", retries: { attempts: 3, base_delay: 0 } }); '
        "return [r.content, r.metadata.attempts]",
        ["at last", 3],
        answers=(Refusal(500, "no"), Refusal(429, "wait"), Answer("at last")),
    ),
    gives(
        "a spell repeats a call by itself",
        "local n = 0 while true do n = n + 1 local ok, r = pcall(llm.complete, 'Hi') "
        "if ok then return {n, r.content} end if not r.retryable then error(r) end end",
        "let n = 0; while (true) { n++; try { const r = await llm.complete('Hi'); "
        "return [n, r.content] } catch (e) { if (!e.retryable) throw e } }",
        [3, "at last"],
        answers=(Refusal(500, "no"), Refusal(503, "no"), Answer("at last")),
    ),
    caught(
        "a stream that is refused",
        'for _ in llm.stream("Hi") do end',
        'for await (const _ of llm.stream("Hi"));',
        Failed(kind="Configuration", message=f"{WHO}: bad key"),
        answers=(Refusal(401, "bad key"),),
    ),
    gives(
        "a stream that is cut off",
        'local t = {} local ok, e = pcall(function() for c in llm.stream("Hi") do '
        "t[#t + 1] = c.content end end) return {t, e.kind, e.retryable}",
        'const t = []; try { for await (const c of llm.stream("Hi")) t.push(c.content) } '
        "catch (e) { return [t, e.kind, e.retryable] }",
        [["a", "b"], "Network", True],
        answers=(Answer(pieces=("a", "b", "c"), cut_after=2),),
    ),
    caught(
        "an answer that is not what the schema asks for",
        'llm.complete({prompt = "n?", schema = {type = "object"}})',
        'await llm.complete({ prompt: "n?", schema: { type: "object" } })',
        Failed(
            kind="Serialization",
            message=f"{WHO}: the answer is not the JSON that schema "
            "asks for: JSON is malformed: invalid character (byte 0)",
            retryable=True,
        ),
        answers=(Answer("seven"),),
    ),
    refused(
        "an option that nobody knows",
        ('prompt = "x", temprature = 1', 'prompt: "x", temprature: 1'),
        "llm.complete: temprature: unknown option 'temprature'; did you mean 'temperature'?",
        "temprature",
    ),
    refused(
        "an option in another custom",
        ('prompt = "x", maxTokens = 1', 'prompt: "x", maxTokens: 1'),
        "llm.complete: maxTokens: unknown option 'maxTokens'; did you mean 'max_tokens'?",
        "maxTokens",
    ),
    refused(
        "an option of the wrong type",
        ('prompt = "x", temperature = "hot"', 'prompt: "x", temperature: "hot"'),
        "llm.complete: temperature: expected number, got string",
        "temperature",
    ),
    refused(
        "an option out of range",
        ('prompt = "x", temperature = 3', 'prompt: "x", temperature: 3'),
        "llm.complete: temperature: expected number <= 2.0",
        "temperature",
    ),
    refused(
        "no tokens at all",
        ('prompt = "x", max_tokens = 0', 'prompt: "x", max_tokens: 0'),
        "llm.complete: max_tokens: expected integer >= 1",
        "max_tokens",
    ),
    refused(
        "half a token",
        ('prompt = "x", max_tokens = 1.5', 'prompt: "x", max_tokens: 1.5'),
        "llm.complete: max_tokens: expected integer, got number",
        "max_tokens",
    ),
    refused(
        "a role that there is not",
        (
            'messages = {{role = "wizard", content = "x"}}',
            'messages: [{ role: "wizard", content: "x" }]',
        ),
        'llm.complete: messages[0].role: must be "system" or "user" or "assistant" or "tool", '
        "not 'wizard'",
        "messages[0].role",
    ),
    refused(
        "a message without a role",
        ('messages = {{content = "x"}}', 'messages: [{ content: "x" }]'),
        "llm.complete: messages[0].role: required option 'role' is missing",
        "messages[0].role",
    ),
    refused(
        "messages that are no list",
        ('messages = "hello"', 'messages: "hello"'),
        "llm.complete: messages: expected list, got string",
        "messages",
    ),
    refused(
        "neither messages nor a prompt",
        ("temperature = 1", "temperature: 1"),
        "messages: there are no messages, and no prompt in their place",
        "messages",
    ),
    refused(
        "messages and a prompt",
        (
            'prompt = "x", messages = {{role = "user", content = "y"}}',
            'prompt: "x", messages: [{ role: "user", content: "y" }]',
        ),
        "prompt: give messages or prompt, not both",
        "prompt",
    ),
    refused(
        "an extra option that the operator has not granted",
        ('prompt = "x", extra = {top_kk = 1}', 'prompt: "x", extra: { top_kk: 1 }'),
        "extra.top_kk: unknown option 'top_kk'; did you mean 'top_k'?",
        "extra.top_kk",
    ),
    caught(
        "refused: nothing to embed",
        "llm.embed({})",
        "await llm.embed([])",
        Failed(kind="Validation", field="input", message="input: there is nothing to embed"),
    ),
    caught(
        "refused: a number to embed",
        "llm.embed(5)",
        "await llm.embed(5)",
        Failed(
            kind="Validation",
            field="request",
            message="llm.embed: request: expected string or map or list, got integer",
        ),
    ),
    caught(
        "refused: no request at all",
        "llm.complete()",
        "await llm.complete()",
        Failed(
            kind="Validation",
            message="llm.complete: takes 1 argument: complete(request: "
            "string or CompletionRequest) -> CompletionResponse",
        ),
    ),
    caught(
        "refused: octets for a prompt",
        'llm.complete("\\255")',
        "await llm.complete(new Uint8Array([255]))",
        Failed(
            kind="Validation",
            field="request",
            message="llm.complete: request: expected string or map, got bytes",
        ),
    ),
)
