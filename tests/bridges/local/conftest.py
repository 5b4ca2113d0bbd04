"""The real model, and a way to run a piece of Python as a supervisor of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_bridges.local import ModelInfo, install

Script = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def model() -> Path:
    """The installed model's file; put into the user's cache if it is not there."""
    info: ModelInfo = install()
    assert info.path is not None
    return info.path


@pytest.fixture
def script() -> Script:
    """Start a Python program that can import what this suite can."""

    def start(source: str, *arguments: str) -> subprocess.Popen[str]:
        prelude = f"import sys\nsys.path[:] = {sys.path!r}\n"
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", prelude + source, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An interpreter with our packages and msgspec, but neither pip nor xllamacpp: add a program."""
    here = tmp_path_factory.mktemp("packages")
    for name in ("msgspec", "llmspell_protocol", "llmspell_bridges"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (here / name).symlink_to(Path(spec.origin).parent)
    start = f"import sys; sys.path.append({str(here)!r}); exec(sys.argv.pop(1))"
    return [sys.executable, "-I", "-S", "-c", start]
