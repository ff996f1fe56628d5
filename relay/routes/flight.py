"""One attempt on a route: what it holds while it is under way, and what its end says."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from relay.attempt import Attempt
from relay.config import Deployment
from relay.errors import RelayError, UpstreamError, UpstreamRateLimited, UpstreamRefused
from relay.interfaces import ISink
from relay.policy.health import Health, Result
from relay.routes.gates import Gate
from relay.routes.helm import Helm
from relay.running import RunningExchange


def _result(error: BaseException | None) -> Result:
    """What an attempt's end says about its deployment."""
    if error is None:
        return Result.OK
    if isinstance(error, UpstreamRateLimited):
        return Result.LIMITED
    if isinstance(error, UpstreamError) and not isinstance(error, UpstreamRefused):
        return Result.FAILURE
    return Result.NEUTRAL


class Flight:
    """One attempt of a course."""

    __slots__ = ("attempt", "deployment", "gates", "health", "key", "retried", "spell", "told")

    def __init__(
        self, deployment: Deployment, health: Health, gates: tuple[Gate, ...], key: int, *, retried: bool
    ) -> None:
        self.deployment = deployment
        self.health = health
        self.gates = gates
        self.key = key
        self.retried = retried
        self.spell = 0
        self.told = False  # whether its health knows the latency already
        self.attempt: Attempt | None = None

    def answers(self, helm: Helm, *, stream: bool) -> None:
        """Its content is what the client sees; of a stream, its health learns that now and not when it ends."""
        attempt = self.attempt
        if attempt is not None:
            attempt.wins()
            if stream:
                self.told = True
                self.health.answered(helm.clock.seconds(), attempt.latency, self.spell)

    def lost(self, helm: Helm, running: RunningExchange, sink: ISink) -> None:
        """Another one was first."""
        if self.attempt is not None:
            self.attempt.lose()
        self._over(helm, running, sink, Failure(CancelledError()), Result.NEUTRAL)

    def landed(
        self, helm: Helm, running: RunningExchange, sink: ISink, reason: Failure | None, *, spare: bool = False
    ) -> None:
        """It has ended: well, or with a failure; ``spare`` if only a key was refused, and there is another one."""
        result = Result.NEUTRAL if spare else _result(None if reason is None else reason.value)
        self._over(helm, running, sink, reason, result)

    def _over(self, helm: Helm, running: RunningExchange, sink: ISink, reason: Failure | None, result: Result) -> None:
        """Give back what it held, tell the observers, and remember how it went."""
        for gate in self.gates:
            gate.leave()
        if self.retried:
            helm.fleet.budget.gave_back()
        latency = None
        if self.attempt is not None:
            helm.attempted(running, sink, self.attempt, reason)
            if result is not Result.NEUTRAL and not self.told:
                latency = self.attempt.latency
        error = None if reason is None else reason.value
        wait = error.retry_after if isinstance(error, RelayError) and result is not Result.NEUTRAL else None
        self.health.ended(helm.clock.seconds(), result, latency, wait, self.spell)
