"""What a spell can reach with the bridge `http` that it was not granted."""

from __future__ import annotations

import os
import socket
from typing import Final

from .._attack import BOTH, Succeeded, host
from .._stage import Stage
from ._ground import CANARY, PERMITTED, Ground, Names, answer

_METADATA: Final = {
    "metadata.google.internal": [["169.254.169.254"]],
    "instance-data.ec2.internal": [["fd00:ec2::254"]],
    "azure.example": [["168.63.129.16"]],
}
_LOOPBACK: Final = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f.0.0.1", "0x7f000001",
    "0177.0.0.1", "017700000001", "127.000.000.001", "0", "0x0", "0.0.0.0", "127.0.0.1.",  # noqa: S104
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127\u30020\u30020\u30021", "[::1]", "[::]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::1]", "[2606:4700::5efe:7f00:1]",
    "[::1%25lo]", "localhost", "LOCALHOST", "localhost.", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", "local\u00adhost",
]  # fmt: skip
_SCHEMES: Final = [
    "file:///etc/passwd", "file://ok.example/etc/passwd", "gopher://ok.example:P/_GET",
    "ftp://ok.example:P/", "data:text/plain,x", "unix:/var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "jar:http://ok.example:P!/", "ws://ok.example:P/",
    "dict://ok.example:P/", "ldap://ok.example:P/", "javascript:alert(1)", "//ok.example:P/",
    "http:ok.example:P/", "http://[::1%25eth0]:P/", "http://ok.example:22/",
    "http://ok.example:25/", "",
]  # fmt: skip
_READ_TWICE: Final = [
    "http://ok.example@127.0.0.1:P/", "http://127.0.0.1:P@ok.example/",
    "http://ok.example:80@127.0.0.1:P/", "http://ok.example\\@127.0.0.1:P/",
    "http://127.0.0.1:P\\@ok.example/", "http:\\\\127.0.0.1:P\\", "http://127.0.0.1:P#@ok.example/",
    "http://127.0.0.1:P?@ok.example/", "http://127.0.0.1:P;@ok.example/", "http:///127.0.0.1:P/",
    "http://127.0.0.1\0.ok.example:P/", "http://127.0.0.1%00.ok.example:P/",
    "http://127.0.0.1%2f.ok.example:P/", "http://ok.example%40127.0.0.1:P/",
    "http://ok.example:P/\r\nHost: evil", "ht\ntp://127.0.0.1:P/", " http://127.0.0.1:P/",
    "http://ok.exa\tmple:P/", "http://127.0.0.1\uff0f.ok.example:P/",
    "http://ok.example\uff20127.0.0.1:P/", "http://evil.example\u2100.ok.example:P/",
    "http://evil.example\u200b.ok.example:P/", "http://[ok.example]:P/", "http://[::1:P/",
    "http://ok.example:80:P/", "http://ok.example:99999/", "http://a..ok.example:P/",
]  # fmt: skip
_ALIKE: Final = [
    "notok.example", "ok.example.evil.example", "ok-example.evil.example", "wild.example",
    "evilwild.example", "a.wild.example.evil.example", "k.example", "example", "wild.example.",
]  # fmt: skip
_NETWORK: Final = [
    "10.0.0.1", "172.17.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "169.254.1.1",
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "[fd12::1]", "[fe80::1]", "[ff02::1]",
]  # fmt: skip


@host("B01", "the metadata services of clouds", engines=BOTH)
async def metadata(stage: Stage) -> str:
    hosts = [
        "169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16",
        "192.0.0.192", "169.254.170.2", *_METADATA, "metadata.google.internal.",
    ]  # fmt: skip
    grants = tuple(name.strip("[].") for name in hosts)
    async with Ground(stage, Names(_METADATA), grants=grants) as ground:
        return await ground.try_all([f"http://{name}/latest/meta-data/" for name in hosts])


@host("B02", "this machine by every other name", engines=BOTH)
async def loopback(stage: Stage) -> str:
    names = Names({"localhost": [["127.0.0.1", "::1"]]})
    grants = (*(name.strip("[]") for name in _LOOPBACK), "127.0.0.1")
    async with Ground(stage, names, grants=grants) as ground:
        return await ground.try_all([f"http://{name}:P/" for name in _LOOPBACK])


