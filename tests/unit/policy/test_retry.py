"""What comes after a failed attempt: a table of errors, and what no sequence of failures can bring about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay import errors
from relay.config import RetryPolicy
from relay.dialects import refusals
from relay.errors import (
    BudgetExceeded,
    ClientGone,
    ConfigError,
    DialectUnsupported,
    Draining,
    Forbidden,
    HeadTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NoDeployment,
    Overloaded,
    RateLimited,
    RelayError,
    RequestTimeout,
    TooLarge,
    TruncatedStream,
    Unauthenticated,
    UnknownModel,
    UnknownPath,
    UnsupportedMedia,
    UpstreamCredential,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    WouldDrop,
)
from relay.outcome import Stage
from relay.policy.retry import Again, Decision, Fall, Hold, Next, RetryBudget, Stop, Verdict, decide, judge

FIRST = Stage.FIRST_BYTE


def refused(status: int, code: str | None = None) -> UpstreamRefused:
    """A 4xx of the provider's."""
    return UpstreamRefused("m", stage=FIRST, upstream_status=status, code=code)


def failed(status: int, retry_after: float | None = None) -> UpstreamOverloaded:
    """A 5xx of the provider's."""
    return UpstreamOverloaded("m", stage=FIRST, upstream_status=status, retry_after=retry_after)


def limited(retry_after: float | None = None, code: str | None = None) -> UpstreamRateLimited:
    """A 429 of the provider's."""
    return UpstreamRateLimited("m", stage=FIRST, upstream_status=429, retry_after=retry_after, code=code)


def timeout(deadline: str, stage: Stage) -> UpstreamTimeout:
    """A deadline that has passed."""
    return UpstreamTimeout("m", deadline=deadline, stage=stage)


REFUSED = UpstreamCredential("m", stage=FIRST, upstream_status=401)
NO_CONNECTION = UpstreamUnreachable("m", stage=Stage.CONNECT)

VERDICTS: list[tuple[RelayError, Verdict]] = [
    (NO_CONNECTION, Verdict.PASSING),
    (UpstreamUnreachable("m", stage=Stage.SEND), Verdict.PASSING),
    (UpstreamUnreachable("m", stage=FIRST), Verdict.PASSING),
    (timeout("connect", Stage.CONNECT), Verdict.PASSING),
    (timeout("first_byte", FIRST), Verdict.PASSING),
    (timeout("idle", Stage.STREAM), Verdict.PASSING),
    (UpstreamProtocol("m", stage=FIRST), Verdict.PASSING),
    (UpstreamProtocol("m", stage=FIRST, upstream_status=302), Verdict.ELSEWHERE),
    (TruncatedStream("m", stage=Stage.STREAM), Verdict.PASSING),
    (UpstreamError("m", stage=Stage.STREAM), Verdict.PASSING),
    *[(failed(status), Verdict.PASSING) for status in (500, 502, 503, 504, 529, 599)],
    *[(failed(status), Verdict.ELSEWHERE) for status in (501, 505)],
    (limited(), Verdict.LIMITED),
    (limited(30.0), Verdict.LIMITED),
    (limited(code=refusals.SPENT), Verdict.KEY),
    *[(refused(status), Verdict.PASSING) for status in (408, 409, 424, 425, 498)],
    *[(refused(status), Verdict.FINAL) for status in (400, 401, 402, 403, 404, 405, 413, 415, 422, 451)],
    (refused(400, refusals.CONTEXT), Verdict.CONTEXT),
    (refused(413, refusals.CONTEXT), Verdict.CONTEXT),
    (refused(400, refusals.POLICY), Verdict.POLICY),
    (refused(403, refusals.POLICY), Verdict.POLICY),
    (UpstreamError("m", stage=Stage.STREAM, code=refusals.POLICY), Verdict.POLICY),
    (REFUSED, Verdict.KEY),
    (UpstreamCredential("m", stage=FIRST, upstream_status=402), Verdict.KEY),
    (UpstreamCredential("m", stage=Stage.CONNECT, code="no_provider_key"), Verdict.KEY),
    (DialectUnsupported("m"), Verdict.ELSEWHERE),
    (WouldDrop("m"), Verdict.ELSEWHERE),
    (NoDeployment("m"), Verdict.ELSEWHERE),
    (Overloaded("m"), Verdict.PASSING),
    (RateLimited("m", retry_after=1.0), Verdict.FINAL),
    *[
        (kind("m"), Verdict.FINAL)
        for kind in (
            InvalidRequest,
            Unauthenticated,
            Forbidden,
            UnknownModel,
            UnknownPath,
            RequestTimeout,
            TooLarge,
            UnsupportedMedia,
            HeadTooLarge,
            BudgetExceeded,
            Draining,
            ClientGone,
            InternalError,
        )
    ],
    (MethodNotAllowed("m", ("POST",)), Verdict.FINAL),
    (ConfigError("m"), Verdict.FINAL),
]
"""Every kind of error, and what it says about further tries."""

