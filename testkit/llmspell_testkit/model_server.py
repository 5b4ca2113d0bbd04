"""A real OpenAI-compatible HTTP server on loopback, for every test that talks to a model.

    with ModelServer() as server:
        server.script("gpt-test", Answer("hello"), Refusal(429, "slow down", retry_after=1))
        ...  # point a client at server.base_url
        assert server.requests[0].body["messages"]

Answers are queued per model; a model without a queue echoes the last user message. Nothing here
sleeps: a `Gate` holds an answer back until the test opens it, and tells when the server got there.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PATIENCE = 30.0
"""Seconds that a test waits for a gate at most: long enough for a loaded machine."""


class Gate:
    """A point at which the server waits for the test, or for the client to hang up."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        """The server has got here: everything before it is on the wire."""
        self.abandoned = threading.Event()
        """The client closed the connection while the server waited here."""
        self._open = threading.Event()

    def open(self) -> None:
        """Let the server go on."""
        self._open.set()

    def wait_reached(self) -> None:
        """Wait, in the test, until the server is here."""
        assert self.reached.wait(PATIENCE), "the server did not get to the gate"

    def wait_abandoned(self) -> None:
        """Wait, in the test, until the client has hung up."""
        assert self.abandoned.wait(PATIENCE), "the client did not hang up"

    def hold(self, connection: socket.socket, stopping: threading.Event) -> bool:
        """Wait in the server. False if the client hung up or the server is being stopped."""
        self.reached.set()
        while not self._open.wait(0.01):
            if stopping.is_set():
                return False
            if _has_hung_up(connection):
                self.abandoned.set()
                return False
        return True

    def short_timeouts(self, seconds: float) -> Iterator[float]:
        """Time-outs for a call that is to end while it is held here: `seconds`, or what it takes.

        On a busy machine a short one can end a call before its request is out.
        """
        for patience in (seconds, 5 * seconds, 25 * seconds):
            yield patience
            if self.reached.is_set():
                return


def _has_hung_up(connection: socket.socket) -> bool:
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except ConnectionError:  # a reset: it left without reading all that was sent
        return True


@dataclass(frozen=True)
class Answer:
    """A good answer; streamed piece by piece if the request asks for a stream."""

    text: str | None = ""
    pieces: tuple[str, ...] = ()
    """Deltas of the stream; the words of `text`, if empty."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Name and JSON arguments of each."""
    finish_reason: str = ""
    """`stop`, or `tool_calls` where there are any, if empty."""
    prompt_tokens: int = 7
    completion_tokens: int = 5
    gate: Gate | None = None
    """Held here before the first byte, or in a stream after `gate_after` pieces."""
    gate_after: int = 0
    cut_after: int | None = None
    """Close the connection after so many pieces of a stream."""
    usage: bool = True
    """Whether the answer says what it used."""
    vectors: tuple[tuple[float, ...], ...] = ()
    """One for each text that is to be embedded; made of its length, if there are none."""


@dataclass(frozen=True)
class Refusal:
    """An error in OpenAI's form."""

    status: int
    message: str = "refused"
    retry_after: float | None = None
    code: str | None = None


