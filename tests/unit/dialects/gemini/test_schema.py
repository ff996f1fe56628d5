"""Schemas into Gemini's own form and back: edge cases 13, 97 and 98."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.gemini.schema import standard, subset
from relay.errors import InvalidRequest

TEXT = {"type": "STRING"}
ANY = {"type": "OBJECT"}

_NAMES = [
    "type",
    "properties",
    "items",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "$defs",
    "enum",
    "const",
    "required",
    "nullable",
    "format",
    "minItems",
]
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["string", "object", "array", "null", "#", "#/$defs/a", "#/properties/a", "a"])
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from([*_NAMES, "a"])
    return st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4)


class SubsetTests(SynchronousTestCase):
    """JSON Schema becomes the subset that old models take."""

    def test_rules(self) -> None:
        """Each rule by itself."""
        table: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"type": "string", "$schema": "x", "$comment": "y", "minLength": 1}, {"type": "STRING", "minLength": 1}),
            ({"type": "object", "additionalProperties": False, "patternProperties": {}, "propertyNames": {}}, ANY),
            ({"type": "integer", "exclusiveMinimum": 1, "maximum": 9}, {"type": "INTEGER", "maximum": 9}),
            ({"type": "string", "format": "uri"}, TEXT),
            ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
            ({"type": "number", "format": "date-time"}, {"type": "NUMBER"}),
            ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
            ({"type": "integer", "enum": [1, 2]}, {"type": "INTEGER"}),
            (
                {"enum": ["a", "", None], "type": ["string", "null"]},
                {"type": "STRING", "enum": ["a"], "nullable": True},
            ),
            ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
            ({"type": ["string", "integer"]}, {"anyOf": [TEXT, {"type": "INTEGER"}]}),
            ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "STRING", "nullable": True}),
            ({"oneOf": [{"type": "string"}, {"type": "boolean"}]}, {"anyOf": [TEXT, {"type": "BOOLEAN"}]}),
            ({"type": "array"}, {"type": "ARRAY", "items": TEXT}),
            (
                {"type": "array", "uniqueItems": True, "items": {"type": "number"}},
                {"type": "ARRAY", "items": {"type": "NUMBER"}},
            ),
            (
                {"properties": {"a": {}}, "required": ["a", "b"]},
                {"type": "OBJECT", "properties": {"a": TEXT}, "required": ["a"]},
            ),
            (
                {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {}}}]},
                {"type": "OBJECT", "properties": {"a": TEXT, "b": TEXT}, "required": ["a"]},
            ),
        ]
        for schema, expected in table:
            self.assertEqual(subset(schema), expected, schema)

    def test_references(self) -> None:
        """References are put in place; one to itself ends in an object of any form; a broken one is any object."""
        schema = {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/node", "description": "d"}, "b": {"$ref": "#/nowhere"}},
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        }
        found = subset(schema)["properties"]
        self.assertEqual(found["a"], {"type": "OBJECT", "description": "d", "properties": {"next": ANY}})
        self.assertEqual(found["b"], ANY)
        self.assertEqual(subset({"$ref": "#"}), ANY)
        self.assertEqual(subset({"allOf": [{"$ref": "#"}]}), TEXT)

    def test_tooLarge(self) -> None:
        """References that multiply do not run away with the memory."""
        definitions: dict[str, Any] = {"d0": {"type": "string"}}
        for level in range(1, 40):
            both = {side: {"$ref": f"#/$defs/d{level - 1}"} for side in ("l", "r")}
            definitions[f"d{level}"] = {"type": "object", "properties": both}
        self.assertRaises(InvalidRequest, subset, {"$ref": "#/$defs/d39", "$defs": definitions})

    @settings(max_examples=100, deadline=None)
    @given(st.dictionaries(st.sampled_from([*_NAMES, "a"]), st.recursive(_LEAVES, _containers, max_leaves=12)))
    def test_anySchema(self, schema: dict[str, Any]) -> None:
        """Any JSON makes a schema of known words, or is refused."""
        try:
            found = subset(schema)
        except InvalidRequest:
            return
        json.dumps(found)
        self.assertTrue(found.keys() & {"type", "anyOf"}, found)
        self.assertFalse(found.keys() & {"$ref", "$defs", "oneOf", "allOf", "const"}, found)


class StandardTests(SynchronousTestCase):
    """Gemini's own form becomes JSON Schema."""

    def test_rules(self) -> None:
        """Types, nullable, names in either spelling, numbers in strings."""
        table: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
            ({"type": "STRING", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
            (
                {"type": "ARRAY", "min_items": "2", "items": {"type": "NUMBER"}},
                {"type": "array", "minItems": 2, "items": {"type": "number"}},
            ),
            ({"any_of": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
            (
                {"type": "OBJECT", "properties": {"min_items": {"type": "STRING"}}, "property_ordering": ["min_items"]},
                {"type": "object", "properties": {"min_items": {"type": "string"}}},
            ),
            (
                {"ref": "#/defs/a", "defs": {"a": {"type": "STRING"}}},
                {"$ref": "#/defs/a", "$defs": {"a": {"type": "string"}}},
            ),
            ({"type": None, "nullable": False}, {}),
        ]
        for schema, expected in table:
            self.assertEqual(standard(schema), expected, schema)

    def test_thereAndBack(self) -> None:
        """What the subset can say comes back as it was."""
        schema = {
            "type": "object",
            "properties": {
                "a": {"type": "string", "enum": ["x"], "description": "d"},
                "b": {"type": "array", "items": {"type": ["integer", "null"]}, "maxItems": 3},
            },
            "required": ["a"],
        }
        self.assertEqual(standard(subset(schema)), schema)
