"""The breaker, rests, slow start and latencies of one deployment, on a simulated clock."""

from __future__ import annotations

import random
from collections.abc import Iterable

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from twisted.trial.unittest import SynchronousTestCase

from relay.config import BreakerPolicy
from relay.policy.health import LONGEST, SHORTEST, Health, Result, State

POLICY = BreakerPolicy(failures=5, ratio=0.5, window=30.0, least=10, cooldown=15.0, slow_start=30.0)
OK, FAILURE, LIMITED, NEUTRAL = Result.OK, Result.FAILURE, Result.LIMITED, Result.NEUTRAL


def tell(
    health: Health, now: float, *results: Result, latency: float | None = None, retry_after: float | None = None
) -> None:
    """Attempts that begin and end at once."""
    for result in results:
        health.ended(now, result, latency, retry_after, health.began(now))


def opened(now: float = 0.0, policy: BreakerPolicy = POLICY) -> Health:
    """A deployment that has just died."""
    health = Health(policy)
    tell(health, now, *[FAILURE] * policy.failures)
    return health


def recovered(now: float, policy: BreakerPolicy = POLICY) -> Health:
    """A deployment whose probe has just been answered."""
    health = opened(now - policy.cooldown, policy)
    assert health.claim(now)
    tell(health, now, OK)
    return health


class OpeningTests(SynchronousTestCase):
    """What opens the breaker, and what does not."""

    def test_consecutiveFailures(self) -> None:
        """The fifth failure in a row opens it, and not the fourth."""
        health = Health(POLICY)
        tell(health, 0.0, *[FAILURE] * 4)
        self.assertEqual((health.state(0.0), health.available(0.0)), (State.CLOSED, True))
        tell(health, 0.0, FAILURE)
        self.assertEqual((health.state(0.0), health.available(0.0)), (State.OPEN, False))

    def test_aSuccessInterruptsTheRow(self) -> None:
        """Four failures, an answer, four failures: too few results for a ratio, and no row of five."""
        health = Health(POLICY)
        tell(health, 0.0, *[FAILURE] * 4, OK, *[FAILURE] * 4)
        self.assertIs(health.state(0.0), State.CLOSED)

    def test_theRatio(self) -> None:
        """Half of ten results in the window are enough, less are not."""
        for pattern, state in (([FAILURE, OK] * 4 + [OK, FAILURE], State.OPEN), ([FAILURE, OK, OK] * 9, State.CLOSED)):
            health = Health(POLICY)
            tell(health, 1.0, *pattern)
            self.assertIs(health.state(1.0), state)

    def test_theWindowForgets(self) -> None:
        """Failures older than the window are no part of the ratio."""
        health = Health(POLICY)
        tell(health, 100.0, *[OK, FAILURE] * 4)
        tell(health, 131.0, OK, FAILURE)
        self.assertIs(health.state(131.0), State.CLOSED)
        inside = Health(POLICY)
        tell(inside, 100.0, *[OK, FAILURE] * 4)
        tell(inside, 126.0, OK, FAILURE)
        self.assertIs(inside.state(126.0), State.OPEN)

    def test_theWindowForgetsStepByStep(self) -> None:
        """It goes on while results come: what is 31 seconds old no longer counts, what is 16 seconds old does."""
        health = Health(POLICY)
        tell(health, 100.0, *[OK, FAILURE] * 4)
        tell(health, 115.0, *[OK] * 5)
        tell(health, 131.0, FAILURE, OK, FAILURE)
        self.assertIs(health.state(131.0), State.CLOSED)
        tell(health, 131.0, *[OK, FAILURE, FAILURE, FAILURE, FAILURE])
        self.assertIs(health.state(131.0), State.CLOSED)
        tell(health, 131.0, OK, FAILURE, FAILURE)
        self.assertIs(health.state(131.0), State.OPEN)

    def test_limitsAndTheClientsFaultsDoNot(self) -> None:
        """429 says that it lives; a client's mistake says nothing, and does not interrupt a row of failures."""
        health = Health(POLICY)
        tell(health, 0.0, *[LIMITED] * 50, *[NEUTRAL] * 50)
        self.assertIs(health.state(0.0), State.CLOSED)
        tell(health, 0.0, *[FAILURE] * 4, NEUTRAL, LIMITED, FAILURE)
        self.assertIs(health.state(0.0), State.OPEN)

    def test_whatBeganBeforeSaysNothingAfter(self) -> None:
        """Streams that began before it opened neither close it, nor open it again, nor prolong the cool-down."""
        health = Health(POLICY)
        before = [health.began(0.0) for _ in range(30)]
        tell(health, 0.0, *[FAILURE] * 5)
        health.ended(14.0, FAILURE, spell=before.pop())
        self.assertEqual(health.until, 15.0)
        health.ended(16.0, OK, spell=before.pop())
        health.answered(16.0, spell=before.pop())
        self.assertIs(health.state(16.0), State.HALF_OPEN)
        self.assertTrue(health.claim(16.0))
        tell(health, 16.0, OK)
        for spell in before:
            health.ended(17.0, FAILURE, spell=spell)
        self.assertIs(health.state(17.0), State.CLOSED)

    def test_anotherPolicyCountsFromNow(self) -> None:
        """After a reload the new bounds hold, and the state stays."""
        health = opened()
        health.adopt(attrs.evolve(POLICY, failures=2, window=600.0))
        self.assertIs(health.state(14.0), State.OPEN)
        health.claim(15.0)
        tell(health, 15.0, OK, FAILURE, FAILURE)
        self.assertIs(health.state(15.0), State.OPEN)

    def test_aLongerWindowStillForgets(self) -> None:
        """The window's steps follow the policy, so that nothing is kept for ever."""
        health = Health(POLICY)
        tell(health, 1000.0, *[OK, FAILURE] * 4)
        health.adopt(attrs.evolve(POLICY, window=60.0))
        tell(health, 1001.0, *[OK, FAILURE] * 4)
        self.assertIs(health.state(1001.0), State.CLOSED)
        tell(health, 1070.0, OK, FAILURE)
        self.assertIs(health.state(1070.0), State.CLOSED)


