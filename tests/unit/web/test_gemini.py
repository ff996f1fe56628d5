"""Gemini's paths on the site."""

from __future__ import annotations

from typing import ClassVar

from twisted.logger import capturedLogs, eventAsText

from relay.config import ServerConfig
from relay.dialects.request import LONGEST_MODEL
from relay.errors import DialectUnsupported
from relay.exchange import ClientRequest
from relay.interfaces import ISink
from relay.outcome import Outcome
from relay.provider import AuthScheme, ModelSource
from relay.web.fronts import ACTIONS
from tests.unit.doubles import OpenKeys
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import Reply, SiteUnderTest, WebCase, raw

ASK = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
KEY = (("x-goog-api-key", "k"),)


def refuse(request: ClientRequest, sink: ISink) -> None:
    """A gateway that cannot translate."""
    raise DialectUnsupported("no way")


def crash(request: ClientRequest, sink: ISink) -> None:
    """A gateway with a defect."""
    raise RuntimeError("boom")


class GeminiCase(WebCase):
    """One provider with two models, one of which has a slash in its name."""

    def setUp(self) -> None:
        """Build the site."""
        self.server = self.build()

    def build(self, *, keys: OpenKeys | None = None, server: ServerConfig | None = None) -> SiteUnderTest:
        """A site."""
        provider = make_provider("one", scheme=AuthScheme.NONE, models=ModelSource(("m", "org/m")))
        return self.make(make_snapshot(provider, server=server or ServerConfig()), keys=keys)

    def refused(self, reply: Reply, status: int, word: str) -> None:
        """An error in Gemini's shape."""
        error = reply.json["error"]
        self.assertEqual(set(error), {"code", "message", "status"})
        self.assertEqual((reply.status, error["code"], error["status"]), (status, status, word), reply.body)


