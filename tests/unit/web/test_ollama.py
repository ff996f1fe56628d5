"""What Ollama's clients ask for besides chatting, and how their requests are taken."""

from __future__ import annotations

import json

from ollama import ListResponse, ShowResponse

from relay.config import ServerConfig
from relay.endpoints import ENDPOINTS
from relay.outcome import Outcome
from relay.provider import AuthScheme, ModelSource
from tests.unit.doubles import OpenKeys
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import Reply, SiteUnderTest, WebCase

FORWARDED = tuple(path for path, endpoint in ENDPOINTS.items() if endpoint.front == "ollama")
PATHS = (("GET", "/api/tags"), ("POST", "/api/show"), *(("POST", path) for path in FORWARDED))
PAGE = "https://chat.example"
DETAILS = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}


class OllamaCase(WebCase):
    """One provider with three models, one of which has a slash in its name, and one a tag."""

    def setUp(self) -> None:
        """Build the site."""
        self.server = self.build()

    def build(self, *, keys: OpenKeys | None = None, server: ServerConfig | None = None) -> SiteUnderTest:
        """A site."""
        provider = make_provider("one", scheme=AuthScheme.NONE, models=ModelSource(("m", "org/m", "gpt-oss:20b")))
        return self.make(make_snapshot(provider, server=server or ServerConfig()), keys=keys)

    def refused(self, reply: Reply, status: int, words: str) -> None:
        """An error in Ollama's shape that says so much."""
        self.assertEqual((reply.status, list(reply.json)), (status, ["error"]), reply.body)
        self.assertIn(words, reply.json["error"])
        self.assertEqual(reply.fields["content-type"], "application/json")


class TagsTests(OllamaCase):
    """``GET /api/tags``."""

    def test_models(self) -> None:
        """All models, in the form that Ollama's own client reads; what relay does not know is empty."""
        reply = self.server.request("GET", "/api/tags")
        self.assertEqual(reply.status, 200)
        self.assertEqual([model["name"] for model in reply.json["models"]], ["m", "org/m", "gpt-oss:20b"])
        first = {"name": "m", "model": "m", "modified_at": "1970-01-01T00:00:00Z", "size": 0, "digest": ""}
        self.assertEqual(reply.json["models"][0], {**first, "details": DETAILS})
        read = ListResponse.model_validate_json(reply.body)
        self.assertEqual([model.model for model in read.models], ["m", "org/m", "gpt-oss:20b"])

    def test_noted(self) -> None:
        """A list is noted like OpenAI's, under its path and its dialect."""
        reply = self.server.request("GET", "/api/tags")
        (record,) = self.server.gateway.records
        self.assertEqual((record.endpoint, record.front, record.status), ("/api/tags", "ollama", 200))
        self.assertEqual((record.outcome, record.bytes_out), (Outcome.COMPLETE, len(reply.body)))

    def test_noModels(self) -> None:
        """Where no provider names a model the list is empty, not absent."""
        server = self.make(make_snapshot(make_provider("one", scheme=AuthScheme.NONE)))
        self.assertEqual(server.request("GET", "/api/tags").json, {"models": []})


class ShowTests(OllamaCase):
    """``POST /api/show``."""

    def show(self, body: bytes, *fields: tuple[str, str]) -> Reply:
        """Ask for a model."""
        return self.server.request("POST", "/api/show", body, fields)

    def test_names(self) -> None:
        """A model by its name in either field, with the tag that Ollama's clients add, and with a slash."""
        for body, name in (
            ({"model": "m"}, "m"),
            ({"name": "m"}, "m"),
            ({"model": None, "name": "m"}, "m"),
            ({"model": "org/m", "name": "other"}, "org/m"),
            ({"model": "m:latest", "verbose": True}, "m:latest"),
            ({"model": "gpt-oss:20b", "options": {"num_ctx": 1}}, "gpt-oss:20b"),
        ):
            reply = self.show(json.dumps(body).encode())
            self.assertEqual((reply.status, reply.json["model_info"]), (200, {"general.basename": name}), body)
            self.assertEqual(reply.json["details"], DETAILS)
            self.assertEqual(ShowResponse.model_validate_json(reply.body).capabilities, ["completion", "tools"])

    def test_contentTypes(self) -> None:
        """As at Ollama, the body is JSON whatever it is called."""
        for media in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
            self.assertEqual(self.show(b'{"model": "m"}', ("Content-Type", media)).status, 200, media)

    def test_unknown(self) -> None:
        """An unknown model is told in Ollama's words, an endless name only in part."""
        self.refused(self.show(b'{"model": "nope"}'), 404, "model 'nope' not found")
        self.refused(self.show(b'{"model": "nope:20b"}'), 404, "model 'nope:20b' not found")
        self.refused(self.show(b'{"model": "../m"}'), 404, "not found")
        reply = self.show(b'{"model": "%b"}' % (b"x" * 10_000))
        self.refused(reply, 404, "not found")
        self.assertLess(len(reply.body), 1000)

    def test_wrongBodies(self) -> None:
        """What names no model is 400, and nothing else."""
        for body in (
            b"",
            b"x",
            b"null",
            b"[]",
            b'"m"',
            b"{}",
            b'{"model": ""}',
            b'{"model": 3}',
            b'{"model": ["m"]}',
            b'{"model": "m"',
            b'{"model": "\xff"}',
            b'{"a": ' + b"[" * 100_000,
        ):
            self.refused(self.show(body), 400, "model")
        self.assertEqual({record.status for record in self.server.gateway.records}, {400})

    def test_upload(self) -> None:
        """A form is not JSON, be it small or so large that it lies in a file."""
        for size in (1, 2_000_000):
            head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
            reply = self.show(
                head + b"m" * size + b"\r\n--b--\r\n", ("Content-Type", "multipart/form-data; boundary=b")
            )
            self.refused(reply, 400, "JSON")


