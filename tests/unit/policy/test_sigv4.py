"""Signature V4, against the vectors that AWS publishes and against Bedrock's paths.

The vectors are those of ``aws-signing-test-suite/v4`` in https://github.com/awslabs/aws-c-auth (Apache-2.0).
"""

from __future__ import annotations

import hashlib

import attrs

from twisted.trial.unittest import SynchronousTestCase

from relay.exchange import Headers
from relay.policy.sigv4 import Signing, canonical_request, sign
from relay.secret import Secret

SIGNING = Signing(
    key_id="AKIDEXAMPLE",
    key=Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    token=None,
    region="us-east-1",
    service="service",
    moment="20150830T123600Z",
)
HOST = (b"host", b"example.amazonaws.com")
FORM = b"Param1=value1"
FORM_DIGEST = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
EMPTY = hashlib.sha256(b"").hexdigest()
TOKEN = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"


@attrs.frozen
class Vector:
    """A request of the suite, and the signature that it must get."""

    target: str
    signature: str
    headers: Headers = (HOST,)
    method: str = "GET"
    digest: str = EMPTY
    token: str = ""
    signed: str = "host;x-amz-date"


VECTORS = {
    "get-vanilla": Vector("/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-utf8": Vector("/ሴ", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    "get-space-normalized": Vector(
        "/example space/", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"
    ),
    "get-slash-pointless-dot-normalized": Vector(
        "/./example", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"
    ),
    "get-vanilla-utf8-query": Vector("/?ሴ=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    "get-vanilla-query-order-encoded": Vector(
        "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    "get-header-value-trim": Vector(
        "/",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        headers=(HOST, (b"my-header1", b" value1"), (b"my-header2", b' "a   b   c"')),
        signed="host;my-header1;my-header2;x-amz-date",
    ),
    "get-header-key-duplicate": Vector(
        "/",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        headers=(HOST, (b"my-header1", b"value2"), (b"my-header1", b"value2"), (b"my-header1", b"value1")),
        signed="host;my-header1;x-amz-date",
    ),
    "get-vanilla-with-session-token": Vector(
        "/",
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        token=TOKEN,
        signed="host;x-amz-date;x-amz-security-token",
    ),
    "post-x-www-form-urlencoded": Vector(
        "/",
        "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        headers=(
            (b"content-type", b"application/x-www-form-urlencoded"),
            HOST,
            (b"content-length", b"13"),
            (b"x-amz-content-sha256", FORM_DIGEST.encode()),
        ),
        method="POST",
        digest=FORM_DIGEST,
        signed="content-length;content-type;host;x-amz-content-sha256;x-amz-date",
    ),
}


class SigV4Tests(SynchronousTestCase):
    """Signing."""

    def test_vectors(self) -> None:
        """Each request of AWS's suite gets AWS's signature."""
        for name, vector in VECTORS.items():
            signing = attrs.evolve(SIGNING, token=Secret(vector.token) if vector.token else None)
            added = dict(sign(signing, vector.method, vector.target, vector.headers, vector.digest))
            self.assertEqual(
                added[b"authorization"].decode(),
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                f"SignedHeaders={vector.signed}, Signature={vector.signature}",
                name,
            )

    def test_digest(self) -> None:
        """The digest of the form vector is that of its body, so the whole chain is covered."""
        self.assertEqual(hashlib.sha256(FORM).hexdigest(), FORM_DIGEST)

    def test_arnInThePath(self) -> None:
        """An ARN, percent-encoded once on the wire, is encoded once more in what is signed (edge case 109)."""
        target = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x/converse"
        _, canonical = canonical_request("POST", target, (HOST,), EMPTY)
        self.assertEqual(canonical.split("\n")[1], target.replace("%", "%25"))

    def test_plainColon(self) -> None:
        """A colon that is sent as it is, is encoded in what is signed."""
        _, canonical = canonical_request("POST", "/model/amazon.nova-lite-v1:0/converse", (HOST,), EMPTY)
        self.assertEqual(canonical.split("\n")[1], "/model/amazon.nova-lite-v1%3A0/converse")

    def test_converse(self) -> None:
        """Bedrock's requests get the signatures that AWS's own SDK (botocore 1.44) gives them."""
        signing = attrs.evolve(SIGNING, token=Secret("tok"), service="bedrock")
        fields = ((b"host", b"bedrock-runtime.us-east-1.amazonaws.com"), (b"content-type", b"application/json"))
        digest = hashlib.sha256(b'{"a":1}').hexdigest()
        for target, signature in (
            (
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x/converse",
                b"d85a0ab524b51eb79e81179c28273dc49a12881f0339eaa5f6ce7be157a65f16",
            ),
            (
                "/model/amazon.nova-2-lite-v1:0/converse-stream",
                b"1c753b193c8f20cd93c489b0d73b86db9b89d4b4d2d533edaee37bb8423b275a",
            ),
        ):
            added = dict(sign(signing, "POST", target, fields, digest))
            self.assertEqual(added[b"authorization"][-64:], signature, target)

    def test_session(self) -> None:
        """A session token travels beside the signature; without one the field is not there."""
        signing = attrs.evolve(SIGNING, token=Secret(TOKEN))
        self.assertEqual(dict(sign(signing, "GET", "/", (HOST,), EMPTY))[b"x-amz-security-token"], TOKEN.encode())
        self.assertNotIn(b"x-amz-security-token", dict(sign(SIGNING, "GET", "/", (HOST,), EMPTY)))

    def test_hidden(self) -> None:
        """Neither key nor token shows in a representation."""
        shown = repr(attrs.evolve(SIGNING, token=Secret(TOKEN)))
        self.assertNotIn(SIGNING.key.reveal(), shown)
        self.assertNotIn(TOKEN, shown)
