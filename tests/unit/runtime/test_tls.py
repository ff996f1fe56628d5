"""Tests of where lean TLS is put, and where Twisted's stays."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLContextFactory,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.runtime import tls
from relay.runtime.session import LeanTLS
from relay.runtime.tls import LeanTLSFactory, server_tls, wrap_client_tls
from relay.runtime.trust import Trust
from tests.unit.runtime.authority import authority, issued
from tests.unit.runtime.link import Link, Talker, TalkerFactory

HOST = "provider.example"


@implementer(IStreamClientEndpoint)
class Straight:
    """An endpoint that is connected to a server's protocol at once."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.below: Any = None
        self.link: Any = None

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        self.below = factory.buildProtocol(None)  # type: ignore[arg-type]  # nobody looks at the address
        self.link = Link(self.below, self._server)
        return succeed(self.below)


class ClientTests(SynchronousTestCase):
    """TLS on an endpoint."""

    def setUp(self) -> None:
        self.client, self.server = Talker(), Talker()
        serving = LeanTLSFactory(issued(HOST).options(), False, TalkerFactory(self.server))
        self.straight = Straight(serving.buildProtocol(None))

    def talk(self, endpoint: IStreamClientEndpoint) -> None:
        """Connect by it, and send something."""
        connected = self.successResultOf(endpoint.connect(TalkerFactory(self.client)))
        self.assertIs(connected, self.client)
        assert self.client.transport is not None
        self.client.transport.write(b"hello")
        self.straight.link.pump()
        self.assertEqual(self.server.received, b"hello")

    def test_lean(self) -> None:
        """The protocol that was asked for comes out, with lean TLS under it."""
        self.talk(wrap_client_tls(Trust(authority().trust).peer(HOST), self.straight))
        self.assertIsInstance(self.straight.below, LeanTLS)

    def test_twistedsSettings(self) -> None:
        """Settings of Twisted's own will do."""
        self.talk(wrap_client_tls(optionsForClientTLS(HOST, authority().trust), self.straight))
        self.assertIsInstance(self.straight.below, LeanTLS)

    def test_fallBack(self) -> None:
        """Where pyOpenSSL has changed inside, Twisted's TLS takes the same settings."""
        self.patch(tls, "is_supported", lambda: False)
        clock = Clock()
        self.patch(tls, "wrapClientTLS", lambda creator, endpoint: wrapClientTLS(creator, endpoint, clock))
        endpoint = wrap_client_tls(Trust(authority().trust).peer(HOST), self.straight)
        self.successResultOf(endpoint.connect(TalkerFactory(self.client)))
        assert self.client.transport is not None
        self.client.transport.write(b"hello")
        clock.advance(0)
        self.straight.link.pump()
        clock.advance(0)
        self.straight.link.pump()
        self.assertEqual(self.server.received, b"hello")
        self.assertIsInstance(self.straight.below, TLSMemoryBIOProtocol)


class ServerTests(SynchronousTestCase):
    """TLS under a factory's protocols."""

    def test_lean(self) -> None:
        """Twisted's server settings get lean TLS."""
        factory = server_tls(issued(HOST).options(), TalkerFactory(Talker()), Clock())
        self.assertIsInstance(factory, LeanTLSFactory)
        verifyObject(IProtocolFactory, factory)

    def test_oldSettings(self) -> None:
        """Context factories of old get Twisted's."""

        @implementer(IOpenSSLContextFactory)
        class Old:
            def getContext(self) -> SSL.Context:
                return SSL.Context(SSL.TLS_METHOD)

        self.assertIsInstance(server_tls(Old(), TalkerFactory(Talker()), Clock()), TLSMemoryBIOFactory)

    def test_fallBack(self) -> None:
        """Where pyOpenSSL has changed inside, Twisted's TLS stays."""
        self.patch(tls, "is_supported", lambda: False)
        factory = server_tls(issued(HOST).options(), TalkerFactory(Talker()), Clock())
        self.assertIsInstance(factory, TLSMemoryBIOFactory)

    def test_factory(self) -> None:
        """Start, stop and name are those of the factory above; a connection that it refuses is refused."""

        class Above(Factory):
            numPorts = 0
            noisy = False

            def buildProtocol(self, addr: object) -> None:
                return None

        above = Above()
        factory = LeanTLSFactory(issued(HOST).options(), False, above)
        factory.doStart()
        self.assertEqual(above.numPorts, 1)
        factory.doStop()
        self.assertEqual(above.numPorts, 0)
        self.assertIsNone(factory.buildProtocol(None))
        self.assertEqual(factory.logPrefix(), "Above (TLS)")
