"""The door: exceptions that nobody foresaw, and errors that come too late."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from relay.errors import ClientGone, Draining, RateLimited, RelayError, UnknownModel
from relay.exchange import ClientRequest
from relay.interfaces import ISink
from relay.outcome import Outcome
from relay.web import failures
from tests.unit.web.client import WebCase, raw

SECRET = "sk-a-secret-in-an-exception"


class DoorTests(WebCase):
    """A site whose parts fail."""

    def setUp(self) -> None:
        """Build it."""
        self.server = self.make()

    def serve(self, error: Exception, *, start: bool = False) -> None:
        """Let exchanges fail."""

        def fail(request: ClientRequest, sink: ISink) -> None:
            if start:
                sink.start(200, ((b"content-type", b"text/event-stream"),))
                sink.write(b"data: 1\n\n")
            raise error

        self.server.gateway.serve = fail

    def test_relayErrors(self) -> None:
        """An exchange's error becomes its answer; the gateway has settled it already."""
        self.serve(RateLimited("Slow down.", retry_after=3.4, limit=10, reset=30.0))
        reply = self.server.post("/v1/messages")
        self.assertEqual((reply.status, reply.json["error"]["type"]), (429, "rate_limit_error"))
        self.assertEqual(reply.fields["retry-after"], "4")
        self.assertEqual(reply.fields["x-ratelimit-limit-requests"], "10")
        self.assertEqual(self.server.gateway.records, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_sameConnection(self) -> None:
        """After an error the connection serves on."""
        self.serve(UnknownModel("No such model."))
        connection = self.server.connect()
        connection.send(raw("POST", "/v1/chat/completions", b"{}") + raw("GET", "/ready"))
        self.assertEqual(connection.reply().status, 404)
        self.assertIn(b'"ready"', connection.reply().rest)
        self.assertFalse(connection.closing)

    def test_unexpected(self) -> None:
        """An exception is logged with its traceback; the client gets 500, an id, and nothing of it."""
        self.serve(ZeroDivisionError(SECRET))
        reply = self.server.post("/v1/messages", x_request_id="find-me")
        self.assertEqual((reply.status, reply.json["error"]["type"]), (500, "api_error"))
        self.assertIn("find-me", reply.json["error"]["message"])
        everything = reply.body + repr(reply.fields).encode()
        for word in (SECRET, "ZeroDivision", "Traceback", ".py", "<"):
            self.assertNotIn(word.encode(), everything)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unexpectedElsewhere(self) -> None:
        """The same holds for resources that relay answers itself, and there it is counted here."""
        self.patch(self.server.site.table["/health"], "_introspection", None)
        reply = self.server.request("GET", "/health")
        self.assertEqual(reply.status, 500)
        self.assertNotIn(b"NoneType", reply.body)
        self.assertEqual([r.outcome for r in self.server.gateway.records], [Outcome.INTERNAL])
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_unexpectedInTheHead(self) -> None:
        """An exception while a request is admitted is answered like any other."""
        self.patch(self.server.keys, "required", None)
        reply = self.server.post("/v1/messages")
        self.assertEqual((reply.status, reply.json["type"]), (500, "error"))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_tooLate(self) -> None:
        """Once the head is out an error breaks the connection; a second status is never written."""
        for error in (UnknownModel("Too late."), ZeroDivisionError(SECRET)):
            self.serve(error, start=True)
            connection = self.server.connect()
            connection.send(raw("POST", "/v1/messages", b"{}"))
            self.assertTrue(connection.cut)
            self.assertEqual(connection.data.count(b"HTTP/1.1"), 1)
            self.assertFalse(connection.data.endswith(b"0\r\n\r\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_noClient(self) -> None:
        """An error for a client that has left is rendered for nobody."""
        waiting: Deferred[None] = Deferred()
        self.server.gateway.serve = lambda request, sink: waiting
        connection = self.server.connect()
        connection.send(raw("POST", "/v1/messages", b"{}"))
        connection.lose()
        waiting.errback(ClientGone("The client left."))
        self.assertEqual(connection.data, b"")

    def test_renderingFails(self) -> None:
        """If even the error cannot be told, the connection is broken, and the log has the reason."""

        def render(*_: object) -> failures.Rendered:
            raise ZeroDivisionError(SECRET)

        self.patch(failures, "render", render)
        self.serve(Draining("Later."))
        connection = self.server.connect()
        connection.send(raw("POST", "/v1/messages", b"{}"))
        self.assertTrue(connection.cut)
        self.assertEqual(connection.data, b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_noteFacts(self) -> None:
        """A refusal's record tells who asked for what, and how it ended."""
        self.server.reactor.advance(100)
        self.server.request("GET", "/v1/messages", None, (("X-Request-Id", "id-1"),))
        (record,) = self.server.gateway.records
        self.assertEqual(
            (record.id, record.method, record.endpoint, record.front, record.client),
            ("id-1", "GET", "/v1/messages", "anthropic", "192.0.2.7"),
        )
        self.assertEqual((record.status, record.error), (405, "method_not_allowed"))
        self.assertEqual((record.time, record.duration, record.generation), (1_800_000_000.0, 0.0, 1))


class EveryErrorTests(WebCase):
    """Whatever an exchange fails with, on whichever endpoint."""

    def test_statusAndShape(self) -> None:
        """The status is the error's, the body is JSON, the ids are there."""
        server = self.make()
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses"):
            for kind in (UnknownModel, Draining, RelayError):
                error = kind("Words.")

                def fail(request: ClientRequest, sink: ISink, error: RelayError = error) -> None:
                    raise error

                server.gateway.serve = fail
                reply = server.post(path)
                self.assertEqual(reply.status, kind.status)
                self.assertIn("Words.", reply.json["error"]["message"])
                self.assertEqual(reply.fields["x-request-id"], reply.fields["request-id"])
