"""What Ollama's clients ask besides chatting: tags, a model's data, the version.

See: https://github.com/ollama/ollama/blob/main/docs/api.md (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from relay.errors import InvalidRequest, UnknownModel
from relay.web import listing
from relay.web.base import Leaf
from relay.web.chat import DialectResource
from relay.web.models import ModelLeaf
from relay.web.request import RelayRequest

TAGS = "/api/tags"
SHOW = "/api/show"
VERSION = "/api/version"

_SPOKEN = "0.13.0"
"""The version of Ollama whose API relay speaks; clients ask for features by it."""


_CURLS = "application/x-www-form-urlencoded"
"""What curl calls a body of which it was not told what it is."""


class OllamaAction(DialectResource):
    """One forwarded endpoint of Ollama's.

    Ollama does not look at content types, and the commands in its documentation send none but curl's own, so
    that is taken for JSON here.
    """

    def check_media(self, content_type: str) -> None:
        """Hold a content type against what the endpoint takes.

        Raises:
            UnsupportedMedia: it takes another.
        """
        if content_type.partition(";")[0].strip().lower() != _CURLS:
            super().check_media(content_type)


class _Named(msgspec.Struct):
    model: str | None = None
    name: str | None = None


class OllamaTags(ModelLeaf):
    """``GET /api/tags``: the models."""

    endpoint = TAGS

    def show(self, request: RelayRequest, owners: Mapping[str, str]) -> tuple[str, dict[str, object]]:
        """All models; sizes and digests are not relay's to know."""
        return "ollama", listing.ollama_list(owners)


class OllamaShow(ModelLeaf):
    """``POST /api/show``: one model."""

    endpoint = SHOW
    methods: ClassVar[tuple[str, ...]] = ("POST",)

    def show(self, request: RelayRequest, owners: Mapping[str, str]) -> tuple[str, dict[str, object]]:
        """One model.

        Raises:
            InvalidRequest: the body names no model.
            UnknownModel: there is none of that name.
        """
        body = request.received.body
        try:
            asked = msgspec.json.decode(body if isinstance(body, bytes) else b"", type=_Named)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest("The body must be a JSON object that names a model.", param="model") from error
        model = asked.model or asked.name
        if not model:
            raise InvalidRequest("`model` is required.", param="model")
        if model not in owners and model.removesuffix(":latest") not in owners:
            raise UnknownModel(f"model {model[:256]!r} not found", param="model")
        return "ollama", listing.ollama_model(model)


class OllamaVersion(Leaf):
    """``GET /api/version``: no key is asked for."""

    endpoint = VERSION

    async def respond(self, request: RelayRequest) -> None:
        """Tell which version's API this is."""
        request.answer(200, ((b"content-type", b"application/json"),), msgspec.json.encode({"version": _SPOKEN}))
