"""Field names as they are usually written, so that most need neither a check nor a change."""

from __future__ import annotations

from collections.abc import Mapping

_FIELDS = (
    *("Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Type", "User-Agent", "X-Api-Key"),
    *("Anthropic-Beta", "Anthropic-Version", "OpenAI-Beta", "OpenAI-Organization", "OpenAI-Project", "X-Request-Id"),
    *("X-Stainless-Arch", "X-Stainless-Async", "X-Stainless-Helper-Method", "X-Stainless-Lang", "X-Stainless-OS"),
    *("X-Stainless-Package-Version", "X-Stainless-Read-Timeout", "X-Stainless-Retry-Count", "X-Stainless-Runtime"),
    *("X-Stainless-Runtime-Version", "X-Stainless-Timeout", "Origin", "Referer", "Traceparent", "Tracestate"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip", "Via"),
    *("X-Goog-Api-Key", "X-Goog-Api-Client", "Api-Key", "Idempotency-Key", "Cache-Control", "Pragma", "Cookie"),
    *("Alt-Svc", "CF-Cache-Status", "CF-RAY", "Content-Encoding", "Date", "Last-Modified", "Server", "Set-Cookie"),
    *("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Retry-After", "Server-Timing", "Vary"),
    *("OpenAI-Model", "OpenAI-Processing-Ms", "OpenAI-Version", "Strict-Transport-Security", "Request-Id"),
    *("X-Content-Type-Options", "X-Frame-Options", "X-RateLimit-Limit-Requests", "X-RateLimit-Limit-Tokens"),
    *("X-RateLimit-Remaining-Requests", "X-RateLimit-Remaining-Tokens", "X-RateLimit-Reset-Requests"),
    *("X-RateLimit-Reset-Tokens", "X-Envoy-Upstream-Service-Time", "X-Accel-Buffering", "Keep-Alive"),
)
USUAL: Mapping[bytes, bytes] = {
    form.encode("ascii"): name.lower().encode("ascii")
    for name in _FIELDS
    for form in (name, name.lower(), name.title())
}
"""Names as clients and providers write them → in lower case: one look-up instead of a check and a change."""

STEADY = frozenset(
    name.lower().encode("ascii")
    for name in (
        *("Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "User-Agent", "Anthropic-Version"),
        *("Anthropic-Beta", "OpenAI-Beta", "X-Stainless-Arch", "X-Stainless-Async", "X-Stainless-Helper-Method"),
        *("X-Stainless-Lang", "X-Stainless-OS", "X-Stainless-Package-Version", "X-Stainless-Read-Timeout"),
        *("X-Stainless-Retry-Count", "X-Stainless-Runtime", "X-Stainless-Runtime-Version", "X-Stainless-Timeout"),
        *("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Alt-Svc", "Cache-Control"),
        *("CF-Cache-Status", "OpenAI-Version", "Server", "Strict-Transport-Security", "Vary", "X-Accel-Buffering"),
        *("X-Content-Type-Options", "X-Frame-Options", "X-RateLimit-Limit-Requests", "X-RateLimit-Limit-Tokens"),
    )
)
"""Names whose values are the same in nearly every message, and no secret."""

_MOST_LINES = 512
_LONGEST_LINE = 160


class FieldMemo:
    """Field lines that came before, already understood: the same clients send the same lines again and again.

    A head whose lines are known is read in three quarters of the time. It holds no credentials and
    nothing that tells requests apart; it is bounded, and begins anew when it is full.

    Attributes:
        get: a line's name and value, or None if it is not known.
    """

    __slots__ = ("_lines", "get")

    def __init__(self) -> None:
        self._lines: dict[bytes, tuple[bytes, bytes]] = {}
        self.get = self._lines.get

    def keep(self, line: bytes, field: tuple[bytes, bytes]) -> None:
        """Remember a line, if it is not too long.

        Args:
            line: without its line end; checked.
            field: its name, which is one of `STEADY`, and its value.
        """
        if len(line) <= _LONGEST_LINE:
            if len(self._lines) >= _MOST_LINES:
                self._lines.clear()
            self._lines[line] = field
