"""TCP transports that send at once.

Twisted's own queue every write until the next turn of the loop: two system calls to watch
the socket and a copy, for each. These send right away when nothing is queued, and leave
the rest, and every special case, to Twisted. Backpressure is unchanged.

They reach for four attributes of `twisted.internet.abstract.FileDescriptor` that are not
public (``_tempDataLen``, ``dataBuffer``, ``offset``, ``_writeDisconnected``);
`is_supported` tells whether they are there.
"""

# mypy: allow-untyped-calls
# (twisted.internet.tcp is largely unannotated)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IConnector, IListeningPort, IProtocolFactory
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import directlyProvides, providedBy

_READ = 64 * 1024


def is_supported() -> bool:
    """Whether this version of Twisted has what eager transports reach for."""
    return all(hasattr(FileDescriptor, name) for name in ("dataBuffer", "offset", "_writeDisconnected", "SEND_LIMIT"))


class _Eager:
    """Mixed in before a stream transport of Twisted's."""

    _tempDataLen: int
    dataBuffer: bytes
    offset: int

    def write(self: Any, data: bytes) -> None:
        """Send now what the socket takes; queue the rest."""
        if (
            self.connected
            and not self.disconnecting
            and not self._tempDataLen
            and self.offset == len(self.dataBuffer)
            and not self._writeDisconnected
            and not self.TLS
            and (self.producer is None or self.streamingProducer)
        ):
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = 0  # the queued write meets the same error, where Twisted handles it
            if sent == len(data):
                return
            data = data[sent:] if sent else data
        FileDescriptor.write(self, data)

    def writeSequence(self: Any, pieces: Iterable[bytes]) -> None:
        """Write several pieces as one."""
        self.write(b"".join(pieces))

    def doRead(self: Any) -> Exception | None:
        """Read once, and hand it on without further ado."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None


class EagerServer(_Eager, tcp.Server):  # type: ignore[misc]  # doRead tells less
    """An accepted connection."""


class EagerClient(_Eager, tcp.Client):  # type: ignore[misc]  # doRead tells less
    """An opened connection."""


class EagerPort(tcp.Port):
    """A listening port whose connections are eager."""

    transport = EagerServer


class EagerConnector(tcp.Connector):
    """A connector whose connection is eager."""

    def _makeTransport(self) -> EagerClient:
        return EagerClient(self.host, self.port, self.bindAddress, self, self.reactor)


class EagerReactor:
    """A reactor that makes eager TCP ports and connections, and is the given one in all else.

    Endpoints that are given this one instead of the real reactor need no other change.

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
        tls = TLSMemoryBIOFactory(contextFactory, False, factory)
        listening = self.listenTCP(port, tls, backlog, interface)
        listening._type = "TLS"  # type: ignore[attr-defined]  # as Twisted's own listenSSL does
        return listening

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory) -> IListeningPort:
        """Listen on a socket that somebody else has bound; see `IReactorSocket`."""
        listening = EagerPort._fromListeningDescriptor(self._real, fileDescriptor, addressFamily, factory)
        listening.startListening()
        adopted: IListeningPort = listening
        return adopted

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """Connect; see `IReactorTCP`."""
        connector: IConnector = EagerConnector(host, port, factory, timeout, bindAddress, self._real)
        connector.connect()
        return connector
