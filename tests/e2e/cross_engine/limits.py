"""Limits that a model's answers pass. The others are cases of the test kit, for every engine."""

from __future__ import annotations

from tests.e2e.cross_engine.case import Failed, fails

CASES = (
    fails(
        "too many tokens",
        'llm.complete({prompt = "x", max_tokens = 500})',
        'await llm.complete({ prompt: "x", max_tokens: 500 })',
        Failed(message="a call may need * and 100 of 100 tokens is left (limit: max_tokens)"),
        verdict="cost_limit",
        policy={"max_tokens": 100},
    ),
)
