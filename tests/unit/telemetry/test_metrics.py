"""What Prometheus sees of exchanges, and how little clients can do to it."""

from __future__ import annotations

import random
import re

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.exchange import ExchangeStarted, Usage
from relay.interfaces import IObserver
from relay.outcome import Outcome
from relay.telemetry.metrics import CONTENT_TYPE, Metrics, exposition
from tests.unit.telemetry.records import CHAT, SUCCESS, failed, settled

PUBLISHED = {
    "relay_requests_total": {"endpoint", "provider", "status", "outcome"},
    "relay_request_duration_seconds": {"endpoint", "provider"},
    "relay_upstream_duration_seconds": {"provider"},
    "relay_time_to_first_token_seconds": {"provider"},
    "relay_inter_chunk_seconds": {"provider"},
    "relay_active_requests": {"endpoint"},
    "relay_tokens_total": {"provider", "model", "kind"},
    "relay_upstream_errors_total": {"provider", "type"},
    "relay_upstream_attempts_total": {"provider", "result"},
    "relay_rate_limited_total": {"endpoint"},
    "relay_dropped_fields_total": {"front", "back"},
    "relay_deployment_state": {"deployment"},
    "relay_deployment_busy": {"deployment"},
    "relay_rate_limiter_buckets": set(),
    "relay_config_generation": set(),
    "relay_config_reload_failures_total": set(),
}
"""The published set: names and labels that dashboards and alerts are built on."""


