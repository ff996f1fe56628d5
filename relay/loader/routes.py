"""Routes: from what the config file says to values in which every name is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from msgspec import UNSET, UnsetType

from relay.config import (
    WILD,
    BreakerPolicy,
    Deployment,
    DisconnectPolicy,
    HedgePolicy,
    MirrorPolicy,
    QueuePolicy,
    RetryPolicy,
    Route,
    Sticky,
)
from relay.loader.limits import rate_limit
from relay.loader.place import Place, nearest
from relay.loader.route_names import Names, refuse_circles
from relay.loader.timeouts import timeouts
from relay.provider import Provider, RateLimit
from relay.schema.config import (
    BreakerFile,
    ConfigFile,
    DeploymentFile,
    DisconnectFile,
    HedgeFile,
    MirrorFile,
    QueueFile,
    RetryFile,
    RouteFile,
    StickyFile,
)
from relay.schema.provider import RateLimitFile, TimeoutsFile


def read_routes(
    config: ConfigFile, place: Place, providers: Mapping[str, Provider], warnings: list[str]
) -> tuple[Mapping[str, Route], str | None]:
    """Resolve all routes.

    Args:
        config: the config file, structurally valid.
        place: its root.
        providers: the configured providers.
        warnings: takes what the operator should know.

    Returns:
        Name, alias or pattern → route; and the name of the default route, or None.

    Raises:
        ConfigError: an unknown name, a name used twice, fallbacks in a circle, settings that
            contradict each other or can have no effect.
    """
    specs = {} if config.routes is UNSET else config.routes
    place, default_place = place.at("routes"), place.at("defaultRoute")
    names = Names.of(specs, place, providers)
    reader = _Reader(place, providers, names, warnings)
    routes = {name: reader.route(name, spec) for name, spec in specs.items()}
    refuse_circles(routes, place)
    _refuse_shared(routes, place)
    default = None if config.default_route is UNSET else names.owner(config.default_route, default_place)
    return {name: routes[owner] for name, owner in names.owners.items()}, default


@attrs.frozen
class _Reader:
    """Resolves one route after the other."""

    place: Place
    providers: Mapping[str, Provider]
    names: Names
    warnings: list[str]

    def route(self, name: str, spec: RouteFile) -> Route:
        """Resolve a route."""
        place = self.place.at(name)
        deployments = self._deployments(name, spec, place.at("deployments"))
        route = Route(
            name=name,
            deployments=deployments,
            strategy=spec.strategy,
            fallbacks=self.names.fallbacks(name, spec.fallbacks, place.at("fallbacks")),
            context_fallbacks=self.names.fallbacks(name, spec.context_fallbacks, place.at("contextFallbacks")),
            policy_fallbacks=self.names.fallbacks(name, spec.policy_fallbacks, place.at("policyFallbacks")),
            retry=_retry(spec.retry, place.at("retry")),
            breaker=_breaker(spec.breaker),
            hedge=_hedge(spec.hedge),
            mirror=self._mirror(name, spec.mirror, place.at("mirror")),
            disconnect=_disconnect(spec.disconnect, place.at("disconnect")),
            concurrency=spec.concurrency,
            queue=_queue(spec.queue),
            sticky=_sticky(spec.sticky, place.at("sticky")),
            deadline=None if spec.deadline is UNSET else spec.deadline,
            hidden=spec.hidden,
            aliases=() if spec.aliases is UNSET else tuple(spec.aliases),
        )
        _check_effect(route, place)
        self._warn(route, place)
        return route

    def _deployments(self, route: str, spec: RouteFile, place: Place) -> tuple[Deployment, ...]:
        found: list[Deployment] = []
        for index, candidate in enumerate(spec.deployments):
            here = place.at(index)
            deployment = self._deployment(route, candidate, spec.timeouts, here)
            if any(other.name == deployment.name for other in found):
                raise here.error(f"the deployment {deployment.name!r} is there twice; remove one, or give it a 'name'")
            # A client's key is meant for one provider, whichever deployment is chosen first.
            first = not found or deployment.provider is found[0].provider
            found.append(attrs.evolve(deployment, first=first))
        return tuple(found)

    def _deployment(
        self, route: str, spec: DeploymentFile, weaker: TimeoutsFile | UnsetType, place: Place
    ) -> Deployment:
        provider = self._provider(spec.provider, place.at("provider"))
        model = self._model(route, spec.model, provider, place.at("model"))
        own = timeouts((spec.timeouts, weaker), provider.timeouts)
        return Deployment(
            name=f"{provider.name}/{model or WILD}" if spec.name is UNSET else spec.name,
            provider=provider,
            model=model,
            weight=spec.weight,
            priority=spec.priority,
            concurrency=spec.concurrency,
            rate_limit=_limit(spec.rate_limit, place.at("rateLimit")),
            timeouts=None if own == provider.timeouts else own,
            drained=spec.drained,
        )

    def _mirror(self, route: str, spec: MirrorFile | UnsetType, place: Place) -> MirrorPolicy | None:
        if spec is UNSET:
            return None
        provider = self._provider(spec.provider, place.at("provider"))
        model = self._model(route, spec.model, provider, place.at("model"))
        deployment = Deployment(f"{provider.name}/{model or WILD}", provider, model, first=False)
        return MirrorPolicy(deployment, spec.share)

    def _provider(self, name: str, place: Place) -> Provider:
        if name not in self.providers:
            known = ", ".join(self.providers)
            raise place.error(
                f"expected one of the configured providers ({known}); add {name!r} to 'providers'",
                nearest(name, self.providers),
            )
        return self.providers[name]

    def _model(self, route: str, model: str | UnsetType, provider: Provider, place: Place) -> str:
        """The upstream model; "" where the client's name counts."""
        if model is UNSET:
            return "" if WILD in route else provider.upstream_model(route)
        if not model.strip():
            raise place.error("expected a model name that is not blank")
        return model

    def _warn(self, route: Route, place: Place) -> None:
        if all(deployment.drained for deployment in route.deployments):
            self.warnings.append(str(place.at("deployments").error("every deployment is drained")))
        if route.strategy == "cheapest" and not any(d.provider.prices for d in route.deployments):
            self.warnings.append(
                str(
                    place.at("strategy").error("no provider of the route has prices; all its deployments cost the same")
                )
            )


