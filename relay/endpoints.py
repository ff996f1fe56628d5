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


@attrs.frozen
class Endpoint:
    """One public path that is forwarded to a provider.

    Attributes:
        path: the canonical path; also its name in logs, metrics and provider files.
        front: name of the dialect that its clients speak.
        body: which request bodies it takes.
        streams: whether ``stream: true`` (or its like) makes the answer an event stream.
        model_optional: whether a request may leave ``model`` out.
    """

    path: str
    front: str
    body: BodyKind = BodyKind.JSON
    streams: bool = False
    model_optional: bool = False


FORWARDED: Mapping[str, Endpoint] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("/v1/chat/completions", "openai", streams=True),
        Endpoint("/v1/completions", "openai", streams=True),
        Endpoint("/v1/embeddings", "openai"),
        Endpoint("/v1/responses", "responses", streams=True),
        Endpoint("/v1/messages", "anthropic", streams=True),
        Endpoint("/v1/messages/count_tokens", "anthropic"),
        Endpoint("/v1/audio/transcriptions", "openai", body=BodyKind.MULTIPART, streams=True),
        Endpoint("/v1/audio/translations", "openai", body=BodyKind.MULTIPART),
        Endpoint("/v1/audio/speech", "openai", streams=True),
        Endpoint("/v1/images/generations", "openai", streams=True, model_optional=True),
        Endpoint("/v1/images/edits", "openai", body=BodyKind.EITHER, streams=True, model_optional=True),
        Endpoint("/v1/moderations", "openai", model_optional=True),
        Endpoint("/v1/rerank", "openai"),
    )
}
"""Canonical path → endpoint. Every one is served with and without the ``/v1`` prefix."""

MODELS_PATH = "/v1/models"
"""Canonical path of the model list, and prefix of ``/v1/models/{id}``."""
