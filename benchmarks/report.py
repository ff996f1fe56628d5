"""Results as tables: on the terminal, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import figures
from benchmarks.contenders.all import REFERENCE
from benchmarks.figures import Figure
from benchmarks.measuring import Sample
from benchmarks.scenarios import SCENARIOS, Kind, Scenario

Samples = Mapping[tuple[str, str], Sequence[Sample]]
"""(scenario, contender) → repetitions."""

Take = Callable[[Sequence[Sample]], Figure | None]


@dataclass(frozen=True)
class Table:
    """One table: the first row is its head, the first column its rows' names."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Row:
    """One line to be of a table: what it is called, and how it is taken from which scenario."""

    title: str
    scenario: str
    take: Take


def grouped(samples: Sequence[Sample]) -> dict[tuple[str, str], list[Sample]]:
    """Samples by scenario and contender, in the order in which they came."""
    found: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.scenario, sample.contender), []).append(sample)
    return found


def tables(samples: Sequence[Sample]) -> list[Table]:
    """All tables for which there are samples."""
    found = grouped(samples)
    made = [
        _table("CPU µs per request", _cost_rows(found, "request"), found),
        _table("CPU µs per chunk", _cost_rows(found, "chunk"), found),
        _table("Times, ms", _time_rows(found), found),
        _table("Resident memory, MB", _memory_rows(found), found),
        *(_growth(scenario, found) for scenario in SCENARIOS.values() if scenario.kind is Kind.GROWTH),
    ]
    return [table for table in made if len(table.rows) > 1]


def _measured(found: Samples, kind: Kind) -> list[Scenario]:
    names = {scenario for scenario, _ in found}
    return [scenario for name, scenario in SCENARIOS.items() if name in names and scenario.kind is kind]


def _cost_rows(found: Samples, unit: str) -> list[Row]:
    return [Row(s.title, s.name, figures.cost) for s in _measured(found, Kind.COST) if s.unit == unit]


def _times(kind: str, share: str) -> Take:
    return lambda samples: figures.time(samples, kind, share)


def _time_rows(found: Samples) -> list[Row]:
    rows = []
    for scenario in _measured(found, Kind.LATENCY):
        kind, name = ("first_chunk", "first chunk") if scenario.question.chunks else ("latency", "answer")
        rows += [
            Row(f"{scenario.title}: {name}, {share}", scenario.name, _times(kind, share)) for share in ("p50", "p99")
        ]
    for scenario in _measured(found, Kind.COST):
        if scenario.question.gap_us:
            rows += [
                Row(f"{scenario.title}: first chunk, p50", scenario.name, _times("first_chunk", "p50")),
                Row(f"{scenario.title}: a chunk's way, p99", scenario.name, _times("delay", "p99")),
            ]
        elif scenario.connections == 1000:
            rows.append(Row(f"{scenario.title}: answer, p99", scenario.name, _times("latency", "p99")))
    return rows


def _memory_rows(found: Samples) -> list[Row]:
    scenarios = _measured(found, Kind.MEMORY)
    idle = [Row("idle", scenarios[0].name, figures.idle_memory)] if scenarios else []
    return idle + [Row(scenario.title, scenario.name, figures.memory) for scenario in scenarios]


def _table(title: str, rows: Sequence[Row], found: Samples) -> Table:
    """One row a scenario, one column a contender; a ratio to the reference stands beside each figure."""
    wanted = {row.scenario for row in rows}
    contenders = list(dict.fromkeys(contender for scenario, contender in found if scenario in wanted))
    lines = [("", *contenders)]
    for row in rows:
        of = {name: row.take(found.get((row.scenario, name), ())) for name in contenders}
        lines.append((row.title, *(_cell(name, of) for name in contenders)))
    return Table(title, tuple(lines))


def _cell(name: str, of: Mapping[str, Figure | None]) -> str:
    text = figures.shown(of[name])
    ratio = None if name == REFERENCE else figures.ratio(of[name], of.get(REFERENCE))
    return text if ratio is None else f"{text} · {figures.times(ratio)}"


def _growth(scenario: Scenario, found: Samples) -> Table:
    """One row a size; ratios are to the first."""
    sizes = [(name, found[scenario.name, name]) for title, name in found if title == scenario.name]
    lines = [("", "CPU µs per request", "to the first", "MB")]
    first = figures.cost(sizes[0][1]) if sizes else None
    for name, samples in sizes:
        cost = figures.cost(samples)
        ratio = figures.times(figures.ratio(cost, first))
        lines.append((name, figures.shown(cost), ratio, figures.shown(figures.memory(samples), scope=False)))
    return Table(f"Growth: {scenario.title}", tuple(lines))


def plain(table: Table) -> str:
    """For a terminal."""
    widths = [max(len(row[column]) for row in table.rows) for column in range(len(table.rows[0]))]
    lines = [table.title, ""]
    for row in table.rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(table: Table) -> str:
    """For a document."""
    head, *rows = table.rows
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return f"**{table.title}**\n\n" + "\n".join(lines)
