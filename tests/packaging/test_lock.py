"""The lock files say what is installed, completely, and nothing about where it comes from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-fuzz.lock",
    "requirements-mutation.lock",
    "requirements-peers.lock",
    "requirements-tools.lock",
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)

GIANTS = {"torch", "tensorflow", "numpy", "pandas", "transformers", "onnxruntime"}
"""What a lock of this project must never pull in: hundreds of megabytes that nothing here calls."""


def pins(lock: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / lock).read_text()))


def wanted(*groups: str) -> list[Requirement]:
    project = PROJECT["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    for group in groups:
        texts += [text for text in PROJECT["dependency-groups"][group] if isinstance(text, str)]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(
    ("lock", "groups"),
    [
        ("requirements.lock", ("build",)),
        ("requirements-dev.lock", ("build", "test", "lint")),
    ],
)
def test_a_lock_holds_a_fitting_version_of_each_dependency(
    lock: str, groups: tuple[str, ...]
) -> None:
    pinned = pins(lock)
    for requirement in wanted(*groups):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked"
        assert requirement.specifier.contains(version), f"{requirement} against {version}"


def test_the_two_locks_agree() -> None:
    runtime, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: development.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_a_hash_for_every_pin_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = [e for e in re.split(r"\n(?=[a-z0-9])", text) if _PIN.match(e)]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pulls_in_no_giant_and_nothing_that_runs_npm(lock: str) -> None:
    # Embeddings on this machine, in the extra `data`, compute with it; so does what draws the plot of
    # the benchmarks, in an environment of its own. Nobody else asks for it.
    expected = {"numpy"} if lock in {"requirements-dev.lock", "requirements-peers.lock"} else set()
    assert (GIANTS | {"pminit"}) & set(pins(lock)) == expected
