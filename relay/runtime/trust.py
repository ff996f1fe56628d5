"""Whom relay trusts when it opens a TLS connection, and sessions to resume.

Twisted's `optionsForClientTLS` lets a certificate without any ``subjectAltName`` pass for
every host, if a trusted authority has signed it: service-identity raises another error
for that than Twisted expects (seen with Twisted 26.10, service-identity 24.2). Here,
whatever goes wrong while a certificate is checked refuses it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns

from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, platformTrust
from twisted.python.failure import Failure
from zope.interface import implementer

from relay.runtime.openssl import Library

if TYPE_CHECKING:
    from twisted.protocols.tls import TLSMemoryBIOProtocol

_PROTOCOLS = (b"http/1.1",)
"""What is offered by ALPN. See: RFC 7301."""


class Trust:
    """Authorities, and one context for all hosts: making one reads all their certificates.

    Args:
        root: the authorities; the platform's when None.

    Attributes:
        options: Twisted's form of it.
    """

    def __init__(self, root: IOpenSSLTrustRoot | None = None) -> None:
        self.options = CertificateOptions(
            trustRoot=root or platformTrust(), acceptableProtocols=list(_PROTOCOLS), enableSessionTickets=True
        )

    def peer(self, host: str) -> Peer:
        """Settings for connections to one host; to be kept, because sessions are kept with it.

        Args:
            host: an IP address, or a name in ASCII.
        """
        return Peer(self, host)

    @functools.cached_property
    def library(self) -> Library:
        """What all sessions under this trust share."""
        return Library()


@implementer(IOpenSSLClientConnectionCreator)
class Peer:
    """One host under one trust: the certificate must be good for it.

    For `relay.runtime.tls` and, without sessions, for Twisted's `wrapClientTLS`.

    Args:
        trust: who may vouch for it.
        host: an IP address, or a name in ASCII.
    """

    def __init__(self, trust: Trust, host: str) -> None:
        self._trust = trust
        self._address = isIPAddress(host) or isIPv6Address(host)
        self._host = host
        self._session: SSL.Session | None = None

    @property
    def library(self) -> Library:
        """What all sessions under this trust share."""
        return self._trust.library

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Make a session's start: server name and verification set."""
        connection = self._trust.options.clientConnectionForTLS(tlsProtocol)
        if not self._address:
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(self, connection: SSL.Connection, certificate: X509, error: int, depth: int, good: int) -> bool:
        """OpenSSL's question about each certificate; the host is that of the leaf."""
        if depth or not good:
            return bool(good)
        try:
            wanted = IPAddress_ID(self._host) if self._address else DNS_ID(self._host)
            verify_service_identity(extract_patterns(certificate), [wanted], [])
        except Exception:
            cast("TLSMemoryBIOProtocol", connection.get_app_data()).failVerification(Failure())
            return False
        return True

    def offer(self, connection: SSL.Connection) -> None:
        """Have a connection that has not begun resume the last session with this host, if there was one."""
        if self._session is not None:
            connection.set_session(self._session)

    def keep(self, connection: SSL.Connection) -> None:
        """Remember the session of a connection whose certificate was good.

        With TLS 1.3 the peer gives what is needed for that only with its first data.
        """
        self._session = connection.get_session()
