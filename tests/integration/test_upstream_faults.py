"""Each way in which a provider can fail, over real sockets: error class, stage, and nothing left over."""

from __future__ import annotations

import gzip
from typing import Any

from twisted.internet import reactor

from relay.errors import TruncatedStream, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from relay.interfaces import IUpstream
from relay.outcome import Stage
from relay.provider import Origin
from tests.integration.faults import CHUNKED, Authority, FaultServer, Peer, UpstreamCase, answer, chunk, head

_FIELD = b"X-Filler: " + b"f" * 1000 + b"\r\n"

BAD_HEADS = {
    "garbage": b"\x00\xff\x01 what is this\r\n\r\n",
    "no status line": b"Content-Length: 0\r\n\r\n",
    "an HTTP/2 status line": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "an upgrade nobody asked for": head(101, b"Upgrade: websocket", b"Connection: upgrade"),
    "status 999": answer(status=999),
    "status 99": b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
    "two lengths": head(200, b"Content-Length: 1", b"Content-Length: 2") + b"ab",
    "a negative length": head(200, b"Content-Length: -1"),
    "a length of letters": head(200, b"Content-Length: many"),
    "an unknown transfer coding": head(200, b"Transfer-Encoding: br") + b"ab",
    "a folded field": head(200, b"X-A: 1", b" folded", b"Content-Length: 0"),
    "a field without a colon": head(200, b"nonsense", b"Content-Length: 0"),
    "a blank before the colon": head(200, b"Content-Length : 0"),
    "a NUL in a value": head(200, b"X-A: a\x00b", b"Content-Length: 0"),
    "a bare CR in a value": head(200, b"X-A: a\rb", b"Content-Length: 0"),
    "more than 200 fields": head(200, *[b"X-%d: 1" % n for n in range(201)], b"Content-Length: 0"),
    "a head of more than 64 KiB": b"HTTP/1.1 200 OK\r\n" + _FIELD * 70 + b"Content-Length: 0\r\n\r\n",
    "a line of more than 64 KiB": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000,
    "eleven interim answers": head(100) * 11 + answer(b"late"),
}

REFUSED = {
    "a redirect": (head(302, b"Location: http://evil.example/", b"Content-Length: 0"), 302),
    "a redirect with a body": (answer(b"moved", 308, b"Location: /v2/x"), 308),
    "not modified": (head(304), 304),
    "gzip": (answer(gzip.compress(b"hello"), 200, b"Content-Encoding: gzip"), 200),
    "two codings": (answer(b"?", 200, b"Content-Encoding: identity, br"), 200),
    "an error in gzip": (answer(gzip.compress(b"hello"), 500, b"Content-Encoding: gzip"), 500),
}


