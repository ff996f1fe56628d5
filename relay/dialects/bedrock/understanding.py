"""Converse's answers as the hub's.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax
and https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html (read 2026-11).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec

from relay.chat import Choice, Citation, Completion, Finish, Media, Native, Part, Seal, Text, Thinking, ToolCall
from relay.dialects import lenient, quoting
from relay.dialects.bedrock.tools import ANSWER_TOOL, CUSTOM_ARGUMENT, CUSTOM_PREFIX
from relay.dialects.carry import made_id
from relay.dialects.codec import Target
from relay.dialects.lenient import count, mapping, sequence, text
from relay.exchange import Usage
from relay.vectors import TokenCount

ORIGIN = "bedrock"

_FINISH: Mapping[str, str] = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.TOOL_CALLS,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "guardrail_intervened": Finish.FILTER,
    "content_filtered": Finish.FILTER,
    "malformed_model_output": Finish.FAULT,
    "malformed_tool_use": Finish.FAULT,
    "refusal": Finish.REFUSAL,
    "pause_turn": Finish.PAUSE,
}


def parse(body: bytes, _target: Target) -> Completion:
    """Understand a whole answer.

    Raises:
        ValueError: there is no message in it.
    """
    answer = mapping(lenient.load(body))
    message = mapping(answer.get("output")).get("message")
    if not isinstance(message, dict):
        raise ValueError("no output message")
    parts: list[Part] = []
    for index, block in enumerate(sequence(message.get("content"))):
        _add(parts, mapping(block), index)
    reason = text(answer.get("stopReason"))
    called = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(
        tuple(parts),
        finish(reason, called=called) if reason else "",
        stop_sequence(mapping(answer.get("additionalModelResponseFields"))),
    )
    tier = text(mapping(answer.get("serviceTier")).get("type"))
    return Completion("", "", (choice,), read_usage(mapping(answer.get("usage"))), tier=tier)


def parse_count(body: bytes, _target: Target) -> TokenCount:
    """Understand a count of tokens.

    Raises:
        ValueError: there is no number in it.
    """
    tokens = count(mapping(lenient.load(body)), "inputTokens")
    if tokens is None:
        raise ValueError("no inputTokens")
    return TokenCount(tokens)


def finish(reason: str, *, called: bool) -> str:
    """Why the answer ended, in the hub's words.

    Args:
        reason: Converse's ``stopReason``.
        called: whether the client's tools were called; a forced answer is no call.
    """
    found = _FINISH.get(reason, Finish.STOP)
    if found == Finish.STOP and called:
        return Finish.TOOL_CALLS
    return Finish.STOP if found == Finish.TOOL_CALLS and not called else found


def stop_sequence(fields: Mapping[str, object]) -> str:
    """The stop sequence that was written, where Claude was asked to tell."""
    return text(fields.get("stop_sequence")) or text(mapping(fields.get("delta")).get("stop_sequence"))


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Token counts; those of the cache are not in ``inputTokens`` and are added to it.

    See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html (read 2026-11).
    """
    fresh = count(usage, "inputTokens")
    cached = count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    known = [part for part in (fresh, cached, written) if part is not None]
    return Usage(
        input=sum(known) if known else None,
        cached=cached,
        cache_write=written,
        output=count(usage, "outputTokens"),
    )


def _add(parts: list[Part], block: Mapping[str, object], index: int) -> None:
    """Understand a content block; citations without words of their own belong to the text before them."""
    if "citationsContent" in block:
        content = mapping(block["citationsContent"])
        words = "".join(text(mapping(piece).get("text")) for piece in sequence(content.get("content")))
        sources = tuple(citation(mapping(source)) for source in sequence(content.get("citations")))
        if words:
            parts.append(Text(words, citations=sources))
        elif parts and isinstance(parts[-1], Text):
            parts[-1] = msgspec.structs.replace(parts[-1], citations=parts[-1].citations + sources)
        return
    part = _part(block, index)
    if part is not None:
        parts.append(part)


def _part(block: Mapping[str, object], index: int) -> Part | None:
    if "text" in block:
        return Text(words) if (words := text(block["text"])) else None
    if "toolUse" in block:
        return tool_use(mapping(block["toolUse"]), index)
    if "reasoningContent" in block:
        return _reasoning(mapping(block["reasoningContent"]))
    if "image" in block:
        return image(mapping(block["image"]))
    kind = next(iter(block), "")
    return native(kind, block) if kind else None


def native(kind: str, block: Mapping[str, object]) -> Native:
    """A block that only Bedrock understands."""
    return Native(ORIGIN, kind, quoting.encode(block))


def tool_use(use: Mapping[str, object], index: int) -> Part:
    """A tool call; the answer itself where the tool was relay's own; native where Bedrock runs the tool."""
    if text(use.get("type")) == "server_tool_use":
        return native("toolUse", {"toolUse": use})
    given = use.get("input")
    arguments = quoting.encode(given if isinstance(given, dict) else {}).decode("utf-8")
    return called(text(use.get("toolUseId")), text(use.get("name")), arguments, index)


def called(call: str, name: str, arguments: str, index: int) -> Part:
    """The part for a finished call of a tool.

    Args:
        call: its id; one is made where it is missing.
        name: the tool's name as it was sent.
        arguments: JSON text of an object.
        index: number of the block.
    """
    if name == ANSWER_TOOL:
        return Text(arguments)
    call = call or made_id("tooluse_", index, name)
    if name.startswith(CUSTOM_PREFIX):
        words = text(mapping(lenient.load(arguments.encode("utf-8", "surrogatepass"))).get(CUSTOM_ARGUMENT))
        return ToolCall(call, name.removeprefix(CUSTOM_PREFIX), words, custom=True)
    return ToolCall(call, name, arguments)


def _reasoning(block: Mapping[str, object]) -> Part | None:
    redacted = text(block.get("redactedContent"))
    if redacted:
        return Thinking(seal=Seal(ORIGIN, redacted), redacted=True)
    words = mapping(block.get("reasoningText"))
    signature = text(words.get("signature"))
    if not (text(words.get("text")) or signature):
        return None
    return Thinking(text(words.get("text")), Seal(ORIGIN, signature) if signature else None)


def image(block: Mapping[str, object]) -> Part | None:
    """A generated image; None if there is none."""
    source = mapping(block.get("source"))
    mime = f"image/{text(block.get('format')) or 'png'}"
    url = text(mapping(source.get("s3Location")).get("uri"))
    data = text(source.get("bytes"))
    if url:
        return Media("image", mime, url=url)
    try:
        return Media("image", mime, data=data) if data and base64.b64decode(data, validate=True) else None
    except ValueError:
        return None


def citation(source: Mapping[str, object]) -> Citation:
    """A source that a text names."""
    where = mapping(source.get("location"))
    named = text(source.get("source"))
    quotes = (text(mapping(piece).get("text")) for piece in sequence(source.get("sourceContent")))
    url = text(mapping(where.get("web")).get("url"))
    return Citation(
        url=url or (named if "://" in named else ""),
        title=text(source.get("title")) or text(mapping(where.get("web")).get("domain")),
        quote="".join(quotes),
        origin=ORIGIN,
        native=quoting.encode(source),
    )
