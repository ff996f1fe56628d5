"""Tests of the eager transports, on a socket whose every answer is written down beforehand."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet._newtls import ConnectionMixin
from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTCP, IReactorUNIX
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relay.runtime import transport
from relay.runtime.transport import EagerReactor, EagerServer, eager, is_supported


class FakeSocket:
    """A connected socket.

    Attributes:
        room: bytes that the kernel takes before it is full.
        sent: what it has taken.
        incoming: what ``recv`` gives, piece by piece; nothing more is "try again".
        error: raised by ``send`` and ``recv`` instead, when set.
        sends: how often ``send`` was called.
        options: set with ``setsockopt``.
    """

    def __init__(self) -> None:
        self.room = 1 << 30
        self.sent = b""
        self.incoming: list[bytes] = []
        self.error: OSError | None = None
        self.sends = 0
        self.options: list[tuple[int, int, int]] = []
        self.calls: list[str] = []
        self.closed = False

    def send(self, data: bytes | memoryview) -> int:
        self.sends += 1
        if self.error is not None:
            raise self.error
        if not self.room and len(data):
            raise BlockingIOError(errno.EAGAIN, "full")
        taken = bytes(data)[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def recv(self, size: int) -> bytes:
        if self.error is not None:
            raise self.error
        if not self.incoming:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        return self.incoming.pop(0)

    def fileno(self) -> int:
        return -1 if self.closed else 77

    def setblocking(self, blocking: bool) -> None:
        self.calls.append(f"blocking {blocking}")

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append((level, option, value))

    def shutdown(self, how: int) -> None:
        self.calls.append(f"shutdown {how}")

    def close(self) -> None:
        self.closed = True


class Watching(Clock):
    """A reactor that only notes who wants to read and to write."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[object] = set()
        self.writers: set[object] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard


