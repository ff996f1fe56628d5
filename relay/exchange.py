"""What one client request is made of: the request, its attempts, its usage, its record.

All values; they are created in `web` and `gateway`, and read by policies, upstreams and observers.
They are made anew for each request, so they are `msgspec.Struct`s: as frozen as attrs'
values, and made in a fifth of the time. Those that cannot be part of a cycle are no
business of the garbage collector's. Many arguments are better given by position: a name
costs twice as much as a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from relay.endpoints import Endpoint
from relay.outcome import Outcome, Stage
from relay.provider import Origin, Timeouts
from relay.secret import Secret

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in order, names in lower case, values without surrounding blanks."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one exchange as the provider reported them; None where it did not say.

    Attributes:
        input: all prompt tokens, cached ones included.
        cached: prompt tokens read from the provider's cache.
        cache_write: prompt tokens written to it.
        output: all completion tokens, reasoning included.
        reasoning: completion tokens spent on reasoning.
    """

    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None


class KeyInfo(msgspec.Struct, frozen=True, gc=False):
    """Who is calling.

    Attributes:
        id: stable, safe to log, to limit by and to show; never a part of the key.
        name: the operator's name for it; ``anonymous`` where no keys are configured.
        configured: whether the key is one of relay's own (static or virtual).
    """

    id: str
    name: str
    configured: bool


ANONYMOUS = KeyInfo(id="anonymous", name="anonymous", configured=False)
"""A caller without a key of relay's."""


class Body(Protocol):
    """A request body that may be larger than memory should hold: an upload, stored or still arriving.

    Adapters implement it, values only carry it.
    """

    @property
    def length(self) -> int | None:
        """Bytes of it; None as long as that is not known."""

    @property
    def received(self) -> int:
        """Bytes of it that have come from the client."""

    @property
    def repeatable(self) -> bool:
        """Whether it can still be sent from its beginning."""

    def replaced(self, start: int, end: int, data: bytes) -> Body:
        """The same body with the bytes from ``start`` up to ``end`` exchanged for ``data``.

        What it returns is a view that borrows; closing this body ends it, too.
        """

    def close(self) -> None:
        """Give back what it holds. Idempotent."""


@runtime_checkable
class StoredBody(Body, Protocol):
    """A body of which all is here, in a temporary file. Reading happens off the reactor thread."""

    @property
    def length(self) -> int:
        """Bytes of it."""

    async def read(self, offset: int, size: int) -> bytes:
        """Read up to ``size`` bytes at ``offset``; fewer only at the end of the body."""


class FormField(msgspec.Struct, frozen=True, gc=False):
    """One text field of a multipart body, and where its value stands in it.

    Attributes:
        value: the decoded value.
        start: offset of the value's first byte in the body.
        end: offset behind its last byte.
    """

    value: str
    start: int
    end: int


