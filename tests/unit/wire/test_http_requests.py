"""Request heads: what is accepted means one thing only, everything else is refused with the right status."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.http import (
    FIELD_LIMIT,
    FIRST_LINE_LIMIT,
    HEAD_LIMIT,
    FieldMemo,
    HeadError,
    RequestHead,
    find_head_end,
    parse_request_head,
)

H = b"Host: a\r\n"


def take_head(pieces: Iterable[bytes]) -> tuple[bytes, bytes]:
    """Cut the head off a stream that arrives in these pieces, as a connection does; also what came behind it."""
    buffer = bytearray()
    for piece in pieces:
        start = len(buffer)
        buffer += piece
        end = find_head_end(buffer, start)
        if end >= 0:
            return bytes(buffer[:end]), bytes(buffer[end:])
    raise AssertionError("the head has no end")


def outcome(pieces: Iterable[bytes]) -> RequestHead | int:
    """The head that arrives in these pieces, or the status with which it is refused."""
    try:
        return parse_request_head(take_head(pieces)[0])
    except HeadError as error:
        return error.status


def outcomes(data: bytes) -> list[RequestHead | int]:
    """What becomes of a stream that comes whole, byte by byte, with trailing data, and cut in the middle."""
    middle = len(data) // 2
    return [
        outcome([data]),
        outcome([bytes([byte]) for byte in data]),
        outcome([data + b"GET / HTTP/1.1\r\n\r\n\x00"]),
        outcome([data[:middle], data[middle:]]),
    ]


def head(line: bytes, fields: bytes = H) -> bytes:
    """A head of a request line and field lines."""
    return line + b"\r\n" + fields + b"\r\n"


def get(fields: bytes) -> bytes:
    """A GET with fields besides ``Host``."""
    return head(b"GET / HTTP/1.1", H + fields)


def post(fields: bytes) -> bytes:
    """A POST with fields besides ``Host``."""
    return head(b"POST /v1/x HTTP/1.1", H + fields)


REFUSED: dict[str, tuple[bytes, int]] = {
    # the request line: section 3
    "nothing but an empty line": (b"\r\n\r\n", 400),
    "two empty lines first": (b"\r\n\r\n" + get(b""), 400),
    "one word": (head(b"GET"), 400),
    "two words, as in HTTP/0.9": (head(b"GET /"), 400),
    "four words": (head(b"GET / x HTTP/1.1"), 400),
    "two spaces": (head(b"GET  / HTTP/1.1"), 400),
    "two spaces before the version": (head(b"GET /  HTTP/1.1"), 400),
    "a space first": (head(b" GET / HTTP/1.1"), 400),
    "a space last": (head(b"GET / HTTP/1.1 "), 400),
    "a tab for a space": (head(b"GET\t/ HTTP/1.1"), 400),
    "a tab for the second space": (head(b"GET /\tHTTP/1.1"), 400),
    "no method": (head(b" / HTTP/1.1"), 400),
    "a method that is no token": (head(b"G(T / HTTP/1.1"), 400),
    "a method with a colon": (head(b"GET: / HTTP/1.1"), 400),
    "a method outside ASCII": (head(b"G\xcbT / HTTP/1.1"), 400),
    "a lower-case protocol": (head(b"GET / http/1.1"), 400),
    "no protocol": (head(b"GET / 1.1"), 400),
    "another protocol": (head(b"GET / HTTPS/1.1"), 400),
    "a version without a point": (head(b"GET / HTTP/11"), 400),
    "a version of three digits": (head(b"GET / HTTP/1.10"), 400),
    "a version of letters": (head(b"GET / HTTP/1.x"), 400),
    "a version with a blank": (head(b"GET / HTTP/ 1.1"), 400),
    "a signed version": (head(b"GET / HTTP/+1.1"), 400),
    "HTTP/0.9": (head(b"GET / HTTP/0.9"), 505),
    "HTTP/1.2": (head(b"GET / HTTP/1.2"), 505),
    "HTTP/2.0": (head(b"GET / HTTP/2.0"), 505),
    "the HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\n", 505),
    "HTTP/9.9": (head(b"GET / HTTP/9.9"), 505),
    # the target: section 3.2
    "a target that is no path": (head(b"GET v1 HTTP/1.1"), 400),
    "a query alone": (head(b"GET ?a HTTP/1.1"), 400),
    "a fragment": (head(b"GET /a#b HTTP/1.1"), 400),
    "a target outside ASCII": (head("GET /é HTTP/1.1".encode()), 400),
    "a control character": (head(b"GET /\x01 HTTP/1.1"), 400),
    "a NUL": (head(b"GET /\x00 HTTP/1.1"), 400),
    "DEL": (head(b"GET /\x7f HTTP/1.1"), 400),
    "a quotation mark": (head(b'GET /" HTTP/1.1'), 400),
    "an angle": (head(b"GET /<a> HTTP/1.1"), 400),
    "a star that is not for OPTIONS": (head(b"GET * HTTP/1.1"), 400),
    "a star and more": (head(b"OPTIONS *a HTTP/1.1"), 400),
    "a URL of another scheme": (head(b"GET ftp://a/ HTTP/1.1"), 400),
    "a URL without a host": (head(b"GET http:///x HTTP/1.1"), 400),
    "a URL with a user": (head(b"GET http://u@a/ HTTP/1.1"), 400),
    "a URL of another host than Host": (head(b"GET http://b/ HTTP/1.1"), 400),
    "a URL of another port than Host": (head(b"GET http://a:81/ HTTP/1.1"), 400),
    "a URL with a bad port": (head(b"GET http://a:x/ HTTP/1.1", b"Host: a:x\r\n"), 400),
    "a URL with one slash": (head(b"GET http:/a/ HTTP/1.1"), 400),
    "a URL in HTTP/1.1 without Host": (head(b"GET http://a/ HTTP/1.1", b""), 400),
    "CONNECT to a path": (head(b"CONNECT / HTTP/1.1"), 400),
    "CONNECT without a port": (head(b"CONNECT a HTTP/1.1"), 400),
    "CONNECT with an empty port": (head(b"CONNECT a: HTTP/1.1"), 400),
    "CONNECT to a URL": (head(b"CONNECT http://a:80/ HTTP/1.1"), 400),
    "an authority that is not for CONNECT": (head(b"GET a:80 HTTP/1.1"), 400),
    # fields: section 5
    "no colon": (get(b"X\r\n"), 400),
    "no colon after a usual name": (get(b"accept\r\n"), 400),
    "no name": (get(b": a\r\n"), 400),
    "a blank before the colon": (get(b"X : a\r\n"), 400),
    "a tab before the colon": (get(b"X\t: a\r\n"), 400),
    "a blank before the name": (head(b"GET / HTTP/1.1", b" Host: a\r\n"), 400),
    "a blank in the name": (get(b"X Y: a\r\n"), 400),
    "a folded line": (get(b"X: a\r\n b\r\n"), 400),
    "a folded line with a colon": (get(b"X: a\r\n Content-Length: 5\r\n"), 400),
    "a line folded by a tab": (get(b"X: a\r\n\tb\r\n"), 400),
    "a folded line without content": (get(b"X: a\r\n \r\n"), 400),
    "a name outside ASCII": (get("É: a\r\n".encode()), 400),
    "a name with parentheses": (get(b"X(a): b\r\n"), 400),
    "a name with a slash": (get(b"X/a: b\r\n"), 400),
    "a name with a quotation mark": (get(b'"X": b\r\n'), 400),
    "a name with a NUL": (get(b"X\x00: a\r\n"), 400),
    "a value with a NUL": (get(b"X: \x00\r\n"), 400),
    "a value with a bare CR": (get(b"X: a\rb\r\n"), 400),
    "a value that ends in a CR": (get(b"X: a\r\r\n"), 400),
    "a value with a bare LF": (get(b"X: a\nY: b\r\n"), 400),
    "a value with a vertical tab": (get(b"X: a\x0bb\r\n"), 400),
    "a value that begins with a form feed": (get(b"X: \x0ca\r\n"), 400),
    "a value with DEL": (get(b"X: \x7f\r\n"), 400),
    "a value with an escape": (get(b"X: \x1b[31m\r\n"), 400),
    "only line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "only carriage returns": (b"GET / HTTP/1.1\rHost: a\r\r", 400),
    "line feeds, then a blank line": (b"GET / HTTP/1.1\nHost: a\n\r\n", 400),
    "a bare LF before the blank line": (b"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n", 400),
    "a bare LF for the first line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    # Host: section 3.2
    "no Host": (head(b"GET / HTTP/1.1", b""), 400),
    "an empty Host": (head(b"GET / HTTP/1.1", b"Host:\r\n"), 400),
    "two Hosts": (get(b"Host: b\r\n"), 400),
    "two equal Hosts": (get(b"host: a\r\n"), 400),
    "two Hosts in HTTP/1.0": (head(b"GET / HTTP/1.0", H + H), 400),
    "a bad Host in HTTP/1.0": (head(b"GET / HTTP/1.0", b"Host: a/b\r\n"), 400),
    **{
        f"Host: {host!r}": (head(b"GET / HTTP/1.1", b"Host: " + host + b"\r\n"), 400)
        for host in (
            *(b"a?b", b"a#b", b"u@a", b"u:p@a", b"a/b", b"a\\b", b"a b", b"a\tb", b"a, b", b"<a>", b'"a"', b"http://a"),
            *(b":80", b"a:b", b"a:-1", b"a:+1", b"a:1_0", b"a:65536", b"a:100000", b"a:80:80", b"a:8 0", b"a:\xb2"),
            *(b"[::1", b"::1", b"[::1]a", b"[]", b"[:::]", b"[1.2.3.4]", b"[::1%25lo]", b"[v1.a]", b"[::g]", b"a[::1]"),
            *(b"a%", b"a%2", b"a%zz", "é".encode(), b"a|b", b"a^b", b"a`b", b"{a}"),
        )
    },
    # Content-Length: section 6.2
    "two lengths": (post(b"Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
    "two equal lengths": (post(b"Content-Length: 1\r\ncontent-length: 1\r\n"), 400),
    "a list of lengths": (post(b"Content-Length: 1, 1\r\n"), 400),
    **{
        f"Content-Length: {length!r}": (post(b"Content-Length: " + length + b"\r\n"), 400)
        for length in (
            *(b"", b"-1", b"+1", b"1_0", b"0x1", b"1.0", b"1e1", b"1 0", b"1,", b"a", b"1a", b"'1'", b'"1"', b"1;a"),
            *("١".encode(), "１".encode(), b"\xb2", b"--1", b"0b1", b"1L"),
        )
    },
    "a length of 19 digits": (post(b"Content-Length: 1000000000000000000\r\n"), 413),
    "a length of 2^63": (post(b"Content-Length: 9223372036854775808\r\n"), 413),
    "a length of 15,000 digits": (post(b"Content-Length: " + b"9" * 15_000 + b"\r\n"), 413),
    # Transfer-Encoding: section 6.1
    "chunked and a length": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), 400),
    "a length and chunked": (post(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), 400),
    "an unknown coding and a length": (post(b"Content-Length: 0\r\nTransfer-Encoding: x\r\n"), 400),
    "chunked in HTTP/1.0": (head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked\r\n"), 400),
    "chunked in two fields": (post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
    "two codings in two fields": (post(b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 400),
    **{
        f"Transfer-Encoding: {coding!r}": (post(b"Transfer-Encoding: " + coding + b"\r\n"), 501)
        for coding in (
            *(b"", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"identity, chunked"),
            *(b"chunked, identity", b"chunked;a=b", b"chunked,", b",chunked", b"xchunked", b"chunkedx", b'"chunked"'),
            *(b"chunke", b"chun ked", b"x", b"\xa0chunked", b"chunked\xa0", "ｃhunked".encode(), b"'chunked'"),
        )
    },
    "a coding behind a vertical tab": (post(b"Transfer-Encoding: \x0bchunked\r\n"), 400),
    "a coding behind a bare CR": (post(b"Transfer-Encoding:\rchunked\r\n"), 400),
    # Expect: RFC 9110 section 10.1.1
    "another expectation": (post(b"Content-Length: 1\r\nExpect: a\r\n"), 417),
    "an empty expectation": (post(b"Content-Length: 1\r\nExpect:\r\n"), 417),
    "two expectations": (post(b"Content-Length: 1\r\nExpect: 100-continue, a\r\n"), 417),
    "two expectations in two fields": (post(b"Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417),
    "another expectation in HTTP/1.0": (head(b"POST / HTTP/1.0", b"Expect: a\r\n"), 417),
    # limits
    "a long request line": (head(b"GET /" + b"a" * FIRST_LINE_LIMIT + b" HTTP/1.1"), 414),
    "a request line that is one byte too long": (head(b"GET /" + b"a" * (FIRST_LINE_LIMIT - 13) + b" HTTP/1.1"), 414),
    "a long request line behind an empty line": (
        b"\r\n" + head(b"GET /" + b"a" * FIRST_LINE_LIMIT + b" HTTP/1.1"),
        414,
    ),
    "a field that is too large": (get(b"X: " + b"a" * HEAD_LIMIT + b"\r\n"), 431),
    "one field too many": (get(b"X: a\r\n" * FIELD_LIMIT), 431),
    "many fields that are too large together": (get((b"X: " + b"a" * 1000 + b"\r\n") * 66), 431),
}


class RefusalTests(SynchronousTestCase):
    """What has two readings, or none, is refused."""

    def test_eachFaultHasItsStatus(self) -> None:
        """Malformed, ambiguous and oversized heads are refused alike however they arrive."""
        for name, (data, status) in REFUSED.items():
            self.assertEqual(outcomes(data), [status] * 4, name)

    def test_aMemoExcusesNothing(self) -> None:
        """A head is refused alike when its good lines are known already."""
        memo = FieldMemo()
        for _ in range(2):
            for name, (data, status) in REFUSED.items():
                try:
                    parse_request_head(take_head([data])[0], memo)
                except HeadError as error:
                    self.assertEqual(error.status, status, name)
                else:
                    self.fail(name)

    def test_nothingOfTheHeadIsRepeated(self) -> None:
        """Messages are fit for logs and clients: they are fixed sentences."""
        for name, (data, _) in REFUSED.items():
            with self.assertRaises(HeadError) as caught:
                parse_request_head(take_head([data])[0])
            self.assertTrue(caught.exception.message.endswith("."), name)
            self.assertEqual(str(caught.exception), caught.exception.message)
            self.assertLess(len(caught.exception.message), 120, name)

    def test_aCutHeadIsNoHead(self) -> None:
        """The parser asks for exactly one head: not less, and nothing behind it."""
        whole = post(b"Content-Length: 3\r\n")
        for end in range(len(whole)):
            self.assertRaises(HeadError, parse_request_head, whole[:end])
        self.assertRaises(HeadError, parse_request_head, whole + b"abc")
        self.assertRaises(HeadError, parse_request_head, whole + whole)


class EndTests(SynchronousTestCase):
    """Where a head ends is found early, in linear time, and once."""

    def test_theEndIsBehindTheBlankLine(self) -> None:
        """What follows the head is left alone, wherever the stream is cut."""
        whole = get(b"X: a\r\n")
        rest = b"body\r\n\r\nmore"
        for cut in range(len(whole + rest)):
            found, behind = take_head([(whole + rest)[:cut], (whole + rest)[cut:]])
            self.assertEqual(found, whole)
            self.assertTrue(rest.startswith(behind))

    def test_aBareLineEndIsSeenAtOnce(self) -> None:
        """A client that never sends CRLF is not waited for."""
        for begun in (b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\rH", b"GET / HTTP/1.1\r\nHost: a\n", b"\n", b"\rG"):
            buffer = bytearray()
            for byte in begun[:-1]:
                buffer.append(byte)
                find_head_end(buffer, len(buffer) - 1)
            self.assertRaises(HeadError, find_head_end, begun, len(begun) - 1)
            self.assertRaises(HeadError, find_head_end, begun)

    def test_aHeadThatIsTooLargeIsNotWaitedFor(self) -> None:
        """Without a blank line within the limits there is no head."""
        for filler, status in ((b"a", 414), (b"a\r\n", 431), (b"a: b\r\n", 431)):
            buffer = bytearray()
            with self.assertRaises(HeadError) as caught:
                while len(buffer) <= 2 * HEAD_LIMIT:
                    start = len(buffer)
                    buffer += filler * 10
                    self.assertEqual(find_head_end(buffer, start), -1)
            self.assertEqual(caught.exception.status, status)
            self.assertLess(len(buffer), HEAD_LIMIT + 100)

    def test_theLargestHeads(self) -> None:
        """Each limit can be reached."""
        line = head(b"GET /" + b"a" * (FIRST_LINE_LIMIT - 14) + b" HTTP/1.1")
        large = get(b"X: " + b"a" * (HEAD_LIMIT - len(get(b"X: \r\n"))) + b"\r\n")
        many = get(b"X: a\r\n" * (FIELD_LIMIT - 1))
        self.assertEqual(len(large), HEAD_LIMIT)
        for data in (line, large, many, b"\r\n" + line, b"\r\n" + many):
            for found in outcomes(data):
                self.assertIsInstance(found, RequestHead)


TARGETS: dict[bytes, tuple[bytes, bytes]] = {
    b"GET /": (b"/", b"a"),
    b"GET //": (b"//", b"a"),
    b"GET /a/../b?c=d&e": (b"/a/../b?c=d&e", b"a"),
    b"GET /v1beta/models/m:generateContent?key=[a]{b}|c": (b"/v1beta/models/m:generateContent?key=[a]{b}|c", b"a"),
    b"GET /%00%zz": (b"/%00%zz", b"a"),
    b"OPTIONS *": (b"*", b"a"),
    b"OPTIONS /a": (b"/a", b"a"),
    b"GET http://a/b?c": (b"/b?c", b"a"),
    b"GET HTTPS://A": (b"/", b"A"),
    b"GET http://a?b": (b"/?b", b"a"),
    b"GET http://a/?http://b/": (b"/?http://b/", b"a"),
    b"OPTIONS http://a": (b"*", b"a"),
    b"OPTIONS http://a/": (b"/", b"a"),
    b"CONNECT a:443": (b"a:443", b"a"),
    b"CONNECT [::1]:443": (b"[::1]:443", b"a"),
    b"TRACE /": (b"/", b"a"),
    b"get /": (b"/", b"a"),
    b"M-SEARCH /": (b"/", b"a"),
    b"!#$%&'*+-.^_`|~0 /": (b"/", b"a"),
}

HOSTS = (
    *(b"a", b"A.example", b"a.example.", b"a:80", b"a:", b"a:0", b"a:65535", b"127.0.0.1", b"127.0.0.1:8000"),
    *(b"[::1]", b"[::1]:80", b"[2001:DB8::1]", b"[::ffff:1.2.3.4]:1", b"a_b", b"a-b", b"a~b", b"%41", b"a,b;c=(d)!"),
)

PERSISTENCE: dict[tuple[bytes, bytes], bool] = {
    (b"1.1", b""): True,
    (b"1.1", b"Connection: keep-alive\r\n"): True,
    (b"1.1", b"Connection: close\r\n"): False,
    (b"1.1", b"Connection: Close\r\n"): False,
    (b"1.1", b"Connection: keep-alive, close\r\n"): False,
    (b"1.1", b"Connection: close,keep-alive\r\n"): False,
    (b"1.1", b"Connection: TE ,\tCLOSE\t, x\r\n"): False,
    (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n"): False,
    (b"1.1", b"Connection: closed\r\n"): True,
    (b"1.1", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"): True,
    (b"1.1", b"Connection:\r\n"): True,
    (b"1.1", b"Proxy-Connection: close\r\n"): True,
    (b"1.0", b""): False,
    (b"1.0", b"Connection: keep-alive\r\n"): True,
    (b"1.0", b"Connection: x, Keep-Alive\r\n"): True,
    (b"1.0", b"Connection: keep-alive, close\r\n"): False,
    (b"1.0", b"Connection: x\r\n"): False,
    (b"1.0", b"Proxy-Connection: keep-alive\r\n"): False,
}

BODIES: dict[bytes, tuple[int | None, bool]] = {
    b"": (0, False),
    b"Content-Length: 0\r\n": (0, False),
    b"Content-Length: 7\r\n": (7, False),
    b"content-length:\t007 \r\n": (7, False),
    b"CONTENT-LENGTH:999999999999999999\r\n": (999_999_999_999_999_999, False),
    b"Content_Length: 7\r\n": (0, False),
    b"Transfer_Encoding: chunked\r\n": (0, False),
    b"X-Content-Length: 7\r\n": (0, False),
    b"Transfer-Encoding: chunked\r\n": (None, True),
    b"transfer-encoding:\tChUnKeD \r\n": (None, True),
    b"Content_Length: 7\r\nTransfer-Encoding: chunked\r\n": (None, True),
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\nContent-Length: 7\r\n": (7, False),
    b"TE: trailers\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n": (None, True),
}

EXPECTATIONS: dict[tuple[bytes, bytes], bool] = {
    (b"1.1", b"Content-Length: 1\r\n"): False,
    (b"1.1", b"Content-Length: 1\r\nExpect: 100-continue\r\n"): True,
    (b"1.1", b"Transfer-Encoding: chunked\r\nExpect: 100-Continue \r\n"): True,
    (b"1.1", b"Content-Length: 0\r\nExpect: 100-continue\r\n"): False,
    (b"1.1", b"Expect: 100-continue\r\n"): False,
    (b"1.0", b"Content-Length: 1\r\nExpect: 100-continue\r\n"): False,
}


class AcceptanceTests(SynchronousTestCase):
    """What is accepted is understood in full."""

    def accepted(self, data: bytes) -> RequestHead:
        """The head, the same however it arrives, and with a memo."""
        found = outcomes(data)
        self.assertEqual(found, found[:1] * 4)
        memo = FieldMemo()
        self.assertEqual([parse_request_head(data, memo) for _ in range(2)], found[:2])
        assert isinstance(found[0], RequestHead), (data, found[0])
        return found[0]

    def test_allOfOneHead(self) -> None:
        """Names become lower case, values lose the blanks around them, order and repetition stay."""
        found = self.accepted(
            b"\r\nPOST /v1/x?y HTTP/1.1\r\nHOST:a:80\r\nX-A:\t b\tc \r\nx_a:\r\nX-a: \xe9\r\n"
            b"!#$%&'*+-.^_`|~: ~\r\nContent-Length: 5\r\nAccept: */*\r\naccept: a\r\nExpect: 100-continue\r\n\r\n"
        )
        fields = (
            *((b"host", b"a:80"), (b"x-a", b"b\tc"), (b"x_a", b""), (b"x-a", b"\xe9"), (b"!#$%&'*+-.^_`|~", b"~")),
            *((b"content-length", b"5"), (b"accept", b"*/*"), (b"accept", b"a"), (b"expect", b"100-continue")),
        )
        expected = RequestHead(b"POST", b"/v1/x?y", (1, 1), fields, True, 5, False, True, b"a:80")
        self.assertEqual(found, expected)

    def test_targets(self) -> None:
        """A path stays as it is; a URL becomes its path, and its host is the one that counts."""
        for line, (target, host) in TARGETS.items():
            found = self.accepted(head(line + b" HTTP/1.1"))
            self.assertEqual((found.method, found.target, found.host), (line.split(b" ")[0], target, host))

    def test_aURLWithoutHostInHTTP10(self) -> None:
        """HTTP/1.0 may leave Host out: the target's host counts, and else there is none."""
        self.assertEqual(self.accepted(head(b"GET http://b:80/ HTTP/1.0", b"")).host, b"b:80")
        self.assertEqual(self.accepted(head(b"GET / HTTP/1.0", b"")).host, b"")

    def test_hosts(self) -> None:
        """Names, IPv4 and IPv6 addresses, with a port or without."""
        for host in HOSTS:
            for version in (b"1.0", b"1.1"):
                found = self.accepted(head(b"GET / HTTP/" + version, b"Host: " + host + b"\r\n"))
                self.assertEqual(found.host, host)

    def test_persistence(self) -> None:
        """Connection options are read without regard to case, wherever they stand."""
        for (version, fields), keep in PERSISTENCE.items():
            found = self.accepted(head(b"GET / HTTP/" + version, H + fields))
            self.assertEqual((found.keep_alive, found.version[1]), (keep, int(version[2:])), fields)

    def test_aTunnelThatIsNotBuiltEndsTheConnection(self) -> None:
        """What a client sends behind CONNECT is not meant as a request."""
        self.assertFalse(self.accepted(head(b"CONNECT a:1 HTTP/1.1")).keep_alive)

    def test_bodies(self) -> None:
        """Only the two framing fields tell of a body; an underscore is no hyphen, an Upgrade changes nothing."""
        for fields, (length, chunked) in BODIES.items():
            found = self.accepted(post(fields))
            self.assertEqual((found.length, found.chunked), (length, chunked), fields)

    def test_expectations(self) -> None:
        """Only HTTP/1.1 clients with a body wait."""
        for (version, fields), waits in EXPECTATIONS.items():
            if version == b"1.1" or b"Transfer" not in fields:
                found = self.accepted(head(b"POST / HTTP/" + version, H + fields))
                self.assertEqual(found.expect_continue, waits, fields)


