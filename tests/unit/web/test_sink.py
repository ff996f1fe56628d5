"""The sink: what reaches the client, at whose pace, and what happens when the client goes or stalls."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.config import ServerTimeouts
from relay.exchange import ClientRequest, Headers
from relay.interfaces import ISink
from tests.unit.values import make_snapshot
from tests.unit.web.client import Connection, WebCase, parse, raw

JSON: Headers = ((b"content-type", b"application/json"),)
EVENTS: Headers = ((b"content-type", b"text/event-stream; charset=utf-8"),)
PATIENCE = 20.0
BUFFER = 64 * 1024


@implementer(IPushProducer)
class Tap:
    """A producer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class SinkCase(WebCase):
    """A sink under the test's hand."""

    def setUp(self) -> None:
        """Send a request whose exchange stays open."""
        timeouts = ServerTimeouts(write=PATIENCE)
        self.server = self.make(make_snapshot(server_timeouts=timeouts))
        self.server.gateway.serve = self.keep
        self.left = 0
        self.open()

    def open(self, version: str = "1.1", fields: tuple[tuple[str, str], ...] = ()) -> None:
        """Begin another exchange on a new connection."""
        self.connection: Connection = self.server.connect()
        self.connection.send(raw("POST", "/v1/chat/completions", b"{}", fields, version=version))

    def keep(self, request: ClientRequest, sink: ISink) -> None:
        """Leave the answer to the test."""
        self.request, self.sink = request, sink
        sink.on_gone(self.leave)

    def leave(self) -> None:
        """The client went."""
        self.left += 1

    def fill(self) -> None:
        """The transport says that its buffer is full."""
        self.connection.producer.pauseProducing()

    def empty(self) -> None:
        """The transport says that its buffer is empty."""
        self.connection.producer.resumeProducing()


class AnswerTests(SinkCase):
    """Heads and bodies."""

    def test_interface(self) -> None:
        """It is what the gateway expects."""
        self.assertTrue(verifyObject(ISink, self.sink))

    def test_nothingBeforeTheStart(self) -> None:
        """Until the gateway knows the status, no byte goes out."""
        self.assertEqual(self.connection.data, b"")
        self.assertFalse(self.sink.started)

    def test_stream(self) -> None:
        """A stream's head tells proxies not to hold it back; each piece goes out at once."""
        self.sink.start(200, EVENTS)
        self.assertTrue(self.sink.started)
        self.sink.write(b"data: 1\n\n")
        reply = self.connection.reply()
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.fields["cache-control"], "no-cache")
        self.assertEqual(reply.fields["x-accel-buffering"], "no")
        self.assertEqual(reply.fields["transfer-encoding"], "chunked")
        self.assertNotIn("content-length", reply.fields)
        self.assertEqual(reply.body, b"data: 1\n\n")
        self.sink.write(b"data: 2\n\n")
        self.sink.end()
        self.assertEqual(self.connection.reply().body, b"data: 1\n\ndata: 2\n\n")
        self.assertTrue(self.connection.data.endswith(b"0\r\n\r\n"))
        self.assertFalse(self.connection.closing)

    def test_json(self) -> None:
        """A known length is kept, and nothing of streams is added."""
        self.sink.start(201, (*JSON, (b"content-length", b"2")))
        self.sink.write(b"{}")
        self.sink.end()
        reply = self.connection.reply()
        self.assertEqual((reply.status, reply.body, reply.rest), (201, b"{}", b""))
        self.assertNotIn("x-accel-buffering", reply.fields)
        self.assertNotIn("transfer-encoding", reply.fields)

    def test_requestId(self) -> None:
        """Both id fields are relay's own, whatever the provider called its."""
        self.sink.start(200, (*JSON, (b"x-request-id", b"theirs"), (b"server", b"theirs")))
        self.sink.end()
        fields = self.connection.reply().fields
        self.assertEqual(fields["x-request-id"], self.request.id)
        self.assertEqual(fields["request-id"], self.request.id)
        self.assertEqual(fields["server"], "relay")

    def test_http10(self) -> None:
        """A client of HTTP/1.0 gets its stream unframed, ended by the close."""
        self.open("1.0")
        self.sink.start(200, EVENTS)
        self.sink.write(b"data: 1\n\n")
        self.assertNotIn("transfer-encoding", self.connection.reply().fields)
        self.assertFalse(self.connection.closing)
        self.sink.end()
        self.assertEqual(self.connection.reply().body, b"data: 1\n\n")
        self.assertTrue(self.connection.closing)

    def test_keepAlive(self) -> None:
        """The next request on the connection is served when the answer has ended, not before."""
        self.connection.send(raw("GET", "/ready"))
        self.sink.start(200, EVENTS)
        self.sink.write(b"x")
        self.assertEqual(self.connection.reply().rest, b"")
        self.sink.end()
        self.assertEqual(parse(self.connection.reply().rest).json["status"], "ready")

    def test_afterTheEnd(self) -> None:
        """Writes, a second end and an abort after the end touch nothing: the connection may serve another request."""
        self.sink.start(200, JSON)
        self.sink.end()
        before = self.connection.data
        self.sink.write(b"x")
        self.sink.end()
        self.sink.abort()
        self.assertEqual(self.connection.data, before)
        self.assertFalse(self.connection.cut)

    def test_abort(self) -> None:
        """A break is a break: no last chunk."""
        self.sink.start(200, EVENTS)
        self.sink.write(b"data: 1\n\n")
        self.sink.abort()
        self.assertTrue(self.connection.cut)
        self.assertFalse(self.connection.data.endswith(b"0\r\n\r\n"))


