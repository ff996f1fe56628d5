"""Errors in Anthropic's shape: ``{"type": "error", "error": {"type", "message"}, "request_id"}``.

See: https://docs.claude.com/en/api/errors (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.errors import RelayError

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    431: "request_too_large",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def render_error(error: RelayError, request_id: str) -> bytes:
    """Render the JSON body of an error answer."""
    status = error.http_status
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    body = {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": request_id or None}
    return msgspec.json.encode(body)


def stream_error(error: RelayError, request_id: str) -> bytes:
    """Render an error event; the stream ends behind it."""
    return b"event: error\ndata: " + render_error(error, request_id) + b"\n\n"
