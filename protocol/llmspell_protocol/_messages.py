"""The wire between a supervisor and one worker, in one place.

**Frame.** A 4-byte big-endian unsigned length N, then N bytes: one msgpack value, one message.
N is between 1 and the cap of its direction (`Caps`); a header outside that range ends the
connection before a byte of the body is stored.

**Message.** A msgpack array whose first element is the tag (a string, see `tag=` below) and whose
other elements are the fields in the order written here. Trailing fields with a default may be left
out; unknown tags, surplus fields, wrong types and tags of the other direction do not decode.

**Values.** Fields typed `Raw` hold one `ScriptValue` (see `_values.py`) as msgpack; `Call.args` and
`Invoke.args` are arrays, `Start.params` is a map. What a worker sends is walked before it is
decoded: nesting, element count, duplicate keys and foreign types are refused there (`_walk.py`).

**Order.** The worker speaks first and says `Ready` when it is locked (or `Failure`, if it cannot
lock itself, which is then its last message). The host answers with one `Start`. Then the worker may
`Call`, `Log`, and so on, until one `Result` or `Failure`, which is the last message. `_state.py`
has the whole table.

**Calls.** The worker numbers its calls 1, 2, 3, ... without gaps, with at most `Caps.in_flight` of
them open, and one more for each open invocation, up to `MAX_NESTING`: a function that the host
waits for can always make a call of its own. Each is answered exactly once: by `Reply` or `Fault`. A
call with `credit > 0` asks for a stream: the host sends `Chunk`s, each carrying one value and
costing one credit, then `Reply` (the end, with the closing value) or `Fault`. `Credit` hands credit
back for chunks that were received, never for more; `Close`, sent at most once and followed by no `Credit`, says that the worker wants
no more: the host answers it with the `Reply` or `Fault` that was due anyway, and chunks already
under way are legal. So are `Credit` and `Close` that cross the end of their stream; `_ledger.py`
says how long.

**Callbacks.** The host numbers its invocations 1, 2, 3, ...; each is answered once by `Return` or
`Raise`, be it after the end of the call that led to it. An `Invoke` is legal only while at least
one call is open. A function is a number that the worker gave it, counting from 1: in the
arguments of a call it stands as the map `{"@function": N}`, an object that the host keeps for the
script as `{"@object": N}`. What the host makes of such a map depends on the type of the parameter
alone (`_handles.py`); where none is wanted, it is a map like any other.

**Traps.** A worker that is stopped at a forbidden system call says so, if it still can, in one
`Trap` written by its signal handler: in one write(2), but from any thread and at any moment, so
perhaps in the middle of another frame, whose rest then never comes. The kernel kills it right
afterwards. Nobody need believe it: only the exit status tells whether a call was forbidden.

**Version.** `Ready.version` must equal `PROTOCOL_VERSION`; there is no negotiation.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

PROTOCOL_VERSION = 3
"""Raised by one with every change of a message; both ends ship in one wheel."""

ErrorKind = Literal[
    "Provider",
    "Configuration",
    "Validation",
    "Network",
    "Serialization",
    "Timeout",
    "RateLimit",
    "Conversion",
    "Policy",
    "Limit",
    "Internal",
    "Script",
]
"""The seven kinds of the model libraries, then ours: a value that cannot cross, a thing not
granted, a budget used up, a bug on the host's side, and an error that the script itself raised."""

LogLevel = Literal["debug", "info", "log", "warn", "error", "write"]
"""`write` is text without an end of line: what a stream brings, as it comes."""

MethodKind = Literal["call", "stream"]

MAX_NESTING = 32
"""Functions of the script that may be waited for at once. One that calls a bridge which calls a
function goes this deep; a person's program does not, and an engine's stack has room for it."""

MAX_FUNCTIONS = 1024
"""Functions that a script may hand over in a run: the worker keeps each of them alive."""

FailureCause = Literal["error", "syntax", "conversion", "memory", "unhandled", "unsupported"]
"""Why a script ended badly: it raised, did not parse, returned what cannot cross, ran out of
memory, left a promise rejected, or asked the engine for what it does not do."""


