"""The model lists on the site."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from relay.config import Deployment, Route
from relay.interfaces import IModelCatalog
from relay.outcome import Outcome
from relay.provider import AuthScheme, ModelSource, Provider
from relay.secret import Secret
from tests.unit.doubles import FixedCatalog, OpenKeys
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import Reply, WebCase, raw

ANTHROPIC = (("anthropic-version", "2023-06-01"),)


@implementer(IModelCatalog)
class SlowCatalog:
    """Lists that the test delivers."""

    version = 0

    def __init__(self) -> None:
        self.asked: dict[str, Deferred[Sequence[str]]] = {}
        self.credentials: dict[str, str | None] = {}

    def models(self, provider: Provider, credential: Secret | None) -> Deferred[Sequence[str]]:
        self.credentials[provider.name] = credential.reveal() if credential else None
        return self.asked.setdefault(provider.name, Deferred())

    def known(self, provider: Provider) -> frozenset[str]:
        return frozenset({"remembered"})


def open_provider(name: str, *models: str, mapping: dict[str, str] | None = None) -> Provider:
    """A provider that needs no key."""
    return make_provider(name, scheme=AuthScheme.NONE, models=ModelSource(models), model_mapping=mapping or {})


class ModelsTests(WebCase):
    """Two providers, one of which lists more than its file says."""

    def setUp(self) -> None:
        """Build the site."""
        one = open_provider("one", "a", "org/b", mapping={"alias": "a"})
        self.server = self.make(
            make_snapshot(one, open_provider("two", "a", "c")),
            catalog=FixedCatalog({"one": ("a", "fetched"), "two": ("é",)}),
        )

    def get(self, path: str = "/v1/models", fields: tuple[tuple[str, str], ...] = ()) -> Reply:
        """Ask."""
        return self.server.request("GET", path, None, fields)

    def test_openai(self) -> None:
        """Each bare name once, for the provider that serves it; each model under its full name."""
        reply = self.get()
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.fields["content-type"], "application/json")
        self.assertEqual(reply.json["object"], "list")
        owners = {model["id"]: model["owned_by"] for model in reply.json["data"]}
        bare = {"alias": "one", "a": "one", "org/b": "one", "fetched": "one", "c": "two", "é": "two"}
        full = {f"one/{name}": "one" for name in ("alias", "a", "org/b", "fetched")}
        full |= {f"two/{name}": "two" for name in ("a", "c", "é")}
        self.assertEqual(owners, {**bare, **full})
        self.assertEqual(len(reply.json["data"]), len(owners))
        for model in reply.json["data"]:
            self.assertEqual((model["object"], type(model["created"])), ("model", int))

    def test_anthropic(self) -> None:
        """The same path speaks Anthropic's language to whom sends its version, in pages."""
        reply = self.get("/v1/models?limit=2", ANTHROPIC)
        self.assertEqual([model["id"] for model in reply.json["data"]], ["alias", "a"])
        self.assertEqual((reply.json["has_more"], reply.json["first_id"], reply.json["last_id"]), (True, "alias", "a"))
        reply = self.get("/v1/models?limit=2&after_id=a", ANTHROPIC)
        self.assertEqual([model["id"] for model in reply.json["data"]], ["org/b", "fetched"])

    def test_badPage(self) -> None:
        """A wrong page is refused in the same language, and noted."""
        reply = self.get("/v1/models?limit=x", ANTHROPIC)
        self.assertEqual((reply.status, reply.json["error"]["type"]), (400, "invalid_request_error"))
        self.assertEqual([record.status for record in self.server.gateway.records], [400])

    def test_one(self) -> None:
        """A single model by its id, however its slash is written, with and without prefix."""
        for path in ("/v1/models/org/b", "/v1/models/org%2Fb", "/models/org%2fb", "/v1/models/org/b/"):
            reply = self.get(path)
            self.assertEqual((reply.status, reply.json["id"], reply.json["owned_by"]), (200, "org/b", "one"), path)
        self.assertEqual(self.get("/v1/models/two/%C3%A9").json["id"], "two/é")
        self.assertEqual(self.get("/v1/models/a", ANTHROPIC).json["type"], "model")

    def test_unknown(self) -> None:
        """An unknown id is 404 in the caller's shape; nothing in it is taken for a path."""
        for path in (
            "/v1/models/zzz",
            "/v1/models/..%2Fhealth",
            "/v1/models/../health",
            "/v1/models/%ff",
            "/v1/models/a//",
        ):
            reply = self.get(path)
            self.assertEqual((reply.status, reply.json["error"]["code"]), (404, "model_not_found"), path)
        reply = self.get("/v1/models/zzz", ANTHROPIC)
        self.assertEqual((reply.status, reply.json["error"]["type"]), (404, "not_found_error"))

    def test_longIds(self) -> None:
        """An endless id is not sent back whole."""
        self.assertLess(len(self.get("/v1/models/" + "x" * 10000).body), 1000)

    def test_noted(self) -> None:
        """A list that was served is noted, once, with its size."""
        reply = self.get()
        (record,) = self.server.gateway.records
        self.assertEqual((record.endpoint, record.method, record.status), ("/v1/models", "GET", 200))
        self.assertEqual((record.outcome, record.bytes_out), (Outcome.COMPLETE, len(reply.body)))

    def test_reload(self) -> None:
        """A reload shows at once."""
        self.server.configuration.snapshot = make_snapshot(open_provider("three", "x"))
        self.assertEqual([model["id"] for model in self.get().json["data"]], ["x"])


