"""Gemini's paths on the site."""

from __future__ import annotations

from relay.errors import DialectUnsupported
from relay.exchange import ClientRequest
from relay.interfaces import ISink
from relay.provider import AuthScheme, ModelSource
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import WebCase

ASK = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
KEY = (("x-goog-api-key", "k"),)


def refuse(request: ClientRequest, sink: ISink) -> None:
    """A gateway that cannot translate."""
    raise DialectUnsupported("no way")


class GeminiTests(WebCase):
    """One provider with two models, one of which has a slash in its name."""

    def setUp(self) -> None:
        """Build the site."""
        provider = make_provider("one", scheme=AuthScheme.NONE, models=ModelSource(("m", "org/m")))
        self.server = self.make(make_snapshot(provider))

    def test_actions(self) -> None:
        """Path and query tell model, action and framing, under both versions and however they are escaped."""
        for path, model, stream, array in (
            ("/v1beta/models/m:generateContent", "m", False, False),
            ("/v1/models/m:generateContent", "m", False, False),
            ("/models/m:generateContent", "m", False, False),
            ("/v1beta/models/org/m:streamGenerateContent?alt=sse", "org/m", True, False),
            ("/v1beta/models/org%2Fm:streamGenerateContent", "org/m", True, True),
            ("/v1beta/models/m%3AstreamGenerateContent?alt=json", "m", True, True),
            ("/v1/models/tuned:m:countTokens", "tuned:m", False, False),
            ("/v1beta/models/m:embedContent/", "m", False, False),
        ):
            self.server.request("POST", path, ASK, KEY)
            request = self.server.gateway.requests[-1]
            self.assertEqual(
                (request.path_model, request.path_stream, request.path_array), (model, stream, array), path
            )
            self.assertEqual(request.endpoint.front, "gemini")
            self.assertEqual(request.body, ASK)

    def test_lists(self) -> None:
        """The models in Gemini's form, all of them and one."""
        reply = self.server.request("GET", "/v1beta/models", None)
        self.assertEqual([model["name"] for model in reply.json["models"]], ["models/m", "models/org/m"])
        reply = self.server.request("GET", "/v1beta/models/org/m", None)
        self.assertEqual((reply.status, reply.json["displayName"]), (200, "org/m"))

    def test_unknown(self) -> None:
        """What is not there is told in Gemini's form."""
        for path, status in (("/v1beta/models/other", 404), ("/v1beta/models/m:fly", 404), ("/v1beta/elsewhere", 404)):
            reply = self.server.request("GET", path, None)
            self.assertEqual((reply.status, reply.json["error"]["code"]), (status, status), path)
        for path in ("/v1beta/models/%FF:generateContent", "/v1beta/models/" + "m" * 300 + ":generateContent"):
            reply = self.server.request("POST", path, ASK)
            self.assertIn(reply.status, (400, 405), path)
            self.assertEqual(reply.json["error"]["code"], reply.status)

    def test_errors(self) -> None:
        """An error of the gateway is told in Gemini's form, whichever version the path names."""
        for path in ("/v1/models/m:generateContent", "/v1beta/models/m:generateContent"):
            self.server.gateway.serve = refuse
            reply = self.server.request("POST", path, ASK)
            self.assertEqual(reply.json, {"error": {"code": 400, "message": "no way", "status": "INVALID_ARGUMENT"}})
