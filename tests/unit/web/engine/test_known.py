"""Requests whose head is known are served, and refused, like any other."""

from __future__ import annotations

import attrs
from msgspec.structs import asdict

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from relay.config import ClientKey, ServerConfig, Snapshot
from relay.errors import InvalidRequest
from relay.exchange import ClientRequest, KeyInfo
from relay.interfaces import IKeyStore, ISink
from relay.outcome import Outcome
from relay.secret import Secret
from relay.store.memory import StaticKeys
from relay.web.body import LINGER
from relay.web.engine import known
from relay.web.engine.channel import EngineChannel
from relay.web.engine.turns import AHEAD
from relay.web.site import EngineSite
from tests.unit.doubles import FixedConfiguration
from tests.unit.values import make_snapshot
from tests.unit.web.client import Connection, Reply, echo, parse, raw
from tests.unit.web.engine.client import EngineUnderTest

PATH = "/v1/messages"
ONE = {"Content-Type": "application/json", "X-Request-Id": "one", "User-Agent": "sdk/1", "Authorization": "Bearer k1"}


class KnownCase(SynchronousTestCase):
    """A site that has met a client's head before."""

    host = "127.0.0.1:8000"
    path = PATH

    def setUp(self) -> None:
        """Have it met."""
        self.meet(EngineUnderTest())

    def meet(self, server: EngineUnderTest, **changes: str) -> None:
        """Send the head as often as it takes."""
        self.server = server
        self.connection = server.connect()
        for _ in range(3):
            self.ask(b"{}", None, **changes)
        self.server.gateway.requests.clear()
        self.server.gateway.records.clear()

    def post(self, body: bytes = b"{}", **changes: str) -> bytes:
        """The bytes of a request with that head."""
        fields = {**ONE, **{name.replace("_", "-").title(): value for name, value in changes.items()}}
        return raw("POST", self.path, body, tuple(fields.items()), host=self.host)

    def ask(self, body: bytes = b"{}", connection: Connection | None = None, **changes: str) -> Reply:
        """Ask and take the answer."""
        asking = connection or self.connection
        asking.transport.clear()
        asking.send(self.post(body, **changes))
        return asking.reply()

    def is_known(self, connection: Connection | None = None) -> bool:
        """Whether a connection's last head was."""
        channel = (connection or self.connection).channel
        assert isinstance(channel, EngineChannel)
        return channel._known is not None

    def reconfigure(self, snapshot: Snapshot) -> None:
        """Have another configuration in force."""
        self.server.configuration.snapshot = snapshot


