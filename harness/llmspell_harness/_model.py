"""A model that answers on loopback, counts who asks, and can keep them waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Sequence

TOKENS: Final = 50
"""Completion tokens that every answer claims to have used."""


class Model:
    """An OpenAI-compatible server. `answering` is set unless it keeps its callers waiting."""

    def __init__(
        self,
        *,
        echo: bool = False,
        status: int = 200,
        uses: Sequence[tuple[str, dict[str, Any]]] = (),
    ) -> None:
        """`uses` are tools that it asks for with its first answers, one each."""
        self.requests: list[dict[str, Any]] = []
        """Bodies, as they arrived."""
        self.answering = asyncio.Event()
        self.asked = asyncio.Event()
        """Set by every request."""
        self._echo = echo
        self._uses = list(uses)
        self._status = status

    async def __aenter__(self) -> Self:
        self.answering.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.answering.set()
        self._server.close()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the bridge `llm` with this model as its default."""
        port = self._server.sockets[0].getsockname()[1]
        provider = {"base_url": f"http://127.0.0.1:{port}/v1"}
        return {"default_model": "test/m", "providers": {"test": provider}}

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            self.requests.append(json.loads(await reader.readexactly(length)))
            self.asked.set()
            await self.answering.wait()
            body = json.dumps(self._answer(head.decode("latin-1"))).encode()
            writer.write(
                f"HTTP/1.1 {self._status} OK\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        writer.close()

    def _answer(self, head: str) -> dict[str, Any]:
        if self._status != 200:
            return {"error": {"message": f"refused: {head if self._echo else 'busy'}"}}
        text = head if self._echo else "yes"
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self._uses:
            name, arguments = self._uses.pop(0)
            function = {"name": name, "arguments": json.dumps(arguments)}
            message["tool_calls"] = [{"id": name, "type": "function", "function": function}]
        usage = {"prompt_tokens": 5, "completion_tokens": TOKENS, "total_tokens": TOKENS + 5}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
