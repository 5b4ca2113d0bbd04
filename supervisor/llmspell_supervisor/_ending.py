"""How a run ended: the first cause wins, and the words that a person reads about it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from ._report import Problem, SystemCall
from ._units import format_size, format_time

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from llmspell_bridges import BudgetExceeded
    from llmspell_protocol import ErrorInfo, ErrorKind, Failure, Trap
    from llmspell_protocol.control import Exited

    from ._policy import Policy
    from ._verdict import Verdict


MAX_TEXT: Final = 16_384
"""Characters of a worker's error, or of its stack, that a report keeps: a script can raise an error
as long as its memory, and a person reads a page."""


class Ending(Struct, frozen=True):
    """The verdict, the value as msgpack where there is one, and what went wrong."""

    verdict: Verdict
    value: bytes | None = None
    problem: Problem | None = None


def _limit(verdict: Verdict, message: str, hint: str) -> Ending:
    return Ending(verdict, problem=Problem(message=message, hint=hint))


def wall_limit(policy: Policy) -> Ending:
    """The run took longer than its wall time."""
    return _limit(
        "wall_limit",
        f"the spell did not end within {format_time(policy.timeout)} (limit: timeout)",
        "raise it with --timeout, or look for a loop or a slow call",
    )


def cpu_limit(policy: Policy) -> Ending:
    """The run used more processor time than it may."""
    return _limit(
        "cpu_limit",
        f"the spell used more than {format_time(policy.cpu)} of processor time (limit: cpu)",
        "raise it with --cpu, or look for a loop that does not end",
    )


def memory_limit(policy: Policy) -> Ending:
    """The run needed more memory than it may hold."""
    return _limit(
        "memory_limit",
        f"the spell needed more than {format_size(policy.memory)} of memory (limit: memory)",
        "raise it with --memory, or keep less data at once",
    )


def output_limit(policy: Policy) -> Ending:
    """The run wrote or returned more than it may."""
    return _limit(
        "output_limit",
        f"the spell put out more than {format_size(policy.max_output)} (limit: max_output)",
        "raise it with --max-output, or log and return less",
    )


def call_limit(policy: Policy) -> Ending:
    """The run made more bridge calls than it may."""
    return _limit(
        "call_limit",
        f"the spell made more than {policy.max_calls} calls (limit: max_calls)",
        "raise it with --max-calls, or look for a loop around a call",
    )


def overspent(policy: Policy, cause: BudgetExceeded) -> Ending:
    """The run asked for more calls, tokens or money than it may use."""
    return call_limit(policy) if cause.what == "calls" else cost_limit(policy, cause)


def cost_limit(policy: Policy, cause: BudgetExceeded) -> Ending:
    """The run asked for more tokens or money than it may use."""
    if cause.what == "tokens":
        limit, asked, left = (
            f"{policy.max_tokens} tokens",
            f"{cause.asked:.0f}",
            f"{cause.left:.0f}",
        )
        name, flag = "max_tokens", "--max-tokens"
    else:
        limit, asked, left = f"${policy.max_cost:g}", f"${cause.asked:.4g}", f"${cause.left:.4g}"
        name, flag = "max_cost", "--max-cost"
    return _limit(
        "cost_limit",
        f"a call may need {asked} and {left} of {limit} is left (limit: {name})",
        f"raise it with {flag}, or ask for less (max_tokens of the call)",
    )


def protocol_violation(reason: str) -> Ending:
    """The worker broke the protocol: it is hostile or broken."""
    return _limit(
        "protocol_violation",
        reason,
        "a healthy worker cannot do this: treat the spell as hostile",
    )


def cancelled() -> Ending:
    """Somebody asked for the end."""
    return _limit("cancelled", "the run was cancelled", "")


def supervisor_error(message: str, hint: str = "") -> Ending:
    """Our side failed; the spell is not to blame."""
    return _limit("supervisor_error", message, hint)


def from_failure(failure: Failure, policy: Policy, *, faults: AbstractSet[ErrorKind]) -> Ending:
    """The worker said how the script failed. `faults` are the kinds of error that it was given.

    A script can raise an error of any kind; only what the host really sent is the host's word.
    """
    if failure.cause == "memory":
        return memory_limit(policy)
    verdict: Verdict = "script_error"
    error = bounded(failure.error)
    if error.kind == "Policy" and "Policy" in faults:
        verdict = "policy_denied"
    elif error.kind == "Internal":
        if "Internal" not in faults:
            return engine_crash(error.message)
        verdict = "supervisor_error"
    return Ending(
        verdict,
        problem=Problem(
            message=error.message,
            hint=_HINTS.get(error.kind if failure.cause != "syntax" else "syntax", ""),
            error=error,
            line=failure.line,
            column=failure.column,
            stack=failure.stack and _cut(failure.stack),
        ),
    )


def bounded(error: ErrorInfo) -> ErrorInfo:
    """An error as a report keeps it, whatever length its script or its worker gave it."""
    return structs.replace(
        error, message=_cut(error.message), field=error.field and _cut(error.field)
    )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


_HINTS: Final = {
    "syntax": "the spell was not run",
    "Conversion": "only null, booleans, numbers, strings, bytes, lists and maps can cross",
    "Policy": "grant it, or leave it out of the spell",
    "Internal": "a bridge failed; the spell is not to blame",
    "RateLimit": "wait and try again, or catch the error and look at retry_after",
}

_NEAR_LIMIT: Final = 0.8
"""A worker that crashed while it held this share of its memory most likely crashed for want of
it: engines abort where they cannot handle a failed allocation. That is what was resident, and
the limit counts what is mapped: SpiderMonkey dies at 57 of 64 MiB, with 4 more that it mapped for
its threads and never touched, and its heap grows by a mebibyte or more at a time."""


def from_exit(
    exited: Exited,
    policy: Policy,
    *,
    peak: int,
    out_of_memory: bool,
    trap: Trap | None = None,
) -> Ending:
    """The worker ended without a last word; what the kernel says about it decides.

    `trap` is the note of a worker that says which system call it is killed for. It names the call
    if the kernel did kill it for one, and is a lie otherwise.
    """
    code = os.waitstatus_to_exitcode(exited.status)
    if out_of_memory:
        return memory_limit(policy)
    if code == -signal.SIGXCPU and exited.cpu >= policy.cpu:
        return cpu_limit(policy)
    if code == -signal.SIGSYS:
        return forbidden_call(trap)
    if trap is not None:
        return protocol_violation(
            "the worker said that it was stopped at a system call; it was not"
        )
    # Its group does not count what it has from its zygote; its limit does, and its resident size.
    if code in _CRASHES and max(peak, exited.max_rss) >= policy.memory * _NEAR_LIMIT:
        return memory_limit(policy)
    if code < 0:
        return engine_crash(f"the worker was ended by {signal.Signals(-code).name}")
    return protocol_violation(f"the worker exited with status {code} and no result")


_CRASHES: Final = frozenset({-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGTRAP})


def forbidden_call(trap: Trap | None) -> Ending:
    """The worker was killed for a system call; its note, if there is one, says for which."""
    if trap is None:
        return engine_crash("the worker made a forbidden system call, and was killed")
    # Imported where it is needed: only a run that ends so has a use for four hundred names.
    from llmspell_protocol.syscalls import name_of

    call = SystemCall(
        number=trap.call,
        name=name_of(trap.call),
        refused="arguments" if trap.listed else "call",
    )
    made = "a system call with forbidden arguments" if trap.listed else "a forbidden system call"
    ending = engine_crash(f"the worker made {made}, {call}, and was killed")
    assert ending.problem is not None
    return structs.replace(ending, problem=structs.replace(ending.problem, system_call=call))


def was_forbidden_call(exited: Exited | None) -> bool:
    """Whether the kernel killed the worker for a system call; none if it was not heard of."""
    return exited is not None and os.waitstatus_to_exitcode(exited.status) == -signal.SIGSYS


def engine_crash(message: str) -> Ending:
    """The engine failed, or was made to."""
    return _limit("engine_crash", message, "the script engine failed; the supervisor is unharmed")
