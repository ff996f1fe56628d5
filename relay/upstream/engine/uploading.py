"""An exchange whose request is sent while it arrives: once, over a connection that has not been waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from relay.exchange import Body, UpstreamRequest
from relay.interfaces import IArrivingBody
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.origins import OriginPool
from relay.upstream.engine.response import EngineResponse
from relay.upstream.engine.taker import Break

_LAST_CHUNK = b"0\r\n\r\n"


class UploadResponse(EngineResponse):
    """The same as `EngineResponse` for a body that is an `IArrivingBody`.

    A kept connection may prove dead when it is used, and the bytes that were lost with it
    cannot be had again. So a new one is opened unless there is no room for it, and there
    is one attempt. ``first_byte`` counts from the last byte of the body; until then, it
    is the client's deadline that holds.
    """

    __slots__ = ()

    def start(self) -> Deferred[Any]:
        """Send; see `Sending.start`."""
        pool, request = self._pool, self._request
        if pool is None or request is None:
            raise RuntimeError("A sending can be started once.")
        sent = self._sent = Deferred(self._cancelled)
        now = self._wheel.seconds()
        total = self._timeouts.stream_total if self._streamed else self._timeouts.total
        if total is not None:
            self._end = now + total
        connection = pool.take() if pool.full else None
        if connection is None:
            self._seek(pool, fresh=False)
        else:
            self._ask(connection, pool, request, now)
        return sent

    def broken(self, how: Break, cause: Exception) -> None:
        """The connection brought no answer, or not all of it; there is no other try."""
        self._pool = None
        super().broken(how, cause)

    def _ask(self, connection: Connection, pool: OriginPool, request: UpstreamRequest, now: float) -> None:
        super()._ask(connection, pool, request, now)
        if self._connection is connection and connection.sending:
            connection.watch.set(self._end, self._expired)

    def _producer(self, body: bytes | Body) -> IBodyProducer:
        return Outflow(_arriving(body), self._written)

    def _written(self) -> None:
        """The last byte of the request is written."""
        connection = self._connection
        if self._streamed and not self.status and connection is not None:
            due = self._wheel.seconds() + self._timeouts.first_byte
            connection.watch.set(min(due, self._end), self._expired)


@implementer(IBodyProducer)
class Outflow:
    """Writes an arriving body to a connection, in chunks where its length is not known.

    Args:
        body: what to write.
        written: called when all of it is written.
    """

    def __init__(self, body: IArrivingBody, written: Callable[[], None]) -> None:
        self.length: object = UNKNOWN_LENGTH if body.length is None else body.length
        self._body = body
        self._written = written
        self._chunked = body.length is None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Begin; fires when everything is written. Never fires once stopped."""
        if not self._chunked:
            return self._body.start(consumer).addCallback(lambda _: self._written())
        return self._body.start(_Chunks(consumer)).addCallback(self._end, consumer)

    def pauseProducing(self) -> None:
        """Write no more for now."""
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on."""
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        """Write no more. Idempotent."""
        self._body.stopProducing()

    def _end(self, _: None, consumer: IConsumer) -> None:
        consumer.write(_LAST_CHUNK)
        self._written()


@implementer(IConsumer)
class _Chunks:
    """Writes each piece as a chunk."""

    def __init__(self, consumer: IConsumer) -> None:
        self._consumer = consumer

    def write(self, data: bytes) -> None:
        """Write a piece, which is not empty."""
        self._consumer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """The connection is paced already."""

    def unregisterProducer(self) -> None:
        """The same."""


def _arriving(body: bytes | Body) -> IArrivingBody:
    return cast("IArrivingBody", body)
