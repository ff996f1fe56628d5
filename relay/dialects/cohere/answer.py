"""Whole answers for clients of ``/v2/chat``."""

from __future__ import annotations

from typing import Any

from relay.chat import Choice, Completion, Refusal, Text, Thinking, ToolCall
from relay.dialects.carry import tag
from relay.dialects.codec import Asked
from relay.dialects.cohere.words import cited, own_logprobs, told, word
from relay.dialects.quoting import encode


def render(completion: Completion, asked: Asked) -> bytes:
    """The JSON body; of several choices the first."""
    choice = completion.choices[0] if completion.choices else Choice(())
    body: dict[str, Any] = {
        "id": completion.id or asked.request_id,
        "message": _message(choice),
        "finish_reason": word(choice.finish, choice.stop),
        "usage": told(completion.usage),
    }
    if choice.logprobs:
        body["logprobs"] = own_logprobs(choice.logprobs)
    return encode(body)


def _message(choice: Choice) -> dict[str, Any]:
    """What the assistant says; clients look at the first block, so an answer without any gets an empty one."""
    content: list[dict[str, Any]] = []
    citations: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for part in choice.parts:
        match part:
            case Text() | Refusal() if part.text:
                if isinstance(part, Text):
                    citations += (cited(citation, len(content)) for citation in part.citations)
                content.append({"type": "text", "text": part.text})
            case Thinking() if part.text and not part.redacted:
                content.append({"type": "thinking", "thinking": part.text})
            case ToolCall():
                calls.append(called(part, part.arguments if part.arguments.strip() else "{}"))
    message: dict[str, Any] = {"role": "assistant"}
    if content or not calls:
        message["content"] = content or [{"type": "text", "text": ""}]
    if calls:
        message["tool_calls"] = calls
    if citations:
        message["citations"] = citations
    return message


def called(call: ToolCall, arguments: str) -> dict[str, Any]:
    """A tool call; a proof travels in its id."""
    return {
        "id": tag(call.id, call.seal),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