class HeadFaultTests(UpstreamCase):
    """No answer, or none that can be read."""

    async def test_refused(self) -> None:
        """Where nobody listens, the attempt has not got past connecting."""
        await self.server.stop()
        error = await self.fails(UpstreamUnreachable, self.send())
        self.assertIs(error.stage, Stage.CONNECT)

    async def test_unresolvable(self) -> None:
        """A name that does not exist is a connect failure that does not name the name."""
        self.origin = Origin("http", "no-such-host.invalid", 80)
        error = await self.fails(UpstreamUnreachable, self.send())
        self.assertIs(error.stage, Stage.CONNECT)
        self.assertNotIn("invalid", error.message)

    async def test_neverAnswers(self) -> None:
        """Silence after the request ends at the first-byte deadline when streamed, else at the total one."""
        for stream, deadline in ((True, "first_byte"), (False, "total")):
            error = await self.fails(UpstreamTimeout, self.send(stream=stream, **{deadline: 0.1}))
            self.assertEqual((error.deadline, error.stage), (deadline, Stage.FIRST_BYTE))
        await self.server.all_closed()

    async def test_stallsInHead(self) -> None:
        """A head that does not end is no first byte."""
        self.server.reply(b"HTTP/1.1 200 OK\r\nX-A: ")
        error = await self.fails(UpstreamTimeout, self.send(stream=True, first_byte=0.1))
        self.assertEqual((error.deadline, error.stage), ("first_byte", Stage.FIRST_BYTE))
        await self.server.all_closed()

    async def test_stallsWhileSending(self) -> None:
        """A provider that does not read the request is cut off at the deadline, in the send stage."""
        self.server.on_head = lambda peer, _: peer.stop_reading()
        error = await self.fails(UpstreamTimeout, self.send(body=b"x" * 30_000_000, total=0.5))
        self.assertEqual((error.deadline, error.stage), ("total", Stage.SEND))
        self.server.peers[0].go_on_reading()
        await self.server.all_closed()

    async def test_endsBeforeAnyByte(self) -> None:
        """A connection that ends, however, before the answer's first byte is unreachable, not malformed."""
        for end in (Peer.reset, Peer.close):

            def script(peer: Peer, _: object, end: Any = end) -> None:
                end(peer)

            self.server.on_request = script
            error = await self.fails(UpstreamUnreachable, self.send(), end.__name__)
            self.assertIs(error.stage, Stage.FIRST_BYTE)

    async def test_resetWhileSending(self) -> None:
        """A connection lost in the middle of the upload failed in the send stage."""
        self.server.on_head = lambda peer, _: peer.reset()
        error = await self.fails(UpstreamUnreachable, self.send(body=b"x" * 30_000_000))
        self.assertIs(error.stage, Stage.SEND)

    async def test_endsWithinHead(self) -> None:
        """A connection that ends within the head is a broken answer."""
        for end in (Peer.reset, Peer.close):

            def script(peer: Peer, _: object, end: Any = end) -> None:
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")
                peer.later(lambda: end(peer))

            self.server.on_request = script
            error = await self.fails(UpstreamProtocol, self.send(), end.__name__)
            self.assertIs(error.stage, Stage.FIRST_BYTE)

    async def test_badHeads(self) -> None:
        """A head that is not strict HTTP/1 or too large is refused, and its connection dropped."""
        for label, data in BAD_HEADS.items():
            self.server.reply(data)
            error = await self.fails(UpstreamProtocol, self.send(), label)
            self.assertIs(error.stage, Stage.FIRST_BYTE, label)
            await self.server.all_closed()

    async def test_endlessHead(self) -> None:
        """Of an endless head, little more than the bound is taken."""
        for filler in (_FIELD, b"HTTP/1.1 100 Continue\r\n\r\n"):

            def script(peer: Peer, _: object, filler: bytes = filler) -> None:
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" if filler is not _FIELD else b"HTTP/1.1 200 OK\r\n")
                peer.pour(filler * 64)

            self.server.on_request = script
            await self.fails(UpstreamProtocol, self.send())
            await self.server.all_closed()
            self.assertLess(self.server.peers[-1].poured, 16_000_000)

    async def test_refusedAnswers(self) -> None:
        """Redirects and compressed answers are refused with their status; nothing is followed or unpacked."""
        for label, (data, status) in REFUSED.items():
            self.server.reply(data)
            error = await self.fails(UpstreamProtocol, self.send(), label)
            self.assertEqual((error.stage, error.upstream_status), (Stage.FIRST_BYTE, status), label)
        self.assertEqual({asked.target for asked in self.server.asked}, {"/v1/x"})

    async def test_fewInterimAnswers(self) -> None:
        """Up to ten interim answers are passed over."""
        self.server.reply(head(103, b"Link: </a>") * 10, answer(b"ok"))
        response = await self.send()
        self.assertEqual((response.status, await response.read(10)), (200, b"ok"))

    async def test_everyErrorStatusIsAnAnswer(self) -> None:
        """4xx and 5xx are answers, to be judged by the caller."""
        for status in (400, 401, 404, 429, 500, 529, 599):
            self.server.reply(answer(b"no", status))
            response = await self.send()
            self.assertEqual((response.status, await response.read(10)), (status, b"no"))


