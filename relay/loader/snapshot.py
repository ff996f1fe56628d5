"""One reading of everything: options, config file, provider files, environment, key files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
from msgspec import UNSET

from relay.config import ClientKey, Snapshot
from relay.errors import ConfigError
from relay.loader import limits
from relay.loader.choose import LARGEST, Choice, Chooser, Entry, refuse_unserved
from relay.loader.credential import KeySource
from relay.loader.explain import validate
from relay.loader.files import Files, Unreadable
from relay.loader.parse import parse_object
from relay.loader.place import Layer, Place, one_line
from relay.loader.resolve import Surroundings, resolve
from relay.loader.routes import read_routes
from relay.loader.server import client_keys, server_config, server_timeouts
from relay.loader.sources import Sources, available
from relay.policy.credentials import has_own_credential
from relay.provider import AuthScheme, Provider
from relay.schema.config import ConfigFile

__all__ = ["Sources", "available", "load"]


def load(sources: Sources, environ: Mapping[str, str], generation: int = 1, files: Files | None = None) -> Snapshot:
    """Read and check all configuration.

    Args:
        sources: what the command line asks for.
        environ: the environment.
        generation: number of this reading.
        files: takes note of every file looked at; a new one when None.

    Raises:
        ConfigError: anything is wrong; one line that says what and where.
    """
    files = Files() if files is None else files
    warnings: list[str] = []
    keys = KeySource(environ, files, warnings)
    config, document, place = _read_config(sources, files)
    choices = Chooser(sources, files, warnings).choose(_entries(config, document), place.at("providers"))
    around = Surroundings(
        keys=keys,
        environ=environ,
        rate_limits=(config.rate_limit, limits.from_environment(environ)),
        timeouts=config.timeouts,
        warnings=warnings,
    )
    providers = {choice.name: _resolved(choice, around) for choice in choices}
    routes, default_route = read_routes(config, place, providers, warnings)
    snapshot = Snapshot(
        providers=providers,
        client_keys=_client_keys(config, place, keys),
        default_key=keys.default_key(),
        routes=routes,
        default_route=default_route,
        server=server_config(config.server, place.at("server")),
        server_timeouts=server_timeouts(config.timeouts),
        listen=_listen(config, place.at("listen")),
        files=tuple(str(path) for path in files.read_paths),
        generation=generation,
    )
    return attrs.evolve(
        snapshot, warnings=tuple(dict.fromkeys((*warnings, *_keyless(snapshot), *_out_of_reach(snapshot))))
    )


def _read_config(sources: Sources, files: Files) -> tuple[ConfigFile, Mapping[str, object], Place]:
    if sources.config is None:
        return ConfigFile(), {}, Place((Layer("--config", Path(), None),))
    path, shown = Path(sources.config), one_line(sources.config)
    try:
        data = files.read(path, LARGEST)
    except Unreadable as error:
        raise ConfigError(f"cannot be read: {error}", file=shown) from None
    document = parse_object(data, shown)
    place = Place((Layer(shown, path.parent, document),))
    config = validate(document, ConfigFile, place)
    refuse_unserved(document, place)
    return config, document, place


def _entries(config: ConfigFile, document: Mapping[str, object]) -> list[Entry]:
    """Each element of ``providers`` with the JSON it was read from."""
    raw = document.get("providers")
    if config.providers is UNSET or not isinstance(raw, list):
        return []
    return [(entry, json if isinstance(json, dict) else {}) for entry, json in zip(config.providers, raw, strict=True)]


def _resolved(choice: Choice, around: Surroundings) -> Provider:
    return resolve(choice.name, choice.file, choice.spec, choice.place, around)


def _client_keys(config: ConfigFile, place: Place, keys: KeySource) -> tuple[ClientKey, ...]:
    return () if config.client_keys is UNSET else client_keys(config.client_keys, place.at("clientKeys"), keys)


def _listen(config: ConfigFile, place: Place) -> tuple[str, ...]:
    listen = [] if config.listen is UNSET else config.listen
    for index, text in enumerate(listen):
        if not text.strip():
            raise place.at(index).error("expected an endpoint string such as tcp:8000:interface=127.0.0.1")
        if text in listen[:index]:
            raise place.at(index).error("the address is listed twice")
    return tuple(listen)


def _keyless(snapshot: Snapshot) -> list[str]:
    """Providers that no request can reach: clients' keys stay here, and relay has none of its own."""
    if not snapshot.client_keys or snapshot.default_key:
        return []
    return [
        f"provider {provider.name!r} has no key: set {provider.auth.source or 'its auth'} or DEFAULT_API_KEY"
        for provider in snapshot.providers.values()
        if provider.auth.scheme is not AuthScheme.NONE
        and not provider.auth.credential
        and not provider.header_credentials()
    ]


def _out_of_reach(snapshot: Snapshot) -> list[str]:
    """Providers that a route names in vain: a client's own key goes to that of its first deployment only."""
    if snapshot.client_keys or snapshot.default_key:
        return []
    found = []
    for route in {route.name: route for route in snapshot.routes.values()}.values():
        others = (*route.fallbacks, *route.context_fallbacks, *route.policy_fallbacks)
        reached = [d.provider for r in (route, *(snapshot.routes[name] for name in others)) for d in r.everywhere()]
        found += [
            f"route {route.name!r} cannot use provider {provider.name!r}, which has no key: "
            f"set {provider.auth.source or 'its auth'} or DEFAULT_API_KEY"
            for provider in {p.name: p for p in reached if p is not route.deployments[0].provider}.values()
            if provider.auth.scheme is not AuthScheme.NONE and not has_own_credential(provider)
        ]
    return found
