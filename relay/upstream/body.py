"""Request bodies on their way up: never faster than the provider takes them."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from relay.exchange import Body, StoredBody

BLOCK = 64 * 1024
"""Bytes handed over at a time; of a spooled body, one more block is read ahead."""


def producer_for(body: bytes | Body) -> IBodyProducer | None:
    """Make the producer of a request body; None for one that is empty.

    Raises:
        TypeError: not all of it is here.
    """
    if isinstance(body, bytes):
        return BytesProducer(body) if body else None
    if not isinstance(body, StoredBody):
        raise TypeError("An upload that is still arriving cannot be sent from its end.")
    return SpooledProducer(body) if body.length else None


@implementer(IBodyProducer)
class BytesProducer:
    """Writes bytes block by block, as long as it is not paused.

    Args:
        body: what to write; not empty.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body
        self._offset = 0
        self._paused = False
        self._stopped = False
        self._consumer: IConsumer | None = None
        self._written: Deferred[None] = Deferred(lambda _: self.stopProducing())

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Begin; fires when everything is written. Never fires once stopped."""
        self._consumer = consumer
        self._produce()
        return self._written

    def pauseProducing(self) -> None:
        """Write no more for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._paused = False
        self._produce()

    def stopProducing(self) -> None:
        """Write no more. Idempotent."""
        self._stopped = True
        self._consumer = None
        self._body = b""

    def _produce(self) -> None:
        while self._consumer is not None and not self._paused and not self._stopped:
            block = self._body[self._offset : self._offset + BLOCK]
            self._offset += len(block)
            self._consumer.write(block)
            if self._offset >= self.length and not self._stopped:
                self.stopProducing()
                self._written.callback(None)


@implementer(IBodyProducer)
class SpooledProducer:
    """Writes a spooled body block by block, reading one block ahead while it waits.

    Args:
        body: what to write; not closed by this object.
    """

    def __init__(self, body: StoredBody) -> None:
        self.length = body.length
        self._body = body
        self._gate: Deferred[None] = succeed(None)
        self._waiting: Deferred[bytes] | Deferred[None] = self._gate
        self._stopped = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Begin; fires when everything is written, fails when reading fails. Never fires once stopped."""
        written: Deferred[None] = Deferred(lambda _: self.stopProducing())
        Deferred.fromCoroutine(self._produce(consumer)).addCallbacks(
            lambda _: None if self._stopped else written.callback(None),
            lambda failure: None if self._stopped else written.errback(failure),
        )
        return written

    def pauseProducing(self) -> None:
        """Write no more for now."""
        if self._gate.called:
            self._gate = Deferred()

    def resumeProducing(self) -> None:
        """Go on."""
        if not self._gate.called:
            self._gate.callback(None)

    def stopProducing(self) -> None:
        """Write no more. Idempotent."""
        self._stopped = True
        self._waiting.cancel()

    async def _produce(self, consumer: IConsumer) -> None:
        offset = 0
        reading = self._read(offset)
        while offset < self.length and not self._stopped:
            self._waiting = reading
            block = await reading
            if not block:
                raise EOFError("A spooled body is shorter than its length.")
            offset += len(block)
            reading = self._read(offset)
            try:
                self._waiting = self._gate
                await self._gate
            except CancelledError:
                reading.addErrback(lambda _: None)
                reading.cancel()
                raise
            consumer.write(block)

    def _read(self, offset: int) -> Deferred[bytes]:
        if offset >= self.length:
            return succeed(b"")
        return Deferred.fromCoroutine(self._body.read(offset, BLOCK))