class Above(Protocol):
    """A protocol that keeps everything."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost: Failure | None = None
        self.answer = b""

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)
        if self.answer and self.transport is not None:
            self.transport.write(self.answer)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  # as Twisted's
        self.lost = reason
        if self.transport is not None:
            self.transport.write(b"last words")


class Tap:
    """A producer that notes what it is told."""

    def __init__(self, consumer: Any = None, pieces: list[bytes] | None = None) -> None:
        self.told: list[str] = []
        self.consumer = consumer
        self.pieces = pieces or []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")
        if self.pieces:
            self.consumer.write(self.pieces.pop(0))

    def stopProducing(self) -> None:
        self.told.append("stop")


class EagerTests(SynchronousTestCase):
    """One accepted connection."""

    def setUp(self) -> None:
        self.reactor = Watching()
        self.socket = FakeSocket()
        self.above = Above()
        self.transport: Any = EagerServer(self.socket, self.above, ("10.0.0.1", 4000), None, 1, self.reactor)  # type: ignore[arg-type]  # a double
        self.above.makeConnection(self.transport)

    @property
    def waits(self) -> bool:
        """Whether it waits for the socket to take more."""
        return self.transport in self.reactor.writers

    def turn(self, room: int = 1 << 30) -> object:
        """The socket takes more: what the reactor does then."""
        self.socket.room = room
        why = self.transport.doWrite()
        if why is not None:
            self.transport.connectionLost(Failure(why))
        return why

    def test_sendsAtOnce(self) -> None:
        """What the socket takes is gone when ``write`` returns, and nobody waits."""
        self.transport.write(b"one")
        self.transport.writeSequence([b"two", b"three"])
        self.assertEqual((self.socket.sent, self.socket.sends, self.waits), (b"onetwothree", 2, False))

    def test_noDelay(self) -> None:
        """No packet waits for the acknowledgement of another."""
        self.assertIn((socket.IPPROTO_TCP, socket.TCP_NODELAY, True), self.socket.options)

    def test_nothing(self) -> None:
        """Writing nothing asks nothing of the socket."""
        self.transport.write(b"")
        self.transport.writeSequence([])
        self.assertEqual((self.socket.sends, self.waits), (0, False))

    def test_partly(self) -> None:
        """What the socket does not take is queued behind, in order, with everything after it."""
        self.socket.room = 4
        self.transport.write(b"0123456789")
        self.assertTrue(self.waits)
        self.transport.write(b"abc")
        self.transport.write(b"def")
        self.assertEqual((self.socket.sent, self.socket.sends), (b"0123", 1))
        self.turn(room=3)
        self.turn()
        self.turn()
        self.assertEqual((self.socket.sent, self.waits), (b"0123456789abcdef", False))
        self.transport.write(b"eager again")
        self.assertEqual((self.socket.sent[16:], self.waits), (b"eager again", False))

    def test_full(self) -> None:
        """A full socket takes the data later."""
        self.socket.room = 0
        self.transport.write(b"0123")
        self.assertTrue(self.waits)
        self.turn()
        self.assertEqual((self.socket.sent, self.waits), (b"0123", False))

    def test_hugeWrite(self) -> None:
        """What is left of a huge write is kept without another copy of it, and sent in bounded pieces."""
        data = bytes(range(256)) * 40_000
        self.socket.room = 1000
        self.transport.write(data)
        self.assertIs(self.transport.dataBuffer, data)
        while self.waits:
            before = len(self.socket.sent)
            self.turn()
            self.assertLessEqual(len(self.socket.sent) - before, FileDescriptor.SEND_LIMIT)
        self.assertEqual(self.socket.sent, data)

    def test_onlyBytes(self) -> None:
        """Anything but bytes is refused as by Twisted, and nothing of it is sent."""
        for wrong in (bytearray(b"x"), memoryview(b"x"), "x", 1):
            self.assertRaises(TypeError, self.transport.write, wrong)
        self.assertEqual(self.socket.sends, 0)

    def test_brokenSocket(self) -> None:
        """A write that fails says nothing; the connection is lost on the next turn, not inside the call."""
        self.socket.error = OSError(errno.EPIPE, "broken")
        self.transport.write(b"x")
        self.assertIsNone(self.above.lost)
        self.assertTrue(self.waits)
        self.assertIsInstance(self.turn(), ConnectionLost)
        self.assertTrue(self.above.lost is not None and self.above.lost.check(ConnectionLost))

    def test_writesWhileReading(self) -> None:
        """An answer written from ``dataReceived`` leaves at once."""
        self.above.answer = b"pong"
        self.socket.incoming = [b"ping"]
        self.assertIsNone(self.transport.doRead())
        self.assertEqual((self.above.received, self.socket.sent), ([b"ping"], b"pong"))

    def test_reads(self) -> None:
        """Reading tells data, that there is none yet, the end, and that it is broken."""
        self.socket.incoming = [b"x", b""]
        self.assertIsNone(self.transport.doRead())
        self.assertIsInstance(self.transport.doRead(), ConnectionDone)
        self.assertIsNone(self.transport.doRead())
        self.socket.error = OSError(errno.ECONNRESET, "reset")
        self.assertIsInstance(self.transport.doRead(), ConnectionLost)
        self.assertEqual(self.above.received, [b"x"])

    def test_closesAfterEagerWrite(self) -> None:
        """``loseConnection`` after everything was sent closes on the next turn."""
        self.transport.write(b"bye")
        self.transport.loseConnection()
        self.assertIsNone(self.above.lost)
        self.turn()
        self.assertTrue(self.above.lost is not None and self.above.lost.check(ConnectionDone))
        self.assertEqual(self.socket.sent, b"bye")
        self.assertTrue(self.socket.closed)

    def test_closesAfterPartialWrite(self) -> None:
        """``loseConnection`` after a write that was half sent sends the rest first, and what is written after."""
        self.socket.room = 2
        self.transport.write(b"0123")
        self.transport.loseConnection()
        self.transport.write(b"45")
        self.assertIsNone(self.turn(room=1))
        self.assertEqual(self.socket.sent, b"012")
        self.turn()
        self.assertEqual(self.socket.sent, b"012345")
        self.assertTrue(self.above.lost is not None and self.above.lost.check(ConnectionDone))

    def test_writesWhileClosing(self) -> None:
        """What is written between ``loseConnection`` and the close is queued as by Twisted, not sent past it."""
        self.transport.loseConnection()
        self.transport.write(b"late")
        self.assertEqual(self.socket.sends, 0)
        self.turn()
        self.assertEqual(self.socket.sent, b"late")

    def test_abort(self) -> None:
        """Nothing is sent after ``abortConnection``, neither what was queued nor what is written then."""
        for room in (1 << 30, 2):
            self.setUp()
            self.socket.room = room
            self.transport.write(b"0123")
            sent = self.socket.sent
            self.transport.abortConnection()
            self.socket.room = 1 << 30
            self.transport.write(b"late")
            self.transport.writeSequence([b"later"])
            self.assertFalse(self.waits)
            self.reactor.advance(0)
            self.assertEqual(self.socket.sent, sent)
            self.assertTrue(self.above.lost is not None and self.above.lost.check(ConnectionAborted))

    def test_writesAfterTheEnd(self) -> None:
        """Writing to a lost connection is silently nothing, also from ``connectionLost``."""
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.transport.write(b"late")
        self.assertEqual((self.socket.sends, self.waits), (0, False))

    def test_halfClose(self) -> None:
        """``loseWriteConnection`` sends what was written before, then nothing any more."""
        self.socket.room = 2
        self.transport.write(b"0123")
        self.transport.loseWriteConnection()
        self.turn()
        self.assertEqual((self.socket.sent, self.socket.calls[-1]), (b"0123", "shutdown 1"))
        self.transport.write(b"late")
        self.assertEqual((self.socket.sent, self.socket.sends, self.waits), (b"0123", 2, False))

    def test_pushProducer(self) -> None:
        """A push producer is paused when more than the limit is queued, and resumed when all has gone."""
        producer = Tap()
        self.transport.registerProducer(producer, True)
        self.transport.write(b"x" * 300_000)
        self.assertEqual(producer.told, [])
        self.socket.room = 0
        self.transport.write(b"x" * self.transport.bufferSize)
        self.assertEqual(producer.told, [])
        self.transport.write(b"x")
        self.assertEqual(producer.told, ["pause"])
        while self.waits:
            self.turn(room=50_000)
        self.assertEqual(producer.told, ["pause", "resume"])

    def test_pushProducerOfOneLargePiece(self) -> None:
        """A large piece of which something is left pauses the producer at once."""
        producer = Tap()
        self.transport.registerProducer(producer, True)
        self.socket.room = 10
        self.transport.write(b"x" * 100_000)
        self.assertEqual(producer.told, ["pause"])

    def test_pullProducer(self) -> None:
        """A pull producer is asked for the next piece when the last has gone, turn by turn."""
        producer = Tap(self.transport, [b"one", b"two", b"three"])
        self.transport.registerProducer(producer, False)
        self.assertEqual((producer.told, self.socket.sent), (["resume"], b""))
        while self.waits:
            self.turn()
        self.assertEqual((producer.told, self.socket.sent), (["resume"] * 4, b"onetwothree"))

    def test_writesBehindAPullProducer(self) -> None:
        """What is written when a pull producer is done comes behind its last piece."""
        self.transport.registerProducer(Tap(self.transport, [b"one "]), False)
        self.transport.unregisterProducer()
        self.transport.write(b"two")
        self.turn()
        self.assertEqual(self.socket.sent, b"one two")

    def test_producerIsStopped(self) -> None:
        """A producer hears of the end, and what it writes then is nothing."""
        producer = Tap()
        self.transport.registerProducer(producer, True)
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(producer.told, ["stop"])

    def test_closesWithProducer(self) -> None:
        """With a producer registered, ``loseConnection`` waits for it to unregister; its writes are sent."""
        producer = Tap(self.transport, [b"one", b"two"])
        self.transport.registerProducer(producer, False)
        self.transport.loseConnection()
        for _ in range(3):
            self.turn()
        self.assertEqual((self.socket.sent, self.above.lost), (b"onetwo", None))
        self.transport.unregisterProducer()
        self.turn()
        self.assertIsNotNone(self.above.lost)

    def test_neverPlainUnderTLS(self) -> None:
        """Once TLS was started on it, what is written goes to TLS; the socket sees no plain text."""

        class Encrypting(Protocol):
            def write(self, data: bytes) -> None:
                encrypted.append(data)

        encrypted: list[bytes] = []
        self.transport.protocol = Encrypting()
        self.transport.TLS = True
        self.transport.write(b"secret")
        self.transport.writeSequence([b"more ", b"secret"])
        self.assertEqual((encrypted, self.socket.sends), ([b"secret", b"more secret"], 0))


class SupportTests(SynchronousTestCase):
    """Where eager transports can be had."""

    def test_otherReactor(self) -> None:
        """A reactor that does not watch descriptors is handed back."""
        reactor = MemoryReactorClock()
        self.assertFalse(is_supported(reactor))
        self.assertIs(eager(reactor), reactor)

    def test_changedInside(self) -> None:
        """Where one of the attributes that are not public is gone, Twisted's own transports stay."""
        reactor = EPollReactor.__new__(EPollReactor)
        self.assertTrue(is_supported(reactor))
        for owner, name in (
            (FileDescriptor, "dataBuffer"),
            (FileDescriptor, "offset"),
            (FileDescriptor, "_writeDisconnected"),
            (FileDescriptor, "_maybePauseProducer"),
            (tcp._AbortingMixin, "_aborting"),
            (ConnectionMixin, "TLS"),
            (tcp.Port, "_fromListeningDescriptor"),
            (tcp.Connector, "_makeTransport"),
        ):
            kept = vars(owner)[name]
            delattr(owner, name)
            try:
                self.assertIs(eager(reactor), reactor, name)
            finally:
                setattr(owner, name, kept)
        self.assertIsInstance(eager(reactor), EagerReactor)


