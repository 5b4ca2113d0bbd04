"""What spells, engines and bridges are held to together.

class TestWeather(IntegrationContract):
    @pytest.fixture
    def integration(self) -> Integration:
        weather = RecordingBridge("weather", today={"sky": "clear"})
        return Integration(load_cases("tests/weather.toml"), (weather,))
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import Struct

from llmspell_bridges import Bridge
from llmspell_supervisor import Config, RunReport, Spell

from .._cases import Case
from .._compare import LANGUAGES, assert_expected, assert_same_everywhere, outcome_of
from .._stage import Stage
from ..model_server import ModelServer
from ._findings import Findings


class Integration(Struct, frozen=True):
    """Cases, and what they need: bridges, a config, the engines that they are written for."""

    cases: Sequence[Case]
    bridges: Sequence[Bridge] = ()
    config: Config | None = None
    engines: Sequence[str] = LANGUAGES


class IntegrationContract:
    """Give `integration`. Cases that have `answers` talk to a model that a server scripts."""

    pytestmark: ClassVar = [
        # pytest resets the filters that the bridge sets for its libraries.
        pytest.mark.filterwarnings(f"ignore:::{module}")
        for module in ("pydantic", "litellm", "openai")
    ]

    @pytest.fixture
    def integration(self) -> Integration:
        """What is tested."""
        raise NotImplementedError("a subclass of IntegrationContract gives `integration`")

    @pytest.fixture
    def opened(self, integration: Integration) -> Iterator[Stage]:
        """A supervisor with the bridges, and a model where a case needs one."""
        with (
            ModelServer() as server,
            Stage(*integration.bridges, config=_config(integration, server)) as stage,
        ):
            stage.model = server
            yield stage

    def test_every_case_comes_to_the_same_everywhere(
        self, integration: Integration, opened: Stage
    ) -> None:
        """Value, error, console, calls: as expected, and equal in all engines."""
        with Findings() as findings:
            for case in integration.cases:
                with findings.about(case.name):
                    assert_same_everywhere(case, opened, integration.engines)

    def test_cases_that_run_together_do_not_meet(
        self, integration: Integration, opened: Stage
    ) -> None:
        """All of them at once, but those that a model answers: its answers come in turn."""
        work = [
            (case, engine)
            for case in integration.cases
            for engine in integration.engines
            if not case.answers
        ]
        runs = [_begin(opened, case, engine) for case, engine in work]
        with Findings() as findings:
            for (case, engine), report in zip(work, opened.together(runs), strict=True):
                with findings.about(f"{case.name} in {engine}"):
                    assert_expected(outcome_of(report), case.expected(engine))

    def test_without_a_grant_no_case_reaches_a_bridge(
        self, integration: Integration, opened: Stage
    ) -> None:
        """The same spells, granted nothing: no call is made."""
        with Findings() as findings:
            for case in integration.cases:
                bare = msgspec.structs.replace(case, policy={**case.policy, "allow_bridges": ()})
                for engine in integration.engines:
                    with findings.about(f"{case.name} in {engine}"):
                        report = opened.do(_begin(opened, bare, engine))
                        assert not report.usage.calls
                        if case.calls:
                            assert report.verdict != "ok"

    def test_every_spell_parses(self, integration: Integration, opened: Stage) -> None:
        """But those whose case is that they do not."""

        async def problems() -> list[Any]:
            spells = [
                Spell.from_text(case.source[engine], engine, case.name)
                for case in integration.cases
                if "not run" not in case.hint
                for engine in integration.engines
            ]
            return await asyncio.gather(*map(opened.supervisor.validate, spells))

        assert not [each for each in opened.do(problems()) if each is not None]


def _begin(stage: Stage, case: Case, engine: str) -> Any:
    async def run() -> RunReport:
        source = case.source[engine]
        return await stage.begin(source, engine, params=case.params, **case.granted())

    return run()


def _config(integration: Integration, server: ModelServer) -> Config:
    """The config, with a model of which nothing but the scripted server knows."""
    config = integration.config or Config()
    if not any(case.answers for case in integration.cases):
        return config
    provider = {"base_url": server.base_url, "max_retries": 0}
    llm = {"default_model": f"scripted/{Stage.MODEL}", "providers": {"scripted": provider}}
    return msgspec.structs.replace(config, bridges={"llm": llm, **config.bridges})
