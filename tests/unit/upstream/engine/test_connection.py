"""Tests of one connection: every state, every event, however the bytes are sliced."""

from __future__ import annotations

from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHandshakeListener, IProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.runtime.wheel import Wheel
from relay.upstream.engine.connection import LINGER, Connection
from relay.upstream.engine.states import State
from relay.upstream.engine.taker import Break
from tests.unit.upstream.engine.parts import CHUNKED, Owner, Recorder, Wire, answer, chunk, head, lose

REQUEST = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"

KEPT: dict[str, tuple[bytes, list[Any]]] = {
    "a length": (answer(b"hello"), [200, b"hello", "ended"]),
    "length 0": (answer(b""), [200, "ended"]),
    "no content": (head(204), [204, "ended"]),
    "chunks": (head(200, CHUNKED) + chunk(b"ab") + chunk(b"cd") + chunk(b""), [200, b"abcd", "ended"]),
    "no chunk": (head(200, CHUNKED) + chunk(b""), [200, "ended"]),
    "trailers": (head(200, CHUNKED) + chunk(b"ab") + b"0\r\nA: b\r\n\r\n", [200, b"ab", "ended"]),
    "interim answers": (head(100) + head(103, b"Link: x") + answer(b"ok"), [200, b"ok", "ended"]),
    "most interim answers": (head(103) * 10 + answer(b"ok"), [200, b"ok", "ended"]),
    "an error": (answer(b"no", 599), [599, b"no", "ended"]),
}
"""Name → answer, and what the taker is told; the connection may be used again."""

CLOSED: dict[str, tuple[bytes, list[Any]]] = {
    "close": (answer(b"ok", 200, b"Connection: close"), [200, b"ok", "ended"]),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", [200, b"ok", "ended"]),
    "close, chunks": (head(200, CHUNKED, b"Connection: Close") + chunk(b"ok") + chunk(b""), [200, b"ok", "ended"]),
}
"""Name → answer that is whole, but the last one on its connection."""

EXTRA: dict[str, tuple[bytes, list[Any]]] = {
    "a length": (answer(b"ok") + b"x", [200, b"ok", "ended"]),
    "chunks": (head(200, CHUNKED) + chunk(b"ok") + chunk(b"") + b"x", [200, b"ok", "ended"]),
    "no body": (answer(b"") + b"x", [200, "ended"]),
    "another answer": (answer(b"ok") + answer(b"evil"), [200, b"ok", "ended"]),
}
"""Name → answer with bytes behind it, which nobody asked for."""

BROKEN: dict[str, tuple[bytes, list[Any]]] = {
    "garbage": (b"\x16\x03\x01\r\n\r\n", []),
    "status 101": (head(101, b"Upgrade: x"), []),
    "status 600": (answer(b"", 600), []),
    "two lengths": (head(200, b"Content-Length: 1", b"Content-Length: 2"), []),
    "a length and chunks": (head(200, b"Content-Length: 1", CHUNKED), []),
    "eleven interim answers": (head(100) * 11, []),
    "too large a head": (b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 66_000, []),
    "bad chunk": (head(200, CHUNKED) + b"zz\r\n", [200]),
    "bad chunk later": (head(200, CHUNKED) + chunk(b"ab") + b"-1\r\n", [200]),
}
"""Name → what is no answer, and what the taker is told before it breaks, pieces of the body apart."""


@implementer(IBodyProducer)
class Uploader:
    """A body whose writing the test ends."""

    length = 4

    def __init__(self) -> None:
        self.written: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self.stopped = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(b"body")
        return self.written

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        self.stopped = True


