"""Sends an answer piece by piece, in its own time and no faster than the client reads."""

from __future__ import annotations

from typing import cast

import attrs

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from relay.echo.knobs import Break
from relay.echo.reply import Reply


@attrs.define
class Tally:
    """Counts answers, for tests that want to know what became of theirs.

    Attributes:
        started: answers begun.
        open: answers being sent, or held back, right now.
        aborted: answers whose client left before the end.
    """

    started: int = 0
    open: int = 0
    aborted: int = 0


@implementer(IPushProducer)
class Player:
    """Plays one reply to one request.

    It is waiting for its timer, or held up by a slow client, or over. A chunk is written
    by one call of the timer, never two, so that an endless answer leaves room for others.

    Args:
        clock: the timers.
        request: whom to answer; its head is set already.
        reply: what to send.
        tally: counts this answer.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, request: Request, reply: Reply, tally: Tally) -> None:
        self._clock = clock
        self._request = request
        self._reply = reply
        self._tally = tally
        self._fault = reply.knobs.fault
        self._timer: IDelayedCall | None = None
        self._paused = False
        self._due = False
        self._over = False
        self._sent = 0

    def start(self) -> None:
        """Begin; the first byte goes out after the first delay."""
        self._tally.started += 1
        self._tally.open += 1
        self._request.notifyFinish().addErrback(self._left)
        self._request.registerProducer(self, True)
        self._wait(self._reply.knobs.first_delay_ms)

    def pauseProducing(self) -> None:
        """The client reads too slowly: hold back."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The client has caught up: go on with what has become due."""
        self._paused = False
        if self._due:
            self._due = False
            self._wait(0)

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._left(None)

    def _left(self, _reason: Failure | None) -> None:
        """The client left before the end."""
        if not self._over:
            self._tally.aborted += 1
            self._close()

    def _close(self) -> None:
        """No more will be sent."""
        self._over = True
        self._tally.open -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, milliseconds: float) -> None:
        """Take the next step after a while."""
        self._timer = self._clock.callLater(milliseconds / 1000, self._step)

    def _step(self) -> None:
        """The timer fired."""
        self._timer = None
        if self._paused:
            self._due = True
            return
        try:
            self._play()
        except Exception:
            self._log.failure("echo answer failed")
            self._hang_up()

    def _play(self) -> None:
        """Send the next chunk, or the end, or break off."""
        if self._reply.knobs.disconnect:
            self._close()
            cast("ITCPTransport", self._request.channel.transport).abortConnection()
            return
        lead, chunk = self._next()
        if self._fault is not None and self._sent >= self._fault.after:
            # Only what opens the answer goes out before a break at 0.
            self._request.write(lead if self._sent == 0 and chunk is not None else b"")
            self._break(self._fault.kind)
        elif chunk is None:
            self._request.write(lead)
            self._finish()
        else:
            self._sent += 1
            self._request.write(lead + chunk)
            if not self._over:
                self._wait(self._reply.knobs.delay_ms)

    def _next(self) -> tuple[bytes, bytes | None]:
        """What comes before the next chunk, and that; None at the end of the answer."""
        lead: list[bytes] = []
        for data, content in self._reply.pieces:
            if content:
                return b"".join(lead), data
            lead.append(data)
        return b"".join(lead), None

    def _break(self, kind: Break) -> None:
        """The answer breaks off here."""
        if kind is Break.CUT:
            self._hang_up()
        elif kind is Break.ERROR and self._reply.error is not None:
            self._request.write(self._reply.error(self._reply.knobs.message))
            self._finish()
        # Break.STALL: no timer is set any more; the client's leaving ends it.

    def _finish(self) -> None:
        """The answer is whole."""
        if not self._over:
            self._close()
            self._request.unregisterProducer()
            self._request.finish()

    def _hang_up(self) -> None:
        """Close the connection in the middle of the answer, behind what was written."""
        if not self._over:
            self._close()
            self._request.unregisterProducer()
            self._request.loseConnection()
