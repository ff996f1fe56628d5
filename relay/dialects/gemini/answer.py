"""Rendering whole answers for a client of ``generateContent``.

See: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from relay.chat import Choice, Citation, Completion, Media, Native, Part, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.carry import made_id
from relay.dialects.codec import Asked
from relay.dialects.gemini.grounding import logprobs_result, metadata
from relay.dialects.gemini.parts import NAME, REASON, dump, mime_of, show
from relay.dialects.lenient import load
from relay.exchange import Usage


def render(completion: Completion, asked: Asked) -> bytes:
    """An answer as JSON."""
    body: dict[str, Any] = {"candidates": [_candidate(choice) for choice in completion.choices]}
    if counts := usage(completion.usage):
        body["usageMetadata"] = counts
    body["modelVersion"] = asked.model
    body["responseId"] = completion.id or response_id(asked)
    return dump(body)


def response_id(asked: Asked) -> str:
    """An id for an answer whose provider gave none."""
    return made_id("", asked.request_id)


def _candidate(choice: Choice) -> dict[str, Any]:
    parts = [shown for part in choice.parts if (shown := show_part(part)) is not None]
    sources = [source for part in choice.parts if isinstance(part, Text) for source in part.citations]
    ascii_only = all(part.text.isascii() for part in choice.parts if isinstance(part, Text))
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}}
    candidate["finishReason"] = REASON.get(choice.finish, "STOP")
    candidate["index"] = choice.index
    if sources:
        candidate["groundingMetadata"] = grounded(sources, placed=ascii_only)
    if choice.logprobs and (result := logprobs_result(choice.logprobs)):
        candidate["logprobsResult"] = result
    return candidate


def grounded(sources: Sequence[Citation], *, placed: bool) -> dict[str, Any]:
    """``groundingMetadata``; without places where bytes and characters may differ."""
    if not placed:
        sources = [msgspec.structs.replace(source, start=None, end=None) for source in sources]
    return metadata(sources)


def usage(found: Usage) -> dict[str, int]:
    """``usageMetadata``: thoughts beside the answer, and the sum; {} where nothing is known."""
    if found.input is None and found.output is None:
        return {}
    thoughts = found.reasoning or 0
    counts = {
        "promptTokenCount": found.input or 0,
        "candidatesTokenCount": max((found.output or 0) - thoughts, 0),
        "totalTokenCount": (found.input or 0) + (found.output or 0),
    }
    if found.cached:
        counts["cachedContentTokenCount"] = found.cached
    if thoughts:
        counts["thoughtsTokenCount"] = thoughts
    return counts


def show_part(part: Part) -> dict[str, Any] | msgspec.Raw | None:
    """A part of an answer; None for what is empty or only another dialect understands."""
    match part:
        case Text():
            return signed({"text": part.text}, part.seal) if part.text or part.seal else None
        case Thinking():
            return show_thought(part)
        case ToolCall():
            return show_call(part, part.arguments)
        case Media():
            return signed(show_media(part), part.seal)
        case Refusal():
            return {"text": part.text} if part.text else None
        case Native() if part.origin == NAME:
            return msgspec.Raw(part.value)
    return None


def show_thought(part: Thinking) -> dict[str, Any] | None:
    """A thought; redacted ones are their proof alone."""
    if part.seal is None:
        return {"text": part.text, "thought": True} if part.text else None
    text = "" if part.redacted else part.text
    return {"text": text, "thought": True, "thoughtSignature": show(part.seal, redacted=part.redacted)}


def show_call(call: ToolCall, arguments: str) -> dict[str, Any]:
    """A function call with its whole arguments."""
    return signed({"functionCall": {"id": call.id, "name": call.name, "args": args(call, arguments)}}, call.seal)


def args(call: ToolCall, arguments: str) -> Mapping[str, Any]:
    """Arguments as the object that Gemini wants; free text and odd JSON in an envelope."""
    value = None if call.custom else load(arguments.encode("utf-8", "surrogatepass")) if arguments.strip() else {}
    return value if isinstance(value, dict) else {"input": arguments}


def show_media(part: Media) -> dict[str, Any]:
    """Generated or repeated media."""
    name = {"displayName": part.name} if part.name else {}
    if part.data:
        mime = part.mime or mime_of(part.kind, data=part.data)
        return {"inlineData": {"mimeType": mime, "data": part.data, **name}}
    if part.text:
        return {"text": part.text}
    uri = part.url or part.file_id
    return {"fileData": {"mimeType": part.mime or mime_of(part.kind, url=uri), "fileUri": uri, **name}}


def signed(part: dict[str, Any], seal: Seal | None) -> dict[str, Any]:
    """A part with its proof beside it."""
    return {**part, "thoughtSignature": show(seal)} if seal is not None else part
