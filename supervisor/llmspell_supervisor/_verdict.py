"""The thirteen ways in which a run ends, and the exit code of each."""

from __future__ import annotations

from typing import Final, Literal

Verdict = Literal[
    "ok",
    "script_error",
    "cpu_limit",
    "wall_limit",
    "memory_limit",
    "output_limit",
    "call_limit",
    "cost_limit",
    "protocol_violation",
    "policy_denied",
    "engine_crash",
    "cancelled",
    "supervisor_error",
]

EXIT_CODES: Final[dict[Verdict, int]] = {
    "ok": 0,
    "script_error": 1,
    # 2 is the command's own: bad flags, config or input, and nothing was run.
    "cpu_limit": 10,
    "wall_limit": 11,
    "memory_limit": 12,
    "output_limit": 13,
    "call_limit": 14,
    "cost_limit": 15,
    "protocol_violation": 20,
    "policy_denied": 21,
    "engine_crash": 22,
    "supervisor_error": 70,  # EX_SOFTWARE of sysexits.h
    "cancelled": 130,  # what a shell reports after Ctrl-C
}
EXIT_USAGE: Final = 2
