"""The engine's channel: the tests of ``tests.unit.web.test_channel``, and what is its own."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport, ITCPTransport
from twisted.internet.testing import StringTransport
from zope.interface import alsoProvides

import relay
from relay.config import ServerConfig
from relay.exchange import ClientRequest
from relay.interfaces import ISink
from relay.outcome import Outcome
from relay.spool.disk import Disk
from relay.spool.writer import MEMORY, QUEUE
from relay.web.body import LINGER
from relay.web.engine.channel import SHORT_LINGER, EngineChannel
from relay.web.engine.states import CLOSING, IDLE, LOST, MOVES, State
from relay.web.engine.turns import AHEAD
from tests.unit.values import make_snapshot
from tests.unit.web import test_channel
from tests.unit.web.client import Connection, Reply, SiteUnderTest, parse, raw
from tests.unit.web.engine.client import OnEngine
from tests.unit.web.test_chat import FORM, form

JSON = (("Content-Type", "application/json"),)
CHUNKED = (("Transfer-Encoding", "chunked"), *JSON)


class DeadlineTests(OnEngine, test_channel.DeadlineTests):
    """Nobody holds a connection by being slow."""


class BoundTests(OnEngine, test_channel.BoundTests):
    """How many connections are served."""


class DrainTests(OnEngine, test_channel.DrainTests):
    """Relay shuts down."""


class HalvesTransport(StringTransport):
    """A transport that can close one way alone."""

    half_closed = 0

    def setTcpNoDelay(self, enabled: bool) -> None:
        assert enabled

    def loseWriteConnection(self) -> None:
        self.half_closed += 1


class EngineChannelCase(OnEngine, test_channel.ChannelCase):
    """A site on the engine and one connection to it."""

    def replies(self) -> list[Reply]:
        """All answers of the connection."""
        found, data = [], self.connection.data
        while data:
            found.append(parse(data))
            data = found[-1].rest
        return found

    def post(self, body: bytes = b"{}", fields: tuple[tuple[str, str], ...] = JSON, version: str = "1.1") -> bytes:
        """A request."""
        return raw("POST", "/v1/messages", body, fields, version=version)

    def chunked(self, *chunks: bytes) -> bytes:
        """A request whose body comes in chunks that are coded as they are."""
        return raw("POST", "/v1/messages", None, CHUNKED) + b"".join(chunks)


class FramingTests(EngineChannelCase, test_channel.FramingTests):
    """Heads that are refused, and bodies that are."""

    def test_statuses(self) -> None:
        """The parser's status is the answer's."""
        for data, status, code in (
            (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "invalid_request"),
            (raw("GET", "/ready", fields=(("Expect", "tea"),)), 417, "invalid_request"),
            (raw("GET", "/ready", host=None), 400, "invalid_request"),
            (b"GET /ready HTTP/1.1\nHost: x\n\n", 400, "invalid_request"),
            (raw("CONNECT", "/ready"), 400, "invalid_request"),
            (raw("GET", "/ready", fields=tuple(("A", "b") for _ in range(201))), 431, "head_too_large"),
        ):
            self.connection = self.server.connect()
            self.server.gateway.records.clear()
            self.connection.send(data)
            self.refused(status, code)
            self.connection.lose()

    def test_goneBad(self) -> None:
        """A head that comes slowly is refused as soon as it cannot become a good one."""
        self.connection.send(b"GET /ready HTTP/1.1\r\nHo")
        self.connection.send(b"st: localhost\nX")
        self.refused(400, "invalid_request")

    def test_slices(self) -> None:
        """However two requests are cut, they are the same, and nothing waits that need not."""
        data = self.post(b'{"a":1}') + self.chunked(b"3;x=y\r\nabc\r\n", b"1\r\nd\r\n", b"0\r\nt: u\r\n\r\n")
        for at in range(1, len(data)):
            self.connection = self.server.connect()
            self.connection.send(data[:at])
            self.connection.send(data[at:])
            self.assertEqual([reply.body for reply in self.replies()], [b'{"a":1}', b"abcd"], data[:at])
            self.connection.lose()

    def test_badChunks(self) -> None:
        """A broken coding is refused in the shape of the endpoint, once, and ends the connection."""
        for chunk in (
            b"x\r\n",
            b"1\r\nab",
            b"0x1\r\na\r\n",
            b"1 \r\na\r\n",
            b"1\na\n",
            b"-1\r\n",
            b"1\r\na\r\n0\r\nx\r\n\r\n",
        ):
            self.connection = self.server.connect()
            self.server.gateway.records.clear()
            self.connection.send(self.chunked(chunk) + raw("GET", "/ready"))
            (reply,) = self.replies()
            self.assertEqual((reply.status, reply.json["error"]["type"]), (400, "invalid_request_error"), chunk)
            self.assertEqual(reply.fields["connection"], "close")
            self.assertEqual([record.outcome for record in self.server.gateway.records], [Outcome.REJECTED])
            self.connection.lose()
        self.assertEqual(self.server.gateway.requests, [])

    def test_chunksTooLarge(self) -> None:
        """Chunks are counted while they come."""
        self.connection.send(self.chunked(b"3e8\r\n", b"x" * 1000, b"\r\n1\r\n"))
        self.assertEqual(self.connection.data, b"")
        self.connection.send(b"x")
        self.assertEqual(self.connection.reply().status, 413)

    def test_manySmallPieces(self) -> None:
        """A body in the smallest pieces is the same body."""
        body = bytes(range(32, 127)) * 10
        self.connection.send(self.post(body)[: -len(body)])
        for byte in body:
            self.connection.send(bytes((byte,)))
        self.assertEqual(self.connection.reply().body, body)


class OrderTests(EngineChannelCase):
    """Several requests on one connection."""

    def test_manyAtOnce(self) -> None:
        """Thousands in one read are answered in order, and do not go deeper and deeper."""
        count = 3000
        self.connection.send(b"".join(self.post(b"%d" % n) for n in range(count)))
        self.assertEqual([reply.body for reply in self.replies()], [b"%d" % n for n in range(count)])

    def test_manyBehindASlowOne(self) -> None:
        """The same when they had to wait."""
        self.server.gateway.serve = self.keep
        self.connection.send(self.post(b"first"))
        self.connection.send(b"".join(self.post(b"%d" % n) for n in range(100)))
        self.assertEqual(len(self.server.gateway.requests), 1)
        sink = self.sinks.pop()
        self.server.gateway.serve = type(self.server.gateway)(self.server.keys).serve
        sink.start(200, ((b"content-length", b"0"),))
        sink.end()
        self.assertEqual([reply.body for reply in self.replies()], [b"", *(b"%d" % n for n in range(100))])

    def test_ahead(self) -> None:
        """Of what comes ahead of its turn a bounded amount is kept; reading goes on when it was taken."""
        self.server.gateway.serve = self.keep
        self.connection.send(self.post())
        ahead = self.post(b"x" * 900)
        self.connection.send(ahead * (AHEAD // len(ahead)))
        self.assertEqual(self.connection.transport.producerState, "producing")
        self.connection.send(ahead)
        self.assertEqual(self.connection.transport.producerState, "paused")
        self.sinks[0].start(200, ())
        self.sinks[0].end()
        self.assertEqual(self.connection.transport.producerState, "producing")

    def test_leftWithMoreAhead(self) -> None:
        """A client that leaves while its next request waits has left the first, and the second never was."""
        self.server.gateway.serve = self.keep
        self.connection.send(self.post() + self.post())
        self.connection.lose()
        self.assertEqual((self.sinks[0].gone, len(self.server.gateway.requests)), (True, 1))

    def test_fullTransport(self) -> None:
        """A client that does not read its answers gets no further requests served."""
        producer = self.connection.producer
        forward = self.connection.transport.write

        def write(data: bytes) -> None:
            forward(data)
            producer.pauseProducing()

        self.patch(self.connection.transport, "write", write)
        self.connection.send(raw("GET", "/ready") * 3)
        self.assertEqual(len(self.replies()), 1)
        producer.resumeProducing()
        self.assertEqual(len(self.replies()), 2)
        producer.resumeProducing()
        producer.resumeProducing()
        self.assertEqual(len(self.replies()), 3)
        producer.pauseProducing()
        self.advance(test_channel.WRITE)
        self.assertTrue(self.connection.cut)

    def test_close(self) -> None:
        """Whoever says close, in whatever spelling, gets one answer that says it too."""
        for value in ("close", "Close", "keep-alive, CLOSE", "close,x", "x , close"):
            self.connection = self.server.connect()
            self.connection.send(raw("GET", "/ready", fields=(("Connection", value),)) + raw("GET", "/ready"))
            (reply,) = self.replies()
            self.assertEqual(reply.fields["connection"], "close", value)
            self.assertTrue(self.connection.closing)
            self.connection.lose()

    def test_closeWithMoreAhead(self) -> None:
        """A client that sent more than it may is given time to read the answer."""
        self.server.gateway.serve = self.keep
        self.connection.send(self.post(fields=(*JSON, ("Connection", "close"))))
        self.connection.send(self.post())
        self.sinks[0].start(200, ())
        self.sinks[0].end()
        self.assertFalse(self.connection.closing)
        self.advance(LINGER)
        self.assertTrue(self.connection.closing)
        self.assertEqual(len(self.sinks), 1)

    def test_oldClients(self) -> None:
        """HTTP/1.0 closes, unless the client asks to stay; then it is told that it may."""
        self.connection.send(raw("GET", "/ready", version="1.0"))
        self.assertEqual(self.connection.reply().fields["connection"], "close")
        self.assertTrue(self.connection.closing)
        self.connection = self.server.connect()
        self.connection.send(raw("GET", "/ready", version="1.0", fields=(("Connection", "Keep-Alive"),)) * 2)
        self.assertEqual([reply.fields["connection"] for reply in self.replies()], ["keep-alive"] * 2)
        self.assertFalse(self.connection.closing)


class RefusalTests(EngineChannelCase):
    """Requests that are not wanted."""

    def tcp(self, *kinds: type) -> None:
        """Connect over a transport that can close one way alone."""
        transport = HalvesTransport(self.server.local, IPv4Address("TCP", "192.0.2.7", 50000))
        for kind in kinds:
            alsoProvides(transport, kind)
        self.connection = Connection(self.server.site, self.server.local, transport)

    @property
    def half_closed(self) -> int:
        """How often the way to the client was closed."""
        transport = self.connection.transport
        return transport.half_closed if isinstance(transport, HalvesTransport) else 0

    def test_farewell(self) -> None:
        """Behind a refusal the way to the client is closed; what it still sends is dropped for a while."""
        self.tcp(ITCPTransport)
        self.connection.send(raw("POST", "/nope", None, (("Content-Length", "1000000"),)))
        self.assertEqual((self.connection.reply().status, self.half_closed), (404, 1))
        self.connection.send(b"x" * 100_000 + raw("GET", "/ready"))
        self.advance(LINGER - 0.1)
        self.assertFalse(self.connection.closing)
        self.advance(0.1)
        self.assertTrue(self.connection.closing)
        self.assertEqual(len(self.replies()), 1)

    def test_farewellOverTLS(self) -> None:
        """TLS has no half: it is closed when the client has had its time, or closes."""
        self.tcp(ISSLTransport)
        self.connection.send(b"hello\r\n\r\n")
        self.assertEqual((self.half_closed, self.connection.closing), (0, False))
        self.advance(LINGER)
        self.assertTrue(self.connection.closing)

    def test_shortFarewell(self) -> None:
        """Who was too slow already gets little more time."""
        for data in (b"GET", self.post()[:-1]):
            self.tcp(ITCPTransport)
            self.connection.send(data)
            self.advance(max(test_channel.HEAD, test_channel.BODY) if data[-1:] == b"{" else test_channel.HEAD)
            self.assertEqual((self.connection.reply().status, self.half_closed), (408, 1))
            self.advance(SHORT_LINGER)
            self.assertTrue(self.connection.closing)
            self.connection.lose()

    def test_clientClosesFirst(self) -> None:
        """A client that closes leaves no timer."""
        self.connection.send(b"hello\r\n\r\n")
        self.connection.lose()
        self.assertEqual(len(self.server.site.connections), 0)

    def test_wholeRequest(self) -> None:
        """A refused request whose body is here already leaves the connection to the next one."""
        self.connection.send(raw("POST", "/nope", b"{}") + raw("GET", "/ready"))
        self.assertEqual([reply.status for reply in self.replies()], [404, 200])
        self.assertFalse(self.connection.closing)

    def test_expectation(self) -> None:
        """A client is asked for its body only if it waits, speaks HTTP/1.1, and has sent none of it yet."""
        expecting = (*JSON, ("Expect", "100-continue"))
        whole = self.post(fields=expecting)
        self.connection.send(whole[:-2])
        self.assertEqual(self.connection.data, b"HTTP/1.1 100 Continue\r\n\r\n")
        for data in (whole[:-1], self.post(fields=expecting, version="1.0")[:-2]):
            self.connection = self.server.connect()
            self.connection.send(data)
            self.assertEqual(self.connection.data, b"")
            self.connection.lose()

    def test_lateFraming(self) -> None:
        """A client that leaves in the middle of a body was never a request."""
        self.connection.send(self.post()[:-1])
        self.connection.lose()
        self.assertEqual((self.server.gateway.requests, self.server.gateway.records), ([], []))


class UploadTests(EngineChannelCase):
    """Bodies that are spooled to disk."""

    def setUp(self) -> None:
        """Larger bodies, and an upload of which a large part is to come."""
        super().setUp()
        self.server.configuration.snapshot = make_snapshot()
        self.threads = self.server.reactor.threads
        body = form(("model", "m"), ("file", "x" * 6 * MEMORY))
        self.upload = raw("POST", "/v1/audio/transcriptions", body, (("Content-Type", FORM),))

    def send(self, upto: int, start: int = 0) -> None:
        """Send it from one offset up to another, as many bytes at once as a socket gives."""
        for at in range(start, upto, 65536):
            self.connection.send(self.upload[at : min(upto, at + 65536)])

    def reading(self) -> bool:
        """Whether the connection is read from."""
        return bool(self.connection.transport.producerState == "producing")

    def test_pace(self) -> None:
        """The client is read from only as fast as the disk writes."""
        self.send(MEMORY + QUEUE)
        self.assertTrue(self.reading())
        self.send(MEMORY + QUEUE + 4 * 65536, MEMORY + QUEUE)
        self.assertFalse(self.reading())
        self.threads.step()
        self.assertTrue(self.reading())

    def test_whole(self) -> None:
        """The request is served when all of it is stored; what is behind it comes after it."""
        self.upload += raw("GET", "/ready")
        self.send(len(self.upload))
        self.assertEqual(self.server.gateway.requests, [])
        self.threads.run()
        (request,) = self.server.gateway.requests
        self.assertEqual(request.fields["model"].value, "m")
        self.assertEqual([reply.status for reply in self.replies()], [200, 200])

    def test_left(self) -> None:
        """A client that leaves, in the middle or while the disk is waited for, leaves nothing."""
        for upto in (len(self.upload) // 2, len(self.upload)):
            self.connection = self.server.connect()
            self.send(upto)
            self.connection.lose()
            self.threads.run()
            self.assertEqual((self.server.gateway.requests, self.threads.open), ([], 0))

    def test_diskFull(self) -> None:
        """A disk that refuses is told in the middle of the upload, and the client is read from to the end."""
        self.patch(Disk, "create", self.refuse)
        self.send(5 * MEMORY)
        self.assertFalse(self.reading())
        self.threads.run()
        self.assertEqual((self.connection.reply().status, self.reading()), (503, True))
        self.assertEqual(self.connection.reply().fields["connection"], "close")
        self.send(MEMORY)
        self.assertEqual(len(self.replies()), 1)

    def test_diskFullAtTheEnd(self) -> None:
        """The same when all of it came; then nothing stands in the way of the next request."""
        self.patch(Disk, "create", self.refuse)
        self.upload = raw(
            "POST", "/v1/audio/transcriptions", form(("file", "x" * MEMORY)), (("Content-Type", FORM),)
        ) + raw("GET", "/ready")
        self.send(len(self.upload))
        self.threads.run()
        self.assertEqual([reply.status for reply in self.replies()], [503, 200])

    def refuse(self, disk: Disk) -> None:
        """A disk without a place."""
        raise OSError(28, "No space left on device")

    def test_cut(self) -> None:
        """A form that lacks its end is the client's mistake, and not the connection's."""
        whole = raw("POST", "/v1/audio/transcriptions", form(("model", "m"))[:-6], (("Content-Type", FORM),))
        self.connection.send(whole + raw("GET", "/ready"))
        self.assertEqual([reply.status for reply in self.replies()], [400, 200])

    def test_notAForm(self) -> None:
        """What turns out not to be a form is refused as soon as it shows."""
        self.connection.send(raw("POST", "/v1/audio/transcriptions", b"{}" * 100, (("Content-Type", FORM),))[:-50])
        self.assertEqual(self.connection.reply().status, 400)
        self.assertEqual(self.connection.reply().fields["connection"], "close")


class CostTests(EngineChannelCase):
    """What a request takes."""

    def test_oneWrite(self) -> None:
        """Head and body of an answer go out together, and so do head and first event of a stream."""
        written: list[bytes] = []
        self.patch(self.connection.transport, "write", written.append)
        self.connection.send(self.post())
        self.assertEqual(len(written), 1)
        self.server.gateway.serve = self.keep
        self.connection.send(self.post())
        self.sinks[0].start(200, ((b"content-type", b"text/event-stream"),))
        self.sinks[0].write(b"data: 1\n\n")
        self.assertEqual(len(written), 2)
        self.sinks[0].write(b"data: 2\n\n")
        self.assertEqual(written[2], b"9\r\ndata: 2\n\n\r\n")

    def test_oneTimer(self) -> None:
        """A connection has one deadline between requests, and none is armed for a request that came whole."""
        self.server.gateway.serve = self.keep
        self.connection.send(raw("GET", "/ready") * 5)
        wheel = self.server.options()["wheel"]
        self.assertEqual(len(self.server.reactor.getDelayedCalls()), 1)
        self.connection.send(self.post())
        self.advance(3600)
        self.assertEqual(len(self.server.reactor.getDelayedCalls()), 0, wheel)

    def test_sameBytes(self) -> None:
        """A body that came in one piece is handed on as it is, not copied."""
        self.server.configuration.snapshot = make_snapshot()
        body = b'{"a": "%s"}' % (b"x" * 10_000)
        self.connection.send(self.post(body)[: -len(body)])
        self.connection.send(body)
        self.assertIs(self.server.gateway.requests[0].body, body)

    def test_memory(self) -> None:
        """An idle connection, and an open stream, keep less than 2 KiB of the engine's."""
        self.server.configuration.snapshot = make_snapshot(server=ServerConfig(connections=1000))
        self.assertLess(self.kept(self.open_idle), 2048)
        self.assertLess(self.kept(self.open_stream), 2048)

    def open_idle(self, server: SiteUnderTest) -> Connection:
        """A connection that has been served."""
        connection = server.connect()
        connection.send(self.post())
        return connection

    def open_stream(self, server: SiteUnderTest) -> Connection:
        """A connection in the middle of a stream."""

        def stream(request: ClientRequest, sink: ISink) -> None:
            sink.start(200, ((b"content-type", b"text/event-stream"),))
            sink.write(b"data: 1\n\n")
            server.gateway.requests.clear()

        server.gateway.serve = stream
        connection = server.connect()
        connection.send(self.post(b"{}", (*JSON, *((f"X-Field-{n}", "value") for n in range(12)))))
        return connection

    def kept(self, connect: object) -> float:
        """Bytes that the engine's and the wheel's code keep for each connection."""
        count = 100
        assert callable(connect)
        warm = [connect(self.server) for _ in range(count)]
        package = Path(relay.__file__).parent
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        more = [connect(self.server) for _ in range(count)]
        gc.collect()
        ours = [tracemalloc.Filter(True, str(package / folder / "*")) for folder in ("web", "runtime", "wire")]
        snapshot = tracemalloc.take_snapshot().filter_traces(ours)
        tracemalloc.stop()
        size = sum(trace.size for trace in snapshot.traces)
        for connection in (*warm, *more):
            connection.lose()
        return size / count


class StateTests(EngineChannelCase):
    """The table of states."""

    def test_everyStateEnds(self) -> None:
        """Any connection can be lost, after which there is nothing; the way back to rest is through an answer."""
        for state in State:
            self.assertEqual(LOST in MOVES[state], state is not LOST)
        self.assertEqual([state.name for state in State if IDLE in MOVES[state]], ["ANSWER"])

    def test_forbiddenMoves(self) -> None:
        """A move that the table does not have is a mistake that shows."""
        channel = cast("EngineChannel", self.connection.channel)
        channel.close()
        self.assertRaises(RuntimeError, channel._move, IDLE)
        self.assertIs(channel._state, CLOSING)
        channel.close()
        self.connection.lose()
