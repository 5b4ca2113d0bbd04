"""One worker, from fork to its end: lock, test the walls, say Ready, run one script, die."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from llmspell_protocol import (
    NEED_DATA,
    PROTOCOL_VERSION,
    Connection,
    ErrorInfo,
    Failure,
    Message,
    Ready,
    Result,
    Role,
    Start,
)
from msgspec import Raw

from ._session import Session
from .containment import Plan, contain, prepare, self_test
from .engines import EngineOptions, ScriptFailure

if TYPE_CHECKING:
    from llmspell_protocol.control import WorkerOptions

    from .containment import Layers
    from .engines import ScriptEngine

READ_SIZE = 65536
"""Bytes per read: the capacity of a pipe by default (pipe(7))."""


def run_worker(
    engine: ScriptEngine,
    options: WorkerOptions,
    program: bytes,
    layers: Layers,
    fds: list[int],
) -> NoReturn:
    """Everything between fork(2) and _exit(2). Runs in the new process; never returns."""
    try:
        Worker(engine, options, program, layers, fds).run()
    finally:
        os._exit(70)  # whatever happened, the fork must never go back into the zygote's loop
