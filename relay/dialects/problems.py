"""What is wrong with a client's JSON, in words that name the field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from relay.errors import InvalidRequest

_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`(?P<bound>[^,]*)(?:, got `(?P<got>[^`]*)`)?")
_WORDS: Mapping[str, str] = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


@contextmanager
def told() -> Iterator[None]:
    """Turn what msgspec raises while it decodes a client's body into `InvalidRequest`."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error)) from error
    except msgspec.DecodeError as error:
        detail = str(error).removeprefix("JSON is malformed: ")
        raise InvalidRequest(f"The request body is not valid JSON: {detail}.") from error
    except RecursionError as error:
        raise InvalidRequest("The request body is nested too deeply.") from error


def _wrong_type(message: str) -> InvalidRequest:
    """Say in words what a validation message says: the field, what it must be, what it was."""
    match = _AT.fullmatch(message)
    what, where = (match["what"], match["where"] or "") if match else (message, "")
    if missing := _MISSING.fullmatch(what):
        param = f"{where}.{missing[1]}" if where else missing[1]
        return InvalidRequest(f"`{param}` is required.", param=param)
    subject = f"`{where}`" if where else "The request body"
    if expected := _EXPECTED.fullmatch(what):
        wanted = " or ".join(_WORDS.get(word, word) for word in expected["wanted"].split(" | "))
        got = f", not {_WORDS.get(expected['got'], expected['got'])}" if expected["got"] else ""
        return InvalidRequest(f"{subject} must be {wanted}{expected['bound']}{got}.", param=where or None)
    return InvalidRequest(f"{subject} is not valid: {what[:1].lower()}{what[1:]}.", param=where or None)
