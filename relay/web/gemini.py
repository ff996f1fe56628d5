"""``/v1beta/models``, or ``/v1/models``: Gemini's paths, which name the model and the action.

See: https://ai.google.dev/api/generate-content and https://ai.google.dev/api/models (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

from twisted.web.resource import Resource

from relay.dialects.request import LONGEST_MODEL
from relay.endpoints import ENDPOINTS
from relay.errors import InvalidRequest, UnknownModel, UnknownPath
from relay.exchange import ClientRequest
from relay.web import listing
from relay.web.base import Door, Guarded
from relay.web.chat import DialectResource
from relay.web.models import ModelIndex, ModelLeaf
from relay.web.records import Reporter
from relay.web.request import RelayRequest
from relay.web.seams import Gateway

MODELS = "/v1beta/models"
"""Path of the list, and prefix of everything else."""

_STREAM = "streamGenerateContent"
_ACTIONS = {
    "generateContent": "generateContent",
    _STREAM: "generateContent",
    "countTokens": "countTokens",
    "embedContent": "embedContent",
    "batchEmbedContents": "batchEmbedContents",
}
"""Action in a path → action of the canonical endpoint."""


def actions(door: Door, gateway: Gateway) -> Mapping[str, Guarded]:
    """Action at the end of a path → what serves it."""
    return {
        action: GeminiAction(door, ENDPOINTS[f"{MODELS}/{{model}}:{canonical}"], gateway)
        for action, canonical in _ACTIONS.items()
    }


def split(path: bytes) -> tuple[str, str]:
    """Model and action of a path below ``…/models/``; the action is "" where there is none.

    Raises:
        InvalidRequest: the model's name is not UTF-8.
    """
    try:
        rest = unquote_to_bytes(path.decode("latin-1")).decode("utf-8").partition("/models/")[2].removesuffix("/")
    except UnicodeDecodeError as error:
        raise InvalidRequest("The model's name in the path is not UTF-8.", param="model") from error
    model, colon, action = rest.rpartition(":")
    return (model, action) if colon and action in _ACTIONS else (rest, "")


def acting(actions: Mapping[str, Guarded], request: RelayRequest) -> Guarded | None:
    """What serves the action that a path ends in; None if it ends in none."""
    try:
        return actions.get(split(request.path)[1])
    except InvalidRequest:
        return None


class GeminiAction(DialectResource):
    """One action on a model: ``POST /v1beta/models/{model}:ACTION``."""

    isLeaf = True

    def read(self, request: RelayRequest) -> ClientRequest:
        """What the client asks; path and query tell model and framing."""
        model, action = split(request.path)
        if len(model) > LONGEST_MODEL:
            raise InvalidRequest(f"The model's name is longer than {LONGEST_MODEL} characters.", param="model")
        stream = action == _STREAM
        events = parse_qs(request.query.decode("latin-1")).get("alt", [""])[-1] == "sse"
        return msgspec.structs.replace(
            super().read(request), path_model=model, path_stream=stream, path_array=stream and not events
        )


class GeminiModels(ModelLeaf):
    """``GET /v1beta/models``, and what stands below it."""

    endpoint = MODELS

    def __init__(self, door: Door, index: ModelIndex, gateway: Gateway, reporter: Reporter) -> None:
        super().__init__(door, index, gateway, reporter)
        self._one = GeminiModel(door, index, gateway, reporter)
        self._actions = actions(door, gateway)

    def getChild(self, path: bytes, request: RelayRequest) -> Resource:
        """The action that the end of the path names; without one, the model itself."""
        return acting(self._actions, request) or self._one

    def show(self, request: RelayRequest, owners: Mapping[str, str]) -> tuple[str, dict[str, object]]:
        """All models in one page."""
        return "gemini", listing.gemini_list(owners)


class GeminiModel(ModelLeaf):
    """``GET /v1beta/models/{model}``."""

    endpoint = MODELS
    isLeaf = True

    def show(self, request: RelayRequest, owners: Mapping[str, str]) -> tuple[str, dict[str, object]]:
        """One model.

        Raises:
            UnknownModel: there is none of that name.
            UnknownPath: the path names an action that relay does not serve.
        """
        model, _ = split(request.path)
        if model in owners:
            return "gemini", listing.gemini_model(model)
        if ":" in model:
            raise UnknownPath(f"Actions on models are {', '.join(_ACTIONS)}.")
        raise UnknownModel(f"The model {model[:LONGEST_MODEL]!r} is not known here.", param="model")
