"""JSON Schema and Gemini's own ``Schema``, a subset of OpenAPI 3.0, into each other.

Models from 2.0 on take JSON Schema itself in ``parametersJsonSchema`` and ``responseJsonSchema``; `subset`
serves the others. See: https://ai.google.dev/api/caching#Schema and
https://ai.google.dev/gemini-api/docs/structured-output (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from relay.dialects.gemini.fields import camel
from relay.errors import InvalidRequest

_SIZES = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_KEPT = frozenset({"title", "description", "pattern", "minimum", "maximum", "default", *_SIZES})
_FORMATS: Mapping[str, frozenset[str]] = {
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
    "STRING": frozenset({"date-time", "enum"}),
}
_MOST_NODES = 20_000
_DEEPEST = 64


def declared(schema: bytes, param: str) -> dict[str, Any] | None:
    """A schema of the caller's as an object with a type; None if it says nothing.

    Raises:
        InvalidRequest: it is no JSON object; ``param`` names the field.
    """
    if not schema:
        return None
    value = msgspec.json.decode(schema)
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{param}` must be a JSON Schema object.", param=param)
    if not value.keys() & {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}:
        value = {"type": "object", **value}
    return value


def says_nothing(schema: Mapping[str, Any]) -> bool:
    """Whether a schema of arguments has no argument: Gemini's own form of it is refused."""
    return schema.get("type") == "object" and not schema.get("properties") and "$ref" not in schema


# ── Gemini's form → JSON Schema ──────────────────────────────────────────────────────


def standard(schema: object) -> Any:
    """Gemini's ``Schema`` as JSON Schema: types in lower case, ``nullable`` as a type, camelCase names."""
    if not isinstance(schema, dict):
        return schema
    given = {camel(name): value for name, value in schema.items() if value is not None}
    out: dict[str, Any] = {}
    for name, value in given.items():
        match name:
            case "type":
                out["type"] = value.lower() if isinstance(value, str) else value
            case "properties" | "defs" if isinstance(value, dict):
                members = {member: standard(inner) for member, inner in value.items()}
                out["$defs" if name == "defs" else name] = members
            case "items" | "additionalProperties":
                out[name] = standard(value)
            case "anyOf" if isinstance(value, list):
                out[name] = [standard(inner) for inner in value]
            case "ref":
                out["$ref"] = value
            case "nullable" | "propertyOrdering":
                pass
            case _ if name in _SIZES and isinstance(value, str) and value.isascii() and value.isdigit():
                out[name] = int(value)
            case _:
                out[name] = value
    return _nullable(out) if given.get("nullable") is True else out


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("anyOf"), list):
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    if isinstance(schema.get("type"), str):
        schema = {**schema, "type": [schema["type"], "null"]}
    if isinstance(schema.get("enum"), list):
        schema = {**schema, "enum": [*schema["enum"], None]}
    return schema


# ── JSON Schema → Gemini's form ──────────────────────────────────────────────────────


