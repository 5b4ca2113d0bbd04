"""What every script engine is held to.

class TestAbacus(EngineContract):
    @pytest.fixture
    def engine(self) -> EngineUnderTest:
        return EngineUnderTest.from_column("tests/abacus.toml")
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, Self

import pytest
from msgspec import Struct

from llmspell_protocol.control import MethodDoc
from llmspell_supervisor import EngineInfo

from .._cases import SPELL_THEMES, Case, load_cases, load_column
from .._compare import assert_expected, perform
from .._stage import Stage

_CASES: Final = {case.name: case for case in load_cases()}

LAST_CALL: Final = "echo.say"
"""What the spells that are cancelled call before they go on for ever."""

AT_ONCE: Final = 8
"""Runs that are open together: more than one worker's turn on any machine."""


class EngineUnderTest(Struct, frozen=True):
    """An engine by its name, and the cases as it writes them."""

    name: str
    cases: Mapping[str, Case]

    @classmethod
    def ours(cls, name: str) -> Self:
        """One whose column is in the test kit: `lua` or `javascript`."""
        return cls(name, {n: case for n, case in _CASES.items() if name in case.source})

    @classmethod
    def from_column(cls, path: str | os.PathLike[str]) -> Self:
        """One whose column is in a file. Raises `CaseError`."""
        name, cases = load_column(path, _CASES.values())
        return cls(name, {case.name: case for case in cases})

    def case(self, name: str) -> Case:
        """A case; skips the test where the language has no such thing, as its column says."""
        if name not in self.cases:
            pytest.skip(f"{self.name} has no such thing: see its column")
        return self.cases[name]


def _named(*themes: str) -> list[Any]:
    return [
        pytest.param(case.name, id=f"{case.theme}: {case.name}")
        for case in _CASES.values()
        if case.theme in themes
    ]


