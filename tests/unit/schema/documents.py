"""A provider file that says everything, and ways to spoil it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

RICH: dict[str, Any] = {
    "name": "p",
    "baseUrl": "https://api.example",
    "dialect": "openai",
    "port": 8000,
    "headers": {"x-a": "b"},
    "auth": {"scheme": "query", "env": "K", "parameter": "k"},
    "vars": {"A": "a", "B": {"env": "B", "default": "b"}},
    "modelMapping": {"a": "b"},
    "models": ["a"],
    "endpoints": {"/v1/embeddings": {"upstreamPath": "/e", "rateLimit": {"burst": 1}, "streamSupport": False}},
    "params": [{"name": "a", "min": 0.5, "default": None}],
    "rateLimit": {"requestsPerMinute": 5},
    "streamConfig": {"bufferSize": 8192, "heartbeatIntervalSecs": 1.5},
    "timeouts": {"total": 9},
    "prices": {"m": {"input": 1}},
    "quirks": ["no-stream-usage"],
}

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**10)
    | st.floats(-1, 1e6)
    | st.text(max_size=5)
    | st.just("/v1/rerank"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def positions(value: object, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document but the whole."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[tuple[Any, ...]] = []
    for key, child in children:
        found += [(*keys, key), *positions(child, (*keys, key))]
    return found


def changed(document: Any, keys: tuple[Any, ...], value: object) -> Any:
    """A copy of a document with one value replaced."""
    if not keys:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[keys[0]] = changed(document[keys[0]], keys[1:], value)
    return copy
