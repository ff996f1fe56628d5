"""Which dialect a caller speaks, told by the path and, where that is open, by its headers."""

from __future__ import annotations

from urllib.parse import unquote

from relay.endpoints import ENDPOINTS, FORWARDED
from relay.exchange import Headers

PREFIX = "/v1"

_BEGINNINGS = {"/v1beta/": "gemini", "/api/": "ollama", "/v2/": "cohere"}
"""Beginning of a path → the dialect that has such paths."""

STREAM = "streamGenerateContent"
ACTIONS = {
    "generateContent": "generateContent",
    STREAM: "generateContent",
    "countTokens": "countTokens",
    "embedContent": "embedContent",
    "batchEmbedContents": "batchEmbedContents",
}
"""What a path ends in, behind a colon, that only Gemini's clients call → action of the canonical endpoint."""


def front(path: str, headers: Headers) -> str:
    """Name of the dialect in which this caller understands an error.

    Args:
        path: the raw path, without the query.
        headers: the request's fields, names in lower case.
    """
    canonical = path.rstrip("/")
    endpoint = ENDPOINTS.get(canonical)
    if endpoint is not None and endpoint.public:
        return endpoint.front
    for beginning, dialect in _BEGINNINGS.items():
        if path.startswith(beginning):
            return dialect
    if not canonical.startswith(f"{PREFIX}/"):
        canonical = PREFIX + canonical
    if canonical in FORWARDED:
        return FORWARDED[canonical].front
    _, colon, action = unquote(canonical).rpartition(":")
    if colon and action in ACTIONS:
        return "gemini"
    names = {name for name, _ in headers}
    if canonical.startswith(f"{PREFIX}/messages/") or b"anthropic-version" in names:
        return "anthropic"
    if b"x-goog-api-key" in names:
        return "gemini"
    return "openai"
