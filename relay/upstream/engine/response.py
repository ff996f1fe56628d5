"""An answer that came over the engine: its head is here, its body is read or streamed."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from relay.dialects.transcode import Transcoder
from relay.errors import RelayError, UpstreamError, UpstreamProtocol
from relay.interfaces import ISink, IUpstreamResponse
from relay.outcome import Stage
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.failures import cut_off, in_body
from relay.upstream.engine.sending import Sending
from relay.upstream.engine.taker import Break

GRACE = 1.0
"""Seconds that a message may take to end behind its terminal event, if its connection is to be kept."""

_UNBOUNDED = 1 << 62


@implementer(IUpstreamResponse, IPushProducer)
class EngineResponse(Sending):
    """An exchange with a provider: what `Sending` does, and the `Taker` of the answer's body.

    At most one of `read` and `stream` is called. Until then, what came along with the head
    is held, and reading pauses. The deadlines run from the beginning; a streamed answer has
    to be taken within ``idle``.

    Args:
        pool: the connections to the request's origin.
        wheel: runs the deadlines.
        request: what to send.
    """

    __slots__ = ("_heard", "_late", "_limit", "_paused", "_pieces", "_result", "_sink", "_size", "_transcoder")

    def _await_body(self) -> None:
        self._pieces: list[bytes] | None = None  # of the body, while nobody streams it
        self._size = 0
        self._heard = 0.0  # when the last piece came, if the answer is streamed
        self._limit = _UNBOUNDED
        self._paused = False
        self._result: Deferred[bytes] | Deferred[None] | None = None
        self._late: RelayError | None = None  # why there is no body, until somebody asks for it
        self._transcoder: Transcoder | None = None
        self._sink: ISink | None = None

    # ── IUpstreamResponse ─────────────────────────────────────────────────────────────

    def at_hand(self, limit: int) -> bytes | None:
        """The whole body, if it is here already and not larger; else `read` has to be asked."""
        if self._connection is None and self._late is None and self._size <= limit:
            return self._body()
        return None

    def read(self, limit: int) -> Deferred[bytes]:
        """Take the whole body, of at most so many bytes."""
        if self._late is not None:
            return fail(self._late)
        connection = self._connection
        if connection is None and self._size <= limit:
            return succeed(self._body())
        self._limit = limit
        result: Deferred[bytes] = Deferred(self._cancelled)
        self._result = result
        if self._size > limit:
            self._too_large()
        elif connection is not None:
            if self._streamed:
                # An answer that is not streamed after all: nothing else bounds it as a whole.
                self._end = min(self._end, self._wheel.seconds() + self._timeouts.total)
                self._watch_idle()
            connection.resume()
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
        if self._pieces is not None:
            self.took(self._body())
        if self._result is not None:
            if self._connection is None:
                self._finish_clean(transcoder)
            elif not self._paused:
                self._connection.resume()
        return result

    def abort(self) -> None:
        """Drop the connection at once, unless the answer is already whole. Idempotent."""
        connection = self._connection
        if connection is None:
            return
        connection.watch.rest()
        if self._result is None:
            self._late = cut_off(self._deployment)
            self._connection = None
            connection.drop()
        else:
            connection.cut()

    # ── Taker, told by the connection ─────────────────────────────────────────────────

    def announced(self) -> None:
        """What came along with the head is here: tell the caller, who takes the body now or later."""
        sent, self._sent = self._sent, None
        if sent is not None:
            sent.callback(self)
        if self._result is None and self._connection is not None:
            self._connection.pause()
            self._watch_idle()

    def took(self, data: bytes) -> None:
        """A piece of the body."""
        transcoder = self._transcoder
        if self._streamed:
            self._heard = self._wheel.seconds()  # looked at when the deadline has passed
        if transcoder is None:
            self._size += len(data)
            if self._pieces is None:
                self._pieces = [data]
            else:
                self._pieces.append(data)
            if self._size > self._limit:
                self._too_large()
            return
        try:
            out = transcoder.feed(data)
        except UpstreamError as error:
            self._give_up()
            self._fail(error)
            return
        if out and self._sink is not None:
            self._sink.write(out)
        if transcoder.done or transcoder.error is not None:
            self._finish()

    def ended(self) -> None:
        """The message is whole."""
        self._connection = None
        if self._result is None:
            return
        if self._transcoder is None:
            self._succeed(self._body())
        else:
            self._finish_clean(self._transcoder)

    def broken(self, how: Break, cause: Exception) -> None:
        """There will be no more of it."""
        if self.status:
            self._connection = None
            self._fail(in_body(how, cause, self._deployment))
        else:
            super().broken(how, cause)

    # ── IPushProducer, told by the sink ───────────────────────────────────────────────

    def pauseProducing(self) -> None:
        """The sink is full: its owner's slowness is not the provider's silence."""
        self._paused = True
        if self._connection is not None:
            self._connection.watch.due = self._end
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
            self._give_up()
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

    def _too_large(self) -> None:
        text = "The provider's answer is larger than relay accepts."
        self._give_up()
        self._fail(UpstreamProtocol(text, stage=Stage.STREAM, deployment=self._deployment))

    def _succeed(self, value: bytes | None) -> None:
        result = self._result
        self._release()
        if result is not None:
            result.callback(value)  # type: ignore[arg-type]  # bytes for `read`, None for `stream`

    def _fail(self, error: RelayError) -> None:
        """End badly; told to who takes the body, now or later."""
        if not self.status:
            super()._fail(error)
            return
        result = self._result
        sent = self._sent
        self._release()
        self._sent = sent  # who waits for the head gets it
        if result is None:
            self._late = error
        else:
            result.errback(error)

    def _release(self) -> None:
        super()._release()
        if not self.status:
            return
        self._pieces = self._result = self._transcoder = None
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.unregisterProducer()

    def _body(self) -> bytes:
        pieces, self._pieces = self._pieces, None
        if pieces is None:
            return b""
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _watch_idle(self) -> None:
        """Count the silence of a streamed answer from now."""
        if self._streamed and self._connection is not None:
            self._heard = self._wheel.seconds()
            self._watch_on(self._connection)

    def _watch_on(self, connection: Connection) -> None:
        connection.watch.set(min(self._heard + self._timeouts.idle, self._end), self._expired)

    def _expired(self) -> None:
        connection = self._connection
        if self.status and self._streamed and not self._paused and connection is not None:
            now = self._wheel.seconds()
            if now < self._end and now < self._heard + self._timeouts.idle:
                self._watch_on(connection)
                return
        super()._expired()
