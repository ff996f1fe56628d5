"""An upload that is handed on while it arrives: a little of it waits here, and the two ends pace each other."""

from __future__ import annotations

import enum
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface import implementer

from relay.errors import RelayError
from relay.interfaces import IArrivingBody

QUEUE = 64 * 1024
"""Bytes that may wait before the client is asked to pause; one more read of its socket may follow them."""

Edit = tuple[int, int, bytes]
"""The bytes from one offset up to another are exchanged for these."""


class _State(enum.Enum):
    """What becomes of bytes.

    ``WAITING → FLOWING ⇄ HELD``: nobody takes them yet, they are handed on at once, or the
    taker is full. All three end in ``OVER``: everything was handed on, nobody wants the
    rest, or it will not come.
    """

    WAITING = "waiting"
    FLOWING = "flowing"
    HELD = "held"
    OVER = "over"


class Arrival:
    """The bytes of one upload on their way from the client to whoever takes them. It can be taken once.

    The client's side calls `write` any number of times, then `finish`; or `fail`, or
    `abandon`. What has been handed on is never all of it before `finish`.

    Args:
        begun: what is here already.
        pause: called when the client has to wait.
        resume: called when it may go on, once for each ``pause``.

    Attributes:
        received: bytes that have come from the client.
        paused: whether the client has to wait.
    """

    def __init__(self, begun: bytes, *, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self.received = len(begun)
        self._pause = pause
        self._resume = resume
        self._state = _State.WAITING
        self._waiting = bytearray(begun)
        self.paused = False
        self._complete = False
        self._failed: Callable[[RelayError], None] | None = None
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] | None = None
        self._bound()

    @property
    def begun(self) -> bool:
        """Whether somebody takes it, or nobody can any more."""
        return self._state is not _State.WAITING

    # ── the client's side ─────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """Take the next bytes; dropped once it is over."""
        self.received += len(data)
        if self._state is _State.FLOWING and self._consumer is not None:
            self._consumer.write(data)
        elif self._state is not _State.OVER:
            self._waiting += data
            self._bound()

    def finish(self) -> None:
        """All of it has come."""
        self._complete = True
        self._end_when_empty()

    def fail(self, error: RelayError) -> None:
        """The rest will not come; whoever takes it is told why."""
        if self._state is not _State.OVER:
            failed = self._failed
            self.abandon()
            if failed is not None:
                failed(error)

    def abandon(self) -> None:
        """Hand on no more, and tell nobody; the client is read on. Idempotent."""
        self._state = _State.OVER
        self._waiting.clear()
        self._failed = self._consumer = self._done = None
        self._let_go_on()

    # ── the taker's side ──────────────────────────────────────────────────────────────

    def watch(self, failed: Callable[[RelayError], None]) -> None:
        """Call ``failed`` when `fail` is, as long as it is not over."""
        if self._state is not _State.OVER:
            self._failed = failed

    def start(self, consumer: IConsumer, edits: tuple[Edit, ...]) -> Deferred[None]:
        """Hand everything on.

        Args:
            consumer: takes it.
            edits: what to change in the bytes that are here, one after the other.

        Returns:
            Fires behind the last byte; never if there is none. Cancelling is `stopProducing`.

        Raises:
            RuntimeError: it was handed on before, or is over.
        """
        if self._state is not _State.WAITING:
            raise RuntimeError("An upload that is still arriving can be sent once.")
        for start, end, data in edits:
            self._waiting[start:end] = data
        self._consumer = consumer
        done = self._done = Deferred(lambda _: self.stopProducing())
        self._flow()
        return done

    def pauseProducing(self) -> None:
        """The taker is full."""
        if self._state is _State.FLOWING:
            self._state = _State.HELD

    def resumeProducing(self) -> None:
        """The taker has room."""
        if self._state is _State.HELD:
            self._flow()

    def stopProducing(self) -> None:
        """The taker wants no more. Idempotent."""
        self.abandon()

    def holds(self, end: int) -> bool:
        """Whether the bytes up to an offset are here, and nobody has taken them."""
        return self._state is _State.WAITING and end <= len(self._waiting)

    def _flow(self) -> None:
        self._state = _State.FLOWING
        if self._waiting and self._consumer is not None:
            data = bytes(self._waiting)
            self._waiting.clear()
            self._consumer.write(data)
        self._let_go_on()
        self._end_when_empty()

    def _end_when_empty(self) -> None:
        done = self._done
        if self._complete and done is not None and not self._waiting:
            self.abandon()
            done.callback(None)

    def _bound(self) -> None:
        if len(self._waiting) > QUEUE and not self.paused:
            self.paused = True
            self._pause()

    def _let_go_on(self) -> None:
        if self.paused:
            self.paused = False
            self._resume()


@implementer(IArrivingBody)
class ArrivingBody:
    """An upload as the exchange sees it: a `relay.exchange.Body` that can be sent once, while it arrives.

    What `replaced` returns is a view of the same arrival.

    Args:
        arrival: the bytes.
        length: how many there will be, changes included; None if the client has not said.
        edits: what is changed in them.
    """

    def __init__(self, arrival: Arrival, length: int | None, edits: tuple[Edit, ...] = ()) -> None:
        self._arrival = arrival
        self._edits = edits
        self.length = length

    @property
    def received(self) -> int:
        """Bytes that have come from the client."""
        return self._arrival.received

    @property
    def repeatable(self) -> bool:
        """Whether it can still be sent from its beginning: once."""
        return not self._arrival.begun

    def replaced(self, start: int, end: int, data: bytes) -> ArrivingBody:
        """The same body with the bytes from ``start`` up to ``end`` exchanged for ``data``.

        Raises:
            ValueError: they are not here, or not any more.
        """
        grown = sum(len(new) - (until - since) for since, until, new in self._edits)
        if not self._arrival.holds(end - grown):
            raise ValueError("Only what is here of an upload can be changed.")
        length = None if self.length is None else self.length + len(data) - (end - start)
        return ArrivingBody(self._arrival, length, (*self._edits, (start, end, data)))

    def close(self) -> None:
        """Hand on no more of it. Idempotent."""
        self._arrival.abandon()

    # ── IArrivingBody ─────────────────────────────────────────────────────────────────

    def watch(self, failed: Callable[[RelayError], None]) -> None:
        """See `Arrival.watch`."""
        self._arrival.watch(failed)

    def start(self, consumer: IConsumer) -> Deferred[None]:
        """See `Arrival.start`."""
        return self._arrival.start(consumer, self._edits)

    def pauseProducing(self) -> None:
        """See `Arrival.pauseProducing`."""
        self._arrival.pauseProducing()

    def resumeProducing(self) -> None:
        """See `Arrival.resumeProducing`."""
        self._arrival.resumeProducing()

    def stopProducing(self) -> None:
        """See `Arrival.stopProducing`."""
        self._arrival.stopProducing()
