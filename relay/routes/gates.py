"""Bounded doors: at most so many inside at a time, the others wait in line, fairly, and not for ever."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from relay.config import QueuePolicy
from relay.errors import Overloaded

SOON = 1.0
"""Seconds after which a client that was turned away may try again."""


class Gate:
    """Lets at most ``limit`` in at a time.

    Who waits is let in caller by caller in turn, each caller's own in the order in which they came, so that
    one caller with many requests does not keep the others out.

    Args:
        name: what it stands before, for messages.
        limit: most inside at a time, at least 1.
        queue: how many may wait, and how long.
        clock: the timers of those that wait.

    Attributes:
        limit: see above.
        queue: see above.
        inside: how many are inside.
        waiting: how many wait.
    """

    __slots__ = ("_clock", "_line", "_name", "inside", "limit", "queue", "waiting")

    def __init__(self, name: str, limit: int, queue: QueuePolicy, clock: IReactorTime) -> None:
        self._name = name
        self.limit = limit
        self.queue = queue
        self._clock = clock
        self._line: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self.inside = 0
        self.waiting = 0

    @property
    def open(self) -> bool:
        """Whether one more would be let in at once."""
        return self.inside < self.limit and not self.waiting

    def enter(self, caller: str) -> Deferred[None] | None:
        """Go in: None if that is done at once, else a Deferred that fires inside.

        It fails with `Overloaded` when the wait takes too long; cancelling it leaves the line.

        Raises:
            Overloaded: the line is full.
        """
        if self.open:
            self.inside += 1
            return None
        if self.waiting >= self.queue.size:
            raise Overloaded(f"{self._name} is at its limit of {self.limit} parallel requests.", retry_after=SOON)
        place = _Waiting(caller, self._forget)
        place.timer = self._clock.callLater(self.queue.wait, self._expire, place)
        self._line.setdefault(caller, deque()).append(place)
        self.waiting += 1
        return place.turn

    def leave(self) -> None:
        """Come out; the next in line goes in."""
        self.inside -= 1
        self._admit()

    def adopt(self, limit: int, queue: QueuePolicy) -> None:
        """Have other bounds from now on; who is inside or waits stays so, if need be beyond them."""
        self.limit, self.queue = limit, queue
        self._admit()

    def _admit(self) -> None:
        while self._line and self.inside < self.limit:
            caller, places = self._line.popitem(last=False)
            place = places.popleft()
            if places:
                self._line[caller] = places  # its next one waits for the others' turn
            self.waiting -= 1
            self.inside += 1
            place.admit()

    def _expire(self, place: _Waiting) -> None:
        place.timer = None
        self._forget(place)
        place.turn.errback(
            Overloaded(
                f"{self._name} is at its limit of {self.limit} parallel requests, and the wait took too long.",
                retry_after=SOON,
            )
        )

    def _forget(self, place: _Waiting) -> None:
        places = self._line.get(place.caller)
        if places is not None and place in places:
            places.remove(place)
            self.waiting -= 1
            if not places:
                del self._line[place.caller]


class _Waiting:
    """One place in the line."""

    __slots__ = ("caller", "timer", "turn")

    def __init__(self, caller: str, forget: Callable[[_Waiting], None]) -> None:
        self.caller = caller
        self.timer: IDelayedCall | None = None

        def leave(_turn: Deferred[None]) -> None:
            self._stop()
            forget(self)

        self.turn: Deferred[None] = Deferred(leave)

    def admit(self) -> None:
        """It is this one's turn."""
        self._stop()
        self.turn.callback(None)

    def _stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
