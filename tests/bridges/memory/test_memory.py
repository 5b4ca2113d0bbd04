"""Values and conversations that outlive a run, and who sees them."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_bridges import BridgeError, load
from llmspell_bridges._threads import GivenUp, Job
from llmspell_bridges.memory import MemoryConfig
from llmspell_bridges.memory._store import FILE, Store
from tests.bridges.host import Host

Ask = Callable[..., Any]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Calls a method, each time as a new run of a new supervisor."""

    def call(method: str, *args: Any, spell: str = "/spells/a.lua", **settings: Any) -> Any:
        host = Host(load("memory", {"directory": str(tmp_path / "state"), **settings}))
        host.context = msgspec.structs.replace(host.context, identity=spell)
        return host.run(lambda: host.call(f"memory.{method}", *args))

    return call


def refusal(ask: Ask, method: str, *args: Any, **settings: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        ask(method, *args, **settings)
    return caught.value


def test_a_value_is_there_in_a_later_run_with_its_type(ask: Ask) -> None:
    value = {"a": [1, 1.5, None, True, "ü"], "b": b"\x00\xff"}
    ask("set", "m", "k", value)
    assert ask("get", "m", "k") == value
    assert isinstance(ask("get", "m", "k")["a"][0], int)
    ask("set", "m", "k", 2)
    assert ask("get", "m", "k") == 2
    assert ask("get", "m", "other") is None
    assert ask("delete", "m", "k") is True
    assert ask("delete", "m", "k") is False
    assert ask("get", "m", "k") is None


def test_keys_are_listed_by_prefix(ask: Ask) -> None:
    for key in ("b", "a1", "a%", "a2"):
        ask("set", "m", key, 0)
    assert ask("keys", "m") == ["a%", "a1", "a2", "b"]
    assert ask("keys", "m", "a") == ["a%", "a1", "a2"]
    assert ask("keys", "m", "a%") == ["a%"]
    assert ask("keys", "other") == []


def test_a_conversation_keeps_its_order(ask: Ask) -> None:
    for number in range(1, 5):
        assert ask("append", "chat", {"role": "user", "content": str(number)}) == number
    assert [turn["content"] for turn in ask("history", "chat")] == ["1", "2", "3", "4"]
    assert [turn["content"] for turn in ask("history", "chat", 2)] == ["3", "4"]
    assert ask("history", "other") == []


def test_clear_forgets_one_memory_and_no_other(ask: Ask) -> None:
    ask("set", "m", "k", 1)
    ask("append", "m", 1)
    ask("set", "n", "k", 1)
    assert ask("clear", "m") == 2
    assert (ask("keys", "m"), ask("history", "m"), ask("keys", "n")) == ([], [], ["k"])


@pytest.mark.attack("B29")
def test_a_spell_does_not_see_what_another_one_keeps(ask: Ask) -> None:
    ask("set", "m", "k", "canary", spell="/spells/a.lua")
    ask("append", "m", "canary", spell="/spells/a.lua")
    thief = {"spell": "/other/a.lua"}
    for name in ("m", "../a.lua/m", "/spells/a.lua/m", "spell:/spells/a.lua", "m' OR '1'='1", "%"):
        assert ask("get", name, "k", **thief) is None
        assert ask("history", name, **thief) == []
        assert ask("keys", name, **thief) == []
        assert ask("clear", name, **thief) == 0
    assert ask("get", "m", "k", spell="/spells/a.lua") == "canary"


@pytest.mark.attack("B29", "B13")
def test_no_name_becomes_a_path(ask: Ask, tmp_path: Path) -> None:
    for name in ("../../escape", "/root/escape", "a/../b", "NUL", "é\u0301", "x" * 200):
        ask("set", name, name, name)
        assert ask("get", name, name) == name
    files = {os.path.relpath(path, tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {name.split("-")[0] for name in files} == {f"state/{FILE}"}
    for name in ("", "a\0b", "a\nb", "x" * 201):
        assert refusal(ask, "set", name, "k", 1).field == "memory"
        assert refusal(ask, "set", "m", name, 1).field == "key"


def test_spells_of_one_tenant_share_and_those_of_another_do_not(ask: Ask) -> None:
    ask("set", "m", "k", 1, scope="tenant", tenant="red", spell="/spells/a.lua")
    assert ask("get", "m", "k", scope="tenant", tenant="red", spell="/spells/b.lua") == 1
    assert ask("get", "m", "k", scope="tenant", tenant="blue", spell="/spells/a.lua") is None
    assert ask("get", "m", "k", spell="/spells/a.lua") is None


@pytest.mark.attack("B29")
def test_quotas_hold_and_a_refused_change_leaves_nothing(ask: Ask) -> None:
    assert refusal(ask, "set", "m", "big", "x" * 2000, max_value=1000).field == "value"
    ask("set", "m", "a", "x" * 600)
    assert refusal(ask, "set", "m", "b", "x" * 600, max_total=1000).kind == "Limit"
    assert refusal(ask, "append", "m", "x" * 600, max_total=1000).kind == "Limit"
    assert refusal(ask, "append", "n", 1, max_entries=1).kind == "Limit"
    assert refusal(ask, "set", "n", "c", 1, max_entries=1).kind == "Limit"
    ask("set", "m", "a", "y" * 700, max_total=1000, max_entries=1)
    assert (ask("keys", "m"), ask("keys", "n"), ask("history", "m")) == (["a"], [], [])
    ask("set", "m", "a", "x", spell="/spells/b.lua", max_entries=1)


def test_the_files_are_for_their_owner_alone(ask: Ask, tmp_path: Path) -> None:
    ask("set", "m", "k", 1)
    state = tmp_path / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / FILE).stat().st_mode) == 0o600


def test_without_a_directory_the_state_directory_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLMSPELL_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    host = Host(load("memory"))
    host.run(lambda: host.call("memory.set", "m", "k", 1))
    assert (tmp_path / "llmspell-supervisor" / FILE).exists()
    monkeypatch.setenv("LLMSPELL_HOME", str(tmp_path / "home"))
    host = Host(load("memory"))
    assert host.run(lambda: host.call("memory.get", "m", "k")) is None


def test_a_directory_that_cannot_be_is_a_configuration_error(ask: Ask, tmp_path: Path) -> None:
    assert refusal(ask, "get", "m", "k", directory="relative").field == "memory.directory"
    (tmp_path / "file").touch()
    error = refusal(ask, "get", "m", "k", directory=str(tmp_path / "file" / "x"))
    assert (error.kind, str(tmp_path) in error.message) == ("Configuration", False)


@pytest.mark.attack("B27")
def test_a_change_whose_call_is_given_up_is_not_kept(tmp_path: Path) -> None:
    job = Job()
    store = Store(job, str(tmp_path), "me", MemoryConfig())
    store.set("m", "k", "before")
    job.give_up()
    with pytest.raises(GivenUp):
        store.set("m", "k", "after")
    with pytest.raises(GivenUp):
        store.clear("m")
    assert store.get("m", "k") == "before"


def test_a_history_larger_than_an_answer_is_a_limit(tmp_path: Path) -> None:
    host = Host(load("memory", {"directory": str(tmp_path)}), max_response=5000)

    async def work() -> None:
        for _ in range(3):
            await host.call("memory.append", "m", "x" * 2000)
        assert len(await host.call("memory.history", "m", 2)) == 2
        with pytest.raises(BridgeError, match="fewer turns") as caught:
            await host.call("memory.history", "m")
        assert (caught.value.kind, caught.value.field) == ("Limit", "limit")

    host.run(work)


def test_many_calls_at_once_all_count(tmp_path: Path) -> None:
    host = Host(load("memory", {"directory": str(tmp_path)}))

    async def work() -> int:
        calls = (host.call("memory.append", "m", number) for number in range(30))
        await asyncio.gather(*calls)
        return len(await host.call("memory.history", "m"))

    assert host.run(work) == 30
