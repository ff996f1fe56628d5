"""What goes over the wire, which connections are used again, and how bodies go up."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from twisted.internet.defer import Deferred, gatherResults

from relay.errors import Overloaded, UpstreamProtocol, UpstreamUnreachable
from relay.outcome import Stage
from relay.provider import Origin
from tests.integration.faults import CHUNKED, Asked, Peer, UpstreamCase, answer, chunk, head
from tests.unit.upstream.doubles import MemoryBody

TARGETS = (
    "/v1/models/a%2Fb:generate?key=a+b%20c&alt=sse",
    "/v1/{}[]|^`/x?y={z}",
    "/a//b/../c/./d",
    "//double/start",
    "/x;y;?",
    "/x?",
    "/%zz%E2%82%ac?%",
)


class WireTests(UpstreamCase):
    """The request as the provider sees it, and the answer as the caller does."""

    async def exchange(self, **changes: Any) -> Asked:
        """Send a changed request; return what came."""
        self.server.reply(answer(b"ok"))
        response = await self.upstream.send(msgspec.structs.replace(self.request(), **changes))
        await response.read(10)
        return self.server.asked[-1]

    async def test_targets(self) -> None:
        """The target arrives byte for byte, whatever a URL library would make of it."""
        for target in TARGETS:
            asked = await self.exchange(target=target)
            self.assertEqual(asked.target, target)

    async def test_headers(self) -> None:
        """Only the given fields are sent, with host and length; nothing compressed is asked for."""
        asked = await self.exchange(headers=((b"x-twice", b"1"), (b"x-twice", b"2"), (b"accept-encoding", b"br")))
        self.assertEqual(
            sorted(asked.headers),
            [
                (b"accept-encoding", b"identity"),
                (b"content-length", b"7"),
                (b"host", b"127.0.0.1:%d" % self.origin.port),
                (b"x-twice", b"1"),
                (b"x-twice", b"2"),
            ],
        )

    async def test_noBody(self) -> None:
        """A GET has no body and no length; an empty POST says that it is empty."""
        asked = await self.exchange(method="GET", body=b"")
        self.assertEqual((asked.method, asked.header(b"content-length")), ("GET", []))
        asked = await self.exchange(body=b"")
        self.assertEqual((asked.method, asked.header(b"content-length")), ("POST", [b"0"]))

    async def test_cookies(self) -> None:
        """Cookies are neither kept nor shown, not even ones that are no ASCII."""
        self.server.reply(answer(b"", 200, b"Set-Cookie: a=\xff; Path=/", b"Set-Cookie2: \xff", b"X-A: b"))
        for _ in range(2):
            response = await self.send()
            self.assertEqual(dict(response.headers), {b"x-a": b"b", b"content-length": b"0"})
            await response.read(0)
        self.assertEqual([asked.header(b"cookie") for asked in self.server.asked], [[], []])

    async def test_located(self) -> None:
        """An origin that stands for another is connected to there."""
        there, self.origin = self.origin, Origin("echo", "echo", 0)
        upstream = self.make(locate=lambda origin: there if origin.scheme == "echo" else origin)
        self.server.reply(answer(b"ok"))
        response = await upstream.send(self.request())
        self.assertEqual(await response.read(10), b"ok")
        self.assertEqual(self.server.asked[0].header(b"host"), [b"127.0.0.1:%d" % there.port])
        await upstream.close()


NOT_KEPT = {
    "close": answer(b"ok", 200, b"Connection: close"),
    "capitals": answer(b"ok", 200, b"Connection: Keep-Alive, Close"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "extra bytes": answer(b"ok") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "extra bytes after chunks": head(200, CHUNKED) + chunk(b"ok") + chunk(b"") + b"x",
}
"""Name → a good answer, ``ok``, behind which the connection may not be used again."""

TWO_FRAMINGS = head(200, CHUNKED, b"Content-Length: 2") + chunk(b"ok") + chunk(b"")


class ReuseTests(UpstreamCase):
    """Which connection carries the next request.

    Attributes:
        not_kept: name → answer.
    """

    not_kept: Mapping[str, bytes] = {**NOT_KEPT, "two framings": TWO_FRAMINGS}

    async def exchange(self, data: bytes = b"", limit: int = 100) -> tuple[int, bytes]:
        """One whole exchange; without data, the server's script stays as it is."""
        if data:
            self.server.reply(data)
        response = await self.send()
        body = await response.read(limit)
        await self.moment()
        return response.status, body

    async def test_kept(self) -> None:
        """One connection carries request after request, whatever the status and framing."""
        for status in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE):
            await self.exchange(answer(b"ok", status))
            await self.exchange(head(status, CHUNKED) + chunk(b"ok") + chunk(b""))
        await self.exchange(head(204))
        self.assertEqual(len(self.server.peers), 1)

    async def test_parallel(self) -> None:
        """Parallel requests have a connection each, and all are kept."""
        self.server.on_request = lambda peer, _: peer.later(lambda: peer.send(answer(b"ok")))
        for _ in range(2):
            await gatherResults([Deferred.fromCoroutine(self.exchange()) for _ in range(20)])
        self.assertEqual(len(self.server.peers), 20)

    async def test_notKept(self) -> None:
        """A connection that was announced to close, is older than HTTP/1.1 or brought extra bytes is not used again."""
        for label, data in self.not_kept.items():
            before = len(self.server.peers)
            for _ in range(2):
                self.assertEqual(await self.exchange(data), (200, b"ok"), label)
            self.assertEqual(len(self.server.peers), before + 2, label)
            await self.server.all_closed()

    async def test_unasked(self) -> None:
        """Bytes on an idle connection end it: they never become the next answer."""
        await self.exchange(answer(b"ok"))
        self.server.peers[0].send(answer(b"evil"))
        await self.server.all_closed()
        self.assertEqual(await self.exchange(answer(b"good")), (200, b"good"))

    async def test_closedWhileIdle(self) -> None:
        """A connection that the provider closed meanwhile is not used."""
        await self.exchange(answer(b"ok"))
        self.server.peers[0].close()
        await self.server.all_closed()
        await self.moment(0.01)
        await self.exchange()
        self.assertEqual([len(peer.asked) for peer in self.server.peers], [1, 1])

    async def test_closedOnReuse(self) -> None:
        """A kept connection that dies under the next POST is replaced once, unseen by the caller."""
        for end in (Peer.close, Peer.reset):
            await self.exchange(answer(b"ok"))
            before = len(self.server.peers)

            def script(peer: Peer, _: Asked, end: Any = end) -> None:
                if len(peer.asked) > 1:
                    end(peer)
                else:
                    peer.send(answer(b"fresh"))

            self.server.on_request = script
            self.assertEqual(await self.exchange(), (200, b"fresh"))
            self.assertEqual(len(self.server.peers), before + 1)
            self.assertEqual(self.server.asked[-1].body, b'{"n":1}')
            self.server.peers[-1].close()
            await self.server.all_closed()

    async def test_closedOnReuseWithUpload(self) -> None:
        """A spooled body is read again from its beginning for the fresh connection."""
        await self.exchange(answer(b"ok"))
        self.server.on_head = lambda peer, _: peer.reset() if peer.asked else None
        self.server.reply(answer(b"fresh"))
        data = bytes(range(256)) * 4000
        response = await self.send(body=MemoryBody(data))
        self.assertEqual(await response.read(10), b"fresh")
        self.assertEqual(self.server.asked[-1].body, data)

    async def test_twiceDead(self) -> None:
        """When the fresh connection brings nothing either, that is the end of it."""
        await self.exchange(answer(b"ok"))
        self.server.on_request = lambda peer, _: peer.close()
        error = await self.fails(UpstreamUnreachable, self.send())
        self.assertIs(error.stage, Stage.FIRST_BYTE)
        self.assertEqual(len(self.server.asked), 3)

    async def test_notAgainAfterOneByte(self) -> None:
        """Once a single byte of an answer has come, the request is not repeated."""
        await self.exchange(answer(b"ok"))

        def script(peer: Peer, _: Asked) -> None:
            peer.send(b"H")
            peer.later(peer.close)

        self.server.on_request = script
        await self.fails(UpstreamProtocol, self.send())
        self.assertEqual(len(self.server.asked), 2)

    async def test_notAgainOnAFreshOne(self) -> None:
        """A first connection that brings nothing is not replaced: repeating is the caller's choice."""
        self.server.on_request = lambda peer, _: peer.close()
        await self.fails(UpstreamUnreachable, self.send())
        self.assertEqual(len(self.server.asked), 1)

    async def test_idleTime(self) -> None:
        """An idle connection is closed after its time."""
        upstream = self.make(trust=self.trust, idle_seconds=0.05)
        self.server.reply(answer(b"ok"))
        response = await upstream.send(self.request())
        await response.read(10)
        await self.server.all_closed()
        self.assertEqual(len(self.server.peers), 1)
        await upstream.close()

    async def test_closed(self) -> None:
        """After `close`, an exchange that was running ends well, and its connection is not kept."""
        self.server.reply(head(200, b"Content-Length: 2"), b"o")
        response = await self.send()
        reading = response.read(10)
        await self.upstream.close()
        self.server.peers[0].send(b"k")
        self.assertEqual(await reading, b"ok")
        await self.server.all_closed()


