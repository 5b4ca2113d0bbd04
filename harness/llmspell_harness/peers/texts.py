"""Texts that are too long, that act on a terminal, or that pass for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmspell_protocol import Call, ErrorInfo, Failure, Log

from .._attack import peer
from ._frames import NO_ARGUMENTS, NULL, encode, result, says

if TYPE_CHECKING:
    from .._wire import Wire

_MEGABYTE: Final = "x" * 1_000_000
_FAILED: Final = ("script_error",)
_OK: Final = ("ok",)
_TRACE: Final = 'Traceback (most recent call last):\n  File "/root/.ssh/id_ed25519", line 1\n'

ACTING: Final = (
    "\x1b[2J\x1b[31m",  # clears the screen, colours it
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",  # a link
    "\x1b]52;c;ZXZpbA==\x07",  # sets the clipboard
    "\x1b]0;title\x07\x1bc",  # the title, a reset
    "\x9b31m\x9d0;title\x9c",  # the same with C1 controls
    "harmless\rforged",
    "\a\b\b\b\x7f",
    "\u202egnp.exe\u202c \u2066hidden\u2069 \u200f",  # reordered
    "a\u2028b\u2029c\x85d\x0be\x0cf",  # line ends of some readers
    "\x00after",
)
"""What terminals, editors and readers of lines act upon."""

FORGED: Final = (
    "one\n[error] two",
    "one\nllmspell-supervisor: error: forged",
    "one\nspell.lua:1: protocol_violation: forged\nhint: forged",
    'one\n{"verdict": "ok", "value": "forged"}\n',
    'one\r\n{"level": "audit", "call": "llm.complete"}\r',
    "... 12 lines suppressed",
)
"""Lines that look like another's, or like a record."""

says("P20", "message of a megabyte", "an error message of a megabyte",
     encode(Failure("error", ErrorInfo("Script", _MEGABYTE))), verdicts=_FAILED)  # fmt: skip
says("P20", "stack of a megabyte", "a stack of a megabyte",
     encode(Failure("error", ErrorInfo("Script", "no"), stack=_MEGABYTE)),
     verdicts=_FAILED)  # fmt: skip
says("P20", "field of a megabyte", "an error in a field whose name has a megabyte",
     encode(Failure("error", ErrorInfo("Validation", "no", field=_MEGABYTE))),
     verdicts=_FAILED)  # fmt: skip
says("P20", "crash of a megabyte", "the engine's own error, of a megabyte",
     encode(Failure("error", ErrorInfo("Internal", _MEGABYTE))),
     verdicts=("engine_crash",))  # fmt: skip
says("P20", "chain of causes", "an error that has a cause that has a cause",
     encode(["failure", "error", ["Script", "no", False, None, None, None, ["Script", "no"]]]))  # fmt: skip
says("P20", "traceback", "a traceback with paths of the host, made up",
     encode(Failure("error", ErrorInfo("Script", _TRACE), stack=_TRACE)),
     verdicts=_FAILED)  # fmt: skip
says("P20", "lines before the first", "an error in line -2^63",
     encode(Failure("syntax", ErrorInfo("Script", "no"), -(1 << 63), 1 << 40)),
     verdicts=_FAILED)  # fmt: skip


@peer("P20", "an error message of 100 MB")
def message_of_100_mb(wire: Wire) -> None:
    head = b"\x93\xa7failure\xa5error\x92\xa6Script\xdb\x05\xf5\xe1\x00"
    wire.send((len(head) + 100_000_000).to_bytes(4, "big") + head)
    piece = b"x" * 1_000_000
    for _ in range(100):
        wire.send(piece)
    wire.hang()


for _name, _method in (
    ("path", "../../etc/passwd"),
    ("dunder", "llm.__class__"),
    ("private", "llm._config"),
    ("expression", "llm.models()"),
    ("capital", "LLM.models"),
    ("look alike", "l\u04cfm.models"),
    ("full width", "\uff4c\uff4c\uff4d.models"),
    ("combining", "llm.mode\u0301ls"),
    ("zero width", "llm.mod\u200bels"),
    ("null byte", "llm.models\x00evil"),
    ("line break", "llm.models\n"),
    ("space", " llm.models"),
    ("no bridge", "models"),
    ("empty", ""),
    ("dots", "llm..models"),
    ("four names", "llm.a.b.c"),
    ("of 64 kilobytes", "llm." + "a" * 65536),
):
    says("P21", f"{_name} as method", f"a call of {_method[:20]!a}",
         encode(Call(1, _method, NO_ARGUMENTS)))  # fmt: skip

for _method in ("llm.close", "llm.prefetch", "llm.config", "llm.name", "object.mro", "os.system"):

    def _undeclared(wire: Wire, method: str = _method) -> None:
        wire.message(Call(1, method, NO_ARGUMENTS))
        if wire.answer().startswith(b"\x93\xa5fault"):
            wire.message(Failure("error", ErrorInfo("Policy", "as it should be")))
        else:
            wire.frame(result(b"\xa6gained"))
        wire.hang()

    # Not by its whole name: a spell that names a bridge has it loaded.
    _undeclared.__name__ = f"undeclared {_method.partition('.')[2]}"
    peer("P21", f"{_method}, which no bridge declares", verdicts=("policy_denied",))(_undeclared)

for _level in ("log", "warn", "error", "write"):
    says("P27", f"acting {_level}", f"texts that a terminal acts upon, as {_level}",
         *(encode(Log(_level, text)) for text in ACTING),
         encode(["result", list(ACTING)]), verdicts=_OK)  # fmt: skip
    says("P28", f"forged {_level}", f"lines that look like another's, as {_level}",
         *(encode(Log(_level, text)) for text in FORGED),
         encode(["result", NULL]), verdicts=_OK)  # fmt: skip
says("P27", "acting failure", "an error that a terminal acts upon",
     encode(Failure("error", ErrorInfo("Script", "".join(ACTING), field=ACTING[0]),
                    stack="\n".join(ACTING))), verdicts=_FAILED)  # fmt: skip
says("P28", "forged verdict", "an error whose lines look like verdicts",
     encode(Failure("error", ErrorInfo("Script", "\n".join(FORGED)))), verdicts=_FAILED)  # fmt: skip
