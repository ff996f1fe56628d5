"""HTTP/1.1 messages, strict and sans-IO: heads in one pass, and where a body ends.

A gateway that reads a message differently than its neighbours can be made to mix up
requests. So whatever has two readings is refused here, also where a standard lets a
server be lenient: nothing is repaired, joined or guessed.

See: https://www.rfc-editor.org/rfc/rfc9112 (read 2026-11); sections are named where they are followed.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from types import MappingProxyType

import msgspec

from relay.wire.chunks import ChunkedBody
from relay.wire.grammar import (
    CONTROLS,
    FIELD_LIMIT,
    FIRST_LINE_LIMIT,
    FRAMING_FIELDS,
    HEAD_LIMIT,
    FramingError,
    HeadError,
    is_token,
)
from relay.wire.names import STEADY, USUAL, FieldMemo

__all__ = [
    "FIELD_LIMIT",
    "FIRST_LINE_LIMIT",
    "HEAD_LIMIT",
    "ChunkedBody",
    "FieldMemo",
    "Framing",
    "FramingError",
    "HeadError",
    "RequestHead",
    "ResponseHead",
    "find_head_end",
    "parse_request_head",
    "parse_response_head",
]

Version = tuple[int, int]
Fields = tuple[tuple[bytes, bytes], ...]

_HTTP_1_0: Version = (1, 0)
_HTTP_1_1: Version = (1, 1)

_METHODS = frozenset({b"POST", b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"PUT", b"PATCH"})
"""Those that need no further look."""

_NOT_IN_TARGETS = bytes(code for code in range(256) if not 32 < code < 127) + b'"#<>'
"""What must be percent-encoded in a target; a fragment is never sent."""

_LENGTH_DIGITS = 18
"""Digits of a Content-Length; more could overflow elsewhere."""

_HOST = re.compile(
    rb"(?:(?:[!$&'()*+,;=\-._~0-9A-Za-z]++|%[0-9A-Fa-f]{2})++|\[(?P<ipv6>[0-9A-Fa-f:.]++)\])(?::(?P<port>[0-9]{0,5}))?"
)
_HIGHEST_PORT = 65535

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)([^?]*)(\?.*)?")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: |\Z)")
_SLASH = ord("/")
_LISTS = frozenset({b"connection", b"expect"})
_NO_FIELDS: Mapping[bytes, tuple[bytes, bytes]] = MappingProxyType({})

_NOTED_REQUEST_FIELDS = frozenset({b"host", b"connection", b"expect"}) | FRAMING_FIELDS
_NOTED_RESPONSE_FIELDS = frozenset({b"connection"}) | FRAMING_FIELDS


class Framing(enum.Enum):
    """How the end of an answer's body is found."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    EOF = "eof"


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """A request's head that has one reading only.

    Attributes:
        method: a token, as it came: methods are case-sensitive.
        target: path and query; ``*`` for OPTIONS; ``host:port`` for CONNECT.
        version: (1, 0) or (1, 1).
        fields: names in lower case, values without blanks around them, in the order in which they came.
        keep_alive: whether another request may follow.
        length: bytes of the body, 0 when there is none, None when it is chunked.
        chunked: whether the body is chunked.
        expect_continue: whether the client waits for ``100 Continue`` before it sends a body that it has.
        host: host and maybe port that the client addressed; b"" if it is HTTP/1.0 and tells none.
    """

    method: bytes
    target: bytes
    version: Version
    fields: Fields
    keep_alive: bool
    length: int | None
    chunked: bool
    expect_continue: bool
    host: bytes


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """An answer's head that has one reading only.

    Attributes:
        status: 100 to 999.
        version: (1, 0) or (1, 1).
        fields: as in `RequestHead`.
        keep_alive: whether the connection may serve another request after this answer.
        framing: how the body ends; NONE if there is none.
        length: bytes of the body, > 0 with LENGTH and 0 otherwise.
    """

    status: int
    version: Version
    fields: Fields
    keep_alive: bool
    framing: Framing
    length: int


def find_head_end(buffer: bytes | bytearray, start: int = 0) -> int:
    """Find where a head that begins the buffer ends. All calls together are linear in the head's length.

    Args:
        buffer: what came so far.
        start: its length at the last call for the same head.

    Returns:
        The offset behind the blank line, or -1 when it has not come yet.

    Raises:
        HeadError: it is larger than the limits, or a line ends in something else than CRLF.
    """
    end = buffer.find(b"\r\n\r\n", max(start - 3, 0), HEAD_LIMIT)
    if end >= 0:
        return end + 4
    if len(buffer) > FIRST_LINE_LIMIT + 3 and buffer.find(b"\r\n", 2, FIRST_LINE_LIMIT + 4) < 0:
        raise _long_line()
    if len(buffer) >= HEAD_LIMIT:
        raise _large()
    seen = max(start - 1, 0)
    pairs = buffer.count(b"\r\n", seen)
    if buffer.count(b"\n", start) != pairs or buffer.count(b"\r", seen, len(buffer) - 1) != pairs:
        raise _bad("A line of the head does not end in CRLF.")
    return -1


