"""One client connection on relay's own HTTP/1.1: states, pipelining, deadlines, refusals.

A request that comes in one read, as nearly all do, is read and handed on in one pass; it
arms no timer and makes no buffer. Everything else is bounded: heads and bodies by
absolute deadlines and by size, what comes ahead of its turn by size, a client that does
not read by the write deadline.

See: https://www.rfc-editor.org/rfc/rfc9112#section-9 (read 2026-11)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.errors import RelayError, RequestTimeout, UpstreamTimeout
from relay.exchange import ClientRequest
from relay.outcome import Stage
from relay.web.arriving import Arrival
from relay.web.body import LINGER, BodyReceiver, Received
from relay.web.engine.intake import Intake
from relay.web.engine.known import Awaited, Known
from relay.web.engine.refusal import BadHead
from relay.web.engine.request import EngineRequest
from relay.web.engine.sink import EngineSink
from relay.web.engine.states import ANSWER, BODY, HEAD, IDLE, Transport
from relay.web.engine.turns import AHEAD, Turns
from relay.wire.familiar import outline
from relay.wire.http import HeadError, RequestHead, find_head_end, parse_request_head

if TYPE_CHECKING:
    from relay.web.site import EngineSite

SHORT_LINGER = 1.0
"""The same as `LINGER` for a client that was too slow already."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@implementer(IProtocol)
class EngineChannel(Turns):
    """The requests of one client connection, one after the other.

    Args:
        site: as for `Line`.
    """

    __slots__ = ("_awaited", "_intake", "_known", "_loopback")

    def __init__(self, site: EngineSite) -> None:
        super().__init__(site)
        self._intake: Intake | None = None
        self._awaited: Awaited | None = None  # a known request whose body is not here yet
        self._known: Known | None = None  # the head that came last, if it was plain
        self._loopback = False  # whether the client is on this machine

    # ── life ──────────────────────────────────────────────────────────────────────────

    def makeConnection(self, transport: Transport) -> None:  # type: ignore[override] # a stream's, always
        """A client is there: wait for the first head; see `IProtocol`."""
        self.transport = transport
        self.connectionMade()
        self._loopback = self.site.door.is_loopback(self.local)
        self.site.connections.opened(self)
        self._await_head()

    def connectionLost(self, reason: Failure) -> None:
        """The client has left, or relay has."""
        self._stop_resting()
        self._abandon()
        request, self._request = self._request, None
        if request is not None:
            request.connectionLost(reason)
        self._lost()
        self.site.connections.closed(self)

    def stopProducing(self) -> None:
        """The transport is lost; `connectionLost` tells the rest."""

    # ── bytes ─────────────────────────────────────────────────────────────────────────

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; see `IProtocol`."""
        self._serving = True
        while data:
            state = self._state
            if state is IDLE:
                data = self._begin(data)
            elif state is HEAD:
                data = self._go_on(data)
            elif state is BODY:
                data = self._take_body(data)
            elif state is ANSWER:
                self._keep_for_later(data)
                break
            else:
                break
        self._serving = False

    # ── heads ─────────────────────────────────────────────────────────────────────────

    def _begin(self, data: bytes) -> bytes:
        """Take the first bytes of a request, most often all of it; what is behind it is returned."""
        known = self._known
        if known is not None:
            rest = self._take_known(known, data)
            if rest is not None:
                return rest
        try:
            end = find_head_end(data)
            if end >= 0:
                return self._understand(data, end)
        except HeadError as error:
            self._turn_away(BadHead(error.message, error.status))
            return b""
        self._move(HEAD)
        self._ahead = bytearray(data)
        if self._deadline is None:
            self._await_head()
        return b""

    def _understand(self, data: bytes, end: int) -> bytes:
        """Understand a whole head, which may be known from another connection; what is behind the request is returned.

        Raises:
            HeadError: it is not accepted.
        """
        head = data[:end]
        outlined = outline(head)
        known = self._known = self.site.known.get(outlined)
        rest = self._take_known(known, data) if known is not None else None
        if rest is not None:
            return rest
        return self._take_head(parse_request_head(head, self.site.memo), head, outlined, data[end:])

    def _await_head(self) -> None:
        self._deadline = self.site.wheel.arm(self.site.connections.timeouts.request_head, self._head_overdue)

    def _go_on(self, data: bytes) -> bytes:
        """Take more bytes of a head."""
        ahead = self._ahead or bytearray()
        seen = len(ahead)
        ahead += data
        try:
            end = find_head_end(ahead, seen)
            if end < 0:
                return b""
            whole, self._ahead = bytes(ahead), None
            return self._understand(whole, end)
        except HeadError as error:
            self._turn_away(BadHead(error.message, error.status))
            return b""

    def _take_head(self, head: RequestHead, data: bytes, outlined: bytes, rest: bytes) -> bytes:
        """A head is complete: decide whether its body is wanted, and answer if all of it is here."""
        if self._deadline is not None:
            self._stop_deadline()
        site, length = self.site, head.length
        request = self._request = EngineRequest(self, head)
        self.keep = head.keep_alive and not site.connections.draining
        try:
            request.admit()
            site.known.note(outlined, data, head, request)
            encoding = request.joined(b"content-encoding")
            if (
                length is None
                or length > len(rest)
                or not site.reception.takes_whole(length, request.content_type, encoding)
            ):
                return self._begin_body(request, length, encoding, rest, waits=head.expect_continue)
        except RelayError as error:
            if length is None or length > len(rest):
                self._refuse(error)
                return b""
            self._move(ANSWER)
            site.door.refuse(request, error)
            return rest[length:]
        self._move(ANSWER)
        if length:
            request.received = Received(rest[:length])
        request.process()
        return rest[length:]

    def _take_known(self, known: Known, data: bytes) -> bytes | None:
        """Take a request with a known head: ask who calls, and hand the request on if all of it is here.

        Returns:
            What is behind it; None if it has another head or may be refused, and so has to be read anew.
        """
        found = known.familiar.read(data)
        if found is None:
            return None
        end, length, changed = found
        site, resource = self.site, known.resource
        snapshot = site.reception.configuration.snapshot
        if (
            known.snapshot is not snapshot
            or length > snapshot.server.body
            or site.connections.draining
            or not (known.welcome or not self._loopback or site.door.asks_for_keys())
        ):
            return None
        try:
            key = resource.gateway.identify(known.template.credential)
        except Exception:
            return None  # and be refused as others are
        if self._deadline is not None:
            self._stop_deadline()
        asked = known.request(changed, site.door.ids, self.peer, site.clock.seconds(), key)
        rest = data[end:]
        if length <= len(rest):
            self._move(ANSWER)
            self._hand_on(known, asked, rest[:length])
            return rest[length:]
        if length > AHEAD:
            request = self._request = EngineRequest(self, known.familiar.head)
            request.resemble(known, asked)
            return self._begin_body(request, length, "", rest)
        self._move(BODY)
        self._awaited = Awaited(known, asked, length, rest)
        self._deadline = site.wheel.arm(site.connections.timeouts.request_body, self._body_overdue)
        return b""

    def _hand_on(self, known: Known, bodiless: ClientRequest, body: bytes) -> None:
        """Let the gateway answer a known request."""
        asked = replace(bodiless, body=body)
        sink = EngineSink(self, asked.id, known)
        try:  # the body may be large, and the gateway lets go of it when it can
            known.resource.gateway.exchange(asked, sink).addErrback(self._not_served, known, bodiless, sink)
        except Exception:
            self._not_served(Failure(), known, bodiless, sink)

    def _not_served(self, reason: Failure, known: Known, asked: ClientRequest, sink: EngineSink) -> None:
        """The gateway leaves it to the door to answer a known request."""
        request = EngineRequest(self, known.familiar.head)
        request.resemble(known, asked)
        request.settled = True
        request.startedWriting = int(sink.started)
        if self._pace is sink:
            self._request = request
        else:
            request.connection = None  # the answer is over
        self.site.door.caught(reason, request)

    def _head_overdue(self) -> None:
        self._deadline = None
        if self._state is IDLE:
            self.close()
        else:
            self._turn_away(RequestTimeout("The request head did not arrive in time."), SHORT_LINGER)

    # ── bodies ────────────────────────────────────────────────────────────────────────

    def _begin_body(
        self, request: EngineRequest, length: int | None, encoding: str, rest: bytes, *, waits: bool = False
    ) -> bytes:
        """Receive a body that is not here yet, or is more than its bytes.

        Raises:
            RelayError: it is not wanted.
        """
        site = self.site
        receiver = BodyReceiver(site.reception, pause=self._pause, resume=self._resume, failed=self._refuse)
        receiver.begin(length, request.content_type, encoding)
        self._intake = Intake(receiver, length)
        self._move(BODY)
        self._deadline = site.wheel.arm(site.connections.timeouts.request_body, self._body_overdue)
        if waits and not rest:
            self.transport.write(_CONTINUE)
        return self._take_body(rest)

    def _take_body(self, data: bytes) -> bytes:
        """Take a piece of a body; what is behind its end is returned."""
        awaited = self._awaited
        if awaited is not None:
            return self._take_awaited(awaited, data)
        intake, request = self._intake, self._request
        if intake is None or request is None:
            return b""
        try:
            rest = intake.feed(data)
        except RelayError as error:
            self._refuse(error)
            return b""
        if rest is None:
            self._forward(intake, request)
        if rest is None or intake.abandoned:
            return b""
        self._stop_deadline()
        self._move(ANSWER)
        if intake.arrival is not None:
            self._arrived(intake, intake.arrival, request)
            return rest
        intake.finish().addCallback(self._stored, request).addErrback(self._not_stored, request)
        return rest

    def _take_awaited(self, awaited: Awaited, data: bytes) -> bytes:
        """The same for a known request."""
        rest = awaited.feed(data)
        if rest is None:
            return b""
        self._awaited = None
        self._stop_deadline()
        self._move(ANSWER)
        self._hand_on(awaited.known, awaited.asked, bytes(awaited.body))
        return rest

    def _stored(self, received: Received, request: EngineRequest) -> None:
        self._intake = None
        request.received = received
        request.process()

    def _not_stored(self, reason: Failure, request: EngineRequest) -> None:
        self._intake = None
        self.site.door.failed(request, reason)

    def _forward(self, intake: Intake, request: EngineRequest) -> None:
        """Have a large upload served while it arrives, as soon as that can be."""
        received = intake.forward()
        if received is not None:
            intake.keep, self.keep = self.keep, False  # should the answer begin before the end of the upload
            request.received = received
            request.process()

    def _arrived(self, intake: Intake, arrival: Arrival, request: EngineRequest) -> None:
        """All of an upload is here; the provider may still be taking it."""
        self._intake = None
        try:
            intake.complete()
        except RelayError as error:
            arrival.fail(error)
            return
        self.keep = intake.keep and not request.startedWriting and not self.site.connections.draining

    def _abandon(self) -> None:
        """Drop a body that nobody wants any more."""
        self._awaited = None
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.abandon()
            if intake.arrival is not None:
                intake.arrival.abandon()

    def _body_overdue(self) -> None:
        self._deadline = None
        intake = self._intake
        error: RelayError = RequestTimeout("The request body did not arrive in time.")
        if intake is not None and intake.arrival is not None and intake.arrival.paused:
            text = "The provider did not take the upload in time."
            error = UpstreamTimeout(text, deadline="total", stage=Stage.SEND)
        self._refuse(error, SHORT_LINGER)

    # ── refusals ──────────────────────────────────────────────────────────────────────

    def _refuse(self, error: RelayError, linger: float = LINGER) -> None:
        """Answer a request although it is not complete; it is the last."""
        intake = self._intake
        if intake is not None and intake.arrival is not None:  # the exchange is running: it will say so
            self._intake = None
            self._linger(linger)
            intake.arrival.fail(error)
            return
        awaited = self._awaited
        if awaited is not None:
            self._request = EngineRequest(self, awaited.known.familiar.head)
            self._request.resemble(awaited.known, awaited.asked)
        self._linger(linger)
        if self._request is not None:
            self.site.door.refuse(self._request, error)

    def _turn_away(self, error: RelayError, linger: float = LINGER) -> None:
        """Answer what was not understood; nothing behind it can be."""
        self._linger(linger)
        self.transport.write(self.site.door.turn_away(self.transport.getPeer(), error))
        self._say_goodbye()

    def _linger(self, seconds: float) -> None:
        """From now on drop what comes, for so long."""
        self._abandon()
        super()._linger(seconds)

    def _linger_over(self) -> None:
        """The client had its time. An answer that is still being made closes after itself."""
        self._deadline = None
        if self._request is None:
            self.close()
