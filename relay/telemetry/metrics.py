"""What relay shows to Prometheus, gathered as an observer of exchanges.

Label values come from the configuration and from closed sets only, whatever clients and
providers send: unknown paths, models, statuses and error codes are ``other``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TypeVar

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from zope.interface import implementer

from relay.endpoints import ENDPOINTS, MODELS_PATH
from relay.errors import RelayError
from relay.exchange import GAP_BOUNDS, AttemptRecord, ExchangeRecord, ExchangeStarted, Usage
from relay.interfaces import IObserver
from relay.outcome import Outcome
from relay.telemetry.series import Cell, CounterSeries, GaugeSeries, HistogramCell, HistogramSeries

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""Content type of `exposition`: the text format that every version of Prometheus reads."""

OTHER = "other"
OK = "ok"
_NO_FAILURES = (Outcome.CLIENT_GONE.value, "cancelled")
_STATES = {"closed": 0, "half_open": 1, "open": 2}

_DURATION_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_TTFT_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LISTS = ("/v1beta/models", "/api/tags", "/api/show", "/api/version")
_ENDPOINTS = frozenset((*ENDPOINTS, MODELS_PATH, *_LISTS, "/health", "/ready", "/metrics"))
_IMPLAUSIBLE = 10**12  # tokens; a provider's nonsense must not spoil a sum for good
_MOST_TALLIES = 4096
_CLOUDFLARE = range(520, 531)  # answers of a widely used front of providers; 529 is Anthropic's "overloaded"
_STATUSES = {status: str(status) for status in (*map(int, HTTPStatus), 499, *_CLOUDFLARE)}


def exposition(registry: CollectorRegistry) -> bytes:
    """The page behind ``/metrics``; `CONTENT_TYPE` goes with it."""
    return generate_latest(registry)


_Key = tuple[str, str, int, str, str]
_TryKey = tuple[str, str]
_K = TypeVar("_K")
_T = TypeVar("_T")


class _Tries(msgspec.Struct):
    """Where attempts at one provider with one result count."""

    attempts: Cell
    durations: HistogramCell
    errors: Cell | None


class _Tally(msgspec.Struct):
    """Where exchanges count that have endpoint, provider, status, outcome and model in common."""

    active: Cell
    requests: Cell
    durations: HistogramCell | None
    limited: Cell | None
    ttft: HistogramCell
    gaps: HistogramCell
    input: Cell
    cached: Cell
    cache_write: Cell
    output: Cell
    reasoning: Cell

    def count(self, usage: Usage) -> None:
        """Count the tokens that the provider reported, where the number can be one."""
        tokens = usage.input
        if tokens is not None and 0 < tokens < _IMPLAUSIBLE:
            self.input.value += tokens
        tokens = usage.cached
        if tokens is not None and 0 < tokens < _IMPLAUSIBLE:
            self.cached.value += tokens
        tokens = usage.cache_write
        if tokens is not None and 0 < tokens < _IMPLAUSIBLE:
            self.cache_write.value += tokens
        tokens = usage.output
        if tokens is not None and 0 < tokens < _IMPLAUSIBLE:
            self.output.value += tokens
        tokens = usage.reasoning
        if tokens is not None and 0 < tokens < _IMPLAUSIBLE:
            self.reasoning.value += tokens


