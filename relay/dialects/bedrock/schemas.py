"""JSON Schemas and JSON objects on their way to Converse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.dialects.quoting import mended
from relay.errors import InvalidRequest

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_EMPTY: Mapping[str, Any] = {"type": "object", "properties": {}}

_UNSUPPORTED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "contains",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "oneOf",
        "not",
        "if",
    }
)
"""Keywords that structured output refuses.

See: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (read 2026-11).
"""
_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf", "prefixItems")
_DEEPEST = 40


def object_schema(text: str | bytes, param: str) -> Any:
    """A tool's arguments, or the schema of them, as an object that msgspec encodes.

    Args:
        text: JSON text; nothing at all is the empty object, or for bytes the schema without properties.
        param: where the client put it, for errors.

    Raises:
        InvalidRequest: it is no JSON.
    """
    is_schema = isinstance(text, bytes)
    data = text if isinstance(text, bytes) else _utf8(text)
    if not data.strip():
        return dict(_EMPTY) if is_schema else {}
    try:
        members = _MEMBERS.decode(data)
    except msgspec.ValidationError:  # JSON, but no object
        return dict(_EMPTY) if is_schema else _wrapped(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = "A tool's schema" if is_schema else "The arguments of a tool call"
        raise InvalidRequest(f"{what} must be JSON.", param=param) from error
    if is_schema and bytes(members.get("type", b"")).strip() != b'"object"':
        return {**members, "type": "object"} if "properties" in members else {**_EMPTY, **members, "type": "object"}
    return msgspec.Raw(data)


def _wrapped(data: bytes) -> Any:
    return {} if data.strip() == b"null" else {"value": msgspec.Raw(data)}


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return mended(text).encode("utf-8")


def closed(schema: bytes) -> Any | None:
    """The schema with each object closed to other members; None if structured output cannot follow it.

    Converse's structured output wants ``additionalProperties: false`` everywhere, knows no bounds and no recursion.

    Args:
        schema: JSON text.
    """
    try:
        root = msgspec.json.decode(schema)
        return _closed(root, 0) if isinstance(root, dict) and _refers_forward(root) else None
    except (msgspec.DecodeError, _OpenError, RecursionError, ValueError):
        return None


class _OpenError(Exception):
    """The schema says something that structured output cannot."""


def _closed(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict):
        return schema
    if depth > _DEEPEST or _UNSUPPORTED & schema.keys() or schema.get("minItems", 0) not in (0, 1):
        raise _OpenError
    done = dict(schema)
    for name in _MAPS:
        if isinstance(done.get(name), dict):
            done[name] = {key: _closed(member, depth + 1) for key, member in done[name].items()}
    for name in _LISTS:
        if isinstance(done.get(name), list):
            done[name] = [_closed(member, depth + 1) for member in done[name]]
    if "items" in done:
        done["items"] = _closed(done["items"], depth + 1)
    kind = done.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in done:
        if "properties" not in done or done.get("additionalProperties") not in (None, False):
            raise _OpenError
        done["additionalProperties"] = False
    return done


def _refers_forward(root: Mapping[str, Any]) -> bool:
    """Whether no definition leads back to itself."""
    groups = [root.get(name) for name in ("$defs", "definitions")]
    defined = {
        f"#/{group}/{name}": body
        for group, bodies in zip(("$defs", "definitions"), groups, strict=True)
        if isinstance(bodies, dict)
        for name, body in bodies.items()
    }
    done: set[str] = set()

    def walk(value: Any, path: frozenset[str]) -> bool:
        if isinstance(value, list):
            return all(walk(item, path) for item in value)
        if not isinstance(value, dict):
            return True
        name = value.get("$ref")
        if isinstance(name, str) and name not in done:
            if name in path or name not in defined:
                return False
            if not walk(defined[name], path | {name}):
                return False
            done.add(name)
        return all(walk(item, path) for key, item in value.items() if key not in ("$defs", "definitions"))

    return walk(root, frozenset())
