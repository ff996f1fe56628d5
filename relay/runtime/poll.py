"""A leaner turn of Twisted's epoll loop.

Twisted wraps each event in a logging context and asks three questions about it. Nearly
all events of a gateway are "there is something to read"; those go straight to ``doRead``.
Everything else takes Twisted's own way, and so does every failure. What eager transports
write while there is more than one event goes out at the end of the turn.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from select import EPOLLIN
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionFdescWentAway
from twisted.python import log

from relay.runtime.outbox import outbox_of

_NEEDED = ("_poller", "_selectables", "_doReadOrWrite", "_disconnectSelectable")

_BATCH = 1024
"""Events taken from the kernel at once; it hands out the others first next time."""


def install_lean_poll(reactor: Any) -> bool:
    """Give a reactor the leaner turn.

    Returns:
        Whether it was done; not, when the reactor is another kind than Twisted's epoll
        reactor, or that has changed inside. Nothing is changed then.
    """
    if type(reactor) is not EPollReactor or not all(hasattr(reactor, name) for name in _NEEDED):
        return False
    reactor.doIteration = _LeanPoll(reactor).turn  # type: ignore[method-assign]  # doIteration is an alias of doPoll
    return True


class _LeanPoll:
    """One reactor's turn."""

    def __init__(self, reactor: Any) -> None:
        self._poll = reactor._poller.poll
        self._selectables = reactor._selectables
        self._read_or_write = reactor._doReadOrWrite
        self._disconnect = reactor._disconnectSelectable
        self._outbox = outbox_of(reactor)

    def turn(self, timeout: float | None) -> None:
        """Wait for events, and deal with each."""
        try:
            events = self._poll(-1 if timeout is None else timeout, _BATCH)
        except InterruptedError:
            return
        outbox = self._outbox
        outbox.is_open = len(events) > 1
        try:
            self._deal(events)
        finally:
            outbox.end()

    def _deal(self, events: Sequence[tuple[int, int]]) -> None:
        """Deal with each event."""
        find = self._selectables.get
        for fd, event in events:
            selectable = find(fd)
            if selectable is None:
                continue  # an event before this one has closed it
            if event == EPOLLIN:
                try:
                    if selectable.fileno() != -1:
                        why, reading = selectable.doRead(), True
                    else:
                        why, reading = ConnectionFdescWentAway("File descriptor lost"), False
                except BaseException:
                    why, reading = sys.exc_info()[1], False
                    log.callWithLogger(selectable, log.err)
                if why:
                    log.callWithLogger(selectable, self._disconnect, selectable, why, reading)
            else:
                log.callWithLogger(selectable, self._read_or_write, selectable, fd, event)
