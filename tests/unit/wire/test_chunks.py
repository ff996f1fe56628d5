"""The chunked coding: every slice of a body gives the same payload, and nothing else than the coding passes."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.http import ChunkedBody, FramingError

GOOD: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"0\r\n\r\n", b""),
    "one chunk": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "two chunks": (b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", b"hello!"),
    "upper-case digits": (b"1A\r\n" + b"a" * 26 + b"\r\n0\r\n\r\n", b"a" * 26),
    "lower-case digits": (b"1a\r\n" + b"a" * 26 + b"\r\n0\r\n\r\n", b"a" * 26),
    "leading zeros": (b"0000000000000005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "a payload of line ends": (b"4\r\n\r\n\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n\r\n"),
    "a payload that looks like the coding": (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    "any bytes": (b"100\r\n" + bytes(range(256)) + b"\r\n0\r\n\r\n", bytes(range(256))),
    "an extension": (b"5;a\r\nhello\r\n0;b=c\r\n\r\n", b"hello"),
    "extensions with blanks": (b"5 ;\ta = b ; c\r\nhello\r\n0\r\n\r\n", b"hello"),
    "a quoted extension": (b'5;a="b; \\" \xe9";c="";d=e\r\nhello\r\n0\r\n\r\n', b"hello"),
    "a long extension": (b"5;" + b"a" * 1000 + b"\r\nhello\r\n0\r\n\r\n", b"hello"),
    "trailers": (b"5\r\nhello\r\n0\r\nA: b\r\nC:\r\nd:\t\xe9\r\n\r\n", b"hello"),
    "long trailers": (b"0\r\n" + (b"A: " + b"b" * 995 + b"\r\n") * 8 + b"\r\n", b""),
}

BAD: dict[str, bytes] = {
    "no size": b"\r\nhello\r\n",
    "an extension without a size": b";a\r\n",
    "a prefix": b"0x5\r\nhello\r\n",
    "an upper-case prefix": b"0X5\r\nhello\r\n",
    "a plus": b"+5\r\nhello\r\n",
    "a minus": b"-5\r\nhello\r\n",
    "minus nothing": b"-0\r\n\r\n",
    "an underscore": b"1_0\r\n" + b"a" * 16 + b"\r\n",
    "a blank first": b" 5\r\nhello\r\n",
    "a tab first": b"\t5\r\nhello\r\n",
    "a blank behind the size": b"5 \r\nhello\r\n",
    "a tab behind the size": b"5\t\r\nhello\r\n",
    "a blank in the size": b"1 0\r\n" + b"a" * 16 + b"\r\n",
    "no digit": b"g\r\n",
    "a digit and no digit": b"5g\r\nhello\r\n",
    "a point": b"5.0\r\nhello\r\n",
    "a comma": b"5,\r\nhello\r\n",
    "another script's digit": "５\r\nhello\r\n".encode(),
    "a NUL behind the size": b"5\x00\r\nhello\r\n",
    "a NUL in an extension": b"5;a=\x00\r\nhello\r\n",
    "a vertical tab behind the size": b"5\x0b\r\nhello\r\n",
    "17 digits": b"00000000000000005\r\nhello\r\n",
    "more than 2^60": b"1000000000000001\r\n",
    "2^64": b"10000000000000000\r\n",
    "2^64 + 5": b"10000000000000005\r\nhello\r\n",
    "the largest of 16 digits": b"FFFFFFFFFFFFFFFF\r\n",
    "a thousand digits": b"f" * 1000 + b"\r\n",
    "LF behind the size": b"5\nhello\r\n",
    "CR behind the size": b"5\rhello\r\n",
    "two CRs behind the size": b"5\r\r\nhello\r\n",
    "LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "CR behind the data": b"5\r\nhello\r0\r\n\r\n",
    "nothing behind the data": b"5\r\nhello0\r\n\r\n",
    "too much data": b"5\r\nhello!\r\n0\r\n\r\n",
    "too little data": b"5\r\nhell\r\n0\r\n\r\n",
    "two line ends behind the data": b"5\r\nhello\r\n\r\n0\r\n\r\n",
    "LF behind the last size": b"0\n\r\n",
    "LF for the last line": b"0\r\n\n",
    "CR for the last line": b"0\r\n\rG",
    "LF in an extension": b"5;a\nhello\r\n",
    "LF in an extension, later CRLF": b"5;a\nb\r\nhello\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n",
    "LF in a quoted extension": b'5;a="\n"\r\nhello\r\n',
    "an extension without a name": b"5;\r\nhello\r\n",
    "an extension with a blank in it": b"5;a b\r\nhello\r\n",
    "an extension with an empty value": b"5;a=\r\nhello\r\n",
    "an extension that is not closed": b'5;a="b\r\nhello\r\n',
    "a blank behind an extension": b"5;a \r\nhello\r\n",
    "an extension of the last chunk without a name": b"0;\r\n\r\n",
    "an extension that is too long": b"5;" + b"a" * 1023 + b"\r\nhello\r\n",
    "an endless extension": b"5;" + b"a" * 2000,
    "a trailer without a colon": b"0\r\nA\r\n\r\n",
    "a trailer without a name": b"0\r\n: a\r\n\r\n",
    "a blank before the colon of a trailer": b"0\r\nA : b\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
    "a trailer with a NUL": b"0\r\nA: \x00\r\n\r\n",
    "a trailer with a bare LF": b"0\r\nA: b\nC: d\r\n\r\n",
    "a trailer with a bare CR": b"0\r\nA: b\rC: d\r\n\r\n",
    "a trailer that ends in LF": b"0\r\nA: b\n\r\n",
    "a request for a trailer": b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a length for a trailer": b"0\r\nContent-Length: 5\r\n\r\n",
    "a coding for a trailer": b"0\r\nTransfer-encoding: chunked\r\n\r\n",
    "a trailer that is too long": b"0\r\nA: " + b"a" * 8192 + b"\r\n\r\n",
    "an endless trailer": b"0\r\nA: " + b"a" * 9000,
    "trailers that are too long together": b"0\r\n" + (b"A: " + b"b" * 995 + b"\r\n") * 9 + b"\r\n",
    "trailers without end": b"0\r\n" + b"A: b\r\n" * 2000,
}


def decode(pieces: Iterable[bytes]) -> tuple[bytes, bool, bytes]:
    """Payload, whether it is complete, and what follows, of a body that arrives in these pieces."""
    body = ChunkedBody()
    payload: list[bytes] = []
    for piece in pieces:
        payload += body.feed(piece)
    assert all(payload), "an empty piece"
    return b"".join(payload), body.done, body.rest


def single(data: bytes) -> list[bytes]:
    """Bytes one by one."""
    return [data[at : at + 1] for at in range(len(data))]


class DecodingTests(SynchronousTestCase):
    """Good bodies, however they are sliced."""

    def test_wholeAndByteByByte(self) -> None:
        """Slicing changes nothing."""
        for name, (data, payload) in GOOD.items():
            self.assertEqual(decode([data]), (payload, True, b""), name)
            self.assertEqual(decode(single(data)), (payload, True, b""), name)

    def test_whatFollowsIsLeftAlone(self) -> None:
        """Bytes behind the body belong to the next message, whatever they are."""
        for name, (data, payload) in GOOD.items():
            for rest in (b"G", b"\r\n", b"0\r\n\r\n", b"\x00\xff"):
                self.assertEqual(decode([data + rest]), (payload, True, rest), name)
                self.assertEqual(decode(single(data + rest)), (payload, True, rest), name)

    def test_everyCut(self) -> None:
        """A cut body is never complete, and goes on where it was cut."""
        for name, (data, payload) in GOOD.items():
            for cut in range(0, len(data), 1 + len(data) // 300):
                before = decode([data[:cut]])
                self.assertTrue(payload.startswith(before[0]), name)
                self.assertFalse(before[1], name)
                self.assertEqual(decode([data[:cut], data[cut:]]), (payload, True, b""), name)

    def test_oneChunkARead(self) -> None:
        """The usual read of a stream, one whole chunk, comes out as one piece."""
        body = ChunkedBody()
        for size in (1, 9, 10, 255, 256, 70_000):
            self.assertEqual(body.feed(b"%x\r\n%b\r\n" % (size, b"a" * size)), [b"a" * size])
            self.assertEqual(body.feed(b"%X\r\n%b\r\n" % (size, b"\n" * size)), [b"\n" * size])
        self.assertEqual((body.feed(b"0\r\n\r\n"), body.done), ([], True))

    def test_dataIsNotHeldBack(self) -> None:
        """Payload comes out as soon as it is there, also of a chunk that is not complete."""
        body = ChunkedBody()
        self.assertEqual(body.feed(b"fffffffffffffff\r\nab"), [b"ab"])
        self.assertEqual(body.feed(b"cd"), [b"cd"])

    def test_tinyChunksAreJoined(self) -> None:
        """A body cut into chunks of a byte or two does not become as many objects."""
        body = ChunkedBody()
        self.assertEqual(body.feed(b"2\r\nab\r\n" * 5000), [b"ab" * 5000])
        self.assertEqual(body.feed(b"2\r\nab\r\n2\r\ncd\r\n"), [b"ab", b"cd"])

    @given(
        st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from([b"", b";a", b';a="b"']))),
        st.sampled_from([b"", b"A: b\r\n"]),
        st.binary(max_size=20),
        st.data(),
    )
    def test_anySplit(
        self, chunks: list[tuple[bytes, bytes]], trailers: bytes, rest: bytes, choice: st.DataObject
    ) -> None:
        """Any chunks, sliced in any way, give the same payload and the same rest."""
        data = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk, extension in chunks)
        data += b"0\r\n" + trailers + b"\r\n" + rest
        cuts = sorted(choice.draw(st.lists(st.integers(0, len(data)), max_size=10)))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        self.assertEqual(decode(pieces), (b"".join(chunk for chunk, _ in chunks), True, rest))


class RefusalTests(SynchronousTestCase):
    """Whatever is not the coding is refused, as soon as it is seen."""

    def test_wholeAndByteByByte(self) -> None:
        """Slicing helps nobody."""
        for name, data in BAD.items():
            for pieces in ([data], single(data), [data + b"0\r\n\r\n"], single(b"3\r\nabc\r\n" + data)):
                with self.assertRaises(FramingError, msg=name) as caught:
                    decode(pieces)
                self.assertTrue(str(caught.exception).endswith("."), name)

    def test_badLineEndsAreNotWaitedFor(self) -> None:
        """What can no longer become a good line is refused before it ends."""
        for begun in (b"5\n", b"5\rx", b"5\r\nhello!", b"5\r\nhello\n", b"5\r\nhello\rx", b"0\r\n\n", b"0\r\n\rx"):
            decode([begun[:-1]])
            self.assertRaises(FramingError, decode, [begun])
            self.assertRaises(FramingError, decode, single(begun))

    @given(st.sampled_from(sorted(GOOD)), st.data())
    def test_oneReading(self, name: str, choice: st.DataObject) -> None:
        """A damaged body is read the same however it is sliced, or refused however it is sliced."""
        data = bytearray(GOOD[name][0])
        for _ in range(choice.draw(st.integers(1, 3))):
            at = choice.draw(st.integers(0, len(data) - 1))
            data[at : at + choice.draw(st.integers(0, 1))] = choice.draw(
                st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"0", b"x", b";", b" ", b"\x00", b"-", b"_", b'"'])
            )
        readings = []
        for pieces in ([bytes(data)], single(bytes(data))):
            try:
                readings.append(decode(pieces))
            except FramingError:
                readings.append((b"", False, b"refused"))
        self.assertEqual(readings[0], readings[1])
