"""Counters and histograms that cost a dictionary look-up on the hot path.

The client library's own children take a lock for every change and have no way to add a
whole histogram of gaps at once. These are plain lists, used on the reactor thread only,
and become the library's metric families when somebody asks for the page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

_Labels = tuple[str, ...]


class CounterSeries:
    """A number per set of label values that only grows.

    Args:
        name: metric name, ending in ``_total``.
        text: what it counts.
        labels: label names.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._values: dict[_Labels, int] = {}

    def add(self, labels: _Labels, amount: int = 1) -> None:
        """Count ``amount`` more under these label values."""
        self._values[labels] = self._values.get(labels, 0) + amount

    def family(self) -> CounterMetricFamily:
        """The counter as the library's exposition wants it."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class GaugeSeries:
    """A number per set of label values that goes up and down.

    Args:
        name: metric name.
        text: what it shows.
        labels: label names.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._values: dict[_Labels, int] = {}

    def add(self, labels: _Labels, amount: int) -> None:
        """Move the value under these label values by ``amount``, which may be negative."""
        self._values[labels] = self._values.get(labels, 0) + amount

    def family(self) -> GaugeMetricFamily:
        """The gauge as the library's exposition wants it."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class _Histogram:
    """Counts per bucket, not cumulative, and the sum of what was observed."""

    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0


class HistogramSeries:
    """A histogram of seconds per set of label values.

    Args:
        name: metric name.
        text: what it measures.
        labels: label names.
        bounds: upper bounds of the buckets, ascending; one more bucket takes the rest.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = tuple(bounds)
        self._values: dict[_Labels, _Histogram] = {}

    def observe(self, labels: _Labels, value: float) -> None:
        """Count one measurement under these label values."""
        histogram = self._at(labels)
        histogram.counts[bisect_left(self._bounds, value)] += 1
        histogram.total += value

    def merge(self, labels: _Labels, counts: Sequence[int], total: float) -> None:
        """Count many measurements at once.

        Args:
            labels: label values.
            counts: measurements by bucket, one for each bound and one for the rest.
            total: their sum.
        """
        histogram = self._at(labels)
        histogram.counts = [old + new for old, new in zip(histogram.counts, counts, strict=True)]
        histogram.total += total

    def _at(self, labels: _Labels) -> _Histogram:
        histogram = self._values.get(labels)
        if histogram is None:
            histogram = self._values[labels] = _Histogram(len(self._bounds) + 1)
        return histogram

    def family(self) -> HistogramMetricFamily:
        """The histogram as the library's exposition wants it: cumulative buckets."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        for labels, histogram in self._values.items():
            buckets, seen = [], 0
            for name, count in zip(names, histogram.counts, strict=True):
                seen += count
                buckets.append((name, float(seen)))
            family.add_metric(labels, buckets, histogram.total)
        return family
