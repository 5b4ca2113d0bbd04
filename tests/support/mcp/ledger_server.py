"""A server of the Model Context Protocol made with its Python SDK: accounts.

python ledger_server.py         speaks over standard input and output
python ledger_server.py FD      speaks HTTP on a socket that it has inherited
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

server = MCPServer("ledger")
accounts: dict[str, int] = {}
headers: dict[str, str] = {}
"""Of the last request."""


class Account(BaseModel):
    """What is in an account."""

    name: str
    balance: int


@server.tool()
def deposit(name: str, amount: Annotated[int, Field(ge=1)]) -> Account:
    """Put money into an account."""
    accounts[name] = accounts.get(name, 0) + amount
    return Account(name=name, balance=accounts[name])


@server.tool()
def withdraw(name: str, amount: Annotated[int, Field(ge=1)]) -> Account:
    """Take money out of an account."""
    if accounts.get(name, 0) < amount:
        raise ToolError(f"{name} has only {accounts.get(name, 0)}")
    accounts[name] -= amount
    return Account(name=name, balance=accounts[name])


@server.tool(structured_output=False)
def picture() -> Image:
    """A red pixel."""
    return Image(data=PIXEL, format="png")


@server.tool(structured_output=False)
def variable(name: str) -> str:
    """A variable of the server's environment."""
    return os.environ.get(name, "(not set)")


@server.tool(structured_output=False)
def heard(header: str) -> str:
    """What a header of this very request holds, and its hash."""
    text = headers.get(header, "(not sent)")
    return f"{text} {hashlib.sha256(text.encode()).hexdigest()}"


@server.resource("ledger://rules")
def rules() -> str:
    """How the ledger is kept."""
    return "Nobody overdraws."


@server.resource("ledger://seal", mime_type="image/png")
def seal() -> bytes:
    """The seal of the ledger."""
    return PIXEL


@server.prompt()
def audit(name: str) -> str:
    """Ask for an audit of an account."""
    return f"Audit the account of {name}."


def serve(descriptor: int) -> None:
    """Speak HTTP."""
    import uvicorn

    inner = server.streamable_http_app()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers.update({k.decode(): v.decode() for k, v in scope["headers"]})
        await inner(scope, receive, send)

    uvicorn.run(app, fd=descriptor, log_level="critical", ws="none")


if __name__ == "__main__":
    serve(int(sys.argv[1])) if sys.argv[1:] else server.run()
