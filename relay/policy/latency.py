"""How long a deployment takes: a mean that jumps to peaks, and a percentile, both in constant memory."""

from __future__ import annotations

import math

_DECAY = 10.0
"""Seconds in which an old latency loses all but 1/e of its weight against new ones, as in Finagle's peak EWMA."""

_FORGOTTEN = 30.0
"""Seconds without use after which a latency says nothing any more: the deployment is tried again."""

_FIRST, _GROWTH = 0.001, math.log(1.2)
"""The finest latency told apart, in seconds, and the logarithm by which each bucket is wider than the last."""

_LAST = 76
"""The bucket that begins at 1000 s."""

_ENOUGH, _MANY = 20, 1000
"""Answers without which there is no percentile, and at which the older ones count half."""


class Latency:
    """A peak-sensitive mean and a histogram of the last thousand latencies.

    Attributes:
        mean: seconds; 0 before the first.
        used: monotonic seconds at which the last attempt ended.
    """

    __slots__ = ("_counts", "_p95", "_stamp", "_total", "mean", "used")

    def __init__(self) -> None:
        self.mean = 0.0
        self._stamp = -math.inf  # of the last sample
        self.used = -math.inf
        self._counts = [0] * (_LAST + 1)
        self._total = 0
        self._p95: float | None = None  # what was found last, until the next answer

    def recent(self, now: float) -> float:
        """The mean of a deployment that is not in use."""
        return self.mean if now - self.used < _FORGOTTEN else 0.0

    def lost(self, now: float, seconds: float) -> None:
        """Take the time that a failure took into the mean if it makes it worse."""
        if seconds > self.mean:
            self.mean, self._stamp = seconds, now

    def add(self, now: float, seconds: float) -> None:
        """Take an answer's latency into both."""
        if seconds >= self.mean:
            self.mean = seconds
        else:
            self.mean = seconds + (self.mean - seconds) * math.exp(min(0.0, self._stamp - now) / _DECAY)
        self._stamp = now
        place = int(math.log(seconds / _FIRST) / _GROWTH) if seconds > _FIRST else 0
        self._counts[min(place, _LAST)] += 1
        self._total += 1
        self._p95 = None
        if self._total >= _MANY:
            self._counts = [count // 2 for count in self._counts]
            self._total = sum(self._counts)

    def p95(self) -> float | None:
        """Find the percentile, inside its bucket by its rank there."""
        if self._p95 is None and self._total >= _ENOUGH:
            rank = 0.95 * self._total
            for place, count in enumerate(self._counts):
                if rank <= count:
                    self._p95 = _FIRST * math.exp(_GROWTH * (place + rank / count))
                    break
                rank -= count
        return self._p95
