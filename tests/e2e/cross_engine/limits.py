"""Limits as verdicts: the first one that is passed ends the run."""

from __future__ import annotations

from typing import Any

from llmspell_supervisor import Verdict
from tests.e2e.cross_engine.case import Case, Failed, fails, gives

MIB = 1024 * 1024


def ends(name: str, lua: str, js: str, verdict: Verdict, message: str, **policy: Any) -> Case:
    return fails(name, lua, js, Failed(message=message), verdict=verdict, policy=policy)


CASES = (
    ends(
        "a loop without an end",
        "while true do end",
        "while (true);",
        "cpu_limit",
        "the spell used more than 200 ms of processor time (limit: cpu)",
        cpu=0.2,
    ),
    ends(
        "a loop that catches everything",
        "while true do pcall(function() while true do end end) end",
        "while (true) try { while (true); } catch {}",
        "cpu_limit",
        "the spell used more than 200 ms of processor time (limit: cpu)",
        cpu=0.2,
    ),
    ends(
        "a spell that sleeps",
        "util.sleep(60000)",
        "await util.sleep(60000)",
        "wall_limit",
        "the spell did not end within 200 ms (limit: timeout)",
        timeout=0.2,
    ),
    ends(
        "a spell that waits for the host",
        "echo.hang()",
        "await echo.hang()",
        "wall_limit",
        "the spell did not end within 200 ms (limit: timeout)",
        timeout=0.2,
    ),
    ends(
        "too much memory",
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "const t = []; while (true) t.push(new Uint8Array(100000).fill(1))",
        "memory_limit",
        "the spell needed more than 96 MiB of memory (limit: memory)",
        memory=96 * MIB,
    ),
    fails(
        "too much on the console",
        "for _ = 1, 1000 do console.log('some text') end",
        "for (let i = 0; i < 1000; i++) console.log('some text')",
        Failed(message="the spell put out more than 100 bytes (limit: max_output)"),
        verdict="output_limit",
        policy={"max_output": 100},
        logs=("log: some text",) * 6,
    ),
    fails(
        "too large a value",
        "return ('x'):rep(2000)",
        "return 'x'.repeat(2000)",
        Failed(message="the spell put out more than * (limit: max_output)"),
        verdict="output_limit",
        policy={"max_output": 1000},
    ),
    ends(
        "too many calls",
        "echo.say(1) echo.say(2) echo.say(3)",
        "await echo.say(1); await echo.say(2); await echo.say(3)",
        "call_limit",
        "the spell made more than 2 calls (limit: max_calls)",
        max_calls=2,
    ),
    ends(
        "too many calls, all errors caught",
        "while true do pcall(echo.say, 1) end",
        "while (true) try { await echo.say(1) } catch {}",
        "call_limit",
        "the spell made more than 5 calls (limit: max_calls)",
        max_calls=5,
    ),
    ends(
        "too many tokens",
        'llm.complete({prompt = "x", max_tokens = 500})',
        'await llm.complete({ prompt: "x", max_tokens: 500 })',
        "cost_limit",
        "a call may need * and 100 of 100 tokens is left (limit: max_tokens)",
        max_tokens=100,
    ),
    gives(
        "as many calls as there may be",
        "return {echo.say(1), echo.say(2)}",
        "return [await echo.say(1), await echo.say(2)]",
        [1, 2],
        policy={"max_calls": 2},
    ),
    gives(
        "as much output as there may be",
        "return ('x'):rep(997)",
        "return 'x'.repeat(997)",
        "x" * 997,
        policy={"max_output": 1000},
    ),
)
