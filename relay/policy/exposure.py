"""Whether an address would offer a stored key to strangers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from relay.config import Snapshot
from relay.errors import ConfigError
from relay.policy.credentials import has_own_credential
from relay.provider import AuthScheme

_LOCAL_KINDS = ("unix",)
"""Kinds of endpoint that only this machine reaches; file permissions guard them."""


def is_loopback(endpoint: str) -> bool:
    """Whether a Twisted endpoint string listens on this machine only.

    ``tcp:8000`` listens everywhere; ``tcp:8000:interface=127.0.0.1`` does not. An address
    that cannot be told from the string (``systemd:``, ``fd:``) counts as reachable.
    """
    kind, *rest = [part.replace("\\:", ":") for part in re.split(r"(?<!\\):", endpoint)]
    if kind in _LOCAL_KINDS:
        return True
    named = [part.removeprefix("interface=") for part in rest if part.startswith("interface=")]
    if kind not in ("tcp", "tcp4", "tcp6", "ssl") or not named:
        return False
    try:
        return ipaddress.ip_address(named[-1]).is_loopback
    except ValueError:
        return False


def check_exposure(snapshot: Snapshot, endpoints: Iterable[str]) -> None:
    """Refuse to offer a stored key to anyone who can connect.

    Args:
        snapshot: the configuration.
        endpoints: the endpoint strings that relay listens on.

    Raises:
        ConfigError: an endpoint is reachable from elsewhere, no client keys are
            configured, and relay holds a key that it would use for any caller.
    """
    if snapshot.client_keys:
        return
    open_to_all = [endpoint for endpoint in endpoints if not is_loopback(endpoint)]
    if not open_to_all:
        return
    holders = [
        f"of provider {provider.name!r}" for provider in snapshot.providers.values() if has_own_credential(provider)
    ]
    if not holders and snapshot.default_key:
        asking = [p for p in snapshot.providers.values() if p.auth.scheme is not AuthScheme.NONE]
        holders = ["in DEFAULT_API_KEY"] if asking else []
    if holders:
        raise ConfigError(
            f"listening on {open_to_all[0]!r} would offer the key {holders[0]} to anyone who can connect; "
            "configure clientKeys, or listen on a loopback address"
        )
