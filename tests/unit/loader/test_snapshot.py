"""Which providers are chosen, and what one reading holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import relay
from relay.config import ServerConfig, ServerTimeouts
from relay.loader.snapshot import Sources, available, load
from relay.provider import AuthScheme
from tests.unit.loader.folder import BASE, FolderTestCase

_CHAT = "/v1/chat/completions"
SHIPPED = tuple(sorted(path.stem for path in (Path(__file__).parents[3] / "transformer").glob("[!_]*.json")))


class LookupTests(FolderTestCase):
    """From a name or a path to a file."""

    def test_shipped(self) -> None:
        """The shipped providers are found without any option."""
        self.assertEqual(available(Sources()), SHIPPED)
        self.assertEqual(load(Sources(("echo",)), {}).first.origin.scheme, "echo")

    def test_ownFolderFirst(self) -> None:
        """A file in ``--transformer-dir`` hides a shipped one of that name; folders count in their order."""
        self.write("one/openai.json", {"baseUrl": "one.example"})
        self.write("two/openai.json", {"baseUrl": "two.example"})
        self.write("two/mine.json", {"baseUrl": "mine.example"})
        self.write("two/_hidden.json", {"baseUrl": "x"})
        folders = (str(self.folder / "one"), str(self.folder / "two"))
        hosts = [p.origin.host for p in load(Sources(("openai", "mine"), folders), {}).providers.values()]
        self.assertEqual(hosts, ["one.example", "mine.example"])
        self.assertEqual(available(Sources((), folders)), tuple(sorted((*SHIPPED, "mine"))))

    def test_installed(self) -> None:
        """Where relay is installed, its files are data of the package."""
        self.write("installed/transformer/only.json", {"baseUrl": "installed.example"})
        self.patch(relay, "__path__", [*relay.__path__, str(self.folder / "installed")])
        self.addCleanup(sys.modules.pop, "relay.transformer", None)
        self.assertEqual(available(Sources()), ("only",))
        self.assertEqual(load(Sources(("only",)), {}).first.origin.host, "installed.example")

    def test_path(self) -> None:
        """A path names a file anywhere; without ``name`` the provider is called as the file."""
        path = self.write("some/where.json", {"baseUrl": "x"})
        snapshot = load(Sources((path,)), {})
        self.assertEqual((snapshot.first.name, snapshot.first.file), ("where", path))
        self.assertEqual(snapshot.files, (path,))

    def test_relativePath(self) -> None:
        """A path on the command line is relative to the working directory, as in a shell."""
        path = os.path.relpath(self.write("some/where.json", {"baseUrl": "x"}))
        self.assertEqual(load(Sources((path,)), {}).first.file, path)

    def test_nameInFile(self) -> None:
        """``name`` wins over the file's name; text that is no name is a title, and said to be."""
        self.write("p.json", {"baseUrl": "x", "name": "other"})
        self.assertEqual(list(self.load("p").providers), ["other"])
        self.write("p.json", {"baseUrl": "x", "name": "My models!"})
        snapshot = self.load("p")
        self.assertEqual(list(snapshot.providers), ["p"])
        self.assertIn("$.name: not usable as a name; the provider is called 'p'", snapshot.warnings[0])

    def test_noUsableName(self) -> None:
        """A file whose own name is no name needs one inside."""
        path = self.write("a b.json", {"baseUrl": "x"})
        self.assertIn("expected a name of letters", self.refused(path))


