"""A leaner turn of Twisted's epoll loop.

Twisted wraps each event in a logging context and asks three questions about it. Nearly
all events of a gateway are "there is something to read"; those go straight to ``doRead``.
Everything else takes Twisted's own way, and so do failures.
"""

from __future__ import annotations

import sys
from select import EPOLLIN
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from twisted.python import log

_NEEDED = ("_poller", "_selectables", "_doReadOrWrite", "_disconnectSelectable")


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

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._poll = reactor._poller.poll
        self._selectables = reactor._selectables

    def turn(self, timeout: float | None) -> None:
        """Wait for events, and deal with each."""
        selectables = self._selectables
        try:
            events = self._poll(-1 if timeout is None else timeout, len(selectables))
        except InterruptedError:
            return
        for fd, event in events:
            selectable = selectables.get(fd)
            if selectable is None:
                continue
            if event == EPOLLIN:
                self._read(selectable)
            else:
                log.callWithLogger(selectable, self._reactor._doReadOrWrite, selectable, fd, event)

    def _read(self, selectable: Any) -> None:
        try:
            why = selectable.doRead()
        except BaseException:
            why = sys.exc_info()[1]
            self._log.failure("unexpected exception while reading")
        if why:
            self._reactor._disconnectSelectable(selectable, why, True)
