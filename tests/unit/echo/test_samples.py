"""Tests of `relay.echo.samples`."""

from __future__ import annotations

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.samples import LARGEST, sample

SCHEMAS: tuple[dict[str, object], ...] = (
    {"type": "string"},
    {"type": "string", "minLength": 20},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "minimum": 5},
    {"type": "integer", "exclusiveMinimum": 1},
    {"type": "integer", "maximum": -3},
    {"type": "integer", "exclusiveMaximum": 1},
    {"type": "integer", "minimum": 10, "multipleOf": 7},
    {"type": "integer", "minimum": 10, "maximum": 20, "multipleOf": 7},
    {"type": "integer", "maximum": -1, "multipleOf": 4},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"enum": ["a", "b"]},
    {"const": {"a": [1]}},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    {"type": "array", "items": {"type": "integer"}},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]},
    {"type": "object", "required": ["anything"]},
    {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}], "type": "object"},
    {
        "allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["a", "b"]}],
        "properties": {"b": {"type": "null"}},
        "required": ["b"],
        "type": "object",
    },
    {
        "$defs": {"Point": {"type": "object", "properties": {"x/y": {"type": "number"}}, "required": ["x/y"]}},
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/Point"}},
        "required": ["at"],
    },
    {
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {
                    "left": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                    "right": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                },
                "required": ["left", "right"],
            }
        },
        "$ref": "#/$defs/Node",
    },
)
ENDLESS: tuple[dict[str, object], ...] = (
    {"$ref": "#"},
    {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
    {"type": "array", "items": {"$ref": "#"}, "minItems": 9},
)
ODD: tuple[object, ...] = (
    None,
    "string",
    [],
    {},
    {"type": 3},
    {"type": []},
    {"enum": []},
    {"anyOf": []},
    {"$ref": 3},
    {"$ref": "other.json#/a"},
    {"$ref": "#/not/there"},
    {"properties": 3, "required": 4},
    {"required": [1], "type": "object"},
    {"minItems": "x", "type": "array"},
    {"minimum": "x", "type": "integer"},
    {"minLength": 3.5, "type": "string"},
)


def size(value: object) -> int:
    """How many values a JSON value is made of."""
    if isinstance(value, dict):
        return 1 + sum(map(size, value.values()))
    return 1 + sum(map(size, value)) if isinstance(value, list) else 1


class SampleTests(SynchronousTestCase):
    """Instances of schemas."""

    def test_samplesAreValid(self) -> None:
        """An instance satisfies its schema."""
        for schema in SCHEMAS:
            jsonschema.validate(sample(schema), schema)

    def test_onlyRequiredPropertiesAreFilledIn(self) -> None:
        """The instance is as small as the schema allows."""
        schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}
        self.assertEqual(sample(schema), {"a": "sample"})

    def test_defaultsAreTaken(self) -> None:
        """What the schema gives as a value is used."""
        self.assertEqual(sample({"type": "string", "default": "Oslo"}), "Oslo")
        self.assertEqual(sample({"type": "string", "examples": ["Oslo"]}), "Oslo")

    def test_endlessSchemasEnd(self) -> None:
        """A schema that only an infinite value satisfies gives a bounded one."""
        for schema in ENDLESS:
            self.assertTrue(size(sample(schema)) < 10 * LARGEST, schema)

    def test_oddSchemasDoNoHarm(self) -> None:
        """What is no schema gives some value."""
        for schema in ODD:
            self.assertTrue(size(sample(schema)) < 3, schema)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.integers(-50, 50), st.integers(0, 50), st.booleans(), st.booleans())
    def test_numbersKeepTheirBounds(self, low: int, width: int, above: bool, whole: bool) -> None:
        """Whatever the bounds, the number lies between them, when there is one."""
        kind = "integer" if whole else "number"
        schema = {"type": kind, "exclusiveMinimum" if above else "minimum": low, "maximum": low + width + 1}
        jsonschema.validate(sample(schema), schema)

    def test_largeLengthsAreBounded(self) -> None:
        """A schema cannot make the echo fill the memory."""
        text = sample({"type": "string", "minLength": 10**12})
        self.assertTrue(isinstance(text, str) and len(text) <= 10**5)
        self.assertTrue(size(sample({"type": "array", "minItems": 10**12})) < 2 * LARGEST)
