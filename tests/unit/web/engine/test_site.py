"""The tests of ``tests.unit.web.test_site`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_site
from tests.unit.web.engine.client import OnEngine
from tests.unit.web.test_site import JSON


class PathTests(OnEngine, test_site.PathTests):
    """The table."""

    def test_absoluteTarget(self) -> None:
        """A target that names the host is a path like any other, and its host is what counts."""
        reply = self.server.post("http://127.0.0.1:8000/v1/messages?a=b")
        self.assertEqual((reply.status, self.server.gateway.requests[0].query), (200, b"a=b"))
        reply = self.server.request("POST", "http://evil.example/v1/messages", b"{}", JSON, host="evil.example")
        self.assertEqual(reply.status, 403)
        for target in ("http://evil.example/v1/messages", "*", "v1/messages"):
            self.assertEqual(self.server.post(target).status, 400, target)


class MethodTests(OnEngine, test_site.MethodTests):
    """GET, HEAD, POST, OPTIONS and the rest."""


class AnswerTests(OnEngine, test_site.AnswerTests):
    """What every answer carries."""


class LoopbackTests(OnEngine, test_site.LoopbackTests):
    """Who may call depends on where relay listens and whether it asks for keys."""
