"""Answers kept for questions that mean the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_testkit.model_server import Answer, ModelServer
from tests.bridges.host import llm_host

Ask = Callable[..., Any]

QUESTION = "What is the capital of France?"
ALIKE = "Which city is the capital of France?"


@pytest.fixture
def ask(server: ModelServer, tmp_path: Path) -> Ask:
    """Asks questions, one after the other; how many of them reached the model, and the last answer.

    The model answers each with a number.
    """
    server.script("m", *(Answer(str(n), prompt_tokens=7) for n in range(9)))

    def questions(*asked: Any, cache: Any = None, spells: str = "aaaa", **policy: Any) -> Any:
        settings = {"directory": str(tmp_path), "similarity": 0.93, **(cache or {})}
        host = llm_host(server, settings={"cache": settings}, **policy)
        before = len(server.requests)

        async def work() -> Any:
            found = None
            for spell, request in zip(spells, asked, strict=False):
                host.context = msgspec.structs.replace(host.context, identity=spell)
                options = {"prompt": request} if isinstance(request, str) else request
                found = await host.call("llm.complete", {"model": "test/m", **options})
            return found

        found = host.run(work)
        return len(server.requests) - before, found, host

    return questions


def test_a_question_that_means_the_same_gets_the_kept_answer_for_nothing(ask: Ask) -> None:
    reached, found, host = ask(QUESTION, ALIKE)
    assert (reached, found["content"]) == (1, "0")
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert found["usage"] == {**nothing, "cached": True}
    assert (found["cost"], found["metadata"]["attempts"]) == (0.0, 0)
    assert host.usage.prompt_tokens == 7


def test_a_kept_answer_outlives_its_run(ask: Ask) -> None:
    assert ask(QUESTION)[0] == 1
    reached, found, host = ask(QUESTION)
    assert (reached, found["usage"]["cached"], host.usage.prompt_tokens) == (0, True, 0)


def test_a_question_that_means_something_else_goes_to_the_model(ask: Ask) -> None:
    reached, found, _ = ask(QUESTION, "How do I oil a bicycle chain?")
    assert (reached, found["content"]) == (2, "1")
    assert "cached" not in found["usage"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What is 2 + 2?", "What is 2 + 3?"),
        ({"prompt": QUESTION}, {"prompt": QUESTION, "temperature": 0.5}),
        ({"prompt": QUESTION}, {"prompt": QUESTION, "model": "test/other"}),
        (
            {"prompt": QUESTION},
            {
                "messages": [
                    {"role": "system", "content": "Lie."},
                    {"role": "user", "content": QUESTION},
                ]
            },
        ),
    ],
)
def test_what_differs_beside_the_words_is_another_question(
    ask: Ask, first: Any, second: Any
) -> None:
    assert ask(first, second)[0] == 2


def test_a_request_with_tools_is_never_answered_from_the_cache(ask: Ask) -> None:
    request = {"prompt": QUESTION, "tools": [{"name": "look_up"}]}
    assert ask(request, request)[0] == 2


@pytest.mark.attack("B29")
def test_answers_to_other_spells_are_not_used_unless_they_share_a_tenant(ask: Ask) -> None:
    assert ask(QUESTION, QUESTION, spells="ab")[0] == 2
    red = {"scope": "tenant", "tenant": "red"}
    assert ask(QUESTION, QUESTION, spells="ab", cache=red)[0] == 1
    assert ask(QUESTION, cache={"scope": "tenant", "tenant": "blue"})[0] == 1


def test_answers_grow_old_and_the_oldest_make_room(ask: Ask) -> None:
    assert ask(QUESTION, QUESTION, cache={"ttl": 1e-9})[0] == 2
    other = "How do I oil a bicycle chain?"
    assert ask(other, QUESTION, other, cache={"max_entries": 1})[0] == 3
    assert ask(other, QUESTION, other, cache={"max_entries": 2})[0] == 1


def test_an_answer_that_was_cut_off_is_not_kept(ask: Ask, server: ModelServer) -> None:
    server.script("cut", Answer("half", finish_reason="length"), Answer("whole"))
    request = {"prompt": QUESTION, "model": "test/cut"}
    reached, found, _ = ask(request, request)
    assert (reached, found["content"]) == (2, "whole")


def test_nothing_is_kept_unless_the_config_says_so(server: ModelServer) -> None:
    host = llm_host(server)

    async def work() -> None:
        for _ in range(2):
            await host.call("llm.complete", {"model": "test/m", "prompt": QUESTION})

    host.run(work)
    assert len(server.requests) == 2


@pytest.mark.attack("B23")
def test_a_kept_answer_needs_the_same_grants_as_a_new_one(ask: Ask) -> None:
    ask(QUESTION)
    with pytest.raises(Exception, match="not granted"):
        ask(QUESTION, allow_models=("other/*",))


def test_a_cache_that_cannot_be_used_costs_a_call_and_no_more(ask: Ask, tmp_path: Path) -> None:
    ask(QUESTION)
    for file in tmp_path.glob("cache.db*"):
        file.unlink()
    (tmp_path / "cache.db").write_text("no database, but long enough to look at" * 100)
    assert ask(QUESTION)[0] == 1


def test_a_model_can_compare_the_questions(ask: Ask, server: ModelServer) -> None:
    reached, found, _ = ask("abc", "xyz", cache={"embedding": "test/e", "similarity": 1.0})
    assert found["usage"]["cached"] is True  # the server's vectors tell the length only
    assert reached == 3
