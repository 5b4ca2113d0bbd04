"""Documents taken in, found again, and answered from."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_bridges import BridgeError, load
from llmspell_bridges.llm import LlmBridge, LlmConfig
from llmspell_testkit.model_server import Answer, ModelServer
from tests.bridges.host import Host

Build = Callable[..., Host]

MARKDOWN = """# Pumps

## Model A
The pump of model A is oiled with whale oil every Monday.

## Model B
Model B runs on solar power and is never oiled.
"""
HTML = "<html><head><title>x</title><script>var a = 1</script></head><body><h1>Tea</h1>\
<p>Green tea is brewed at <b>seventy</b> degrees.</p></body></html>"


def pdf(text: str) -> bytes:
    """A PDF with one page of text."""
    content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    fonts = b"<</Font<</F1 5 0 R>>>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources %s>>" % fonts,
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    trailer = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        len(out),
    )
    return out + head + table + trailer


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """A host whose bridge keeps its files below `state`."""

    def host(*others: Any, policy: dict[str, Any] | None = None, **settings: Any) -> Host:
        settings = {"directory": str(tmp_path / "state"), **settings}
        return Host(load("rag", settings), *others, **(policy or {}))

    return host


def refusal(host: Host, method: str, *args: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call(f"rag.{method}", *args))
    return caught.value


def test_documents_of_every_format_are_found_by_a_question(build: Build) -> None:
    host = build(chunk_size=100, chunk_overlap=0)

    async def work() -> list[Any]:
        await host.call("rag.ingest", "kb", {"text": MARKDOWN, "source": "pumps.md"})
        await host.call("rag.ingest", "kb", {"text": HTML, "source": "tea", "format": "html"})
        bees = pdf("Bees dance to tell where flowers are.")
        await host.call("rag.ingest", "kb", {"data": bees, "source": "bees.pdf"})
        plain = await host.call("rag.ingest", "kb", "The ferry to the island leaves at noon.")
        assert plain["chunks"] == 1
        assert plain["source"].startswith("sha256:")
        questions = ("How often is model A oiled?", "How hot is green tea?", "Why do bees dance?")
        return [(await host.call("rag.retrieve", "kb", q))[0] for q in questions]

    pumps, tea, bees = host.run(work)
    assert (pumps["source"], "whale oil" in pumps["text"]) == ("pumps.md", True)
    assert (tea["source"], bees["source"]) == ("tea", "bees.pdf")
    assert "seventy" in tea["text"]
    assert "var a" not in tea["text"]
    assert bees["text"] == "Bees dance to tell where flowers are."


def test_a_source_that_is_taken_in_again_is_replaced_and_can_be_removed(build: Build) -> None:
    host = build(chunk_size=100, chunk_overlap=0)

    async def work() -> None:
        long = {"text": "A long story about ships. " * 12, "source": "story", "metadata": {"a": 1}}
        assert (await host.call("rag.ingest", "kb", long))["chunks"] > 2
        short = {"text": "A short one about trains.", "source": "story"}
        assert (await host.call("rag.ingest", "kb", short))["chunks"] == 1
        found = await host.call("rag.retrieve", "kb", "ships")
        assert [passage["text"] for passage in found] == ["A short one about trains."]
        assert await host.call("rag.remove", "kb", "other") == 0
        assert await host.call("rag.remove", "kb", "story") == 1
        assert await host.call("rag.retrieve", "kb", "ships") == []

    host.run(work)


def test_metadata_is_given_back_and_filtered(build: Build) -> None:
    host = build()

    async def work() -> None:
        for lang, text in (("en", "The house is red."), ("de", "Das Haus ist rot.")):
            document = {"text": text, "source": lang, "metadata": {"lang": lang}}
            await host.call("rag.ingest", "kb", document)
        question = {"question": "house", "filter": {"lang": "de"}, "hybrid": True}
        (found,) = await host.call("rag.retrieve", "kb", question)
        assert (found["text"], found["metadata"]) == ("Das Haus ist rot.", {"lang": "de"})

    host.run(work)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, None),
        ({"text": "a", "path": "/b"}, None),
        ({"data": 5}, "data"),
        ({"data": b"\xff\xfe"}, "data"),
        ({"data": b"no pdf", "format": "pdf"}, "data"),
        ({"text": " \n "}, None),
        ({"text": "a", "metadata": {"source": "x"}}, "metadata.source"),
        ({"text": "a", "format": "word"}, "format"),
    ],
)
def test_what_is_no_document_is_refused(build: Build, document: Any, field: str | None) -> None:
    error = refusal(build(), "ingest", "kb", document)
    assert (error.kind, error.field) == ("Validation", field)


def test_a_document_has_a_size_that_is_not_exceeded(build: Build, tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("x" * 101)
    policy = {"allow_read": (str(tmp_path),)}
    host = build(max_document=100, policy=policy)
    assert refusal(host, "ingest", "kb", "x" * 101).kind == "Limit"
    host = build(max_document=100, policy=policy)
    assert refusal(host, "ingest", "kb", {"path": f"{tmp_path}/big.txt"}).kind == "Limit"


@pytest.mark.attack("B11")
def test_a_document_that_unpacks_without_end_is_refused(build: Build) -> None:
    bomb = zlib.compress(b"(" + b"A" * 100_000_000 + b") Tj ", 1)
    plain = pdf("x")
    length = re.search(rb"<</Length \d+>>stream\n.*\nendstream", plain)
    assert length is not None
    head = b"<</Length %d/Filter/FlateDecode>>stream\n" % len(bomb)
    body = plain.replace(length[0], head + bomb + b"\nendstream")
    error = refusal(build(), "ingest", "kb", {"data": body, "format": "pdf"})
    assert (error.kind, error.field) == ("Validation", "data")


def test_the_parser_sees_nothing_of_the_supervisor(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "html2text.py").write_text("raise SystemExit(9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    host = build()
    document = {"text": HTML, "format": "html"}
    assert host.run(lambda: host.call("rag.ingest", "kb", document))["chunks"] == 1


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with documents, and with what must not be read."""
    folder = tmp_path / "library"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    (folder / "tea.txt").write_text("Tea is brewed.")
    (folder / "deep" / "pumps.md").write_text(MARKDOWN)
    (folder / "deep" / ".hidden" / "canary.txt").write_text("canary")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary.txt").write_text("canary")
    (folder / "link.txt").symlink_to(outside / "canary.txt")
    (folder / "linked").symlink_to(outside)
    os.mkfifo(folder / "pipe.txt")
    return folder


