"""Answer heads of a shape that came before, read at a third of the price.

A provider sends heads with the same fields in the same order again and again; only values
differ. After a few of them their shape is made one regular expression, whose groups are
the values. This never decides what is accepted. A shape is learnt from heads that
`parse_response_head` has accepted, and matches only such as it would accept with the same
outcome; all others go to it, for it knows all the rules and words all the refusals.
"""

from __future__ import annotations

import re

from relay.wire.http import Fields, Framing, ResponseHead, Version, parse_response_head

_HTTP_1_1: Version = (1, 1)
_SET_APART = frozenset({b"content-encoding", b"set-cookie", b"set-cookie2"})
_BODILESS_METHODS = frozenset({b"HEAD", b"CONNECT"})
_BODILESS_STATUSES = frozenset({204, 304})

_LENGTH = rb"([0-9]{1,15})"
_VALUE = rb"([!-~][ -~]*+)(?<! )"
"""A value as nearly all are: ASCII without control characters, and without blanks around it."""

_TIMES = 3
"""Heads of a shape that come before it is learnt: that takes a millisecond or two."""

_MOST_SHAPES = 8
_MOST_SIGHTINGS = 32
_LONGEST = 4096
"""Bytes of a head whose shape is learnt."""


class AnswerHead(ResponseHead, frozen=True, gc=False):
    """An answer's head.

    Attributes:
        sets_apart: whether it tells of a coding of its content, or sets a cookie.
    """

    sets_apart: bool


class _Shape:
    """Heads of HTTP/1.1 with one status line and the same names in the same order, whose framing is plain.

    Args:
        status: their status.
        names: of their fields, in lower case.
        pattern: what they look like, a group for each value.
    """

    __slots__ = ("_length", "_names", "_sets_apart", "_status", "match")

    def __init__(self, status: int, names: tuple[bytes, ...], pattern: bytes) -> None:
        self.match = re.compile(pattern).fullmatch
        self._status = status
        self._names = names
        self._sets_apart = not _SET_APART.isdisjoint(names)
        self._length = names.index(b"content-length") if b"content-length" in names else -1

    def head(self, values: tuple[bytes, ...]) -> AnswerHead:
        """The head with these values."""
        fields: Fields = tuple(zip(self._names, values, strict=True))
        length, framing = 0, Framing.CHUNKED
        if self._length >= 0:
            length = int(values[self._length])
            framing = Framing.LENGTH if length else Framing.NONE
        return AnswerHead(self._status, _HTTP_1_1, fields, True, framing, length, self._sets_apart)


class AnswerShapes:
    """Reads the heads of one origin's answers, and learns their shapes.

    What it holds is bounded, and tells nothing of single answers.
    """

    __slots__ = ("_seen", "_shapes")

    def __init__(self) -> None:
        self._shapes: list[_Shape] = []  # the one that was met last is the first
        self._seen: dict[tuple[bytes, ...], int] = {}  # status line and lines without values → how often

    def read(self, data: bytes, method: bytes) -> AnswerHead:
        """Read a head.

        Args:
            data: exactly one head, the blank line included.
            method: that of the request.

        Raises:
            HeadError: as `parse_response_head` says.
        """
        if method not in _BODILESS_METHODS:
            shapes = self._shapes
            for shape in shapes:
                found = shape.match(data)
                if found is not None:
                    if shape is not shapes[0]:
                        shapes.remove(shape)
                        shapes.insert(0, shape)
                    return shape.head(found.groups())
        head = parse_response_head(data, method)
        self._learn(data, head, method)
        apart = any(name in _SET_APART for name, _ in head.fields)
        return AnswerHead(head.status, head.version, head.fields, head.keep_alive, head.framing, head.length, apart)

    def _learn(self, data: bytes, head: ResponseHead, method: bytes) -> None:
        """Note a head's shape, and make it one when it has come often enough."""
        if len(self._shapes) >= _MOST_SHAPES or len(data) > _LONGEST or not _is_plain(head, method):
            return
        first, *lines = data.split(b"\r\n")[:-2]
        if not all(line.endswith(value) for line, (_, value) in zip(lines, head.fields, strict=True)):
            return  # blanks follow a value
        prefixes = [line[: len(line) - len(value)] for line, (_, value) in zip(lines, head.fields, strict=True)]
        key = (first, *prefixes)
        seen = self._seen.pop(key, 0) + 1
        if seen < _TIMES:
            if len(self._seen) >= _MOST_SIGHTINGS:
                self._seen.clear()
            self._seen[key] = seen
            return
        names = tuple(name for name, _ in head.fields)
        rows = [re.escape(prefix) + _group(name) for prefix, name in zip(prefixes, names, strict=True)]
        self._shapes.append(_Shape(head.status, names, b"\r\n".join([re.escape(first), *rows, b"", b""])))


def _is_plain(head: ResponseHead, method: bytes) -> bool:
    """Whether heads that differ from this one in values only are understood in the same way."""
    names = [name for name, _ in head.fields]
    framing = names.count(b"content-length") + names.count(b"transfer-encoding")
    rules = {(name, value.lower()) for name, value in head.fields if name in (b"connection", b"transfer-encoding")}
    return (
        head.version == _HTTP_1_1
        and 200 <= head.status <= 599
        and head.status not in _BODILESS_STATUSES
        and method not in _BODILESS_METHODS
        and framing == 1
        and rules <= {(b"connection", b"keep-alive"), (b"transfer-encoding", b"chunked")}
    )


def _group(name: bytes) -> bytes:
    """What a field's value may be in a shape; what rules the message has one way to be written."""
    if name == b"content-length":
        return _LENGTH
    if name == b"transfer-encoding":
        return b"((?i:chunked))"
    if name == b"connection":
        return b"((?i:keep-alive))"
    return _VALUE
