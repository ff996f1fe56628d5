"""A provider file that says everything, routes that do, and ways to spoil them."""

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

_DEPLOYMENT: dict[str, Any] = {"provider": "echo", "model": "a"}

ROUTED: dict[str, Any] = {
    "providers": ["echo", {"name": "two", "file": "echo", "concurrency": 3}],
    "defaultRoute": "main",
    "routes": {
        "main": {
            "deployments": [
                {
                    **_DEPLOYMENT,
                    "name": "first",
                    "weight": 3,
                    "priority": 1,
                    "concurrency": 4,
                    "rateLimit": {"requestsPerMinute": 5, "burst": 2},
                    "timeouts": {"connect": 1.5},
                    "drained": False,
                },
                {"provider": "two"},
            ],
            "strategy": "latency",
            "aliases": ["best"],
            "hidden": True,
            "fallbacks": ["small"],
            "contextFallbacks": ["long"],
            "policyFallbacks": ["small", "long"],
            "retry": {"attempts": 3, "backoff": 0.25, "ceiling": 4},
            "breaker": {"failures": 3, "ratio": 0.25, "window": 9, "least": 5, "cooldown": 5, "slowStart": 0},
            "hedge": {"after": 1.5, "share": 0.5},
            "mirror": {"provider": "two", "model": "b", "share": 0.5},
            "disconnect": {"mode": "drain", "seconds": 5, "tokens": 100},
            "concurrency": 9,
            "queue": {"size": 5, "wait": 2},
            "sticky": {"by": "header", "header": "x-session"},
            "deadline": 60,
            "timeouts": {"total": 50},
        },
        "small": {"deployments": [{**_DEPLOYMENT, "model": "s"}], "disconnect": {"mode": "finish"}},
        "long": {"deployments": [{**_DEPLOYMENT, "model": "l"}], "sticky": {"by": "prompt"}},
        "gpt-*": {"deployments": [{"provider": "two"}], "fallbacks": ["main"]},
    },
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