CONSEQUENCES: Mapping[Verdict, tuple[Decision, Decision]] = {
    Verdict.FINAL: (Stop(), Stop()),
    Verdict.CONTEXT: (Fall("context"), Fall("context")),
    Verdict.POLICY: (Fall("policy"), Fall("policy")),
    Verdict.ELSEWHERE: (Next(0.0), Fall("exhausted")),
    Verdict.KEY: (Next(0.0), Fall("exhausted")),
    Verdict.LIMITED: (Next(0.0), Again(0.5)),
    Verdict.PASSING: (Next(0.0), Again(0.5)),
}
"""What is done with a candidate left, and without."""


def ask(error: RelayError = NO_CONNECTION, **facts: Any) -> Decision:
    """Decide after the first of three tries, with one candidate left, no deadline, and no chance in it."""
    policy = RetryPolicy(attempts=facts.pop("attempts", 3), backoff=1.0, ceiling=8.0)
    known: dict[str, Any] = {
        "tried": 1,
        "left": 1,
        "committed": False,
        "remaining": None,
        "allowed": True,
        "keys_left": False,
        "rand": lambda: 0.5,
    }
    return decide(error, policy=policy, **{**known, **facts})


def kinds(kind: type[RelayError] = RelayError) -> Iterator[type[RelayError]]:
    """Every class of the tree that is raised."""
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            if not each.__name__.startswith("_") and each is not errors.RequestError:
                yield each
            yield from kinds(each)


class JudgeTests(SynchronousTestCase):
    """What errors say by themselves."""

    def test_everyError(self) -> None:
        """Each error says what the table has for it."""
        for error, verdict in VERDICTS:
            self.assertIs(judge(error), verdict, repr(error))

    def test_noKindIsForgotten(self) -> None:
        """The table has every class that is raised."""
        self.assertEqual(set(kinds()) - {type(error) for error, _ in VERDICTS}, set())


