"""Tests of the guard on answer heads."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.upstream.head import HEAD_BYTES, HEAD_FIELDS, INTERIM_ANSWERS, AnswerHead, HeadFault

GOOD = {
    "least": (b"HTTP/1.1 200\r\n\r\n", True),
    "usual": (b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nX-Empty:\r\nX-High: \xe9\r\n\r\n", True),
    "bare LF": (b"HTTP/1.1 404 Not Found\nA: b\n\n", True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n", False),
    "HTTP/1.0 with keep-alive": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", False),
    "close": (b"HTTP/1.1 200 OK\r\nCONNECTION: x, CLOSE\r\n\r\n", False),
    "not close": (b"HTTP/1.1 200 OK\r\nConnection: closed\r\n\r\n", True),
    "close, then not": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", False),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
    "two framings": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", False),
    "interim": (b"HTTP/1.1 103 Hints\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", True),
    "most fields": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * HEAD_FIELDS + b"\r\n", True),
    "most bytes": (b"HTTP/1.1 200 OK\r\nA: " + b"a" * (HEAD_BYTES - 24) + b"\r\n\r\n", True),
    "most interim answers": (b"HTTP/1.1 100 C\r\n\r\n" * INTERIM_ANSWERS + b"HTTP/1.1 200 OK\r\n\r\n", True),
}
"""Name → head, whether the connection may be used again."""

BAD = {
    "garbage": b"\x16\x03\x01\r\n",
    "blank first": b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    "no blank": b"HTTP/1.1200 OK\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n",
    "lower case": b"http/1.1 200 OK\r\n",
    "two digits": b"HTTP/1.1 99 OK\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\n",
    "signed": b"HTTP/1.1 +20 OK\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\n",
    "600": b"HTTP/1.1 600 Odd\r\n",
    "control byte in reason": b"HTTP/1.1 200 O\x00K\r\n",
    "fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
    "fold first": b"HTTP/1.1 200 OK\r\n A: b\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n",
    "no name": b"HTTP/1.1 200 OK\r\n: b\r\n",
    "blank before colon": b"HTTP/1.1 200 OK\r\nA : b\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nA: \x00\r\n",
    "CR within": b"HTTP/1.1 200 OK\r\nA: b\rB: c\r\n",
    "one field too many": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (HEAD_FIELDS + 1),
    "one byte too many": b"HTTP/1.1 200 OK\r\nA: " + b"a" * (HEAD_BYTES - 23) + b"\r\n\r\n",
    "endless line": b"H" * (HEAD_BYTES + 1),
    "one interim answer too many": b"HTTP/1.1 100 C\r\n\r\n" * (INTERIM_ANSWERS + 1),
}


class AnswerHeadTests(SynchronousTestCase):
    """Each head whole, byte by byte, with trailing bytes, and cut."""

    def test_good(self) -> None:
        """A good head is complete with its last byte, and says whether the connection may be kept."""
        for label, (data, keep) in GOOD.items():
            for sizes in (len(data), 1):
                head = AnswerHead()
                for at in range(0, len(data), sizes):
                    self.assertFalse(head.complete, label)
                    head.feed(data[at : at + sizes])
                self.assertEqual((head.complete, head.keep), (True, keep), label)

    def test_trailing(self) -> None:
        """What follows the head is not looked at, and not counted."""
        for label, (data, keep) in GOOD.items():
            head = AnswerHead()
            head.feed(data + b"\x00\r\n" * HEAD_BYTES)
            head.feed(b"more")
            self.assertEqual((head.complete, head.keep), (True, keep), label)

    def test_cut(self) -> None:
        """A head is not complete before its end, wherever it is cut."""
        data = GOOD["interim"][0]
        for end in range(len(data)):
            head = AnswerHead()
            head.feed(data[:end])
            self.assertFalse(head.complete, end)

    def test_bad(self) -> None:
        """A bad head is refused, however it is sliced."""
        for label, data in BAD.items():
            for size in (len(data), 1, 7):
                head = AnswerHead()
                with self.assertRaises(HeadFault, msg=label):
                    for at in range(0, len(data), size):
                        head.feed(data[at : at + size])
