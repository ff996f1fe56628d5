"""Names of routes: each means one route, and fallbacks lead to an end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
from msgspec import UNSET, UnsetType

from relay.config import WILD, Route
from relay.loader.place import Place, nearest
from relay.provider import Provider
from relay.schema.config import RouteFile

_KINDS = ("fallbacks", "contextFallbacks", "policyFallbacks")


@attrs.frozen
class Names:
    """What the names in ``routes`` mean.

    Attributes:
        owners: name, alias or pattern → name of the route.
        open: patterns of routes with a deployment that takes the client's name for the model.
    """

    owners: Mapping[str, str]
    open: frozenset[str]

    @classmethod
    def of(cls, specs: Mapping[str, RouteFile], place: Place, providers: Mapping[str, Provider]) -> Names:
        """Collect them.

        Args:
            specs: what the file says.
            place: where ``routes`` stands.
            providers: the configured providers.

        Raises:
            ConfigError: a name is used twice, means a provider's model, or is no pattern.
        """
        owners: dict[str, str] = {}
        for name in specs:
            _check(name, place.at(name), providers)
            owners[name] = name
        for name, spec in specs.items():
            for index, alias in enumerate([] if spec.aliases is UNSET else spec.aliases):
                here = place.at(name, "aliases", index)
                _check(alias, here, providers)
                if WILD in alias:
                    raise here.error("expected a name without '*'; a pattern is a route of its own")
                if alias in owners:
                    raise here.error(f"the name {alias!r} is taken by route {owners[alias]!r}")
                owners[alias] = name
        return cls(owners, frozenset(name for name, spec in specs.items() if _is_open(name, spec)))

    def fallbacks(self, route: str, names: Sequence[str] | UnsetType, place: Place) -> tuple[str, ...]:
        """The routes that a list of fallbacks names.

        Args:
            route: the route whose list it is.
            names: names or aliases of routes.
            place: where they stand.

        Raises:
            ConfigError: an unknown route, one that is there twice, the route itself, or one that
                would ask another provider for this route's model.
        """
        found: list[str] = []
        for index, name in enumerate([] if names is UNSET else names):
            here = place.at(index)
            owner = self.owner(name, here)
            if owner == route:
                raise here.error("a route does not fall back to itself; list its deployments instead")
            if owner in found:
                raise here.error(f"the route {owner!r} is listed twice")
            if owner in self.open:
                raise here.error(
                    f"route {owner!r} takes the model's name from the client, who asked for another one; "
                    "expected a route whose deployments have a 'model'"
                )
            found.append(owner)
        return tuple(found)

    def owner(self, name: str, place: Place) -> str:
        """The route of a name.

        Raises:
            ConfigError: there is none.
        """
        if name not in self.owners:
            known = ", ".join(self.owners) or "none is configured"
            raise place.error(f"expected a route ({known[:_LONGEST_LIST]})", nearest(name, self.owners))
        return self.owners[name]


_LONGEST_LIST = 200
"""Characters of a message that a list of names may take."""


def _is_open(name: str, spec: RouteFile) -> bool:
    return WILD in name and any(deployment.model is UNSET for deployment in spec.deployments)


def _check(name: str, place: Place, providers: Mapping[str, Provider]) -> None:
    if name.count(WILD) > 1:
        raise place.error("expected at most one '*' in a pattern")
    prefix, slash, rest = name.partition("/")
    if slash and rest and prefix in providers:
        raise place.error(f"{prefix}/… addresses the provider {prefix!r} itself; expected another name")


def refuse_circles(routes: Mapping[str, Route], place: Place) -> None:
    """Refuse fallbacks, of all three kinds together, that lead back to a route.

    Args:
        routes: name → route.
        place: where ``routes`` stands.

    Raises:
        ConfigError: there is a circle; names it.
    """
    done: set[str] = set()
    for start in routes:
        way = [start]
        left = [_steps(routes[start])]
        while way:
            kind, index, target = next(left[-1], _END)
            if not target:
                done.add(way.pop())
                left.pop()
            elif target in way:
                circle = " → ".join((*way[way.index(target) :], target))
                raise place.at(way[-1], kind, index).error(f"fallbacks lead in a circle: {circle}")
            elif target not in done:
                way.append(target)
                left.append(_steps(routes[target]))


_END = ("", 0, "")


def _steps(route: Route) -> Iterator[tuple[str, int, str]]:
    """Key, position and target of each fallback."""
    lists = (route.fallbacks, route.context_fallbacks, route.policy_fallbacks)
    for kind, names in zip(_KINDS, lists, strict=True):
        for index, target in enumerate(names):
            yield kind, index, target
