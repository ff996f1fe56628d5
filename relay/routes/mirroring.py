"""Copies of requests for another deployment, whose answers nobody gets: a trial under real traffic."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from twisted.python.failure import Failure

from relay.config import Route
from relay.planning import Estimate, Read
from relay.routes.helm import Helm
from relay.routes.nobody import Nobody
from relay.running import RunningExchange

MOST = 64
"""Copies that may run at the same time; beyond that, none is made."""


class Mirrors:
    """Sends copies.

    Args:
        chance: uniform numbers from 0 to 1.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._active = 0

    def maybe(self, helm: Helm, running: RunningExchange, parsed: Read, route: Route) -> None:
        """Send a copy of a request, if its route has a mirror and it is its turn.

        The client's own key never goes along: a mirror without a key of its own gets nothing.
        """
        policy = route.mirror
        if policy is None or self._active >= MOST or self._chance() >= policy.share:
            return
        request = msgspec.structs.replace(running.request, id=f"{running.request.id}-mirror", credential=None)
        if not isinstance(request.body, bytes):
            return
        copy = running.twin(request)
        way = helm.planner.way(copy.snapshot, request.endpoint, route, policy.deployment, parsed.model)
        planned = helm.planner.plan(copy, parsed, way)
        if isinstance(planned, Estimate):
            return
        sink = Nobody()

        def ended(reason: Failure | None) -> None:
            self._active -= 1
            if copy.delivery is not None:
                copy.delivery.close()
            helm.attempted(copy, sink, attempt, reason)

        attempt = helm.attempt(copy, planned, sink, ended)
        self._active += 1
        attempt.start()
