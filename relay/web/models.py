"""``/v1/models``: what is configured and what the providers list, in the caller's shape."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

import msgspec

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from relay.config import Snapshot
from relay.endpoints import MODELS_PATH
from relay.errors import RelayError, UnknownModel
from relay.interfaces import IConfiguration, IKeyStore, IModelCatalog
from relay.policy.credentials import upstream_credential
from relay.provider import Provider
from relay.secret import Secret
from relay.web import listing
from relay.web.base import Door, Leaf
from relay.web.records import Reporter
from relay.web.request import RelayRequest
from relay.web.seams import Gateway

_LONGEST_SHOWN = 256

PATIENCE = 1.0
"""Seconds that a list waits for providers; what comes later is there the next time."""


class ModelIndex:
    """Finds out which models there are.

    Args:
        configuration: what is configured.
        catalog: what the providers list.
        keys: whether clients' keys are relay's own, and so never a provider's.
        clock: bounds the wait for providers.
    """

    def __init__(
        self, configuration: IConfiguration, catalog: IModelCatalog, keys: IKeyStore, clock: IReactorTime
    ) -> None:
        self._clock = clock
        self._configuration = configuration
        self._catalog = catalog
        self._keys = keys

    async def owners(self, client: Secret | None) -> Mapping[str, str]:
        """Model name → name of the provider that serves it, ``relay`` for routes; asks all providers at once."""
        snapshot = self._configuration.snapshot
        routes = {
            name: "relay"
            for route in snapshot.routes.values()
            if not route.hidden and not route.pattern
            for name in (route.name, *route.aliases)
        }
        providers = tuple(snapshot.providers.values())
        fetched = await gatherResults([self._fetch(snapshot, provider, client) for provider in providers])
        owners = listing.merge(
            {
                provider.name: tuple(dict.fromkeys((*provider.model_mapping, *provider.models.listed, *upstream)))
                for provider, upstream in zip(providers, fetched, strict=True)
            }
        )
        return {**routes, **{model: owner for model, owner in owners.items() if model not in routes}}

    def _fetch(self, snapshot: Snapshot, provider: Provider, client: Secret | None) -> Deferred[Sequence[str]]:
        """What the provider lists itself; without a key for it, what is known of that already."""
        try:
            credential = upstream_credential(
                provider,
                first=provider is snapshot.first,
                keys_required=self._keys.required(),
                client=client,
                default=snapshot.default_key,
            )
        except RelayError:
            return succeed(sorted(self._catalog.known(provider)))
        asked = self._catalog.models(provider, credential.secret)
        asked.addTimeout(PATIENCE, self._clock)
        return asked.addErrback(lambda _: sorted(self._catalog.known(provider)))


class ModelLeaf(Leaf):
    """What the list and the single model have in common."""

    endpoint = MODELS_PATH

    def __init__(self, door: Door, index: ModelIndex, gateway: Gateway, reporter: Reporter) -> None:
        super().__init__(door)
        self._index = index
        self._gateway = gateway
        self._reporter = reporter

    async def respond(self, request: RelayRequest) -> None:
        """Check the key, collect the models, show them."""
        credential = self.sent_key(request)
        key = await self._gateway.authenticate(credential)
        owners = await self._index.owners(credential)
        dialect, shown = self.show(request, owners)
        body = msgspec.json.encode(shown)
        request.settled = True
        request.answer(200, ((b"content-type", b"application/json"),), body)
        self._reporter.served(request, self.endpoint, dialect, key, len(body))

    def sent_key(self, request: RelayRequest) -> Secret | None:
        """The key that the client sent, in whichever style its dialect knows, or None.

        Raises:
            Unauthenticated: two keys disagree, or it is none.
        """
        return request.sent_key()

    @abstractmethod
    def show(self, request: RelayRequest, owners: Mapping[str, str]) -> tuple[str, dict[str, object]]:
        """Name of the dialect spoken, and body of the answer."""


def _is_anthropic(request: RelayRequest) -> bool:
    return request.header(b"anthropic-version") is not None


class ModelsResource(ModelLeaf):
    """``GET /v1/models``.

    Args:
        door: see `ModelLeaf`.
        index: see there.
        gateway: see there.
        reporter: see there.
        acting: what serves the action that a path ends in; None if it ends in none.
    """

    def __init__(
        self,
        door: Door,
        index: ModelIndex,
        gateway: Gateway,
        reporter: Reporter,
        acting: Callable[[RelayRequest], Resource | None],
    ) -> None:
        super().__init__(door, index, gateway, reporter)
        self._one = ModelResource(door, index, gateway, reporter)
        self._acting = acting

    def getChild(self, path: bytes, request: RelayRequest) -> Resource:
        """Whatever stands below is the id of a model, unless it ends in one of Gemini's actions."""
        return self._acting(request) or self._one

    def show(self, request: RelayRequest, owners: Mapping[str, str]) -> tuple[str, dict[str, object]]:
        """All models, as Anthropic's or OpenAI's clients read them."""
        if _is_anthropic(request):
            return "anthropic", listing.anthropic_list(owners, listing.Page.read(request.query))
        return "openai", listing.openai_list(owners)


class ModelResource(ModelLeaf):
    """``GET /v1/models/{id}``; an id may hold slashes, as they are or as ``%2F``."""

    isLeaf = True

    def show(self, request: RelayRequest, owners: Mapping[str, str]) -> tuple[str, dict[str, object]]:
        """One model.

        Raises:
            UnknownModel: there is none of that name.
        """
        raw = request.path.partition(b"/models/")[2].removesuffix(b"/")
        model = unquote_to_bytes(raw).decode("utf-8", "replace")
        if model not in owners:
            raise UnknownModel(f"The model {model[:_LONGEST_SHOWN]!r} is not known here.", param="model")
        if _is_anthropic(request):
            return "anthropic", listing.anthropic_model(model)
        return "openai", listing.openai_model(model, owners[model])
