"""Lean TLS where Twisted's would stand: under a factory's protocols, and on an endpoint."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from relay.runtime.openssl import Library, is_supported
from relay.runtime.session import LeanTLS, prefix
from relay.runtime.trust import Peer


@implementer(IProtocolFactory)
class LeanTLSFactory:
    """Puts TLS under the protocols of another factory; see `twisted.protocols.tls.TLSMemoryBIOFactory`.

    Args:
        creator: settings; an `IOpenSSLClientConnectionCreator` or `IOpenSSLServerConnectionCreator`.
        isClient: which of them.
        wrappedFactory: makes the protocols above.

    Attributes:
        library: what all connections share.
        peer: keeps a client's sessions, or None.
    """

    noisy = False

    def __init__(self, creator: Any, isClient: bool, wrappedFactory: IProtocolFactory) -> None:
        self.wrappedFactory: Any = wrappedFactory
        self._creator = creator
        self._client = isClient
        self.peer = creator if isinstance(creator, Peer) else None
        self.library = Library() if self.peer is None else self.peer.library

    def connection_for(self, protocol: LeanTLS) -> SSL.Connection:
        """Make a session that is ready for its handshake."""
        make = self._creator.clientConnectionForTLS if self._client else self._creator.serverConnectionForTLS
        connection: SSL.Connection = make(protocol)
        connection.set_options(SSL.OP_NO_RENEGOTIATION)
        connection.set_app_data(protocol)
        if not self._client:
            connection.set_accept_state()
            return connection
        connection.set_connect_state()
        if self.peer is not None:
            self.peer.offer(connection)
        return connection

    def buildProtocol(self, addr: IAddress | None) -> LeanTLS | None:
        """Make a protocol of the factory's, with TLS under it."""
        above = self.wrappedFactory.buildProtocol(addr)
        return None if above is None else LeanTLS(self, above)

    def doStart(self) -> None:
        """See `IProtocolFactory`."""
        self.wrappedFactory.doStart()

    def doStop(self) -> None:
        """See `IProtocolFactory`."""
        self.wrappedFactory.doStop()

    def logPrefix(self) -> str:
        """How the port's log lines begin."""
        return prefix(self.wrappedFactory)


@implementer(IStreamClientEndpoint)
class _ClientEndpoint:
    def __init__(self, creator: IOpenSSLClientConnectionCreator, endpoint: IStreamClientEndpoint) -> None:
        self._creator = creator
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        connecting: Deferred[Any] = self._endpoint.connect(LeanTLSFactory(self._creator, True, protocolFactory))
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)


def wrap_client_tls(creator: IOpenSSLClientConnectionCreator, endpoint: IStreamClientEndpoint) -> IStreamClientEndpoint:
    """Put TLS on an endpoint's connections, as `wrapClientTLS` does, and by it where this cannot.

    Args:
        creator: `Peer`, to resume sessions, or any other.
        endpoint: makes connections.
    """
    return _ClientEndpoint(creator, endpoint) if is_supported() else wrapClientTLS(creator, endpoint)


def server_tls(creator: Any, factory: IProtocolFactory, clock: IReactorTime) -> IProtocolFactory:
    """Put TLS under a factory's protocols, by Twisted's means where these cannot.

    Args:
        creator: whatever Twisted's ``listenSSL`` takes.
        factory: makes the protocols above.
        clock: gathers writes, for Twisted's.
    """
    if is_supported() and IOpenSSLServerConnectionCreator.providedBy(creator):
        return LeanTLSFactory(creator, False, factory)
    return TLSMemoryBIOFactory(creator, False, factory, clock)
