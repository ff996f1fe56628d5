"""Errors inside a stream of the Responses API."""

from __future__ import annotations

import msgspec

from relay.dialects.openai.errors import error_object
from relay.errors import RelayError


def error_event(error: RelayError, sequence_number: int) -> bytes:
    """Render an error event.

    The reference has ``code`` and ``message`` at the top; what OpenAI sends, and what its SDKs raise
    on, is an ``error`` object. Both are there, so that a client of either kind sees the error.
    """
    inner = error_object(error)
    event = {
        "type": "error",
        "sequence_number": sequence_number,
        "code": inner["code"],
        "message": inner["message"],
        "param": inner["param"],
        "error": inner,
    }
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"
