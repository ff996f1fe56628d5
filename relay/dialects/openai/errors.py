"""Errors in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``.

The SDKs choose their exception by status; ``type`` and ``code`` are what OpenAI itself sends with it:
a wrong key, a forbidden or unknown model and an unknown path are all ``invalid_request_error``.
See: https://platform.openai.com/docs/guides/error-codes (read 2026-11).
"""

from __future__ import annotations

import msgspec

from relay.errors import BudgetExceeded, RateLimited, RelayError


def error_object(error: RelayError) -> dict[str, str | None]:
    """The inner object of an error answer."""
    return {"message": error.message, "type": _type(error), "param": error.param, "code": error.code}


def render_error(error: RelayError, _request_id: str) -> bytes:
    """Render the JSON body of an error answer; the request id travels in a header."""
    return msgspec.json.encode({"error": error_object(error)})


def stream_error(error: RelayError, request_id: str) -> bytes:
    """Render an error chunk; the stream ends behind it, without ``[DONE]``."""
    return b"data: " + render_error(error, request_id) + b"\n\n"


def _type(error: RelayError) -> str:
    """OpenAI's word for the kind of error."""
    if isinstance(error, RateLimited):
        return "requests"  # what was counted
    if isinstance(error, BudgetExceeded):
        return "insufficient_quota"
    if error.http_status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if error.http_status < 500 else "server_error"