class PathTests(GeminiCase):
    """What a path says."""

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
            ("/v1beta/models/m:streamGenerateContent?$alt=sse&x=y", "m", True, False),
            ("/v1beta/models/m:generateContent?alt=sse", "m", False, False),
            ("/v1beta/models/m:batchEmbed%43ontents", "m", False, False),
            ("/v1beta/models/%C3%A9%20%3F:generateContent", "é ?", False, False),
            ("/v1beta/models/" + "m" * LONGEST_MODEL + ":generateContent", "m" * LONGEST_MODEL, False, False),
        ):
            self.server.request("POST", path, ASK, KEY)
            request = self.server.gateway.requests[-1]
            self.assertEqual(
                (request.path_model, request.path_stream, request.path_array), (model, stream, array), path
            )
            self.assertEqual(request.endpoint.front, "gemini")
            self.assertEqual(request.body, ASK)

    def test_lists(self) -> None:
        """The models in Gemini's form, all of them and one, however its slash is written."""
        reply = self.server.request("GET", "/v1beta/models", None)
        self.assertEqual([model["name"] for model in reply.json["models"]], ["models/m", "models/org/m"])
        for path in ("/v1beta/models/org/m", "/v1beta/models/org%2Fm", "/v1beta/models/org%2fm/"):
            reply = self.server.request("GET", path, None)
            self.assertEqual((reply.status, reply.json["displayName"]), (200, "org/m"), path)
            self.assertEqual(reply.json["name"], "models/org/m")
            self.assertEqual(self.server.request("HEAD", path, None).status, 200)
        records = self.server.gateway.records
        self.assertEqual(
            {(record.endpoint, record.front, record.outcome) for record in records},
            {("/v1beta/models", "gemini", Outcome.COMPLETE)},
        )

    def test_unknown(self) -> None:
        """What is not there is told in Gemini's form."""
        for path, status in (("/v1beta/models/other", 404), ("/v1beta/models/m:fly", 404), ("/v1beta/elsewhere", 404)):
            reply = self.server.request("GET", path, None)
            self.assertEqual((reply.status, reply.json["error"]["code"]), (status, status), path)
        for path in ("/v1beta/models/m:batchGenerateContent", "/v1beta/models/gpt-oss:20b"):
            reply = self.server.post(path, ASK)
            self.refused(reply, 404, "NOT_FOUND")
            self.assertIn("streamGenerateContent", reply.json["error"]["message"])

    def test_names(self) -> None:
        """What no model is called is refused, however it is escaped, and nobody is asked for it."""
        for name in (
            "",
            "%FF",
            "m" * (LONGEST_MODEL + 1),
            ".",
            "..",
            "%2e%2E",
            "..%2f..",
            "../..",
            "a/../b",
            "a%2F..%2Fb",
            "%2e/m",
            "/m",
            "m//n",
            "m%2F",
            "m%0d%0ax",
            "m%00",
        ):
            for action in ("generateContent", "streamGenerateContent", "countTokens"):
                reply = self.server.post(f"/v1beta/models/{name}:{action}", ASK)
                self.refused(reply, 400, "INVALID_ARGUMENT")
        self.assertEqual(self.server.gateway.requests, [])

    def test_nothingElseIsDecoded(self) -> None:
        """Only the model is; what stands before it is compared as it came."""
        for path in (
            "/v1beta%2Fmodels/m:generateContent",
            "/v1beta/models%2Fm:generateContent",
            "/v1beta/%6dodels/m:generateContent",
            "/v1beta/x/../models/m:generateContent",
            "/v1beta/tunedModels/m:generateContent",
        ):
            self.refused(self.server.post(path, ASK), 404, "NOT_FOUND")

    def test_methods(self) -> None:
        """An action takes POST, a list and a model take GET; records name the endpoint, not the path."""
        for action, canonical in ACTIONS.items():
            for prefix in ("/v1beta/models", "/v1/models", "/models"):
                reply = self.server.request("GET", f"{prefix}/m:{action}", None)
                self.refused(reply, 405, "INVALID_ARGUMENT")
                self.assertEqual(reply.fields["allow"], "POST, OPTIONS")
                self.assertEqual(self.server.gateway.records[-1].endpoint, f"/v1beta/models/{{model}}:{canonical}")
        for path in ("/v1beta/models", "/v1beta/models/m"):
            reply = self.server.post(path, ASK)
            self.refused(reply, 405, "INVALID_ARGUMENT")
            self.assertEqual(reply.fields["allow"], "GET, HEAD, OPTIONS")

    def test_media(self) -> None:
        """Actions take JSON."""
        fields = (("Content-Type", "text/plain"),)
        self.refused(
            self.server.request("POST", "/v1beta/models/m:generateContent", ASK, fields), 415, "INVALID_ARGUMENT"
        )

    def test_errors(self) -> None:
        """An error of the gateway is told in Gemini's form, whichever version the path names."""
        for path in ("/v1/models/m:generateContent", "/v1beta/models/m:generateContent"):
            self.server.gateway.serve = refuse
            reply = self.server.request("POST", path, ASK)
            self.assertEqual(reply.json, {"error": {"code": 400, "message": "no way", "status": "INVALID_ARGUMENT"}})


class CallerTests(GeminiCase):
    """Who may call."""

    def test_foreign(self) -> None:
        """On loopback without keys foreign names and pages are refused."""
        for method, path in (("GET", "/v1beta/models"), ("POST", "/v1/models/m:countTokens")):
            self.refused(self.server.request(method, path, ASK, host="evil.example"), 403, "PERMISSION_DENIED")
            origin = (("Origin", "https://evil.example"),)
            self.refused(self.server.request(method, path, ASK, origin), 403, "PERMISSION_DENIED")
        self.assertEqual(self.server.gateway.requests, [])

    def test_pages(self) -> None:
        """A page whose origin is configured may ask, with Gemini's own key field."""
        page = "https://chat.example"
        self.server = self.build(server=ServerConfig(cors_origins=(page,)))
        for path in ("/v1beta/models/org/m:streamGenerateContent", "/v1/models/m:generateContent"):
            asked = (
                ("Origin", page),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "x-goog-api-key, x-goog-api-client, content-type"),
            )
            reply = self.server.request("OPTIONS", path, None, asked)
            self.assertEqual((reply.status, reply.fields["access-control-allow-origin"]), (204, page))
            self.assertIn("POST", reply.fields["access-control-allow-methods"])
            self.assertIn("x-goog-api-key", reply.fields["access-control-allow-headers"])
            reply = self.server.request("POST", path, ASK, (("Origin", page),))
            self.assertEqual((reply.status, reply.fields["access-control-allow-origin"]), (200, page))


