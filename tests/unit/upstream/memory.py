"""An upstream over memory: real HTTP on both sides of nothing, on a clock that the test turns."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relay.exchange import UpstreamRequest
from relay.interfaces import IUpstreamResponse
from relay.provider import Origin, Timeouts
from relay.upstream.client import Upstream
from relay.upstream.connection import Connection


class Wire(StringTransport):
    """A connection's transport.

    Args:
        clock: connections end in a later turn of it, as real ones do.
        deaf: whether the other end never answers a tidy close, as it may over TLS.
        room: bytes written after which a producer is paused; `flow` lets it go on for good.
    """

    def __init__(self, clock: MemoryReactorClock, *, deaf: bool = False, room: int | None = None) -> None:
        super().__init__(lenient=True)
        self.aborted = False
        self.ended = False
        self.protocol: Any = None
        self._clock = clock
        self._deaf = deaf
        self._room = room

    def write(self, data: bytes) -> None:
        super().write(data)
        if self._room is not None and len(self.value()) >= self._room and self.producer is not None:
            self.producer.pauseProducing()

    def flow(self) -> None:
        """The other end reads again."""
        self._room = None
        if self.producer is not None:
            self.producer.resumeProducing()

    def loseConnection(self) -> None:
        self.disconnecting = True
        if not self._deaf:
            self._clock.callLater(0, self.end, ConnectionDone())

    def abortConnection(self) -> None:
        if not self.aborted:
            self.aborted = True
            self._clock.callLater(0, self.end, ConnectionAborted())

    def end(self, reason: Exception) -> None:
        """The connection is over, for the protocol too."""
        if not self.ended:
            self.ended = True
            self.protocol.connectionLost(Failure(reason))


class MemoryCase(SynchronousTestCase):
    """An `Upstream` on a `MemoryReactorClock`. No test may leave a timer."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.upstream = Upstream(self.reactor)

    def request(self, *, stream: bool = True, body: Any = b"{}", **deadlines: Any) -> UpstreamRequest:
        """A POST to a literal address; ``deadlines`` replace those of ten seconds."""
        times = {"connect": 10.0, "first_byte": 10.0, "idle": 10.0, "total": 10.0, **deadlines}
        origin = Origin("http", "192.0.2.1", 80)
        return UpstreamRequest("p/m", "p", "POST", origin, "/v1/x", (), body, stream, Timeouts(**times))

    def send(self, *, stream: bool = True, body: Any = b"{}", **deadlines: Any) -> Deferred[IUpstreamResponse]:
        """Send what `request` makes."""
        return self.upstream.send(self.request(stream=stream, body=body, **deadlines))

    def accept(self, *, deaf: bool = False, room: int | None = None) -> tuple[Connection, Wire]:
        """Let the last connection attempt succeed."""
        factory = self.reactor.tcpClients[-1][2]
        wire = Wire(self.reactor, deaf=deaf, room=room)
        wire.protocol = factory.buildProtocol(None)
        wire.protocol.makeConnection(wire)
        return wire.protocol, wire

    def answered(
        self, *pieces: bytes, stream: bool = True, deaf: bool = False, **deadlines: Any
    ) -> tuple[IUpstreamResponse, Wire]:
        """Send a request, answer it so, and return the answer as the caller has it."""
        sent = self.send(stream=stream, **deadlines)
        _, wire = self.accept(deaf=deaf)
        for piece in pieces:
            wire.protocol.dataReceived(piece)
        return self.successResultOf(sent), wire

    def finish(self) -> None:
        """Close everything; no timer may be left."""
        closed = self.upstream.close()
        self.reactor.advance(0)
        self.successResultOf(closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
