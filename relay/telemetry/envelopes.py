"""The Sentry SDK as relay uses it: no integrations, no threads, no HTTP client of its own.

Imported only where a DSN is configured: the SDK costs some megabytes of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from sentry_sdk import Client
from sentry_sdk.consts import EndpointType
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, Dsn, event_from_exception

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from relay.errors import ConfigError
from relay.secret import Redactor

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

    from relay.telemetry.sentry import Post, SentrySettings

_MOST_AT_ONCE = 16
"""Envelopes on their way; more are dropped: a failing relay must not flood anybody."""

_LONGEST_TEXT = 1000


class _Posted(Transport):
    """Hands envelopes to `Post`, on the reactor's thread.

    Args:
        dsn: where they go.
        post: sends one.
        reactor: takes calls from threads.
    """

    _log = Logger()

    def __init__(self, dsn: Dsn, post: Post, reactor: IReactorFromThreads) -> None:
        super().__init__()
        auth = dsn.to_auth("relay")
        self._url = auth.get_api_url(EndpointType.ENVELOPE)
        self._headers = {"Content-Type": "application/x-sentry-envelope", "X-Sentry-Auth": auth.to_header()}
        self._post = post
        self._reactor = reactor
        self._under_way = 0
        self._idle: Deferred[None] | None = None
        self._closed = False

    def capture_envelope(self, envelope: Envelope) -> None:
        """Send it, whatever thread this is."""
        data = envelope.serialize()
        self._reactor.callFromThread(self._begin, data)

    @property
    def full(self) -> bool:
        """Whether an envelope would be dropped now."""
        return self._closed or self._under_way >= _MOST_AT_ONCE

    def close(self) -> Deferred[None]:
        """Take nothing more; fires when nothing is under way."""
        self._closed = True
        if not self._under_way:
            return succeed(None)
        if self._idle is None:
            self._idle = Deferred()
        return self._idle

    def _begin(self, data: bytes) -> None:
        if self.full:
            return
        self._under_way += 1
        Deferred.fromCoroutine(self._send(data)).addBoth(self._sent)

    async def _send(self, data: bytes) -> int:
        return await self._post(self._url, self._headers, data)

    def _sent(self, result: int | Failure) -> None:
        """Never a failure of its own in the log: that would be sent as well, and fail again."""
        self._under_way -= 1
        if isinstance(result, Failure):
            self._log.warn("Sentry cannot be reached", reason=type(result.value).__name__)
        elif result >= 400:
            self._log.warn("Sentry refused an event", status=result)
        if self._idle is not None and not self._under_way:
            idle, self._idle = self._idle, None
            idle.callback(None)


class Envelopes:
    """Makes Sentry's events; arguments as in `relay.telemetry.sentry.Sentry`."""

    def __init__(
        self,
        given: SentrySettings,
        *,
        release: str,
        post: Post,
        reactor: IReactorFromThreads,
        redaction: Callable[[], Redactor],
    ) -> None:
        try:
            dsn = Dsn(given.dsn)
        except (BadDsn, ValueError) as error:
            raise ConfigError("environment variable SENTRY_DSN is not a valid DSN") from error
        self._redaction = redaction
        self._transport = _Posted(dsn, post, reactor)
        # A client of its own rather than sentry_sdk.init: nothing global, nothing patched.
        self._client = Client(
            dsn=given.dsn,
            release=f"relay@{release}",
            environment=given.environment,
            sample_rate=given.sample_rate,
            include_local_variables=False,
            max_request_body_size="never",
            default_integrations=False,
            auto_enabling_integrations=False,
            send_default_pii=False,
            send_client_reports=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            spotlight=False,
            debug=False,
            max_breadcrumbs=0,
            before_send=self._cleaned,
            transport=self._transport,
        )

    def send_failure(self, failure: Failure, *, level: str, tags: Mapping[str, str]) -> None:
        """Send an exception with its traceback, unless so many are under way that it would be dropped."""
        if self._transport.full:
            return
        trace = cast("TracebackType | None", failure.getTracebackObject())
        error = failure.value if failure.value is not None else RuntimeError("no exception")
        event, hint = event_from_exception(
            (type(error), error, trace),
            client_options=self._client.options,
            mechanism={"type": "log", "handled": False},
        )
        self._capture(event, hint, level, tags)

    def send_message(self, message: str, *, level: str, tags: Mapping[str, str]) -> None:
        """Send a text."""
        self._capture({"message": message}, None, level, tags)

    def close(self) -> Deferred[None]:
        """See `_Posted.close`."""
        return self._transport.close()

    def _capture(self, event: Event, hint: Hint | None, level: str, tags: Mapping[str, str]) -> None:
        event["level"] = cast("Any", level)
        event["tags"] = dict(tags)
        self._client.capture_event(event, hint)

    def _cleaned(self, event: Event, hint: Hint) -> Event:
        """The event with known secrets masked and long texts cut: an exception's message may quote anything."""
        return cast("Event", _clean(event, self._redaction()))


def _clean(value: object, redactor: Redactor) -> object:
    if isinstance(value, str):
        return redactor.text(value)[:_LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {_clean(name, redactor): _clean(item, redactor) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, redactor) for item in value]
    return value
