"""Which dialect a caller speaks, told by the path and, where that is open, by its headers."""

from __future__ import annotations

import re

from relay.endpoints import ENDPOINTS, FORWARDED
from relay.exchange import Headers

PREFIX = "/v1"

_BEGINNINGS = {"/v1beta/": "gemini", "/api/": "ollama", "/v2/": "cohere"}
"""Beginning of a path → the dialect that has such paths."""


_ACTION = re.compile(r"(:|%3A)(stream)?(g|G)enerateContent$|(:|%3A)(countTokens|embedContent|batchEmbedContents)$")
"""The end of a path that only Gemini's clients call."""


def front(path: str, headers: Headers) -> str:
    """Name of the dialect in which this caller understands an error.

    Args:
        path: the raw path, without the query.
        headers: the request's fields, names in lower case.
    """
    canonical = path.rstrip("/")
    if canonical in ENDPOINTS:
        return ENDPOINTS[canonical].front
    for beginning, dialect in _BEGINNINGS.items():
        if path.startswith(beginning):
            return dialect
    if _ACTION.search(canonical):
        return "gemini"
    if not canonical.startswith(f"{PREFIX}/"):
        canonical = PREFIX + canonical
    if canonical in FORWARDED:
        return FORWARDED[canonical].front
    names = {name for name, _ in headers}
    if canonical.startswith(f"{PREFIX}/messages/") or b"anthropic-version" in names:
        return "anthropic"
    if b"x-goog-api-key" in names:
        return "gemini"
    return "openai"