class GoneTests(SinkCase):
    """The client leaves."""

    def test_told(self) -> None:
        """The gateway hears of it, once, in the same turn."""
        self.connection.lose()
        self.assertEqual(self.left, 1)
        self.assertTrue(self.sink.gone)

    def test_droppedAfterwards(self) -> None:
        """Nothing that is done to the sink then does anything."""
        self.sink.start(200, EVENTS)
        self.connection.lose()
        before = self.connection.data
        self.sink.write(b"x")
        self.sink.end()
        self.sink.abort()
        self.assertEqual(self.connection.data, before)
        self.assertFalse(self.connection.cut)

    def test_startAfterwards(self) -> None:
        """A head for nobody counts as started, so that no error is rendered for nobody either."""
        self.connection.lose()
        self.sink.start(200, JSON)
        self.assertTrue(self.sink.started)
        self.assertEqual(self.connection.data, b"")

    def test_lateCallback(self) -> None:
        """Who asks after the client has left is told at once."""
        self.connection.lose()
        self.sink.on_gone(self.leave)
        self.assertEqual(self.left, 2)

    def test_takenBack(self) -> None:
        """None takes the callback back."""
        self.sink.on_gone(None)
        self.connection.lose()
        self.assertEqual(self.left, 0)

    def test_notAfterTheEnd(self) -> None:
        """A client that leaves after the answer has not left the exchange."""
        self.sink.start(200, JSON)
        self.sink.end()
        self.connection.lose()
        self.assertEqual(self.left, 0)

    def test_producerIsStopped(self) -> None:
        """The upstream stops when the transport says so or the connection is lost, once."""
        self.sink.start(200, EVENTS)
        tap = Tap()
        self.sink.registerProducer(tap, True)
        self.connection.producer.stopProducing()
        self.connection.lose()
        self.assertEqual(tap.told, ["stop"])

    def test_lateProducer(self) -> None:
        """A producer for nobody is stopped at once."""
        self.connection.lose()
        tap = Tap()
        self.sink.registerProducer(tap, True)
        self.assertEqual(tap.told, ["stop"])

    def test_whileEnding(self) -> None:
        """A client that leaves before it has taken the last bytes leaves nothing behind."""
        self.sink.start(200, EVENTS)
        self.fill()
        self.sink.write(b"x")
        self.sink.end()
        self.connection.lose()
        self.assertEqual(self.server.reactor.getDelayedCalls(), [])


