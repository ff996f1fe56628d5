"""Many deadlines on one timer of the reactor.

A deadline that is set and taken back again costs two links in a list instead of a heap
entry of the reactor's; one that is pushed back with each chunk costs one assignment, and
so does one of a `Watch` that is set for request after request. It fires up to one tick
late, never early.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger


class _Hung:
    """What hangs in a wheel."""

    __slots__ = ("_after", "_before", "_callback", "_hung", "_slot", "_wheel", "due")

    def __init__(self, wheel: Wheel, due: float, callback: Callable[[], object] | None) -> None:
        self.due = due
        self._wheel = wheel
        self._callback = callback
        self._hung = inf  # when the wheel looks at it at the latest; never, if it does not hang
        self._slot = 0
        self._before: _Hung | None = None
        self._after: _Hung | None = None


class Deadline(_Hung):
    """One deadline: ARMED until it fires or is cancelled, OVER after that.

    Made by `Wheel.arm` only.
    """

    __slots__ = ("_interval",)

    def __init__(self, wheel: Wheel, interval: float, due: float, callback: Callable[[], object]) -> None:
        super().__init__(wheel, due, callback)
        self._interval = interval

    @property
    def armed(self) -> bool:
        """Whether it may still fire."""
        return self._callback is not None

    def touch(self) -> None:
        """Count its seconds anew from now; nothing when it is over."""
        self.due = self._wheel.seconds() + self._interval

    def cancel(self) -> None:
        """Never fire. Idempotent, also from inside its own or another's callback."""
        if self._callback is not None:
            self._callback = None
            self._wheel.forget(self)


class Watch(_Hung):
    """One deadline after the other, such as those of the requests on a connection: RESTING ⇄ SET.

    While it rests, or is set for later, it stays where it hangs, and the wheel finds out when
    it comes by. So what is nearly always taken back or pushed back costs next to nothing.

    Made by `Wheel.watch` only.

    Attributes:
        due: when it fires, in seconds of the wheel's clock. While it is set, it may be raised by assignment.
    """

    __slots__ = ()

    def set(self, due: float, callback: Callable[[], object]) -> None:
        """Fire once, at this time, and not at any other that was set before."""
        self.due = due
        self._callback = callback
        if due < self._hung:
            self._wheel.hang(self)

    def rest(self) -> None:
        """Do not fire until it is set again."""
        self.due = inf
        self._callback = None

    def cancel(self) -> None:
        """Rest, and leave the wheel. Idempotent."""
        self.rest()
        if self._hung < inf:
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
        self._slots: dict[int, _Hung | None] = {}  # number of the tick → first of its list, None once that is empty
        self._order: list[int] = []  # a heap of exactly the keys of _slots
        self._next = 0  # the first tick that has not been rung
        self._armed = 0
        self._timer: IDelayedCall | None = None
        self._ringing = False

    def __len__(self) -> int:
        """How many deadlines are armed, counting each watch that has not been let go of."""
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

    def watch(self) -> Watch:
        """Make a watch, which rests."""
        return Watch(self, inf, None)

    def hang(self, watch: Watch) -> None:
        """Take a watch in, or hang it where its time is now; called by the watch itself."""
        if watch._hung < inf:
            self._take(watch)
        else:
            self._armed += 1
        self._put(watch, watch.due)

    def forget(self, hung: _Hung) -> None:
        """Take a deadline out; called by the deadline itself when it is cancelled."""
        self._take(hung)
        hung._hung = inf
        self._armed -= 1
        if not self._armed and not self._ringing:
            self._rest()

    def _put(self, hung: _Hung, due: float) -> None:
        hung._hung = due
        index = int(due / self._tick) + 1
        if index < self._next:
            index = self._next  # dividing has rounded down to a tick that is being rung
        hung._slot = index
        slots = self._slots
        if index in slots:
            first = slots[index]
            if first is not None:
                first._before = hung
                hung._after = first
            slots[index] = hung
            return
        slots[index] = hung
        heappush(self._order, index)
        if self._order[0] == index and not self._ringing:
            self._set_timer()

    def _take(self, hung: _Hung) -> None:
        before, after = hung._before, hung._after
        if before is not None:
            before._after = after
            hung._before = None
        else:
            self._slots[hung._slot] = after
        if after is not None:
            after._before = before
            hung._after = None

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
            while (hung := slots[index]) is not None:
                self._take(hung)
                self._visit(hung, now)
            del slots[heappop(order)]

    def _visit(self, hung: _Hung, now: float) -> None:
        due, callback = hung.due, hung._callback
        if now < due < inf:
            self._put(hung, due)
            return
        hung._hung = hung.due = inf
        hung._callback = None
        self._armed -= 1
        if callback is not None and due < inf:
            try:
                callback()
            except Exception:
                self._log.failure("a deadline's callback failed")
