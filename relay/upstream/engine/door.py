"""How requests of Twisted's `Agent` go over the engine's connections, and their answers come back."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web._newclient import (
    Request,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
    _ClientRequestProxy,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IClientRequest, IResponse
from zope.interface import implementer

from relay.outcome import Stage
from relay.runtime.wheel import Deadline, Wheel
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.origins import OriginPool, Search
from relay.upstream.engine.taker import Break
from relay.upstream.failures import timed_out
from relay.wire.answer import AnswerHead
from relay.wire.http import Framing

CONNECT = 10.0
"""Seconds that finding a connection may take; all else is bounded by who asks."""

_BREAKS = {
    Break.UNSENT: RequestTransmissionFailed,
    Break.UPLOAD: RequestTransmissionFailed,
    Break.UNANSWERED: ResponseNeverReceived,
    Break.CUT: ResponseFailed,
    Break.MALFORMED: ResponseFailed,
}


class Door:
    """One request of an agent: stands for the connection that the agent asks its pool for.

    Args:
        pool: the connections to the request's origin.
        wheel: bounds the search for one.
    """

    def __init__(self, pool: OriginPool, wheel: Wheel) -> None:
        self._pool = pool
        self._wheel = wheel
        self._search: Search | None = None
        self._deadline: Deadline | None = None
        self._connection: Connection | None = None
        self._request: Request | None = None
        self._opened: Deferred[Door] | None = None
        self._answered: Deferred[IResponse] | None = None

    def open(self) -> Deferred[Door]:
        """Find a connection; fires with this object."""
        opened: Deferred[Door] = Deferred(self._cancelled)
        self._opened = opened
        connection = self._pool.take()
        if connection is None:
            self._seek(fresh=False)
        else:
            self.found(connection)
        return opened

    def request(self, request: Request) -> Deferred[IResponse]:
        """Send; fires when the answer's head is here. Cancelling aborts."""
        self._request = request
        answered: Deferred[IResponse] = Deferred(self._cancelled)
        self._answered = answered
        self._write()
        return answered

    # ── a connection ──────────────────────────────────────────────────────────────────

    def _seek(self, *, fresh: bool) -> None:
        self._deadline = self._wheel.arm(CONNECT, self._late)
        try:
            search = self._pool.seek(self, fresh=fresh)
        except Exception as error:
            self._fail(error)
            return
        self._search = None if search.over else search

    def found(self, connection: Connection) -> None:
        """Here is a connection."""
        self._stop_search()
        self._connection = connection
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.callback(self)
        else:
            self._write()

    def unreachable(self, error: Exception) -> None:
        """There is none."""
        self._stop_search()
        self._fail(error)

    def _late(self) -> None:
        search = self._search
        self._stop_search()
        if search is not None:
            search.cancel()
        self._fail(timed_out("connect", Stage.CONNECT, ""))

    def _write(self) -> None:
        connection, request = self._connection, self._request
        if connection is None or request is None:
            raise RuntimeError("There is nothing to send, or nowhere to.")
        connection.begin(self, request.method)
        connection.upload(request.writeTo(connection.transport))

    # ── the answer, told by the connection ────────────────────────────────────────────

    def answered(self, head: AnswerHead) -> Answer | None:
        """The head is here."""
        connection, request, answered = self._connection, self._request, self._answered
        if connection is None or request is None or answered is None:
            return None
        self._connection = self._answered = None
        return Answer(connection, request, head, answered)

    def announced(self) -> None:
        """There is nothing here to announce."""

    def took(self, data: bytes) -> None:
        """There is no body before the head."""

    def ended(self) -> None:
        """There is no end before the head."""

    def broken(self, how: Break, cause: Exception) -> None:
        """There is no answer; a request without a body is sent once more if a kept connection had died."""
        connection, self._connection = self._connection, None
        request = self._request
        dead = how is Break.UNANSWERED and connection is not None and connection.reused
        if dead and request is not None and request.bodyProducer is None:
            self._seek(fresh=True)
        else:
            self._fail(_BREAKS[how]([Failure(cause)]))

    # ── the end ───────────────────────────────────────────────────────────────────────

    def _cancelled(self, _: object) -> None:
        """Nobody waits any more."""
        self._opened = self._answered = None
        connection, self._connection = self._connection, None
        search = self._search
        self._stop_search()
        if connection is not None:
            connection.drop()
        if search is not None:
            search.cancel()

    def _fail(self, error: Exception) -> None:
        self._stop_search()
        opened, answered = self._opened, self._answered
        self._opened = self._answered = None
        for waiting in (opened, answered):
            if waiting is not None:
                waiting.errback(error)

    def _stop_search(self) -> None:
        self._search = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@implementer(IResponse, IPushProducer)
