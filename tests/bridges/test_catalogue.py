"""Which bridges there are, and how they are configured."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmspell_bridges
from llmspell_bridges import BridgeError, available, load

PACKAGE = """
from llmspell_bridges import Bridge

class Other(Bridge):
    name = "other"

class Thief(Bridge):
    name = "llm"

not_a_bridge = object()
"""
ENTRY_POINTS = """
[llmspell.bridges]
other = other_bridge_package:Other
llm = other_bridge_package:Thief
odd = other_bridge_package:not_a_bridge
"""


@pytest.fixture
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "other_bridge_package.py").write_text(PACKAGE)
    metadata = tmp_path / "other_bridge_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    importlib.invalidate_caches()


@pytest.mark.usefixtures("_installed")
def test_an_installed_package_brings_a_bridge() -> None:
    assert load("other").name == "other"
    assert {"llm", "other"} <= set(available())


@pytest.mark.usefixtures("_installed")
def test_an_installed_package_cannot_take_a_name_of_ours() -> None:
    assert type(load("llm")).__module__.startswith("llmspell_bridges.")


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("name", ["odd", "missing"])
def test_what_is_no_bridge_is_a_configuration_error(name: str) -> None:
    with pytest.raises(BridgeError) as caught:
        load(name)
    assert caught.value.kind == "Configuration"
    assert f"'{name}'" in caught.value.message


def test_settings_that_do_not_fit_name_the_key() -> None:
    with pytest.raises(BridgeError) as caught:
        load("llm", {"default_model": 5})
    assert caught.value.field == "llm.default_model"


def test_public_names_are_sorted_and_exist() -> None:
    assert llmspell_bridges.__all__ == sorted(llmspell_bridges.__all__)
    assert all(hasattr(llmspell_bridges, name) for name in llmspell_bridges.__all__)
