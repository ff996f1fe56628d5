"""How a deployment fares: a circuit breaker, its latencies, and what is under way, in constant memory.

Nothing here runs by itself: time is an argument, and a breaker whose cool-down is over is half-open from the next
question on. States and what changes them:

=========  ==========================================================  =========
state      what happens                                                becomes
=========  ==========================================================  =========
CLOSED     consecutive failures, or their ratio in the window          OPEN
OPEN       the cool-down passes                                        HALF_OPEN
HALF_OPEN  the probe is answered, be it with 429                       CLOSED
HALF_OPEN  the probe fails                                             OPEN
=========  ==========================================================  =========

An upstream that says 429 lives: it *rests*, closed but not available, for as long as it asked, and never opens. An
upstream that fails only now and then, or fails again soon after it has recovered, flaps: its cool-down is four times
the usual one and doubles each time, up to five minutes, so that with the usual 15 s it leaves and enters CLOSED no
more than twice a minute.
"""

from __future__ import annotations

import enum
import math
from typing import Literal

from relay.config import BreakerPolicy
from relay.policy.latency import Latency

SHORTEST, LONGEST = 1.0, 300.0
"""Bounds of what ``Retry-After`` may ask for, and of a cool-down that doubles; seconds."""

_FLAPPING = 4
"""Cool-downs for which one stays open that flaps, and after which a recovery counts as lasting."""

_PATIENCE = 4
"""Cool-downs after which a probe that has not come back is no longer waited for."""

_LAST_RESORT = 1.0
"""Seconds between two attempts at a deployment that is open, when there is no other."""

_LEAST_SHARE = 0.1
"""What a deployment gets at once when it has recovered."""

_BUCKETS = 10
"""Parts of the window: it forgets in steps of a tenth."""


class Result(enum.Enum):
    """What an attempt says about its deployment.

    Attributes:
        OK: it answered.
        FAILURE: 5xx, timeout, unreachable, or cut.
        LIMITED: 429: it lives, and asks for a rest.
        NEUTRAL: nothing: the client's fault, or the client left.
    """

    OK = "ok"
    FAILURE = "failure"
    LIMITED = "limited"
    NEUTRAL = "neutral"


