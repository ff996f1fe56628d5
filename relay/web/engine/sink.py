"""The client's side of one exchange: an `ISink` straight onto the engine's connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from relay.exchange import Headers
from relay.interfaces import ISink
from relay.web.engine.heads import lines
from relay.web.request import BODILESS
from relay.web.sink import EVENTS, PIECE, STREAM_HEAD

if TYPE_CHECKING:
    from relay.web.engine.channel import EngineChannel
    from relay.web.engine.request import EngineRequest


class Asked(Protocol):
    """What an answer depends on; see `EngineRequest`."""

    method: bytes
    version: tuple[int, int]
    greeting: bytes
    fixed: Set[bytes]


_STREAM_LINES = b"".join(b"%b: %b\r\n" % field for field in STREAM_HEAD)
_LAST_CHUNK = b"0\r\n\r\n"


@implementer(ISink)
class EngineSink:
    """Writes an answer at the pace at which its client reads.

    The head waits for the first bytes of the body and goes out with them. While the
    transport is full, writes wait here and the producer is paused; the connection cuts off
    a client that takes nothing. Large writes are cut into pieces, so that each pause ends
    after a bounded number of bytes and a slow client is told from a stalled one.

    An answer that has a ``content-length`` and is another than that long breaks the
    connection: what follows would be read as its rest.

    Args:
        connection: where it goes, None if the client has left.
        name: the request's id.
        asked: what the answer depends on.
        request: told when the answer begins and ends; None if nobody but the connection needs to know.

    Attributes:
        started: whether `start` was called.
        gone: whether the client has left.
    """

    __slots__ = (
        "_asked",
        "_callback",
        "_chunked",
        "_connection",
        "_ending",
        "_flows",
        "_head",
        "_holding",
        "_left",
        "_mute",
        "_name",
        "_producer",
        "_request",
        "_waiting",
        "gone",
        "started",
    )

    def __init__(
        self, connection: EngineChannel | None, name: str, asked: Asked, request: EngineRequest | None = None
    ) -> None:
        self._connection = connection  # None once the answer has ended or the client has left
        self._name = name
        self._asked = asked
        self._request = request
        self._head = b""  # as long as it waits
        self._chunked = False
        self._flows = False  # whether a chunk may go straight to the transport
        self._mute = True  # whether nothing may be written: before the head, and where there is no body
        self._left = -1  # bytes of body still to come, -1 where nobody has said how many
        self._waiting: deque[bytes] | None = None
        self._holding = False  # whether the producer has been paused
        self._ending = False
        self._producer: IPushProducer | None = None
        self._callback: Callable[[], object] | None = None
        self.started = False
        self.gone = connection is None
        if connection is not None:
            connection.pace(self)

    # ── the answer ────────────────────────────────────────────────────────────────────

    def start(self, status: int, headers: Headers) -> None:
        """Begin the answer; the fields of every answer are added to these."""
        connection, request = self._connection, self._request
        if connection is not None:
            self._head = self._compose(connection, status, headers)
        self.started = True
        if request is not None:
            request.startedWriting = 1

    def _compose(self, connection: EngineChannel, status: int, headers: Headers) -> bytes:
        """Write the head, and settle how the body is framed."""
        asked = self._asked
        fields, length = lines(headers, asked.fixed)
        if status not in BODILESS and asked.method != b"HEAD":
            self._mute = False
            if length is not None:
                self._left = length
            elif asked.version == (1, 1):
                self._chunked = True
                fields += b"transfer-encoding: chunked\r\n"
            else:
                connection.keep = False
            if length is None and _are_events(headers):
                fields += _STREAM_LINES
        return connection.site.heads.head(
            status, self._name, asked.greeting + fields + connection.persistence(asked.version)
        )

    def write(self, data: bytes) -> None:
        """Write a piece of the body; dropped when the client has gone or the answer has ended."""
        size = len(data)
        if self._flows and 0 < size <= PIECE:
            self._connection.transport.write(b"%x\r\n%b\r\n" % (size, data))  # type: ignore[union-attr] # it is there
        elif size and not (self._mute or self._ending or self._connection is None):
            self._write(self._connection, data, size)

    def _write(self, connection: EngineChannel, data: bytes, size: int) -> None:
        """Write the first piece, a piece of a body with a length, or one for which there may be no room."""
        if self._left >= 0:
            self._left -= size
            if self._left < 0:
                self.abort()
                return
        if connection.is_full or size > PIECE:
            self._wait(data)
            return
        head, self._head = self._head, b""
        self._flows = chunked = self._chunked
        connection.transport.write(b"%b%x\r\n%b\r\n" % (head, size, data) if chunked else head + data)

    def end(self) -> None:
        """Finish the answer as soon as the client has taken what was written before."""
        connection = self._connection
        if connection is not None and not self._ending:
            self._ending = True
            self._flows = False
            if self._waiting or connection.is_full:
                self._drain()
            else:
                self._finish(connection)

    def abort(self) -> None:
        """Break the connection; what the client has not taken yet is lost."""
        if self._connection is not None:
            self._ending = True
            self._flows = False
            self._waiting = None
            self._connection.abort()

    def on_gone(self, callback: Callable[[], object] | None) -> None:
        """Call back once when the client leaves, at once if it has left; None takes it back."""
        self._callback = callback
        if self.gone:
            self._tell()

    def _wait(self, data: bytes) -> None:
        """Hand on what is long, or comes while the transport is full, in pieces."""
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.extend(data[at : at + PIECE] for at in range(0, len(data), PIECE))
        self._drain()

    def _drain(self) -> None:
        """Hand on what waits as far as the transport has room, then end if that is due."""
        connection, waiting = self._connection, self._waiting
        if connection is None:
            return
        while waiting and not connection.is_full:
            piece, head, self._head = waiting.popleft(), self._head, b""
            connection.transport.write(b"%b%x\r\n%b\r\n" % (head, len(piece), piece) if self._chunked else head + piece)
        if not connection.is_full:
            self._waiting = None
            if self._ending:
                self._finish(connection)

    def _finish(self, connection: EngineChannel) -> None:
        if self._left > 0 or not self.started:
            connection.abort()
            return
        last = self._head + _LAST_CHUNK if self._chunked else self._head
        if last:
            connection.transport.write(last)
        request = self._request
        self._forget()
        self._callback = None
        if request is None:
            connection.answered()
        else:
            request.ended()

    def _forget(self) -> None:
        self._flows = False
        self._connection = self._request = self._producer = self._waiting = None
        self._head = b""

    # ── the client's pace ─────────────────────────────────────────────────────────────

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Let the client's pace pause and resume a push producer."""
        if self._producer is not None:
            raise RuntimeError("A producer is registered already.")
        self._holding = False
        if self.gone:
            producer.stopProducing()
            return
        self._producer = producer
        if self._connection is not None and self._connection.is_full:
            self.full()

    def unregisterProducer(self) -> None:
        """Undo `registerProducer`. Idempotent."""
        self._producer = None

    def full(self) -> None:
        """The transport's buffer is full."""
        self._flows = False
        if self._producer is not None and not self._holding:
            self._holding = True
            self._producer.pauseProducing()

    def empty(self) -> None:
        """The transport's buffer is empty: hand on what waits, then let the producer go on."""
        self._drain()
        connection = self._connection
        if connection is not None and not connection.is_full and self._holding and self._producer is not None:
            self._holding = False
            self._producer.resumeProducing()

    # ── the end ───────────────────────────────────────────────────────────────────────

    def lost(self) -> None:
        """The client has left."""
        self.gone = True
        producer = self._producer
        self._forget()
        if producer is not None:
            producer.stopProducing()
        self._tell()

    def _tell(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


def _are_events(headers: Headers) -> bool:
    return any(name == b"content-type" and value.lower().startswith(EVENTS) for name, value in headers)
