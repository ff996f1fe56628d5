"""Who may talk to a relay that listens on loopback and asks for no key.

A web page can make its visitor's browser send requests to ``127.0.0.1``, and by DNS
rebinding even read the answers. The browser then tells the truth in ``Origin`` and
``Host``: a foreign name in either is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from relay.config import ServerConfig
from relay.errors import Forbidden

_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{0,5})?", re.ASCII)


def host_name(authority: str) -> str | None:
    """The name or address in ``host[:port]``: lower case, without brackets and the root's dot; None if malformed."""
    match = _AUTHORITY.fullmatch(authority.strip().lower())
    if match is None:
        return None
    return match[1] or match[2].removesuffix(".")


def is_loopback(name: str) -> bool:
    """Whether a name or address can only mean this machine.

    See: https://www.rfc-editor.org/rfc/rfc6761#section-6.3 (``localhost`` and all below it).
    """
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def check(server: ServerConfig, hosts: Sequence[str], origins: Sequence[str]) -> None:
    """Refuse a request that a foreign page may have caused.

    Args:
        server: names other hosts and origins that may call.
        hosts: the values of the ``Host`` fields; none is fine (HTTP/1.0), browsers always send it.
        origins: the values of the ``Origin`` fields.

    Raises:
        Forbidden: a host or an origin is foreign.
    """
    for host in hosts:
        if not _is_ours(server, host):
            raise Forbidden(
                "relay answers on loopback without keys only to loopback host names; "
                "add this Host to server.hosts, or configure clientKeys.",
                code="foreign_host",
            )
    for origin in origins:
        if not _is_welcome(server, origin):
            raise Forbidden(
                "Requests from other web origins are refused on loopback without keys; "
                "add this Origin to server.corsOrigins, or configure clientKeys.",
                code="foreign_origin",
            )


def _is_ours(server: ServerConfig, authority: str) -> bool:
    name = host_name(authority)
    return name is not None and (is_loopback(name) or name in {host_name(host) for host in server.hosts})


def _is_welcome(server: ServerConfig, origin: str) -> bool:
    scheme, separator, authority = origin.strip().lower().partition("://")
    if separator and scheme in ("http", "https") and _is_ours(server, authority):
        return True
    return allows(server.cors_origins, origin)


def allows(origins: Sequence[str], origin: str) -> bool:
    """Whether ``server.corsOrigins`` names an origin; ``*`` names them all."""
    wanted = origin.strip().lower()
    return "*" in origins or wanted in {known.strip().lower().rstrip("/") for known in origins}