class RecoveryTests(SynchronousTestCase):
    """From open to closed."""

    def test_halfOpenAfterTheCooldown(self) -> None:
        """It is open for exactly the cool-down."""
        health = opened()
        self.assertEqual((health.until, health.state(14.99), health.state(15.0)), (15.0, State.OPEN, State.HALF_OPEN))
        self.assertEqual((health.available(14.99), health.available(15.0)), (False, True))

    def test_oneProbeAtATime(self) -> None:
        """While a probe is under way nobody else may go."""
        health = opened()
        self.assertTrue(health.claim(15.0))
        self.assertEqual((health.claim(15.0), health.available(15.0), health.claim(40.0)), (False, False, False))

    def test_aProbeThatIsAnsweredCloses(self) -> None:
        """One success is enough, also a refusal by 429."""
        for answer in (OK, LIMITED):
            health = opened()
            self.assertTrue(health.claim(15.2))
            tell(health, 15.3, answer)
            self.assertIs(health.state(15.3), State.CLOSED)

    def test_theFirstContentCloses(self) -> None:
        """A probe that streams for an hour closes it at its first chunk, and its end changes nothing then."""
        health = opened()
        health.claim(15.0)
        spell = health.began(15.0)
        health.answered(15.5, 0.5, spell)
        self.assertEqual((health.state(15.5), health.claim(15.5), health.ewma(15.5)), (State.CLOSED, True, 0.5))
        health.ended(3600.0, FAILURE, spell=spell)
        self.assertIs(health.state(3600.0), State.CLOSED)

    def test_countsBeginAnew(self) -> None:
        """What failed before the recovery does not count after it, neither in a row nor in the window."""
        health = recovered(15.0)
        tell(health, 15.0, *[FAILURE] * 4, OK, *[FAILURE] * 4)
        self.assertIs(health.state(15.0), State.CLOSED)
        tell(health, 15.0, FAILURE)
        self.assertIs(health.state(15.0), State.OPEN)

    def test_aProbeThatFailsOpens(self) -> None:
        """A dead upstream is probed once a cool-down, however long it stays dead."""
        health = opened()
        for turn in range(1, 20):
            now = 15.0 * turn
            self.assertTrue(health.claim(now))
            tell(health, now, FAILURE)
            self.assertEqual((health.state(now), health.until), (State.OPEN, now + 15.0))

    def test_aProbeThatSaysNothing(self) -> None:
        """A client that leaves frees the place for the next probe."""
        health = opened()
        health.claim(15.0)
        tell(health, 15.0, NEUTRAL)
        self.assertEqual((health.state(15.0), health.claim(15.0)), (State.HALF_OPEN, True))

    def test_aProbeThatNeverReturns(self) -> None:
        """Nobody waits for it longer than four cool-downs, and then its end says nothing."""
        health = opened()
        health.claim(15.0)
        late = health.began(15.0)
        self.assertEqual((health.claim(74.9), health.claim(75.0)), (False, True))
        health.ended(76.0, FAILURE, spell=late)
        self.assertEqual((health.state(76.0), health.claim(76.0)), (State.HALF_OPEN, False))

    def test_theLastResort(self) -> None:
        """Open, it admits one attempt a second, which neither ends the cool-down nor prolongs it."""
        for result in (OK, FAILURE):
            health = opened()
            self.assertTrue(health.claim(1.0))
            self.assertFalse(health.claim(1.9))
            tell(health, 1.95, result)
            self.assertEqual((health.claim(1.99), health.claim(2.0)), (False, True))
            self.assertEqual((health.state(2.0), health.until), (State.OPEN, 15.0))

    def test_slowStart(self) -> None:
        """After a recovery its share grows from a tenth to all of it within 30 seconds."""
        health = recovered(100.0)
        self.assertEqual(
            [health.share(100.0 + past) for past in (0, 1.5, 6, 15, 30, 99)], [0.1, 0.1, 0.2, 0.5, 1.0, 1.0]
        )
        self.assertTrue(health.available(100.0))
        self.assertFalse(health.steady)
        self.assertTrue(health.available(130.0))
        self.assertTrue(health.steady)

    def test_noSlowStart(self) -> None:
        """0 seconds give it everything at once."""
        health = recovered(100.0, attrs.evolve(POLICY, slow_start=0.0))
        self.assertEqual((health.share(100.0), health.steady), (1.0, True))


