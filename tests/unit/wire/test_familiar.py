"""Heads that come again mean what they would mean if they were read anew."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.familiar import LONGEST, Familiar, outline, recognise
from relay.wire.http import Fields, HeadError, parse_request_head

FIELDS = (
    b"Host: a:80",
    b"Content-Type: application/json",
    b"Content-Length: 5",
    b"Authorization: Bearer x",
    b"x-request-id: one",
    b"Connection: keep-alive",
)


def head(*fields: bytes, line: bytes = b"POST /v1/x?y HTTP/1.1") -> bytes:
    """The bytes of a head."""
    return b"".join(part + b"\r\n" for part in (line, *fields, b""))


def learn(data: bytes) -> Familiar | None:
    """Read a head, and learn to know it again."""
    return recognise(data, parse_request_head(data))


def known(data: bytes) -> Familiar:
    """The same for one that has to be learnt."""
    found = learn(data)
    assert found is not None, data
    return found


class RecogniseTests(SynchronousTestCase):
    """Which heads are learnt."""

    def test_plain(self) -> None:
        """A plain head is, whatever the order and the spelling of its fields."""
        for fields in (FIELDS, FIELDS[::-1], tuple(field.title() for field in FIELDS), FIELDS[:3]):
            self.assertIsNotNone(learn(head(*fields)))

    def test_special(self) -> None:
        """One with a meaning beyond its fields is not: its equal may mean something else with another length."""
        for data in (
            head(*FIELDS, b"Expect: 100-continue"),
            head(FIELDS[0], b"Content-Length: 0", b"Expect: 100-continue"),
            head(FIELDS[0], b"Transfer-Encoding: chunked"),
            head(FIELDS[0]),
            head(*FIELDS[:5], b"Connection: close"),
            head(*FIELDS, line=b"POST / HTTP/1.0"),
            head(*FIELDS, line=b"CONNECT a:80 HTTP/1.1"),
            b"\r\n" + head(*FIELDS),
            head(*FIELDS, b"X-Request-Id: two"),
            head(*FIELDS, b"X-Long: " + b"x" * LONGEST),
        ):
            self.assertIsNone(learn(data), data)

    def test_outline(self) -> None:
        """Heads that differ only in what changes have one outline, and others have others."""
        same = {outline(head(*FIELDS)), outline(head(*FIELDS).replace(b": 5", b": 77").replace(b"one", b"two"))}
        self.assertEqual(len(same), 1)
        self.assertNotIn(outline(head(*FIELDS).replace(b"Bearer x", b"Bearer y")), same)
        self.assertIn(b"Bearer x", same.pop())


class ReadTests(SynchronousTestCase):
    """What is told of a head that comes again."""

    def test_again(self) -> None:
        """Its end, its length and what changed."""
        familiar = known(head(*FIELDS))
        for length, name in ((b"5", b"one"), (b"0", b""), (b"123456789012345678", b"x" * 128), (b"007", b"a b\tc")):
            data = head(*FIELDS).replace(b"Length: 5", b"Length: " + length).replace(b"one", name)
            for behind in (b"", b"{}", data):
                expected = (len(data), int(length), ((b"x-request-id", name),))
                self.assertEqual(familiar.read(data + behind), expected)

    def test_fields(self) -> None:
        """All fields are those that stay and those that change, but for the length."""
        familiar = known(head(*FIELDS))
        found = familiar.read(head(*FIELDS))
        assert found is not None
        self.assertEqual(
            {*familiar.fields, *found[2], (b"content-length", b"5")}, {*parse_request_head(head(*FIELDS)).fields}
        )
        self.assertNotIn(b"content-length", dict(familiar.fields))

    def test_other(self) -> None:
        """Another head is not taken for it, nor a part of it."""
        data = head(*FIELDS)
        familiar = known(data)
        for cut in range(len(data)):
            self.assertIsNone(familiar.read(data[:cut]))
        for old, new in (
            (b"Length: 5", b"Length: "),
            (b"Length: 5", b"Length: +5"),
            (b"Length: 5", b"Length: 5 "),
            (b"Length: 5", b"Length: 5,5"),
            (b"Length: 5", b"Length: 1234567890123456789"),
            (b"Length: 5", b"Length: 5\r\nContent-Length: 6"),
            (b"Length: 5", b"Length: \xb2"),
            (b"one", b"o\x00e"),
            (b"one", b"o\ne"),
            (b"one", b"o\re"),
            (b"one", b"one\r\nExpect: 100-continue"),
            (b"one", b"one\r\n\r\n"),
            (b"one", b"o" * 600),
            (b"/v1/x?y", b"/v1/x?z"),
            (b"Bearer x", b"Bearer X"),
            (b"Host: a", b"host: a"),
        ):
            self.assertIsNone(familiar.read(data.replace(old, new)), (old, new))

    @settings(max_examples=600, deadline=None, database=None)
    @given(
        st.permutations(FIELDS),
        st.sampled_from((b"Traceparent: 00-1", b"Baggage: a=b", b"X-Any: 1")),
        st.integers(0, 200),
        st.integers(0, 3),
        st.binary(max_size=4) | st.sampled_from((b"\r\n", b"5", b"\r\n\r\n", b"\r\nexpect: 100-continue", b" ", b":")),
    )
    def test_sameReading(self, fields: list[bytes], more: bytes, at: int, cut: int, noise: bytes) -> None:
        """Whatever is changed in it: where it is still taken for the same, reading it anew says the same."""
        data = head(*fields, more)
        familiar = known(data)
        changed = data[:at] + noise + data[at + cut :]
        found = familiar.read(changed)
        if found is None:
            self.assertNotEqual(changed, data)
            return
        end, length, others = found
        try:
            again = parse_request_head(changed[:end])
        except HeadError as error:
            self.fail(f"{changed!r} is refused: {error}")
        before = familiar.head
        self.assertEqual((again.method, again.target, again.version), (before.method, before.target, before.version))
        self.assertEqual((again.keep_alive, again.host, again.chunked), (True, before.host, False))
        self.assertEqual((again.length, again.expect_continue), (length, False))
        self.assertEqual(sorted(_but_length(again.fields)), sorted((*familiar.fields, *others)))


def _but_length(fields: Fields) -> Fields:
    return tuple(field for field in fields if field[0] != b"content-length")
