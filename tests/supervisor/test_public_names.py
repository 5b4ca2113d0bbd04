"""What embedders may import: exactly `__all__`, each name there when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import llmspell_supervisor


def test_all_is_sorted_and_every_name_is_there() -> None:
    names = llmspell_supervisor.__all__
    assert names == sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    for name in names:
        assert getattr(llmspell_supervisor, name) is not None
    assert set(names) <= set(dir(llmspell_supervisor))


def test_each_name_is_found_where_the_type_checker_looks_for_it() -> None:
    assert set(llmspell_supervisor._HOMES) == set(llmspell_supervisor.__all__)
    for name, home in llmspell_supervisor._HOMES.items():
        value = getattr(llmspell_supervisor, name)
        module = getattr(value, "__module__", None)
        if module and module.startswith("llmspell"):
            assert module == f"llmspell_supervisor.{home}", name


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sandbox'"):
        llmspell_supervisor.Sandbox  # noqa: B018


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    program = "import sys, llmspell_supervisor; print(*[m for m in sys.modules if 'llmspell' in m])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["llmspell_supervisor"]
