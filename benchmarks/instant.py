"""The middle of relay, and its client side, between two ends that do nothing: what it costs itself, without sockets."""

# mypy: allow-untyped-calls
# (twisted.internet.testing is largely unannotated)

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from prometheus_client import CollectorRegistry

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from benchmarks.contenders.base import Site
from benchmarks.contenders.relay import configure
from benchmarks.questions import PATH, Question, client_key, raw
from relay.config import Snapshot
from relay.dialects.transcode import Transcoder
from relay.endpoints import FORWARDED
from relay.exchange import AttemptRecord, ClientRequest, ExchangeRecord, ExchangeStarted, Headers, UpstreamRequest
from relay.gateway import Gateway
from relay.interfaces import IConfiguration, IModelCatalog, IObserver, ISigner, ISink, IUpstream, IUpstreamResponse
from relay.loader.snapshot import load
from relay.loader.sources import Sources
from relay.policy.credentials import client_credential
from relay.provider import Origin, Provider, Timeouts
from relay.routes.fleet import Fleet
from relay.secret import Redactor, Secret
from relay.store.memory import MemoryLimiter, StaticKeys
from relay.telemetry.lines import LogFormat
from relay.telemetry.logs import ExchangeLog
from relay.telemetry.metrics import Metrics
from relay.telemetry.output import LogOutput
from relay.web.seams import Introspection, Phase, Status
from relay.web.site import build_site
from relay.wire.http import parse_request_head


@implementer(IConfiguration)
class Fixed:
    """A configuration that does not change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


@implementer(IModelCatalog)
class NoLists:
    """No provider lists anything."""

    version = 0

    def models(self, provider: Provider, credential: Secret | None) -> Deferred[Sequence[str]]:
        """Nothing."""
        return succeed(())

    def known(self, provider: Provider) -> frozenset[str]:
        """Nothing."""
        return frozenset()


@implementer(ISink)
class Drain:
    """A client that takes everything."""

    def __init__(self) -> None:
        self.started = False
        self.gone = False

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """It stays."""

    def start(self, status: int, headers: Headers) -> None:
        """The head."""
        self.started = True

    def write(self, data: bytes) -> None:
        """Forget it."""

    def end(self) -> None:
        """Well."""

    def abort(self) -> None:
        """Also well."""

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """It never pauses."""

    def unregisterProducer(self) -> None:
        """It never did."""


@implementer(IUpstreamResponse)
class Whole:
    """An answer that is there."""

    def __init__(self, headers: Headers, pieces: Sequence[bytes]) -> None:
        self.status = 200
        self.headers = headers
        self._pieces = pieces

    def at_hand(self, limit: int) -> bytes | None:
        """All of it, if it came in one piece, as small answers do."""
        return self._pieces[0] if len(self._pieces) == 1 else None

    def read(self, limit: int) -> Deferred[bytes]:
        """All of it."""
        return succeed(b"".join(self._pieces))

    def stream(self, transcoder: Transcoder, sink: ISink) -> Deferred[None]:
        """Piece by piece."""
        for piece in self._pieces:
            out = transcoder.feed(piece)
            if out:
                sink.write(out)
        return succeed(None)

    def abort(self) -> None:
        """Nothing to abort."""


@implementer(IUpstream)
class Instant:
    """A provider that answers at once, always the same."""

    def __init__(self, answer: Whole) -> None:
        self._answer = answer

    def send(self, request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        """The answer."""
        return succeed(self._answer)

    def close(self) -> Deferred[None]:
        """Nothing to close."""
        return succeed(None)


def upstream_request() -> UpstreamRequest:
    """What goes to such a provider for a small question."""
    return UpstreamRequest(
        deployment="p000/m",
        provider="p000",
        method="POST",
        origin=Origin("http", "127.0.0.1", 9000),
        target="/v1/chat/completions",
        headers=(
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
            (b"user-agent", b"relay/0.1.0"),
            (b"authorization", b"Bearer sk-upstream-4f9d0c2b7a6e"),
        ),
        body=b"",
        stream=False,
        timeouts=Timeouts(),
    )


@implementer(ISigner)
class _NoSigner:
    """Signs nothing: the question's provider takes a bearer key."""

    def sign(self, request: UpstreamRequest, provider: Provider, credential: Secret | None) -> UpstreamRequest:
        """The request as it is."""
        return request


class Nowhere:
    """A file that forgets."""

    def write(self, data: bytes, /) -> None:
        """Forget it."""

    def flush(self) -> None:
        """Nothing to pass on."""


