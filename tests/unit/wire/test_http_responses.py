"""Answer heads: where the body ends is known for sure, or the answer is refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.http import FIELD_LIMIT, HEAD_LIMIT, FieldMemo, Framing, HeadError, ResponseHead, parse_response_head
from tests.unit.wire.test_http_requests import take_head


def answer(fields: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """An answer's head."""
    return line + b"\r\n" + fields + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"
KEEP = b"Connection: keep-alive\r\n"
CLOSE = b"Connection: Close\r\n"


def length(number: int) -> bytes:
    """A ``Content-Length`` line."""
    return b"Content-Length: %d\r\n" % number


STATUS_LINES: dict[bytes, tuple[int, int]] = {
    b"HTTP/1.1 200 OK": (1, 200),
    b"HTTP/1.1 200 ": (1, 200),
    b"HTTP/1.1 200": (1, 200),
    b"HTTP/1.1 404 Not  Found\t!": (1, 404),
    b"HTTP/1.1 500 Gr\xfc\xdfe": (1, 500),
    b"HTTP/1.1 200 200 OK": (1, 200),
    b"HTTP/1.0 200 OK": (0, 200),
    b"HTTP/1.1 999 ?": (1, 999),
    b"HTTP/1.1 600": (1, 600),
}

BROKEN_LINES = (
    *(b"", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 OK", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 099 x"),
    *(b"HTTP/1.1 000", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2_0 OK", b"HTTP/1.1 \xb200 OK", b"HTTP/1.1  200 OK"),
    *(b" HTTP/1.1 200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200OK", b"HTTP/1.1 20.0"),
    *(b"HTTP/2.0 200 OK", b"HTTP/2 200 OK", b"HTTP/1.2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.10 200 OK"),
    *(b"http/1.1 200 OK", b"ICY 200 OK", b"200 OK", b"\r\nHTTP/1.1 200 OK", b"HTTP/1.1 200 O\x00K"),
    *(b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\nK", b"HTTP/1.1 200 O\x1bK", b"GET / HTTP/1.1"),
)

BROKEN_FIELDS = (
    *(
        b"X\r\n",
        b": a\r\n",
        b"X : a\r\n",
        b" X: a\r\n",
        b"X: a\r\n b\r\n",
        b"X: \x00\r\n",
        b"X: a\rb\r\n",
        b"X: a\nb\r\n",
    ),
    *(length(1) + length(1), length(1) + length(2), b"Content-Length: 1, 1\r\n", b"Content-Length: -1\r\n"),
    *(
        b"Content-Length: +1\r\n",
        b"Content-Length: a\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: " + b"9" * 19 + b"\r\n",
    ),
    *(CHUNKED + length(1), length(0) + CHUNKED, CHUNKED + CHUNKED, b"Transfer-Encoding: identity\r\n"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: chunked, chunked\r\n", b"Transfer-Encoding:\r\n"),
    *(b"Transfer-Encoding: chunked;a\r\n", b"Transfer-Encoding: \x0bchunked\r\n", b"Transfer-Encoding : chunked\r\n"),
    *(b"X: a\r\n" * (FIELD_LIMIT + 1), b"X: " + b"a" * HEAD_LIMIT + b"\r\n"),
)

FRAMED: list[tuple[bytes, bytes, Framing, int, bool]] = [
    # method, head, framing, length, keep_alive
    (b"POST", answer(length(5)), Framing.LENGTH, 5, True),
    (b"POST", answer(length(5) + KEEP), Framing.LENGTH, 5, True),
    (b"POST", answer(length(5) + CLOSE), Framing.LENGTH, 5, False),
    (b"POST", answer(length(5) + b"Connection: keep-alive, close\r\n"), Framing.LENGTH, 5, False),
    (b"POST", answer(length(0)), Framing.NONE, 0, True),
    (b"POST", answer(CHUNKED), Framing.CHUNKED, 0, True),
    (b"POST", answer(CHUNKED + CLOSE), Framing.CHUNKED, 0, False),
    (b"POST", answer(b"transfer-encoding: Chunked\r\n"), Framing.CHUNKED, 0, True),
    (b"POST", answer(), Framing.EOF, 0, False),
    (b"POST", answer(KEEP), Framing.EOF, 0, False),
    (b"POST", answer(length(5), b"HTTP/1.0 200 OK"), Framing.LENGTH, 5, False),
    (b"POST", answer(length(5) + KEEP, b"HTTP/1.0 200 OK"), Framing.LENGTH, 5, True),
    (b"POST", answer(b"", b"HTTP/1.0 200 OK"), Framing.EOF, 0, False),
    (b"POST", answer(b"", b"HTTP/1.1 500 No"), Framing.EOF, 0, False),
    # no body, whatever the fields say of the one that another request would have got
    (b"HEAD", answer(length(5)), Framing.NONE, 0, True),
    (b"HEAD", answer(CHUNKED), Framing.NONE, 0, True),
    (b"HEAD", answer(), Framing.NONE, 0, True),
    (b"head", answer(length(5)), Framing.LENGTH, 5, True),
    (b"GET", answer(length(5), b"HTTP/1.1 304 Not Modified"), Framing.NONE, 0, True),
    (b"GET", answer(CHUNKED, b"HTTP/1.1 304 Not Modified"), Framing.NONE, 0, True),
    (b"CONNECT", answer(length(5)), Framing.NONE, 0, True),
    (b"CONNECT", answer(length(5), b"HTTP/1.1 407 No"), Framing.LENGTH, 5, True),
    # a 204 that announces a body may send one: the connection is of no more use
    (b"GET", answer(b"", b"HTTP/1.1 204 No Content"), Framing.NONE, 0, True),
    (b"GET", answer(length(0), b"HTTP/1.1 204 No Content"), Framing.NONE, 0, True),
    (b"GET", answer(length(5), b"HTTP/1.1 204 No Content"), Framing.NONE, 0, False),
    (b"GET", answer(CHUNKED, b"HTTP/1.1 204 No Content"), Framing.NONE, 0, False),
    (b"GET", answer(b"", b"HTTP/1.1 205 Reset"), Framing.EOF, 0, False),
    (b"POST", answer(b"", b"HTTP/1.1 100 Continue"), Framing.NONE, 0, True),
    (b"POST", answer(length(0), b"HTTP/1.1 103 Early Hints"), Framing.NONE, 0, True),
    (b"GET", answer(b"Upgrade: x\r\n", b"HTTP/1.1 101 Switching"), Framing.NONE, 0, True),
]


class ResponseHeadTests(SynchronousTestCase):
    """Answers are read as strictly as requests."""

    def accepted(self, data: bytes, method: bytes) -> ResponseHead:
        """The head, the same whole, byte by byte, with trailing data, and with a memo."""
        memo = FieldMemo()
        found = [
            parse_response_head(take_head([data])[0], method),
            parse_response_head(take_head([bytes([byte]) for byte in data])[0], method),
            parse_response_head(take_head([data + b"HTTP/1.1 200 OK\r\n\r\n"])[0], method),
            parse_response_head(data, method, memo),
            parse_response_head(data, method, memo),
        ]
        self.assertEqual(found, found[:1] * 5)
        return found[0]

    def test_allOfOneHead(self) -> None:
        """Names become lower case, values lose the blanks around them, order and repetition stay."""
        data = answer(b"Server: x\r\nX-RateLimit-Limit-Tokens:1\r\nset-cookie: a\r\nSet-Cookie:\tb \r\n" + length(3))
        fields = (
            *((b"server", b"x"), (b"x-ratelimit-limit-tokens", b"1")),
            *((b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"content-length", b"3")),
        )
        expected = ResponseHead(200, (1, 1), fields, True, Framing.LENGTH, 3)
        self.assertEqual(self.accepted(data, b"POST"), expected)

    def test_statusLines(self) -> None:
        """Any three digits from 100 on, with any reason, or none."""
        for line, (minor, status) in STATUS_LINES.items():
            found = self.accepted(answer(length(1), line), b"POST")
            self.assertEqual((found.version, found.status), ((1, minor), status), line)

    def test_framing(self) -> None:
        """Section 6.3 of RFC 9112, case by case."""
        for method, data, framing, size, keep in FRAMED:
            found = self.accepted(data, method)
            self.assertEqual((found.framing, found.length, found.keep_alive), (framing, size, keep), (method, data))

    def test_brokenStatusLines(self) -> None:
        """What is no status line of HTTP/1 is no answer."""
        for line in BROKEN_LINES:
            self.assertRaises(HeadError, parse_response_head, answer(length(0), line), b"POST")

    def test_brokenFields(self) -> None:
        """Malformed fields, and framing with two readings, whatever the status and method."""
        for fields in BROKEN_FIELDS:
            for method, line in (
                (b"POST", b"HTTP/1.1 200 OK"),
                (b"HEAD", b"HTTP/1.1 200 OK"),
                (b"GET", b"HTTP/1.1 304"),
            ):
                self.assertRaises(HeadError, parse_response_head, answer(fields, line), method)

    def test_chunkedInHTTP10(self) -> None:
        """HTTP/1.0 knows no transfer codings: such a message is faulty."""
        self.assertRaises(HeadError, parse_response_head, answer(CHUNKED, b"HTTP/1.0 200 OK"), b"POST")

    def test_interimAnswersHaveNoBody(self) -> None:
        """One that announces a body would make the next answer's beginning a matter of opinion."""
        for fields in (length(5), CHUNKED):
            self.assertRaises(HeadError, parse_response_head, answer(fields, b"HTTP/1.1 100 Continue"), b"POST")

    def test_aCutHeadIsNoHead(self) -> None:
        """The parser asks for exactly one head."""
        whole = answer(length(3))
        for end in range(len(whole)):
            self.assertRaises(HeadError, parse_response_head, whole[:end], b"POST")
        self.assertRaises(HeadError, parse_response_head, whole + whole, b"POST")
