"""The socket between the front and a shard: whole messages, in order, however large."""

from __future__ import annotations

import asyncio
import socket
import threading

import msgspec

from llmspell_supervisor._link import CHUNK, Link

SIZES = (0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK, 3)


def test_messages_of_every_size_arrive_in_order_and_then_the_end() -> None:
    async def scenario() -> list[int]:
        got: list[int] = []
        over = asyncio.Event()
        one, other = socket.socketpair()
        decoder = msgspec.msgpack.Decoder(bytes)
        sender = Link(one, decoder, lambda _: None, lambda: None)
        reader = Link(other, decoder, lambda message: got.append(len(message)), over.set)
        for size in SIZES:
            sender.send(bytes(size))
        while len(got) < len(SIZES):  # noqa: ASYNC110 - each turn of the loop moves some
            await asyncio.sleep(0)
        sender.close()
        sender.send(b"for nobody")
        await over.wait()
        reader.close()
        return got

    assert asyncio.run(scenario()) == list(SIZES)


def test_what_is_flushed_is_with_the_kernel_when_that_returns() -> None:
    async def scenario() -> bytes:
        one, other = socket.socketpair()
        sender = Link(one, msgspec.msgpack.Decoder(bytes), lambda _: None, lambda: None)
        got = bytearray()

        def read() -> None:
            while data := other.recv(CHUNK):
                got.extend(data)

        reader = threading.Thread(target=read)
        sender.send(bytes(10 * CHUNK))
        sender.send(b"last")
        reader.start()
        sender.flush()
        sender.close()  # which sends nothing more
        reader.join()
        other.close()
        return bytes(got)

    assert asyncio.run(scenario()).endswith(msgspec.msgpack.encode(b"last"))


def test_a_sender_whose_reader_has_gone_goes_on() -> None:
    async def scenario() -> int:
        one, other = socket.socketpair()
        lost = asyncio.Event()
        sender = Link(one, msgspec.msgpack.Decoder(bytes), lambda _: None, lost.set)
        sender.send(bytes(10 * CHUNK))
        other.close()
        sender.flush()
        sender.send(b"more")
        await lost.wait()
        sender.drain()
        sender.close()
        sender.close()
        return one.fileno()

    assert asyncio.run(scenario()) == -1