class RetryAfterTests(SynchronousTestCase):
    """What the provider asks for."""

    def test_aLimitIsARest(self) -> None:
        """After 429 it is left alone as long as it asked, without being open: as the only one it may be used."""
        health = Health(POLICY)
        tell(health, 10.0, LIMITED, retry_after=20.0)
        self.assertEqual(
            (health.state(10.0), health.available(29.9), health.available(30.0)), (State.CLOSED, False, True)
        )
        self.assertTrue(health.claim(10.0))

    def test_aLimitWithoutATime(self) -> None:
        """It rests for a second."""
        health = Health(POLICY)
        tell(health, 10.0, LIMITED)
        self.assertEqual((health.available(10.9), health.available(11.0)), (False, True))

    def test_aFailureMayAskToo(self) -> None:
        """One 503 with ``Retry-After`` is a rest, and the time of the one that opens it is the cool-down."""
        health = Health(POLICY)
        tell(health, 0.0, FAILURE, retry_after=40.0)
        self.assertEqual((health.state(0.0), health.available(39.9)), (State.CLOSED, False))
        tell(health, 50.0, *[FAILURE] * 4, retry_after=2.0)
        self.assertEqual((health.state(51.0), health.state(52.0)), (State.OPEN, State.HALF_OPEN))

    def test_aFailedProbeMayAsk(self) -> None:
        """What a failed probe asks for is the next cool-down."""
        health = opened()
        health.claim(15.0)
        tell(health, 15.0, FAILURE, retry_after=100.0)
        self.assertEqual(health.until, 115.0)

    @given(st.floats(allow_nan=False), st.sampled_from([LIMITED, FAILURE]), st.integers(1, 9))
    def test_bounds(self, seconds: float, result: Result, times: int) -> None:
        """Whatever it asks for, it is left alone for at least a second and at most five minutes."""
        health = Health(POLICY)
        tell(health, 7.0, *[result] * times, retry_after=seconds)
        self.assertTrue(SHORTEST <= health.until - 7.0 <= LONGEST)

    def test_aRestIsNotShortened(self) -> None:
        """Of several wishes the longest counts."""
        health = Health(POLICY)
        tell(health, 0.0, LIMITED, retry_after=60.0)
        tell(health, 1.0, LIMITED, OK, retry_after=2.0)
        self.assertEqual((health.available(59.0), health.available(60.0)), (False, True))


