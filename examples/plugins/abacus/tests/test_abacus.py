"""The plugin through a real supervisor: its bridge in other languages, its engine in a locked worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llmspell_supervisor import Config, Policy, RunReport, Spell, Supervisor


class Stage:
    """One supervisor, with its zygotes, for all tests."""

    def __init__(self, runner: asyncio.Runner, supervisor: Supervisor) -> None:
        self._runner = runner
        self._supervisor = supervisor

    def run(self, source: str, engine: str = "abacus", **policy: Any) -> RunReport:
        granted = Policy(**{"allow_bridges": ("convert",), **policy})
        spell = Spell.from_text(source, engine, "a")
        work = self._supervisor.run(spell, params={"pace": 5.5}, policy=granted)
        return self._runner.run(work)


@contextmanager
def opened(config: Config | None = None) -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        supervisor = runner.run(Supervisor(config).__aenter__())
        yield Stage(runner, supervisor)
        runner.run(supervisor.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with opened() as made:
        yield made


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3", 7),
        ("a = 2\n# a comment\nb = a ** 10\nb / 4", 256.0),
        ("max(1, 2) if 1 < 2 else 'no'", 2),
        ("pace * 2", 11.0),
        ('distance = convert.to(26.2188, "mi", "km")\nround(distance * pace, 1)', 232.1),
    ],
)
def test_a_spell_is_worth_its_last_line(stage: Stage, source: str, value: object) -> None:
    report = stage.run(source)
    assert (report.verdict, report.value) == ("ok", value), report.problem


@pytest.mark.parametrize(
    ("source", "verdict", "line", "message"),
    [
        ("1 +", "script_error", 1, "invalid syntax"),
        ("1\n1 / 0", "script_error", 2, "division by zero"),
        ("nothing", "script_error", 1, "there is no 'nothing'"),
        ("open('/etc/passwd')", "script_error", 1, "no such function: open"),
        ("().__class__", "script_error", 1, "no such thing here: ().__class__"),
        ("import os", "script_error", 1, "a line is an expression, or a name and what it is"),
        ("2 ** 70", "script_error", None, "an integer beyond 64 bits"),
        ('1\nconvert.to(1, "mi", "kg")', "script_error", 2, "mi becomes one of m, km"),
        ('convert.to("1", "mi", "km")', "script_error", 1, "value: expected number, got string"),
        ('llm.complete("hello")', "script_error", 1, "no such function: llm.complete"),
        ("9 ** 9 ** 9", "cpu_limit", None, "processor time"),
        ("'x' * 10 ** 12", "memory_limit", None, "memory"),
    ],
)
def test_what_goes_wrong_is_a_verdict_with_its_line(
    stage: Stage, source: str, verdict: str, line: int | None, message: str
) -> None:
    report = stage.run(source, cpu=0.5)
    assert report.verdict == verdict, report.problem
    assert report.problem is not None
    assert message in report.problem.message
    assert report.problem.line == line


@pytest.mark.parametrize(
    ("engine", "source"),
    [
        ("lua", 'return convert.to(1, "in", "cm")'),
        ("javascript", 'return await convert.to(1, "in", "cm")'),
    ],
)
def test_its_bridge_is_there_in_every_language(stage: Stage, engine: str, source: str) -> None:
    assert stage.run(source, engine).value == 2.54
    assert stage.run(source, engine, allow_bridges=()).verdict == "script_error"


def test_the_config_file_sets_what_the_bridge_declares() -> None:
    config = Config(bridges={"convert": {"digits": 3}})
    with opened(config) as stage:
        assert stage.run('convert.to(1, "mi", "km")').value == 1.61
