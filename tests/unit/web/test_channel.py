"""Connections: deadlines, framing, bounds, drain."""

from __future__ import annotations

from relay.config import ServerConfig, ServerTimeouts
from relay.exchange import ClientRequest
from relay.interfaces import ISink
from relay.outcome import Outcome
from relay.web.body import LINGER
from tests.unit.values import make_snapshot
from tests.unit.web.client import Connection, WebCase, parse, raw

HEAD, BODY, WRITE = 5.0, 10.0, 300.0


class ChannelCase(WebCase):
    """A site and one connection to it."""

    def setUp(self) -> None:
        """Connect."""
        timeouts = ServerTimeouts(request_head=HEAD, request_body=BODY, write=WRITE)
        self.server = self.make(make_snapshot(server_timeouts=timeouts, server=ServerConfig(connections=3, body=1000)))
        self.connection: Connection = self.server.connect()
        self.sinks: list[ISink] = []

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.server.advance(seconds)

    def keep(self, request: ClientRequest, sink: ISink) -> None:
        """An exchange that stays open."""
        self.sinks.append(sink)

    def refused(self, status: int, code: str) -> None:
        """The connection was answered once and is being closed; the refusal was counted."""
        reply = self.connection.reply()
        self.assertEqual((reply.status, reply.json["error"]["code"], reply.rest), (status, code, b""))
        self.assertEqual(reply.fields["connection"], "close")
        if self.engine:
            self.advance(LINGER)
        self.assertTrue(self.connection.closing)
        self.assertEqual([record.error for record in self.server.gateway.records], [code])
        self.assertEqual(self.server.gateway.records[0].id, reply.fields["x-request-id"])


