"""How long the pause before another attempt is."""

from __future__ import annotations

import pytest
import tenacity

from llmspell_bridges import BridgeError
from llmspell_bridges.llm._retry import _JITTER, _Wait
from llmspell_bridges.llm._types import Retries
from llmspell_testkit.model_server import Answer, Gate, ModelServer, Refusal
from tests.bridges.host import complete, llm_host


def waits(retries: Retries, attempts: int, error: BridgeError | None = None) -> list[float]:
    """The pauses after each of so many attempts that failed."""
    wait = _Wait(retries)
    found = []
    for number in range(1, attempts + 1):
        state = tenacity.RetryCallState(tenacity.AsyncRetrying(), None, (), {})
        state.attempt_number = number
        if error is not None:
            state.set_exception((type(error), error, None))
        found.append(wait(state))
    return found


@pytest.mark.parametrize(
    ("retries", "curve"),
    [
        (Retries(base_delay=2, backoff="exponential"), [2, 4, 8, 16, 20]),
        (Retries(base_delay=2, backoff="linear"), [2, 4, 6, 8, 10]),
        (Retries(base_delay=2, backoff="constant"), [2, 2, 2, 2, 2]),
        (Retries(base_delay=2, max_delay=5), [2, 4, 5, 5, 5]),
        (Retries(base_delay=2, max_delay=5, backoff="linear"), [2, 4, 5, 5, 5]),
        (Retries(base_delay=5, max_delay=2, backoff="constant"), [2, 2, 2, 2, 2]),
    ],
    ids=["exponential", "linear", "constant", "capped", "linear, capped", "constant, capped"],
)
def test_the_wait_grows_as_asked_up_to_its_cap(retries: Retries, curve: list[int]) -> None:
    for wait, expected in zip(waits(retries, len(curve)), curve, strict=True):
        assert expected <= wait <= expected * (1 + _JITTER)


def test_calls_that_failed_together_do_not_come_back_together() -> None:
    retries = Retries(base_delay=2, backoff="constant")
    assert len(set(waits(retries, 100))) > 90


def test_a_provider_that_asks_for_a_longer_wait_gets_it() -> None:
    busy = BridgeError("RateLimit", "slow down", retryable=True, retry_after=77)
    assert waits(Retries(base_delay=2), 1, busy) == [77]
    soon = BridgeError("RateLimit", "slow down", retryable=True, retry_after=0.5)
    assert waits(Retries(base_delay=2), 1, soon)[0] >= 2


def test_the_providers_repetitions_hold_where_the_spell_says_nothing(server: ModelServer) -> None:
    own = {"test": {"base_url": server.base_url, "max_retries": 1}}
    server.script("m", *[Refusal(500)] * 5)
    with pytest.raises(BridgeError):
        complete(
            llm_host(server, settings={"providers": own}),
            {"model": "test/m", "prompt": "x", "retries": {"base_delay": 0}},
        )
    assert len(server.requests) == 2


def test_the_providers_timeout_holds_where_the_spell_says_nothing(server: ModelServer) -> None:
    own = {"test": {"base_url": server.base_url, "timeout": 0.2}}
    server.script("m", Answer("never", gate=Gate()))
    with pytest.raises(BridgeError) as caught:
        complete(
            llm_host(server, settings={"providers": own}),
            {"model": "test/m", "prompt": "x", "retries": {"attempts": 1}},
        )
    assert (caught.value.kind, caught.value.duration) == ("Timeout", 0.2)