class OrderTests(FolderTestCase):
    """Who is first, and who is whom."""

    def setUp(self) -> None:
        """Three provider files."""
        super().setUp()
        for name in ("a", "b", "c"):
            self.write(f"{name}.json", {"baseUrl": f"{name}.example"})

    def names(self, *options: str, config: list[object]) -> list[str]:
        """Names in order of choice."""
        return list(self.load(*options, config={"providers": config}).providers)

    def test_optionsFirst(self) -> None:
        """``--provider`` comes first, then the config file's, each in its order."""
        self.assertEqual(self.names(config=["b", "a"]), ["b", "a"])
        self.assertEqual(self.names("c", "a", config=["b"]), ["c", "a", "b"])

    def test_repetitionIsOne(self) -> None:
        """The same provider twice is one, whoever names it."""
        self.assertEqual(self.names("a", "a", config=["b", "b"]), ["a", "b"])
        self.assertEqual(self.names("a", config=["b", "a"]), ["a", "b"])
        self.assertEqual(self.names(str(self.folder / "a.json"), config=["./a.json", "a"]), ["a"])

    def test_optionNamesAnEntry(self) -> None:
        """``--provider`` may name an entry of the config file; it then comes first."""
        entry = {"name": "eu", "file": "a", "baseUrl": "eu.example"}
        snapshot = self.load("eu", config={"providers": ["b", entry]})
        self.assertEqual([p.origin.host for p in snapshot.providers.values()], ["eu.example", "b.example"])

    def test_optionTakesTheEntryOfItsName(self) -> None:
        """An entry that changes a file is what its name means."""
        snapshot = self.load("a", config={"providers": ["b", {"file": "a", "port": 9}]})
        self.assertEqual([(p.name, p.port) for p in snapshot.providers.values()], [("a", 9), ("b", None)])

    def test_twoOfOneName(self) -> None:
        """Two files under one name are refused."""
        other = self.write("other/a.json", {"baseUrl": "other.example"})
        self.assertIn("two different providers are called 'a'", self.refused("a", other))
        self.assertIn(
            "two different providers are called 'a'", self.refused(other, config={"providers": ["b", "./a.json"]})
        )

    def test_nobody(self) -> None:
        """Without any provider the error lists what there is."""
        names = ", ".join(sorted((*SHIPPED, "a", "b", "c")))
        self.assertEqual(self.refused(), f"no provider is chosen; expected --provider=NAME with one of {names}")


class EntryTests(FolderTestCase):
    """Entries of ``providers`` that change a file."""

    def test_overlay(self) -> None:
        """Objects are merged key by key, all else is replaced, keys meet as they mean the same."""
        self.write(
            "base.json",
            {
                "baseUrl": BASE,
                "auth": {"scheme": "x-api-key", "env": "BASE_KEY"},
                "headers": {"X-One": "1", "X-Two": "2"},
                "models": ["a"],
                "vars": {"V": {"env": "V", "default": "d"}},
                "modelMapping": {"a": "b"},
                "rateLimit": {"requestsPerMinute": 5, "burst": 2},
                "endpoints": {_CHAT: {"upstreamPath": "/chat/${V}", "streamSupport": False}},
            },
        )
        entry = {
            "name": "eu",
            "file": "base",
            "auth": {"file": "eu.key"},
            "headers": {"x-two": "zwei"},
            "models": ["z"],
            "vars": {"V": {"value": "v"}},
            "modelMapping": {"c": "d"},
            "rateLimit": {"burst": 3},
            "endpoints": {"/chat/completions": {"streamSupport": True}},
        }
        self.write("eu.key", "eu-key-0001")
        eu = self.load(config={"providers": [entry]}).first
        self.assertEqual((eu.name, eu.file), ("eu", str(self.folder / "base.json")))
        assert eu.auth.credential is not None
        self.assertEqual((eu.auth.scheme, eu.auth.credential.reveal()), (AuthScheme.X_API_KEY, "eu-key-0001"))
        self.assertEqual(dict(eu.headers), {"x-one": "1", "x-two": "zwei"})
        self.assertEqual((eu.models.listed, dict(eu.model_mapping)), (("z",), {"a": "b", "c": "d"}))
        self.assertEqual((eu.rate_limits[_CHAT].requests_per_minute, eu.rate_limits[_CHAT].burst), (5, 3))
        self.assertEqual((eu.endpoints[_CHAT].target, eu.endpoints[_CHAT].stream_support), ("/chat/v", True))

    def test_standsAlone(self) -> None:
        """An entry with an address needs no file; relative paths are relative to the config file."""
        self.write("k", "some-key-1")
        snapshot = self.load(
            config={"providers": [{"name": "local", "baseUrl": "http://gpu:8000/v1", "auth": {"file": "k"}}]}
        )
        self.assertEqual((snapshot.first.name, snapshot.first.file), ("local", str(self.folder / "config.json")))
        assert snapshot.first.auth.credential is not None

    def test_errorsNameTheRightFile(self) -> None:
        """A fault is reported where it was written: in the entry, or in the file below it."""
        self.write("base.json", {"baseUrl": BASE, "auth": {"file": "none.key"}})
        entry: dict[str, object] = {"file": "base", "models": [" "]}
        line = self.refused(config={"providers": [entry]})
        self.assertTrue(line.startswith(f"{self.folder / 'base.json'}: $.auth.file: "), line)
        entry["auth"] = {"env": "A"}
        line = self.refused(config={"providers": [entry]})
        self.assertTrue(line.startswith(f"{self.folder / 'config.json'}: $.providers[0].models[0]: "), line)

    def test_baseIsCheckedOnItsOwn(self) -> None:
        """A broken file stays broken when an entry would cover the fault."""
        self.write("base.json", {"baseUrl": BASE, "port": "x"})
        line = self.refused(config={"providers": [{"file": "base", "port": 1}]})
        self.assertTrue(line.startswith(f"{self.folder / 'base.json'}: $.port: "), line)


