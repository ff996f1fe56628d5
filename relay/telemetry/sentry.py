"""Sentry: unhandled errors and repeated-failure alerts, if a DSN is given.

Without one nothing of it is imported. What is sent holds a traceback without variables,
the message and a few tags: no request, no prompt, and no key.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import ILogObserver, LogEvent, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.errors import ConfigError, RequestError, UpstreamError
from relay.secret import Redactor
from relay.telemetry.alerts import Alert

if TYPE_CHECKING:
    from relay.telemetry.envelopes import Envelopes

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Sends a body to a URL with headers and gives the answer's status; its errors are caught."""


@attrs.frozen
class SentrySettings:
    """What the environment says about Sentry.

    Attributes:
        dsn: where to send, with the public key of the project.
        sample_rate: share of the events that are sent, 0 to 1.
        environment: shown with every event.
    """

    dsn: str
    sample_rate: float = 1.0
    environment: str = "production"


def settings(environ: Mapping[str, str]) -> SentrySettings | None:
    """Read ``SENTRY_DSN``, ``SENTRY_SAMPLE_RATE`` and ``SENTRY_ENVIRONMENT``.

    Args:
        environ: the environment.

    Returns:
        The settings, or None without a DSN. A rate outside 0 to 1 becomes the nearer end.

    Raises:
        ConfigError: the rate is no number.
    """
    dsn = environ.get("SENTRY_DSN", "").strip()
    if not dsn:
        return None
    text = environ.get("SENTRY_SAMPLE_RATE", "").strip() or "1"
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if math.isnan(rate):
        raise ConfigError("environment variable SENTRY_SAMPLE_RATE must be a number from 0 to 1")
    environment = environ.get("SENTRY_ENVIRONMENT", "").strip() or "production"
    return SentrySettings(dsn=dsn, sample_rate=min(1.0, max(0.0, rate)), environment=environment)


@implementer(ILogObserver)
class Sentry:
    """Sends failures that were logged, and alerts.

    A failure that anybody logs at level error or above is unhandled by definition: what
    relay expects to go wrong is logged without a traceback.

    Args:
        given: the settings.
        release: version of relay.
        post: sends an envelope.
        reactor: takes calls from threads; the loggers are used on all of them.
        redaction: gives the redactor in force.

    Raises:
        ConfigError: the DSN is not one.
    """

    def __init__(
        self,
        given: SentrySettings,
        *,
        release: str,
        post: Post,
        reactor: IReactorFromThreads,
        redaction: Callable[[], Redactor],
    ) -> None:
        from relay.telemetry.envelopes import Envelopes

        self._envelopes: Envelopes = Envelopes(given, release=release, post=post, reactor=reactor, redaction=redaction)

    def __call__(self, event: LogEvent) -> None:
        """Send the event's failure, if it has one that nobody has handled."""
        failure = event.get("log_failure")
        level = event.get("log_level")
        if not isinstance(failure, Failure) or level is None or level < LogLevel.error:
            return
        self._envelopes.send_failure(failure, level=severity(failure.value), tags=_tags(event, failure))

    def alert(self, alert: Alert) -> None:
        """Send a repeated-failure alert."""
        self._envelopes.send_message(
            f"Repeated upstream failures detected: {alert.provider}, "
            f"{alert.failures} failures within {alert.seconds:.0f} s",
            level="error",
            tags={"alert_type": "repeated_upstream_failures", "provider": alert.provider, "error_type": alert.error},
        )

    def close(self) -> Deferred[None]:
        """Take nothing more; fires when what is on its way has gone or failed."""
        return self._envelopes.close()


def severity(error: BaseException | None) -> str:
    """Sentry's level for an exception: what an upstream or a client did is less than relay's own fault."""
    if isinstance(error, UpstreamError):
        return "warning"
    return "info" if isinstance(error, RequestError) else "error"


def _tags(event: LogEvent, failure: Failure) -> dict[str, str]:
    """The kind of error, and what the event says about the exchange that it happened in."""
    names = {"exchange": "request_id", "endpoint": "endpoint", "provider": "provider"}
    tags = {tag: str(event[field]) for field, tag in names.items() if event.get(field)}
    return {**tags, "error_type": type(failure.value).__name__}
