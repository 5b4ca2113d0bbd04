"""The page that specifies the wire says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import llmspell_protocol
from llmspell_protocol import (
    MAX_DEPTH,
    MAX_WEIGHT,
    PROTOCOL_VERSION,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
    Binding,
    Call,
    Caps,
    Ready,
    Reply,
    Result,
    Start,
    State,
    WorkerLimits,
)
from llmspell_protocol._state import SENDS
from tests.protocol.helpers import Pair, Wire, drain, raw

PACKAGE = Path(llmspell_protocol.__file__).parent
README = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^([<>]) ((?:[0-9a-f]{2} ?)+)$", README, re.MULTILINE)

EXPECTED: list[Wire] = [
    Ready(PROTOCOL_VERSION, "lua", "Lua 5.4", {"seccomp": "on"}),
    Start(
        mode="execute",
        name="hi.lua",
        source="return 1",
        params=raw({}),
        env={},
        manifest={"llm": {"complete": Binding("call")}},
        limits=WorkerLimits(
            heap=1 << 26, max_request=1 << 20, max_result=1 << 20, max_in_flight=10
        ),
    ),
    Call(1, "llm.complete", raw([{"prompt": "hi"}])),
    Reply(1, raw({"text": "hey"})),
    Result(raw("hey")),
]


def test_the_worked_example_is_a_run_from_beginning_to_end() -> None:
    pair = Pair()
    heard: list[Wire] = []
    for (direction, text), message in zip(LINES, EXPECTED, strict=True):
        data = bytes.fromhex(text)
        sender, receiver = (
            (pair.worker, pair.host) if direction == ">" else (pair.host, pair.worker)
        )
        assert sender.send(message) == data
        receiver.receive_data(data)
        heard += drain(receiver)
    assert heard == EXPECTED
    assert pair.host.state is State.DONE


def test_the_parts_of_the_example_make_its_third_line() -> None:
    part = README.partition("taken apart:")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `((?:[0-9a-f]{2} ?)+)` \|", part, re.MULTILINE)
    assert " ".join(found) == LINES[2][1].strip()


def test_the_table_of_the_order_is_that_of_the_code() -> None:
    for state in (State.BOOTING, State.READY, State.RUNNING, State.DONE):
        row = re.search(rf"^\| {state.value} \|(.*)\|(.*)\|$", README, re.MULTILINE)
        assert row
        for cell, table in zip(row.groups(), SENDS.values(), strict=True):
            tags = {kind.__struct_config__.tag for kind in table[state]}
            assert set(re.findall(r"`(\w+)`", cell)) == tags


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    caps = Caps()
    assert caps.worker_frame == 1024 * 1024 + 64 * 1024
    assert f"more than {MAX_DEPTH} lists and maps" in README
    assert f"weight over {MAX_WEIGHT:,}" in README
    assert f"text, bytes or a key {WEIGHT_TEXT}" in README
    assert f"a list or map {WEIGHT_CONTAINER}" in README
    assert f"`in_flight` ({caps.in_flight})" in README
    assert f"outside 0 to {caps.credit}" in README
    assert f"another version than {PROTOCOL_VERSION}" in README


def test_the_map_of_modules_names_every_module() -> None:
    modules = {p.stem for p in PACKAGE.glob("*.py")} - {"__init__"}
    rows = README.partition("## Modules")[2].partition("## Use")[0]
    assert set(re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", rows, re.MULTILINE)) >= modules
