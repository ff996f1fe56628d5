"""The chunked transfer coding, decoded strictly: where a chunk ends is never a matter of taste.

See: https://www.rfc-editor.org/rfc/rfc9112#section-7.1 (read 2026-11).
"""

from __future__ import annotations

import enum
import re

from relay.wire.grammar import (
    CONTROLS,
    EXTENSION_LIMIT,
    FRAMING_FIELDS,
    HEX,
    TRAILER_LIMIT,
    FramingError,
    is_token,
)

_LARGEST = 1 << 60
"""No chunk is larger; beyond it other implementations' integers begin to overflow."""

_CRLF = b"\r\n"
_DIGITS = 16
"""Hexadecimal digits of a size, leading zeros included."""

_MANY = 16
"""Pieces of one read that are joined: as many tiny ones would take many times the room of what they hold."""

_LONGEST_PLAIN = _DIGITS + 2
"""A size line without extensions and its line end."""

_EXTENSIONS = re.compile(
    rb"(?:[\t ]*+;[\t ]*+[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
    rb'(?:[\t ]*+=[\t ]*+(?:[!#$%&\'*+\-.^_`|~0-9A-Za-z]++|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"))?+)++'
)
"""One or more ``;name`` or ``;name=value``, where a blank may stand only around the signs."""


class _State(enum.Enum):
    SIZE = enum.auto()
    DATA = enum.auto()
    DATA_END = enum.auto()
    TRAILERS = enum.auto()
    DONE = enum.auto()


_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = _State


class ChunkedBody:
    """One chunked body: ``(SIZE → DATA → DATA_END)* → SIZE → TRAILERS → DONE``, linear however it is sliced.

    Sizes are hexadecimal digits and nothing else, every line ends in CRLF, extensions and
    trailers have to be well-formed, are bounded and dropped. After an error it takes no more.

    Attributes:
        done: whether the body is complete; a connection that ends before has cut it.
        rest: the bytes behind the body, once it is complete.
    """

    __slots__ = ("_held", "_left", "_state", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._state = _SIZE
        self._held = b""  # the beginning of a line that is not complete
        self._left = 0  # bytes of the current chunk that are to come
        self._trailers = 0  # bytes of the trailer section so far

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return what they hold of the payload, in pieces, none of them empty.

        Raises:
            FramingError: the coding is broken.
        """
        if self._state is _SIZE and not self._held:
            end = data.find(_CRLF, 0, _LONGEST_PLAIN)
            digits = data[:end]
            if end > 0 and not digits.strip(HEX) and int(digits, 16) == len(data) - end - 4 > 0 and data[-2:] == _CRLF:
                return [data[end + 2 : -2]]  # one whole chunk, as most reads of a stream are
        return self._walk(data)

    def _walk(self, data: bytes) -> list[bytes]:
        """What `feed` does, for any slice of a body."""
        pieces: list[bytes] = []
        if self._held:
            data, self._held = self._held + data, b""
        at = 0
        while at < len(data):
            if self._state is _SIZE:
                at = _take_whole(data, at, pieces)
                if at < len(data):
                    at = self._take_line(data, at)
            elif self._state is _DATA:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _DATA_END
            elif self._state is _DONE:
                self.rest += data[at:]
                break
            else:
                at = self._take_line(data, at)
        return pieces if len(pieces) < _MANY else [b"".join(pieces)]

    def _take_line(self, data: bytes, at: int) -> int:
        """Take the line that begins at an offset, or hold it until it is whole; the offset behind what was taken."""
        limit = self._limit()
        end = data.find(_CRLF, at, at + limit + 2)
        if end < 0:
            self._hold(data[at:], limit)
            return len(data)
        line = data[at:end]
        if self._state is _SIZE:
            self._left = _size(line)
            self._state = _DATA if self._left else _TRAILERS
        elif self._state is _DATA_END:
            self._state = _SIZE
        else:
            self._take_trailer(line)
        return end + 2

    def _limit(self) -> int:
        """Bytes that the line may have for which the state waits."""
        if self._state is _SIZE:
            return EXTENSION_LIMIT
        return 0 if self._state is _DATA_END else max(TRAILER_LIMIT - self._trailers, 0)

    def _hold(self, begun: bytes, limit: int) -> None:
        """Keep a line that is not complete, if it can still become a good one."""
        if b"\n" in begun or b"\r" in begun[:-1] or len(begun.removesuffix(b"\r")) > limit:
            raise FramingError("A line of the chunked coding does not end where it has to.")
        self._held = begun

    def _take_trailer(self, line: bytes) -> None:
        """Check a trailer field and forget it; the empty line ends the body."""
        if not line:
            self._state = _DONE
            self.done = True
            return
        self._trailers += len(line) + 2
        name, colon, value = line.partition(b":")
        if not colon or not is_token(name) or value.translate(None, CONTROLS) != value:
            raise FramingError("A trailer field is malformed.")
        if name.lower() in FRAMING_FIELDS:
            raise FramingError("A trailer field says where the body ends.")


def _take_whole(data: bytes, at: int, pieces: list[bytes]) -> int:
    """Take the plain, whole chunks that begin at an offset; the offset of what is something else."""
    while True:
        end = data.find(_CRLF, at, at + _LONGEST_PLAIN)
        digits = data[at:end]
        if end <= at or digits.strip(HEX):
            return at
        stop = end + 2 + int(digits, 16)
        if stop == end + 2 or data[stop : stop + 2] != _CRLF:
            return at
        pieces.append(data[end + 2 : stop])
        at = stop + 2


def _size(line: bytes) -> int:
    """Read a chunk's size line.

    Raises:
        FramingError: it is malformed, or the size is beyond reason.
    """
    digits = line if not line.strip(HEX) else line[: len(line) - len(line.lstrip(HEX))]
    if not 0 < len(digits) <= _DIGITS:
        raise FramingError("A chunk's size is not a hexadecimal number of reasonable length.")
    if len(digits) < len(line) and _EXTENSIONS.fullmatch(line, len(digits)) is None:
        raise FramingError("A chunk's size is followed by something else than well-formed extensions.")
    size = int(digits, 16)
    if size > _LARGEST:
        raise FramingError("A chunk is larger than any body may be.")
    return size