class ConnectionCase(SynchronousTestCase):
    """One connection over a wire in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock, tick=0.25)
        self.open()

    def open(self) -> None:
        """A new connection, which stands."""
        self.owner = Owner()
        self.opened: list[object] = []
        self.connection = Connection(self.wheel, self.owner, self.opened.append, secure=False)
        self.wire = Wire()
        self.connection.makeConnection(self.wire)

    def ask(self, producer: IBodyProducer | None = None) -> Recorder:
        """Send a request."""
        taker = Recorder()
        taker.connection = self.connection
        self.connection.ask(taker, b"POST", REQUEST, producer)
        return taker

    def feed(self, data: bytes, size: int) -> None:
        """Receive bytes so many at a time, as long as anybody reads."""
        for at in range(0, len(data), size):
            if not self.wire.aborted:
                self.connection.dataReceived(data[at : at + size])


class AnswerTests(ConnectionCase):
    """What comes, and what becomes of the connection."""

    def test_interfaces(self) -> None:
        """It is a protocol that may stand on TLS."""
        self.assertTrue(verifyObject(IProtocol, self.connection))
        self.assertTrue(verifyObject(IHandshakeListener, self.connection))

    def test_kept(self) -> None:
        """Good answers are told piece by piece, and the connection serves the next request."""
        for label, (data, story) in KEPT.items():
            for size in (len(data), 1, 7):
                self.open()
                for turn in range(2):
                    taker = self.ask()
                    self.assertEqual((self.wire.taken(), self.connection.reused), (REQUEST, turn > 0))
                    self.feed(data, size)
                    self.assertEqual((taker.story, taker.events.count("announced")), (story, 1), label)
                    self.assertEqual(self.connection.state, State.IDLE, label)
                self.assertEqual((self.owner.events, self.wire.aborted), (["release"] * 2, False), label)

    def test_closed(self) -> None:
        """After an answer that is the last one, the connection is closed tidily."""
        for label, (data, story) in CLOSED.items():
            for size in (len(data), 1):
                self.open()
                taker = self.ask()
                self.feed(data, size)
                self.assertEqual((taker.story, self.owner.events), (story, ["gone"]), label)
                self.assertEqual((self.wire.disconnecting, self.wire.aborted), (True, False), label)
                lose(self.connection)
                self.assertEqual((self.owner.events, len(self.wheel)), (["gone", "lost"], 0), label)

    def test_extraBytes(self) -> None:
        """Bytes behind an answer, in the same read or later, end the connection."""
        for label, (data, story) in EXTRA.items():
            for size in (len(data), 1):
                self.open()
                taker = self.ask()
                self.feed(data, size)
                self.assertEqual((taker.story, self.wire.aborted), (story, True), label)
                self.assertEqual(self.owner.events[-1], "gone", label)

    def test_upToTheClose(self) -> None:
        """A body without a length is whole when the connection is closed tidily, and only then."""
        for reason, end in ((ConnectionDone(), "ended"), (ConnectionLost(), Break.CUT)):
            for size in (1000, 1):
                self.open()
                taker = self.ask()
                self.feed(head(200) + b"abc", size)
                self.assertEqual(self.connection.state, State.EOF)
                lose(self.connection, reason)
                self.assertEqual(taker.story, [200, b"abc", end])
                self.assertEqual(self.owner.events, ["gone", "lost"])

    def test_broken(self) -> None:
        """What is no answer ends the connection, however it is sliced."""
        for label, (data, story) in BROKEN.items():
            for size in (len(data), 1, 1000):
                self.open()
                taker = self.ask()
                self.feed(data, size)
                told = [event for event in taker.story if not isinstance(event, bytes)]
                self.assertEqual((told, self.wire.aborted), ([*story, Break.MALFORMED], True), label)
                self.assertEqual(self.owner.events, ["gone"], label)

    def test_cut(self) -> None:
        """A connection that ends within an answer, wherever, has cut it."""
        for label in ("a length", "chunks", "interim answers"):
            data, _ = KEPT[label]
            for end in range(1, len(data)):
                self.open()
                taker = self.ask()
                self.feed(data[:end], end)
                lose(self.connection)
                self.assertEqual(taker.story[-1], Break.CUT, (label, end))
                self.assertEqual(self.owner.events, ["gone", "lost"])

    def test_unanswered(self) -> None:
        """A connection that ends before one byte came has not answered."""
        for reason in (ConnectionDone(), ConnectionLost()):
            self.open()
            taker = self.ask()
            lose(self.connection, reason)
            self.assertEqual((taker.events, self.connection.state), ([Break.UNANSWERED], State.CLOSED))

    def test_refused(self) -> None:
        """A taker may give the connection up at the head; it is told nothing more."""
        taker = self.ask()
        taker.refuse = True
        self.feed(answer(b"body"), 1000)
        self.assertEqual((taker.events, self.wire.aborted), ([200], True))

    def test_droppedWithinThePiece(self) -> None:
        """A taker that gives up while it is handed a piece is told nothing more."""
        for data in (answer(b"ab"), head(200, CHUNKED) + chunk(b"ab") + chunk(b""), head(200) + b"ab"):
            self.open()
            taker = self.ask()
            taker.on_piece = lambda _: self.connection.drop()
            self.feed(data, 1000)
            self.assertEqual((taker.story, self.owner.events), ([200, b"ab"], ["gone"]))

    def test_unasked(self) -> None:
        """Bytes on an idle connection end it."""
        self.connection.dataReceived(b"x")
        self.assertEqual((self.wire.aborted, self.owner.events), (True, ["gone"]))
        self.connection.dataReceived(b"x")
        lose(self.connection)
        self.assertEqual(self.owner.events, ["gone", "lost"])

    def test_lostWhileIdle(self) -> None:
        """An idle connection that ends is forgotten."""
        lose(self.connection)
        self.assertEqual(self.owner.events, ["gone", "lost"])


class PaceTests(ConnectionCase):
    """Pausing, and uploads."""

    def test_pause(self) -> None:
        """Reading stops and goes on as the taker says."""
        self.ask()
        self.connection.pause()
        self.connection.pause()
        self.assertFalse(self.wire.reading)
        self.connection.resume()
        self.assertTrue(self.wire.reading)

    def test_releasedWhilePaused(self) -> None:
        """A connection that is paused by the last piece of an answer reads again when it is idle."""
        taker = self.ask()
        taker.on_piece = lambda _: self.connection.pause()
        self.feed(answer(b"ok"), 1000)
        self.assertEqual((self.wire.reading, self.owner.events), (True, ["release"]))

    def test_upload(self) -> None:
        """A body at the provider's pace follows the head; while it is written, the connection is sending."""
        producer = Uploader()
        self.ask(producer)
        self.assertEqual(self.wire.taken(), REQUEST + b"body")
        self.assertEqual((self.wire.producer, self.connection.sending), (producer, True))
        producer.written.callback(None)
        self.assertEqual((self.wire.producer, self.connection.sending), (None, False))
        self.feed(answer(b"ok"), 1000)
        self.assertEqual(self.owner.events, ["release"])

    def test_unsent(self) -> None:
        """A connection that ends during the upload has not been sent the request."""
        producer = Uploader()
        taker = self.ask(producer)
        lose(self.connection)
        self.assertEqual((taker.events, producer.stopped), ([Break.UNSENT], True))

    def test_uploadFails(self) -> None:
        """A body that cannot be read ends the exchange and the connection."""
        producer = Uploader()
        taker = self.ask(producer)
        producer.written.errback(EOFError("short"))
        self.assertEqual((taker.events, self.wire.aborted), ([Break.UPLOAD], True))

    def test_answeredDuringUpload(self) -> None:
        """A whole answer before the upload's end is told, and the upload given up with its connection."""
        producer = Uploader()
        taker = self.ask(producer)
        self.feed(answer(b"too large", 413), 1000)
        self.assertEqual((taker.story, producer.stopped), ([413, b"too large", "ended"], True))
        self.assertEqual((self.wire.aborted, self.owner.events), (True, ["gone"]))


