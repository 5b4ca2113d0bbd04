"""The built-in tools: what each of them gives, and what it says of nonsense."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.bridges.tools.documents import pdf, png
from tests.bridges.tools.host import call, refused, tools_host

PAGE = (
    '<html><script>alert(1)</script><h1>Owls</h1><p>They <a href="https://x.example">fly</a>.</p>'
)
PEOPLE = [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 7}]


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("calculator", {"expression": "2 * (3 + sqrt(16))"}, 14.0),
        ("calculator", {"expression": "7 // 2 + round(pi)"}, 6),
        ("csv_format", {"rows": [{"a": 1, "b": "x,y"}, {"b": 2}]}, 'a,b\n1,"x,y"\n,2\n'),
        ("csv_format", {"rows": [[1, 2], ["a", "b"]], "delimiter": ";"}, "1;2\na;b\n"),
        ("csv_parse", {"text": 'a,b\n1,"x,y"\n'}, [{"a": "1", "b": "x,y"}]),
        ("csv_parse", {"text": "a;b\n1;2", "header": False, "delimiter": ";"}, [["a", "b"], ["1", "2"]]),
        ("html_to_text", {"html": PAGE}, "# Owls\n\nThey [fly](https://x.example).\n"),
        ("html_to_text", {"html": PAGE, "links": False}, "# Owls\n\nThey fly.\n"),
        ("json_query", {"data": PEOPLE, "query": "[?age > `18`].name"}, ["Ada"]),
        ("json_query", {"data": {"a": {"b": 1}}, "query": "a.b"}, 1),
        ("text_diff", {"before": "a\nb\n", "after": "a\nc\n"}, "--- before\n+++ after\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"),
        ("text_diff", {"before": "a", "after": "a"}, ""),
    ],
)  # fmt: skip
def test_a_tool_gives(name: str, arguments: Any, value: Any) -> None:
    found = call(name, arguments)
    assert (found, type(found)) == (value, type(value))


def test_datetime_moves_a_moment_into_a_zone() -> None:
    found = call(
        "datetime", {"at": "2026-01-31T23:30:00Z", "zone": "Asia/Tokyo", "add_seconds": 60}
    )
    assert found == {
        "iso": "2026-02-01T08:31:00+09:00", "unix": 1769902260.0, "zone": "Asia/Tokyo",
        "weekday": "Sunday", "year": 2026, "month": 2, "day": 1, "hour": 8, "minute": 31, "second": 0,
    }  # fmt: skip


def test_datetime_without_a_moment_is_now() -> None:
    first, second = call("datetime", {}), call("datetime", {})
    assert second["unix"] >= first["unix"] > 1_700_000_000


def test_pdf_text_reads_the_pages_that_are_wanted() -> None:
    data = pdf("Owls fly", "Owls hoot", "The end")
    whole = call("pdf_text", {"data": data})
    assert whole == {"text": "Owls fly\n\nOwls hoot\n\nThe end", "pages": 3, "title": "Of owls"}
    as_text = base64.b64encode(data).decode()
    assert call("pdf_text", {"data": as_text, "first": 2, "last": 2})["text"] == "Owls hoot"


def test_image_info_reads_the_header() -> None:
    found = {
        "format": "PNG",
        "mime": "image/png",
        "width": 3,
        "height": 5,
        "mode": "L",
        "frames": 1,
    }
    assert call("image_info", {"data": png(3, 5)}) == found


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("calculator", {"expression": "1 / 0"}, "expression"),
        ("calculator", {"expression": "1 +"}, "expression"),
        ("calculator", {"expression": "'a' * 3"}, "expression"),
        ("calculator", {"expression": "1 " * 600}, "expression"),
        ("csv_parse", {"text": "a,b\n1\n"}, "text"),
        ("csv_parse", {"text": "a,a\n1,2\n"}, "text"),
        ("csv_parse", {"text": "a", "delimiter": ",,"}, "delimiter"),
        ("csv_format", {"rows": [1, 2]}, "rows"),
        ("datetime", {"zone": "Mars/Base"}, "zone"),
        ("datetime", {"zone": "../../etc/passwd"}, "zone"),
        ("datetime", {"at": "tomorrow"}, "at"),
        ("datetime", {"at": "9999-12-31", "add_seconds": 1e9}, "add_seconds"),
        ("image_info", {"data": b"nonsense"}, "data"),
        ("image_info", {"data": "no base64"}, "data"),
        ("image_info", {"data": 7}, "data"),
        ("json_query", {"data": 1, "query": "people[?"}, "query"),
        ("pdf_text", {"data": b"%PDF-1.4 nonsense"}, "data"),
        ("pdf_text", {"data": b"", "first": 0}, "first"),
    ],
)
def test_nonsense_is_refused_by_its_name(name: str, arguments: Any, field: str) -> None:
    kind, message, found = refused(name, arguments)
    assert (kind, found) == ("Validation", field)
    assert field in message


def test_a_damaged_image_is_refused() -> None:
    assert refused("image_info", {"data": png(300, 300)[:40]})[0] == "Validation"


@pytest.mark.parametrize(
    ("arguments", "message", "field"),
    [
        ({}, "required option 'expression' is missing", "expression"),
        ({"expression": 3}, "expected string, got integer", "expression"),
        ({"expresion": "1"}, "unknown option 'expresion'; did you mean 'expression'?", "expresion"),
        ({"expression": "1", "host": "x"}, "unknown option 'host'", "host"),
    ],
)
@pytest.mark.attack("B25")
def test_arguments_are_what_the_schema_says(arguments: Any, message: str, field: str) -> None:
    assert refused("calculator", arguments) == (
        "Validation",
        f"calculator: {field}: {message}",
        field,
    )


@pytest.mark.attack("B25")
@pytest.mark.parametrize(
    "name", ["Calculator", "calculator ", "calc", "tools.calculator", "\u0441alculator"]
)
def test_only_the_exact_name_is_a_tool(name: str) -> None:
    kind, message, field = refused(name, {"expression": "1"})
    assert (kind, field) == ("Validation", "name")
    assert "there is no tool" in message


def test_a_method_is_the_tool_with_its_arguments_in_order() -> None:
    host = tools_host()
    assert host.run(lambda: host.call("tools.calculator", "6 * 7")) == 42


def test_the_list_tells_names_and_schemas() -> None:
    host = tools_host()
    found = {tool["name"]: tool for tool in host.run(lambda: host.call("tools.list"))}
    assert found["calculator"] == {
        "name": "calculator",
        "description": found["calculator"]["description"],
        "parameters": {
            "type": "object",
            "properties": {
                "expression": {
                    "type": "string",
                    "maxLength": 1000,
                    "description": "such as 2 * (3 + sqrt(16))",
                }
            },
            "required": ["expression"],
            "additionalProperties": False,
        },
        "source": "builtin",
    }
    assert all(tool["description"] for tool in found.values())
    assert {"csv_parse", "datetime", "html_to_text", "json_query", "pdf_text", "web_search"} <= set(
        found
    )


def test_validate_does_not_execute() -> None:
    host = tools_host()

    async def work() -> list[Any]:
        return [
            await host.call("tools.validate", "calculator", {"expression": "1 / 0"}),
            await host.call("tools.validate", "calculator", {"expression": 1}),
        ]

    good, bad = host.run(work)
    assert good == {"valid": True}
    assert bad == {
        "valid": False,
        "message": "calculator: expression: expected string, got integer",
        "field": "expression",
    }


def test_health_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = tools_host()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    async def work() -> list[Any]:
        return [
            await host.call("tools.health", name)
            for name in ("text_diff", "pdf_text", "web_search")
        ]

    assert host.run(work) == [
        {"healthy": True},
        {
            "healthy": False,
            "message": "pypdf is not installed: pip install 'llmspell-supervisor[tools]'",
        },
        {
            "healthy": False,
            "message": "nobody searches: set search_provider under [tools] in the config file",
        },
    ]
    assert refused("pdf_text", {"data": b""}, host)[0] == "Configuration"


def test_the_operator_says_which_tools_there_are() -> None:
    settings = {"allow": ["csv_*", "calculator"], "deny": ["csv_format"]}
    host = tools_host(settings)

    async def names() -> list[str]:
        return [tool["name"] for tool in await host.call("tools.list")]

    assert host.run(names) == ["calculator", "csv_parse"]
    assert refused("datetime", {}, tools_host(settings))[::2] == ("Validation", "name")


def test_an_empty_list_allows_none() -> None:
    host = tools_host({"allow": []})
    assert host.run(lambda: host.call("tools.list")) == []


def test_a_tool_that_is_not_granted_is_no_method_either() -> None:
    from llmspell_bridges import BridgeError

    host = tools_host({"deny": ["calculator"]})
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("tools.calculator", "1"))
    assert (caught.value.kind, caught.value.field) == ("Policy", "name")