class DecideTests(SynchronousTestCase):
    """What is done about them."""

    def test_nothingAfterContent(self) -> None:
        """Once the client has seen content, nothing whatever is repeated."""
        for error, _ in VERDICTS:
            self.assertEqual(ask(error, committed=True, keys_left=True), Stop())

    def test_nothingAfterTheDeadline(self) -> None:
        """When the time is up, nothing is begun."""
        for error, _ in VERDICTS:
            self.assertEqual(ask(error, remaining=0.0, keys_left=True), Stop())

    def test_byVerdict(self) -> None:
        """With a candidate left, and with nothing left."""
        for error, verdict in VERDICTS:
            if error.retry_after is None:
                self.assertEqual((ask(error), ask(error, left=0)), CONSEQUENCES[verdict], repr(error))

    def test_anotherKey(self) -> None:
        """A refused or limited key gives way to another one at once, before another deployment does."""
        for error, verdict in VERDICTS:
            rotates = verdict in (Verdict.KEY, Verdict.LIMITED)
            for left in (0, 1):
                self.assertEqual(
                    ask(error, keys_left=True, left=left) == Again(0.0, rotate=True), rotates, f"{error!r} {left}"
                )

    def test_attempts(self) -> None:
        """When all tries are used up, only another route is left."""
        for error in (NO_CONNECTION, limited(), REFUSED, failed(500)):
            self.assertEqual(ask(error, tried=3, keys_left=True), Fall("exhausted"))
            self.assertEqual(ask(error, attempts=1, keys_left=True), Fall("exhausted"))

    def test_namedRoutes(self) -> None:
        """A route that names no others for the case has nothing to fall back to."""
        self.assertEqual(ask(refused(400, refusals.CONTEXT), falls=("policy", "exhausted")), Stop())
        self.assertEqual(ask(refused(400, refusals.POLICY), falls=("context", "exhausted")), Stop())
        self.assertEqual(ask(REFUSED, left=0, falls=("policy", "context")), Stop())

    def test_anotherModelIsNoRetry(self) -> None:
        """A prompt that is too long or forbidden goes to the other route whatever the budget and the tries."""
        self.assertEqual(ask(refused(400, refusals.CONTEXT), allowed=False, tried=3), Fall("context"))
        self.assertEqual(ask(refused(400, refusals.POLICY), allowed=False, tried=3), Fall("policy"))

    def test_budget(self) -> None:
        """Without a place in the budget an exchange is held back, at most for the longest back-off in all."""
        for facts in ({}, {"left": 0}, {"keys_left": True}, {"tried": 3}):
            self.assertEqual(ask(limited(), allowed=False, **facts), Hold(0.05), repr(facts))
            self.assertEqual(ask(limited(), allowed=False, held=7.96, **facts), Stop(), repr(facts))
            self.assertEqual(ask(limited(), allowed=False, remaining=0.04, **facts), Stop(), repr(facts))

    def test_notHeldInVain(self) -> None:
        """Where there is nothing to wait for, the client is told at once."""
        self.assertEqual(ask(REFUSED, allowed=False, left=0, falls=()), Stop())

    def test_deploymentThatTakesNoMore(self) -> None:
        """A deployment whose breaker has opened is not asked again, with whatever key."""
        self.assertEqual(ask(limited(), repeatable=False, keys_left=True), Next(0.0))
        self.assertEqual(ask(limited(), repeatable=False, keys_left=True, left=0), Fall("exhausted"))
        self.assertEqual(ask(NO_CONNECTION, repeatable=False, left=0), Fall("exhausted"))

    def test_backOffHere(self) -> None:
        """Before the same deployment is asked the wait is doubled each time, up to the ceiling, and all jitter."""
        for tried, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (19, 8.0)):
            for share in (0.0, 0.25, 0.999):
                decision = ask(failed(500), tried=tried, attempts=20, left=0, rand=lambda share=share: share)
                self.assertEqual(decision, Again(share * longest))

    def test_backOffBetween(self) -> None:
        """The second deployment is asked at once, further ones after a back-off, unless nobody was reached."""
        for tried, after in ((1, 0.0), (2, 0.5), (3, 1.0), (9, 4.0)):
            self.assertEqual(ask(failed(500), tried=tried, attempts=20), Next(after))
            self.assertEqual(ask(NO_CONNECTION, tried=tried, attempts=20), Next(0.0))

    def test_backOffThatDoesNotFit(self) -> None:
        """A back-off that the deadline does not leave time for is skipped."""
        self.assertEqual(ask(failed(500), tried=2, remaining=0.5), Next(0.0))
        self.assertEqual(ask(failed(500), left=0, remaining=0.5), Again(0.0))

    def test_retryAfter(self) -> None:
        """What the provider asks for is waited for here, with jitter on top, and does not matter elsewhere."""
        for error in (limited(3.0), failed(503, 3.0)):
            self.assertEqual(ask(error, left=0), Again(3.5))
            self.assertEqual(ask(error), Next(0.0))
            self.assertEqual(ask(error, left=0, remaining=3.2), Again(3.0))
        self.assertEqual(ask(limited(7.9), left=0), Again(8.0))

    def test_retryAfterThatIsTooLong(self) -> None:
        """A wait beyond the ceiling or the deadline is not begun."""
        self.assertEqual(ask(limited(8.1), left=0), Fall("exhausted"))
        self.assertEqual(ask(limited(3.0), left=0, remaining=3.0), Fall("exhausted"))
        self.assertEqual(ask(limited(8.1), left=0, keys_left=True), Again(0.0, rotate=True))


