"""The provider files that relay ships, against what the providers document."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from relay.config import Deployment
from relay.endpoints import ENDPOINTS, Operation
from relay.errors import DialectUnsupported
from relay.loader.snapshot import Sources, available, load
from relay.policy import translating
from relay.policy.credentials import Credential
from relay.policy.forward import prepare
from relay.provider import SIGNED_SCHEMES, AuthScheme, Provider
from relay.schema.overview import BEGIN, END, inserted, spoken, table
from relay.schema.provider import ProviderFile
from relay.secret import Secret
from tests.unit.shipped import ENVIRON, SHIPPED

FOLDER = Path(__file__).parents[2] / "transformer"
PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
ECHOES = {name for name in available(Sources()) if name.startswith("echo")}
CHATS = tuple(path for path, each in ENDPOINTS.items() if each.operation is Operation.CHAT and each.public)
_CHAT, _RESPONSES, _MESSAGES, _EMBEDDINGS = CHATS[0], "/v1/responses", "/v1/messages", "/v1/embeddings"


def documents() -> dict[str, str]:
    """Name and text of every provider file."""
    return {path.stem: path.read_text("utf-8") for path in FOLDER.glob("[!_]*.json")}


def planned(provider: Provider, path: str, *, stream: bool = False) -> str:
    """Where a request of a front goes, translated or not."""
    endpoint = ENDPOINTS[path]
    where = translating.passage(endpoint, provider).served.path if translating.needed(endpoint, provider) else path
    served = provider.endpoints[where]
    template = prepare(Deployment("p/M", provider, "M"), where, Credential(None))
    return f"{served.origin.scheme}://{served.origin.netloc}{template.stream_target if stream else template.target}"


class ShippedTests(SynchronousTestCase):
    """Each file does what its provider's documentation says."""

    def setUp(self) -> None:
        """All providers, without any key."""
        self.snapshot = load(Sources(available(Sources())), ENVIRON)
        self.providers = self.snapshot.providers

    def test_allAreListed(self) -> None:
        """Every file has a line in the list of addresses; there are at least forty, and none makes a warning."""
        self.assertEqual(set(self.providers) - ECHOES, set(SHIPPED))
        self.assertGreaterEqual(len(SHIPPED), 40)
        self.assertEqual(self.snapshot.warnings, ())

    def test_files(self) -> None:
        """A file is named as its provider, names its schema and documentation, and is formatted as all are."""
        for name, text in documents().items():
            document = json.loads(text)
            self.assertEqual((document["name"], document["$schema"]), (name, "./_schema.json"))
            self.assertTrue(name in ECHOES or document["docs"].startswith("https://"), name)
            self.assertEqual(text, json.dumps(document, indent=2, ensure_ascii=False) + "\n", name)

    def test_chat(self) -> None:
        """Chat Completions, Responses and Messages go where they are documented, streamed and not."""
        found, wanted = {}, {}
        for name, said in SHIPPED.items():
            provider = self.providers[name]
            found[name] = [planned(provider, path) for path in (_CHAT, _RESPONSES, _MESSAGES)]
            found[name].append(planned(provider, _CHAT, stream=True))
            wanted[name] = [
                said.chat,
                said.responses or said.chat,
                said.messages or said.chat,
                said.stream or said.chat,
            ]
        self.assertEqual(found, wanted)

    def test_everyFront(self) -> None:
        """A chat of any front reaches every provider, at one of its chat addresses."""
        for name, said in SHIPPED.items():
            known = {said.chat, said.responses, said.messages}
            native = {"ollama": "/api/", "gemini": "/v1beta/", "cohere": "/v2/"}
            for path in CHATS:
                address = planned(self.providers[name], path)
                own = native.get(self.providers[name].endpoints[path].dialect)
                allowed = (
                    address in known
                    or (own is not None and own in address)
                    or (path == "/v1/completions" and "/completions" in address)
                )
                self.assertTrue(allowed, f"{name} {path}: {address}")

    def test_noVersionTwice(self) -> None:
        """No address names a version twice, whatever the front."""
        for name, provider in self.providers.items():
            for path, endpoint in ENDPOINTS.items():
                self.assertIsNone(re.search(r"/(v\d\w*)/\1/", provider.endpoints[path].target), f"{name} {path}")
                self.assertEqual(provider.endpoints[path].path, endpoint.path)

    def test_vectors(self) -> None:
        """Embeddings go where they are documented."""
        found = {name: planned(self.providers[name], _EMBEDDINGS) for name, said in SHIPPED.items() if said.embeddings}
        self.assertEqual(found, {name: said.embeddings for name, said in SHIPPED.items() if said.embeddings})

    def test_noVectors(self) -> None:
        """Providers of Messages and Converse have none, and the client is told."""
        for name in ("anthropic", "bedrock", "vertex-claude"):
            self.assertRaises(DialectUnsupported, planned, self.providers[name], _EMBEDDINGS)

    def test_models(self) -> None:
        """Model lists are asked for where they are documented."""
        found = {}
        for name in SHIPPED:
            provider, target = self.providers[name], self.providers[name].models.target
            found[name] = f"{provider.origin.scheme}://{provider.origin.netloc}{target}" if target else ""
        self.assertEqual(found, {name: said.models for name, said in SHIPPED.items()})

    def test_keys(self) -> None:
        """The key travels in the documented header field; where requests are signed, no field carries it."""
        for name, said in SHIPPED.items():
            provider = self.providers[name]
            without = prepare(Deployment("p/M", provider, "M"), _CHAT, Credential(None))
            keyed = prepare(Deployment("p/M", provider, "M"), _CHAT, Credential(Secret("key-0001")))
            self.assertEqual(keyed.names - without.names, {said.key.encode()} - {b""}, name)
            signed = provider.auth.scheme in SIGNED_SCHEMES | {AuthScheme.NONE}
            self.assertEqual(signed, not said.key, name)

    def test_keyNames(self) -> None:
        """Every provider that wants a key says which variable holds it, and none holds one itself."""
        for name, text in documents().items():
            auth = json.loads(text)["auth"]
            named = re.fullmatch(r"[A-Z0-9_]+", auth.get("env", ""))
            self.assertEqual(bool(named), auth["scheme"] not in ("none", "sigv4", "gcp"), name)
            self.assertEqual(self.providers[name].auth.secrets(), ())

    def test_counting(self) -> None:
        """Tokens are counted by Claude's own providers, and estimated for the others."""
        count = "/v1/messages/count_tokens"
        for name, target in {
            "anthropic": "/v1/messages/count_tokens",
            "azure-anthropic": "/anthropic/v1/messages/count_tokens",
            "bedrock-anthropic": "/anthropic/v1/messages/count_tokens",
            "vertex-claude": "/v1/projects/proj/locations/global/publishers/anthropic/models/count-tokens:rawPredict",
        }.items():
            self.assertEqual(self.providers[name].endpoints[count].target, target)
        passage = translating.passage(ENDPOINTS[count], self.providers["openai"])
        self.assertIsNone(passage.back)
        converse = translating.passage(ENDPOINTS[count], self.providers["bedrock"])
        self.assertEqual(converse.served.target, "/model/{model}/count-tokens")

    def test_anthropicVersion(self) -> None:
        """Whoever speaks Messages only is told the version that it requires in a header field."""
        for name in ("anthropic", "azure-anthropic", "bedrock-anthropic"):
            self.assertEqual(dict(self.providers[name].headers), {"anthropic-version": "2023-06-01"})
        self.assertEqual(self.providers["vertex-claude"].headers, ())

    def test_otherRegions(self) -> None:
        """Variables move a provider to another region or account."""
        moved = load(
            Sources(("vertex", "bedrock", "qwen", "azure-deployments")),
            {
                **ENVIRON,
                "GOOGLE_CLOUD_LOCATION": "europe-west1",
                "VERTEX_HOST": "europe-west1-aiplatform.googleapis.com",
                "AWS_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
                "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
                "DASHSCOPE_HOST": "ws.ap-southeast-1.maas.aliyuncs.com",
                "OPENAI_API_VERSION": "2025-04-01-preview",
            },
        ).providers
        self.assertEqual(
            planned(moved["vertex"], _CHAT),
            "https://europe-west1-aiplatform.googleapis.com/v1/projects/proj/locations/europe-west1"
            "/publishers/google/models/M:generateContent",
        )
        signature = moved["bedrock"].auth.signature
        assert signature is not None
        self.assertEqual((signature.region, signature.service), ("eu-central-1", "bedrock"))
        self.assertEqual(moved["bedrock"].origin.host, "bedrock-runtime.eu-central-1.amazonaws.com")
        self.assertEqual(
            planned(moved["qwen"], _MESSAGES), "https://ws.ap-southeast-1.maas.aliyuncs.com/apps/anthropic/v1/messages"
        )
        self.assertTrue(planned(moved["azure-deployments"], _CHAT).endswith("?api-version=2025-04-01-preview"))


