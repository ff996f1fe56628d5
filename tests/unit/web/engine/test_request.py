"""Ordinary resources of Twisted's on the engine: everything that they expect is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from twisted.web.util import Redirect
from zope.interface import implementer

from relay.web.engine.request import EngineRequest
from tests.unit.web.client import Connection, Reply, parse, raw
from tests.unit.web.engine.client import EngineUnderTest


class Answering(Resource):
    """Answers with a function of the test."""

    isLeaf = True

    def __init__(self, answer: Callable[[Request], bytes | int]) -> None:
        super().__init__()
        self._answer = answer

    def render(self, request: Request) -> bytes | int:
        return self._answer(request)


@implementer(IPushProducer, IPullProducer)
class Source:
    """A producer that remembers what it was told, and maybe writes when it is resumed."""

    def __init__(self, write: Callable[[], None] = lambda: None) -> None:
        self.told: list[str] = []
        self._write = write

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")
        self._write()

    def stopProducing(self) -> None:
        self.told.append("stop")


class OrdinaryCase(SynchronousTestCase):
    """A site with one ordinary resource at ``/extra``."""

    def setUp(self) -> None:
        """Build it."""
        self.server = EngineUnderTest()
        self.request: Request | None = None
        self.connection: Connection = self.server.connect()

    def serve(self, answer: Callable[[Request], Any] | Resource) -> None:
        """Hang it in."""
        resource = answer if isinstance(answer, Resource) else Answering(answer)
        self.server.site.resource.putChild(b"extra", resource)
        self.server.site.table["/extra"] = resource  # type: ignore[index] # a plain resource for once

    def ask(self) -> None:
        """Ask for it without waiting for the answer."""
        self.connection.send(raw("GET", "/extra"))

    def get(self, *, path: str = "/extra", **fields: str) -> Reply:
        """Ask for it."""
        named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
        self.connection.send(raw("GET", path, fields=named))
        return self.connection.reply()

    def keep(self, request: Request) -> int:
        """An answer that is made later."""
        self.request = request
        return NOT_DONE_YET

    def later(self) -> Request:
        """The request that is answered later."""
        assert self.request is not None
        return self.request


class AskingTests(OrdinaryCase):
    """What resources ask a request."""

    def seen(self, look: Callable[[Request], object], data: bytes) -> object:
        """What a resource sees of a request."""
        seen: list[object] = []

        def answer(request: Request) -> bytes:
            seen.append(look(request))
            return b""

        self.serve(answer)
        self.connection.send(data)
        return seen[0]

    def test_query(self) -> None:
        """The query's arguments, decoded."""
        data = raw("GET", "/extra?a=1&a=%32&b=")
        self.assertEqual(self.seen(lambda r: r.args, data), {b"a": [b"1", b"2"], b"b": [b""]})
        self.assertEqual(self.seen(lambda r: r.args, raw("GET", "/extra")), {})

    def test_body(self) -> None:
        """The body as a file; forms in it are not parsed."""
        data = raw("POST", "/extra", b"a=1", (("Content-Type", "application/x-www-form-urlencoded"),))
        self.assertEqual(self.seen(lambda r: (r.content and r.content.read(), r.args), data), (b"a=1", {}))

    def test_fields(self) -> None:
        """Fields by name, however written, the last one of several, and all of them."""
        data = raw("GET", "/extra", fields=(("X-One", "1"), ("x-one", "2"), ("Authorization", "Basic YTpi")))
        found = self.seen(
            lambda r: (
                r.getHeader("x-ONE"),
                r.requestHeaders.getRawHeaders(b"X-One"),
                r.getAllHeaders()[b"x-one"],
                r.getHeader("none"),
                r.getUser(),
                r.getPassword(),
                r.getCookie(b"a"),
            ),
            data,
        )
        self.assertEqual(found, ("2", [b"1", b"2"], b"2", None, b"a", b"b", None))

    def test_target(self) -> None:
        """Target, version, path, and how far it led."""
        found = self.seen(
            lambda r: (r.uri, r.path, r.clientproto, r.method, r.prepath, r.postpath),
            raw("PUT", "/extra?x", version="1.0"),
        )
        self.assertEqual(found, (b"/extra?x", b"/extra", b"HTTP/1.0", b"PUT", [b"extra"], []))

    def test_addresses(self) -> None:
        """Who asks whom, and how."""
        found = self.seen(
            lambda r: (
                r.getClientAddress().host,
                r.getHost().port,
                r.isSecure(),
                r.getRequestHostname(),
                r.prePathURL(),
            ),
            raw("GET", "/extra"),
        )
        self.assertEqual(found, ("192.0.2.7", 8000, False, b"127.0.0.1", b"http://127.0.0.1:8000/extra"))

    def test_nothingIsMadeUnasked(self) -> None:
        """Of all this nothing is made before it is touched."""
        names = {"args", "content", "requestHeaders", "responseHeaders", "client", "host", "cookies", "prepath"}

        def look(request: Request) -> object:
            self.assertIsInstance(request, EngineRequest)
            return names & set(vars(request))

        self.assertIn(self.seen(look, raw("GET", "/extra")), (set(), {"prepath"}))


