"""Paths and methods: what is served, what is refused, and in whose shape."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.web.resource import Resource

from relay.config import ServerConfig
from relay.endpoints import ENDPOINTS, FORWARDED
from relay.outcome import Outcome
from relay.provider import ModelSource
from tests.unit.doubles import OpenKeys
from tests.unit.values import make_provider, make_snapshot
from tests.unit.web.client import Reply, SiteUnderTest, WebCase, parse, raw

ADMIN = ("/", "/health", "/ready", "/metrics")
LISTS = ("/v1/models", "/models", "/v1beta/models", "/api/tags", "/api/version")
JSON = (("Content-Type", "application/json"),)
NO_PATH = "No endpoint has this path; GET / lists them."


def message(path: str, reply: Reply) -> str:
    """The words of an error in the shape of the dialect that a path belongs to, checked key by key."""
    body = reply.json
    if "messages" in path:
        assert set(body) == {"type", "error", "request_id"}, body
        return str(body["error"]["message"])
    if path.startswith("/v2/"):
        assert set(body) == {"id", "message"}, body
        return str(body["message"])
    assert set(body) == {"error"}, body
    if path.startswith("/api/"):
        return str(body["error"])
    own = {"code", "message", "status"} if "v1beta" in path else {"message", "type", "param", "code"}
    assert set(body["error"]) == own, body
    return str(body["error"]["message"])


class SiteCase(WebCase):
    """A site without keys on loopback."""

    def setUp(self) -> None:
        """Build it, with one model whose id holds a slash."""
        provider = make_provider(models=ModelSource(("m", "org/m")))
        self.server = self.make(make_snapshot(provider))

    def refused(self, reply: Reply, status: int, code: str) -> None:
        """An error in OpenAI's shape."""
        self.assertEqual((reply.status, reply.json["error"]["code"]), (status, code))
        self.assertEqual(reply.fields["content-type"], "application/json")


