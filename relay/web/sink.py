"""The client's side of one exchange: an `ISink` over a Twisted request."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.exchange import Headers
from relay.interfaces import ISink

if TYPE_CHECKING:
    from relay.web.stock import StockRequest

PIECE = 64 * 1024
"""Bytes handed to the transport at once; its own buffer is full at as many."""

EVENTS = b"text/event-stream"
STREAM_HEAD: Headers = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""Tells proxies in front of relay to pass events on at once."""


@implementer(ISink, IPushProducer)
class RequestSink:
    """Writes an answer at the pace at which its client reads.

    The transport says when its buffer is full and when it is empty again. In between,
    the sink hands nothing on and pauses the producer; a client that takes nothing for
    ``patience`` seconds is cut off. Large writes are cut into pieces, so that each pause
    ends after a bounded number of bytes and a slow client is told from a stalled one.

    Args:
        request: the request to answer.
        clock: runs the deadline.
        patience: seconds a client may leave the transport's buffer full.
    """

    def __init__(self, request: StockRequest, clock: IReactorTime, patience: float) -> None:
        self._request = request
        self._clock = clock
        self._patience = patience
        self._waiting: deque[bytes] = deque()
        self._full = False
        self._holding = False  # whether the producer has been paused
        self._ending = False
        self._over = False
        self._deadline: IDelayedCall | None = None
        self._producer: IPushProducer | None = None
        self._callback: Callable[[], None] | None = None
        self.started = False
        self.gone = request.gone
        request.notifyFinish().addCallbacks(self._finished, self._lost)

    # ── the answer ────────────────────────────────────────────────────────────────────

    def start(self, status: int, headers: Headers) -> None:
        """Write the head; the fields of every answer are added to these."""
        self.started = True
        if self.gone:
            return
        media = next((value for name, value in headers if name == b"content-type"), b"")
        added = STREAM_HEAD if media.lower().startswith(EVENTS) else ()
        self._request.registerProducer(self, streaming=True)
        self._request.head(status, (*headers, *added))

    def write(self, data: bytes) -> None:
        """Write a piece of the body; dropped when the client has gone or the answer has ended."""
        if self.gone or self._ending or not data:
            return
        if self._full or len(data) > PIECE:
            self._waiting.extend(data[at : at + PIECE] for at in range(0, len(data), PIECE))
            self._drain()
        else:
            self._request.write(data)

    def end(self) -> None:
        """Finish the answer as soon as the client has taken what was written before."""
        if not self.gone and not self._ending:
            self._ending = True
            self._drain()

    def abort(self) -> None:
        """Break the connection; what the client has not taken yet is lost."""
        if not self.gone and not self._over:
            self._request.abort()

    def on_gone(self, callback: object) -> None:
        """Call back once when the client leaves, at once if it has left; None takes it back."""
        self._callback = cast("Callable[[], None] | None", callback)
        if self.gone:
            self._tell()

    # ── the client's pace ─────────────────────────────────────────────────────────────

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Let the client's pace pause and resume a push producer."""
        if self._producer is not None:
            raise RuntimeError("A producer is registered already.")
        self._producer = producer
        self._holding = False
        if self.gone:
            producer.stopProducing()
        elif self._full:
            self._hold()

    def unregisterProducer(self) -> None:
        """Undo `registerProducer`. Idempotent."""
        self._producer = None

    def pauseProducing(self) -> None:
        """The transport's buffer is full. It says so on each further write, too."""
        if self._full:
            return
        self._full = True
        self._deadline = self._clock.callLater(self._patience, self._stalled)
        self._hold()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty: hand on what waits, then let the producer go on."""
        self._full = False
        self._stop_deadline()
        self._drain()
        if not self._full and self._holding and self._producer is not None:
            self._holding = False
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is lost; `notifyFinish` tells the rest."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()

    def _hold(self) -> None:
        if self._producer is not None and not self._holding:
            self._holding = True
            self._producer.pauseProducing()

    def _drain(self) -> None:
        while self._waiting and not self._full and not self.gone:
            self._request.write(self._waiting.popleft())
        if self._ending and not self._waiting and not self._full and not self.gone:
            self._finish()

    def _finish(self) -> None:
        self._over = True
        self._producer = None
        if self.started:
            self._request.unregisterProducer()
        self._request.finish()

    def _stalled(self) -> None:
        self._deadline = None
        self._request.abort()

    def _stop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    # ── the end ───────────────────────────────────────────────────────────────────────

    def _finished(self, _: None) -> None:
        self._callback = None

    def _lost(self, _: Failure) -> None:
        self.gone = True
        self._waiting.clear()
        self._stop_deadline()
        self.stopProducing()
        self._tell()

    def _tell(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()
