"""OpenAI Embeddings: unit vectors that depend on the text alone.

See: https://platform.openai.com/docs/api-reference/embeddings (read 2026-11).
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Annotated, Literal

import msgspec

from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, Inputs, inputs_of, words
from relay.echo.reply import Reply, refuse, whole_json
from relay.errors import InvalidRequest


class _Request(msgspec.Struct, frozen=True):
    """The fields that matter here."""

    model: str
    input: Inputs
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    echo: Knobs | None = None


def answer_embeddings(call: Call) -> Reply:
    """Answer ``POST /v1/embeddings``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes, a text is empty, or a knob does nothing here.
    """
    request = call.read(_Request)
    inputs = inputs_of(request.input)
    if "" in inputs:
        raise InvalidRequest("input: an empty text has no embedding.", param="input")
    knobs = request.echo or NONE
    refuse(knobs, "text", "chunks", "tool")
    vectors = [vector(text, request.dimensions or 1536) for text in inputs]
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(numbers, request.encoding_format)}
        for index, numbers in enumerate(vectors)
    ]
    tokens = words(inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return whole_json({"object": "list", "data": data, "model": request.model, "usage": usage}, knobs)


def vector(text: str, dimensions: int) -> bytes:
    """A text's vector: equal texts have equal ones, of length 1.

    Args:
        text: any text.
        dimensions: how many numbers.

    Returns:
        The numbers as little-endian 32-bit floats, one after the other.
    """
    noise = hashlib.shake_128(text.encode()).digest(2 * dimensions)
    numbers = struct.unpack(f"<{dimensions}h", noise)
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return struct.pack(f"<{dimensions}f", *(number / length for number in numbers))


def _encoded(numbers: bytes, encoding: str | None) -> str | list[float]:
    """A vector as the request wants it."""
    if encoding == "base64":
        return base64.b64encode(numbers).decode()
    return list(struct.unpack(f"<{len(numbers) // 4}f", numbers))