class PathTests(SiteCase):
    """The table."""

    def test_forwarded(self) -> None:
        """Each forwarded endpoint is served with and without prefix, last slash and query, as what it is."""
        for endpoint in FORWARDED.values():
            short = endpoint.path.removeprefix("/v1")
            media = "multipart/form-data; boundary=b" if endpoint.body.value == "multipart" else "application/json"
            body = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n--b--\r\n'
            for path in (endpoint.path, short, f"{endpoint.path}/", f"{short}?beta=true", f"{endpoint.path}/?a=b&c"):
                reply = self.server.request("POST", path, body, (("Content-Type", media),))
                self.assertEqual((reply.status, reply.body), (200, body), path)
                self.assertEqual(self.server.gateway.requests[-1].endpoint, endpoint)

    def test_otherDialects(self) -> None:
        """Endpoints outside ``/v1`` are served where they are, last slash and query tolerated, and nowhere else."""
        others = [endpoint for path, endpoint in ENDPOINTS.items() if path not in FORWARDED and endpoint.public]
        self.assertGreater(len(others), 8)
        for endpoint in others:
            path = endpoint.path.replace("{model}", "m")
            for written in (path, f"{path}/", f"{path}?x=y"):
                reply = self.server.post(written, b"{}")
                self.assertEqual((reply.status, reply.body), (200, b"{}"), written)
                self.assertEqual(self.server.gateway.requests[-1].endpoint, endpoint)
            for written in (f"/v1{path}", path.replace("/", "//", 1), f"{path}//", path.upper()):
                self.assertIn(self.server.post(written).status, (404, 405), written)
        self.assertEqual(len(self.server.gateway.requests), 3 * len(others))

    def test_providersPaths(self) -> None:
        """What relay only calls at providers is not served to clients."""
        for path in (
            "/model/m/converse",
            "/model/m/converse-stream",
            "/model/m/count-tokens",
            "/model/{model}/converse",
            "/v1/model/m/converse",
        ):
            self.refused(self.server.post(path), 404, "unknown_path")

    def test_query(self) -> None:
        """The query travels raw."""
        self.server.post("/v1/messages?beta=true&x=%2F")
        self.assertEqual(self.server.gateway.requests[0].query, b"beta=true&x=%2F")

    def test_rawPaths(self) -> None:
        """A path is neither decoded nor normalised: what is not in the table as it came is not there."""
        for path in (
            "/v1//messages",
            "//v1/messages",
            "/v1/messages//",
            "/v1/./messages",
            "/v1/x/../messages",
            "/v1/%6dessages",
            "/v1%2Fmessages",
            "/v1/messages%2F",
            "/v1/messages/%2e",
            "/v1/messages;x",
            "/V1/messages",
            "/v1/Messages",
            "/v2/messages",
            "/v1/v1/messages",
            "/v1",
            "/v1/",
            "/v1/audio",
            "/v1/chat",
            "/healthz",
            "/v1/health",
            "//",
            "/v1/messages/../../health",
            "/v1/messages\\",
        ):
            reply = self.server.post(path)
            self.assertEqual(reply.status, 404, path)
            self.assertEqual(reply.fields["content-type"], "application/json")
            self.assertTrue(reply.json)
        self.assertEqual(self.server.gateway.requests, [])

    def test_absoluteTarget(self) -> None:
        """Targets as proxies get them are no paths to Twisted's channel."""
        for target in ("http://127.0.0.1:8000/v1/messages", "*"):
            self.assertEqual(self.server.post(target).status, 404, target)

    def test_shapeOf404(self) -> None:
        """A refusal for an unknown path has the caller's shape."""
        self.refused(self.server.request("GET", "/nope"), 404, "unknown_path")
        reply = self.server.request("GET", "/v1/messages/batches")
        self.assertEqual((reply.status, reply.json["error"]["type"]), (404, "not_found_error"))
        self.assertEqual(reply.json["request_id"], reply.fields["request-id"])
        reply = self.server.request("GET", "/nope", None, (("anthropic-version", "2023-06-01"),))
        self.assertEqual(reply.json["type"], "error")
        for path in ("/v1beta/nope", "/v1/nope:generateContent", "/v1/files/x%3AcountTokens"):
            reply = self.server.request("POST", path, b"{}")
            self.assertEqual((reply.status, reply.json["error"]["code"]), (404, 404), path)
            self.assertEqual(reply.json["error"]["status"], "NOT_FOUND")
        for path in ("/api/nope", "/api/chat/more"):
            self.assertEqual(self.server.post(path).json, {"error": NO_PATH}, path)
        for path in ("/v2/nope", "/v2/messages"):
            reply = self.server.post(path)
            self.assertEqual(reply.json, {"id": reply.fields["request-id"], "message": NO_PATH}, path)

    def test_tree(self) -> None:
        """Other Twisted resources can hang in the tree, and answer as they do anywhere."""
        leaf = Resource()
        leaf.render_GET = lambda request: b"hello"  # type: ignore[attr-defined] # found by name
        self.server.site.resource.putChild(b"extra", leaf)
        self.server.site.table["/extra"] = leaf  # type: ignore[index] # a plain resource for once
        reply = self.server.request("GET", "/extra")
        self.assertEqual((reply.status, reply.body), (200, b"hello"))
        self.assertIn("x-request-id", reply.fields)

    def test_treeTheOtherWay(self) -> None:
        """An ordinary resource can let one of relay's answer."""
        leaf = Resource()
        self.patch(leaf, "render", self.server.site.table["/ready"].render)
        self.server.site.resource.putChild(b"extra", leaf)
        self.server.site.table["/extra"] = leaf  # type: ignore[index] # a plain resource for once
        self.assertEqual(self.server.request("GET", "/extra").json["status"], "ready")

    def test_brokenResource(self) -> None:
        """What such a resource raises is answered like any other failure."""
        leaf = Resource()
        self.server.site.resource.putChild(b"extra", leaf)
        self.server.site.table["/extra"] = leaf  # type: ignore[index] # a plain resource for once
        self.patch(leaf, "render", None)
        self.refused(self.server.request("GET", "/extra"), 500, "internal_error")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class MethodTests(SiteCase):
    """GET, HEAD, POST, OPTIONS and the rest."""

    def test_wrongMethods(self) -> None:
        """What an endpoint does not take is 405 with the methods that it takes, in its shape."""
        for path in self.server.site.table:
            allowed = "POST, OPTIONS" if path not in (*ADMIN, *LISTS) else "GET, HEAD, OPTIONS"
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "get"):
                if method in allowed.split(", "):
                    continue
                reply = self.server.request(method, path)
                self.assertEqual((reply.status, reply.fields["allow"]), (405, allowed), f"{method} {path}")
                if method != "HEAD":
                    self.assertEqual(message(path, reply), f"This endpoint takes {allowed}.")

    def test_head(self) -> None:
        """HEAD is GET without the body, its length included."""
        for path in (*ADMIN, *LISTS, "/v1/models/org/m", "/v1beta/models/org/m", "/nope", "/api/nope", "/v2/nope"):
            get, head = self.server.request("GET", path), self.server.request("HEAD", path)
            self.assertEqual(head.status, get.status, path)
            self.assertEqual(head.fields["content-type"], get.fields["content-type"])
            self.assertEqual(head.fields["content-length"], str(len(get.body)))
            self.assertEqual(head.rest, b"")

    def test_headKeepsTheConnection(self) -> None:
        """Behind the answer to HEAD the next answer begins."""
        connection = self.server.connect()
        connection.send(raw("HEAD", "/health") + raw("GET", "/ready"))
        self.assertEqual(parse(connection.reply(head=True).rest).json["status"], "ready")

    def test_options(self) -> None:
        """OPTIONS tells the methods, without a body and without a key; also for the server as a whole."""
        self.server = self.make(keys=OpenKeys("secret"))
        for path in self.server.site.table:
            reply = self.server.request("OPTIONS", path)
            self.assertEqual((reply.status, reply.body, reply.rest), (204, b"", b""))
            self.assertIn("OPTIONS", reply.fields["allow"])
            self.assertNotIn("content-length", reply.fields)
        self.assertEqual(self.server.request("OPTIONS", "*").status, 204)
        self.assertEqual(self.server.request("OPTIONS", "/nope").status, 404)

    def test_methodsInRecords(self) -> None:
        """A made-up method does not get into logs."""
        self.server.request("BREW", "/nope")
        self.server.request("DELETE", "/v1/messages")
        self.assertEqual(
            [(record.method, record.endpoint, record.status) for record in self.server.gateway.records],
            [("other", "other", 404), ("DELETE", "/v1/messages", 405)],
        )