FAILURES = st.lists(st.sampled_from([error for error, _ in VERDICTS] + [limited(2.0), failed(503, 20.0)]), min_size=60)


class SequenceTests(SynchronousTestCase):
    """Whole exchanges, whatever goes wrong."""

    @given(
        failures=FAILURES,
        policy=st.builds(RetryPolicy, st.integers(1, 6), st.floats(0, 10), st.floats(0, 10)),
        candidates=st.integers(1, 6),
        keys=st.integers(1, 4),
        deadline=st.none() | st.floats(0.001, 60),
        seconds=st.floats(0, 5),
        places=st.lists(st.booleans(), min_size=400, max_size=400),
        chances=st.randoms(use_true_random=False),
    )
    def test_bounds(
        self,
        failures: list[RelayError],
        policy: RetryPolicy,
        candidates: int,
        keys: int,
        deadline: float | None,
        seconds: float,
        places: list[bool],
        chances: Any,
    ) -> None:
        """No sequence of failures brings more tries than allowed, one too late, or one beside the budget."""
        now, held, tried, left = 0.0, 0.0, 1, candidates - 1
        allowed = iter(places)
        while True:
            now += seconds  # the attempt fails
            error = failures[tried]
            decision: Decision = Hold(0.0)
            while isinstance(decision, Hold):
                now += decision.after
                held += decision.after
                place = next(allowed, True)
                remaining = None if deadline is None else deadline - now
                decision = decide(
                    error,
                    policy=policy,
                    tried=tried,
                    left=left,
                    committed=False,
                    remaining=remaining,
                    allowed=place,
                    keys_left=keys > 1,
                    rand=chances.random,
                    held=held,
                )
            if not isinstance(decision, (Again, Next)):
                break
            self.assertTrue(place)
            self.assertTrue(0 <= decision.after <= policy.ceiling)
            now += decision.after
            self.assertTrue(deadline is None or now < deadline)
            if isinstance(decision, Next):
                left -= 1
                self.assertGreaterEqual(left, 0)
            elif decision.rotate:
                keys -= 1
                self.assertGreater(keys, 0)
            tried += 1
        self.assertLessEqual(tried, policy.attempts)
        self.assertLessEqual(held, policy.ceiling)


class RetryBudgetTests(SynchronousTestCase):
    """How many retries may run at a time."""

    def test_least(self) -> None:
        """However little is going on, three may."""
        budget = RetryBudget()
        for _ in range(3):
            self.assertTrue(budget.may(0))
            budget.took()
        self.assertFalse(budget.may(1))

    def test_ratio(self) -> None:
        """Of many exchanges, one in five may be a retry."""
        budget = RetryBudget()
        for _ in range(20):
            self.assertTrue(budget.may(100))
            budget.took()
        self.assertFalse(budget.may(100))
        self.assertFalse(budget.may(104))
        self.assertTrue(budget.may(105))

    def test_places(self) -> None:
        """A retry that ends makes place for another."""
        budget = RetryBudget(least=1)
        budget.took()
        self.assertFalse(budget.may(0))
        budget.gave_back()
        self.assertTrue(budget.may(0))
        self.assertEqual(budget.running, 0)

    @given(st.lists(st.integers(-3, 300), max_size=200), st.floats(0.01, 1), st.integers(0, 10))
    def test_never(self, steps: list[int], ratio: float, least: int) -> None:
        """Whatever comes, no more run than the share of what is active then, or the least."""
        budget = RetryBudget(ratio, least)
        for active in steps:
            if active < 0 and budget.running:
                budget.gave_back()
            elif active >= 0 and budget.may(active):
                budget.took()
                self.assertLessEqual(budget.running, max(least, ratio * active))
