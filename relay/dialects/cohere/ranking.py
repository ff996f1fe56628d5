"""``/v2/rerank``, both ways, and what other providers made of it.

Documents may be objects with a text; results may be called ``data`` and scores ``score``.
See: https://docs.cohere.com/reference/rerank and https://jina.ai/reranker (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.cohere.words import counts
from relay.dialects.lenient import count, load, mapping, sequence, text
from relay.dialects.losses import dropped
from relay.dialects.problems import told
from relay.dialects.quoting import encode
from relay.dialects.tokens import read_usage
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.vectors import Ranking, RankRequest

_CARRIED = frozenset({"top", "return_documents"})

_EMPTY = frozenset({b"null", b"[]"})


class _Rerank(msgspec.Struct):
    model: str
    query: str
    documents: list[str | dict[str, Raw]]
    top_n: int | None = None
    return_documents: bool | None = None


_RERANK = msgspec.json.Decoder(_Rerank)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def parse_request(body: bytes, _call: Call) -> RankRequest:
    """Read a client's body.

    Raises:
        InvalidRequest: names the field.
    """
    with told():
        rerank = _RERANK.decode(body)
        fields = _FIELDS.decode(body)
    if not rerank.documents:
        raise InvalidRequest("`documents` must not be empty.", param="documents")
    extra = {name: bytes(value) for name, value in fields.items() if name not in _Rerank.__struct_fields__}
    return RankRequest(
        model=rerank.model,
        query=rerank.query,
        documents=tuple(map(_document, rerank.documents)),
        top=rerank.top_n,
        return_documents=rerank.return_documents,
        extra={name: value for name, value in extra.items() if value not in _EMPTY},
    )


def _document(item: str | dict[str, Raw]) -> str:
    """A document's text, or all of it in JSON."""
    if isinstance(item, str):
        return item
    own = item.get("text")
    if own is not None and bytes(own).startswith(b'"'):
        return msgspec.json.decode(own, type=str)
    return msgspec.json.encode(item).decode()


def render(answer: Ranking, asked: Asked) -> bytes:
    """The JSON body for a client; documents that it wants back are its own."""
    request: RankRequest = asked.request
    results: list[dict[str, Any]] = []
    for index, score in answer.results[: request.top]:
        result: dict[str, Any] = {"index": index, "relevance_score": score}
        if request.return_documents and 0 <= index < len(request.documents):
            result["document"] = {"text": request.documents[index]}
        results.append(result)
    meta: dict[str, Any] = {"api_version": {"version": "2"}}
    if answer.units is not None:
        meta["billed_units"] = {"search_units": answer.units}
    if answer.usage.input is not None:
        meta["tokens"] = {"input_tokens": answer.usage.input}
    return encode({"id": answer.id or asked.request_id, "results": results, "meta": meta})


def build(request: RankRequest, target: Target) -> Built:
    """The body for a provider."""
    fields: dict[str, Any] = {"model": target.model, "query": request.query, "documents": request.documents}
    if request.top is not None:
        fields["top_n"] = request.top
    return Built(fields, tuple(dict.fromkeys(dropped(request, _CARRIED))))


def parse_answer(body: bytes, _target: Target) -> Ranking:
    """Read a provider's answer.

    Raises:
        ValueError: it holds no results.
    """
    answer = mapping(load(body))
    found = answer.get("results", answer.get("data"))
    if not isinstance(found, list):
        raise ValueError("no results")
    meta = mapping(answer.get("meta"))
    usage = counts(meta)
    results = []
    for item in map(mapping, sequence(found)):
        index = count(item, "index")
        score = item.get("relevance_score", item.get("score"))
        if index is not None and isinstance(score, int | float):
            results.append((index, float(score)))
    return Ranking(
        model=text(answer.get("model")),
        results=tuple(results),
        usage=usage if usage != Usage() else read_usage(mapping(answer.get("usage"))),
        units=count(mapping(meta.get("billed_units")), "search_units"),
        id=text(answer.get("id")),
    )
