"""Which dialect a caller speaks."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.endpoints import FORWARDED
from relay.web.fronts import front

VERSION = ((b"anthropic-version", b"2023-06-01"),)
GOOGLE = ((b"x-goog-api-key", b"k"),)


class FrontTests(SynchronousTestCase):
    """The path decides where it can, headers decide elsewhere."""

    def test_knownPaths(self) -> None:
        """A known path has its own dialect, with and without prefix and last slash, whatever the headers say."""
        for endpoint in FORWARDED.values():
            for path in (endpoint.path, endpoint.path.removeprefix("/v1"), f"{endpoint.path}/"):
                for headers in ((), VERSION, GOOGLE):
                    self.assertEqual(front(path, headers), endpoint.front, path)

    def test_openPaths(self) -> None:
        """Elsewhere the headers tell, and OpenAI's is the common language."""
        for path in ("/v1/models", "/models/x", "/", "/nope", "/v1/messagesx", "*"):
            self.assertEqual(front(path, ()), "openai", path)
            self.assertEqual(front(path, VERSION), "anthropic", path)
            self.assertEqual(front(path, GOOGLE), "gemini", path)

    def test_unknownPathsOfADialect(self) -> None:
        """Paths that only one API has are answered in its shape although nothing is served there."""
        self.assertEqual(front("/v1/messages/batches", ()), "anthropic")
        self.assertEqual(front("/messages/batches", ()), "anthropic")
        self.assertEqual(front("/v1beta/models/x:generateContent", ()), "gemini")