def test_a_folder_is_taken_in_and_says_what_it_left_out(build: Build, library: Path) -> None:
    host = build(policy={"allow_read": (str(library),)})

    async def work() -> Any:
        folder = {"path": str(library), "metadata": {"shelf": 1}}
        found = await host.call("rag.ingest_folder", "kb", folder)
        assert await host.call("rag.retrieve", "kb", {"question": "x", "filter": {"shelf": 1}})
        return found

    found = host.run(work)
    assert [d["source"] for d in found["documents"]] == ["deep/pumps.md", "tea.txt"]
    assert [s["source"] for s in found["skipped"]] == ["latin.txt", "picture.png"]


def test_a_pattern_chooses_files(build: Build, library: Path) -> None:
    host = build(policy={"allow_read": (str(library),)})
    folder = {"path": str(library), "pattern": "*.md"}
    found = host.run(lambda: host.call("rag.ingest_folder", "kb", folder))
    assert [d["source"] for d in found["documents"]] == ["deep/pumps.md"]
    assert found["skipped"] == []


@pytest.mark.attack("B13", "B14", "B15")
@pytest.mark.parametrize(
    "path",
    [
        "{folder}/../outside/canary.txt",
        "{folder}/link.txt",
        "{folder}/linked/canary.txt",
        "{folder}/pipe.txt",
        "{folder}/deep",
        "{folder}",
        "{folder}/tea.txt/x",
        "{folder}x/canary.txt",
        "{folder}/tea.txt\0.md",
        "tea.txt",
        "/etc/passwd",
        "/proc/self/environ",
        "",
    ],
)
def test_nothing_outside_the_granted_folder_is_read(build: Build, library: Path, path: str) -> None:
    host = build(policy={"allow_read": (str(library),)})
    error = refusal(host, "ingest", "kb", {"path": path.format(folder=library)})
    assert error.field == "path"
    assert error.kind in ("Policy", "Validation")


def test_without_a_grant_no_file_is_read(build: Build, library: Path) -> None:
    assert refusal(build(), "ingest", "kb", {"path": f"{library}/tea.txt"}).kind == "Policy"
    assert refusal(build(), "ingest_folder", "kb", str(library)).kind == "Policy"


def test_a_folder_with_too_many_files_is_a_limit(build: Build, library: Path) -> None:
    host = build(max_files=2, policy={"allow_read": (str(library),)})
    assert refusal(host, "ingest_folder", "kb", str(library)).kind == "Limit"


@pytest.mark.attack("B29")
def test_a_spell_does_not_see_the_documents_of_another_one(build: Build) -> None:
    host = build()

    async def work() -> None:
        await host.call("rag.ingest", "kb", {"text": "canary", "source": "s"})
        host.context = msgspec.structs.replace(host.context, identity="/other/test.lua")
        assert await host.call("rag.retrieve", "kb", "canary") == []
        assert await host.call("rag.remove", "kb", "s") == 0

    host.run(work)


@pytest.mark.xdist_group("litellm")
@pytest.mark.filterwarnings("ignore:::pydantic", "ignore:::litellm", "ignore:::openai")
def test_an_answer_comes_from_passages_and_names_them(build: Build, server: ModelServer) -> None:
    llm = load("llm", {"providers": {"test": {"base_url": server.base_url}}})
    host = build(llm, embedding="test/embedder")
    server.script("writer", Answer("At noon [1].", prompt_tokens=50, completion_tokens=5))

    async def work() -> Any:
        document = {"text": "The ferry leaves at noon.", "source": "ferry.txt"}
        await host.call("rag.ingest", "kb", document)
        question = {"question": "When does it leave?", "model": "test/writer", "max_tokens": 20}
        return await host.call("rag.answer", "kb", question)

    found = host.run(work)
    assert found["content"] == "At noon [1]."
    assert [passage["source"] for passage in found["sources"]] == ["ferry.txt"]
    assert found["usage"]["total_tokens"] == 55
    embedded, asked, said = [request.body for request in server.requests]
    assert embedded["input"] == ["The ferry leaves at noon."]
    assert asked["input"] == ["When does it leave?"]
    system, user = [message["content"] for message in said["messages"]]
    assert "numbered passages only" in system
    assert user == "[1] ferry.txt\nThe ferry leaves at noon.\n\nQuestion: When does it leave?"
    assert host.usage.completion_tokens == 5


def test_there_is_no_answer_from_nothing(build: Build) -> None:
    host = build(LlmBridge(LlmConfig()))
    assert refusal(host, "answer", "kb", "why?").field == "collection"
    assert refusal(build(), "retrieve", "kb", "").field == "question"
