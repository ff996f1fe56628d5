"""What browsers are told about cross-origin requests."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.config import ServerConfig
from relay.web import cors
from tests.unit.doubles import OpenKeys
from tests.unit.values import make_snapshot
from tests.unit.web.client import Reply, WebCase

PAGE = "https://chat.example"
ASKED = "authorization, content-type, x-stainless-lang, anthropic-version"


class FieldsTests(SynchronousTestCase):
    """The fields alone."""

    def test_off(self) -> None:
        """Without configured origins no field is sent."""
        self.assertEqual(cors.fields((), PAGE), ())

    def test_star(self) -> None:
        """With the star any origin may read; the answer is the same for all, and says so."""
        fields = dict(cors.fields(("*",), PAGE))
        self.assertEqual(fields[b"access-control-allow-origin"], b"*")

    def test_strangers(self) -> None:
        """An origin that is not listed learns nothing, but caches are told that the answer depends on it."""
        self.assertEqual(cors.fields((PAGE,), "https://evil.example"), ((b"vary", b"Origin"),))
        self.assertEqual(cors.fields((PAGE,), None), ((b"vary", b"Origin"),))

    def test_onlyNamesAreEchoed(self) -> None:
        """What is no list of field names is not sent back."""
        for asked in (b"a\x01b", b"a;b", b"<x>", b"", b"a" * 5000):
            names = [name for name, _ in cors.preflight((b"GET",), asked)]
            self.assertNotIn(b"access-control-allow-headers", names)


class SiteTests(WebCase):
    """The fields on answers of the site."""

    def setUp(self) -> None:
        """A relay that one page may call."""
        self.server = self.make(make_snapshot(server=ServerConfig(cors_origins=(PAGE,))))

    def preflight(self, path: str, origin: str = PAGE) -> Reply:
        """Ask as a browser does, without a key."""
        fields = (
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", ASKED),
        )
        return self.server.request("OPTIONS", path, None, fields)

    def test_preflightOnEveryPath(self) -> None:
        """Each path answers a preflight with 204 and what was asked for."""
        for path in (*self.server.site.table, "/v1/models/a/b", "/nope"):
            reply = self.preflight(path)
            self.assertEqual(reply.status, 204, path)
            self.assertEqual(reply.fields["access-control-allow-origin"], PAGE)
            self.assertEqual(reply.fields["access-control-allow-headers"], ASKED)
            self.assertEqual(reply.fields["access-control-max-age"], "7200")
            self.assertEqual(reply.fields["vary"], "Origin")
            self.assertEqual(reply.body, b"")

    def test_preflightNamesTheMethods(self) -> None:
        """The methods are the endpoint's."""
        reply = self.preflight("/v1/messages")
        self.assertEqual(reply.fields["access-control-allow-methods"], "POST, OPTIONS")

    def test_preflightNeedsNoKey(self) -> None:
        """Browsers send no key with a preflight, so none is asked for."""
        snapshot = make_snapshot(server=ServerConfig(cors_origins=(PAGE,)))
        self.server = self.make(snapshot, keys=OpenKeys("secret"))
        self.assertEqual(self.preflight("/v1/chat/completions").status, 204)
        self.assertEqual(self.server.gateway.records, [])

    def test_everyAnswer(self) -> None:
        """Good answers and errors alike can be read by the page."""
        for method, path, status in (
            ("GET", "/health", 200),
            ("GET", "/v1/models", 200),
            ("GET", "/nope", 404),
            ("PUT", "/v1/messages", 405),
        ):
            reply = self.server.request(method, path, None, (("Origin", PAGE),))
            self.assertEqual(reply.status, status)
            self.assertEqual(reply.fields["access-control-allow-origin"], PAGE)
            self.assertIn("x-request-id", reply.fields["access-control-expose-headers"])
            self.assertIn("retry-after", reply.fields["access-control-expose-headers"])

    def test_exchanges(self) -> None:
        """The answers of exchanges, too."""
        reply = self.server.post("/v1/chat/completions", origin=PAGE)
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.fields["access-control-allow-origin"], PAGE)

    def test_offByDefault(self) -> None:
        """Unless origins are configured, a foreign preflight is refused without a word about CORS."""
        self.server = self.make()
        reply = self.preflight("/v1/messages")
        self.assertEqual(reply.status, 403)
        self.assertFalse([name for name in reply.fields if name.startswith("access-control")])

    def test_reload(self) -> None:
        """Origins are read for each request."""
        self.server.configuration.snapshot = make_snapshot(server=ServerConfig(cors_origins=("https://b.example",)))
        self.assertEqual(self.preflight("/v1/messages").status, 403)
        self.assertEqual(self.preflight("/v1/messages", "https://b.example").status, 204)
