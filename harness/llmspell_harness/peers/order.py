"""Messages in the wrong order, in the wrong direction, or with numbers that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmspell_protocol import (
    PROTOCOL_VERSION,
    Close,
    Credit,
    ErrorInfo,
    Failure,
    Log,
    Raise,
    Ready,
    Result,
    Return,
    Trap,
)

from .._attack import peer
from ._frames import NULL, READY, call, encode, result, says

if TYPE_CHECKING:
    from .._wire import Wire

_RESULT: Final = encode(Result(NULL))
_ERROR: Final = ErrorInfo("Script", "no")

says("P11", "unknown message", "a message that there is not", encode(["exec", "id"]))
says("P11", "ready again", "Ready in the middle of a run", encode(READY))
says("P11", "answer to nothing", "the value of a callback that nobody asked for",
     encode(Return(1, NULL)))  # fmt: skip
says("P11", "error to nothing", "the error of a callback that nobody asked for",
     encode(Raise(1, _ERROR)))  # fmt: skip
says("P11", "credit for nothing", "credit for a stream that is none", encode(Credit(1, 1)))
says("P11", "close of nothing", "the end of a stream that is none", encode(Close(1)))
says("P11", "credit for a call", "credit for a call that is no stream",
     encode(call(1)), encode(Credit(1, 1)))  # fmt: skip
says("P11", "two results", "two results: the first one ends the run", _RESULT, _RESULT,
     verdicts=("ok",))  # fmt: skip
says("P11", "call after the result", "a call after the result: nobody hears it",
     _RESULT, encode(call(1)), verdicts=("ok",))  # fmt: skip
says("P11", "result after the failure", "a result after the failure: the first word is the last",
     encode(Failure("error", _ERROR)), _RESULT, verdicts=("script_error",))  # fmt: skip
says("P11", "result first", "a result before Start", _RESULT, early=True)
says("P11", "log first", "a log before Ready", encode(Log("log", "early")), early=True)
says("P11", "call first", "a call before Ready", encode(call(1)), early=True)
# Pipes do not tell who has read what: this is a result like any other, of a spell that was ignored.
says("P11", "result before start", "Ready and a result in one write",
     encode(READY), _RESULT, verdicts=("ok",), early=True)  # fmt: skip
says("P11", "trap and on", "the note of a stopped worker, from one that goes on",
     encode(Trap(59, listed=False)))  # fmt: skip


@peer("P11", "the note of a stopped worker, from one that exits")
def trap_and_out(wire: Wire) -> None:
    wire.message(Trap(59, listed=False))
    wire.leave(0)


@peer("P11", "a note about a system call that there is not")
def trap_at_nothing(wire: Wire) -> None:
    wire.message(Trap(-1, listed=False))
    wire.hang()


for _name, _title, _first, _second in (
    ("number twice", "two calls of one number", 1, 1),
    ("number left out", "a call that skips a number", 1, 3),
    ("numbers backwards", "calls that count backwards", 2, 1),
    ("number zero", "a call of number 0", 0, 1),
    ("negative number", "a call of number -1", -1, 0),
    ("largest number", "a call of number 2^63-1", (1 << 63) - 1, 1 << 62),
):
    says("P12", _name, _title, encode(call(_first)), encode(call(_second)))
says("P12", "number beyond", "a call of number 2^63",
     b"\x94\xa4call\xcf\x80" + b"\x00" * 7 + b"\xaallm.models\x90")  # fmt: skip

for _name, _message in (
    ("start", ["start", "execute", "a", "", {}, {}, {}, [0, 0, 0, 0]]),
    ("reply", ["reply", 1, {"id": "forged"}]),
    ("fault", ["fault", 1, ["Script", "forged"]]),
    ("chunk", ["chunk", 1, "forged"]),
    ("invoke", ["invoke", 1, 1, []]),
):
    says("P13", _name, f"the host's own {_name}, sent back", encode(call(1)), encode(_message))


@peer("P13", "what the host sent, sent back as it came")
def echo(wire: Wire) -> None:
    wire.message(call(1))
    wire.frame(wire.answer())
    wire.hang()


for _name, _version in (
    ("older", PROTOCOL_VERSION - 1),
    ("newer", PROTOCOL_VERSION + 1),
    ("zero", 0),
    ("negative", -PROTOCOL_VERSION),
    ("huge", (1 << 63) - 1),
    ("text", str(PROTOCOL_VERSION)),
    ("float", float(PROTOCOL_VERSION)),
):
    says("P30", f"{_name} version", f"Ready in another version of the protocol ({_version!r})",
         encode(["ready", _version, "lua", "forged", {}]), early=True)  # fmt: skip


@peer("P19", "Ready before the lock is proved, and the true one after it", early=True)
def two_readys(wire: Wire) -> None:
    wire.message(READY)


@peer("P19", "a forged Ready with a hundred thousand layers", early=True)
def layers_without_end(wire: Wire) -> None:
    layers = {f"{n:x}": "on: forged" for n in range(100_000)}
    wire.message(Ready(PROTOCOL_VERSION, "lua", "forged", layers))
    wire.hang()


@peer("P19", "a worker that never says Ready", verdicts=("supervisor_error",), early=True)
def never_ready(wire: Wire) -> None:
    wire.hang()


@peer("P19", "a worker that exits instead of Ready", verdicts=("supervisor_error",), early=True)
def gone_before_ready(wire: Wire) -> None:
    wire.leave(0)


says("P19", "failure first", "a failure of a megabyte in place of Ready",
     encode(Failure("error", ErrorInfo("Internal", "forged " * 140_000))),
     verdicts=("supervisor_error",), early=True)  # fmt: skip
says("P19", "layers again", "a report of the layers when the spell is there already",
     encode(Ready(PROTOCOL_VERSION, "lua", "forged", {"seccomp": "on: forged"})),
     result(b"\xc0"))  # fmt: skip
