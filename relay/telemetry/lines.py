"""Log lines as text: one event, one line, whatever the event holds.

Everything in a line may have come from a client or a provider. Line breaks, terminal
escapes and other control characters are therefore written as escapes, and a line has a
largest size.
"""

from __future__ import annotations

import enum
import json
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from itertools import islice
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
Fields: TypeAlias = Mapping[str, Scalar]
"""A line's data: names that relay chose, values that it may not have chosen."""


class LogFormat(enum.Enum):
    """What log lines look like: JSON for machines, text for people."""

    JSON = "json"
    TEXT = "text"


LONGEST = 16 * 1024 - 1
"""Bytes in a line, its end included."""

_LENGTHS = (2048, 256, 32)
"""Characters of a value: tried in this order until the line fits."""

_LARGEST = 2**63
_SHORTENED = " … "
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN_VALUE = re.compile(r"[!#-<>-~]+")
"""A value that needs no quotes: printable ASCII without blank, quote and equals sign."""


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds.

    Args:
        seconds: Unix seconds, 0 or later.
    """
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_to_the_second(whole)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _to_the_second(whole: int) -> str:
    """Date and time; the lines of one second share it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def escape(value: str) -> str:
    r"""Write control characters, directional marks and lone surrogates as ``\n``, ``\x1b``, ``\u202e``."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), value)


def shorten(value: str, longest: int) -> str:
    """Cut the middle out of a text that has more than ``longest`` characters."""
    if len(value) <= longest:
        return value
    head = longest // 4
    return value[:head] + _SHORTENED + value[len(value) - (longest - head) :]


def json_line(fields: Fields, trace: str = "") -> bytes:
    """One JSON object in ASCII, with its line end, below 16 KiB.

    Args:
        fields: the data, in order. The first sixteen survive, however much there is.
        trace: a traceback, for the field ``traceback``; "" leaves that out.
    """
    return _fitting(_json_line, fields, trace)


def text_line(ts: str, level: str, message: str, fields: Fields, trace: str = "") -> bytes:
    """One line for people: time, level, message, ``name=value``; a traceback follows indented.

    Args:
        ts: the time, see `timestamp`.
        level: name of the level.
        message: what happened.
        fields: the data, in order; absent values are left out.
        trace: a traceback, or "".
    """
    return _fitting(partial(_text_line, f"{ts} {level.upper():<5}", message), fields, trace)


def _fitting(render: Callable[[Fields, str, int], bytes], fields: Fields, trace: str) -> bytes:
    """Render with ever shorter values until the line is short enough."""
    for longest in _LENGTHS:
        line = render(fields, trace, longest)
        if len(line) <= LONGEST:
            return line
    return render(dict(islice(fields.items(), 16)), trace, _LENGTHS[-1])


def _json_line(fields: Fields, trace: str, longest: int) -> bytes:
    data = {name: _short(value, longest) for name, value in fields.items()}
    if trace:
        data["traceback"] = shorten(trace, 4 * longest)
    # json.dumps escapes all that is not ASCII, and all control characters but DEL
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return (text.replace("\x7f", "\\u007f") + "\n").encode("ascii")


def _text_line(head: str, message: str, fields: Fields, trace: str, longest: int) -> bytes:
    pairs = [f"{name}={_quoted(_short(value, longest))}" for name, value in fields.items() if value not in (None, "")]
    lines = [" ".join([head, escape(shorten(message, longest)), *pairs])]
    lines += [f"    {escape(line)}" for line in shorten(trace, 4 * longest).splitlines()]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _short(value: Scalar, longest: int) -> Scalar:
    """A value that JSON and its readers have and that is not too long."""
    if isinstance(value, str):
        return shorten(value, longest)
    if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
        return "out of range"
    return value


def _quoted(value: Scalar) -> str:
    """A value as ``name=value`` shows it: quoted where it could be taken for something else."""
    text = value if isinstance(value, str) else json.dumps(value)
    if _PLAIN_VALUE.fullmatch(text):
        return text
    return '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
