"""Sources: ``annotations`` of a message, and the lists that search providers put beside it.

See: https://platform.openai.com/docs/guides/tools-web-search#output-and-citations and
https://docs.perplexity.ai/api-reference/chat-completions-post (``citations``, ``search_results``; read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from relay.chat import Citation
from relay.dialects.lenient import count, load, mapping, sequence, text


def read_annotations(annotations: object) -> Iterator[Citation]:
    """The sources in an ``annotations`` array; what is no URL is kept as it is, for this dialect only."""
    for annotation in map(mapping, sequence(annotations)):
        kind = text(annotation.get("type"))
        source = mapping(annotation.get("url_citation")) or annotation
        url = text(source.get("url"))
        if url and kind in ("url_citation", ""):
            yield Citation(
                url=url,
                title=text(source.get("title")),
                quote=text(source.get("content")),
                start=count(source, "start_index"),
                end=count(source, "end_index"),
            )
        elif kind:
            yield Citation(origin="openai", native=msgspec.json.encode(annotation))


def read_sources(body: Mapping[str, object]) -> Iterator[Citation]:
    """The sources of a whole answer as Perplexity lists them: with titles, or as bare URLs."""
    results = [result for result in map(mapping, sequence(body.get("search_results"))) if text(result.get("url"))]
    for result in results:
        yield Citation(url=text(result.get("url")), title=text(result.get("title")), quote=text(result.get("snippet")))
    if not results:
        for url in sequence(body.get("citations")):
            if isinstance(url, str) and url:
                yield Citation(url=url)


def annotation(citation: Citation, start: int, end: int) -> dict[str, Any] | None:
    """A source as a client sees it; None for one without a URL.

    Args:
        citation: the source.
        start: where the cited text begins, for a source that does not say.
        end: where it ends.
    """
    if citation.origin == "openai" and citation.native:
        return dict(mapping(load(citation.native))) or None
    if not citation.url:
        return None
    source: dict[str, Any] = {
        "url": citation.url,
        "title": citation.title,
        "start_index": start if citation.start is None else citation.start,
        "end_index": end if citation.end is None else citation.end,
    }
    if citation.quote:
        source["content"] = citation.quote
    return {"type": "url_citation", "url_citation": source}
