"""TCP in memory: two transports, and a hand that moves the bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHandshakeListener,
    IProtocolNegotiationFactory,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Ending:
    """One end of a connection.

    Attributes:
        protocol: what is at this end.
        out: written, and not moved yet.
        writes: how often that was asked for.
        paused: whether the protocol wants nothing more for now.
        room: bytes in ``out`` above which a push producer is paused.
        calls: what was asked for, except for writes.
        lost: why it is over, None before.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.out = b""
        self.writes = 0
        self.paused = False
        self.room = 65536
        self.calls: list[str] = []
        self.lost: Failure | None = None
        self.closing = self.aborted = False
        self.producer: Any = None
        self.streaming = self.producer_paused = False

    def write(self, data: bytes) -> None:
        self.writes += 1
        if self.lost is None and not self.aborted:
            self.out += data
            if self.producer is not None and self.streaming and len(self.out) > self.room:
                self.producer_paused = True
                self.producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self.calls.append("lose")
        self.closing = True

    def loseWriteConnection(self) -> None:
        self.calls.append("lose write")

    def abortConnection(self) -> None:
        self.calls.append("abort")
        self.aborted = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.calls.append("register")
        self.producer, self.streaming = producer, streaming
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.calls.append("unregister")
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.loseConnection()

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "10.0.0.1", 1)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "10.0.0.2", 2)

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.calls.append(f"no delay {enabled}")

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.calls.append(f"keep alive {enabled}")

    def take(self) -> bytes:
        """What was written; the producer learns that it has gone."""
        data, self.out = self.out, b""
        if data and self.producer is not None and (not self.streaming or self.producer_paused):
            self.producer_paused = False
            self.producer.resumeProducing()
        return data

    def end(self, reason: Exception) -> None:
        """The connection is over."""
        if self.lost is None:
            self.lost = Failure(reason)
            producer, self.producer = self.producer, None
            if producer is not None:
                producer.stopProducing()
            self.protocol.connectionLost(self.lost)


class Link:
    """A connection between a client and a server; nothing moves before `pump`.

    Args:
        client: a protocol.
        server: a protocol.
        clock: advanced by nothing with each round.
        most: at most so many bytes are handed over at once.
    """

    def __init__(self, client: Any, server: Any, clock: Clock | None = None, most: int = 65536) -> None:
        self.client, self.server = Ending(client), Ending(server)
        self._clock = clock or Clock()
        self._most = most
        server.makeConnection(self.server)
        client.makeConnection(self.client)

    def pump(self) -> None:
        """Move bytes until nothing moves any more."""
        while self.step():
            pass

    def step(self) -> bool:
        """Move what there is now, each way; whether anything has happened."""
        moved = self.forth()
        return self.back() or moved

    def forth(self) -> bool:
        """Move what the client has written."""
        self._clock.advance(0)
        return self._move(self.client, self.server)

    def back(self) -> bool:
        """Move what the server has written."""
        self._clock.advance(0)
        return self._move(self.server, self.client)

    def cut(self) -> None:
        """TCP ends in good order, without a word from TLS."""
        self.client.end(ConnectionDone())
        self.server.end(ConnectionDone())

    def _move(self, source: Ending, target: Ending) -> bool:
        if source.lost is not None:
            return False
        if source.aborted:
            source.end(ConnectionAborted())
            target.end(ConnectionLost())
            return True
        data = source.take()
        for at in range(0, len(data), self._most):
            if target.lost is None and not target.aborted and not target.closing:
                target.protocol.dataReceived(data[at : at + self._most])
        if not source.out and source.closing and source.producer is None:
            source.end(ConnectionDone())
            if target.closing or target.aborted:
                self._move(target, source)
            target.end(ConnectionDone())
            return True
        return bool(data)


@implementer(IHandshakeListener)
class Talker(Protocol):
    """A protocol that keeps what it gets, and does as told.

    Attributes:
        received: all bytes.
        pieces: how they came.
        events: made, secure, lost.
        lost: why it is over.
        on_made: called with it when the connection is made; the same for the others.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.events: list[str] = []
        self.lost: Failure | None = None
        self.on_made: Callable[[Any], object] = lambda transport: None
        self.on_secure: Callable[[Any], object] = lambda transport: None
        self.on_data: Callable[[Any], object] = lambda transport: None

    @property
    def received(self) -> bytes:
        """All that came."""
        return b"".join(self.pieces)

    def connectionMade(self) -> None:
        self.events.append("made")
        self.on_made(self.transport)

    def handshakeCompleted(self) -> None:
        self.events.append("secure")
        self.on_secure(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)
        self.on_data(self.transport)

    def connectionLost(self, reason: Any = None) -> None:
        self.events.append("lost")
        self.lost = reason


@implementer(IProtocolNegotiationFactory)
class TalkerFactory(Factory):
    """Hands out one protocol, which speaks HTTP/1.1 as far as ALPN goes."""

    noisy = False

    def __init__(self, talker: Any) -> None:
        self._talker = talker

    def buildProtocol(self, addr: object) -> Any:
        return self._talker

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]


class Tap:
    """A producer that notes what it is told, and writes a piece whenever it is asked.

    Args:
        consumer: written to; None to write nothing.
        pieces: what it has; a pull producer unregisters after the last.
    """

    def __init__(self, consumer: Any = None, pieces: list[bytes] | None = None) -> None:
        self.told: list[str] = []
        self.consumer = consumer
        self.pieces = pieces or []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")
        if self.consumer is None:
            return
        if self.pieces:
            self.consumer.write(self.pieces.pop(0))
        else:
            self.consumer.unregisterProducer()

    def stopProducing(self) -> None:
        self.told.append("stop")
