"""The engine's connections to one origin: the idle ones, how many there may be, and who waits for one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from relay.errors import Overloaded
from relay.provider import Origin
from relay.runtime.wheel import Deadline, Wheel
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.dial import Dial, Dialer
from relay.upstream.engine.head import RequestHeads
from relay.wire.answer import AnswerShapes

RETRY_AFTER = 1.0
"""Seconds after which one who found the queue full may come again."""


class Seeker(Protocol):
    """Who needs a connection."""

    def found(self, connection: Connection) -> None:
        """Here it is."""

    def unreachable(self, error: Exception) -> None:
        """There will be none."""


class Keeper(Protocol):
    """What is common to all origins; see `relay.upstream.engine.pool.Pool`."""

    wheel: Wheel
    seconds: Callable[[], float]
    dialer: Dialer
    most: int
    queue: int
    idle_seconds: float
    shut: bool
    closing: set[Connection]

    def forget(self, pool: OriginPool) -> None:
        """An origin has no connection any more."""

    def lost(self, connection: Connection) -> None:
        """A connection's socket is closed."""


class Search:
    """One seeker's wait for a connection: in the queue, then while it is being opened."""

    __slots__ = ("_dial", "_pool", "_seeker")

    def __init__(self, pool: OriginPool, seeker: Seeker) -> None:
        self._pool = pool
        self._seeker: Seeker | None = seeker
        self._dial: Dial | None = None

    @property
    def over(self) -> bool:
        """Whether the seeker has been told, or has lost interest."""
        return self._seeker is None

    def dial(self, dialer: Dialer, origin: Origin) -> None:
        """Open a connection for the seeker."""
        dial = dialer.dial(origin, self._pool, self._opened)
        if self._seeker is not None:
            self._dial = dial

    def found(self, connection: Connection) -> None:
        """A connection has become free."""
        seeker, self._seeker = self._seeker, None
        if seeker is not None:
            seeker.found(connection)

    def cancel(self) -> None:
        """The seeker has lost interest. Idempotent."""
        if self._seeker is None:
            return
        self._seeker = None
        if self._dial is None:
            self._pool.leave(self)
        else:
            self._dial.cancel()
            self._pool.vacate()

    def _opened(self, result: Connection | Exception) -> None:
        seeker, self._seeker, self._dial = self._seeker, None, None
        if isinstance(result, Connection):
            if seeker is not None:
                seeker.found(result)
            return
        if seeker is not None:
            seeker.unreachable(result)
        self._pool.vacate()


class OriginPool:
    """The connections to one origin.

    Attributes:
        origin: where they lead.
        heads: composes the heads of requests.
        shapes: reads the heads of answers.
    """

    __slots__ = ("_idle", "_keeper", "_sweep", "_taken", "_waiting", "heads", "origin", "shapes")

    def __init__(self, keeper: Keeper, origin: Origin) -> None:
        self.origin = origin
        self.heads = RequestHeads(origin.netloc)
        self.shapes = AnswerShapes()
        self._keeper = keeper
        self._idle: dict[Connection, float] = {}  # since when; the last one is the freshest
        self._taken = 0  # connections that there are or that are being opened
        self._waiting: OrderedDict[Search, None] = OrderedDict()
        self._sweep: Deadline | None = None

    def take(self) -> Connection | None:
        """The idle connection that was used last, if there is one."""
        return self._idle.popitem()[0] if self._idle else None

    @property
    def full(self) -> bool:
        """Whether there are as many connections as there may be."""
        return self._taken >= self._keeper.most

    def seek(self, seeker: Seeker, *, fresh: bool) -> Search:
        """Find a connection where `take` gave none.

        Args:
            seeker: is told, maybe at once.
            fresh: whether it has to be a new one, in place of one that is about to go.

        Raises:
            Overloaded: there are as many connections as there may be, and as many wait.
        """
        search = Search(self, seeker)
        if fresh or self._taken < self._keeper.most:
            self._dial(search)
        elif len(self._waiting) < self._keeper.queue:
            self._waiting[search] = None
        else:
            raise Overloaded("Too many requests wait for a connection to the provider.", retry_after=RETRY_AFTER)
        return search

    def leave(self, search: Search) -> None:
        """Leave the queue."""
        self._waiting.pop(search, None)

    def vacate(self) -> None:
        """A place has become free: whoever waits longest opens a connection."""
        self._taken -= 1
        if self._waiting and self._taken < self._keeper.most:
            self._dial(self._waiting.popitem(last=False)[0])
        elif not self._taken:
            self._keeper.forget(self)

    def _dial(self, search: Search) -> None:
        self._taken += 1
        search.dial(self._keeper.dialer, self.origin)

    # ── told by connections ───────────────────────────────────────────────────────────

    def release(self, connection: Connection) -> None:
        """A connection can carry the next request."""
        if self._keeper.shut:
            connection.close()
        elif self._waiting:
            self._waiting.popitem(last=False)[0].found(connection)
        else:
            self._idle[connection] = self._keeper.seconds()
            if self._sweep is None:
                self._sweep = self._keeper.wheel.arm(self._keeper.idle_seconds, self._close_old)

    def gone(self, connection: Connection) -> None:
        """A connection carries nothing any more."""
        self._idle.pop(connection, None)
        self._keeper.closing.add(connection)
        self.vacate()

    def lost(self, connection: Connection) -> None:
        """A connection's socket is closed."""
        self._keeper.lost(connection)

    # ── idle connections ──────────────────────────────────────────────────────────────

    def close_idle(self) -> None:
        """Close all idle connections."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in tuple(self._idle):
            connection.close()

    def _close_old(self) -> None:
        """Close those that have been idle for too long, and look again when the next one will have been."""
        self._sweep = None
        seconds, now = self._keeper.idle_seconds, self._keeper.seconds()
        for connection, since in tuple(self._idle.items()):
            if since + seconds > now:
                self._sweep = self._keeper.wheel.arm(since + seconds - now, self._close_old)
                return
            connection.close()
