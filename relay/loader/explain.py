"""Check a document against the vocabulary, and say exactly what is wrong where.

`msgspec` gives the verdict and is the only judge. Its message has no keys of open objects
in its path (``[...]``), so the fault is found by asking it again, one member at a time.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, UnsetType

from relay.errors import ConfigError
from relay.loader.place import Place, nearest

T = TypeVar("T", bound=Struct)

_LONGEST_NUMBER = 30


def validate(document: object, kind: type[T], place: Place) -> T:
    """Turn a document into a value of the vocabulary.

    Args:
        document: parsed JSON.
        kind: what it should be.
        place: where it stands.

    Raises:
        ConfigError: it is not that; names the path, what was expected and the nearest name.
    """
    try:
        return msgspec.convert(document, type=kind)
    except msgspec.ValidationError:
        raise _fault(document, kind, place) from None


def _accepts(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, type=kind)
    except msgspec.ValidationError:
        return False
    return True


def _fault(value: object, kind: Any, place: Place) -> ConfigError:
    """The error for a value that its kind does not accept."""
    members = _members(kind)
    for member in members:
        base = _base(member)
        origin = get_origin(base)
        if isinstance(value, dict) and isinstance(base, type) and issubclass(base, Struct):
            return _object_fault(value, base, place)
        if isinstance(value, dict) and origin is dict:
            return _map_fault(value, get_args(base), place)
        if isinstance(value, list) and origin is list:
            (item,) = get_args(base)
            wrong = [index for index, element in enumerate(value) if not _accepts(element, item)]
            if wrong:
                return _fault(value[wrong[0]], item, place.at(wrong[0]))
    close = nearest(value, _words(members)) if isinstance(value, str) else None
    wanted = " or ".join(_describe(member) for member in members)
    return place.error(f"expected {wanted}, got {_got(value, members)}", close)


def _object_fault(value: dict[str, object], kind: type[Struct], place: Place) -> ConfigError:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in value:
        if key not in fields:
            close = nearest(key, fields)
            known = ", ".join(sorted(fields))
            return place.at(key).error("unknown key" if close else f"unknown key; expected one of {known}", close)
    for key, member in value.items():
        if not _accepts(member, fields[key].type):
            return _fault(member, fields[key].type, place.at(key))
    missing = next(name for name, field in fields.items() if field.required and name not in value)
    return place.error(f"expected the key {missing!r}, which is missing")


def _map_fault(value: dict[str, object], kinds: tuple[Any, ...], place: Place) -> ConfigError:
    key_kind, member_kind = kinds
    for key, member in value.items():
        if not _accepts(key, key_kind):
            return place.at(key).error(f"expected as key {_describe(key_kind)}")
        if not _accepts(member, member_kind):
            return _fault(member, member_kind, place.at(key))
    raise AssertionError("every member of the object is valid")


def _members(kind: Any) -> tuple[Any, ...]:
    """The alternatives that a kind allows; a kind that is no union has one: itself."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(member for member in get_args(kind) if member is not UnsetType)
    return (kind,)


def _base(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _words(members: Sequence[Any]) -> list[str]:
    return [word for member in members if get_origin(_base(member)) is Literal for word in get_args(_base(member))]


def _describe(kind: Any) -> str:
    """What a kind accepts, in words."""
    base = _base(kind)
    metas = [note for note in get_args(kind)[1:] if isinstance(note, Meta)] if kind is not base else []
    origin = get_origin(base)
    if origin is Literal:
        return "one of " + ", ".join(get_args(base))
    if origin is list:
        return "a list that is not empty" if any(meta.min_length for meta in metas) else "a list"
    if base is bool:
        return "true or false"
    if base is int:
        return "a whole number" + _range(metas)
    if base is float:
        return "a number" + _range(metas)
    if base is str:
        return _describe_text(metas)
    return "an object"


def _describe_text(metas: Sequence[Meta]) -> str:
    for meta in metas:
        if meta.pattern is not None and meta.description:
            words = meta.description.removesuffix(".")
            return words[0].lower() + words[1:]
    return "a string that is not empty" if any(meta.min_length for meta in metas) else "a string"


def _range(metas: Sequence[Meta]) -> str:
    words = []
    for meta in metas:
        words += [f"above {meta.gt}"] if meta.gt is not None else []
        words += [f"at least {meta.ge}"] if meta.ge is not None else []
        words += [f"at most {meta.le}"] if meta.le is not None else []
    return (" " + " and ".join(words)) if words else ""


def _got(value: object, members: Sequence[Any]) -> str:
    """What is there instead. Never the text of a string: it may be a key in the wrong place."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)[:_LONGEST_NUMBER]
    if isinstance(value, str):
        wanted = any(_base(member) is str or get_origin(_base(member)) is Literal for member in members)
        return "an empty string" if not value else "another string" if wanted else "a string"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "an object"
