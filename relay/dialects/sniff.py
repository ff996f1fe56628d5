"""Telling an event stream from a JSON body under a stream's content type."""

from __future__ import annotations

_BLANKS = b" \t\r\n\xef\xbb\xbf"
"""What may come before the first line of a stream: blanks and a byte order mark."""


class Sniffer:
    """Looks at the first bytes of a body and keeps it if it is JSON.

    Gemini, among others, answers a streaming request with a plain JSON error under the content
    type of a stream (seen 2025-11). No line of an event stream begins with a bracket.

    Args:
        limit: most bytes kept.
    """

    __slots__ = ("_limit", "body", "fresh")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.fresh = True  # no byte has told yet whether this is a stream
        self.body: bytearray | None = None  # the body, once it is known to be no stream

    def took(self, data: bytes) -> bool:
        """Whether the bytes belong to a JSON body; they are kept then.

        Raises:
            ValueError: the body is larger than the limit.
        """
        if self.body is None:
            head = data.lstrip(_BLANKS)
            if not head:
                return False
            self.fresh = False
            if head[:1] not in (b"{", b"["):
                return False
            self.body = bytearray()
        self.body += data
        if len(self.body) > self._limit:
            raise ValueError("body too large")
        return True
