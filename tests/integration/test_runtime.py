"""The runtime over real sockets: the same tests on Twisted's transports, on eager ones, and with TLS on them."""

from __future__ import annotations

import errno
import functools
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, cast

from OpenSSL import SSL

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    _SystemdParser,
    clientFromString,
    serverFromString,
    wrapClientTLS,
)
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface import implementer

from relay.runtime.poll import install_lean_poll
from relay.runtime.session import LeanTLS
from relay.runtime.tls import wrap_client_tls
from relay.runtime.transport import EagerClient, EagerServer, eager
from relay.runtime.trust import Trust
from tests.unit.runtime.authority import Authority, authority, issued

HOST = "localhost"
reactor: Any = global_reactor


class Peer(Protocol):
    """One end of a connection: keeps what comes, and tells whoever waits when something happens."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost: Failure | None = None
        self.read_ended = self.secured = False
        self.told: list[str] = []
        self.slow = False
        self.on_data: Callable[[bytes], object] = lambda data: None
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    @property
    def wire(self) -> Any:
        """The transport."""
        return self.transport

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires when a condition holds; it is looked at whenever something happens here."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((condition, waiting))
        self.check()
        return waiting

    def ended(self) -> Deferred[None]:
        """Fires when the connection is over."""
        return self.until(lambda: self.lost is not None)

    def got(self, count: int) -> Deferred[None]:
        """Fires when so many bytes have come."""
        return self.until(lambda: len(self.received) >= count)

    def check(self) -> None:
        """Something has happened."""
        for each in [each for each in self._waiting if each[0]()]:
            self._waiting.remove(each)
            each[1].callback(None)

    def connectionMade(self) -> None:
        self.check()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self.slow:
            self.wire.pauseProducing()
            reactor.callLater(0, self._on)
        self.on_data(data)
        self.check()

    def _on(self) -> None:
        if self.lost is None:
            self.wire.resumeProducing()

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason
        self.check()

    # as a producer

    def pauseProducing(self) -> None:
        self.told.append("pause")
        self.check()

    def resumeProducing(self) -> None:
        self.told.append("resume")
        self.check()

    def stopProducing(self) -> None:
        self.told.append("stop")


@implementer(IHalfCloseableProtocol)
class HalfPeer(Peer):
    """One that goes on when the other end has only stopped writing."""

    def readConnectionLost(self) -> None:
        self.read_ended = True
        self.check()

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")
        self.check()


@implementer(IProtocolNegotiationFactory)
class Peers(Factory):
    """Makes peers, and keeps them."""

    noisy = False

    def __init__(self, kind: type[Peer] = Peer) -> None:
        self._kind = kind
        self.made: list[Peer] = []

    def buildProtocol(self, addr: object) -> Peer:
        self.made.append(self._kind())
        return self.made[-1]

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]


class RuntimeCase(TestCase):
    """A server and a client on a loopback socket.

    Attributes:
        eager: whether their transports are ours.
        lean: whether the loop's turn is.
    """

    eager = True
    lean = False
    timeout = 60

    def setUp(self) -> None:
        self.reactor = eager(reactor) if self.eager else reactor
        if self.lean:
            if not install_lean_poll(reactor):
                raise SkipTest("this reactor has no epoll")
            self.addCleanup(delattr, reactor, "doIteration")
        self.servers = Peers()
        self.clients: list[Peer] = []

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        for peer in (*self.servers.made, *self.clients):
            if peer.lost is None:
                peer.wire.abortConnection()
                await peer.ended()

    async def listen(self, endpoint: str = "tcp:0:interface=127.0.0.1") -> Any:
        """Listen on an endpoint; returns the port."""
        port = await serverFromString(self.reactor, endpoint).listen(self.servers)
        self.addCleanup(port.stopListening)
        return port

    async def connect(self, endpoint: Any, kind: type[Peer] = Peer) -> tuple[Any, Any]:
        """Connect; returns the client and the server."""
        client = cast("Peer", await endpoint.connect(Peers(kind)))
        self.clients.append(client)
        while len(self.servers.made) < len(self.clients):
            await deferLater(reactor, 0)
        server = self.servers.made[-1]
        while server.transport is None:
            await deferLater(reactor, 0)
        return client, server

    async def pair(self, kind: type[Peer] = Peer) -> tuple[Any, Any]:
        """A client and the server that it is connected to."""
        self.servers = Peers(kind)
        self.clients.clear()
        port = await self.listen()
        return await self.connect(TCP4ClientEndpoint(self.reactor, "127.0.0.1", port.getHost().port), kind)

    def lost(self, peer: Peer, *reasons: type[Exception]) -> None:
        """A connection has ended for one of these reasons."""
        assert peer.lost is not None
        self.assertIsInstance(peer.lost.value, reasons)


@functools.cache
def body(size: int) -> bytes:
    """Bytes that tell when something is missing or in another order."""
    words = b"".join(b"%07d " % number for number in range(size // 8 + 1))
    return words[:size]


class TransferTests(RuntimeCase):
    """What holds on every transport; the subclasses below say which.

    Attributes:
        also: what else a client may call a clean end.
    """

    eager = False
    also: ClassVar[tuple[type[Exception], ...]] = ()

    async def test_slowReader(self) -> None:
        """Megabytes in one write arrive exactly, at a reader that pauses after every read."""
        client, server = await self.pair()
        client.slow = True
        data = body(12_000_000)
        server.wire.write(data)
        await client.got(len(data))
        self.assertEqual(bytes(client.received), data)

    async def test_manyWrites(self) -> None:
        """Thousands of writes of odd sizes arrive as one stream, both ways at once."""
        client, server = await self.pair()
        data = body(3_000_000)
        at = turn = 0
        while at < len(data):
            size = (turn * 7919) % 4000 + 1
            client.wire.write(data[at : at + size])
            server.wire.writeSequence([data[at : at + size // 2], data[at + size // 2 : at + size]])
            at, turn = at + size, turn + 1
        await client.got(len(data))
        await server.got(len(data))
        self.assertTrue(bytes(client.received) == bytes(server.received) == data)

    async def test_pingPong(self) -> None:
        """A thousand questions and answers, each written while the one before is read."""
        client, server = await self.pair()
        server.on_data = server.wire.write

        def again(data: bytes) -> None:
            if len(client.received) < 1000:
                client.wire.write(data)

        client.on_data = again
        client.wire.write(b"x")
        await client.got(1000)

    async def test_backpressure(self) -> None:
        """A producer is paused when the reader stops, and resumed when it goes on; what is queued stays bounded."""
        client, server = await self.pair()
        client.wire.pauseProducing()
        server.wire.registerProducer(server, True)
        chunk, written = body(16_384), 0
        while not server.told:
            server.wire.write(chunk)
            written += len(chunk)
            if written % (1 << 20) == 0:
                await deferLater(reactor, 0)
            self.assertLess(written, 64 << 20)
        self.assertEqual(server.told, ["pause"])
        client.wire.resumeProducing()
        await server.until(lambda: len(server.told) > 1)
        self.assertEqual(server.told, ["pause", "resume"])
        server.wire.unregisterProducer()
        await client.got(written)
        self.assertEqual(bytes(client.received), chunk * (written // len(chunk)))

    async def test_pullProducer(self) -> None:
        """A pull producer is asked piece by piece until it unregisters."""
        client, server = await self.pair()
        pieces = [body(50_000 + number) for number in range(100)]

        class Pull:
            def resumeProducing(self) -> None:
                if left:
                    server.wire.write(left.pop(0))
                else:
                    server.wire.unregisterProducer()
                    server.wire.loseConnection()

            def stopProducing(self) -> None:
                """It never is."""

        left = list(pieces)
        server.wire.registerProducer(Pull(), False)
        await client.ended()
        self.assertEqual(bytes(client.received), b"".join(pieces))
        self.lost(client, ConnectionDone, *self.also)

    async def test_closeAfterMuch(self) -> None:
        """``loseConnection`` right after a large write closes when all of it has arrived."""
        client, server = await self.pair()
        client.slow = True
        data = body(5_000_000)
        server.wire.write(data)
        server.wire.loseConnection()
        await client.ended()
        await server.ended()
        self.assertEqual(bytes(client.received), data)
        self.lost(client, ConnectionDone, *self.also)
        self.lost(server, ConnectionDone)

    async def test_abort(self) -> None:
        """An abort ends both ends at once, whatever is under way."""
        for busy in (False, True):
            client, server = await self.pair()
            if busy:
                client.wire.pauseProducing()
                server.wire.write(body(20_000_000))
            server.wire.abortConnection()
            server.wire.write(b"late")
            client.wire.resumeProducing()
            await server.ended()
            await client.ended()
            self.assertNotIn(b"late", client.received)
            self.lost(server, ConnectionAborted, ConnectionLost)  # Twisted's TLS calls it lost
            self.lost(client, ConnectionLost)

    async def test_readerLeaves(self) -> None:
        """A reader that leaves in the middle of a large answer is noticed, and its producer told."""
        client, server = await self.pair()
        client.wire.pauseProducing()
        server.wire.registerProducer(server, True)
        server.wire.write(body(20_000_000))
        client.wire.abortConnection()
        await server.ended()
        self.assertEqual(server.told[-1], "stop")
        server.wire.write(b"late")


class EagerTransferTests(TransferTests):
    """Eager transports."""

    eager = True

    async def test_areEager(self) -> None:
        """Both ends are ours."""
        client, server = await self.pair()
        self.assertIsInstance(client.wire, EagerClient)
        self.assertIsInstance(server.wire, EagerServer)
        self.assertTrue(client.wire.getTcpNoDelay())
        self.assertTrue(server.wire.getTcpNoDelay())

    async def test_sentWhenWritten(self) -> None:
        """What was written is with the kernel before the loop turns."""
        port = await self.listen()
        with socket.create_connection(("127.0.0.1", port.getHost().port)) as client:
            await self.arrived()
            server: Any = self.servers.made[0]
            server.wire.write(b"at once")
            client.setblocking(False)
            self.assertEqual(client.recv(100), b"at once")
        await server.ended()

    async def test_turnedIntoTLS(self) -> None:
        """TLS can be started on an open connection; from then on nothing is sent in plain."""
        client, server = await self.pair()
        server.wire.startTLS(issued(HOST).options())
        client.wire.startTLS(optionsForClientTLS(HOST, authority().trust))
        data = body(500_000)
        client.wire.write(data)
        server.wire.write(data)
        await client.got(len(data))
        await server.got(len(data))
        self.assertTrue(bytes(client.received) == bytes(server.received) == data)
        client.wire.loseConnection()
        await server.ended()
        self.lost(server, ConnectionDone)

    async def arrived(self) -> None:
        """Wait for the first connection."""
        while not self.servers.made:
            await deferLater(reactor, 0)


class LeanPollTransferTests(EagerTransferTests):
    """Eager transports, and the lean turn."""

    lean = True

    async def test_otherThreads(self) -> None:
        """Another thread can wake the loop."""
        woken: Deferred[int] = Deferred()
        threading.Timer(0.05, lambda: reactor.callFromThread(woken.callback, 1)).start()
        self.assertEqual(await woken, 1)
        self.assertEqual(await deferToThread(lambda: 2), 2)


class StockLeanPollTransferTests(TransferTests):
    """Twisted's transports, and the lean turn."""

    lean = True