class ClientRequest(msgspec.Struct, frozen=True):
    """One request of a client, its body complete or an upload still arriving, nothing of it believed yet.

    Attributes:
        id: relay's request id, or the client's when that is short and safe.
        endpoint: where it came in.
        query: the raw query string.
        headers: the request's header fields.
        content_type: the ``Content-Type`` value, "" if absent.
        body: the bytes, or an upload.
        key: who calls, where that was known before the body was read; else None.
        fields: multipart only: the text fields that relay itself reads (``model``, ``stream``), by name, else empty.
        client: the peer's address for logs.
        credential: the key that the client sent, in whichever style, or None.
        received: monotonic seconds at which the head was complete.
        path_model: the model that the path names, "" where the body does.
        path_stream: whether the path asks for a stream; None where the body tells.
        path_array: whether that stream is to be one JSON array.
    """

    id: str
    endpoint: Endpoint
    query: bytes
    headers: Headers
    content_type: str
    body: bytes | Body
    client: str
    credential: Secret | None
    received: float
    key: KeyInfo | None = None
    fields: Mapping[str, FormField] = msgspec.field(default_factory=dict)
    path_model: str = ""
    path_stream: bool | None = None
    path_array: bool = False

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header field given in lower case, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One attempt's request, ready to be sent.

    Attributes:
        deployment: the deployment's name, for errors and logs.
        provider: the provider's name.
        method: HTTP method.
        origin: where to connect.
        target: path and query, starting with ``/``.
        headers: complete but for ``host``, ``content-length`` and ``connection``.
        body: the bytes, or an upload.
        stream: whether a streamed answer was asked for; decides which deadlines hold.
        timeouts: the deadlines.
        credential: what was put into the request, for redaction of the answer; None if nothing.
        own_credential: whether that credential is relay's (True) or the client's own.
    """

    deployment: str
    provider: str
    method: str
    origin: Origin
    target: str
    headers: Headers
    body: bytes | Body
    stream: bool
    timeouts: Timeouts
    credential: Secret | None = None
    own_credential: bool = True


class LimitState(msgspec.Struct, frozen=True, gc=False):
    """A rate limit after a request was counted.

    Attributes:
        limit: capacity in requests.
        remaining: requests left right now.
        reset: seconds until the bucket is full again.
    """

    limit: int
    remaining: int
    reset: float


class AttemptRecord(msgspec.Struct, frozen=True, gc=False):
    """One upstream try, as observers see it.

    Attributes:
        exchange: the exchange's id.
        provider: the provider's name.
        deployment: the deployment's name.
        result: ``ok``, ``client_gone`` (or its upload broke off), ``draining``, or the error's code.
        stage: how far it got; None when it did not fail.
        upstream_status: the provider's HTTP status, if one came.
        elapsed: seconds from send to the end of the attempt.
    """

    exchange: str
    provider: str
    deployment: str
    result: str
    stage: Stage | None
    upstream_status: int | None
    elapsed: float


class ExchangeStarted(msgspec.Struct, frozen=True, gc=False):
    """An exchange has begun: its id and endpoint."""

    id: str
    endpoint: str


GAP_BOUNDS: Sequence[float] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds, seconds, of the buckets in `ExchangeRecord.gaps`; one more bucket takes the rest."""


class ExchangeRecord(msgspec.Struct, frozen=True, gc=False):
    """One exchange, whole: the single source of logs, metrics, traces and the ledger.

    Attributes:
        id: the request id.
        upstream_id: the provider's request id, or "".
        time: Unix seconds at which it began.
        method: HTTP method of the client's request.
        endpoint: canonical path, or ``other``.
        front: dialect of the client, or "".
        back: dialect of the upstream, or "" when none was chosen.
        key: who called.
        client: the peer's address.
        provider: the provider that served it, or "".
        deployment: the deployment that served it, or "".
        model: the model the client asked for, cut to 256 characters; "" if unknown.
        model_label: the same if the configuration names it, else ``other``: for metric labels.
        upstream_model: what the provider was asked for, or "".
        status: status sent to the client; 499 when it left before.
        outcome: how it ended.
        error: machine-readable code of the error, or "".
        stream: whether a streamed answer was asked for.
        attempts: upstream tries.
        duration: seconds from the head of the request to the end of the answer.
        upstream_duration: seconds spent in attempts.
        ttft: seconds to the first content-bearing chunk, or None.
        chunks: frames that carried content.
        gaps: seconds between chunks, counted by `GAP_BOUNDS`; empty when not streamed.
        gap_sum: sum of those seconds.
        bytes_in: size of the request body; of an upload that was not taken to its end, what came of it.
        bytes_out: bytes of answer body written.
        usage: tokens as reported.
        estimated: whether the usage is relay's estimate.
        finish: the answer's finish or stop reason, or "".
        generation: configuration generation it ran under.
        dropped: what a translation could not carry, by the client's field names.
    """

    id: str
    time: float
    method: str
    endpoint: str
    status: int
    outcome: Outcome
    duration: float
    key: KeyInfo = ANONYMOUS
    client: str = ""
    upstream_id: str = ""
    front: str = ""
    back: str = ""
    provider: str = ""
    deployment: str = ""
    model: str = ""
    model_label: str = "other"
    upstream_model: str = ""
    error: str = ""
    stream: bool = False
    attempts: int = 0
    upstream_duration: float = 0.0
    ttft: float | None = None
    chunks: int = 0
    gaps: tuple[int, ...] = ()
    gap_sum: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    usage: Usage = Usage()
    estimated: bool = False
    finish: str = ""
    generation: int = 0
    dropped: tuple[str, ...] = ()
