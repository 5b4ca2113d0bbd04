"""What is aimed at, and whether it is reached. The aims are ratios of one run, or plain numbers."""

from __future__ import annotations

import math
import statistics
from typing import Any, NamedTuple

Samples = dict[str, list[float]]


class Figure(NamedTuple):
    """One line of the table."""

    what: str
    ours: str
    aim: str
    reached: bool | None
    """None where what it is compared with is not here."""


class Figures:
    """Everything that was measured."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.throughput: dict[str, float] = {}
        self.shards: dict[str, dict[int, float]] = {"lua": {}, "javascript": {}}
        """Engine to spells a second by the number of shards; nothing is aimed at."""
        self.waiting: dict[str, tuple[int, float, float]] = {}
        """Engine to the number that waits, MB of PSS each, and our share of a processor."""
        self.late: dict[str, list[float]] = {}
        self.delta: dict[str, float] = {}
        self.growth: dict[str, list[tuple[float, float]]] = {}
        """What grows to points: how many, and seconds."""
        self.lives: dict[str, list[tuple[str, float]]] = {}
        """Language to the moments of a run, and seconds since the one before."""

    def median(self, name: str) -> float:
        """Seconds; NaN where nothing was measured."""
        values = [v for v in self.samples.get(name, ()) if not math.isnan(v)]
        return statistics.median(values) if values else math.nan

    def table(self) -> list[str]:
        """Markdown: each figure, its aim, and pass or short."""
        rows = ["| what | ours | aim | |", "|---|---:|---:|---|"]
        for figure in self._figures():
            word = {True: "pass", False: "**short**", None: "not here"}[figure.reached]
            rows.append(f"| {figure.what} | {figure.ours} | {figure.aim} | {word} |")
        return rows

    def samples_table(self) -> list[str]:
        """Markdown: what everything that takes turns took."""
        rows = ["| what | median ms | middle half ms | 99th ms |", "|---|---:|---:|---:|"]
        for name in sorted(self.samples):
            values = [1000 * v for v in self.samples[name] if not math.isnan(v)]
            if len(values) < 2:
                continue
            low, middle, high = statistics.quantiles(values, n=4)
            rows.append(f"| {name} | {middle:.3f} | {low:.3f} to {high:.3f} | {last(values):.3f} |")
        return rows

    def tables(self) -> list[str]:
        """Markdown: everything."""
        rows = [*self.table(), "", *self.samples_table(), ""]
        rows += ["| where the time of a run without a pool goes | µs in Lua | in JavaScript |"]
        rows += ["|---|---:|---:|"]
        for (moment, lua), (_, javascript) in zip(*self.lives.values(), strict=True):
            rows.append(f"| until {moment} | {1e6 * lua:.0f} | {1e6 * javascript:.0f} |")
        rows += ["", "| shards | trivial Lua spells a second | JavaScript |", "|---|---:|---:|"]
        for count, lua in self.shards["lua"].items():
            rows.append(
                f"| {count or 'none'} | {lua:.0f} | {self.shards['javascript'][count]:.0f} |"
            )
        rows += ["", "| how cost grows | number: ms |", "|---|---|"]
        for what, points in self.growth.items():
            line = ", ".join(f"{number:,.0f}: {1000 * took:.2f}" for number, took in points)
            rows.append(f"| {what} | {line} |")
        return rows

    def as_json(self) -> dict[str, Any]:
        """Every sample and figure; seconds."""
        return {
            "figures": [figure._asdict() for figure in self._figures()],
            "samples": self.samples,
            "throughput": self.throughput,
            "shards": self.shards,
            "waiting": self.waiting,
            "late": self.late,
            "delta": self.delta,
            "growth": self.growth,
            "lives": self.lives,
        }

    def _figures(self) -> list[Figure]:
        lua, js = (self.median(f"warm, {e}") for e in ("lua", "javascript"))
        floor = self.median("floor: fork and wait, lua")
        cold, cold_js = (self.median(f"cold, {e}") for e in ("lua", "javascript"))
        pipe = self.median("floor: 1 KB there and back")
        # Both carry 10 MB twice: there and back.
        carry = self.median("floor: 10 MB there and back")
        p99 = last(self.samples["warm, lua"])
        figures = [
            _within("Lua, warm pool, beyond fork and wait", lua - floor, 1.5e-3),
            _ratio("Lua, warm pool, 99th to median", p99, lua, 4),
            _ratio("Lua, no pool, to sandlock's `true`", cold, self.median("peer: sandlock"), 0.8),
            _ratio("Lua, no pool, to monty's new pool", cold, self.median("peer: monty cold"), 1.2),
            _ratio("JavaScript to Lua, warm pool", js, lua, 2),
            _ratio(
                "JavaScript, no pool, to deno", cold_js, self.median("peer: deno run hello.js"), 2
            ),
            _least("trivial Lua spells a second", self.throughput["lua"], 500),
            _ratio("bridge call of 1 KB, to the bare pipe", self.median("call, lua"), pipe, 3),
            _ratio(
                "bridge call of 1 KB, to monty's",
                self.median("call, lua"),
                self.median("peer: monty call"),
                1,
            ),
            _ratio(
                "10 MB to the spell and back, to the bare pipe", self.median("10 MB, lua"), carry, 2
            ),
        ]
        for engine, name, most in (("lua", "Lua", 3.0), ("javascript", "JavaScript", 16.0)):
            count, pss, share = self.waiting[engine]
            what = f"{count} {name} spells that wait: "
            figures += [
                Figure(f"{what}MB each", f"{pss:.2f}", f"at most {most:g}", pss <= most),
                Figure(f"{what}our processor", f"{share:.1%}", "under 10%", share < 0.1),
            ]
        command = self.median("command, hello.lua")
        node = self.median("peer: node hello.js")
        figures.append(
            _within("the command with hello.lua, beyond `node hello.js`", command - node, 25e-3)
        )
        for engine, name in (("lua", "Lua"), ("javascript", "JavaScript")):
            figures += [
                _within(
                    f"{name}, past the deadline, both cores busy, 99th",
                    last(self.late[engine]),
                    50e-3,
                ),
                _within(f"{name}, one delta of 100 streams at once", self.delta[engine], 1e-3),
            ]
        return figures


def last(values: list[float]) -> float:
    """The 99th of a hundred; the largest of a few."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 100 else max(values)


def _within(what: str, seconds: float, most: float) -> Figure:
    reached = None if math.isnan(seconds) else seconds <= most
    return Figure(what, f"{1000 * seconds:.2f} ms", f"at most {1000 * most:g} ms", reached)


def _ratio(what: str, ours_: float, theirs: float, most: float) -> Figure:
    ratio = ours_ / theirs
    reached = None if math.isnan(ratio) else ratio <= most
    return Figure(what, f"{ratio:.2f} x", f"at most {most:g} x", reached)


def _least(what: str, number: float, least: float) -> Figure:
    return Figure(what, f"{number:.0f}", f"at least {least:g}", number >= least)
