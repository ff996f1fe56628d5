"""Embeddings, asked for and given: ``/v1/embeddings``.

The official SDKs ask for base64 by default, and many providers give numbers whatever is asked: so providers are
asked for what they give by default, and the answer is put into the client's form here. ``input_type`` and
``truncate`` are NVIDIA's and Cohere's, ``task`` Jina's; no provider is sent them in this dialect.
See: https://platform.openai.com/docs/api-reference/embeddings/create (read 2026-11).
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import Text
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.losses import dropped
from relay.dialects.openai.request import unknown
from relay.dialects.problems import told
from relay.dialects.tokens import read_usage
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.vectors import Embeddings, EmbedRequest

_TASKS: Mapping[str, str] = {
    "query": "query",
    "search_query": "query",
    "retrieval.query": "query",
    "passage": "document",
    "document": "document",
    "search_document": "document",
    "retrieval.passage": "document",
    "classification": "classification",
    "clustering": "clustering",
    "separation": "clustering",
    "text-matching": "similarity",
}
_CARRIED = frozenset({"dimensions", "encoding", "user", "single"})
_ENCODINGS = ("float", "base64")

Vector = tuple[float, ...] | str


class _Request(msgspec.Struct):
    """What a client says."""

    input: str | list[Any]
    model: str = ""
    dimensions: int | None = None
    encoding_format: str | None = None
    input_type: str | None = None
    task: str | None = None
    truncate: str | None = None
    user: str | None = None


_DECODER = msgspec.json.Decoder(_Request)
_KNOWN = frozenset(_Request.__struct_fields__)


def parse(body: bytes, call: Call) -> EmbedRequest:
    """Read a request.

    Raises:
        InvalidRequest: it is malformed; names the field.
    """
    with told():
        given = _DECODER.decode(body)
        extra = unknown(body, _KNOWN)
    encoding = given.encoding_format or "float"
    if encoding not in _ENCODINGS:
        raise InvalidRequest("`encoding_format` must be float or base64.", param="encoding_format")
    inputs, single = _inputs(given.input)
    task = _TASKS.get(given.input_type or given.task or "", "")
    for name in ("input_type", "task"):
        value = getattr(given, name)
        if value and not task:
            extra[name] = msgspec.json.encode(value)
    truncate = (given.truncate or "").upper()
    return EmbedRequest(
        model=given.model or call.model,
        inputs=inputs,
        dimensions=given.dimensions,
        encoding=encoding,
        task=task,
        truncate=truncate if truncate in ("NONE", "START", "END") else "",
        user=given.user or "",
        extra=extra,
        single=single,
    )


def _inputs(given: str | list[Any]) -> tuple[tuple[Any, ...], bool]:
    """The inputs, and whether the client sent one and no list: a text, texts, token numbers, or lists of them."""
    if isinstance(given, str):
        return (given,), True
    if not given:
        raise InvalidRequest("`input` must not be empty.", param="input")
    if _are_tokens(given):
        return (tuple(given),), True
    inputs: list[Any] = []
    for index, item in enumerate(given):
        where = f"input[{index}]"
        if isinstance(item, str):
            inputs.append(item)
        elif isinstance(item, list) and item and _are_tokens(item):
            inputs.append(tuple(item))
        elif isinstance(item, dict) and isinstance(item.get("text"), str):  # Jina's form
            inputs.append(item["text"])
        else:
            raise InvalidRequest(f"`{where}` must be a text or a list of token numbers.", param=where)
    return tuple(inputs), False


def _are_tokens(items: list[Any]) -> bool:
    return all(type(item) is int and item >= 0 for item in items)


def render(embeddings: Embeddings, asked: Asked) -> bytes:
    """The JSON body of an answer, in the encoding that the client asked for."""
    encode = _as_base64 if asked.request is not None and asked.request.encoding == "base64" else _as_numbers
    data = [
        {"object": "embedding", "index": index, "embedding": encode(vector)}
        for index, vector in enumerate(embeddings.vectors)
    ]
    given = embeddings.usage.input or 0
    usage = {"prompt_tokens": given, "total_tokens": given}
    return msgspec.json.encode({"object": "list", "data": data, "model": asked.model, "usage": usage})


def _as_base64(vector: Vector) -> str:
    if isinstance(vector, str):
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _as_numbers(vector: Vector) -> Vector:
    """Numbers; base64 that holds none (quantised vectors) stays as it is."""
    if not isinstance(vector, str):
        return vector
    try:
        data = base64.b64decode(vector, validate=True)
    except (binascii.Error, ValueError):
        return vector
    return vector if len(data) % 4 else struct.unpack(f"<{len(data) // 4}f", data)


def build(request: EmbedRequest, target: Target) -> Built:
    """A request's top-level fields.

    Raises:
        InvalidRequest: an input holds more than text.
    """
    inputs = [_input(item, index) for index, item in enumerate(request.inputs)]
    single = request.single and len(inputs) == 1
    fields: dict[str, Any] = {"model": target.model, "input": inputs[0] if single else inputs}
    if request.dimensions is not None:
        fields["dimensions"] = request.dimensions
    if request.user:
        fields["user"] = request.user
    return Built(fields, tuple(dict.fromkeys(dropped(request, _CARRIED))))


def _input(item: Any, index: int) -> str | list[int]:
    if isinstance(item, str):
        return item
    if item and isinstance(item[0], int):
        return list(item)
    words = [part.text for part in item if isinstance(part, Text)]
    if len(words) < len(item):
        raise InvalidRequest("The provider embeds text only.", param=f"input[{index}]")
    return "\n".join(words)


def understand(body: bytes, _target: Target) -> Embeddings:
    """Read a provider's answer.

    Raises:
        ValueError: it holds no vectors.
    """
    answer = mapping(load(body))
    data = list(map(mapping, sequence(answer.get("data"))))
    if not data:
        raise ValueError("the answer has no embeddings")
    places = [index if isinstance(index := item.get("index"), int) else at for at, item in enumerate(data)]
    vectors = [_vector(item.get("embedding")) for _, item in sorted(zip(places, data, strict=True), key=_place)]
    usage = mapping(answer.get("usage"))
    count = read_usage(usage) if usage else Usage()
    return Embeddings(text(answer.get("model")), tuple(vectors), Usage(input=count.input), text(answer.get("id")))


def _place(item: tuple[int, object]) -> int:
    return item[0]


def _vector(value: object) -> Vector:
    if isinstance(value, str) and value:
        return value
    numbers = sequence(value)
    if not numbers or not all(isinstance(number, int | float) for number in numbers):
        raise ValueError("an embedding is neither numbers nor text")
    return tuple(numbers)  # type: ignore[arg-type]
