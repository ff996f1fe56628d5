"""Whole answers for clients of ``/api/chat`` and ``/api/generate``."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import Choice, Completion, Media, Part, Refusal, Text, Thinking, ToolCall
from relay.dialects.carry import tag
from relay.dialects.codec import Asked
from relay.dialects.ollama.lines import own_logprobs, told, word
from relay.dialects.ollama.moments import timestamp
from relay.dialects.quoting import encode


def render_chat(completion: Completion, asked: Asked) -> bytes:
    """The JSON body for ``/api/chat``; of several choices the first."""
    choice = _first(completion)
    message: dict[str, Any] = {"role": "assistant", "content": _words(choice)}
    if thoughts := _thoughts(choice):
        message["thinking"] = thoughts
    if images := [part.data for part in choice.parts if isinstance(part, Media) and part.data]:
        message["images"] = images
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = [called(call, index) for index, call in enumerate(calls)]
    return encode({**_head(completion, asked), "message": message, **_tail(completion, choice)})


def render_generate(completion: Completion, asked: Asked) -> bytes:
    """The JSON body for ``/api/generate``; of several choices the first."""
    choice = _first(completion)
    body: dict[str, Any] = {**_head(completion, asked), "response": _words(choice)}
    if thoughts := _thoughts(choice):
        body["thinking"] = thoughts
    if images := [part.data for part in choice.parts if isinstance(part, Media) and part.data]:
        body["image"] = images[0]
    return encode({**body, **_tail(completion, choice)})


def called(call: ToolCall, index: int) -> dict[str, Any]:
    """A tool call with its arguments as an object; a proof travels in the id."""
    function = {"index": index, "name": call.name, "arguments": Raw(arguments(call.arguments))}
    return {"id": tag(call.id, call.seal), "function": function}


def arguments(text: str) -> bytes:
    """Arguments as a JSON object on one line; what is none (free text, cut JSON) becomes its ``input``."""
    try:
        data = text.encode() if text.strip() else b"{}"
        msgspec.json.decode(data, type=dict[str, Raw])
        return msgspec.json.format(data, indent=-1)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return encode({"input": text})


def _first(completion: Completion) -> Choice:
    return completion.choices[0] if completion.choices else Choice(())


def _head(completion: Completion, asked: Asked) -> dict[str, Any]:
    return {"model": asked.model, "created_at": timestamp(completion.created or asked.created)}


def _tail(completion: Completion, choice: Choice) -> dict[str, Any]:
    tail: dict[str, Any] = {"done": True, "done_reason": word(choice.finish), **told(completion.usage)}
    if choice.logprobs:
        tail["logprobs"] = own_logprobs(choice.logprobs)
    return tail


def _words(choice: Choice) -> str:
    return "".join(map(_text, choice.parts))


def _text(part: Part) -> str:
    return part.text if isinstance(part, Text | Refusal) else ""


def _thoughts(choice: Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, Thinking) and not part.redacted)
