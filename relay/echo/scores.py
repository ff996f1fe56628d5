"""Moderation, which flags nothing, and reranking by shared words."""

from __future__ import annotations

from typing import Annotated

import msgspec

from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, Part, words
from relay.echo.reply import Reply, refuse, whole_json

_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""See: https://platform.openai.com/docs/api-reference/moderations (read 2026-11)."""


class _Moderation(msgspec.Struct, frozen=True):
    """The fields of a moderation request."""

    input: str | list[str | Part]
    model: str = "omni-moderation-latest"
    echo: Knobs | None = None


class _Document(msgspec.Struct, frozen=True):
    """A document as an object."""

    text: str


class _Rerank(msgspec.Struct, frozen=True):
    """The fields of a rerank request."""

    model: str
    query: str
    documents: Annotated[list[str | _Document], msgspec.Meta(min_length=1)]
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool = False
    echo: Knobs | None = None


def answer_moderation(call: Call) -> Reply:
    """Answer ``POST /v1/moderations``: a result for each text; parts are one input together.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Moderation)
    several = isinstance(request.input, list) and all(isinstance(item, str) for item in request.input)
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    results = [result] * (len(request.input) if several else 1)
    return _scored({"id": call.mint("modr-"), "model": request.model, "results": results}, request.echo or NONE)


def answer_rerank(call: Call) -> Reply:
    """Answer ``POST /v1/rerank``, as Cohere and Jina write it.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.

    See: https://docs.cohere.com/reference/rerank (read 2026-11).
    """
    request = call.read(_Rerank)
    texts = [item.text if isinstance(item, _Document) else item for item in request.documents]
    scores = [_shared(request.query, text) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: -scores[index])[: request.top_n]
    results = [
        {
            "index": index,
            "relevance_score": scores[index],
            **({"document": {"text": texts[index]}} if request.return_documents else {}),
        }
        for index in order
    ]
    value = {
        "id": call.mint("rerank-"),
        "model": request.model,
        "results": results,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        "usage": {"total_tokens": words([request.query, *texts])},
    }
    return _scored(value, request.echo or NONE)


def _scored(value: object, knobs: Knobs) -> Reply:
    """A whole answer that says nothing in words.

    Raises:
        InvalidRequest: a knob does nothing here.
    """
    refuse(knobs, "text", "chunks", "tool")
    return whole_json(value, knobs)


def _shared(query: str, text: str) -> float:
    """Which part of the query's words the text has, 0 to 1."""
    asked = set(query.lower().split())
    return len(asked & set(text.lower().split())) / len(asked) if asked else 0.0
