"""Where requests go."""

from __future__ import annotations

from relay.provider import Origin
from tests.unit.loader.folder import FolderTestCase

_CHAT = "/v1/chat/completions"


class BaseURLTests(FolderTestCase):
    """``baseUrl`` → origin and base path."""

    def test_origins(self) -> None:
        """Scheme defaults to https, port to the scheme's; trailing slashes go."""
        table = {
            "api.example": (Origin("https", "api.example", 443), ""),
            "api.example/v1/": (Origin("https", "api.example", 443), "/v1"),
            "localhost:8080": (Origin("https", "localhost", 8080), ""),
            "http://localhost:11434//": (Origin("http", "localhost", 11434), ""),
            "HTTPS://API.Example/V1": (Origin("https", "api.example", 443), "/V1"),
            "http://[::1]:9/x": (Origin("http", "::1", 9), "/x"),
            "http://10.0.0.7/a%20b": (Origin("http", "10.0.0.7", 80), "/a%20b"),
            "echo://local": (Origin("echo", "local", 0), ""),
            "ECHO://Local/": (Origin("echo", "local", 0), ""),
        }
        for text, expected in table.items():
            provider = self.provider(baseUrl=text)
            self.assertEqual((provider.origin, provider.base_path), expected, text)

    def test_variables(self) -> None:
        """``${NAME}`` is a fixed value, an environment variable, or its default."""
        variables = {
            "A": "eu",
            "B": {"value": "v2"},
            "C": {"env": "REGION", "default": "none"},
            "D": {"env": "UNSET", "default": "d"},
            "E": {"env": "BLANK", "default": "e"},
        }
        provider = self.provider(
            {"REGION": "north", "BLANK": "  "},
            baseUrl="https://${A}.${C}.example/${B}/${D}${E}",
            vars=variables,
            headers={"X-Region": "in ${C}"},
            endpoints={"/v1/rerank": {"upstreamPath": "/${B}/rerank"}},
            models={"path": "/${A}/models"},
        )
        self.assertEqual(provider.origin.host, "eu.north.example")
        self.assertEqual(provider.base_path, "/v2/de")
        self.assertEqual(dict(provider.headers)["x-region"], "in north")
        self.assertEqual(provider.endpoints["/v1/rerank"].target, "/v2/de/v2/rerank")
        self.assertEqual(provider.models.target, "/v2/de/eu/models")

    def test_unusedVariableNeedNotBeSet(self) -> None:
        """A variable that nothing refers to is not looked up."""
        self.assertEqual(self.provider(vars={"A": {"env": "UNSET"}}).origin.host, "api.example")

    def test_onlyDeclaredVariables(self) -> None:
        """The environment is not open to files: only names in ``vars`` count."""
        self.write("p.json", {"baseUrl": "https://${HOME}"})
        self.assertIn("${HOME} is not declared in 'vars'", self.refused("p", environ={"HOME": "/root"}))


class TargetTests(FolderTestCase):
    """``upstreamPath`` and the default paths."""

    def target(self, base: str, upstream: str | None = None) -> str:
        """Where chat goes."""
        endpoints = {} if upstream is None else {_CHAT: {"upstreamPath": upstream}}
        return self.provider(baseUrl=base, endpoints=endpoints).endpoints[_CHAT].target

    def test_defaults(self) -> None:
        """A default path follows the base path; ``/v1`` is not doubled."""
        table = {
            "a.example": "/v1/chat/completions",
            "a.example/v1": "/v1/chat/completions",
            "a.example/api/v1/": "/api/v1/chat/completions",
            "a.example/v1beta/openai": "/v1beta/openai/v1/chat/completions",
            "a.example/xv1": "/xv1/v1/chat/completions",
            "a.example/v1?api-version=2": "/v1/chat/completions?api-version=2",
        }
        self.assertEqual({base: self.target(base) for base in table}, table)

    def test_explicit(self) -> None:
        """A written path follows the base path as it is; queries are joined with ``&``."""
        table = {
            ("a.example", "/chat"): "/chat",
            ("a.example", "chat"): "/chat",
            ("a.example/v1", "/v1/chat"): "/v1/v1/chat",
            ("a.example/v1", "/chat?x=1"): "/v1/chat?x=1",
            ("a.example/v1?k=2", "/chat?x=1"): "/v1/chat?k=2&x=1",
            ("a.example", "/models/{model}/chat"): "/models/{model}/chat",
            ("a.example", "/chat?deployment={model}"): "/chat?deployment={model}",
            ("a.example", "/v1beta/models/{model}:generate"): "/v1beta/models/{model}:generate",
        }
        self.assertEqual({key: self.target(*key) for key in table}, table)

    def test_absolute(self) -> None:
        """A whole URL replaces origin and base path of that endpoint only."""
        provider = self.provider(
            baseUrl="https://a.example/v1?k=1",
            endpoints={_CHAT: {"upstreamPath": "https://b.example:8443/chat?x={model}"}},
        )
        chat = provider.endpoints[_CHAT]
        self.assertEqual((chat.origin, chat.target), (Origin("https", "b.example", 8443), "/chat?x={model}"))
        self.assertEqual(provider.endpoints["/v1/embeddings"].origin, provider.origin)

    def test_absoluteWithoutPath(self) -> None:
        """A URL without a path means its root."""
        provider = self.provider(endpoints={_CHAT: {"upstreamPath": "https://b.example"}})
        self.assertEqual(provider.endpoints[_CHAT].target, "/")

    def test_unencryptedMayLeadToEncrypted(self) -> None:
        """Only the way down is refused: from http to https is fine."""
        provider = self.provider(baseUrl="http://a", endpoints={_CHAT: {"upstreamPath": "https://b.example/x"}})
        self.assertEqual(provider.endpoints[_CHAT].origin.scheme, "https")

    def test_modelList(self) -> None:
        """The path of the model list is joined as a default path is."""
        for base, path, target in (
            ("a.example", "/v1/models", "/v1/models"),
            ("a.example/v1", "/v1/models", "/v1/models"),
            ("a.example/v1beta/openai", "/models", "/v1beta/openai/models"),
            ("a.example/v1?k=1", "/v1/models", "/v1/models?k=1"),
        ):
            provider = self.provider(baseUrl=base, models={"path": path})
            self.assertEqual((provider.models.target, provider.models.listed), (target, ()))
