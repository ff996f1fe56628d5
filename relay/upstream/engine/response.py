"""An answer that came over the engine: its head is here, its body is read or streamed."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from relay.dialects.transcode import Transcoder
from relay.errors import RelayError, UpstreamError, UpstreamProtocol
from relay.exchange import Headers
from relay.interfaces import ISink, IUpstreamResponse
from relay.outcome import Stage
from relay.provider import Timeouts
from relay.runtime.wheel import Deadline, Wheel
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.failures import cut_off, in_body
from relay.upstream.engine.taker import Break
from relay.upstream.failures import timed_out
from relay.wire.http import ResponseHead

GRACE = 1.0
"""Seconds that a message may take to end behind its terminal event, if its connection is to be kept."""

_UNBOUNDED = 1 << 62


@implementer(IUpstreamResponse, IPushProducer)
class EngineResponse:
    """One answer, and the `Taker` of its body; at most one of `read` and `stream` is called.

    Until then, what came along with the head is held, and reading pauses. Its deadlines
    run from the beginning; a streamed answer has to be taken within ``idle``.

    Args:
        connection: carries the answer.
        status: HTTP status.
        headers: its fields, but for those that are nobody's business.
        wheel: runs the deadlines.
        deployment: the deployment's name, for errors.
        timeouts: how long each deadline is.
        streamed: whether a streamed answer was asked for; decides which deadlines hold.
        total: the deadline for the whole exchange, which runs already; `late_in_total` is called when it passes.
        announce: fires with this answer.
    """

    __slots__ = (
        "_announce",
        "_connection",
        "_deployment",
        "_idle",
        "_late",
        "_limit",
        "_paused",
        "_pieces",
        "_result",
        "_sink",
        "_size",
        "_streamed",
        "_timeouts",
        "_total",
        "_transcoder",
        "_wheel",
        "headers",
        "status",
    )

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: Headers,
        wheel: Wheel,
        deployment: str,
        timeouts: Timeouts,
        total: Deadline | None,
        announce: Deferred[IUpstreamResponse],
        *,
        streamed: bool,
    ) -> None:
        self.status = status
        self.headers = headers
        self._connection: Connection | None = connection
        self._wheel = wheel
        self._deployment = deployment
        self._timeouts = timeouts
        self._streamed = streamed
        self._total = total
        self._idle: Deadline | None = None
        self._announce: Deferred[IUpstreamResponse] | None = announce
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = _UNBOUNDED
        self._paused = False
        self._late: RelayError | None = None
        self._result: Deferred[bytes] | Deferred[None] | None = None
        self._transcoder: Transcoder | None = None
        self._sink: ISink | None = None

    # ── IUpstreamResponse ─────────────────────────────────────────────────────────────

    def read(self, limit: int) -> Deferred[bytes]:
        """Take the whole body, of at most so many bytes."""
        if self._late is not None:
            return fail(self._late)
        if self._connection is None and self._size <= limit:
            return succeed(self._body())
        self._limit = limit
        result: Deferred[bytes] = Deferred(self._cancelled)
        self._result = result
        if self._size > limit:
            self._too_large()
        elif self._connection is not None:
            if self._streamed and self._total is None:
                # An answer that is not streamed after all: nothing else bounds it as a whole.
                self._total = self._wheel.arm(self._timeouts.total, self.late_in_total)
            self._watch_idle()
            self._connection.resume()
        return result

    def stream(self, transcoder: Transcoder, sink: ISink) -> Deferred[None]:
        """Feed the body through the transcoder into the sink, at the sink's pace.

        Besides what `IUpstreamResponse` says: fires, too, when ``transcoder.error`` is
        set; its bytes are written then, and the caller decides what comes of it.
        The header fields are let go.
        """
        if self._late is not None:
            return fail(self._late)
        result: Deferred[None] = Deferred(self._cancelled)
        self._result = result
        self._transcoder, self._sink = transcoder, sink
        self.headers = ()  # they would outweigh everything else here for as long as the stream lasts
        sink.registerProducer(self, True)
        if not self._paused:
            self._watch_idle()
        if self._pieces:
            self.took(self._body())
        if self._result is not None:
            if self._connection is None:
                self._finish_clean(transcoder)
            elif not self._paused:
                self._connection.resume()
        return result

    def abort(self) -> None:
        """Drop the connection at once, unless the answer is already whole. Idempotent."""
        self._stop_deadlines()
        connection = self._connection
        if connection is None:
            return
        if self._result is None:
            self._late = cut_off(self._deployment)
            self._connection = None
            connection.drop()
        else:
            connection.cut()

    # ── Taker, told by the connection ─────────────────────────────────────────────────

    def answered(self, head: ResponseHead) -> EngineResponse:
        """It has been answered already."""
        raise AssertionError("a second head")

    def announced(self) -> None:
        """What came along with the head is here: tell the caller, who takes the body now or later."""
        announce, self._announce = self._announce, None
        if announce is not None:
            announce.callback(self)
        if self._result is None and self._connection is not None:
            self._connection.pause()
            self._watch_idle()

    def took(self, data: bytes) -> None:
        """A piece of the body."""
        idle, transcoder = self._idle, self._transcoder
        if idle is not None:
            idle.touch()
        if transcoder is not None:
            try:
                out = transcoder.feed(data)
            except UpstreamError as error:
                self._fail(error)
                return
            if out and self._sink is not None:
                self._sink.write(out)
            if transcoder.done or transcoder.error is not None:
                self._finish()
            return
        self._size += len(data)
        self._pieces.append(data)
        if self._size > self._limit:
            self._too_large()

    def ended(self) -> None:
        """The message is whole."""
        self._connection = None
        if self._result is None:
            if self._total is not None or self._idle is not None:
                self._stop_deadlines()
        elif self._transcoder is None:
            self._succeed(self._body())
        else:
            self._finish_clean(self._transcoder)

    def broken(self, how: Break, cause: Exception) -> None:
        """There will be no more of it."""
        self._connection = None
        self._fail(in_body(how, cause, self._deployment))

    # ── IPushProducer, told by the sink ───────────────────────────────────────────────

    def pauseProducing(self) -> None:
        """The sink is full: its owner's slowness is not the provider's silence."""
        self._paused = True
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._connection is not None:
            self._connection.pause()

    def resumeProducing(self) -> None:
        """The sink takes more."""
        self._paused = False
        if self._connection is not None and self._result is not None:
            self._watch_idle()
            self._connection.resume()

    def stopProducing(self) -> None:
        """The sink takes no more, ever: its owner left."""
        if self._connection is not None:
            self._connection.cut()

    # ── streaming ─────────────────────────────────────────────────────────────────────

    def _finish_clean(self, transcoder: Transcoder) -> None:
        """The body has ended cleanly."""
        try:
            last = transcoder.end()
        except UpstreamError as error:
            self._fail(error)
            return
        if last and self._sink is not None:
            self._sink.write(last)
        self._finish()

    def _finish(self) -> None:
        """The stream is over, whether or not the message is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drain(GRACE)
        self._succeed(None)

    # ── the end ───────────────────────────────────────────────────────────────────────

    def late_in_total(self) -> None:
        """The deadline for the whole has passed."""
        self._expired("total")

    def _expired(self, deadline: str) -> None:
        self._fail(timed_out(deadline, Stage.STREAM, self._deployment))

    def _late_in_idle(self) -> None:
        self._expired("idle")

    def _too_large(self) -> None:
        text = "The provider's answer is larger than relay accepts."
        self._fail(UpstreamProtocol(text, stage=Stage.STREAM, deployment=self._deployment))

    def _succeed(self, value: bytes | None) -> None:
        result = self._release()
        if result is not None:
            result.callback(value)  # type: ignore[arg-type]  # bytes for `read`, None for `stream`

    def _fail(self, error: RelayError) -> None:
        """End badly; told to who takes the body, now or later."""
        self._drop()
        result = self._release()
        if result is None:
            self._late = error
        else:
            result.errback(error)

    def _cancelled(self, _: object) -> None:
        """Nobody waits any more."""
        self._drop()
        self._release()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def _release(self) -> Deferred[bytes] | Deferred[None] | None:
        """Let go of everything; what remains is to tell the caller."""
        if self._total is not None or self._idle is not None:
            self._stop_deadlines()
        self._pieces = []
        sink, self._sink, self._transcoder = self._sink, None, None
        if sink is not None:
            sink.unregisterProducer()
        result, self._result = self._result, None
        return result

    def _body(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _watch_idle(self) -> None:
        """Count the silence of a streamed answer from now."""
        if not self._streamed or self._connection is None:
            return
        if self._idle is None:
            self._idle = self._wheel.arm(self._timeouts.idle, self._late_in_idle)
        else:
            self._idle.touch()

    def _stop_deadlines(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._total is not None:
            self._total.cancel()
            self._total = None
