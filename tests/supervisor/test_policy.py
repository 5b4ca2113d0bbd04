"""A policy that Python code builds is checked as one from a file is."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from llmspell_supervisor import Policy
from llmspell_supervisor._policy import ENGINE_OVERHEAD, FIELDS, LIMITS, META


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_that_would_limit_nothing_is_refused(name: str) -> None:
    values: list[Any] = [math.nan, math.inf, -1, "1", None]
    for value in values:
        with pytest.raises(ValueError, match=f"^{name}: Expected"):
            Policy(**{name: value})


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_takes_its_greatest_value_and_none_beyond(name: str) -> None:
    most: Any = META[name].le
    assert getattr(Policy(**{name: most}), name) == most
    with pytest.raises(ValueError, match=f"^{name}: Expected"):
        Policy(**{name: most + 1})


BOUNDS = {
    "memory": (48 << 20, 256 << 20, 64 << 30),
    "cpu": (0, 10.0, 86_400),
    "timeout": (0, 120.0, 86_400),
    "max_output": (0, 1 << 20, 1 << 30),
    "max_calls": (0, 200, 1_000_000),
    "max_request": (0, 1 << 20, 64 << 20),
    "max_response": (0, 10 << 20, 256 << 20),
    "request_timeout": (0, 30.0, 86_400),
    "max_concurrent": (1, 10, 64),
    "max_tokens": (0, 200_000, 1_000_000_000),
    "max_cost": (0, 1.0, 10_000),
}
"""The least, the default and the most of each limit; the least of a time is above that."""


def test_limits_have_the_bounds_and_defaults_that_are_documented() -> None:
    policy = Policy()
    found = {
        name: (META[name].gt if META[name].ge is None else META[name].ge, getattr(policy, name))
        for name in LIMITS
    }
    assert found == {name: (least, default) for name, (least, default, _) in BOUNDS.items()}
    assert {name: META[name].le for name in LIMITS} == {
        n: most for n, (_, _, most) in BOUNDS.items()
    }
    assert {n for n in LIMITS if META[n].gt is not None} == {"cpu", "timeout", "request_timeout"}


def test_nothing_is_granted_but_models_and_the_strictest_containment_is_asked_for() -> None:
    policy = Policy()
    assert (policy.allow_env, policy.allow_read, policy.allow_write) == ((), (), ())
    assert (policy.allow_bridges, policy.allow_models) == (("llm",), ("*",))
    assert (policy.jit, policy.isolation) == (False, "strict")


def test_what_an_engine_holds_of_its_memory_is_what_was_measured() -> None:
    assert ENGINE_OVERHEAD == {"lua": 12 << 20, "javascript": 36 << 20}


@pytest.mark.parametrize(
    ("name", "value"),
    [("allow_env", "HOME"), ("allow_models", ("*", 1)), ("jit", 1), ("isolation", "none")],
)
def test_a_grant_of_the_wrong_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Policy(**{name: value})


def test_a_list_of_grants_is_kept_as_what_nobody_can_append_to() -> None:
    names: Any = ["HOME"]
    policy = Policy(allow_env=names)
    names.append("KEY")
    assert policy.allow_env == ("HOME",)


def test_what_is_wrong_in_a_decoded_policy_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match="timeout"):
        msgspec.convert({"timeout": 0}, Policy)
    assert msgspec.convert(msgspec.to_builtins(Policy()), Policy) == Policy()
    assert set(msgspec.to_builtins(Policy())) == set(FIELDS)


def test_the_defaults_of_a_call_are_the_documented_ones() -> None:
    policy = Policy()
    assert (policy.max_request, policy.max_response) == (1 << 20, 10 << 20)
    assert (policy.request_timeout, policy.max_concurrent) == (30, 10)
    assert (policy.allow_domain, policy.require_tls) == ((), True)
