"""Reading a provider's JSON without trusting it: what is not as expected counts as absent."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec


def load(data: bytes) -> object:
    """Decode JSON, also with lone surrogates or NaN in it; None if it is no JSON at all.

    Some providers cut an emoji's two escapes apart between chunks; only the standard library reads that.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value


def mapping(value: object) -> Mapping[str, object]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[object]:
    """The value if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def count(source: Mapping[str, object], *names: str) -> int | None:
    """The first of the named fields that holds a whole number of at least 0, else None."""
    for name in names:
        value = source.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None
