"""Sources and log probabilities: Gemini's metadata of a candidate and the hub's forms.

Gemini counts segments in bytes of UTF-8, the hub in characters; they agree for ASCII, and elsewhere the
places are left out and the quote stays. See: https://ai.google.dev/api/generate-content#GroundingMetadata,
https://ai.google.dev/api/generate-content#LogprobsResult (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from relay.chat import Citation
from relay.dialects.gemini.parts import dump
from relay.dialects.lenient import count, load, mapping, sequence, text

_SOURCES = ("web", "retrievedContext", "maps", "image")


def citations(candidate: Mapping[str, object], *, placed: bool) -> Iterator[Citation]:
    """The sources that a candidate names.

    Args:
        candidate: as decoded.
        placed: whether places in its text mean characters of one block.
    """
    grounding = mapping(candidate.get("groundingMetadata"))
    chunks = [mapping(chunk) for chunk in sequence(grounding.get("groundingChunks"))]
    supports = [mapping(support) for support in sequence(grounding.get("groundingSupports"))]
    for support in supports:
        segment = mapping(support.get("segment"))
        for index in sequence(support.get("groundingChunkIndices")):
            if isinstance(index, int) and 0 <= index < len(chunks):
                yield _cited(chunks[index], segment, placed=placed)
    if not supports:
        for chunk in chunks:
            yield _cited(chunk, {}, placed=False)
    for source in map(mapping, sequence(mapping(candidate.get("citationMetadata")).get("citations"))):
        start, end = _span(source, placed=placed)
        yield Citation(url=text(source.get("uri")), title=text(source.get("title")), start=start, end=end)


def _cited(chunk: Mapping[str, object], segment: Mapping[str, object], *, placed: bool) -> Citation:
    source = next((found for name in _SOURCES if (found := mapping(chunk.get(name)))), {})
    start, end = _span(segment, placed=placed)
    title = text(source.get("title")) or text(source.get("fileSearchStore"))
    return Citation(text(source.get("uri")), title, text(segment.get("text")), start, end)


def _span(segment: Mapping[str, object], *, placed: bool) -> tuple[int | None, int | None]:
    """Start and end; protobuf leaves a start of 0 out."""
    end = count(segment, "endIndex") if placed else None
    return (None, None) if end is None else (count(segment, "startIndex") or 0, end)


def metadata(sources: Sequence[Citation]) -> dict[str, Any]:
    """``groundingMetadata`` of a candidate from what its text cites."""
    chunks: dict[tuple[str, str], int] = {}
    segments: dict[tuple[int | None, int | None, str], list[int]] = {}
    for source in sources:
        index = chunks.setdefault((source.url, source.title), len(chunks))
        if source.end is not None or source.quote:
            segments.setdefault((source.start, source.end, source.quote), []).append(index)
    web = [{"web": {"uri": uri, **({"title": title} if title else {})}} for uri, title in chunks]
    out: dict[str, Any] = {"groundingChunks": web}
    if segments:
        out["groundingSupports"] = [
            {"segment": _segment(*place), "groundingChunkIndices": indexes} for place, indexes in segments.items()
        ]
    return out


def _segment(start: int | None, end: int | None, quote: str) -> dict[str, Any]:
    out: dict[str, Any] = {} if end is None else {"startIndex": start or 0, "endIndex": end}
    return {**out, "text": quote} if quote else out


def probabilities(result: object) -> bytes:
    """``logprobsResult`` in OpenAI's form, b"" if there is nothing in it."""
    chosen = [mapping(token) for token in sequence(mapping(result).get("chosenCandidates"))]
    top = [sequence(mapping(step).get("candidates")) for step in sequence(mapping(result).get("topCandidates"))]
    content = [
        {**_token(token), "top_logprobs": [_token(mapping(other)) for other in others]}
        for token, others in zip(chosen, chain(top, repeat(())), strict=False)
    ]
    return dump({"content": content}) if content else b""


def _token(token: Mapping[str, object]) -> dict[str, Any]:
    word, chance = text(token.get("token")), token.get("logProbability")
    number = float(chance) if isinstance(chance, int | float) and not isinstance(chance, bool) else 0.0
    return {"token": word, "logprob": number, "bytes": list(word.encode("utf-8", "surrogatepass"))}


def logprobs_result(logprobs: bytes) -> dict[str, Any]:
    """Log probabilities in OpenAI's form as ``logprobsResult``; {} if there is nothing in it."""
    steps = [mapping(step) for step in sequence(mapping(load(logprobs)).get("content"))]
    if not steps:
        return {}
    out: dict[str, Any] = {"chosenCandidates": [_chance(step) for step in steps]}
    if any(sequence(step.get("top_logprobs")) for step in steps):
        out["topCandidates"] = [
            {"candidates": [_chance(mapping(other)) for other in sequence(step.get("top_logprobs"))]} for step in steps
        ]
    return out


def _chance(step: Mapping[str, object]) -> dict[str, Any]:
    return {"token": text(step.get("token")), "logProbability": step.get("logprob")}
