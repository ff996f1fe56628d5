"""Small working stand-ins for what is around a connection of the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from relay.exchange import UpstreamRequest
from relay.provider import Origin, Timeouts
from relay.runtime.wheel import Wheel
from relay.upstream.engine.connection import Connection, Home, Opened
from relay.upstream.engine.dial import Dialer
from relay.upstream.engine.pool import Pool
from relay.upstream.engine.taker import Break, Taker
from relay.wire.answer import AnswerHead, AnswerShapes

ORIGIN = Origin("http", "provider.example", 80)
TIMES = Timeouts(connect=5.0, first_byte=30.0, idle=20.0, total=60.0)


class Wire(StringTransport):
    """A TCP transport in memory. Aborting shows in `aborted`; `lose` is what TCP then says."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.nodelay = False
        self.reading = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.nodelay = enabled

    def abortConnection(self) -> None:
        self.aborted = True

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def taken(self) -> bytes:
        """What was written since the last call."""
        data = self.value()
        self.clear()
        return bytes(data)


def lose(connection: Connection, reason: Exception | None = None) -> None:
    """The socket closes: by the other side, unless it was aborted or a reason is given."""
    if reason is None:
        wire = connection.transport
        reason = ConnectionAborted() if wire is not None and wire.aborted else ConnectionDone()
    connection.connectionLost(Failure(reason))


class Owner:
    """A home that keeps account."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.shapes = AnswerShapes()

    def release(self, connection: Connection) -> None:
        self.events.append("release")

    def gone(self, connection: Connection) -> None:
        self.events.append("gone")

    def lost(self, connection: Connection) -> None:
        self.events.append("lost")


class Recorder:
    """A taker that writes down what it is told.

    Attributes:
        events: in order; pieces of the body that follow each other are joined.
        on_piece: called with each piece.
        refuse: whether to give up the connection at the head.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.on_piece: Callable[[bytes], object] = lambda _: None
        self.connection: Connection | None = None
        self.refuse = False

    def answered(self, head: AnswerHead) -> Taker | None:
        self.events.append(head.status)
        if self.refuse and self.connection is not None:
            self.connection.drop()
            return None
        return self

    def announced(self) -> None:
        self.events.append("announced")

    def took(self, data: bytes) -> None:
        if self.events and isinstance(self.events[-1], bytes):
            self.events[-1] += data
        else:
            self.events.append(data)
        self.on_piece(data)

    def ended(self) -> None:
        self.events.append("ended")

    def broken(self, how: Break, cause: Exception) -> None:
        self.events.append(how)

    @property
    def story(self) -> list[Any]:
        """The events without the announcement, which comes where the first read ends; the body in one piece."""
        told: list[Any] = []
        for event in self.events:
            if event == "announced":
                continue
            if isinstance(event, bytes) and told and isinstance(told[-1], bytes):
                told[-1] += event
            else:
                told.append(event)
        return told


class Lines:
    """Connections over wires in memory, and what was asked on them; stands in for a `Dialer`.

    Attributes:
        clock: everybody's.
        made: connections in the order in which they were opened.
        manual: whether dials wait until the test ends them.
        pending: dials that wait.
        cancelled: dials that were called off.
    """

    def __init__(self, manual: bool = False) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock, tick=0.25)
        self.manual = manual
        self.made: list[Connection] = []
        self.pending: list[PendingDial] = []
        self.cancelled = 0

    def dial(self, origin: Origin, home: Home, opened: Opened) -> PendingDial:
        dial = PendingDial(self, home, opened)
        self.pending.append(dial)
        if not self.manual:
            dial.succeed()
        return dial

    def pool(self, most: int = 4, queue: int = 2, idle_seconds: float = 55.0) -> Pool:
        """A pool over these."""
        dialer: Dialer = self  # type: ignore[assignment]  # it does what the pool asks for
        return Pool(self.clock, self.wheel, dialer, most, queue, idle_seconds)


class PendingDial:
    """A connection being opened."""

    def __init__(self, lines: Lines, home: Home, opened: Opened) -> None:
        self._lines = lines
        self._home = home
        self._opened = opened

    def succeed(self) -> Connection:
        """It stands."""
        self._lines.pending.remove(self)
        connection = Connection(self._lines.wheel, self._home, self._opened, secure=False)
        self._lines.made.append(connection)
        connection.makeConnection(Wire())
        return connection

    def fail(self, error: Exception) -> None:
        """It does not come about."""
        self._lines.pending.remove(self)
        self._opened(error)

    def cancel(self) -> None:
        self._lines.pending.remove(self)
        self._lines.cancelled += 1


def make_request(body: Any = b'{"n":1}', *, stream: bool = False, **changes: Any) -> UpstreamRequest:
    """A POST."""
    values: dict[str, Any] = {
        "deployment": "p/m",
        "provider": "p",
        "method": "POST",
        "origin": ORIGIN,
        "target": "/v1/x",
        "headers": ((b"content-type", b"application/json"),),
        "body": body,
        "stream": stream,
        "timeouts": TIMES,
    }
    return UpstreamRequest(**{**values, **changes})


def answer(body: bytes = b"", status: int = 200, *fields: bytes) -> bytes:
    """A whole answer with a Content-Length."""
    return head(status, b"Content-Length: %d" % len(body), *fields) + body


def head(status: int = 200, *fields: bytes) -> bytes:
    """The head of an answer."""
    return b"\r\n".join([b"HTTP/1.1 %d Word" % status, *fields, b"", b""])


def chunk(data: bytes) -> bytes:
    """One chunk; the last one if there are no data."""
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = b"Transfer-Encoding: chunked"
