"""Notices that a provider fails again and again, and says so: not too early, not too often."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from twisted.logger import Logger
from zope.interface import implementer

from relay.errors import (
    TruncatedStream,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from relay.exchange import AttemptRecord
from relay.interfaces import IObserver, of_no_interest

THRESHOLD = 5
WINDOW = 300.0
QUIET = 60.0
FORGET = 600.0

_FAILURES = frozenset(
    error.default_code
    for error in (UpstreamUnreachable, UpstreamTimeout, UpstreamOverloaded, UpstreamProtocol, TruncatedStream)
)


def is_failure(attempt: AttemptRecord) -> bool:
    """Whether an attempt tells that something is wrong with its provider."""
    broken = attempt.upstream_status is not None and attempt.upstream_status >= 500
    return broken or attempt.result in _FAILURES


@attrs.frozen
class Alert:
    """A provider has failed repeatedly.

    Attributes:
        provider: its name.
        failures: the failures that were counted.
        seconds: the time that they took from the first to the last.
        error: code of the last one.
    """

    provider: str
    failures: int
    seconds: float
    error: str


@attrs.define
class _Track:
    """The last failures of one provider, as monotonic seconds, and when it was last alerted of."""

    failures: deque[float]
    alerted: float | None = None


class FailureCount:
    """Counts failures per provider; the time is an argument.

    `THRESHOLD` failures within `WINDOW` seconds are an alert, unless there was one within
    `QUIET` seconds. A provider without a failure for `FORGET` seconds is forgotten.
    """

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}

    def failed(self, provider: str, error: str, now: float) -> Alert | None:
        """Count one failure.

        Args:
            provider: the provider that failed.
            error: the failure's code.
            now: monotonic seconds.

        Returns:
            The alert to raise, or None.
        """
        self._forget(now)
        track = self._tracks.setdefault(provider, _Track(deque(maxlen=THRESHOLD)))
        track.failures.append(now)
        seconds = now - track.failures[0]
        recently = track.alerted is not None and now - track.alerted < QUIET
        if len(track.failures) < THRESHOLD or seconds > WINDOW or recently:
            return None
        track.alerted = now
        return Alert(provider, len(track.failures), seconds, error)

    def tracked(self) -> int:
        """Providers with failures that are not forgotten."""
        return len(self._tracks)

    def _forget(self, now: float) -> None:
        for provider in [name for name, track in self._tracks.items() if now - track.failures[-1] > FORGET]:
            del self._tracks[provider]


@implementer(IObserver)
class FailureAlerts:
    """Watches attempts; an alert is one log line and one call.

    Connections, deadlines, 5xx answers and broken answers count. What a provider rightly
    refuses (4xx) does not, nor does a client that leaves.

    Args:
        clock: monotonic seconds.
        alert: told of each alert; Sentry's door where that is configured.
    """

    _log = Logger()

    def __init__(self, clock: Callable[[], float], alert: Callable[[Alert], None] | None = None) -> None:
        self._clock = clock
        self._alert = alert
        self._count = FailureCount()

    exchange_started = staticmethod(of_no_interest)

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Count it if it failed."""
        if attempt.result == "ok" or not is_failure(attempt):
            return
        alert = self._count.failed(attempt.provider, attempt.result, self._clock())
        if alert is None:
            return
        self._log.error(
            "ALERT: Repeated upstream failures detected",
            provider=alert.provider,
            failures=alert.failures,
            seconds=round(alert.seconds, 3),
            error=alert.error,
        )
        if self._alert is not None:
            self._alert(alert)

    exchange_settled = staticmethod(of_no_interest)
