"""Reads the model lists of all providers, whatever their shape. Pure.

========== ============================================ =======================================
OpenAI     ``{"data": [{"id": "m"}]}``                  whole
Anthropic  ``{"data": [{"id": "m"}], "has_more": …}``   next page by ``after_id`` = ``last_id``
Gemini     ``{"models": [{"name": "models/m"}]}``       next page by ``pageToken``
Ollama     ``{"models": [{"name": "m"}]}``              whole
Cohere     ``{"models": [{"name": "m"}]}``              next page by ``page_token``
others     ``[{"id": "m"}]`` or ``["m"]``               whole
========== ============================================ =======================================

See: https://docs.anthropic.com/en/api/models-list, https://ai.google.dev/api/models,
https://docs.cohere.com/reference/list-models,
https://platform.openai.com/docs/api-reference/models/list (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import attrs
import msgspec

MOST_IDS = 5000
"""Ids taken from one provider; further ones are left out."""

_LONGEST_ID = 256


@attrs.frozen
class ListPage:
    """One answer of a provider.

    Attributes:
        ids: upstream model ids in the provider's order, each once.
        cursor: query parameter that asks for the next page (``after_id=m``), or "".
    """

    ids: tuple[str, ...]
    cursor: str


def read_page(body: bytes) -> ListPage:
    """Read one answer to a list request.

    Entries without a usable id are left out: not text, empty, longer than 256 characters,
    or with control characters in it.

    Raises:
        ValueError: it is not JSON, or not a list of models in any known shape.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if isinstance(document, list):
        return ListPage(_ids(document), "")
    if isinstance(document, dict):
        for key in ("data", "models"):
            entries = document.get(key)
            if isinstance(entries, list):
                return ListPage(_ids(entries), _cursor(document))
    raise ValueError("not a list of models")


def _ids(entries: Sequence[object]) -> tuple[str, ...]:
    found = (_id(entry) for entry in entries[: 2 * MOST_IDS])
    return tuple(dict.fromkeys(each for each in found if each))[:MOST_IDS]


def _id(entry: object) -> str:
    name = entry
    if isinstance(entry, dict):
        name = entry.get("id", entry.get("name"))
    if not isinstance(name, str):
        return ""
    name = name.removeprefix("models/")
    return name if len(name) <= _LONGEST_ID and name.isprintable() else ""


def _cursor(document: dict[str, object]) -> str:
    if document.get("has_more") is True:
        return _parameter("after_id", document.get("last_id"))
    return _parameter("pageToken", document.get("nextPageToken")) or _parameter(
        "page_token", document.get("next_page_token")
    )


def _parameter(name: str, value: object) -> str:
    return f"{name}={quote(value, safe='')}" if isinstance(value, str) and value else ""
