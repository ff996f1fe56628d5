"""Counters and histograms whose change is one addition on the hot path.

The client library's own children take a lock for every change and have no way to add a
whole histogram of gaps at once. Here a series hands out a cell for each set of label
values, which whoever counts may keep. All is used on the reactor thread only, and becomes
the library's metric families when somebody asks for the page.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

_Labels = tuple[str, ...]


class Cell:
    """A number under one set of label values."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class HistogramCell:
    """Measurements under one set of label values: counts per bucket, not cumulative, and their sum.

    Args:
        bounds: upper bounds of the buckets, ascending; one more bucket takes the rest.
    """

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one measurement."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def merge(self, counts: Sequence[int], total: float) -> None:
        """Count many measurements at once.

        Args:
            counts: measurements by bucket, one for each bound and one for the rest.
            total: their sum.
        """
        self.counts = [old + new for old, new in zip(self.counts, counts, strict=True)]
        self.total += total


_Kept = TypeVar("_Kept", Cell, HistogramCell)


class _Series(Generic[_Kept]):
    """Cells by label values.

    Args:
        name: metric name.
        text: what it tells.
        labels: label names.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._cells: dict[_Labels, _Kept] = {}

    def _make(self) -> _Kept:
        raise NotImplementedError

    def at(self, *labels: str) -> _Kept:
        """The cell of these label values."""
        cell = self._cells.get(labels)
        if cell is None:
            cell = self._cells[labels] = self._make()
        return cell


class CounterSeries(_Series[Cell]):
    """A number per set of label values that only grows; those that have not begun to do not show."""

    def _make(self) -> Cell:
        return Cell()

    def family(self) -> CounterMetricFamily:
        """The counter as the library's exposition wants it."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, cell in self._cells.items():
            if cell.value:
                family.add_metric(labels, cell.value)
        return family


class GaugeSeries(_Series[Cell]):
    """A number per set of label values that goes up and down."""

    def _make(self) -> Cell:
        return Cell()

    def family(self) -> GaugeMetricFamily:
        """The gauge as the library's exposition wants it."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, cell in self._cells.items():
            family.add_metric(labels, cell.value)
        return family


class HistogramSeries(_Series[HistogramCell]):
    """A histogram of seconds per set of label values; those without a measurement do not show.

    Args:
        name: metric name.
        text: what it measures.
        labels: label names.
        bounds: as for `HistogramCell`.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, text, labels)
        self._bounds = tuple(bounds)

    def _make(self) -> HistogramCell:
        return HistogramCell(self._bounds)

    def family(self) -> HistogramMetricFamily:
        """The histogram as the library's exposition wants it: cumulative buckets."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        for labels, cell in self._cells.items():
            buckets, seen = [], 0
            if not any(cell.counts):
                continue
            for name, count in zip(names, cell.counts, strict=True):
                seen += count
                buckets.append((name, float(seen)))
            family.add_metric(labels, buckets, cell.total)
        return family
