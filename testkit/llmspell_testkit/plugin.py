"""The pytest plugin: fixtures that the contracts and other tests of spells and bridges use.

pytest finds it by its entry point wherever the package is installed. It imports nothing of ours
until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ._environment import Environment
    from ._stage import Stage
    from .model_server import ModelServer

pytest.register_assert_rewrite("llmspell_testkit.contracts", "llmspell_testkit._compare")


@pytest.fixture(scope="module")
def llmspell_stage() -> Iterator[Stage]:
    """A supervisor with its zygotes, which all tests of one module share; see `Stage`."""
    from ._stage import Stage

    with Stage() as opened:
        yield opened


@pytest.fixture(scope="class")
def llmspell_echo(llmspell_stage: Stage) -> Iterator[Stage]:
    """The same supervisor, with the bridge `echo`, which the cases of engines call."""
    from ._echo import EchoBridge

    with llmspell_stage.having(EchoBridge()):
        yield llmspell_stage


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """An OpenAI-compatible server on loopback, whose answers the test scripts."""
    from .model_server import ModelServer

    with ModelServer() as running:
        yield running


@pytest.fixture
def spell_environment() -> Iterator[Environment]:
    """A folder, variables and a home of its own; all of it is gone after the test."""
    from ._environment import Environment

    with Environment() as made:
        yield made
