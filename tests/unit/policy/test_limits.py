"""The token bucket: what it admits, what it says about waiting, what a change of settings does."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.policy.limits import Bucket, Decision, take
from relay.provider import RateLimit

RULES = st.builds(RateLimit, requests_per_minute=st.integers(1, 100_000), burst=st.integers(1, 10_000))
STEPS = st.lists(st.floats(0, 100, allow_nan=False), max_size=60)


def drain(rule: RateLimit, now: float) -> Bucket:
    """A bucket whose whole burst has just been used."""
    bucket: Bucket | None = None
    for _ in range(rule.burst):
        decision = take(bucket, rule, now)
        bucket = decision.bucket
    assert bucket is not None
    return bucket


class TakeTests(SynchronousTestCase):
    """One rule at a time."""

    rule = RateLimit(requests_per_minute=60, burst=3)

    def test_burstIsAdmittedAtOnce(self) -> None:
        """A new client may use its whole burst in one moment, and no more."""
        bucket, seen = None, []
        for _ in range(4):
            decision = take(bucket, self.rule, 10.0)
            bucket = decision.bucket
            seen.append((decision.admitted, decision.remaining))
        self.assertEqual(seen, [(True, 2), (True, 1), (True, 0), (False, 0)])

    def test_refusalSaysWhenToComeBack(self) -> None:
        """``retry_after`` is the time until one token, ``reset`` the time until all are there."""
        decision = take(drain(self.rule, 10.0), self.rule, 10.25)
        self.assertEqual((decision.admitted, decision.retry_after, decision.reset), (False, 0.75, 2.75))

    def test_waitingThatLongIsEnough(self) -> None:
        """A client that waits for ``retry_after`` is admitted, and not a millisecond earlier."""
        refused = take(drain(self.rule, 10.0), self.rule, 10.2)
        self.assertFalse(take(refused.bucket, self.rule, 10.2 + refused.retry_after - 0.001).admitted)
        self.assertTrue(take(refused.bucket, self.rule, 10.2 + refused.retry_after).admitted)

    def test_refusalCostsNothing(self) -> None:
        """Asking in vain does not put off the next token."""
        bucket = drain(self.rule, 0.0)
        for tenth in range(1, 10):
            bucket = take(bucket, self.rule, tenth / 10).bucket
        self.assertTrue(take(bucket, self.rule, 1.0).admitted)

    def test_nothingToWaitForWhileTokensAreLeft(self) -> None:
        """``retry_after`` is 0 while another request would be admitted."""
        self.assertEqual(take(None, self.rule, 0.0).retry_after, 0.0)

    def test_neverMoreThanTheBurst(self) -> None:
        """Idle time does not save up more than the capacity."""
        self.assertEqual(take(drain(self.rule, 0.0), self.rule, 1e6).remaining, 2)

    def test_clockThatGoesBackwardsGivesNothing(self) -> None:
        """A step back neither refills a bucket nor lets the way forward count twice."""
        bucket = drain(self.rule, 1000.0)
        for now in (0.0, 1000.0, 500.0, 1000.0):
            decision = take(bucket, self.rule, now)
            self.assertFalse(decision.admitted)
            bucket = decision.bucket

    def test_fullAtIsWhenItIsFull(self) -> None:
        """From ``full_at`` on a bucket decides like a new one."""
        bucket = drain(self.rule, 10.0)
        self.assertEqual(bucket.full_at, 13.0)
        self.assertEqual(take(bucket, self.rule, 13.0).remaining, take(None, self.rule, 13.0).remaining)


class ChangedRuleTests(SynchronousTestCase):
    """Settings change under a bucket."""

    def test_emptyStaysEmpty(self) -> None:
        """New settings give a client that has used everything up no new burst."""
        bucket = drain(RateLimit(60, 3), 5.0)
        self.assertFalse(take(bucket, RateLimit(60, 300), 5.0).admitted)

    def test_fullStaysFull(self) -> None:
        """A client that has used nothing has the whole new burst."""
        bucket = Bucket(RateLimit(60, 3), 3.0, 5.0)
        self.assertEqual(take(bucket, RateLimit(60, 30), 5.0).remaining, 29)

    def test_theProportionIsKept(self) -> None:
        """Half full stays half full, in both directions."""
        bucket = Bucket(RateLimit(60, 10), 5.0, 5.0)
        self.assertEqual(take(bucket, RateLimit(60, 100), 5.0).bucket.tokens, 49.0)
        self.assertEqual(take(bucket, RateLimit(60, 4), 5.0).bucket.tokens, 1.0)

    def test_timeBeforeTheChangeCountsAtTheOldRate(self) -> None:
        """Seconds that passed under the old rate gain the old rate's tokens."""
        bucket = Bucket(RateLimit(60, 10), 0.0, 0.0)
        self.assertEqual(take(bucket, RateLimit(6000, 10), 2.0).bucket.tokens, 1.0)

    @given(RULES, st.lists(RULES, min_size=1, max_size=10))
    def test_flippingSettingsGainsNothing(self, rule: RateLimit, others: list[RateLimit]) -> None:
        """However often files are touched in one moment, a full burst is admitted once."""
        assume(rule.burst <= 500)
        bucket = drain(rule, 7.0)
        for other in [*others, rule]:
            decision = take(bucket, other, 7.0)
            self.assertFalse(decision.admitted)
            bucket = decision.bucket


class RateTests(SynchronousTestCase):
    """What holds for every rate and every pattern of requests."""

    @given(RULES, STEPS)
    def test_neverMoreThanBurstPlusRate(self, rule: RateLimit, steps: list[float]) -> None:
        """Within t seconds no more than burst + rate × t requests are admitted."""
        now, bucket, admitted = 1e6, None, 0
        for step in steps:
            now += step
            for _ in range(3):
                decision = take(bucket, rule, now)
                bucket, admitted = decision.bucket, admitted + decision.admitted
        allowed = rule.burst + rule.requests_per_minute / 60 * (now - 1e6)
        self.assertLessEqual(admitted, allowed + 1e-4)

    @given(st.integers(1, 600), st.integers(1, 50))
    def test_steadyClientGetsTheWholeRate(self, rpm: int, burst: int) -> None:
        """A client that comes exactly when it is told to is never refused, however the fractions round."""
        rule = RateLimit(rpm, burst)
        now, bucket = 12345.678, drain(rule, 12345.678)
        for _ in range(100):
            now += take(bucket, rule, now).retry_after
            decision = take(bucket, rule, now)
            self.assertTrue(decision.admitted)
            bucket = decision.bucket

    @given(RULES, STEPS)
    def test_whatItSaysIsInRange(self, rule: RateLimit, steps: list[float]) -> None:
        """Remaining lies between 0 and the burst; times are not negative; refused means that one must wait."""
        now, bucket = 0.0, None
        for step in steps:
            now += step
            decision: Decision = take(bucket, rule, now)
            bucket = decision.bucket
            self.assertTrue(0 <= decision.remaining <= rule.burst)
            self.assertGreaterEqual(decision.reset, 0.0)
            self.assertGreaterEqual(decision.reset + 1e-6, decision.retry_after)
            self.assertTrue(decision.admitted or decision.retry_after > 0)
