"""What every policy is held to: limits and grants that only narrow, and fail closed.

class TestNightly(PolicyContract):
    @pytest.fixture
    def policy(self) -> Policy:
        return Policy(memory=128 * MIB, allow_bridges=("http.get",), allow_domain=("*.a.example",))
"""

from __future__ import annotations

import math
from typing import Any, Final

import pytest
from msgspec.structs import replace

from llmspell_bridges import is_granted
from llmspell_bridges._catalogue import available
from llmspell_supervisor import Layer, Policy, PolicyError, resolve
from llmspell_supervisor._policy import FIELDS, GRANTS, LIMITS, META

from .._cases import Case, load_cases
from .._compare import assert_expected, perform
from .._stage import Stage

_TRIPPED: Final = tuple(c for c in load_cases() if c.theme == "limits" and c.required)

COVERED: Final = {
    "allow_bridges": (("http",), "http.get", "httpx.get"),
    "allow_models": (("a/*",), "a/small", "ab/small"),
    "allow_domain": (("*.a.example",), "b.a.example", "ba.example"),
    "allow_read": (("/srv/a",), "/srv/a/b", "/srv/ab"),
    "allow_write": (("/srv/a",), "/srv/a/b", "/srv/ab"),
    "libraries": (("/srv/a",), "/srv/a/b", "/srv/ab"),
    "allow_env": (("TOKEN",), "TOKEN", "TOKEN_2"),
}
"""Of each grant: what is given, something that it covers, and something that looks like it."""


class PolicyContract:
    """Give `policy`: a `Policy`, such as a profile of a config file."""

    language = "lua"
    """The engine in which its limits are tripped."""

    @pytest.fixture
    def policy(self) -> Policy:
        """What is tested."""
        raise NotImplementedError("a subclass of PolicyContract gives the fixture `policy`")

    # --- limits ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", LIMITS)
    def test_a_limit_that_is_no_number_in_its_bounds_is_refused(
        self, policy: Policy, name: str
    ) -> None:
        """A clock never passes NaN: such a limit would be none."""
        most = META[name].le or 0
        outside: list[Any] = [math.nan, math.inf, -math.inf, -1, "1", None, True, [], most + 1]
        for wrong in outside:
            fields = {f: getattr(policy, f) for f in FIELDS}
            with pytest.raises(ValueError, match=rf"^{name}: "):
                Policy(**{**fields, name: wrong})

    @pytest.mark.parametrize("name", LIMITS)
    def test_a_spell_can_lower_a_limit_and_not_raise_it(self, policy: Policy, name: str) -> None:
        """What its manifest asks for in addition is noted, and not given."""
        given = getattr(policy, name)
        operator = Layer("the operator", {name: given})
        more = resolve([operator, Layer("spell.toml", {name: given + 1}, "manifest")])
        assert getattr(more.policy, name) == given
        assert any(name in note for note in more.notes)
        least = META[name].ge or 0
        less = max(least, given / 2 if isinstance(given, float) else given // 2)
        fewer = resolve([operator, Layer("spell.toml", {name: less}, "manifest")])
        assert getattr(fewer.policy, name) == less

    @pytest.mark.parametrize("case", _TRIPPED, ids=lambda case: case.name)
    def test_a_limit_trips_whatever_else_the_policy_says(
        self, policy: Policy, llmspell_echo: Stage, case: Case
    ) -> None:
        """Each limit set low on top of this policy: it is the one that ends the run."""
        bridges = (*policy.allow_bridges, "echo")
        fields = {f: getattr(policy, f) for f in FIELDS}
        lowest = {f: min(fields[f], v) if f in LIMITS else v for f, v in case.granted().items()}
        if lowest != case.granted():
            pytest.skip("this policy has a lower limit, with another message")
        wide = {**fields, "allow_bridges": bridges, **lowest}
        found = perform(llmspell_echo, replace(case, policy=wide), self.language)
        assert_expected(found, case.expected(self.language))

    # --- grants ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", COVERED)
    def test_a_grant_covers_what_it_names_and_nothing_that_looks_like_it(
        self, policy: Policy, name: str
    ) -> None:
        """Wildcards, folders and methods: by their parts, never by their letters."""
        del policy
        given, within, beside = COVERED[name]
        operator = Layer("the operator", {name: given})
        needs = Layer("spell.toml", {name: (within,)}, "manifest")
        assert getattr(resolve([operator, needs]).policy, name) == (within,)
        with pytest.raises(PolicyError, match="needs"):
            resolve([operator, Layer("spell.toml", {name: (beside,)}, "manifest")])

    @pytest.mark.parametrize("name", COVERED)
    def test_a_spell_gets_nothing_that_the_policy_does_not_give(
        self, policy: Policy, name: str
    ) -> None:
        """A manifest says what a spell needs, and grants nothing."""
        given = getattr(policy, name)
        strange = "/no/such/folder" if GRANTS[name] == "directory" else "nobody-has-this"
        layers = [
            Layer("the operator", {name: given}),
            Layer("spell.toml", {name: (strange,)}, "manifest"),
        ]
        if "*" in given:  # all of it is given
            assert getattr(resolve(layers).policy, name) == (strange,)
            return
        with pytest.raises(PolicyError, match=strange):
            resolve(layers)

    def test_what_is_not_named_is_not_granted(self, policy: Policy) -> None:
        """An empty grant gives nothing, and no method is part of another's name."""
        assert not is_granted("http.get", ())
        for grant in policy.allow_bridges:
            assert is_granted(grant, policy.allow_bridges)
            assert not is_granted(f"{grant}x", (grant,))
            assert not is_granted(grant[:-1], (grant,))

    def test_a_spell_finds_no_bridge_that_the_policy_does_not_name(
        self, policy: Policy, llmspell_echo: Stage
    ) -> None:
        """Asked for by name, for every bridge that is installed."""
        ours = {grant.partition(".")[0] for grant in policy.bridges}
        others = sorted({*available(), "echo"} - ours)
        found = self._found(llmspell_echo, policy, others)
        assert found == []

    def _found(self, stage: Stage, policy: Policy, names: list[str]) -> Any:
        source = {
            "lua": "local found = {} for _, name in ipairs(params.names) do "
            "if _G[name] ~= nil then found[#found + 1] = name end end return found",
            "javascript": "return params.names.filter((name) => globalThis[name] !== undefined)",
        }[self.language]
        fields = {f: getattr(policy, f) for f in FIELDS}
        report = stage.run(source, self.language, params={"names": names}, **fields)
        assert report.verdict == "ok", report.problem
        return report.value

    # --- what holds the worker --------------------------------------------------------------------

    def test_a_spell_cannot_loosen_what_holds_it(self, policy: Policy) -> None:
        """Isolation, machine code and encryption are the operator's."""
        operator = Layer(
            "the operator",
            {"isolation": policy.isolation, "jit": policy.jit, "require_tls": policy.require_tls},
        )
        loose = Layer("spell.toml", {"isolation": "degraded", "require_tls": False}, "manifest")
        held = resolve([operator, loose]).policy
        assert (held.isolation, held.require_tls) == (policy.isolation, policy.require_tls)
        if not policy.jit:
            with pytest.raises(PolicyError):
                resolve([operator, Layer("spell.toml", {"jit": True}, "manifest")])


assert set(COVERED) == set(GRANTS), "a new kind of grant has to be told apart here, too"
