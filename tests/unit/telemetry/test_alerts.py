"""When a provider's failures are worth waking somebody."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.interfaces import IObserver
from relay.telemetry.alerts import FORGET, QUIET, THRESHOLD, WINDOW, Alert, FailureAlerts, FailureCount
from tests.unit.telemetry.records import SUCCESS, failed


class FailureCountTests(SynchronousTestCase):
    """Pure counting."""

    def setUp(self) -> None:
        """Nothing has failed yet."""
        self.count = FailureCount()

    def fail(self, now: float, provider: str = "openai") -> Alert | None:  # type: ignore[override]  # shorter here
        """Count one failure."""
        return self.count.failed(provider, "upstream_timeout", now)

    def test_published(self) -> None:
        """Five within 300 seconds, at most one a minute, forgotten after 600."""
        self.assertEqual((THRESHOLD, WINDOW, QUIET, FORGET), (5, 300.0, 60.0, 600.0))

    def test_fifthFailureAlerts(self) -> None:
        """Four failures are no alert, the fifth is; it says who, how many, and in what time."""
        alerts = [self.fail(now) for now in (0.0, 10.0, 20.0, 30.0, 40.0)]
        self.assertEqual(alerts, [None] * 4 + [Alert("openai", 5, 40.0, "upstream_timeout")])

    def test_edgeOfTheWindow(self) -> None:
        """Failures exactly 300 seconds apart count together, any further apart do not."""
        for now in (0.0, 1.0, 2.0, 3.0):
            self.fail(now, "near")
            self.fail(now, "far")
        self.assertIsNotNone(self.fail(300.0, "near"))
        self.assertIsNone(self.fail(300.001, "far"))
        self.assertIsNotNone(self.fail(301.0, "far"))

    def test_atMostOneAMinute(self) -> None:
        """A provider that keeps failing is told of once a minute."""
        alerts = [now for now in range(0, 200, 2) if self.fail(float(now))]
        self.assertEqual(alerts, [8, 68, 128, 188])

    def test_providersAreApart(self) -> None:
        """Failures of one provider do not count for another, nor keep it quiet."""
        for now in range(4):
            self.fail(float(now))
            self.fail(float(now), "anthropic")
        self.assertIsNotNone(self.fail(4.0))
        self.assertIsNotNone(self.fail(5.0, "anthropic"))

    def test_forgotten(self) -> None:
        """Providers that have recovered leave nothing behind."""
        self.fail(0.0)
        self.fail(600.0, "anthropic")
        self.assertEqual(self.count.tracked(), 2)
        self.fail(600.5, "anthropic")
        self.assertEqual(self.count.tracked(), 1)

    @given(st.lists(st.floats(0, 400), max_size=60))
    def test_rule(self, gaps: list[float]) -> None:
        """For every rhythm: each alert has five failures within 300 seconds behind it, and a minute before it."""
        count, now, failures, alerts = FailureCount(), 0.0, [], [-QUIET]
        for gap in gaps:
            now += gap
            failures.append(now)
            due = len(failures) >= 5 and now - failures[-5] <= 300.0 and now - alerts[-1] >= 60.0
            self.assertEqual(count.failed("p", "x", now) is not None, due)
            if due:
                alerts.append(now)


class FailureAlertsTests(SynchronousTestCase):
    """The observer."""

    def setUp(self) -> None:
        """An observer whose alerts are kept."""
        self.clock = Clock()
        self.alerts: list[Alert] = []
        self.observer = FailureAlerts(self.clock.seconds, self.alerts.append)

    def test_interface(self) -> None:
        """It is an `IObserver`."""
        verifyObject(IObserver, self.observer)

    def test_alert(self) -> None:
        """Five failures are one call, and one log line that says what to look for."""
        with capturedLogs() as logged:
            for _ in range(5):
                self.observer.attempt_ended(failed("upstream_unreachable"))
                self.clock.advance(1)
        self.assertEqual(self.alerts, [Alert("openai", 5, 4.0, "upstream_unreachable")])
        (line,) = logged
        self.assertEqual(line["log_format"], "ALERT: Repeated upstream failures detected")
        self.assertEqual((line["log_level"], line["provider"], line["failures"]), (LogLevel.error, "openai", 5))

    def test_withoutSentry(self) -> None:
        """The log line comes although nobody else is to be told."""
        observer = FailureAlerts(self.clock.seconds)
        with capturedLogs() as logged:
            for _ in range(5):
                observer.attempt_ended(failed("upstream_overloaded", 529))
        self.assertEqual(len(logged), 1)

    def test_whatCounts(self) -> None:
        """Routes, deadlines, 5xx and broken answers count, under whatever code the 5xx comes."""
        for attempt in (
            failed("upstream_unreachable"),
            failed("upstream_timeout"),
            failed("upstream_stream_cut", 200),
            failed("upstream_protocol_error"),
            failed("a code of its own", 503),
        ):
            self.observer.attempt_ended(attempt)
        self.assertEqual(len(self.alerts), 1)

    def test_whatDoesNotCount(self) -> None:
        """Successes, refusals, a provider's 429 and clients that left are no failures of the provider."""
        for _ in range(20):
            for attempt in (
                SUCCESS,
                failed("upstream_refused", 400),
                failed("upstream_credential_refused", 401),
                failed("upstream_rate_limited", 429),
                failed("client_gone"),
            ):
                self.observer.attempt_ended(attempt)
        self.assertEqual(self.alerts, [])
