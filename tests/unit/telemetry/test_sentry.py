"""Sentry: what is sent, what never is, and that nothing happens without a DSN."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger, LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import relay
from relay.errors import ConfigError, InvalidRequest, UpstreamUnreachable
from relay.outcome import Stage
from relay.secret import Redactor, Secret, encodings
from relay.telemetry.alerts import Alert
from relay.telemetry.sentry import Sentry, SentrySettings, settings, severity

DSN = "https://public@sentry.example/42"
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"


class SettingsTests(SynchronousTestCase):
    """The environment."""

    def test_withoutADSN(self) -> None:
        """No DSN, or an empty one, means no Sentry."""
        self.assertIsNone(settings({}))
        self.assertIsNone(settings({"SENTRY_DSN": " ", "SENTRY_SAMPLE_RATE": "nonsense"}))

    def test_defaults(self) -> None:
        """Everything is sent, as production."""
        self.assertEqual(settings({"SENTRY_DSN": DSN}), SentrySettings(DSN, 1.0, "production"))

    def test_sampleRate(self) -> None:
        """A rate is a number; outside of 0 to 1 it is the nearer end."""
        for text, rate in (("0.25", 0.25), ("7", 1.0), ("-1", 0.0), ("inf", 1.0), ("", 1.0)):
            given = settings({"SENTRY_DSN": DSN, "SENTRY_SAMPLE_RATE": text})
            self.assertEqual(given and given.sample_rate, rate)

    def test_sampleRateThatIsNoNumber(self) -> None:
        """Anything else is an error that names the variable."""
        for text in ("half", "nan", "0,5"):
            error = self.assertRaises(ConfigError, settings, {"SENTRY_DSN": DSN, "SENTRY_SAMPLE_RATE": text})
            self.assertIn("SENTRY_SAMPLE_RATE", str(error))

    def test_environment(self) -> None:
        """The environment's name is passed on."""
        given = settings({"SENTRY_DSN": DSN, "SENTRY_ENVIRONMENT": "staging"})
        self.assertEqual(given and given.environment, "staging")

    def test_nothingIsImported(self) -> None:
        """Reading the settings, and finding none, does not load the SDK."""
        code = (
            "import sys, relay.telemetry.sentry as s, relay.telemetry.alerts\n"
            "assert s.settings({}) is None\n"
            "sys.exit(any(name.split('.')[0] == 'sentry_sdk' for name in sys.modules))"
        )
        found = {**os.environ, "PYTHONPATH": str(Path(relay.__file__).parent.parent)}
        ended = subprocess.run([sys.executable, "-c", code], env=found, check=False, timeout=60)
        self.assertEqual(ended.returncode, 0)


class Reactor:
    """Takes calls from threads, and makes them when the test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        self.calls.append(lambda: call(*args))

    def turn(self) -> None:
        """One turn of the loop."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


def inner(token: str) -> None:
    """Raise, with things in local variables that nobody may see."""
    prompt = "the prompt of somebody"
    if prompt and token:
        raise KeyError("no such thing")


