"""One try at one deployment: send, understand the head, deliver the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relay import answering
from relay.config import Deployment
from relay.delivery import Delivery
from relay.dialects.passthrough import Opaque, Passthrough
from relay.dialects.transcode import Transcoder
from relay.dialects.translation import Translation
from relay.errors import UpstreamProtocol
from relay.exchange import Headers, UpstreamRequest
from relay.interfaces import ISigner, ISink, IUpstream, IUpstreamResponse
from relay.outcome import Stage
from relay.planning import Plan
from relay.policy import failures, forward
from relay.provider import Provider
from relay.running import RunningExchange, facts
from relay.secret import Redactor

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of a non-streamed answer."""

LARGEST_ERROR = 1024 * 1024
"""Bytes of a provider's error answer that are looked at."""

_T = TypeVar("_T")
_JSON_ENDS = (b"{}", b"[]")


def _unread(reason: Failure) -> bytes:
    """An error answer whose body is not worth an error of its own."""
    reason.trap(UpstreamProtocol)
    return b""


def _ignore(_: Failure | None) -> None:
    """Nobody is to be told twice."""


class Attempt:
    """Carries one exchange's request to one deployment and the answer back.

    Args:
        running: the exchange.
        plan: what to send and how to read the answer.
        sink: the client's side.
        upstream: the way to the provider.
        signer: puts signatures and tokens into requests.
        redaction: gives the filter that masks keys in what the provider says.
        clock: for heartbeats.
        ended: called once: with None when the answer is whole and delivered, else with the failure: an
            `UpstreamError`, or what cancelling left. The client may have seen a part of the answer then
            (``sink.started``).
        claim: asked before the client sees anything of the answer; False if another attempt came first.
        survives: whether a stream goes on when the client leaves.
        rival: whether another attempt of the exchange is running, so that this one needs a delivery of its own.
    """

    __slots__ = (
        "_began",
        "_claim",
        "_clock",
        "_delivery",
        "_ended",
        "_head",
        "_plan",
        "_redaction",
        "_response",
        "_running",
        "_sent",
        "_signer",
        "_sink",
        "_survives",
        "_transcoder",
        "_upstream",
        "_waiting",
    )

    def __init__(
        self,
        running: RunningExchange,
        plan: Plan,
        sink: ISink,
        upstream: IUpstream,
        signer: ISigner,
        redaction: Callable[[], Redactor],
        clock: IReactorTime,
        ended: Callable[[Failure | None], None],
        *,
        claim: Callable[[], bool] | None = None,
        survives: bool = False,
        rival: bool = False,
    ) -> None:
        self._running = running
        self._claim = claim
        self._survives = survives
        self._delivery = None if rival else running.delivery
        self._began = 0.0
        self._plan = plan
        self._sink = sink
        self._upstream = upstream
        self._signer = signer
        self._sent = plan.upstream
        self._redaction = redaction
        self._clock = clock
        self._ended = ended
        self._response: IUpstreamResponse | None = None
        self._transcoder: Transcoder | None = None
        self._waiting: Deferred[Any] | None = None

    def start(self) -> None:
        """Send the request."""
        try:
            self._began = self._running.attempt_began()
            request = self._plan.upstream
            if request.stream and self._delivery is None:
                self._deliver().start_heartbeats()
            if self._plan.signs is None:
                self._wait(self._upstream.send(request), self._take)
            else:
                self._sign(request, self._plan.signs)
        except Exception:
            self._end(Failure())

    def _sign(self, request: UpstreamRequest, provider: Provider) -> None:
        signed = self._signer.sign(request, provider, request.credential)
        if isinstance(signed, UpstreamRequest):
            self._send(signed)
        else:
            self._wait(signed, self._send)

    def _send(self, request: UpstreamRequest) -> None:
        self._sent = request
        self._wait(self._upstream.send(request), self._take)

    @property
    def began(self) -> float:
        """Monotonic seconds at which it was started."""
        return self._began

    @property
    def deployment(self) -> Deployment:
        """Where it goes."""
        return self._plan.deployment

    def cancel(self) -> None:
        """Give up, in whatever phase it is."""
        if self._waiting is not None:
            self._waiting.cancel()

    @property
    def latency(self) -> float:
        """Seconds to the first content of a stream, or to the whole answer."""
        running, delivery = self._running, self._delivery
        shown = delivery.committed_at if delivery is not None else None
        return running.times(self._began)[1] if shown is None else shown - self._began

    def wins(self) -> None:
        """It is this attempt's answer that the client gets: no other will be made."""
        running, plan = self._running, self._plan
        if running.delivery is not None and running.delivery is not self._delivery:
            running.delivery.close()
        running.delivery = self._delivery
        running.won(plan.deployment, plan.back.name)
        if self._delivery is not None:
            running.committed()

    def lose(self) -> None:
        """Another attempt's answer was first: leave no trace, and give up."""
        self._transcoder = None
        if self._delivery is not None:
            self._delivery.close()
        self.cancel()

    def _wait(self, result: Deferred[_T], then: Callable[[_T], None]) -> None:
        self._waiting = result
        result.addCallback(then).addErrback(self._end)

    def _end(self, reason: Failure | None = None) -> None:
        self._waiting = self._transcoder = self._claim = None  # they know this attempt: no cycle for the collector
        response, self._response = self._response, None
        if reason is not None:
            if response is not None:
                response.abort()
            if self._delivery is not None and self._delivery is not self._running.delivery:
                self._delivery.close()  # a rival's: nobody else knows it
        ended, self._ended = self._ended, _ignore
        ended(reason)

    def _take(self, response: IUpstreamResponse) -> None:
        """The head is here."""
        self._response = response
        self._head = head = forward.read_head(response.headers)
        self._running.upstream_id = head.id
        plan = self._plan
        if not 200 <= response.status <= 299:
            self._wait(response.read(LARGEST_ERROR).addErrback(_unread), self._refused)
        elif head.media == plan.back.stream_type and self._may_stream():
            self._stream(response, self._fields(head), self._make_transcoder())
        elif self._is_opaque(head.media):
            self._stream(response, head.kept, Opaque(plan.upstream.deployment), events=False)
        else:
            body = response.at_hand(LARGEST_ANSWER)
            if body is None:
                self._wait(response.read(LARGEST_ANSWER), self._whole)
            else:
                self._whole(body)

    def _may_stream(self) -> bool:
        """Whether an event stream can be read here: a translated answer must have been asked for as one."""
        translation = self._plan.translation
        return translation is None or translation.target.stream

    def _fields(self, head: forward.Head) -> Headers:
        """Header fields of a streamed answer: the provider's, or the client's dialect's own content type."""
        translation = self._plan.translation
        if translation is None:
            return head.kept
        kept = (field for field in head.kept if field[0] != b"content-type")
        return (answering.content_type(self._plan), *kept, *self._plan.notes)

    def _is_opaque(self, kind: str) -> bool:
        """Audio and plain-text transcripts: bytes that relay does not look into."""
        endpoint = self._running.request.endpoint
        speaks = endpoint.path.startswith("/v1/audio/")
        return speaks and kind not in ("", "application/json", "text/html")

    def _refused(self, body: bytes) -> None:
        """The provider answered with an error status."""
        plan, response = self._plan, self._response
        if response is not None:
            raise failures.classify(
                plan.upstream,
                response.status,
                response.headers,
                body,
                self._mask(),
                plan.back,
                translated=plan.back is not plan.front,
            )

    # ── non-streamed ──────────────────────────────────────────────────────────────────

    def _whole(self, body: bytes) -> None:
        """The answer is here, all of it."""
        plan, running, delivery = self._plan, self._running, self._delivery
        if body[:1] + body[-1:] not in _JSON_ENDS and (text := body.strip())[:1] + text[-1:] not in _JSON_ENDS:
            raise self._protocol("The provider's answer is not JSON, or breaks off.")
        translation = plan.translation
        if translation is not None and translation.target.stream:
            self._as_stream(translation, body)
            return
        if delivery is not None:
            if delivery.started:
                raise self._protocol("The provider answered without streaming.")
            delivery.close()
            if running.delivery is delivery:
                running.delivery = None
            self._delivery = None
        head = self._head
        if translation is None:
            usage, finish, _ = plan.front.usage(running.request.endpoint, body)
            fields = head.kept if head.media else (answering.JSON, *head.kept)
        else:
            whole = translation.whole(body, plan.upstream.deployment, self._mask)
            body, usage, finish = whole.body, whole.usage, whole.finish
            fields = (answering.JSON, *(field for field in head.kept if field[0] != b"content-type"), *plan.notes)
        if self._claim is None or self._claim():
            running.usage, running.finish = usage, finish
            self._show(body, fields)

    def _show(self, body: bytes, fields: Headers) -> None:
        running, sink = self._running, self._sink
        response, self._response = self._response, None
        status = 200 if response is None else response.status
        fields = (*fields, *self._facts(), (b"content-length", b"%d" % len(body)))
        sink.start(status, forward.with_limit(fields, self._plan.limit))
        sink.write(body)
        sink.end()
        running.bytes_out = len(body)
        running.ended(status)
        self._end()

    def _as_stream(self, translation: Translation, body: bytes) -> None:
        """A provider that was asked for a stream answered whole: the client gets its stream."""
        deployment = self._plan.upstream.deployment
        transcoder = translation.transcoder(deployment, self._mask)
        self._begin(self._fields(self._head), transcoder).write(
            transcoder.whole(translation.parse(body, deployment, self._mask))
        )
        self._streamed(None)

    # ── streamed ──────────────────────────────────────────────────────────────────────

    def _stream(
        self, response: IUpstreamResponse, head: Headers, transcoder: Transcoder, *, events: bool = True
    ) -> None:
        delivery = self._begin(head, transcoder, events=events)
        self._waiting = result = response.stream(transcoder, delivery)
        result.addCallbacks(self._streamed, self._broken).addErrback(self._end)

    def _begin(self, head: Headers, transcoder: Transcoder, *, events: bool = True) -> Delivery:
        delivery = self._delivery or self._deliver()
        if not events:
            if delivery.started:
                raise self._protocol("The provider answered without an event stream.")
            delivery.no_events()
        self._forget_body()
        if self._claim is None:
            self._running.committed()
        status = 200 if self._response is None else self._response.status
        fields = forward.with_limit((*head, *self._facts()), self._plan.limit)
        delivery.attempt(transcoder, status, fields, self._claim)
        self._transcoder = transcoder
        return delivery

    def _forget_body(self) -> None:
        """A stream may last; what was sent is not needed any more."""
        self._sent = sent = msgspec.structs.replace(self._sent, body=b"")
        self._plan = msgspec.structs.replace(self._plan, upstream=sent)

    def _streamed(self, _: None) -> None:
        """The stream has ended as it should."""
        self._note()
        running, transcoder = self._running, self._transcoder
        if transcoder is not None and transcoder.error is not None:
            raise transcoder.error
        response, self._response = self._response, None
        if self._delivery is not None:
            self._delivery.finish()
        running.ended(200 if response is None else response.status)
        self._end()

    def _broken(self, reason: Failure) -> Failure:
        """The stream has not."""
        self._note()
        return reason

    def _note(self) -> None:
        running, transcoder = self._running, self._transcoder
        if transcoder is not None:
            running.usage, running.finish, running.chunks = transcoder.usage, transcoder.stop, transcoder.chunks

    def _deliver(self) -> Delivery:
        head = forward.with_limit((answering.content_type(self._plan), *self._plan.notes), self._plan.limit)
        plan, request_id = self._plan, self._running.request.id
        delivery = Delivery(
            self._sink,
            self._clock,
            self._plan.heartbeat,
            b"\n" if self._running.request.path_array else plan.front.heartbeat,
            head,
            lambda error: plan.stream_error(error, request_id),
            survives=self._survives,
        )
        self._delivery = delivery
        if self._running.delivery is None:
            self._running.delivery = delivery
        return delivery

    def _facts(self) -> Headers:
        """What the answer tells of its way."""
        return facts(self._plan.served, self._running.attempts, *self._running.times(self._began))

    def _make_transcoder(self) -> Transcoder:
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
        sent = self._sent.credential
        redactor = self._redaction()
        return redactor if sent is None else redactor.plus(sent)

    def _protocol(self, message: str) -> UpstreamProtocol:
        return UpstreamProtocol(message, stage=Stage.STREAM, deployment=self._plan.upstream.deployment)
