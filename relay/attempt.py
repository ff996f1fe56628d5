"""One try at one deployment: send, understand the head, deliver the body."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from relay.delivery import Delivery
from relay.dialects.passthrough import Opaque, Passthrough
from relay.dialects.transcode import Transcoder
from relay.errors import UpstreamError, UpstreamProtocol
from relay.exchange import Headers
from relay.interfaces import ISink, IUpstream, IUpstreamResponse
from relay.outcome import Stage
from relay.planning import Plan
from relay.policy import failures, forward
from relay.running import RunningExchange
from relay.secret import Redactor

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of a non-streamed answer."""

LARGEST_ERROR = 1024 * 1024
"""Bytes of a provider's error answer that are looked at."""

_EVENTS = "text/event-stream"
_JSON_TYPE = (b"content-type", b"application/json")
_EVENT_HEAD: Headers = ((b"content-type", b"text/event-stream; charset=utf-8"),)


class Attempt:
    """Carries one exchange's request to one deployment and the answer back.

    Args:
        running: the exchange.
        plan: what to send and how to read the answer.
        sink: the client's side.
        upstream: the way to the provider.
        redactor: masks keys in what the provider says.
        clock: for heartbeats.
    """

    __slots__ = (
        "_clock",
        "_plan",
        "_redactor",
        "_running",
        "_sink",
        "_upstream",
    )

    def __init__(
        self,
        running: RunningExchange,
        plan: Plan,
        sink: ISink,
        upstream: IUpstream,
        redactor: Redactor,
        clock: IReactorTime,
    ) -> None:
        self._running = running
        self._plan = plan
        self._sink = sink
        self._upstream = upstream
        self._redactor = redactor
        self._clock = clock

    async def run(self) -> None:
        """Do it.

        Raises:
            UpstreamError: the answer did not come, or not whole. The client may have seen
                a part of it (``sink.started``).
        """
        request = self._plan.upstream
        if request.stream:
            self._deliver().start_heartbeats()
        response = await self._upstream.send(request)
        try:
            await self._take(response)
        except BaseException:
            response.abort()
            raise

    async def _take(self, response: IUpstreamResponse) -> None:
        head = forward.read_head(response.headers)
        self._running.upstream_id = head.id
        if not 200 <= response.status <= 299:
            raise await self._refusal(response)
        if head.media == _EVENTS:
            await self._stream(response, head.kept, self._passthrough())
        elif self._is_opaque(head.media):
            await self._stream(response, head.kept, Opaque(self._plan.upstream.deployment))
        else:
            await self._whole(response, head)

    def _is_opaque(self, kind: str) -> bool:
        """Audio and plain-text transcripts: bytes that relay does not look into."""
        endpoint = self._running.request.endpoint
        speaks = endpoint.path.startswith("/v1/audio/")
        return speaks and kind not in ("", "application/json", "text/html")

    async def _refusal(self, response: IUpstreamResponse) -> UpstreamError:
        request = self._plan.upstream
        try:
            body = await response.read(LARGEST_ERROR)
        except UpstreamProtocol:
            body = b""
        said, _ = self._plan.front.read_error(body)
        return failures.classify(request, response.status, response.headers, body, self._mask(), said)

    # ── non-streamed ──────────────────────────────────────────────────────────────────

    async def _whole(self, response: IUpstreamResponse, head: forward.Head) -> None:
        running, delivery = self._running, self._running.delivery
        body = await response.read(LARGEST_ANSWER)
        if body.lstrip()[:1] not in (b"{", b"["):
            raise self._protocol("The provider's answer is not JSON.")
        if delivery is not None and delivery.started:
            raise self._protocol("The provider answered without streaming.")
        if delivery is not None:
            delivery.close()
            running.delivery = None
        running.usage, running.finish, _ = self._plan.front.usage(running.request.endpoint, body)
        length = (b"content-length", b"%d" % len(body))
        fields = (*head.kept, length) if head.media else (_JSON_TYPE, *head.kept, length)
        self._sink.start(response.status, forward.with_limit(fields, self._plan.limit))
        self._sink.write(body)
        self._sink.end()
        running.bytes_out = len(body)
        running.ended(response.status)

    # ── streamed ──────────────────────────────────────────────────────────────────────

    async def _stream(self, response: IUpstreamResponse, head: Headers, transcoder: Transcoder) -> None:
        running = self._running
        delivery = running.delivery or self._deliver()
        events = isinstance(transcoder, Passthrough)
        if not events:
            if delivery.started:
                raise self._protocol("The provider answered without an event stream.")
            delivery.no_events()
        delivery.attempt(transcoder, response.status, forward.with_limit(head, self._plan.limit))
        try:
            await response.stream(transcoder, delivery)
        finally:
            running.usage, running.finish, running.chunks = transcoder.usage, transcoder.stop, transcoder.chunks
        if transcoder.error is not None:
            raise transcoder.error
        delivery.finish()
        running.ended(response.status)

    def _deliver(self) -> Delivery:
        head = forward.with_limit(_EVENT_HEAD, self._plan.limit)
        front, request_id = self._plan.front, self._running.request.id
        delivery = Delivery(
            self._sink,
            self._clock,
            self._plan.heartbeat,
            front.heartbeat,
            head,
            lambda error: front.stream_error(error, request_id),
        )
        self._running.delivery = delivery
        return delivery

    def _passthrough(self) -> Passthrough:
        plan = self._plan
        return Passthrough(
            plan.front,
            self._running.request.endpoint,
            plan.upstream.deployment,
            strip_usage=plan.strip_usage,
            request_id=self._running.request.id,
            mask=self._mask,
        )

    def _mask(self) -> Redactor:
        """The filter for what the provider says: relay's keys, and the client's own if that was sent."""
        sent = self._plan.upstream.credential
        return self._redactor if sent is None else self._redactor.plus(sent)

    def _protocol(self, message: str) -> UpstreamProtocol:
        return UpstreamProtocol(message, stage=Stage.STREAM, deployment=self._plan.upstream.deployment)