class KeyTests(WebCase):
    """Whose key opens the list, and whose key asks the provider."""

    def test_required(self) -> None:
        """Where keys are required the list needs one; the record names its owner."""
        server = self.make(keys=OpenKeys("secret"))
        for fields in ((), (("Authorization", "Bearer wrong"),)):
            reply = server.request("GET", "/v1/models", None, fields)
            self.assertEqual((reply.status, reply.json["error"]["code"]), (401, "invalid_api_key"))
        for field in (("Authorization", "Bearer secret"), ("x-api-key", "secret"), ("api-key", "secret")):
            self.assertEqual(server.request("GET", "/v1/models", None, (field,)).status, 200)
        self.assertEqual([record.status for record in server.gateway.records], [401, 401, 200, 200, 200])
        self.assertEqual(server.gateway.records[-1].key.id, "k")

    def test_disagreeing(self) -> None:
        """Two keys that disagree are refused here, too."""
        fields = (("Authorization", "Bearer a"), ("x-api-key", "b"))
        self.assertEqual(self.make().request("GET", "/v1/models", None, fields).status, 401)

    def asked(self, *providers: Provider, client: str = "", keys: OpenKeys | None = None) -> dict[str, str | None]:
        """With which key each provider is asked."""
        catalog = SlowCatalog()
        server = self.make(make_snapshot(*providers), catalog=catalog, keys=keys)
        server.connect().send(raw("GET", "/v1/models", None, (("x-api-key", client),) if client else ()))
        return catalog.credentials

    def test_providersKey(self) -> None:
        """A provider is asked with relay's key for it, whatever the client sent."""
        self.assertEqual(self.asked(make_provider("p", key="own"), client="theirs"), {"p": "own"})

    def test_clientsKey(self) -> None:
        """Without one, the client's key goes to the first provider, and to no other."""
        self.assertEqual(self.asked(make_provider("p"), make_provider("q"), client="theirs"), {"p": "theirs"})

    def test_relaysKeysStayHere(self) -> None:
        """A key that relay gave out is never sent to a provider."""
        self.assertEqual(self.asked(make_provider("p"), client="secret", keys=OpenKeys("secret")), {})

    def test_noKey(self) -> None:
        """A provider that cannot be asked shows what is known of it."""
        server = self.make(make_snapshot(make_provider("p")), catalog=SlowCatalog())
        self.assertEqual(server.request("GET", "/v1/models").json["data"][0]["id"], "remembered")


class WaitingTests(WebCase):
    """Providers that take their time."""

    def setUp(self) -> None:
        """Ask for the list."""
        self.catalog = SlowCatalog()
        self.server = self.make(make_snapshot(open_provider("p"), open_provider("q")), catalog=self.catalog)
        self.connection = self.server.connect()
        self.connection.send(raw("GET", "/v1/models"))

    def test_together(self) -> None:
        """All are asked at once; the answer comes with the last, in the order of choice."""
        self.assertEqual(set(self.catalog.asked), {"p", "q"})
        self.catalog.asked["q"].callback(["b"])
        self.assertEqual(self.connection.data, b"")
        self.catalog.asked["p"].callback(["a"])
        self.assertEqual([m["id"] for m in self.connection.reply().json["data"]], ["a", "b", "p/a", "q/b"])

    def test_aMuteProviderDoesNotHold(self) -> None:
        """A list waits a second for providers; then it shows what is known of them."""
        self.catalog.asked["p"].callback(["a"])
        self.server.advance(0.9)
        self.assertEqual(self.connection.data, b"")
        self.server.advance(0.2)
        self.assertEqual([m["id"] for m in self.connection.reply().json["data"]][:2], ["a", "remembered"])

    def test_gone(self) -> None:
        """A client that leaves meanwhile does not disturb."""
        self.connection.lose()
        self.catalog.asked["p"].callback(["a"])
        self.catalog.asked["q"].callback(["b"])
        self.assertEqual(self.connection.data, b"")
        self.assertEqual(self.flushLoggedErrors(), [])


class RouteTests(WebCase):
    """Models that are routes."""

    def test_listed(self) -> None:
        """Routes and their aliases are models; patterns and hidden ones are not."""
        provider = open_provider("one", "a")
        deployment = (Deployment("one/a", provider, "a"),)
        routes = {
            "smart": Route("smart", deployment, aliases=("clever",)),
            "clever": Route("smart", deployment, aliases=("clever",)),
            "gpt-*": Route("gpt-*", deployment),
            "secret": Route("secret", deployment, hidden=True),
        }
        server = self.make(make_snapshot(provider, routes=routes))
        owners = {m["id"]: m["owned_by"] for m in server.request("GET", "/v1/models", None).json["data"]}
        self.assertEqual(owners, {"smart": "relay", "clever": "relay", "a": "one"})
