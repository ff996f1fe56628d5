"""One run: every scenario, every contender, repetitions interleaved, each on a fresh process."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twisted.internet.defer import Deferred

from benchmarks import measuring, micro, plot, report
from benchmarks.contenders.base import Contender
from benchmarks.contenders.relay import relay
from benchmarks.measuring import Bench, Failed, Load, Sample
from benchmarks.scenarios import GROWTH_KEYS, GROWTH_PROVIDERS, Kind, Scenario

HALF = 0.5
"""Of the load that a contender can take at most."""

_CALIBRATION = Load(seconds=1.0, warm=1.0)


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        contenders: who takes part, in the order of the tables.
        scenarios: what is measured.
        repetitions: fresh processes for each scenario and contender.
        seconds: the window of one measurement.
        warm: seconds before it.
        together: run all costs on one process per repetition, which saves starts.
        nice: added to the priority of what runs.
    """

    contenders: tuple[Contender, ...]
    scenarios: tuple[Scenario, ...]
    repetitions: int
    seconds: float
    warm: float
    together: bool
    nice: int


def run(plan: Plan) -> Iterator[Sample]:
    """Measure; samples come as they are made, failures are printed and left out."""
    with measuring.mock(plan.nice) as bench:
        for group in groups(plan.scenarios, together=plan.together):
            kind = group[0].kind
            if kind is Kind.LATENCY:
                yield from _at_half_load(plan, bench, group[0])
            else:
                contenders = growing(group[0]) if kind is Kind.GROWTH else plan.contenders
                yield from _interleaved(plan, bench, contenders, group)


def groups(scenarios: Sequence[Scenario], *, together: bool) -> list[list[Scenario]]:
    """Scenarios that follow each other on one process: costs by unit, or all of them; everything else alone."""
    found: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        shared = "all" if together else scenario.unit
        found.setdefault(shared if scenario.kind is Kind.COST else scenario.name, []).append(scenario)
    return list(found.values())


def growing(scenario: Scenario) -> tuple[Contender, ...]:
    """The contender in the sizes of a growth scenario."""
    if scenario.name == "growth-keys":
        return tuple(relay(f"{keys} keys", keys=keys) for keys in GROWTH_KEYS)
    return tuple(relay(f"{providers} providers", providers=providers) for providers in GROWTH_PROVIDERS)


def _interleaved(
    plan: Plan, bench: Bench, contenders: Sequence[Contender], scenarios: Sequence[Scenario]
) -> Iterator[Sample]:
    for repetition in range(plan.repetitions):
        for contender in contenders:
            try:
                with measuring.running(contender, bench) as started:
                    for scenario in scenarios:
                        yield measuring.measure(started, scenario, Load(plan.seconds, plan.warm), repetition)
            except Failed as failure:
                print(f"failed: {failure}", flush=True)


def _at_half_load(plan: Plan, bench: Bench, scenario: Scenario) -> Iterator[Sample]:
    """Times at half of what the first contender can take, for all that can take as much, else at half of their own.

    The mock itself, asked directly, is the floor.
    """
    rates: dict[str, float] = {}
    for repetition in range(plan.repetitions):
        for contender in plan.contenders:
            try:
                with measuring.running(contender, bench) as started:
                    if contender.name not in rates:
                        sample = measuring.measure(started, _closed(scenario), _CALIBRATION)
                        rates[contender.name] = HALF * sample.per_second / max(1, scenario.question.chunks)
                    rate = min(rates[contender.name], rates.get(plan.contenders[0].name, rates[contender.name]))
                    yield measuring.measure(started, scenario, Load(plan.seconds, plan.warm, rate), repetition)
            except Failed as failure:
                print(f"failed: {failure}", flush=True)


def _closed(scenario: Scenario) -> Scenario:
    """The same question from 64 connections without a pause: what can be taken at most."""
    return Scenario(scenario.name, scenario.title, scenario.kind, 64, scenario.question)


def _deferred() -> float:
    """CPU microseconds of a Deferred's round trip: tells how fast Python is here, whatever is measured."""

    def action() -> None:
        deferred: Deferred[None] = Deferred()
        deferred.addCallback(lambda result: result)
        deferred.callback(None)

    return micro.timed(action)[0]


def machine() -> dict[str, object]:
    """Where and when a run was made."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "cpu": model,
        "cpus": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "deferred_us": round(_deferred(), 2),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def write(folder: Path, samples: Sequence[Sample], versions: Mapping[str, str], before: Mapping[str, object]) -> None:
    """Put results.json, results.md and the plots into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {"machine": before, "versions": versions, "samples": [sample.as_dict() for sample in samples]}
    (folder / "results.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    tables = report.tables(samples)
    facts = [f"- {name}: {version}" for name, version in versions.items()]
    text = "\n\n".join(
        (
            ", ".join(f"{name} {value}" for name, value in before.items()),
            "\n".join(facts),
            *map(report.markdown, tables),
        )
    )
    (folder / "results.md").write_text(text + "\n", "utf-8")
    for name, drawing in plot.drawings(samples).items():
        (folder / f"{name}.svg").write_text(drawing, "utf-8")
