"""What comes after a failed attempt: another key, the same deployment again, the next one, another route, or the end.

The error's type decides, not its wording. Nothing is repeated once the client has seen content. Every further try
of something that failed comes out of the `RetryBudget`, so that a provider in trouble is not asked twice as often.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from typing import Literal

import attrs

from relay.config import RetryPolicy
from relay.dialects import refusals
from relay.errors import (
    DialectUnsupported,
    NoDeployment,
    Overloaded,
    RelayError,
    UpstreamCredential,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRefused,
    WouldDrop,
)
from relay.outcome import Stage

Kind = Literal["context", "policy", "exhausted"]
"""Why another route is asked: the prompt is too long here, the content policy forbids it here, nothing is left here."""

KINDS: Collection[Kind] = ("context", "policy", "exhausted")

_LOOK = 0.05
"""Seconds, on average, between two looks at a retry budget that is used up."""

_PASSING = frozenset({408, 409, 424, 425, 498})
"""4xx that are not about the request: 424 is Bedrock's failed model, 498 Groq's lack of capacity.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
and https://console.groq.com/docs/errors (read 2026-11).
"""

_NEVER_HERE = frozenset({501, 505})
"""5xx that the same deployment will give again."""


@attrs.frozen
class Again:
    """Ask the same deployment once more.

    Attributes:
        after: seconds to wait before.
        rotate: whether with another of its provider's keys.
    """

    after: float
    rotate: bool = False


@attrs.frozen
class Next:
    """Ask the next candidate.

    Attributes:
        after: seconds to wait before.
    """

    after: float


@attrs.frozen
class Hold:
    """Too many retries run already: decide anew in a moment.

    Attributes:
        after: seconds until then.
    """

    after: float


@attrs.frozen
class Fall:
    """Go on with the routes that are named for this case.

    Attributes:
        kind: which case.
    """

    kind: Kind


@attrs.frozen
class Stop:
    """Tell the client."""


Decision = Again | Next | Hold | Fall | Stop


class Verdict(enum.Enum):
    """What an error says about further tries.

    FINAL: none can do better. CONTEXT, POLICY: another model may. ELSEWHERE: another deployment may.
    KEY: another key, or another deployment. LIMITED: the same, or the same deployment later.
    PASSING: another deployment, or the same later.
    """

    FINAL = "final"
    CONTEXT = "context"
    POLICY = "policy"
    ELSEWHERE = "elsewhere"
    KEY = "key"
    LIMITED = "limited"
    PASSING = "passing"


_ROTATING = (Verdict.KEY, Verdict.LIMITED)
_PATIENT = (Verdict.LIMITED, Verdict.PASSING)


def judge(error: RelayError) -> Verdict:
    """What an error says about further tries, whatever has been tried before."""
    if isinstance(error, (DialectUnsupported, WouldDrop, NoDeployment)):
        return Verdict.ELSEWHERE  # it is about one deployment
    if isinstance(error, Overloaded):
        return Verdict.PASSING
    if not isinstance(error, UpstreamError):
        return Verdict.FINAL
    if error.code == refusals.POLICY:
        return Verdict.POLICY
    if error.code == refusals.CONTEXT:
        return Verdict.CONTEXT
    if isinstance(error, UpstreamCredential):
        return Verdict.KEY
    if isinstance(error, UpstreamRateLimited):
        return Verdict.KEY if error.code == refusals.SPENT else Verdict.LIMITED
    return _by_status(error)


def _by_status(error: UpstreamError) -> Verdict:
    """The verdict where the provider's status says most: a failure without one may pass."""
    status = error.upstream_status
    if isinstance(error, UpstreamRefused):
        return Verdict.PASSING if status in _PASSING else Verdict.FINAL
    if isinstance(error, UpstreamOverloaded):
        return Verdict.ELSEWHERE if status in _NEVER_HERE else Verdict.PASSING
    if isinstance(error, UpstreamProtocol) and status is not None:
        return Verdict.ELSEWHERE  # a redirect, a compressed answer: that is how it is set up
    return Verdict.PASSING if error.retryable else Verdict.FINAL


