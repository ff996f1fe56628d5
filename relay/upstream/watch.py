"""The deadlines of one attempt."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Watch:
    """Named deadlines, of which several may run at once.

    Args:
        clock: runs them.
        expired: called with the name of a deadline that has passed. May be exchanged.
    """

    def __init__(self, clock: IReactorTime, expired: Callable[[str], None]) -> None:
        self.expired = expired
        self._clock = clock
        self._calls: dict[str, IDelayedCall] = {}

    def arm(self, name: str, seconds: float) -> None:
        """Let a deadline pass so many seconds from now, whether or not it was running."""
        call = self._calls.get(name)
        if call is None:
            self._calls[name] = self._clock.callLater(seconds, self._fire, name)
        else:
            call.reset(seconds)

    def disarm(self, name: str) -> None:
        """Stop a deadline, if it runs."""
        call = self._calls.pop(name, None)
        if call is not None:
            call.cancel()

    def stop(self) -> None:
        """Stop all of them."""
        for name in tuple(self._calls):
            self.disarm(name)

    def _fire(self, name: str) -> None:
        del self._calls[name]
        self.expired(name)
