"""Client connections: Twisted's HTTP/1.1 channel with absolute deadlines, stricter framing and a goodbye."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import Request

from relay.config import ServerTimeouts
from relay.errors import HeadTooLarge, InvalidRequest, RelayError, RequestTimeout, TooLarge
from relay.interfaces import IConfiguration
from relay.web.hosts import host_name
from relay.web.receiving import ReceivingChannel

if TYPE_CHECKING:
    from relay.web.site import RelaySite

LONGEST_HEAD = 64 * 1024
"""Bytes of a request head; agent clients send headers of several KiB."""

_LONGEST_LENGTH = 18
"""Digits of a Content-Length; more would overflow what any body limit allows."""


class Channel(Protocol):
    """A client connection, as far as the count of them goes."""

    def retire(self) -> None:
        """Serve no further request; close at once if none is running."""

    def abort(self) -> None:
        """Break off."""


class Connections:
    """The open client connections, and what holds for all of them.

    Args:
        clock: runs the deadlines.
        configuration: where the deadlines and the bound on connections are read.
    """

    def __init__(self, clock: IReactorTime, configuration: IConfiguration) -> None:
        self.clock = clock
        self._configuration = configuration
        self._open: set[Channel] = set()
        self._gone: Deferred[None] | None = None
        self.draining = False

    @property
    def timeouts(self) -> ServerTimeouts:
        """The client side's deadlines, as configured now."""
        return self._configuration.snapshot.server_timeouts

    @property
    def full(self) -> bool:
        """Whether no further connection is to be served."""
        return len(self._open) >= self._configuration.snapshot.server.connections

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, channel: Channel) -> None:
        """A connection was accepted."""
        self._open.add(channel)

    def closed(self, channel: Channel) -> None:
        """A connection is no more."""
        self._open.discard(channel)
        if self._gone is not None and not self._open:
            gone, self._gone = self._gone, None
            gone.callback(None)

    def drain(self) -> Deferred[None]:
        """Close idle connections now and the others after their running answer; fires when all are closed."""
        self.draining = True
        for channel in tuple(self._open):
            channel.retire()
        if not self._open:
            return succeed(None)
        if self._gone is None:
            self._gone = Deferred()
        return self._gone

    def abort(self) -> None:
        """Break all connections that are still open."""
        for channel in tuple(self._open):
            channel.abort()


class _Awaiting(enum.Enum):
    """What a connection waits for.

    ``HEAD → BODY → ANSWER → NEXT → HEAD …``; a new connection begins with HEAD. NEXT has
    Twisted's idle timeout, ANSWER has none here.
    """

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    NEXT = "next"


