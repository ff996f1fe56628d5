"""The published JSON Schemas are those of the vocabulary, and agree with the loader."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.errors import ConfigError
from relay.loader.explain import validate
from relay.loader.parse import parse_object
from relay.loader.place import Layer, Place
from relay.provider import AuthScheme, Quirk
from relay.schema.config import ConfigFile
from relay.schema.provider import ProviderFile, QuirkName, SchemeName
from relay.schema.publish import NOT_SERVED, PUBLISHED, json_schema, text, write
from tests.unit.schema.documents import ANYTHING, RICH, ROUTED, changed, positions

_VALIDATORS = {kind: jsonschema.Draft202012Validator(json_schema(kind)) for kind in PUBLISHED.values()}
_FOLDER = Path(__file__).parents[3] / "transformer"


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

    def test_enumerationsAgree(self) -> None:
        """The words of files are those of the values they become."""
        self.assertEqual(set(get_args(SchemeName)), {scheme.value for scheme in AuthScheme})
        self.assertEqual(set(get_args(QuirkName)), {quirk.value for quirk in Quirk})

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(keys=st.sampled_from(positions(RICH)), value=ANYTHING)
    def test_agreesWithTheLoader(self, keys: tuple[Any, ...], value: object) -> None:
        """Whatever stands anywhere in a provider file, schema and loader give one verdict, and the loader a path."""
        self.agree(changed(RICH, keys, value), ProviderFile)

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(keys=st.sampled_from(positions(ROUTED)), value=ANYTHING)
    def test_agreesAboutRoutes(self, keys: tuple[Any, ...], value: object) -> None:
        """The same holds for the config file."""
        self.agree(changed(ROUTED, keys, value), ConfigFile)

    def agree(self, document: object, kind: type[ProviderFile] | type[ConfigFile]) -> None:
        """Have both judge a document."""
        parsed = parse_object(json.dumps(document).encode(), "p.json")
        valid = _VALIDATORS[kind].is_valid(parsed)
        try:
            validate(parsed, kind, Place((Layer("p.json", Path(), parsed),)))
        except ConfigError as error:
            self.assertFalse(valid, f"{parsed}: {error}")
            self.assertTrue(str(error).startswith("p.json: $."), str(error))
            self.assertTrue(str(error).isprintable())
        else:
            self.assertTrue(valid, parsed)

    def test_noPatternBesideAContainer(self) -> None:
        """No text with a pattern has a list or object as its alternative: msgspec 0.22 crashes on that."""
        for kind in PUBLISHED.values():
            for schema in _alternatives(json_schema(kind)):
                kinds = {part.get("type", "object") for part in schema}
                self.assertFalse(
                    any("pattern" in part for part in schema) and kinds & {"array", "object"}, json.dumps(schema)
                )


def _alternatives(schema: object) -> Iterator[list[dict[str, Any]]]:
    """Every ``anyOf`` in a schema."""
    if isinstance(schema, dict):
        if "anyOf" in schema:
            yield schema["anyOf"]
        for member in schema.values():
            yield from _alternatives(member)
    elif isinstance(schema, list):
        for member in schema:
            yield from _alternatives(member)
