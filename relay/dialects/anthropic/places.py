"""Where in a request a mistake stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from relay.dialects.problems import told
from relay.errors import InvalidRequest


@contextmanager
def at(place: str) -> Iterator[None]:
    """`told`, for JSON that stands at a place of the body (``messages[0].content[1]``)."""
    try:
        with told():
            yield
    except InvalidRequest as error:
        inner = error.param or ""
        param = f"{place}{'' if inner.startswith('[') or not inner else '.'}{inner}"
        subject = f"`{inner}`" if inner else "The request body"
        words = error.message.removeprefix(subject)
        raise InvalidRequest(f"`{param}`{words}" if words != error.message else words, param=param) from error


def fault(place: str, problem: str) -> InvalidRequest:
    """The error for a field: what it must be, or why it cannot be taken."""
    return InvalidRequest(f"`{place}` {problem}.", param=place)
