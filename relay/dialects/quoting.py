"""JSON text of strings that a provider's escapes may have left with lone surrogates.

UTF-8 has no form for half an emoji. In a stream the other half may come with the next chunk, so the
half is written as the escape that it came as; in a whole answer halves are joined, or replaced.
"""

from __future__ import annotations

import json

import msgspec


def quoted(text: str) -> bytes:
    """A JSON string, for a piece of a stream."""
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode("ascii")


def encode(value: object) -> bytes:
    """JSON text of any value that `msgspec` encodes, lone surrogates mended."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_mended(value))


def mended(text: str) -> str:
    """The text with surrogate pairs joined and lone ones replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mended(value: object) -> object:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, dict):
        return {_mended(name): _mended(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(member) for member in value]
    return value
