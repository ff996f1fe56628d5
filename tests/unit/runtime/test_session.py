"""Tests of lean TLS in memory: against itself and against Twisted's, with TLS 1.2 and 1.3."""

from __future__ import annotations

import contextlib
from typing import Any

from OpenSSL import SSL

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated, IProtocol, ISSLTransport
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from relay.runtime.session import LeanTLS
from relay.runtime.tls import LeanTLSFactory
from relay.runtime.trust import Trust
from tests.unit.runtime.authority import authority, issued
from tests.unit.runtime.link import Link, Talker, TalkerFactory, Tap

HOST = "provider.example"


class SessionCase(SynchronousTestCase):
    """One connection with TLS on it.

    Attributes:
        lean_client: whether the client is ours.
        lean_server: whether the server is.
        version: the highest that the server speaks.
    """

    lean_client = True
    lean_server = True
    version = TLSVersion.TLSv1_3

    def setUp(self) -> None:
        self.client, self.server = Talker(), Talker()

    def settings(self) -> CertificateOptions:
        """The server's."""
        return issued(HOST).options(lowerMaximumSecurityTo=self.version)

    def connect(self, server: Any = None, client: Any = None, most: int = 65536) -> Link:
        """TCP stands; nothing has moved yet.

        Args:
            server: its settings, if not those of `settings`.
            client: its settings, if not trust in the authority.
            most: bytes that TCP hands over at once.
        """
        clock = Clock()

        def below(lean: bool, creator: Any, above: Talker) -> Any:
            is_client = above is self.client
            if lean:
                return LeanTLSFactory(creator, is_client, TalkerFactory(above)).buildProtocol(None)
            return TLSMemoryBIOFactory(creator, is_client, TalkerFactory(above), clock).buildProtocol(None)

        return Link(
            below(self.lean_client, client or Trust(authority().trust).peer(HOST), self.client),
            below(self.lean_server, server or self.settings(), self.server),
            clock,
            most,
        )

    def connected(self) -> Link:
        """The handshake is over."""
        link = self.connect()
        link.pump()
        self.assertEqual((self.client.events, self.server.events), (["made", "secure"], ["made", "secure"]))
        return link

    def ended(self, talker: Talker, *reasons: type[Exception]) -> None:
        """Its connection is over, for one of these reasons."""
        self.assertEqual(talker.events.count("lost"), 1)
        assert talker.lost is not None
        self.assertIsInstance(talker.lost.value, reasons)


