"""The README's example is a bridge that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from llmspell_bridges import BridgeConfig, BridgeError
from tests.bridges.host import Host

README = Path(__file__).parents[2] / "bridges" / "README.md"


class Rule:
    """A script with one function: is a number more than 1?"""

    async def invoke(self, function: int, args: bytes) -> bytes:
        """Call it."""
        assert function == 1
        (value,) = msgspec.msgpack.decode(args)
        return msgspec.msgpack.encode(value > 1)


def dice(sides: int) -> Host:
    """A host with the bridge of the README."""
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"__name__": "dice_example"}
    exec(found[1], names)  # noqa: S102 - our own documentation
    return Host(names["DiceBridge"](names["DiceConfig"](sides=sides)))


def test_the_example_answers_calls_and_streams() -> None:
    assert (host := dice(6)).run(lambda: host.call("dice.best", [3, 5])) == 5
    assert (host := dice(3)).run(lambda: host.drain("dice.faces", 2)) == ([2, 3], 2)


def test_the_example_refuses_what_is_wrong() -> None:
    host = dice(6)
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("dice.best", [7]))
    assert (caught.value.kind, caught.value.field) == ("Validation", "rolls")


def test_the_example_with_functions_and_objects_works() -> None:
    found = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "cup_example"}
    exec(found[1], names)  # noqa: S102 - our own documentation
    host = Host(names["CupBridge"](BridgeConfig()))
    host.context = structs.replace(host.context, script=Rule())

    async def work() -> list[Any]:
        one, two = [await host.call("cups.cup", {"@function": 1}) for _ in range(2)]
        counts = [await host.call("cups.cup.put", one, value) for value in (1, 3)]
        await host.call("cups.pour", {"@object": one}, {"@object": two})
        return [*counts, await host.call("cups.cup.show", two)]

    assert host.run(work) == [0, 1, {"content": "3", "sum": 3}]


def test_every_module_is_on_the_map() -> None:
    text = README.read_text()
    root = README.parent / "llmspell_bridges"
    folders = (root, root / "llm", root / "fs", root / "http", root / "mcp")
    ours = [module for folder in folders for module in folder.glob("_[a-z]*.py")]
    assert [m.name for m in ours if m.name not in text] == []