@implementer(IObserver)
class Records:
    """An observer that keeps the last record."""

    last: ExchangeRecord

    def exchange_started(self, started: ExchangeStarted) -> None:
        """Not kept."""

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Not kept."""

    def exchange_settled(self, record: ExchangeRecord) -> None:
        """Kept."""
        self.last = record


class Middle:
    """Everything between web/ and upstream/, as the service builds it, with everything on.

    Args:
        answers: header fields and pieces of the body of every upstream answer.
    """

    def __init__(self, answer: Whole) -> None:
        self.clock = Clock()
        self.snapshot = read_configuration()
        self.configuration = configuration = Fixed(self.snapshot)
        redactor = Redactor(self.snapshot.secrets())
        output = LogOutput(Nowhere(), self.clock)
        output.startService()
        self.keys = StaticKeys(configuration)
        self.limiter = MemoryLimiter(self.clock.seconds)
        self.metrics = Metrics(CollectorRegistry(), buckets=lambda: 0, generation=lambda: 1, reload_failures=lambda: 0)
        self.log = ExchangeLog(output, lambda: redactor, LogFormat.JSON)
        self.records = Records()
        self.gateway = Gateway(
            configuration=configuration,
            upstream=Instant(answer),
            signer=_NoSigner(),
            catalog=NoLists(),
            keys=self.keys,
            limiter=self.limiter,
            observers=(self.metrics, self.log, self.records),
            redaction=lambda: redactor,
            clock=self.clock,
            wall=self.clock.seconds,
            fleet=Fleet(self.clock, lambda: 0.5),
            chance=lambda: 0.5,
        )


class Line(StringTransport):
    """A client's connection that takes everything and keeps nothing.

    Attributes:
        taken: bytes so far.
    """

    taken = 0

    def write(self, data: bytes) -> None:
        """Count it."""
        self.taken += len(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Count them."""
        self.taken += sum(map(len, data))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """It stays."""


def connection(middle: Middle, *, engine: bool) -> tuple[IProtocol, Line]:
    """A client's connection to the whole of web/ above a middle."""
    phase = Status(Phase.SERVING, 0.0)
    site = build_site(
        cast("Any", middle.clock),  # no upload, no thread
        middle.gateway,
        Fixed(middle.snapshot),
        NoLists(),
        middle.keys,
        Introspection(status=lambda: phase, metrics=lambda: (b"", "")),
        ThreadPool(0, 1),
        middle.clock.seconds,
        engine=engine,
    )
    line = Line()
    protocol = site.buildProtocol(line.getPeer())
    protocol.makeConnection(line)
    return protocol, line


def read_configuration() -> Snapshot:
    """The configuration that the benchmark gives to relay, read as relay reads it."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(port=1, upstream=2, folder=Path(folder))
        variables: Mapping[str, str] = json.loads(configure(site, keys=100, providers=1).read_text("utf-8"))
        return load(Sources((), (), str(site.folder / "relay.json")), variables)


def client_request(question: Question) -> ClientRequest:
    """The request that web/ makes of a question."""
    text = raw(question, client_key(7))
    end = text.index(b"\r\n\r\n") + 4
    headers = parse_request_head(text[:end]).fields
    return ClientRequest(
        id="4f9d0c2b7a6e4d3f8a1b4f9d0c2b7a6e",
        endpoint=FORWARDED[PATH],
        query=b"",
        headers=headers,
        content_type="application/json",
        body=text[end:],
        client="127.0.0.1",
        credential=client_credential(headers),
        received=0.0,
    )


ANSWER_FIELDS: Headers = (
    (b"server", b"mock"),
    (b"x-request-id", b"req_4f9d0c2b7a6e4d3f8a1b"),
    (b"openai-organization", b"bench"),
    (b"openai-processing-ms", b"12"),
    (b"openai-version", b"2020-10-01"),
    (b"x-ratelimit-limit-requests", b"30000"),
    (b"x-ratelimit-remaining-requests", b"29999"),
    (b"cache-control", b"no-store"),
)


def event(text: str) -> bytes:
    """One event of a stream, with the content of a chunk."""
    return (
        'data: {"id":"chatcmpl-bench4f9d0c2b7a6e","object":"chat.completion.chunk","created":1767225600,'
        '"model":"bench-1-2026","system_fingerprint":"fp_bench","choices":[{"index":0,"delta":{"content":"'
        f'{text}"}},"logprobs":null,"finish_reason":null}}]}}\n\n'
    ).encode("ascii")


def events(count: int) -> Iterable[bytes]:
    """A stream of so many chunks, and its end."""
    yield from (event(f"#{number:016x}#") for number in range(count))
    yield event("").replace(b'"delta":{"content":""}', b'"delta":{}').replace(b"null}]", b'"stop"}]')
    yield b"data: [DONE]\n\n"
