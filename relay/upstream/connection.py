"""One HTTP/1.1 connection to a provider, guarded: the one place that bounds and aborts it.

Twisted's client protocol has no bound on a head, no public way to abort a body in
flight, drops bytes that follow an answer, and hangs when an answer begins while the
request is still being sent. `Connection` adds what is missing around it, and `Lease` is
how the rest of `upstream` gets at it. This module and `pool` reach below Twisted's public
surface (``_finishResponse``; the pool's ``_factory`` and bookkeeping methods), which is
why the version of Twisted has an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol, Request
from twisted.web.iweb import IResponse
from zope.interface import implementer

from relay.upstream.head import AnswerHead, HeadFault

LINGER = 5.0
"""Seconds that a connection may take to close tidily before it is aborted."""

EARLY_ANSWER = 1024 * 1024
"""Bytes of an answer that may come while the request is still being sent."""


class _Wire(Protocol):
    """What TCP and TLS transports have in common here."""

    disconnecting: bool

    def abortConnection(self) -> None: ...

    def resumeProducing(self) -> None: ...


class Lease:
    """One request's hold on a connection: what happened on it, and the only way to abort it.

    Args:
        target: path and query, put on the wire exactly so.

    Attributes:
        head: watches the answer's head.
        connection: the connection, None before there is one.
        reused: whether the connection had served another request before.
        received: bytes of the answer so far, framing included.
        fault: why relay broke the connection off, "" if it did not.
        lost: why the connection ended during this request, or None.
    """

    def __init__(self, target: bytes) -> None:
        self.target = target
        self.head = AnswerHead()
        self.connection: Connection | None = None
        self.reused = False
        self.received = 0
        self.fault = ""
        self.lost: Failure | None = None

    @property
    def held(self) -> bool:
        """Whether this request has the connection now."""
        return self.connection is not None and self.connection.lease is self

    @property
    def sending(self) -> bool:
        """Whether the request is still being written."""
        return self.connection is not None and self.held and self.connection.state == "TRANSMITTING"

    def abort(self) -> None:
        """Drop the connection at once, over TCP and TLS alike, if this request still has it. Idempotent."""
        if self.connection is not None and self.held:
            self.connection.drop()

    def drain(self, seconds: float) -> None:
        """Abort unless the message ends within so many seconds; if it ends, the connection is kept."""
        if self.connection is not None and self.held:
            self.connection.drop_after(seconds)


@implementer(IHandshakeListener)
class Connection(HTTP11ClientProtocol):
    """One connection; at most one `Lease` has it at a time.

    Args:
        clock: bounds how long closing takes.
        quiescent: takes the connection back when a message has ended well.
        open_connections: holds every connection while it is open.
    """

    def __init__(
        self,
        clock: IReactorTime,
        quiescent: Callable[[HTTP11ClientProtocol], None],
        open_connections: set[Connection],
    ) -> None:
        super().__init__(quiescent)  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        self.lease: Lease | None = None
        self._clock = clock
        self._open = open_connections
        self._served = 0
        self._request: Request | None = None
        self._dropping: IDelayedCall | None = None
        self._securing: Deferred[Connection] | None = None

    @property
    def _wire(self) -> _Wire:
        return cast("_Wire", self.transport)

    @property
    def closing(self) -> bool:
        """Whether it will be dropped unless something ends first."""
        return self._dropping is not None

    # ── coming up ─────────────────────────────────────────────────────────────────────

    def connectionMade(self) -> None:
        """TCP stands."""
        self._open.add(self)
        super().connectionMade()

    def secured(self) -> Deferred[Connection]:
        """Wait for TLS; to be called once, as soon as TCP stands.

        Returns:
            Fires with this connection when the handshake is over and the certificate is
            good, fails with the reason for which the connection ended. Cancelling drops it.
        """
        self._securing = Deferred(lambda _: self.drop())
        return self._securing

    def handshakeCompleted(self) -> None:
        """TLS stands, and the certificate is good."""
        securing, self._securing = self._securing, None
        if securing is not None:
            securing.callback(self)

    # ── one request ───────────────────────────────────────────────────────────────────

    def take(self, lease: Lease) -> Connection:
        """Give the connection to a request."""
        self.lease = lease
        lease.connection = self
        lease.reused = self._served > 0
        return self

    def request(self, request: Request) -> Deferred[IResponse]:
        """Send a request for the lease that has the connection."""
        if self.lease is not None:
            request.uri = self.lease.target
        self._served += 1
        self._request = request
        return super().request(request)

    def dataReceived(self, data: bytes) -> None:
        """Look at the bytes of an answer before the parser does."""
        lease = self.lease
        if lease is None:
            self.drop()  # nobody asked: whatever it is, it must not become the next answer
            return
        lease.received += len(data)
        try:
            self._admit(lease, data)
        except HeadFault as fault:
            lease.fault = str(fault)
            self.drop()
            return
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        if lease.sending and lease.head.complete:
            # The parser has paused reading until somebody takes the body, but nobody gets
            # the answer before it is whole or the request is written: read on.
            self._wire.resumeProducing()
        if self._wire.disconnecting:
            self.drop_after(LINGER)

    def _admit(self, lease: Lease, data: bytes) -> None:
        if not lease.head.complete:
            lease.head.feed(data)
        if lease.sending and lease.received > EARLY_ANSWER:
            raise HeadFault("The provider answered at length without reading the request.")

    def _finishResponse(self, rest: bytes) -> None:
        """The message is whole: decide whether the connection may be used again."""
        lease, self.lease = self.lease, None
        if self._request is not None and (rest or lease is None or not lease.head.keep):
            self._request.persistent = False
        self._stop_dropping()
        if self.state == "ABORTING":
            return  # the body ended with the connection, which is being closed
        super()._finishResponse(rest)
        if self.state == "TRANSMITTING_AFTER_RECEIVING_RESPONSE":
            self.drop()  # the provider has said its last word; the rest of the upload is no use

    # ── going down ────────────────────────────────────────────────────────────────────

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._open.discard(self)
        self._stop_dropping()
        lease, self.lease = self.lease, None
        if lease is not None:
            lease.lost = reason
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        securing, self._securing = self._securing, None
        if securing is not None and not securing.called:
            securing.errback(reason)

    def abort(self) -> Deferred[None]:
        """Close tidily, within `LINGER`; fires when closed."""
        gone: Deferred[None] = super().abort()  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        if not gone.called:
            self.drop_after(LINGER)
        return gone

    def drop(self) -> None:
        """Abort: nothing more is sent or received, whatever was under way."""
        if self._request is not None:
            self._request.persistent = False  # its message may still end in what was received before
        self._wire.abortConnection()

    def drop_after(self, seconds: float) -> None:
        """Abort after so many seconds, unless a message or the connection ends before."""
        if self._dropping is None:
            self._dropping = self._clock.callLater(seconds, self._drop_now)

    def _drop_now(self) -> None:
        self._dropping = None
        self.drop()

    def _stop_dropping(self) -> None:
        if self._dropping is not None:
            self._dropping.cancel()
            self._dropping = None