class EagerReactorTests(SynchronousTestCase):
    """What is its own, and what is the real reactor's."""

    def setUp(self) -> None:
        self.real: Any = MemoryReactorClock()
        self.eager: Any = EagerReactor(self.real)

    def test_isTheOther(self) -> None:
        """It provides what the real one provides, and hands on what it does not do itself."""
        self.assertTrue(IReactorTCP.providedBy(self.eager))
        self.assertTrue(IReactorUNIX.providedBy(self.eager))
        self.eager.listenUNIX("/nowhere", Factory())
        self.assertEqual(self.real.unixServers[0][0], "/nowhere")
        self.real.advance(5)
        self.assertEqual(self.eager.seconds(), 5)
        self.assertRaises(AttributeError, getattr, self.eager, "noSuchThing")

    def test_adoptsUnixSockets(self) -> None:
        """A socket that is not TCP is adopted by the real reactor."""
        adopted: list[tuple[int, int]] = []
        self.real.adoptStreamPort = lambda fd, family, factory: adopted.append((fd, family))
        self.eager.adoptStreamPort(9, socket.AF_UNIX, Factory())
        self.assertEqual(adopted, [(9, socket.AF_UNIX)])

    def test_transports(self) -> None:
        """Its ports and connectors make eager transports."""
        self.assertIs(transport.EagerPort.transport, EagerServer)
        connector = transport.EagerConnector("127.0.0.1", 1, ClientFactory(), 1, None, self.real)
        made: list[tuple[Any, ...]] = []
        self.patch(transport, "EagerClient", lambda *args: made.append(args))
        connector._makeTransport()
        self.assertEqual(made, [("127.0.0.1", 1, None, connector, self.real)])
