"""Where in a client's request a fault is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from relay.errors import InvalidRequest


@contextmanager
def at(path: str) -> Iterator[None]:
    """Put ``path`` in front of the place that a validation error names; may be nested."""
    try:
        yield
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise msgspec.ValidationError(f"{what} - at `${_joined(path, where)}`") from error


def _joined(path: str, where: str) -> str:
    """The path with what lies below it; an index follows without a dot, a field with one."""
    below = where.removesuffix("`").removeprefix(".")
    dot = "." if below and not below.startswith("[") else ""
    return f"{'' if path.startswith('[') else '.'}{path}{dot}{below}"


def wrong(what: str, field: str = "") -> msgspec.ValidationError:
    """The error for a field whose value has the right type and cannot be meant."""
    return msgspec.ValidationError(f"{what} - at `${'.' + field if field else ''}`")


def stateful(param: str, what: str) -> InvalidRequest:
    """The refusal of what only the provider that keeps the conversation can resolve.

    Left out, the model would answer without the conversation so far; that is never what was asked.
    """
    return InvalidRequest(
        f"{what} lives with the provider that made it; the model asked for is reached through a translation "
        "that keeps no state. Send the whole conversation in `input`.",
        param=param,
    )