class EngineContract:
    """Give `engine`: an `EngineUnderTest`. Every engine writes each case, or says why it cannot."""

    @pytest.fixture
    def engine(self) -> EngineUnderTest:
        """What is tested."""
        raise NotImplementedError("a subclass of EngineContract gives the fixture `engine`")

    # --- what it says of itself -----------------------------------------------------------------

    def test_it_says_who_it_is_and_every_layer_holds_it(
        self, engine: EngineUnderTest, llmspell_echo: Stage
    ) -> None:
        """Name, version, suffixes and layers, from the zygote's own hello."""
        (info,) = self._infos(engine, llmspell_echo)
        assert info.name == engine.name
        assert any(c.isdigit() for c in info.version), info.version
        assert info.suffixes
        assert all(s.startswith(".") and s == s.lower() for s in info.suffixes), info.suffixes
        # Strict isolation refuses to run without a layer; the worker adds its own to the zygote's.
        source = engine.case("a number").source[engine.name]
        report = llmspell_echo.run(source, engine.name, isolation="strict")
        assert report.verdict == "ok", report.problem
        assert report.layers.keys() > info.layers.keys()
        assert report.layers["seccomp"].startswith("on: "), report.layers

    def test_every_function_of_its_library_is_described(
        self, engine: EngineUnderTest, llmspell_echo: Stage
    ) -> None:
        """Who reads `info` sees what each function is for."""
        (info,) = self._infos(engine, llmspell_echo)
        undescribed: list[MethodDoc] = [each for each in info.library if not each.doc]
        assert not undescribed

    def _infos(self, engine: EngineUnderTest, stage: Stage) -> list[EngineInfo]:
        return stage.do(stage.supervisor.engines((engine.name,)))

    # --- standard: what a spell may rely on -----------------------------------------------------

    @pytest.mark.parametrize("name", _named("hello"))
    def test_a_spell_has_its_value(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """Values, parameters, functions, the console."""
        self._hold(engine, llmspell_echo, name)

    @pytest.mark.parametrize("name", _named("types"))
    def test_a_value_crosses_as_what_it_is(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """Types count, both ways; what cannot cross is refused with its place."""
        self._hold(engine, llmspell_echo, name)

    @pytest.mark.parametrize("name", _named("errors"))
    def test_an_error_is_told_with_its_line(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """Of the spell, of the grammar, of a bridge; caught and not."""
        self._hold(engine, llmspell_echo, name)

    @pytest.mark.parametrize("name", _named("async"))
    def test_a_call_is_waited_for(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """Calls, streams, sleep."""
        self._hold(engine, llmspell_echo, name)

    @pytest.mark.parametrize("name", _named("bridges"))
    def test_a_bridge_is_what_its_declaration_and_the_grants_say(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """Defaults, options, grants."""
        self._hold(engine, llmspell_echo, name)

    @pytest.mark.parametrize("name", _named("limits"))
    def test_a_limit_ends_the_run_with_its_own_verdict(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """Processor, time, memory, output, calls: each trips, and is named."""
        self._hold(engine, llmspell_echo, name)

    @pytest.mark.parametrize("name", _named("security"))
    def test_what_leads_out_is_not_there(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """No files, no modules, no objects of the host, nothing of another spell."""
        self._hold(engine, llmspell_echo, name)

    @pytest.mark.parametrize("name", _named("speed"))
    def test_it_stays_within_the_threshold(
        self, engine: EngineUnderTest, llmspell_echo: Stage, name: str
    ) -> None:
        """The threshold is the run's own limit of processor time: no clock of the test's."""
        self._hold(engine, llmspell_echo, name)

    def _hold(self, engine: EngineUnderTest, stage: Stage, name: str) -> None:
        case = engine.case(name)
        assert_expected(perform(stage, case, engine.name), case.expected(engine.name))

    # --- what no table of single runs shows -----------------------------------------------------

    def test_runs_that_are_open_together_get_each_their_own_value(
        self, engine: EngineUnderTest, llmspell_echo: Stage
    ) -> None:
        """As many as `AT_ONCE`, each with parameters of its own."""
        source = engine.case("what the host sends comes back as it was").source[engine.name]
        texts = [f"run {number}" for number in range(AT_ONCE)]
        runs = [llmspell_echo.begin(source, engine.name, params={"text": t}) for t in texts]
        assert [report.value for report in llmspell_echo.together(runs)] == texts

    def test_a_spell_that_computes_for_ever_can_be_cancelled(
        self, engine: EngineUnderTest, llmspell_echo: Stage
    ) -> None:
        """Nothing in the engine has to agree."""
        loop = engine.case("a loop without an end").source[engine.name]
        call = engine.case("as many calls as there may be").source[engine.name]
        self._cancel(engine, llmspell_echo, _first_call(call), loop)

    def test_a_spell_that_waits_can_be_cancelled(
        self, engine: EngineUnderTest, llmspell_echo: Stage
    ) -> None:
        """Nothing of the bridge has to agree, either."""
        wait = engine.case("a spell that waits for the host").source[engine.name]
        call = engine.case("as many calls as there may be").source[engine.name]
        self._cancel(engine, llmspell_echo, _first_call(call), wait)

    def _cancel(self, engine: EngineUnderTest, stage: Stage, call: str, then: str) -> None:
        report = stage.cancel(f"{call}\n{then}", engine.name, after=LAST_CALL, cpu=3600)
        assert (report.verdict, report.value) == ("cancelled", None), report.problem

    def test_parsing_runs_nothing_and_finds_what_does_not_parse(
        self, engine: EngineUnderTest, llmspell_echo: Stage
    ) -> None:
        """`validate` says what is wrong, and where; of a good spell, nothing."""
        from llmspell_supervisor import Spell

        broken = engine.case("what does not parse is not run").source[engine.name]
        endless = engine.case("a loop without an end").source[engine.name]
        validate = llmspell_echo.supervisor.validate
        assert llmspell_echo.do(validate(Spell.from_text(endless, engine.name))) is None
        problem = llmspell_echo.do(validate(Spell.from_text(broken, engine.name)))
        assert problem is not None
        assert problem.line == 2


def _first_call(source: str) -> str:
    """The first call of `echo.say` in a source, as a statement of its own."""
    at = source.index(LAST_CALL)
    return source[at : source.index(")", at) + 1]


assert set(SPELL_THEMES) == {case.theme for case in _CASES.values()}
