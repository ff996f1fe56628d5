"""JSON text of what a provider may have cut in the middle of a character."""

from __future__ import annotations

import json

import msgspec

_encode = msgspec.json.Encoder().encode


def quoted(text: str) -> bytes:
    """A string as JSON text.

    Half of a surrogate pair, which some providers send when they cut an emoji apart, is written as the
    escape that it came as: two such halves make the whole character again when their texts are joined.
    """
    try:
        return _encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode("ascii")


def dumped(value: object) -> bytes:
    """Any JSON value as JSON text, with the same care."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode("ascii")


def compact(data: bytes) -> bytes:
    """JSON text on one line, as a frame of a stream needs it; a client may have written it on several."""
    return msgspec.json.format(data, indent=-1) if b"\n" in data or b"\r" in data else data
