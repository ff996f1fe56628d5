"""The seams between the middle of relay and its adapters.

An interface stands here when it has two implementations, or one and a test double.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import Attribute, Interface

from relay.config import Snapshot
from relay.dialects.transcode import Transcoder
from relay.errors import RelayError
from relay.exchange import AttemptRecord, ExchangeRecord, ExchangeStarted, Headers, KeyInfo, LimitState, UpstreamRequest
from relay.provider import Provider, RateLimit
from relay.secret import Secret

# mypy-zope reads the signatures below; zope's convention has no ``self`` in them.
# ruff: noqa: N805


class ISink(Interface):
    """The client's side of one exchange: where an answer goes."""

    started: bool = Attribute("Whether the status and headers have been written.")
    gone: bool = Attribute("Whether the client has left; writes are dropped from then on.")

    def on_gone(callback: Callable[[], object] | None) -> None:
        """Call ``callback()`` once, as soon as the client leaves; at once if it has left. None takes it back."""

    def start(status: int, headers: Headers) -> None:
        """Write the head. Only once."""

    def write(data: bytes) -> None:
        """Write a piece of the body."""

    def end() -> None:
        """Finish the answer tidily."""

    def abort() -> None:
        """Break the connection, so that the client can tell that the answer is not whole."""

    def registerProducer(producer: IPushProducer, streaming: bool) -> None:
        """Let the client's pace pause and resume the producer."""

    def unregisterProducer() -> None:
        """Undo `registerProducer`."""


class IArrivingBody(IPushProducer):
    """A `Body` that is sent while it arrives, at the pace of whoever takes it."""

    length: int | None = Attribute("Bytes of it; None where the client has not said.")
    repeatable: bool = Attribute("Whether `start` was not called yet, and can be.")

    def watch(failed: Callable[[RelayError], None]) -> None:
        """Call ``failed`` once when the rest will not come; never once the last byte is handed on, or nobody takes it.

        Who watches has to see to it that what was sent does not look complete.
        """

    def start(consumer: IConsumer) -> Deferred[None]:
        """Write it to a consumer, which paces this producer.

        Fires behind the last byte, and only then; never fails. Cancelling stops it. Raises
        `RuntimeError` when it was started before.
        """


class IUpstreamResponse(Interface):
    """An upstream's answer: its head is here, its body is still to be taken, by exactly one call."""

    status: int = Attribute("HTTP status.")
    headers: Headers = Attribute("All header fields, names in lower case.")

    def at_hand(limit: int) -> bytes | None:
        """Take the whole body if it is here already and not larger; None where `read` has to be asked.

        It spares small answers a Deferred.
        """

    def read(limit: int) -> Deferred[bytes]:
        """Take the whole body.

        Fails with `UpstreamProtocol` when it is larger than ``limit`` bytes, and with the
        other `UpstreamError` kinds. Cancelling aborts the connection.
        """

    def stream(transcoder: Transcoder, sink: ISink) -> Deferred[None]:
        """Feed the body through the transcoder into the sink, at the sink's pace.

        Fires with None when the transcoder has finished or the body ended and
        ``transcoder.end()`` accepted that (its bytes are written). ``sink.end()`` is left
        to the caller. Fails with `UpstreamError` only. Cancelling aborts the connection.
        """

    def abort() -> None:
        """Drop the connection at once, in any phase. Idempotent."""


class IUpstream(Interface):
    """The way to all providers."""

    def send(request: UpstreamRequest) -> Deferred[IUpstreamResponse]:
        """Send a request; fires when the answer's head is complete.

        Fails with `UpstreamError` only. Cancelling aborts the connection in any phase.
        Redirects are not followed, no cookies are kept, nothing is decoded.
        """

    def close() -> Deferred[None]:
        """Close idle connections; fires when they are closed."""


class IModelCatalog(Interface):
    """What the providers list, fetched and cached."""

    version: int = Attribute("Changes whenever the answers of `known` may have changed.")

    def models(provider: Provider, credential: Secret | None) -> Deferred[Sequence[str]]:
        """Upstream model ids of a provider. Never fails: a dead provider lists its last known ids, or none."""

    def known(provider: Provider) -> frozenset[str]:
        """Upstream model ids fetched so far, without waiting."""


class IKeyStore(Interface):
    """Who may call."""

    def required() -> bool:
        """Whether a key is needed at all."""

    def lookup(credential: Secret | None) -> Deferred[KeyInfo] | KeyInfo:
        """The owner of a key. Raises (or fails with) `Unauthenticated` for a missing or unknown one."""


class ILimiter(Interface):
    """Counts requests against rates."""

    def check(endpoint: str, key: str, rule: RateLimit) -> LimitState | None:
        """Count one request.

        Returns:
            The state for the ``x-ratelimit-*`` headers, None when the rule is unlimited.

        Raises:
            RateLimited: nothing left; carries ``retry_after``, ``limit`` and ``reset``.
        """

    def active() -> Mapping[str, int]:
        """Buckets in use by endpoint."""


def of_no_interest(fact: object) -> None:
    """Do nothing: stands for a method of an `IObserver` that need not be called."""


class IObserver(Interface):
    """Told of every exchange: metrics, logs, alerts, the ledger. May fail; an exchange does not fail with it.

    A method that is `of_no_interest` need not be called.
    """

    def exchange_started(started: ExchangeStarted) -> None:
        """A request came in."""

    def attempt_ended(attempt: AttemptRecord) -> None:
        """An upstream try ended, well or badly."""

    def exchange_settled(record: ExchangeRecord) -> None:
        """An exchange ended. Exactly once for each that started."""


class IConfiguration(Interface):
    """The configuration in force."""

    snapshot: Snapshot = Attribute("The last good reading.")


class ISigner(Interface):
    """Puts a credential into a request."""

    def sign(
        request: UpstreamRequest, provider: Provider, credential: Secret | None
    ) -> Deferred[UpstreamRequest] | UpstreamRequest:
        """Return the request as it may be sent: signed, or with a token; at once where nothing is waited for.

        What the answer must be masked for stands in its ``credential``. Requests of schemes that need
        no signer come back as they are. Fails with `UpstreamError` only.
        """


class IUsageStore(Interface):
    """Keeps settled exchanges."""

    def record(record: ExchangeRecord) -> None:
        """Take a record; never blocks, never raises."""

    def flush() -> Deferred[None]:
        """Fires when everything taken so far is safe."""
