"""Nothing but what was granted is reached: every vector, and a canary that must hear nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.http._addresses import _is_ours
from tests.bridges.http.stage import host_of
from tests.bridges.http.vectors import REDIRECTS, VECTORS, ZONE, Vector
from tests.support.name_server import NameClient, NameServer
from tests.support.web_server import AUTHORITY, Request, WebServer, page, redirect

KINDS = {"Policy", "Validation", "Limit"}
"""What is refused before it is dialled, too many redirects included; `Network` and `Timeout` would
mean that it was tried."""
ATTACKS = sorted({vector.attack for vector in VECTORS})


def own_address() -> str | None:
    """The address by which others know this machine, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # which sends nothing
        except OSError:
            return None
        found: str = probe.getsockname()[0]
        return None if found.startswith("127.") else found


class Ground:
    """The canary, the permitted server, and the name server that leads to both."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.canaries = [stack.enter_context(WebServer({}, host="127.0.0.1"))]
        self.port = self.canaries[0].port
        self.own = own_address()
        for address in filter(None, ("::1", self.own)):
            with contextlib.suppress(OSError):
                self.canaries.append(
                    stack.enter_context(WebServer({}, host=address, port=self.port))
                )
        self.permitted = stack.enter_context(
            WebServer(self._replies(), host="127.0.0.2", port=self.port)
        )
        self.names = stack.enter_context(NameServer(ZONE))

    def _replies(self) -> dict[str, Any]:
        def lead(request: Request) -> bytes:
            path, _, status = request.path.partition("?")
            location = dict(REDIRECTS)[path.removeprefix("/redirect/")].replace("P", str(self.port))
            return redirect(location, int(status or 302))

        def hop(request: Request) -> bytes:
            left = int(request.path.removeprefix("/hops/"))
            return redirect(f"/hops/{left - 1}") if left else page(b"the end")

        hops = {f"/hops/{number}": hop for number in range(31)}
        leads = {f"/redirect/{name}": lead for name, _ in REDIRECTS}
        return {"/": page(b"permitted"), **hops, **leads}

    def url(self, text: str) -> str:
        """A vector's address: `P` is the canary's port."""
        return text.replace(":P", f":{self.port}").replace("\uff1aP", f"\uff1a{self.port}")

    def host(self, *grants: str, names: NameServer | None = None, **policy: Any) -> Any:
        """A host that may reach the permitted server, and names as a hostile operator's would."""
        return host_of(
            settings={"allow_private": [f"127.0.0.2:{self.port}"]},
            resolver=NameClient((names or self.names).port),
            **{"allow_domain": ("ok.example", "*.wild.example", *grants), "require_tls": False,
               **policy},
        )  # fmt: skip

    def heard(self) -> int:
        """Connections to any of the canaries."""
        return sum(canary.connections for canary in self.canaries)


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with contextlib.ExitStack() as stack:
        yield Ground(stack)


def test_there_are_many_vectors_and_each_has_a_name_of_its_own() -> None:
    assert len(VECTORS) >= 200
    assert len({(v.attack, v.name) for v in VECTORS}) == len(VECTORS)


def test_the_ground_is_sound(ground: Ground) -> None:
    """What is permitted is reached, by name and below a wildcard, so that a refusal means something."""
    for name in ("ok.example", "a.wild.example"):
        host = ground.host()
        url = f"http://{name}:{ground.port}/"
        found = host.run(partial(host.call, "http.get", url))
        assert found["body"] == "permitted"


@pytest.mark.attack("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08")
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_vector_reaches_the_canary(ground: Ground, attack: str) -> None:
    chosen = [vector for vector in VECTORS if vector.attack == attack]
    host = ground.host(*{grant for vector in chosen for grant in vector.grants})

    async def refusal(vector: Vector) -> str:
        before = ground.heard()
        try:
            answer = await host.call("http.get", ground.url(vector.url), {"timeout": 5})
        except BridgeError as error:
            found = error.kind if error.kind in KINDS else f"{error.kind}: {error.message}"
        else:
            found = f"answered: {answer}"
        return "reached the canary" if ground.heard() != before else found

    async def work() -> dict[str, str]:
        return {vector.name: await refusal(vector) for vector in chosen}

    found = host.run(work)
    assert {name: what for name, what in found.items() if what not in KINDS} == {}
    assert ground.heard() == 0


@pytest.mark.attack("B08")
def test_an_address_of_this_machine_is_refused_whatever_its_number(ground: Ground) -> None:
    assert _is_ours(ip_address("127.0.0.1"))
    assert not _is_ours(ip_address("1.1.1.1"))
    if ground.own is None:
        pytest.skip("this machine has no address but loopback")
    assert _is_ours(ip_address(ground.own))
    host = ground.host(ground.own)
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("http.get", f"http://{ground.own}:{ground.port}/"))
    assert caught.value.kind == "Policy"
    assert ground.heard() == 0


