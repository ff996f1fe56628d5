"""The hub's completion as a message for a client.

See: https://platform.claude.com/docs/en/api/messages (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from relay.chat import Choice, Citation, Completion, Finish, Native, Part, Raw, Refusal, Text, Thinking, ToolCall
from relay.dialects import carry
from relay.dialects.anthropic.blocks import ORIGIN
from relay.dialects.anthropic.counts import write_counts, write_tier
from relay.dialects.codec import Asked
from relay.dialects.quoting import encode
from relay.vectors import TokenCount

_REASONS: Mapping[str, str] = {
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.FILTER: "refusal",
    Finish.REFUSAL: "refusal",
    Finish.PAUSE: "pause_turn",
}


def render(completion: Completion, asked: Asked) -> bytes:
    """Write a whole answer; of several choices it is the first, for there is only one here."""
    choice = completion.choices[0] if completion.choices else Choice(())
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    reason, stop = ending(choice.finish, choice.stop, called=called)
    answer = envelope(completion.id, asked)
    answer["content"] = list(_blocks(choice.parts, asked))
    answer["stop_reason"] = reason
    answer["stop_sequence"] = stop
    answer["usage"] = write_counts(completion.usage, asked.tokens)
    tier = write_tier(completion.tier)
    if tier is not None:
        answer["usage"]["service_tier"] = tier
    return encode(answer)


def render_count(count: TokenCount, _asked: Asked) -> bytes:
    """Write an answer of ``count_tokens``."""
    return msgspec.json.encode({"input_tokens": count.tokens})


def envelope(provider_id: str, asked: Asked) -> dict[str, Any]:
    """A message without content: its id is the provider's if it looks like one of this dialect, else made."""
    own = provider_id.startswith("msg_")
    return {
        "id": provider_id if own else carry.made_id("msg_", asked.request_id),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def ending(finish: str, stop: str, *, called: bool) -> tuple[str, str | None]:
    """``stop_reason`` and ``stop_sequence`` for the hub's finish ("" if the provider gave none)."""
    reason = _REASONS.get(finish)
    if reason is None and called:
        reason = "tool_use"
    if reason is None:
        return ("stop_sequence", stop) if stop else ("end_turn", None)
    return reason, None


def cited(citation: Citation) -> dict[str, Any] | Raw | None:
    """A citation; another provider's web source gets the form of a web search result, others have none."""
    if citation.origin == ORIGIN and citation.native:
        return Raw(citation.native)
    if not citation.url:
        return None
    return {
        "type": "web_search_result_location",
        "cited_text": citation.quote,
        "encrypted_index": "",
        "title": citation.title or None,
        "url": citation.url,
    }


def thinking_block(part: Thinking) -> dict[str, Any] | None:
    """A thinking block; None where there is nothing that may be shown or sent back."""
    proof = carry.wrap(part.seal, ORIGIN) if part.seal is not None else ""
    if part.redacted or (proof and not part.text and part.seal and part.seal.origin != ORIGIN):
        return {"type": "redacted_thinking", "data": proof} if proof else None
    if not part.text and not proof:
        return None
    return {"type": "thinking", "thinking": part.text, "signature": proof}


def tool_block(part: ToolCall, number: int, asked: Asked) -> dict[str, Any]:
    """A tool call without its input; a foreign seal travels in its id."""
    call = part.id or carry.made_id("toolu_", asked.request_id, number)
    return {"type": "tool_use", "id": carry.tag(call, part.seal), "name": part.name, "input": {}}


def tool_input(part: ToolCall) -> object:
    """A call's arguments as an object; what is none is put into one as it is."""
    if part.custom:
        return {"input": part.arguments}
    try:
        if isinstance(msgspec.json.decode(part.arguments or "{}"), dict):
            return Raw((part.arguments or "{}").encode())
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        pass
    return {"arguments": part.arguments}


def _blocks(parts: Sequence[Part], asked: Asked) -> Sequence[object]:
    blocks: list[object] = []
    for number, part in enumerate(parts):
        match part:
            case Text(text=words) | Refusal(text=words) if words:
                blocks.append(_text_block(part, words))
            case Thinking():
                shown = thinking_block(part)
                if shown is not None:
                    blocks.append(shown)
            case ToolCall():
                blocks.append({**tool_block(part, number, asked), "input": tool_input(part)})
            case Native(origin=origin, value=value) if origin == ORIGIN:
                blocks.append(Raw(value))
    return blocks


def _text_block(part: Text | Refusal, words: str) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": words}
    sources = [cited(source) for source in part.citations] if isinstance(part, Text) else []
    found = [source for source in sources if source is not None]
    if found:
        block["citations"] = found
    return block