class AnsweringTests(OrdinaryCase):
    """What resources do with a request."""

    def test_bytes(self) -> None:
        """The simplest answer; relay's own fields are on it."""
        self.serve(lambda request: b"hello")
        reply = self.get(x_request_id="mine")
        self.assertEqual((reply.status, reply.body, reply.rest), (200, b"hello", b""))
        self.assertEqual((reply.fields["server"], reply.fields["x-request-id"]), ("relay", "mine"))
        self.assertIn("date", reply.fields)
        self.assertFalse(self.connection.closing)

    def test_statusAndFields(self) -> None:
        """Status, fields and cookies are the resource's, but not what relay writes itself."""

        def answer(request: Request) -> bytes:
            request.setResponseCode(418)
            request.setHeader(b"X-Extra", b"1")
            request.setHeader(b"server", b"theirs")
            request.setHeader(b"connection", b"upgrade")
            request.addCookie(b"a", b"b")
            return b"short and stout"

        self.serve(answer)
        reply = self.get()
        self.assertEqual((reply.status, reply.fields["x-extra"], reply.fields["server"]), (418, "1", "relay"))
        self.assertEqual(reply.fields["set-cookie"], "a=b")
        self.assertNotIn("connection", reply.fields)

    def test_head(self) -> None:
        """HEAD has the length and no body, and the connection goes on."""
        self.serve(lambda request: b"hello")
        self.connection.send(raw("HEAD", "/extra") + raw("GET", "/extra"))
        reply = self.connection.reply(head=True)
        self.assertEqual((reply.status, reply.fields["content-length"]), (200, "5"))
        self.assertEqual(parse(reply.rest).body, b"hello")

    def test_notModified(self) -> None:
        """Conditional requests are answered without a body."""

        def answer(request: Request) -> bytes:
            return b"" if request.setETag(b"tag") else b"hello"

        self.serve(answer)
        reply = self.get(if_none_match="tag")
        self.assertEqual((reply.status, reply.fields["etag"]), (304, "tag"))
        self.assertNotIn("transfer-encoding", reply.fields)

    def test_redirect(self) -> None:
        """Twisted's own resources work."""
        self.serve(Redirect(b"/health"))
        reply = self.get()
        self.assertEqual((reply.status, reply.fields["location"]), (302, "/health"))

    def test_pieces(self) -> None:
        """An answer of unknown length is chunked; the next request waits for its end."""
        self.serve(self.keep)
        self.ask()
        self.later().write(b"one ")
        self.later().write(b"two")
        self.connection.send(raw("GET", "/ready"))
        self.later().finish()
        reply = self.connection.reply()
        self.assertEqual((reply.fields["transfer-encoding"], reply.body), ("chunked", b"one two"))
        self.assertEqual(parse(reply.rest).status, 200)

    def test_piecesForAnOldClient(self) -> None:
        """To HTTP/1.0 it is ended by the close, also when the client would stay."""
        self.serve(self.keep)
        self.connection.send(raw("GET", "/extra", version="1.0", fields=(("Connection", "keep-alive"),)))
        self.later().write(b"one")
        self.later().finish()
        reply = self.connection.reply()
        self.assertEqual((reply.fields["connection"], reply.body), ("close", b"one"))
        self.assertTrue(self.connection.closing)

    def test_loseConnection(self) -> None:
        """A resource may close."""
        self.serve(self.keep)
        self.ask()
        self.later().write(b"one")
        self.later().loseConnection()
        self.assertTrue(self.connection.closing)
        self.later().finish()

    def test_noBytes(self) -> None:
        """A resource that returns something else has failed."""
        self.serve(lambda request: "text")
        self.assertEqual(self.get().status, 500)

    def test_raises(self) -> None:
        """So has one that raises; nothing of it is shown."""

        def answer(request: Request) -> bytes:
            raise ZeroDivisionError("secret")

        self.serve(answer)
        reply = self.get()
        self.assertEqual((reply.status, reply.json["error"]["code"]), (500, "internal_error"))
        self.assertNotIn(b"secret", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class EndTests(OrdinaryCase):
    """How it ends."""

    def setUp(self) -> None:
        """An answer that is made later."""
        super().setUp()
        self.serve(self.keep)
        self.ask()
        self.ends: list[Deferred[None]] = [self.later().notifyFinish(), self.later().notifyFinish()]

    def test_finished(self) -> None:
        """Who wants to know of the end is told."""
        for end in self.ends:
            self.assertNoResult(end)
        self.later().finish()
        for end in self.ends:
            self.successResultOf(end)

    def test_left(self) -> None:
        """Or that the client has left; writing is harmless then."""
        self.connection.lose()
        for end in self.ends:
            self.failureResultOf(end, ConnectionDone)
        self.later().write(b"x")
        self.assertRaises(RuntimeError, self.later().finish)
        self.assertEqual(self.connection.data, b"")

    def test_afterTheEnd(self) -> None:
        """Addresses can still be asked for, for logs; channel and security are gone."""
        self.later().finish()
        self.successResultOf(self.ends[0])
        self.successResultOf(self.ends[1])
        self.assertEqual(self.later().getClientAddress().host, "192.0.2.7")
        self.assertFalse(self.later().isSecure())
        self.assertIsNone(self.later().channel)


class ProducerTests(OrdinaryCase):
    """Producers that feed an answer."""

    def setUp(self) -> None:
        """An answer that is made later."""
        super().setUp()
        self.serve(self.keep)
        self.ask()

    def test_push(self) -> None:
        """A push producer is paused and resumed as the client reads, and stopped when it leaves."""
        source = Source()
        self.later().registerProducer(source, True)
        self.connection.producer.pauseProducing()
        self.connection.producer.pauseProducing()
        self.connection.producer.resumeProducing()
        self.connection.lose()
        self.assertEqual(source.told, ["pause", "resume", "stop"])

    def test_pushWhileFull(self) -> None:
        """One that comes while the transport is full is paused at once."""
        self.connection.producer.pauseProducing()
        source = Source()
        self.later().registerProducer(source, True)
        self.assertEqual(source.told, ["pause"])

    def test_deadline(self) -> None:
        """A client that does not read is cut off here, too."""
        self.later().registerProducer(Source(), True)
        self.connection.producer.pauseProducing()
        self.server.advance(299)
        self.assertFalse(self.connection.cut)
        self.server.advance(1)
        self.assertTrue(self.connection.cut)

    def test_unregistered(self) -> None:
        """One that was taken back hears nothing more."""
        source = Source()
        self.later().registerProducer(source, True)
        self.later().unregisterProducer()
        self.connection.producer.pauseProducing()
        self.assertEqual(source.told, [])

    def test_pull(self) -> None:
        """A pull producer is the transport's own until it is done; then the connection goes on."""
        source = Source(lambda: self.later().write(b"x"))
        self.later().registerProducer(source, False)
        self.assertIs(self.connection.transport.producer, source)
        self.assertFalse(self.connection.transport.streaming)
        source.resumeProducing()
        self.later().unregisterProducer()
        self.later().finish()
        self.assertIs(self.connection.producer, self.connection.channel)
        self.assertEqual(self.connection.reply().body, b"x")
        self.assertEqual(self.get(path="/ready").rest[:8], b"HTTP/1.1")
