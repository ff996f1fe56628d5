"""``/v1beta/models``, or ``/v1/models``: Gemini's paths, which name the model and the action.

See: https://ai.google.dev/api/generate-content and https://ai.google.dev/api/models (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

import msgspec

from twisted.web.resource import Resource

from relay.dialects.request import LONGEST_MODEL, checked_model
from relay.endpoints import ENDPOINTS
from relay.errors import InvalidRequest, UnknownModel, UnknownPath
from relay.exchange import ClientRequest
from relay.secret import Secret
from relay.web import listing
from relay.web.base import Door, Guarded
from relay.web.chat import DialectResource
from relay.web.fronts import ACTIONS, STREAM
from relay.web.models import ModelIndex, ModelLeaf
from relay.web.records import Reporter
from relay.web.request import RelayRequest
from relay.web.seams import Gateway

MODELS = "/v1beta/models"
"""Path of the list, and prefix of everything else."""

_NO_ACTION = f"Actions on models are {', '.join(ACTIONS)}."


def actions(door: Door, gateway: Gateway) -> Mapping[str, Guarded]:
    """Action at the end of a path → what serves it."""
    return {
        action: GeminiAction(door, ENDPOINTS[f"{MODELS}/{{model}}:{canonical}"], gateway)
        for action, canonical in ACTIONS.items()
    }


def split(path: bytes) -> tuple[str, str]:
    """Model and action of a path below ``…/models/``; the action is "" where there is none."""
    rest = unquote(path.decode("latin-1")).partition("/models/")[2].removesuffix("/")
    model, colon, action = rest.rpartition(":")
    return (model, action) if colon and action in ACTIONS else (rest, "")


def check(model: str) -> None:
    """Refuse what no model is called.

    Raises:
        InvalidRequest: the name is empty, too long, not UTF-8, holds control characters, or would climb in a path.
    """
    if "\ufffd" in model:
        raise InvalidRequest("The model's name in the path is not UTF-8.", param="model")
    if not checked_model(model):
        raise InvalidRequest("The path names no model.", param="model")
    if not {"", ".", ".."}.isdisjoint(model.split("/")):
        raise InvalidRequest("The model's name must not hold an empty segment, '.' or '..'.", param="model")


def acting(actions: Mapping[str, Guarded], request: RelayRequest) -> Guarded | None:
    """What serves the action that a path ends in; None if it ends in none."""
    return actions.get(split(request.path)[1])


def parameters(request: RelayRequest, name: str) -> list[str]:
    """The values of one of Google's system parameters, which may be written with a dollar sign before it."""
    if not request.query:
        return []
    asked = parse_qs(request.query.decode("latin-1"))
    return [*asked.get(f"${name}", ()), *asked.get(name, ())]


def sent_key(request: RelayRequest) -> Secret | None:
    """The key that a client of Gemini sent: in a header field, or as ``?key=`` in the query.

    See: https://docs.cloud.google.com/apis/docs/system-parameters (read 2026-11).

    Raises:
        Unauthenticated: two keys disagree, or it is none.
    """
    return request.sent_key(*parameters(request, "key"))


class GeminiAction(DialectResource):
    """One action on a model: ``POST /v1beta/models/{model}:ACTION``."""

    isLeaf = True

    def sent_key(self, request: RelayRequest) -> Secret | None:
        """The key, which may stand in the query."""
        return sent_key(request)

    def read(self, request: RelayRequest) -> ClientRequest:
        """What the client asks; path and query tell model and framing.

        The query goes no further: all that counts in it has been read, and it may hold the key.

        Raises:
            InvalidRequest: the path names no model, or none that a name may be.
        """
        model, action = split(request.path)
        check(model)
        stream = action == STREAM
        events = parameters(request, "alt")[-1:] == ["sse"]
        return msgspec.structs.replace(
            super().read(request),
            query=b"",
            path_model=model,
            path_stream=stream,
            path_array=stream and not events,
        )


class GeminiLeaf(ModelLeaf):
    """What Gemini's list and its single model have in common."""

    endpoint = MODELS

    def sent_key(self, request: RelayRequest) -> Secret | None:
        """The key, which may stand in the query."""
        return sent_key(request)


class GeminiModels(GeminiLeaf):
    """``GET /v1beta/models``, and what stands below it."""

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


class GeminiModel(GeminiLeaf):
    """``GET /v1beta/models/{model}``."""

    isLeaf = True

    def admit(self, request: RelayRequest) -> None:
        """Refuse by the head what is neither a model to be shown nor an action.

        Raises:
            UnknownPath: the path names an action that relay does not serve.
            MethodNotAllowed: a model is shown only.
        """
        if request.method == b"POST" and ":" in split(request.path)[0]:
            raise UnknownPath(_NO_ACTION)
        super().admit(request)

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
            raise UnknownPath(_NO_ACTION)
        raise UnknownModel(f"The model {model[:LONGEST_MODEL]!r} is not known here.", param="model")
