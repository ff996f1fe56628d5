"""Heads of answers, put together from bytes."""

# mypy: allow-untyped-calls
# (twisted.web.http is largely unannotated)

from __future__ import annotations

from collections.abc import Callable, Set

from twisted.web.http import RESPONSES, datetimeToString

from relay.exchange import Headers

OWN = frozenset({b"server", b"date", b"x-request-id", b"request-id"})
"""Fields that every answer carries, with relay's own values."""

HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"trailer"})
"""Fields that are the channel's to write. See: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1"""

FIXED = OWN | HOP


class Heads:
    """Knows how heads begin: the status line, ``Server`` and ``Date``; made anew once a second.

    Args:
        wall: Unix seconds.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._second = -1
        self._known: dict[int, bytes] = {}

    def opening(self, status: int) -> bytes:
        """The first lines of a head."""
        second = int(self._wall())
        if second != self._second:
            self._second = second
            self._known.clear()
        lines = self._known.get(status)
        if lines is None:
            phrase, date = RESPONSES.get(status, b"Unknown"), datetimeToString(second)
            lines = b"HTTP/1.1 %d %b\r\nserver: relay\r\ndate: %b\r\n" % (status, phrase, date)
            self._known[status] = lines
        return lines

    def head(self, status: int, name: str, fields: bytes) -> bytes:
        """A whole head.

        Args:
            status: the answer's status.
            name: the request's id.
            fields: lines of fields, besides those that every answer carries.
        """
        asked = name.encode()
        return b"%bx-request-id: %b\r\nrequest-id: %b\r\n%b\r\n" % (self.opening(status), asked, asked, fields)


def lines(fields: Headers, fixed: Set[bytes]) -> tuple[bytes, int | None]:
    """Write fields, but for the fixed ones.

    Returns:
        Their lines, and the ``Content-Length`` among them, or None.

    Raises:
        ValueError: a field holds a line end, or the length is not a number.
    """
    length: int | None = None
    written = []
    for field in fields:
        name = field[0]
        if name not in fixed:
            if name == b"content-length":
                length = int(field[1])
            written.append(b": ".join(field))
    written.append(b"")
    data, ends = b"\r\n".join(written), len(written) - 1
    if data.count(b"\n") != ends or data.count(b"\r") != ends:
        raise ValueError("A header field of an answer holds a line end.")
    return data, length
