"""Listening on one endpoint, without sockets."""

from __future__ import annotations

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from relay.listening import BACKLOG, Listener


class ListenerTests(SynchronousTestCase):
    """`Listener` over a reactor that only notes what it is asked."""

    def test_backlog(self) -> None:
        """A burst of clients finds room in the queue, unless the operator has said how much there is."""
        for endpoint, backlog in (
            ("tcp:8000", BACKLOG),
            ("tcp:8000:interface=127.0.0.1", BACKLOG),
            ("tcp:8000:backlog=7:interface=127.0.0.1", 7),
        ):
            reactor = MemoryReactor()
            Listener(reactor, endpoint, Factory()).privilegedStartService()
            self.assertEqual([server[2] for server in reactor.tcpServers], [backlog])

    def test_backlogOfUnixSockets(self) -> None:
        """The same holds for a socket in the file system."""
        reactor = MemoryReactor()
        Listener(reactor, "unix:/run/relay.sock", Factory()).privilegedStartService()
        self.assertEqual([server[2] for server in reactor.unixServers], [BACKLOG])
