"""Whole-process start-up of a spell, beside the interpreters that people compare it with.

Prints a Markdown section for `benchmarks/README.md`. The commands take turns, A B C A B C, so that
a machine that grows slower or faster does so for all of them alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

EXAMPLES = Path(__file__).parents[1] / "examples"
ROUNDS = 40
"""Enough for a median that repeats within two milliseconds on an idle machine."""
WARM_UP = 3
"""Rounds that are not counted: they fill the page cache and write bytecode."""


class Contender(NamedTuple):
    """A command whose whole life is timed."""

    label: str
    command: list[str]


def contenders(deno: str | None) -> list[Contender]:
    """What this machine has of those to compare."""
    spell = shutil.which("llmspell-supervisor", path=str(Path(sys.executable).parent))
    if spell is None:
        sys.exit("startup: llmspell-supervisor is not installed beside this interpreter")
    found = [Contender("`python -c pass`", [sys.executable, "-c", "pass"])]
    if node := shutil.which("node"):
        found.append(Contender("`node -e 1`", [node, "-e", "1"]))
    if deno and Path(deno).exists():
        found.append(Contender("`deno eval 1`", [deno, "eval", "1"]))
    for suffix in ("lua", "js"):
        label = f"`llmspell-supervisor run hello.{suffix}`"
        found.append(Contender(label, [spell, "run", str(EXAMPLES / f"hello.{suffix}")]))
    return found


def once(contender: Contender, environment: dict[str, str]) -> float:
    """Milliseconds from before the process exists to after it is reaped."""
    began = time.perf_counter()
    ended = subprocess.run(
        contender.command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    took = (time.perf_counter() - began) * 1000
    if ended.returncode:
        sys.exit(f"startup: {contender.label} failed: {ended.stderr.decode(errors='replace')}")
    return took


def measure(field: Sequence[Contender], rounds: int) -> dict[str, list[float]]:
    """Times in milliseconds by label."""
    # Without bytecode every import would be compiled anew: nobody's installation is like that.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {contender.label: [] for contender in field}
    for number in range(-WARM_UP, rounds):
        for contender in field:
            took = once(contender, environment)
            if number >= 0:
                times[contender.label].append(took)
    return times


def machine() -> str:
    """What it was measured on, in one line."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, "
        f"CPython {platform.python_version()}"
    )


def table(times: dict[str, list[float]]) -> str:
    """The Markdown table. Ratios are of medians, to node (or to Python where there is no node)."""
    medians = {label: statistics.median(taken) for label, taken in times.items()}
    base = "`node -e 1`" if "`node -e 1`" in medians else "`python -c pass`"
    rows = [
        f"| command | median ms | middle half ms | fastest ms | times {base} |",
        "|---|---:|---:|---:|---:|",
    ]
    for label, taken in times.items():
        low, _, high = statistics.quantiles(taken, n=4)
        rows.append(
            f"| {label} | {medians[label]:.1f} | {low:.1f} to {high:.1f} | {min(taken):.1f} "
            f"| {medians[label] / medians[base]:.2f} |"
        )
    lua, javascript = (medians[f"`llmspell-supervisor run hello.{s}`"] for s in ("lua", "js"))
    rows += ["", f"JavaScript takes {javascript / lua:.2f} times as long as Lua."]
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="counted rounds")
    parser.add_argument("--deno", default=shutil.which("deno"), help="the deno to compare with")
    arguments = parser.parse_args()
    times = measure(contenders(arguments.deno), max(2, arguments.rounds))
    print(f"{machine()}; {arguments.rounds} interleaved rounds, whole processes.\n")
    print(table(times))


if __name__ == "__main__":
    main()
