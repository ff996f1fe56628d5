"""Heads of answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.web.engine.heads import FIXED, Heads, lines


class HeadsTests(SynchronousTestCase):
    """How heads begin."""

    def setUp(self) -> None:
        """At a known time."""
        self.now = 1_800_000_000.9
        self.heads = Heads(lambda: self.now)

    def test_opening(self) -> None:
        """Status line, server and date."""
        self.assertEqual(
            self.heads.opening(404),
            b"HTTP/1.1 404 Not Found\r\nserver: relay\r\ndate: Fri, 15 Jan 2027 08:00:00 GMT\r\n",
        )

    def test_dateMovesOn(self) -> None:
        """The date is that of the second, whatever was asked for before."""
        before = self.heads.opening(200)
        self.assertIs(self.heads.opening(200), before)
        self.now += 0.1
        self.assertIn(b"08:00:01 GMT", self.heads.opening(200))
        self.assertIn(b"08:00:01 GMT", self.heads.opening(503))

    def test_unknownStatus(self) -> None:
        """A status without a phrase of its own gets one."""
        self.assertTrue(self.heads.opening(529).startswith(b"HTTP/1.1 529 "))


class LinesTests(SynchronousTestCase):
    """Fields."""

    def test_lines(self) -> None:
        """Each is a line, in order; the length among them is told."""
        data, length = lines(((b"a", b"1"), (b"content-length", b"12"), (b"a", b"2")), FIXED)
        self.assertEqual((data, length), (b"a: 1\r\ncontent-length: 12\r\na: 2\r\n", 12))

    def test_nothing(self) -> None:
        """No fields are no lines."""
        self.assertEqual(lines((), FIXED), (b"", None))

    def test_fixed(self) -> None:
        """Fields that others write are left out."""
        fixed = ((b"server", b"x"), (b"connection", b"x"), (b"transfer-encoding", b"chunked"), (b"b", b"2"))
        self.assertEqual(lines(fixed, FIXED), (b"b: 2\r\n", None))

    def test_lineEnds(self) -> None:
        """A field that would become two is refused, in its name and its value, whole or in part."""
        for end in (b"\r\n", b"\n", b"\r"):
            self.assertRaises(ValueError, lines, ((b"a", b"1" + end + b"set-cookie: x"),), FIXED)
            self.assertRaises(ValueError, lines, ((b"a" + end, b"1"),), FIXED)

    def test_length(self) -> None:
        """So is a length that is none."""
        self.assertRaises(ValueError, lines, ((b"content-length", b"many"),), FIXED)
