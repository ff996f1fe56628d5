"""Which of a caller's fields a translation cannot carry."""

from __future__ import annotations

from typing import Any

from relay.chat import ChatRequest
from relay.vectors import EmbedRequest, RankRequest

_ALWAYS = frozenset({"model", "messages", "stream", "wants_usage", "names", "extra", "inputs", "query", "documents"})
_SAYS_NOTHING: tuple[Any, ...] = (None, "", b"", ())


def dropped(request: ChatRequest | EmbedRequest | RankRequest, carried: frozenset[str]) -> list[str]:
    """Name what is set in a request and not carried, in the caller's words.

    Args:
        request: the hub's request.
        carried: names of the hub fields that the provider's dialect has a place for.

    Returns:
        Field names, those of ``extra`` last.
    """
    names = request.names if isinstance(request, ChatRequest) else {}
    lost = [
        names.get(field, field)
        for field in request.__struct_fields__
        if field not in carried and field not in _ALWAYS and getattr(request, field) not in _SAYS_NOTHING
    ]
    return [*lost, *request.extra]
