"""What wakes reactive workflows: real directories, a real port, the clock."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.workflow import WorkflowBridge, WorkflowConfig
from tests.bridges.host import Host


def host(folder: Path | None = None, **settings: Any) -> Host:
    granted = (str(folder),) if folder else ()
    return Host(WorkflowBridge(WorkflowConfig(**settings)), allow_read=granted)


@contextlib.asynccontextmanager
async def watching(there: Host, **source: Any) -> AsyncGenerator[Any, None]:
    """A stream of events as maps, and what its first one is."""
    stream = there.open("workflow.watch", source)

    async def events() -> AsyncGenerator[dict[str, Any], None]:
        async for chunk in stream:
            yield json.loads(json.dumps(_plain(chunk)))

    try:
        yield events()
    finally:
        await stream.aclose()


def _plain(chunk: bytes) -> Any:
    import msgspec

    return msgspec.msgpack.decode(chunk)


def refused(there: Host, **source: Any) -> BridgeError:
    async def main() -> None:
        async with watching(there, **source) as events:
            await anext(events)

    with pytest.raises(BridgeError) as caught:
        there.run(main)
    return caught.value


def test_changes_of_a_granted_directory_are_told(tmp_path: Path) -> None:
    there = host(tmp_path)

    async def main() -> list[tuple[str, str]]:
        found = []
        async with watching(there, path=str(tmp_path)) as events:
            ready = await anext(events)
            assert ready == {"source": "files", "event": "ready", "path": str(tmp_path)}
            (tmp_path / "new.txt").write_text("x")
            found.append(await anext(events))
            (tmp_path / "new.txt").unlink()
            while found[-1]["event"] != "deleted":
                found.append(await anext(events))
        return [(event["event"], event["path"]) for event in found]

    told = there.run(main)
    assert told[0] == ("added", str(tmp_path / "new.txt"))
    assert told[-1] == ("deleted", str(tmp_path / "new.txt"))


@pytest.mark.attack("B14")
def test_a_folder_is_named_from_its_root_and_watched_wherever_it_moves(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    there = host(tmp_path)

    async def main() -> dict[str, Any]:
        async with watching(there, path="inbox") as events:
            await anext(events)
            (tmp_path / "inbox").rename(tmp_path / "moved")
            (tmp_path / "inbox").symlink_to("/")
            (tmp_path / "moved" / ".llmspell-half-written").write_text("x")
            (tmp_path / "moved" / "new.txt").write_text("x")
            while True:
                event: dict[str, Any] = await anext(events)
                assert "half-written" not in event["path"]
                if event["event"] == "added":
                    return event

    assert there.run(main)["path"] == "inbox/new.txt"


@pytest.mark.attack("B13")
def test_a_directory_that_is_not_granted_is_not_watched(tmp_path: Path) -> None:
    granted, other = tmp_path / "granted", tmp_path / "other"
    granted.mkdir()
    other.mkdir()
    (granted / "link").symlink_to(other)
    (granted / "file").write_text("x")
    there = host(granted)
    for path in (other, tmp_path, Path("/"), granted / "link"):
        assert refused(there, path=str(path)).kind == "Policy"
    for path in (granted / ".." / "other", granted / "none", granted / "file"):
        assert refused(there, path=str(path)).kind == "Validation"
    assert refused(host(), path=str(granted)).kind == "Policy"


def test_a_watch_leaves_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    there = host(tmp_path)

    async def main() -> None:
        async def once() -> None:
            async with watching(there, path=str(tmp_path)) as events:
                await anext(events)
                (tmp_path / os.urandom(4).hex()).write_text("x")
                await anext(events)

        await once()  # what the library opens once
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            await once()
        deadline = asyncio.get_running_loop().time() + 10
        while len(os.listdir("/proc/self/fd")) > before:  # its thread ends by itself
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)

    there.run(main)


def test_a_timer_ticks_as_often_as_it_is_told() -> None:
    there = host()
    chunks, closing = there.run(lambda: there.drain("workflow.watch", {"every": 0.01, "times": 3}))
    assert [chunk["number"] for chunk in chunks] == [1, 2, 3]
    assert closing is None


@pytest.mark.parametrize("source", [{}, {"every": 1, "path": "/"}, {"webhook": "no-slash"}])
def test_a_source_is_one_thing(source: dict[str, Any]) -> None:
    assert refused(host(), **source).kind == "Validation"


# --- webhooks ---------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def post(
    port: int,
    path: str,
    body: bytes = b"{}",
    headers: Mapping[str, str] = {"Content-Type": "application/json"},
    method: str = "POST",
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


def test_requests_to_a_webhook_are_told() -> None:
    port = free_port()
    there = host(webhook_port=port)

    async def main() -> list[dict[str, Any]]:
        async with watching(there, webhook="/deploy", times=2) as events:
            ready = await anext(events)
            assert ready["url"] == f"http://127.0.0.1:{port}/deploy"
            body = json.dumps({"ref": "main", "n": [1, None]}).encode()
            assert await asyncio.to_thread(post, port, "/deploy?a=1&b=%C3%BC", body) == 202
            assert await asyncio.to_thread(post, port, "/deploy", "grüße".encode(), {}) == 202
            return [event async for event in events]

    first, second = there.run(main)
    assert first == {
        "source": "webhook",
        "event": "request",
        "path": "/deploy",
        "query": {"a": "1", "b": "ü"},
        "body": {"ref": "main", "n": [1, None]},
    }
    assert second["body"] == "grüße"
    with pytest.raises(ConnectionError):  # nobody waits any more
        post(port, "/deploy")


def test_who_may_not_send_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "s3cret")
    port = free_port()
    there = host(webhook_port=port, webhook_token_env="HOOK_TOKEN")  # noqa: S106 - a name
    good = {"Authorization": "Bearer s3cret", "Content-Type": "application/json"}
    refusals: list[tuple[int, dict[str, Any]]] = [
        (401, {"headers": {}}),
        (401, {"headers": {"Authorization": "Bearer wrong"}}),
        (403, {"headers": {**good, "Origin": "https://evil.example"}}),
        (403, {"headers": {**good, "Host": "evil.example"}}),
        (403, {"headers": {**good, "Host": f"evil.example:{port}"}}),
        (404, {"path": "/other", "headers": good}),
        (405, {"headers": good, "method": "GET"}),
        (400, {"headers": good, "body": b"{"}),
        (400, {"headers": good, "body": b'{"n": 1e999}'}),
        (400, {"headers": good, "body": b"[" * 100 + b"]" * 100}),
        (400, {"headers": {**good, "Content-Type": "text/plain"}, "body": b"\xff"}),
        (400, {"headers": good, "body": b'"' + b"x" * 1024 * 1024 + b'"'}),
    ]

    async def main() -> dict[str, Any]:
        async with watching(there, webhook="/in") as events:
            await anext(events)
            for status, request in refusals:
                given = {"path": "/in", **request}
                assert await asyncio.to_thread(post, port, **given) == status, given
            assert await asyncio.to_thread(post, port, "/in", b"1", good) == 202
            event: dict[str, Any] = await anext(events)
            return event

    assert there.run(main)["body"] == 1  # none of the others has got through


def test_a_webhook_that_is_not_granted_or_cannot_be_had_is_refused() -> None:
    assert refused(host(), webhook="/x").kind == "Policy"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = refused(host(webhook_port=port), webhook="/x")
    assert (error.kind, "webhook_port" in error.message) == ("Configuration", True)
    without = host(webhook_port=port, webhook_token_env="UNSET_TOKEN")  # noqa: S106 - a name
    error = refused(without, webhook="/x")
    assert (error.kind, "UNSET_TOKEN" in error.message) == ("Configuration", True)


def test_two_spells_share_the_port_but_not_a_path() -> None:
    port = free_port()
    there = host(webhook_port=port)

    async def main() -> tuple[Any, Any]:
        async with watching(there, webhook="/a") as one, watching(there, webhook="/b") as two:
            await anext(one)
            await anext(two)
            with pytest.raises(BridgeError, match="another spell waits"):
                async with watching(there, webhook="/a") as third:
                    await anext(third)
            assert await asyncio.to_thread(post, port, "/b", b"2") == 202
            assert await asyncio.to_thread(post, port, "/a", b"1") == 202
            return (await anext(one))["body"], (await anext(two))["body"]

    assert there.run(main) == (1, 2)


def test_senders_are_told_to_come_again_while_a_spell_is_busy() -> None:
    port = free_port()
    there = host(webhook_port=port)

    async def main() -> list[int]:
        async with watching(there, webhook="/a") as events:
            await anext(events)
            return [await asyncio.to_thread(post, port, "/a", b"1") for _ in range(65)]

    assert there.run(main) == [202] * 64 + [503]
