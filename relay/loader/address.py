"""Addresses: ``baseUrl``, ``upstreamPath`` and what comes of the two."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

import attrs

from relay.loader.place import Place
from relay.provider import Origin

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_TARGET = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORTS = {"http": 80, "https": 443}
_MODEL = "{model}"
_VERSIONS = ("/v1", "/v1beta", "/v2")

ECHO = Origin("echo", "local", 0)
"""The embedded echo upstream: ``echo://local``."""


@attrs.frozen
class Address:
    """A ``baseUrl`` taken apart.

    Attributes:
        origin: scheme, host and port.
        path: without a trailing slash, "" for the root.
        query: without ``?``; goes along with every request.
    """

    origin: Origin
    path: str
    query: str


def base_address(text: str, place: Place) -> Address:
    """Take a ``baseUrl`` apart; without a scheme it means ``https://``.

    Args:
        text: the address, variables already replaced.
        place: where it stands.

    Raises:
        ConfigError: another scheme than http, https or ``echo://local``, user and password,
            a fragment, no valid host or port, characters that an address cannot hold.
    """
    if not _SCHEME.match(text):
        text = f"https://{text}"
    if text.lower().startswith("echo:"):
        if text.lower().rstrip("/") != "echo://local":
            raise place.error("expected echo://local, the only address of scheme echo")
        return Address(ECHO, "", "")
    if _MODEL in text:
        raise place.error("{model} may stand in upstreamPath only")
    parts = _split(text, place)
    return Address(_origin(parts, place), _checked(parts.path, place).rstrip("/"), _checked(parts.query, place))


def default_target(base: Address, path: str) -> str:
    """Where a path goes that the file says nothing about; a version (``/v1``, ``/v1beta``, ``/v2``) is not doubled.

    Args:
        base: the provider's address.
        path: a canonical path.
    """
    path, _, query = path.partition("?")
    version = path[: path.find("/", 1)]
    if version in _VERSIONS and base.path.endswith(version):
        path = path.removeprefix(version)
    return _with_query(_with_query(base.path + path, base.query), query)


def explicit_target(base: Address, path: str, place: Place) -> tuple[Origin, str]:
    """Where an ``upstreamPath`` leads: below ``baseUrl``, or anywhere if it is a whole URL.

    Args:
        base: the provider's address.
        path: path, or URL with http or https; variables already replaced, ``{model}`` not.
        place: where it stands.

    Returns:
        Origin, and path with query.

    Raises:
        ConfigError: another scheme, an unencrypted URL below an encrypted ``baseUrl``, or
            what `base_address` refuses.
    """
    if _SCHEME.match(path):
        parts = _split(path, place)
        origin = _origin(parts, place)
        if base.origin.scheme == "https" and origin.scheme != "https":
            raise place.error("expected an https:// URL, as baseUrl is: the key would travel unencrypted")
        return origin, _with_query(_checked(parts.path, place) or "/", _checked(parts.query, place))
    if "#" in path:
        raise place.error("expected a path without a fragment ('#')")
    path, _, query = path.partition("?")
    joined = _checked(path if path.startswith("/") else f"/{path}", place)
    return base.origin, _with_query(_with_query(base.path + joined, base.query), _checked(query, place))


def _split(text: str, place: Place) -> SplitResult:
    # urlsplit() drops tabs and line breaks instead of refusing them.
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise place.error("expected an address in ASCII without blanks or control characters")
    if "#" in text:
        raise place.error("expected an address without a fragment ('#')")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise place.error("expected an address with a valid host and a port from 1 to 65535") from None
    if "@" in parts.netloc:
        raise place.error("expected an address without user and password; name the credential in 'auth'")
    return parts


def _origin(parts: SplitResult, place: Place) -> Origin:
    if parts.scheme not in _PORTS:
        raise place.error("expected an address with http:// or https://")
    host = parts.hostname or ""
    if parts.port == 0 or parts.netloc.endswith(":") or not _HOST.fullmatch(host):
        raise place.error("expected an address with a valid host and a port from 1 to 65535")
    return Origin(parts.scheme, host, parts.port or _PORTS[parts.scheme])


def _checked(target: str, place: Place) -> str:
    """The path or query, if a request line can hold it; ``{model}`` is filled in per request."""
    bare = target.replace(_MODEL, "")
    if "{" in bare or "}" in bare:
        raise place.error("expected no other placeholder than {model}")
    if not _TARGET.fullmatch(bare) or _PERCENT.search(bare):
        raise place.error("expected a path of URL characters; others are written as %XX")
    return target


def _with_query(target: str, query: str) -> str:
    if not query:
        return target
    return f"{target}{'&' if '?' in target else '?'}{query}"