class ServedTests(KnownCase):
    """They reach the gateway as others do."""

    def test_sameQuestion(self) -> None:
        """What the gateway is asked is what it is asked when the head is read for the first time."""
        self.path = f"{PATH}?beta=true"
        self.meet(EngineUnderTest())
        self.ask(b'{"a":1}', x_request_id="two")
        self.assertTrue(self.is_known())
        stranger = EngineUnderTest()
        self.ask(b'{"a":1}', stranger.connect(), x_request_id="two")
        (met,), (new,) = ([asdict(asked) for asked in server.gateway.requests] for server in (self.server, stranger))
        for asked in (met, new):
            asked["headers"] = sorted(field for field in asked["headers"] if field[0] != b"content-length")
            asked["credential"] = asked["credential"].reveal()
        self.assertEqual(met, new)
        self.assertEqual((met["id"], met["body"], met["query"]), ("two", b'{"a":1}', b"beta=true"))

    def test_modelInThePath(self) -> None:
        """What a path tells is told each time."""
        self.path = "/v1beta/models/gemini-pro:streamGenerateContent"
        self.meet(EngineUnderTest())
        self.ask()
        self.assertTrue(self.is_known())
        (asked,) = self.server.gateway.requests
        self.assertEqual((asked.path_model, asked.path_stream), ("gemini-pro", True))

    def test_ids(self) -> None:
        """A request is called as the client asks if that is safe, and otherwise has an id of its own."""
        self.assertEqual(self.ask(x_request_id="mine").fields["x-request-id"], "mine")
        made = {self.ask(x_request_id=name).fields["request-id"] for name in ("", "no good", "x" * 129)}
        self.assertEqual({len(name) for name in made}, {32})
        self.assertEqual(len(made), 3)
        self.assertTrue(self.is_known())

    def test_otherConnections(self) -> None:
        """What one connection has shown is known to all."""
        other = self.server.connect()
        self.assertEqual(self.ask(b'{"n":2}', other).body, b'{"n":2}')
        self.assertTrue(self.is_known(other))

    def test_otherHeads(self) -> None:
        """Between known heads others are read as ever, and each has its own meaning."""
        for _ in range(3):
            self.assertEqual(self.ask(b"[1]").body, b"[1]")
            self.connection.transport.clear()
            self.connection.send(raw("GET", "/ready"))
            self.assertEqual(self.connection.reply().status, 200)
            self.assertEqual(self.ask(b"[2]", content_type="text/plain").status, 415)
            self.connection.transport.clear()
            self.connection.send(self.post(b"[3]").replace(PATH.encode(), b"/v1/nowhere"))
            self.assertEqual(self.connection.reply().status, 404)
        keys = {asked.credential.reveal() for asked in self.server.gateway.requests if asked.credential}
        self.assertEqual(keys, {"k1"})

    def test_pipelined(self) -> None:
        """Several at once are answered in order, each with its own body."""
        self.connection.transport.clear()
        self.connection.send(b"".join(self.post(b"%d" % number) for number in range(5)) + raw("GET", "/ready"))
        data, bodies = self.connection.data, []
        for _ in range(5):
            reply = parse(data)
            bodies.append(reply.body)
            data = reply.rest
        self.assertEqual(bodies, [b"%d" % number for number in range(5)])
        self.assertEqual(parse(data).status, 200)

    def test_inPieces(self) -> None:
        """However it is cut, it is the same request."""
        whole = self.post(b'{"cut":true}')
        for cut in range(1, len(whole)):
            self.connection.transport.clear()
            self.connection.send(whole[:cut])
            self.assertEqual(self.connection.data, b"")
            self.connection.send(whole[cut:])
            self.assertEqual(self.connection.reply().body, b'{"cut":true}')
        self.assertEqual(len(self.server.reactor.getDelayedCalls()), 1)

    def test_large(self) -> None:
        """A body of any size that comes in pieces is whole, and what is behind it is the next request."""
        for size in (AHEAD - 1, AHEAD, AHEAD + 1, 3 * AHEAD):
            body = bytes(range(256)) * (size // 256) + b"." * (size % 256)
            data = self.post(body) + self.post(b"[]")
            self.connection.transport.clear()
            for at in range(0, len(data), 30_000):
                self.connection.send(data[at : at + 30_000])
            first = self.connection.reply()
            self.assertEqual((first.body == body, parse(first.rest).body), (True, b"[]"))
            self.assertTrue(self.is_known())

    def test_idle(self) -> None:
        """A connection rests as long as any other, counted from its last answer."""
        for _ in range(3):
            self.server.advance(59.0)
            self.ask()
        self.server.advance(59.0)
        self.assertFalse(self.connection.closing)
        self.server.advance(1.1)
        self.assertTrue(self.connection.closing)


class RefusedTests(KnownCase):
    """A head that was welcome once may not be so for ever."""

    def test_revokedKey(self) -> None:
        """A key counts for as long as the store says so: here its configuration changes, and the site's does not."""
        snapshot = make_snapshot(client_keys=(ClientKey("one", Secret("k1")),))
        configuration = FixedConfiguration(snapshot)
        self.meet(EngineUnderTest(snapshot, keys=StaticKeys(configuration)))
        self.assertEqual(self.ask().status, 200)
        (asked,) = self.server.gateway.requests
        self.assertEqual(asked.key and asked.key.name, "one")
        configuration.snapshot = make_snapshot(client_keys=(ClientKey("two", Secret("k2")),))
        self.assertEqual(self.ask().status, 401)
        self.assertEqual(self.ask().json["error"]["type"], "authentication_error")
        self.assertEqual(len(self.server.gateway.requests), 1)
        self.assertEqual({record.outcome for record in self.server.gateway.records}, {Outcome.REJECTED})

    def test_newConfiguration(self) -> None:
        """Under another configuration everything is decided anew, and then remembered again."""
        smaller = attrs.evolve(make_snapshot(), server=ServerConfig(body=5))
        self.reconfigure(smaller)
        self.assertEqual(self.ask(b"123456").status, 413)
        other = self.server.connect()
        for _ in range(3):
            self.assertEqual(self.ask(b"12345", other).status, 200)
        self.assertTrue(self.is_known(other))
        self.assertEqual(self.ask(b"123456", other).status, 413)

    def test_tooLarge(self) -> None:
        """A body may be as long as any other."""
        self.meet(EngineUnderTest(attrs.evolve(make_snapshot(), server=ServerConfig(body=5))))
        self.assertEqual(self.ask(b"12345").status, 200)
        self.assertTrue(self.is_known())
        self.assertEqual(self.ask(b"123456").status, 413)

    def test_foreignHost(self) -> None:
        """On loopback a foreign host may call only while keys are asked for."""
        self.host = "foreign.example"
        snapshot = make_snapshot(client_keys=(ClientKey("one", Secret("k1")),))
        store = Keys()
        self.meet(EngineUnderTest(snapshot, keys=store))
        self.assertEqual(self.ask().status, 200)
        self.assertTrue(self.is_known())
        store.asks = False
        self.assertEqual(self.ask().status, 403)
        self.meet(EngineUnderTest(local=IPv4Address("TCP", "192.0.2.1", 8000)))
        self.assertEqual(self.ask().status, 200)
        self.server.local = IPv4Address("TCP", "127.0.0.1", 8000)
        self.assertEqual(self.ask(connection=self.server.connect()).status, 403)

    def test_origins(self) -> None:
        """A page that may call is told so with each answer."""
        self.meet(
            EngineUnderTest(make_snapshot(server=ServerConfig(cors_origins=("https://a.example",)))),
            origin="https://a.example",
        )
        reply = self.ask(origin="https://a.example")
        self.assertTrue(self.is_known())
        self.assertEqual(reply.fields["access-control-allow-origin"], "https://a.example")
        self.assertEqual(self.ask(origin="https://b.example").status, 403)

    def test_draining(self) -> None:
        """While relay shuts down, an answer is the last of its connection."""
        waiting: Deferred[None] = Deferred()
        self.server.gateway.serve = lambda request, sink: waiting
        late = self.server.connect()
        for connection in (self.connection, late):
            connection.transport.clear()
        self.connection.send(self.post())
        late.send(self.post()[:-1])
        self.server.site.connections.drain()
        self.server.gateway.serve = echo
        waiting.errback(InvalidRequest("No."))
        late.send(self.post()[-1:])
        for connection in (self.connection, late):
            self.assertEqual(connection.reply().fields["connection"], "close")
            self.assertTrue(connection.closing)


class FailedTests(KnownCase):
    """What the gateway leaves to the door."""

    def fails(self, error: Exception) -> Reply:
        """Have an exchange fail."""

        def serve(request: ClientRequest, sink: ISink) -> None:
            raise error

        self.server.gateway.serve = serve
        reply = self.ask(x_request_id="bad")
        self.assertTrue(self.is_known())
        self.assertEqual(reply.fields["x-request-id"], "bad")
        return reply

    def test_refused(self) -> None:
        """An error is told in the caller's shape, and the connection goes on; the gateway has settled it."""
        reply = self.fails(InvalidRequest("Not like this.", param="model"))
        self.assertEqual((reply.status, reply.json["error"]["message"]), (400, "Not like this."))
        self.assertEqual(reply.json["type"], "error")
        self.assertEqual(self.server.gateway.records, [])
        self.server.gateway.serve = echo
        self.assertEqual(self.ask().status, 200)

    def test_unexpected(self) -> None:
        """An exception that nobody foresaw is logged, and told without its words."""
        reply = self.fails(ZeroDivisionError("secret"))
        self.assertEqual(reply.status, 500)
        self.assertNotIn(b"secret", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_raised(self) -> None:
        """So is one that the gateway raises at once."""
        self.server.gateway.exchange = lambda *_: 1 // 0  # type: ignore[method-assign, assignment] # as none should
        self.assertEqual(self.ask().status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_begun(self) -> None:
        """An answer that has begun is broken off."""
        failing: Deferred[None] = Deferred()

        def begin(request: ClientRequest, sink: ISink) -> Deferred[None]:
            sink.start(200, ())
            sink.write(b"part")
            return failing

        self.server.gateway.serve = begin
        self.connection.send(self.post())
        failing.errback(InvalidRequest("Late."))
        self.assertTrue(self.connection.cut)

    def test_over(self) -> None:
        """A failure after the end disturbs no later answer."""
        failing: Deferred[None] = Deferred()

        def serve(request: ClientRequest, sink: ISink) -> Deferred[None]:
            sink.start(204, ())
            sink.end()
            return failing

        self.server.gateway.serve = serve
        self.assertEqual(self.ask().status, 204)
        later: list[ISink] = []

        def wait(request: ClientRequest, sink: ISink) -> Deferred[None]:
            later.append(sink)
            return Deferred()

        self.server.gateway.serve = wait
        self.connection.send(self.post())
        self.connection.transport.clear()
        failing.errback(InvalidRequest("Late."))
        self.assertEqual(self.connection.data, b"")
        self.assertFalse(self.connection.cut)
        later[0].start(204, ())
        later[0].end()
        self.assertEqual(self.connection.reply().status, 204)

    def test_gone(self) -> None:
        """A client that leaves is told of, and what is left of the exchange writes nothing."""
        told: list[str] = []
        failing: Deferred[None] = Deferred()

        def serve(request: ClientRequest, sink: ISink) -> Deferred[None]:
            sink.on_gone(lambda: told.append("gone"))
            return failing

        self.server.gateway.serve = serve
        self.connection.transport.clear()
        self.connection.send(self.post())
        self.connection.lose()
        failing.errback(InvalidRequest("Nobody reads this."))
        self.assertEqual((told, self.connection.data), (["gone"], b""))

    def test_slowBody(self) -> None:
        """A known head buys no time for the body."""
        self.connection.transport.clear()
        self.connection.send(self.post(b"12345")[:-1])
        self.server.advance(self.server.configuration.snapshot.server_timeouts.request_body)
        self.assertEqual(self.connection.reply().status, 408)
        self.server.advance(LINGER)
        self.assertTrue(self.connection.closing)


class MemoryTests(KnownCase):
    """What is remembered is bounded, and worth it."""

    def heads(self) -> known.KnownHeads:
        """What the site remembers."""
        site = self.server.site
        assert isinstance(site, EngineSite)
        return site.known

    def test_onceIsNothing(self) -> None:
        """A head that comes once leaves a number behind, and only so many of them."""
        self.patch(known, "_MOST_SEEN", 10)
        for number in range(2, 50):
            self.ask(user_agent=f"sdk/{number}")
            self.assertFalse(self.is_known())
        self.assertEqual(len(self.heads()._heads), 1)
        self.assertLessEqual(len(self.heads()._seen), 10)

    def test_bound(self) -> None:
        """So many are remembered; those that are forgotten are met again."""
        self.patch(known, "_MOST", 3)
        for _ in range(3):
            for number in range(8):
                for _ in range(3):
                    self.assertEqual(self.ask(b"[]", user_agent=f"sdk/{number}").body, b"[]")
                self.assertTrue(self.is_known())
                self.assertLessEqual(len(self.heads()._heads), 3)

    def test_configurationChanges(self) -> None:
        """Nothing of an old configuration stays once a request is admitted under a new one."""
        self.reconfigure(make_snapshot())
        self.ask(user_agent="sdk/2")
        self.assertEqual(self.heads()._heads, {})


@implementer(IKeyStore)
class Keys:
    """A store whose mind can be changed."""

    asks = True

    def required(self) -> bool:
        return self.asks

    def lookup(self, credential: Secret | None) -> KeyInfo:
        return KeyInfo(id="one", name="one", configured=True)
