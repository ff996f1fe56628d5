"""Tests of whom a client trusts, and which sessions it resumes; in memory, against our server and Twisted's."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.ssl import CertificateOptions, TLSVersion, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from relay.runtime.tls import LeanTLSFactory
from relay.runtime.trust import Peer, Trust
from tests.unit.runtime.authority import Authority, Issued, authority, issued
from tests.unit.runtime.link import Link, Talker, TalkerFactory

HOST = "provider.example"


class TrustCase(SynchronousTestCase):
    """Clients of `Trust`."""

    def exchange(self, client: Any, server: CertificateOptions, *, twisted: bool = False) -> Any:
        """Send a request at once, answer it, close, and leave client and server as attributes.

        Args:
            client: its settings.
            server: its settings.
            twisted: whether the client is Twisted's instead of ours.

        Returns:
            The client's session when the answer came, None if none did.
        """
        self.client, self.server = Talker(), Talker()
        sessions: list[Any] = []
        self.client.on_made = lambda transport: transport.write(b"request with a key")
        self.server.on_data = lambda transport: transport.write(b"answer")

        def close(transport: Any) -> None:
            sessions.append(transport.getHandle())
            transport.loseConnection()

        self.client.on_data = close
        clock = Clock()
        kind: Any = TLSMemoryBIOFactory if twisted else LeanTLSFactory
        factory = kind(client, True, TalkerFactory(self.client), *([clock] if twisted else []))
        serving = LeanTLSFactory(server, False, TalkerFactory(self.server))
        Link(factory.buildProtocol(None), serving.buildProtocol(None), clock).pump()
        return sessions[0] if sessions else None


class VerificationTests(TrustCase):
    """Which certificates are good."""

    def refused(self, why: type[Exception], by: Issued, host: str = HOST) -> object:
        """The certificate is refused for a reason, and nothing of the request was sent; ours and Twisted's TLS."""
        reasons: list[object] = []
        for twisted in (False, True):
            self.exchange(Trust(authority().trust).peer(host), by.options(), twisted=twisted)
            self.assertEqual(self.server.received, b"")
            assert self.client.lost is not None
            self.assertNotIn("secure", self.client.events if not twisted else [])
            self.assertIsInstance(self.client.lost.value, why)
            reasons.append(self.client.lost.value)
        return reasons[0]

    def test_good(self) -> None:
        """Names, names by wildcard, and addresses that the certificate has are good."""
        for host, named in (
            (HOST, HOST),
            ("eu.provider.example", "*.provider.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ):
            for twisted in (False, True):
                self.exchange(Trust(authority().trust).peer(host), issued(named).options(), twisted=twisted)
                self.assertEqual(self.client.received, b"answer", f"{host} {named}")

    def test_otherHost(self) -> None:
        """A certificate for another name or address is refused."""
        for named in ("other.example", "a.provider.example", "127.0.0.1"):
            self.refused(VerificationError, issued(named))
        for host in ("127.0.0.2", "::2"):
            self.refused(VerificationError, issued("127.0.0.1", "::1", HOST), host)

    def test_noName(self) -> None:
        """A certificate without any name is good for no host, though a trusted authority has signed it."""
        self.refused(CertificateError, issued())
        self.refused(CertificateError, issued(), "127.0.0.1")

    def test_noNameWithTwistedsOwn(self) -> None:
        """Twisted's own settings let that pass; when this fails, they are to be trusted again."""
        self.exchange(optionsForClientTLS(HOST, authority().trust), issued().options(), twisted=True)
        self.assertEqual(self.server.received, b"request with a key")
        self.assertEqual(len(self.flushLoggedErrors(CertificateError)), 1)

    def test_selfSigned(self) -> None:
        """A certificate of an unknown authority is refused, and the reason says so."""
        self.assertIn("certificate verify failed", str(self.refused(SSL.Error, Authority().issue(HOST))))

    def test_expired(self) -> None:
        """A certificate of yesterday is refused."""
        self.assertIn("certificate verify failed", str(self.refused(SSL.Error, authority().issue(HOST, days=-1))))

    def test_platform(self) -> None:
        """Without a root of its own, the platform's authorities are trusted, and nobody else."""
        self.exchange(Trust().peer(HOST), issued(HOST).options())
        self.assertEqual(self.server.received, b"")
        assert self.client.lost is not None
        self.client.lost.trap(SSL.Error)

    def test_serverHears(self) -> None:
        """The server is told by an alert that its certificate was refused."""
        self.exchange(Trust(authority().trust).peer("other.example"), issued(HOST).options())
        assert self.server.lost is not None
        self.assertIn("alert", str(self.server.lost.trap(SSL.Error) and self.server.lost.value))

    def test_nameIsSent(self) -> None:
        """A name is sent for the server to choose a certificate by; an address is not."""
        for host, sent in ((HOST, HOST.encode()), ("127.0.0.1", None)):
            seen: list[bytes | None] = []

            def choose(name: bytes | None, seen: list[bytes | None] = seen) -> None:
                seen.append(name)

            self.exchange(Trust(authority().trust).peer(host), issued(host).options(contextForServerName=choose))
            self.assertEqual((seen, self.client.received), ([sent], b"answer"))

    def test_choosingFails(self) -> None:
        """A server that cannot choose a certificate drops the connection."""

        def choose(name: object) -> None:
            raise ValueError("no such host")

        self.exchange(Trust(authority().trust).peer(HOST), issued(HOST).options(contextForServerName=choose))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.client.received, self.server.received), (b"", b""))
        assert self.server.lost is not None
        self.server.lost.trap(ConnectionAborted)


