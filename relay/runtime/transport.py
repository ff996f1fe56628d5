"""TCP transports that send at once.

Twisted's own queue every write until the next turn of the loop: two system calls to watch
the socket and a copy, for each. These send right away when nothing is queued, and leave
the rest, and every special case, to Twisted. Backpressure is unchanged, with one thing to
know: a producer that writes in a loop until it is paused goes on for as long as the
kernel takes it.

While a turn of the loop has several events, "at once" is at its end; see `relay.runtime.outbox`.

They reach for attributes of `twisted.internet.tcp` and `twisted.internet.abstract` that
are not public; `is_supported` tells whether they are there.
"""

# mypy: allow-untyped-calls
# (twisted.internet.tcp is largely unannotated)

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IConnector, IListeningPort, IProtocolFactory
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.posixbase import PosixReactorBase
from zope.interface import directlyProvides, providedBy

from relay.runtime.outbox import LARGEST, outbox_of
from relay.runtime.tls import server_tls

_QUEUE = ("dataBuffer", "offset", "_tempDataLen", "_writeDisconnected", "_maybePauseProducer")
_CONNECTION = ("TLS", "_aborting")


def is_supported(reactor: object) -> bool:
    """Whether a reactor, and this version of Twisted, have what eager transports reach for."""
    return (
        isinstance(reactor, PosixReactorBase)
        and all(hasattr(FileDescriptor(reactor), name) for name in _QUEUE)  # type: ignore[arg-type]  # it is one
        and all(hasattr(tcp.Connection, name) for name in _CONNECTION)
        and hasattr(tcp.Port, "_fromListeningDescriptor")
        and "_makeTransport" in vars(tcp.Connector)  # its base has one that does nothing
    )


class _Eager:
    """Mixed in before a stream transport of Twisted's.

    What every transport has is kept in slots: that is a third of its memory, and quick.
    """

    __slots__ = (
        "_aborting",
        "_held",
        "_outbox",
        "_tempDataBuffer",
        "_tempDataLen",
        "_writeDisconnected",
        "connected",
        "dataBuffer",
        "disconnected",
        "disconnecting",
        "fileno",
        "offset",
        "producer",
        "producerPaused",
        "protocol",
        "reactor",
        "socket",
        "streamingProducer",
    )

    def _prepare(self: Any, reactor: Any) -> None:
        """Fill the slots as Twisted's classes would, before their own initialisation."""
        self._outbox = outbox_of(reactor)
        self._held = False  # whether dataBuffer waits in the outbox
        self._aborting = self._writeDisconnected = self.streamingProducer = self.producerPaused = False
        self.connected = self.disconnected = self.disconnecting = self.offset = 0
        self.dataBuffer = b""
        self.producer = None

    def write(self: Any, data: Any) -> None:
        """Send now, or when this turn ends, what the socket takes; queue the rest."""
        if (
            self.dataBuffer  # something is held, queued, or half sent
            or self._tempDataLen
            or not self.connected
            or self.disconnecting
            or self._writeDisconnected
            or self.TLS
            or (self.producer is not None and not self.streamingProducer)  # it is asked for more when a queue has gone
            or not data
            or not isinstance(data, bytes)
            or self._aborting
        ):
            if not self._aborting and not (self._held and self._hold_more(data)):
                super().write(data)  # type: ignore[misc]  # of the class this is mixed into
            return
        outbox = self._outbox
        if outbox.is_open and len(data) <= LARGEST:
            self.dataBuffer = data
            self._held = True
            outbox.put(self)
        else:
            self._send(data)

    def _hold_more(self: Any, data: Any) -> bool:
        """Hold another piece together with what is held; False if that has been sent instead."""
        if (
            self._tempDataLen
            or not self.connected
            or self.disconnecting
            or self._writeDisconnected
            or self.TLS
            or (self.producer is not None and not self.streamingProducer)
            or not isinstance(data, bytes)
            or len(self.dataBuffer) + len(data) > LARGEST
        ):
            self.send_held()
            return False
        self.dataBuffer += data
        return True

    def send_held(self: Any) -> None:
        """Send what waits in the outbox; nothing where that has been done."""
        if self._held:
            self._held = False
            data, offset = self.dataBuffer, self.offset
            if data and not offset and self.connected:
                self.dataBuffer = b""
                self._send(data)

    def _send(self: Any, data: bytes) -> None:
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0  # it is full, or broken: Twisted meets the same on the next turn, and handles it
        if sent != len(data):
            self.dataBuffer = data
            self.offset = sent
            self._maybePauseProducer()
            self.startWriting()

    def writeSequence(self: Any, pieces: Iterable[bytes]) -> None:
        """Write several pieces as one."""
        self.write(b"".join(pieces))

    def doRead(self: Any) -> Exception | None:
        """Read once, and hand it on without further ado."""
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if data:
            self.protocol.dataReceived(data)
            return None
        return CONNECTION_DONE


