"""When a second attempt sets out beside a slow one."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from relay.config import Route
from relay.policy.health import Health
from relay.routes.helm import Helm


class Hedge:
    """The timer of one exchange's second attempt: set once at most."""

    __slots__ = ("_timer", "_used")

    def __init__(self) -> None:
        self._timer: IDelayedCall | None = None
        self._used = False

    def plan(self, helm: Helm, route: Route, health: Health, send: Callable[[], None]) -> None:
        """Have a rival sent, if the route hedges, it is known when, and not too many requests were hedged.

        Args:
            helm: the clock, and the count of hedges.
            route: says whether and when.
            health: of the deployment that was asked first; knows how long it usually takes.
            send: sends the rival.
        """
        policy = route.hedge
        if policy is None or self._used:
            return
        after = policy.after if policy.after is not None else health.p95()
        if after is not None and helm.fleet.may_hedge(route.name, policy.share):
            self._used = True
            self._timer = helm.clock.callLater(after, send)

    def stop(self) -> None:
        """No rival is needed any more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
