"""A scripted upstream on a raw socket: every fault that a provider can have, over TCP and TLS.

A test sets what happens at each moment of a connection's life::

    server = FaultServer(reactor)
    server.on_request = lambda peer, asked: peer.send(answer(b"hello"))
    origin = server.listen()
    …
    await server.stop()

and may wait for anything with `FaultServer.until`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolNegotiationFactory, IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from relay.errors import UpstreamError
from relay.exchange import UpstreamRequest
from relay.interfaces import IUpstream, IUpstreamResponse
from relay.provider import Origin, Timeouts
from relay.upstream.client import Upstream


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


@attrs.frozen
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> list[bytes]:
        """All values of a field, its name in lower case."""
        return [value for key, value in self.headers if key == name]


@implementer(IPullProducer)
class _Pour:
    def __init__(self, peer: Peer, block: bytes) -> None:
        self._peer = peer
        self._block = block

    def resumeProducing(self) -> None:
        self._peer.poured += len(self._block)
        self._peer.send(self._block)

    def stopProducing(self) -> None:
        pass


class Peer(Protocol):
    """The server's end of one connection.

    Attributes:
        received: bytes that came, whatever they are.
        asked: requests that came whole.
        poured: bytes written by `pour`.
        lost: why the connection ended, or None.
    """

    def __init__(self, server: FaultServer) -> None:
        self.server = server
        self.received = 0
        self.asked: list[Asked] = []
        self.poured = 0
        self.lost: Failure | None = None
        self._buffer = b""
        self._head_seen = False
        self._calls: list[IDelayedCall] = []

    @property
    def wire(self) -> Any:
        """The transport."""
        return self.transport

    def connectionMade(self) -> None:
        self.server.peers.append(self)
        self.server.on_connect(self)
        self.server.check()

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        self._buffer += data
        self._cut()
        self.server.check()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason
        for call in self._calls:
            if call.active():
                call.cancel()
        self.server.check()

    def send(self, *pieces: bytes) -> None:
        """Write."""
        self.wire.write(b"".join(pieces))

    def close(self) -> None:
        """Write what is left, then close tidily (FIN; over TLS an alert before it)."""
        self.wire.loseConnection()

    def cut(self) -> None:
        """Close TCP without TLS's farewell."""
        self.wire.transport.loseConnection()

    def half_close(self) -> None:
        """Write no more, but read on (FIN, TCP only)."""
        self.wire.loseWriteConnection()

    def reset(self) -> None:
        """Break the connection off (RST)."""
        self.wire.abortConnection()

    def silence(self) -> None:
        """Do nothing more: neither what was put off, nor reading; the connection stays."""
        for call in self._calls:
            if call.active():
                call.cancel()
        self.wire.unregisterProducer()
        self.wire.pauseProducing()

    def stop_reading(self) -> None:
        """Take no more bytes from the socket."""
        self.wire.pauseProducing()

    def go_on_reading(self) -> None:
        """Undo `stop_reading`."""
        self.wire.resumeProducing()

    def later(self, act: Callable[[], object], seconds: float = 0.01) -> None:
        """Do something in a moment, unless the connection ends before."""
        self._calls.append(self.server.clock.callLater(seconds, act))

    def drip(self, data: bytes, seconds: float = 0.02) -> None:
        """Write a little again and again."""
        self.send(data)
        self.later(lambda: self.drip(data, seconds), seconds)

    def pour(self, block: bytes) -> None:
        """Write the block for ever, as fast as it is taken."""
        self.wire.registerProducer(_Pour(self, block), False)

    def _cut(self) -> None:
        top, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = top.split(b"\r\n")
        method, target, _ = first.decode("ascii").split(" ")
        pairs = [line.split(b": ", 1) for line in lines]
        headers = tuple((name.lower(), value) for name, value in pairs)
        asked = Asked(method, target, headers, b"")
        if not self._head_seen:
            self._head_seen = True
            self.server.on_head(self, asked)
        length = int((asked.header(b"content-length") or [b"0"])[0])
        if len(rest) >= length:
            whole = attrs.evolve(asked, body=rest[:length])
            self._buffer = rest[length:]
            self._head_seen = False
            self.asked.append(whole)
            self.server.on_request(self, whole)