class QueryKeyTests(GeminiCase):
    """``?key=`` on Gemini's paths."""

    TAKE: ClassVar = (
        ("POST", "/v1beta/models/m:generateContent"),
        ("POST", "/v1beta/models/m:streamGenerateContent"),
        ("POST", "/v1/models/m:embedContent"),
        ("GET", "/v1beta/models"),
        ("GET", "/v1beta/models/org/m"),
    )
    LEAVE: ClassVar = (
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/messages"),
        ("POST", "/v2/chat"),
        ("POST", "/api/chat"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/m"),
    )

    def test_taken(self) -> None:
        """It opens what a key in a field opens: alone, with the same key in a field, under Google's other name."""
        self.server = self.build(keys=OpenKeys("secret"))
        same = (("x-goog-api-key", "secret"), ("Authorization", "Bearer secret"))
        for method, path in self.TAKE:
            for query, fields in (
                ("key=secret", ()),
                ("alt=sse&key=secret", ()),
                ("$key=secret", ()),
                ("%6bey=%73ecret", ()),
                ("key=secret&key=secret", same),
                ("key=", same),
            ):
                reply = self.server.request(method, f"{path}?{query}", ASK, fields)
                self.assertEqual(reply.status, 200, f"{path}?{query}")

    def test_refused(self) -> None:
        """A wrong one, none, and one that disagrees with another are refused before anybody is asked."""
        self.server = self.build(keys=OpenKeys("secret"))
        for method, path in self.TAKE:
            for query, fields in (
                ("", ()),
                ("key=wrong", ()),
                ("key=wrong", KEY),
                ("key=secret&key=other", ()),
                ("key=secret", KEY),
                ("key=secret", (("Authorization", "Bearer other"),)),
                ("key=secr%C3%A9t", ()),
                ("KEY=secret", ()),
            ):
                reply = self.server.request(method, f"{path}?{query}", ASK, fields)
                self.refused(reply, 401, "UNAUTHENTICATED")
                self.assertNotIn(b"secret", reply.body)
        self.assertEqual(self.server.gateway.requests, [])

    def test_elsewhere(self) -> None:
        """On other paths it is no key."""
        self.server = self.build(keys=OpenKeys("secret"))
        for method, path in self.LEAVE:
            self.assertEqual(self.server.request(method, f"{path}?key=secret", ASK).status, 401, path)

    def test_goesNoFurther(self) -> None:
        """What the gateway is given has it as the credential, and neither in the query nor in the fields."""
        for _, path in self.TAKE[:3]:
            self.server.post(f"{path}?key=secret&alt=sse", ASK)
            request = self.server.gateway.requests[-1]
            self.assertEqual(request.credential and request.credential.reveal(), "secret")
            self.assertEqual(request.query, b"")
            self.assertNotIn("secret", repr(request))

    def test_ofEachRequest(self) -> None:
        """On one connection each request has its own, however often the head came."""
        connection = self.server.connect()
        for key in ("one", "one", "one", "two", "two", "two", "one", ""):
            query = f"?key={key}" if key else ""
            fields = (("Content-Type", "application/json"),)
            connection.send(raw("POST", f"/v1beta/models/m:generateContent{query}", ASK, fields))
            credential = self.server.gateway.requests[-1].credential
            self.assertEqual(credential.reveal() if credential else "", key)

    def test_notTold(self) -> None:
        """No record, no log and no answer shows it, whatever becomes of the request."""
        replies = []
        with capturedLogs() as events:
            for serve in (self.server.gateway.serve, refuse, crash):
                self.server.gateway.serve = serve
                replies += [self.server.request(method, f"{path}?key=s3cret", ASK) for method, path in self.TAKE]
            replies.append(self.server.request("GET", "/v1beta/models/nope?key=s3cret"))
            replies.append(self.server.post("/v1beta/nope?key=s3cret"))
            replies.append(self.server.post("/v1beta/models/..:generateContent?key=s3cret"))
        self.assertEqual({reply.status for reply in replies}, {200, 400, 404, 500})
        shown = [repr(self.server.gateway.records), *(repr(reply) for reply in replies)]
        shown += [eventAsText(event) for event in events]
        self.assertIn("boom", "".join(shown))
        self.assertTrue(self.flushLoggedErrors(RuntimeError))
        self.assertNotIn("s3cret", "\n".join(shown))
