"""Whose turn it is on a client connection: one request after the other, and rest in between."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from relay.runtime.wheel import Deadline
from relay.web.body import LINGER
from relay.web.engine.line import Line
from relay.web.engine.states import ANSWER, BODY, IDLE, LINGERING

if TYPE_CHECKING:
    from relay.web.engine.request import EngineRequest
    from relay.web.site import EngineSite

IDLE_TIMEOUT = 60.0
"""Seconds for which a connection may rest between two requests."""

AHEAD = 64 * 1024
"""Bytes behind a request that are kept while it is answered; beyond them reading pauses.

Up to there a client that leaves is noticed at once.
"""


class Turns(Line):
    """A client connection with its requests: what comes ahead of its turn waits.

    Args:
        site: as for `Line`.
    """

    __slots__ = ("_ahead", "_request", "_rest", "_serving")

    def __init__(self, site: EngineSite) -> None:
        super().__init__(site)
        self._request: EngineRequest | None = None  # the one whose turn it is, where there is an object of it
        self._ahead: bytearray | None = None  # a part of a head, or what came behind a request
        self._serving = False  # whether `dataReceived` is at work further up the stack
        self._rest: Deadline | None = None  # of the time between two requests

    @abstractmethod
    def dataReceived(self, data: bytes) -> None:
        """Take bytes; see `IProtocol`."""

    def retire(self) -> None:
        """Serve no further request; close at once if nothing of one is here."""
        self.keep = False
        if self._state is IDLE:
            self.close()

    def _keep_for_later(self, data: bytes) -> None:
        """The next request waits until this one is answered."""
        if self._ahead is None:
            self._ahead = bytearray()
        self._ahead += data
        if len(self._ahead) > AHEAD and not self._paused:
            self._pause()

    def answered(self) -> None:
        """The whole answer is written: go on to the next request when it is sent, too."""
        self._request = self._pace = None
        if self._state is LINGERING:
            self._say_goodbye()
        elif self._state is ANSWER and not self.is_full:
            self._next()
        elif self._state is BODY:  # before the end of an upload
            self._linger(LINGER)
            self._say_goodbye()

    def _emptied(self) -> None:
        """The client has taken all of an answer that had ended before."""
        if self._state is ANSWER and self._request is None:
            self._next()

    def _next(self) -> None:
        """Wait for the next request, which may be here already."""
        if not self.keep:
            self._part()
            return
        self._move(IDLE)
        rest = self._rest
        if rest is not None:
            rest.touch()
        else:
            self._rest = self.site.wheel.arm(IDLE_TIMEOUT, self._rested)
        if self._ahead is not None and not self._serving:
            data, self._ahead = bytes(self._ahead), None
            self._resume()
            self.dataReceived(data)

    def _part(self) -> None:
        """The last answer is sent. A client that has sent more than was asked for is given time to read it."""
        if self._ahead is None:
            self.close()
        else:
            self._linger(LINGER)
            self._say_goodbye()

    def _rested(self) -> None:
        self._rest = None
        if self._state is IDLE:
            self.close()

    def _stop_resting(self) -> None:
        """There will be no further request."""
        self._ahead = None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _linger(self, seconds: float) -> None:
        """From now on drop what comes, for so long."""
        self._ahead = None
        super()._linger(seconds)
