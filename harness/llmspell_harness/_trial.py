"""One attack, once, against one worker: what came of it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from llmspell_supervisor import RunReport, Verdict

if TYPE_CHECKING:
    from ._attack import Native, Peer
    from ._scripts import Script

Outcome = Literal["stopped", "succeeded", "broken", "refused"]
"""`broken`: the attack itself failed, and says nothing about any wall. `refused`: no worker starts
without the layers that were left out, so that there was nothing to attack from."""

Purpose = Literal["held", "wall", "control", "ablation"]
"""What a trial is to show; see `_suite`."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one attack in one engine, without the layers in `skip`."""

    id: str
    key: str
    title: str
    engine: str
    outcome: Outcome
    by: str
    """What stopped it, in a word or two; or what it gained."""
    verdict: Verdict | None = None
    """Of the run, as the supervisor named it."""
    purpose: Purpose = "held"
    alone: str = ""
    """The one wall that was left, where that is the purpose."""
    skip: tuple[str, ...] = ()
    seconds: float = 0.0
    grown: int = 0
    """Bytes by which the supervisor's resident memory had grown at most."""


class Finding(msgspec.Struct, frozen=True):
    """What a run shows about an attack."""

    outcome: Outcome
    by: str


def judge_native(attack: Native, report: RunReport) -> Finding:
    """A native attack ends by a refusal, by the filter's kill, or by a limit that it names."""
    if report.verdict == "ok":
        return _judge_value(report.value)
    if report.verdict == "engine_crash" and _was_filtered(report):
        return Finding("stopped", _message(report))
    if report.verdict in attack.holds:
        return Finding("stopped", report.verdict)
    return Finding("broken", f"{report.verdict}: {_message(report)}")


def _judge_value(value: Any) -> Finding:
    kind, words = value
    if kind == "refused":
        name = errno.errorcode.get(int(words), words) if words.isdigit() else words
        return Finding("stopped", name)
    return Finding("succeeded" if kind == "gained" else "broken", words)


def _was_filtered(report: RunReport) -> bool:
    return "system call" in _message(report)


def judge_peer(attack: Peer, report: RunReport) -> Finding:
    """A hostile peer is stopped when the supervisor names it as what it is."""
    words = _message(report)
    if report.verdict in attack.verdicts:
        return Finding("stopped", f"{report.verdict}: {words}" if words else report.verdict)
    return Finding("succeeded", f"the verdict is {report.verdict}: {words}")


def judge_script(attack: Script, report: RunReport) -> Finding:
    """A script returns the list of what it gained; a limit may end it before that."""
    if report.verdict not in attack.expect:
        words = f"the verdict is {report.verdict}: {_message(report)}"
        return Finding("broken" if report.verdict == "script_error" else "succeeded", words)
    if report.verdict != "ok":
        return Finding("stopped", report.verdict)
    if not isinstance(report.value, list):
        return Finding("broken", f"it returned {report.value!r}, which is no list of gains")
    gains = ", ".join(map(str, report.value))
    return Finding("succeeded", gains) if gains else Finding("stopped", "gained nothing")


def _message(report: RunReport) -> str:
    return report.problem.message if report.problem else ""


def resident() -> tuple[int, int]:
    """Bytes of our own resident memory, now and at its peak since `forget_peak`."""
    facts = {}
    with open("/proc/self/status") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                facts[name] = int(value.split()[0]) * 1024
    return facts["VmRSS"], facts["VmHWM"]


def forget_peak() -> None:
    """Begin to count the peak of our resident memory anew (proc_pid_clear_refs(5))."""
    fd = os.open("/proc/self/clear_refs", os.O_WRONLY)
    try:
        os.write(fd, b"5")
    finally:
        os.close(fd)
