"""Request heads that come again: what was understood once is compared, not understood anew.

A client sends the same head with each request of a connection, but for the length of the
body and perhaps a request's name. A head that is equal everywhere else means the same.
"""

from __future__ import annotations

import re

from relay.wire.grammar import CONTROLS
from relay.wire.http import Fields, RequestHead

LONGEST = 4096
"""Bytes of a head that may be remembered."""

_LENGTH = b"content-length"
_LENGTH_DIGITS = 18
_LONGEST_VALUE = 512
"""Bytes of a value that may change."""

_CRLF = b"\r\n"
_VARYING = re.compile(
    rb"\r\n((?i:content-length|x-request-id|traceparent|tracestate|baggage|sentry-trace|idempotency-key"
    rb"|x-amzn-trace-id|x-client-request-id|x-b3-traceid|x-b3-spanid)):[ \t]*([^\r\n]*)(?=\r\n)"
)
"""Lines that differ from request to request, and to which the reading of a head gives no meaning but the length."""


class Familiar:
    """A head that has been read, and how to recognise the same one.

    `recognise` is the only way to one.

    Attributes:
        head: what it means. The length, and the values of fields that change, are the first one's.
        fields: its fields but for those that change.
    """

    __slots__ = ("_end", "_parts", "fields", "head")

    def __init__(self, head: RequestHead, parts: list[tuple[bytes, bytes]], end: bytes) -> None:
        names = {name for _, name in parts}
        self.head = head
        self.fields: Fields = tuple([field for field in head.fields if field[0] not in names])
        self._parts = [(text, len(text), name) for text, name in parts]  # each with the name of the value behind it
        self._end = end

    def read(self, data: bytes) -> tuple[int, int, Fields] | None:
        """Compare what a connection has sent with this head.

        Args:
            data: the beginning of a request, maybe with a body behind it.

        Returns:
            Where the head ends, the length of its body, and the fields that change, but
            for ``Content-Length``; None if it is another head or no whole one.
        """
        at = length = 0
        changed: Fields = ()
        for text, size, name in self._parts:
            if not data.startswith(text, at):
                return None
            start = at + size
            if name is _LENGTH:
                at = data.find(_CRLF, start, start + _LENGTH_DIGITS + 2)
                digits = data[start:at]
                if at < 0 or not digits.isdigit():
                    return None
                length = int(digits)
            else:
                at = data.find(_CRLF, start, start + _LONGEST_VALUE)
                value = data[start:at]
                if at < 0 or len(value.translate(None, CONTROLS)) != len(value):
                    return None
                changed = (*changed, (name, value.strip()))
        end = self._end
        return (at + len(end), length, changed) if data.startswith(end, at) else None


def recognise(data: bytes, head: RequestHead) -> Familiar | None:
    """Learn to know a head again.

    Only plain ones are learnt: HTTP/1.1 with a length and no expectation, on a connection that goes on.

    Args:
        data: exactly the head.
        head: what was read from it.
    """
    if len(data) > LONGEST or not data.startswith(head.method):
        return None
    if head.version != (1, 1) or not head.keep_alive or any(name == b"expect" for name, _ in head.fields):
        return None
    parts: list[tuple[bytes, bytes]] = []
    at = 0
    for line in _VARYING.finditer(data):
        name = line[1].lower()
        parts.append((data[at : line.start(2)], _LENGTH if name == _LENGTH else name))
        at = line.end(2)
    names = [name for _, name in parts]
    if _LENGTH not in names or len(set(names)) != len(names):
        return None
    return Familiar(head, parts, data[at:])


def outline(data: bytes) -> bytes:
    """A head without the lines that change: equal for heads that are recognised as the same, and for few others."""
    return _VARYING.sub(b"", data)
