"""JSON text of strings that UTF-8 cannot hold."""

from __future__ import annotations

import json

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.quoting import encode, mended, quoted

HIGH, LOW = "\ud83d", "\ude00"


class QuotingTests(SynchronousTestCase):
    """Half an emoji must never stop an answer."""

    def test_plain(self) -> None:
        """Ordinary text is written as UTF-8, and a line end is escaped."""
        self.assertEqual(quoted('a"ü\n'), '"a\\"ü\\n"'.encode())
        self.assertEqual(encode({"a": ["ü"]}), '{"a":["ü"]}'.encode())

    def test_halves(self) -> None:
        """In a stream a half stays the escape that it was, so that a client can join it with the next."""
        self.assertEqual(quoted("a" + HIGH), b'"a\\ud83d"')
        self.assertEqual(json.loads(quoted(LOW)), LOW)

    def test_whole(self) -> None:
        """In a whole answer halves are joined, lone ones replaced, and raw JSON is left alone."""
        self.assertEqual(mended(HIGH + LOW), "😀")
        value = {"a" + HIGH: [HIGH + LOW, (LOW,), msgspec.Raw(b"[1.0]"), None]}
        self.assertEqual(encode(value), '{"a\ufffd":["😀",["\ufffd"],[1.0],null]}'.encode())
