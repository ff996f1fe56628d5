"""Bar charts as SVG: one bar a contender, a logarithmic axis, whiskers from least to most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks import figures, report
from benchmarks.figures import Figure
from benchmarks.measuring import Sample
from benchmarks.scenarios import SCENARIOS, Kind

_LEFT, _WIDTH, _BAR, _GAP, _HEAD = 130, 470, 18, 6, 46
Place = Callable[[float], float]
"""A value → where it stands on the axis, pixels."""

_OWN, _OTHER, _INK, _GRID = "#1f6f54", "#9aa5ad", "#20262a", "#d9dee2"
_TEXT = f'font-family="sans-serif" font-size="12" fill="{_INK}"'


@dataclass(frozen=True)
class Bar:
    """One bar."""

    name: str
    value: Figure


def drawings(samples: Sequence[Sample]) -> dict[str, str]:
    """A chart for each cost and memory scenario: name → SVG."""
    found = report.grouped(samples)
    charts = {}
    for name, scenario in SCENARIOS.items():
        take = {Kind.COST: figures.cost, Kind.GROWTH: figures.cost, Kind.MEMORY: figures.memory}.get(scenario.kind)
        if take is None:
            continue
        taken = [(contender, take(some)) for (which, contender), some in found.items() if which == name]
        bars = [Bar(contender, value) for contender, value in taken if value is not None]
        unit = "MB" if scenario.kind is Kind.MEMORY else f"CPU µs per {scenario.unit}"
        if bars:
            charts[name] = chart(f"{scenario.title}: {unit}", bars)
    return charts


def chart(title: str, bars: Sequence[Bar]) -> str:
    """One chart; values are above 0."""
    low = math.floor(math.log10(min(bar.value.least for bar in bars)))
    high = max(low + 1, math.ceil(math.log10(max(bar.value.most for bar in bars))))
    height = _HEAD + len(bars) * (_BAR + _GAP) + 24

    def place(value: float) -> float:
        return _LEFT + (math.log10(value) - low) / (high - low) * _WIDTH

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 110}" height="{height}" {_TEXT}>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="8" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        x = place(10.0**power)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 8}" y2="{height - 20}" stroke="{_GRID}"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{10.0**power:,g}</text>')
    for index, bar in enumerate(bars):
        parts += _bar(bar, _HEAD + index * (_BAR + _GAP), place)
    return "\n".join((*parts, "</svg>")) + "\n"


def _bar(bar: Bar, top: float, place: Place) -> list[str]:
    end, middle = place(bar.value.median), top + _BAR / 2
    colour = _OWN if bar.name.startswith("relay") else _OTHER
    least, most = place(bar.value.least), place(bar.value.most)
    return [
        f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect x="{_LEFT}" y="{top}" width="{max(1.0, end - _LEFT):.1f}" height="{_BAR}" fill="{colour}"/>',
        f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{middle}" y2="{middle}" stroke="{_INK}"/>',
        f'<text x="{max(end, most) + 6:.1f}" y="{middle + 4}">{figures.number(bar.value.median)}</text>',
    ]