@pytest.mark.attack("B03")
def test_a_name_is_looked_up_once_and_what_was_checked_is_dialled(ground: Ground) -> None:
    zone = {"rebind.example": [["127.0.0.2"], ["127.0.0.1"]]}
    with NameServer(zone) as names:
        host = ground.host("rebind.example", names=names)
        url = f"http://rebind.example:{ground.port}/"

        async def work() -> str:
            first = await host.call("http.get", url)
            assert names.asked["rebind.example"] == 1
            body: str = first["body"]
            return body

        assert host.run(work) == "permitted"
        host = ground.host("rebind.example", names=names)
        with pytest.raises(BridgeError) as caught:
            host.run(lambda: host.call("http.get", url))
    assert caught.value.kind == "Policy"
    assert ground.heard() == 0


@pytest.mark.attack("B04")
def test_a_redirect_to_another_origin_carries_no_credentials(ground: Ground) -> None:
    ground.permitted.replies["/away"] = lambda _: redirect(
        f"http://a.wild.example:{ground.port}/end", 307
    )
    ground.permitted.replies["/near"] = redirect("/end", 307)
    ground.permitted.replies["/end"] = page(b"end")
    mine = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "k", "Accept": "text/html"}

    async def work() -> None:
        for path in ("/away", "/near"):
            url = f"http://ok.example:{ground.port}{path}"
            await host.call("http.post", url, {"headers": mine, "body": "b"})

    host = ground.host()
    host.run(work)
    _, away, _, near = ground.permitted.requests[-4:]
    assert away.headers["host"] == f"a.wild.example:{ground.port}"
    assert {"authorization", "cookie", "x-api-key"} & away.headers.keys() == set()
    assert (away.headers["accept"], away.body) == ("text/html", b"b")
    assert near.headers["authorization"] == "Bearer x"


@pytest.mark.attack("B04")
def test_five_redirects_are_followed_and_no_more(ground: Ground) -> None:
    host = ground.host()
    url = f"http://ok.example:{ground.port}/hops/"

    async def work() -> str:
        found = await host.call("http.get", f"{url}5")
        with pytest.raises(BridgeError) as caught:
            await host.call("http.get", f"{url}6")
        assert caught.value.kind == "Limit"
        body: str = found["body"]
        return body

    assert host.run(work) == "the end"


@pytest.mark.attack("B09")
def test_proxies_of_the_environment_are_not_used(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.setenv(name, f"http://127.0.0.1:{ground.port}")
    host = ground.host()
    found = host.run(lambda: host.call("http.get", f"http://ok.example:{ground.port}/"))
    assert found["body"] == "permitted"
    assert ground.heard() == 0


def test_plain_http_needs_the_operators_leave_except_to_this_machine(ground: Ground) -> None:
    host = ground.host(require_tls=True)
    with pytest.raises(BridgeError, match="require_tls is on"):
        host.run(lambda: host.call("http.get", f"http://ok.example:{ground.port}/"))
    host = ground.host("127.0.0.2", require_tls=True)
    found = host.run(lambda: host.call("http.get", f"http://127.0.0.2:{ground.port}/"))
    assert found["body"] == "permitted"


@pytest.mark.attack("B04")
def test_a_redirect_from_https_to_http_is_not_followed(ground: Ground) -> None:
    down = redirect(f"http://ok.example:{ground.port}/")
    with (
        WebServer({"/": down}, tls=True) as safe,
        NameServer({"web.example": [["127.0.0.1"]]}) as names,
    ):
        host = host_of(
            safe,
            settings={"ca_file": str(AUTHORITY)},
            resolver=NameClient(names.port),
            allow_domain=("web.example", "ok.example"),
            require_tls=False,
        )
        with pytest.raises(BridgeError) as caught:
            host.run(lambda: host.call("http.get", f"https://web.example:{safe.port}/"))
    assert (caught.value.kind, "from https to http" in caught.value.message) == ("Policy", True)


def test_nothing_is_granted_by_an_empty_list(ground: Ground) -> None:
    host = ground.host(allow_domain=())
    with pytest.raises(BridgeError, match="grant it with --allow-domain"):
        host.run(lambda: host.call("http.get", f"http://ok.example:{ground.port}/"))


def test_names_of_strangers_are_not_even_looked_up(ground: Ground) -> None:
    with NameServer({}) as names:
        host = ground.host(names=names)
        with pytest.raises(BridgeError):
            host.run(lambda: host.call("http.get", "https://secret.evil.example/"))
        assert not names.asked


@pytest.mark.attack("B27")
def test_a_call_that_is_cancelled_hangs_up() -> None:
    async def work() -> bytes:
        asked, rest = asyncio.Event(), asyncio.get_running_loop().create_future()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            rest.set_result(await reader.read())  # until the other side hangs up
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        host = host_of(settings={"allow_private": [f"127.0.0.1:{port}"]})
        call = asyncio.create_task(host.call("http.get", f"http://127.0.0.1:{port}/"))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        found: bytes = await rest
        server.close()
        await host.context.run.close()
        await host.registry.close()
        return found

    assert asyncio.run(work()) == b""