class WholeTests(FolderTestCase):
    """The other parts of the config file."""

    def test_server(self) -> None:
        """Bounds, deadlines and addresses reach the snapshot."""
        self.write("p.json", {"baseUrl": "x"})
        snapshot = self.load(
            "p",
            config={
                "$schema": "./_config_schema.json",
                "listen": ["tcp:9000", "unix:/tmp/relay"],
                "timeouts": {"requestHead": 1, "requestBody": 2, "write": 3, "drain": 0, "total": 5},
                "server": {
                    "body": 1024,
                    "connections": 7,
                    "corsOrigins": ["https://App.example:8443", "http://[::1]", "*"],
                    "hosts": ["Relay.internal"],
                },
            },
        )
        self.assertEqual(snapshot.listen, ("tcp:9000", "unix:/tmp/relay"))
        self.assertEqual(snapshot.server_timeouts, ServerTimeouts(1, 2, 3, 0))
        origins = ("https://app.example:8443", "http://[::1]", "*")
        self.assertEqual(snapshot.server, ServerConfig(1024, 7, origins, ("relay.internal",)))
        self.assertEqual(snapshot.files, (str(self.folder / "config.json"), str(self.folder / "p.json")))

    def test_defaults(self) -> None:
        """Without a config file, everything but the providers has its default."""
        self.write("p.json", {"baseUrl": "x"})
        snapshot = self.load("p")
        self.assertEqual((snapshot.server, snapshot.server_timeouts), (ServerConfig(), ServerTimeouts()))
        self.assertEqual((snapshot.client_keys, snapshot.listen, snapshot.generation), ((), (), 1))

    def test_generation(self) -> None:
        """The number of a reading is the caller's."""
        self.assertEqual(load(Sources(("echo",)), {}, 7).generation, 7)


class PredecessorTests(FolderTestCase):
    """Files from before relay."""

    def test_predecessor(self) -> None:
        """Files as the predecessor had them load, and mean what they meant."""
        stream = "application/json, text/event-stream"
        old = {
            "name": "qwen",
            "baseUrl": "https://portal.qwen.ai",
            "headers": {"Content-Type": "application/json", "User-Agent": "Agent/0.1", "Accept": "application/json"},
            "rateLimit": {"requestsPerMinute": 120, "burst": 40},
            "streamConfig": {"bufferSize": 512, "heartbeatIntervalSecs": 30},
            "endpoints": {
                _CHAT: {"headers": {"Accept": stream}, "streamSupport": True, "rateLimit": {"requestsPerMinute": 60}},
                "/v1/completions": {"upstreamPath": "/api/generate", "method": "post"},
                "/v1/embeddings": {},
                "/v1/audio/transcriptions": {"requiresMultipart": True},
            },
            "modelMapping": {"gpt-4": "qwen3-coder-max"},
            "port": 8000,
        }
        self.write("old.json", old)
        snapshot = self.load("old", environ={"RATE_LIMIT_BURST": "7"})
        qwen = snapshot.first
        self.assertEqual((qwen.name, qwen.port, snapshot.warnings), ("qwen", 8000, ()))
        self.assertEqual(dict(qwen.endpoints[_CHAT].headers), {"user-agent": "Agent/0.1", "accept": stream})
        self.assertEqual((qwen.rate_limits[_CHAT].requests_per_minute, qwen.rate_limits[_CHAT].burst), (60, 40))
        self.assertEqual(qwen.endpoints["/v1/completions"].target, "/api/generate")
        self.assertEqual((qwen.stream.buffer_size, qwen.stream.heartbeat), (512, 30))
        self.assertEqual(qwen.upstream_model("gpt-4"), "qwen3-coder-max")
