"""Draws what `python -m benchmarks.speed --json` wrote: `python plot.py RESULTS.json RESULTS.svg`.

Runs in the environment of the peers, which has matplotlib.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found]

mpl.use("svg")
from matplotlib import pyplot as plt

COLOURS = {"floor": "#9aa5b1", "peer": "#d08770", "ours": "#2f6f9f"}


def kind(name: str) -> str:
    """Whose figure it is."""
    prefix = name.partition(":")[0]
    return prefix if prefix in COLOURS else "ours"


def bars(axes: Any, samples: dict[str, list[float]]) -> None:
    """A bar for each median, a line from the first to the third quarter."""
    rows = []
    for name, values in samples.items():
        good = sorted(1000 * v for v in values if not math.isnan(v))
        if good:
            quarter = len(good) // 4
            rows.append((good[len(good) // 2], good[quarter], good[-1 - quarter], name))
    rows.sort()
    for at, (middle, low, high, name) in enumerate(rows):
        axes.barh(at, middle, color=COLOURS[kind(name)], height=0.7)
        axes.plot([low, high], [at, at], color="#222222", linewidth=1)
        axes.text(high * 1.08, at, f"{middle:.2f}", va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [name for *_, name in rows], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds, median; the line is the middle half")
    axes.spines[["top", "right"]].set_visible(False)


def curves(axes: Any, growth: dict[str, list[list[float]]]) -> None:
    """How cost grows: a line for each thing that does."""
    for name, points in growth.items():
        axes.plot(
            [x for x, _ in points],
            [1000 * y for _, y in points],
            marker="o",
            markersize=3,
            linewidth=1.2,
            label=name,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds")
    axes.set_xlabel("so many")
    axes.legend(fontsize=7, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw."""
    results = json.loads(Path(sys.argv[1]).read_text())
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13, 7), width_ratios=(3, 2), constrained_layout=True
    )
    bars(left, results["samples"])
    curves(right, results["growth"])
    figure.suptitle(results["machine"], fontsize=9)
    figure.savefig(sys.argv[2], metadata={"Date": None})


if __name__ == "__main__":
    main()
