"""The decoder of JSON lines: its rules, its account of every byte, its bounds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.ndjson import Line, NDJSONDecoder

LIMIT = 1 << 20

CASES: dict[str, tuple[bytes, list[bytes]]] = {
    "one line": (b'{"a":1}\n', [b'{"a":1}']),
    "two lines": (b'{"a":1}\n{"a":2}\n', [b'{"a":1}', b'{"a":2}']),
    "CRLF": (b'{"a":1}\r\n{"a":2}\r\n', [b'{"a":1}', b'{"a":2}']),
    "the last line without an end": (b'{"a":1}\n{"a":2}', [b'{"a":1}', b'{"a":2}']),
    "the last line with half an end": (b'{"a":1}\r', [b'{"a":1}']),
    "blank lines": (b'\n{"a":1}\n\r\n \n{"a":2}\n', [b"", b'{"a":1}', b"", b"", b'{"a":2}']),
    "blanks around": (b' \t{"a":1} \n', [b'{"a":1}']),
    "a mark at the start": (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
    "a mark later is data": (b'{"a":1}\n\xef\xbb\xbf{}\n', [b'{"a":1}', b"\xef\xbb\xbf{}"]),
    "escapes stay": (b'{"a":"\\n"}\n', [b'{"a":"\\n"}']),
    "other line ends of Unicode are data": ('"\u2028\x85"\n'.encode(), ['"\u2028\x85"'.encode()]),
    "a lone CR is data": (b"1\r2\n", [b"1\r2"]),
    "nothing": (b"", []),
}


def decode(pieces: Iterable[bytes], limit: int = LIMIT) -> list[Line]:
    """All lines of a stream that arrives in these pieces."""
    decoder = NDJSONDecoder(limit)
    lines = [line for piece in pieces for line in decoder.feed(piece)]
    return lines + decoder.end()


def singly(data: bytes) -> list[bytes]:
    """The data, byte by byte."""
    return [data[index : index + 1] for index in range(len(data))]


class NDJSONDecoderTests(SynchronousTestCase):
    """Each case is one rule of the format."""

    def test_rules(self) -> None:
        """Lines are cut at LF; what surrounds the JSON goes, blank lines have no data."""
        for name, (data, expected) in CASES.items():
            self.assertEqual([line.data for line in decode([data])], expected, name)

    def test_slicing(self) -> None:
        """Byte by byte, and cut anywhere in two, the same lines come out, and no byte is lost."""
        for name, (data, _) in CASES.items():
            whole = decode([data])
            self.assertEqual(b"".join(line.raw for line in whole), data, name)
            self.assertEqual(decode(singly(data)), whole, name)
            for cut in range(len(data)):
                self.assertEqual(decode([data[:cut], data[cut:]]), whole, f"{name}, cut at {cut}")

    def test_atOnce(self) -> None:
        """A line comes out with its last byte, not with the next one's first."""
        decoder = NDJSONDecoder(LIMIT)
        self.assertEqual(decoder.feed(b"{}"), [])
        self.assertEqual(decoder.feed(b"\n"), [Line(b"{}\n", b"{}")])

    def test_endOnce(self) -> None:
        """The rest is given out once, and lines have no names."""
        decoder = NDJSONDecoder(LIMIT)
        decoder.feed(b"{}")
        (line,) = decoder.end()
        self.assertEqual((line.data, line.event), (b"{}", b""))
        self.assertEqual(decoder.end(), [])

    def test_limit(self) -> None:
        """A line of the limit passes; one byte more raises, whole, sliced or never ending."""
        fits = b"x" * 99 + b"\n"
        self.assertEqual(len(decode([fits * 50], 100)), 50)
        self.assertEqual(len(decode(singly(fits * 2), 100)), 2)
        for pieces in ([b"x" + fits], singly(b"x" + fits), [fits + b"x" + fits], [b"x" * 101], singly(b"x" * 101)):
            with self.assertRaises(ValueError):
                decode(pieces, 100)

    def test_linear(self) -> None:
        """A line in many pieces is put together once; nothing of it stays behind."""
        decoder = NDJSONDecoder(LIMIT)
        for _ in range(1000):
            decoder.feed(b"x" * 100)
        self.assertEqual(len(decoder._buffer), 100000)
        (line,) = decoder.feed(b"\n")
        self.assertEqual((len(line.raw), len(decoder._buffer)), (100001, 0))

    @settings(max_examples=100, deadline=None, database=None)
    @given(
        st.lists(st.sampled_from([b"{}", b"x", b" ", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf"]), max_size=40), st.data()
    )
    def test_anySlices(self, parts: list[bytes], draw: st.DataObject) -> None:
        """Whatever the stream and the slices: no byte is lost and the lines are the same."""
        data = b"".join(parts)
        cuts = sorted(draw.draw(st.sets(st.integers(0, len(data)), max_size=10)) | {0, len(data)})
        sliced = decode(data[start:end] for start, end in itertools.pairwise(cuts))
        self.assertEqual(b"".join(line.raw for line in sliced), data)
        self.assertEqual(sliced, decode([data]))

    @settings(max_examples=100, deadline=None, database=None)
    @given(st.lists(st.binary(max_size=30).map(lambda data: data.translate(None, b"\n\r\xef \t\x0b\x0c")), max_size=8))
    def test_roundTrip(self, sent: list[bytes]) -> None:
        """What is written a line each is read back."""
        self.assertEqual([line.data for line in decode([b"".join(data + b"\n" for data in sent)])], sent)