class PaceTests(SinkCase):
    """The client reads more slowly than the provider writes."""

    def setUp(self) -> None:
        """A stream with a producer."""
        super().setUp()
        self.sink.start(200, EVENTS)
        self.sink.write(b"|")
        self.tap = Tap()
        self.sink.registerProducer(self.tap, True)

    def body(self) -> bytes:
        """What the transport was given of the body since then."""
        return self.connection.reply().body.removeprefix(b"|")

    def test_pauseAndResume(self) -> None:
        """The producer is paused once, however often the transport says that it is full, and resumed once."""
        self.fill()
        self.fill()
        self.empty()
        self.assertEqual(self.tap.told, ["pause", "resume"])

    def test_nothingGoesToAFullTransport(self) -> None:
        """Writes wait, in order, until there is room."""
        self.fill()
        self.sink.write(b"a")
        self.sink.write(b"b")
        self.assertEqual(self.body(), b"")
        self.empty()
        self.assertEqual(self.body(), b"ab")

    def test_largeWrites(self) -> None:
        """A large write is handed over in pieces, and stops between two when the transport is full."""
        transport = self.connection.transport
        given: list[int] = []
        forward = transport.write

        def write(piece: bytes) -> None:
            given.append(len(piece))
            forward(piece)
            self.fill()

        self.patch(transport, "write", write)
        self.patch(transport, "writeSequence", lambda pieces: write(b"".join(pieces)))
        data = bytes(range(256)) * 1024
        self.sink.write(data)
        self.assertEqual(len(given), 1)
        self.assertLess(given[0], BUFFER + 100)
        for _ in range(3):
            self.empty()
        self.assertEqual(len(given), 4)
        self.assertEqual(self.body(), data)
        self.assertEqual(self.tap.told, ["pause"])
        self.empty()
        self.assertEqual(self.tap.told, ["pause", "resume"])

    def test_registeredWhileFull(self) -> None:
        """A producer that comes while the transport is full is paused at once."""
        self.sink.unregisterProducer()
        self.fill()
        tap = Tap()
        self.sink.registerProducer(tap, True)
        self.assertEqual(tap.told, ["pause"])

    def test_oneProducer(self) -> None:
        """A second producer is a mistake."""
        self.assertRaises(RuntimeError, self.sink.registerProducer, Tap(), True)

    def test_unregistered(self) -> None:
        """A producer that was taken back is not told anything any more."""
        self.sink.unregisterProducer()
        self.sink.unregisterProducer()
        self.fill()
        self.empty()
        self.assertEqual(self.tap.told, [])

    def test_endWaits(self) -> None:
        """The answer ends when the client has taken all of it."""
        self.sink.unregisterProducer()
        self.fill()
        self.sink.write(b"last")
        self.sink.end()
        self.assertEqual(self.body(), b"")
        self.empty()
        self.assertEqual(self.body(), b"last")
        self.assertTrue(self.connection.data.endswith(b"0\r\n\r\n"))

    def test_stalled(self) -> None:
        """A client that takes nothing for as long as is allowed is cut off, and the exchange hears of it."""
        self.fill()
        self.server.advance(PATIENCE - 1)
        self.assertFalse(self.connection.cut)
        self.server.advance(1)
        self.assertTrue(self.connection.cut)
        self.connection.lose()
        self.assertEqual(self.left, 1)

    def test_stalledAtTheEnd(self) -> None:
        """It is cut off also when only the end is left to be taken."""
        self.sink.unregisterProducer()
        self.fill()
        self.sink.write(b"last")
        self.sink.end()
        self.server.advance(PATIENCE)
        self.assertTrue(self.connection.cut)

    def test_slowButAlive(self) -> None:
        """A client that takes a piece now and then is never cut off."""
        for _ in range(10):
            self.fill()
            self.server.advance(PATIENCE - 1)
            self.empty()
        self.server.advance(PATIENCE * 2)
        self.assertFalse(self.connection.cut)

    def test_noTimerIsLeft(self) -> None:
        """After the answer the sink's deadline is gone."""
        self.fill()
        self.empty()
        self.sink.unregisterProducer()
        self.sink.end()
        self.connection.lose()
        self.assertEqual(self.server.reactor.getDelayedCalls(), [])
