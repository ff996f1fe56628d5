"""Lists of models in the shapes that SDKs read; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

import attrs

from relay.errors import InvalidRequest

_EPOCH = "1970-01-01T00:00:00Z"
"""Both APIs want a date; Anthropic's documentation allows the epoch where it is unknown."""

_OLLAMA_DETAILS: Mapping[str, object] = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}
"""Facts of a local model file, which relay does not have."""

_PAGE = 20
_LARGEST_PAGE = 1000


def merge(found: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which provider serves which model name.

    A bare name belongs to the first provider that has it. With several providers each
    model can also be addressed as ``NAME/model``; where a model's own name begins like
    that, only so.

    Args:
        found: provider name → model names, both in the order of choice.

    Returns:
        Model name → provider name, bare names first.
    """
    owners: dict[str, str] = {}
    full: dict[str, str] = {}
    for provider, models in found.items():
        for model in models:
            prefix, slash, _ = model.partition("/")
            shadowed = bool(slash) and prefix in found
            if not shadowed:
                owners.setdefault(model, provider)
            if shadowed or len(found) > 1:
                full[f"{provider}/{model}"] = provider
    return {**owners, **full}


def openai_model(model: str, provider: str) -> dict[str, object]:
    """One model as OpenAI shows it.

    See: https://platform.openai.com/docs/api-reference/models/object (read 2026-11)
    """
    return {"id": model, "object": "model", "created": 0, "owned_by": provider}


def anthropic_model(model: str) -> dict[str, object]:
    """One model as Anthropic shows it.

    See: https://docs.anthropic.com/en/api/models-list (read 2026-11)
    """
    return {"type": "model", "id": model, "display_name": model, "created_at": _EPOCH, "lifecycle": "active"}


def openai_list(owners: Mapping[str, str]) -> dict[str, object]:
    """All models in one list; OpenAI's has no pages."""
    return {"object": "list", "data": [openai_model(model, provider) for model, provider in owners.items()]}


@attrs.frozen
class Page:
    """Which part of a list is asked for.

    Attributes:
        limit: most models in it, 1 to 1000.
        after: id behind which it begins, or None.
        before: id before which it ends, or None.
    """

    limit: int = _PAGE
    after: str | None = None
    before: str | None = None

    @classmethod
    def read(cls, query: bytes) -> Page:
        """Read the query string of a list request.

        Raises:
            InvalidRequest: ``limit`` is not a number from 1 to 1000, or both ends are given.
        """
        asked = parse_qs(query.decode("latin-1"))
        limit = asked.get("limit", [str(_PAGE)])[-1]
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= _LARGEST_PAGE):
            raise InvalidRequest(f"limit must be a number from 1 to {_LARGEST_PAGE}.", param="limit")
        after, before = asked.get("after_id", [None])[-1], asked.get("before_id", [None])[-1]
        if after is not None and before is not None:
            raise InvalidRequest("Only one of after_id and before_id can be given.", param="before_id")
        return cls(int(limit), after, before)

    def cut(self, models: Sequence[str]) -> tuple[Sequence[str], bool]:
        """The models of this page, and whether there are more in its direction.

        Raises:
            InvalidRequest: the list has no model of the given id.
        """
        if self.before is not None:
            end = _place(models, self.before, "before_id")
            return models[max(0, end - self.limit) : end], end > self.limit
        start = 0 if self.after is None else _place(models, self.after, "after_id") + 1
        return models[start : start + self.limit], start + self.limit < len(models)


def anthropic_list(owners: Mapping[str, str], page: Page) -> dict[str, object]:
    """One page of the models.

    Raises:
        InvalidRequest: the page begins or ends at an unknown model.
    """
    models, more = page.cut(tuple(owners))
    return {
        "data": [anthropic_model(model) for model in models],
        "has_more": more,
        "first_id": models[0] if models else None,
        "last_id": models[-1] if models else None,
    }


def _place(models: Sequence[str], model: str, param: str) -> int:
    try:
        return models.index(model)
    except ValueError:
        raise InvalidRequest(f"{param} names no model of this list.", param=param) from None


def gemini_model(model: str) -> dict[str, object]:
    """One model as Gemini shows it.

    See: https://ai.google.dev/api/models#Model (read 2026-11)
    """
    return {
        "name": f"models/{model}",
        "displayName": model,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    }


def gemini_list(owners: Mapping[str, str]) -> dict[str, object]:
    """All models in one page."""
    return {"models": [gemini_model(model) for model in owners]}


def ollama_list(owners: Mapping[str, str]) -> dict[str, object]:
    """All models as Ollama's ``/api/tags`` shows them; what only a local model has is empty."""
    return {
        "models": [
            {
                "name": model,
                "model": model,
                "modified_at": _EPOCH,
                "size": 0,
                "digest": "",
                "details": _OLLAMA_DETAILS,
            }
            for model in owners
        ]
    }


def ollama_model(model: str) -> dict[str, object]:
    """One model as Ollama's ``/api/show`` shows it; it can do what its provider can, which relay does not judge."""
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _OLLAMA_DETAILS,
        "model_info": {"general.basename": model},
        "capabilities": ["completion", "tools"],
    }