class Answer:
    """An answer as Twisted's agents give it; also the transport that its body's protocol sees.

    Args:
        connection: carries it.
        request: what was asked.
        head: its head.
        announce: fires with this answer.
    """

    def __init__(
        self, connection: Connection, request: Request, head: AnswerHead, announce: Deferred[IResponse]
    ) -> None:
        self.version = (b"HTTP", *head.version)
        self.code = head.status
        self.phrase = HTTPStatus(head.status).phrase.encode("ascii") if head.status in _KNOWN else b""
        self.headers = Headers()
        for name, value in head.fields:
            self.headers.addRawHeader(name, value)
        unknown = head.framing in (Framing.CHUNKED, Framing.EOF)
        self.length: object = UNKNOWN_LENGTH if unknown else head.length
        self.request: IClientRequest = _ClientRequestProxy(request)
        self.previousResponse: IResponse | None = None
        self._announce: Deferred[IResponse] | None = announce
        self._connection: Connection | None = connection
        self._protocol: IProtocol | None = None
        self._held: list[bytes] = []
        self._end: Failure | None = None

    def setPreviousResponse(self, response: IResponse) -> None:
        """Remember the answer that redirected to this one."""
        self.previousResponse = response

    def deliverBody(self, protocol: IProtocol) -> None:
        """Hand the body to a protocol."""
        if self._protocol is not None:
            raise RuntimeError("The body is being delivered already.")
        self._protocol = protocol
        protocol.makeConnection(cast("ITransport", self))
        held, self._held = self._held, []
        for data in held:
            protocol.dataReceived(data)
        if self._end is not None:
            protocol.connectionLost(self._end)
        elif self._connection is not None:
            self._connection.resume()

    # ── Taker, told by the connection ─────────────────────────────────────────────────

    def answered(self, head: AnswerHead) -> Answer:
        """It has been answered already."""
        raise RuntimeError("There was a head before.")

    def announced(self) -> None:
        """What came along with the head is here: tell the caller."""
        announce, self._announce = self._announce, None
        if announce is not None:
            announce.callback(self)
        if self._protocol is None and self._connection is not None:
            self._connection.pause()

    def took(self, data: bytes) -> None:
        """A piece of the body."""
        if self._protocol is None:
            self._held.append(data)
        else:
            self._protocol.dataReceived(data)

    def ended(self) -> None:
        """The message is whole."""
        self._over(Failure(ResponseDone("The answer is whole.")))

    def broken(self, how: Break, cause: Exception) -> None:
        """There will be no more of it."""
        self._over(Failure(ResponseFailed([Failure(cause)])))

    def _over(self, reason: Failure) -> None:
        self._connection = None
        self._end = reason
        if self._protocol is not None:
            self._protocol.connectionLost(reason)

    # ── the transport of the body's protocol ──────────────────────────────────────────

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if self._connection is not None:
            self._connection.pause()

    def resumeProducing(self) -> None:
        """Read on."""
        if self._connection is not None:
            self._connection.resume()

    def stopProducing(self) -> None:
        """Read no more, ever."""
        self.abortConnection()

    def loseConnection(self) -> None:
        """Read no more, ever."""
        self.abortConnection()

    def abortConnection(self) -> None:
        """Drop the connection, unless the message is whole; the protocol is told at once."""
        if self._connection is not None:
            self._connection.drop()
            self.broken(Break.CUT, ConnectionAborted())


_KNOWN = frozenset(HTTPStatus)
