"""What a command line comes to: the shape that `_parser` fills, and the commonest one without it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final

from .._policy import GRANTS

PROGRAM: Final = "llmspell-supervisor"
POLICY_PREFIX: Final = "policy."
"""Before the destination of a flag that sets a field of the policy."""

_RUN: Final[dict[str, Any]] = {
    "command": "run",
    "version": False,
    "params": None,
    "model": None,
    "engine": None,
    "config": None,
    "profile": None,
    "audit": None,
    "dry_run": False,
    "learn": None,
    "force": False,
    "json": False,
    "quiet": False,
    "verbose": False,
}
"""What `run` is told when nothing is said but the spell."""


def parse_plain(argv: Sequence[str]) -> SimpleNamespace | None:
    """The arguments of `run SPELL`, none for any other command line.

    What people type most; argparse and the forty flags of `run` would take a tenth of the run.
    """
    if len(argv) != 2 or argv[0] != "run" or argv[1].startswith("-"):
        return None
    return SimpleNamespace(**_RUN, spell=argv[1], param=[])


def flag_values(arguments: SimpleNamespace) -> dict[str, Any]:
    """The fields of a policy that flags have set, checked."""
    given = {
        k.removeprefix(POLICY_PREFIX): v for k, v in vars(arguments).items() if POLICY_PREFIX in k
    }
    return {k: tuple(v) if k in GRANTS else v for k, v in given.items() if v is not None}