class SentryTests(SynchronousTestCase):
    """Events, as a fake transport sees them."""

    def setUp(self) -> None:
        """A Sentry whose posts are kept, and answered by the test."""
        self.reactor = Reactor()
        self.posts: list[tuple[str, Mapping[str, str], bytes]] = []
        self.answers: list[Deferred[int]] = []
        self.hold = False
        self.sentry = Sentry(
            SentrySettings(DSN, environment="staging"),
            release="1.2.3",
            post=self.post,
            reactor=self.reactor,  # type: ignore[arg-type]  # the one method it needs
            redaction=lambda: Redactor([Secret(KEY)]),
        )
        self.log = Logger(namespace="relay.test", observer=self.sentry)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Keep an envelope; answer at once unless the test holds answers back."""
        self.posts.append((url, headers, body))
        if not self.hold:
            return 200
        self.answers.append(Deferred())
        return await self.answers[-1]

    def events(self) -> list[dict[str, Any]]:
        """The events of all envelopes so far."""
        self.reactor.turn()
        return [json.loads(body.splitlines()[2]) for _, _, body in self.posts]

    def failure(self, error: Exception) -> Failure:
        """An error that was raised."""
        try:
            raise error
        except type(error):
            return Failure()

    def test_interface(self) -> None:
        """It is an `ILogObserver`."""
        verifyObject(ILogObserver, self.sentry)

    def test_unhandledFailure(self) -> None:
        """A logged failure is sent with traceback, release, environment and the exchange's tags."""
        try:
            inner(KEY)
        except KeyError:
            self.log.failure("unexpected", exchange="r1", endpoint="/v1/messages", provider="anthropic", other="x")
        (event,) = self.events()
        self.assertEqual((event["level"], event["release"], event["environment"]), ("error", "relay@1.2.3", "staging"))
        self.assertEqual(
            event["tags"],
            {"request_id": "r1", "endpoint": "/v1/messages", "provider": "anthropic", "error_type": "KeyError"},
        )
        value = event["exception"]["values"][0]
        self.assertEqual((value["type"], value["stacktrace"]["frames"][-1]["function"]), ("KeyError", "inner"))

    def test_noVariables(self) -> None:
        """Frames come without local variables, requests, breadcrumbs or installed packages."""
        try:
            inner(KEY)
        except KeyError:
            self.log.failure("unexpected")
        (event,) = self.events()
        frames = [frame for value in event["exception"]["values"] for frame in value["stacktrace"]["frames"]]
        self.assertEqual([frame for frame in frames if "vars" in frame], [])
        self.assertEqual({"request", "user", "breadcrumbs", "modules", "extra"} & set(event), set())

    def test_cleanedFailure(self) -> None:
        """A failure that has lost its frames is sent with what is left of its traceback."""
        try:
            inner(KEY)
        except KeyError:
            failure = Failure()
        failure.cleanFailure()
        self.log.failure("Unhandled error in Deferred:", failure)
        frames = self.events()[0]["exception"]["values"][0]["stacktrace"]["frames"]
        self.assertEqual(frames[-1]["function"], "inner")
        self.assertNotIn("the prompt of somebody", json.dumps(frames))

    def test_keysAreMasked(self) -> None:
        """A known key in a message is masked, in each of its encodings, also in a cause's."""
        for form in encodings(KEY):
            try:
                try:
                    raise ValueError(f"cause {form}")
                except ValueError as cause:
                    raise RuntimeError(f"refused {form}") from cause
            except RuntimeError:
                self.log.failure("unexpected", exchange=form)
        self.assertEqual(len(self.events()), len(encodings(KEY)))
        for _, _, body in self.posts:
            for form in encodings(KEY):
                self.assertNotIn(form.encode(), body)
            self.assertIn(b"refused ***", body)

    def test_longMessagesAreCut(self) -> None:
        """A message that quotes a whole prompt is cut."""
        self.log.failure("unexpected", self.failure(ValueError("p" * 50_000)))
        self.assertLessEqual(len(self.events()[0]["exception"]["values"][0]["value"]), 1000)

    def test_levels(self) -> None:
        """An upstream's fault is a warning, a client's an information, anything else an error."""
        errors = (
            UpstreamUnreachable("x", stage=Stage.CONNECT),
            InvalidRequest("x"),
            ZeroDivisionError(),
        )
        for error in errors:
            self.log.failure("unexpected", self.failure(error))
        self.assertEqual([event["level"] for event in self.events()], ["warning", "info", "error"])
        self.assertEqual(severity(None), "error")

    def test_onlyFailures(self) -> None:
        """Plain lines, and failures that are logged as less than an error, are not sent."""
        self.log.error("something bad")
        self.log.failure("handled", self.failure(ValueError("x")), level=LogLevel.warn)
        self.assertEqual(self.events(), [])

    def test_alert(self) -> None:
        """A repeated-failure alert is a message with its tags."""
        self.sentry.alert(Alert("openai", 5, 12.3, "upstream_timeout"))
        (event,) = self.events()
        self.assertEqual(event["message"], "Repeated upstream failures detected: openai, 5 failures within 12 s")
        self.assertEqual(
            event["tags"],
            {"alert_type": "repeated_upstream_failures", "provider": "openai", "error_type": "upstream_timeout"},
        )

    def test_post(self) -> None:
        """Envelopes go to the project's address with its public key, on the reactor's thread."""
        self.sentry.alert(Alert("openai", 5, 12.3, "x"))
        self.assertEqual(self.posts, [])
        self.reactor.turn()
        url, headers, _ = self.posts[0]
        self.assertEqual(url, "https://sentry.example/api/42/envelope/")
        self.assertEqual(headers["Content-Type"], "application/x-sentry-envelope")
        self.assertIn("sentry_key=public", headers["X-Sentry-Auth"])

    def test_sampling(self) -> None:
        """A rate of 0 sends nothing."""
        sentry = Sentry(
            SentrySettings(DSN, sample_rate=0.0),
            release="1",
            post=self.post,
            reactor=self.reactor,  # type: ignore[arg-type]  # as above
            redaction=Redactor,
        )
        sentry.alert(Alert("openai", 5, 12.3, "x"))
        self.assertEqual(self.events(), [])

    def test_flood(self) -> None:
        """No more than a few envelopes are under way at once; the rest is dropped."""
        self.hold = True
        for _ in range(100):
            self.sentry.alert(Alert("openai", 5, 12.3, "x"))
        self.assertEqual(len(self.events()), 16)
        self.log.failure("unexpected", self.failure(ValueError("x")))
        self.assertEqual(len(self.events()), 16)
        for answer in self.answers:
            answer.callback(200)
        self.sentry.alert(Alert("openai", 5, 12.3, "x"))
        self.assertEqual(len(self.events()), 17)

    def test_unreachable(self) -> None:
        """A Sentry that fails is a warning without a failure, which would be sent and fail again."""
        self.hold = True
        for _ in range(2):
            self.sentry.alert(Alert("openai", 5, 12.3, "x"))
        self.reactor.turn()
        with capturedLogs() as lines:
            self.answers[0].errback(OSError("no route"))
            self.answers[1].callback(429)
        self.assertEqual([(line.get("reason"), line.get("status")) for line in lines], [("OSError", None), (None, 429)])
        self.assertEqual([line for line in lines if "log_failure" in line or line["log_level"] >= LogLevel.error], [])

    def test_close(self) -> None:
        """Closing waits for what is under way, and takes nothing more."""
        self.hold = True
        self.sentry.alert(Alert("openai", 5, 12.3, "x"))
        self.reactor.turn()
        closed = self.sentry.close()
        self.assertNoResult(closed)
        self.sentry.alert(Alert("openai", 5, 12.3, "x"))
        self.reactor.turn()
        self.answers[0].callback(200)
        self.successResultOf(closed)
        self.assertEqual(len(self.posts), 1)
        self.successResultOf(self.sentry.close())

    def test_badDSN(self) -> None:
        """A DSN that is none is an error that names the variable, and does not repeat the value."""
        for dsn in ("nonsense", "https://sentry.example/42", "ftp://public@sentry.example/42", "https://a@b/c:d"):
            error = self.assertRaises(
                ConfigError,
                Sentry,
                SentrySettings(dsn),
                release="1",
                post=self.post,
                reactor=self.reactor,
                redaction=Redactor,
            )
            self.assertIn("SENTRY_DSN", str(error))
            self.assertNotIn(dsn, str(error))