class Message(Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Base of every message. The field order is the wire order."""


class ErrorInfo(Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """An error as scripts see it. `retry_after` and `duration` are seconds."""

    kind: ErrorKind
    message: str
    retryable: bool = False
    retry_after: float | None = None
    field: str | None = None
    duration: float | None = None


class WorkerLimits(Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """What the worker enforces on itself so that a healthy script gets a clear error.

    The host enforces the same numbers again, from outside.
    """

    heap: int
    """Bytes that the script engine may allocate before its own out-of-memory error."""
    max_request: int
    """Bytes of msgpack in the arguments of one call."""
    max_result: int
    """Bytes of msgpack in the returned value."""
    max_in_flight: int
    """Calls that may be open at once."""


class Binding(Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """What a worker is told of one method."""

    kind: MethodKind
    functions: bool = False
    """Its arguments may hold functions of the script."""
    gives: str = ""
    """What the script gets: empty, the value as it is; `text`, a map that works as its text
    `content` too; `texts`, a list of those; otherwise the kind of object whose number the value is,
    with the methods that the manifest lists as `kind.method`."""


# --- worker to host ---------------------------------------------------------------------------


class Ready(Message, tag="ready", frozen=True):
    """The worker is locked, has tested its own walls, and holds no script yet."""

    version: int
    engine: str
    engine_version: str
    layers: dict[str, str]
    """Containment layer to what the worker read back about it, for the report."""


class Call(Message, tag="call", frozen=True):
    """Call a bridge method. `args` is a msgpack array of the positional arguments."""

    id: int
    method: str
    """`bridge.method`: two or three names of `[a-z][a-z0-9_]*`, at most 64 characters in all."""
    args: Raw
    credit: int = 0
    """0 for a plain call; otherwise how many chunks the host may send before more credit."""


class Credit(Message, tag="credit", frozen=True):
    """The script has consumed `chunks` chunks of stream `id`: the host may send as many more."""

    id: int
    chunks: int


class Close(Message, tag="close", frozen=True):
    """The script wants no more of stream `id`."""

    id: int


class Log(Message, tag="log", frozen=True):
    """One console entry. Not answered; the pipe itself is the back-pressure."""

    level: LogLevel
    text: str


class Return(Message, tag="return", frozen=True):
    """The value of invocation `id`."""

    id: int
    value: Raw


class Raise(Message, tag="raise", frozen=True):
    """Invocation `id` failed."""

    id: int
    error: ErrorInfo


class Result(Message, tag="result", frozen=True):
    """The script ended well. Last message."""

    value: Raw


class Failure(Message, tag="failure", frozen=True):
    """The script ended badly. Last message. Lines and columns count from 1."""

    cause: FailureCause
    error: ErrorInfo
    line: int | None = None
    column: int | None = None
    stack: str | None = None


class Trap(Message, tag="trap", frozen=True):
    """The worker was stopped at a system call that its filter does not let it make. Last message."""

    call: int
    """The number of the call on x86-64 (`syscalls.py` has the names): 0 to 2^30 - 1."""
    listed: bool
    """The call is on the worker's list, but not with these arguments."""


# --- host to worker ---------------------------------------------------------------------------


class Start(Message, tag="start", frozen=True):
    """The script and all that it may know. Sent once, after `Ready`."""

    mode: Literal["execute", "validate"]
    name: str
    """How errors name the script, such as `hello.lua`; never a path of the host."""
    source: str
    params: Raw
    """A msgpack map: the run's parameters."""
    env: dict[str, str]
    """Granted environment variables only."""
    manifest: dict[str, dict[str, Binding]]
    """Bridge to method to binding, names in snake_case: what the script will find bound. A name
    with a dot (`agent.run`) is a method of objects; its first argument is the object's number."""
    limits: WorkerLimits


class Reply(Message, tag="reply", frozen=True):
    """Call `id` succeeded; for a stream, it has ended."""

    id: int
    value: Raw


class Fault(Message, tag="fault", frozen=True):
    """Call `id` failed."""

    id: int
    error: ErrorInfo


class Chunk(Message, tag="chunk", frozen=True):
    """One value of stream `id`."""

    id: int
    value: Raw


class Invoke(Message, tag="invoke", frozen=True):
    """Call back into the script: function number `function` of those it handed over."""

    id: int
    function: int
    args: Raw


WorkerMessage = Ready | Call | Credit | Close | Log | Return | Raise | Result | Failure | Trap
HostMessage = Start | Reply | Fault | Chunk | Invoke


class Caps(Struct, frozen=True):
    """Hard caps of one connection. A peer that passes one is in breach."""

    worker_frame: int = 1024 * 1024 + 65536
    """Bytes of one frame from the worker: the largest request or result, and its envelope."""
    host_frame: int = 10 * 1024 * 1024 + 65536
    """Bytes of one frame from the host: the largest response or script, and its envelope."""
    in_flight: int = 16
    """Calls open at once."""
    credit: int = 64
    """Chunks of one stream that may be under way."""