def parse_request_head(data: bytes, memo: FieldMemo | None = None) -> RequestHead:
    """Read a request's head.

    One empty line in front of the request line is skipped, as section 2.2 asks.

    Args:
        data: exactly one head, the blank line included.
        memo: makes heads cheaper that resemble earlier ones; shared by all connections of one side.

    Raises:
        HeadError: it is malformed, ambiguous, or larger than the limits. One answer with its status, then
            close: nothing behind it on the connection can be trusted.
    """
    if data.startswith(b"\r\n"):
        data = data[2:]
    lines = _lines(data)
    method, target, version = _request_line(lines[0])
    fields, noted = _fields(lines, _NOTED_REQUEST_FIELDS, memo)
    host = noted.get(b"host")
    if host is None:
        if version is _HTTP_1_1:
            raise _bad("The Host field is missing.")
        host = b""
    elif not _is_host(host):
        raise _bad("The Host field does not hold a valid host.")
    if target[0] != _SLASH or method == b"CONNECT":
        target, host = _other_target(method, target, host)
    chunked, length = _framing(noted, version)
    keep = _persistent(noted.get(b"connection"), version) and method != b"CONNECT"
    waiting = b"expect" in noted and _waits(noted[b"expect"], version) and length != 0
    return RequestHead(method, target, version, fields, keep, length, chunked, waiting, host)


def parse_response_head(data: bytes, method: bytes, memo: FieldMemo | None = None) -> ResponseHead:
    """Read an answer's head. It has to be asked for each interim answer (1xx) anew.

    Args:
        data: exactly one head, the blank line included.
        method: that of the request; there is no body in answers to HEAD, and a tunnel after CONNECT.
        memo: as for requests.

    Raises:
        HeadError: it is malformed, ambiguous, or larger than the limits; its status says nothing here.
    """
    lines = _lines(data)
    status, version = _status_line(lines[0])
    fields, noted = _fields(lines, _NOTED_RESPONSE_FIELDS, memo)
    chunked, length = _framing(noted, version)
    keep = _persistent(noted.get(b"connection"), version)
    if status < 200 or status == 204:
        # Section 6.1, and RFC 9110 section 8.6: neither may announce a body. Who does may send one.
        if status < 200 and length != 0:
            raise _bad("An interim answer announces a body.")
        return ResponseHead(status, version, fields, keep and length == 0, Framing.NONE, 0)
    if status == 304 or method == b"HEAD" or (method == b"CONNECT" and status < 300):
        return ResponseHead(status, version, fields, keep, Framing.NONE, 0)
    if chunked:
        return ResponseHead(status, version, fields, keep, Framing.CHUNKED, 0)
    if b"content-length" not in noted:
        return ResponseHead(status, version, fields, False, Framing.EOF, 0)
    return ResponseHead(status, version, fields, keep, Framing.LENGTH if length else Framing.NONE, length or 0)


def _lines(data: bytes) -> list[bytes]:
    """Cut a head into its lines, the last two of them empty."""
    lines = data.split(b"\r\n")
    if len(data) > HEAD_LIMIT or len(lines) > FIELD_LIMIT + 3:
        raise _large()
    if len(lines[0]) > FIRST_LINE_LIMIT:
        raise _long_line()
    # A CR and an LF of each line end are the only control characters: there is no bare one, nor a NUL.
    if len(data.translate(None, CONTROLS)) + 2 * (len(lines) - 1) != len(data):
        raise _bad("The head holds a control character, or a line does not end in CRLF.")
    if len(lines) < 3 or lines[-1] or lines[-2]:
        raise _bad("The head is not complete.")
    return lines


def _request_line(line: bytes) -> tuple[bytes, bytes, Version]:
    """Section 3: three words with one space between them."""
    words = line.split(b" ")
    if len(words) != 3:
        raise _bad("The request line does not consist of a method, a target and a version.")
    method, target, protocol = words
    if protocol != b"HTTP/1.1" and protocol != b"HTTP/1.0":
        if _VERSION.fullmatch(protocol):
            raise HeadError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        raise _bad("The request line does not end in an HTTP version.")
    if method not in _METHODS and not is_token(method):
        raise _bad("The method is not a token.")
    if not target or len(target.translate(None, _NOT_IN_TARGETS)) != len(target):
        raise _bad("The target is empty or holds a character that has to be percent-encoded.")
    return method, target, _HTTP_1_1 if protocol == b"HTTP/1.1" else _HTTP_1_0


