"""OpenAI Embeddings: unit vectors that depend on the text alone.

See: https://platform.openai.com/docs/api-reference/embeddings (read 2026-11).
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Sequence
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
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(numbers, request.encoding_format)}
        for index, numbers in enumerate(vectors(inputs, request.dimensions or 1536))
    ]
    tokens = words(inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return whole_json({"object": "list", "data": data, "model": request.model, "usage": usage}, knobs)


def vectors(texts: Sequence[str], dimensions: int) -> list[bytes]:
    """Vectors of texts: equal texts have equal ones, all of length 1.

    Each byte of a text's hash is an angle, whose cosine and sine are two of the numbers.

    Args:
        texts: any texts.
        dimensions: how many numbers; the last of an odd number is a sign alone.

    Returns:
        For each text its numbers as little-endian 32-bit floats, one after the other.
    """
    pairs, odd = divmod(dimensions, 2)
    scale = 1 / math.sqrt(pairs + odd)
    angles = [2 * math.pi * step / 256 for step in range(256)]
    points = [struct.pack("<2f", scale * math.cos(angle), scale * math.sin(angle)) for angle in angles]
    signs = [struct.pack("<f", scale if step % 2 else -scale) for step in range(256)]
    found = []
    for text in texts:
        noise = hashlib.shake_128(text.encode()).digest(pairs + odd)
        numbers = [points[byte] for byte in noise[:pairs]] + [signs[byte] for byte in noise[pairs:]]
        found.append(b"".join(numbers))
    return found


def _encoded(numbers: bytes, encoding: str | None) -> str | list[float]:
    """A vector as the request wants it."""
    if encoding == "base64":
        return base64.b64encode(numbers).decode()
    return list(struct.unpack(f"<{len(numbers) // 4}f", numbers))
