"""Reading a client's JSON objects: names in camelCase or snake_case, and types that must be right.

Google reads its JSON as protobuf does, so clients may write ``inlineData`` or ``inline_data``, numbers
as strings, and a single object where a list is meant. See: https://protobuf.dev/programming-guides/json/
(read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import isfinite

import msgspec

from relay.dialects import problems
from relay.errors import InvalidRequest

_WORDS: Mapping[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
}


_LONGEST_NAME = 64


def camel(name: str) -> str:
    """``inline_data`` as ``inlineData``; no field of Google's has a longer name than `_LONGEST_NAME`."""
    return _camel(name) if "_" in name and len(name) <= _LONGEST_NAME else name


@lru_cache(maxsize=512)
def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else name


def wrong(place: str, wanted: str, value: object = None) -> InvalidRequest:
    """The error for a field of the wrong kind."""
    got = f", not {_WORDS[type(value)]}" if type(value) in _WORDS else ""
    return InvalidRequest(f"`{place}` must be {wanted}{got}.", param=place or None)


def load(body: bytes) -> Fields:
    """The body as an object.

    Raises:
        InvalidRequest: it is no JSON object.
    """
    with problems.told():
        value = msgspec.json.decode(body)
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return Fields(value, "")


class Fields:
    """One JSON object with its names in camelCase; null counts as absent.

    Args:
        value: the decoded object.
        place: where it stands, for messages; "" for the body itself.
    """

    __slots__ = ("place", "values")

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, dict):
            raise wrong(place, "an object", value)
        self.place = place
        self.values = {camel(name): member for name, member in value.items() if member is not None}

    def at(self, name: str) -> str:
        """The place of a member."""
        return f"{self.place}.{name}" if self.place else name

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        """A string, "" if absent."""
        value = self.values.get(name, "")
        if not isinstance(value, str):
            raise wrong(self.at(name), "a string", value)
        return value

    def number(self, name: str) -> float | None:
        """A number, also in a string."""
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise wrong(self.at(name), "a number", value) from None
        if isinstance(value, float) and not isfinite(value):
            raise wrong(self.at(name), "a finite number")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise wrong(self.at(name), "a number", value)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number, also as ``5.0`` or in a string."""
        value = self.number(name)
        if isinstance(value, float):
            if not value.is_integer():
                raise wrong(self.at(name), "an integer")
            return int(value)
        return value

    def flag(self, name: str) -> bool | None:
        """True, false, or None if absent."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(self.at(name), "true or false", value)
        return value

    def member(self, name: str) -> Fields | None:
        """An object, None if absent."""
        value = self.values.get(name)
        return None if value is None else Fields(value, self.at(name))

    def needed(self, name: str) -> Fields:
        """An object that must be there."""
        return Fields(self.values.get(name), self.at(name))

    def named(self, name: str) -> str:
        """A string that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise InvalidRequest(f"`{self.at(name)}` is required.", param=self.at(name))
        return value

    def members(self, name: str) -> Iterator[Fields]:
        """The objects of a list; a single object counts as a list of one."""
        for index, value in enumerate(self._list(name)):
            yield Fields(value, f"{self.at(name)}[{index}]")

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of a list; a single string counts as a list of one."""
        values = self._list(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise wrong(f"{self.at(name)}[{index}]", "a string", value)
        return tuple(map(str, values))

    def raw(self, name: str) -> bytes:
        """A member as JSON text, b"" if absent."""
        value = self.values.get(name)
        return b"" if value is None else encode(value)

    def rest(self, known: frozenset[str]) -> dict[str, bytes]:
        """The members that are not known, as JSON text, by their place."""
        return {self.at(name): encode(value) for name, value in self.values.items() if name not in known}

    def _list(self, name: str) -> list[object]:
        value = self.values.get(name)
        if value is None:
            return []
        if isinstance(value, dict | str):
            return [value]
        if not isinstance(value, list):
            raise wrong(self.at(name), "an array", value)
        return value


def encode(value: object) -> bytes:
    """A decoded value as JSON text again."""
    try:
        return msgspec.json.encode(value)
    except RecursionError as error:
        raise InvalidRequest("The request body is nested too deeply.") from error