def resumed(session: Any) -> bool:
    """Whether a session went on where another had ended."""
    return bool(SSL._lib.SSL_session_reused(session._ssl))  # type: ignore[attr-defined]  # pyOpenSSL has no name for it


class SessionTests(TrustCase):
    """Sessions are resumed with the same host under the same trust, and with no other."""

    def setUp(self) -> None:
        self.trust = Trust(authority().trust)

    def remembering(self, **more: Any) -> CertificateOptions:
        """Settings of a server that lets clients resume."""
        return issued(HOST, "other.example").options(enableSessions=True, enableSessionTickets=True, **more)

    def again(self, peer: Peer, server: CertificateOptions) -> bool:
        """Whether one more exchange resumes a session; it must succeed in any case."""
        session = self.exchange(peer, server)
        self.assertEqual((self.server.received, self.client.received), (b"request with a key", b"answer"))
        assert self.client.lost is not None
        self.client.lost.trap(ConnectionDone)
        return resumed(session)

    def test_resumes(self) -> None:
        """From the second connection on, with TLS 1.2 and 1.3."""
        for version in (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3):
            peer, server = self.trust.peer(HOST), self.remembering(lowerMaximumSecurityTo=version)
            self.assertEqual([self.again(peer, server) for _ in range(4)], [False, True, True, True])

    def test_otherHost(self) -> None:
        """Another host under the same trust begins anew, though the same server is behind it."""
        server = self.remembering()
        self.assertFalse(self.again(self.trust.peer(HOST), server))
        self.assertFalse(self.again(self.trust.peer("other.example"), server))

    def test_otherTrust(self) -> None:
        """So does the same host under another trust."""
        server = self.remembering()
        self.assertFalse(self.again(self.trust.peer(HOST), server))
        self.assertFalse(self.again(Trust(authority().trust).peer(HOST), server))

    def test_forgetfulServer(self) -> None:
        """A server that does not know the session any more gets a whole handshake, and all is well."""
        peer = self.trust.peer(HOST)
        for _ in range(3):
            self.assertFalse(self.again(peer, self.remembering()))

    def test_serverThatNeverResumes(self) -> None:
        """A server without sessions works."""
        peer, server = self.trust.peer(HOST), issued(HOST).options()
        for _ in range(3):
            self.assertFalse(self.again(peer, server))

    def test_otherCertificate(self) -> None:
        """A session is of no use to somebody else: without it, the certificate decides."""
        peer = self.trust.peer(HOST)
        self.again(peer, self.remembering())
        self.exchange(peer, issued("evil.example").options(enableSessions=True, enableSessionTickets=True))
        self.assertEqual(self.server.received, b"")

    def test_afterAnAbort(self) -> None:
        """A connection that was aborted or cut off leaves a session that is still good."""
        for end in ("abort", "cut"):
            peer, server = self.trust.peer(HOST), self.remembering()
            client, other = Talker(), Talker()
            client.on_made = lambda transport: transport.write(b"x")
            other.on_data = lambda transport: transport.write(b"y")
            link = Link(
                LeanTLSFactory(peer, True, TalkerFactory(client)).buildProtocol(None),
                LeanTLSFactory(server, False, TalkerFactory(other)).buildProtocol(None),
            )
            link.pump()
            self.assertEqual(client.received, b"y")
            if end == "abort":
                wire: Any = client.transport
                wire.abortConnection()
                link.pump()
            else:
                link.cut()
            del link
            self.assertTrue(self.again(peer, server), end)

    def test_whileTheOtherIsOpen(self) -> None:
        """Parallel connections resume the same session."""
        peer, server = self.trust.peer(HOST), self.remembering()
        self.assertFalse(self.again(peer, server))
        links = []
        for _ in range(5):
            client, other = Talker(), Talker()
            link = Link(
                LeanTLSFactory(peer, True, TalkerFactory(client)).buildProtocol(None),
                LeanTLSFactory(server, False, TalkerFactory(other)).buildProtocol(None),
            )
            link.pump()
            links.append(link)
            wire: Any = client.transport
            self.assertTrue(resumed(wire.getHandle()))

    def test_notWithTwisteds(self) -> None:
        """Under Twisted's TLS the same settings work without sessions."""
        peer, server = self.trust.peer(HOST), self.remembering()
        for _ in range(2):
            self.exchange(peer, server, twisted=True)
            self.assertEqual(self.client.received, b"answer")
