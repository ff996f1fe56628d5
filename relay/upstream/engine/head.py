"""The head of a request, as bytes. Pure."""

from __future__ import annotations

from relay.exchange import Headers

_OWN = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that belong to the connection; whatever a request says of them, relay says what holds."""

_WITH_BODY = ("POST", "PUT", "PATCH")
"""Methods whose requests say how long their body is, even if it is empty (RFC 9110, section 8.6)."""


class UnsafeHead(ValueError):
    """A part of a request would end a line of its head, or the head itself."""


def beginning(method: str, target: str, netloc: str) -> bytes:
    """The part of a head that is the same for all requests to one target.

    Raises:
        UnsafeHead: the target holds a blank or a control character.
    """
    raw = target.encode("utf-8")
    if not raw.startswith(b"/") or any(byte <= 32 or byte == 127 for byte in raw):
        raise UnsafeHead("The target holds a character that cannot be sent.")
    return b"%b %b HTTP/1.1\r\nhost: %b\r\naccept-encoding: identity\r\n" % (
        method.encode("ascii"),
        raw,
        netloc.encode("ascii"),
    )


def complete(begun: bytes, method: str, headers: Headers, length: int) -> bytes:
    """Add a request's own fields and its length.

    Args:
        begun: what `beginning` made.
        method: HTTP method.
        headers: fields, names in lower case; those that belong to the connection are left out.
        length: bytes of the body.

    Raises:
        UnsafeHead: a field holds a line end or a NUL.
    """
    lines = [begun]
    lines += [b"%b: %b\r\n" % field for field in headers if field[0] not in _OWN]
    if length or method in _WITH_BODY:
        lines.append(b"content-length: %d\r\n\r\n" % length)
        ends = len(lines) + 3
    else:
        lines.append(b"\r\n")
        ends = len(lines) + 2
    head = b"".join(lines)
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise UnsafeHead("A header field holds a character that cannot be sent.")
    return head
