"""What is wrong with a client's JSON, in words that name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType

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


class _Told:
    """The context of `told`; it keeps nothing, so one does for all."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say what the error means, if it is one of msgspec's."""
        if error is None:
            return
        if isinstance(error, msgspec.ValidationError):
            raise _wrong_type(str(error)) from error
        if isinstance(error, msgspec.DecodeError):
            detail = str(error).removeprefix("JSON is malformed: ")
            raise InvalidRequest(f"The request body is not valid JSON: {detail}.") from error
        if isinstance(error, RecursionError):
            raise InvalidRequest("The request body is nested too deeply.") from error


_TOLD = _Told()


def told() -> _Told:
    """Turn what msgspec raises while it decodes a client's body into `InvalidRequest`."""
    return _TOLD


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