def _status_line(line: bytes) -> tuple[int, Version]:
    """Section 4; the reason and the space before it may be missing."""
    found = _STATUS.match(line)
    if found is None:
        raise _bad("The answer does not begin with an HTTP/1 status line.")
    return int(found[2]), _HTTP_1_1 if found[1] == b"1" else _HTTP_1_0


def _fields(
    lines: list[bytes], noted_names: frozenset[bytes], memo: FieldMemo | None
) -> tuple[Fields, dict[bytes, bytes]]:
    """Read the field lines; also return, by name, the values of the fields that rule the message."""
    fields: list[tuple[bytes, bytes]] = []
    noted: dict[bytes, bytes] = {}
    known, usual = memo.get if memo is not None else _NO_FIELDS.get, USUAL.get
    for line in lines[1:-2]:
        field = known(line)
        if field is None:
            raw, colon, value = line.partition(b":")
            name = usual(raw)
            value = value.strip()  # blanks and tabs: other white space was refused before
            if name is None or not colon:
                # Section 5.1: no blank before the colon; a line that begins with one has no name.
                if not colon or not is_token(raw):
                    raise _bad("A field line is malformed.")
                name = raw.lower()
                if name in noted_names:
                    noted[name] = value if name not in noted else _joined(name, noted[name], value)
            field = (name, value)
            if memo is not None and name in STEADY:
                memo.keep(line, field)
        fields.append(field)
    return tuple(fields), noted


def _joined(name: bytes, first: bytes, second: bytes) -> bytes:
    """The value of a field that rules the message and came twice; only lists may."""
    if name not in _LISTS:
        raise _bad("A field that may come once came twice.")
    return first + b"," + second


def _other_target(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Sections 3.2.2 to 3.2.4: targets that are no path; the target in the usual form, and the host."""
    if method == b"CONNECT":
        if not _is_host(target) or not target.rpartition(b":")[2].isdigit():
            raise _bad("The target of CONNECT is not a host and a port.")
        return target, host
    if target == b"*" and method == b"OPTIONS":
        return target, host
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not _is_host(found[1]):
        raise _bad("The target is neither a path nor a URL of http or https.")
    if host and host.lower() != found[1].lower():
        raise _bad("The Host field and the target name different hosts.")
    if not found[2] and not found[3]:
        return b"*" if method == b"OPTIONS" else b"/", found[1]
    return (found[2] or b"/") + (found[3] or b""), found[1]


def _is_host(value: bytes) -> bool:
    """Whether this is a name or an address, maybe with a port, as RFC 3986 section 3.2.2 has them."""
    found = _HOST.fullmatch(value)
    if found is None or int(found["port"] or 0) > _HIGHEST_PORT:
        return False
    return found["ipv6"] is None or _is_ipv6(found["ipv6"])


def _is_ipv6(text: bytes) -> bool:
    try:
        IPv6Address(text.decode("ascii"))
    except ValueError:
        return False
    return True


def _framing(noted: dict[bytes, bytes], version: Version) -> tuple[bool, int | None]:
    """Sections 6.1 to 6.3: whether the body is chunked, else its length; 0 where nothing is said."""
    coding, length = noted.get(b"transfer-encoding"), noted.get(b"content-length")
    if coding is None:
        if length is None:
            return False, 0
        if not length.isdigit():
            raise _bad("The Content-Length is not a number.")
        if len(length) > _LENGTH_DIGITS:
            raise HeadError(413, "The Content-Length is larger than any limit.")
        return False, int(length)
    if length is not None:
        raise _bad("Content-Length and Transfer-Encoding exclude each other.")
    if version is _HTTP_1_0:
        raise _bad("HTTP/1.0 has no Transfer-Encoding.")
    if coding.lower() != b"chunked":
        raise HeadError(501, "The only Transfer-Encoding is chunked, once.")
    return True, None


def _persistent(connection: bytes | None, version: Version) -> bool:
    """Section 9.3; Proxy-Connection means nothing."""
    if connection is None:
        return version is _HTTP_1_1
    connection = connection.lower()
    if connection == b"keep-alive":
        return True
    options = {option.strip() for option in connection.split(b",")}
    return b"close" not in options and (version is _HTTP_1_1 or b"keep-alive" in options)


def _waits(expect: bytes, version: Version) -> bool:
    """RFC 9110 section 10.1.1: whether a client waits for leave to send the body."""
    if expect.lower() != b"100-continue":
        raise HeadError(417, "The only expectation that can be met is 100-continue.")
    return version is _HTTP_1_1


def _large() -> HeadError:
    return HeadError(431, f"The head is larger than {HEAD_LIMIT} bytes or has more than {FIELD_LIMIT} fields.")


def _long_line() -> HeadError:
    return HeadError(414, f"The first line is longer than {FIRST_LINE_LIMIT} bytes.")


def _bad(message: str) -> HeadError:
    return HeadError(400, message)
