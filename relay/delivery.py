"""The client's side of one streamed answer: holding back, committing, keeping alive.

An attempt's bytes are held back until they carry content. Until then the exchange is
*uncommitted*: the attempt may fail and become an HTTP status. After one heartbeat
interval of silence the head goes out and heartbeats start; that does not commit.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from relay.dialects.transcode import Transcoder
from relay.errors import RelayError
from relay.exchange import GAP_BOUNDS, Headers
from relay.interfaces import ISink


class State(enum.Enum):
    """How much the client has seen.

    HELD: nothing. OPEN: the head and heartbeats. COMMITTED: content. CLOSED: the end.
    """

    HELD = "held"
    OPEN = "open"
    COMMITTED = "committed"
    CLOSED = "closed"


@implementer(ISink)
class Delivery:
    """An `ISink` in front of the client's sink, for the bytes of streamed attempts.

    Args:
        sink: the client's side.
        clock: for heartbeats; ``seconds()`` is taken as monotonic.
        interval: seconds of silence before a heartbeat; 0 sends none.
        beat: the heartbeat's bytes.
        head: the header fields used when the head must go out before an attempt's is known.
        render: an error as in-stream bytes, while no attempt has an answer to do that itself.
        survives: whether the answer goes on when the client leaves.
    """

    __slots__ = (
        "_beat",
        "_claim",
        "_clock",
        "_head",
        "_held",
        "_interval",
        "_last",
        "_render",
        "_sink",
        "_status",
        "_survives",
        "_timer",
        "_transcoder",
        "bytes_out",
        "committed_at",
        "gap_sum",
        "gaps",
        "state",
    )

    def __init__(
        self,
        sink: ISink,
        clock: IReactorTime,
        interval: float,
        beat: bytes,
        head: Headers,
        render: Callable[[RelayError], bytes],
        *,
        survives: bool = False,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._interval = interval
        self._beat = beat
        self._status = 200
        self._head = head
        self._render = render
        self._claim: Callable[[], bool] | None = None
        self._survives = survives
        self._held: list[bytes] = []
        self._transcoder: Transcoder | None = None
        self._timer: IDelayedCall | None = None
        self._last = clock.seconds()
        self.state = State.HELD
        self.committed_at: float | None = None
        self.gaps = [0] * (len(GAP_BOUNDS) + 1)
        self.gap_sum = 0.0
        self.bytes_out = 0

    # ── lifecycle, called by the gateway ──────────────────────────────────────────────

    def start_heartbeats(self) -> None:
        """Begin to count silence."""
        if self._interval > 0:
            self._timer = self._clock.callLater(self._interval, self._silence)

    def no_events(self) -> None:
        """The answer is no event stream: heartbeats have no place in it."""
        self._stop_heartbeats()

    def _stop_heartbeats(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def attempt(
        self, transcoder: Transcoder, status: int, head: Headers, claim: Callable[[], bool] | None = None
    ) -> None:
        """Make way for an attempt's answer; what an earlier attempt left behind is dropped.

        Args:
            transcoder: makes the answer's bytes.
            status: of the answer.
            head: its header fields.
            claim: asked before the first content goes out; False gives way to another attempt's answer.
        """
        self._claim = claim
        self._held.clear()
        self._transcoder = transcoder
        self._status = status
        self._head = head

    def hand_over(self, sink: ISink) -> None:
        """Let somebody else take the rest of the answer."""
        self._sink = sink

    def finish(self) -> None:
        """The answer is whole: send what is held, and end."""
        if self.state is not State.CLOSED:
            self._commit()
        if self.state is not State.CLOSED:
            self._sink.end()
        self.close()

    def fail(self, error: RelayError) -> None:
        """The answer is not whole: send an in-stream error, or break off where there is no form for one."""
        data = self._render(error) if self._transcoder is None else self._transcoder.fail(error)
        if data:
            self._sink.write(data)
            self.bytes_out += len(data)
            self._sink.end()
        else:
            self._sink.abort()
        self.close()

    def close(self) -> None:
        """Stop the heartbeats and let go of everything held. Idempotent."""
        self.state = State.CLOSED
        self._transcoder = None  # it knows the attempt, which knows this: a cycle would wait for the collector
        self._held.clear()
        self._stop_heartbeats()

    @property
    def carries_error(self) -> bool:
        """Whether the provider's own in-stream error has been passed on already."""
        transcoder = self._transcoder
        return self.state is State.COMMITTED and transcoder is not None and transcoder.error is not None

    # ── ISink, called by the upstream response ────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """Pass on, or hold back while there is no content yet."""
        if self.state is State.COMMITTED:
            now = self._clock.seconds()
            gap = now - self._last
            self._last = now
            self.gaps[bisect_left(GAP_BOUNDS, gap)] += 1
            self.gap_sum += gap
            self.bytes_out += len(data)
            self._sink.write(data)
        elif self.state is not State.CLOSED:
            self._hold(data)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        transcoder = self._transcoder
        if transcoder is not None and transcoder.started and transcoder.error is None:
            self._commit()

    def _commit(self) -> None:
        if self.state is State.COMMITTED:
            return
        if self._claim is not None and not self._claim():
            self.close()
            return
        self._open()
        self.state = State.COMMITTED
        self._last = self.committed_at = self._clock.seconds()
        data = b"".join(self._held)
        self._held.clear()
        self.bytes_out += len(data)
        if data:
            self._sink.write(data)

    def _open(self) -> None:
        if not self._sink.started:
            self._sink.start(self._status, self._head)
        if self.state is State.HELD:
            self.state = State.OPEN

    def _silence(self) -> None:
        """A heartbeat is due, unless something was written in the meantime."""
        quiet = self._clock.seconds() - self._last
        if quiet >= self._interval:
            self._open()
            self._sink.write(self._beat)
            quiet = 0.0
            if self.state is not State.COMMITTED:
                self._last = self._clock.seconds()
        self._timer = self._clock.callLater(self._interval - quiet, self._silence)

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Let the client's pace reach the upstream."""
        self._sink.registerProducer(_Steady(producer) if self._survives else producer, streaming)

    def unregisterProducer(self) -> None:
        """Undo `registerProducer`."""
        self._sink.unregisterProducer()

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """Pass on to the client's sink."""
        self._sink.on_gone(callback)

    @property
    def started(self) -> bool:
        """Whether the client has seen the head."""
        return self._sink.started

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._sink.gone

    def start(self, status: int, headers: Headers) -> None:
        """Send the head now."""
        self._sink.start(status, headers)

    def end(self) -> None:
        """End the answer tidily."""
        self.finish()

    def abort(self) -> None:
        """Break off."""
        self._sink.abort()
        self.close()


@implementer(IPushProducer)
class _Steady:
    """A producer that goes on when its consumer goes: what it yields then is only counted."""

    __slots__ = ("_producer",)

    def __init__(self, producer: IPushProducer) -> None:
        self._producer = producer

    def pauseProducing(self) -> None:
        """Pass on."""
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Pass on."""
        self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """The client has left: nobody holds the upstream back any more."""
        self._producer.resumeProducing()
