"""The vocabulary as JSON Schema, and what of it this version does not serve."""

from __future__ import annotations

import msgspec

from relay.schema.config import ConfigFile
from relay.schema.provider import ProviderFile

NOT_SERVED: dict[str, str] = {
    "routes": "routes with several deployments",
    "store": "the usage store",
    "redis": "limits shared through Redis",
    "admin": "the admin listener",
    "concurrency": "per-provider concurrency caps",
    "prices": "prices",
    "tls": "per-provider TLS settings",
    "proxy": "upstream proxies",
}
"""Keys that the vocabulary reserves and this version does not serve: the loader refuses
them, so that nothing is accepted and then ignored. Key → what it is about."""

NOT_SERVED_SCHEMES = ("sigv4", "gcp")
"""Values of ``auth.scheme`` that are reserved in the same way."""


def json_schema(kind: type[ProviderFile] | type[ConfigFile]) -> dict[str, object]:
    """The JSON Schema (2020-12) of a kind of file."""
    schema = msgspec.json.schema(kind)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