def subset(schema: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema as Gemini's ``Schema``: references put in place, and what it does not know left out.

    A reference to itself becomes an object of any form.

    Raises:
        InvalidRequest: with its references put in place the schema is too large.
    """
    return _Subset(schema).convert(schema, ())


class _Subset:
    """One conversion; counts what it made, because references multiply."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def convert(self, schema: object, trail: tuple[str, ...]) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(trail) > _DEEPEST:
            raise InvalidRequest("A JSON Schema of the request is too large for this provider.")
        if not isinstance(schema, dict):
            return {"type": "OBJECT"}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in trail:
                return {"type": "OBJECT"}
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            return self.convert({**self._find(reference), **rest}, (*trail, reference))
        schema, trail = self._together(schema, trail)
        return self._plain(schema, (*trail, ""))

    def _together(self, schema: Mapping[str, Any], trail: tuple[str, ...]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The schema with its ``allOf`` put together and ``const`` as the only value."""
        parts = schema.get("allOf")
        if isinstance(parts, list):
            whole: dict[str, Any] = {name: value for name, value in schema.items() if name != "allOf"}
            for part in parts:
                reference = part.get("$ref") if isinstance(part, dict) else None
                if isinstance(reference, str) and reference not in trail:
                    whole, trail = _joined(whole, self._find(reference)), (*trail, reference)
                elif isinstance(part, dict):
                    whole = _joined(whole, part)
            if "allOf" in whole and len(trail) <= _DEEPEST:
                return self._together(whole, (*trail, ""))
            schema = whole
        if "const" in schema:
            schema = {**schema, "enum": [schema["const"]]}
        values = schema.get("enum")
        if "type" not in schema and isinstance(values, list) and values and all(isinstance(one, str) for one in values):
            schema = {**schema, "type": "string"}
        return schema, trail

    def _plain(self, schema: Mapping[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        out: dict[str, Any] = {name: value for name, value in schema.items() if name in _KEPT}
        options = schema.get("anyOf") or schema.get("oneOf")
        kinds = _kinds(schema)
        if isinstance(options, list) and options:
            self._options(out, options, trail)
        elif len(kinds) > 1:
            out["anyOf"] = [self._typed({}, schema, kind, trail) for kind in kinds]
        else:
            self._typed(out, schema, kinds[0] if kinds else "", trail)
        if schema.get("nullable") is True or _allows_null(schema):
            out["nullable"] = True
        return out

    def _options(self, out: dict[str, Any], options: list[object], trail: tuple[str, ...]) -> None:
        real = [option for option in options if not (isinstance(option, dict) and option.get("type") == "null")]
        if len(real) < len(options):
            out["nullable"] = True
        if len(real) == 1:
            out.update({**self.convert(real[0], trail), **out})
        else:
            out["anyOf"] = [self.convert(option, trail) for option in real]

    def _typed(
        self, out: dict[str, Any], schema: Mapping[str, Any], kind: str, trail: tuple[str, ...]
    ) -> dict[str, Any]:
        properties = schema.get("properties")
        if not kind:
            kind = "object" if isinstance(properties, dict) else "array" if "items" in schema else "string"
        out["type"] = kind.upper()
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS.get(out["type"], ()):
            out["format"] = form
        if kind == "string" and isinstance(values := schema.get("enum"), list):
            out["enum"] = [value for value in values if isinstance(value, str) and value]
        if kind == "array":
            items = schema.get("items")
            out["items"] = self.convert(items, trail) if isinstance(items, dict) else {"type": "STRING"}
        if kind == "object" and isinstance(properties, dict) and properties:
            out["properties"] = {name: self.convert(inner, trail) for name, inner in properties.items()}
            required = schema.get("required")
            names = [name for name in map(str, required) if name in properties] if isinstance(required, list) else []
            if names:
                out["required"] = names
        return out

    def _find(self, reference: str) -> Mapping[str, Any]:
        """What a reference inside the document points to, else an object of any form."""
        node: object = self._root
        for step in reference.removeprefix("#").strip("/").split("/") if reference.startswith("#") else ("",):
            if reference.strip("#/") and isinstance(node, dict):
                node = node.get(unquote(step).replace("~1", "/").replace("~0", "~"))
        return node if isinstance(node, dict) else {"type": "object"}


def _joined(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    out = {**one, **other}
    for name in ("properties", "$defs"):
        if isinstance(one.get(name), dict) and isinstance(other.get(name), dict):
            out[name] = {**one[name], **other[name]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        out["required"] = list(dict.fromkeys(map(str, [*one["required"], *other["required"]])))
    return out


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that are not null."""
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    return [name for name in kinds if isinstance(name, str) and name != "null"]


def _allows_null(schema: Mapping[str, Any]) -> bool:
    kind, values = schema.get("type"), schema.get("enum")
    return (isinstance(kind, list) and "null" in kind) or (isinstance(values, list) and None in values)
