"""What `check` refuses, and the values that `pack` and `unpack` convert."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import os
import subprocess
import sys
import time
import tracemalloc
import uuid
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmspell_protocol import (
    INT_MAX,
    INT_MIN,
    MAX_DEPTH,
    MAX_HOST_WEIGHT,
    MAX_WEIGHT,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
    ScriptValue,
    ValueRejected,
    check,
    pack,
    unpack,
)
from tests.protocol.test_connection import nested, values

encode = msgspec.msgpack.encode

LIST, TEXT = WEIGHT_CONTAINER, WEIGHT_TEXT
FLOAT = encode(0.5)
NAN = encode(math.nan)

ACCEPTED: dict[str, bytes] = {
    "nil": b"\xc0",
    "false": b"\xc2",
    "positive fixint": b"\x7f",
    "negative fixint": b"\xe0",
    "uint8": b"\xcc\xff",
    "uint16": b"\xcd\xff\xff",
    "uint32": b"\xce\xff\xff\xff\xff",
    "the greatest uint64": b"\xcf\x7f" + b"\xff" * 7,
    "int8": b"\xd0\x80",
    "int16": b"\xd1\x80\x00",
    "int32": b"\xd2\x80\x00\x00\x00",
    "int64": b"\xd3\x80" + b"\x00" * 7,
    "float64": b"\xcb\x7f\xef" + b"\xff" * 6,
    "minus zero": b"\xcb\x80" + b"\x00" * 7,
    "fixstr": b"\xa2\xc3\xa9",
    "str8": b"\xd9\x20" + b"\xc3\xa9" * 16,
    "str16": b"\xda\x01\x00" + b"x" * 256,
    "str32": b"\xdb\x00\x01\x00\x00" + b"x" * 65536,
    "bin8": b"\xc4\x01\xff",
    "bin16": b"\xc5\x01\x00" + b"\xff" * 256,
    "bin32": b"\xc6\x00\x01\x00\x00" + b"\xff" * 65536,
    "fixarray": b"\x92\xc0\x90",
    "array16": b"\xdc\x00\x10" + b"\xc0" * 16,
    "array32": b"\xdd\x00\x01\x00\x00" + b"\xc0" * 65536,
    "fixmap": b"\x82\xa1a\xc0\xa1b\x80",
    "map16": encode({f"{n}": n for n in range(16)}),
    "a long key": encode({"k" * 300: None}),
    "a key again in another map": b"\x92\x81\xa1a\xc0\x81\xa1a\x81\xa1a\xc0",
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "cut off"),
    "the unused byte": (b"\xc1", "0xc1"),
    "fixext1": (b"\xd4\x01\x00", "0xd4"),
    "fixext16": (b"\xd8\x01" + bytes(16), "0xd8"),
    "ext8": (b"\xc7\x01\x01\x00", "0xc7"),
    "ext32": (b"\xc9\x00\x00\x00\x00\x01", "0xc9"),
    "timestamp": (b"\xd6\xff" + bytes(4), "0xd6"),
    "uint64 above i64": (b"\xcf\x80" + bytes(7), "above 9223372036854775807"),
    "float64 NaN": (b"\xcb\x7f\xf8" + bytes(6), "not finite"),
    "float64 signalling NaN": (b"\xcb\xff\xf0" + bytes(5) + b"\x01", "not finite"),
    "float64 infinity": (b"\xcb\x7f\xf0" + bytes(6), "not finite"),
    "float64 minus infinity": (b"\xcb\xff\xf0" + bytes(6), "not finite"),
    "float32": (b"\xca" + bytes(4), "0xca"),
    "float64 NaN among many": (b"\xdc\x00\x10" + FLOAT * 15 + NAN, "not finite"),
    "an integer too great among many": (b"\xdc\x00\x10\x01" + FLOAT * 14 + b"\xcf\x80" + bytes(7), "above"),
    "an extension among many numbers": (b"\xdc\x00\x10\x01" + b"\xd4" * 60, "0xd4"),
    "str8 for a short string": (b"\xd9\x1f" + b"x" * 31, "a length of 31 in more bytes"),
    "str16 for a short string": (b"\xda\x00\xff" + b"x" * 255, "a length of 255"),
    "str32 for a short string": (b"\xdb\x00\x00\xff\xff" + b"x" * 65535, "a length of 65535"),
    "bin16 for few bytes": (b"\xc5\x00\x01\xff", "a length of 1"),
    "bin32 for few bytes": (b"\xc6\x00\x00\x00\x01\xff", "a length of 1"),
    "array16 for a short list": (b"\xdc\x00\x01\xc0", "a length of 1"),
    "array32 for a short list": (b"\xdd\x00\x00\x00\x01\xc0", "a length of 1"),
    "map16 for a small map": (b"\xde\x00\x01\xa1a\xc0", "a length of 1"),
    "map32 for a small map": (b"\xdf\x00\x00\x00\x01\xa1a\xc0", "a length of 1"),
    "a key in more bytes than it needs": (b"\x81\xd9\x01a\xc0", "a length of 1"),
    "a lone continuation byte": (b"\xa1\x80", "UTF-8"),
    "overlong": (b"\xa2\xc0\xaf", "UTF-8"),
    "a surrogate": (b"\xa3\xed\xa0\x80", "UTF-8"),
    "beyond Unicode": (b"\xa4\xf4\x90\x80\x80", "UTF-8"),
    "a key that is not UTF-8": (b"\x81\xa1\xff\xc0", "UTF-8"),
    "a long string that is not UTF-8": (b"\xd9\x20" + b"\xff" * 32, "UTF-8"),
    "an integer key": (b"\x81\x01\xc0", "key that is not a string"),
    "a bytes key": (b"\x81\xc4\x01a\xc0", "key that is not a string"),
    "a nil key": (b"\x81\xc0\xc0", "key that is not a string"),
    "a map as key": (b"\x81\x80\xc0", "key that is not a string"),
    "a key twice": (b"\x82\xa1a\xc0\xa1a\xc2", "key twice"),
    "a key twice after an inner map": (b"\x82\xa1a\x81\xa1b\xc0\xa1a\xc2", "key twice"),
    "trailing bytes": (b"\xc0\xc0\xc0", "2 bytes after the end"),
    "an array that lies": (b"\xdd\xff\xff\xff\xff", "elements"),
    "an array16 that lies": (b"\xdc\x00\x10\xc0", "16 elements announced where 1 bytes are left"),
    "a map that lies": (b"\x82\xa1a\xc0", "4 elements announced where 3 bytes are left"),
    "a string that lies": (b"\xdb\xff\xff\xff\xffx", "cut off"),
    "bytes that lie": (b"\xc6\xff\xff\xff\xffx", "cut off"),
    "half a float": (b"\xcb\x00\x00", "cut off"),
    "the last of many floats cut": (b"\xdc\x00\x10" + FLOAT * 15 + FLOAT[:-1], "cut off"),
    "half a float of bad exponent": (b"\xcb\x7f", "cut off"),
    "half a length": (b"\xda\x00", "cut off"),
    "a key and no value": (b"\x81\xa1a", "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_every_encoding_of_a_value_passes(data: bytes) -> None:
    check(data)
    assert pack(unpack(data)) == encode(msgspec.msgpack.decode(data))


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_value_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    """P05, P07, P08, P09, P10."""
    with pytest.raises(ValueRejected, match=reason):
        check(data)
    with pytest.raises(ValueRejected, match=reason):
        unpack(data)


def filled(item: bytes, weight: int) -> bytes:
    """A list of as many of `item` as may cross."""
    return encode([msgspec.Raw(item)] * ((MAX_WEIGHT - LIST) // weight))


HEAVIEST: dict[str, bytes] = {
    "numbers": filled(b"\xcd\x12\x34", 1),
    "64-bit integers": filled(b"\xcf" + bytes(8), 1),
    "empty maps": filled(b"\x80", LIST),
    "maps of one": filled(b"\x81\xa1a\xc0", LIST + TEXT + 1),
    "lists of one": filled(b"\x91\xc0", LIST + 1),
    "lists of 16": filled(b"\xdc\x00\x10" + b"\xc0\x00" * 7 + b"\xcc\xff\xc0", LIST + 16),
    "lists of 63": filled(b"\xdc\x00\x3f" + FLOAT * 62 + b"\x01", LIST + 63),
    "short texts": filled(b"\xa2\xd0\xb6", TEXT),
    "short bytes": filled(b"\xc4\x01x", TEXT),
    "one map": encode({f"{n:x}": None for n in range((MAX_WEIGHT - LIST) // (TEXT + 1))}),
}


@pytest.mark.parametrize("data", HEAVIEST.values(), ids=HEAVIEST.keys())
def test_the_heaviest_frames_cost_what_they_weigh(data: bytes) -> None:
    """P05, P23: in memory and in time, which is measured in empty steps of a loop.

    A step takes 30 ns on a slow machine, so that 100,000 of them are 3 ms; three to five times as
    many have been measured.
    """

    def seconds(work: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(5):
            began = time.thread_time()
            work()
            best = min(best, time.thread_time() - began)
        return best

    steps = range(MAX_WEIGHT)
    assert seconds(lambda: check(data)) < 20 * seconds(lambda: [None for _ in steps])
    tracemalloc.start()
    value = unpack(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert value
    assert peak < 8 * 1024 * 1024


def test_keys_cannot_be_chosen_to_collide() -> None:
    """P23: hashes have a secret of the process, unless the operator sets PYTHONHASHSEED=0."""
    show = [sys.executable, "-c", "print(hash('a'), hash(b'a'))"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONHASHSEED"}
    seen = {
        subprocess.run(show, env=environment, capture_output=True, check=True).stdout
        for _ in range(3)
    }
    assert len(seen) == 3


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_every_truncation_of_a_value_is_refused(data: bytes) -> None:
    for end in {*range(len(data))[:300], *range(len(data))[-300:]}:
        with pytest.raises(ValueRejected):
            check(data[:end])


def test_the_greatest_depth_passes_and_one_more_does_not() -> None:
    """P06."""
    check(encode(nested(MAX_DEPTH)))
    assert unpack(pack(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(ValueRejected, match=f"over {MAX_DEPTH} deep"):
        check(encode(nested(MAX_DEPTH + 1)))
    with pytest.raises(ValueRejected, match=f"over {MAX_DEPTH}"):
        pack(nested(MAX_DEPTH + 1))


def test_nesting_of_a_million_is_refused_without_recursion() -> None:
    """P06."""
    with pytest.raises(ValueRejected, match="deep"):
        check(b"\x91" * 1_000_000 + b"\xc0")


def test_maps_nest_like_lists() -> None:
    check(b"\x81\xa1k" * MAX_DEPTH + b"\xc0")
    with pytest.raises(ValueRejected, match="deep"):
        check(b"\x81\xa1k" * (MAX_DEPTH + 1) + b"\xc0")


WEIGHTS: dict[str, tuple[ScriptValue, int]] = {
    "null": (None, 1),
    "a number": (2.5, 1),
    "text": ("x" * 1000, TEXT),
    "bytes": (b"x", TEXT),
    "an empty list": ([], LIST),
    "an empty map": ({}, LIST),
    "a list of numbers": ([1, 2.5], LIST + 2),
    "many numbers": ([1, 2.5, None] * 100, LIST + 300),
    "many floats": ([2.5] * 300, LIST + 300),
    "a list of texts": (["", "x"], LIST + 2 * TEXT),
    "a map": ({"a": 1, "b": "x"}, LIST + 3 * TEXT + 1),
    "a list of lists": ([[], [1]], LIST + LIST + LIST + 1),
}


@pytest.mark.parametrize(("value", "weight"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_a_value_of_its_weight_passes_and_under_one_less_it_does_not(
    value: ScriptValue, weight: int
) -> None:
    """P05: on both sides of the wall."""
    data = encode(value)
    check(data, max_weight=weight)
    assert pack(value, max_weight=weight) == data
    if weight > 1:
        with pytest.raises(ValueRejected, match=f"or more; the cap is {weight - 1}"):
            check(data, max_weight=weight - 1)
        with pytest.raises(ValueRejected, match=f"or more; the cap is {weight - 1}"):
            pack(value, max_weight=weight - 1)


def test_a_hundred_thousand_numbers_of_any_kind_pass() -> None:
    numbers: ScriptValue = [n if n % 3 else n / 7 for n in range(100_000)]
    assert unpack(encode(numbers)) == numbers


def test_a_host_may_send_more_than_it_takes() -> None:
    value: ScriptValue = [None] * (MAX_HOST_WEIGHT - LIST)
    data = pack(value)
    with pytest.raises(ValueRejected, match=f"cap is {MAX_WEIGHT}"):
        check(data)


def test_raw_and_memoryviews_are_walked_too() -> None:
    check(msgspec.Raw(b"\xc0"))
    check(memoryview(b"\xc0"))
    with pytest.raises(ValueRejected):
        check(msgspec.Raw(b"\xc1"))


@settings(max_examples=300, deadline=None)
@given(value=values)
@example(value=-0.0)
@example(value=INT_MIN)
@example(value=INT_MAX)
def test_any_value_comes_back_as_it_went(value: ScriptValue) -> None:
    back = unpack(pack(value))
    assert back == value
    assert pack(back) == pack(value)


def sane(value: object) -> bool:
    """Whether a value that msgspec has decoded is a `ScriptValue`, said the slow way."""
    match value:
        case None | bool() | str() | bytes():
            return True
        case int():
            return INT_MIN <= value <= INT_MAX
        case float():
            return math.isfinite(value)
        case list():
            return all(map(sane, value))
        case dict():
            return all(isinstance(k, str) and sane(v) for k, v in value.items())
    return False


def refusal(data: bytes) -> str:
    """Why `data` is refused; "unseen" for the rules that a decoder does not have."""
    try:
        check(data)
    except ValueRejected as error:
        unseen = ("key twice", "more bytes than it needs", "0xca")
        return "unseen" if any(rule in error.reason for rule in unseen) else error.reason
    return ""


small = st.sampled_from(sorted({bytes([b]) for b in range(256)}) + list(ACCEPTED.values()))


@settings(max_examples=2000, deadline=None)
@given(data=st.lists(small, max_size=12).map(b"".join) | st.binary(max_size=24))
def test_the_walk_agrees_with_the_decoder_on_any_bytes(data: bytes) -> None:
    """What passes decodes to a value; what does not, msgspec refuses or it holds no value."""
    try:
        value = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, ValueError, OverflowError):
        value = msgspec
    assert refusal(data) in ("", "unseen") if sane(value) else refusal(data)


# --- from Python ---------------------------------------------------------------------------------


class Colour(enum.StrEnum):
    RED = "red"


class Point(msgspec.Struct):
    x: int


class Text(str):
    __slots__ = ()


CYCLE: list[object] = []
CYCLE.append({"self": CYCLE})

NOT_VALUES: dict[str, tuple[object, str, str]] = {
    "NaN": (math.nan, "not finite", "$"),
    "infinity in a list": ([1, -math.inf], "not finite", "$[1]"),
    "NaN among floats": ([1.0, math.nan], "not finite", "$[1]"),
    "an integer too great": ({"n": INT_MAX + 1}, "beyond 64 bits", "$.n"),
    "an integer too small": ([[INT_MIN - 1]], "beyond 64 bits", "$[0][0]"),
    "a cycle": (CYCLE, "holds itself", "$"),
    "an integer key": ({"a": {1: 2}}, "key that is not a string", "$.a"),
    "a nil key": ({None: 1}, "key that is not a string", "$"),
    "a surrogate": (["\ud800"], "not valid Unicode", "$"),
    "a surrogate as key": ({"\ud800": 1}, "not valid Unicode", "$"),
    "a tuple": ({"a": (1, 2)}, "a tuple", "$.a"),
    "a set": ({1}, "a set", "$"),
    "a bytearray": (bytearray(b"x"), "a bytearray", "$"),
    "a date": (dt.datetime.now(dt.UTC), "a datetime", "$"),
    "a decimal": (decimal.Decimal(1), "a Decimal", "$"),
    "a UUID": (uuid.UUID(int=1), "a UUID", "$"),
    "an enum": (Colour.RED, "a Colour", "$"),
    "a struct": (Point(1), "a Point", "$"),
    "a subclass": (Text("x"), "a Text", "$"),
    "a function": (print, "builtin_function", "$"),
}


@pytest.mark.parametrize(("value", "reason", "path"), NOT_VALUES.values(), ids=NOT_VALUES.keys())
def test_what_is_no_value_is_not_packed_and_its_place_is_named(
    value: ScriptValue, reason: str, path: str
) -> None:
    with pytest.raises(ValueRejected, match=reason) as caught:
        pack(value)
    if path != "$":
        assert caught.value.path == path
    assert len(str(caught.value)) < 1000


def test_a_path_is_bounded_and_escaped() -> None:
    with pytest.raises(ValueRejected) as caught:
        pack({"\x1b]0;" + "x" * 1000: math.nan})
    assert caught.value.path.isprintable()
    assert len(caught.value.path) < 80


ELEMENTS: dict[str, Callable[[int], bytes]] = {
    "list": lambda n: b"\xc0" * n,
    "text": lambda n: b"x" * n,
}


@pytest.mark.parametrize(
    ("head", "width", "least", "kind"),
    [
        (0xC4, 1, 0, "text"),
        (0xC5, 2, 256, "text"),
        (0xC6, 4, 65_536, "text"),
        (0xD9, 1, 32, "text"),
        (0xDA, 2, 256, "text"),
        (0xDB, 4, 65_536, "text"),
        (0xDC, 2, 16, "list"),
        (0xDD, 4, 65_536, "list"),
    ],
)
def test_a_length_has_as_few_bytes_as_it_needs(
    head: int, width: int, least: int, kind: str
) -> None:
    def of(length: int) -> bytes:
        return bytes([head]) + length.to_bytes(width, "big") + ELEMENTS[kind](length)

    check(of(least))
    if least:
        with pytest.raises(ValueRejected, match="in more bytes than it needs"):
            check(of(least - 1))


@pytest.mark.parametrize(("head", "width", "least"), [(0xDE, 2, 16), (0xDF, 4, 65_536)])
def test_the_length_of_a_map_has_as_few_bytes_as_it_needs(
    head: int, width: int, least: int
) -> None:
    def of(length: int) -> bytes:
        keys = b"".join(b"\xa4%04x\xc0" % number for number in range(min(length, 0x10000)))
        return bytes([head]) + length.to_bytes(width, "big") + keys

    check(of(least), max_weight=1 << 20)
    with pytest.raises(ValueRejected, match="in more bytes than it needs"):
        check(of(least - 1), max_weight=1 << 20)
