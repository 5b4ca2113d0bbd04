"""`rag`: each language has collections of its own, since they run side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmspell_protocol import ErrorKind
from llmspell_testkit.model_server import Answer
from tests.e2e.cross_engine.case import Case, Failed, caught, gives

HERE = Path(__file__).parent
GRANTED = {"allow_bridges": ("rag",), "allow_read": (str(HERE),)}
AT_NOON = Answer("At noon [1].", prompt_tokens=20, completion_tokens=5)
LUA_FILL = 'rag.ingest(C, {text = "The ferry leaves at noon.", source = "ferry.txt"})'
JS_FILL = 'await rag.ingest(C, { text: "The ferry leaves at noon.", source: "ferry.txt" });'


def works(name: str, lua: str, js: str, value: Any, **more: Any) -> Case:
    """`C` is the name of a collection with one document."""
    collection = name.replace(" ", "-")
    return gives(
        name,
        f'local C = "lua-{collection}" {LUA_FILL} {lua}',
        f'const C = "js-{collection}"; {JS_FILL} {js}',
        value,
        policy=GRANTED,
        **more,
    )


def refuses(
    name: str, lua: str, js: str, message: str, field: str | None, kind: ErrorKind = "Validation"
) -> Case:
    failed = Failed(kind=kind, message=message, field=field)
    return caught(name, f"rag.{lua}", f"await rag.{js}", failed, policy=GRANTED)


def wrong_type(method: str, code: str, parameter: str, expected: str) -> Case:
    message = f"rag.{method}: {parameter}: expected {expected}, got integer"
    return refuses(f"a wrong type for {method}", code, code, message, parameter)


CASES = (
    works(
        "a document is found by a question",
        'local p = rag.retrieve(C, "When is the boat?")[1] return {p.text, p.source, p.chunk}',
        'const [p] = await rag.retrieve(C, "When is the boat?"); return [p.text, p.source, p.chunk]',
        ["The ferry leaves at noon.", "ferry.txt", 0],
    ),
    works(
        "a text is taken in",
        'return rag.ingest(C, "A cat.").chunks',
        'return (await rag.ingest(C, "A cat.")).chunks',
        1,
    ),
    works(
        "a file is taken in",
        f'return rag.ingest(C, {{path = "{HERE}/README.md", source = "r.md"}}).source',
        f'return (await rag.ingest(C, {{ path: "{HERE}/README.md", source: "r.md" }})).source',
        "r.md",
    ),
    works(
        "a folder is taken in",
        f'local f = rag.ingest_folder(C, {{path = "{HERE}", pattern = "*.md"}}) '
        "return {#f.documents, f.documents[1].source, #f.skipped}",
        f'const f = await rag.ingestFolder(C, {{ path: "{HERE}", pattern: "*.md" }}); '
        "return [f.documents.length, f.documents[0].source, f.skipped.length]",
        [1, "README.md", 0],
    ),
    works(
        "a model answers with its sources",
        'local a = rag.answer(C, "When?") return {a.content, a.sources[1].source}',
        'const a = await rag.answer(C, "When?"); return [a.content, a.sources[0].source]',
        ["At noon [1].", "ferry.txt"],
        answers=(AT_NOON,),
    ),
    works(
        "a document is removed",
        'return {rag.remove(C, "ferry.txt"), rag.remove(C, "ferry.txt")}',
        'return [await rag.remove(C, "ferry.txt"), await rag.remove(C, "ferry.txt")]',
        [1, 0],
    ),
    refuses(
        "a file that is not granted",
        'ingest("c", {path = "/etc/passwd"})',
        'ingest("c", { path: "/etc/passwd" })',
        "path: /etc/passwd is not granted; grant its folder with --allow-read",
        "path",
        "Policy",
    ),
    refuses(
        "a folder that is not granted",
        'ingest_folder("c", "/etc")',
        'ingestFolder("c", "/etc")',
        "path: /etc is not granted; grant its folder with --allow-read",
        "path",
        "Policy",
    ),
    refuses(
        "no question",
        'retrieve("c", "")',
        'retrieve("c", "")',
        "question: it is empty",
        "question",
    ),
    refuses(
        "a question to a collection that is empty",
        'answer("nothing", "why?")',
        'answer("nothing", "why?")',
        "collection: nothing to answer from in nothing; take something in first",
        "collection",
    ),
    refuses(
        "a bad name for remove",
        'remove("../x", "y")',
        'remove("../x", "y")',
        "collection: letters, digits, _ and -, and 64 characters at most",
        "collection",
    ),
    refuses(
        "an option that there is not",
        'ingest("c", {txt = "x"})',
        'ingest("c", { txt: "x" })',
        "rag.ingest: txt: unknown option 'txt'; did you mean 'text'?",
        "txt",
    ),
    wrong_type("ingest", 'ingest("c", 5)', "document", "string or map"),
    refuses(
        "a wrong type for ingest_folder",
        'ingest_folder("c", 5)',
        'ingestFolder("c", 5)',
        "rag.ingest_folder: folder: expected string or map, got integer",
        "folder",
    ),
    wrong_type("retrieve", 'retrieve("c", 5)', "question", "string or map"),
    wrong_type("answer", 'answer("c", 5)', "question", "string or map"),
    wrong_type("remove", 'remove("c", 5)', "source", "string"),
)
