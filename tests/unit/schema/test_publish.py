"""The published JSON Schemas are those of the vocabulary, and agree with the loader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

import relay
from relay.errors import ConfigError
from relay.loader.explain import validate
from relay.loader.parse import parse_object
from relay.loader.place import Layer, Place
from relay.provider import AuthScheme, Quirk
from relay.schema.config import ConfigFile
from relay.schema.provider import ProviderFile, QuirkName, SchemeName
from relay.schema.publish import NOT_SERVED, NOT_SERVED_SCHEMES, PUBLISHED, json_schema, text, write

_FOLDER = Path(relay.__file__).parent.parent / "transformer"

_RICH: dict[str, Any] = {
    "name": "p",
    "baseUrl": "https://api.example",
    "dialect": "openai",
    "port": 8000,
    "headers": {"x-a": "b"},
    "auth": {"scheme": "query", "env": "K", "parameter": "k"},
    "vars": {"A": "a", "B": {"env": "B", "default": "b"}},
    "modelMapping": {"a": "b"},
    "models": ["a"],
    "endpoints": {"/v1/embeddings": {"upstreamPath": "/e", "rateLimit": {"burst": 1}, "streamSupport": False}},
    "params": [{"name": "a", "min": 0.5, "default": None}],
    "rateLimit": {"requestsPerMinute": 5},
    "streamConfig": {"bufferSize": 8192, "heartbeatIntervalSecs": 1.5},
    "timeouts": {"total": 9},
    "prices": {"m": {"input": 1}},
    "quirks": ["no-stream-usage"],
}

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**10)
    | st.floats(-1, 1e6)
    | st.text(max_size=5)
    | st.just("/v1/rerank"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def positions(value: object, keys: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document but the whole."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[tuple[Any, ...]] = []
    for key, child in children:
        found += [(*keys, key), *positions(child, (*keys, key))]
    return found


def changed(document: Any, keys: tuple[Any, ...], value: object) -> Any:
    """A copy of a document with one value replaced."""
    if not keys:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[keys[0]] = changed(document[keys[0]], keys[1:], value)
    return copy


class PublishTests(SynchronousTestCase):
    """``_schema.json`` and ``_config_schema.json``."""

    def test_current(self) -> None:
        """The files beside the providers are what the vocabulary says now."""
        for name, kind in PUBLISHED.items():
            self.assertEqual(
                (_FOLDER / name).read_text("utf-8"), text(kind), "run: python -m relay.schema.publish transformer"
            )

    def test_write(self) -> None:
        """The command that the documentation names writes them."""
        folder = Path(self.mktemp())
        folder.mkdir()
        write(folder)
        self.assertEqual({path.name for path in folder.iterdir()}, set(PUBLISHED))
        again = Path(self.mktemp()).absolute()
        again.mkdir()
        subprocess.run(  # the same through the module's door
            [sys.executable, "-m", "relay.schema.publish", str(again)], check=True, cwd=_FOLDER.parent
        )
        for path in folder.iterdir():
            self.assertEqual((again / path.name).read_bytes(), path.read_bytes())

    def test_valid(self) -> None:
        """They are JSON Schemas."""
        for kind in PUBLISHED.values():
            jsonschema.Draft202012Validator.check_schema(json_schema(kind))

    def test_shippedFilesMatch(self) -> None:
        """Every shipped file is valid by the published schema."""
        validator = jsonschema.Draft202012Validator(json.loads((_FOLDER / "_schema.json").read_text("utf-8")))
        for path in sorted(_FOLDER.glob("[!_]*.json")):
            self.assertEqual(list(validator.iter_errors(json.loads(path.read_text("utf-8")))), [], path.name)

    def test_reservedKeysExist(self) -> None:
        """What is said not to be served is part of the vocabulary."""
        known = {field.encode_name for kind in (ProviderFile, ConfigFile) for field in msgspec.structs.fields(kind)}
        self.assertEqual(set(NOT_SERVED) - known, set())
        self.assertEqual(set(NOT_SERVED_SCHEMES) - {scheme.value for scheme in AuthScheme}, set())

    def test_enumerationsAgree(self) -> None:
        """The words of files are those of the values they become."""
        self.assertEqual(set(get_args(SchemeName)), {scheme.value for scheme in AuthScheme})
        self.assertEqual(set(get_args(QuirkName)), {quirk.value for quirk in Quirk})

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(keys=st.sampled_from(positions(_RICH)), value=_JSON)
    def test_agreesWithTheLoader(self, keys: tuple[Any, ...], value: object) -> None:
        """Whatever stands anywhere in a file, schema and loader give one verdict, and the loader a path."""
        document = parse_object(json.dumps(changed(_RICH, keys, value)).encode(), "p.json")
        valid = jsonschema.Draft202012Validator(json_schema(ProviderFile)).is_valid(document)
        try:
            validate(document, ProviderFile, Place((Layer("p.json", Path(), document),)))
        except ConfigError as error:
            self.assertFalse(valid, f"{document}: {error}")
            self.assertTrue(str(error).startswith("p.json: $."), str(error))
            self.assertTrue(str(error).isprintable())
        else:
            self.assertTrue(valid, document)
