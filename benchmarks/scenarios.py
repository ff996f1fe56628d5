"""What is measured: a table of loads."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from benchmarks.questions import Question


class Kind(enum.Enum):
    """What a scenario's figure is.

    COST: CPU of the gateway per request or chunk under a closed loop. LATENCY: times at half
    the saturating load. MEMORY: resident memory with open streams. GROWTH: COST of relay alone,
    as its configuration grows.
    """

    COST = "cost"
    LATENCY = "latency"
    MEMORY = "memory"
    GROWTH = "growth"


@dataclass(frozen=True)
class Scenario:
    """One load.

    Attributes:
        name: on the command line and in results.
        title: in tables.
        kind: what is taken from it.
        connections: how many ask at once.
        question: what they ask.
        ramp: seconds over which they start; paced streams would else all beat at once.
        stretch: the window's length, relative to the one asked for.
    """

    name: str
    title: str
    kind: Kind
    connections: int
    question: Question
    ramp: float = 0.0
    stretch: float = 1.0

    @property
    def unit(self) -> str:
        """What its cost is counted by."""
        return "chunk" if self.question.chunks else "request"


_JSON = Question()
_FAST = Question(chunks=100)
_OPEN = Question(chunks=1000, gap_us=1_000_000)


def _cost(name: str, title: str, connections: int, question: Question, ramp: float = 0.0) -> Scenario:
    return Scenario(name, title, Kind.COST, connections, question, ramp, max(1.0, ramp))


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        _cost("request-1", "1 KB request, 1 connection", 1, _JSON),
        _cost("request-16", "1 KB request, 16 connections", 16, _JSON),
        _cost("request-64", "1 KB request, 64 connections", 64, _JSON),
        _cost("request-256", "1 KB request, 256 connections", 256, _JSON),
        _cost("request-1000", "1 KB request, 1000 connections", 1000, _JSON, 0.5),
        _cost("body-1mb", "1 MB request, 4 connections", 4, Question(size=1_000_000)),
        _cost("chunk-full", "chunk at full speed, 64 streams", 64, _FAST),
        _cost("chunk-10ms-50", "chunk every 10 ms, 50 streams", 50, Question(chunks=100, gap_us=10_000), 1.0),
        _cost("chunk-10ms-200", "chunk every 10 ms, 200 streams", 200, Question(chunks=100, gap_us=10_000), 1.0),
        _cost("chunk-50ms-1000", "chunk every 50 ms, 1000 streams", 1000, Question(chunks=100, gap_us=50_000), 5.0),
        Scenario("latency", "1 KB request at half load", Kind.LATENCY, 256, _JSON, 0.0, 2.0),
        Scenario("first-chunk", "stream of 10 chunks at half load", Kind.LATENCY, 256, Question(chunks=10), 0.0, 2.0),
        Scenario("memory-1000", "1000 open streams", Kind.MEMORY, 1000, _OPEN, 3.0),
        Scenario("memory-5000", "5000 open streams", Kind.MEMORY, 5000, _OPEN, 12.0),
        Scenario("growth-keys", "1 KB request, client keys", Kind.GROWTH, 16, _JSON),
        Scenario("growth-providers", "1 KB request, providers", Kind.GROWTH, 16, _JSON),
    )
}

QUICK = ("request-16", "request-64", "chunk-full", "chunk-10ms-200", "body-1mb")
"""What a developer wants to know within a minute."""

GROWTH_KEYS = (10, 1_000, 10_000, 100_000)
GROWTH_PROVIDERS = (1, 10, 50, 200)
