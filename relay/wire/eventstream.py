"""AWS's binary event stream: bytes in, whole messages out, both checksums of each checked.

A message is a prelude (total length, length of the headers, CRC-32 of the two), headers, a payload, and
the CRC-32 of all of it; numbers are big-endian.

See: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html and
https://smithy.io/2.0/aws/amazon-eventstream.html (read 2026-11).
"""

from __future__ import annotations

import enum
import struct
import uuid
from collections.abc import Iterable
from zlib import crc32

import msgspec

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CRC.size
_LONGEST_HEADERS = 128 * 1024
_REMEMBERED = 64
"""Header blocks that a decoder keeps understood: a stream has a handful of them, again and again."""


class Kind(enum.IntEnum):
    """Types of a header's value, by their number on the wire."""

    TRUE = 0
    FALSE = 1
    BYTE = 2
    SHORT = 3
    INTEGER = 4
    LONG = 5
    BYTES = 6
    STRING = 7
    TIMESTAMP = 8
    UUID = 9


_NUMBERS = {
    Kind.BYTE: struct.Struct(">b"),
    Kind.SHORT: struct.Struct(">h"),
    Kind.INTEGER: struct.Struct(">i"),
    Kind.LONG: struct.Struct(">q"),
    Kind.TIMESTAMP: struct.Struct(">q"),
}
_LENGTH = struct.Struct(">H")

Value = bool | int | bytes | str | uuid.UUID


class Header(msgspec.Struct, frozen=True, gc=False):
    """One header.

    Attributes:
        name: 1 to 255 bytes of UTF-8.
        value: as its kind wants it; a timestamp is milliseconds since 1970.
        kind: how it is written.
    """

    name: str
    value: Value
    kind: Kind = Kind.STRING


