"""What the parts of an exchange need of the gateway that steers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relay.attempt import Attempt
from relay.config import Route
from relay.interfaces import ISink
from relay.planning import Plan, Planner, Read
from relay.routes.fleet import Fleet
from relay.running import RunningExchange


class Helm(Protocol):
    """What a course needs of the gateway.

    Attributes:
        planner: plans attempts.
        fleet: what is known of deployments.
        clock: deadlines and waits.
    """

    planner: Planner
    fleet: Fleet
    clock: IReactorTime

    def attempt(
        self,
        running: RunningExchange,
        plan: Plan,
        sink: ISink,
        ended: Callable[[Failure | None], None],
        *,
        claim: Callable[[], bool] | None = None,
        survives: bool = False,
        rival: bool = False,
    ) -> Attempt:
        """Make an attempt."""

    def attempted(self, running: RunningExchange, sink: ISink, attempt: Attempt, reason: Failure | None) -> None:
        """Tell the observers how an attempt went."""

    def chance(self) -> float:
        """A uniform number from 0 to 1."""

    @property
    def active(self) -> int:
        """Exchanges running now."""

    def mirror(self, running: RunningExchange, parsed: Read, route: Route) -> None:
        """Send a copy of the request to a route's mirror, now and then; never raises."""
