"""Errors as Google tells them: read, and rendered for its clients.

See: https://cloud.google.com/apis/design/errors and https://ai.google.dev/gemini-api/docs/troubleshooting
(read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from relay.dialects import faults
from relay.dialects.gemini.parts import dump
from relay.dialects.lenient import load, mapping, sequence, text
from relay.errors import RelayError

_STATUS: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def read_error(body: bytes) -> tuple[str, str]:
    """Message and code of an error answer; a refused key is told as such, whatever its status says.

    Google answers a bad key with 400 and ``INVALID_ARGUMENT``; the details say ``API_KEY_INVALID``.
    """
    message, code = faults.read_error(body)
    if b"API_KEY_INVALID" in body and any(detail.get("reason") == "API_KEY_INVALID" for detail in _details(body)):
        return message, "UNAUTHENTICATED"
    return message, code


def retry_after(body: bytes) -> float | None:
    """Seconds that an error answer asks to wait, in its ``RetryInfo``; None if it does not say. Never raises."""
    for detail in _details(body):
        if not text(detail.get("@type")).endswith("google.rpc.RetryInfo"):
            continue
        delay = detail.get("retryDelay")
        match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
        if match:
            return float(match[1])
        parts = mapping(delay)  # protobuf clients show durations so
        seconds, nanos = parts.get("seconds", 0), parts.get("nanos", 0)
        if parts and isinstance(seconds, int) and isinstance(nanos, int) and 0 <= seconds < 1 << 30:
            return seconds + nanos / 1e9
    return None


def _details(body: bytes) -> list[Mapping[str, object]]:
    value = load(body)
    if isinstance(value, list) and value:
        value = value[0]
    return [mapping(detail) for detail in sequence(mapping(mapping(value).get("error")).get("details"))]


def render_error(error: RelayError, _request_id: str) -> bytes:
    """Render the JSON body of an error answer; the request id travels in a header."""
    status = error.http_status
    word = _STATUS.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return dump({"error": {"code": status, "message": error.message, "status": word}})


def stream_error(error: RelayError, request_id: str) -> bytes:
    """Render an error chunk; the stream ends behind it."""
    return b"data: " + render_error(error, request_id) + b"\r\n\r\n"
