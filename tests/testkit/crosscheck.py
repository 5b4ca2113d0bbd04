"""Compares the languages on many generated programs and values: `make crosscheck`.

    python -m tests.testkit.crosscheck --programs 2000 --values 20000 [--seed 7]

Stops at the first difference, made as small as it can be, with the seed that found it.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from typing import Any, Final

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from llmspell_testkit import EchoBridge, Stage, exact, programs, values
from llmspell_testkit.strategies import LANGUAGES, Program, as_seen_by, run_programs, run_values

PROGRAMS_A_RUN: Final = 10
VALUES_A_RUN: Final = 20


def main() -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="crosscheck", description=__doc__)
    parser.add_argument("--programs", type=int, default=2_000)
    parser.add_argument("--values", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    chosen = parser.parse_args()
    sys.stdout.write(f"crosscheck: seed {chosen.seed}\n")
    with Stage(EchoBridge()) as stage:
        count = _compare_programs(stage, chosen.programs, chosen.seed)
        sys.stdout.write(f"crosscheck: {count} programs: equal in {' and '.join(LANGUAGES)}\n")
        count = _compare_values(stage, chosen.values, chosen.seed)
        sys.stdout.write(f"crosscheck: {count} values: as promised in {' and '.join(LANGUAGES)}\n")
    return 0


def _many(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


def _compare_programs(stage: Stage, least: int, number: int) -> int:
    done = 0

    @seed(number)
    @settings(_many(-(-least // PROGRAMS_A_RUN)))
    @given(st.lists(programs(), min_size=PROGRAMS_A_RUN, max_size=PROGRAMS_A_RUN))
    def compare(batch: list[Program]) -> None:
        nonlocal done
        lua, javascript = (run_programs(stage, batch, language) for language in LANGUAGES)
        for one, in_lua, in_javascript in zip(batch, lua, javascript, strict=True):
            assert exact(in_lua) == exact(in_javascript), one
        done += len(batch)

    compare()
    assert done >= least, done
    return done


def _compare_values(stage: Stage, least: int, number: int) -> int:
    done = 0

    @seed(number)
    @settings(_many(-(-least // VALUES_A_RUN)))
    @given(st.lists(values(), min_size=VALUES_A_RUN, max_size=VALUES_A_RUN))
    def compare(batch: list[Any]) -> None:
        nonlocal done
        for language in LANGUAGES:
            expected = exact(as_seen_by(language, batch))
            for found in run_values(stage, batch, language):
                assert exact(found) == expected, language
        done += len(batch)

    compare()
    assert done >= least, done
    return done


if __name__ == "__main__":
    sys.exit(main())
