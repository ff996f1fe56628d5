"""The vocabulary as JSON Schema, and what of it this version does not serve.

``python -m relay.schema.publish transformer`` writes the schemas beside the provider files.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from relay.schema.config import ConfigFile
from relay.schema.provider import ProviderFile

NOT_SERVED: Mapping[str, str] = {
    "store": "the usage store",
    "redis": "limits shared through Redis",
    "admin": "the admin listener",
    "prices": "prices",
    "tls": "per-provider TLS settings",
    "proxy": "upstream proxies",
}
"""Keys that the vocabulary reserves and this version does not serve: the loader refuses
them, so that nothing is accepted and then ignored. Key → what it is about."""

PUBLISHED: Mapping[str, type[ProviderFile] | type[ConfigFile]] = {
    "_schema.json": ProviderFile,
    "_config_schema.json": ConfigFile,
}
"""File name of a published schema → what it describes."""


def json_schema(kind: type[ProviderFile] | type[ConfigFile]) -> dict[str, object]:
    """The JSON Schema (2020-12) of a kind of file."""
    schema = msgspec.json.schema(kind)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def text(kind: type[ProviderFile] | type[ConfigFile]) -> str:
    """The JSON Schema of a kind of file as it is published."""
    return msgspec.json.format(msgspec.json.encode(json_schema(kind)), indent=2).decode() + "\n"


def write(folder: Path) -> None:
    """Write every published schema into a folder."""
    for name, kind in PUBLISHED.items():
        (folder / name).write_text(text(kind), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