class HalfCloseTests(RuntimeCase):
    """Closing one direction of TCP, on both kinds of transport."""

    async def test_halfClose(self) -> None:
        """A client that stops writing after much still gets all of the answer."""
        for ours in (False, True):
            self.reactor = eager(reactor) if ours else reactor
            client, server = await self.pair(HalfPeer)
            data = body(2_000_000)
            client.wire.write(data)
            client.wire.loseWriteConnection()
            await server.until(lambda server=server: server.read_ended)
            self.assertEqual(bytes(server.received), data)
            server.wire.write(data)
            server.wire.loseConnection()
            await client.until(lambda client=client: client.read_ended)
            self.assertEqual(bytes(client.received), data)
            client.wire.write(b"nothing")
            client.wire.loseConnection()
            await client.ended()
            await server.ended()

    async def test_halfCloseIsTheEnd(self) -> None:
        """For a protocol that knows of no halves, the end of reading is the end."""
        client, server = await self.pair()
        client.wire.loseWriteConnection()
        await server.ended()
        self.lost(server, ConnectionDone)


class TLSTransferTests(TransferTests):
    """Lean TLS at both ends, on eager transports."""

    eager = True
    lean = True
    kinds: ClassVar[tuple[str, str]] = ("lean", "lean")

    async def pair(self, kind: type[Peer] = Peer) -> tuple[Any, Any]:
        """A client and a server that are about to speak TLS."""
        self.servers = Peers(kind)
        self.clients.clear()
        serving = self.reactor if self.kinds[1] == "lean" else reactor
        port = serving.listenSSL(0, self.servers, issued(HOST).options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        below = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port.getHost().port)
        trust = authority().trust
        if self.kinds[0] == "lean":
            endpoint = wrap_client_tls(Trust(trust).peer(HOST), below)
        else:
            endpoint = wrapClientTLS(optionsForClientTLS(HOST, trust, acceptableProtocols=[b"http/1.1"]), below)
        client, server = await self.connect(endpoint, kind)
        server.on_data = lambda data: server.wire.write(b"!")
        client.wire.write(b"?")
        await client.got(1)
        server.on_data = lambda data: None
        client.received.clear()
        server.received.clear()
        return client, server