class TransferTests(SessionCase):
    """Bytes and closing, whoever is at the other end. Subclasses below exchange the ends."""

    def test_handshake(self) -> None:
        """Both protocols hear of TCP first, and then of TLS; version, protocol and certificate can be seen."""
        self.connected()
        wire: Any = self.client.transport
        self.assertEqual(wire.getHandle().get_protocol_version_name(), self.version.name.replace("_", "."))
        self.assertEqual(wire.negotiatedProtocol, b"http/1.1")
        server: Any = self.server.transport
        self.assertEqual(server.negotiatedProtocol, b"http/1.1")
        self.assertEqual(server.getHandle().get_servername(), HOST.encode())
        self.assertIsNone(server.getPeerCertificate())  # none was asked for
        self.assertIsNotNone(wire.getPeerCertificate())

    def test_bothWays(self) -> None:
        """What is written arrives, in order, each way."""
        link = self.connected()
        for count in (1, 300, 16384, 16385, 100_000):
            data = bytes(range(256)) * (count // 256) + b"x" * (count % 256)
            self.client.pieces.clear()
            self.server.pieces.clear()
            assert self.client.transport is not None
            assert self.server.transport is not None
            self.client.transport.write(data)
            self.server.transport.writeSequence([data[:1], data[1:]])
            link.pump()
            self.assertEqual((self.client.received, self.server.received), (data, data))

    def test_singleBytes(self) -> None:
        """A thousand writes of one byte arrive as they were, also when TCP hands them over one by one."""
        for most in (65536, 1):
            self.setUp()
            link = self.connect(most=most)
            link.pump()
            data = bytes(index % 251 for index in range(1000))
            assert self.client.transport is not None
            for index in range(1000):
                self.client.transport.write(data[index : index + 1])
            link.pump()
            self.assertEqual(self.server.received, data)

    def test_large(self) -> None:
        """A megabyte in one write arrives, also when TCP cuts it oddly."""
        data = bytes(range(256)) * 4096
        for most in (65536, 1400, 16_389):
            self.setUp()
            link = self.connect(most=most)
            link.pump()
            assert self.server.transport is not None
            self.server.transport.write(data)
            link.pump()
            self.assertEqual(self.client.received, data)

    def test_answersWhileReading(self) -> None:
        """What is written from ``dataReceived`` arrives."""
        self.server.on_data = lambda transport: transport.write(b"pong")
        link = self.connected()
        assert self.client.transport is not None
        self.client.transport.write(b"ping")
        link.pump()
        self.assertEqual((self.server.received, self.client.received), (b"ping", b"pong"))

    def test_writesBeforeTheHandshake(self) -> None:
        """What is written as soon as TCP stands arrives first, followed by what is written when TLS does."""
        self.client.on_made = lambda transport: transport.writeSequence([b"first ", b"second "])
        self.server.on_made = lambda transport: transport.write(b"hello")
        self.connect().pump()
        self.assertEqual((self.server.received, self.client.received), (b"first second ", b"hello"))

    def test_loseConnection(self) -> None:
        """Everything written before ``loseConnection`` arrives, and both ends see a clean end."""
        data = b"x" * 200_000
        link = self.connected()
        wire: Any = self.server.transport
        wire.write(data)
        wire.loseConnection()
        wire.write(b"too late")
        link.pump()
        self.assertEqual(self.client.received, data)
        self.ended(self.client, ConnectionDone)
        self.ended(self.server, ConnectionDone)

    def test_loseConnectionFromTheClient(self) -> None:
        """The same, the other way."""
        link = self.connected()
        wire: Any = self.client.transport
        wire.write(b"bye")
        wire.loseConnection()
        link.pump()
        self.assertEqual(self.server.received, b"bye")
        self.ended(self.client, ConnectionDone)
        self.ended(self.server, ConnectionDone)

    def test_truncated(self) -> None:
        """When TCP ends without a goodbye from TLS, that is a loss at both ends."""
        link = self.connected()
        assert self.server.transport is not None
        self.server.transport.write(b"half of ")
        link.pump()
        link.cut()
        self.assertEqual(self.client.received, b"half of ")
        self.ended(self.client, ConnectionLost)
        self.ended(self.server, ConnectionLost)

    def test_truncatedHandshake(self) -> None:
        """The same before the handshake is over."""
        link = self.connect()
        link.forth()
        link.cut()
        self.ended(self.client, ConnectionLost, SSL.Error)
        self.ended(self.server, ConnectionLost, SSL.Error)

    def test_abort(self) -> None:
        """After an abort nothing is sent or received, and the other end sees a loss."""
        link = self.connected()
        wire: Any = self.client.transport
        wire.abortConnection()
        wire.write(b"late")
        assert self.server.transport is not None
        self.server.transport.write(b"unheard")
        link.pump()
        self.assertEqual((self.server.received, self.client.received), (b"", b""))
        self.ended(self.client, ConnectionAborted if self.lean_client else ConnectionLost)
        self.ended(self.server, ConnectionLost)

    def test_garbage(self) -> None:
        """Bytes that are not TLS end the connection at both ends; the protocol above sees none of them."""
        link = self.connected()
        assert self.server.transport is not None
        self.server.transport.write(b"good")
        link.pump()
        link.server.out += b"\x17\x03\x03\x00\x20" + b"?" * 32
        link.pump()
        self.assertEqual(self.client.received, b"good")
        self.ended(self.client, SSL.Error)
        self.assertIsNotNone(self.server.lost)


class With12(SessionCase):
    """TLS 1.2."""

    version = TLSVersion.TLSv1_2


class AgainstTwisteds12(With12):
    """TLS 1.2 has renegotiation; Twisted's end asks for it."""

    lean_server = False

    def test_renegotiation(self) -> None:
        """A peer that wants to negotiate anew is told that there is no such thing, and nothing comes of it."""
        link = self.connected()
        asking, end = (self.server, link.client) if self.lean_client else (self.client, link.server)
        wire: Any = asking.transport
        wire.getHandle().renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            wire.getHandle().do_handshake()
        end.protocol.dataReceived(wire.getHandle().bio_read(65536))
        session = end.protocol.getHandle()
        self.assertTrue(end.out)  # an alert says no
        link.pump()
        self.assertEqual(session.total_renegotiations(), 0)


class TransferTests12(With12, TransferTests):
    """The same with TLS 1.2."""


class LeanClientTests(TransferTests):
    """Our client, Twisted's server."""

    lean_server = False


class LeanClientTests12(AgainstTwisteds12, LeanClientTests):
    """The same with TLS 1.2."""


class LeanServerTests(TransferTests):
    """Twisted's client, our server."""

    lean_client = False


class LeanServerTests12(AgainstTwisteds12, LeanServerTests):
    """The same with TLS 1.2."""

    lean_server = True


class EndTests(SessionCase):
    """What our ends do beside that."""

    @property
    def wire(self) -> LeanTLS:
        """The client's transport."""
        assert isinstance(self.client.transport, LeanTLS)
        return self.client.transport

    def test_interfaces(self) -> None:
        """It is a transport that is known to be secure, and a protocol."""
        self.connected()
        verifyObject(INegotiated, self.wire)
        self.assertTrue(ISSLTransport.providedBy(self.wire))
        self.assertTrue(IProtocol.providedBy(self.wire))
        self.assertEqual(self.wire.logPrefix(), "Talker (TLS)")

    def test_asksTCP(self) -> None:
        """Addresses, options and reading are TCP's matter."""
        link = self.connected()
        self.assertEqual((self.wire.getHost(), self.wire.getPeer()), (link.client.getHost(), link.client.getPeer()))
        self.assertEqual((self.wire.getTcpNoDelay(), self.wire.getTcpKeepAlive()), (True, False))
        self.wire.setTcpNoDelay(True)
        self.wire.setTcpKeepAlive(True)
        self.assertEqual(link.client.calls, ["no delay True", "keep alive True"])
        self.wire.pauseProducing()
        self.assertTrue(link.client.paused)
        self.wire.resumeProducing()
        self.assertFalse(link.client.paused)

    def test_eachWriteIsSentAtOnce(self) -> None:
        """A write has been handed to TCP when it returns, as one record for up to 16 KiB."""
        link = self.connected()
        for size, records in ((1, 1), (300, 1), (16384, 1), (16385, 2), (1 << 20, 64)):
            self.wire.write(b"x" * size)
            self.assertEqual(len(link.client.take()), size + 22 * records)

    def test_oneDeliveryForOneRead(self) -> None:
        """All records that came with one read are handed on together."""
        link = self.connected()
        assert self.server.transport is not None
        for _ in range(10):
            self.server.transport.write(b"0123456789")
        link.pump()
        self.assertEqual(self.client.pieces, [b"0123456789" * 10])

    def test_nothing(self) -> None:
        """Writing nothing sends nothing."""
        link = self.connected()
        self.wire.write(b"")
        self.wire.writeSequence([])
        self.assertEqual(link.client.out, b"")

    def test_onlyBytes(self) -> None:
        """Text is refused in every phase, and nothing of it is sent."""
        wrong: Any = "text"
        refused = []

        def write(transport: Any) -> None:
            try:
                transport.write(wrong)
            except TypeError:
                refused.append(wrong)

        self.client.on_made = write
        link = self.connected()
        write(self.wire)
        self.assertEqual((refused, link.client.out), ([wrong] * 2, b""))

    def test_lastOfTheHandshakeCarriesData(self) -> None:
        """What was written before goes with the client's last word of the handshake."""
        self.client.on_made = lambda transport: transport.write(b"request")
        link = self.connect()
        link.pump()
        self.assertEqual((link.client.writes, self.server.received), (2, b"request"))

    def test_writesOfTheHandshakeComeFirst(self) -> None:
        """What is written when TLS stands comes after what was written before."""
        self.client.on_made = lambda transport: transport.write(b"one ")
        self.client.on_secure = lambda transport: transport.write(b"two")
        self.connect().pump()
        self.assertEqual(self.server.received, b"one two")

    def test_goodbyeIsAnswered(self) -> None:
        """A peer that says goodbye gets one back, and TCP is closed without waiting for more."""
        link = self.connected()
        wire: Any = self.server.transport
        wire.loseConnection()
        self.wire.dataReceived(link.server.take())
        self.assertEqual(link.client.calls, ["lose"])
        self.assertTrue(link.client.out)
        link.client.end(ConnectionLost())  # however TCP ends then
        self.ended(self.client, ConnectionDone)

    def test_dataWithTheGoodbye(self) -> None:
        """Data that comes in one read with the goodbye is handed on before the end."""
        link = self.connected()
        wire: Any = self.server.transport
        wire.write(b"last")
        wire.loseConnection()
        link.pump()
        self.assertEqual((self.client.pieces, self.client.events[-1]), ([b"last"], "lost"))

    def test_halfClosedPeer(self) -> None:
        """TCP's end alone is a loss, also for a protocol that is still writing."""
        link = self.connected()
        self.wire.write(b"x" * 1000)
        link.client.end(ConnectionDone())
        self.ended(self.client, ConnectionLost)

    def test_noHalfClosing(self) -> None:
        """Closing the writing end closes the connection, with a goodbye."""
        link = self.connected()
        self.wire.loseWriteConnection()
        link.pump()
        self.ended(self.client, ConnectionDone)
        self.ended(self.server, ConnectionDone)

    def test_closesWithoutThePeer(self) -> None:
        """``loseConnection`` does not wait for a peer that says nothing more."""
        link = self.connected()
        self.wire.loseConnection()
        self.assertEqual(link.client.calls, ["lose"])
        self.wire.loseConnection()
        self.wire.stopProducing()
        self.assertEqual(link.client.calls, ["lose"])

    def test_abortWhileClosing(self) -> None:
        """An abort after ``loseConnection`` reaches TCP."""
        link = self.connected()
        self.wire.loseConnection()
        self.wire.abortConnection()
        self.assertEqual(link.client.calls, ["lose", "abort"])

    def test_abortSaysNothing(self) -> None:
        """An abort sends no goodbye: the other end must be able to tell that something is missing."""
        link = self.connected()
        self.wire.abortConnection()
        self.assertEqual(link.client.out, b"")
        link.pump()
        self.ended(self.server, ConnectionLost)

    def test_abortBeforeTheHandshake(self) -> None:
        """An abort as soon as TCP stands sends nothing at all."""
        self.client.on_made = lambda transport: transport.abortConnection()
        link = self.connect()
        self.assertEqual(link.client.out, b"")
        link.pump()
        self.ended(self.client, ConnectionAborted)

    def test_abortInTheHandshake(self) -> None:
        """An abort in the middle of it drops what was to be sent."""
        self.client.on_made = lambda transport: transport.write(b"request")
        link = self.connect()
        link.forth()
        self.wire.abortConnection()
        link.pump()
        self.assertEqual((self.client.events, self.server.received), (["made", "lost"], b""))

    def test_abortWhenSecure(self) -> None:
        """An abort when the handshake is over sends no more of it."""
        self.client.on_secure = lambda transport: transport.abortConnection()
        self.connect().pump()
        self.assertEqual(self.client.events, ["made", "secure", "lost"])
        self.assertNotIn("secure", self.server.events)

    def test_abortWhileReading(self) -> None:
        """After an abort from ``dataReceived`` nothing more is delivered."""
        self.client.on_data = lambda transport: transport.abortConnection()
        link = self.connected()
        assert self.server.transport is not None
        self.server.transport.write(b"x" * 200_000)
        link.pump()
        self.assertEqual(len(self.client.pieces), 1)
        self.ended(self.client, ConnectionAborted)

    def test_closeBeforeTheHandshake(self) -> None:
        """A connection on which nothing was written is dropped when it is closed before TLS stands."""
        link = self.connect()
        self.wire.loseConnection()
        self.assertEqual(link.client.calls, ["abort"])
        link.pump()
        self.ended(self.client, ConnectionAborted)

    def test_closeInTheHandshake(self) -> None:
        """What was written before ``loseConnection`` is still delivered, and then TLS ends tidily."""
        link = self.connect()
        self.wire.write(b"request")
        self.wire.loseConnection()
        self.wire.write(b"too late")
        link.pump()
        self.assertEqual(self.server.received, b"request")
        self.ended(self.client, ConnectionDone)
        self.ended(self.server, ConnectionDone)

    def test_plainTextPeer(self) -> None:
        """A peer that speaks plain HTTP is told so by an alert, and the reason is OpenSSL's."""
        link = self.connect()
        link.client.out = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        link.step()
        self.assertEqual(link.server.calls, ["lose"])
        link.pump()
        self.ended(self.server, SSL.Error)
        self.assertEqual(self.server.received, b"")

    def test_nothingIsKept(self) -> None:
        """When a connection is over its protocol and its session are let go."""
        link = self.connected()
        wire = self.wire
        link.cut()
        self.assertIsNone(wire.wrappedProtocol)
        self.assertIsNone(wire.getHandle())
        self.assertIsNone(wire.negotiatedProtocol)
        wire.write(b"late")
        wire.loseConnection()
        wire.unregisterProducer()
        tap = Tap()
        wire.registerProducer(tap, True)
        self.assertEqual(tap.told, ["stop"])


class ProducerTests(SessionCase):
    """Backpressure goes through to TCP."""

    @property
    def wire(self) -> LeanTLS:
        """The client's transport."""
        assert isinstance(self.client.transport, LeanTLS)
        return self.client.transport

    def test_pushProducer(self) -> None:
        """TCP pauses and resumes a push producer itself."""
        link = self.connected()
        tap = Tap()
        self.wire.registerProducer(tap, True)
        self.assertIs(link.client.producer, tap)
        self.wire.write(b"x" * 60_000)
        self.assertEqual(tap.told, [])
        self.wire.write(b"x" * 60_000)
        self.assertEqual(tap.told, ["pause"])
        link.pump()
        self.assertEqual((tap.told, len(self.server.received)), (["pause", "resume"], 120_000))
        self.wire.unregisterProducer()
        self.assertIsNone(link.client.producer)

    def test_pullProducer(self) -> None:
        """A pull producer is asked whenever TCP has sent what it had."""
        link = self.connected()
        self.wire.registerProducer(Tap(self.wire, [b"one ", b"two ", b"three"]), False)
        link.pump()
        self.assertEqual(self.server.received, b"one two three")
        self.assertIsNone(link.client.producer)

    def test_pushProducerInTheHandshake(self) -> None:
        """A push producer that writes before TLS stands is paused once, and resumed then."""
        tap = Tap()
        self.client.on_made = lambda transport: transport.registerProducer(tap, True)
        link = self.connect()
        self.wire.write(b"one ")
        self.wire.write(b"two")
        self.assertEqual((tap.told, link.client.calls), (["pause"], []))
        link.pump()
        self.assertEqual((tap.told, self.server.received), (["pause", "resume"], b"one two"))
        self.assertIs(link.client.producer, tap)

    def test_pullProducerInTheHandshake(self) -> None:
        """A pull producer is not asked before TLS stands."""
        pieces = [b"one ", b"two ", b"three"]
        taps = []

        def register(transport: Any) -> None:
            taps.append(Tap(transport, pieces))
            transport.registerProducer(taps[0], False)

        self.client.on_made = register
        link = self.connect()
        link.forth()
        self.assertEqual(taps[0].told, [])
        link.pump()
        self.assertEqual(self.server.received, b"one two three")

    def test_onlyOne(self) -> None:
        """A second producer is refused, before and after the handshake."""
        link = self.connect()
        self.wire.registerProducer(Tap(), True)
        self.assertRaises(RuntimeError, self.wire.registerProducer, Tap(), True)
        link.pump()
        self.assertRaises(RuntimeError, self.wire.registerProducer, Tap(), True)

    def test_closesWithProducer(self) -> None:
        """``loseConnection`` waits for the producer to unregister; what it writes until then is sent."""
        link = self.connected()
        self.wire.registerProducer(Tap(), True)
        self.wire.loseConnection()
        self.wire.write(b"more")
        link.pump()
        self.assertEqual((self.server.received, self.client.lost), (b"more", None))
        self.wire.unregisterProducer()
        self.wire.write(b"too late")
        link.pump()
        self.assertEqual(self.server.received, b"more")
        self.ended(self.client, ConnectionDone)
        self.ended(self.server, ConnectionDone)

    def test_closesWithProducerInTheHandshake(self) -> None:
        """The same before TLS stands: nothing was written, so the connection is dropped."""
        link = self.connect()
        self.wire.registerProducer(Tap(), True)
        self.wire.loseConnection()
        self.assertEqual(link.client.calls, [])
        self.wire.unregisterProducer()
        self.assertEqual(link.client.calls, ["abort"])

    def test_producerIsStopped(self) -> None:
        """A producer is told once that it is over, however that comes."""

        def cut(link: Link) -> None:
            link.cut()

        def goodbye(link: Link) -> None:
            assert self.server.transport is not None
            self.server.transport.loseConnection()

        def garbage(link: Link) -> None:
            link.server.out += b"HTTP/1.1 400 Bad Request\r\n\r\n"

        def abort(link: Link) -> None:
            self.wire.abortConnection()

        for shaken in (True, False):
            for end in (cut, goodbye, garbage, abort):
                self.setUp()
                tap = Tap()
                link = self.connected() if shaken else self.connect()
                self.wire.registerProducer(tap, True)
                end(link)
                link.pump()
                self.assertEqual(tap.told, ["stop"], f"{end.__name__} {shaken}")
                self.assertEqual(self.client.events[-1], "lost")

    def test_producerEndsItWhenPaused(self) -> None:
        """A producer may abort when it is paused in the middle of a long write; nothing more of that is sent."""
        link = self.connected()

        class Impatient(Tap):
            def pauseProducing(self) -> None:
                super().pauseProducing()
                wire.abortConnection()

        wire, tap = self.wire, Impatient()
        wire.registerProducer(tap, True)
        wire.write(b"x" * 1_000_000)
        self.assertEqual(tap.told, ["pause"])
        link.pump()
        self.ended(self.client, ConnectionAborted)


class BrokenSessionTests(SessionCase):
    """A session that OpenSSL will not encrypt for any more."""

    def test_write(self) -> None:
        """A write that fails ends the connection for OpenSSL's reason."""
        link = self.connected()
        wire: Any = self.client.transport
        wire.getHandle().shutdown()
        for data in (b"x", b"x" * 200_000):
            wire.write(data)
        self.assertEqual(link.client.calls, ["abort"])
        link.pump()
        self.ended(self.client, SSL.Error)

    def test_close(self) -> None:
        """One that has been ended below us can still be closed."""
        link = self.connected()
        wire: Any = self.client.transport
        wire.getHandle().shutdown()
        wire.loseConnection()
        link.pump()
        self.ended(self.client, ConnectionDone)
        self.ended(self.server, ConnectionDone)
