"""Tests of the connections to one origin."""

from __future__ import annotations

from twisted.internet.error import ConnectionRefusedError  # noqa: A004  # Twisted's name
from twisted.trial.unittest import SynchronousTestCase

from relay.errors import Overloaded
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.pool import Pool
from relay.upstream.engine.states import State
from relay.upstream.engine.taker import Break
from tests.unit.upstream.engine.parts import ORIGIN, Lines, Recorder, answer, lose


class Client:
    """Who needs a connection.

    Attributes:
        got: what it was told.
    """

    def __init__(self) -> None:
        self.got: list[Connection | Exception] = []

    def found(self, connection: Connection) -> None:
        self.got.append(connection)
        connection.ask(Recorder(), b"GET", b"")

    def unreachable(self, error: Exception) -> None:
        self.got.append(error)


class OriginCase(SynchronousTestCase):
    """A pool over connections in memory: at most 2, and 2 may wait."""

    manual = False

    def setUp(self) -> None:
        self.lines = Lines(self.manual)
        self.pool: Pool = self.lines.pool(most=2, queue=2, idle_seconds=10.0)
        self.origin = self.pool.at(ORIGIN)

    def seek(self, *, fresh: bool = False) -> Client:
        """Find a connection for a client, as users do."""
        client = Client()
        connection = None if fresh else self.origin.take()
        if connection is None:
            self.origin.seek(client, fresh=fresh)
        else:
            client.found(connection)
        return client

    def end(self, connection: Connection) -> None:
        """The exchange on the connection ends well."""
        connection.dataReceived(answer(b"ok"))


class ReuseTests(OriginCase):
    """Idle connections."""

    def test_freshestFirst(self) -> None:
        """The one used last is taken first."""
        self.seek()
        self.seek()
        first, second = self.lines.made
        self.end(second)
        self.end(first)
        self.assertEqual([self.origin.take(), self.origin.take(), self.origin.take()], [first, second, None])

    def test_expiry(self) -> None:
        """Each is closed when it has been idle for its time, whatever the others do."""
        self.seek()
        self.seek()
        first, second = self.lines.made
        self.end(first)
        self.lines.clock.advance(6)
        self.end(second)
        self.lines.clock.advance(4.5)
        self.assertEqual((first.state, second.state), (State.CLOSED, State.IDLE))
        self.assertTrue(first.transport.disconnecting)
        self.lines.clock.advance(6)
        self.assertEqual(second.state, State.CLOSED)

    def test_useRestartsTheTime(self) -> None:
        """A connection that is used in between has its time anew."""
        self.seek()
        connection = self.lines.made[0]
        for _ in range(4):
            self.end(connection)
            self.lines.clock.advance(6)
            self.assertEqual(self.seek().got, [connection])

    def test_lostWhileIdle(self) -> None:
        """One that ends while it is idle is not found again."""
        self.seek()
        self.end(self.lines.made[0])
        lose(self.lines.made[0])
        self.assertIsNone(self.origin.take())

    def test_forgotten(self) -> None:
        """An origin without connections is forgotten, and leaves no deadline behind."""
        self.seek()
        self.end(self.lines.made[0])
        self.assertIs(self.pool.at(ORIGIN), self.origin)
        lose(self.lines.made[0])
        self.assertIsNot(self.pool.at(ORIGIN), self.origin)
        self.assertEqual(len(self.lines.wheel), 0)


class QueueTests(OriginCase):
    """More requests than connections."""

    def test_inTurn(self) -> None:
        """Those who wait are served in turn by connections that become free."""
        clients = [self.seek() for _ in range(4)]
        first, second = self.lines.made
        self.assertEqual([len(client.got) for client in clients], [1, 1, 0, 0])
        self.end(second)
        self.end(first)
        self.assertEqual([client.got for client in clients], [[first], [second], [second], [first]])
        self.assertEqual(len(self.lines.made), 2)

    def test_full(self) -> None:
        """One more than may wait is refused, and told when to come again."""
        for _ in range(4):
            self.seek()
        with self.assertRaises(Overloaded) as caught:
            self.seek()
        self.assertIsNotNone(caught.exception.retry_after)

    def test_goneConnectionMakesRoom(self) -> None:
        """A connection that ends, or is given up, is replaced for the next who waits."""
        clients = [self.seek() for _ in range(4)]
        first, second = self.lines.made
        lose(first)
        second.drop()
        self.assertEqual([client.got for client in clients[2:]], [[self.lines.made[2]], [self.lines.made[3]]])

    def test_left(self) -> None:
        """Who has left the queue is passed over."""
        clients = [self.seek() for _ in range(2)]
        gone, stays = Client(), Client()
        search = self.origin.seek(gone, fresh=False)
        self.origin.seek(stays, fresh=False)
        search.cancel()
        search.cancel()
        self.end(self.lines.made[0])
        self.assertEqual((len(clients[0].got), gone.got, len(stays.got)), (1, [], 1))

    def test_fresh(self) -> None:
        """A connection in place of a dead one is opened although there are as many as may be, and counts."""
        replaced: list[Client] = []

        class Retrying(Recorder):
            def broken(self, how: Break, cause: Exception) -> None:
                replaced.append(seek(fresh=True))

        seek = self.seek
        self.seek()
        self.seek()
        dead = self.lines.made[0]
        self.end(dead)
        self.assertIs(self.origin.take(), dead)
        dead.ask(Retrying(), b"GET", b"")
        waiting = self.seek()
        lose(dead)
        self.assertEqual(([client.got for client in replaced], waiting.got), ([[self.lines.made[2]]], []))
        self.end(self.lines.made[2])
        self.assertEqual(waiting.got, [self.lines.made[2]])


class DialTests(OriginCase):
    """Connections being opened count, too."""

    manual = True

    def test_failure(self) -> None:
        """Whose connection does not come about is told; the next who waits has a try of its own."""
        clients = [self.seek() for _ in range(3)]
        self.assertEqual(len(self.lines.pending), 2)
        error = ConnectionRefusedError()
        self.lines.pending[0].fail(error)
        self.assertEqual([client.got for client in clients], [[error], [], []])
        self.assertEqual(len(self.lines.pending), 2)
        self.lines.pending[1].succeed()
        self.assertEqual(clients[2].got, [self.lines.made[0]])

    def test_cancelled(self) -> None:
        """A dial that is called off leaves its place to the next who waits."""
        search = self.origin.seek(Client(), fresh=False)
        self.seek()
        waiting = self.seek()
        search.cancel()
        self.assertEqual((self.lines.cancelled, len(self.lines.pending)), (1, 2))
        self.lines.pending[1].succeed()
        self.assertEqual(len(waiting.got), 1)


class CloseTests(OriginCase):
    """The end of a pool."""

    def test_close(self) -> None:
        """Idle connections are closed at once; those in use when their exchange ends, unless that ends badly."""
        self.seek()
        self.seek()
        idle, used = self.lines.made
        self.end(idle)
        closed = self.pool.close()
        self.assertNoResult(closed)
        self.assertTrue(idle.transport.disconnecting)
        lose(idle)
        self.successResultOf(closed)
        self.assertEqual(used.state, State.HEAD)
        self.end(used)
        self.assertEqual(used.state, State.CLOSED)
        again = self.pool.close()
        self.assertTrue(used.transport.aborted)
        also = self.pool.closeCachedConnections()
        lose(used)
        self.successResultOf(again)
        self.successResultOf(also)
        self.assertEqual(len(self.lines.wheel), 0)

    def test_empty(self) -> None:
        """A pool without connections is closed at once."""
        self.successResultOf(self.pool.close())