class EndTests(ConnectionCase):
    """Draining, closing, dropping."""

    def test_drain(self) -> None:
        """If the message ends in time, the connection is kept, and nobody is told."""
        taker = self.ask()
        self.feed(head(200, CHUNKED) + chunk(b"ab"), 1000)
        self.connection.drain(1.0)
        self.feed(chunk(b"cd") + chunk(b""), 1000)
        self.assertEqual((taker.story, self.owner.events), ([200, b"ab"], ["release"]))
        self.assertEqual(self.connection.watch.due, inf)

    def test_drainTooLong(self) -> None:
        """If it does not, the connection is dropped."""
        self.ask()
        self.feed(head(200, CHUNKED) + chunk(b"ab"), 1000)
        self.connection.drain(1.0)
        self.feed(chunk(b"cd"), 1000)
        self.clock.advance(1.5)
        self.assertEqual((self.wire.aborted, self.owner.events), (True, ["gone"]))

    def test_drainResumes(self) -> None:
        """A connection that was paused reads again, or the end could not be seen."""
        self.ask()
        self.feed(head(200, CHUNKED) + chunk(b"ab"), 1000)
        self.connection.pause()
        self.connection.drain(1.0)
        self.assertTrue(self.wire.reading)
        lose(self.connection)
        self.assertEqual(len(self.wheel), 0)

    def test_drainWithTheLastPiece(self) -> None:
        """Where the end has been read already, no deadline is needed."""
        taker = self.ask()
        armed: list[int] = []

        def drain(_: bytes) -> None:
            self.connection.drain(1.0)
            armed.append(len(self.wheel))

        taker.on_piece = drain
        self.feed(head(200, CHUNKED) + chunk(b"ab") + chunk(b""), 1000)
        self.assertEqual((self.owner.events, armed, taker.story), (["release"], [0], [200, b"ab"]))

    def test_closeLingers(self) -> None:
        """A peer that does not answer a tidy close is dropped."""
        self.connection.close()
        self.assertEqual((self.wire.disconnecting, self.wire.aborted), (True, False))
        self.clock.advance(LINGER + 0.5)
        self.assertTrue(self.wire.aborted)

    def test_drop(self) -> None:
        """Dropping tells nobody but the home, any number of times, in any state."""
        for prepare in (lambda: None, self.ask, lambda: self.feed(head(200), 1000)):
            self.open()
            taker = self.ask()
            prepare()
            events = list(taker.events)
            for _ in range(2):
                self.connection.drop()
            self.assertTrue(self.wire.aborted)
            lose(self.connection)
            self.connection.drop()
            self.assertEqual((taker.events, self.owner.events), (events, ["gone", "lost"]))

    def test_cut(self) -> None:
        """Cutting tells the taker once the socket is closed."""
        taker = self.ask()
        self.feed(head(200) + b"ab", 1000)
        self.connection.cut()
        self.assertEqual(taker.story, [200, b"ab"])
        lose(self.connection)
        self.assertEqual(taker.story, [200, b"ab", Break.CUT])


