"""JSON Schemas as structured output takes them.

Objects must be closed, and constraints on numbers, strings and arrays are refused; the latter move into the
description, where the model still reads them. Recursive schemas and open maps have no form at all.

See: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_KEPT = frozenset({"type", "title", "description", "enum", "const", "default", "required", "$ref"})
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_SILENT = frozenset({"$schema", "$id", "$comment", "additionalProperties", "strict", "examples"})
_DEFINITIONS = ("$defs", "definitions")
_NESTED: Mapping[str, str] = {
    "items": "items",
    "anyOf": "anyOf",
    "oneOf": "anyOf",
    "allOf": "allOf",
    "properties": "properties",
    **dict(zip(_DEFINITIONS, _DEFINITIONS, strict=True)),
}
"""Keywords that hold schemas, and what they are called where they are sent."""

_DEEPEST = 100


class _Unfit(Exception):
    """The schema has no form that is taken."""


def closed(schema: bytes) -> bytes | None:
    """The schema with every object closed and what is refused moved into descriptions.

    Returns:
        JSON text; None if the schema cannot be had (recursive, a map of any keys, not an object's).
    """
    try:
        decoded = msgspec.json.decode(schema)
        if not isinstance(decoded, dict):
            return None
        _check_references(decoded)
        return msgspec.json.encode(_fit(decoded, 0))
    except (msgspec.MsgspecError, _Unfit, RecursionError):
        return None


def is_object(schema: bytes) -> bool:
    """Whether a schema describes an object, as the input of a tool must be."""
    try:
        return bool(msgspec.json.decode(schema, type=dict[str, Any]).get("type") == "object")
    except msgspec.MsgspecError:
        return False


def _fit(schema: object, depth: int) -> dict[str, Any]:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        raise _Unfit
    fit: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in schema.items():
        if name in _KEPT or (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1)):
            fit[name] = value
        elif name in _NESTED:
            fit[_NESTED[name]] = _inner(name, value, depth + 1)
        elif name not in _SILENT:
            notes.append(f"{name}: {msgspec.json.encode(value).decode()}")
    if _describes_object(schema):
        if schema.get("additionalProperties") not in (None, False) and not schema.get("properties"):
            raise _Unfit
        fit["additionalProperties"] = False
    if notes:
        fit["description"] = "\n\n".join(filter(None, (fit.get("description"), "{" + ", ".join(notes) + "}")))
    return fit


def _inner(name: str, value: object, depth: int) -> object:
    """The schemas inside of a keyword."""
    if name == "items":
        return _fit(value, depth)
    if name in ("anyOf", "oneOf", "allOf"):
        if not isinstance(value, list):
            raise _Unfit
        return [_fit(variant, depth) for variant in value]
    if not isinstance(value, dict):
        raise _Unfit
    return {key: _fit(member, depth) for key, member in value.items()}


def _describes_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema


def _check_references(schema: Mapping[str, Any]) -> None:
    """Refuse references that lead out of the schema or back to themselves."""
    targets: dict[str, object] = {"#": schema}
    for section in _DEFINITIONS:
        members = schema.get(section)
        if isinstance(members, dict):
            targets |= {f"#/{section}/{name}": member for name, member in members.items()}
    links = {name: _references(target, top=name == "#") for name, target in targets.items()}
    settled: set[str] = set()
    for name in links:
        _follow(name, links, settled, ())


def _follow(name: str, links: Mapping[str, set[str]], settled: set[str], path: tuple[str, ...]) -> None:
    if name in path or name not in links:
        raise _Unfit
    if name in settled:
        return
    for link in links[name]:
        _follow(link, links, settled, (*path, name))
    settled.add(name)


def _references(schema: object, *, top: bool = False) -> set[str]:
    """What a schema refers to directly; definitions are looked at for themselves."""
    if isinstance(schema, list):
        return {link for item in schema for link in _references(item)}
    if not isinstance(schema, dict):
        return set()
    found = {link for key, value in schema.items() if not (top and key in _DEFINITIONS) for link in _references(value)}
    reference = schema.get("$ref")
    return found | {reference} if isinstance(reference, str) else found
