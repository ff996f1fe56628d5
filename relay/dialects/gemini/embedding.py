"""Turning inputs into vectors: ``embedContent`` and ``batchEmbedContents``, both ways, and Vertex AI's ``predict``.

See: https://ai.google.dev/api/embeddings and, for Vertex AI,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.chat import Media, Text
from relay.dialects import losses, problems
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.floats import unpacked
from relay.dialects.gemini.contents import Conversation
from relay.dialects.gemini.fields import Fields
from relay.dialects.gemini.fields import load as load_fields
from relay.dialects.gemini.parts import dump, mime_of
from relay.dialects.lenient import count, load, mapping, sequence
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.provider import Quirk
from relay.vectors import Embeddings, EmbedRequest

_TASKS: Mapping[str, str] = {
    "RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "SEMANTIC_SIMILARITY": "similarity",
}
_WORDS: Mapping[str, str] = {task: word for word, task in _TASKS.items()}
_SETTINGS = ("taskType", "title", "outputDimensionality")
_ONE = frozenset({"model", "content", *_SETTINGS, "embedContentConfig"})

Input = str | tuple[Text | Media, ...]


# ── the client's side ────────────────────────────────────────────────────────────────


def parse_one(body: bytes, call: Call) -> EmbedRequest:
    """A client's request for one vector.

    Raises:
        InvalidRequest: a field is missing or of the wrong kind; ``param`` names it.
    """
    with problems.told():
        fields = load_fields(body)
        return _request([fields], call, fields.rest(_ONE), single=True)


def parse_batch(body: bytes, call: Call) -> EmbedRequest:
    """A client's request for several vectors; all must be asked for in the same way.

    Raises:
        InvalidRequest: a field is missing or of the wrong kind, or the requests differ; ``param`` names it.
    """
    with problems.told():
        fields = load_fields(body)
        requests = list(fields.members("requests"))
        if not requests:
            raise InvalidRequest("`requests` is required and must not be empty.", param="requests")
        extra = fields.rest(frozenset({"requests", "model"}))
        for request in requests:
            extra.update(request.rest(_ONE))
        return _request(requests, call, extra, single=False)


def _request(requests: list[Fields], call: Call, extra: dict[str, bytes], *, single: bool) -> EmbedRequest:
    settings = [_settings(request) for request in requests]
    for request, found in zip(requests, settings, strict=True):
        if found != settings[0]:
            raise InvalidRequest(
                f"`{request.place}` asks for another kind of vector than the first request.", param=request.place
            )
    task, title, dimensions = settings[0]
    if task not in _TASKS and task not in ("", "TASK_TYPE_UNSPECIFIED"):
        extra[requests[0].at("taskType")] = dump(task)
    return EmbedRequest(
        model=call.model,
        inputs=tuple(_input(request) for request in requests),
        dimensions=dimensions,
        task=_TASKS.get(task, ""),
        title=title,
        extra=extra,
        single=single,
    )


def _settings(request: Fields) -> tuple[str, str, int | None]:
    """Task, title and length, at their old place or in ``embedContentConfig``."""
    config = request.member("embedContentConfig") or request
    task, title = (config.text(name) or request.text(name) for name in ("taskType", "title"))
    dimensions = config.integer("outputDimensionality")
    return task.upper(), title, request.integer("outputDimensionality") if dimensions is None else dimensions


def _input(request: Fields) -> Input:
    content = request.needed("content")
    messages = Conversation().messages([content])
    parts = tuple(part for message in messages for part in message.parts if isinstance(part, Text | Media))
    if not parts:
        raise InvalidRequest(f"`{content.at('parts')}` must hold text or media.", param=content.at("parts"))
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], Text) else parts


def render(answer: Embeddings, asked: Asked) -> bytes:
    """The vectors as JSON: one, or a list of them."""
    vectors = [{"values": unpacked(vector)} for vector in answer.vectors]
    body: dict[str, Any] = {"embedding": vectors[0]} if asked.request.single and vectors else {"embeddings": vectors}
    if answer.usage.input is not None:
        body["usageMetadata"] = {"promptTokenCount": answer.usage.input}
    return dump(body)


# ── the provider's side ──────────────────────────────────────────────────────────────


def build(request: EmbedRequest, target: Target) -> Built:
    """The request for ``batchEmbedContents``, or for Vertex AI's ``predict``.

    Raises:
        InvalidRequest: the inputs are token numbers, which Gemini does not read.
    """
    carried = {"dimensions", "encoding", "task", "title", "single"}
    if any(item and isinstance(item, tuple) and isinstance(item[0], int) for item in request.inputs):
        raise InvalidRequest("The provider embeds texts and not token numbers.", param="input")
    settings: dict[str, Any] = {}
    if request.task:
        settings["taskType"] = _WORDS.get(request.task, "TASK_TYPE_UNSPECIFIED")
    if request.title:
        settings["title"] = request.title
    if Quirk.VERTEX in target.quirks:
        fields = _predict(request, settings)
        carried.add("truncate" if request.truncate in ("NONE", "END") else "")
    else:
        model = f"models/{target.model.removeprefix('models/')}"
        if request.dimensions is not None:
            settings["outputDimensionality"] = request.dimensions
        each = [{"model": model, "content": {"parts": _parts(item)}, **settings} for item in request.inputs]
        fields = {"requests": each}
        carried.add("truncate" if request.truncate == "END" else "")  # what it does anyway
    return Built(fields=fields, dropped=tuple(losses.dropped(request, frozenset(carried))))


def _predict(request: EmbedRequest, settings: dict[str, Any]) -> dict[str, Any]:
    named = {"taskType": "task_type", "title": "title"}
    each = {named[name]: value for name, value in settings.items()}
    parameters: dict[str, Any] = {}
    if request.dimensions is not None:
        parameters["outputDimensionality"] = request.dimensions
    if request.truncate in ("NONE", "END"):
        parameters["autoTruncate"] = request.truncate == "END"
    fields: dict[str, Any] = {"instances": [{"content": _words(item), **each} for item in request.inputs]}
    return {**fields, "parameters": parameters} if parameters else fields


def _words(item: object) -> str:
    """An input as the one text that ``predict`` takes."""
    if isinstance(item, str):
        return item
    parts = item if isinstance(item, tuple) else ()
    if any(isinstance(part, Media) for part in parts):
        raise InvalidRequest("The provider embeds texts only.", param="input")
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def _parts(item: object) -> list[dict[str, Any]]:
    if isinstance(item, str):
        return [{"text": item}]
    return [_part(part) for part in (item if isinstance(item, tuple) else ()) if isinstance(part, Text | Media)]


def _part(part: Text | Media) -> dict[str, Any]:
    if isinstance(part, Text) or part.text:
        return {"text": part.text}
    mime = part.mime or mime_of(part.kind, url=part.url, data=part.data)
    if part.data:
        return {"inlineData": {"mimeType": mime, "data": part.data}}
    return {"fileData": {"mimeType": mime, "fileUri": part.url or part.file_id}}


def parse_answer(body: bytes, target: Target) -> Embeddings:
    """The provider's vectors, in any of its three forms.

    Raises:
        ValueError: there are none.
    """
    answer = mapping(load(body))
    predictions = [mapping(mapping(item).get("embeddings")) for item in sequence(answer.get("predictions"))]
    found = predictions or [mapping(item) for item in sequence(answer.get("embeddings")) or [answer.get("embedding")]]
    vectors = tuple(_vector(embedding.get("values")) for embedding in found)
    if not all(vectors):
        raise ValueError("no answer of batchEmbedContents")
    return Embeddings(model=target.model, vectors=vectors, usage=Usage(input=_tokens(answer, predictions)))


def _vector(values: object) -> tuple[float, ...]:
    numbers = tuple(value for value in sequence(values) if isinstance(value, int | float))
    return tuple(map(float, numbers)) if len(numbers) == len(sequence(values)) else ()


def _tokens(answer: Mapping[str, object], predictions: list[Mapping[str, object]]) -> int | None:
    told = count(mapping(answer.get("usageMetadata")), "promptTokenCount", "totalTokenCount")
    counted = [count(mapping(embedding.get("statistics")), "token_count", "tokenCount") for embedding in predictions]
    known = [tokens for tokens in counted if tokens is not None]
    return told if told is not None or not known else sum(known)
