"""Many checks in one test: each is made, and all that failed are told together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Self

import pytest

_NOT_RAISED: Final = pytest.fail.Exception
"""What `pytest.raises` raises when nothing was; no `AssertionError`."""

MOST: Final = 20
"""Findings that are shown: what is wrong with one method is often wrong with all."""


class Findings:
    """What failed in a `with` block; raises `AssertionError` at its end if anything has.

    with Findings() as findings:
        for method in methods:
            with findings.about(method.name):
                assert method.doc
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._found:
            more = len(self._found) - MOST
            shown = "\n".join(self._found[:MOST]) + (f"\n... and {more} more" if more > 0 else "")
            raise AssertionError(f"\n{shown}")

    @contextlib.contextmanager
    def about(self, what: str) -> Iterator[None]:
        """One check, of `what`. What it raises but an `AssertionError` is a bug, and goes on."""
        try:
            yield
        except AssertionError as error:
            said = str(error).strip().partition("\n")[0]
            self._found.append(f"{what}: {said}")
        except _NOT_RAISED as error:
            self._found.append(f"{what}: {error}")
