r"""Newline-delimited JSON: bytes in, whole lines out, every byte accounted for.

A line ends in LF, with or without a CR before it; inside JSON no line end can stand unescaped. Blank
lines mean nothing, the last line may lack its end, a leading BOM is ignored.
See: https://github.com/ndjson/ndjson-spec (read 2026-11).
"""

from __future__ import annotations

import msgspec

_BOM = b"\xef\xbb\xbf"


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line, cut but not understood.

    Attributes:
        raw: its bytes exactly as they came, the line end included.
        data: the line without its end and surrounding blanks; b"" for blank lines.
        event: always b"": lines have no names.
    """

    raw: bytes
    data: bytes
    event: bytes = b""


class NDJSONDecoder:
    """Cuts a stream of JSON lines, linear in its length however it is sliced.

    The raw bytes of all lines, in order, are the input without one byte changed.

    Args:
        limit: most bytes that one line may have, its end included.
    """

    __slots__ = ("_begun", "_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()  # the line that has not ended yet; it is never searched again
        self._begun = False  # a line came out, so a BOM is no longer one

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines completed by these bytes.

        Raises:
            ValueError: a line is larger than the limit.
        """
        end = data.find(b"\n") + 1
        if not end:
            self._keep(data)
            return []
        lines = [self._first(data[:end])]
        start = end
        while end := data.find(b"\n", start) + 1:
            lines.append(self._line(data[start:end]))
            start = end
        if start < len(data):
            self._keep(data[start:])
        return lines

    def end(self) -> list[Line]:
        """Return what is left when no more bytes come: at most one line without its end."""
        return [self._first(b"")] if self._buffer else []

    def _first(self, data: bytes) -> Line:
        """The line that these bytes end, with what came before."""
        if self._buffer:
            self._buffer += data
            data = bytes(self._buffer)
            self._buffer.clear()
        return self._line(data)

    def _keep(self, data: bytes) -> None:
        """Hold bytes back until their line ends."""
        self._buffer += data
        if len(self._buffer) > self._limit:
            raise ValueError(f"a line is larger than {self._limit} bytes")

    def _line(self, raw: bytes) -> Line:
        if len(raw) > self._limit:
            raise ValueError(f"a line is larger than {self._limit} bytes")
        if self._begun:
            return Line(raw, raw.strip())
        self._begun = True
        return Line(raw, raw.removeprefix(_BOM).strip())
