"""AWS's binary event stream."""

from __future__ import annotations

import base64
import itertools
import uuid
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.wire.eventstream import (
    EventStreamDecoder,
    Header,
    Kind,
    Message,
    encode,
    encode_event,
    encode_exception,
)

LIMIT = 1 << 20

EXCEPTION = base64.b64decode(
    "AAAA3QAAAGfHkZB6DTptZXNzYWdlLXR5cGUHAAlleGNlcHRpb24POmV4Y2VwdGlvbi10eXBlBwAZbW9kZWxTdHJlYW1FcnJvckV4"
    "Y2VwdGlvbg06Y29udGVudC10eXBlBwAQYXBwbGljYXRpb24vanNvbnsibWVzc2FnZSI6Ik1vZGVsIFN0cmVhbSBFcnJvciIsIm9y"
    "aWdpbmFsU3RhdHVzQ29kZSI6NTAwLCJvcmlnaW5hbE1lc3NhZ2UiOiJUaGUgbW9kZWwgc3RyZWFtIGZhaWxlZC4ifVczQxM="
)
"""An exception as Bedrock sends it, byte for byte."""

EMPTY = bytes.fromhex("000000100000000005c248eb7d98c8ff")
"""The message without headers and payload: the first test vector of AWS's own implementations."""

EVERY_KIND = (
    Header("yes", True, Kind.TRUE),
    Header("no", False, Kind.FALSE),
    Header("byte", -128, Kind.BYTE),
    Header("short", 32767, Kind.SHORT),
    Header("int", -(2**31), Kind.INTEGER),
    Header("long", 2**63 - 1, Kind.LONG),
    Header("bytes", b"\x00\xff", Kind.BYTES),
    Header("text", "ü☃", Kind.STRING),
    Header("when", 1_700_000_000_000, Kind.TIMESTAMP),
    Header("id", uuid.UUID(int=7), Kind.UUID),
)

STREAM = b"".join(
    (
        encode_event("messageStart", b'{"role":"assistant"}'),
        encode(EVERY_KIND, b""),
        EXCEPTION,
        encode_event("contentBlockDelta", b"x" * 3000),
        encode_exception("throttlingException", b"{}"),
    )
)


def feed(*pieces: bytes, limit: int = LIMIT) -> list[Message]:
    """What a fresh decoder makes of pieces."""
    decoder = EventStreamDecoder(limit)
    return [message for piece in pieces for message in decoder.feed(piece)] + decoder.end()


class DecoderTests(SynchronousTestCase):
    """Cutting, checking, understanding."""

    def test_knownMessages(self) -> None:
        """Messages that others wrote are understood, and written again they are the same bytes."""
        (message,) = feed(EXCEPTION)
        self.assertEqual((message.head.kind, message.event), ("exception", b"modelStreamErrorException"))
        self.assertTrue(message.data.startswith(b'{"message":"Model Stream Error"'))
        self.assertEqual(encode(message.head.headers, message.data), EXCEPTION)
        self.assertEqual([found.raw for found in feed(EMPTY)], [EMPTY])
        self.assertEqual(encode((), b""), EMPTY)

    def test_everyKindOfHeader(self) -> None:
        """Each of the ten types of values survives."""
        (message,) = feed(encode(EVERY_KIND, b"payload"))
        self.assertEqual(message.head.headers, EVERY_KIND)
        self.assertEqual(message.header("long"), 2**63 - 1)
        self.assertIsNone(message.header("missing"))
        self.assertEqual((message.head.kind, message.event), ("event", b""))

    def test_error(self) -> None:
        """An error that the service has no model of is called by its code."""
        headers = (Header(":message-type", "error"), Header(":error-code", "500"), Header(":error-message", "no"))
        (message,) = feed(encode(headers, b""))
        self.assertEqual((message.head.kind, message.event, message.header(":error-message")), ("error", b"500", "no"))

    def test_byteByByte(self) -> None:
        """Slicing does not matter, and no byte is lost."""
        whole = feed(STREAM)
        self.assertEqual(b"".join(message.raw for message in whole), STREAM)
        self.assertEqual(feed(*(STREAM[at : at + 1] for at in range(len(STREAM)))), whole)

    @given(st.lists(st.integers(0, len(STREAM)), max_size=8))
    @settings(max_examples=60, deadline=None)
    def test_anySlices(self, cuts: list[int]) -> None:
        """Any slicing gives the same messages."""
        bounds = sorted({0, *cuts, len(STREAM)})
        pieces = [STREAM[start:end] for start, end in itertools.pairwise(bounds)]
        self.assertEqual(feed(*pieces), feed(STREAM))

    def test_cut(self) -> None:
        """A message that is not whole never comes out."""
        for end in range(len(EXCEPTION)):
            self.assertEqual(feed(EXCEPTION[:end]), [])

    def test_everyFlippedBit(self) -> None:
        """No single wrong bit passes: the stream is refused, or nothing comes out of it."""
        small = encode_event("e", b"{}")
        for at in range(len(small) * 8):
            wrong = bytearray(small)
            wrong[at // 8] ^= 1 << at % 8
            with self.assertRaises(ValueError):
                feed(bytes(wrong))

    def test_tooLarge(self) -> None:
        """A message above the limit is refused as soon as its length is known."""
        message = encode((), b"x" * 100)
        self.assertEqual(len(feed(message, limit=116)), 1)
        with self.assertRaisesRegex(ValueError, "larger than 115 bytes"):
            feed(message[:12], limit=115)

    def test_impossibleLengths(self) -> None:
        """Headers longer than their message are refused though the checksum is right."""
        for total, headers in ((16, 1), (15, 0)):
            prelude = total.to_bytes(4, "big") + headers.to_bytes(4, "big")
            with self.assertRaisesRegex(ValueError, "lengths are impossible"):
                feed(prelude + _crc(prelude))

    def test_longHeaders(self) -> None:
        """Headers longer than AWS allows are refused."""
        many = [Header(f"h{number}", "x" * 30_000) for number in range(5)]
        with self.assertRaisesRegex(ValueError, "headers are too long"):
            feed(encode(many, b""))

    def test_malformedHeaders(self) -> None:
        """Headers that are cut, of no known type, or not UTF-8 are refused."""
        for block in (
            b"\x05a",
            b"\x01a\x0a",
            b"\x01a\x07\x00\x05ab",
            b"\x01\xff\x00",
            b"\x01a\x04\x00",
            b"\x01a\x09\x00",
        ):
            lengths = (16 + len(block)).to_bytes(4, "big") + len(block).to_bytes(4, "big")
            head = lengths + _crc(lengths) + block
            with self.assertRaisesRegex(ValueError, "headers are malformed"):
                feed(head + _crc(head))

    def test_refusedByTheEncoder(self) -> None:
        """What has no place in a message is not written."""
        for header in (Header("", "x"), Header("n" * 256, "x"), Header("n", "x" * 32768)):
            with self.assertRaises(ValueError):
                encode((header,), b"")


def _crc(data: bytes) -> bytes:
    return crc32(data).to_bytes(4, "big")
