"""The head of a request, as bytes. Pure."""

from __future__ import annotations

from relay.exchange import Headers, UpstreamRequest

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


MOST = 1024
"""Heads that are remembered; model names in targets, and some fields, come from clients, so there is a bound."""

_LONGEST = 2048
"""Bytes of a head that is remembered."""


class UnsafeHead(ValueError):
    """A part of a request would end a line of its head, or the head itself."""


class RequestHeads:
    """Composes the heads of requests to one origin, and remembers what is the same in many.

    It is bounded, begins anew when it is full, and remembers nothing with a client's own key in it.

    Args:
        netloc: host and port, for the ``Host`` field.
    """

    __slots__ = ("_begun", "_netloc")

    def __init__(self, netloc: str) -> None:
        self._netloc = netloc
        self._begun: dict[tuple[str, str, Headers], bytes] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._begun)

    def compose(self, request: UpstreamRequest, length: int | None) -> bytes:
        """Compose a head.

        Args:
            request: its fields have names in lower case; those that belong to the connection are left out.
            length: bytes of its body; None if it comes in chunks.

        Raises:
            UnsafeHead: the target holds a blank or a control character, or a field a line end or a NUL.
        """
        key = (request.method, request.target, request.headers)
        begun = self._begun.get(key)
        if begun is None:
            begun = _begin(*key, self._netloc)
            if len(begun) <= _LONGEST and (request.own_credential or request.credential is None):
                if len(self._begun) >= MOST:
                    self._begun.clear()
                self._begun[key] = begun
        if length is None:
            return begun + b"transfer-encoding: chunked\r\n\r\n"
        if length or request.method in _WITH_BODY:
            return b"%bcontent-length: %d\r\n\r\n" % (begun, length)
        return begun + b"\r\n"


def _begin(method: str, target: str, headers: Headers, netloc: str) -> bytes:
    """The head but for the length and the blank line."""
    raw = target.encode("utf-8")
    if not raw.startswith(b"/") or any(byte <= 32 or byte == 127 for byte in raw):
        raise UnsafeHead("The target holds a character that cannot be sent.")
    lines = [
        b"%b %b HTTP/1.1\r\n" % (method.encode("ascii"), raw),
        b"host: %b\r\n" % netloc.encode("ascii"),
        b"accept-encoding: identity\r\n",
    ]
    lines += [b"%b: %b\r\n" % field for field in headers if field[0] not in _OWN]
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        raise UnsafeHead("A header field holds a character that cannot be sent.")
    return head
