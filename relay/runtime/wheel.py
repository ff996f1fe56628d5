"""Many deadlines on one timer of the reactor.

A deadline that is set and taken back again costs two links in a list instead of a heap
entry of the reactor's; one that is pushed back with each chunk costs one assignment. It
fires up to one tick late, never early.
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

    __slots__ = ("_after", "_before", "_callback", "_due", "_interval", "_slot", "_wheel")

    def __init__(self, wheel: Wheel, interval: float, due: float, callback: Callable[[], object]) -> None:
        self._wheel = wheel
        self._interval = interval
        self._due = due
        self._callback: Callable[[], object] | None = callback
        self._slot = 0
        self._before: Deadline | None = None
        self._after: Deadline | None = None

    @property
    def armed(self) -> bool:
        """Whether it may still fire."""
        return self._callback is not None

    def touch(self) -> None:
        """Count its seconds anew from now; nothing when it is over."""
        self._due = self._wheel.seconds() + self._interval

    def cancel(self) -> None:
        """Never fire. Idempotent, also from inside its own or another's callback."""
        if self._callback is not None:
            self._callback = None
            self._wheel.forget(self)


class Wheel:
    """All deadlines of a process.

    Deadlines of the same tick hang in one list, so that one can be taken out without
    looking for it, and leaves nothing behind. While none is armed, the reactor's timer is
    not either.

    Args:
        clock: its timer; ``seconds()`` is monotonic.
        tick: seconds that a deadline may fire late.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, tick: float = 0.1) -> None:
        self.seconds = clock.seconds
        self._clock = clock
        self._tick = tick
        self._slots: dict[int, Deadline | None] = {}  # number of the tick → first of its list, None once that is empty
        self._order: list[int] = []  # a heap of exactly the keys of _slots
        self._next = 0  # the first tick that has not been rung
        self._armed = 0
        self._timer: IDelayedCall | None = None
        self._ringing = False

    def __len__(self) -> int:
        """How many deadlines are armed."""
        return self._armed

    def arm(self, seconds: float, callback: Callable[[], object]) -> Deadline:
        """Set a deadline.

        Args:
            seconds: from now, finite; less than 0 counts as 0.
            callback: called once, unless the deadline is cancelled before. What it raises is logged.
        """
        interval = max(0.0, seconds)
        due = self.seconds() + interval
        deadline = Deadline(self, interval, due, callback)
        self._armed += 1
        self._put(deadline, due)
        return deadline

    def forget(self, deadline: Deadline) -> None:
        """Take a deadline out; called by the deadline itself when it is cancelled."""
        self._take(deadline)
        self._armed -= 1
        if not self._armed and not self._ringing:
            self._rest()

    def _put(self, deadline: Deadline, due: float) -> None:
        index = int(due / self._tick) + 1
        if index < self._next:
            index = self._next  # dividing has rounded down to a tick that is being rung
        deadline._slot = index
        slots = self._slots
        if index in slots:
            first = slots[index]
            if first is not None:
                first._before = deadline
                deadline._after = first
            slots[index] = deadline
            return
        slots[index] = deadline
        heappush(self._order, index)
        if self._order[0] == index and not self._ringing:
            self._set_timer()

    def _take(self, deadline: Deadline) -> None:
        before, after = deadline._before, deadline._after
        if before is not None:
            before._after = after
            deadline._before = None
        else:
            self._slots[deadline._slot] = after
        if after is not None:
            after._before = before
            deadline._after = None

    def _rest(self) -> None:
        self._slots.clear()
        self._order.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        """Have the timer ring for the earliest tick that has deadlines."""
        order, slots = self._order, self._slots
        while slots[order[0]] is None:
            del slots[heappop(order)]
        delay = max(0.0, order[0] * self._tick - self.seconds())
        if self._timer is None:
            self._timer = self._clock.callLater(delay, self._ring)
        else:
            self._timer.reset(delay)

    def _ring(self) -> None:
        self._timer = None
        self._ringing = True
        try:
            self._ring_due(self.seconds())
        finally:
            self._ringing = False
            if self._armed:
                self._set_timer()
            else:
                self._rest()

    def _ring_due(self, now: float) -> None:
        order, slots = self._order, self._slots
        while order and order[0] * self._tick <= now:
            index = order[0]
            self._next = index + 1
            while (deadline := slots[index]) is not None:
                self._take(deadline)
                self._visit(deadline, now)
            del slots[heappop(order)]

    def _visit(self, deadline: Deadline, now: float) -> None:
        callback = deadline._callback
        if deadline._due > now:
            self._put(deadline, deadline._due)
        elif callback is not None:
            deadline._callback = None
            self._armed -= 1
            try:
                callback()
            except Exception:
                self._log.failure("a deadline's callback failed")
