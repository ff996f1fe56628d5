"""The tests of ``tests.unit.web.test_sink`` on the engine's channel."""

from __future__ import annotations

from tests.unit.web import test_sink
from tests.unit.web.client import parse, raw
from tests.unit.web.engine.client import OnEngine
from tests.unit.web.test_sink import EVENTS, JSON


class AnswerTests(OnEngine, test_sink.AnswerTests):
    """Heads and bodies."""

    def test_headWaits(self) -> None:
        """The head goes out with the first bytes of the body, or with the end where there are none."""
        self.sink.start(200, EVENTS)
        self.assertEqual(self.connection.data, b"")
        self.sink.end()
        self.assertTrue(self.connection.data.endswith(b"\r\n\r\n0\r\n\r\n"))
        self.assertEqual(self.connection.reply().body, b"")

    def test_tooLong(self) -> None:
        """What is longer than its length breaks the connection: the rest would be read as the next answer."""
        self.sink.start(200, ((b"content-length", b"2"),))
        self.sink.write(b"a")
        self.sink.write(b"bc")
        self.assertTrue(self.connection.cut)
        self.assertEqual(self.connection.reply().body, b"a")

    def test_tooShort(self) -> None:
        """So does what is shorter."""
        self.sink.start(200, ((b"content-length", b"2"),))
        self.sink.write(b"a")
        self.sink.end()
        self.assertTrue(self.connection.cut)

    def test_neverBegun(self) -> None:
        """An answer that ends before it begins is none."""
        self.sink.end()
        self.assertTrue(self.connection.cut)

    def test_noBody(self) -> None:
        """Some statuses have neither a body nor a length; the connection goes on."""
        self.sink.start(204, ())
        self.sink.write(b"x")
        self.sink.end()
        reply = self.connection.reply()
        self.assertEqual((reply.status, reply.rest), (204, b""))
        self.assertNotIn("transfer-encoding", reply.fields)
        self.connection.send(raw("GET", "/ready"))
        self.assertEqual(parse(self.connection.reply().rest).status, 200)

    def test_hopByHop(self) -> None:
        """Fields that rule the connection are not the provider's to set."""
        self.sink.start(200, (*JSON, (b"connection", b"upgrade"), (b"transfer-encoding", b"gzip"), (b"trailer", b"x")))
        self.sink.end()
        fields = self.connection.reply().fields
        self.assertEqual(fields["transfer-encoding"], "chunked")
        self.assertNotIn("connection", fields)
        self.assertNotIn("trailer", fields)

    def test_injection(self) -> None:
        """A field that would become two is never written; there is still room for an error."""
        self.assertRaises(ValueError, self.sink.start, 200, ((b"x-one", b"1\r\nx-two: 2"),))
        self.assertEqual((self.connection.data, self.sink.started), (b"", False))


class GoneTests(OnEngine, test_sink.GoneTests):
    """The client leaves."""


class PaceTests(OnEngine, test_sink.PaceTests):
    """The client reads more slowly than the provider writes."""
