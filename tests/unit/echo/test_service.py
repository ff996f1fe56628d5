"""Tests of `relay.echo.service`; its sockets are tested in the integration tests."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from relay.echo.service import EchoServer


class EchoServerTests(SynchronousTestCase):
    """When it listens."""

    def setUp(self) -> None:
        """A server that nobody has asked for yet."""
        self.reactor = MemoryReactorClock()
        self.server = EchoServer(self.reactor)

    def test_nothingIsBoundBeforeItIsUsed(self) -> None:
        """A relay without the echo opens no port for it."""
        self.assertEqual(self.reactor.tcpServers, [])
        self.successResultOf(self.server.stop())

    def test_boundOnceOnLoopback(self) -> None:
        """The first use binds an ephemeral port that only this machine reaches, later ones tell the same."""
        origin = self.server.url()
        self.assertEqual((origin.scheme, origin.host), ("http", "127.0.0.1"))
        self.assertEqual(self.server.url(), origin)
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (0, "127.0.0.1"))

    def test_aBurstFindsRoom(self) -> None:
        """As many connections may wait as relay opens at once."""
        self.server.url()
        self.assertGreaterEqual(self.reactor.tcpServers[0][2], 1000)

    def test_boundAgainAfterAStop(self) -> None:
        """A server that was stopped can be used again, and stopping twice is no error."""
        self.server.url()
        self.successResultOf(self.server.stop())
        self.successResultOf(self.server.stop())
        self.server.url()
        self.assertEqual(len(self.reactor.tcpServers), 2)

    def test_countsBeginAtNothing(self) -> None:
        """No answers yet."""
        counts = (self.server.streams_started, self.server.streams_open, self.server.streams_aborted)
        self.assertEqual(counts, (0, 0, 0))
