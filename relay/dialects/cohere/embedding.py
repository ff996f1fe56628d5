"""``/v2/embed``, both ways.

See: https://docs.cohere.com/reference/embed (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import Media, Text
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.cohere.history import picture
from relay.dialects.cohere.words import counts
from relay.dialects.floats import packed, unpacked
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.losses import dropped
from relay.dialects.problems import told
from relay.dialects.quoting import encode
from relay.errors import InvalidRequest
from relay.vectors import Embeddings, EmbedRequest

_TASKS: Mapping[str, str] = {
    "search_query": "query",
    "search_document": "document",
    "classification": "classification",
    "clustering": "clustering",
    "image": "",
}

_TYPES: Mapping[str, str] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
    "similarity": "clustering",
}

_CARRIED = frozenset({"dimensions", "encoding", "truncate", "task", "single"})

_EMPTY = frozenset({b"null", b"[]"})

_Input = str | tuple[int, ...] | tuple[Text | Media, ...]


class _ImageURL(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _ImageURL | None = None


class _Mixed(msgspec.Struct):
    content: list[_Part]


class _Embed(msgspec.Struct):
    model: str
    input_type: str | None = None
    texts: list[str] | None = None
    images: list[str] | None = None
    inputs: list[_Mixed] | None = None
    embedding_types: list[str] | None = None
    output_dimension: int | None = None
    truncate: str | None = None


_EMBED = msgspec.json.Decoder(_Embed)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def parse_request(body: bytes, _call: Call) -> EmbedRequest:
    """Read a client's body. Of the kinds of vectors only numbers and base64 can come from any provider.

    Raises:
        InvalidRequest: names the field.
    """
    with told():
        embed = _EMBED.decode(body)
        fields = _FIELDS.decode(body)
    inputs = _inputs(embed)
    if not inputs:
        raise InvalidRequest("One of `texts`, `images` and `inputs` must not be empty.", param="texts")
    task = embed.input_type or ""
    if task not in ("", *_TASKS):
        raise InvalidRequest(f"`input_type` must be one of {', '.join(_TASKS)}.", param="input_type")
    kinds = embed.embedding_types or ["float"]
    encoding = "float" if "float" in kinds else "base64"
    if encoding not in kinds:
        raise InvalidRequest("`embedding_types` must name float or base64.", param="embedding_types")
    extra = {name: bytes(value) for name, value in fields.items() if name not in _Embed.__struct_fields__}
    if set(kinds) != {encoding}:
        extra["embedding_types"] = bytes(fields["embedding_types"])
    return EmbedRequest(
        model=embed.model,
        inputs=tuple(inputs),
        dimensions=embed.output_dimension,
        encoding=encoding,
        task=_TASKS.get(task, ""),
        truncate=(embed.truncate or "").upper(),
        extra={name: value for name, value in extra.items() if value not in _EMPTY},
    )


def _inputs(embed: _Embed) -> list[_Input]:
    inputs: list[_Input] = list(embed.texts or ())
    inputs += ((picture(image, f"images[{index}]"),) for index, image in enumerate(embed.images or ()))
    for index, mixed in enumerate(embed.inputs or ()):
        where = f"inputs[{index}].content"
        inputs.append(tuple(_part(part, f"{where}[{number}]") for number, part in enumerate(mixed.content)))
    return inputs


def _part(part: _Part, where: str) -> Text | Media:
    if part.type == "text" and part.text is not None:
        return Text(part.text)
    if part.type == "image_url" and part.image_url is not None:
        return picture(part.image_url.url, f"{where}.image_url")
    raise InvalidRequest(f"`{where}` must be a text or an image.", param=where)


def render(answer: Embeddings, asked: Asked) -> bytes:
    """The JSON body for a client; the texts come back, as they do from Cohere."""
    request: EmbedRequest = asked.request
    form: Any = packed if request.encoding == "base64" else unpacked
    texts = [item for item in request.inputs if isinstance(item, str)]
    body = {
        "id": answer.id or asked.request_id,
        "embeddings": {request.encoding: [form(vector) for vector in answer.vectors]},
        "texts": texts,
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"input_tokens": answer.usage.input or 0},
        },
        "response_type": "embeddings_by_type",
    }
    return encode(body)


def build(request: EmbedRequest, target: Target) -> Built:
    """The body for a provider. ``input_type`` must be there; a caller that says none means documents.

    Raises:
        InvalidRequest: token numbers, which Cohere does not take, or an image by URL.
    """
    lost = dropped(request, _CARRIED)
    fields: dict[str, Any] = {
        "model": target.model,
        "input_type": _TYPES.get(request.task, "search_document"),
        "embedding_types": ["float"],
    }
    if all(isinstance(item, str) for item in request.inputs):
        fields["texts"] = request.inputs
    else:
        fields["inputs"] = [{"content": _content(item)} for item in request.inputs]
    if request.dimensions is not None:
        fields["output_dimension"] = request.dimensions
    if request.truncate:
        fields["truncate"] = request.truncate
    return Built(fields, tuple(dict.fromkeys(lost)))


def _content(item: _Input) -> list[dict[str, Any]]:
    if isinstance(item, str):
        return [{"type": "text", "text": item}]
    content: list[dict[str, Any]] = []
    for part in item:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Media) and part.kind == "image" and part.data:
            url = f"data:{part.mime or 'image/png'};base64,{part.data}"
            content.append({"type": "image_url", "image_url": {"url": url}})
        else:
            raise InvalidRequest("This provider embeds text, and images in base64, only.", param="input")
    return content


def parse_answer(body: bytes, _target: Target) -> Embeddings:
    """Read a provider's answer; version 1 gives the numbers without naming their kind.

    Raises:
        ValueError: it holds no vectors.
    """
    answer = mapping(load(body))
    found = answer.get("embeddings")
    vectors = found if isinstance(found, list) else mapping(found).get("float")
    if not isinstance(vectors, list):
        raise ValueError("no embeddings")
    return Embeddings(
        model="",
        vectors=tuple(map(_vector, vectors)),
        usage=counts(mapping(answer.get("meta"))),
        id=text(answer.get("id")),
    )


def _vector(value: object) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in sequence(value) if isinstance(number, int | float))
    except OverflowError as error:
        raise ValueError("a number too large") from error