class AnswerTests(SiteCase):
    """What every answer carries."""

    def test_fields(self) -> None:
        """Server, date and both request ids, on good answers and errors."""
        for method, path in (("GET", "/"), ("GET", "/nope"), ("POST", "/v1/messages"), ("OPTIONS", "/health")):
            fields = self.server.request(method, path).fields
            self.assertEqual(fields["server"], "relay")
            self.assertIn("GMT", fields["date"])
            self.assertRegex(fields["x-request-id"], r"\A[0-9a-f]{32}\Z")
            self.assertEqual(fields["x-request-id"], fields["request-id"])

    def test_ownRequestId(self) -> None:
        """A client's short and safe id is kept, everywhere."""
        for chosen in ("abc", "A.b_c-9", "x" * 128):
            reply = self.server.post("/v1/chat/completions", x_request_id=chosen)
            self.assertEqual(reply.fields["x-request-id"], chosen)
            self.assertEqual(self.server.gateway.requests[-1].id, chosen)

    def test_unsafeRequestId(self) -> None:
        """Any other is replaced."""
        for chosen in ("", "a b", "x" * 129, "a\tb", "a/b", '"', "é", "a;b"):
            reply = self.server.request("GET", "/ready", None, (("X-Request-ID", chosen),))
            self.assertRegex(reply.fields["x-request-id"], r"\A[0-9a-f]{32}\Z", chosen)

    def test_idsDiffer(self) -> None:
        """No two requests share an id."""
        ids = {self.server.request("GET", "/ready").fields["x-request-id"] for _ in range(50)}
        self.assertEqual(len(ids), 50)

    def test_refusedBodies(self) -> None:
        """A refusal does not wait for the body, asks for none, and is the last answer of its connection."""
        connection = self.server.connect()
        fields = (("Content-Length", "1000000"), ("Expect", "100-continue"), *JSON)
        connection.send(raw("POST", "/nope", None, fields))
        reply = connection.reply()
        self.assertEqual((reply.status, reply.fields["connection"]), (404, "close"))
        connection.send(b"x" * 100_000)
        self.assertEqual(connection.reply().rest, b"")

    def test_continue(self) -> None:
        """A body that is wanted is asked for."""
        connection = self.server.connect()
        connection.send(raw("POST", "/v1/messages", None, (("Content-Length", "2"), ("Expect", "100-continue"), *JSON)))
        self.assertEqual(connection.data, b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.send(b"{}")
        self.assertTrue(connection.data.endswith(b"{}"))

    def test_tooLarge(self) -> None:
        """A body above the bound is refused in the endpoint's shape, declared or not."""
        self.server.configuration.snapshot = make_snapshot(server=ServerConfig(body=10))
        reply = self.server.post("/v1/messages", b"x" * 11)
        self.assertEqual((reply.status, reply.json["error"]["type"]), (413, "request_too_large"))
        connection = self.server.connect()
        connection.send(
            raw("POST", "/v1/responses", None, (("Transfer-Encoding", "chunked"), *JSON)) + b"b\r\n" + b"x" * 11
        )
        self.refused(connection.reply(), 413, "request_too_large")
        self.assertEqual(self.server.gateway.requests, [])

    def test_nothingOfTwisted(self) -> None:
        """Twisted's own log and its timer are off, and HTTP/2 is not offered."""
        self.server.site.startFactory()
        self.assertEqual(self.server.reactor.getDelayedCalls(), [])
        self.server.request("GET", "/ready")
        self.server.site.stopFactory()
        self.assertEqual(self.server.site.acceptableProtocols(), [b"http/1.1"])


class LoopbackTests(WebCase):
    """Who may call depends on where relay listens and whether it asks for keys."""

    def status(self, server: SiteUnderTest, path: str = "/ready", host: str = "evil.example", **fields: str) -> int:
        """The status that a request from a foreign page gets."""
        return server.request("GET", path, None, tuple(fields.items()), host=host).status

    def test_everyPath(self) -> None:
        """On loopback without keys a foreign name is refused everywhere, in JSON, and counted."""
        server = self.make()
        for path in (*server.site.table, "/nope"):
            reply = server.request("GET", path, None, host="evil.example")
            self.assertEqual(reply.status, 403, path)
            self.assertTrue(message(path, reply))
        self.assertEqual({record.outcome for record in server.gateway.records}, {Outcome.REJECTED})
        self.assertEqual({record.status for record in server.gateway.records}, {403})

    def test_origin(self) -> None:
        """A foreign page is refused, a local one and none at all are served."""
        server = self.make()
        self.assertEqual(self.status(server, host="localhost:8000", Origin="https://evil.example"), 403)
        self.assertEqual(self.status(server, host="localhost:8000", Origin="null"), 403)
        self.assertEqual(self.status(server, host="localhost:8000", Origin="http://localhost:3000"), 200)
        self.assertEqual(self.status(server, host="localhost:8000"), 200)

    def test_forwarding(self) -> None:
        """Nothing of a foreign page's request reaches a provider."""
        server = self.make()
        reply = server.post("/v1/chat/completions", origin="https://evil.example")
        self.assertEqual((reply.status, server.gateway.requests), (403, []))

    def test_noHost(self) -> None:
        """Clients of HTTP/1.0 need no Host."""
        self.assertEqual(self.make().request("GET", "/ready", host=None, version="1.0").status, 200)

    def test_addresses(self) -> None:
        """Every loopback address counts; others and Unix sockets, which no browser reaches, do not."""
        addresses: tuple[tuple[IAddress, int], ...] = (
            (IPv4Address("TCP", "127.0.0.1", 8000), 403),
            (IPv4Address("TCP", "127.1.2.3", 8000), 403),
            (IPv6Address("TCP", "::1", 8000), 403),
            (IPv6Address("TCP", "::ffff:127.0.0.1", 8000), 403),
            (IPv4Address("TCP", "192.0.2.1", 8000), 200),
            (IPv6Address("TCP", "2001:db8::1", 8000), 200),
            (UNIXAddress("/run/relay"), 200),
        )
        for local, status in addresses:
            self.assertEqual(self.status(self.make(local=local)), status, str(local))

    def test_keys(self) -> None:
        """Where keys are required a page without one gets nothing anyway: any name may be used."""
        self.assertEqual(self.status(self.make(keys=OpenKeys("secret"))), 200)

    def test_configuredHost(self) -> None:
        """Names of server.hosts are let in, from the next request on."""
        server = self.make()
        server.configuration.snapshot = make_snapshot(server=ServerConfig(hosts=("evil.example",)))
        self.assertEqual(self.status(server), 200)
