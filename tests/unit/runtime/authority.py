"""Certificates made on the spot, good and bad ones."""

from __future__ import annotations

import functools
import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509, PKey

from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates


class Issued:
    """A certificate and its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    def options(self, **more: Any) -> CertificateOptions:
        """Settings of a server that shows it."""
        key, certificate = PKey.from_cryptography_key(self.key), X509.from_cryptography(self.certificate)
        return CertificateOptions(privateKey=key, certificate=certificate, **more)

    def write(self, path: Path) -> Path:
        """Key and certificate as one file."""
        secret = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(secret + self.certificate.public_bytes(serialization.Encoding.PEM))
        return path


class Authority:
    """A certificate authority."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._own = self._sign("authority", self._key, None, days=1, hosts=(), authority=True)

    @property
    def trust(self) -> IOpenSSLTrustRoot:
        """Trust in it, for Twisted's clients and relay's."""
        root: IOpenSSLTrustRoot = trustRootFromCertificates([Certificate(X509.from_cryptography(self._own))])
        return root

    @property
    def pem(self) -> str:
        """Its own certificate, for Python's ssl."""
        return self._own.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def issue(self, *hosts: str, days: float = 1) -> Issued:
        """A certificate for names and addresses, or for none; valid for so many days from now, or ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Issued(self._sign("server", key, self._own, days=days, hosts=hosts, authority=False), key)

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        *,
        days: float,
        hosts: tuple[str, ...],
        authority: bool,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@functools.cache
def authority() -> Authority:
    """One authority for all tests."""
    return Authority()


@functools.cache
def issued(*hosts: str) -> Issued:
    """A good certificate of that authority."""
    return authority().issue(*hosts)