class EagerServer(_Eager, tcp.Server):  # type: ignore[misc]  # doRead tells less
    """An accepted connection."""

    def __init__(
        self, sock: socket.socket, protocol: Any, client: Any, server: Any, session: int, reactor: Any
    ) -> None:
        self._prepare(reactor)
        super().__init__(sock, protocol, client, server, session, reactor)
        self.setTcpNoDelay(True)  # each write is a packet of its own: none may wait for another's acknowledgement


class EagerClient(_Eager, tcp.Client):  # type: ignore[misc]  # doRead tells less
    """An opened connection."""

    def __init__(self, host: str, port: int, bind: Any, connector: Any, reactor: Any) -> None:
        self._prepare(reactor)
        super().__init__(host, port, bind, connector, reactor)

    def createInternetSocket(self) -> socket.socket:
        """Make the socket; see `EagerServer`."""
        made: socket.socket = super().createInternetSocket()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


class EagerPort(tcp.Port):
    """A listening port whose connections are eager."""

    transport = EagerServer  # type: ignore[assignment]  # its __init__ names fewer arguments


class EagerConnector(tcp.Connector):
    """A connector whose connection is eager."""

    def _makeTransport(self) -> EagerClient:
        return EagerClient(self.host, self.port, self.bindAddress, self, self.reactor)


class EagerReactor:
    """A reactor that makes eager TCP ports and connections and lean TLS, and is the given one in all else.

    Endpoints that are given this one instead of the real reactor need no other change.
    Made by `eager`.

    Args:
        reactor: the real one.
    """

    def __init__(self, reactor: Any) -> None:
        self._real = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def listenTCP(self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = "") -> IListeningPort:
        """Listen; see `IReactorTCP`."""
        listening = EagerPort(port, factory, backlog, interface, self._real)
        listening.startListening()
        return listening

    def listenSSL(
        self, port: int, factory: IProtocolFactory, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen with TLS on top; see `IReactorSSL`."""
        listening = self.listenTCP(port, server_tls(contextFactory, factory, self._real), backlog, interface)
        listening._type = "TLS"  # type: ignore[attr-defined]  # as Twisted's own listenSSL does
        return listening

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory) -> IListeningPort:
        """Listen on a socket that somebody else has bound; see `IReactorSocket`."""
        adopted: IListeningPort
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            adopted = self._real.adoptStreamPort(fileDescriptor, addressFamily, factory)
            return adopted
        listening = EagerPort._fromListeningDescriptor(self._real, fileDescriptor, addressFamily, factory)
        listening.startListening()
        adopted = listening
        return adopted

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """Connect; see `IReactorTCP`."""
        connector: IConnector = EagerConnector(host, port, factory, timeout, bindAddress, self._real)
        connector.connect()
        return connector


def eager(reactor: Any) -> Any:
    """Give a reactor whose TCP transports send at once, or the same one where that cannot be had.

    Meant for endpoints: timers are better asked for at the real one.
    """
    return EagerReactor(reactor) if is_supported(reactor) else reactor
