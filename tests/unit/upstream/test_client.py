"""Tests of deadlines, pace and the keeping of connections, on a clock."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionLost
from zope.interface.verify import verifyObject

from relay.errors import TruncatedStream, UpstreamError, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from relay.interfaces import IUpstream, IUpstreamResponse
from relay.outcome import Stage
from relay.upstream.connection import LINGER
from relay.upstream.response import GRACE
from tests.unit.upstream.doubles import MarkTranscoder, MemorySink
from tests.unit.upstream.memory import MemoryCase

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


class DeadlineTests(MemoryCase):
    """Each deadline passes at its time, and not before."""

    def test_interfaces(self) -> None:
        """The client and its answers are what the middle of relay expects."""
        self.assertTrue(verifyObject(IUpstream, self.upstream))
        response, _ = self.answered(HEAD)
        self.assertTrue(verifyObject(IUpstreamResponse, response))

    def test_connect(self) -> None:
        """The connect deadline runs until the connection stands."""
        sent = self.send(connect=2)
        self.reactor.pump([1.9])
        self.assertNoResult(sent)
        self.reactor.advance(0.2)
        error = self.failureResultOf(sent, UpstreamTimeout).value
        self.assertEqual((error.deadline, error.stage, error.deployment), ("connect", Stage.CONNECT, "p/m"))
        self.finish()

    def test_firstByte(self) -> None:
        """The first-byte deadline begins with the connection and ends with the whole head."""
        sent = self.send(connect=5, first_byte=3)
        self.reactor.advance(4)
        _, wire = self.accept()
        self.reactor.advance(2.9)
        wire.protocol.dataReceived(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        self.assertNoResult(sent)
        self.reactor.advance(0.2)
        error = self.failureResultOf(sent, UpstreamTimeout).value
        self.assertEqual((error.deadline, error.stage), ("first_byte", Stage.FIRST_BYTE))
        self.assertTrue(wire.aborted)
        self.finish()

    def test_totalOfNonStreamed(self) -> None:
        """A non-streamed answer has one deadline from the start to the last byte, however it trickles."""
        sent = self.send(stream=False, first_byte=1, idle=1, total=8)
        self.reactor.advance(3)
        _, wire = self.accept()
        self.reactor.advance(3)
        wire.protocol.dataReceived(HEAD)
        read = self.successResultOf(sent).read(100)
        self.reactor.advance(1.9)
        wire.protocol.dataReceived(b"1\r\na\r\n")
        self.assertNoResult(read)
        self.reactor.advance(0.2)
        error = self.failureResultOf(read, UpstreamTimeout).value
        self.assertEqual((error.deadline, error.stage), ("total", Stage.STREAM))
        self.assertTrue(wire.aborted)
        self.finish()

    def test_noTotalOfStreamed(self) -> None:
        """A stream that goes on has no bound unless one is set."""
        response, wire = self.answered(HEAD, total=5)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        for _ in range(10):
            self.reactor.advance(9)
            wire.protocol.dataReceived(b"1\r\na\r\n")
        self.assertNoResult(streaming)
        wire.protocol.dataReceived(b"3\r\nEND\r\n" + LAST)
        self.successResultOf(streaming)
        self.finish()

    def test_idleNotWhilePaused(self) -> None:
        """While the client's slowness has paused the provider, silence is not counted; after, from the start."""
        response, wire = self.answered(HEAD, idle=5)
        sink = MemorySink()
        streaming = response.stream(MarkTranscoder(), sink)
        producer = sink.producer
        assert producer is not None
        self.reactor.advance(4)
        producer.pauseProducing()
        self.assertEqual(wire.producerState, "paused")
        wire.protocol.dataReceived(b"1\r\na\r\n")  # was on its way
        self.reactor.advance(1000)
        self.assertNoResult(streaming)
        producer.resumeProducing()
        self.assertEqual(wire.producerState, "producing")
        self.reactor.advance(4.9)
        self.assertNoResult(streaming)
        self.reactor.advance(0.2)
        error = self.failureResultOf(streaming, UpstreamTimeout).value
        self.assertEqual((error.deadline, error.stage), ("idle", Stage.STREAM))
        self.finish()

    def test_neverTaken(self) -> None:
        """A streamed answer that nobody takes does not hold its connection for ever."""
        response, wire = self.answered(HEAD, idle=5)
        self.reactor.advance(5)
        self.assertTrue(wire.aborted)
        self.failureResultOf(response.stream(MarkTranscoder(), MemorySink()), UpstreamTimeout)
        self.finish()

    def test_nothingLeft(self) -> None:
        """No timer outlives an exchange, however it ends."""
        response, wire = self.answered(HEAD, stream_total=100)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        wire.protocol.dataReceived(b"3\r\nEND\r\n" + LAST)
        self.successResultOf(streaming)
        self.finish()


