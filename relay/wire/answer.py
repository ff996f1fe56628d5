"""Answer heads that resemble earlier ones, read at half the price.

A provider sends nearly the same head again and again: what was understood of its lines is
remembered, and only lines with new values are looked at. This never decides what is
accepted. Whatever is not plain goes to `parse_response_head`, which knows all the rules
and words all the refusals.
"""

from __future__ import annotations

from typing import TypeVar

from relay.wire.grammar import CONTROLS, FIELD_LIMIT, HEAD_LIMIT
from relay.wire.http import Fields, Framing, ResponseHead, Version, parse_response_head
from relay.wire.names import STEADY, USUAL

T = TypeVar("T")
Field = tuple[bytes, bytes]

_HTTP_1_1: Version = (1, 1)
_RULING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_SET_APART = frozenset({b"content-encoding", b"set-cookie", b"set-cookie2"})
_REPEATED = STEADY | {b"date"}
_KEEP_ALIVE: Field = (b"connection", b"keep-alive")
"""What holds for HTTP/1.1 in any case, so that it rules nothing."""

_BODILESS_METHODS = frozenset({b"HEAD", b"CONNECT"})
_BODILESS_STATUSES = frozenset({204, 304})

_USUAL_DIGITS = 15
"""Digits of a Content-Length that need no further check."""

_MOST = 512
"""Lines, names and status lines that are remembered, each."""

_LONGEST = 160
"""Bytes of a line that is remembered."""


class AnswerHead(ResponseHead, frozen=True, gc=False):
    """An answer's head.

    Attributes:
        sets_apart: whether it tells of a coding of its content, or sets a cookie.
    """

    sets_apart: bool


class AnswerMemo:
    """Reads answer heads, and remembers their lines; shared by all connections of one side.

    It is bounded, begins anew when it is full, and holds neither credentials nor what tells answers apart.
    """

    __slots__ = ("_lines", "_names", "_statuses")

    def __init__(self) -> None:
        self._lines: dict[bytes, Field] = {}
        self._names: dict[bytes, bytes] = dict(USUAL)  # as they are written → in lower case
        self._statuses: dict[bytes, int] = {}  # lines of HTTP/1.1, of answers that may have a body

    def read(self, data: bytes, method: bytes) -> AnswerHead:
        """Read a head.

        Args:
            data: exactly one head, the blank line included.
            method: that of the request.

        Raises:
            HeadError: as `parse_response_head` says.
        """
        lines = data.split(b"\r\n")
        status = self._statuses.get(lines[0])
        ends, size = len(lines) - 1, len(data)
        if (
            status is None
            or method in _BODILESS_METHODS
            or ends > FIELD_LIMIT + 2
            or size > HEAD_LIMIT
            or len(data.translate(None, CONTROLS)) != size - 2 * ends  # there are other ones than in line ends
            or lines[-1]
            or lines[-2]
        ):
            return self._strictly(data, method)
        known, names = self._lines.get, self._names.get
        fields: list[Field] = []
        framing: Field | None = None
        apart = False
        for line in lines[1:-2]:
            field = known(line)
            if field is None:
                raw, colon, value = line.partition(b":")
                name = names(raw)
                if name is None or not colon:
                    return self._strictly(data, method)
                field = (name, value.strip())
                if name in _RULING:
                    if framing is not None:
                        return self._strictly(data, method)
                    framing = field
                elif name in _SET_APART:
                    apart = True
                elif name in _REPEATED:
                    self._keep(line, field)
            fields.append(field)
        if framing is not None:
            name, value = framing
            if name == b"content-length" and value.isdigit() and len(value) <= _USUAL_DIGITS:
                length = int(value)
                way = Framing.LENGTH if length else Framing.NONE
                return AnswerHead(status, _HTTP_1_1, tuple(fields), True, way, length, apart)
            if name == b"transfer-encoding" and value == b"chunked":
                return AnswerHead(status, _HTTP_1_1, tuple(fields), True, Framing.CHUNKED, 0, apart)
        return self._strictly(data, method)

    def _strictly(self, data: bytes, method: bytes) -> AnswerHead:
        """Read a head by all the rules, and learn how it is written."""
        head = parse_response_head(data, method)
        first, *lines = data.split(b"\r\n")
        if head.version == _HTTP_1_1 and 200 <= head.status <= 599 and head.status not in _BODILESS_STATUSES:
            _note(self._statuses, first, head.status)
        for line, field in zip(lines, head.fields, strict=False):  # two empty lines follow
            _note(self._names, line.partition(b":")[0], field[0])
            if (field[0], field[1].lower()) == _KEEP_ALIVE:
                self._keep(line, field)
        apart = _sets_apart(head.fields)
        return AnswerHead(head.status, head.version, head.fields, head.keep_alive, head.framing, head.length, apart)

    def _keep(self, line: bytes, field: Field) -> None:
        _note(self._lines, line, field)


def _note(known: dict[bytes, T], key: bytes, value: T) -> None:
    """Remember, if that does not take too much room."""
    if len(key) <= _LONGEST:
        if len(known) >= _MOST:
            known.clear()
        known[key] = value


def _sets_apart(fields: Fields) -> bool:
    return any(name in _SET_APART for name, _ in fields)