class SecureHeadFaultTests(HeadFaultTests):
    """The same over TLS."""

    tls = True


class BodyFaultTests(UpstreamCase):
    """An answer that begins well."""

    async def body(self, *pieces: bytes, end: Any = None, stream: bool = False, **times: Any) -> bytes:
        """Read the body of an answer that the server sends so; what comes after the first piece comes later."""

        def script(peer: Peer, _: object) -> None:
            peer.send(pieces[0])
            peer.later(lambda: later(peer))

        def later(peer: Peer) -> None:
            peer.send(*pieces[1:])
            if end is not None:
                end(peer)

        self.server.on_request = script
        response = await self.send(stream=stream, **times)
        return await response.read(1000)

    async def test_whole(self) -> None:
        """Bodies with a length, in chunks, and up to a tidy close are whole."""
        self.assertEqual(await self.body(head(200, b"Content-Length: 4"), b"ab", b"cd"), b"abcd")
        self.assertEqual(await self.body(head(200, CHUNKED), chunk(b"ab"), chunk(b"cd"), chunk(b"")), b"abcd")
        self.assertEqual(await self.body(head(200), b"ab", b"cd", end=Peer.close), b"abcd")
        self.assertEqual(await self.body(head(204), end=Peer.close), b"")

    async def test_cut(self) -> None:
        """A body that ends too early, or in a reset, is cut."""
        for label, pieces, end in (
            ("short, closed", (head(200, b"Content-Length: 9"), b"ab"), Peer.close),
            ("short, reset", (head(200, b"Content-Length: 9"), b"ab"), Peer.reset),
            ("no last chunk", (head(200, CHUNKED), chunk(b"ab")), Peer.close),
            ("within a chunk", (head(200, CHUNKED), b"5\r\nab"), Peer.close),
            ("chunks, reset", (head(200, CHUNKED), chunk(b"ab")), Peer.reset),
            ("no length, reset", (head(200), b"ab"), Peer.reset),
        ):
            error = await self.fails(TruncatedStream, self.body(*pieces, end=end), label)
            self.assertIs(error.stage, Stage.STREAM, label)

    async def test_badChunks(self) -> None:
        """Chunk framing that is wrong is a malformed answer."""
        for framing in (b"zz\r\nab\r\n", b"-2\r\nab\r\n", b"0x2\r\nab\r\n", b"2\r\nabXX", b"\r\n\r\n"):
            error = await self.fails(UpstreamProtocol, self.body(head(200, CHUNKED), framing), repr(framing))
            self.assertIs(error.stage, Stage.STREAM)
        await self.server.all_closed()

    async def test_tooLarge(self) -> None:
        """A body over the limit is refused as soon as that is known, and the rest not taken."""

        def script(peer: Peer, _: object) -> None:
            peer.send(head(200))
            peer.pour(b"x" * 65536)

        self.server.on_request = script
        response = await self.send()
        error = await self.fails(UpstreamProtocol, response.read(100_000))
        self.assertIs(error.stage, Stage.STREAM)
        await self.server.all_closed()
        self.assertLess(self.server.peers[-1].poured, 16_000_000)

    async def test_stalls(self) -> None:
        """Silence within the body ends at the idle deadline when streamed, else at the total one."""
        for stream, deadline in ((True, "idle"), (False, "total")):
            times: dict[str, Any] = {deadline: 0.1}
            waiting = self.body(head(200, b"Content-Length: 9"), b"ab", stream=stream, **times)
            error = await self.fails(UpstreamTimeout, waiting, deadline)
            self.assertEqual((error.deadline, error.stage), (deadline, Stage.STREAM))
        await self.server.all_closed()

    async def test_dripsForEver(self) -> None:
        """An error answer to a streamed request that drips on is ended by the total deadline."""
        self.server.reply(head(500))
        response = await self.send(stream=True, idle=5.0, total=0.2)
        self.server.peers[0].drip(b"x")
        error = await self.fails(UpstreamTimeout, response.read(1000))
        self.assertEqual((error.deadline, error.stage), ("total", Stage.STREAM))
        await self.server.all_closed()

    async def test_lateTaker(self) -> None:
        """A deadline that passes before anybody takes the body is told to who takes it."""
        self.server.reply(head(200, b"Content-Length: 9"), b"ab")
        response = await self.send(total=0.05)
        await self.server.all_closed()
        error = await self.fails(UpstreamTimeout, response.read(10))
        self.assertEqual((error.deadline, error.stage), ("total", Stage.STREAM))