@host("B03", "a name that leads elsewhere the second time", engines=BOTH)
async def rebinding(stage: Stage) -> str:
    zone = {
        "rebind.example": [[PERMITTED], [CANARY]],
        "mixed.example": [[PERMITTED, CANARY]],
        "mixed6.example": [[PERMITTED, "::1"]],
        "mapped.example": [["::ffff:127.0.0.1"]],
        "nat64.example": [["64:ff9b::7f00:1"]],
    }
    names = Names(zone)
    async with Ground(stage, names, grants=tuple(zone)) as ground:
        url = ground.url("http://rebind.example:P/")
        first = await ground.run(
            "return http.get(params.url).body", "return (await http.get(params.url)).body", url=url
        )
        ground.check()
        if (first.value, names.asked) != ("permitted", ["rebind.example"]):
            raise Succeeded(f"{first.value}, after look-ups of {names.asked}")
        await ground.try_all([f"http://{name}:P/" for name in zone])
    return "one look-up for a request; what leads to the canary is not dialled"


_LOOP: Final = "/14"
"""The last of the redirects below, which leads to itself."""


@host("B04", "redirects to elsewhere", engines=BOTH)
async def redirects(stage: Stage) -> str:
    leads = [
        "http://127.0.0.1:P/", "http://2130706433:P/", "http://[::1]:P/", "http://localhost:P/",
        "http://local.example:P/", "http://evil.example:P/", "//127.0.0.1:P/",
        "http://ok.example@127.0.0.1:P/", "http://ok.example\\@127.0.0.1:P/",
        "file:///etc/passwd", "gopher://127.0.0.1:P/", "data:text/plain,x",
        "http://ok.example:22/", "http://169.254.169.254/", _LOOP,
    ]  # fmt: skip

    def lead(head: str) -> bytes:
        number = int(head.split(" ")[1].strip("/"))
        location = ground.url(leads[number])
        return answer(b"", (301, 302, 303, 307, 308)[number % 5], f"location: {location}")

    zone = {"ok.example": [[PERMITTED]], "local.example": [[CANARY]], "localhost": [[CANARY]]}
    grants = ("local.example", "localhost")
    async with Ground(stage, Names(zone), reply=lead, grants=grants) as ground:
        urls = [f"http://ok.example:P/{number}" for number in range(len(leads))]
        found = await ground.try_all(urls)
        loop = sum(f" {_LOOP} " in head for head in ground.heads)
    if loop > 6:
        raise Succeeded(f"{loop} requests in a loop of redirects")
    return f"{found}; a loop ended after {loop} requests"


@host("B05", "other schemes and other protocols' ports", engines=BOTH)
async def schemes(stage: Stage) -> str:
    async with Ground(stage) as ground:
        return await ground.try_all(_SCHEMES)


@host("B06", "addresses that are read in two ways", engines=BOTH)
async def parsers(stage: Stage) -> str:
    zone = {"ok.example": [[PERMITTED]], "evil.example": [[CANARY]]}
    async with Ground(stage, Names(zone), grants=("*.ok.example",)) as ground:
        return await ground.try_all(_READ_TWICE)


@host("B07", "hosts that resemble granted ones", engines=BOTH)
async def suffixes(stage: Stage) -> str:
    names = Names({name.rstrip("."): [[PERMITTED]] for name in _ALIKE})
    async with Ground(stage, names, grants=("*.wild.example",)) as ground:
        found = await ground.try_all([f"http://{name}:P/" for name in _ALIKE])
        if names.asked or ground.heads:
            raise Succeeded(f"looked up {names.asked}, sent {len(ground.heads)} requests")
    return f"{found}, none looked up"


@host("B08", "the host's own network", engines=BOTH)
async def own_network(stage: Stage) -> str:
    hosts = [*_NETWORK, *_own_addresses()]
    grants = tuple(name.strip("[]") for name in hosts)
    async with Ground(stage, grants=grants) as ground:
        return await ground.try_all([f"http://{name}:P/" for name in hosts])


def _own_addresses() -> list[str]:
    """The address by which others know this machine, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # which sends nothing
        except OSError:
            return []
        return [probe.getsockname()[0]]


@host("B09", "proxies that the environment names", engines=BOTH)
async def proxies(stage: Stage) -> str:
    variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]
    before = {name: os.environ.get(name) for name in variables}
    async with Ground(stage) as ground:
        os.environ.update(dict.fromkeys(variables, ground.url("http://127.0.0.1:P")))
        try:
            report = await ground.run(
                "return http.get(params.url).body",
                "return (await http.get(params.url)).body",
                url=ground.url("http://ok.example:P/"),
            )
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
        ground.check()
        if report.value != "permitted":
            raise ValueError(f"the request failed: {report.problem}")
    return f"{len(variables)} variables named the canary; the server was asked directly"
