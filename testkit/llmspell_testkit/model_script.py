"""Sets up what a model says, one answer after the other, before or after its server is there.

script = (
    ModelScript("gpt-test")
    .says("Hello")
    .calls("weather", {"city": "Bern"})
    .fails(429, "slow down", retry_after=1)
    .says("after the gate", gate=gate)
)
with script.server() as server:
    ...
    assert server.asked("gpt-test") == ["Hello?", ...]
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from .model_server import Answer, Bytes, Flood, Gate, Hangup, ModelServer, Refusal, Scripted

Kind = Literal["success", "error", "edge", "load"]
"""Sets of answers for tests that want all of a kind: `ModelScript.of`."""


class ModelScript:
    """What one model says, in order. Each method adds an answer and returns the script."""

    @classmethod
    def of(cls, kind: Kind, model: str) -> Self:
        """What providers are known to say: well, in errors, at the edges, and a great deal of it."""
        script = cls(model)
        match kind:
            case "success":
                script.says("Hello").streams("one ", "two").calls("weather", {"city": "Bern"})
            case "error":
                for status in (400, 401, 403, 404, 429, 500, 503):
                    script.fails(status, retry_after=1 if status == 429 else None)
                script.hangs_up()
            case "edge":
                script.says("").says("\0 \u2028 🌍 <|endoftext|>").says("x", tokens=(0, 0))
                script.calls("weather", {}).garbles().garbles(b"<html>", "text/html")
                script.streams("cut", " off", cut_after=1)
            case "load":
                script.says("x" * 1_000_000).streams(*["word "] * 2_000)
        return script

    def __init__(self, model: str) -> None:
        self.model = model
        self.answers: list[Scripted] = []

    def says(
        self, text: str, *, gate: Gate | None = None, tokens: tuple[int, int] = (7, 5)
    ) -> Self:
        """A text, held at `gate` until the test opens it; `tokens` of the prompt and the answer."""
        prompt, completion = tokens
        return self.gives(
            Answer(text, gate=gate, prompt_tokens=prompt, completion_tokens=completion)
        )

    def streams(self, *pieces: str, cut_after: int | None = None) -> Self:
        """Pieces of a text, if a stream is asked for; the line goes dead after so many of them."""
        return self.gives(Answer("".join(pieces), pieces=pieces, cut_after=cut_after))

    def calls(self, tool: str, arguments: Mapping[str, Any]) -> Self:
        """A call of a tool."""
        return self.gives(Answer(None, tool_calls=((tool, json.dumps(arguments)),)))

    def embeds(self, *vectors: Sequence[float]) -> Self:
        """A vector for each text that is to be embedded."""
        return self.gives(Answer(vectors=tuple(map(tuple, vectors))))

    def fails(
        self, status: int, message: str = "refused", *, retry_after: float | None = None
    ) -> Self:
        """An error of the provider's."""
        return self.gives(Refusal(status, message, retry_after))

    def hangs_up(self) -> Self:
        """The connection is closed without an answer."""
        return self.gives(Hangup())

    def garbles(
        self, body: bytes = b'{"choices": [', content_type: str = "application/json"
    ) -> Self:
        """A body that is not what it says."""
        return self.gives(Bytes(body, content_type))

    def floods(self, piece: bytes = b"x") -> Self:
        """A body without an end."""
        return self.gives(Flood(piece))

    def gives(self, *answers: Scripted) -> Self:
        """Answers as they are."""
        self.answers.extend(answers)
        return self

    def on(self, server: ModelServer) -> ModelServer:
        """Queue them on a server that is there."""
        server.script(self.model, *self.answers)
        return server

    def server(self) -> ModelServer:
        """A new server that has them; open it with `with`."""
        return self.on(ModelServer())
