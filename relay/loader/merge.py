"""Lay an entry of the config file over a provider file."""

from __future__ import annotations

from collections.abc import Mapping

from relay.loader.place import fold

_WHOLE = ("vars",)
"""Objects whose members replace each other as a whole: a variable's parts belong together."""

_SOURCES = ("env", "file", "keys")
_SOURCED = ("auth", "accessKeyId", "sessionToken")
"""Objects that say where a secret is kept."""


def overlay(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """What a provider file says once an entry has been laid over it.

    Objects are merged key by key, at any depth; everything else is replaced. Keys of
    ``headers`` and ``endpoints`` meet as they mean the same. A source of the credential
    replaces the other source.

    Args:
        below: the provider file; not changed.
        above: the entry; not changed.
    """
    return _merge(below, above, None)


def _merge(below: Mapping[str, object], above: Mapping[str, object], parent: str | None) -> dict[str, object]:
    merged = dict(below)
    if parent in _SOURCED and any(source in above for source in _SOURCES):
        merged = {key: value for key, value in merged.items() if key not in _SOURCES}
    for key, value in above.items():
        own = next((known for known in merged if fold(parent, known) == fold(parent, key)), key)
        old = merged.get(own)
        if isinstance(old, dict) and isinstance(value, dict) and parent not in _WHOLE:
            merged[own] = _merge(old, value, key)
        else:
            merged[own] = value
    return merged