@implementer(IObserver)
class Metrics:
    """Counts exchanges and attempts.

    Args:
        registry: where the metrics are registered, with those of the process and its
            garbage collector.
        buckets: rate limit buckets in use.
        generation: configuration generation in force.
        reload_failures: configurations that were refused since the start.
        deployments: deployment of a route → its ``state`` (closed, half_open, open) and ``busy`` attempts.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        buckets: Callable[[], int],
        generation: Callable[[], int],
        reload_failures: Callable[[], int],
        deployments: Callable[[], Mapping[str, Mapping[str, object]]] = dict,
    ) -> None:
        self._buckets = buckets
        self._generation = generation
        self._reload_failures = reload_failures
        self._deployments = deployments
        self._results = frozenset((OK, *_NO_FAILURES, *_codes(RelayError)))
        self._define()
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def _define(self) -> None:
        self._tries: dict[_TryKey, _Tries] = {}
        self._tallies: dict[_Key, _Tally] = {}
        self._requests = CounterSeries(
            "relay_requests_total",
            "Requests answered, by how they ended.",
            ("endpoint", "provider", "status", "outcome"),
        )
        self._durations = HistogramSeries(
            "relay_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            ("endpoint", "provider"),
            _DURATION_BOUNDS,
        )
        self._upstream_durations = HistogramSeries(
            "relay_upstream_duration_seconds",
            "From sending an attempt to its end.",
            ("provider",),
            _DURATION_BOUNDS,
        )
        self._ttft = HistogramSeries(
            "relay_time_to_first_token_seconds",
            "From the head of a request to the first chunk that carries content.",
            ("provider",),
            _TTFT_BOUNDS,
        )
        self._gaps = HistogramSeries(
            "relay_inter_chunk_seconds",
            "Between two chunks of a streamed answer.",
            ("provider",),
            GAP_BOUNDS,
        )
        self._active = GaugeSeries("relay_active_requests", "Requests being served.", ("endpoint",))
        self._tokens = CounterSeries("relay_tokens_total", "Tokens reported.", ("provider", "model", "kind"))
        self._upstream_errors = CounterSeries(
            "relay_upstream_errors_total", "Attempts that failed, by error code.", ("provider", "type")
        )
        self._attempts = CounterSeries(
            "relay_upstream_attempts_total", "Upstream attempts, by result.", ("provider", "result")
        )
        self._limited = CounterSeries(
            "relay_rate_limited_total", "Requests refused by a rate limit of relay's.", ("endpoint",)
        )

        self._dropped = CounterSeries(
            "relay_dropped_fields_total", "Request fields that a translation could not carry.", ("front", "back")
        )

    # ── the observer ──────────────────────────────────────────────────────────────────

    def exchange_started(self, started: ExchangeStarted) -> None:
        """Count a request being served."""
        self._active.at(_endpoint(started.endpoint)).value += 1

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """Count an upstream try and its time."""
        key = (attempt.provider, attempt.result)
        tally = self._tries.get(key) or self._begin_tries(key)
        tally.attempts.value += 1
        tally.durations.observe(attempt.elapsed)
        if tally.errors is not None:
            tally.errors.value += 1

    def exchange_settled(self, record: ExchangeRecord) -> None:
        """Count an exchange: its end, times and tokens.

        A request for an unknown path is counted, but is no exchange whose time tells something.
        """
        key = (record.endpoint, record.provider, record.status, record.outcome._value_, record.model_label)
        tally = self._tallies.get(key) or self._begin(key)
        tally.active.value -= 1
        tally.requests.value += 1
        if tally.durations is not None:
            tally.durations.observe(record.duration)
        if tally.limited is not None:
            tally.limited.value += 1
        if record.ttft is not None:
            tally.ttft.observe(record.ttft)
        if record.gaps:
            tally.gaps.merge(record.gaps, record.gap_sum)
        tally.count(record.usage)
        if record.dropped:
            self._dropped.at(record.front, record.back).value += len(record.dropped)

    def _begin_tries(self, key: _TryKey) -> _Tries:
        provider, result = key
        if result not in self._results:
            result = OTHER
        failed = result != OK and result not in _NO_FAILURES
        tally = _Tries(
            attempts=self._attempts.at(provider, result),
            durations=self._upstream_durations.at(provider),
            errors=self._upstream_errors.at(provider, result) if failed else None,
        )
        return _remember(self._tries, key, tally)

    def _begin(self, key: _Key) -> _Tally:
        path, provider, status, outcome, model = key
        endpoint = _endpoint(path)
        tokens = self._tokens
        tally = _Tally(
            active=self._active.at(endpoint),
            requests=self._requests.at(endpoint, provider, _status(status), outcome),
            durations=self._durations.at(endpoint, provider) if endpoint != OTHER else None,
            limited=self._limited.at(endpoint) if outcome == Outcome.LIMITED.value else None,
            ttft=self._ttft.at(provider),
            gaps=self._gaps.at(provider),
            input=tokens.at(provider, model, "input"),
            cached=tokens.at(provider, model, "cached"),
            cache_write=tokens.at(provider, model, "cache_write"),
            output=tokens.at(provider, model, "output"),
            reasoning=tokens.at(provider, model, "reasoning"),
        )
        return _remember(self._tallies, key, tally)

    # ── the page ──────────────────────────────────────────────────────────────────────

    def collect(self) -> Iterable[Metric]:
        """Everything as the library's metric families."""
        yield self._requests.family()
        yield self._durations.family()
        yield self._upstream_durations.family()
        yield self._ttft.family()
        yield self._gaps.family()
        yield self._active.family()
        yield self._tokens.family()
        yield self._upstream_errors.family()
        yield self._attempts.family()
        yield self._limited.family()
        yield self._dropped.family()
        yield GaugeMetricFamily("relay_rate_limiter_buckets", "Rate limit buckets in use.", value=self._buckets())
        yield GaugeMetricFamily("relay_config_generation", "Configuration in force.", value=self._generation())
        yield CounterMetricFamily(
            "relay_config_reload_failures_total", "Configurations that were refused.", value=self._reload_failures()
        )
        yield from self._health()

    def _health(self) -> Iterable[Metric]:
        """The deployments of routes; their names come from the configuration."""
        state = GaugeMetricFamily(
            "relay_deployment_state", "Breaker: 0 closed, 1 half open, 2 open.", labels=("deployment",)
        )
        busy = GaugeMetricFamily("relay_deployment_busy", "Attempts under way.", labels=("deployment",))
        for name, told in self._deployments().items():
            state.add_metric((name,), _STATES[str(told["state"])])
            busy.add_metric((name,), float(str(told["busy"])))
        yield state
        yield busy


def _endpoint(path: str) -> str:
    return path if path in _ENDPOINTS else OTHER


def _status(status: int) -> str:
    """The status; one that nobody has defined counts as its class (``5xx``)."""
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return f"{status // 100}xx" if 100 <= status <= 599 else OTHER


def _remember(known: dict[_K, _T], key: _K, tally: _T) -> _T:
    """Keep a tally for the next time; its cells last, whether it is kept or not."""
    if len(known) >= _MOST_TALLIES:
        known.clear()
    known[key] = tally
    return tally


def _codes(error: type[RelayError]) -> Iterator[str]:
    """The code of an error class and of all classes below it."""
    yield error.default_code
    for below in error.__subclasses__():
        yield from _codes(below)