def _limit(spec: RateLimitFile | UnsetType, place: Place) -> RateLimit | None:
    if spec is UNSET:
        return None
    if spec.requests_per_minute is UNSET:
        raise place.error("expected the key 'requestsPerMinute', which is missing")
    limit = rate_limit((spec,))
    return limit if limit.requests_per_minute else None


def _retry(spec: RetryFile | UnsetType, place: Place) -> RetryPolicy:
    if spec is UNSET:
        return RetryPolicy()
    if spec.backoff > spec.ceiling:
        raise place.error(f"expected a 'backoff' ({spec.backoff:g}) that is not above 'ceiling' ({spec.ceiling:g})")
    return RetryPolicy(spec.attempts, spec.backoff, spec.ceiling)


def _breaker(spec: BreakerFile | UnsetType) -> BreakerPolicy:
    if spec is UNSET:
        return BreakerPolicy()
    return BreakerPolicy(
        failures=spec.failures,
        ratio=spec.ratio,
        window=spec.window,
        least=spec.least,
        cooldown=spec.cooldown,
        slow_start=spec.slow_start,
    )


def _hedge(spec: HedgeFile | UnsetType) -> HedgePolicy | None:
    if spec is UNSET:
        return None
    return HedgePolicy(None if spec.after is UNSET else spec.after, spec.share)


def _disconnect(spec: DisconnectFile | UnsetType, place: Place) -> DisconnectPolicy:
    plain = DisconnectPolicy()
    if spec is UNSET:
        return plain
    for key, given in (("seconds", spec.seconds), ("tokens", spec.tokens)):
        if given is not UNSET and spec.mode != "drain":
            raise place.at(key).error("only mode drain has bounds")
    return DisconnectPolicy(
        mode=spec.mode,
        seconds=plain.seconds if spec.seconds is UNSET else spec.seconds,
        tokens=plain.tokens if spec.tokens is UNSET else spec.tokens,
    )


def _queue(spec: QueueFile | UnsetType) -> QueuePolicy:
    return QueuePolicy() if spec is UNSET else QueuePolicy(spec.size, spec.wait)


def _sticky(spec: StickyFile | UnsetType, place: Place) -> Sticky:
    if spec is UNSET:
        return Sticky()
    if spec.by == "header" and spec.header is UNSET:
        raise place.error("expected the key 'header', the field that is meant")
    if spec.by != "header" and spec.header is not UNSET:
        raise place.at("header").error("only by header has one")
    return Sticky(spec.by, "" if spec.header is UNSET else spec.header.lower())


def _check_effect(route: Route, place: Place) -> None:
    """Refuse settings that can have no effect."""
    caps = [route.concurrency, *(cap for d in route.deployments for cap in (d.concurrency, d.provider.concurrency))]
    if route.queue.size and not any(caps):
        raise place.at("queue").error(
            "nobody would ever wait: expected 'concurrency' in the route, its deployments or their providers"
        )
    if route.hedge is not None and len(route.deployments) == 1:
        raise place.at("hedge").error("a second attempt needs a second deployment")
    if route.mirror is not None and any(d.name == route.mirror.deployment.name for d in route.deployments):
        raise place.at("mirror").error(f"{route.mirror.deployment.name!r} is a deployment of the route already")


def _refuse_shared(routes: Mapping[str, Route], place: Place) -> None:
    """Refuse two settings of one deployment: routes that have it in common share what is known of its health."""
    seen: dict[str, tuple[str, Deployment, BreakerPolicy]] = {}
    for route in routes.values():
        for index, deployment in enumerate(route.deployments):
            owner, other, breaker = seen.setdefault(deployment.name, (route.name, deployment, route.breaker))
            here = place.at(route.name, "deployments", index)
            difference = _difference(deployment, other) or ("breaker" if breaker != route.breaker else "")
            if difference:
                raise here.error(
                    f"route {owner!r} has the deployment {deployment.name!r} with another {difference!r}; "
                    "make them equal, or give one of them another 'name'"
                )


def _difference(one: Deployment, other: Deployment) -> str:
    """The key in which two deployments of one name differ, "" when they may share their state."""
    pairs: Sequence[tuple[str, object, object]] = (
        ("provider", one.provider.name, other.provider.name),
        ("model", one.model, other.model),
        ("concurrency", one.concurrency, other.concurrency),
        ("rateLimit", one.rate_limit, other.rate_limit),
    )
    return next((key for key, mine, theirs in pairs if mine != theirs), "")
