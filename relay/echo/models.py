"""Which models the echo has, in the shape of either caller.

It answers to any model name; these are the ones it lists.
"""

from __future__ import annotations

import msgspec

from relay.echo.faults import Shape
from relay.errors import UnknownModel

MODELS = ("echo-1", "echo-embed-1", "echo-audio-1")
_CREATED = 1_767_225_600
_CREATED_TEXT = "2026-01-01T00:00:00Z"


def model_list(shape: Shape) -> bytes:
    """The body of ``GET /v1/models``."""
    models = [_model(shape, name) for name in MODELS]
    if shape is Shape.OPENAI:
        return msgspec.json.encode({"object": "list", "data": models})
    page = {"data": models, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
    return msgspec.json.encode(page)


def model(shape: Shape, name: str) -> bytes:
    """The body of ``GET /v1/models/{name}``.

    Raises:
        UnknownModel: it is not listed.
    """
    if name not in MODELS:
        raise UnknownModel(f"The model {name!r} does not exist.", param="model")
    return msgspec.json.encode(_model(shape, name))


def _model(shape: Shape, name: str) -> dict[str, object]:
    """One model."""
    if shape is Shape.OPENAI:
        return {"id": name, "object": "model", "created": _CREATED, "owned_by": "relay"}
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": _CREATED_TEXT,
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 100_000,
        "capabilities": None,
    }
