"""What a route adds to a request: an exchange with routes of several sizes, against one without a route.

``python -m benchmarks.routing`` prints the least CPU time of many rounds, which other programs on the machine
disturb little; the rounds of all sizes are interleaved.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping

import attrs

from benchmarks import micro, report
from benchmarks.instant import ANSWER_FIELDS, Drain, Middle, Whole, client_request
from benchmarks.questions import MODEL, Question
from benchmarks.report import Table
from relay.config import Deployment, Route, Snapshot, Strategy

SIZES = (1, 10, 50)
STRATEGIES: tuple[Strategy, ...] = ("weighted", "least-busy")
ROUNDS = 25
GOAL = 5.0
"""Microseconds that a route may add."""

_ANSWER = b'{"id":"1","choices":[],"usage":{"prompt_tokens":210,"completion_tokens":100,"total_tokens":310}}'


def main() -> int:
    """Measure, and print a table; the exit status is 1 when a route costs more than the goal."""
    found = measure(cases(), ROUNDS)
    plain = found.pop("")
    rows = [("route", "µs an exchange", "µs added")]
    rows.append(("none", f"{plain:.1f}", ""))
    rows.extend((name, f"{cost:.1f}", f"{cost - plain:+.1f}") for name, cost in found.items())
    print(report.plain(Table(f"CPU µs of an exchange without sockets, least of {ROUNDS} rounds", tuple(rows))))
    return int(any(cost - plain > GOAL for cost in found.values()))


def cases() -> Mapping[str, Callable[[], object]]:
    """Name of a route → an exchange along it; "" → one without a route."""
    found = {"": exchange(0, "weighted")}
    for strategy in STRATEGIES:
        found |= {f"{strategy}, {size} deployments": exchange(size, strategy) for size in SIZES}
    return found


def measure(actions: Mapping[str, Callable[[], object]], rounds: int, seconds: float = 0.02) -> dict[str, float]:
    """CPU microseconds of each action, the least of its rounds."""
    gc.collect()
    gc.freeze()
    best = dict.fromkeys(actions, float("inf"))
    for _ in range(rounds):
        for name, action in actions.items():
            best[name] = min(best[name], micro.timed(action, 1, seconds)[1])
    return best


def exchange(size: int, strategy: Strategy) -> Callable[[], object]:
    """One exchange, ready to be repeated, of a model whose route has so many deployments; 0 is no route."""
    middle = Middle(Whole(((b"content-type", b"application/json"), *ANSWER_FIELDS), (_ANSWER,)))
    middle.configuration.snapshot = routed(middle.snapshot, size, strategy)
    request = client_request(Question())

    def action() -> object:
        return middle.gateway.exchange(request, Drain())

    for _ in range(100):
        action()
    attempts = middle.records.last.attempts
    assert attempts == 1, f"{attempts} attempts"
    return action


def routed(snapshot: Snapshot, size: int, strategy: Strategy) -> Snapshot:
    """The same configuration with a route of so many deployments of its first provider."""
    provider = snapshot.first
    deployments = tuple(
        Deployment(f"{provider.name}/{number}", provider, provider.upstream_model(MODEL), weight=1 + number % 3)
        for number in range(size)
    )
    routes = {MODEL: Route(MODEL, deployments, strategy)} if size else {}
    return attrs.evolve(snapshot, routes=routes)


if __name__ == "__main__":
    sys.exit(main())
