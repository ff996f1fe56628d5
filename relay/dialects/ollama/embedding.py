"""``/api/embed``, both ways.

See: https://docs.ollama.com/api/embed (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.floats import unpacked
from relay.dialects.lenient import count, load, sequence, text
from relay.dialects.losses import dropped
from relay.dialects.problems import told
from relay.dialects.quoting import encode
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.vectors import Embeddings, EmbedRequest

_CARRIED = frozenset({"dimensions", "encoding", "truncate", "single"})

_KNOWN = frozenset({"model", "input", "truncate", "dimensions"})

_EMPTY = frozenset({b"null", b"{}"})


class _Embed(msgspec.Struct):
    model: str
    input: str | list[str]
    truncate: bool | None = None
    dimensions: int | None = None


_EMBED = msgspec.json.Decoder(_Embed)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def parse_request(body: bytes, _call: Call) -> EmbedRequest:
    """Read a client's body.

    Raises:
        InvalidRequest: names the field.
    """
    with told():
        embed = _EMBED.decode(body)
        fields = _FIELDS.decode(body)
    single = isinstance(embed.input, str)
    inputs = (embed.input,) if isinstance(embed.input, str) else tuple(embed.input)
    if not inputs:
        raise InvalidRequest("`input` must not be empty.", param="input")
    truncate = "" if embed.truncate is None else "END" if embed.truncate else "NONE"
    extra = {name: bytes(value) for name, value in fields.items() if name not in _KNOWN}
    return EmbedRequest(
        model=embed.model,
        inputs=inputs,
        dimensions=embed.dimensions,
        truncate=truncate,
        single=single,
        extra={name: value for name, value in extra.items() if value not in _EMPTY},
    )


def render(answer: Embeddings, asked: Asked) -> bytes:
    """The JSON body for a client; other providers tell no durations."""
    body = {
        "model": asked.model,
        "embeddings": [unpacked(vector) for vector in answer.vectors],
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": answer.usage.input or 0,
    }
    return encode(body)


def build(request: EmbedRequest, target: Target) -> Built:
    """The body for a provider.

    Raises:
        InvalidRequest: token numbers or images, which Ollama does not take.
    """
    if not all(isinstance(item, str) for item in request.inputs):
        raise InvalidRequest("This provider embeds text only, not token numbers or images.", param="input")
    lost = dropped(request, _CARRIED)
    fields: dict[str, Any] = {"model": target.model, "input": request.inputs}
    if request.dimensions is not None:
        fields["dimensions"] = request.dimensions
    if request.truncate == "START":
        lost.append("truncate")
    elif request.truncate:
        fields["truncate"] = request.truncate == "END"
    return Built(fields, tuple(dict.fromkeys(lost)))


def parse_answer(body: bytes, _target: Target) -> Embeddings:
    """Read a provider's answer.

    Raises:
        ValueError: it holds no vectors.
    """
    answer = load(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("embeddings"), list):
        raise ValueError("no embeddings")
    return Embeddings(
        model=text(answer.get("model")),
        vectors=tuple(map(_vector, answer["embeddings"])),
        usage=Usage(input=count(answer, "prompt_eval_count")),
    )


def _vector(value: object) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in sequence(value) if isinstance(number, int | float))
    except OverflowError as error:
        raise ValueError("a number too large") from error