@implementer(IProtocolNegotiationFactory)
class FaultServer(Factory):
    """Listens on 127.0.0.1; what it does is set by its three ``on_`` attributes.

    Attributes:
        on_connect: a connection was made.
        on_head: a request's head has come.
        on_request: a whole request has come (only ``Content-Length`` bodies are understood).
        peers: all connections, closed ones too.
    """

    noisy = False

    def __init__(self, reactor: Any) -> None:
        self.on_connect: Callable[[Peer], object] = lambda _: None
        self.on_head: Callable[[Peer, Asked], object] = lambda *_: None
        self.on_request: Callable[[Peer, Asked], object] = lambda *_: None
        self.peers: list[Peer] = []
        self.clock = reactor
        self._port: IListeningPort | None = None
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    @property
    def asked(self) -> list[Asked]:
        """All whole requests, in the order of their connections."""
        return [asked for peer in self.peers for asked in peer.asked]

    def buildProtocol(self, addr: object) -> Peer:
        return Peer(self)

    def acceptableProtocols(self) -> list[bytes]:
        """What may be agreed on by ALPN; Twisted's servers break off where that is nothing that is offered."""
        return [b"http/1.1"]

    def listen(self, tls: CertificateOptions | None = None, host: str = "127.0.0.1") -> Origin:
        """Begin to listen on an ephemeral port."""
        if tls is None:
            self._port = self.clock.listenTCP(0, self, interface="127.0.0.1")
        else:
            self._port = self.clock.listenSSL(0, self, tls, interface="127.0.0.1")
        port = cast("IListeningPort", self._port).getHost().port  # type: ignore[attr-defined]  # it is an IP address
        return Origin("http" if tls is None else "https", host, port)

    def reply(self, *pieces: bytes) -> None:
        """Answer every request so from now on."""
        self.on_request = lambda peer, _: peer.send(*pieces)

    def reply_without_end(self, top: bytes, block: bytes) -> None:
        """Answer every request with a head, and then with the block for ever, as fast as it is taken."""

        def script(peer: Peer, _: Asked) -> None:
            peer.send(top)
            peer.pour(block)

        self.on_request = script

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires as soon as the condition holds; looked at after each event on any connection."""
        if condition():
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting.append((condition, waiter))
        return waiter

    def all_closed(self) -> Deferred[None]:
        """Fires when every connection has ended."""
        return self.until(lambda: all(peer.lost is not None for peer in self.peers))

    def check(self) -> None:
        """Something has happened: see who was waiting for it."""
        for each in [each for each in self._waiting if each[0]()]:
            self._waiting.remove(each)
            each[1].callback(None)

    async def stop(self) -> None:
        """Stop listening and drop all connections; returns when they are gone."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        for peer in self.peers:
            if peer.lost is None:
                peer.reset()
        await self.all_closed()


class Authority:
    """A certificate authority made for one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("authority", self._key, None, days=1)

    @property
    def trust(self) -> Any:
        """What a client gives as its trusted root."""
        return trustRootFromCertificates([Certificate(self._load(self._certificate))])

    def server(self, host: str, *, days: float = 1) -> CertificateOptions:
        """TLS settings of a server with a certificate for a host, valid for so many days from now (or ago)."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._options(self._sign(host, key, self._certificate, days=days), key)

    def nameless(self, host: str) -> CertificateOptions:
        """TLS settings of a server whose certificate names the host in its subject only."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._options(self._sign(host, key, self._certificate, days=1, alternatives=False), key)

    def self_signed(self, host: str) -> CertificateOptions:
        """TLS settings of a server that nobody vouches for."""
        other = Authority()
        return other.server(host)

    def _sign(
        self,
        host: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        *,
        days: float,
        alternatives: bool = True,
    ) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.now(UTC)
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if issuer is None else issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _options(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> CertificateOptions:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        both = certificate.public_bytes(serialization.Encoding.PEM) + pem
        options: CertificateOptions = PrivateCertificate.loadPEM(both).options()
        return options

    @staticmethod
    def _load(certificate: x509.Certificate) -> Any:
        return Certificate.loadPEM(certificate.public_bytes(serialization.Encoding.PEM)).original


_Error = TypeVar("_Error", bound=BaseException)


class UpstreamCase(TestCase):
    """One `FaultServer` and one upstream, over TCP, or TLS where a subclass says so.

    After each test, idle connections must have closed tidily, and nothing may be left.
    """

    tls = False
    trust: Any = None
    timeout = 20

    def setUp(self) -> None:
        self.server = FaultServer(reactor)
        if self.tls:
            authority = Authority()
            self.origin = self.server.listen(authority.server("127.0.0.1"))
            self.trust = authority.trust
        else:
            self.origin = self.server.listen()
        self.upstream = self.make(trust=self.trust)

    def make(self, **settings: Any) -> IUpstream:
        """Make the upstream under test."""
        return Upstream(cast("Any", reactor), **settings)

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        await self.upstream.close()
        await self.server.stop()

    def request(self, *, body: Any = b'{"n":1}', stream: bool = False, **deadlines: float) -> UpstreamRequest:
        """A POST to the server; ``deadlines`` replace those of ten seconds."""
        times: dict[str, Any] = {"connect": 10.0, "first_byte": 10.0, "idle": 10.0, "total": 10.0, **deadlines}
        return UpstreamRequest(
            deployment="p/m",
            provider="p",
            method="POST",
            origin=self.origin,
            target="/v1/x",
            headers=((b"content-type", b"application/json"),),
            body=body,
            stream=stream,
            timeouts=Timeouts(**times),
        )

    def send(self, *, body: Any = b'{"n":1}', stream: bool = False, **deadlines: float) -> Deferred[IUpstreamResponse]:
        """Send what `request` makes."""
        return self.upstream.send(self.request(body=body, stream=stream, **deadlines))

    def moment(self, seconds: float = 0.0) -> Deferred[None]:
        """Fires in a later turn of the reactor."""
        return deferLater(cast("Any", reactor), seconds)

    async def fails(self, kind: type[_Error], waiting: Awaitable[object], label: str = "") -> _Error:
        """Wait for an error of exactly this class."""
        try:
            result = await waiting
        except BaseException as error:
            if type(error) is not kind:
                raise AssertionError(f"{label}: {error!r} instead of {kind.__name__}") from error
            if isinstance(error, UpstreamError):
                self.assertEqual(error.deployment, "p/m")
                self.assertNotIn("127.0.0.1", error.message)
            return error
        raise AssertionError(f"{label}: {result!r} instead of {kind.__name__}")
