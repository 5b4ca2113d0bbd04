"""Objects in stores: a directory, one in memory, and an S3 service on loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from tests.bridges.host import Host

Run = Callable[..., Any]


def bridge_host(config: dict[str, Any], **policy: Any) -> Host:
    return Host(load("storage", {"stores": {"files": config}}), **policy)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "store"
    found.mkdir()
    return found


@pytest.fixture(params=["file", "memory"])
def run(request: pytest.FixtureRequest, folder: Path) -> Run:
    """Makes calls, one after the other, on one store that spells may write; the answers."""

    def calls(*wanted: tuple[Any, ...], **settings: Any) -> list[Any]:
        url = f"file://{folder}" if request.param == "file" else "memory:///"
        host = bridge_host({"url": url, "mode": "write", **settings})

        async def work() -> list[Any]:
            return [await host.call(f"storage.{m}", "files", *args) for m, *args in wanted]

        return host.run(work)

    return calls


def refusal(run: Run, *calls: tuple[Any, ...], **settings: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        run(*calls, **settings)
    return caught.value


def test_what_is_put_can_be_got_listed_and_deleted(run: Run) -> None:
    stored, data, text, head, listed, below, gone, again, left = run(
        ("put", "a/b.txt", "grüße"),
        ("get", "a/b.txt"),
        ("get", "a/b.txt", "text"),
        ("head", "a/b.txt"),
        ("list",),
        ("list", "nothing/here"),
        ("delete", "a/b.txt"),
        ("delete", "a/b.txt"),
        ("list",),
    )
    assert (stored["path"], stored["size"]) == ("a/b.txt", 7)
    assert stored["modified"].endswith("Z")
    assert (data, text) == ("grüße".encode(), "grüße")
    assert head == stored
    assert listed == [stored]
    assert (below, gone, again, left) == ([], True, False, [])


def test_lists_are_sorted_below_a_prefix_and_cut(run: Run) -> None:
    puts = [("put", path, b"") for path in ("b/2", "a", "b/1", "bb")]
    *_, below, first = run(*puts, ("list", "b"), ("list", "", 2))
    assert [o["path"] for o in below] == ["b/1", "b/2"]
    assert [o["path"] for o in first] == ["a", "b/1"]
    assert refusal(run, ("list", "", 0)).field == "limit"
    assert refusal(run, *puts, ("list", "", 2), max_list=3).kind == "Limit"


def test_an_object_is_not_replaced_against_the_scripts_will(run: Run) -> None:
    new = {"overwrite": False}
    assert refusal(run, ("put", "a", "1"), ("put", "a", "2", new)).field == "path"
    *_, kept = run(("put", "b", "1", new), ("put", "b", "2"), ("get", "b", "text"))
    assert kept == "2"


def test_sizes_are_bounded_both_ways(run: Run, folder: Path) -> None:
    assert refusal(run, ("put", "a", "x" * 11), max_object=10).field == "data"
    (folder / "big").write_bytes(b"x" * 11)
    host = bridge_host({"url": f"file://{folder}", "max_object": 10})
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("storage.get", "files", "big"))
    assert caught.value.kind == "Limit"


def test_what_is_not_there_or_not_text_says_so(run: Run) -> None:
    for call, field in (
        (("get", "no"), "path"),
        (("head", "no"), "path"),
        (("put", "a", 5), "data"),
        (("get", "a", "number"), "kind"),
    ):
        error = refusal(run, call)
        assert (error.kind, error.field) == ("Validation", field)
    assert refusal(run, ("put", "a", b"\xff"), ("get", "a", "text")).field == "kind"


@pytest.mark.attack("B13")
@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../../b", "a//b", ".", "a\0", "a\nb", "a\\b"]
)
@pytest.mark.parametrize("method", ["get", "put", "head", "delete"])
def test_a_path_is_plain(run: Run, method: str, path: str, folder: Path) -> None:
    args = (path, "x") if method == "put" else (path,)
    assert refusal(run, (method, *args)).field == "path"
    assert list(folder.parent.rglob("*")) == [folder]


def test_a_store_is_read_only_unless_the_config_says_else(folder: Path) -> None:
    host = bridge_host({"url": f"file://{folder}"})
    for call in (("put", "files", "a", "x"), ("delete", "files", "a")):
        with pytest.raises(BridgeError, match="read-only") as caught:
            host.run(lambda call=call: host.call(f"storage.{call[0]}", *call[1:]))  # type: ignore[misc]
        assert caught.value.kind == "Policy"
    assert list(folder.iterdir()) == []


@pytest.mark.attack("B13", "B14", "B15")
def test_a_local_store_follows_no_link_and_opens_no_pipe(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("canary")
    (folder / "plain").write_text("fine")
    (folder / "link").symlink_to(tmp_path / "canary")
    (folder / "out").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    host = bridge_host({"url": f"file://{folder}", "mode": "write"})

    async def work() -> Any:
        for path in ("link", "out/canary", "pipe"):
            for method, *args in (("get",), ("head",), ("put", "x"), ("delete",)):
                with pytest.raises(BridgeError) as caught:
                    await host.call(f"storage.{method}", "files", path, *args)
                assert caught.value.kind == "Policy"
        return await host.call("storage.list", "files")

    assert [stored["path"] for stored in host.run(work)] == ["plain"]
    assert (tmp_path / "canary").read_text() == "canary"


@contextmanager
def s3(status: int, body: bytes, size: int | None = None) -> Iterator[tuple[int, list[Any]]]:
    """A service that answers every request the same; its port and what it was asked."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.command, self.path, dict(self.headers)))
            self.send_response(status)
            self.send_header("content-length", str(len(body) if size is None else size))
            self.send_header("last-modified", "Sat, 28 Nov 2026 00:00:00 GMT")
            self.send_header("etag", '"1"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bucket(port: int) -> dict[str, Any]:
    options = {"endpoint": f"http://127.0.0.1:{port}", "region": "eu-1", "access_key_id": "AK"}
    return {
        "url": "s3://bucket/team",
        "options": options,
        "options_env": {"secret_access_key": "BUCKET_SECRET"},
    }


def test_a_service_is_asked_below_its_prefix_with_a_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BUCKET_SECRET", "canary-secret")
    with s3(200, b"hello") as (port, seen):
        host = bridge_host(bucket(port))
        found = host.run(lambda: host.call("storage.get", "files", "a.txt", "text"))
    assert found == "hello"
    ((command, path, headers),) = seen
    assert (command, path) == ("GET", "/bucket/team/a.txt")
    assert "Credential=AK/" in headers["authorization"]
    assert "canary-secret" not in str(headers)


@pytest.mark.attack("B18")
@pytest.mark.parametrize(
    ("status", "kind"), [(404, "Validation"), (403, "Configuration"), (500, "Network")]
)
def test_what_a_service_says_reaches_no_script(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: str
) -> None:
    monkeypatch.setenv("BUCKET_SECRET", "canary-secret")
    with s3(status, b"<Error><Message>canary-secret</Message></Error>") as (port, _):
        host = bridge_host(bucket(port))
        with pytest.raises(BridgeError) as caught:
            host.run(lambda: host.call("storage.get", "files", "a.txt"))
    assert caught.value.kind == kind
    assert "canary" not in str(caught.value)
    assert str(port) not in str(caught.value)


def test_a_key_that_is_not_set_and_a_setting_that_there_is_not() -> None:
    host = bridge_host(bucket(1))
    with pytest.raises(BridgeError, match="BUCKET_SECRET is not set"):
        host.run(lambda: host.call("storage.head", "files", "a"))
    host = bridge_host({"url": "s3://bucket", "options": {"acces_key_id": "canary"}})
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("storage.head", "files", "a"))
    assert (caught.value.kind, "canary" in caught.value.message) == ("Configuration", False)


def test_a_service_elsewhere_is_reached_by_tls() -> None:
    config = {"url": "s3://bucket", "options": {"endpoint": "http://s3.example"}}
    host = bridge_host(config)
    with pytest.raises(BridgeError, match="plain http") as caught:
        host.run(lambda: host.call("storage.head", "files", "a"))
    assert caught.value.kind == "Policy"


@pytest.mark.parametrize("url", ["http://x/y", "ftp://x", "file://relative", "s3://", "s3://b?x=1"])
def test_an_address_that_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(BridgeError) as caught:
        bridge_host({"url": url})
    assert caught.value.kind == "Configuration"
