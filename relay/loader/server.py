"""The client's side of the config file: bounds, deadlines, origins, client keys."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from relay.config import ClientKey, ServerConfig, ServerTimeouts
from relay.loader.credential import KeySource
from relay.loader.place import Place
from relay.schema.config import ClientKeyFile, ConfigTimeoutsFile, ServerFile

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")


def server_config(spec: ServerFile | UnsetType, place: Place) -> ServerConfig:
    """Bounds of the client side.

    Args:
        spec: what the file says.
        place: where it stands.

    Raises:
        ConfigError: an origin that is not scheme, host and port; a host that is not a name.
    """
    plain = ServerConfig()
    if spec is UNSET:
        return plain
    return ServerConfig(
        body=plain.body if spec.body is UNSET else spec.body,
        connections=plain.connections if spec.connections is UNSET else spec.connections,
        cors_origins=tuple(
            _origin(text, place.at("corsOrigins", index))
            for index, text in enumerate([] if spec.cors_origins is UNSET else spec.cors_origins)
        ),
        hosts=tuple(
            _host(text, place.at("hosts", index))
            for index, text in enumerate([] if spec.hosts is UNSET else spec.hosts)
        ),
        strict=spec.strict,
    )


def _origin(text: str, place: Place) -> str:
    origin = text.lower()
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise place.error("expected an origin such as https://app.example (no path, no trailing slash), or *")
    return origin


def _host(text: str, place: Place) -> str:
    host = text.lower()
    if not _HOST.fullmatch(host):
        raise place.error("expected a host name without scheme and port")
    return host


def server_timeouts(spec: ConfigTimeoutsFile | UnsetType) -> ServerTimeouts:
    """Deadlines of the client side."""
    plain = ServerTimeouts()
    if spec is UNSET:
        return plain
    return ServerTimeouts(
        request_head=plain.request_head if spec.request_head is UNSET else spec.request_head,
        request_body=plain.request_body if spec.request_body is UNSET else spec.request_body,
        write=plain.write if spec.write is UNSET else spec.write,
        drain=plain.drain if spec.drain is UNSET else spec.drain,
    )


def client_keys(specs: Sequence[ClientKeyFile], place: Place, keys: KeySource) -> tuple[ClientKey, ...]:
    """The keys that clients must bring.

    Args:
        specs: what the file says.
        place: where it stands.
        keys: where keys are taken from.

    Raises:
        ConfigError: a key that is missing, too short or there twice; a name that is there twice.
    """
    if not specs:
        raise place.error("expected at least one key; without 'clientKeys' everybody is let in")
    found: dict[str, ClientKey] = {}
    owners: dict[str, str] = {}  # there may be very many: each is looked up, not compared with all others
    for index, spec in enumerate(specs):
        here = place.at(index)
        key = keys.client_key(spec, here)
        if key.name in found:
            raise here.at("name").error(f"the name {key.name!r} is taken by another key")
        owner = owners.setdefault(key.secret.reveal(), key.name)
        if owner != key.name:
            raise here.error(f"the key is the same as that of {owner!r}")
        found[key.name] = key
    return tuple(found.values())
