"""Signing attempts: AWS's signatures and Google's tokens."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs

import attrs

from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer
from zope.interface.verify import verifyObject

from relay.errors import TooLarge, UpstreamCredential, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.exchange import Body, UpstreamRequest
from relay.interfaces import ISigner
from relay.policy.assertion import GRANT
from relay.provider import Auth, AuthScheme, Origin, Provider, Signature, Timeouts, TokenSource
from relay.secret import Secret
from relay.upstream.sign import Signer
from relay.upstream.tokens import EARLY, LARGEST_ANSWER, RETRY, TIMEOUT
from relay.web.arriving import Arrival, ArrivingBody
from tests.unit.policy.test_assertion import PEM
from tests.unit.values import make_provider

NOON = 1_440_938_160.0
"""2015-08-30, 12:36:00 UTC."""

AWS = attrs.evolve(
    make_provider("bedrock"),
    auth=Auth(
        AuthScheme.SIGV4,
        Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        signature=Signature(Secret("AKIDEXAMPLE"), Secret("a-session-token"), "us-east-1", "bedrock"),
    ),
)
GOOGLE = attrs.evolve(
    make_provider("vertex"),
    auth=Auth(AuthScheme.GCP, PEM, tokens=TokenSource("https://oauth.example/token", "me@example", "k1")),
)
MACHINE = attrs.evolve(
    make_provider("vertex"), auth=Auth(AuthScheme.GCP, tokens=TokenSource("http://metadata.example/token"))
)


def request(body: bytes | Body = b"{}", **fields: Any) -> UpstreamRequest:
    """A request that is to be signed."""
    values = {
        "deployment": "d",
        "provider": "p",
        "method": "POST",
        "origin": Origin("https", "bedrock-runtime.us-east-1.amazonaws.com", 443),
        "target": "/model/m%3A0/converse",
        "headers": ((b"content-type", b"application/json"), (b"accept", b"*/*")),
        "stream": False,
        "timeouts": Timeouts(),
        **fields,
    }
    return UpstreamRequest(body=body, **values)


@implementer(IBodyProducer)
class SmallBody:
    """A request body that is written at once; treq's own takes turns of the global reactor."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(self._data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write it."""
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Too late."""

    def resumeProducing(self) -> None:
        """Nothing was paused."""

    def stopProducing(self) -> None:
        """Nothing is under way."""


class TokenEndpoint(Resource):
    """Gives tokens, as OAuth's endpoint and as the metadata server."""

    isLeaf = True

    def __init__(self) -> None:
        Resource.__init__(self)
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.answer: bytes | None = None
        self.lifetime = 3600
        self.silent = False

    def render(self, request: Any) -> Any:
        """Answer whatever is asked."""
        form = parse_qs(request.content.read().decode())
        asked = {name: values[0] for name, values in form.items()}
        flavor = request.getHeader("metadata-flavor")
        self.asked.append(
            {
                **asked,
                "at": f"{request.getHeader('host')}{request.uri.decode()}",
                **({"flavor": flavor} if flavor else {}),
            }
        )
        if self.silent:
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        if self.answer is not None:
            return self.answer
        token = f"token-number-{len(self.asked)}"
        return json.dumps({"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}).encode()


class HeldBody:
    """A body that is not in memory all at once."""

    repeatable = True

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = self.received = len(data)

    async def read(self, offset: int, size: int) -> bytes:
        """A piece of at most a hundred bytes."""
        return self.data[offset : offset + min(size, 100)]

    def replaced(self, start: int, end: int, data: bytes) -> Body:
        """Not needed here."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to give back."""


class SignerTestCase(SynchronousTestCase):
    """A signer whose tokens come from a resource in this process."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.endpoint = TokenEndpoint()
        self.learned: list[str] = []
        self.agent = RequestTraversalAgent(self.endpoint)
        self.signer = Signer(
            HTTPClient(self.agent, data_to_body_producer=SmallBody),
            lambda: NOON + self.clock.seconds(),
            self.clock,
            lambda secret: self.learned.append(secret.reveal()),
        )
        self.logged = EventLoggingObserver()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)

    def sign(self, provider: Provider, asked: UpstreamRequest | None = None) -> Deferred[UpstreamRequest]:
        """Sign, always with a Deferred."""
        found = self.signer.sign(asked or request(), provider, provider.auth.credential)
        assert isinstance(found, Deferred)
        self.agent.flush()
        return found

    def token(self, provider: Provider) -> str:
        """The token that a request gets."""
        fields = dict(self.successResultOf(self.sign(provider)).headers)
        return fields[b"authorization"].decode().removeprefix("Bearer ")

    def refused(self, provider: Provider) -> UpstreamError:
        """The error that a request gets."""
        error = self.failureResultOf(self.sign(provider), UpstreamError).value
        assert isinstance(error, UpstreamError)
        return error


class SignatureTests(SignerTestCase):
    """Scheme ``sigv4``."""

    def signed(self, asked: UpstreamRequest, provider: Provider = AWS) -> dict[bytes, bytes]:
        """The fields of a signed request."""
        found = self.signer.sign(asked, provider, provider.auth.credential)
        assert isinstance(found, UpstreamRequest)
        self.assertEqual((found.body, found.target), (asked.body, asked.target))
        return dict(found.headers)

    def test_interface(self) -> None:
        """It is a signer."""
        self.assertTrue(verifyObject(ISigner, self.signer))

    def test_fields(self) -> None:
        """Date, session token and signature are added at once; nothing is signed that a proxy may change."""
        fields = self.signed(request())
        self.assertEqual(fields[b"x-amz-date"], b"20150830T123600Z")
        self.assertEqual(fields[b"x-amz-security-token"], b"a-session-token")
        self.assertEqual(fields[b"accept"], b"*/*")
        self.assertTrue(
            fields[b"authorization"].startswith(
                b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, "
                b"SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
            )
        )

    def test_coversBodyAndPath(self) -> None:
        """Another body, path or second makes another signature."""
        plain = self.signed(request())[b"authorization"]
        self.assertEqual(self.signed(request())[b"authorization"], plain)
        self.assertNotEqual(self.signed(request(b"[]"))[b"authorization"], plain)
        self.assertNotEqual(self.signed(request(target="/model/m:0/converse"))[b"authorization"], plain)
        self.clock.advance(1)
        self.assertNotEqual(self.signed(request())[b"authorization"], plain)

    def test_signedAgain(self) -> None:
        """A request that is tried again gets a new signature instead of the old one."""
        once = self.signer.sign(request(), AWS, AWS.auth.credential)
        assert isinstance(once, UpstreamRequest)
        self.clock.advance(60)
        fields = self.signer.sign(once, AWS, AWS.auth.credential)
        assert isinstance(fields, UpstreamRequest)
        self.assertEqual([name for name, _ in fields.headers].count(b"authorization"), 1)
        self.assertEqual(dict(fields.headers), self.signed(request()))

    def test_bodyThatIsNotInMemory(self) -> None:
        """A spooled body is read piece by piece; the signature is that of its bytes."""
        data = b"x" * 250
        held = self.successResultOf(self.sign(AWS, request(HeldBody(data))))
        self.assertEqual(dict(held.headers), self.signed(request(data)))
        self.assertEqual(len(hashlib.sha256(data).hexdigest()), 64)

    def test_bodyThatIsNotHere(self) -> None:
        """What is still arriving cannot be signed, and the client is told what can."""
        arriving = ArrivingBody(Arrival(b"x", pause=lambda: None, resume=lambda: None), 100)
        error = self.assertRaises(TooLarge, self.signer.sign, request(arriving), AWS, AWS.auth.credential)
        self.assertIn("Send a smaller one", error.message)

    def test_noKeyId(self) -> None:
        """A key without its id cannot sign."""
        with self.assertRaises(UpstreamCredential):
            self.signer.sign(request(), attrs.evolve(AWS, auth=attrs.evolve(AWS.auth, signature=None)), Secret("k"))

    def test_otherSchemes(self) -> None:
        """Requests of other schemes come back as they are, at once."""
        asked = request()
        self.assertIs(self.signer.sign(asked, make_provider("x", key="k"), Secret("k")), asked)


class TokenTests(SignerTestCase):
    """Scheme ``gcp``."""

    def test_serviceAccount(self) -> None:
        """A signed assertion is exchanged for a token, which the request carries and masks."""
        signed = self.successResultOf(self.sign(GOOGLE, request(headers=((b"authorization", b"old"),))))
        self.assertEqual(signed.headers, ((b"authorization", b"Bearer token-number-1"),))
        assert signed.credential is not None
        self.assertEqual(signed.credential.reveal(), "token-number-1")
        self.assertEqual(self.learned, ["token-number-1"])
        (asked,) = self.endpoint.asked
        self.assertEqual((asked["grant_type"], asked["at"]), (GRANT, "oauth.example/token"))
        self.assertEqual(asked["assertion"].count("."), 2)

    def test_metadataServer(self) -> None:
        """Without a credential the machine's own account is asked for."""
        self.assertEqual(self.token(MACHINE), "token-number-1")
        self.assertEqual(self.endpoint.asked, [{"at": "metadata.example/token", "flavor": "Google"}])

    def test_cached(self) -> None:
        """One token serves until shortly before its end; accounts do not share one."""
        self.assertEqual([self.token(GOOGLE), self.token(GOOGLE)], ["token-number-1"] * 2)
        self.assertEqual(self.token(MACHINE), "token-number-2")
        self.clock.advance(3600 - EARLY - 1)
        self.assertEqual(self.token(GOOGLE), "token-number-1")

    def test_renewedEarly(self) -> None:
        """In its last minutes a token still serves, while one fetch renews it."""
        self.token(GOOGLE)
        self.clock.advance(3600 - EARLY)
        self.assertEqual(self.token(GOOGLE), "token-number-1")
        self.assertEqual(self.token(GOOGLE), "token-number-2")
        self.assertEqual(len(self.endpoint.asked), 2)

    def test_shortLived(self) -> None:
        """A token that lives for less than twice the margin is renewed at half time, not at once."""
        self.endpoint.lifetime = 100
        self.token(GOOGLE)
        self.clock.advance(49)
        self.token(GOOGLE)
        self.assertEqual(len(self.endpoint.asked), 1)

    def test_singleFlight(self) -> None:
        """Many attempts wait for one fetch; one that is cancelled does not take it from the others."""
        signed = [self.signer.sign(request(), GOOGLE, PEM) for _ in range(3)]
        first, second, third = (each for each in signed if isinstance(each, Deferred))
        second.addErrback(lambda _: None)
        second.cancel()
        self.agent.flush()
        for waiting in (first, third):
            self.assertEqual(dict(self.successResultOf(waiting).headers)[b"authorization"], b"Bearer token-number-1")
        self.assertEqual(len(self.endpoint.asked), 1)

    def test_refused(self) -> None:
        """A credential that Google refuses is relay's own trouble, told with Google's words."""
        self.endpoint.status = 400
        self.endpoint.answer = b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'
        error = self.refused(GOOGLE)
        self.assertIsInstance(error, UpstreamCredential)
        self.assertEqual((error.upstream_status, error.should_retry, error.deployment), (400, False, "d"))
        self.assertIn("invalid_grant: Invalid JWT Signature.", error.message)

    def test_brokenAnswers(self) -> None:
        """An endpoint that is down, or talks nonsense, is unreachable for us; nothing of it is repeated."""
        answers: list[tuple[int, bytes]] = [
            (503, b"<html>secret-words"),
            (429, b"{}"),
            (200, b"not json, secret-words"),
            (200, b"{}"),
            (200, b'{"access_token":"a\\nb"}'),
            (200, b'{"access_token":"a","expires_in":0}'),
            (200, b" " * (LARGEST_ANSWER + 1)),
        ]
        for self.endpoint.status, self.endpoint.answer in answers:
            error = self.refused(GOOGLE)
            self.assertIsInstance(error, UpstreamUnreachable, str(self.endpoint.answer))
            self.assertNotIn("secret-words", error.message)

    def test_silence(self) -> None:
        """An endpoint that does not answer costs so many seconds, and the deadline has a name."""
        self.endpoint.silent = True
        waiting = self.sign(GOOGLE)
        self.clock.advance(TIMEOUT - 1)
        self.assertNoResult(waiting)
        self.clock.advance(1)
        error = self.failureResultOf(waiting, UpstreamTimeout).value
        assert isinstance(error, UpstreamTimeout)
        self.assertEqual(error.deadline, "token")

    def test_renewalFails(self) -> None:
        """While the old token holds, a failed renewal troubles nobody, and is not repeated at once."""
        self.token(GOOGLE)
        self.clock.advance(3600 - EARLY)
        self.endpoint.status = 503
        for _ in range(3):
            self.assertEqual(self.token(GOOGLE), "token-number-1")
        self.assertEqual(len(self.endpoint.asked), 2)
        self.clock.advance(RETRY)
        self.endpoint.status = 200
        self.token(GOOGLE)
        self.assertEqual(self.token(GOOGLE), "token-number-3")

    def test_secretsAreNotLogged(self) -> None:
        """Neither the key, nor the assertion, nor a token turns up in a log."""
        self.endpoint.status = 401
        self.refused(GOOGLE)
        text = str([event.get("log_format") for event in self.logged]) + str([*self.logged])
        self.assertIn("no access token", text)
        for secret in (PEM.reveal()[40:80], self.endpoint.asked[0]["assertion"]):
            self.assertNotIn(secret, text)
