"""What is sent at the end of a turn of the loop, one piece behind the other.

A turn with many events would send a little after each. Whoever waits for it on this
machine is woken each time, and the kernel's code and ours take turns in the processor's
caches: with sixteen busy connections that was a quarter of all time. So what is written
while a turn hands out several events waits until the turn ends, or a few others wait, too.
A turn with one event, as nearly all are that are not under load, holds nothing back.
"""

from __future__ import annotations

from typing import Any, Protocol

MOST = 16
"""Writers that wait: what bounds the delay, to about as many requests' work."""

LARGEST = 16 * 1024
"""Bytes that wait for one writer; more than that is worth a call of its own."""


class Writer(Protocol):
    """Who has something to send."""

    def send_held(self) -> None:
        """Send it now."""


class Outbox:
    """The writers of one reactor that wait: SHUT, and OPEN from `begin` to `end`.

    Attributes:
        is_open: whether what is written now may wait.
    """

    __slots__ = ("_waiting", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._waiting: list[Writer] = []

    def put(self, writer: Writer) -> None:
        """Let a writer wait, who does not yet."""
        waiting = self._waiting
        waiting.append(writer)
        if len(waiting) >= MOST:
            self._flush()

    def end(self) -> None:
        """The turn is over: send everything."""
        self.is_open = False
        if self._waiting:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for writer in waiting:
            writer.send_held()


def outbox_of(reactor: Any) -> Outbox:
    """The outbox that all transports and the turn of a reactor share."""
    found = vars(reactor).get("relay_outbox")
    if isinstance(found, Outbox):
        return found
    made = reactor.relay_outbox = Outbox()
    return made