class RelayChannel(ReceivingChannel):
    """One client connection.

    Twisted's own timeout starts anew with each byte, so that a client that sends one byte
    a second lives for ever; here a head and a body each have an absolute deadline, and a
    connection that is being closed has one for that, too.
    """

    totalHeadersSize = MAX_LENGTH = LONGEST_HEAD
    site: RelaySite
    connections: Connections
    transport: ITCPTransport

    def __init__(self) -> None:
        super().__init__()
        self._awaiting = _Awaiting.HEAD
        self._silent = True
        self._deadline: IDelayedCall | None = None
        self._closing: IDelayedCall | None = None

    # ── life ──────────────────────────────────────────────────────────────────────────

    def connectionMade(self) -> None:
        """Begin to wait for the first head."""
        super().connectionMade()
        self.connections.opened(self)
        self._await(_Awaiting.HEAD)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override] # Twisted's is unannotated
        """Stop all deadlines and tell the request."""
        self._stop()
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        super().connectionLost(reason)
        self.connections.closed(self)

    def loseConnection(self) -> None:
        """Close when everything is written, and break off if the client does not take it."""
        self._stop()
        super().loseConnection()
        if self._closing is None:
            self._closing = self.connections.clock.callLater(
                self.connections.timeouts.write, self.transport.abortConnection
            )

    def retire(self) -> None:
        """Serve no further request; close at once if none is running."""
        self.persistent = False
        if self._awaiting is _Awaiting.NEXT or (self._awaiting is _Awaiting.HEAD and self._silent):
            self.loseConnection()

    def abort(self) -> None:
        """Break off."""
        self.transport.abortConnection()

    # ── requests ──────────────────────────────────────────────────────────────────────

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the first after an answer begin a new head. A connection that is being closed takes none."""
        if self._closing is not None:
            return
        self._silent = False
        if self._awaiting is _Awaiting.NEXT:
            self._await(_Awaiting.HEAD)
        super().dataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a head that is one endless line."""
        self._refuse(_head_too_large())

    def lineReceived(self, line: bytes) -> None:
        """Refuse folded fields, which Twisted joins, then do as Twisted does.

        See: https://www.rfc-editor.org/rfc/rfc9112#section-5.2
        """
        if line.startswith((b" ", b"\t")):
            self._respondToBadRequestAndDisconnect()
        else:
            super().lineReceived(line)

    def headerReceived(self, line: bytes) -> bool:
        """Refuse framing that another server could read differently, then do as Twisted does.

        See: https://www.rfc-editor.org/rfc/rfc9112#section-6.1
        """
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"content-length" and len(value) > _LONGEST_LENGTH:
            self._refuse(TooLarge("The request body is larger than any limit."))
            return False
        if name == b"transfer-encoding" and (value.lower() != b"chunked" or self._version != b"HTTP/1.1"):
            self._respondToBadRequestAndDisconnect()
            return False
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        """The head is complete: with exactly one valid ``Host``, the body's time begins.

        See: https://www.rfc-editor.org/rfc/rfc9112#section-3.2
        """
        hosts = self.requests[-1].requestHeaders.getRawHeaders(b"host", [])
        least = 0 if self._version == b"HTTP/1.0" else 1
        if least <= len(hosts) <= 1 and all(host_name(host.decode("latin-1")) for host in hosts):
            self._await(_Awaiting.BODY)
            super().allHeadersReceived()
        else:
            self._respondToBadRequestAndDisconnect()

    def allContentReceived(self) -> None:
        """The request is complete; from here on its deadlines are others'."""
        self._await(_Awaiting.ANSWER)
        super().allContentReceived()

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        """While draining, each answer is the last of its connection."""
        if self.connections.draining:
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            return False
        return bool(super().checkPersistence(request, version))

    def requestDone(self, request: Request) -> None:
        """An answer is written; the next head may be here already."""
        self._await(_Awaiting.NEXT)
        super().requestDone(request)

    # ── deadlines ─────────────────────────────────────────────────────────────────────

    def _await(self, what: _Awaiting) -> None:
        self._stop()
        self._awaiting = what
        timeouts = self.connections.timeouts
        if what is _Awaiting.HEAD:
            self._deadline = self.connections.clock.callLater(timeouts.request_head, self._head_overdue)
        elif what is _Awaiting.BODY:
            self._deadline = self.connections.clock.callLater(timeouts.request_body, self._body_overdue)

    def _stop(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _head_overdue(self) -> None:
        if self._silent:
            self.loseConnection()
        else:
            self._refuse(RequestTimeout("The request head did not arrive in time."))

    def _body_overdue(self) -> None:
        self.requests[-1].refuse(RequestTimeout("The request body did not arrive in time."))

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Twisted's one answer to everything that it cannot parse."""
        large = self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders
        self._refuse(_head_too_large() if large else InvalidRequest("This is not a valid HTTP/1.1 request."))

    def timeoutConnection(self) -> None:
        """The connection was idle for too long."""
        self.loseConnection()

    def _refuse(self, error: RelayError) -> None:
        """Answer for a request that was not understood, and so has no resource."""
        self.transport.write(self.site.door.turn_away(self.transport.getPeer(), error))
        self.loseConnection()


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The request head is larger than {LONGEST_HEAD} bytes or has too many fields.")