class MemoTests(SynchronousTestCase):
    """Known lines save work, and nothing else changes."""

    def test_itHoldsNoSecrets(self) -> None:
        """Credentials, ids and fields that rule the message are read anew each time."""
        memo = FieldMemo()
        lines = (
            *(b"Authorization: Bearer s", b"X-Api-Key: s", b"Cookie: s", b"X-Request-Id: s", b"Content-Length: 1"),
            *(b"Connection: close", b"Expect: 100-continue", b"Api-Key: s", b"X-Goog-Api-Key: s", b"X-Other: s"),
        )
        parse_request_head(get(b"".join(line + b"\r\n" for line in lines)), memo)
        self.assertEqual([line for line in (*lines, b"Host: a") if memo.get(line) is not None], [])

    def test_itKnowsWhatCameBefore(self) -> None:
        """A usual line is understood once."""
        memo = FieldMemo()
        parse_request_head(get(b"User-Agent: x \r\n"), memo)
        self.assertEqual(memo.get(b"User-Agent: x "), (b"user-agent", b"x"))

    def test_itIsBounded(self) -> None:
        """Clients that make lines up fill it again and again, never beyond its bound; long lines stay out."""
        memo = FieldMemo()
        lines = [b"Accept: %d" % number for number in range(2000)]
        for line in lines:
            parse_request_head(get(line + b"\r\n"), memo)
            self.assertIsNotNone(memo.get(line))
        self.assertLessEqual(sum(memo.get(line) is not None for line in lines), 512)
        long = b"User-Agent: " + b"x" * 1000
        parse_request_head(get(long + b"\r\n"), memo)
        self.assertIsNone(memo.get(long))