class VersionTests(OllamaCase):
    """``GET /api/version``."""

    def test_version(self) -> None:
        """Numbers that clients can compare; nobody is asked for a key, and nothing is noted."""
        self.server = self.build(keys=OpenKeys("secret"))
        reply = self.server.request("GET", "/api/version")
        self.assertEqual((reply.status, list(reply.json)), (200, ["version"]))
        self.assertRegex(reply.json["version"], r"\A\d+\.\d+\.\d+\Z")
        self.assertEqual(self.server.gateway.records, [])


class AccessTests(OllamaCase):
    """Who may call."""

    def test_keys(self) -> None:
        """Where keys are required every path but the version needs one, in any style."""
        self.server = self.build(keys=OpenKeys("secret"))
        for method, path in PATHS:
            for fields in ((), (("Authorization", "Bearer wrong"),)):
                self.refused(self.server.request(method, path, b'{"model": "m"}', fields), 401, "key")
            for fields in ((("Authorization", "Bearer secret"),), (("x-api-key", "secret"),)):
                self.assertEqual(self.server.request(method, path, b'{"model": "m"}', fields).status, 200, path)

    def test_noKeyInTheQuery(self) -> None:
        """A key in the query is none here."""
        self.server = self.build(keys=OpenKeys("secret"))
        for method, path in PATHS:
            self.assertEqual(self.server.request(method, f"{path}?key=secret", b'{"model": "m"}').status, 401, path)

    def test_foreign(self) -> None:
        """On loopback without keys foreign names and pages are refused."""
        for method, path in (*PATHS, ("GET", "/api/version")):
            self.refused(self.server.request(method, path, b"{}", host="evil.example"), 403, "Host")
            fields = (("Origin", "https://evil.example"),)
            self.refused(self.server.request(method, path, b"{}", fields), 403, "Origin")
        self.assertEqual(self.server.gateway.requests, [])

    def test_pages(self) -> None:
        """A page whose origin is configured may ask, and may read the answer."""
        self.server = self.build(server=ServerConfig(cors_origins=(PAGE,)))
        for method, path in (*PATHS, ("GET", "/api/version")):
            asked = (("Origin", PAGE), ("Access-Control-Request-Method", method))
            self.assertEqual(self.server.request("OPTIONS", path, None, asked).status, 204, path)
            reply = self.server.request(method, path, b'{"model": "m"}', (("Origin", PAGE),))
            self.assertEqual((reply.status, reply.fields["access-control-allow-origin"]), (200, PAGE), path)


class ForwardedTests(OllamaCase):
    """``/api/chat``, ``/api/generate``, ``/api/embed``."""

    def test_contentTypes(self) -> None:
        """The commands of Ollama's documentation send curl's own type; other types are refused."""
        for path in FORWARDED:
            for media in ("application/x-www-form-urlencoded", "Application/X-WWW-Form-URLEncoded; charset=utf-8"):
                reply = self.server.request("POST", path, b"{}", (("Content-Type", media),))
                self.assertEqual((reply.status, reply.body), (200, b"{}"), path)
                self.assertEqual(self.server.gateway.requests[-1].endpoint.path, path)
            for media in (
                "text/plain",
                "multipart/form-data; boundary=b",
                "application/x-www-form-urlencoded, text/plain",
            ):
                self.refused(
                    self.server.request("POST", path, b"{}", (("Content-Type", media),)), 415, "application/json"
                )

    def test_methods(self) -> None:
        """Only POST is taken."""
        for path in FORWARDED:
            reply = self.server.request("GET", path)
            self.refused(reply, 405, "POST")
            self.assertEqual(reply.fields["allow"], "POST, OPTIONS")