class PaceTests(MemoryCase):
    """The sink's pace."""

    def test_pausedFromTheStart(self) -> None:
        """A sink that is full before the body begins keeps the provider paused."""
        response, wire = self.answered(HEAD + b"1\r\na\r\n")
        sink = MemorySink(room=1)
        streaming = response.stream(MarkTranscoder(), sink)
        self.assertEqual((sink.data, wire.producerState), (b"a", "paused"))
        self.reactor.advance(100)
        self.assertNoResult(streaming)

    def test_pausedAtTheEnd(self) -> None:
        """A terminal event that finds the sink full lets the rest of the message come, for the connection's sake."""
        response, wire = self.answered(HEAD)
        sink = MemorySink(room=1)
        streaming = response.stream(MarkTranscoder(), sink)
        wire.protocol.dataReceived(b"3\r\nEND\r\n")
        self.successResultOf(streaming)
        self.assertEqual(wire.producerState, "producing")
        wire.protocol.dataReceived(LAST)
        self.reactor.advance(2 * GRACE)
        self.assertFalse(wire.aborted)
        self.finish()

    def test_released(self) -> None:
        """The sink is let go once, whether the stream ends well, badly, or is given up."""
        for data, ends_well in ((b"3\r\nEND\r\n" + LAST, True), (LAST, False), (b"3\r\nBAD\r\n", False), (b"", False)):
            response, wire = self.answered(HEAD)
            sink = MemorySink()
            streaming = response.stream(MarkTranscoder(), sink)
            wire.protocol.dataReceived(data) if data else streaming.cancel()
            if ends_well:
                self.successResultOf(streaming)
            else:
                self.failureResultOf(streaming, UpstreamError, CancelledError)
            self.assertEqual((sink.producer, sink.unregistered), (None, 1))
            self.reactor.advance(0)
            self.finish()
            self.setUp()


class KeepingTests(MemoryCase):
    """What becomes of connections."""

    def test_grace(self) -> None:
        """After the terminal event the message has a moment to end, then the connection is dropped."""
        response, wire = self.answered(HEAD)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        wire.protocol.dataReceived(b"3\r\nEND\r\n")
        self.successResultOf(streaming)
        self.reactor.advance(GRACE - 0.1)
        wire.protocol.dataReceived(b"1\r\na\r\n")
        self.assertFalse(wire.aborted)
        self.reactor.advance(0.2)
        self.assertTrue(wire.aborted)
        self.reactor.advance(0)
        self.finish()

    def test_tidyCloseIsBounded(self) -> None:
        """A peer that never answers a tidy close, as over TLS, is dropped after a while."""
        response, wire = self.answered(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", stream=False, deaf=True
        )
        self.assertEqual(self.successResultOf(response.read(10)), b"ok")
        self.assertEqual((wire.disconnecting, wire.aborted), (True, False))
        self.reactor.advance(LINGER)
        self.assertTrue(wire.aborted)
        self.reactor.advance(0)
        self.finish()

    def test_idleTime(self) -> None:
        """An idle connection is closed after 55 seconds; if the peer does not answer to that, it is dropped."""
        response, wire = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", stream=False, deaf=True)
        self.successResultOf(response.read(10))
        self.reactor.advance(54)
        self.assertFalse(wire.disconnecting)
        self.reactor.advance(1)
        self.assertEqual((wire.disconnecting, wire.aborted), (True, False))
        self.reactor.advance(LINGER)
        self.assertTrue(wire.aborted)
        self.reactor.advance(0)
        self.finish()

    def test_closeOfDeafPeers(self) -> None:
        """Closing waits for idle connections, but not for longer than they are given."""
        response, wire = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", stream=False, deaf=True)
        self.successResultOf(response.read(10))
        closed = self.upstream.close()
        self.assertNoResult(closed)
        self.reactor.pump([LINGER, 0])
        self.successResultOf(closed)
        self.assertTrue(wire.aborted)

    def test_closeDuringGrace(self) -> None:
        """Closing does not wait for a message whose end nobody needs any more."""
        response, wire = self.answered(HEAD)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        wire.protocol.dataReceived(b"3\r\nEND\r\n")
        self.successResultOf(streaming)
        self.finish()
        self.assertTrue(wire.aborted)

    def test_cleanEndByClose(self) -> None:
        """Without a length the body ends with the connection: tidily, or not."""
        for reason, good in ((ConnectionDone(), True), (ConnectionLost(), False)):
            response, wire = self.answered(b"HTTP/1.1 200 OK\r\n\r\n", stream=False)
            read = response.read(10)
            wire.protocol.dataReceived(b"ok")
            wire.end(reason)
            if good:
                self.assertEqual(self.successResultOf(read), b"ok")
            else:
                self.failureResultOf(read, TruncatedStream)
            self.finish()
            self.setUp()

    def test_refusedAnswers(self) -> None:
        """The connection of an answer that relay refuses is dropped, and not kept even if the message was whole."""
        for rest in (b"", b"moved"):
            sent = self.send()
            protocol, wire = self.accept()
            protocol.dataReceived(b"HTTP/1.1 308 Moved\r\nContent-Length: 5\r\n\r\n" + rest)
            self.failureResultOf(sent, UpstreamProtocol)
            self.assertTrue(wire.aborted)
            again = self.send()
            self.assertEqual(len(self.reactor.tcpClients), 2)
            again.cancel()
            self.failureResultOf(again, CancelledError)
            self.reactor.advance(0)
            self.finish()
            self.setUp()

    def test_lostBeforeAnyByte(self) -> None:
        """A fresh connection that ends without an answer is not replaced."""
        sent = self.send()
        _, wire = self.accept()
        wire.end(ConnectionDone())
        self.failureResultOf(sent, UpstreamUnreachable)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.finish()


