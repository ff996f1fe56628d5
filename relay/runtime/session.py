"""TLS between a TCP transport and a protocol, with as little in between as there can be.

Twisted's gathers writes for the next turn of the loop and pays for an exception with each
read. Here a write is encrypted and sent at once, and everything that came with one read
is decrypted and handed on together. In all else this stands in for
`twisted.protocols.tls`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from OpenSSL.crypto import X509

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IHandshakeListener,
    ILoggingContext,
    INegotiated,
    IProtocol,
    IPushProducer,
    ISystemHandle,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.runtime.openssl import Pipe

if TYPE_CHECKING:
    from relay.runtime.tls import LeanTLSFactory

_Address = IPv4Address | IPv6Address

_LONG = 64 * 1024
"""Bytes of a long write that are encrypted before the first of them are sent."""


class _Phase(enum.Enum):
    """HANDSHAKE → OPEN → OVER, or HANDSHAKE → OVER."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    OVER = "over"


_HANDSHAKE, _OPEN, _OVER = _Phase


@implementer(IProtocol, INegotiated, ISystemHandle, IConsumer, IPushProducer)
class LeanTLS:
    """TLS on one connection: a protocol to the transport below, a transport to the protocol above.

    In HANDSHAKE, what is written waits; nothing of it is sent before the peer's
    certificate has been found good. In OPEN, bytes flow. In OVER, they no longer do, and
    the transport is being closed. A connection that ends in HANDSHAKE or OPEN was cut off:
    the protocol above learns `ConnectionLost`, never `ConnectionDone`.

    `loseConnection` says goodbye and closes without waiting for the peer's answer. When
    the peer says goodbye, this end does, too, and closes. There is no half-closing: before
    TLS 1.3 a peer answers a goodbye by dropping what it still had to say.

    Args:
        factory: made this.
        wrapped: the protocol above.

    Attributes:
        wrappedProtocol: as given; None after the connection was lost.
        transport: TCP.
        disconnecting: whether it is being closed.
    """

    __slots__ = (
        "_below",
        "_connection",
        "_held",
        "_paused",
        "_peer",
        "_phase",
        "_pipe",
        "_producer",
        "_reason",
        "_streaming",
        "disconnecting",
        "factory",
        "transport",
        "wrappedProtocol",
    )

    def __init__(self, factory: LeanTLSFactory, wrapped: IProtocol) -> None:
        self.factory = factory
        self.wrappedProtocol: Any = wrapped
        self.transport: Any = None
        self.disconnecting = False
        self._phase = _HANDSHAKE
        self._connection: Any = None
        self._pipe: Any = None
        self._peer = factory.peer  # None once the session is kept, too
        self._reason: Failure | None = None
        self._held: list[bytes] = []  # written in HANDSHAKE
        self._producer: Any = None
        self._streaming = False
        self._below = False  # whether the producer is registered with the transport below: not in HANDSHAKE
        self._paused = False  # whether the producer was paused for the handshake

    # ── as a protocol ─────────────────────────────────────────────────────────────────

    def makeConnection(self, transport: Any) -> None:
        """TCP stands: tell the protocol above, and begin the handshake."""
        self.transport = transport
        self._connection = connection = self.factory.connection_for(self)
        self._pipe = Pipe(connection, self.factory.library)
        self.wrappedProtocol.makeConnection(self)
        if self._phase is _HANDSHAKE:
            self._shake()

    def connectionMade(self) -> None:
        """See `makeConnection`."""

    def logPrefix(self) -> str:
        """How log lines of this connection begin."""
        return prefix(self.wrappedProtocol)

    def dataReceived(self, data: bytes) -> None:
        """Decrypt, and hand on."""
        if self._phase is _OPEN:
            self._read(data)
        elif self._phase is _HANDSHAKE:
            self._connection.bio_write(data)
            self._shake()
            if self._phase is _OPEN:
                self._read(b"")  # what came behind the handshake

    def connectionLost(self, reason: Failure) -> None:
        """TCP is gone."""
        if self._phase is not _OVER:
            self._leave()
            if reason.check(ConnectionDone):
                reason = Failure(CONNECTION_LOST)  # no goodbye: anybody on the way may have cut it off
        self._connection.set_app_data(None)
        self._connection = self._pipe = None
        producer, self._producer = self._producer, None
        if producer is not None and not self._below:
            producer.stopProducing()  # otherwise the transport has stopped it
        above, self.wrappedProtocol = self.wrappedProtocol, None
        above.connectionLost(self._reason or reason)

    # ── handshake ─────────────────────────────────────────────────────────────────────

    def _shake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._send_waiting()
        except SSL.Error:
            self._fail(Failure())
        else:
            self._open()

    def _open(self) -> None:
        self._phase = _OPEN
        held, self._held = self._held, []
        if held:
            self._send(b"".join(held))  # goes with the last of the handshake
        if self._producer is not None:
            self._register_below()
        if IHandshakeListener.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.handshakeCompleted()
        if self._phase is _OPEN:
            self._send_waiting()
            if self.disconnecting and self._producer is None:
                self._say_goodbye()

    def failVerification(self, reason: Failure) -> None:
        """The peer's certificate is not good: the handshake, which calls this, fails for that reason."""
        self._reason = reason

    # ── reading ───────────────────────────────────────────────────────────────────────

    def _read(self, data: bytes) -> None:
        pipe = self._pipe
        plain = pipe.open(data)
        if plain:
            if self._peer is not None:
                self._peer.keep(self._connection)
                self._peer = None
            self.wrappedProtocol.dataReceived(plain)
        else:
            self._send_waiting()  # a key update may ask for an answer
        if self._phase is _OPEN:
            if pipe.finished:
                self._reason = Failure(CONNECTION_DONE)  # all has come, however TCP ends now
                self._say_goodbye()
            elif pipe.error is not None:
                self._fail(Failure(pipe.error))

    def pauseProducing(self) -> None:
        """Read no more for now; what has been read already still comes."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # ── writing ───────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """Encrypt and send at once; after `loseConnection` only while a producer is registered."""
        if self.disconnecting and self._producer is None:
            return
        if self._phase is _OPEN:
            if data:
                self._send(data)
        elif self._phase is _HANDSHAKE:
            self._held.append(b"" + data)
            if self._streaming and not self._paused:
                self._paused = True
                self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write several pieces as one."""
        self.write(b"".join(data))

    def _send(self, data: bytes) -> None:
        try:
            if len(data) <= _LONG:
                self.transport.write(self._pipe.seal(data))
            else:
                for at in range(0, len(data), _LONG):
                    if self._phase is not _OPEN:
                        return  # the producer has ended it when it was paused
                    self.transport.write(self._pipe.seal(data[at : at + _LONG]))
        except SSL.Error:
            self._fail(Failure())

    def _send_waiting(self) -> None:
        if waiting := self._pipe.waiting():
            self.transport.write(waiting)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a producer write at the pace of the transport below; see `IConsumer`.

        Raises:
            RuntimeError: there is one already.
        """
        if self._phase is _OVER:
            producer.stopProducing()
            return
        if self._producer is not None:
            raise RuntimeError(f"cannot register {producer}: {self._producer} was never unregistered")
        self._producer = producer
        self._streaming = streaming
        if self._phase is _OPEN:
            self._register_below()

    def _register_below(self) -> None:
        self._below = True
        paused, self._paused = self._paused, False
        self.transport.registerProducer(self._producer, self._streaming)
        if paused and self._producer is not None:
            self._producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """No more will come from the producer."""
        if self._producer is None:
            return
        self._forget_producer()
        if self.disconnecting and self._phase is _OPEN:
            self._say_goodbye()
        elif self.disconnecting and not self._held:
            self.abortConnection()

    def _forget_producer(self) -> None:
        self._producer = None
        self._streaming = self._paused = False
        if self._below:
            self._below = False
            self.transport.unregisterProducer()

    # ── closing ───────────────────────────────────────────────────────────────────────

    def loseConnection(self) -> None:
        """Close, when everything written is sent and no producer is registered.

        A handshake under way is finished only for what has been written already.
        """
        if self.disconnecting:
            return
        self.disconnecting = True
        if self._producer is None:
            if self._phase is _OPEN:
                self._say_goodbye()
            elif not self._held:
                self.abortConnection()

    def loseWriteConnection(self) -> None:
        """Close: TLS has no half-closing."""
        self.loseConnection()

    def abortConnection(self) -> None:
        """Close at once, without a goodbye: the peer can tell that something is missing."""
        if self._phase is not _OVER:
            self._leave()
        self.transport.abortConnection()

    def _leave(self) -> None:
        self._phase = _OVER
        self.disconnecting = True
        # else OpenSSL takes the session, which is good, for one that was broken off
        self._connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)

    def _say_goodbye(self) -> None:
        self._phase = _OVER
        self.disconnecting = True
        try:
            self._connection.shutdown()
        except SSL.Error:
            self._connection.set_shutdown(SSL.SENT_SHUTDOWN)
        self._send_waiting()
        self._stop_producer()
        self.transport.loseConnection()

    def _fail(self, reason: Failure) -> None:
        """The session is broken: send what OpenSSL has to say about that, and close."""
        shaking = self._phase is _HANDSHAKE
        self._phase = _OVER
        self.disconnecting = True
        self._reason = self._reason or reason
        self._send_waiting()
        self._stop_producer()
        if shaking:
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()  # what is queued is of no use to such a peer

    def _stop_producer(self) -> None:
        if (producer := self._producer) is not None:
            self._forget_producer()
            producer.stopProducing()

    # ── about the connection ──────────────────────────────────────────────────────────

    def getHandle(self) -> SSL.Connection:
        """The session."""
        handle: SSL.Connection = self._connection
        return handle

    def getPeerCertificate(self) -> X509 | None:
        """The peer's certificate, once it has come."""
        certificate: X509 | None = self._connection.get_peer_certificate()
        return certificate

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What ALPN has agreed on, if anything."""
        return (self._connection is not None and self._connection.get_alpn_proto_negotiated()) or None

    def getHost(self) -> _Address:
        """This end's address."""
        address: _Address = self.transport.getHost()
        return address

    def getPeer(self) -> _Address:
        """The other end's address."""
        address: _Address = self.transport.getPeer()
        return address

    def getTcpNoDelay(self) -> bool:
        """See `ITCPTransport`."""
        return bool(self.transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See `ITCPTransport`."""
        self.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """See `ITCPTransport`."""
        return bool(self.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """See `ITCPTransport`."""
        self.transport.setTcpKeepAlive(enabled)


def prefix(above: object) -> str:
    """How log lines about TLS under something begin."""
    return f"{above.logPrefix() if ILoggingContext.providedBy(above) else type(above).__name__} (TLS)"
