"""Streamed answers over real sockets: pace, ends, deadlines, and what becomes of the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from twisted.internet.defer import CancelledError, Deferred

from relay.errors import TruncatedStream, UpstreamProtocol, UpstreamTimeout
from relay.interfaces import IUpstreamResponse
from relay.outcome import Stage
from tests.integration.faults import CHUNKED, Peer, UpstreamCase, answer, chunk, head
from tests.unit.upstream.doubles import MarkTranscoder, MemorySink


class StreamTests(UpstreamCase):
    """One streamed answer.

    Attributes:
        peer: the server's end of the connection that carries it.
    """

    peer: Peer

    async def begin(self, *pieces: bytes, **deadlines: float) -> IUpstreamResponse:
        """Send a streamed request, to be answered so."""

        def script(peer: Peer, _: object) -> None:
            self.peer = peer
            peer.send(*pieces)

        self.server.on_request = script
        return await self.send(stream=True, **deadlines)

    async def ends(self, *pieces: bytes, end: Callable[[Peer], object] | None = None) -> tuple[bytes, MarkTranscoder]:
        """Stream an answer to its end, which the server brings about a moment later; return what came out."""
        response = await self.begin(pieces[0])
        self.peer.later(lambda: self.peer.send(*pieces[1:]))
        if end is not None:
            self.peer.later(lambda: end(self.peer))
        sink, transcoder = MemorySink(), MarkTranscoder()
        try:
            await response.stream(transcoder, sink)
        finally:
            self.assertEqual((sink.producer, sink.unregistered), (None, 1))
        return sink.data, transcoder

    async def test_terminalEvent(self) -> None:
        """The terminal event ends a stream at once, whatever becomes of the connection."""
        for label, first, rest in (
            ("chunks", head(200, CHUNKED), chunk(b"a END")),
            ("no length", head(200), b"a END"),
            ("a length", head(200, b"Content-Length: 99"), b"a END"),
        ):
            data, transcoder = await self.ends(first, rest)
            self.assertEqual((data, transcoder.done), (b"a END", True), label)

    async def test_finishReason(self) -> None:
        """Without its terminal event, a stream is whole if a finish reason came and the body ended cleanly."""
        for label, pieces, end in (
            ("chunks", (head(200, CHUNKED), chunk(b"FIN"), chunk(b"")), None),
            ("a length", (head(200, b"Content-Length: 3"), b"FIN"), None),
            ("no length", (head(200), b"FIN"), Peer.close),
        ):
            data, _ = await self.ends(*pieces, end=end)
            self.assertEqual(data, b"FIN<end>", label)

    async def test_cut(self) -> None:
        """A stream that ends without either, or uncleanly, is cut."""
        for label, pieces, end in (
            ("no finish reason", (head(200, CHUNKED), chunk(b"a"), chunk(b"")), None),
            ("no length, no finish reason", (head(200), b"a"), Peer.close),
            ("no last chunk", (head(200, CHUNKED), chunk(b"FIN")), Peer.close),
            ("no last chunk, reset", (head(200, CHUNKED), chunk(b"FIN")), Peer.reset),
            ("no length, reset", (head(200), b"FIN"), Peer.reset),
            ("short", (head(200, b"Content-Length: 9"), b"FIN"), Peer.close),
        ):
            try:
                await self.ends(*pieces, end=end)
            except TruncatedStream as error:
                self.assertIs(error.stage, Stage.STREAM, label)
            else:
                self.fail(label)

    async def test_badFraming(self) -> None:
        """Broken chunk framing is a malformed answer."""
        error = await self.fails(UpstreamProtocol, self.ends(head(200, CHUNKED), chunk(b"a"), b"xx\r\n"))
        self.assertIs(error.stage, Stage.STREAM)

    async def test_badFrame(self) -> None:
        """What the transcoder refuses ends the stream, and the connection at once."""
        response = await self.begin(head(200, CHUNKED), chunk(b"BAD"))
        with self.assertRaises(UpstreamProtocol):
            await response.stream(MarkTranscoder(), MemorySink())
        await self.server.all_closed()

    async def test_streamError(self) -> None:
        """An in-stream error ends the stream without failing: its bytes are out, the caller decides."""
        data, transcoder = await self.ends(head(200, CHUNKED), chunk(b"ERR"))
        self.assertEqual(data, b"ERR")
        self.assertIsNotNone(transcoder.error)

    async def test_keptAfterProperEnd(self) -> None:
        """When the message ends properly behind the terminal event, the connection serves the next request."""
        for _ in range(3):
            await self.ends(head(200, CHUNKED), chunk(b"END"), chunk(b""))
            await self.moment()
        self.assertEqual(len(self.server.peers), 1)

    async def test_keptAfterLateEnd(self) -> None:
        """The same when the last chunk comes a moment later."""
        response = await self.begin(head(200, CHUNKED), chunk(b"END"))
        await response.stream(MarkTranscoder(), MemorySink())
        self.peer.send(chunk(b""))
        await self.moment(0.05)
        await self.ends(head(200, CHUNKED), chunk(b"END"), chunk(b""))
        self.assertEqual(len(self.server.peers), 1)

    async def test_droppedAfterTerminalEvent(self) -> None:
        """When the provider leaves the message open, the connection is dropped after a short grace."""
        response = await self.begin(head(200, CHUNKED), chunk(b"END"))
        await response.stream(MarkTranscoder(), MemorySink())
        self.peer.drip(chunk(b"more"))
        await self.server.all_closed()

    async def test_idle(self) -> None:
        """Silence ends the stream with the idle deadline; each piece puts it off."""
        response = await self.begin(head(200, CHUNKED), idle=0.15)
        for moment in (0.1, 0.2, 0.3):
            self.peer.later(lambda: self.peer.send(chunk(b"a")), moment)
        sink = MemorySink()
        error = await self.fails(UpstreamTimeout, response.stream(MarkTranscoder(), sink))
        self.assertEqual((error.deadline, error.stage, sink.data), ("idle", Stage.STREAM, b"aaa"))
        await self.server.all_closed()

    async def test_streamTotal(self) -> None:
        """A bound on the whole stream, where one is set, ends it in the middle."""
        response = await self.begin(head(200, CHUNKED), stream_total=0.2)
        self.peer.drip(chunk(b"a"))
        error = await self.fails(UpstreamTimeout, response.stream(MarkTranscoder(), MemorySink()))
        self.assertEqual((error.deadline, error.stage), ("total", Stage.STREAM))
        await self.server.all_closed()

    async def test_backpressure(self) -> None:
        """A sink that is full stops the provider; what is taken meanwhile is bounded, and not counted as silence."""
        response = await self.begin(head(200, CHUNKED), idle=0.1)
        sink = MemorySink(room=100_000)
        streaming = response.stream(MarkTranscoder(), sink)
        self.peer.pour(chunk(b"x" * 65536))
        await self.moment(0.5)
        self.assertNoResult(streaming)
        self.assertLess(len(sink.data), 1_000_000)
        self.assertLess(self.peer.poured, 16_000_000)
        taken = len(sink.data)
        resumed: Deferred[None] = Deferred()
        sink.on_write = lambda: None if resumed.called else resumed.callback(None)
        assert sink.producer is not None
        sink.producer.resumeProducing()
        await resumed
        self.assertGreater(len(sink.data), taken)
        streaming.cancel()
        await self.fails(CancelledError, streaming)
        await self.server.all_closed()

    async def test_fullFromTheStart(self) -> None:
        """A sink that is full with the first bytes, which came along with the head, stops the provider, too."""
        response = await self.begin(head(200), b"x" * 65536)
        sink = MemorySink(room=1)
        streaming = response.stream(MarkTranscoder(), sink)
        self.peer.pour(b"x" * 65536)
        await self.moment(0.3)
        self.assertLess(len(sink.data), 1_000_000)
        self.assertLess(self.peer.poured, 16_000_000)
        streaming.cancel()
        await self.fails(CancelledError, streaming)

    async def test_idleAfterResume(self) -> None:
        """Once the sink takes data again, silence counts."""
        response = await self.begin(head(200, CHUNKED), chunk(b"x"), idle=0.1)
        sink = MemorySink(room=1)
        streaming = response.stream(MarkTranscoder(), sink)
        await self.moment(0.3)
        assert sink.producer is not None
        sink.producer.resumeProducing()
        error = await self.fails(UpstreamTimeout, streaming)
        self.assertEqual(error.deadline, "idle")

    async def test_sinkStops(self) -> None:
        """A sink that stops its producer has the connection dropped at once."""
        response = await self.begin(head(200, CHUNKED), chunk(b"x"))
        sink = MemorySink()
        streaming = response.stream(MarkTranscoder(), sink)
        assert sink.producer is not None
        sink.producer.stopProducing()
        await self.fails(TruncatedStream, streaming)
        await self.server.all_closed()


class SecureStreamTests(StreamTests):
    """The same over TLS."""

    tls = True


class CancelTests(UpstreamCase):
    """Whoever stops waiting has the connection dropped at once, in every phase."""

    async def dropped(self, waiting: Deferred[Any]) -> None:
        """Cancel; the socket must close, and nothing be left."""
        waiting.cancel()
        await self.fails(CancelledError, waiting)
        for peer in self.server.peers:
            peer.go_on_reading()
        await self.server.all_closed()

    async def test_connecting(self) -> None:
        """Before the connection stands, the provider does not get a request."""
        await self.dropped(self.send())
        self.assertEqual(self.server.asked, [])

    async def test_resolving(self) -> None:
        """While the name is being looked up."""
        self.origin = attrs.evolve(self.origin, host="localhost")
        await self.dropped(self.send())
        self.assertEqual(self.server.asked, [])

    async def test_sending(self) -> None:
        """While the body is going up."""
        self.server.on_head = lambda peer, _: peer.stop_reading()
        waiting = self.send(body=b"x" * 30_000_000)
        await self.server.until(lambda: any(peer.received for peer in self.server.peers))
        await self.dropped(waiting)

    async def test_beforeHead(self) -> None:
        """While the provider thinks."""
        waiting = self.send()
        await self.server.until(lambda: bool(self.server.asked))
        await self.dropped(waiting)

    async def test_withinHead(self) -> None:
        """In the middle of the head."""
        self.server.reply(b"HTTP/1.1 200 OK\r\nX-")
        waiting = self.send()
        await self.server.until(lambda: bool(self.server.asked))
        await self.dropped(waiting)

    async def test_reading(self) -> None:
        """While a whole answer is being collected."""
        self.server.reply(head(200, CHUNKED), chunk(b"a"))
        await self.dropped((await self.send()).read(100))

    async def test_streaming(self) -> None:
        """In the middle of a stream, and the sink is let go."""
        self.server.reply(head(200, CHUNKED), chunk(b"a"))
        response = await self.send(stream=True)
        sink, came = MemorySink(), Deferred[None]()
        sink.on_write = lambda: came.callback(None)
        streaming = response.stream(MarkTranscoder(), sink)
        await came
        await self.dropped(streaming)
        self.assertIsNone(sink.producer)

    async def test_streamingFast(self) -> None:
        """In the middle of a stream that comes faster than it is taken."""
        self.server.reply_without_end(head(200), b"x" * 65536)
        response = await self.send(stream=True)
        sink, came = MemorySink(room=1), Deferred[None]()
        sink.on_write = lambda: None if came.called else came.callback(None)
        streaming = response.stream(MarkTranscoder(), sink)
        await came
        await self.dropped(streaming)

    async def test_abort(self) -> None:
        """An answer that is given up before anybody took its body, any number of times."""
        self.server.reply(head(200, CHUNKED), chunk(b"a"))
        response = await self.send()
        response.abort()
        response.abort()
        await self.server.all_closed()
        await self.fails(TruncatedStream, response.read(10))

    async def test_abortOfWholeAnswer(self) -> None:
        """Giving up an answer that was whole already does not touch the connection, whoever has it now."""
        self.server.reply(answer(b"ok"))
        first = await self.send()
        await self.moment()
        second = await self.send()
        first.abort()
        self.assertEqual(await second.read(10), b"ok")
        self.assertEqual(len(self.server.peers), 1)


class SecureCancelTests(CancelTests):
    """The same over TLS."""

    tls = True
