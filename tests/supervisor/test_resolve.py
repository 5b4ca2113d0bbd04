"""Layers combine into one policy, and each only narrows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_supervisor._errors import PolicyError, UsageError
from llmspell_supervisor._fields import check_field, check_fields
from llmspell_supervisor._policy import FIELDS, GIB, GRANTS, LIMITS, META, MIB, Policy
from llmspell_supervisor._resolve import COMMAND_LINE, DEFAULT, Layer, _outside, resolve


def config(**values: Any) -> Layer:
    return Layer("[policy] of c.toml", values)


def profile(**values: Any) -> Layer:
    return Layer("profile 'ci' of c.toml", values)


def flags(**values: Any) -> Layer:
    return Layer(COMMAND_LINE, values)


def manifest(**values: Any) -> Layer:
    return Layer("manifest spell.toml", values, "manifest")


def test_without_layers_everything_is_the_default() -> None:
    resolved = resolve([])
    assert resolved.policy == Policy()
    assert set(resolved.sources.values()) == {DEFAULT}
    assert resolved.notes == ()


# --- limits ---


def test_flags_alone_may_raise_a_limit_above_its_default() -> None:
    resolved = resolve([flags(memory=2 * GIB)])
    assert resolved.policy.memory == 2 * GIB
    assert resolved.sources["memory"] == COMMAND_LINE


def test_the_smallest_limit_wins_and_the_narrowing_is_noted() -> None:
    resolved = resolve([profile(memory=64 * MIB), flags(memory=GIB)])
    assert resolved.policy.memory == 64 * MIB
    assert resolved.sources["memory"] == "profile 'ci' of c.toml"
    assert resolved.notes == (
        "memory: the command line asks for 1 GiB; profile 'ci' of c.toml gives 64 MiB",
    )


def test_a_profile_stays_within_the_policy_of_the_machine() -> None:
    assert resolve([config(cpu=1.0), profile(cpu=5.0)]).policy.cpu == 1.0


def test_a_flag_below_a_profile_narrows_silently() -> None:
    resolved = resolve([profile(cpu=5.0), flags(cpu=1.0)])
    assert (resolved.policy.cpu, resolved.notes) == (1.0, ())


def test_a_manifest_lowers_a_limit() -> None:
    resolved = resolve([manifest(timeout=5.0)])
    assert resolved.policy.timeout == 5.0
    assert resolved.sources["timeout"] == "manifest spell.toml"


def test_a_manifest_cannot_raise_a_limit_above_the_default() -> None:
    resolved = resolve([manifest(memory=GIB)])
    assert resolved.policy.memory == 256 * MIB
    assert "--memory 1G would give it" in resolved.notes[0]


def test_a_manifest_is_heard_last_wherever_it_stands() -> None:
    assert resolve([manifest(memory=GIB), flags(memory=2 * GIB)]).policy.memory == GIB


@given(st.permutations([1.0, 7.0, 30.0]))
def test_whatever_the_order_no_layer_widens_another(values: list[float]) -> None:
    layers = [config(cpu=values[0]), profile(cpu=values[1]), flags(cpu=values[2])]
    assert resolve(layers).policy.cpu == 1.0


# --- grants ---


def test_a_grant_is_what_the_operator_names_and_nothing_by_default() -> None:
    assert resolve([]).policy.allow_env == ()
    assert resolve([flags(allow_env=("A",))]).policy.allow_env == ("A",)


def test_flags_choose_among_what_a_profile_grants() -> None:
    resolved = resolve([profile(allow_env=("A", "B")), flags(allow_env=("B",))])
    assert resolved.policy.allow_env == ("B",)


@pytest.mark.parametrize(
    ("field", "given", "asked"),
    [
        ("allow_env", ("A",), ("B",)),
        ("allow_env", (), ("B",)),
        ("allow_domain", ("a.com",), ("b.com",)),
        ("allow_domain", ("*.a.com",), ("a.com",)),
        ("allow_domain", ("*.a.com",), ("evila.com",)),
        ("allow_domain", ("x.a.com",), ("*.a.com",)),
        ("allow_read", ("/srv/data",), ("/srv",)),
        ("allow_read", ("/srv/data",), ("/srv/data2",)),
        ("allow_models", ("openai/*",), ("*",)),
        ("allow_models", ("gpt-?",), ("gpt-*",)),
        ("allow_models", ("gpt-4",), ("gpt-4o",)),
        ("allow_bridges", (), ("llm",)),
        ("allow_bridges", ("llm.complete",), ("llm",)),
        ("allow_bridges", ("llm.complete",), ("llm.embed",)),
        ("allow_bridges", ("llm.agent",), ("llm.agents",)),
        ("jit", False, True),
        ("isolation", "strict", "degraded"),
    ],
)
def test_a_flag_outside_a_profile_is_an_error_that_names_both(
    field: str, given: Any, asked: Any
) -> None:
    with pytest.raises(PolicyError) as caught:
        resolve([profile(**{field: given}), flags(**{field: asked})])
    assert "profile 'ci' of c.toml" in str(caught.value)
    assert COMMAND_LINE in str(caught.value)


@pytest.mark.parametrize(
    ("field", "given", "asked"),
    [
        ("allow_domain", ("*.a.com",), ("x.y.a.com",)),
        ("allow_read", ("/srv",), ("/srv/data",)),
        ("allow_read", ("/",), ("/srv",)),
        ("allow_models", ("*",), ("gpt-4",)),
        ("allow_models", ("openai/*",), ("openai/gpt-4",)),
        ("allow_models", ("openai/*",), ("openai/gpt-*",)),
        ("jit", True, False),
        ("isolation", "degraded", "strict"),
    ],
)
def test_a_flag_within_a_profile_is_taken(field: str, given: Any, asked: Any) -> None:
    resolved = resolve([profile(**{field: given}), flags(**{field: asked})])
    assert getattr(resolved.policy, field) == asked


def test_a_manifest_that_needs_what_is_not_granted_says_which_flag_grants_it() -> None:
    with pytest.raises(PolicyError) as caught:
        resolve([manifest(allow_env=("LLM_MODEL",), allow_domain=("a.com",), jit=True)])
    assert "needs environment variable LLM_MODEL, host a.com, jit" in str(caught.value)
    assert "--allow-env LLM_MODEL --allow-domain a.com --jit" in str(caught.value)


def test_a_manifest_that_a_profile_stops_is_told_where_the_limit_is() -> None:
    with pytest.raises(PolicyError, match=r"limited by profile 'ci' of c\.toml"):
        resolve([profile(allow_env=("A",)), manifest(allow_env=("B",))])


def test_a_spell_gets_no_more_than_its_manifest_asks_for() -> None:
    resolved = resolve([flags(allow_env=("A", "B")), manifest(allow_env=("A",))])
    assert resolved.policy.allow_env == ("A",)


def test_a_manifest_can_give_up_what_it_would_have() -> None:
    resolved = resolve([flags(jit=True), manifest(allow_bridges=(), jit=False)])
    assert resolved.policy.allow_bridges == ()
    assert resolved.policy.jit is False


def test_a_manifest_cannot_loosen_isolation() -> None:
    assert resolve([manifest(isolation="degraded")]).policy.isolation == "strict"


@pytest.mark.parametrize(
    ("layers", "required"),
    [
        ([], True),
        ([flags(require_tls=False)], False),
        ([config(require_tls=True), flags(require_tls=False)], True),
        ([config(require_tls=False), flags(require_tls=True)], True),
        ([flags(require_tls=False), manifest(require_tls=True)], True),
        ([manifest(require_tls=False)], True),
    ],
)
def test_tls_is_required_where_any_layer_says_so(layers: list[Layer], *, required: bool) -> None:
    assert resolve(layers).policy.require_tls is required


# --- values as people write them ---


def refusal(field: str, value: Any) -> str:
    """Why `value` is refused."""
    with pytest.raises(ValueError, match=r"'.*'|finite|too (little|much)|whole number") as caught:
        check_field(field, value, base="/")
    return str(caught.value)


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize(
    "value",
    [-1, -0.5, math.nan, math.inf, -math.inf, 10**30, "-1", "nan", "1e400", "", True, [], None, {}],
    ids=repr,
)
def test_no_limit_takes_a_value_that_would_disable_it(field: str, value: Any) -> None:
    assert "\n" not in refusal(field, value)


@pytest.mark.parametrize("field", LIMITS)
def test_each_limit_takes_its_bounds_and_nothing_beyond(field: str) -> None:
    meta = META[field]
    low = meta.ge if meta.ge is not None else meta.gt
    assert low is not None
    assert meta.le is not None
    assert check_field(field, meta.le, base="/") == meta.le
    with pytest.raises(ValueError, match="too much"):
        check_field(field, meta.le + 1, base="/")
    with pytest.raises(ValueError, match="too little"):
        check_field(field, low - 1, base="/")


def test_a_limit_takes_units() -> None:
    assert check_field("memory", "1.5G", base="/") == 3 * GIB // 2
    assert check_field("cpu", "300ms", base="/") == pytest.approx(0.3)
    assert check_field("max_cost", 1, base="/") == 1.0


def test_half_a_call_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        check_field("max_calls", 1.5, base="/")


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("allow_env", "*"),
        ("allow_env", "A=B"),
        ("allow_env", ""),
        ("allow_env", "A\0"),
        ("allow_domain", "*"),
        ("allow_domain", "https://a.com"),
        ("allow_domain", "a.com/x"),
        ("allow_domain", "a b"),
        ("allow_domain", "*.*.com"),
        ("allow_domain", "bücher.de"),
        ("allow_bridges", "LLM"),
        ("allow_bridges", "*"),
        ("allow_read", "~/data"),
        ("allow_read", "$HOME"),
        ("allow_read", "no-such-folder"),
        ("allow_models", "a\x1b[2J"),
    ],
)
def test_a_grant_that_is_not_plain_is_refused(field: str, item: str) -> None:
    assert refusal(field, [item]).isprintable()


@pytest.mark.parametrize("field", GRANTS)
@pytest.mark.parametrize("value", ["llm", {"llm": True}, [1], None, True], ids=repr)
def test_a_grant_is_a_list_of_texts(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match="not a list of texts"):
        check_field(field, value, base="/")


def test_a_host_is_compared_in_lower_case_without_its_last_dot() -> None:
    assert check_field("allow_domain", ["API.Example.com."], base="/") == ("api.example.com",)


def test_a_folder_is_made_absolute_and_its_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    found = check_field("allow_read", ["link"], base=str(tmp_path))
    assert found == (str((tmp_path / "data").resolve()),)


def test_a_link_out_of_a_granted_folder_is_not_granted(tmp_path: Path) -> None:
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "link").symlink_to("/etc")
    given = check_field("allow_read", ["granted"], base=str(tmp_path))
    asked = check_field("allow_read", ["granted/link"], base=str(tmp_path))
    with pytest.raises(PolicyError):
        resolve([profile(allow_read=given), flags(allow_read=asked)])


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    def fail(key: str, message: str) -> UsageError:
        return UsageError(f"{key}: {message}")

    with pytest.raises(UsageError, match="memroy: unknown key; did you mean 'memory'"):
        check_fields({"memroy": 1}, base="/", fail=fail)


def test_every_field_is_a_limit_a_grant_or_a_switch() -> None:
    assert set(FIELDS) - set(LIMITS) - set(GRANTS) == {"require_tls", "jit", "isolation"}


def test_a_method_is_within_its_bridge_and_an_objects_method_within_what_makes_it() -> None:
    wanted = ("llm.complete", "http.agent.run")
    resolved = resolve([profile(allow_bridges=("llm", "http.agent")), flags(allow_bridges=wanted)])
    assert resolved.policy.allow_bridges == wanted


def test_a_manifest_that_needs_a_method_says_which_flag_grants_it() -> None:
    with pytest.raises(
        PolicyError, match=r"needs bridge http.get \(run with --allow-bridge http.get\)"
    ):
        resolve([flags(allow_bridges=("llm",)), manifest(allow_bridges=("http.get",))])


def test_what_asks_for_less_than_is_given_is_within_it() -> None:
    assert list(_outside("jit", False, False)) == list(_outside("jit", True, False)) == []
    assert list(_outside("jit", False, True)) == [""]
    assert list(_outside("isolation", "strict", "strict")) == []
    assert list(_outside("isolation", "degraded", "degraded")) == []
    assert list(_outside("isolation", "strict", "degraded")) == ["degraded"]
