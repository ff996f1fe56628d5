"""What relay knows of its deployments while it runs: health, load, turns. Kept over reloads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

from twisted.internet.interfaces import IReactorTime

from relay.config import BreakerPolicy, Deployment, QueuePolicy, Route, Snapshot
from relay.policy.balance import Balance
from relay.policy.health import Health
from relay.policy.retry import RetryBudget
from relay.provider import Provider
from relay.routes.gates import Gate

_NO_QUEUE = QueuePolicy(size=0)


class Fleet:
    """All deployments of all routes.

    Args:
        clock: monotonic seconds, and the timers of lines.
        chance: uniform numbers from 0 to 1.
        price: nano-dollars that a token costs at a deployment, for the strategy ``cheapest``.

    Attributes:
        budget: how many retries may run beside first attempts.
    """

    def __init__(
        self, clock: IReactorTime, chance: Callable[[], float], price: Callable[[Deployment], int] = lambda _: 0
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._price = price
        self._healths: dict[str, Health] = {}
        self._gates: dict[str, Gate] = {}
        self._balances: dict[str, tuple[Route, Balance]] = {}
        self._turns: dict[str, int] = {}
        self._keys: dict[str, int] = {}
        self._hedges: dict[str, tuple[int, int]] = {}  # route → requests that could be hedged, and those that were
        self.budget = RetryBudget()

    @property
    def healths(self) -> Mapping[str, Health]:
        """Deployment name → its health, of every deployment that was tried."""
        return self._healths

    def health(self, deployment: Deployment, policy: BreakerPolicy) -> Health:
        """The health of a deployment, under the policy in force."""
        found = self._healths.get(deployment.name)
        if found is None:
            found = self._healths[deployment.name] = Health(policy)
        elif found.policy is not policy:
            found.adopt(policy)
        return found

    def order(self, route: Route, sticky: bytes) -> tuple[Deployment, ...]:
        """A route's deployments, the best first."""
        turn = self._turns.get(route.name, 0)
        self._turns[route.name] = turn + 1
        now = self._clock.seconds()
        balance = self._balance(route)
        return balance.order(self._healths, now, self._chance, sticky, turn, self._price)

    def _balance(self, route: Route) -> Balance:
        """What depends on a route only, prepared once for each reading of the configuration."""
        found = self._balances.get(route.name)
        if found is None or found[0] is not route:
            found = self._balances[route.name] = route, Balance(route)
            for deployment in route.deployments:
                self.health(deployment, route.breaker)
        return found[1]

    def gate(self, name: str, limit: int, queue: QueuePolicy = _NO_QUEUE) -> Gate | None:
        """The door of that name; None where there is no limit. It keeps who is inside, or waits, over a reload."""
        if not limit:
            return None
        gate = self._gates.get(name)
        if gate is None:
            gate = self._gates[name] = Gate(name, limit, queue, self._clock)
        elif gate.limit != limit or gate.queue != queue:
            gate.adopt(limit, queue)
        return gate

    def entry(self, route: Route) -> Gate | None:
        """The door before a route."""
        return self.gate(f"route {route.name}", route.concurrency, route.queue)

    def gates(self, deployment: Deployment) -> tuple[Gate, ...]:
        """The doors before a deployment: its own, and its provider's."""
        provider = deployment.provider
        if not (deployment.concurrency or provider.concurrency):
            return ()
        found = (
            self.gate(deployment.name, deployment.concurrency),
            self.gate(f"provider {provider.name}", provider.concurrency),
        )
        return tuple(gate for gate in found if gate is not None)

    def key(self, provider: Provider, refused: Collection[int] = ()) -> int:
        """Number of the provider's key to use: the one that worked last, unless it was refused just now."""
        count = len(provider.credentials)
        if count < 2:
            return 0
        last = self._keys.get(provider.name, 0) % count
        return next((n % count for n in range(last, last + count) if n % count not in refused), last)

    def works(self, provider: str, key: int) -> None:
        """A provider took a key."""
        if self._keys.get(provider, 0) != key:
            self._keys[provider] = key

    def may_hedge(self, route: str, share: float) -> bool:
        """Count a request that could be hedged; whether it may be, so that no more than a share of all are."""
        could, were = self._hedges.get(route, (0, 0))
        self._hedges[route] = could + 1, were
        return were < share * (could + 1)

    def hedged(self, route: str) -> None:
        """A second attempt has set out."""
        could, were = self._hedges.get(route, (0, 0))
        self._hedges[route] = could, were + 1

    def force(self, deployment: str, state: Literal["open", "closed"] | None) -> bool:
        """Take a deployment out (``open``), keep it in (``closed``), or let its health decide (None).

        Returns:
            Whether there is such a deployment.
        """
        health = self._healths.get(deployment)
        if health is not None:
            health.forced = state
        return health is not None

    def report(self) -> dict[str, dict[str, object]]:
        """Deployment name → breaker state, attempts under way, latency and rest in seconds, of all that were tried."""
        now = self._clock.seconds()
        return {
            name: {
                "state": health.state(now).value,
                "busy": health.busy,
                "latency": round(health.ewma(now), 3),
                "resting": round(max(0.0, health.until - now), 3),
            }
            for name, health in self._healths.items()
        }

    def forget(self, snapshot: Snapshot) -> None:
        """Drop what a new configuration no longer has."""
        kept = {deployment.name for route in snapshot.routes.values() for deployment in route.deployments}
        for name in [name for name in self._healths if name not in kept]:
            del self._healths[name]
        self._balances.clear()  # an exchange that goes on with the old configuration prepares its route again
        names = (
            kept | {f"route {name}" for name in snapshot.routes} | {f"provider {name}" for name in snapshot.providers}
        )
        for name in [name for name, gate in self._gates.items() if name not in names and not gate.inside]:
            del self._gates[name]
