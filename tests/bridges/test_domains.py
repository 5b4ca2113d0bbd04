"""Which addresses a spell may name."""

from __future__ import annotations

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges._domains import check_url, is_loopback


@pytest.mark.parametrize(
    ("pattern", "url", "granted"),
    [
        ("a.example", "https://a.example/x", True),
        ("a.example", "https://A.EXAMPLE:8443/x?y=1", True),
        ("A.example", "https://a.example/", True),
        ("*.example", "https://a.b.example/", True),
        ("*.example", "https://example/", False),
        ("example.com", "https://notexample.com/", False),
        ("example.com", "https://example.com.evil/", False),
        ("*.example.com", "https://evilexample.com/", False),
        ("*.1", "https://127.0.0.1/", False),
        ("127.0.0.1", "https://127.0.0.1/", True),
        ("a.example", "https://b.example/#@a.example", False),
        ("a.example", "https://b.example?@a.example/", False),
    ],
)
def test_domains_are_matched_label_by_label(pattern: str, url: str, granted: bool) -> None:
    if granted:
        check_url(url, allow_domain=(pattern,), require_tls=True, field="url")
        return
    with pytest.raises(BridgeError) as caught:
        check_url(url, allow_domain=(pattern,), require_tls=True, field="url")
    assert (caught.value.kind, caught.value.field) == ("Policy", "url")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://a.example/",
        "https:///x",
        "https://user@a.example/",
        "https://a.example\\@evil/",
        "https://a.example/\n",
        "https://a.example\x00.evil/",
        "https://\u2460.example/",
        "https://[::1",
        "",
    ],
)
def test_an_address_that_parsers_disagree_about_is_refused(url: str) -> None:
    with pytest.raises(BridgeError) as caught:
        check_url(url, allow_domain=("a.example", "*.example"), require_tls=True, field="url")
    assert caught.value.kind == "Validation"


def test_an_empty_list_grants_nothing() -> None:
    with pytest.raises(BridgeError):
        check_url("https://a.example/", allow_domain=(), require_tls=True, field="url")


def test_plain_http_needs_the_operators_leave() -> None:
    grant = ("a.example",)
    with pytest.raises(BridgeError):
        check_url("http://a.example/", allow_domain=grant, require_tls=True, field="url")
    check_url("http://a.example/", allow_domain=grant, require_tls=False, field="url")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
     ("10.0.0.1", False), ("localhost.evil", False), ("127.0.0.1.evil", False), ("", False)],
)  # fmt: skip
def test_this_machine_is_told_by_name_and_address(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