class OpeningTests(ConnectionCase):
    """Before there is anything to carry."""

    def secure(self) -> None:
        """A connection with TLS under it."""
        self.opened = []
        self.owner = Owner()
        self.connection = Connection(self.wheel, self.owner, self.opened.append, secure=True)
        self.wire = Wire()
        self.connection.makeConnection(self.wire)

    def test_plain(self) -> None:
        """Without TLS it stands with TCP, and sends small writes at once."""
        self.assertEqual((self.opened, self.connection.state), ([self.connection], State.IDLE))
        self.assertTrue(self.wire.nodelay)

    def test_secure(self) -> None:
        """With TLS it stands when the handshake is over, and is told so once."""
        self.secure()
        self.assertEqual((self.opened, self.connection.state), ([], State.OPENING))
        self.connection.handshakeCompleted()
        self.connection.handshakeCompleted()
        self.assertEqual((self.opened, self.connection.state), ([self.connection], State.IDLE))

    def test_refusedCertificate(self) -> None:
        """A handshake after which TLS is already closing is none: nothing is sent."""
        self.secure()
        self.wire.disconnecting = True
        self.connection.handshakeCompleted()
        self.assertEqual(self.opened, [])
        lose(self.connection, ConnectionLost())
        self.assertEqual([type(each) for each in self.opened], [ConnectionLost])
        self.assertEqual((self.owner.events, self.wire.value()), (["lost"], b""))

    def test_droppedWhileOpening(self) -> None:
        """A connection that nobody wants any more tells nobody."""
        self.secure()
        self.connection.drop()
        lose(self.connection)
        self.assertEqual((self.opened, self.owner.events, self.wire.aborted), ([], ["lost"], True))
