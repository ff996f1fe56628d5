"""Watches the head of one upstream answer, before anything else reads it.

Twisted's HTTP client bounds neither the head nor the number of interim answers, takes any
status line with a number in it, and puts a connection back that was announced to close.
`AnswerHead` sees the same bytes first and says no. It cuts lines where Twisted does (at
LF), so that both always agree on where the head ends.

See: https://www.rfc-editor.org/rfc/rfc9112#section-4 and #section-9.3
"""

from __future__ import annotations

import enum
import re

HEAD_BYTES = 64 * 1024
"""Bytes of an answer's head, its interim answers included."""

HEAD_FIELDS = 200
"""Header fields of an answer, those of its interim answers included."""

INTERIM_ANSWERS = 10
"""1xx answers before the final one."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([^\x00-\x08\x0a-\x1f\x7f]*)")


class HeadFault(Exception):
    """The head is not one that relay accepts; the text is fit for clients."""


class _State(enum.Enum):
    STATUS = enum.auto()
    FIELDS = enum.auto()
    COMPLETE = enum.auto()


class AnswerHead:
    """One answer's head: ``STATUS → FIELDS → COMPLETE``, back to ``STATUS`` after each 1xx.

    Attributes:
        keep: once complete, whether the connection may serve another request.
    """

    def __init__(self) -> None:
        self.keep = True
        self._state = _State.STATUS
        self._line = bytearray()
        self._size = 0
        self._fields = 0
        self._interim = 0
        self._status = 0
        self._framing: set[bytes] = set()

    @property
    def complete(self) -> bool:
        """Whether the final answer's head has ended."""
        return self._state is _State.COMPLETE

    def feed(self, data: bytes) -> None:
        """Take bytes of the answer; those behind the head are not looked at.

        Raises:
            HeadFault: the head is malformed or larger than the bounds.
        """
        start = 0
        while self._state is not _State.COMPLETE:
            end = data.find(b"\n", start)
            piece = data[start:] if end < 0 else data[start:end]
            self._size += len(piece) + (end >= 0)
            if self._size > HEAD_BYTES:
                raise HeadFault("The provider's answer has too large a head.")
            self._line += piece
            if end < 0:
                return
            start = end + 1
            line = bytes(self._line.removesuffix(b"\r"))
            self._line.clear()
            self._take(line)

    def _take(self, line: bytes) -> None:
        if self._state is _State.STATUS:
            self._take_status(line)
        elif line:
            self._take_field(line)
        elif self._status < 200:
            self._take_interim()
        else:
            self.keep = self.keep and len(self._framing) < 2
            self._state = _State.COMPLETE

    def _take_status(self, line: bytes) -> None:
        found = _STATUS.fullmatch(line)
        if found is None:
            raise HeadFault("The provider's answer does not begin with an HTTP/1 status line.")
        self._status = int(found[2])
        if self._status == 101 or self._status > 599:
            raise HeadFault(f"The provider answered with the impossible status {self._status}.")
        self.keep = found[1] == b"1"
        self._framing.clear()
        self._state = _State.FIELDS

    def _take_field(self, line: bytes) -> None:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise HeadFault("The provider's answer has a malformed header field.")
        self._fields += 1
        if self._fields > HEAD_FIELDS:
            raise HeadFault("The provider's answer has too many header fields.")
        name = found[1].lower()
        if name == b"connection":
            tokens = {token.strip() for token in found[2].lower().split(b",")}
            self.keep = self.keep and b"close" not in tokens
        elif name in (b"transfer-encoding", b"content-length"):
            self._framing.add(name)

    def _take_interim(self) -> None:
        self._interim += 1
        if self._interim > INTERIM_ANSWERS:
            raise HeadFault("The provider sent interim answers without end.")
        self._state = _State.STATUS