class MetricsTests(SynchronousTestCase):
    """Each test has a registry of its own."""

    def setUp(self) -> None:
        """Metrics whose callbacks give fixed numbers."""
        self.registry = CollectorRegistry()
        health = {"a/x": {"state": "open", "busy": 2}}
        self.metrics = Metrics(
            self.registry,
            buckets=lambda: 7,
            generation=lambda: 3,
            reload_failures=lambda: 2,
            deployments=lambda: health,
        )

    def value(self, name: str, **labels: str) -> float | None:
        """One sample."""
        value: float | None = self.registry.get_sample_value(name, labels)
        return value

    def test_interface(self) -> None:
        """They are an `IObserver`."""
        verifyObject(IObserver, self.metrics)

    def test_names(self) -> None:
        """The page has the published metrics, and of relay's no others, before anything has happened."""
        names = re.findall(r"^# TYPE (relay_\w+) ", exposition(self.registry).decode(), re.MULTILINE)
        self.assertEqual(sorted(names), sorted(PUBLISHED))

    def test_deployments(self) -> None:
        """A route's deployments show their breakers and what they are busy with; losing a race is no failure."""
        self.assertEqual(self.value("relay_deployment_state", deployment="a/x"), 2)
        self.assertEqual(self.value("relay_deployment_busy", deployment="a/x"), 2)
        self.metrics.attempt_ended(failed("cancelled"))
        self.assertNotIn("relay_upstream_errors_total{", exposition(self.registry).decode())

    def test_dropped(self) -> None:
        """Each field that a translation could not carry counts, under both dialects' names and no client's word."""
        self.metrics.exchange_settled(settled(front="openai", back="anthropic", dropped=("seed", "my_field")))
        self.assertEqual(self.value("relay_dropped_fields_total", front="openai", back="anthropic"), 2)
        self.assertNotIn("my_field", exposition(self.registry).decode())

    def test_labels(self) -> None:
        """Each metric has the published labels."""
        self.metrics.exchange_started(ExchangeStarted("a", CHAT))
        self.metrics.attempt_ended(failed("upstream_timeout"))
        self.metrics.exchange_settled(settled(dropped=("seed",)))
        self.metrics.exchange_settled(settled(outcome=Outcome.LIMITED, status=429))
        seen: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(exposition(self.registry).decode()):
            for sample in family.samples:
                name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
                seen.setdefault(name, set()).update(set(sample.labels) - {"le"})
        self.assertEqual({name: labels for name, labels in seen.items() if name.startswith("relay_")}, PUBLISHED)

    def test_processAndCollector(self) -> None:
        """The page tells of the process, the platform and the garbage collector, too."""
        page = exposition(self.registry).decode()
        for name in ("process_resident_memory_bytes", "python_info", "python_gc_collections_total"):
            self.assertIn(f"\n{name}", page)
        self.assertTrue(CONTENT_TYPE.startswith("text/plain; version=0.0.4"))

    def test_exchange(self) -> None:
        """An exchange counts under endpoint, provider, status and outcome, with its times."""
        self.metrics.exchange_settled(settled())
        self.assertEqual(
            self.value("relay_requests_total", endpoint=CHAT, provider="openai", status="200", outcome="complete"), 1
        )
        name = "relay_request_duration_seconds"
        self.assertEqual(self.value(f"{name}_sum", endpoint=CHAT, provider="openai"), 1.25)
        self.assertEqual(self.value(f"{name}_bucket", endpoint=CHAT, provider="openai", le="1.0"), 0)
        self.assertEqual(self.value(f"{name}_bucket", endpoint=CHAT, provider="openai", le="2.5"), 1)
        self.assertEqual(self.value(f"{name}_bucket", endpoint=CHAT, provider="openai", le="+Inf"), 1)
        self.assertEqual(self.value("relay_time_to_first_token_seconds_sum", provider="openai"), 0.3)

    def test_aBoundBelongsToItsBucket(self) -> None:
        """A time that equals a bound counts below it, as ``le`` says."""
        self.metrics.exchange_settled(settled(duration=2.5))
        bucket = "relay_request_duration_seconds_bucket"
        self.assertEqual(self.value(bucket, endpoint=CHAT, provider="openai", le="2.5"), 1)

    def test_gaps(self) -> None:
        """The gaps between chunks arrive as they were counted; answers without any add nothing."""
        self.metrics.exchange_settled(settled())
        self.metrics.exchange_settled(settled())
        self.metrics.exchange_settled(settled(gaps=(), gap_sum=0.0))
        name = "relay_inter_chunk_seconds"
        self.assertEqual(self.value(f"{name}_bucket", provider="openai", le="0.005"), 2)
        self.assertEqual(self.value(f"{name}_bucket", provider="openai", le="0.01"), 6)
        self.assertEqual(self.value(f"{name}_count", provider="openai"), 6)
        self.assertEqual(self.value(f"{name}_sum", provider="openai"), 0.036)

    def test_tokens(self) -> None:
        """Tokens count by kind; what was not reported, and nonsense, is left out."""
        self.metrics.exchange_settled(settled())
        self.metrics.exchange_settled(settled(usage=Usage(input=10**400, output=-3)))
        counts = {
            kind: self.value("relay_tokens_total", provider="openai", model="gpt-4o", kind=kind)
            for kind in ("input", "cached", "cache_write", "output", "reasoning")
        }
        self.assertEqual(counts, {"input": 100, "cached": 40, "cache_write": None, "output": 25, "reasoning": 5})
        exposition(self.registry)

    def test_active(self) -> None:
        """Requests being served go up and come down."""
        for _ in range(2):
            self.metrics.exchange_started(ExchangeStarted("a", CHAT))
        self.assertEqual(self.value("relay_active_requests", endpoint=CHAT), 2)
        for _ in range(2):
            self.metrics.exchange_settled(settled())
        self.assertEqual(self.value("relay_active_requests", endpoint=CHAT), 0)

    def test_attempts(self) -> None:
        """Attempts count by result and time; failures, but not clients that left, count as upstream errors."""
        for attempt in (SUCCESS, failed("upstream_timeout"), failed("client_gone"), failed("invented by somebody")):
            self.metrics.attempt_ended(attempt)
        for result in ("ok", "upstream_timeout", "client_gone", "other"):
            self.assertEqual(self.value("relay_upstream_attempts_total", provider="openai", result=result), 1)
        errors = {
            kind: self.value("relay_upstream_errors_total", provider="openai", type=kind)
            for kind in ("ok", "upstream_timeout", "client_gone", "other")
        }
        self.assertEqual(errors, {"ok": None, "upstream_timeout": 1, "client_gone": None, "other": 1})
        self.assertEqual(self.value("relay_upstream_duration_seconds_count", provider="openai"), 4)

    def test_limited(self) -> None:
        """Requests that relay's own limit refused count by endpoint; a provider's 429 does not."""
        self.metrics.exchange_settled(settled(outcome=Outcome.LIMITED, status=429))
        self.metrics.exchange_settled(settled(outcome=Outcome.UPSTREAM_ERROR, status=429))
        self.assertEqual(self.value("relay_rate_limited_total", endpoint=CHAT), 1)

    def test_callbacks(self) -> None:
        """Buckets, generation and failed reloads are asked for when the page is."""
        self.assertEqual(self.value("relay_rate_limiter_buckets"), 7)
        self.assertEqual(self.value("relay_config_generation"), 3)
        self.assertEqual(self.value("relay_config_reload_failures_total"), 2)

    def test_oddStatuses(self) -> None:
        """A status that nobody has defined counts as its class, an impossible one as ``other``."""
        for status in (200, 499, 529, 477, 599, 0, 99999):
            self.metrics.exchange_settled(settled(status=status))
        page = exposition(self.registry).decode()
        seen = re.findall(r'^relay_requests_total\{.*status="(\w+)"\} ([\d.]+)', page, re.MULTILINE)
        self.assertEqual(
            dict(seen),
            {"200": "1.0", "499": "1.0", "529": "1.0", "4xx": "1.0", "5xx": "1.0", "other": "2.0"},
        )

    def test_cardinality(self) -> None:
        """Five thousand invented models and paths, unserved and served, add at most sixty lines."""
        before = len(exposition(self.registry).splitlines())
        chance = random.Random(1)
        for number in range(5000):
            junk = f"{chance.getrandbits(64):x}"
            path = f"/{junk}" if number % 2 else CHAT
            self.metrics.exchange_started(ExchangeStarted(junk, path))
            self.metrics.attempt_ended(failed("upstream_refused", 404))
            self.metrics.exchange_settled(
                settled(
                    id=junk,
                    endpoint=path,
                    model=junk,
                    model_label="other",
                    upstream_model=junk,
                    deployment=f"openai/{junk}",
                    provider="" if number % 2 else "openai",
                    status=404,
                    outcome=Outcome.REJECTED,
                    ttft=None,
                    gaps=(),
                )
            )
        self.assertLessEqual(len(exposition(self.registry).splitlines()) - before, 60)

    def test_labelValuesCannotBreakThePage(self) -> None:
        """Quotes, backslashes and line ends in a configured name are escaped."""
        self.metrics.exchange_settled(settled(provider='a"b\\c\nd'))
        families = text_string_to_metric_families(exposition(self.registry).decode())
        names = {
            sample.labels["provider"] for family in families for sample in family.samples if "provider" in sample.labels
        }
        self.assertEqual(names, {'a"b\\c\nd'})
