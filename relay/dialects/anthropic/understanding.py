"""A provider's whole message as the hub's completion.

See: https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (read 2026-11).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import Choice, Completion, Finish, Part, Raw, Refusal, Text, ToolCall
from relay.dialects.anthropic.blocks import STRUCTURED, part
from relay.dialects.anthropic.counts import read_counts, read_tier
from relay.dialects.codec import Target
from relay.dialects.lenient import load, mapping, text
from relay.errors import InvalidRequest
from relay.vectors import TokenCount

_FINISHES: Mapping[str, str] = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "refusal": Finish.REFUSAL,
    "pause_turn": Finish.PAUSE,
    "compaction": Finish.PAUSE,
}

_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_BLOCKS = msgspec.json.Decoder(list[Raw])


def parse(body: bytes, _target: Target) -> Completion:
    """Read a whole answer.

    Raises:
        ValueError: the body is no message.
    """
    fields, blocks = _open(body)
    answer = {name: load(bytes(raw)) for name, raw in fields.items() if name != "content"}
    if not blocks and not answer.get("stop_reason"):
        raise ValueError("The body is no message: it has neither content nor a stop reason.")
    parts, structured = _parts(blocks)
    words = refusal(mapping(answer.get("stop_details")))
    if words:
        parts.append(Refusal(words))
    usage = mapping(answer.get("usage"))
    reason = finish(
        text(answer.get("stop_reason")),
        called=any(isinstance(found, ToolCall) for found in parts),
        structured=structured,
    )
    return Completion(
        id=text(answer.get("id")),
        model=text(answer.get("model")),
        choices=(Choice(tuple(parts), finish=reason, stop=text(answer.get("stop_sequence"))),),
        usage=read_counts(usage),
        tier=read_tier(usage),
    )


def parse_count(body: bytes, _target: Target) -> TokenCount:
    """Read an answer of ``count_tokens``.

    Raises:
        ValueError: the body tells no count.
    """
    tokens = read_counts(mapping(load(body))).input
    if tokens is None:
        raise ValueError("The body tells no input_tokens.")
    return TokenCount(tokens)


def finish(reason: str, *, called: bool, structured: bool) -> str:
    """The hub's word for a ``stop_reason``, "" for none.

    Args:
        reason: the provider's word; an unknown one is an ordinary end.
        called: whether tools were called.
        structured: whether the tool that stands for structured output was.
    """
    if not reason:
        return ""
    word = _FINISHES.get(reason, Finish.STOP)
    if word in (Finish.STOP, Finish.TOOL_CALLS) and called:
        return Finish.TOOL_CALLS
    return Finish.STOP if word == Finish.TOOL_CALLS and structured else word


def refusal(details: Mapping[str, object]) -> str:
    """The provider's words for a refusal in ``stop_details``, "" where it gives none."""
    return text(details.get("explanation"))


def mended(data: bytes) -> bytes:
    """JSON that only a lenient reader understands (lone surrogates), as JSON for all; b"null" if it is none."""
    try:
        return json.dumps(load(data), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return b"null"


def _open(body: bytes) -> tuple[Mapping[str, Raw], Sequence[Raw]]:
    """The members of a message and its blocks."""
    try:
        try:
            fields = _FIELDS.decode(body)
            return fields, _content(fields)
        except msgspec.MsgspecError:
            fields = _FIELDS.decode(mended(body))
            return fields, _content(fields)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError("The body is no message.") from error


def _content(fields: Mapping[str, Raw]) -> Sequence[Raw]:
    raw = fields.get("content")
    return [] if raw is None else _BLOCKS.decode(raw)


def _parts(blocks: Sequence[Raw]) -> tuple[list[Part], bool]:
    """The parts, without what is malformed; and whether the structured output was among them."""
    parts: list[Part] = []
    structured = False
    for raw in blocks:
        try:
            found = part(raw, "content")
        except (msgspec.MsgspecError, InvalidRequest):
            continue
        if isinstance(found, ToolCall) and found.name == STRUCTURED:
            found, structured = Text(found.arguments), True
        parts.append(found)
    return parts, structured
