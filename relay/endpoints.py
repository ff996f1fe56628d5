"""The public paths that relay forwards, as one table."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class BodyKind(enum.Enum):
    """Which request bodies an endpoint takes."""

    JSON = "json"
    MULTIPART = "multipart"
    EITHER = "either"


class Operation(enum.Enum):
    """What an endpoint does; front and back of one operation can be translated into each other."""

    CHAT = "chat"
    EMBED = "embed"
    RANK = "rank"
    COUNT = "count"


@attrs.frozen
class Endpoint:
    """One path that is forwarded to a provider.

    Attributes:
        path: the canonical path; also its name in logs, metrics and provider files. ``{model}`` in it
            stands for the model's name.
        front: name of the dialect that its clients speak.
        body: which request bodies it takes.
        streams: whether ``stream: true`` (or its like) makes the answer an event stream.
        model_optional: whether a request may leave ``model`` out of its body.
        operation: what it does, None where it is only passed on to providers of its own dialect.
        stream_path: where streamed requests go, "" where that is the same path.
        public: whether clients can call it; False where only providers are called there.
    """

    path: str
    front: str
    body: BodyKind = BodyKind.JSON
    streams: bool = False
    model_optional: bool = False
    operation: Operation | None = None
    stream_path: str = ""
    public: bool = True


ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("/v1/chat/completions", "openai", streams=True, operation=Operation.CHAT),
        Endpoint("/v1/completions", "openai", streams=True, operation=Operation.CHAT),
        Endpoint("/v1/embeddings", "openai", operation=Operation.EMBED),
        Endpoint("/v1/responses", "responses", streams=True, operation=Operation.CHAT),
        Endpoint("/v1/messages", "anthropic", streams=True, operation=Operation.CHAT),
        Endpoint("/v1/messages/count_tokens", "anthropic", operation=Operation.COUNT),
        Endpoint("/v1/audio/transcriptions", "openai", body=BodyKind.MULTIPART, streams=True),
        Endpoint("/v1/audio/translations", "openai", body=BodyKind.MULTIPART),
        Endpoint("/v1/audio/speech", "openai", streams=True),
        Endpoint("/v1/images/generations", "openai", streams=True, model_optional=True),
        Endpoint("/v1/images/edits", "openai", body=BodyKind.EITHER, streams=True, model_optional=True),
        Endpoint("/v1/moderations", "openai", model_optional=True),
        Endpoint("/v1/rerank", "openai", operation=Operation.RANK),
        Endpoint(
            "/v1beta/models/{model}:generateContent",
            "gemini",
            streams=True,
            model_optional=True,
            operation=Operation.CHAT,
            stream_path="/v1beta/models/{model}:streamGenerateContent?alt=sse",
        ),
        Endpoint("/v1beta/models/{model}:countTokens", "gemini", model_optional=True, operation=Operation.COUNT),
        Endpoint("/v1beta/models/{model}:embedContent", "gemini", model_optional=True, operation=Operation.EMBED),
        Endpoint("/v1beta/models/{model}:batchEmbedContents", "gemini", model_optional=True, operation=Operation.EMBED),
        Endpoint("/v2/chat", "cohere", streams=True, operation=Operation.CHAT),
        Endpoint("/v2/embed", "cohere", operation=Operation.EMBED),
        Endpoint("/v2/rerank", "cohere", operation=Operation.RANK),
        Endpoint("/api/chat", "ollama", streams=True, operation=Operation.CHAT),
        Endpoint("/api/generate", "ollama", streams=True, operation=Operation.CHAT),
        Endpoint("/api/embed", "ollama", operation=Operation.EMBED),
        Endpoint(
            "/model/{model}/converse",
            "bedrock",
            streams=True,
            model_optional=True,
            operation=Operation.CHAT,
            stream_path="/model/{model}/converse-stream",
            public=False,
        ),
        Endpoint(
            "/model/{model}/count-tokens",
            "bedrock",
            model_optional=True,
            operation=Operation.COUNT,
            public=False,
        ),
    )
}
"""Canonical path → endpoint, all of them; a provider serves some of them, in one dialect or another."""

FORWARDED: Mapping[str, Endpoint] = {path: endpoint for path, endpoint in ENDPOINTS.items() if path.startswith("/v1/")}
"""Those below ``/v1``. Every one is served with and without that prefix."""

MODELS_PATH = "/v1/models"
"""Canonical path of the model list, and prefix of ``/v1/models/{id}``."""
