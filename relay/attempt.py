"""One try at one deployment: send, understand the head, deliver the body."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from relay.delivery import Delivery
from relay.dialects.base import EVENTS
from relay.dialects.passthrough import Opaque, Passthrough
from relay.dialects.transcode import Transcoder
from relay.errors import UpstreamError, UpstreamProtocol
from relay.exchange import Headers
from relay.interfaces import ISink, IUpstream, IUpstreamResponse
from relay.outcome import Stage
from relay.planning import Estimate, Plan
from relay.policy import failures, forward
from relay.running import RunningExchange
from relay.secret import Redactor

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of a non-streamed answer."""

LARGEST_ERROR = 1024 * 1024
"""Bytes of a provider's error answer that are looked at."""

_JSON_TYPE = (b"content-type", b"application/json")
_EVENT_TYPE = (b"content-type", b"text/event-stream; charset=utf-8")


def _content_type(plan: Plan) -> tuple[bytes, bytes]:
    """The content type of a streamed answer in the client's dialect."""
    translation = plan.translation
    if translation is not None and translation.asked.call.array:
        return _JSON_TYPE
    if plan.front.stream_type == EVENTS:
        return _EVENT_TYPE
    return b"content-type", plan.front.stream_type.encode()


def answer_alone(running: RunningExchange, plan: Estimate, sink: ISink) -> None:
    """Answer without any provider."""
    length = (b"content-length", b"%d" % len(plan.body))
    sink.start(200, forward.with_limit((_JSON_TYPE, length, (b"x-relay-estimated", b"true")), plan.limit))
    sink.write(plan.body)
    sink.end()
    running.bytes_out = len(plan.body)
    running.ended(200)


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
        if head.media == self._plan.back.stream_type and self._may_stream():
            await self._stream(response, self._head(head), self._transcoder())
        elif self._is_opaque(head.media):
            await self._stream(response, head.kept, Opaque(self._plan.upstream.deployment), events=False)
        else:
            await self._whole(response, head)

    def _may_stream(self) -> bool:
        """Whether an event stream can be read here: a translated answer must have been asked for as one."""
        translation = self._plan.translation
        return translation is None or translation.target.stream

    def _head(self, head: forward.Head) -> Headers:
        """Header fields of a streamed answer: the provider's, or the client's dialect's own content type."""
        translation = self._plan.translation
        if translation is None:
            return head.kept
        kept = (field for field in head.kept if field[0] != b"content-type")
        return (_content_type(self._plan), *kept, *self._plan.notes)

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
        plan = self._plan
        return failures.classify(
            request,
            response.status,
            response.headers,
            body,
            self._mask(),
            plan.back,
            translated=plan.back is not plan.front,
        )

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
        translation = self._plan.translation
        if translation is None:
            running.usage, running.finish, _ = self._plan.front.usage(running.request.endpoint, body)
            fields = head.kept if head.media else (_JSON_TYPE, *head.kept)
        else:
            whole = translation.whole(body, self._plan.upstream.deployment)
            body, running.usage, running.finish = whole.body, whole.usage, whole.finish
            kept = (field for field in head.kept if field[0] != b"content-type")
            fields = (_JSON_TYPE, *kept, *self._plan.notes)
        fields = (*fields, (b"content-length", b"%d" % len(body)))
        self._sink.start(response.status, forward.with_limit(fields, self._plan.limit))
        self._sink.write(body)
        self._sink.end()
        running.bytes_out = len(body)
        running.ended(response.status)

    # ── streamed ──────────────────────────────────────────────────────────────────────

    async def _stream(
        self, response: IUpstreamResponse, head: Headers, transcoder: Transcoder, *, events: bool = True
    ) -> None:
        running = self._running
        delivery = running.delivery or self._deliver()
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
        head = forward.with_limit((_content_type(self._plan), *self._plan.notes), self._plan.limit)
        front, request_id = self._plan.front, self._running.request.id
        delivery = Delivery(
            self._sink,
            self._clock,
            self._plan.heartbeat,
            b"\n" if self._running.request.path_array else front.heartbeat,
            head,
            lambda error: front.stream_error(error, request_id),
        )
        self._running.delivery = delivery
        return delivery

    def _transcoder(self) -> Transcoder:
        plan = self._plan
        if plan.translation is not None:
            return plan.translation.transcoder(plan.upstream.deployment, self._mask)
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
