"""An upstream's answer whose head is there, and the two ways to take its body."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse
from zope.interface import implementer

from relay.dialects.transcode import Transcoder
from relay.errors import UpstreamError, UpstreamProtocol
from relay.exchange import Headers, UpstreamRequest
from relay.interfaces import ISink, IUpstreamResponse
from relay.outcome import Stage
from relay.upstream.connection import Lease
from relay.upstream.failures import at_body_end, timed_out
from relay.upstream.watch import Watch

GRACE = 1.0
"""Seconds that a message may take to end behind its terminal event, if its connection is to be kept."""

_Result = TypeVar("_Result")


@implementer(IUpstreamResponse)
class Response:
    """An answer. Its deadlines go on running; a streamed one must be taken within ``idle``.

    Args:
        request: what was asked.
        answer: Twisted's side of it.
        headers: its header fields.
        lease: the request's hold on the connection.
        watch: the request's deadlines.
    """

    def __init__(
        self, request: UpstreamRequest, answer: IResponse, headers: Headers, lease: Lease, watch: Watch
    ) -> None:
        self.status: int = answer.code
        self.headers = headers
        self._request = request
        self._answer = answer
        self._lease = lease
        self._watch = watch
        self._late: UpstreamError | None = None
        watch.expired = self._expired
        if request.stream:
            watch.arm("idle", request.timeouts.idle)

    def at_hand(self, limit: int) -> bytes | None:
        """None: Twisted hands bodies over from the next turn on."""
        return None

    def read(self, limit: int) -> Deferred[bytes]:
        """Take the whole body, of at most so many bytes."""
        if self._request.stream:
            # An answer that is not streamed after all: nothing else bounds it as a whole.
            self._watch.arm("total", self._request.timeouts.total)
        return self._deliver(_Collector(self._request, self._lease, self._watch, limit))

    def stream(self, transcoder: Transcoder, sink: ISink) -> Deferred[None]:
        """Feed the body through the transcoder into the sink.

        Besides what `IUpstreamResponse` says: fires, too, when ``transcoder.error`` is
        set; its bytes are written then, and the caller decides what comes of it.
        """
        pipe = _Pipe(self._request, self._lease, self._watch, transcoder, sink)
        sink.registerProducer(pipe, True)
        taken = self._deliver(pipe)
        pipe.hold()
        return taken

    def abort(self) -> None:
        """Drop the connection at once, unless the answer is already whole. Idempotent."""
        self._watch.stop()
        self._lease.abort()

    def _deliver(self, reader: _Reader[_Result]) -> Deferred[_Result]:
        if self._late is not None:
            reader.fail(self._late)
        else:
            reader.begin()
            self._answer.deliverBody(reader)
        return reader.result

    def _expired(self, deadline: str) -> None:
        self._late = timed_out(deadline, Stage.STREAM, self._request.deployment)
        self.abort()


class _Reader(Protocol, Generic[_Result]):
    """Takes one body; ends exactly once.

    Attributes:
        result: fires at the end. Cancelling it aborts the connection.
    """

    def __init__(self, request: UpstreamRequest, lease: Lease, watch: Watch) -> None:
        self.result: Deferred[_Result] = Deferred(lambda _: self._close(keep=False))
        self._request = request
        self._lease = lease
        self._watch = watch
        self._over = False

    def take(self, data: bytes) -> None:
        """A piece of the body."""
        raise NotImplementedError

    def whole(self) -> None:
        """There is no more."""
        raise NotImplementedError

    def release(self) -> None:
        """The end: let go of what is held."""

    def begin(self) -> None:
        """The body is about to come."""
        self._watch.expired = self._expired
        self.watch_idle()

    def watch_idle(self) -> None:
        """Count the silence of a streamed answer from now."""
        if self._request.stream and not self._over:
            self._watch.arm("idle", self._request.timeouts.idle)

    def dataReceived(self, data: bytes) -> None:
        """A piece of the body, also after the end."""
        if not self._over:
            self.take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The body has ended, one way or another."""
        if self._over:
            return
        error = at_body_end(reason, self._lease, self._request.deployment)
        if error is None:
            self.whole()
        else:
            self.fail(error)

    def succeed(self, value: _Result) -> None:
        """End well."""
        self._close(keep=True)
        self.result.callback(value)

    def fail(self, error: UpstreamError) -> None:
        """End badly."""
        self._close(keep=False)
        self.result.errback(error)

    def _close(self, *, keep: bool) -> None:
        self._over = True
        self._watch.stop()
        if keep:
            self._lease.drain(GRACE)
        else:
            self._lease.abort()
        self.release()

    def _expired(self, deadline: str) -> None:
        self.fail(timed_out(deadline, Stage.STREAM, self._request.deployment))


class _Collector(_Reader[bytes]):
    """Keeps the body, up to a limit."""

    def __init__(self, request: UpstreamRequest, lease: Lease, watch: Watch, limit: int) -> None:
        super().__init__(request, lease, watch)
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []

    def take(self, data: bytes) -> None:
        self.watch_idle()
        self._size += len(data)
        self._pieces.append(data)
        if self._size > self._limit:
            self._pieces.clear()
            text = "The provider's answer is larger than relay accepts."
            self.fail(UpstreamProtocol(text, stage=Stage.STREAM, deployment=self._request.deployment))

    def whole(self) -> None:
        self.succeed(b"".join(self._pieces))


@implementer(IPushProducer)
class _Pipe(_Reader[None]):
    """Passes the body on through a transcoder, at the sink's pace."""

    def __init__(
        self, request: UpstreamRequest, lease: Lease, watch: Watch, transcoder: Transcoder, sink: ISink
    ) -> None:
        super().__init__(request, lease, watch)
        self._transcoder = transcoder
        self._sink = sink
        self._paused = False

    def take(self, data: bytes) -> None:
        if not self._paused:
            self.watch_idle()
        try:
            out = self._transcoder.feed(data)
        except UpstreamError as error:
            self.fail(error)
            return
        if out:
            self._sink.write(out)
        if self._transcoder.done or self._transcoder.error is not None:
            self._end()

    def whole(self) -> None:
        try:
            last = self._transcoder.end()
        except UpstreamError as error:
            self.fail(error)
            return
        if last:
            self._sink.write(last)
        self._end()

    def release(self) -> None:
        self._sink.unregisterProducer()

    def hold(self) -> None:
        """Undo the resumption with which a body's delivery begins, if the sink is full already."""
        if self._paused and not self._over:
            self.pauseProducing()

    def pauseProducing(self) -> None:
        """The sink is full: its owner's slowness is not the provider's silence."""
        self._paused = True
        self._watch.disarm("idle")
        if self.transport is not None:
            cast("IPushProducer", self.transport).pauseProducing()

    def resumeProducing(self) -> None:
        """The sink takes more."""
        self._paused = False
        self.watch_idle()
        if self.transport is not None:
            cast("IPushProducer", self.transport).resumeProducing()

    def stopProducing(self) -> None:
        """The sink takes no more, ever: its owner left."""
        self._lease.abort()

    def _end(self) -> None:
        # A body that was paused could not end, and its connection not be kept.
        if self._paused and self.transport is not None:
            cast("IPushProducer", self.transport).resumeProducing()
        if not self._over:
            self.succeed(None)
