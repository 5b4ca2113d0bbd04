"""Frames that are whole and hold what no message may: blow-ups, nesting, types, text, numbers."""

from __future__ import annotations

import struct
from typing import Any, Final

from llmspell_protocol import MAX_WEIGHT, WEIGHT_CONTAINER, WEIGHT_TEXT

from ._frames import NULL, encode, result, says

_MANY: Final = 1_000_000
_DEEP: Final = 10_000
_LIGHT: Final = MAX_WEIGHT - 100
"""What a value may weigh beside its message."""
LEGAL_MAPS: Final = _LIGHT // (WEIGHT_CONTAINER + 1)
"""Empty maps in a list that is just light enough."""
_TEXTS: Final = _LIGHT // (WEIGHT_TEXT + 1)
"""Different short texts in a list that is just light enough."""


def _value(attack_id: str, name: str, title: str, value: bytes, **more: Any) -> None:
    says(attack_id, name, title, result(value), **more)


def _array(count: int, items: bytes) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + items


def _map(count: int, items: bytes) -> bytes:
    return b"\xdf" + count.to_bytes(4, "big") + items


_KEYS: Final = b"".join(b"\xa4" + b"%04x" % n + b"\x80" for n in range(60_000))

_OK: Final = {"verdicts": ("ok",)}

_value("P05", "nulls that do not come", "four billion nulls in nine bytes",
       _array(0xFFFFFFFF, b"\xc0" * 4))  # fmt: skip
_value("P05", "pairs that do not come", "four billion pairs in nine bytes",
       _map(0xFFFFFFFF, b"\xc0" * 4))  # fmt: skip
_value("P05", "nulls", "a million nulls in a megabyte", _array(_MANY, b"\xc0" * _MANY))
_value("P05", "empty maps", "a million empty maps in a megabyte", _array(_MANY, b"\x80" * _MANY))
_value("P05", "empty lists", "a million empty lists in a megabyte", _array(_MANY, b"\x90" * _MANY))
_value("P05", "map of empty maps", "sixty thousand empty maps by key",
       b"\xde" + (60_000).to_bytes(2, "big") + _KEYS)  # fmt: skip
_value("P05", "empty texts", "a million empty texts in a megabyte", _array(_MANY, b"\xa0" * _MANY))
_value("P05", "legal blow up", "as many empty maps as one message may hold",
       encode([{}] * LEGAL_MAPS), **_OK)  # fmt: skip
_value("P05", "legal texts", "as many different texts as one message may hold",
       encode([f"{n:x}" for n in range(_TEXTS)]), **_OK)  # fmt: skip
says("P05", "blow up in arguments", "a million empty maps as the arguments of a call",
     b"\x94\xa4call\x01\xaallm.models" + _array(_MANY, b"\x80" * _MANY))  # fmt: skip
