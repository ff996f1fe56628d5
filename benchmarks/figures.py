"""From samples to figures: medians, ranges, ratios. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.measuring import Sample


@dataclass(frozen=True)
class Figure:
    """A median with its range.

    Attributes:
        median: of the repetitions.
        least: the smallest of them.
        most: the largest.
        count: how many there were.
        errors: answers that were wrong in all of them.
    """

    median: float
    least: float
    most: float
    count: int
    errors: int = 0


def figure(values: Iterable[float], errors: int = 0) -> Figure | None:
    """The figure of some values; None when none of them is a number."""
    known = sorted(value for value in values if not math.isnan(value))
    if not known:
        return None
    return Figure(statistics.median(known), known[0], known[-1], len(known), errors)


def cost(samples: Sequence[Sample]) -> Figure | None:
    """CPU microseconds per unit."""
    return figure((sample.cpu_us for sample in samples), _errors(samples))


def time(samples: Sequence[Sample], kind: str, share: str) -> Figure | None:
    """A percentile of one of the times, ms."""
    known = (sample.times.get(kind, {}).get(share, math.nan) for sample in samples)
    return figure(known, _errors(samples))


def memory(samples: Sequence[Sample]) -> Figure | None:
    """MB at the end of the window."""
    return figure((sample.rss for sample in samples), _errors(samples))


def idle_memory(samples: Sequence[Sample]) -> Figure | None:
    """MB before the load."""
    return figure(sample.idle_rss for sample in samples)


def _errors(samples: Sequence[Sample]) -> int:
    return sum(sample.errors for sample in samples)


def ratio(of: Figure | None, to: Figure | None) -> float | None:
    """How many times the one is the other."""
    return of.median / to.median if of and to and to.median else None


def number(value: float) -> str:
    """Three digits are enough; thousands are marked."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def shown(found: Figure | None, *, scope: bool = True) -> str:
    """A figure as text: ``12.3 (11.0–14.1)``; a mark tells of wrong answers."""
    if found is None:
        return "–"
    text = number(found.median)
    if scope and found.count > 1:
        text += f" ({number(found.least)}–{number(found.most)})"
    return text + (f" ✗{found.errors}" if found.errors else "")


def times(value: float | None) -> str:
    """A ratio as text."""
    return "–" if value is None else f"{number(value)}×"
