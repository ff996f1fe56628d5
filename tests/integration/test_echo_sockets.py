"""Endless answers of the echo, slow clients, clients that leave, and the end of the server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import openai

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.integration.echoing import HELLO, PATIENCE, EchoCase


class SocketTests(EchoCase):
    """Endless answers, slow and leaving clients, and the end of the server."""

    BODY = b'{"model":"m","messages":[{"role":"user","content":"a b c"}],"stream":true,"echo":{"endless":true}}'

    def connect(self) -> socket.socket:
        """A client that has asked for an endless stream and reads nothing."""
        client = socket.create_connection(("127.0.0.1", self.echo.url().port), PATIENCE)
        self.addCleanup(client.close)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: echo\r\ncontent-length: {len(self.BODY)}\r\n\r\n"
        client.sendall(head.encode() + self.BODY)
        return client

    async def test_clientGoneIsNoticedAtOnce(self) -> None:
        """A client that leaves in the middle ends its stream, and nothing else."""

        def work(client: openai.OpenAI) -> None:
            stream = client.chat.completions.create(
                model="m", messages=HELLO, stream=True, extra_body={"echo": {"endless": True}}
            )
            for _, _chunk in zip(range(50), stream, strict=False):
                pass
            stream.close()

        await self.run_openai(work)
        await self.until(lambda: self.echo.streams_open == 0)
        self.assertEqual((self.echo.streams_started, self.echo.streams_aborted), (1, 1))

    async def test_slowReaderHoldsTheStreamUp(self) -> None:
        """Once the socket is full nothing more is made; the client that goes on reading goes on getting."""
        client = self.connect()
        await self.until(lambda: self.echo.streams_open == 1)
        buffered = await self.settled()
        self.assertTrue(buffered < 64 * 1024 + 2 * 4096, buffered)

        def drain() -> int:
            got = 0
            while got < 16 << 20:
                got += len(client.recv(1 << 16))
            return got

        self.assertTrue(await deferToThread(drain) >= 16 << 20)
        client.close()
        await self.until(lambda: self.echo.streams_open == 0)

    async def test_slowReaderMayLeave(self) -> None:
        """A client that leaves while the socket is full is noticed as well."""
        client = self.connect()
        await self.until(lambda: self.echo.streams_open == 1)
        await self.settled()
        client.close()
        await self.until(lambda: self.echo.streams_open == 0)
        self.assertEqual(self.echo.streams_aborted, 1)

    async def test_stopClosesEverything(self) -> None:
        """Running streams and idle connections end with the server, and its port is closed."""
        port = self.echo.url().port
        client = self.connect()
        idle = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.addCleanup(idle.close)
        await self.until(lambda: self.echo.streams_open == 1)
        await self.echo.stop()
        self.assertEqual(self.echo.streams_open, 0)
        await deferToThread(_read_to_end, client)
        with self.assertRaises(ConnectionRefusedError):
            await deferToThread(socket.create_connection, ("127.0.0.1", port), PATIENCE)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that is about to happen, at most for `PATIENCE`.

        Raises:
            AssertionError: it did not.
        """
        deadline = reactor.seconds() + PATIENCE
        while not condition():
            if reactor.seconds() > deadline:
                self.fail("it did not happen")
            await _turn()

    async def settled(self) -> int:
        """Wait until the one stream's write buffer stands still; its size."""
        site: Any = self.echo._site
        (channel,) = site._open
        last, same = -1, 0
        while same < 50:
            transport = channel.transport
            size = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
            same = same + 1 if size == last and size else 0
            last = size
            await _turn()
        return last


def _turn() -> Deferred[None]:
    """Fires a little later."""
    turn: Deferred[None] = Deferred()
    reactor.callLater(0.002, turn.callback, None)
    return turn


def _read_to_end(client: socket.socket) -> None:
    """Read until the server has closed or reset the connection."""
    try:
        while client.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