class UploadTests(MemoryCase):
    """Answers that do not wait for the whole request."""

    def test_answeredWhileSending(self) -> None:
        """A whole answer while the upload is stuck: it is passed on, and the connection dropped at once."""
        sent = self.send(body=b"x" * 1_000_000)
        protocol, wire = self.accept(room=100_000)
        protocol.dataReceived(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n")
        self.assertNoResult(sent)
        self.assertEqual(wire.producerState, "producing")
        protocol.dataReceived(b"no")
        response = self.successResultOf(sent)
        self.assertEqual((response.status, self.successResultOf(response.read(10))), (413, b"no"))
        self.assertTrue(wire.aborted)
        self.assertLess(len(wire.value()), 300_000)
        self.reactor.advance(0)
        self.finish()

    def test_beganWhileSending(self) -> None:
        """An answer that begins before the request ends and goes on after it is an ordinary answer."""
        sent = self.send(body=b"x" * 1_000_000)
        protocol, wire = self.accept(room=100_000)
        protocol.dataReceived(HEAD)
        self.assertNoResult(sent)
        wire.flow()
        response = self.successResultOf(sent)
        streaming = response.stream(MarkTranscoder(), MemorySink())
        protocol.dataReceived(b"3\r\nEND\r\n" + LAST)
        self.successResultOf(streaming)
        self.assertFalse(wire.aborted)
        self.finish()


class RepeatTests(MemoryCase):
    """The one repetition, over a fresh connection."""

    def test_notAfterABadHead(self) -> None:
        """A kept connection that brings nonsense has brought something: the request is not repeated."""
        response, wire = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.successResultOf(response.read(0))
        sent = self.send()
        wire.protocol.dataReceived(b"nonsense\r\n")
        self.reactor.advance(0)
        self.failureResultOf(sent, UpstreamProtocol)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.finish()

    def test_notOverAnotherKeptOne(self) -> None:
        """The second try does not meet another dead connection of the pool."""
        parallel = [(self.send(), self.accept()[1]) for _ in range(2)]
        for sent, wire in parallel:
            wire.protocol.dataReceived(b"HTTP/1.1 204 None\r\n\r\n")
            self.successResultOf(self.successResultOf(sent).read(0))
        sent = self.send()
        parallel[0][1].end(ConnectionDone())
        self.assertEqual(len(self.reactor.tcpClients), 3)
        self.accept()[0].dataReceived(b"HTTP/1.1 204 None\r\n\r\n")
        self.assertEqual(self.successResultOf(self.successResultOf(sent).read(0)), b"")
        self.finish()

    def test_cancelledMeanwhile(self) -> None:
        """Whoever stops waiting on a kept connection does not set off a second request."""
        response, _ = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.successResultOf(response.read(0))
        sent = self.send()
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.finish()

    def test_tooLateMeanwhile(self) -> None:
        """Nor does a deadline."""
        response, _ = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.successResultOf(response.read(0))
        sent = self.send(first_byte=1)
        self.reactor.advance(1)
        self.failureResultOf(sent, UpstreamTimeout)
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.finish()

    def test_totalSpansBoth(self) -> None:
        """The total deadline does not begin anew for the second connection."""
        response, wire = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.successResultOf(response.read(0))
        sent = self.send(stream=False, total=5)
        self.reactor.advance(4)
        wire.end(ConnectionDone())
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.accept()
        self.reactor.advance(1)
        self.assertEqual(self.failureResultOf(sent, UpstreamTimeout).value.deadline, "total")
        self.reactor.advance(0)
        self.finish()
