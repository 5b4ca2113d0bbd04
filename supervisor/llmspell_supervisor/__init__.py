"""The trusted core: runs untrusted spells, each in a locked process of its own.

    async with Supervisor() as supervisor:
        report = await supervisor.run(Spell.from_path("hello.lua"))

or, without an event loop, `run_spell(Spell.from_path("hello.lua"))`. Names are imported when they
are first used: the command line starts a worker's zygote before it imports the rest.
"""

from __future__ import annotations

# As mypy and pyright know it: the command must not import `typing` this early.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from ._admission import Admission, Busy
    from ._config import Config, find_config
    from ._errors import (
        AuditError,
        ConfigError,
        IsolationError,
        PolicyError,
        SpellError,
        SupervisorError,
        UsageError,
    )
    from ._policy import Policy
    from ._pool import PoolSize
    from ._record import CallRecord
    from ._report import LogEntry, Problem, RunReport, SystemCall, Usage
    from ._resolve import Layer, Resolved, resolve
    from ._spell import Spell
    from ._supervisor import EngineInfo, Supervisor, run_spell
    from ._verdict import EXIT_CODES, Verdict

_HOMES: Final = {
    "Admission": "_admission",
    "AuditError": "_errors",
    "Busy": "_admission",
    "CallRecord": "_record",
    "Config": "_config",
    "ConfigError": "_errors",
    "EXIT_CODES": "_verdict",
    "EngineInfo": "_supervisor",
    "IsolationError": "_errors",
    "Layer": "_resolve",
    "LogEntry": "_report",
    "Policy": "_policy",
    "PolicyError": "_errors",
    "PoolSize": "_pool",
    "Problem": "_report",
    "Resolved": "_resolve",
    "RunReport": "_report",
    "Spell": "_spell",
    "SpellError": "_errors",
    "Supervisor": "_supervisor",
    "SupervisorError": "_errors",
    "SystemCall": "_report",
    "Usage": "_report",
    "UsageError": "_errors",
    "Verdict": "_verdict",
    "find_config": "_config",
    "resolve": "_resolve",
    "run_spell": "_supervisor",
}

__all__ = [
    "EXIT_CODES",
    "Admission",
    "AuditError",
    "Busy",
    "CallRecord",
    "Config",
    "ConfigError",
    "EngineInfo",
    "IsolationError",
    "Layer",
    "LogEntry",
    "Policy",
    "PolicyError",
    "PoolSize",
    "Problem",
    "Resolved",
    "RunReport",
    "Spell",
    "SpellError",
    "Supervisor",
    "SupervisorError",
    "SystemCall",
    "Usage",
    "UsageError",
    "Verdict",
    "find_config",
    "resolve",
    "run_spell",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
