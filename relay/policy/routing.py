"""Which deployment serves a model: pure functions of configuration and what is known."""

from __future__ import annotations

from collections.abc import Callable

from relay.config import Deployment, Snapshot
from relay.endpoints import Endpoint
from relay.provider import Provider

Known = Callable[[Provider], frozenset[str]]
"""What a provider is known to list besides its file: upstream model ids, maybe none yet."""


def resolve(snapshot: Snapshot, endpoint: Endpoint, model: str, known: Known) -> Deployment:
    """Find the deployment for a model name.

    ``NAME/model`` addresses the provider NAME. A bare name goes to the first provider that
    maps or lists it, else to the first that speaks the endpoint's dialect, else to the first.

    Args:
        snapshot: the configuration the exchange began with.
        endpoint: where the request came in.
        model: the client's name for the model; "" where the endpoint lets it be left out.
        known: ids that the providers are known to list.
    """
    prefix, slash, rest = model.partition("/")
    if slash and rest and prefix in snapshot.providers:
        return _deployment(snapshot.providers[prefix], rest)
    return _deployment(_provider(snapshot, endpoint, model, known), model)


def _provider(snapshot: Snapshot, endpoint: Endpoint, model: str, known: Known) -> Provider:
    candidates = snapshot.providers.values()
    for provider in candidates:
        if model and (provider.knows(model) or model in known(provider)):
            return provider
    for provider in candidates:
        if provider.endpoints[endpoint.path].dialect == endpoint.front:
            return provider
    return snapshot.first


def _deployment(provider: Provider, model: str) -> Deployment:
    upstream = provider.upstream_model(model)
    name = f"{provider.name}/{upstream}" if upstream else provider.name
    return Deployment(name=name, provider=provider, model=upstream)


def label(provider: Provider, model: str, known: Known) -> str:
    """The model's name if the configuration or the provider's list has it, else ``other``.

    Metric labels come from here, so that clients cannot create series.
    """
    bare = model.removeprefix(f"{provider.name}/")
    return bare if provider.knows(bare) or bare in known(provider) else "other"