class SecureBodyFaultTests(BodyFaultTests):
    """The same over TLS."""

    tls = True

    async def test_noFarewell(self) -> None:
        """Over TLS, a body without a length is cut when the connection ends without a closing alert."""
        await self.fails(TruncatedStream, self.body(head(200), b"ab", end=Peer.cut))


class TLSFaultTests(UpstreamCase):
    """Where TLS does not come about, not one byte of the request is sent."""

    async def refused(self, server: FaultServer, upstream: IUpstream, label: str) -> None:
        """The connection fails while connecting, and nothing of the request is sent."""
        error = await self.fails(UpstreamUnreachable, upstream.send(self.request()), label)
        self.assertIs(error.stage, Stage.CONNECT, label)
        self.assertIn("TLS", error.message, label)
        await server.all_closed()
        self.assertEqual([peer.received for peer in server.peers], [0], label)

    async def test_badCertificates(self) -> None:
        """Self-signed, for another host, without names, or expired: refused."""
        authority = Authority()
        upstream = self.make(trust=authority.trust)
        for label, options in (
            ("self-signed", authority.self_signed("127.0.0.1")),
            ("wrong address", authority.server("127.0.0.2")),
            ("wrong host", authority.server("other.example")),
            ("no alternative name", authority.nameless("127.0.0.1")),
            ("expired", authority.server("127.0.0.1", days=-1)),
        ):
            server = FaultServer(reactor)
            self.origin = server.listen(options)
            await self.refused(server, upstream, label)
            await server.stop()

    async def test_platformTrust(self) -> None:
        """Without another root, only the platform's authorities count."""
        server = FaultServer(reactor)
        self.origin = server.listen(Authority().server("127.0.0.1"))
        await self.refused(server, self.make(), "unknown authority")
        await server.stop()

    async def test_hostName(self) -> None:
        """A name is verified, and sent for the server to choose its certificate by."""
        authority = Authority()
        server = FaultServer(reactor)
        server.reply(answer(b"ok"))
        self.origin = server.listen(authority.server("localhost"), "localhost")
        upstream = self.make(trust=authority.trust)
        response = await upstream.send(self.request())
        self.assertEqual(await response.read(10), b"ok")
        self.assertEqual(server.peers[0].wire.getHandle().get_servername(), b"localhost")
        await upstream.close()
        await server.stop()

    async def test_noHandshake(self) -> None:
        """A server that accepts and then does not speak TLS is cut off by the connect deadline."""
        self.origin = Origin("https", "127.0.0.1", self.origin.port)
        error = await self.fails(UpstreamTimeout, self.send(connect=0.1))
        self.assertEqual((error.deadline, error.stage), ("connect", Stage.CONNECT))
        await self.server.all_closed()

    async def test_notTLS(self) -> None:
        """A server that speaks something else, or hangs up, cannot be reached."""
        self.origin = Origin("https", "127.0.0.1", self.origin.port)
        for act in (lambda peer: peer.send(answer(b"plain")), Peer.close, Peer.reset):
            self.server.on_connect = act
            error = await self.fails(UpstreamUnreachable, self.send())
            self.assertIs(error.stage, Stage.CONNECT)
