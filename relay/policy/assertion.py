"""Proof of being a service account of Google's: a JSON Web Token, signed with RS256.

See: https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests and
RFC 7519, RFC 7523 (read 2026-11).
"""

from __future__ import annotations

import base64

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from relay.provider import TokenSource
from relay.secret import Secret

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME = 3600
"""Seconds for which an assertion, and the token it is given for, holds: the most that Google allows."""


class BadKeyError(ValueError):
    """A private key is not an RSA key in PEM."""


def assertion(source: TokenSource, key: Secret, now: int, scope: str = SCOPE) -> str:
    """The signed token that is exchanged for an access token.

    Args:
        source: whose key it is, and who reads the assertion.
        key: the account's private key, PEM.
        now: Unix seconds.
        scope: what the access token is to be good for.

    Raises:
        BadKeyError: the key is none.
    """
    head = {"alg": "RS256", "typ": "JWT", **({"kid": source.key_id} if source.key_id else {})}
    claims = {"iss": source.email, "scope": scope, "aud": source.url, "iat": now, "exp": now + LIFETIME}
    signed = b".".join(_part(msgspec.json.encode(value)) for value in (head, claims))
    signature = _load(key).sign(signed, PKCS1v15(), hashes.SHA256())
    return (signed + b"." + _part(signature)).decode("ascii")


def check_key(key: Secret) -> None:
    """See whether a key could sign.

    Raises:
        BadKeyError: it is not an RSA key in PEM.
    """
    _load(key)


def _load(key: Secret) -> RSAPrivateKey:
    try:
        loaded = load_pem_private_key(key.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKeyError("not a private key in PEM") from error
    if not isinstance(loaded, RSAPrivateKey):
        raise BadKeyError("not an RSA key")
    return loaded


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
