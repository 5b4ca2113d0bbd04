"""Ways to reach what no spell may reach: one table.

`P` stands for the port of the canary, which listens on 127.0.0.1, on ::1 and on this machine's own
addresses. At the same port of 127.0.0.2 is a server that the operator permits: `ok.example` leads
there, and answers as `REDIRECTS` has it.
"""

from __future__ import annotations

from itertools import cycle
from typing import NamedTuple


class Vector(NamedTuple):
    """One way. `attack` is its id in the catalogue."""

    attack: str
    name: str
    url: str
    grants: tuple[str, ...] = ()
    """Beside `ok.example` and `*.wild.example`: what would let it through, if names were all."""


ZONE: dict[str, list[list[str]]] = {
    "ok.example": [["127.0.0.2"]],
    "a.wild.example": [["127.0.0.2"]],
    # Names of anybody's, which lead to what is not theirs.
    "local.example": [["127.0.0.1"]],
    "local6.example": [["::1"]],
    "zero.example": [["0.0.0.0"]],  # noqa: S104 - an answer, which nobody binds to
    "zero6.example": [["::"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "nat64.example": [["64:ff9b::7f00:1"]],
    "sixtofour.example": [["2002:7f00:1::1"]],
    "mixed.example": [["127.0.0.2", "127.0.0.1"]],
    "mixed6.example": [["127.0.0.2", "::1"]],
    "last.example": [["127.0.0.2"] * 15 + ["127.0.0.1"]],
    "crowd.example": [["127.0.0.2"] * 17],
    "cname.example": [["hop.example"]],
    "hop.example": [["local.example"]],
    "lan.example": [["10.0.0.1"]],
    "docker.example": [["172.17.0.1"]],
    "carrier.example": [["100.64.0.1"]],
    "multicast.example": [["224.0.0.1"]],
    "broadcast.example": [["255.255.255.255"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "metadata": [["169.254.169.254"]],
    "instance-data.ec2.internal": [["fd00:ec2::254"]],
    "azure.example": [["168.63.129.16"]],
    "localhost": [["127.0.0.1", "::1"]],
    "localhost.localdomain": [["127.0.0.1"]],
    "x.localhost": [["127.0.0.1"]],
    # Names that look like granted ones.
    "notok.example": [["127.0.0.1"]],
    "ok.example.evil.example": [["127.0.0.1"]],
    "ok-example.evil.example": [["127.0.0.1"]],
    "wild.example": [["127.0.0.1"]],
    "evilwild.example": [["127.0.0.1"]],
    "a.wild.example.evil.example": [["127.0.0.1"]],
    "evil.example": [["127.0.0.1"]],
}

REDIRECTS = (
    ("address", "http://127.0.0.1:P/"),
    ("number", "http://2130706433:P/"),
    ("v6", "http://[::1]:P/"),
    ("mapped", "http://[::ffff:7f00:1]:P/"),
    ("localhost", "http://localhost:P/"),
    ("name", "http://local.example:P/"),
    ("stranger", "http://evil.example:P/"),
    ("network-path", "//127.0.0.1:P/"),
    ("network-path-name", "//local.example:P/"),
    ("userinfo", "http://ok.example@127.0.0.1:P/"),
    ("backslash", "http://ok.example\\@127.0.0.1:P/"),
    ("backslashes", "\\\\127.0.0.1:P\\"),
    ("tab", "http://127.0.0.1:P\t/"),
    ("file", "file:///etc/passwd"),
    ("gopher", "gopher://127.0.0.1:P/_GET"),
    ("data", "data:text/plain,x"),
    ("javascript", "javascript:alert(1)"),
    ("port", "http://ok.example:22/"),
    ("metadata", "http://169.254.169.254/latest/meta-data/"),
    ("loop", "/redirect/loop"),
    ("long", "/hops/30"),
)
"""What `ok.example` answers at `/redirect/NAME`, with each of the statuses in turn."""

_LITERALS = (
    ("decimal dotted", "127.0.0.1"), ("another of the block", "127.255.255.254"),
    ("short", "127.1"), ("three parts", "127.0.1"), ("one number", "2130706433"),
    ("hex parts", "0x7f.0.0.1"), ("hex number", "0x7f000001"), ("hex and short", "0x7f.1"),
    ("octal part", "0177.0.0.1"), ("octal number", "017700000001"),
    ("leading zeros", "127.000.000.001"), ("zero", "0"), ("double zero", "00"),
    ("hex zero", "0x0"), ("hex nothing", "0x"), ("all zeros", "0.0.0.0"),  # noqa: S104
    ("overflow", "256.256.256.256"), ("wrapped", "4294967297"), ("dot", "127.0.0.1."),
    ("short and dot", "127.1."), ("two dots", "127.0.0.1.."), ("circled", "①②⑦.⓪.⓪.①"),
    ("full width", "\uff11\uff12\uff17.\uff10.\uff10.\uff11"), ("ideographic dots", "127。0。0。1"),
    ("superscript", "\u00b927.0.0.1"), ("arabic digits", "\u0661\u0662\u0667.\u0660.\u0660.\u0661"),
    ("v6", "[::1]"), ("v6 nothing", "[::]"), ("v6 long", "[0:0:0:0:0:0:0:1]"),
    ("v6 zeros", "[0000:0000:0000:0000:0000:0000:0000:0001]"),
    ("mapped", "[::ffff:127.0.0.1]"), ("mapped hex", "[::ffff:7f00:1]"),
    ("translated", "[::ffff:0:127.0.0.1]"), ("compatible", "[::127.0.0.1]"),
    ("nat64", "[64:ff9b::7f00:1]"), ("nat64 dotted", "[64:ff9b::127.0.0.1]"),
    ("nat64 local", "[64:ff9b:1::7f00:1]"), ("6to4", "[2002:7f00:1::]"),
    ("teredo", "[2001:0:7f00:1::1]"), ("isatap", "[2606:4700::5efe:7f00:1]"),
    ("v6 zone", "[::1%lo]"), ("v6 zone encoded", "[::1%25lo]"), ("v6 v4", "[127.0.0.1]"),
    ("localhost", "localhost"), ("capitals", "LOCALHOST"), ("root", "localhost."),
    ("circled name", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ"), ("long name", "localhost.localdomain"),
    ("below", "x.localhost"), ("soft hyphen", "local\u00adhost"),
)  # fmt: skip

_FOREIGN = (
    ("B01", "aws", "169.254.169.254"), ("B01", "aws as number", "2852039166"),
    ("B01", "aws as hex", "0xa9fea9fe"), ("B01", "aws mapped", "[::ffff:169.254.169.254]"),
    ("B01", "aws through nat64", "[64:ff9b::a9fe:a9fe]"), ("B01", "aws v6", "[fd00:ec2::254]"),
    ("B01", "alibaba", "100.100.100.200"), ("B01", "azure", "168.63.129.16"),
    ("B01", "azure by name", "azure.example"), ("B01", "oracle", "192.0.0.192"),
    ("B01", "ecs", "169.254.170.2"), ("B01", "google", "metadata.google.internal"),
    ("B01", "google, root", "metadata.google.internal."), ("B01", "google, short", "metadata"),
    ("B01", "ec2 by name", "instance-data.ec2.internal"),
    ("B08", "ten", "10.0.0.1"), ("B08", "docker", "172.17.0.1"), ("B08", "172", "172.31.255.254"),
    ("B08", "192", "192.168.1.1"), ("B08", "carrier", "100.64.0.1"),
    ("B08", "benchmark", "198.18.0.1"), ("B08", "multicast", "224.0.0.1"),
    ("B08", "ssdp", "239.255.255.250"), ("B08", "reserved", "240.0.0.1"),
    ("B08", "broadcast", "255.255.255.255"), ("B08", "documentation", "192.0.2.1"),
    ("B08", "link-local", "169.254.1.1"), ("B08", "unique local", "[fd12::1]"),
    ("B08", "link-local v6", "[fe80::1]"), ("B08", "site-local v6", "[fec0::1]"),
    ("B08", "multicast v6", "[ff02::1]"), ("B08", "documentation v6", "[2001:db8::1]"),
    ("B08", "relay", "192.88.99.1"),
    ("B08", "lan by name", "lan.example"), ("B08", "docker by name", "docker.example"),
    ("B08", "carrier by name", "carrier.example"),
    ("B08", "multicast by name", "multicast.example"),
    ("B08", "broadcast by name", "broadcast.example"),
)  # fmt: skip

_LOOKED_UP = (
    "local", "local6", "zero", "zero6", "mapped", "nat64", "sixtofour", "mixed", "mixed6", "last",
    "crowd", "cname", "hop",
)  # fmt: skip

_SCHEMES = (
    "file:///etc/passwd", "file://ok.example/etc/passwd", "FILE:///etc/passwd",
    "gopher://ok.example:P/_GET", "ftp://ok.example:P/", "data:text/plain,x",
    "unix:/var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "dict://ok.example:P/",
    "jar:http://ok.example:P!/", "ldap://ok.example:P/", "ws://ok.example:P/", "tftp://ok.example/",
    "view-source:http://ok.example:P/", "blob:http://ok.example:P/x", "javascript:alert(1)",
    "about:blank", "netdoc:///etc/passwd", "httpx://ok.example:P/", "http:ok.example:P/",
    "http:/ok.example:P/", "//ok.example:P/", "/etc/passwd", "ok.example:P", "", "http:", "http://",
)  # fmt: skip

_READ_TWICE = (
    ("userinfo", "http://ok.example@127.0.0.1:P/"),
    ("userinfo, other way", "http://127.0.0.1:P@ok.example:P/"),
    ("password", "http://ok.example:80@127.0.0.1:P/"),
    ("two at signs", "http://a@ok.example@127.0.0.1:P/"),
    ("backslash", "http://ok.example\\@127.0.0.1:P/"),
    ("backslash first", "http://127.0.0.1:P\\@ok.example/"),
    ("backslashes for slashes", "http:\\\\127.0.0.1:P\\"),
    ("fragment", "http://127.0.0.1:P#@ok.example/"),
    ("query", "http://127.0.0.1:P?@ok.example/"),
    ("semicolon", "http://127.0.0.1:P;@ok.example/"),
    ("comma", "http://ok.example,127.0.0.1:P/"),
    ("three slashes", "http:///127.0.0.1:P/"),
    ("four slashes", "http:////127.0.0.1:P/"),
    ("no host", "http://:P/"),
    ("tab", "http://127.0.0.1:P/\t"),
    ("tab in the host", "http://ok.exa\tmple:P/"),
    ("line break", "http://ok.example:P/\r\nHost: evil.example"),
    ("line break in the scheme", "ht\ntp://127.0.0.1:P/"),
    ("leading space", " http://ok.example:P/"),
    ("trailing space", "http://ok.example:P/ "),
    ("space in the host", "http://ok.example 127.0.0.1:P/"),
    ("no-break space", "http://ok.example\u00a0.evil.example:P/"),
    ("nul", "http://127.0.0.1\0.ok.example:P/"),
    ("nul, wildcard", "http://evil.example\0.wild.example:P/"),
    ("nul encoded", "http://127.0.0.1%00.ok.example:P/"),
    ("slash encoded", "http://127.0.0.1%2f.ok.example:P/"),
    ("dot encoded", "http://ok%2eexample:P/"),
    ("at encoded", "http://ok.example%40127.0.0.1:P/"),
    ("full-width slash", "http://127.0.0.1\uff0f.wild.example:P/"),
    ("full-width at", "http://ok.example\uff20127.0.0.1:P/"),
    ("full-width colon", "http://127.0.0.1\uff1aP.wild.example/"),
    ("full-width number sign", "http://127.0.0.1\uff03.wild.example:P/"),
    ("full-width question mark", "http://evil.example\uff1f.wild.example:P/"),
    ("account of", "http://evil.example\u2100.wild.example:P/"),
    ("fraction slash", "http://evil.example\u2044.wild.example:P/"),
    ("right-to-left", "http://ok.example\u202e:P/"),
    ("zero width", "http://evil.example\u200b.wild.example:P/"),
    ("no port", "http://ok.example:/"),
    ("two ports", "http://ok.example:80:P/"),
    ("large port", "http://ok.example:99999/"),
    ("port zero", "http://ok.example:0/"),
    ("negative port", "http://ok.example:-1/"),
    ("plus port", "http://ok.example:+80/"),
    ("full-width port", "http://ok.example:\uff18\uff10/"),
    ("name in brackets", "http://[ok.example]:P/"),
    ("open bracket", "http://[::1:P/"),
    ("bracket inside", "http://ok.example[::1]:P/"),
    ("empty label", "http://a..wild.example:P/"),
    ("empty first label", "http://.wild.example:P/"),
    ("long label", f"http://{'a' * 64}.wild.example:P/"),
    ("long host", f"http://{'a.' * 130}wild.example:P/"),
    ("long address", f"http://ok.example:P/{'a' * 9000}"),
    ("bad percent", "http://ok.example:P/%zz"),
    ("not idna", "http://xn--a.\u0378.wild.example:P/"),
)

_ALIKE = (
    "notok.example", "ok.example.evil.example", "ok-example.evil.example", "wild.example",
    "evilwild.example", "a.wild.example.evil.example", "evil.example", "ok.exampl", "k.example",
    "example", "OK.EXAMPLE.evil.example", "wild.example.",
)  # fmt: skip

_PORTS = (21, 22, 23, 25, 53, 110, 143, 389, 445, 465, 587, 993)

VECTORS: tuple[Vector, ...] = (
    *(Vector("B02", name, f"http://{host}:P/", (host, "127.0.0.1", "::1", "localhost", "0.0.0.0",  # noqa: S104
                                                "localhost.localdomain", "x.localhost"))
      for name, host in _LITERALS),
    *(Vector(attack, name, f"http://{host}/latest", (host.strip("[]").rstrip("."),))
      for attack, name, host in _FOREIGN),
    *(Vector("B03", f"{name} by name", f"http://{name}.example:P/", (f"{name}.example",))
      for name in _LOOKED_UP),
    *(Vector("B04", f"{status} to {name}", f"http://ok.example:P/redirect/{name}?{status}",
             ("localhost", "local.example"))
      for (name, _), status in zip(REDIRECTS, cycle((301, 302, 303, 307, 308)), strict=False)),
    *(Vector("B05", url, url) for url in _SCHEMES),
    *(Vector("B06", name, url) for name, url in _READ_TWICE),
    *(Vector("B07", host, f"http://{host}:P/") for host in _ALIKE),
    *(Vector("B05", f"port {port}", f"http://ok.example:{port}/") for port in _PORTS),
)  # fmt: skip