class OperatorTests(SynchronousTestCase):
    """A forced state."""

    def test_forcedOpen(self) -> None:
        """It is never used, not even as the last resort, and successes do not change that."""
        health = Health(POLICY)
        health.forced = "open"
        tell(health, 0.0, OK)
        self.assertEqual((health.state(0.0), health.available(1e9), health.claim(1e9)), (State.OPEN, False, False))
        self.assertFalse(health.steady)

    def test_forcedClosed(self) -> None:
        """It is used whatever happens, though it was open and asks for a rest."""
        health = opened()
        health.forced = "closed"
        tell(health, 0.0, *[FAILURE] * 50, retry_after=60.0)
        self.assertEqual((health.state(0.0), health.available(0.0), health.claim(0.0)), (State.CLOSED, True, True))
        self.assertEqual((health.steady, health.share(0.0)), (True, 1.0))

    def test_released(self) -> None:
        """The breaker's own state is back; what happened meanwhile does not count."""
        health = Health(POLICY)
        tell(health, 0.0, *[FAILURE] * 4)
        health.forced = "closed"
        tell(health, 0.0, *[FAILURE] * 9)
        health.forced = None
        tell(health, 0.0, *[FAILURE] * 4)
        self.assertEqual((health.state(0.0), health.available(0.0)), (State.CLOSED, True))
        again = opened()
        again.forced = "closed"
        again.forced = None
        self.assertEqual((again.state(1.0), again.available(1.0)), (State.OPEN, False))


