"""A service account's proof, checked with the public half of its key."""

from __future__ import annotations

import base64
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from twisted.trial.unittest import SynchronousTestCase

from relay.policy.assertion import LIFETIME, SCOPE, BadKeyError, assertion, check_key
from relay.provider import TokenSource
from relay.secret import Secret

KEY = rsa.generate_private_key(65537, 2048)
PEM = Secret(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
SOURCE = TokenSource("https://oauth2.googleapis.com/token", "me@project.iam.gserviceaccount.com", "key-1")


def decoded(part: str) -> bytes:
    """One part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class AssertionTests(SynchronousTestCase):
    """What is claimed, and that it is signed."""

    def test_claims(self) -> None:
        """The token says who asks whom for what, from when and until when."""
        head, claims, _ = assertion(SOURCE, PEM, 1_700_000_000).split(".")
        self.assertEqual(json.loads(decoded(head)), {"alg": "RS256", "typ": "JWT", "kid": "key-1"})
        self.assertEqual(
            json.loads(decoded(claims)),
            {
                "iss": SOURCE.email,
                "scope": SCOPE,
                "aud": SOURCE.url,
                "iat": 1_700_000_000,
                "exp": 1_700_000_000 + LIFETIME,
            },
        )

    def test_signature(self) -> None:
        """The signature is the key's over exactly the first two parts."""
        signed, _, signature = assertion(SOURCE, PEM, 5).rpartition(".")
        public = KEY.public_key()
        public.verify(decoded(signature), signed.encode(), PKCS1v15(), hashes.SHA256())
        with self.assertRaises(InvalidSignature):
            public.verify(decoded(signature), signed.encode() + b"x", PKCS1v15(), hashes.SHA256())

    def test_noKeyId(self) -> None:
        """A key without an id is not named."""
        head, _, _ = assertion(TokenSource("https://x/token", "me"), PEM, 5).partition(".")
        self.assertNotIn("kid", json.loads(decoded(head)))

    def test_badKeys(self) -> None:
        """What is no RSA key in PEM is refused, and not repeated."""
        other = ec.generate_private_key(ec.SECP256R1())
        curve = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        for text in ("", "secret-words", PEM.reveal()[:-60], curve):
            error = self.assertRaises(BadKeyError, check_key, Secret(text))
            self.assertNotIn("secret-words", str(error))
        check_key(PEM)
