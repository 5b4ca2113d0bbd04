"""What the runner of tests deals in: files, tests, and what came of them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from llmspell_supervisor import Spell

Status = Literal["passed", "failed", "skipped", "error"]
"""`error`: not the test's own failure, such as a file that does not parse."""


class Failure(Struct, frozen=True, kw_only=True):
    """Why a test did not pass."""

    message: str
    file: str
    """As people write it: relative to where the command was started."""
    line: int | None = None
    column: int | None = None
    source: str = ""
    """The text of that line."""
    hint: str = ""
    compared: bool = False
    """Whether the next two say something."""
    expected: Any = None
    actual: Any = None
    logs: tuple[str, ...] = ()
    """What the test and its spells wrote to their consoles."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of one test."""

    file: str
    name: str
    status: Status
    seconds: float = 0.0
    failure: Failure | None = None


class Test(Struct, frozen=True, kw_only=True):
    """One test of a file that is a spell."""

    name: str
    index: int
    """Its place in the file, from 1."""
    line: int | None
    skipped: bool


class TestFile(Struct, frozen=True, kw_only=True):
    """A file of tests that is a spell."""

    path: str
    """Absolute."""
    shown: str
    spell: Spell