def decide(
    error: RelayError,
    *,
    policy: RetryPolicy,
    tried: int,
    left: int,
    committed: bool,
    remaining: float | None,
    allowed: bool,
    keys_left: bool,
    rand: Callable[[], float],
    falls: Collection[Kind] = KINDS,
    repeatable: bool = True,
    held: float = 0.0,
) -> Decision:
    """Say what comes after a failed attempt.

    Another model for a prompt that is too long or forbidden is no retry: the budget and the number of tries
    do not count there.

    Args:
        error: why the attempt failed.
        policy: the route's.
        tried: attempts made on this route, this one included, at least 1.
        left: candidates that have not been tried and may be asked now.
        committed: whether the client has seen content.
        remaining: seconds to the deadline, None without one.
        allowed: whether the retry budget has a place (`RetryBudget.may`).
        keys_left: whether the deployment's provider has a key that was not refused in this exchange.
        rand: a uniform number from 0 up to 1.
        falls: the cases for which the route names other routes.
        repeatable: whether the same deployment takes another try (its breaker, its limits).
        held: seconds for which this exchange has been held back already.
    """
    if committed or (remaining is not None and remaining <= 0):
        return Stop()
    verdict = judge(error)
    if verdict is Verdict.FINAL:
        return Stop()
    if verdict is Verdict.CONTEXT:
        return _fall("context", falls)
    if verdict is Verdict.POLICY:
        return _fall("policy", falls)
    wait = _Wait(policy, error, tried, remaining, rand)
    decision: Decision | None = None
    if tried < policy.attempts:
        decision = _try_on(verdict, wait, left=left, keys_left=keys_left, repeatable=repeatable)
    decision = decision or _fall("exhausted", falls)
    if allowed or isinstance(decision, Stop):
        return decision
    return wait.hold(held)


def _fall(kind: Kind, falls: Collection[Kind]) -> Fall | Stop:
    return Fall(kind) if kind in falls else Stop()


def _try_on(verdict: Verdict, wait: _Wait, *, left: int, keys_left: bool, repeatable: bool) -> Again | Next | None:
    """Another try on this route, or None."""
    if keys_left and repeatable and verdict in _ROTATING:
        return Again(0.0, rotate=True)
    if left > 0:
        return Next(wait.between())
    after = wait.here() if repeatable and verdict in _PATIENT else None
    return None if after is None else Again(after)


@attrs.frozen
class _Wait:
    """How long to wait: exponential, with full jitter, as the provider asks, and never past the deadline."""

    policy: RetryPolicy
    error: RelayError
    tried: int
    remaining: float | None
    rand: Callable[[], float]

    def between(self) -> float:
        """Seconds before another deployment is asked.

        The first time it is asked at once: it has not failed, and what a provider asks for is no wish of
        another's. So is any where nobody was reached.
        """
        if self.tried < 2 or (isinstance(self.error, UpstreamError) and self.error.stage is Stage.CONNECT):
            return 0.0
        after = self._jitter(self.tried - 2)
        return after if self._fits(after) else 0.0

    def here(self) -> float | None:
        """Seconds before the same deployment is asked, None where that would be too long."""
        asked = self.error.retry_after or 0.0
        if asked > self.policy.ceiling or not self._fits(asked):
            return None
        after = min(asked + self._jitter(self.tried - 1), self.policy.ceiling)
        return after if self._fits(after) else asked

    def hold(self, held: float) -> Hold | Stop:
        """A short wait for a place in the retry budget, as long as the longest back-off in all."""
        after = _LOOK * (0.5 + self.rand())
        return Hold(after) if held + after <= self.policy.ceiling and self._fits(after) else Stop()

    def _jitter(self, doublings: int) -> float:
        return self.rand() * min(self.policy.ceiling, self.policy.backoff * 2.0**doublings)

    def _fits(self, seconds: float) -> bool:
        return self.remaining is None or seconds < self.remaining


class RetryBudget:
    """How many retries may run beside first attempts.

    Args:
        ratio: share of the running exchanges.
        least: how many may run however few exchanges do.
    """

    __slots__ = ("_least", "_ratio", "running")

    def __init__(self, ratio: float = 0.2, least: int = 3) -> None:
        self._ratio = ratio
        self._least = least
        self.running = 0

    def may(self, active: int) -> bool:
        """Whether one more retry may begin.

        Args:
            active: exchanges running now.
        """
        return self.running < max(self._least, int(self._ratio * active))

    def took(self) -> None:
        """A retry has begun."""
        self.running += 1

    def gave_back(self) -> None:
        """A retry has ended."""
        self.running -= 1
