"""A policy that Python code builds is checked as one from a file is."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from llmspell_supervisor import Policy
from llmspell_supervisor._policy import FIELDS, LIMITS, META


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
