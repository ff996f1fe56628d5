"""Opens connections: name, addresses, TCP, and TLS with a verified certificate."""

from __future__ import annotations

import functools
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IAddress, IConnector, IProtocol, IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.provider import Origin
from relay.runtime.openssl import is_supported
from relay.runtime.tls import LeanTLSFactory
from relay.runtime.trust import Peer, Trust
from relay.runtime.wheel import Deadline, Wheel
from relay.upstream.engine.addresses import AddressBook, Addresses
from relay.upstream.engine.connection import Connection, Home, Opened

STAGGER = 0.25
"""Seconds that an address is given before the next one is tried beside it (RFC 8305, section 5)."""

SLOWEST = 60.0
"""Seconds after which an address is given up, where nobody gives up before."""

TLS_HOSTS = 256
"""Hosts whose TLS sessions are kept."""

Secure = Callable[[Origin, IProtocolFactory], IProtocolFactory]
"""Puts TLS under the protocols of a factory, so that they see ``handshakeCompleted`` once
the certificate is good for the origin's host."""


class Verified:
    """TLS that verifies, as a `Secure`.

    Args:
        root: the authorities to trust instead of the platform's, or None.
    """

    def __init__(self, root: IOpenSSLTrustRoot | None) -> None:
        self._root = root
        self._peers: OrderedDict[str, Peer] = OrderedDict()

    def __call__(self, origin: Origin, factory: IProtocolFactory) -> IProtocolFactory:
        """Put TLS under a factory's protocols, as good as this machine has it."""
        peer = self._peers.get(origin.host)
        if peer is None:
            peer = self._peers[origin.host] = self._trust.peer(origin.host)
            if len(self._peers) > TLS_HOSTS:
                self._peers.popitem(last=False)
        if is_supported():
            return LeanTLSFactory(peer, True, factory)
        stock: IProtocolFactory = TLSMemoryBIOFactory(peer, True, factory)
        return stock

    @functools.cached_property
    def _trust(self) -> Trust:
        return Trust(self._root)


class Dialer:
    """Opens connections to any origin.

    Args:
        reactor: opens sockets and resolves names.
        wheel: times the next address.
        secure: TLS.
    """

    def __init__(self, reactor: Any, wheel: Wheel, secure: Secure) -> None:
        self.reactor = reactor
        self.wheel = wheel
        self.secure = secure
        self.book = AddressBook(reactor, reactor.seconds)

    def dial(self, origin: Origin, home: Home, opened: Opened) -> Dial:
        """Begin to open a connection.

        Args:
            origin: where to.
            home: where the connection will belong.
            opened: told once how it went, unless the dial is cancelled before; maybe at once.
        """
        dial = Dial(self, origin, home, opened)
        dial.start()
        return dial


class Dial:
    """One connection being opened: its addresses are tried in order, overlapping, until one stands."""

    def __init__(self, dialer: Dialer, origin: Origin, home: Home, opened: Opened) -> None:
        self._dialer = dialer
        self._origin = origin
        self._home = home
        self._opened: Opened | None = opened
        self._left: deque[str] = deque()
        self._attempts: list[_Attempt] = []
        self._stagger: Deadline | None = None
        self._forget: Callable[[], None] | None = None

    def start(self) -> None:
        """Find the addresses."""
        host = self._origin.host
        if isIPAddress(host) or isIPv6Address(host):
            self._resolved((host,))
        else:
            self._forget = self._dialer.book.find(host, self._resolved)

    def cancel(self) -> None:
        """Stop, and tell nobody. Idempotent."""
        self._opened = None
        if self._forget is not None:
            self._forget()
        self._clear()

    def _resolved(self, addresses: Addresses) -> None:
        if not addresses:
            self._over(DNSLookupError())
            return
        self._left.extend(addresses)
        self._next()

    def _next(self) -> None:
        self._stop_stagger()
        address = self._left.popleft()
        attempt = _Attempt(self)
        self._attempts.append(attempt)
        if self._left:
            self._stagger = self._dialer.wheel.arm(STAGGER, self._next)
        self._dialer.reactor.connectTCP(address, self._origin.port, attempt, SLOWEST)

    # ── told by attempts ──────────────────────────────────────────────────────────────

    def build(self, attempt: _Attempt, addr: IAddress) -> tuple[Connection, IProtocol | None]:
        """TCP stands: make a connection, and the protocol that is next to TCP, which maybe does TLS."""
        secure = self._origin.scheme == "https"
        connection = Connection(
            self._dialer.wheel,
            self._home,
            lambda result: self._ended(attempt, result),
            secure=secure,
        )
        if secure:
            return connection, self._dialer.secure(self._origin, _Ready(connection)).buildProtocol(addr)
        return connection, connection

    def failed(self, attempt: _Attempt, error: Exception) -> None:
        """One attempt has failed: go on to the next address, if there is one."""
        if attempt not in self._attempts:
            return
        self._attempts.remove(attempt)
        if self._left:
            self._next()
        elif not self._attempts:
            self._dialer.book.forget(self._origin.host)
            self._over(error)

    def _ended(self, attempt: _Attempt, result: Connection | Exception) -> None:
        if isinstance(result, Exception):
            self.failed(attempt, result)
            return
        self._attempts.remove(attempt)
        attempt.release()
        self._over(result)

    def _over(self, result: Connection | Exception) -> None:
        opened, self._opened = self._opened, None
        self._clear()
        if opened is not None:
            opened(result)

    def _clear(self) -> None:
        """Give up what is still under way."""
        self._stop_stagger()
        self._left.clear()
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.cancel()

    def _stop_stagger(self) -> None:
        if self._stagger is not None:
            self._stagger.cancel()
            self._stagger = None


@implementer(IProtocolFactory)
class _Attempt:
    """One address, as the factory that a connector wants."""

    __slots__ = ("_connection", "_connector", "_dial")

    noisy = False

    def __init__(self, dial: Dial) -> None:
        self._dial: Dial | None = dial
        self._connector: IConnector | None = None
        self._connection: Connection | None = None

    def cancel(self) -> None:
        """Give up; nothing is sent from now on."""
        self._dial = None
        if self._connection is not None:
            self._connection.drop()
        elif self._connector is not None:
            self._connector.stopConnecting()
        self.release()

    def release(self) -> None:
        """Let go; the connector keeps this object for as long as its connection lives."""
        self._dial = self._connector = self._connection = None

    def doStart(self) -> None:
        """The connector begins with this factory."""

    def doStop(self) -> None:
        """The connector has ended with this factory."""

    def startedConnecting(self, connector: IConnector) -> None:
        """The connector has begun."""
        self._connector = connector

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """TCP stands."""
        if self._dial is None:
            return None
        self._connection, protocol = self._dial.build(self, addr)
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """TCP does not come about."""
        dial = self._dial
        self.release()
        if dial is not None and isinstance(reason.value, Exception):
            dial.failed(self, reason.value)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        """The connection that came about has ended; its protocol knows."""


@implementer(IProtocolFactory)
class _Ready:
    """A factory for one protocol that is there already.

    Args:
        protocol: the protocol.
    """

    noisy = False

    def __init__(self, protocol: IProtocol) -> None:
        self._protocol = protocol

    def doStart(self) -> None:
        """See `IProtocolFactory`."""

    def doStop(self) -> None:
        """See `IProtocolFactory`."""

    def buildProtocol(self, addr: IAddress) -> IProtocol:
        """Give it."""
        return self._protocol