class LeanClientTLSTransferTests(TLSTransferTests):
    """Our TLS at the client, Twisted's at the server."""

    kinds = ("lean", "stock")


class LeanServerTLSTransferTests(TLSTransferTests):
    """Twisted's TLS at the client, ours at the server."""

    kinds = ("stock", "lean")
    also = (ConnectionLost,)  # Twisted's client answers the goodbye, and takes ill that nobody listens any more


class EndpointTests(RuntimeCase):
    """Every kind of endpoint on the eager reactor."""

    async def talk(self, endpoint: Any) -> tuple[Any, Any]:
        """Say something each way."""
        client, server = await self.connect(endpoint)
        client.wire.write(b"hello")
        await server.got(5)
        server.wire.write(b"goodbye")
        server.wire.loseConnection()
        await client.ended()
        self.assertEqual((bytes(client.received), bytes(server.received)), (b"goodbye", b"hello"))
        await server.ended()
        self.lost(server, ConnectionDone)
        return client, server

    async def test_tcp(self) -> None:
        """``tcp:`` by address and by name."""
        port = (await self.listen()).getHost().port
        for endpoint in (
            TCP4ClientEndpoint(self.reactor, "127.0.0.1", port),
            HostnameEndpoint(self.reactor, "localhost", port),
            clientFromString(self.reactor, f"tcp:127.0.0.1:{port}"),
        ):
            client, server = await self.talk(endpoint)
            self.assertEqual((type(client.transport), type(server.transport)), (EagerClient, EagerServer))

    async def test_tcp6(self) -> None:
        """``tcp6:``, with IPv6 addresses at both ends."""
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError as error:
            raise SkipTest(f"no IPv6 here: {errno.errorcode[error.errno or 0]}") from error
        port = await self.listen(r"tcp6:0:interface=\:\:1")
        endpoint = TCP6ClientEndpoint(self.reactor, "::1", port.getHost().port)
        client, server = await self.connect(endpoint)
        self.assertEqual((type(client.transport), type(server.transport)), (EagerClient, EagerServer))
        self.assertEqual((client.wire.getPeer(), server.wire.getPeer().host), (port.getHost(), "::1"))
        await self.talk(endpoint)

    async def test_ssl(self) -> None:
        """``ssl:`` gets lean TLS."""
        pem = issued(HOST).write(Path(self.mktemp()))
        port = (await self.listen(f"ssl:0:interface=127.0.0.1:privateKey={pem}")).getHost().port
        peer = Trust(authority().trust).peer(HOST)
        for below in (
            TCP4ClientEndpoint(self.reactor, "127.0.0.1", port),
            HostnameEndpoint(self.reactor, "localhost", port),
        ):
            client, server = await self.talk(wrap_client_tls(peer, below))
            self.assertEqual((type(client.transport), type(server.transport)), (LeanTLS, LeanTLS))
            client, server = await self.talk(wrapClientTLS(peer, below))
            self.assertIsNot(type(client.transport), LeanTLS)

    async def test_unix(self) -> None:
        """``unix:`` is Twisted's."""
        path = self.mktemp()
        await self.listen(f"unix:{path}")
        client, server = await self.talk(clientFromString(self.reactor, f"unix:{path}"))
        self.assertNotIsInstance(client.transport, EagerClient)
        self.assertNotIsInstance(server.transport, EagerServer)

    async def test_systemd(self) -> None:
        """``systemd:`` adopts TCP sockets of both families with eager transports, and Unix sockets with Twisted's."""
        path = self.mktemp()
        for family, address, domain in (
            (socket.AF_INET, ("127.0.0.1", 0), "INET"),
            (socket.AF_UNIX, path, "UNIX"),
        ):
            bound = socket.socket(family)
            bound.bind(address)
            bound.listen()
            bound.setblocking(False)
            name = bound.getsockname()

            class Inherited:
                def inheritedDescriptors(self, bound: socket.socket = bound) -> list[int]:
                    return [bound.detach()]

            self.patch(_SystemdParser, "_sddaemon", Inherited())
            await self.listen(f"systemd:domain={domain}:index=0")
            if family is socket.AF_UNIX:
                _, server = await self.talk(clientFromString(self.reactor, f"unix:{path}"))
                self.assertNotIsInstance(server.transport, EagerServer)
            else:
                _, server = await self.talk(TCP4ClientEndpoint(self.reactor, *name))
                self.assertIsInstance(server.transport, EagerServer)

    async def test_refused(self) -> None:
        """A port that nobody listens on is an error of the endpoint, as ever."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        connecting = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port).connect(Peers())
        failure = await self.assertFailure(connecting, Exception)
        self.assertEqual(type(failure).__name__, "ConnectionRefusedError")

    async def test_cancelled(self) -> None:
        """A connection attempt can be called off."""
        port = (await self.listen()).getHost().port
        connecting = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port).connect(Peers())
        connecting.cancel()
        failure = await self.assertFailure(connecting, Exception)
        self.assertEqual(type(failure).__name__, "ConnectingCancelledError")


class PythonTLSTests(RuntimeCase):
    """Lean TLS against Python's own ssl module at the other end, which blocks in a thread."""

    lean = True

    def context(self) -> ssl.SSLContext:
        """A client that checks the certificate."""
        return ssl.create_default_context(cadata=authority().pem)

    async def asking(self, talk: Callable[[ssl.SSLSocket], Any]) -> tuple[Any, Any]:
        """Have a Python client talk to our server.

        Returns:
            What the client returns, and our server's protocol.
        """
        port = self.reactor.listenSSL(0, self.servers, issued(HOST).options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.servers.made.clear()
        context = self.context()

        def run() -> Any:
            plain = socket.create_connection(("127.0.0.1", port.getHost().port))
            with plain, context.wrap_socket(plain, server_hostname=HOST, suppress_ragged_eofs=False) as client:
                return talk(client)

        result = await deferToThread(run)
        return result, self.servers.made[0]

    async def answering(
        self,
        talk: Callable[[ssl.SSLSocket], Any],
        *,
        by: Any = None,
        host: str = HOST,
        request: bytes = b"request with a key",
    ) -> tuple[Any, Any]:
        """Have our client talk to a Python server.

        Args:
            talk: what the server does once TLS stands.
            by: the certificate that it shows.
            host: the name that our client wants.
            request: written by our client as soon as TCP stands.

        Returns:
            What the server returns, or the error it met, and our client's protocol, whose connection is over.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain((by or issued(HOST)).write(Path(self.mktemp())))
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def run() -> Any:
            plain, _ = listening.accept()
            try:
                with plain, context.wrap_socket(plain, server_side=True) as server:
                    return talk(server)
            except OSError as error:
                return error

        serving = deferToThread(run)
        below = TCP4ClientEndpoint(self.reactor, "127.0.0.1", listening.getsockname()[1])
        endpoint = wrap_client_tls(Trust(authority().trust).peer(host), below)
        client = cast("Peer", await endpoint.connect(Peers()))
        self.clients.append(client)
        client.wire.write(request)
        result = await serving
        await client.ended()
        return result, client

    async def test_largeTransfers(self) -> None:
        """Megabytes both ways arrive exactly."""
        data = body(4_000_000)

        def answer(_: bytes) -> None:
            server: Any = self.servers.made[0]
            if len(server.received) == len(data):
                server.wire.write(data)
                server.wire.loseConnection()

        def ask(client: ssl.SSLSocket) -> bytes:
            reactor.callFromThread(lambda: setattr(self.servers.made[0], "on_data", answer))
            client.sendall(data)
            received = bytearray()
            while piece := client.recv(65536):
                received += piece
            return bytes(received)

        result, server = await self.asking(ask)
        self.assertTrue(result == bytes(server.received) == data)

    async def test_singleBytes(self) -> None:
        """Single bytes in records of their own arrive in order."""
        data = body(1000)

        def serve(server: ssl.SSLSocket) -> bytes:
            received = b""
            while len(received) < len(data):
                received += server.recv(100)
                server.send(received[-1:])
            server.unwrap()
            return received

        result, client = await self.answering(serve, request=data)
        self.assertEqual(result, data)
        self.lost(client, ConnectionDone)

    async def test_handshake(self) -> None:
        """Our client says which host it wants and which protocol, and has no certificate of its own."""

        def serve(server: ssl.SSLSocket) -> Any:
            self.assertEqual(server.recv(100), b"request with a key")
            return server.selected_alpn_protocol(), server.version(), server.getpeercert()

        result, _ = await self.answering(serve)
        self.assertEqual(result, ("http/1.1", "TLSv1.3", None))

    async def test_goodbye(self) -> None:
        """A peer that says goodbye gets one back, and that is a clean end."""
        result, server = await self.asking(lambda client: client.unwrap().fileno())
        self.assertNotEqual(result, None)
        await server.ended()
        self.lost(server, ConnectionDone)

        def serve(server: ssl.SSLSocket) -> None:
            server.recv(100)
            server.sendall(b"all of it")
            server.unwrap()

        _, client = await self.answering(serve)
        self.assertEqual(bytes(client.received), b"all of it")
        self.lost(client, ConnectionDone)

    async def test_truncated(self) -> None:
        """A peer that closes TCP without a goodbye has been cut off: a loss, at server and client."""

        def cut(peer: ssl.SSLSocket) -> None:
            peer.sendall(b"half of")
            peer.shutdown(socket.SHUT_RDWR)

        _, server = await self.asking(cut)
        await server.ended()
        self.assertEqual(bytes(server.received), b"half of")
        self.lost(server, ConnectionLost)

        def read_and_cut(peer: ssl.SSLSocket) -> None:
            peer.recv(100)
            cut(peer)

        _, client = await self.answering(read_and_cut)
        self.assertEqual(bytes(client.received), b"half of")
        self.lost(client, ConnectionLost)

    async def test_ourGoodbye(self) -> None:
        """A Python peer sees our ``loseConnection`` as a clean end, and our abort as none."""

        def read(client: ssl.SSLSocket) -> bytes | str:
            client.send(b"?")
            received = b""
            try:
                while piece := client.recv(100):
                    received += piece
            except (ssl.SSLEOFError, ConnectionResetError) as error:
                return type(error).__name__
            return received

        for end, seen in (
            ("loseConnection", (b"answer",)),
            ("abortConnection", ("SSLEOFError", "ConnectionResetError")),
        ):
            self.servers._kind = type("Ending", (Peer,), {"dataReceived": _ending(end)})
            result, server = await self.asking(read)
            self.assertIn(result, seen)
            await server.ended()

    async def test_badCertificates(self) -> None:
        """Self-signed, for another host, expired, nameless: each is refused before the server sees any request."""
        for by, host, why in (
            (Authority().issue(HOST), HOST, "certificate verify failed"),
            (authority().issue(HOST, days=-1), HOST, "certificate verify failed"),
            (issued("other.example"), HOST, "DNSMismatch"),
            (issued(HOST), "127.0.0.1", "IPAddressMismatch"),
            (issued(), HOST, "subjectAltName"),
        ):
            result, client = await self.answering(lambda server: server.recv(100), by=by, host=host)
            self.assertIsInstance(result, OSError)
            assert client.lost is not None
            self.assertIn(why, repr(client.lost.value))
            self.assertEqual(bytes(client.received), b"")

    async def test_notTLS(self) -> None:
        """A server that does not speak TLS is an error that says so."""
        self.servers._kind = type(
            "Plain", (Peer,), {"dataReceived": lambda self, data: self.wire.write(b"HTTP/1.1 400\r\n")}
        )
        port = (await self.listen()).getHost().port
        peer = Trust(authority().trust).peer(HOST)
        endpoint = wrap_client_tls(peer, TCP4ClientEndpoint(self.reactor, "127.0.0.1", port))
        client, _ = await self.connect(endpoint)
        await client.ended()
        self.lost(client, SSL.Error)


def _ending(how: str) -> Callable[[Peer, bytes], None]:
    def answer(peer: Peer, data: bytes) -> None:
        if how == "loseConnection":
            peer.wire.write(b"answer")
        getattr(peer.wire, how)()

    return answer
