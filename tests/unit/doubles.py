"""Small real implementations of the seams, for tests of the middle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from relay.config import Snapshot
from relay.dialects.transcode import Transcoder
from relay.errors import Unauthenticated, UpstreamError
from relay.exchange import (
    ANONYMOUS,
    AttemptRecord,
    ExchangeRecord,
    ExchangeStarted,
    Headers,
    KeyInfo,
    LimitState,
    UpstreamRequest,
)
from relay.interfaces import (
    IConfiguration,
    IKeyStore,
    ILimiter,
    IModelCatalog,
    IObserver,
    ISigner,
    ISink,
    IUpstream,
    IUpstreamResponse,
)
from relay.provider import Provider, RateLimit
from relay.secret import Secret


@implementer(ISink)
class MemorySink:
    """A client that keeps what it gets.

    Attributes:
        status: of the head, None before it.
        headers: of the head.
        body: everything written.
        ended: whether the answer was finished tidily.
        aborted: whether the connection was broken.
        producer: registered now, or None.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Headers = ()
        self.body = b""
        self.ended = self.aborted = self.gone = False
        self.producer: IPushProducer | None = None
        self._callback: Callable[[], object] | None = None

    @property
    def started(self) -> bool:
        return self.status is not None

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        self._callback = callback

    def leave(self) -> None:
        """The client goes away."""
        self.gone = True
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def start(self, status: int, headers: Headers) -> None:
        assert self.status is None, "a second status"
        self.status, self.headers = status, headers

    def write(self, data: bytes) -> None:
        assert self.started, "body before head"
        assert not self.ended, "write after the end"
        self.body += data

    def end(self) -> None:
        assert not self.ended, "ended twice"
        self.ended = True

    def abort(self) -> None:
        self.aborted = True

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None


@implementer(IUpstreamResponse)
class ScriptedResponse:
    """An answer whose body the test feeds piece by piece."""

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.aborted = False
        self.cancelled = False
        self._transcoder: Transcoder | None = None
        self._sink: ISink | None = None
        self._whole = b""
        self._done: Deferred[object] = Deferred(self._cancel)

    def _cancel(self, _: object) -> None:
        self.cancelled = self.aborted = True

    def at_hand(self, limit: int) -> bytes | None:
        return None

    def read(self, limit: int) -> Deferred[bytes]:
        return self._done  # type: ignore[return-value]  # one Deferred serves both ways of reading

    def stream(self, transcoder: Transcoder, sink: ISink) -> Deferred[None]:
        self._transcoder, self._sink = transcoder, sink
        return self._done  # type: ignore[return-value]  # one Deferred serves both ways of reading

    def abort(self) -> None:
        self.aborted = True

    def feed(self, data: bytes) -> None:
        """More of the body."""
        if self._transcoder is None or self._sink is None:
            self._whole += data
            return
        out = self._transcoder.feed(data)
        if out:
            self._sink.write(out)
        if (self._transcoder.done or self._transcoder.error) and not self._done.called:
            self._done.callback(None)

    def close(self) -> None:
        """The body ends cleanly."""
        if self._done.called:
            return
        if self._transcoder is None or self._sink is None:
            self._done.callback(self._whole)
            return
        try:
            out = self._transcoder.end()
        except UpstreamError as error:
            self._done.errback(error)
            return
        if out:
            self._sink.write(out)
        self._done.callback(None)

    def fail(self, error: UpstreamError) -> None:
        """The body breaks."""
        self._done.errback(error)


@implementer(IUpstream)
class ScriptedUpstream:
    """Keeps the requests; the test answers or fails the last one."""

    def __init__(self) -> None:
        self.requests: list[UpstreamRequest] = []
        self.cancelled = 0
        self._waiting: list[Deferred[IUpstreamResponse]] = []

    def send(self, request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        self.requests.append(request)
        self._waiting.append(Deferred(self._cancel))
        return self._waiting[-1]

    def _cancel(self, _: object) -> None:
        self.cancelled += 1

    def answer(self, status: int, headers: Mapping[str, str], body: bytes | None = None) -> ScriptedResponse:
        """The head of the answer, with ``body`` also all of the rest."""
        fields = tuple((name.encode(), value.encode()) for name, value in headers.items())
        response = ScriptedResponse(status, fields)
        if body is not None:
            response.feed(body)
            response.close()
        self._waiting.pop().callback(response)
        return response

    def fail(self, error: UpstreamError) -> None:
        """No answer."""
        self._waiting.pop().errback(error)

    def close(self) -> Deferred[None]:
        return succeed(None)


@implementer(IObserver)
class MemoryObserver:
    """Keeps every fact."""

    def __init__(self) -> None:
        self.started: list[ExchangeStarted] = []
        self.attempts: list[AttemptRecord] = []
        self.records: list[ExchangeRecord] = []

    def exchange_started(self, started: ExchangeStarted) -> None:
        self.started.append(started)

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        self.attempts.append(attempt)

    def exchange_settled(self, record: ExchangeRecord) -> None:
        self.records.append(record)


@implementer(IConfiguration)
class FixedConfiguration:
    """A snapshot that the test may exchange."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


@implementer(IModelCatalog)
class FixedCatalog:
    """Model lists by provider name, as if fetched."""

    def __init__(self, lists: Mapping[str, Sequence[str]] | None = None) -> None:
        self._lists = lists or {}
        self.version = 0

    def models(self, provider: Provider, credential: Secret | None) -> Deferred[Sequence[str]]:
        return succeed(self._lists.get(provider.name, ()))

    def known(self, provider: Provider) -> frozenset[str]:
        return frozenset(self._lists.get(provider.name, ()))


@implementer(IKeyStore)
class OpenKeys:
    """Lets everybody in, or only the holder of one key."""

    def __init__(self, only: str | None = None) -> None:
        self._only = only

    def required(self) -> bool:
        return self._only is not None

    def lookup(self, credential: Secret | None) -> KeyInfo:
        if self._only is None:
            return ANONYMOUS
        if credential is None or credential.reveal() != self._only:
            raise Unauthenticated("The key is not known.")
        return KeyInfo("k", "k", configured=True)


@implementer(ILimiter)
class NoLimits:
    """Admits everything, or fails as the test says."""

    def __init__(self, state: LimitState | None = None, error: Exception | None = None) -> None:
        self._state = state
        self._error = error

    def check(self, endpoint: str, key: str, rule: RateLimit) -> LimitState | None:
        if self._error is not None:
            raise self._error
        return self._state

    def active(self) -> Mapping[str, int]:
        return {}


@implementer(ISigner)
class NoSigner:
    """Leaves requests as they are."""

    def sign(self, request: UpstreamRequest, provider: Provider, credential: Secret | None) -> UpstreamRequest:
        return request
