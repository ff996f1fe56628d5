"""The event stream decoder: its rules, its account of every byte, its bounds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.sse import Event, SSEDecoder

LIMIT = 1 << 20

Seen = list[tuple[bytes, bytes]]

CASES: dict[str, tuple[bytes, Seen]] = {
    "one line": (b"data: a\n\n", [(b"", b"a")]),
    "no blank after the colon": (b"data:a\n\n", [(b"", b"a")]),
    "only the first blank goes": (b"data:  a\n\n", [(b"", b" a")]),
    "named": (b"event: x\ndata: a\n\n", [(b"x", b"a")]),
    "named, colon only": (b"event:x\ndata:a\n\n", [(b"x", b"a")]),
    "the name last": (b"data: a\nevent: x\n\n", [(b"x", b"a")]),
    "the last name counts": (b"event: x\nevent: y\ndata: a\n\n", [(b"y", b"a")]),
    "several data lines": (b"data: a\ndata: b\ndata:\ndata: c\n\n", [(b"", b"a\nb\n\nc")]),
    "named, several data lines": (b"event: x\ndata: a\ndata: b\n\n", [(b"x", b"a\nb")]),
    "other fields are ignored": (b"id: 7\nretry: 9\nfoo: b\ndata: a\n\n", [(b"", b"a")]),
    "a field without a colon": (b"data\ndata: a\n\n", [(b"", b"\na")]),
    "a longer field name is another field": (b"data2: x\ndata: a\n\n", [(b"", b"a")]),
    "a blank before the colon is another field": (b"data : x\n\n", [(b"", b"")]),
    "a comment alone": (b": ping\n\n", [(b"", b"")]),
    "a comment before data": (b": ping\ndata: a\n\n", [(b"", b"a")]),
    "a comment between": (b"data: a\n: no\ndata: b\n\n", [(b"", b"a\nb")]),
    "a colon in the data": (b"data: a: b\n\n", [(b"", b"a: b")]),
    "CRLF": (b"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [(b"x", b"a"), (b"", b"b")]),
    "CR": (b"event: x\rdata: a\r\rdata: b\r\r", [(b"x", b"a"), (b"", b"b")]),
    "CR after LF": (b"data: a\n\rdata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    "CRLF after LF": (b"data: a\n\r\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    "LF after CRLF": (b"data: a\r\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
    "a CR in the data ends the line": (b"data: a\rb\n\n", [(b"", b"a")]),
    "a mark at the start": (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
    "a mark later is part of the name": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [(b"", b"a"), (b"", b"")]),
    "blank lines between": (b"data: a\n\n\n\ndata: b\n\n", [(b"", b"a"), (b"", b""), (b"", b"b")]),
    "a blank line first": (b"\ndata: a\n\n", [(b"", b"a")]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", [(b"", b"a"), (b"", b"b")]),
    "no line end at the end": (b"data: a\n\nevent: x\ndata: b", [(b"", b"a"), (b"x", b"b")]),
    "ends between CR and LF": (b"data: a\r\n\r", [(b"", b"a")]),
    "escapes stay": (b'data: {"a":"\\n\\n"}\n\n', [(b"", b'{"a":"\\n\\n"}')]),
    "other line ends of Unicode are data": (
        "data: a\u2028b\x85c\x0bd\n\n".encode(),
        [(b"", "a\u2028b\x85c\x0bd".encode())],
    ),
    "nothing": (b"", []),
}


def decode(pieces: Iterable[bytes], limit: int = LIMIT) -> list[Event]:
    """All events of a stream that arrives in these pieces."""
    decoder = SSEDecoder(limit)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.end()


def seen(events: list[Event]) -> Seen:
    """Names and data."""
    return [(event.event, event.data) for event in events]


def singly(data: bytes) -> list[bytes]:
    """The data, byte by byte."""
    return [data[index : index + 1] for index in range(len(data))]


class SSEDecoderTests(SynchronousTestCase):
    """Each case is one rule of the event stream format."""

    def test_rules(self) -> None:
        """Events are cut and understood as the HTML standard says."""
        for name, (data, expected) in CASES.items():
            self.assertEqual(seen(decode([data])), expected, name)

    def test_slicing(self) -> None:
        """Byte by byte, and cut anywhere in two, the same events come out."""
        for name, (data, _) in CASES.items():
            whole = decode([data])
            self.assertEqual(decode(singly(data)), whole, name)
            for cut in range(len(data)):
                self.assertEqual(decode([data[:cut], data[cut:]]), whole, f"{name}, cut at {cut}")

    def test_everyByte(self) -> None:
        """The raw bytes of the events are the input."""
        for name, (data, _) in CASES.items():
            self.assertEqual(b"".join(event.raw for event in decode([data])), data, name)

    def test_atOnce(self) -> None:
        """An event comes out with its last byte, not with the next one's first."""
        for data in (b"data: a\n\n", b"event: x\ndata: a\n\n", b"data: a\r\n\r\n", b"data: a\r\r"):
            decoder = SSEDecoder(LIMIT)
            self.assertEqual(len(decoder.feed(data[:-1])), 0, data)
            self.assertEqual(len(decoder.feed(data[-1:])), 1, data)

    def test_endOnce(self) -> None:
        """The rest is given out once."""
        decoder = SSEDecoder(LIMIT)
        self.assertEqual(decoder.feed(b"data: a"), [])
        self.assertEqual(seen(decoder.end()), [(b"", b"a")])
        self.assertEqual(decoder.end(), [])

    def test_limit(self) -> None:
        """An event of the limit passes; one byte more raises, whole, sliced or never ending."""
        fits = b"data: " + b"x" * 92 + b"\n\n"
        self.assertEqual(len(decode([fits], 100)), 1)
        self.assertEqual(len(decode(singly(fits), 100)), 1)
        self.assertEqual(len(decode([fits * 50], 100)), 50)
        large = b"data: " + b"x" * 93 + b"\n\n"
        for pieces in ([large], singly(large), [fits + large], [b"x" * 101], singly(b"x" * 101), [b"\r" + large]):
            with self.assertRaises(ValueError):
                decode(pieces, 100)

    def test_linear(self) -> None:
        """A searched byte is not searched again: the offset moves with the buffer."""
        decoder = SSEDecoder(LIMIT)
        decoder.feed(b"data: ")
        for _ in range(100):
            decoder.feed(b"x" * 100)
        self.assertEqual(decoder._searched, 6 + 100 * 100 - 2)

    @settings(max_examples=300, deadline=None, database=None)
    @given(
        st.lists(
            st.sampled_from([b"data: ", b"data:", b"event: ", b":", b"x", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf"]),
            max_size=40,
        ),
        st.data(),
    )
    def test_anySlices(self, parts: list[bytes], draw: st.DataObject) -> None:
        """Whatever the stream and the slices: no byte is lost and the events are the same."""
        data = b"".join(parts)
        cuts = sorted(draw.draw(st.sets(st.integers(0, len(data)), max_size=10)) | {0, len(data)})
        sliced = decode(data[start:end] for start, end in itertools.pairwise(cuts))
        self.assertEqual(b"".join(event.raw for event in sliced), data)
        self.assertEqual(sliced, decode([data]))

    @settings(max_examples=200, deadline=None, database=None)
    @given(
        st.lists(
            st.tuples(st.binary(max_size=30), st.lists(st.binary(max_size=30), min_size=1, max_size=3)), max_size=6
        ),
        st.sampled_from([b"\n", b"\r", b"\r\n"]),
    )
    def test_roundTrip(self, sent: list[tuple[bytes, list[bytes]]], line: bytes) -> None:
        """What is written by the rules is read back."""
        clean = [
            (name.translate(None, b"\r\n"), [item.translate(None, b"\r\n") for item in items]) for name, items in sent
        ]
        stream = b"".join(
            b"event: " + name + line + b"".join(b"data: " + item + line for item in items) + line
            for name, items in clean
        )
        self.assertEqual(seen(decode([stream])), [(name, b"\n".join(items)) for name, items in clean])
