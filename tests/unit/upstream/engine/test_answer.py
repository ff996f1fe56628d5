"""Tests of reading answer heads."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.upstream.engine.answer import INTERIM_ANSWERS, AnswerReader
from relay.wire.answer import AnswerShapes
from relay.wire.http import HeadError
from tests.unit.upstream.engine.parts import answer, head

GOOD = {
    "least": (b"HTTP/1.1 200\r\n\r\n", 200),
    "fields": (head(404, b"A: b", b"Content-Type: a/b"), 404),
    "interim": (head(103, b"Link: x") + head(200, b"A: b"), 200),
    "most interim": (head(100) * INTERIM_ANSWERS + head(500), 500),
}

BAD = {
    "garbage": b"\x00\x01\r\n\r\n",
    "101": head(101),
    "600": head(600),
    "999": head(999),
    "one interim too many": head(100) * (INTERIM_ANSWERS + 1),
    "bare LF": b"HTTP/1.1 200 OK\n\n",
    "endless line": b"HTTP/1.1 200 " + b"x" * 70_000,
    "endless fields": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
}


class AnswerReaderTests(SynchronousTestCase):
    """Each head whole, byte by byte, with what follows, and cut."""

    def setUp(self) -> None:
        self.head = AnswerReader(AnswerShapes())
        self.head.expect(b"POST")

    def test_good(self) -> None:
        """A head is there with its last byte, and the reader is ready for the next one."""
        for label, (data, status) in GOOD.items():
            for size in (len(data), 1, 5):
                self.head.expect(b"POST")
                self.assertFalse(self.head.begun)
                found = None
                for at in range(0, len(data), size):
                    self.assertIsNone(found, label)
                    found = self.head.feed(data[at : at + size])
                assert found is not None
                self.assertEqual((found.status, self.head.rest, self.head.begun), (status, b"", True), label)

    def test_rest(self) -> None:
        """What follows is kept for whoever takes the body."""
        for cut in (0, 1, 20):
            self.head.expect(b"POST")
            data = answer(b"body")
            if cut:
                self.assertIsNone(self.head.feed(data[:cut]))
            self.assertIsNotNone(self.head.feed(data[cut:]))
            self.assertEqual(self.head.rest, b"body")

    def test_cut(self) -> None:
        """Before its end there is none, wherever it is cut."""
        data = GOOD["interim"][0]
        for end in range(len(data)):
            reader = AnswerReader(AnswerShapes())
            reader.expect(b"POST")
            self.assertIsNone(reader.feed(data[:end]))

    def test_bad(self) -> None:
        """What is none is refused, however it is sliced, and before much of it is held."""
        for label, data in BAD.items():
            for size in (len(data), 1000, 1):
                reader = AnswerReader(AnswerShapes())
                reader.expect(b"POST")
                with self.assertRaises(HeadError, msg=label):
                    for at in range(0, len(data), size):
                        reader.feed(data[at : at + size])
                        self.assertLess(at, 70_000, label)

    def test_method(self) -> None:
        """An answer to HEAD has a length but no body."""
        self.head.expect(b"HEAD")
        found = self.head.feed(head(200, b"Content-Length: 5"))
        assert found is not None
        self.assertEqual(found.framing.value, "none")