class LatencyTests(SynchronousTestCase):
    """The mean and the percentile."""

    def test_theMeanJumpsAndSinks(self) -> None:
        """A peak counts at once; ten seconds later a good answer takes most of it away."""
        health = Health(POLICY)
        tell(health, 0.0, OK, latency=1.0)
        tell(health, 1.0, OK, latency=5.0)
        self.assertEqual(health.ewma(1.0), 5.0)
        tell(health, 11.0, OK, latency=1.0)
        self.assertAlmostEqual(health.ewma(11.0), 1.0 + 4.0 * 0.367879, places=4)

    def test_quickFailuresDoNotLookGood(self) -> None:
        """A failure makes the mean worse or leaves it; it is no part of the percentile."""
        health = Health(POLICY)
        tell(health, 0.0, OK, latency=1.0)
        tell(health, 9.0, FAILURE, latency=0.001)
        self.assertEqual(health.ewma(9.0), 1.0)
        tell(health, 9.0, FAILURE, latency=30.0)
        self.assertEqual(health.ewma(9.0), 30.0)
        tell(health, 9.0, *[LIMITED, NEUTRAL] * 30, latency=60.0)
        self.assertEqual((health.ewma(9.0), health.p95()), (30.0, None))

    def test_anOldMeanIsForgotten(self) -> None:
        """Half a minute without use, and it counts as untried; while it is in use the mean stays."""
        health = Health(POLICY)
        tell(health, 0.0, OK, latency=2.0)
        self.assertEqual((health.ewma(29.0), health.ewma(30.0)), (2.0, 0.0))
        spell = health.began(29.0)
        self.assertEqual(health.ewma(500.0), 2.0)
        health.ended(500.0, NEUTRAL, spell=spell)
        self.assertEqual((health.ewma(529.0), health.ewma(530.0)), (2.0, 0.0))
        health.began(600.0)
        self.assertEqual(health.ewma(600.0), 0.0)

    def test_busy(self) -> None:
        """What has begun and not ended is under way."""
        health = Health(POLICY)
        health.began(0.0)
        health.began(0.0)
        health.ended(1.0, NEUTRAL)
        self.assertEqual(health.busy, 1)

    def test_fewAnswersHaveNoPercentile(self) -> None:
        """Twenty are needed."""
        health = Health(POLICY)
        tell(health, 0.0, *[OK] * 19, latency=1.0)
        self.assertIsNone(health.p95())
        tell(health, 0.0, OK, latency=1.0)
        self.assertIsNotNone(health.p95())

    @given(st.lists(st.floats(0.002, 900.0), min_size=20, max_size=400))
    def test_thePercentile(self, latencies: list[float]) -> None:
        """It lies within a fifth of the true one."""
        health = Health(POLICY)
        for latency in latencies:
            tell(health, 0.0, OK, latency=latency)
        true = sorted(latencies)[-(-95 * len(latencies) // 100) - 1]
        found = health.p95()
        assert found is not None
        self.assertTrue(true / 1.21 <= found <= true * 1.21, (true, found))

    def test_thePercentileFollows(self) -> None:
        """Old answers lose their weight: after two thousand slow ones nothing is left of the quick ones."""
        health = Health(POLICY)
        tell(health, 0.0, *[OK] * 5000, latency=0.1)
        tell(health, 0.0, *[OK] * 2000, latency=10.0)
        self.assertGreater(health.p95() or 0.0, 8.0)
        tell(health, 0.0, *[OK] * 5000, latency=0.1)
        self.assertLess(health.p95() or 99.0, 0.13)

    def test_oddLatencies(self) -> None:
        """0 and hours are taken into the outermost buckets."""
        health = Health(POLICY)
        for latency in (0.0, 1e6):
            tell(health, 0.0, *[OK] * 1500, latency=latency)
            self.assertIsNotNone(health.p95())


def changes(results: Iterable[bool], gap: float, policy: BreakerPolicy = POLICY) -> list[float]:
    """When the breaker leaves and enters CLOSED under requests ``gap`` seconds apart that go wherever it lets them."""
    health, now, seen, closed = Health(policy), 0.0, [], True
    for good in results:
        now += gap
        if health.available(now) and health.claim(now):
            tell(health, now, OK if good else FAILURE)
        if (health.state(now) is State.CLOSED) is not closed:
            closed = not closed
            seen.append(now)
    return seen


def crowded(seen: list[float], within: float) -> int:
    """The most changes within so many seconds."""
    return max((sum(1 for later in seen if at <= later < at + within) for at in seen), default=0)


class FlappingTests(SynchronousTestCase):
    """An upstream that fails half of the time."""

    def test_everyOther(self) -> None:
        """Failures between successes: at most two changes in any minute, at every rate."""
        for gap in (0.02, 0.1, 1.0, 2.5):
            for first in (0, 1):
                seen = changes(((first + n) % 2 == 0 for n in range(int(600 / gap))), gap)
                self.assertGreater(len(seen), 0)
                self.assertLessEqual(crowded(seen, 60.0), 2, (gap, seen))

    @settings(max_examples=40, deadline=None, database=None)
    @given(st.data())
    def test_anyMixture(self, data: st.DataObject) -> None:
        """Whatever the order of failures and successes, but a plain death: at most two changes in any minute."""
        blocks = st.tuples(st.integers(1, 4), st.integers(1, 4))
        rows = data.draw(st.lists(blocks, min_size=20, max_size=60))
        results = [good for bad, fine in rows for good in [False] * bad + [True] * fine] * 10
        gap = data.draw(st.floats(0.01, 2.0))
        self.assertLessEqual(crowded(changes(results, gap, attrs.evolve(POLICY, failures=9)), 60.0), 2)

    def test_byChance(self) -> None:
        """Half of the attempts fail at random for half an hour: far less than two changes a minute."""
        for seed in range(20):
            chance = random.Random(seed)
            seen = changes((chance.random() < 0.5 for _ in range(9000)), 0.2)
            self.assertGreater(len(seen), 0)
            self.assertLessEqual(len(seen), 30, seed)

    def test_theCooldownDoubles(self) -> None:
        """15 seconds, then one, two, four and five minutes while it dies right after each recovery."""
        health, now, held = Health(POLICY), 0.0, []
        for _ in range(6):
            tell(health, now, *[FAILURE] * 5)
            held.append(health.until - now)
            now = health.until
            self.assertTrue(health.claim(now))
            tell(health, now, OK)
        self.assertEqual(held, [15.0, 60.0, 120.0, 240.0, 300.0, 300.0])

    def test_aLastingRecoveryIsForgiven(self) -> None:
        """Who has stayed closed long enough begins at the usual cool-down."""
        health = recovered(100.0)
        tell(health, 101.0, *[FAILURE] * 5)
        self.assertEqual(health.until, 161.0)
        health.claim(161.0)
        tell(health, 161.0, OK)
        tell(health, 222.0, *[FAILURE] * 5)
        self.assertEqual(health.until, 237.0)

    def test_aSuddenDeathIsNoFlapping(self) -> None:
        """Thousands of successes and then nothing but failures: the usual cool-down."""
        health = Health(POLICY)
        tell(health, 0.0, *[OK] * 5000, *[FAILURE] * 5)
        self.assertEqual(health.until, 15.0)


class HealthMachine(RuleBasedStateMachine):
    """Any sequence of attempts, results and pauses, against what must always hold."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.health = Health(POLICY)
        self.running: list[tuple[int, float | None]] = []  # spell, and when it was claimed if it is a probe
        self.row = 0
        self.size = self.weight()

    def weight(self) -> int:
        """How many numbers it keeps."""
        window, latency = self.health._window, self.health._latency
        return len(window._good) + len(window._bad) + len(latency._counts)

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 5.0, 15.0, 61.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        health, now = self.health, self.now
        state, free = health.state(now), health.available(now)
        claimed = health.claim(now)
        if free or state is State.CLOSED:
            assert claimed, "who is available can be claimed"
        if claimed and state is not State.CLOSED:
            probes = [since for spell, since in self.running if spell == health._spell - 1 and since is not None]
            assert all(now - since >= 60.0 for since in probes), "one probe at a time"
        if claimed:
            self.running.append((health.began(now), None if state is State.CLOSED else now))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), result=st.sampled_from(Result), wish=st.sampled_from([None, 0.0, 3.0, 1e4]))
    def end(self, data: st.DataObject, result: Result, wish: float | None) -> None:
        spell, _ = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        before = self.health.state(self.now)
        present = spell == self.health._spell
        self.health.ended(self.now, result, 0.5, wish, spell)
        after = self.health.state(self.now)
        if before is State.CLOSED and present:
            self.row = self.row + 1 if result is FAILURE else 0 if result is OK else self.row
            if self.row >= POLICY.failures:
                assert after is State.OPEN
        if before is State.OPEN:
            assert after is State.OPEN, "nothing ends a cool-down but time"
        if before is State.HALF_OPEN and present and result in (OK, LIMITED):
            assert after is State.CLOSED
        if after is not State.CLOSED or before is not State.CLOSED:
            self.row = 0

    @rule()
    def recover(self) -> None:
        """When nothing is under way, time and one success are all it needs."""
        if not self.running:
            self.now = max(self.now, self.health.until)
            if self.health.claim(self.now):
                tell(self.health, self.now, OK)
                self.row = 0
                assert self.health.state(self.now) is State.CLOSED
                assert self.health.available(self.now)

    @invariant()
    def bounded(self) -> None:
        """It is left alone for five minutes at most, and its memory is constant."""
        health = self.health
        assert health.busy == len(self.running)
        assert health.until - self.now <= LONGEST + 1e-6
        assert self.weight() == self.size
        assert 0.0 < health.share(self.now) <= 1.0
        assert health._window.good == sum(health._window._good)
        assert health._window.bad == sum(health._window._bad)

    @invariant()
    def steadyMeansUsable(self) -> None:
        """``steady`` is never said of one that needs a look."""
        if self.health.steady:
            assert self.health.state(self.now) is State.CLOSED
            assert self.now >= self.health.until
            assert self.health.share(self.now) == 1.0


class AnySequenceTests(SynchronousTestCase):
    """The model test."""

    def test_anySequence(self) -> None:
        """No sequence of results and pauses breaks an invariant of `HealthMachine`."""
        run_state_machine_as_test(
            HealthMachine, settings=settings(max_examples=100, stateful_step_count=50, deadline=None, database=None)
        )
