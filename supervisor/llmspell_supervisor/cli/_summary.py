"""A report for people (`--verbose`) and for programs (`--json`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from .._fields import show_value
from .._policy import FIELDS
from .._report import RunReport
from .._resolve import DEFAULT, Resolved
from .._units import format_count, format_money, format_size, format_time


def summary(report: RunReport, resolved: Resolved) -> Iterator[str]:
    """Lines for stderr: verdict, usage, what held the spell, where its policy came from."""
    used = report.usage
    yield f"verdict: {report.verdict} (exit code {report.exit_code})"
    peak = format_size(used.peak_memory) if used.peak_memory else "not measured"
    times = f"{format_time(used.wall)} wall, {format_time(used.cpu)} CPU"
    yield f"used: {times}, {peak} peak memory, {format_size(used.output)} output"
    if used.calls:
        calls = ", ".join(f"{name} {count}" for name, count in sorted(used.calls.items()))
        yield f"calls: {calls}"
    if used.prompt_tokens or used.completion_tokens or used.cost:
        tokens = (
            f"{format_count(used.prompt_tokens)} in, {format_count(used.completion_tokens)} out"
        )
        yield f"tokens: {tokens}; cost {format_money(used.cost)}"
    for name, state in report.layers.items():
        yield f"layer {name}: {state}"
    for name in FIELDS:
        source = resolved.sources[name]
        if source != DEFAULT:
            yield f"policy {name}: {show_value(name, getattr(report.policy, name))} from {source}"


def plans(report: RunReport) -> Iterator[str]:
    """Lines for stdout: what a dry run would have done."""
    count = len(report.planned) + report.unlisted
    yield f"dry run: {count or 'no'} effect{'' if count == 1 else 's'} planned, none had"
    for planned in report.planned:
        yield f"  {planned.effect:<7} {planned.description}"
    if report.unlisted:
        yield f"  and {report.unlisted} more"


def report_as_builtins(report: RunReport, resolved: Resolved) -> dict[str, Any]:
    """The report as `--json` writes it: maps, lists and plain values; bytes as base64."""
    document: dict[str, Any] = msgspec.to_builtins(report)
    document["exit_code"] = report.exit_code
    if report.problem is not None and report.problem.error is not None:
        # On the wire an error is an array; people and programs want names.
        document["problem"]["error"] = msgspec.structs.asdict(report.problem.error)
    document["policy_sources"] = resolved.sources
    document["notes"] = list(resolved.notes)
    return document
