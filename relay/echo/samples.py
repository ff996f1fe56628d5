"""A small instance for a JSON schema: what the echo fills tool arguments and structured answers with.

Only required properties are filled in. ``pattern``, ``not``, ``if`` and ``uniqueItems``
are not followed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

DEEPEST = 12
"""From this depth on, a choice takes ``null`` where it can, so that recursive schemas end."""

LARGEST = 2000
"""Values in an instance; what a schema that never ends would add is ``null``."""

_FORMATS: Mapping[str, str] = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "echo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: object) -> object:
    """Build an instance of a JSON schema.

    Args:
        schema: the schema; ``$ref`` may point inside it (``#/$defs/Thing``).

    Returns:
        A JSON value; None where the schema is not understood.
    """
    return _Sampler(schema).build(schema, 0)


class _Sampler:
    """Builds instances of the parts of one schema, which references lead back into.

    Args:
        root: the whole schema.
    """

    def __init__(self, root: object) -> None:
        self._root = root
        self._left = LARGEST

    def build(self, schema: object, depth: int) -> object:
        """An instance of a schema at a depth of the instance."""
        if schema is True:
            return "sample"
        self._left -= 1
        if not isinstance(schema, Mapping) or self._left < 0 or depth > 2 * DEEPEST:
            return None
        schema = self._merged(schema, depth)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("enum", "examples"):
            values = schema.get(key)
            if isinstance(values, Sequence) and values:
                return values[0]
        for key in ("anyOf", "oneOf"):
            options = schema.get(key)
            if isinstance(options, Sequence) and options:
                return self.build(self._choose(options, depth), depth + 1)
        return self._of_type(schema, depth)

    def _merged(self, schema: Mapping[str, object], depth: int) -> Mapping[str, object]:
        """The schema with its reference followed and its ``allOf`` joined in."""
        parts: list[object] = []
        if "$ref" in schema:
            parts.append(self._resolve(schema["$ref"]))
        every = schema.get("allOf")
        if isinstance(every, Sequence):
            parts.extend(every)
        self._left -= len(parts)
        if not parts or self._left < 0 or depth > 2 * DEEPEST:
            return schema
        joined: dict[str, object] = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        for part in parts:
            if isinstance(part, Mapping):
                _join(joined, self._merged(part, depth + 1))
        return joined

    def _resolve(self, reference: object) -> object:
        """The part of the root that a local reference names, None for others."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        found: object = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                name = step.replace("~1", "/").replace("~0", "~")
                found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def _choose(self, options: Sequence[object], depth: int) -> object:
        """The first option; deep down, the one that ends the recursion."""
        if depth >= DEEPEST:
            for option in options:
                if isinstance(option, Mapping) and option.get("type") == "null":
                    return option
        return options[0]

    def _of_type(self, schema: Mapping[str, object], depth: int) -> object:
        """An instance by the schema's ``type``, or by what its other keys imply."""
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            kind = "null" if depth >= DEEPEST and "null" in kind else kind[0]
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, depth)
        if kind == "array" or (kind is None and "items" in schema):
            return self._array(schema, depth)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        if kind == "boolean":
            return True
        if kind == "null":
            return None
        return _string(schema)

    def _object(self, schema: Mapping[str, object], depth: int) -> dict[str, object]:
        """An object with the required properties."""
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        names = required if isinstance(required, Sequence) else ()
        return {name: self.build(known.get(name, True), depth + 1) for name in names if isinstance(name, str)}

    def _array(self, schema: Mapping[str, object], depth: int) -> list[object]:
        """An array of as many items as it must have, tuples in full."""
        prefix = schema.get("prefixItems")
        items = [self.build(item, depth + 1) for item in prefix] if isinstance(prefix, Sequence) else []
        least = schema.get("minItems")
        while isinstance(least, int) and len(items) < min(least, 1000):
            items.append(self.build(schema.get("items", True), depth + 1))
        return items


def _join(into: dict[str, object], part: Mapping[str, object]) -> None:
    """Add a part of an ``allOf``: properties and requirements add up, the rest is kept where it is new."""
    for key, value in part.items():
        have = into.get(key)
        if isinstance(have, Mapping) and isinstance(value, Mapping):
            into[key] = {**value, **have}
        elif key == "required" and isinstance(have, list) and isinstance(value, list):
            into[key] = [*have, *(name for name in value if name not in have)]
        else:
            into.setdefault(key, value)


def _string(schema: Mapping[str, object]) -> str:
    """A string of the asked format, or of the asked length."""
    known = _FORMATS.get(str(schema.get("format")))
    if known is not None:
        return known
    text = "sample"
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(min(least, 100_000), ".")
    return text[:most] if isinstance(most, int) else text


def _number(schema: Mapping[str, object], *, whole: bool) -> float:
    """The number nearest to 1 that the bounds and the step allow."""
    value: float = 1
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    if low is not None:
        value = max(value, low)
    if above is not None and value <= above:
        value = math.floor(above) + 1
    if high is not None:
        value = min(value, high)
    if below is not None and value >= below:
        value = math.ceil(below) - 1
    if above is not None and below is not None and not above < value < below:
        value = (above + below) / 2
    step = _bound(schema, "multipleOf")
    if step:
        value = math.ceil(value / step) * step
        if high is not None and value > high:
            value = math.floor(high / step) * step
    return math.ceil(value) if whole else value


def _bound(schema: Mapping[str, object], key: str) -> float | None:
    """A number of the schema, None if it is absent or not a number."""
    value = schema.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
