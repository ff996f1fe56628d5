"""What both directions know of Cohere's answers: reasons, usage, citations and log probabilities.

See: https://docs.cohere.com/reference/chat (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import Citation, Finish
from relay.dialects.lenient import count, load, mapping, sequence, text
from relay.dialects.quoting import encode
from relay.exchange import Usage

NAME = "cohere"

_REASONS: Mapping[str, str] = {
    "COMPLETE": Finish.STOP,
    "STOP_SEQUENCE": Finish.STOP,
    "MAX_TOKENS": Finish.LENGTH,
    "ERROR_LIMIT": Finish.LENGTH,
    "TOOL_CALL": Finish.TOOL_CALLS,
    "ERROR_TOXIC": Finish.FILTER,
    "ERROR": Finish.FAULT,
    "TIMEOUT": Finish.FAULT,
}
"""Those with ``ERROR_`` are version 1's and still come from other platforms that serve Cohere's models."""

_WORDS: Mapping[str, str] = {
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOL_CALLS: "TOOL_CALL",
    Finish.FILTER: "ERROR_TOXIC",
    Finish.FAULT: "ERROR",
}


def reason(finish_reason: str, *, called: bool) -> str:
    """The finish of a ``finish_reason``, given whether tools were called; "" if there is none."""
    finish = _REASONS.get(finish_reason.upper(), Finish.STOP) if finish_reason else ""
    return Finish.TOOL_CALLS if called and finish == Finish.STOP else finish


def word(finish: str, stop: str) -> str:
    """``finish_reason`` of a finish, and of the stop sequence that was written."""
    return _WORDS.get(finish, "STOP_SEQUENCE" if stop else "COMPLETE")


def counts(usage: Mapping[str, object]) -> Usage:
    """Tokens of a ``usage`` or ``meta`` object.

    ``tokens`` counts what the model read and wrote, Cohere's own preamble included; ``billed_units`` leaves that
    out and stands in only where nothing else is told. Images are counted beside ``input_tokens``.
    """
    tokens = mapping(usage.get("tokens"))
    if count(tokens, "input_tokens", "output_tokens") is None:
        tokens = mapping(usage.get("billed_units"))
    given, images = count(tokens, "input_tokens"), count(tokens, "image_tokens")
    return Usage(
        input=given + images if given is not None and images else given,
        cached=count(usage, "cached_tokens"),
        output=count(tokens, "output_tokens"),
        reasoning=count(tokens, "reasoning_tokens"),
    )


def told(usage: Usage) -> dict[str, Any]:
    """The ``usage`` object of an answer; what another provider billed is not known, so it is what was counted."""
    units = {"input_tokens": usage.input or 0, "output_tokens": usage.output or 0}
    tokens = dict(units)
    if usage.reasoning is not None:
        tokens["reasoning_tokens"] = usage.reasoning
    said: dict[str, Any] = {"billed_units": units, "tokens": tokens}
    if usage.cached is not None:
        said["cached_tokens"] = usage.cached
    return said


def citation(value: Mapping[str, object]) -> Citation:
    """A citation in the hub's words; of several sources the first gives address and title."""
    source = next(map(mapping, sequence(value.get("sources"))), {})
    document = mapping(source.get("document"))
    return Citation(
        url=text(document.get("url")),
        title=text(document.get("title")) or text(source.get("id")),
        quote=text(value.get("text")),
        start=count(value, "start"),
        end=count(value, "end"),
        origin=NAME,
        native=encode({name: member for name, member in value.items() if name != "content_index"}),
    )


def cited(found: Citation, block: int) -> dict[str, Any]:
    """A citation in Cohere's words.

    Args:
        found: the hub's citation; Cohere's own goes back as it came.
        block: number of the content block that it belongs to.
    """
    if found.origin == NAME and (own := mapping(load(found.native))):
        return {**own, "content_index": block}
    document = {name: value for name, value in (("title", found.title), ("url", found.url)) if value}
    said: dict[str, Any] = {
        "text": found.quote,
        "sources": [{"type": "document", "id": found.url or found.title, "document": document}],
        "type": "TEXT_CONTENT",
        "content_index": block,
    }
    if found.start is not None and found.end is not None:
        said = {"start": found.start, "end": found.end, **said}
    return said


def openai_logprobs(items: list[object]) -> bytes:
    """Cohere's items in OpenAI's form, b"" if there are none; a chunk of several tokens counts as one."""
    content = []
    for item in map(mapping, items):
        numbers = [number for number in sequence(item.get("logprobs")) if isinstance(number, int | float)]
        if numbers:
            entry: dict[str, Any] = {
                "token": text(item.get("text")),
                "logprob": sum(numbers),
                "bytes": None,
                "top_logprobs": [],
            }
            content.append(entry)
    return encode({"content": content}) if content else b""


def own_logprobs(logprobs: bytes) -> list[dict[str, Any]]:
    """OpenAI's form as Cohere's items; the tokens' numbers are not known."""
    return [
        {"text": text(entry.get("token")), "token_ids": [], "logprobs": [entry.get("logprob")]}
        for entry in map(mapping, sequence(mapping(load(logprobs)).get("content")))
    ]


def is_object(data: bytes) -> bool:
    """Whether this is the JSON text of an object."""
    try:
        msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