class SecureReuseTests(ReuseTests):
    """The same over TLS, where a pooled connection must be good for its host."""

    tls = True


class UploadTests(UpstreamCase):
    """Request bodies on their way up."""

    async def test_large(self) -> None:
        """Large bodies, in memory or spooled, arrive whole."""
        data = bytes(range(256)) * 20_000
        self.server.reply(answer(b"ok"))
        for body in (data, MemoryBody(data)):
            response = await self.send(body=body)
            self.assertEqual(await response.read(10), b"ok")
            self.assertEqual(self.server.asked[-1].body, data)

    async def test_backpressure(self) -> None:
        """A provider that does not read stops the reading of a spooled body."""
        body = MemoryBody(b"x" * 50_000_000)
        self.server.on_head = lambda peer, _: peer.stop_reading()
        waiting = self.send(body=body)
        await self.moment(0.5)
        self.assertLess(body.taken, 20_000_000)
        waiting.cancel()
        waiting.addErrback(lambda _: None)
        self.server.peers[0].go_on_reading()
        await self.server.all_closed()

    async def test_unreadable(self) -> None:
        """When a spooled body cannot be read, its own error comes out, and the connection is dropped."""
        body = MemoryBody(b"x" * 1_000_000, error_at=500_000)
        await self.fails(Overloaded, self.send(body=body))
        await self.server.all_closed()

    async def test_answerWhileSending(self) -> None:
        """An answer that comes while the upload is stuck is passed on, and the upload given up."""
        for body in (b"", b"too large, go away" * 1000):

            def script(peer: Peer, _: Asked, body: bytes = body) -> None:
                peer.stop_reading()
                peer.send(head(413, b"Content-Length: %d" % len(body)))
                peer.later(lambda: peer.send(body))

            self.server.on_head = script
            response = await self.send(body=MemoryBody(b"x" * 50_000_000))
            self.assertEqual((response.status, await response.read(100_000)), (413, body))
            for peer in self.server.peers:
                peer.go_on_reading()
            await self.server.all_closed()

    async def test_longAnswerWhileSending(self) -> None:
        """An answer without end before the upload's end is cut off after a bounded number of bytes."""

        def script(peer: Peer, _: Asked) -> None:
            peer.stop_reading()
            peer.send(head(200))
            peer.pour(b"x" * 65536)

        self.server.on_head = script
        await self.fails(UpstreamProtocol, self.send(body=MemoryBody(b"x" * 50_000_000)))
        self.server.peers[0].go_on_reading()
        await self.server.all_closed()
        self.assertLess(self.server.peers[0].poured, 16_000_000)


class SecureUploadTests(UploadTests):
    """The same over TLS."""

    tls = True
