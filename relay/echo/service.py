"""The echo upstream as a server on a loopback socket."""

# mypy: allow-untyped-calls
# (twisted.web is largely unannotated)

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTCP, IReactorTime, ITCPTransport
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from twisted.web.server import Site

from relay.echo.player import Tally
from relay.echo.resources import EchoResource
from relay.provider import Origin

HOST = "127.0.0.1"

_BACKLOG = 1024
"""Connections that may wait to be accepted; relay opens as many as it has streams."""

IDLE = 300.0
"""Seconds after which an unused connection is closed; longer than clients keep theirs."""


class EchoServer:
    """A provider inside relay: speaks every dialect that providers speak, needs no key.

    It is bound when its address is first asked for.

    Args:
        reactor: sockets and timers.
        wall: Unix seconds, for the dates in answers.
    """

    def __init__(self, reactor: IReactorTCP, wall: Callable[[], float] = time.time) -> None:
        self._reactor = reactor
        self._wall = wall
        self._tally = Tally()
        self._port: IListeningPort | None = None
        self._site: _Site | None = None

    @property
    def streams_started(self) -> int:
        """Answers begun, streamed or whole."""
        return self._tally.started

    @property
    def streams_open(self) -> int:
        """Answers that are not over: being sent, delayed, stalled, or held up by a slow client."""
        return self._tally.open

    @property
    def streams_aborted(self) -> int:
        """Answers whose client left before the end."""
        return self._tally.aborted

    def url(self) -> Origin:
        """Where it listens; binds an ephemeral port of the loopback interface the first time.

        Raises:
            twisted.internet.error.CannotListenError: there is no free port.
        """
        if self._port is None:
            clock = IReactorTime(self._reactor)
            self._site = _Site(EchoResource(clock, self._tally, self._wall), clock)
            self._port = self._reactor.listenTCP(0, self._site, _BACKLOG, interface=HOST)  # type: ignore[arg-type] # Twisted's own
        return Origin("http", HOST, cast("IPv4Address", self._port.getHost()).port)

    def stop(self) -> Deferred[None]:
        """Close the port and every connection; fires when they are gone. Idempotent."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Do so."""
        port, site = self._port, self._site
        self._port = self._site = None
        if port is not None and site is not None:
            await maybeDeferred(port.stopListening)
            await site.abort()


class _Channel(HTTPChannel):
    """One connection, which tells the site of its life."""

    site: _Site

    def connectionMade(self) -> None:
        """It begins."""
        super().connectionMade()
        self.site.opened(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override] # Twisted's is unannotated
        """It is over, with all that hangs on it."""
        super().connectionLost(reason)
        self.site.closed(self)


class _Site(Site):
    """A site without an access log (relay logs its exchanges itself) that knows its open connections."""

    noisy = False
    protocol = _Channel  # type: ignore[assignment] # declared narrower than what it takes

    def __init__(self, resource: EchoResource, clock: IReactorTime) -> None:
        super().__init__(resource, parsePOSTFormSubmission=False, timeout=IDLE, reactor=clock)
        self._open: set[_Channel] = set()
        self._gone: Deferred[None] | None = None

    def log(self, request: Request) -> None:
        """Write nothing."""

    def opened(self, channel: _Channel) -> None:
        """A connection was accepted."""
        self._open.add(channel)

    def closed(self, channel: _Channel) -> None:
        """A connection is no more."""
        self._open.discard(channel)
        if self._gone is not None and not self._open:
            gone, self._gone = self._gone, None
            gone.callback(None)

    def abort(self) -> Deferred[None]:
        """Break every connection; fires when the last one is gone."""
        if not self._open:
            return succeed(None)
        self._gone = gone = Deferred[None]()
        for channel in tuple(self._open):
            cast("ITCPTransport", channel.transport).abortConnection()
        return gone
