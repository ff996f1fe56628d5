"""Tests of what is held until a turn of the loop ends."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relay.runtime.outbox import LARGEST, MOST, outbox_of
from relay.runtime.transport import EagerServer
from tests.unit.runtime.test_transport import Above, FakeSocket, Tap, Watching


class OutboxTests(SynchronousTestCase):
    """Eager transports of one reactor, within a turn with several events and outside."""

    def setUp(self) -> None:
        self.reactor = Watching()
        self.outbox = outbox_of(self.reactor)
        self.socket, self.transport = self.make()

    def make(self) -> tuple[FakeSocket, Any]:
        """One more transport."""
        socket, above = FakeSocket(), Above()
        transport: Any = EagerServer(socket, above, ("10.0.0.1", 4000), None, 1, self.reactor)  # type: ignore[arg-type]  # a double
        above.makeConnection(transport)
        return socket, transport

    def finish(self) -> None:
        """Let the reactor write as long as the transport wants to."""
        for _ in range(10):
            if self.transport not in self.reactor.writers:
                return
            why = self.transport.doWrite()
            if why is not None:
                self.transport.connectionLost(Failure(why))
        self.fail("It never stops to write.")

    def test_shared(self) -> None:
        """Everything of a reactor shares one outbox; another reactor has its own."""
        self.assertIs(outbox_of(self.reactor), self.outbox)
        self.assertIsNot(outbox_of(Clock()), self.outbox)

    def test_closedHoldsNothing(self) -> None:
        """Outside of such a turn a write is sent at once."""
        self.transport.write(b"now")
        self.assertEqual(self.socket.sent, b"now")

    def test_holdsUntilTheEnd(self) -> None:
        """Small writes go out as one when the turn ends, and nobody waits for the socket."""
        self.outbox.is_open = True
        self.transport.write(b"one")
        self.transport.write(b"two")
        self.assertEqual(self.socket.sends, 0)
        self.outbox.end()
        self.assertEqual((self.socket.sent, self.socket.sends, self.reactor.writers), (b"onetwo", 1, set()))
        self.transport.write(b"three")
        self.assertEqual(self.socket.sent, b"onetwothree")

    def test_delayIsBounded(self) -> None:
        """When enough writers wait, all are served; those who come later wait again."""
        self.outbox.is_open = True
        made = [self.make() for _ in range(MOST + 1)]
        for _, transport in made:
            transport.write(b"x")
        self.assertEqual([socket.sent for socket, _ in made], [b"x"] * MOST + [b""])
        self.outbox.end()
        self.assertEqual(made[-1][0].sent, b"x")

    def test_largeIsNotHeld(self) -> None:
        """A large write goes at once, what was held before it."""
        large = b"y" * (LARGEST + 1)
        self.outbox.is_open = True
        self.transport.write(large)
        self.assertEqual(self.socket.sent, large)
        self.transport.write(b"small")
        self.transport.write(large)
        self.assertEqual(self.socket.sent, large + b"small")
        self.outbox.end()
        self.finish()
        self.assertEqual(self.socket.sent, large + b"small" + large)

    def test_fullSocket(self) -> None:
        """What the socket does not take waits for it, in order."""
        self.outbox.is_open = True
        self.socket.room = 2
        self.transport.write(b"abcd")
        self.outbox.end()
        self.assertEqual(self.socket.sent, b"ab")
        self.outbox.is_open = True
        self.transport.write(b"ef")
        self.outbox.end()
        self.socket.room = 100
        self.finish()
        self.assertEqual(self.socket.sent, b"abcdef")

    def test_brokenSocket(self) -> None:
        """A socket that broke meanwhile ends the connection as it does otherwise."""
        self.outbox.is_open = True
        self.transport.write(b"abcd")
        self.socket.error = OSError(errno.EPIPE, "broken")
        self.outbox.end()
        self.finish()
        self.assertFalse(self.transport.connected)

    def test_closes(self) -> None:
        """A connection that is closed in the same turn sends what was held before it goes."""
        for close in ("loseConnection", "loseWriteConnection", "abortConnection"):
            self.socket, self.transport = self.make()
            self.outbox.is_open = True
            self.transport.write(b"last")
            getattr(self.transport, close)()
            self.transport.write(b"")
            self.outbox.end()
            self.finish()
            self.assertEqual(self.socket.sent, b"last", close)

    def test_lost(self) -> None:
        """Nothing is sent to one who has gone within the turn."""
        self.outbox.is_open = True
        self.transport.write(b"abcd")
        self.transport.connectionLost(Failure(ConnectionError()))
        self.outbox.end()
        self.assertEqual(self.socket.sends, 0)

    def test_writableInTheSameTurn(self) -> None:
        """If the socket's turn to write comes first, each byte is sent once."""
        self.outbox.is_open = True
        self.transport.write(b"one")
        self.transport.doWrite()
        self.transport.write(b"two")
        self.outbox.end()
        self.assertEqual(self.socket.sent, b"onetwo")

    def test_pullProducer(self) -> None:
        """A producer that is asked for each piece is asked again, though its first one met what was held."""
        self.outbox.is_open = True
        self.transport.write(b"head ")
        producer = Tap(self.transport, [b"1", b"2"])
        self.transport.registerProducer(producer, False)
        self.outbox.end()
        for _ in range(3):
            self.transport.doWrite()
        self.assertEqual(self.socket.sent, b"head 12")