class Head(msgspec.Struct, frozen=True, gc=False):
    """The headers of a message, understood.

    Attributes:
        headers: all of them, in order.
        kind: ``:message-type``: ``event``, ``exception`` or ``error``; ``event`` if it is missing.
        event: what it is called: ``:event-type``, ``:exception-type`` or ``:error-code``.
    """

    headers: tuple[Header, ...]
    kind: str
    event: bytes


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message, a `relay.dialects.base.Frame`.

    Attributes:
        raw: its bytes exactly as they came.
        event: what it is called; see `Head`.
        data: the payload.
        head: its headers.
    """

    raw: bytes
    event: bytes
    data: bytes
    head: Head

    def header(self, name: str) -> Value | None:
        """The value of a header, or None."""
        return next((header.value for header in self.head.headers if header.name == name), None)


class EventStreamDecoder:
    """Cuts a binary event stream into messages, linear in its length however it is sliced.

    Args:
        limit: most bytes that one message may have.
    """

    __slots__ = ("_buffer", "_known", "_limit", "_need")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._need = _PRELUDE.size  # nothing can be done before the buffer has that much
        self._known: dict[bytes, Head] = {}

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages completed by these bytes.

        Raises:
            ValueError: a wrong checksum, lengths that contradict each other, headers that are
                none, or a message larger than the limit. The decoder is of no use afterwards.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        return self._cut(data)

    def end(self) -> list[Message]:
        """Return nothing: a message that was cut has no checksum, and none of it can be believed."""
        self._buffer.clear()
        return []

    def _cut(self, data: bytes) -> list[Message]:
        """All whole messages of ``data``; the rest goes to the buffer."""
        messages: list[Message] = []
        start, size = 0, len(data)
        self._need = _PRELUDE.size
        known = self._known
        while size - start >= _PRELUDE.size:
            total, headers, check = _PRELUDE.unpack_from(data, start)
            if crc32(data[start : start + 8]) != check or not _OVERHEAD + headers <= total <= self._limit:
                raise self._wrong(data[start : start + 8], total, check)
            end = start + total
            if end > size:
                self._need = total
                break
            raw = data if total == size else data[start:end]
            if crc32(raw[8:-4], check) != _CRC.unpack_from(raw, total - 4)[0]:
                raise ValueError("a message has a wrong checksum")
            block = raw[12 : 12 + headers]
            head = known.get(block) or self._understand(block)
            messages.append(Message(raw, head.event, raw[12 + headers : -4], head))
            start = end
        if start < size:
            self._buffer += data[start:] if start else data
        return messages

    def _understand(self, block: bytes) -> Head:
        """Headers that have not been met before, or too many others have."""
        if len(block) > _LONGEST_HEADERS:
            raise ValueError("a message's headers are too long")
        head = read_head(block)
        if len(self._known) < _REMEMBERED:
            self._known[block] = head
        return head

    def _wrong(self, lengths: bytes, total: int, check: int) -> ValueError:
        """What is wrong with the beginning of a message."""
        if crc32(lengths) != check:
            return ValueError("a message begins with a wrong checksum")
        if total > self._limit:
            return ValueError(f"a message is larger than {self._limit} bytes")
        return ValueError("a message's lengths are impossible")


def read_head(block: bytes) -> Head:
    """Understand the headers of a message.

    Raises:
        ValueError: they are cut, of an unknown type, or their names are no UTF-8.
    """
    headers: list[Header] = []
    at = 0
    try:
        while at < len(block):
            header, at = _header(block, at)
            headers.append(header)
    except (struct.error, IndexError, ValueError) as error:
        raise ValueError("a message's headers are malformed") from error
    words = {header.name: header.value for header in headers if header.kind is Kind.STRING}
    kind = str(words.get(":message-type", "event"))
    named = {"exception": ":exception-type", "error": ":error-code"}.get(kind, ":event-type")
    return Head(tuple(headers), kind, str(words.get(named, "")).encode())


def _header(block: bytes, at: int) -> tuple[Header, int]:
    """The header at an offset, and the offset behind it."""
    end = at + 1 + block[at]
    name = _exactly(block, at + 1, end).decode("utf-8")
    kind = Kind(block[end])
    at = end + 1
    if kind <= Kind.FALSE:
        return Header(name, kind is Kind.TRUE, kind), at
    if kind in _NUMBERS:
        number = _NUMBERS[kind]
        return Header(name, number.unpack_from(block, at)[0], kind), at + number.size
    if kind is Kind.UUID:
        return Header(name, uuid.UUID(bytes=_exactly(block, at, at + 16)), kind), at + 16
    end = at + 2 + _LENGTH.unpack_from(block, at)[0]
    value = _exactly(block, at + 2, end)
    return Header(name, value.decode("utf-8") if kind is Kind.STRING else value, kind), end


def _exactly(block: bytes, start: int, end: int) -> bytes:
    if end > len(block):
        raise IndexError("cut")
    return block[start:end]


def encode(headers: Iterable[Header], payload: bytes) -> bytes:
    """Write a message.

    Raises:
        ValueError: a name or value does not fit its length field.
        struct.error: a number does not fit its kind.
    """
    block = b"".join(map(_encode_header, headers))
    total = _OVERHEAD + len(block) + len(payload)
    lengths = struct.pack(">II", total, len(block))
    head = lengths + _CRC.pack(crc32(lengths)) + block + payload
    return head + _CRC.pack(crc32(head))


def encode_event(name: str, payload: bytes) -> bytes:
    """Write an event with a JSON payload, as AWS's services do."""
    return encode((Header(":event-type", name), *_json("event")), payload)


def encode_exception(name: str, payload: bytes) -> bytes:
    """Write an exception with a JSON payload; a stream ends behind it."""
    return encode((Header(":exception-type", name), *_json("exception")), payload)


def _json(kind: str) -> tuple[Header, Header]:
    return Header(":content-type", "application/json"), Header(":message-type", kind)


def _encode_header(header: Header) -> bytes:
    name = header.name.encode("utf-8")
    if not 0 < len(name) < 256:
        raise ValueError("a header's name has 1 to 255 bytes")
    start = bytes((len(name),)) + name + bytes((header.kind,))
    value, kind = header.value, header.kind
    if kind <= Kind.FALSE:
        return start
    if kind in _NUMBERS:
        return start + _NUMBERS[kind].pack(value)
    if isinstance(value, uuid.UUID):
        return start + value.bytes
    text = value.encode("utf-8") if isinstance(value, str) else bytes(value) if isinstance(value, bytes) else b""
    if len(text) > 0x7FFF:
        raise ValueError("a header's value has at most 32767 bytes")
    return start + _LENGTH.pack(len(text)) + text
