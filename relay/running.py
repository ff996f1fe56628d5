"""An exchange while it runs: what becomes its record."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from relay.config import Deployment, Snapshot
from relay.delivery import Delivery
from relay.errors import RelayError, UpstreamError
from relay.exchange import ANONYMOUS, AttemptRecord, ClientRequest, ExchangeRecord, Headers, KeyInfo, Usage
from relay.interfaces import IArrivingBody
from relay.outcome import Outcome

_LONGEST_MODEL = 256
_BYTES_PER_TOKEN = 4


def named(deployment: Deployment) -> tuple[bytes, bytes]:
    """The answer's header field that names a deployment."""
    return b"x-relay-deployment", quote(deployment.name, safe="/:@").encode("ascii")


def facts(served: tuple[bytes, bytes], attempts: int, before: float, since: float) -> Headers:
    """What every answer tells of its way: who served it, the how-manieth try it is, where the seconds went."""
    return (
        served,
        (b"x-relay-attempts", b"%d" % attempts),
        (b"server-timing", b"relay;dur=%.1f, upstream;dur=%.1f" % (before * 1000, since * 1000)),
    )


class RunningExchange:
    """Collects the facts of one exchange; `record` is its only product.

    Args:
        request: what the client sent.
        snapshot: the configuration it keeps to its end.
        monotonic: the clock of durations.
        wall: Unix seconds, read once.
    """

    __slots__ = (
        "_monotonic",
        "_upstream_duration",
        "attempts",
        "back",
        "began",
        "bytes_in",
        "bytes_out",
        "chunks",
        "delivery",
        "deployment",
        "dropped",
        "error",
        "finish",
        "first",
        "interruption",
        "key",
        "model",
        "model_label",
        "outcome",
        "request",
        "snapshot",
        "status",
        "stream",
        "upstream_id",
        "usage",
    )

    def __init__(
        self,
        request: ClientRequest,
        snapshot: Snapshot,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.request = request
        self.snapshot = snapshot
        self._monotonic = monotonic
        self.began = wall() - (monotonic() - request.received)
        body = request.body
        self.bytes_in = len(body) if isinstance(body, bytes) else body.received
        self.key: KeyInfo = ANONYMOUS
        self.deployment: Deployment | None = None
        self.back = ""
        self.first = ""  # name of the provider that was chosen first
        self.model = ""
        self.model_label = "other"
        self.stream = False
        self.status = 0
        self.outcome = Outcome.INTERNAL
        self.error = ""
        self.upstream_id = ""
        self.attempts = 0
        self.usage = Usage()
        self.finish = ""
        self.chunks = 0
        self.bytes_out = 0
        self.delivery: Delivery | None = None
        self.dropped: tuple[str, ...] = ()
        self.interruption: RelayError | None = None
        self._upstream_duration = 0.0

    @property
    def arriving(self) -> bool:
        """Whether the request is an upload that is handed on as it comes, to one deployment."""
        body = self.request.body
        return not isinstance(body, bytes) and IArrivingBody.providedBy(body)

    @property
    def repeatable(self) -> bool:
        """Whether the request can be sent from its beginning, maybe again."""
        body = self.request.body
        return isinstance(body, bytes) or body.repeatable

    def twin(self, request: ClientRequest) -> RunningExchange:
        """Another exchange for a copy of the request, of which nothing is recorded."""
        twin = RunningExchange(request, self.snapshot, self._monotonic, lambda: self.began)
        twin.key, twin.stream, twin.model = self.key, self.stream, self.model
        return twin

    def chose(self, deployment: Deployment, back: str, model: str, label: str) -> None:
        """A deployment, and the dialect spoken there, have been chosen for the model that the client asked for."""
        self.deployment = deployment
        self.first = self.first or deployment.provider.name
        self.back = back
        self.model = model[:_LONGEST_MODEL]
        self.model_label = label

    def won(self, deployment: Deployment, back: str) -> None:
        """Of several attempts, the one at this deployment answers."""
        self.deployment, self.back = deployment, back

    def committed(self) -> None:
        """No further attempt will be made: the request's body is not needed any more, and may be large."""
        if isinstance(self.request.body, bytes):
            self.request = msgspec.structs.replace(self.request, body=b"")

    def attempt_began(self) -> float:
        """One more upstream try starts now; returns the monotonic time."""
        self.attempts += 1
        return self._monotonic()

    def attempt_ended(self, result: UpstreamError | str, deployment: Deployment, began: float) -> AttemptRecord:
        """A try is over.

        Args:
            result: its error, or a word for another end (``ok``, ``client_gone`` …).
            deployment: where it went.
            began: from `attempt_began`.
        """
        error = result if isinstance(result, UpstreamError) else None
        elapsed = self._monotonic() - began
        self._upstream_duration += elapsed
        return AttemptRecord(
            exchange=self.request.id,
            provider=deployment.provider.name,
            deployment=deployment.name,
            result=result.code if isinstance(result, UpstreamError) else result,
            stage=error.stage if error else None,
            upstream_status=error.upstream_status if error else None,
            elapsed=elapsed,
        )

    def times(self, began: float) -> tuple[float, float]:
        """Seconds from the request's head to an attempt's beginning, and from there until now."""
        return began - self.request.received, self._monotonic() - began

    def way(self) -> Headers:
        """What the answer tells of the way when it is an error: who was asked last, how many tries, where time went."""
        if self.deployment is None or not self.attempts:
            return ()
        whole = self._monotonic() - self.request.received
        return facts(named(self.deployment), self.attempts, whole - self._upstream_duration, self._upstream_duration)

    def ended(self, status: int) -> None:
        """The answer is whole."""
        self.status = status
        self.outcome = Outcome.COMPLETE

    def failed(self, error: RelayError, *, visible: bool) -> None:
        """The exchange ends with an error.

        Args:
            error: why.
            visible: whether the client has seen a head, so that the status stays 200.
        """
        self.status = 200 if visible and error.outcome is not Outcome.CLIENT_GONE else error.http_status
        self.outcome = error.outcome
        self.error = error.code

    def record(self) -> ExchangeRecord:
        """The exchange as observers see it, now that it is over."""
        request, deployment, delivery = self.request, self.deployment, self.delivery
        endpoint, usage, estimated = request.endpoint, self.usage, False
        if not isinstance(request.body, bytes):
            self.bytes_in = request.body.received
        if usage.output is None and self.chunks and self.outcome is not Outcome.COMPLETE:
            usage, estimated = self._estimate(), True
        return ExchangeRecord(  # by position, in the order of its fields: a third of the time, for every request
            request.id,
            self.began,
            "POST",
            endpoint.path,
            self.status,
            self.outcome,
            self._monotonic() - request.received,
            self.key,
            request.client,
            self.upstream_id,
            endpoint.front,
            self.back,
            deployment.provider.name if deployment else "",
            deployment.name if deployment else "",
            self.model,
            self.model_label,
            deployment.model if deployment else "",
            self.error,
            self.stream,
            self.attempts,
            self._upstream_duration,
            delivery.committed_at - request.received if delivery and delivery.committed_at else None,
            self.chunks,
            tuple(delivery.gaps) if delivery and self.chunks else (),
            delivery.gap_sum if delivery else 0.0,
            self.bytes_in,
            delivery.bytes_out if delivery else self.bytes_out,
            usage,
            estimated,
            self.finish,
            self.snapshot.generation,
            self.dropped,
        )

    def _estimate(self) -> Usage:
        """Tokens of a stream that was cut before the provider told them: about one a chunk, four bytes one of input."""
        known = self.usage.input
        return msgspec.structs.replace(
            self.usage, input=self.bytes_in // _BYTES_PER_TOKEN if known is None else known, output=self.chunks
        )
