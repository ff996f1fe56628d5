"""An exchange whose model has a route: one deployment after the other, until one answers.

The loop is attempt → decide → next attempt, all inside one deadline, and it ends for good when the client
has seen content. What it decides comes from pure functions in `relay.policy`; what it remembers of
deployments is the `Fleet`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from relay.answering import answer_alone
from relay.config import Deployment, Route
from relay.dialects.request import JSONRequest
from relay.errors import (
    ClientGone,
    NoDeployment,
    Overloaded,
    RelayError,
    UpstreamError,
    UpstreamTimeout,
)
from relay.interfaces import ISink
from relay.outcome import Stage
from relay.planning import Estimate, Read
from relay.policy import deadline, retry, stickiness
from relay.routes.flight import Flight
from relay.routes.gates import Gate
from relay.routes.hedge import Hedge
from relay.routes.helm import Helm
from relay.routes.nobody import Nobody
from relay.running import RunningExchange

_ABOUT_KEYS = (401, 402, 403, 429)
"""Statuses that another key may change."""


class Course:
    """The way of one exchange along its route.

    Args:
        helm: does what a single attempt needs.
        running: the exchange's facts.
        parsed: the client's request, read.
        route: where it goes.
        sink: the client's side.
        ended: called once, with None when the answer is whole.
    """

    def __init__(
        self,
        helm: Helm,
        running: RunningExchange,
        parsed: Read,
        route: Route,
        sink: ISink,
        ended: Callable[[Failure | None], None],
    ) -> None:
        self._helm = helm
        self._running = running
        self._parsed = parsed
        self._route = route
        self._sink = sink
        self._ended = ended
        self._candidates: list[Deployment] = []
        self._visited = {route.name}
        self._keys: dict[str, set[int]] = {}  # provider → numbers of keys that it refused in this exchange
        self._flights: list[Flight] = []
        self._tried = 0
        self._error: Failure | None = None
        self._gate: Gate | None = None
        self._waiting: Deferred[None] | None = None
        self._pause: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._hedge = Hedge()
        self._until: float | None = None
        self._winner: Flight | None = None
        self._held = 0.0
        self._reserved = False  # whether a place of the retry budget is taken for the next attempt
        self._over = False

    # ── from outside ──────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Set the deadline, wait for a place, and send the first attempt."""
        try:
            helm, route, request = self._helm, self._route, self._running.request
            self._set_deadline(deadline.asked(request.headers, route.deadline))
            helm.mirror(self._running, self._parsed, route)
            self._enter(helm.fleet.entry(route), self._entered)
        except Exception:
            self._end(Failure())

    def _set_deadline(self, seconds: float | None) -> None:
        """Have the exchange end so many seconds after it began."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._until = None
        if seconds is not None:
            clock = self._helm.clock
            self._until = self._running.request.received + seconds
            self._timer = clock.callLater(max(0.0, self._until - clock.seconds()), self._expire, seconds)

    def cancel(self) -> None:
        """Stop, in whatever phase it is."""
        self._end(Failure(CancelledError()))

    def left(self) -> None:
        """The client has gone: stop, or go on for the sake of the answer, as the route says."""
        policy, delivery = self._route.disconnect, self._running.delivery
        if policy.mode == "cancel" or self._winner is None or delivery is None or not self._committed():
            self.cancel()
        elif policy.mode == "drain":
            delivery.hand_over(Nobody(gone=True, pieces=policy.tokens, enough=self.cancel))
            self._pause = self._helm.clock.callLater(policy.seconds, self.cancel)
        else:
            delivery.hand_over(Nobody(gone=True))

    # ── one attempt after the other ───────────────────────────────────────────────────

    def _enter(self, gate: Gate | None, then: Callable[[], None]) -> None:
        """Go through a gate, at once or when it is this exchange's turn."""
        if gate is None:
            then()
            return
        turn = gate.enter(self._running.key.id)

        def inside(_: None) -> None:
            self._waiting, self._gate = None, gate
            then()

        if turn is None:
            inside(None)
        else:
            self._waiting = turn
            turn.addCallback(inside).addErrback(self._end)

    def _entered(self) -> None:
        self._line_up(self._route)
        self._advance()

    def _line_up(self, route: Route) -> None:
        """Make a route's deployments the candidates."""
        self._route = route
        sticky = b""
        if route.sticky.by != "none":
            fields = self._parsed.fields if isinstance(self._parsed, JSONRequest) else None
            sticky = stickiness.key(route.sticky, self._running.request, fields)
        self._candidates = list(self._helm.fleet.order(route, sticky))

    def _advance(self) -> None:
        """Send the next attempt, or end where there is none."""
        while self._candidates:
            deployment = self._candidates.pop(0)
            try:
                if self._launch(deployment):
                    return
            except RelayError:
                self._error = self._error or Failure()
            except Exception:
                self._end(Failure())
                return
        if not self._flights:
            self._exhausted()

    def _launch(self, deployment: Deployment, *, rival: bool = False) -> bool:
        """Try one deployment; False if it cannot take a request now.

        Raises:
            RelayError: this request cannot go there.
        """
        helm, route, running = self._helm, self._route, self._running
        now = helm.clock.seconds()
        health = helm.fleet.health(deployment, route.breaker)
        gates = helm.fleet.gates(deployment)
        if not all(gate.open for gate in gates):
            full = Overloaded(f"{deployment.name} is at its limit of parallel requests.", retry_after=1.0)
            self._error = self._error or Failure(full)
            return False
        if not health.available(now) and self._candidates:
            return False
        key = helm.fleet.key(deployment.provider, self._keys.get(deployment.provider.name, ()))
        way = helm.planner.way(running.snapshot, running.request.endpoint, route, deployment, self._parsed.model)
        planned = helm.planner.plan(running, self._parsed, way, key)
        if isinstance(planned, Estimate):
            answer_alone(running, planned, self._sink)
            self._end(None)
            return True
        helm.planner.admit(running, deployment)
        if not health.claim(now):
            return False
        for gate in gates:
            gate.enter("")
        flight = Flight(deployment, health, gates, key, retried=self._reserved)
        self._reserved = False
        self._tried += 1
        self._flights.append(flight)
        flight.spell = health.began(now)
        flight.attempt = helm.attempt(
            running,
            planned,
            self._sink,
            partial(self._landed, flight),
            claim=partial(self._claim, flight),
            survives=route.disconnect.mode != "cancel",
            rival=rival,
        )
        flight.attempt.start()
        if not rival and flight in self._flights and self._candidates and self._winner is None:
            self._hedge.plan(helm, route, health, self._send_rival)
        return True

    def _claim(self, flight: Flight) -> bool:
        """An attempt is about to show content: it wins, and the others give up."""
        if self._winner is not None or self._over:
            return self._winner is flight
        self._winner = flight
        self._hedge.stop()
        flight.answers(self._helm, stream=self._running.stream)
        if self._running.stream:
            self._set_deadline(deadline.whole(self._running.request.headers, self._route.deadline))
        if len(self._flights) > 1:
            others, self._flights = [each for each in self._flights if each is not flight], [flight]
            for other in others:
                other.lost(self._helm, self._running, self._sink)
        return True

    def _committed(self) -> bool:
        """Whether the client has seen content."""
        delivery = self._running.delivery
        if delivery is not None:
            return delivery.committed_at is not None
        return self._sink.started

    # ── what became of an attempt ─────────────────────────────────────────────────────

    def _landed(self, flight: Flight, reason: Failure | None) -> None:
        """An attempt has ended."""
        if flight not in self._flights:
            return
        self._flights.remove(flight)
        flight.landed(self._helm, self._running, self._sink, reason, spare=self._has_spare_key(flight, reason))
        if self._over:
            return
        if reason is None:
            self._helm.fleet.works(flight.deployment.provider.name, flight.key)
            self._end(Failure(ClientGone("The client left.")) if self._sink.gone else None)
        elif not isinstance(reason.value, UpstreamError | Overloaded):
            self._end(reason)
        elif self._flights:
            self._error = reason  # a rival is still on its way
        else:
            self._decide(flight, reason, reason.value)

    def _has_spare_key(self, flight: Flight, reason: Failure | None) -> bool:
        """Note a key that was refused; whether its provider has another one, so that the deployment is not at fault."""
        error = None if reason is None else reason.value
        if not isinstance(error, UpstreamError) or error.upstream_status not in _ABOUT_KEYS:
            return False
        provider = flight.deployment.provider
        refused = self._keys.setdefault(provider.name, set())
        refused.add(flight.key)
        return len(refused) < len(provider.credentials)

    def _decide(self, flight: Flight, reason: Failure, error: UpstreamError | Overloaded) -> None:
        """Go on, fall back, or give up."""
        helm, route, provider = self._helm, self._route, flight.deployment.provider
        self._error = reason
        self._hedge.stop()
        now = helm.clock.seconds()
        decision = retry.decide(
            error,
            policy=route.retry,
            tried=self._tried,
            left=len(self._candidates),
            committed=self._committed() or not self._running.repeatable,
            remaining=None if self._until is None else self._until - now,
            allowed=helm.fleet.budget.may(helm.active),
            keys_left=len(self._keys.get(provider.name, ())) < len(provider.credentials),
            rand=helm.chance,
            falls=self._falls(),
            repeatable=flight.health.available(now + (error.retry_after or 0.0)),
            held=self._held,
        )
        match decision:
            case retry.Again(after=after):
                self._candidates.insert(0, flight.deployment)
                self._reserve()
                self._wait(after)
            case retry.Next(after=after):
                self._reserve()
                self._wait(after)
            case retry.Hold(after=after):
                self._held += after
                self._pause = helm.clock.callLater(after, self._decide_again, flight, reason, error)
            case retry.Fall(kind=kind):
                if kind == "exhausted":
                    self._reserve()
                if not self._fall(kind):
                    self._end(reason)
            case _:
                self._end(reason)

    def _reserve(self) -> None:
        """Take a place of the retry budget now: many may decide before the first of them sets out."""
        if not self._reserved:
            self._reserved = True
            self._helm.fleet.budget.took()

    def _decide_again(self, flight: Flight, reason: Failure, error: UpstreamError | Overloaded) -> None:
        self._pause = None
        self._decide(flight, reason, error)

    def _falls(self) -> tuple[retry.Kind, ...]:
        """The cases for which there is a route that was not visited yet."""
        return tuple(kind for kind in retry.KINDS if self._next_route(kind) is not None)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._pause = self._helm.clock.callLater(seconds, self._advance)
        else:
            self._advance()

    def _exhausted(self) -> None:
        """No candidate is left: the routes named for that case, else the last error."""
        if self._committed() or not self._fall("exhausted"):
            self._end(self._error or Failure(self._nobody()))

    def _nobody(self) -> NoDeployment:
        now, healths = self._helm.clock.seconds(), self._helm.fleet.healths
        waits = [healths[each.name].until - now for each in self._route.deployments if each.name in healths]
        soon = min((wait for wait in waits if wait > 0), default=1.0)
        return NoDeployment(f"No deployment of {self._route.name!r} takes requests right now.", retry_after=soon)

    def _next_route(self, kind: retry.Kind) -> Route | None:
        """The first route that is named for a case and was not visited yet."""
        route = self._route
        names = {"context": route.context_fallbacks, "policy": route.policy_fallbacks}.get(kind, route.fallbacks)
        routes = self._running.snapshot.routes
        found = (routes[name] for name in names if name in routes)
        return next((each for each in found if each.name not in self._visited), None)

    def _fall(self, kind: retry.Kind) -> bool:
        """Go on with the next route for a case; False if there is none."""
        found = self._next_route(kind)
        if found is None:
            return False
        self._visited.add(found.name)
        self._line_up(found)
        self._tried = 0
        self._advance()
        return True

    # ── hedging ───────────────────────────────────────────────────────────────────────

    def _send_rival(self) -> None:
        if self._over or self._winner is not None or self._running.arriving:
            return
        while self._candidates:
            try:
                if self._launch(self._candidates.pop(0), rival=True):
                    self._helm.fleet.hedged(self._route.name)
                    return
            except RelayError:
                continue

    # ── the end ───────────────────────────────────────────────────────────────────────

    def _expire(self, seconds: float) -> None:
        self._timer = None
        why = f"No whole answer within the deadline of {seconds:g} s."
        self._end(Failure(UpstreamTimeout(why, deadline="total", stage=Stage.STREAM)))

    def _end(self, reason: Failure | None) -> None:
        if self._over:
            return
        self._over = True
        self._hedge.stop()
        for timer in (self._timer, self._pause):
            if timer is not None and timer.active():
                timer.cancel()
        if self._waiting is not None:
            self._waiting.addErrback(lambda _: None)
            self._waiting.cancel()
        flights, self._flights = self._flights, []
        for flight in flights:
            if flight.attempt is not None:
                flight.attempt.cancel()
            flight.landed(self._helm, self._running, self._sink, reason)
        if self._gate is not None:
            self._gate.leave()
        if self._reserved:
            self._helm.fleet.budget.gave_back()
        self._ended(reason)