says("P05", "blow up in layers", "a million empty texts as the layers of Ready",
     b"\x95\xa5ready\x02\xa3lua\xa0" + _map(_MANY // 2, b"\xa0" * _MANY), early=True)  # fmt: skip

_value("P06", "lists", "lists ten thousand deep", b"\x91" * _DEEP + b"\xc0")
_value("P06", "maps", "maps ten thousand deep", b"\x81\xa1a" * _DEEP + b"\xc0")
_value("P06", "one too deep", "a list one deeper than any may be", b"\x91" * 66 + b"\xc0")
says("P06", "message", "a message inside ten thousand lists", b"\x91" * _DEEP + encode(["log"]))
says("P06", "wide and deep", "lists of sixteen, four hundred deep",
     result((b"\xdc\x00\x10" + b"\xc0" * 15) * 400 + b"\xc0"))  # fmt: skip

_value("P07", "extension", "an extension type", b"\xd4\x05\x00")
_value("P07", "long extension", "an extension that says it has 4 GiB", b"\xc9\xff\xff\xff\xff\x05")
_value("P07", "timestamp", "a timestamp, which decoders make an object of",
       b"\xd6\xff\x00\x00\x00\x00")  # fmt: skip
_value("P07", "long timestamp", "a timestamp of twelve bytes", b"\xc7\x0c\xff" + b"\x7f" * 12)
_value("P07", "bytes as key", "bytes for a key", b"\x81\xc4\x01a\x01")
_value("P07", "nan as key", "a NaN for a key", b"\x81\xcb\x7f\xf8" + b"\x00" * 6 + b"\x01")
_value("P07", "number as key", "a number for a key", b"\x81\x01\x01")
_value("P07", "list as key", "a list for a key", b"\x81\x90\x01")
_value("P07", "unused byte", "the one byte that msgpack does not use", b"\xc1")

_value("P08", "key twice", "a key twice in a value", b"\x82\xa1a\x01\xa1a\x02")
_value("P08", "key twice otherwise written", "a key twice, written in two ways",
       b"\x82\xa1a\x01\xd9\x01a\x02")  # fmt: skip
says("P08", "method twice", "a call as a map that names two methods",
     b"\x84\xa4type\xa4call\xa2id\x01\xa6method\xaallm.models\xa6method\xaaos.systems")  # fmt: skip

for _name, _title, _bytes in (
    ("no utf 8", "bytes that no text has", b"\xff\xfe"),
    ("overlong", "a slash in two bytes", b"\xc0\xaf"),
    ("surrogate", "half a surrogate pair", b"\xed\xa0\x80"),
    ("beyond unicode", "a character beyond the last", b"\xf4\x90\x80\x80"),
    ("cut off", "a character that is cut off", b"\xe2\x82"),
):
    _text = (0xA0 + len(_bytes)).to_bytes(1, "big") + _bytes
    _value("P09", f"{_name} in a value", f"{_title}, in a value", _text)
    _value("P09", f"{_name} in a key", f"{_title}, in a key", b"\x81" + _text + b"\x01")
    says("P09", f"{_name} in a log", f"{_title}, in a log", b"\x93\xa3log\xa3log" + _text)

_value("P10", "beyond 64 bits", "an integer beyond 64 bits with a sign", b"\xcf" + b"\xff" * 8)
_value("P10", "nan", "a NaN", struct.pack(">Bd", 0xCB, float("nan")))
_value("P10", "infinity", "an infinity", struct.pack(">Bd", 0xCB, float("inf")))
_value("P10", "short infinity", "an infinity in four bytes", struct.pack(">Bf", 0xCA, float("inf")))
_value("P10", "long way to write one", "the number 1 in nine bytes, which is a number like others",
       b"\xcf" + b"\x00" * 7 + b"\x01", **_OK)  # fmt: skip
for _name, _title, _id in (
    ("float", "a call whose number is a float", b"\xcb\x3f\xf0" + b"\x00" * 6),
    ("minus zero", "a call whose number is -0.0", b"\xcb\x80" + b"\x00" * 7),
    ("text", "a call whose number is a text", b"\xa11"),
    ("true", "a call whose number is true", b"\xc3"),
    ("null", "a call whose number is null", b"\xc0"),
):
    says("P10", f"{_name} as number", _title, b"\x94\xa4call" + _id + b"\xaallm.models\x90")

for _name, _title, _message in (
    ("method is a list", "a call whose method is a list", ["call", 1, ["llm", "models"], []]),
    ("method is a map", "a call whose method is a map", ["call", 1, {"llm": "models"}, []]),
    ("method is bytes", "a call whose method is bytes", ["call", 1, b"llm.models", []]),
    ("arguments are text", "a call whose arguments are a text", ["call", 1, "llm.models", "[]"]),
    ("arguments are a map", "a call whose arguments are a map", ["call", 1, "llm.models", {}]),
    ("credit below zero", "a call with credit below zero", ["call", 1, "llm.stream", [], -1]),
    ("credit is a float", "a call with half a credit", ["call", 1, "llm.stream", [], 0.5]),
    ("text is bytes", "a log of bytes", ["log", "log", b"text"]),
    ("text is null", "a log of null", ["log", "log", None]),
    ("level is unknown", "a log at a level that there is not", ["log", "fatal", "text"]),
    ("field is missing", "a result without a value", ["result"]),
    ("field too many", "a result with two values", ["result", 1, 2]),
    ("message is a map", "a message that is a map", {"type": "result", "value": 1}),
    ("message is a number", "a message that is a number", 1),
    ("message is text", "a message that is a text", "result"),
    ("message is empty", "a message without a tag", []),
    ("tag is a list", "a message whose tag is a list", [["result"], 1]),
    ("error is text", "a failure whose error is a text", ["failure", "error", "text"]),
    ("kind is unknown", "an error of a kind that there is not",
     ["failure", "error", ["Root", "text"]]),
    ("line is text", "a failure in line '1'", ["failure", "error", ["Script", "a"], "1"]),
):  # fmt: skip
    says("P22", _name, _title, encode(_message))

says("P23", "many keys", "a map of four thousand keys that differ in their last byte",
     result(encode(dict.fromkeys((f"{'k' * 24}{n:x}" for n in range(4_000)), NULL))),
     verdicts=("ok",))  # fmt: skip
says("P23", "many small maps", "two thousand maps of the same keys",
     result(encode([{"a": 1, "b": 2, "c": 3}] * 2_000)), verdicts=("ok",))  # fmt: skip
