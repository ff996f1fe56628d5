"""The connections to all providers, and how a new one is made."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import cast

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import URI, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from relay.provider import Origin
from relay.upstream.connection import LINGER, Connection, Lease


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class Dial:
    """How one request gets to its origin; as endpoint, it opens a connection.

    A literal address is connected to directly; a name goes through the reactor's
    resolver, and IPv6 and IPv4 race. The connection of an ``https`` origin is handed out
    only when TLS stands and the certificate is good for the host.

    Args:
        reactor: opens sockets.
        policy: trust and verification for TLS.
        origin: where to connect.
        timeout: seconds for one address to accept.
        lease: the request's hold on whatever connection it gets.
        leased: called when it has got one.
        fresh: whether a pooled connection will not do.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        policy: IPolicyForHTTPS,
        origin: Origin,
        timeout: float,
        lease: Lease,
        leased: Callable[[], None],
        *,
        fresh: bool,
    ) -> None:
        self._reactor = reactor
        self._policy = policy
        self.origin = origin
        self._timeout = timeout
        self.lease = lease
        self.fresh = fresh
        self._leased = leased

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """The agent's question; the answer does not depend on the URI."""
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Open a connection; fires when it can carry a request."""
        origin = self.origin
        plain = self._plain(origin.host, origin.port)
        if origin.scheme != "https":
            return plain.connect(protocolFactory)
        creator = self._policy.creatorForNetloc(origin.host.encode("ascii"), origin.port)
        connected = wrapClientTLS(creator, plain).connect(protocolFactory)
        return connected.addCallback(lambda connection: cast("Connection", connection).secured())

    def take(self, connection: HTTP11ClientProtocol) -> Connection:
        """A connection is there: lease it to the request."""
        leased = cast("Connection", connection).take(self.lease)
        self._leased()
        return leased

    def _plain(self, host: str, port: int) -> IStreamClientEndpoint:
        if isIPAddress(host):
            return TCP4ClientEndpoint(self._reactor, host, port, self._timeout)
        if isIPv6Address(host):
            return TCP6ClientEndpoint(self._reactor, host, port, self._timeout)
        return HostnameEndpoint(self._reactor, host, port, self._timeout)


class _ConnectionFactory(Factory):
    noisy = False

    def __init__(self, build: Callable[[], Connection]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return self._build()


class Pool(HTTPConnectionPool):
    """Keeps idle connections by origin and leases them out, or new ones.

    Args:
        reactor: opens sockets and times idle connections.
        idle_limit: idle connections kept for one origin.
        idle_seconds: how long an idle one is kept; load balancers in front of providers
            commonly close at 60 s, and a request must not meet that moment.
    """

    def __init__(self, reactor: IReactorTime, idle_limit: int, idle_seconds: float) -> None:
        super().__init__(reactor, persistent=True)  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        self.maxPersistentPerHost = idle_limit
        self.cachedConnectionTimeout = idle_seconds  # type: ignore[assignment]  # passed to callLater only
        self.retryAutomatically = False
        self._clock = reactor
        self._open: set[Connection] = set()
        self._shut = False
        self._factory = self._connection_factory  # type: ignore[assignment]  # any callable will do

    def _connection_factory(self, quiescent: Callable[[HTTP11ClientProtocol], None], _: str) -> Factory:
        return _ConnectionFactory(lambda: Connection(self._clock, quiescent, self._open))

    def getConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[HTTP11ClientProtocol]:
        """Lease a connection to the request that the endpoint, a `Dial`, belongs to."""
        dial = cast("Dial", endpoint)
        if dial.fresh:
            found = self._newConnection(dial.origin, endpoint)
        else:
            found = super().getConnection(dial.origin, endpoint)
        return found.addCallback(dial.take)

    def _putConnection(self, key: Hashable, connection: Connection) -> None:
        """Keep a connection whose message has ended; none any more once closed."""
        if self._shut:
            connection.abort()
        else:
            super()._putConnection(key, connection)  # type: ignore[no-untyped-call]  # Twisted leaves it untyped

    def _removeConnection(self, key: Hashable, connection: Connection) -> None:
        """An idle connection's time is over; a peer that does not answer to that is dropped."""
        super()._removeConnection(key, connection)  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        if connection in self._open:
            connection.drop_after(LINGER)

    def close(self) -> Deferred[None]:
        """Close idle connections, drop closing ones, and keep none from now on; fires when those are closed."""
        self._shut = True
        gone = []
        for connection in [each for each in self._open if each.closing]:
            gone.append(connection.abort())
            connection.drop()
        gone.append(self.closeCachedConnections())  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        return gatherResults(gone).addCallback(lambda _: None)
