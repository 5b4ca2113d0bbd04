"""`util` of scripts."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol import pack, unpack
from llmspell_workers.library import LIBRARY, HostError, call_library


def call(method: str, *arguments: Any) -> Any:
    return unpack(call_library(method, pack(list(arguments))))


@given(st.text() | st.binary())
def test_base64_gives_back_what_it_took(data: str | bytes) -> None:
    octets = data.encode() if isinstance(data, str) else data
    text = call("util.base64_encode", data)
    assert text == base64.b64encode(octets).decode()
    back = call("util.base64_decode", text)
    assert (back.encode() if isinstance(back, str) else back) == octets


@pytest.mark.parametrize(("text", "value"), [("aGk=", "hi"), ("/w==", b"\xff"), ("", "")])
def test_decoded_base64_is_text_exactly_when_it_is_valid_utf8(text: str, value: Any) -> None:
    assert call("util.base64_decode", text) == value


@pytest.mark.parametrize("text", ["aGk", "a!k=", "é", "=", "aGk=aGk="])
def test_malformed_base64_is_refused(text: str) -> None:
    with pytest.raises(HostError) as caught:
        call("util.base64_decode", text)
    assert (caught.value.info.kind, caught.value.info.field) == ("Validation", "text")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1", "md5"])
@pytest.mark.parametrize("data", ["", "é" * 1000, b"\x00\xff"])
def test_digests_are_those_of_the_standard(algorithm: str, data: str | bytes) -> None:
    octets = data.encode() if isinstance(data, str) else data
    expected = hashlib.new(algorithm, octets, usedforsecurity=False).hexdigest()
    assert call("util.hash", data, algorithm) == expected


def test_sha256_is_the_default() -> None:
    assert call("util.hash", "x") == call("util.hash", "x", "sha256")


@pytest.mark.parametrize("data", [1, None, ["x"], {}])
def test_only_text_and_bytes_have_a_digest(data: Any) -> None:
    with pytest.raises(HostError) as caught:
        call("util.hash", data)
    assert (caught.value.info.kind, caught.value.info.field) == ("Validation", "data")


def test_uuids_are_of_version_four_and_differ() -> None:
    made = [uuid.UUID(call("util.uuid")) for _ in range(100)]
    assert {(u.version, u.variant) for u in made} == {(4, uuid.RFC_4122)}
    assert len(set(made)) == 100


def test_time_is_now_to_the_millisecond() -> None:
    before = time.time()
    told = call("util.time")
    assert before - 0.002 <= told <= time.time()
    assert round(told * 1000) / 1000 == told


def test_sleep_waits_at_least_as_long_as_told() -> None:
    began = time.monotonic()
    call("util.sleep", 20)
    assert time.monotonic() - began >= 0.02


@pytest.mark.parametrize("milliseconds", [-1, 1e12, "1", None])
def test_a_sleep_that_makes_no_sense_is_refused(milliseconds: Any) -> None:
    with pytest.raises(HostError) as caught:
        call("util.sleep", milliseconds)
    assert caught.value.info.field == "milliseconds"


def test_every_function_of_the_library_is_documented() -> None:
    for module, functions in LIBRARY.items():
        for name, signature in functions.items():
            assert signature.doc, f"{module}.{name}"
            assert signature.name == name


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = "import sys, llmspell_workers.library; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"asyncio", "json", "uuid", "hashlib", "_hashlib", "base64", "random", "socket"}
    # What `site` imports for installed packages is not the library's.
    bare = subprocess.run(
        [sys.executable, "-c", "import msgspec, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split()) - set(bare.stdout.split())
    assert not heavy & loaded
