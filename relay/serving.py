"""One exchange on its way: admit → read → attempt → settle."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from relay.answering import answer_alone
from relay.attempt import Attempt
from relay.config import Route
from relay.errors import Draining, RelayError, UpstreamTimeout
from relay.exchange import ClientRequest, KeyInfo
from relay.interfaces import ISink
from relay.outcome import Stage
from relay.planning import Estimate, Read, Way
from relay.policy import deadline
from relay.routes.course import Course
from relay.routes.gates import Gate
from relay.routes.helm import Helm
from relay.running import RunningExchange


class Gateway(Helm, Protocol):
    """What serving needs of the gateway.

    Attributes:
        draining: whether no new exchange is begun.
    """

    draining: bool

    def owner(self, request: ClientRequest) -> KeyInfo | Deferred[KeyInfo]:
        """Who calls."""

    def settle(self, running: RunningExchange, sink: ISink, reason: Failure | None) -> RelayError | None:
        """End the answer truthfully, tell the observers; returns the error to render."""

    def explained(self, running: RunningExchange, parsed: Read, where: Way | Route, sink: ISink) -> bool:
        """Answer with the plan if that is what the client asks for."""


def draining() -> Draining:
    """The error for requests that come too late."""
    return Draining("relay is shutting down; try again in a moment.", retry_after=1.0)


class Serving:
    """Plain callbacks and one `Deferred` for the caller: this is run for every request.

    A model that has a route goes on to a `Course`; one that has a single deployment is tried once.

    Args:
        gateway: does each step.
        running: the exchange's facts.
        sink: the client's side.

    Attributes:
        done: fires when the answer has ended; fails with the error to render.
    """

    __slots__ = ("_gates", "_gateway", "_over", "_running", "_sink", "_timer", "_waiting", "done")

    def __init__(self, gateway: Gateway, running: RunningExchange, sink: ISink) -> None:
        self._gateway = gateway
        self._running = running
        self._sink = sink
        self._waiting: Attempt | Course | Deferred[KeyInfo] | None = None
        self._over = False
        self._timer: IDelayedCall | None = None
        self._gates: tuple[Gate, ...] = ()
        self.done: Deferred[None] = Deferred(self._cancelled)

    def start(self) -> None:
        """Find out who calls; go on at once where that is known."""
        try:
            if self._gateway.draining:
                raise draining()
            owner = self._gateway.owner(self._running.request)
            if isinstance(owner, KeyInfo):
                self._known(owner)
            else:
                self._waiting = owner
                owner.addCallback(self._known).addErrback(self._end)
        except Exception:
            self._end(Failure())

    def left(self) -> None:
        """The client has gone."""
        waiting = self._waiting
        if isinstance(waiting, Course):
            waiting.left()
        else:
            self.cancel()

    def cancel(self) -> None:
        """Stop, in whatever phase it is."""
        waiting = self._waiting
        if waiting is not None:
            waiting.cancel()
        else:
            self._end(Failure(CancelledError()))

    def broken_off(self, error: RelayError) -> None:
        """The rest of the request will not come: nothing of it may look complete to a provider."""
        self._running.interruption = error
        self.cancel()

    def _cancelled(self, _done: Deferred[None]) -> None:
        """The caller is no longer interested."""
        self.cancel()

    def _known(self, key: KeyInfo) -> None:
        gateway, running = self._gateway, self._running
        running.key = key
        parsed = gateway.planner.read(running)
        where = gateway.planner.where(running.snapshot, running.request.endpoint, parsed.model)
        special = isinstance(where, Route) or where.is_special(running.request.headers)
        if special and gateway.explained(running, parsed, where, self._sink):
            self._end(None)
        elif isinstance(where, Way):
            if special:
                self._set_deadline(deadline.whole(running.request.headers))
            self._try(parsed, where)
        else:
            self._waiting = course = Course(gateway, running, parsed, where, self._sink, self._end)
            course.start()

    def _set_deadline(self, seconds: float | None) -> None:
        """Bound the whole exchange, where the client asks for it."""
        if seconds is not None:
            self._timer = self._gateway.clock.callLater(seconds, self._expire, seconds)

    def _expire(self, seconds: float) -> None:
        self._timer = None
        why = f"No whole answer within the deadline of {seconds:g} s."
        self._running.interruption = UpstreamTimeout(why, deadline="total", stage=Stage.STREAM)
        self.cancel()

    def _try(self, parsed: Read, way: Way) -> None:
        """One deployment, one attempt."""
        if way.deployment.provider.concurrency:
            self._go_in(way)
        planned = self._gateway.planner.plan(self._running, parsed, way)
        if isinstance(planned, Estimate):
            answer_alone(self._running, planned, self._sink)
            self._end(None)
            return
        self._waiting = attempt = self._gateway.attempt(self._running, planned, self._sink, self._attempted)
        attempt.start()

    def _go_in(self, way: Way) -> None:
        """Take one of the provider's places.

        Raises:
            Overloaded: there is none.
        """
        for gate in self._gateway.fleet.gates(way.deployment):
            if gate.enter("") is None:
                self._gates = (*self._gates, gate)

    def _attempted(self, reason: Failure | None) -> None:
        attempt = self._waiting
        if isinstance(attempt, Attempt):
            self._gateway.attempted(self._running, self._sink, attempt, reason)
        self._end(reason)

    def _end(self, reason: Failure | None) -> None:
        if self._over:
            return
        self._over = True
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
        for gate in self._gates:
            gate.leave()
        error = self._gateway.settle(self._running, self._sink, reason)
        if error is None:
            self.done.callback(None)
        else:
            self.done.errback(Failure(error))
