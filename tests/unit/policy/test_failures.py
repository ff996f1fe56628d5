"""What a provider's error answer becomes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Deployment
from relay.dialects.registry import DIALECTS
from relay.errors import UpstreamCredential, UpstreamError, UpstreamOverloaded, UpstreamRateLimited, UpstreamRefused
from relay.exchange import Headers
from relay.policy.credentials import Credential
from relay.policy.failures import classify, retry_after
from relay.policy.forward import build
from relay.secret import Redactor, Secret
from tests.unit.values import make_provider, make_request

JSON: Headers = ((b"content-type", b"application/json"),)
KEY = Secret("provider-key-1234")


def error_for(
    status: int,
    body: bytes = b'{"error":{"message":"no"}}',
    headers: Headers = JSON,
    *,
    own: bool = True,
    translated: bool = False,
) -> UpstreamError:
    """Classify one answer to a request sent with relay's own key."""
    deployment = Deployment(name="d", provider=make_provider(), model="m")
    request = build(deployment, make_request(), b"", Credential(KEY, own=own), stream=False)
    return classify(request, status, headers, body, Redactor([KEY]), DIALECTS["openai"], translated=translated)


class ClassifyTests(SynchronousTestCase):
    """`classify` by status and by whose key was used."""

    def test_statusesKeepTheirMeaning(self) -> None:
        """The client sees the provider's status, and its body where that is JSON."""
        for status, kind in (
            (400, UpstreamRefused),
            (404, UpstreamRefused),
            (422, UpstreamRefused),
            (429, UpstreamRateLimited),
            (500, UpstreamOverloaded),
            (529, UpstreamOverloaded),
        ):
            error = error_for(status)
            self.assertIs(type(error), kind)
            self.assertEqual(error.http_status, status)
            assert error.answer is not None
            self.assertEqual(error.answer.body, b'{"error":{"message":"no"}}')

    def test_relaysOwnKeyRefusedIsNotTheClientsFault(self) -> None:
        """A 401 for relay's key is a 502 that SDKs do not repeat, without the provider's words."""
        for status in (401, 402, 403):
            error = error_for(status)
            self.assertIs(type(error), UpstreamCredential)
            self.assertEqual((error.http_status, error.should_retry, error.answer), (502, False, None))

    def test_theClientsOwnKeyRefusedStaysA401(self) -> None:
        """The client can mend that one."""
        error = error_for(401, own=False)
        self.assertEqual((type(error), error.http_status), (UpstreamRefused, 401))

    def test_htmlIsNeverPassedOn(self) -> None:
        """A proxy's error page keeps its status and loses its body."""
        error = error_for(503, b"<html>bad gateway</html>", ((b"content-type", b"text/html"),))
        self.assertEqual((error.http_status, error.answer), (503, None))

    def test_keysAreMasked(self) -> None:
        """Providers echo keys in their errors."""
        error = error_for(400, b'{"error":{"message":"bad key provider-key-1234"}}')
        assert error.answer is not None
        self.assertNotIn(KEY.reveal().encode(), error.answer.body)

    def test_anotherDialectsAnswerStaysBehind(self) -> None:
        """A client of another dialect gets the provider's words, not its body."""
        error = error_for(400, translated=True)
        self.assertEqual((error.answer, error.message), (None, "no"))

    def test_aBadKeyWithStatus400(self) -> None:
        """Gemini and xAI refuse relay's key with a 400: still not the client's fault."""
        for words in (
            "API key not valid. Please pass a valid API key.",
            "Incorrect API key provided: ab***",
            "Your credit balance is too low to access the Anthropic API.",
        ):
            body = b'{"error":{"message":"%b"}}' % words.encode()
            self.assertIs(type(error_for(400, body)), UpstreamCredential, words)
            self.assertIs(type(error_for(400, body, own=False)), UpstreamRefused, words)

    def test_aPromptThatDoesNotFit(self) -> None:
        """Agents know a full context by this code and by the provider's words."""
        words = "prompt is too long: 210000 tokens > 200000 maximum"
        error = error_for(400, b'{"error":{"message":"%b"}}' % words.encode())
        self.assertEqual((error.code, error.message), ("context_length_exceeded", words))

    def test_aForbiddenPrompt(self) -> None:
        """A prompt that xAI forbids with a 403 says nothing about relay's key."""
        error = error_for(403, b'{"error":"Content violates usage guidelines."}')
        self.assertEqual(
            (type(error), error.http_status, error.code), (UpstreamRefused, 403, "content_policy_violation")
        )


class RetryAfterTests(SynchronousTestCase):
    """`retry_after` reads both headers that SDKs read."""

    def test_forms(self) -> None:
        """Milliseconds first, then seconds; nonsense and dates are left alone."""
        for headers, seconds in (
            ({b"retry-after": b"3"}, 3.0),
            ({b"retry-after": b"3", b"retry-after-ms": b"250.5"}, 0.2505),
            ({b"retry-after": b"Fri, 31 Dec 2027 23:59:59 GMT"}, None),
            ({b"retry-after": b"-1"}, None),
            ({b"retry-after": b"inf"}, None),
            ({}, None),
        ):
            self.assertEqual(retry_after(tuple(headers.items())), seconds)
