"""Small working stand-ins for the neighbours of the upstream side."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from relay.errors import Overloaded, RelayError, TruncatedStream, UpstreamProtocol
from relay.exchange import Body, Headers, Usage
from relay.interfaces import ISink
from relay.outcome import Stage


@implementer(ISink)
class MemorySink:
    """Keeps what is written. A test pauses and resumes by hand, or gives a room after which it is full."""

    def __init__(self, room: int | None = None) -> None:
        self.started = False
        self.gone = False
        self.data = b""
        self.producer: IPushProducer | None = None
        self.unregistered = 0
        self.on_write: Callable[[], None] = lambda: None
        self._room = room

    def on_gone(self, callback: object) -> None:
        pass

    def start(self, status: int, headers: Headers) -> None:
        self.started = True

    def write(self, data: bytes) -> None:
        self.data += data
        self.on_write()
        if self._room is not None and len(self.data) >= self._room and self.producer is not None:
            self.producer.pauseProducing()

    def end(self) -> None:
        pass

    def abort(self) -> None:
        self.gone = True

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None
        self.unregistered += 1


class MemoryBody:
    """A spooled body that lies in memory.

    Attributes:
        taken: bytes read so far.
        closed: whether it was closed.
    """

    repeatable = True

    def __init__(self, data: bytes, error_at: int | None = None) -> None:
        self.length = self.received = len(data)
        self.taken = 0
        self.closed = False
        self._data = data
        self._error_at = error_at

    async def read(self, offset: int, size: int) -> bytes:
        if self._error_at is not None and offset >= self._error_at:
            raise Overloaded("the disk is gone")
        block = self._data[offset : offset + size]
        self.taken += len(block)
        return block

    def replaced(self, start: int, end: int, data: bytes) -> Body:
        return MemoryBody(self._data[:start] + data + self._data[end:])

    def close(self) -> None:
        self.closed = True


class MarkTranscoder:
    """Passes bytes on; ``END`` is the terminal event, ``FIN`` a finish reason, ``ERR`` an in-stream error."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.started = False
        self.done = False
        self.error: RelayError | None = None
        self.model = ""
        self.stop = ""
        self.chunks = 0
        self._seen = b""

    def feed(self, data: bytes) -> bytes:
        if self.done:
            raise AssertionError("fed after the end")
        self._seen += data
        if b"BAD" in self._seen:
            raise UpstreamProtocol("a frame is bad", stage=Stage.STREAM)
        if b"ERR" in self._seen:
            self.error = UpstreamProtocol("the provider says so", stage=Stage.STREAM)
        self.done = b"END" in self._seen
        return data

    def end(self) -> bytes:
        if b"FIN" in self._seen:
            return b"<end>"
        raise TruncatedStream("no end", stage=Stage.STREAM)

    def fail(self, error: RelayError) -> bytes:
        return b""
