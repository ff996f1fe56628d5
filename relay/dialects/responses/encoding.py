"""JSON text as a frame of a stream needs it."""

from __future__ import annotations

import msgspec


def compact(data: bytes) -> bytes:
    """JSON text on one line; a client may have written it on several."""
    return msgspec.json.format(data, indent=-1) if b"\n" in data or b"\r" in data else data
