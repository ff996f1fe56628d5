"""Answer heads of shapes that are known: read exactly as those that are not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.answer import AnswerHead, AnswerShapes
from relay.wire.http import HeadError, parse_response_head
from tests.unit.wire.test_http_properties import SPLINTERS
from tests.unit.wire.test_http_responses import BROKEN_FIELDS, BROKEN_LINES, FRAMED, STATUS_LINES, answer, length

LIKE_A_PROVIDER = answer(
    b"Date: Tue, 14 Oct 2025 09:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n"
    b"Connection: keep-alive\r\nopenai-organization: acme\r\nopenai-processing-ms:312\r\nX-Odd: a:b\r\n"
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


def remembering(shapes: AnswerShapes, data: bytes, method: bytes) -> Read:
    """What is made of it where shapes are known."""
    try:
        head = shapes.read(data, method)
    except HeadError as error:
        return error.status, error.message
    return head.status, head.version, head.fields, head.keep_alive, head.framing, head.length


class AnswerShapesTests(SynchronousTestCase):
    """A shape changes the price, and nothing else."""

    def same(self, shapes: AnswerShapes, data: bytes, method: bytes = b"POST") -> None:
        """Read a head some times, which is always what the parser says."""
        expected = plainly(data, method)
        for turn in range(5):
            self.assertEqual(remembering(shapes, data, method), expected, (turn, data))

    def test_allKinds(self) -> None:
        """Every good and bad head that is known, in any order, for one origin."""
        shapes = AnswerShapes()
        for _ in range(2):
            self.same(shapes, LIKE_A_PROVIDER)
            for method, data, *_ in FRAMED:
                self.same(shapes, data, method)
            for line in (*STATUS_LINES, *BROKEN_LINES):
                self.same(shapes, answer(length(1), line))
            for fields in BROKEN_FIELDS:
                self.same(shapes, answer(fields))

    def test_methods(self) -> None:
        """What was learnt from answers to one method is not taken for answers to another."""
        shapes = AnswerShapes()
        for method in (b"POST", b"HEAD", b"CONNECT", b"GET", b"HEAD"):
            self.same(shapes, answer(length(5)), method)

    def test_cut(self) -> None:
        """A head that is not whole, or more than one, is none."""
        shapes = AnswerShapes()
        self.same(shapes, LIKE_A_PROVIDER)
        for end in range(len(LIKE_A_PROVIDER)):
            self.same(shapes, LIKE_A_PROVIDER[:end])
        self.same(shapes, LIKE_A_PROVIDER * 2)

    def test_framingAmongKnownLines(self) -> None:
        """Fields that rule a message are seen each time, whatever is known."""
        shapes = AnswerShapes()
        lines = (
            *(b"Content-Length: 5\r\n", b"content-length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
            *(b"Connection: keep-alive\r\n", b"connection: Keep-Alive\r\n", b"Connection: close\r\n"),
            *(b"Server: x\r\n", b"X-A: b\r\n"),
        )
        for _ in range(2):
            for first in lines:
                for second in lines:
                    for third in lines:
                        self.same(shapes, answer(first + second + third))

    def test_setsApart(self) -> None:
        """Codings and cookies are pointed out."""
        shapes = AnswerShapes()
        for _ in range(5):
            for line in (b"Set-Cookie: a", b"set-cookie2: a", b"Content-Encoding: gzip", b"CONTENT-ENCODING: br"):
                self.assertTrue(shapes.read(answer(length(1) + line + b"\r\n"), b"POST").sets_apart)
            self.assertFalse(shapes.read(answer(length(1) + b"X-Cookie: a\r\n"), b"POST").sets_apart)

    def test_bounded(self) -> None:
        """However much a provider makes up, little is kept, and all is still read."""
        shapes = AnswerShapes()
        for number in range(3000):
            data = answer(b"X-%d: a\r\nDate: %d\r\n" % (number, number) + length(1), b"HTTP/1.1 200 %d" % number)
            self.same(shapes, data)
        data = answer(b"Date: " + b"x" * 10_000 + b"\r\n" + length(1))
        self.same(shapes, data)
        self.assertLessEqual(len(shapes._shapes), 8)
        self.assertLessEqual(len(shapes._seen), 32)

    @settings(max_examples=500)
    @given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 2), SPLINTERS), min_size=1, max_size=4))
    def test_damaged(self, damage: list[tuple[int, int, bytes]]) -> None:
        """A damaged head is refused or understood as it would be by one who sees it for the first time."""
        shapes = AnswerShapes()
        shapes.read(LIKE_A_PROVIDER, b"POST")
        data = bytearray(LIKE_A_PROVIDER)
        for at, size, splinter in damage:
            data[at : at + size] = splinter
        self.same(shapes, bytes(data))
        self.same(shapes, LIKE_A_PROVIDER)

    @settings(max_examples=300)
    @given(
        st.binary(max_size=20),
        st.sampled_from([b"", b" ", b"\t", b"  "]),
        st.sampled_from([b"", b" ", b"\t"]),
        st.sampled_from([b"X-A", b"Content-Length", b"Connection", b"Transfer-Encoding", b"Set-Cookie"]),
    )
    def test_anyValue(self, value: bytes, before: bytes, behind: bytes, name: bytes) -> None:
        """Whatever value comes where others were, it is what it is, or refused."""
        usual = {b"Content-Length": b"7", b"Connection": b"keep-alive", b"Transfer-Encoding": b"chunked"}
        for learnt in (b": %b", b":%b", b": %b ", b":\t%b"):
            shapes = AnswerShapes()
            other = b"" if name in (b"Content-Length", b"Transfer-Encoding") else length(3)
            line = name + learnt % usual.get(name, b"a")
            self.same(shapes, answer(b"A: b\r\n" + line + b"\r\n" + other))
            line = name + b":" + before + value + behind
            self.same(shapes, answer(b"A: b\r\n" + line + b"\r\n" + other))

    def test_learnt(self) -> None:
        """A shape is learnt after some heads, and the one that was met last is tried first."""
        shapes = AnswerShapes()
        other = answer(length(3))
        for data in (LIKE_A_PROVIDER, other) * 3:
            shapes.read(data, b"POST")
        first, second = shapes._shapes
        for data, expected in ((other, [second, first]), (LIKE_A_PROVIDER, [first, second])):
            shapes.read(data, b"POST")
            self.assertEqual(shapes._shapes, expected)

    def test_isTheSameKind(self) -> None:
        """What comes out is one kind of value, learnt or not."""
        shapes = AnswerShapes()
        for _ in range(5):
            self.assertIs(type(shapes.read(LIKE_A_PROVIDER, b"POST")), AnswerHead)
