"""Where the parts of a multipart body stand, found while the body passes by.

An upload is forwarded as it came, so nothing is taken apart: the scanner remembers
offsets, and the values of the few text fields that relay itself reads. It is strict,
because whoever reads the body behind relay must come to the same result.

See: https://www.rfc-editor.org/rfc/rfc7578 and
https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1
"""

from __future__ import annotations

import enum
import re

import attrs
from multipart import parse_content_disposition

HEADER_LIMIT = 8 * 1024
"""Largest header block of one part."""

PART_LIMIT = 1000
"""Most parts in one body."""

VALUE_LIMIT = 64 * 1024
"""Largest value that is kept."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_TOKEN = r"[0-9A-Za-z!#$%&'*+.^_`|~-]+"  # noqa: S105 - a token in the sense of RFC 9110
_OPTION = re.compile(rf'; *(?:([\w-]+) *= *({_TOKEN}|"(?:[^"\\]|\\.)*")|([\w-]+\*) *= *({_TOKEN}))', re.ASCII)
_OPTIONS = re.compile(rf"[0-9A-Za-z/.+-]+ *(?:{_OPTION.pattern} *)*", re.ASCII)
_FIELD_NAME = re.compile(r"[0-9A-Za-z_-]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")


@attrs.frozen
class Part:
    """One part of a multipart body.

    Attributes:
        name: the field's name.
        filename: the file's name as the client gave it, or None for a text field.
        start: offset of the content's first byte in the body.
        end: offset behind its last byte.
        value: the decoded content of a kept field, else None.
    """

    name: str
    filename: str | None
    start: int
    end: int
    value: str | None = None


def boundary_of(content_type: str) -> bytes:
    """Read the boundary out of a ``multipart/form-data`` content type.

    Raises:
        ValueError: there is none, there are two, or it breaks the grammar of RFC 2046.
    """
    boundary = _options(content_type, "The Content-Type").get("boundary", "").strip('"')
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError("The Content-Type has no valid multipart boundary.")
    return boundary.encode("ascii")


class _State(enum.Enum):
    """What comes next: the first boundary, a header line, content, the rest of a boundary, or only blanks."""

    OPENING = "opening"
    HEADERS = "headers"
    CONTENT = "content"
    BOUNDARY = "boundary"
    EPILOGUE = "epilogue"


class MultipartScanner:
    """Walks one multipart body, however it is sliced, and remembers its parts.

    ``OPENING → HEADERS → CONTENT → BOUNDARY → HEADERS …`` and from the last
    ``BOUNDARY`` to ``EPILOGUE``. After a `ValueError` it takes no more.

    Args:
        boundary: from `boundary_of`.
        keep: names of one-line text fields whose values are wanted. Each may occur
            once, without a file name, in UTF-8.

    Attributes:
        ahead: the kept fields that came before the first part with a file name; None until that begins.
    """

    def __init__(self, boundary: bytes, keep: frozenset[str]) -> None:
        self.ahead: frozenset[str] | None = None
        self._delimiter = b"\r\n--" + boundary
        self._keep = keep
        self._parts: list[Part] = []
        self._kept: set[str] = set()
        self._state = _State.OPENING
        # The first boundary has to begin a line; the line end before it is not in the body.
        self._buffer = bytearray(b"\r\n")
        self._base = -2  # offset in the body of the buffer's first byte
        self._at = 0  # how much of the buffer is understood
        self._searched = 0  # how much of it holds no line end
        self._header = _Header()
        self._start = 0
        self._value = bytearray()

    def feed(self, data: bytes) -> tuple[Part, ...]:
        """Take the next bytes of the body and return the parts that they complete.

        Raises:
            ValueError: not a multipart body as RFC 7578 has it, or a bound is passed;
                the message is fit for the client.
        """
        known = len(self._parts)
        self._buffer += data
        while self._at < len(self._buffer) and self._step():
            pass
        del self._buffer[: self._at]
        self._base += self._at
        self._searched = max(0, self._searched - self._at)
        self._at = 0
        return tuple(self._parts[known:])

    def end(self) -> tuple[Part, ...]:
        """Say that the body is complete and return all its parts in order.

        Raises:
            ValueError: the closing boundary has not come.
        """
        if self._state is not _State.EPILOGUE:
            raise ValueError("The multipart body ends before its closing boundary.")
        return tuple(self._parts)

    def _step(self) -> bool:
        """Go on as far as the buffer allows; False when more bytes are needed."""
        match self._state:
            case _State.OPENING:
                return self._open()
            case _State.HEADERS:
                return self._read_header()
            case _State.CONTENT:
                return self._pass_content()
            case _State.BOUNDARY:
                return self._pass_boundary()
            case _State.EPILOGUE:
                if self._buffer[self._at :].strip(b"\r\n \t"):
                    raise ValueError("Bytes follow the closing boundary of the multipart body.")
                self._at = len(self._buffer)
                return False

    def _open(self) -> bool:
        if len(self._buffer) < 3:
            return False
        if self._buffer[2:3] == b"\r":
            self._at = 2  # the line end is in the body after all
        self._state = _State.BOUNDARY
        return True

    def _pass_boundary(self) -> bool:
        after = self._at + len(self._delimiter)
        if not self._delimiter.startswith(bytes(self._buffer[self._at : after])):
            raise ValueError("The multipart body does not begin with its boundary.")
        tail = bytes(self._buffer[after : after + 2])
        if tail in (b"", b"\r", b"-"):
            return False
        if tail == b"--" and self._parts:
            self._state = _State.EPILOGUE
        elif tail == b"\r\n":
            if len(self._parts) == PART_LIMIT:
                raise ValueError(f"The multipart body has more than {PART_LIMIT} parts.")
            self._state = _State.HEADERS
            self._header = _Header()
        else:
            raise ValueError("A boundary of the multipart body is malformed, or there is no part.")
        self._at = after + 2
        return True

    def _read_header(self) -> bool:
        end = self._buffer.find(b"\r\n", max(self._at, self._searched - 1))
        size = (len(self._buffer) if end < 0 else end + 2) - self._at
        if self._header.size + size > HEADER_LIMIT:
            raise ValueError(f"The headers of a part are larger than {HEADER_LIMIT} bytes.")
        if end < 0:
            self._searched = len(self._buffer)
            return False
        if end > self._at:
            self._header.add(bytes(self._buffer[self._at : end]))
        else:
            self._header.check(self._keep)
            self._begin_content(self._base + end + 2)
        self._at = end + 2
        return True

    def _begin_content(self, offset: int) -> None:
        name = self._header.name
        if name in self._kept:
            raise ValueError(f"The form field {name!r} is given twice.")
        if name in self._keep:
            self._kept.add(name)
        if self.ahead is None and self._header.filename is not None:
            self.ahead = frozenset(self._kept)
        self._state = _State.CONTENT
        self._start = offset
        self._value.clear()

    def _pass_content(self) -> bool:
        end = self._buffer.find(self._delimiter, self._at)
        if end >= 0:
            self._collect(end)
            self._parts.append(self._finished())
            self._state = _State.BOUNDARY
            return True
        # Only what may be the delimiter's beginning, at the very end, waits for more.
        end = self._buffer.rfind(b"\r", max(self._at, len(self._buffer) - len(self._delimiter) + 1))
        if end < 0 or not self._delimiter.startswith(bytes(self._buffer[end:])):
            end = len(self._buffer)
        self._collect(end)
        return False

    def _collect(self, end: int) -> None:
        """Pass over content up to a place in the buffer, keeping it if it is wanted."""
        if self._header.name in self._keep:
            if len(self._value) + end - self._at > VALUE_LIMIT:
                raise ValueError(f"The form field {self._header.name!r} is larger than {VALUE_LIMIT} bytes.")
            self._value += self._buffer[self._at : end]
        self._at = end

    def _finished(self) -> Part:
        header = self._header
        end = self._base + self._at
        if header.length is not None and header.length != end - self._start:
            raise ValueError("The Content-Length of a part is not its length.")
        value = _text(header.name, bytes(self._value)) if header.name in self._keep else None
        return Part(header.name, header.filename, self._start, end, value)


class _Header:
    """The header block of one part, line by line."""

    def __init__(self) -> None:
        self.size = 0
        self.name = ""
        self.filename: str | None = None
        self.length: int | None = None
        self._fields: dict[str, str] = {}

    def add(self, line: bytes) -> None:
        """Take one header line without its line end."""
        self.size += len(line) + 2
        try:
            name, colon, value = line.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            raise ValueError("A header of a part is not UTF-8.") from None
        name, value = name.lower(), value.strip(" \t")
        if not colon or not _FIELD_NAME.fullmatch(name) or _CONTROLS.search(value):
            raise ValueError("A header of a part is malformed.")
        if name in self._fields:
            raise ValueError(f"A part has the header {name!r} twice.")
        self._fields[name] = value

    def check(self, keep: frozenset[str]) -> None:
        """Understand the block, once its blank line has come."""
        if "content-transfer-encoding" in self._fields:
            raise ValueError("A part has a Content-Transfer-Encoding, which RFC 7578 forbids in forms.")
        self._read_disposition(self._fields.get("content-disposition", ""))
        length = self._fields.get("content-length")
        if length is not None:
            if not re.fullmatch(r"0|[1-9][0-9]{0,17}", length):
                raise ValueError("The Content-Length of a part is not a number.")
            self.length = int(length)
        if self.name in keep:
            content_type = self._fields.get("content-type", "text/plain")
            charset = _options(content_type, "The Content-Type of a part").get("charset", "utf-8")
            if self.filename is not None or charset.strip('"').lower() not in _PLAIN_CHARSETS:
                raise ValueError(f"The form field {self.name!r} must be UTF-8 text without a file name.")

    def _read_disposition(self, value: str) -> None:
        options = _options(value, "The Content-Disposition of a part")
        kind, name, filename = parse_content_disposition(value)
        if kind != "form-data" or name is None or "\\" in options["name"] or "name*" in options:
            raise ValueError("A part is not form-data with a plain name.")
        self.name = name
        self.filename = filename if filename is not None else options.get("filename*")


def _text(name: str, data: bytes) -> str:
    """Decode the value of a kept field."""
    try:
        value = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"The form field {name!r} is not UTF-8.") from None
    if _CONTROLS.search(value):
        raise ValueError(f"The form field {name!r} must be one line of text.")
    return value


def _options(value: str, what: str) -> dict[str, str]:
    """Read the options of a header value, still quoted; names in lower case.

    The library's parser skips what it does not understand. Here the value must be
    well-formed from end to end, so that skipping cannot hide anything.

    Raises:
        ValueError: it is malformed, or an option is given twice.
    """
    if not _OPTIONS.fullmatch(value):
        raise ValueError(f"{what} is missing or malformed.")
    options: dict[str, str] = {}
    for plain, value_of_plain, extended, value_of_extended in _OPTION.findall(value):
        name = (plain or extended).lower()
        if name in options:
            raise ValueError(f"{what} has an option twice.")
        options[name] = value_of_plain or value_of_extended
    return options
