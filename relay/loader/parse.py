"""JSON that is read strictly: duplicates, NaN and what cannot be represented are refused."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

import attrs

from relay.errors import ConfigError
from relay.loader.place import Key, path_text

_EXACT = 2**53


@attrs.frozen
class _Refused:
    """Stands in the document where a value is not acceptable, until its path is known."""

    reason: str


class _Object(dict[str, object]):
    """An object in which a key was given twice."""

    repeated: str


def parse_object(data: bytes, shown: str) -> dict[str, object]:
    """Parse a configuration file.

    Numbers without a fraction become integers however they are written, as JSON Schema has it.

    Args:
        data: the file's bytes.
        shown: the file as the operator named it, for messages.

    Returns:
        The document: an object.

    Raises:
        ConfigError: not UTF-8, not JSON, a key twice, NaN, a number out of range, half of a
            surrogate pair, or not an object.
    """
    text = _decode(data, shown)
    try:
        document = _loads(text, shown)
        refused = _first_refused(document, ())
    except RecursionError:
        raise ConfigError("nested too deeply", file=shown) from None
    if refused is not None:
        reason, keys = refused
        raise ConfigError(reason, file=shown, path=path_text(keys))
    if not isinstance(document, dict):
        raise ConfigError("expected an object", file=shown, path="$")
    return document


def _decode(data: bytes, shown: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - before.rfind(b"\n")
        line = before.count(b"\n") + 1
        raise ConfigError("expected UTF-8", file=f"{shown}:{line}:{column}") from None


def _loads(text: str, shown: str) -> object:
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except json.JSONDecodeError as error:
        _refuse_syntax(error, shown)


def _refuse_syntax(error: json.JSONDecodeError, shown: str) -> NoReturn:
    where = f"{shown}:{error.lineno}:{error.colno}"
    if not error.doc.strip():
        raise ConfigError("the file is empty; expected a JSON object", file=where) from None
    # The parser's own words, without the advice on single quotes that some versions add.
    reason = re.split(r"[:;]", error.msg, maxsplit=1)[0]
    raise ConfigError(f"not JSON: {reason[0].lower()}{reason[1:]}", file=where) from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    marked = _Object(members)
    for key, _ in pairs:
        if key in seen:
            marked.repeated = key
            break
        seen.add(key)
    return marked


def _constant(name: str) -> _Refused:
    return _Refused(f"{name} is not JSON; expected a number")


def _float(text: str) -> object:
    value = float(text)
    if not math.isfinite(value):
        return _Refused("the number is out of range")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _int(text: str) -> object:
    return int(text) if len(text) <= 20 else _Refused("the number is out of range")


def _first_refused(value: object, keys: tuple[Key, ...]) -> tuple[str, tuple[Key, ...]] | None:
    if isinstance(value, _Refused):
        return value.reason, keys
    if isinstance(value, str):
        return ("expected text; half of a surrogate pair is none", keys) if _lone(value) else None
    if isinstance(value, _Object):
        return "the key is given twice", (*keys, value.repeated)
    children: list[tuple[Key, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
        odd = next((key for key in value if _lone(key)), None)
        if odd is not None:
            return "expected text; half of a surrogate pair is none", (*keys, odd)
    elif isinstance(value, list):
        children = list(enumerate(value))
    return next((found for key, child in children if (found := _first_refused(child, (*keys, key)))), None)


def _lone(text: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in text)