class DeadlineTests(ChannelCase):
    """Nobody holds a connection by being slow."""

    def test_silent(self) -> None:
        """A connection on which nothing comes is closed without a word: a browser may have opened it in advance."""
        self.advance(HEAD)
        self.assertTrue(self.connection.closing)
        self.assertEqual(self.connection.data, b"")

    def test_slowHead(self) -> None:
        """A head that comes byte by byte is cut at an absolute deadline."""
        for _ in range(int(HEAD) - 1):
            self.connection.send(b"G")
            self.advance(1)
        self.assertEqual(self.connection.data, b"")
        self.advance(1)
        self.refused(408, "request_timeout")

    def test_slowBody(self) -> None:
        """So is a body, in the shape of its endpoint."""
        self.connection.send(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
        for _ in range(int(BODY) - 1):
            self.connection.send(b"x")
            self.advance(1)
        self.assertEqual(self.connection.data, b"")
        self.advance(1)
        reply = self.connection.reply()
        self.assertEqual((reply.status, reply.json["type"]), (408, "error"))
        self.assertEqual(reply.fields["connection"], "close")
        self.assertEqual(self.server.gateway.records[0].outcome, Outcome.TIMEOUT)
        self.assertEqual(self.server.gateway.requests, [])

    def test_patientAnswer(self) -> None:
        """While an answer is being made neither deadline counts."""
        self.server.gateway.serve = self.keep
        self.connection.send(raw("POST", "/v1/messages", b"{}"))
        self.advance(3600)
        self.assertFalse(self.connection.closing)

    def test_nextHead(self) -> None:
        """Between two requests a connection may rest for a minute; a head that has begun may not."""
        self.connection.send(raw("GET", "/ready"))
        self.advance(59)
        self.assertFalse(self.connection.closing)
        self.connection.send(b"GET /ready")
        self.advance(HEAD)
        self.assertEqual(parse(self.connection.reply().rest).status, 408)

    def test_idle(self) -> None:
        """Then it is closed without a word."""
        self.connection.send(raw("GET", "/ready"))
        before = self.connection.data
        self.advance(60)
        self.assertTrue(self.connection.closing)
        self.assertEqual(self.connection.data, before)

    def test_pipelinedHead(self) -> None:
        """A head that came with the request before is under the deadline from the end of that request's answer."""
        self.server.gateway.serve = self.keep
        self.connection.send(raw("POST", "/v1/messages", b"{}") + b"GET /re")
        self.advance(3600)
        self.sinks[0].start(200, ())
        self.sinks[0].end()
        self.advance(HEAD)
        self.assertEqual(parse(self.connection.reply().rest).status, 408)

    def test_closingTakesItsTime(self) -> None:
        """A client that does not take the last bytes is broken off after the write deadline."""
        self.connection.send(raw("GET", "/ready", fields=(("Connection", "close"),)))
        self.assertTrue(self.connection.closing)
        self.advance(WRITE - 1)
        self.assertFalse(self.connection.cut)
        self.advance(1)
        self.assertTrue(self.connection.cut)

    def test_noTimerIsLeft(self) -> None:
        """A lost connection leaves no timer, in any phase."""
        for data in (
            b"",
            b"GE",
            raw("GET", "/ready"),
            raw("POST", "/v1/messages", b"{}")[:-1],
            raw("PUT", "/x", b"abc"),
        ):
            connection = self.server.connect()
            connection.send(data)
            connection.lose()
        self.connection.lose()
        self.assertEqual(self.server.reactor.getDelayedCalls(), [])


class FramingTests(ChannelCase):
    """Heads that are refused."""

    def test_malformed(self) -> None:
        """What is no HTTP gets one JSON answer, and the connection ends."""
        self.connection.send(b"hello\r\n\r\n")
        self.refused(400, "invalid_request")

    def test_ambiguousTransferCoding(self) -> None:
        """Only exactly one ``chunked``, only in HTTP/1.1; nothing behind it is read as a request."""
        for version, coding in (
            ("1.1", "identity"),
            ("1.1", "gzip, chunked"),
            ("1.1", "chunked, chunked"),
            ("1.0", "chunked"),
        ):
            self.connection = self.server.connect()
            self.server.gateway.records.clear()
            data = raw("POST", "/v1/messages", None, (("Transfer-Encoding", coding),), version=version)
            self.connection.send(data + raw("GET", "/ready"))
            self.refused(501 if self.engine and version == "1.1" else 400, "invalid_request")
            self.connection.lose()

    def test_endlessNumber(self) -> None:
        """A Content-Length that no machine could hold is refused without a traceback."""
        self.connection.send(raw("POST", "/v1/messages", fields=(("Content-Length", "9" * 15000),)))
        self.refused(413, "request_too_large")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_twoLengths(self) -> None:
        """Two lengths, or a length and chunks, are refused."""
        for field in (("Content-Length", "2"), ("Transfer-Encoding", "chunked")):
            self.connection = self.server.connect()
            self.server.gateway.records.clear()
            self.connection.send(raw("POST", "/v1/messages", b"{}", (field,)))
            self.refused(400, "invalid_request")
            self.connection.lose()

    def test_oneValidHost(self) -> None:
        """A request names its host once, and in a form that a host can have; only HTTP/1.0 may leave it out."""
        for fields in (
            b"",
            b"Host: localhost\r\nHost: localhost\r\n",
            *(b"Host: %s\r\n" % host for host in (b"", b"a?b", b"u@a", b"a b", b"a, a", b"a:x", b"<a>")),
        ):
            self.connection = self.server.connect()
            self.server.gateway.records.clear()
            self.connection.send(b"GET /ready HTTP/1.1\r\n" + fields + b"\r\n" + raw("GET", "/ready"))
            self.refused(400, "invalid_request")
            self.connection.lose()
        self.connection = self.server.connect()
        self.connection.send(b"GET /ready HTTP/1.0\r\n\r\n")
        self.assertEqual(self.connection.reply().status, 200)

    def test_foldedFields(self) -> None:
        """A field that goes on in the next line is refused: other servers may read it as two."""
        for fold in (b" ", b"\t"):
            self.connection = self.server.connect()
            self.server.gateway.records.clear()
            self.connection.send(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nA: b\r\n" + fold + b"C: d\r\n\r\n")
            self.refused(400, "invalid_request")
            self.connection.lose()

    def test_largeHeads(self) -> None:
        """Heads of agent clients have room; endless ones are refused, by one line, by many and by their sum."""
        self.connection.send(raw("GET", "/ready", fields=(("X-Codex", "x" * 30000), ("Cookie", "y" * 30000))))
        self.assertEqual(self.connection.reply().status, 200)
        self.connection.lose()
        for head in (
            b"GET /" + b"x" * 70000,
            b"GET / HTTP/1.1\r\nA: " + b"x" * 70000,
            b"GET / HTTP/1.1\r\n" + b"A: %s\r\n" % (b"x" * 1000) * 70,
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 502,
        ):
            self.connection = self.server.connect()
            self.server.gateway.records.clear()
            self.connection.send(head + b"\r\n")
            self.refused(414 if self.engine and head.startswith(b"GET /x") else 431, "head_too_large")
            self.connection.lose()

    def test_nothingAfterTheClose(self) -> None:
        """Requests behind a refused one are not served."""
        self.connection.send(b"hello\r\n\r\n")
        before = self.connection.data
        self.connection.send(raw("GET", "/ready"))
        self.assertEqual(self.connection.data, before)

    def test_chunkedBody(self) -> None:
        """A chunked body is a body like any other."""
        fields = (("Transfer-Encoding", "chunked"), ("Content-Type", "application/json"))
        self.connection.send(raw("POST", "/v1/messages", None, fields) + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
        self.assertEqual(self.connection.reply().body, b"{}")

    def test_byteByByte(self) -> None:
        """However a request is sliced, it is the same."""
        for byte in raw("POST", "/v1/messages", b'{"a":1}', (("Content-Type", "application/json"),)):
            self.connection.send(bytes((byte,)))
        self.assertEqual(self.connection.reply().body, b'{"a":1}')

    def test_pipelined(self) -> None:
        """The second of two requests waits for the first's answer, and they do not mix."""
        self.server.gateway.serve = self.keep
        self.connection.send(raw("POST", "/v1/messages", b"1") + raw("POST", "/v1/messages", b"2"))
        self.assertEqual([request.body for request in self.server.gateway.requests], [b"1"])
        self.sinks[0].start(200, ((b"content-length", b"5"),))
        self.sinks[0].write(b"first")
        self.sinks[0].end()
        self.assertEqual([request.body for request in self.server.gateway.requests], [b"1", b"2"])
        self.sinks[1].start(200, ((b"content-length", b"6"),))
        self.sinks[1].write(b"second")
        self.sinks[1].end()
        first = self.connection.reply()
        self.assertEqual((first.body, parse(first.rest).body), (b"first", b"second"))
        self.assertNotEqual(first.fields["x-request-id"], parse(first.rest).fields["x-request-id"])


class BoundTests(ChannelCase):
    """How many connections are served."""

    def test_tooMany(self) -> None:
        """One more than is allowed gets a short answer and is closed; a place that becomes free is used."""
        others = [self.server.connect(), self.server.connect()]
        self.connection = self.server.connect()
        self.refused(503, "overloaded")
        self.assertEqual(self.connection.reply().fields["retry-after"], "1")
        others[0].lose()
        again = self.server.connect()
        again.send(raw("GET", "/ready"))
        self.assertEqual(again.reply().status, 200)

    def test_bound(self) -> None:
        """The bound follows the configuration."""
        self.server.configuration.snapshot = make_snapshot(server=ServerConfig(connections=1))
        self.connection = self.server.connect()
        self.assertEqual(self.connection.reply().status, 503)


class DrainTests(ChannelCase):
    """Relay shuts down."""

    def setUp(self) -> None:
        """One connection that is idle, one that is busy."""
        super().setUp()
        self.server.gateway.serve = self.keep
        self.connection.send(raw("GET", "/ready"))
        self.busy = self.server.connect()
        self.busy.send(raw("POST", "/v1/messages", b"{}"))

    def test_idleOnesClose(self) -> None:
        """Idle connections are closed at once, new silent ones too; busy ones are not."""
        silent = self.server.connect()
        self.server.site.connections.drain()
        self.assertTrue(self.connection.closing)
        self.assertTrue(silent.closing)
        self.assertFalse(self.busy.closing)

    def test_busyOnesFinish(self) -> None:
        """A running answer ends as it should, says that it is the last, and the connection is closed."""
        self.server.site.connections.drain()
        self.sinks[0].start(200, ())
        self.sinks[0].write(b"x")
        self.sinks[0].end()
        self.assertEqual(self.busy.reply().body, b"x")
        self.assertEqual(self.busy.reply().fields["connection"], "close")
        self.assertTrue(self.busy.closing)

    def test_told(self) -> None:
        """Who drains learns when the last connection is gone, each time he asks."""
        waiting = self.server.site.connections.drain()
        self.connection.lose()
        self.assertNoResult(waiting)
        self.busy.lose()
        self.successResultOf(waiting)
        self.successResultOf(self.server.site.connections.drain())
        self.assertEqual(len(self.server.site.connections), 0)

    def test_requestUnderway(self) -> None:
        """A request whose head is half here is still served, as the last."""
        half = self.server.connect()
        half.send(raw("GET", "/ready")[:-3])
        self.server.site.connections.drain()
        self.assertFalse(half.closing)
        half.send(raw("GET", "/ready")[-3:])
        self.assertEqual(half.reply().fields["connection"], "close")
        self.assertTrue(half.closing)

    def test_abort(self) -> None:
        """At the end what is left is broken off."""
        self.server.site.connections.abort()
        self.assertTrue(self.busy.cut)
