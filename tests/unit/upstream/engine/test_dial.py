"""Tests of opening connections."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError  # noqa: A004  # Twisted's name
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relay.provider import Origin
from relay.runtime.wheel import Wheel
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.dial import STAGGER, Dial, Dialer
from relay.upstream.engine.states import State
from tests.unit.upstream.engine.parts import Owner, Wire
from tests.unit.upstream.engine.test_addresses import Resolver


class DialTests(SynchronousTestCase):
    """One dial over a reactor in memory."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.resolver = Resolver()
        self.reactor.nameResolver = self.resolver
        self.wrapped: list[Origin] = []
        self.results: list[Any] = []
        self.dialer = Dialer(self.reactor, Wheel(self.reactor, tick=0.05), self.secure)

    def secure(self, origin: Origin, factory: IProtocolFactory) -> IProtocolFactory:
        self.wrapped.append(origin)
        return factory

    def dial(self, host: str = "1.1.1.1", scheme: str = "http") -> Dial:
        """Begin."""
        return self.dialer.dial(Origin(scheme, host, 8000), Owner(), self.results.append)

    @property
    def tried(self) -> list[tuple[str, int]]:
        """Addresses that were tried."""
        return [(host, port) for host, port, *_ in self.reactor.tcpClients]

    def accept(self, index: int) -> Connection | None:
        """The address accepts."""
        factory = self.reactor.tcpClients[index][2]
        connection: Connection | None = factory.buildProtocol(None)
        if connection is not None:
            connection.makeConnection(Wire())
        return connection

    def refuse(self, index: int) -> None:
        """The address refuses."""
        factory, connector = self.reactor.tcpClients[index][2], self.reactor.connectors[index]
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))

    def test_literal(self) -> None:
        """An address needs no lookup."""
        for host in ("1.1.1.1", "::1"):
            self.dial(host)
            self.assertEqual((self.tried[-1], self.resolver.asked), ((host, 8000), []))
        connection = self.accept(0)
        self.assertEqual(self.results, [connection])
        self.assertEqual(self.wrapped, [])

    def test_name(self) -> None:
        """A name is looked up first."""
        self.dial("a.example")
        self.assertEqual(self.tried, [])
        self.resolver.answer("1.1.1.1")
        self.assertEqual(self.tried, [("1.1.1.1", 8000)])

    def test_noSuchName(self) -> None:
        """A name without an address is a failure of its own kind."""
        self.dial("a.example")
        self.resolver.answer()
        self.assertEqual([type(each) for each in self.results], [DNSLookupError])

    def test_refused(self) -> None:
        """An address that refuses makes way for the next at once; when none is left, the last reason counts."""
        self.dial("a.example")
        self.resolver.answer("1.1.1.1", "2.2.2.2")
        self.refuse(0)
        self.assertEqual((self.tried, self.results), ([("1.1.1.1", 8000), ("2.2.2.2", 8000)], []))
        self.refuse(1)
        self.assertEqual([type(each) for each in self.results], [ConnectionRefusedError])
        self.dial("a.example")
        self.assertEqual(self.resolver.asked, ["a.example"] * 2)

    def test_staggered(self) -> None:
        """An address that does not answer soon is joined by the next; the first that stands wins, the other ends."""
        self.dial("a.example")
        self.resolver.answer("1.1.1.1", "2.2.2.2", "3.3.3.3")
        self.reactor.advance(STAGGER + 0.1)
        self.assertEqual(len(self.tried), 2)
        winner = self.accept(0)
        self.assertEqual(self.results, [winner])
        self.assertTrue(self.reactor.connectors[1].stoppedConnecting)
        self.reactor.advance(5)
        self.assertEqual(len(self.tried), 2)
        self.assertIsNone(self.accept(1))

    def test_secure(self) -> None:
        """An https origin has TLS put under its connection, and is there when that stands."""
        self.dial(scheme="https")
        connection = self.accept(0)
        assert connection is not None
        self.assertEqual((self.results, self.wrapped), ([], [Origin("https", "1.1.1.1", 8000)]))
        connection.handshakeCompleted()
        self.assertEqual(self.results, [connection])

    def test_badHandshake(self) -> None:
        """A connection that ends within the handshake counts as an address that failed."""
        self.dial("a.example", scheme="https")
        self.resolver.answer("1.1.1.1", "2.2.2.2")
        for index in range(2):
            self.assertEqual(self.results, [])
            connection = self.accept(index)
            assert connection is not None
            connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual([type(each) for each in self.results], [ConnectionLost])

    def test_cancel(self) -> None:
        """A dial can be called off at any moment; nobody is told, and nothing stays open."""
        dial = self.dial("a.example")
        dial.cancel()
        self.resolver.answer("1.1.1.1", "2.2.2.2")
        self.assertEqual(self.tried, [])
        dial = self.dial("a.example")
        self.reactor.advance(STAGGER + 0.1)
        dial.cancel()
        dial.cancel()
        self.assertTrue(all(each.stoppedConnecting for each in self.reactor.connectors))
        dial = self.dial(scheme="https")
        connection = self.accept(2)
        assert connection is not None
        wire = connection.transport
        dial.cancel()
        self.assertEqual((wire.aborted, connection.state), (True, State.CLOSED))
        self.assertEqual(self.results, [])
