"""Many deadlines on one timer of the reactor.

A deadline that is set and taken back again costs two set operations instead of a heap
entry; one that is pushed back with each chunk costs one assignment. It fires up to one
tick late, never early.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger


class Deadline:
    """One deadline: ARMED until it fires or is cancelled, OVER after that.

    Made by `Wheel.arm` only.
    """

    __slots__ = ("_callback", "_due", "_interval", "_slot", "_wheel")

    def __init__(self, wheel: Wheel, interval: float, due: float, callback: Callable[[], object]) -> None:
        self._wheel = wheel
        self._interval = interval
        self._due = due
        self._callback: Callable[[], object] | None = callback
        self._slot = -1

    @property
    def armed(self) -> bool:
        """Whether it may still fire."""
        return self._callback is not None

    def touch(self) -> None:
        """Count its seconds anew from now."""
        self._due = self._wheel.seconds() + self._interval

    def cancel(self) -> None:
        """Never fire. Idempotent."""
        if self._callback is not None:
            self._callback = None
            self._wheel.drop(self)


class Wheel:
    """All deadlines of a process.

    Args:
        clock: its timer; ``seconds()`` is monotonic.
        tick: seconds that a deadline may fire late.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, tick: float = 0.1) -> None:
        self.seconds = clock.seconds
        self._clock = clock
        self._tick = tick
        self._slots: dict[int, set[Deadline]] = {}
        self._order: list[int] = []
        self._timer: IDelayedCall | None = None

    def arm(self, seconds: float, callback: Callable[[], object]) -> Deadline:
        """Set a deadline.

        Args:
            seconds: from now.
            callback: called once, unless the deadline is cancelled before.
        """
        due = self.seconds() + seconds
        deadline = Deadline(self, seconds, due, callback)
        self._put(deadline, due)
        return deadline

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def drop(self, deadline: Deadline) -> None:
        """Take a deadline out; called by itself."""
        slot = self._slots.get(deadline._slot)
        if slot is not None:
            slot.discard(deadline)

    def _put(self, deadline: Deadline, due: float) -> None:
        index = int(due / self._tick) + 1
        deadline._slot = index
        slot = self._slots.get(index)
        if slot is None:
            self._slots[index] = {deadline}
            heappush(self._order, index)
            self._schedule()
        else:
            slot.add(deadline)

    def _schedule(self) -> None:
        """Have the timer ring for the earliest slot."""
        if not self._order:
            return
        delay = max(0.0, self._order[0] * self._tick - self.seconds())
        if self._timer is not None and self._timer.active():
            self._timer.reset(delay)
        else:
            self._timer = self._clock.callLater(delay, self._ring)

    def _ring(self) -> None:
        now = self.seconds()
        while self._order and self._order[0] * self._tick <= now:
            for deadline in self._slots.pop(heappop(self._order)):
                self._visit(deadline, now)
        self._schedule()

    def _visit(self, deadline: Deadline, now: float) -> None:
        callback = deadline._callback
        if callback is None:
            return
        if deadline._due > now:
            self._put(deadline, deadline._due)
            return
        deadline._callback = None
        try:
            callback()
        except Exception:
            self._log.failure("a deadline's callback failed")