class PageTests(SynchronousTestCase):
    """``docs/providers.md``."""

    def test_table(self) -> None:
        """The table is the one that the files make."""
        page = PAGE.read_text("utf-8")
        self.assertEqual(
            page, inserted(page, table(FOLDER)), "run: python -m relay.schema.overview transformer docs/providers.md"
        )

    def test_everyVariable(self) -> None:
        """Each provider has a line, with every variable that its file reads."""
        lines = PAGE.read_text("utf-8").partition(END)[0].splitlines()
        rows = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
        for name, text in documents().items():
            read = set(re.findall(r'"env": "([A-Z0-9_]+)"', text))
            self.assertEqual({variable for variable in read if f"`{variable}`" in rows[name]}, read, name)

    def test_marks(self) -> None:
        """A page without the marks is refused; what stands around the table stays."""
        self.assertRaises(ValueError, inserted, "no marks", "rows\n")
        self.assertEqual(inserted(f"a\n{BEGIN}old\n{END}b\n", "new\n"), f"a\n{BEGIN}new\n{END}b\n")

    def test_spoken(self) -> None:
        """A provider speaks a dialect where a chat goes through as it comes."""
        self.assertEqual(spoken(ProviderFile(base_url="x")), ("openai",))
        self.assertEqual(spoken(ProviderFile(base_url="x", dialect="bedrock")), ("bedrock",))
