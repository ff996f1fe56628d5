"""Tests of one exchange over the engine: deadlines, retries, refusals, cancelling, and what its body does."""

from __future__ import annotations

from math import inf
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError  # noqa: A004  # Twisted's name
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.errors import (
    Overloaded,
    RelayError,
    TruncatedStream,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from relay.interfaces import IUpstreamResponse
from relay.outcome import Stage
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.response import GRACE, EngineResponse
from relay.upstream.engine.sending import AT_ONCE
from relay.upstream.engine.states import State
from tests.unit.upstream.doubles import MarkTranscoder, MemoryBody, MemorySink
from tests.unit.upstream.engine.parts import (
    CHUNKED,
    ORIGIN,
    TIMES,
    Lines,
    Wire,
    answer,
    chunk,
    head,
    lose,
    make_request,
)


class SendingCase(SynchronousTestCase):
    """Exchanges over connections in memory."""

    manual = False

    def setUp(self) -> None:
        self.lines = Lines(self.manual)
        self.pool = self.lines.pool(most=2, queue=1)

    def send(self, body: Any = b'{"n":1}', *, stream: bool = False, **changes: Any) -> Deferred[IUpstreamResponse]:
        """Send a request."""
        request = make_request(body, stream=stream, **changes)
        return EngineResponse(self.pool.at(ORIGIN), self.lines.wheel, request).start()

    def answered(self, data: bytes, *, stream: bool = False) -> EngineResponse:
        """Send a request on a new connection, and have it answered so far."""
        sent = self.send(stream=stream)
        self.connection.dataReceived(data)
        response = self.successResultOf(sent)
        assert isinstance(response, EngineResponse)
        return response

    @property
    def connection(self) -> Connection:
        """The connection that was opened last."""
        return self.lines.made[-1]

    @property
    def wire(self) -> Wire:
        """Its transport."""
        wire: Wire = self.connection.transport
        return wire

    def fails(self, kind: type[RelayError], waiting: Deferred[Any], stage: Stage) -> Any:
        """The error of a Deferred, of exactly this class."""
        error = self.failureResultOf(waiting, kind).value
        self.assertIs(type(error), kind)
        if isinstance(error, UpstreamError):
            self.assertEqual((error.stage, error.deployment), (stage, "p/m"))
        return error

    def nothing_left(self) -> None:
        """No deadline, no idle or used connection."""
        for connection in self.lines.made:
            if connection.transport is not None:
                self.assertTrue(connection.transport.aborted)
                lose(connection)
        self.assertEqual(len(self.lines.wheel), 0)
        self.assertIsNone(self.pool.at(ORIGIN).take())


class HeadTests(SendingCase):
    """Until the head is there."""

    def test_oneWrite(self) -> None:
        """Head and body of an ordinary request are one write."""
        writes: list[bytes] = []
        self.patch(Wire, "write", lambda _, data: writes.append(data))
        self.send()
        self.assertEqual(len(writes), 1)
        self.assertTrue(writes[0].endswith(b'content-length: 7\r\n\r\n{"n":1}'))

    def test_largeBody(self) -> None:
        """Larger ones follow at the wire's pace."""
        for size, body in ((AT_ONCE + 1, b"x" * (AT_ONCE + 1)), (10, MemoryBody(b"x" * 10))):
            sent = self.send(body)
            self.assertTrue(self.wire.taken().endswith(b"\r\n\r\n" + b"x" * size))
            self.connection.dataReceived(answer(b"ok"))
            self.assertEqual(self.successResultOf(self.successResultOf(sent).read(2)), b"ok")

    def test_unsafe(self) -> None:
        """A request that cannot be sent as it is, is not sent."""
        for changes in ({"target": "/a b"}, {"headers": ((b"a", b"b\r\nc: d"),)}):
            self.fails(UpstreamUnreachable, self.send(**changes), Stage.SEND)
            self.assertEqual(self.wire.value(), b"")
            self.flushLoggedErrors(ValueError)
        self.nothing_left()

    def test_interface(self) -> None:
        """The answer is what the seam says, and paces as a push producer."""
        response = self.answered(answer(b"ok", 201, b"X-A: b"))
        self.assertTrue(verifyObject(IUpstreamResponse, response))
        self.assertTrue(verifyObject(IPushProducer, response))
        self.assertEqual((response.status, dict(response.headers)[b"x-a"]), (201, b"b"))

    def test_refused(self) -> None:
        """Redirects and encoded answers are refused with their status; the connection is dropped."""
        for data, status in (
            (head(302, b"Location: http://evil/", b"Content-Length: 0"), 302),
            (answer(b"x", 200, b"Content-Encoding: gzip"), 200),
            (answer(b"x", 500, b"Content-Encoding: identity, br"), 500),
        ):
            sent = self.send()
            self.connection.dataReceived(data)
            error = self.fails(UpstreamProtocol, sent, Stage.FIRST_BYTE)
            self.assertEqual(error.upstream_status, status)
        self.nothing_left()

    def test_leftOut(self) -> None:
        """Cookies, and the word for no encoding, are not shown."""
        response = self.answered(answer(b"", 200, b"Set-Cookie: a=b", b"Content-Encoding: identity", b"Set-Cookie2: c"))
        self.assertEqual(response.headers, ((b"content-length", b"0"),))

    def test_broken(self) -> None:
        """Each way in which there may be no head has its error and stage."""
        large = b"x" * (AT_ONCE + 1)
        cases: list[tuple[type[RelayError], Stage, bytes | None, Any]] = [
            (UpstreamUnreachable, Stage.FIRST_BYTE, None, b"{}"),
            (UpstreamProtocol, Stage.FIRST_BYTE, b"HTTP/1.1 200", b"{}"),
            (UpstreamProtocol, Stage.FIRST_BYTE, b"nonsense\r\n\r\n", b"{}"),
            (UpstreamUnreachable, Stage.SEND, None, MemoryBodyThatWaits(large)),
            (Overloaded, Stage.SEND, None, MemoryBody(large, error_at=0)),
        ]
        for kind, stage, data, body in cases:
            sent = self.send(body)
            if data is not None:
                self.connection.dataReceived(data)
            if kind is not Overloaded and self.connection.state is State.HEAD:
                lose(self.connection, ConnectionLost())
            self.fails(kind, sent, stage)
        self.nothing_left()


class MemoryBodyThatWaits(MemoryBody):
    """A spooled body whose first block never comes."""

    async def read(self, offset: int, size: int) -> bytes:
        await Deferred[None]()
        return b""


class RetryTests(SendingCase):
    """A kept connection that has died."""

    def kept(self) -> Connection:
        """An idle connection."""
        self.successResultOf(self.answered(answer(b"ok")).read(2))
        self.wire.clear()
        return self.connection

    def test_again(self) -> None:
        """A request on a kept connection that brings nothing is sent once more, whole, over a fresh one."""
        for body in (b'{"n":1}', b"x" * (AT_ONCE + 1), MemoryBody(b"x" * 100)):
            dead = self.kept()
            sent = self.send(body)
            first = bytes(dead.transport.value())
            lose(dead)
            self.assertIsNot(self.connection, dead)
            self.assertEqual(bytes(self.wire.value()), first)
            self.connection.dataReceived(answer(b"fresh"))
            self.assertEqual(self.successResultOf(self.successResultOf(sent).read(9)), b"fresh")
            self.connection.drop()
        self.nothing_left()

    def test_onlyOnce(self) -> None:
        """A fresh connection that brings nothing is the end."""
        dead = self.kept()
        sent = self.send()
        lose(dead)
        lose(self.connection)
        self.fails(UpstreamUnreachable, sent, Stage.FIRST_BYTE)
        self.assertEqual(len(self.lines.made), 2)

    def test_notAfterAByte(self) -> None:
        """Once a byte has come, nothing is repeated."""
        dead = self.kept()
        sent = self.send()
        dead.dataReceived(b"H")
        lose(dead)
        self.fails(UpstreamProtocol, sent, Stage.FIRST_BYTE)
        self.assertEqual(len(self.lines.made), 1)

    def test_deadlinesGoOn(self) -> None:
        """The whole has one deadline, whichever connection carries it."""
        dead = self.kept()
        sent = self.send()
        self.lines.clock.advance(TIMES.total - 1)
        lose(dead)
        self.lines.clock.advance(1.5)
        error = self.fails(UpstreamTimeout, sent, Stage.FIRST_BYTE)
        self.assertEqual(error.deadline, "total")
        self.nothing_left()


class ConnectTests(SendingCase):
    """Until there is a connection."""

    manual = True

    def test_errors(self) -> None:
        """Each reason for which there is none is told without a name or address."""
        for reason in (ConnectionRefusedError("1.2.3.4"), DNSLookupError("a.example"), ConnectionLost("1.2.3.4")):
            sent = self.send()
            self.lines.pending[0].fail(reason)
            error = self.fails(UpstreamUnreachable, sent, Stage.CONNECT)
            self.assertNotIn("1.2.3.4", error.message)
            self.assertNotIn("a.example", error.message)
        self.nothing_left()

    def test_deadline(self) -> None:
        """Opening, and waiting for leave to open, are bounded; what is being opened is called off."""
        sent = [self.send() for _ in range(3)]
        self.lines.clock.advance(TIMES.connect + 0.5)
        for each in sent:
            self.assertEqual(self.fails(UpstreamTimeout, each, Stage.CONNECT).deadline, "connect")
        self.assertEqual((self.lines.pending, self.lines.cancelled), ([], 2))
        self.nothing_left()

    def test_full(self) -> None:
        """A request for which there is no place in the queue is told so, and leaves nothing behind."""
        for _ in range(3):
            self.send()
        before = len(self.lines.wheel)
        self.fails(Overloaded, self.send(), Stage.CONNECT)
        self.assertEqual(len(self.lines.wheel), before)

    def test_cancel(self) -> None:
        """Who no longer waits has the dial called off, or leaves the queue."""
        sent = [self.send() for _ in range(3)]
        for each in reversed(sent):
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.assertEqual((self.lines.pending, self.lines.cancelled), ([], 2))
        self.nothing_left()


class DeadlineTests(SendingCase):
    """Deadlines once the request is sent."""

    def expired(self, waiting: Deferred[Any], deadline: str, stage: Stage) -> None:
        """It has failed for this deadline, and nothing is left."""
        self.assertEqual(self.fails(UpstreamTimeout, waiting, stage).deadline, deadline)
        self.nothing_left()

    def test_total(self) -> None:
        """A request that is not streamed has one deadline for all."""
        sent = self.send()
        self.lines.clock.advance(TIMES.total - 1)
        self.connection.dataReceived(b"HTTP/1.1 200 OK\r\n")
        self.assertNoResult(sent)
        self.lines.clock.advance(1.5)
        self.expired(sent, "total", Stage.FIRST_BYTE)

    def test_totalInBody(self) -> None:
        """It goes on while the body comes."""
        reading = self.answered(head(200, b"Content-Length: 100")).read(100)
        self.lines.clock.pump([10] * 5)
        self.connection.dataReceived(b"x")
        self.lines.clock.advance(11)
        self.expired(reading, "total", Stage.STREAM)

    def test_totalBeforeTaken(self) -> None:
        """It passes, too, while nobody takes the body; who does then is told."""
        response = self.answered(head(200, b"Content-Length: 100"))
        self.lines.clock.advance(TIMES.total + 1)
        self.expired(response.read(100), "total", Stage.STREAM)

    def test_sending(self) -> None:
        """A deadline that passes during the upload tells so."""
        self.expired_send = self.send(MemoryBodyThatWaits(b"x" * (AT_ONCE + 1)))
        self.lines.clock.advance(TIMES.total + 1)
        self.expired(self.expired_send, "total", Stage.SEND)

    def test_firstByte(self) -> None:
        """A streamed answer has to begin in time."""
        sent = self.send(stream=True)
        self.lines.clock.advance(TIMES.first_byte + 1)
        self.expired(sent, "first_byte", Stage.FIRST_BYTE)

    def test_idle(self) -> None:
        """A streamed answer may take as long as it likes, but not pause for too long."""
        response = self.answered(head(200, CHUNKED), stream=True)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        for _ in range(10):
            self.lines.clock.advance(TIMES.idle - 1)
            self.connection.dataReceived(chunk(b"a"))
        self.assertNoResult(streaming)
        self.lines.clock.advance(TIMES.idle + 1)
        self.expired(streaming, "idle", Stage.STREAM)

    def test_idleBeforeTaken(self) -> None:
        """It has to be taken within that time."""
        response = self.answered(head(200, CHUNKED), stream=True)
        self.assertFalse(self.wire.reading)
        self.lines.clock.advance(TIMES.idle + 1)
        self.expired(response.stream(MarkTranscoder(), MemorySink()), "idle", Stage.STREAM)

    def test_notIdleWhilePaused(self) -> None:
        """A slow client is not the provider's silence."""
        response = self.answered(head(200, CHUNKED), stream=True)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        response.pauseProducing()
        self.lines.clock.advance(TIMES.idle * 10)
        self.assertNoResult(streaming)
        response.resumeProducing()
        self.lines.clock.advance(TIMES.idle + 1)
        self.expired(streaming, "idle", Stage.STREAM)

    def test_readOfStreamed(self) -> None:
        """Where an answer that should be streamed is read as a whole, both bounds hold."""
        for step, deadline in ((TIMES.idle + 1, "idle"), (TIMES.idle - 1, "total")):
            reading = self.answered(head(200, CHUNKED), stream=True).read(100)
            for _ in range(5):
                if not self.wire.aborted:
                    self.lines.clock.advance(step)
                    if not self.wire.aborted:
                        self.connection.dataReceived(chunk(b"a"))
            self.expired(reading, deadline, Stage.STREAM)


class BodyTests(SendingCase):
    """Taking the body."""

    def test_read(self) -> None:
        """A body is read whole, whether it came with the head, later, or in between."""
        data = head(200, b"Content-Length: 4") + b"abcd"
        for cut in range(len(data) - 4, len(data) + 1):
            response = self.answered(data[:cut])
            reading = response.read(4)
            if cut < len(data):
                self.assertNoResult(reading)
                self.connection.dataReceived(data[cut:])
            self.assertEqual(self.successResultOf(reading), b"abcd")
        self.assertEqual(len(self.lines.made), 1)

    def test_atHand(self) -> None:
        """A body that came with the head can be had without waiting, unless it is larger than asked for."""
        response = self.answered(answer(b"abcd"))
        self.assertIsNone(response.at_hand(3))
        self.assertEqual(response.at_hand(4), b"abcd")
        self.assertEqual(self.answered(answer(b"")).at_hand(4), b"")
        response = self.answered(head(200, b"Content-Length: 4") + b"ab")
        self.assertIsNone(response.at_hand(4))
        self.connection.dataReceived(b"cd")
        self.assertEqual(response.at_hand(4), b"abcd")

    def test_notAtHand(self) -> None:
        """A body that will not come is not at hand, and `read` tells why."""
        response = self.answered(head(200, b"Content-Length: 4") + b"ab")
        lose(self.connection)
        self.assertIsNone(response.at_hand(4))
        self.fails(TruncatedStream, response.read(4), Stage.STREAM)

    def test_tooLarge(self) -> None:
        """A body over the limit is refused at the first byte too many, and the connection dropped."""
        for cut in (0, 2, 5):
            response = self.answered(head(200, b"Content-Length: 9") + b"abcdefghi"[:cut])
            reading = response.read(4)
            if cut < 5:
                self.connection.dataReceived(b"abcdefghi"[cut:5])
            self.fails(UpstreamProtocol, reading, Stage.STREAM)
        self.fails(UpstreamProtocol, self.answered(answer(b"whole")).read(4), Stage.STREAM)

    def test_stream(self) -> None:
        """Pieces go through the transcoder into the sink, and the connection is kept."""
        response = self.answered(head(200, CHUNKED) + chunk(b"a"), stream=True)
        sink, transcoder = MemorySink(), MarkTranscoder()
        streaming = response.stream(transcoder, sink)
        self.assertEqual((sink.data, sink.producer), (b"a", response))
        self.connection.dataReceived(chunk(b"b") + chunk(b" END") + chunk(b""))
        self.successResultOf(streaming)
        self.assertEqual((sink.data, sink.producer, sink.unregistered), (b"ab END", None, 1))
        self.assertEqual((self.connection.state, self.connection.watch.due), (State.IDLE, inf))

    def test_terminalEvent(self) -> None:
        """The stream is over with its terminal event; the message may end a moment later."""
        for late in (0.1, GRACE + 1):
            response = self.answered(head(200, CHUNKED), stream=True)
            streaming = response.stream(MarkTranscoder(), MemorySink())
            self.connection.dataReceived(chunk(b"END"))
            self.successResultOf(streaming)
            self.lines.clock.advance(late)
            if not self.wire.aborted:
                self.connection.dataReceived(chunk(b""))
                self.assertEqual(self.connection.state, State.IDLE)
        self.nothing_left()

    def test_errorInStream(self) -> None:
        """An error that the transcoder saw ends the stream without failing it."""
        response = self.answered(head(200, CHUNKED), stream=True)
        sink = MemorySink()
        streaming = response.stream(MarkTranscoder(), sink)
        self.connection.dataReceived(chunk(b"ERR"))
        self.successResultOf(streaming)
        self.assertEqual(sink.data, b"ERR")

    def test_ends(self) -> None:
        """Whether a stream that has ended is whole, the transcoder says."""
        for data, kind in ((b"FIN", None), (b"a", TruncatedStream), (b"BAD", UpstreamProtocol)):
            response = self.answered(head(200, CHUNKED), stream=True)
            sink = MemorySink()
            streaming = response.stream(MarkTranscoder(), sink)
            self.connection.dataReceived(chunk(data) + chunk(b""))
            if kind is None:
                self.successResultOf(streaming)
                self.assertEqual(sink.data, b"FIN<end>")
            else:
                self.failureResultOf(streaming, kind)
            self.assertEqual((sink.producer, sink.unregistered), (None, 1))

    def test_wholeBeforeTaken(self) -> None:
        """A stream that was whole before anybody took it is delivered at once."""
        for data, out in ((b"a END", b"a END"), (b"FIN", b"FIN<end>")):
            response = self.answered(head(200, CHUNKED) + chunk(data) + chunk(b""), stream=True)
            sink = MemorySink()
            self.successResultOf(response.stream(MarkTranscoder(), sink))
            self.assertEqual((sink.data, sink.unregistered), (out, 1))

    def test_brokenBeforeTaken(self) -> None:
        """One that was broken before is told to who takes it."""
        for take in (lambda each: each.read(10), lambda each: each.stream(MarkTranscoder(), MemorySink())):
            response = self.answered(head(200, CHUNKED) + b"zz\r\n")
            self.fails(UpstreamProtocol, take(response), Stage.STREAM)
            response = self.answered(head(200, CHUNKED) + chunk(b"a"))
            lose(self.connection)
            self.fails(TruncatedStream, take(response), Stage.STREAM)

    def test_pace(self) -> None:
        """The sink's pace is the connection's."""
        response = self.answered(head(200, CHUNKED), stream=True)
        sink = MemorySink(room=1)
        streaming = response.stream(MarkTranscoder(), sink)
        self.assertTrue(self.wire.reading)
        self.connection.dataReceived(chunk(b"ab"))
        self.assertFalse(self.wire.reading)
        response.resumeProducing()
        self.assertTrue(self.wire.reading)
        self.assertNoResult(streaming)

    def test_fullFromTheStart(self) -> None:
        """A sink that is full with what came along with the head does not have more read."""
        response = self.answered(head(200, CHUNKED) + chunk(b"ab"), stream=True)
        response.stream(MarkTranscoder(), MemorySink(room=1))
        self.assertFalse(self.wire.reading)


class GiveUpTests(SendingCase):
    """Whoever stops waiting has the connection dropped in the same turn, in every phase."""

    def test_beforeHead(self) -> None:
        """While the provider thinks, or is within the head."""
        for data in (b"", b"HTTP/1.1 2"):
            for stream in (False, True):
                sent = self.send(stream=stream)
                if data:
                    self.connection.dataReceived(data)
                sent.cancel()
                self.failureResultOf(sent, CancelledError)
                self.nothing_left()

    def test_sending(self) -> None:
        """During the upload, which stops."""
        sent = self.send(MemoryBodyThatWaits(b"x" * (AT_ONCE + 1)))
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.nothing_left()

    def test_inBody(self) -> None:
        """While the body is read or streamed, and while the stream is paused."""
        for pause in (False, True):
            for stream in (False, True):
                response = self.answered(head(200, CHUNKED), stream=stream)
                sink = MemorySink()
                taken: Deferred[Any] = response.stream(MarkTranscoder(), sink) if stream else response.read(10)
                if pause:
                    response.pauseProducing()
                taken.cancel()
                self.failureResultOf(taken, CancelledError)
                self.assertIsNone(sink.producer)
                self.nothing_left()

    def test_whileFed(self) -> None:
        """While the sink is being written to, as when it finds that its client has gone."""
        response = self.answered(head(200, CHUNKED), stream=True)
        sink = MemorySink()
        streaming = response.stream(MarkTranscoder(), sink)
        streaming.addErrback(lambda failure: failure.trap(CancelledError))
        sink.on_write = streaming.cancel
        self.connection.dataReceived(chunk(b"a") + chunk(b" END") + chunk(b""))
        self.nothing_left()

    def test_abort(self) -> None:
        """An answer that nobody took, or that is being taken, is dropped; a whole one is left alone."""
        response = self.answered(head(200, CHUNKED))
        for _ in range(2):
            response.abort()
        self.fails(TruncatedStream, response.read(10), Stage.STREAM)
        self.nothing_left()
        response = self.answered(head(200, CHUNKED))
        reading = response.read(10)
        response.abort()
        self.assertTrue(self.wire.aborted)
        lose(self.connection)
        self.fails(TruncatedStream, reading, Stage.STREAM)
        response = self.answered(answer(b"ok"))
        response.abort()
        self.assertFalse(self.wire.aborted)

    def test_sinkStops(self) -> None:
        """A sink that stops its producer is told of the end in a later turn."""
        response = self.answered(head(200), stream=True)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        response.stopProducing()
        self.assertNoResult(streaming)
        self.assertTrue(self.wire.aborted)
        lose(self.connection)
        self.fails(TruncatedStream, streaming, Stage.STREAM)
        self.nothing_left()
