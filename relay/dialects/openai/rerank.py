"""Ranking, asked for and given: ``/v1/rerank`` in the form that Jina, Cohere's first version, vLLM and others share.

See: https://jina.ai/reranker/ and https://docs.cohere.com/v1/reference/rerank (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from relay.dialects.carry import made_id
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.lenient import count, load, mapping, text
from relay.dialects.losses import dropped
from relay.dialects.openai.request import unknown
from relay.dialects.problems import told
from relay.dialects.tokens import read_usage
from relay.errors import InvalidRequest
from relay.exchange import Usage
from relay.vectors import Ranking, RankRequest

_CARRIED = frozenset({"top", "return_documents"})


class _Request(msgspec.Struct):
    """What a client says."""

    query: str | dict[str, Any]
    documents: list[Any]
    model: str = ""
    top_n: int | None = None
    top_k: int | None = None
    return_documents: bool | None = None


_DECODER = msgspec.json.Decoder(_Request)
_KNOWN = frozenset(_Request.__struct_fields__)


def parse(body: bytes, call: Call) -> RankRequest:
    """Read a request.

    Raises:
        InvalidRequest: it is malformed; names the field.
    """
    with told():
        given = _DECODER.decode(body)
        extra = unknown(body, _KNOWN)
    top = given.top_n if given.top_n is not None else given.top_k
    if top is not None and top < 1:
        raise InvalidRequest("`top_n` must be at least 1.", param="top_n")
    if not given.documents:
        raise InvalidRequest("`documents` must not be empty.", param="documents")
    return RankRequest(
        model=given.model or call.model,
        query=_words(given.query, "query"),
        documents=tuple(_words(item, f"documents[{index}]") for index, item in enumerate(given.documents)),
        top=top,
        return_documents=given.return_documents,
        extra=extra,
    )


def _words(item: object, where: str) -> str:
    """A text, or an object with one."""
    if isinstance(item, dict):
        item = item.get("text")
    if not isinstance(item, str):
        raise InvalidRequest(f"`{where}` must be a text, or an object with a `text`.", param=where)
    return item


def render(ranking: Ranking, asked: Asked) -> bytes:
    """The JSON body of an answer; documents come back if they were asked for."""
    request: RankRequest | None = asked.request
    documents = request.documents if request is not None and request.return_documents else ()
    top = request.top if request is not None else None
    results: list[dict[str, Any]] = []
    for index, score in ranking.results[:top]:
        result: dict[str, Any] = {"index": index, "relevance_score": score}
        if 0 <= index < len(documents):
            result["document"] = {"text": documents[index]}
        results.append(result)
    body: dict[str, Any] = {"id": ranking.id or made_id("rerank-", asked.request_id), "model": asked.model}
    if ranking.usage.input is not None:
        body["usage"] = {"total_tokens": ranking.usage.input, "prompt_tokens": ranking.usage.input}
    if ranking.units is not None:
        body["meta"] = {"billed_units": {"search_units": ranking.units}}
    return msgspec.json.encode({**body, "results": results})


def build(request: RankRequest, target: Target) -> Built:
    """A request's top-level fields; documents are not asked back, since relay has them."""
    fields: dict[str, Any] = {
        "model": target.model,
        "query": request.query,
        "documents": list(request.documents),
    }
    if request.top is not None:
        fields["top_n"] = request.top
    return Built(fields, tuple(dict.fromkeys(dropped(request, _CARRIED))))


def understand(body: bytes, _target: Target) -> Ranking:
    """Read a provider's answer: ``results``, Voyage's ``data``, or a bare list (text-embeddings-inference).

    Raises:
        ValueError: it holds no ranking.
    """
    value = load(body)
    answer = mapping(value)
    listed = value if isinstance(value, list) else answer.get("results", answer.get("data"))
    if not isinstance(listed, list):
        raise ValueError("the answer has no results")
    meta = mapping(answer.get("meta"))
    return Ranking(
        model=text(answer.get("model")),
        results=tuple(sorted(map(_result, listed), key=_score, reverse=True)),
        usage=_usage(answer, meta),
        units=count(mapping(meta.get("billed_units")), "search_units"),
        id=text(answer.get("id")),
    )


def _result(value: object) -> tuple[int, float]:
    result = mapping(value)
    index = count(result, "index")
    score = result.get("relevance_score", result.get("score"))
    if index is None or isinstance(score, bool) or not isinstance(score, int | float):
        raise ValueError("a result has no index or no score")
    return index, float(score)


def _score(result: tuple[int, float]) -> float:
    return result[1]


def _usage(answer: Any, meta: Any) -> Usage:
    usage = mapping(answer.get("usage"))
    if usage:
        return Usage(input=read_usage(usage).input)
    tokens = mapping(meta.get("tokens")) or mapping(meta.get("billed_units"))
    return Usage(input=count(tokens, "input_tokens"))
