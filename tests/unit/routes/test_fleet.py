"""What is known of deployments, over reloads."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relay.config import BreakerPolicy, Deployment, QueuePolicy, Route
from relay.policy.health import Result, State
from relay.routes.fleet import Fleet
from relay.routes.gates import Gate
from tests.unit.routes.test_course import open_provider
from tests.unit.values import make_snapshot


class ReloadTests(SynchronousTestCase):
    """A new configuration comes while exchanges run with the old one."""

    def setUp(self) -> None:
        """Build the fleet, and one deployment."""
        self.fleet = Fleet(Clock(), lambda: 0.5)
        self.provider = open_provider("a")
        self.deployment = Deployment("a/x", self.provider, "x")

    def route(self, **settings: Any) -> Route:
        """A route of that deployment."""
        return Route("m", (self.deployment,), **settings)

    def reload(self, *routes: Route) -> None:
        """Another configuration is in force."""
        self.fleet.forget(make_snapshot(self.provider, routes={route.name: route for route in routes}))

    def gate(self, route: Route) -> Gate:
        """The route's door."""
        gate = self.fleet.entry(route)
        assert gate is not None
        return gate

    def test_anOldRoute(self) -> None:
        """An exchange that waited in line finds its deployments, though the new configuration has them no more."""
        old = self.route()
        self.fleet.order(old, b"")
        self.reload()
        self.assertEqual(self.fleet.order(old, b""), (self.deployment,))

    def test_health(self) -> None:
        """A breaker that is open stays so under another policy."""
        self.fleet.order(self.route(breaker=BreakerPolicy(failures=1)), b"")
        health = self.fleet.healths["a/x"]
        health.ended(0.0, Result.FAILURE, None, None, health.began(0.0))
        new = self.route(breaker=BreakerPolicy(failures=2))
        self.reload(new)
        self.fleet.order(new, b"")
        self.assertIs(self.fleet.healths["a/x"].state(0.0), State.OPEN)

    def test_places(self) -> None:
        """Who is inside counts for the new bounds; who waits goes in as soon as they allow it."""
        queue = QueuePolicy(size=1, wait=5.0)
        gate = self.gate(self.route(concurrency=1, queue=queue))
        gate.enter("k")
        turn = gate.enter("k")
        assert isinstance(turn, Deferred)
        self.assertNoResult(turn)
        wider = self.gate(self.route(concurrency=2, queue=queue))
        self.successResultOf(turn)
        self.assertEqual((wider.inside, wider.open), (2, False))
        narrower = self.gate(self.route(concurrency=1))
        narrower.leave()
        self.assertEqual((narrower.inside, narrower.open, narrower.queue.size), (1, False, 0))

    def test_aDeploymentCalledLikeItsRoute(self) -> None:
        """They have places of their own."""
        route = self.route(concurrency=1)
        self.gate(route).enter("k")
        (other,) = self.fleet.gates(Deployment("m", self.provider, "x", concurrency=2))
        self.assertEqual((other.inside, other.limit, self.gate(route).limit), (0, 2, 1))