@dataclass(frozen=True)
class Bytes:
    """Any body at all: malformed JSON, a wrong content type, a page of a proxy, a huge answer."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


@dataclass(frozen=True)
class Hangup:
    """The connection is closed without an answer."""


@dataclass
class Flood:
    """A body that goes on until the client hangs up: whoever reads it must bound it."""

    piece: bytes
    head: bytes = b""
    content_type: str = "application/json"
    sent: int = 0
    """Bytes that the kernel has taken so far."""
    stalled: threading.Event = field(default_factory=threading.Event)
    """The client has read nothing for a while: it holds the server back."""
    abandoned: threading.Event = field(default_factory=threading.Event)
    """The client has hung up."""


STALL = 0.3
"""Seconds without room in the socket after which a flood counts as held back."""

Scripted = Answer | Refusal | Bytes | Hangup | Flood


@dataclass(frozen=True)
class Received:
    """One request as it arrived. Header names are lower-case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class ModelServer:
    """The server; listens between `__enter__` and `__exit__`, on a port of the kernel's choice."""

    requests: list[Received] = field(default_factory=list)

    busiest: int = 0
    """The most requests that were open at once."""

    def __post_init__(self) -> None:
        self.busy = 0
        """Requests that are open now."""
        self._queues: dict[str, deque[Scripted]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="model-server"
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """Where clients find it, such as `http://127.0.0.1:4711/v1`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def script(self, model: str, *answers: Scripted) -> None:
        """Queue answers for a model. When they are used up it echoes again."""
        with self._lock:
            self._queues[model].extend(answers)

    def forget(self) -> None:
        """Drop what was queued and what was received: the next test begins afresh."""
        with self._lock:
            self._queues.clear()
            self.requests.clear()
            self.busiest = self.busy

    def asked(self, model: str) -> list[str]:
        """The last user message of each request to a model, in the order in which they came."""
        with self._lock:
            bodies = [r.body for r in self.requests if r.body.get("model") == model]
        return [_echo(body).text or "" for body in bodies]

    def left(self, model: str) -> int:
        """Answers of a model that nobody has asked for yet."""
        with self._lock:
            return len(self._queues[model])

    def take(self, received: Received) -> Scripted:
        """Record a request and find its answer; called by the server's threads."""
        with self._lock:
            self.requests.append(received)
            queue = self._queues[str(received.body.get("model"))]
            return queue.popleft() if queue else _echo(received.body)

    def count(self, change: int) -> None:
        """A request has begun (1) or ended (-1); called by the server's threads."""
        with self._lock:
            self.busy += change
            self.busiest = max(self.busiest, self.busy)

    @property
    def stopping(self) -> threading.Event:
        """Set when the test is over: nobody waits any longer."""
        return self._stopping


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: ModelServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what many tests are about; say nothing."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http
    _counted = False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests read `requests`, not a log."""

    def do_GET(self) -> None:
        """The list of models, as clients probe for it."""
        self._send(200, json.dumps({"object": "list", "data": []}).encode())

    def do_POST(self) -> None:
        """A completion, a stream or embeddings."""
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.owner.count(1)
        self._counted = True
        try:
            self._answer(body, self.server.owner.take(Received(self.path, headers, body)))
        finally:
            self._uncount()

    def _uncount(self) -> None:
        # Before the last byte: a client that has it may ask again at once.
        if self._counted:
            self._counted = False
            self.server.owner.count(-1)

    def _answer(self, body: dict[str, Any], answer: Scripted) -> None:
        match answer:
            case Flood():
                self._flood(answer)
            case Refusal():
                self._refuse(answer)
            case Bytes():
                self._send(answer.status, answer.body, answer.content_type)
            case Hangup():
                self._hang_up()
            case Answer() if self.path.endswith("/embeddings"):
                self._send(200, json.dumps(_embeddings(body, answer)).encode())
            case Answer():
                self._complete(body, answer)

    def _complete(self, body: dict[str, Any], answer: Answer) -> None:
        try:
            if body.get("stream"):
                self._stream(body, answer)
            elif answer.gate is None or self._hold(answer.gate):
                self._send(200, json.dumps(_completion(body, answer)).encode())
        except OSError:
            if answer.gate:
                answer.gate.abandoned.set()  # before the server got there, even
            raise

    def _hold(self, gate: Gate) -> bool:
        if gate.hold(self.connection, self.server.owner.stopping):
            return True
        self.close_connection = True
        return False

    def _refuse(self, refusal: Refusal) -> None:
        error = {"message": refusal.message, "type": "error", "code": refusal.code}
        extra = {} if refusal.retry_after is None else {"retry-after": f"{refusal.retry_after:g}"}
        self._send(refusal.status, json.dumps({"error": error}).encode(), headers=extra)

    def _send(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self._uncount()
        self.wfile.write(body)

    def _stream(self, body: dict[str, Any], answer: Answer) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(_events(body, answer)):
            if answer.gate and number == answer.gate_after and not self._hold(answer.gate):
                return
            if answer.cut_after is not None and number == answer.cut_after:
                self._hang_up()
                return
            self._chunk(f"data: {json.dumps(event)}\n\n".encode())
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _flood(self, flood: Flood) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", flood.content_type)
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.flush()
        data = memoryview(flood.head + flood.piece * (65536 // len(flood.piece) + 1))
        repeat = len(flood.head)
        at = 0
        while not self.server.owner.stopping.is_set():
            if not select.select([], [self.connection], [], STALL)[1]:
                flood.stalled.set()
                continue
            try:
                count = self.connection.send(data[at:], socket.MSG_DONTWAIT)
            except OSError:
                flood.abandoned.set()
                return
            flood.sent += count
            at += count
            at = repeat if at == len(data) else at

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        # Not a reset: what was sent must arrive, and then the end.
        self.connection.shutdown(socket.SHUT_RDWR)


def _echo(body: dict[str, Any]) -> Answer:
    """The last user message, or how many inputs there are to embed."""
    for message in reversed(body.get("messages") or []):
        if message.get("role") == "user":
            return Answer(_text(message.get("content")))
    return Answer("")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(p.get("text", f"[{p.get('type')}]") for p in content or [])


def _usage(answer: Answer) -> dict[str, int]:
    total = answer.prompt_tokens + answer.completion_tokens
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": total,
    }


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for index, (name, arguments) in enumerate(answer.tool_calls)
    ]


def _finish(answer: Answer) -> str:
    return answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")


def _completion(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.tool_calls:
        message["tool_calls"] = _tool_calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    reply = {**_head(body, "chat.completion"), "choices": [choice]}
    return {**reply, "usage": _usage(answer)} if answer.usage else reply


def _head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": body["model"]}


def _events(body: dict[str, Any], answer: Answer) -> Iterator[dict[str, Any]]:
    for delta in _deltas(answer):
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        yield {**_head(body, "chat.completion.chunk"), "choices": [choice]}
    final = {"index": 0, "delta": {}, "finish_reason": _finish(answer)}
    yield {**_head(body, "chat.completion.chunk"), "choices": [final]}
    if answer.usage and (body.get("stream_options") or {}).get("include_usage"):
        head = _head(body, "chat.completion.chunk")
        yield {**head, "choices": [], "usage": _usage(answer)}


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    words = (answer.text or "").split(" ")
    pieces = answer.pieces or tuple(w if i == 0 else f" {w}" for i, w in enumerate(words))
    for number, piece in enumerate(pieces):
        yield {"content": piece} if number else {"role": "assistant", "content": piece}
    for index, call in enumerate(_tool_calls(answer)):
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        opening = {**call["function"], "arguments": arguments[:half]}
        yield {"tool_calls": [{**call, "index": index, "function": opening}]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]}


def _embeddings(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    given = body["input"]
    inputs = [given] if isinstance(given, str) else given
    vectors = answer.vectors or tuple((float(len(text)), 0.5, -1.0) for text in inputs)
    data = [
        {"object": "embedding", "index": i, "embedding": list(vector)}
        for i, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}
