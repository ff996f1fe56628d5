"""All connections of the engine, by origin."""

from __future__ import annotations

from collections.abc import Hashable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web._newclient import HTTP11ClientProtocol
from twisted.web.client import HTTPConnectionPool

from relay.provider import Origin
from relay.runtime.wheel import Wheel
from relay.upstream.engine.connection import Connection
from relay.upstream.engine.dial import Dialer
from relay.upstream.engine.door import Door
from relay.upstream.engine.origins import OriginPool


class Pool(HTTPConnectionPool):
    """The connections, as Twisted's `Agent` wants them, and treq over that.

    The hot path asks the `OriginPool` of `at` directly.

    Args:
        reactor: for what Twisted's pool wants it.
        wheel: times idle connections.
        dialer: opens connections.
        most: connections to one origin.
        queue: requests that may wait for one of them.
        idle_seconds: how long an idle connection is kept; load balancers in front of
            providers commonly close at 60 s, and a request must not meet that moment.
    """

    def __init__(
        self, reactor: IReactorTime, wheel: Wheel, dialer: Dialer, most: int, queue: int, idle_seconds: float
    ) -> None:
        super().__init__(reactor, persistent=True)  # type: ignore[no-untyped-call]  # Twisted leaves it untyped
        self.wheel = wheel
        self.seconds = wheel.seconds
        self.dialer = dialer
        self.most = most
        self.queue = queue
        self.idle_seconds = idle_seconds
        self.shut = False
        self.closing: set[Connection] = set()
        self._origins: dict[Origin, OriginPool] = {}
        self.find = self._origins.get  # the connections to an origin, if there are any
        self._closed: Deferred[None] | None = None

    def at(self, origin: Origin) -> OriginPool:
        """The connections to an origin."""
        found = self._origins.get(origin)
        if found is None:
            found = self._origins[origin] = OriginPool(self, origin)
        return found

    def _newConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[HTTP11ClientProtocol]:
        """Find a connection for one request of an agent; its endpoint is not used.

        The pool's own `getConnection` comes here each time: what is idle it does not know.
        """
        scheme, host, port = cast("tuple[bytes, bytes, int]", key)
        pool = self.at(Origin(scheme.decode("ascii"), host.decode("ascii"), port))
        return cast("Deferred[HTTP11ClientProtocol]", Door(pool, self.wheel).open())

    def closeCachedConnections(self) -> Deferred[None]:
        """The same as `close`."""
        return self.close()

    def forget(self, pool: OriginPool) -> None:
        """An origin has no connection any more."""
        pool.close_idle()
        if self._origins.get(pool.origin) is pool:
            del self._origins[pool.origin]

    def lost(self, connection: Connection) -> None:
        """A connection's socket is closed."""
        self.closing.discard(connection)
        if self._closed is not None and not self.closing:
            closed, self._closed = self._closed, None
            closed.callback(None)

    def close(self) -> Deferred[None]:
        """Close idle connections, drop closing ones, and keep none from now on; fires when they are closed."""
        self.shut = True
        for connection in self.closing:
            connection.cut()
        for pool in tuple(self._origins.values()):
            pool.close_idle()
        closed: Deferred[None] = Deferred()
        if self.closing:
            previous, self._closed = self._closed, closed
            if previous is not None:
                closed.chainDeferred(previous)
        else:
            closed.callback(None)
        return closed
