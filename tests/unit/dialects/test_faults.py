"""What providers' errors say."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.faults import LONGEST, read_error, upstream_error
from relay.errors import (
    UpstreamCredential,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamRefused,
)
from relay.outcome import Stage

READ: list[tuple[str, bytes, tuple[str, str]]] = [
    ("OpenAI", b'{"error":{"message":"m","type":"t","param":null,"code":"c"}}', ("m", "c")),
    ("OpenAI without a code", b'{"error":{"message":"m","type":"server_error","code":null}}', ("m", "server_error")),
    ("OpenRouter", b'{"error":{"message":"m","code":429}}', ("m", "429")),
    ("Anthropic", b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}', ("m", "overloaded_error")),
    ("Gemini", b'{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}', ("m", "INVALID_ARGUMENT")),
    ("Gemini in a list", b'[{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}]', ("m", "UNAVAILABLE")),
    ("Responses event", b'{"type":"error","code":"c","message":"m","param":null}', ("m", "c")),
    ("Responses event without a code", b'{"type":"error","code":null,"message":"m"}', ("m", "")),
    ("xAI", b'{"code":"bad key","error":"m"}', ("m", "bad key")),
    ("Ollama", b'{"error":"m"}', ("m", "")),
    ("Mistral", b'{"detail":"m"}', ("m", "")),
    ("Cohere and Bedrock", b'{"message":"m"}', ("m", "")),
    ("a validation report", b'{"detail":[{"loc":["body","x"],"msg":"m","type":"missing"}]}', ("m", "")),
    ("a list of texts", b'{"message":["m","n"]}', ("m", "")),
    ("vLLM", b'{"object":"error","message":"m","type":"BadRequestError","code":400}', ("m", "BadRequestError")),
    ("a code that is true", b'{"error":{"message":"m","code":true}}', ("m", "")),
    ("a lone surrogate", b'{"error":{"message":"\\ud83d"}}', ("\ud83d", "")),
    ("HTML", b"<html><h1>502</h1></html>", ("", "")),
    ("nothing", b"", ("", "")),
    ("another list", b"[]", ("", "")),
    ("a number", b"5", ("", "")),
    ("deep", b"[" * 100000, ("", "")),
    ("not UTF-8", b'{"error":"\xff"}', ("", "")),
    ("null", b'{"error":null,"message":null}', ("", "")),
]

KINDS: list[tuple[str, type[UpstreamError], int]] = [
    ("rate_limit_exceeded", UpstreamRateLimited, 429),
    ("rate_limit_error", UpstreamRateLimited, 429),
    ("RESOURCE_EXHAUSTED", UpstreamRateLimited, 429),
    ("RateLimitReached", UpstreamRateLimited, 429),
    ("429", UpstreamRateLimited, 429),
    ("overloaded_error", UpstreamOverloaded, 529),
    ("UNAVAILABLE", UpstreamOverloaded, 503),
    ("server_error", UpstreamOverloaded, 500),
    ("502", UpstreamOverloaded, 502),
    ("context_length_exceeded", UpstreamRefused, 400),
    ("invalid_request_error", UpstreamRefused, 400),
    ("404", UpstreamRefused, 404),
    ("authentication_error", UpstreamCredential, 502),
    ("PERMISSION_DENIED", UpstreamCredential, 502),
    ("401", UpstreamCredential, 502),
    ("something_new", UpstreamError, 502),
    ("", UpstreamError, 502),
    ("200", UpstreamError, 502),
    ("\u0664\u0662\u0669", UpstreamError, 502),
]


class ReadErrorTests(SynchronousTestCase):
    """Message and code are found in every provider's form."""

    def test_forms(self) -> None:
        """Each form is read, and what is no error answer is "" and raises nothing."""
        for name, body, expected in READ:
            self.assertEqual(read_error(body), expected, name)


class UpstreamErrorTests(SynchronousTestCase):
    """An error inside a stream becomes the error it would have been before it."""

    def test_kinds(self) -> None:
        """The code decides the class and the status."""
        for code, kind, status in KINDS:
            error = upstream_error("said", code, "d")
            self.assertIs(type(error), kind, code)
            self.assertEqual((error.http_status, error.stage, error.deployment), (status, Stage.STREAM, "d"), code)
            self.assertEqual(error.message, "said")

    def test_message(self) -> None:
        """The provider's words are cut, and there are always some."""
        self.assertEqual(upstream_error("x" * 5000, "", "d").message, "x" * LONGEST)
        self.assertTrue(upstream_error("", "", "d").message)
