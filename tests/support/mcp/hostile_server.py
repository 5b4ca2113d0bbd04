"""A server of the Model Context Protocol that nobody should trust; its argument says in what way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

REMOTE = os.environ.get("CANARY", "https://schemas.example/evil.json")
"""Where a schema leads that must not be fetched."""


def say(message: dict[str, Any]) -> None:
    """Send one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def hello(request: dict[str, Any]) -> dict[str, Any]:
    """Agree to whatever the client speaks."""
    return {
        "protocolVersion": request["params"]["protocolVersion"],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "hostile", "version": "1"},
    }


def tool(name: str, schema: Any, **more: Any) -> dict[str, Any]:
    """A tool as it is listed."""
    return {"name": name, "inputSchema": schema, **more}


def nested(depth: int) -> dict[str, Any]:
    """A schema of that many levels."""
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


LIES = [
    tool("honest", {"type": "object", "properties": {"a": {"type": "string"}}}),
    tool("remote", {"type": "object", "properties": {"a": {"$ref": REMOTE}}}),
    tool("file", {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}),
    tool("renamed", {"$id": REMOTE, "type": "object", "properties": {"a": {"$ref": "#/b"}}}),
    tool("circle", {"type": "object", "properties": {"a": {"$ref": "#"}}}),
    tool("endless", {"type": "object", "$ref": "#"}),
    tool("huge", {"type": "object", "properties": {f"p{n}": {} for n in range(9000)}}),
    tool("deep", nested(60)),
    tool("backtracking", {"type": "object", "properties": {"a": {"pattern": "(?=(a+)+$)b"}}}),
    tool("no_schema", {"type": "object", "properties": {"a": {"type": "sausage"}}}),
    tool(
        "result",
        {"type": "object"},
        outputSchema={"type": "object", "properties": {"n": {"type": "integer"}}},
    ),
    tool("bytes", {"type": "object"}),
    tool("other_shape", {"type": "object"}),
    tool("x" * 100, {"type": "object"}),
]


def called(name: str) -> dict[str, Any]:
    """The result of a tool."""
    if name == "result":
        return {"content": [], "structuredContent": {"n": "no number"}}
    if name == "bytes":
        return {"content": [{"type": "image", "mimeType": "image/png", "data": "%%%"}]}
    if name == "other_shape":
        return {"contents": "nonsense"}
    return {"content": [{"type": "text", "text": "called"}]}


FRAIL = [
    tool(name, {"type": "object"})
    for name in ("allocate", "die", "hang", "helper", "long", "pid", "variables", "wait")
]
ORPHAN = """
import os, sys, time
if not os.fork():
    os.setsid()
    print(os.getpid(), flush=True)
    time.sleep(3600)
"""


def do(name: str, arguments: dict[str, Any]) -> str | None:
    """What a frail server's tool says; nothing if it never answers."""
    match name:
        case "allocate":
            return str(len(bytes(arguments["megabytes"] << 20)))
        case "die":
            sys.stderr.write("a secret of the server\n")
            sys.exit(3)
        case "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "helper":
            started = subprocess.Popen(
                [sys.executable, "-S", "-c", ORPHAN], stdout=subprocess.PIPE, text=True
            )
            assert started.stdout is not None
            return started.stdout.readline().strip()
        case "long":
            return "x" * int(arguments["size"])
        case "pid":
            return str(os.getpid())
        case "variables":
            return " ".join(sorted(os.environ))
    return None


def frail() -> None:
    """Speak correctly, and do what ends badly when asked to."""
    for line in sys.stdin:
        request = json.loads(line)
        number = request.get("id")
        match request["method"]:
            case "initialize":
                say({"id": number, "result": hello(request)})
            case "tools/list":
                say({"id": number, "result": {"tools": FRAIL}})
            case "tools/call":
                params = request["params"]
                if (said := do(params["name"], params["arguments"])) is not None:
                    content = [{"type": "text", "text": said}]
                    say({"id": number, "result": {"content": content}})
            case _ if number is not None:
                say({"id": number, "error": {"code": -32601, "message": "no such method"}})


def lies() -> None:
    """Speak correctly, and describe tools by schemas that are traps."""
    for line in sys.stdin:
        request = json.loads(line)
        number = request.get("id")
        match request["method"]:
            case "initialize":
                say({"id": number, "result": hello(request)})
            case "tools/list":
                say({"id": number, "result": {"tools": LIES}})
            case "tools/call":
                say({"id": number, "result": called(request["params"]["name"])})
            case _ if number is not None:
                say({"id": number, "error": {"code": -32601, "message": "no such method"}})


def endless_list() -> None:
    """List tools page by page without end."""
    page = 0
    for line in sys.stdin:
        request = json.loads(line)
        number = request.get("id")
        if request["method"] == "initialize":
            say({"id": number, "result": hello(request)})
        elif request["method"] == "tools/list":
            page += 1
            tools = [tool(f"t{page}_{n}", {"type": "object"}) for n in range(20)]
            say({"id": number, "result": {"tools": tools, "nextCursor": str(page)}})
        elif number is not None:
            say({"id": number, "error": {"code": -32601, "message": "no such method"}})


def repeat(text: str) -> None:
    """Say it until somebody stops it."""
    while True:
        sys.stdout.write(text)
        sys.stdout.flush()


def complain() -> None:
    """Fill standard error."""
    while True:
        sys.stderr.write("complaint " * 1000)


def count() -> None:
    """Ask the client without end."""
    for number in range(1 << 30):
        say({"id": number, "method": "ping"})


def bomb() -> None:
    """Send a small message that is large when it is parsed."""
    many = "[]," * 3_000_000
    sys.stdout.write(f'{{"jsonrpc":"2.0","id":1,"result":{{"a":[{many}[]]}}}}\n')
    sys.stdout.flush()
    sys.stdin.read()


NOTICE = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}\n'
WAYS = {
    "bomb": bomb,
    "deaf": lambda: time.sleep(3600),
    "dies": lambda: sys.exit("a secret of the server"),
    "endless_list": endless_list,
    "errors": complain,
    "frail": frail,
    "garbage": lambda: repeat("\x1b[31mLoading... {]\n"),
    "lies": lies,
    "messages": lambda: repeat(NOTICE),
    "one_line": lambda: repeat("x" * 65536),
    "requests": count,
    "silent": sys.stdin.read,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]]()
