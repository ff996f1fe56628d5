"""What HTTP/1.1 messages are made of: characters, bounds, and the two ways in which a message can be wrong.

See: https://www.rfc-editor.org/rfc/rfc9110#section-5.6 and https://www.rfc-editor.org/rfc/rfc9112 (read 2026-11).
"""

from __future__ import annotations

import string

HEAD_LIMIT = 64 * 1024
"""Bytes of a head, its first line and the blank line included."""

FIRST_LINE_LIMIT = 16 * 1024
"""Bytes of a request line or status line."""

FIELD_LIMIT = 200
"""Fields of a head."""

EXTENSION_LIMIT = 1024
"""Bytes of a chunk's size line, its extensions included."""

TRAILER_LIMIT = 8 * 1024
"""Bytes of a trailer section."""

HEX = string.hexdigits.encode("ascii")

TOKEN = b"!#$%&'*+-.^_`|~" + (string.ascii_letters + string.digits).encode("ascii")
"""The characters of methods and field names."""

CONTROLS = bytes(code for code in (*range(32), 127) if code != ord("\t"))
"""What no field value may hold. A tab may stand in one; bytes above 127 may, too, and mean nothing here."""

FRAMING_FIELDS = frozenset({b"content-length", b"transfer-encoding"})
"""The fields that say where a body ends."""


class HeadError(Exception):
    """A head that is not accepted; nothing behind it on the connection can be trusted.

    Attributes:
        status: the answer, if it is a request's head: 400, 413, 414, 417, 431, 501 or 505.
        message: what is wrong, fit for clients; it repeats nothing of the head.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class FramingError(Exception):
    """A chunked body that breaks the coding; the text is fit for clients and repeats nothing of the body."""


def is_token(text: bytes) -> bool:
    """Whether these bytes may be a method or a field name."""
    return bool(text) and not text.translate(None, TOKEN)
