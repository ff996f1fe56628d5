"""Which dialect a caller speaks."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.endpoints import ENDPOINTS, FORWARDED
from relay.web.fronts import ACTIONS, front

VERSION = ((b"anthropic-version", b"2023-06-01"),)
GOOGLE = ((b"x-goog-api-key", b"k"),)


class FrontTests(SynchronousTestCase):
    """The path decides where it can, headers decide elsewhere."""

    def test_knownPaths(self) -> None:
        """A known path has its own dialect, with and without prefix and last slash, whatever the headers say."""
        for endpoint in (
            endpoint for endpoint in ENDPOINTS.values() if endpoint.public and endpoint.path not in FORWARDED
        ):
            for path in (endpoint.path, f"{endpoint.path}/"):
                for headers in ((), VERSION, GOOGLE):
                    self.assertEqual(front(path, headers), endpoint.front, path)
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
        for headers in ((), VERSION):
            self.assertEqual(front("/v1beta/nope", headers), "gemini")
            self.assertEqual(front("/api/nope", headers), "ollama")
            self.assertEqual(front("/v2/nope", headers), "cohere")

    def test_actions(self) -> None:
        """What ends in one of Gemini's actions is Gemini's, however it is escaped and whatever stands before it."""
        for action in ACTIONS:
            for path in (
                f"/v1beta/models/x:{action}",
                f"/v1/models/org/x:{action}/",
                f"/models/x%3a{action}",
                f"/v1/models/x%3A%{ord(action[0]):x}{action[1:]}",
                f"/nope:{action}",
            ):
                self.assertEqual(front(path, VERSION), "gemini", path)
        for path in ("/v1/models/generateContent", "/v1/models/x:GenerateContent", "/v1/models/x:fly", "/countTokens"):
            self.assertEqual(front(path, ()), "openai", path)

    def test_providersPaths(self) -> None:
        """Paths at which only providers are called decide nothing."""
        self.assertEqual(front("/model/{model}/converse", ()), "openai")