class State(enum.Enum):
    """Whether a deployment is used: CLOSED as usual, OPEN not, HALF_OPEN by one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Health:
    """What is known of one deployment; kept over reloads.

    Attributes:
        policy: when it opens and for how long.
        busy: attempts under way.
        until: monotonic seconds from which it may be used again; in the past when nothing holds it back.
        steady: closed with nothing else to look at: no rest, no slow start, not forced open. May be False for
            longer than it is so, until somebody asks `available`.
    """

    __slots__ = (
        "_asked",
        "_closed_at",
        "_flaps",
        "_forced",
        "_hold",
        "_latency",
        "_probing",
        "_run",
        "_spell",
        "_state",
        "_window",
        "busy",
        "policy",
        "steady",
        "until",
    )

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.busy = 0
        self.until = 0.0
        self.steady = True
        self._state = State.CLOSED
        self._forced: Literal["open", "closed"] | None = None
        self._spell = 0  # counts changes: a result counts in the spell in which its attempt began
        self._run = 0  # failures since the last success
        self._window = _Window()
        self._latency = Latency()
        self._closed_at = -math.inf
        self._hold = 0.0  # how long it was open last
        self._flaps = 0
        self._probing = False
        self._asked = -math.inf  # when the last probe was claimed

    @property
    def forced(self) -> Literal["open", "closed"] | None:
        """What an operator has decided: ``open`` takes it out, ``closed`` keeps it in; None leaves it to the breaker.

        While it is set, results change nothing but latencies.
        """
        return self._forced

    @forced.setter
    def forced(self, state: Literal["open", "closed"] | None) -> None:
        self._forced = state
        self._spell += 1
        self._run = 0
        self._window.clear()
        self._probing = False
        self.steady = state == "closed"

    def adopt(self, policy: BreakerPolicy) -> None:
        """Follow another policy from now on, after a reload; the state stays, the window begins anew if it changes."""
        if policy.window != self.policy.window:
            self._window = _Window()
        self.policy = policy

    def began(self, now: float) -> int:
        """Count an attempt as under way.

        Args:
            now: monotonic seconds.

        Returns:
            The spell it belongs to, for `answered` and `ended`: what began before a change says nothing about
            the time after it, and streams outlive cool-downs.
        """
        if not self.busy:
            self._latency.mean = self._latency.recent(now)
        self.busy += 1
        return self._spell

    def answered(self, now: float, latency: float | None = None, spell: int | None = None) -> None:
        """Note the first content of an attempt that goes on: a probe closes the breaker now, not when it ends.

        Args:
            now: monotonic seconds.
            latency: seconds to the first content; then do not give it to `ended` again.
            spell: what `began` returned; None takes the attempt for one of the present.
        """
        if latency is not None:
            self._latency.add(now, latency)
        if self._forced is None and spell in (None, self._spell) and self.state(now) is State.HALF_OPEN:
            self._close(now)

    def ended(
        self,
        now: float,
        outcome: Result,
        latency: float | None = None,
        retry_after: float | None = None,
        spell: int | None = None,
    ) -> None:
        """Count an attempt's end.

        Args:
            now: monotonic seconds.
            outcome: what it says about the deployment.
            latency: seconds to the first content, or to the whole answer; None when there was none. Of a
                failure it counts only when it is long: a quick failure must not attract more.
            retry_after: seconds that the provider asked to wait; taken as 1 to 300.
            spell: what `began` returned; None takes the attempt for one of the present.
        """
        self.busy -= 1
        if latency is not None:
            if outcome is Result.OK:
                self._latency.add(now, latency)
            elif outcome is Result.FAILURE:
                self._latency.lost(now, latency)
        if not self.busy:
            self._latency.used = now
        if self._forced is not None:
            return
        if spell is None or spell == self._spell:
            if self._state is State.OPEN:
                self._returned(now, outcome, retry_after)
            elif outcome is Result.OK:
                self._run = 0
                self._window.add(self._epoch(now), failed=False)
            elif outcome is Result.FAILURE:
                self._failed(now, retry_after)
        if outcome is Result.LIMITED or (retry_after is not None and outcome is Result.FAILURE):
            self.until = max(self.until, now + _bounded(retry_after or 0.0))
            self.steady = False

    def state(self, now: float) -> State:
        """The breaker's state, an operator's decision first."""
        if self._forced is not None:
            return State.OPEN if self._forced == "open" else State.CLOSED
        if self._state is State.OPEN and now >= self.until:
            return State.HALF_OPEN
        return self._state

    def available(self, now: float) -> bool:
        """Whether it should be used: not open, not resting, and no probe under way."""
        if self.steady:
            return True
        if self._forced is not None:
            return self._forced == "closed"
        if now < self.until:
            return False
        if self._state is State.OPEN:
            return not self._awaits(now)
        self.steady = now - self._closed_at >= self.policy.slow_start
        return True

    def claim(self, now: float) -> bool:
        """Ask to make an attempt now; the attempt that is made must end in `ended`.

        Half-open, one may go at a time. Open, too, though no more than one a second: it is asked only when there
        is no other deployment, and then one try is better than none; what becomes of it does not end the cool-down.

        Returns:
            Whether the attempt may be made.
        """
        if self.steady or self.state(now) is State.CLOSED:
            return True
        if self._forced is not None or self._awaits(now):
            return False
        if now < self.until and now - self._asked < _LAST_RESORT:
            return False
        self._spell += 1  # a probe before it that was given up says nothing any more
        self._probing = True
        self._asked = now
        return True

    def share(self, now: float) -> float:
        """The part of its usual traffic that it should get: less than 1 after a recovery, growing with time."""
        if self.steady or self._forced is not None or self._state is State.OPEN:
            return 1.0
        past = now - self._closed_at
        return 1.0 if past >= self.policy.slow_start else max(_LEAST_SHARE, past / self.policy.slow_start)

    def ewma(self, now: float) -> float:
        """Mean latency in seconds that jumps to every peak and then sinks; 0 when none is known of late."""
        return self._latency.mean if self.busy else self._latency.recent(now)

    def p95(self) -> float | None:
        """The latency in seconds that 95 % of the last answers kept, within a fifth; None for fewer than 20."""
        return self._latency.p95()

    def _epoch(self, now: float) -> int:
        return int(now * _BUCKETS / self.policy.window)

    def _awaits(self, now: float) -> bool:
        """Whether a probe is under way that may still come back."""
        return self._probing and now - self._asked < _PATIENCE * self.policy.cooldown

    def _failed(self, now: float, retry_after: float | None) -> None:
        """Count a failure while closed, and open if it is one too many."""
        self._run += 1
        policy, window = self.policy, self._window
        window.add(self._epoch(now), failed=True)
        results = window.good + window.bad
        if self._run < policy.failures and (results < policy.least or window.bad < policy.ratio * results):
            return
        lasted = now - self._closed_at
        if lasted < max(_FLAPPING * policy.cooldown, self._hold):
            self._flaps += 1
        else:
            self._flaps = int(window.bad > self._run)  # there were successes between failures
        self._open(now, retry_after)

    def _open(self, now: float, retry_after: float | None) -> None:
        cooldown = self.policy.cooldown if retry_after is None else _bounded(retry_after)
        if self._flaps:
            longer = self.policy.cooldown * _FLAPPING * 2.0 ** min(self._flaps - 1, 16)
            cooldown = max(cooldown, min(longer, LONGEST))
        self._hold = cooldown
        self._state = State.OPEN
        self._spell += 1
        self._probing = False
        self.until = max(self.until, now + cooldown)
        self.steady = False

    def _returned(self, now: float, outcome: Result, retry_after: float | None) -> None:
        """Take the end of an attempt that began after it opened; before the cool-down's end it only frees the place."""
        self._probing = False
        if now < self.until or outcome is Result.NEUTRAL:
            return
        if outcome is Result.FAILURE:
            self._open(now, retry_after)
        else:
            self._close(now)

    def _close(self, now: float) -> None:
        self._state = State.CLOSED
        self._spell += 1
        self._closed_at = now
        self._run = 0
        self._window.clear()
        self._probing = False
        self.steady = self.policy.slow_start <= 0


def _bounded(seconds: float) -> float:
    return min(max(seconds, SHORTEST), LONGEST)


class _Window:
    """Successes and failures of the last seconds: a ring of counts.

    Attributes:
        good: successes in it.
        bad: failures in it.
    """

    __slots__ = ("_bad", "_epoch", "_good", "bad", "good")

    def __init__(self) -> None:
        self._epoch = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._good, self._bad = [0] * _BUCKETS, [0] * _BUCKETS
        self.good = self.bad = 0

    def add(self, epoch: int, *, failed: bool) -> None:
        """Count a result; ``epoch`` numbers the tenths of the window, and one before the last counts as the last."""
        if epoch > self._epoch:
            self._forget(epoch)
        slot = self._epoch % _BUCKETS
        if failed:
            self._bad[slot] += 1
            self.bad += 1
        else:
            self._good[slot] += 1
            self.good += 1

    def _forget(self, epoch: int) -> None:
        if epoch - self._epoch >= _BUCKETS:
            self.clear()
        else:
            for passed in range(self._epoch + 1, epoch + 1):
                slot = passed % _BUCKETS
                self.good -= self._good[slot]
                self.bad -= self._bad[slot]
                self._good[slot] = self._bad[slot] = 0
        self._epoch = epoch
