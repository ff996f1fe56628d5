"""Where in a request a mistake stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from relay.dialects.problems import told
from relay.errors import InvalidRequest


@contextmanager
def at(place: str) -> Iterator[None]:
    """`told`, for JSON that stands at a place of the body (``messages[0].content[1]``)."""
    try:
        yield
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _placed(place, error) from error


def _placed(place: str, error: Exception) -> InvalidRequest:
    """What is wrong, with the whole path of the field."""
    try:
        with told():
            raise error
    except InvalidRequest as mistake:
        inner = mistake.param or ""
        param = f"{place}{'.' if inner and not inner.startswith('[') else ''}{inner}"
        words = mistake.message.removeprefix(f"`{inner}`" if inner else "The request body")
        return InvalidRequest(f"`{param}`{words}", param=param)


def fault(place: str, problem: str) -> InvalidRequest:
    """The error for a field: what it must be, or why it cannot be taken."""
    return InvalidRequest(f"`{place}` {problem}.", param=place)
