"""Answer heads that are read with a memory: exactly what is read without one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.answer import AnswerHead, AnswerMemo
from relay.wire.http import HeadError, parse_response_head
from tests.unit.wire.test_http_properties import SPLINTERS
from tests.unit.wire.test_http_responses import BROKEN_FIELDS, BROKEN_LINES, FRAMED, STATUS_LINES, answer, length

LIKE_A_PROVIDER = answer(
    b"Date: Tue, 14 Oct 2025 09:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n"
    b"Connection: keep-alive\r\nopenai-organization: acme\r\nopenai-processing-ms:312 \r\nX-Odd: a:b\r\n"
    b"x-ratelimit-remaining-requests:\t9999\r\nx-request-id: req_0123\r\n"
    b"Set-Cookie: a=b; path=/\r\nServer: cloudflare\r\n"
)

Read = tuple[object, ...] | tuple[int, str]


def plainly(data: bytes, method: bytes) -> Read:
    """What the parser makes of a head."""
    try:
        head = parse_response_head(data, method)
    except HeadError as error:
        return error.status, error.message
    return head.status, head.version, head.fields, head.keep_alive, head.framing, head.length


def remembering(memo: AnswerMemo, data: bytes, method: bytes) -> Read:
    """What a memo makes of it."""
    try:
        head = memo.read(data, method)
    except HeadError as error:
        return error.status, error.message
    return head.status, head.version, head.fields, head.keep_alive, head.framing, head.length


class AnswerMemoTests(SynchronousTestCase):
    """A memo changes the price, and nothing else."""

    def same(self, memo: AnswerMemo, data: bytes, method: bytes = b"POST") -> None:
        """Read a head some times, which is always what the parser says."""
        expected = plainly(data, method)
        for turn in range(3):
            self.assertEqual(remembering(memo, data, method), expected, (turn, data))

    def test_allKinds(self) -> None:
        """Every good and bad head that is known, in any order, for one memo."""
        memo = AnswerMemo()
        for _ in range(2):
            self.same(memo, LIKE_A_PROVIDER)
            for method, data, *_ in FRAMED:
                self.same(memo, data, method)
            for line in (*STATUS_LINES, *BROKEN_LINES):
                self.same(memo, answer(length(1), line))
            for fields in BROKEN_FIELDS:
                self.same(memo, answer(fields))

    def test_methods(self) -> None:
        """What was learnt from answers to one method is not taken for answers to another."""
        memo = AnswerMemo()
        for method in (b"POST", b"HEAD", b"CONNECT", b"GET", b"HEAD"):
            self.same(memo, answer(length(5)), method)

    def test_cut(self) -> None:
        """A head that is not whole, or more than one, is none."""
        memo = AnswerMemo()
        self.same(memo, LIKE_A_PROVIDER)
        for end in range(len(LIKE_A_PROVIDER)):
            self.same(memo, LIKE_A_PROVIDER[:end])
        self.same(memo, LIKE_A_PROVIDER * 2)

    def test_framingAmongKnownLines(self) -> None:
        """Fields that rule a message are seen each time, whatever is known."""
        memo = AnswerMemo()
        lines = (
            *(b"Content-Length: 5\r\n", b"content-length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
            *(b"Connection: keep-alive\r\n", b"connection: Keep-Alive\r\n", b"Connection: close\r\n"),
            *(b"Server: x\r\n", b"X-A: b\r\n"),
        )
        for _ in range(2):
            for first in lines:
                for second in lines:
                    for third in lines:
                        self.same(memo, answer(first + second + third))

    def test_setsApart(self) -> None:
        """Codings and cookies are pointed out."""
        memo = AnswerMemo()
        for _ in range(2):
            for line in (b"Set-Cookie: a", b"set-cookie2: a", b"Content-Encoding: gzip", b"CONTENT-ENCODING: br"):
                self.assertTrue(memo.read(answer(length(1) + line + b"\r\n"), b"POST").sets_apart)
            self.assertFalse(memo.read(answer(length(1) + b"X-Cookie: a\r\n"), b"POST").sets_apart)

    def test_bounded(self) -> None:
        """However much a provider makes up, little is kept, and all is still read."""
        memo = AnswerMemo()
        for number in range(3000):
            data = answer(b"X-%d: a\r\nDate: %d\r\n" % (number, number) + length(1), b"HTTP/1.1 200 %d" % number)
            self.same(memo, data)
        data = answer(b"Date: " + b"x" * 10_000 + b"\r\n" + length(1))
        self.same(memo, data)
        for known in (memo._lines, memo._names, memo._statuses):
            self.assertLessEqual(len(known), 512)
            self.assertLess(max(map(len, known)), 200)

    @settings(max_examples=500)
    @given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), SPLINTERS), min_size=1, max_size=4))
    def test_damaged(self, damage: list[tuple[int, int, bytes]]) -> None:
        """A damaged head is refused or understood as it would be by one who sees it for the first time."""
        memo = AnswerMemo()
        memo.read(LIKE_A_PROVIDER, b"POST")
        data = bytearray(LIKE_A_PROVIDER)
        for at, size, splinter in damage:
            data[at : at + size] = splinter
        self.same(memo, bytes(data))
        self.same(memo, LIKE_A_PROVIDER)

    def test_isTheSameKind(self) -> None:
        """What comes out is one kind of value, learnt or not."""
        memo = AnswerMemo()
        for _ in range(2):
            self.assertIs(type(memo.read(LIKE_A_PROVIDER, b"POST")), AnswerHead)
