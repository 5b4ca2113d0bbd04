"""The legal order of messages, as tables: sender, state, message type, next state.

Both ends of a session hold the same state, up to what is under way in the pipes:

                                         +---+  everything else
                                         v   |
    BOOTING --Ready--> READY --Start--> RUNNING --Result | Failure | Trap--> DONE
       |                 |                                                    ^
       |                 +------------------------Trap------------------------+
       +---------------------------------Failure | Trap-----------------------+

ERROR is entered by a breach of the other side, from any state, and never left. Identifiers,
credit and counts are the house rules on top of these tables: see `_ledger.py`.
"""

from __future__ import annotations

import enum
from typing import Final

from ._messages import (
    Call,
    Chunk,
    Close,
    Credit,
    Failure,
    Fault,
    Invoke,
    Log,
    Message,
    Raise,
    Ready,
    Reply,
    Result,
    Return,
    Start,
    Trap,
)


class Role(enum.Enum):
    """Which end of the wire this is."""

    HOST = "host"
    WORKER = "worker"


class State(enum.Enum):
    """Where a session stands."""

    BOOTING = "booting"
    """The worker is starting and must say `Ready`."""
    READY = "ready"
    """The worker waits for its `Start`."""
    RUNNING = "running"
    """The script runs."""
    DONE = "done"
    """The worker has sent its `Result`, `Failure` or `Trap`: nobody may send any more."""
    ERROR = "error"
    """The other side broke the contract: kill it."""


Table = dict[State, dict[type[Message], State]]

SENDS: Final[dict[Role, Table]] = {
    Role.WORKER: {
        # A worker that cannot lock itself says why, and is given no script.
        State.BOOTING: {Ready: State.READY, Failure: State.DONE, Trap: State.DONE},
        State.READY: {Trap: State.DONE},
        State.RUNNING: {
            Call: State.RUNNING,
            Credit: State.RUNNING,
            Close: State.RUNNING,
            Log: State.RUNNING,
            Return: State.RUNNING,
            Raise: State.RUNNING,
            Result: State.DONE,
            Failure: State.DONE,
            Trap: State.DONE,
        },
        State.DONE: {},
        State.ERROR: {},
    },
    Role.HOST: {
        State.BOOTING: {},
        State.READY: {Start: State.RUNNING},
        State.RUNNING: {
            Reply: State.RUNNING,
            Fault: State.RUNNING,
            Chunk: State.RUNNING,
            Invoke: State.RUNNING,
        },
        State.DONE: {},
        State.ERROR: {},
    },
}
"""What each role may send, by the state that it knows."""

RECEIVES: Final[dict[Role, Table]] = {
    Role.HOST: SENDS[Role.WORKER],
    Role.WORKER: {
        **SENDS[Role.HOST],
        # The host's messages may have been under way when the worker sent its last one.
        State.DONE: {Reply: State.DONE, Fault: State.DONE, Chunk: State.DONE, Invoke: State.DONE},
    },
}
"""What each role may receive, by the state that it knows."""
