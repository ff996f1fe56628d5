"""Cohere's whole answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import Choice, Citation, Completion, Part, Text, Thinking, ToolCall
from relay.dialects.carry import made_id
from relay.dialects.codec import Target
from relay.dialects.cohere.words import citation, counts, openai_logprobs, reason
from relay.dialects.lenient import count, load, mapping, sequence, text
from relay.dialects.quoting import mended


def parse(body: bytes, _target: Target) -> Completion:
    """A whole answer of ``/v2/chat``.

    Raises:
        ValueError: it is none.
    """
    answer = load(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("message"), dict):
        raise ValueError("no message")
    message, own = mapping(answer["message"]), text(answer.get("id"))
    parts = _contents(message)
    if plan := text(message.get("tool_plan")):
        parts.append(Text(mended(plan)))
    calls = [
        call for index, item in enumerate(sequence(message.get("tool_calls"))) if (call := called(item, own, index))
    ]
    finish = reason(text(answer.get("finish_reason")), called=bool(calls))
    logprobs = openai_logprobs(sequence(answer.get("logprobs")))
    choice = Choice((*parts, *calls), finish, logprobs=logprobs)
    return Completion(id=own, model="", choices=(choice,), usage=counts(mapping(answer.get("usage"))))


def _contents(message: Mapping[str, object]) -> list[Part]:
    """Text and thoughts in order, each text with its citations."""
    found: Sequence[object] = sequence(message.get("content"))
    if isinstance(message.get("content"), str):
        found = [{"type": "text", "text": message["content"]}]
    items = list(map(mapping, found))
    texts = [index for index, item in enumerate(items) if text(item.get("text"))]
    cited: dict[int, list[Citation]] = {}
    for value in map(mapping, sequence(message.get("citations"))):
        place = count(value, "content_index")
        if place not in texts:  # older models leave it out; they write one text
            place = texts[-1] if texts else -1
        cited.setdefault(place, []).append(citation(value))
    parts: list[Part] = []
    for index, item in enumerate(items):
        if thoughts := text(item.get("thinking")):
            parts.append(Thinking(mended(thoughts)))
        if words := text(item.get("text")):
            parts.append(Text(mended(words), citations=tuple(cited.get(index, ()))))
    return parts


def called(item: object, *seed: object) -> ToolCall | None:
    """A tool call; None if it names no function. Arguments may be null."""
    call = mapping(item)
    function = mapping(call.get("function"))
    name = text(function.get("name"))
    if not name:
        return None
    own = text(call.get("id")) or made_id("call_", *seed, name)
    given = function.get("arguments")
    arguments = msgspec.json.encode(given).decode() if isinstance(given, dict) else text(given)
    return ToolCall(own, name, arguments if arguments.strip() else "{}")
