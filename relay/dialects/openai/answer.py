"""A whole answer as clients of ``/v1/chat/completions`` read it.

What the hub holds beyond OpenAI's own fields is shown where clients of other gateways look for it: reasoning in
``reasoning_content`` (proofs: `relay.dialects.openai.thoughts`), a tool call's proof in
``extra_content.google.thought_signature`` as Google's endpoint for this dialect does, generated images in
``images`` as OpenRouter does. See: https://ai.google.dev/gemini-api/docs/openai (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from relay.chat import Choice, Completion, Media, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.carry import made_id, wrap
from relay.dialects.codec import Asked
from relay.dialects.openai.citations import annotation
from relay.dialects.openai.finish import write_finish
from relay.dialects.openai.media import audio_format, url_of
from relay.dialects.openai.thoughts import shown
from relay.dialects.openai.usage import write_usage


def render(completion: Completion, asked: Asked) -> bytes:
    """The JSON body of an answer."""
    legacy = is_legacy(asked)
    body: dict[str, Any] = {
        "id": completion.id or made_id("chatcmpl-", asked.request_id),
        "object": "chat.completion",
        "created": completion.created or asked.created,
        "model": asked.model,
        "choices": [_choice(choice, legacy=legacy) for choice in completion.choices],
    }
    if usage := write_usage(completion.usage):
        body["usage"] = usage
    if completion.tier:
        body["service_tier"] = completion.tier
    if completion.fingerprint:
        body["system_fingerprint"] = completion.fingerprint
    return msgspec.json.encode(body)


def is_legacy(asked: Asked) -> bool:
    """Whether the client declared ``functions`` and not ``tools``."""
    return asked.request is not None and asked.request.names.get("tools") == "functions"


def _choice(choice: Choice, *, legacy: bool) -> dict[str, Any]:
    message = _message(choice, legacy=legacy)
    called = "tool_calls" in message or "function_call" in message
    return {
        "index": choice.index,
        "message": message,
        "logprobs": msgspec.Raw(choice.logprobs or b"null"),
        "finish_reason": write_finish(
            choice.finish, called=called, refused=message["refusal"] is not None, legacy=legacy
        ),
    }


def _message(choice: Choice, *, legacy: bool) -> dict[str, Any]:
    texts = [part for part in choice.parts if isinstance(part, Text)]
    calls = [call(part) for part in choice.parts if isinstance(part, ToolCall)]
    refusal = "".join(part.text for part in choice.parts if isinstance(part, Refusal))
    words = "".join(part.text for part in texts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": words if words or not (calls or refusal) else None,
        "refusal": refusal or None,
    }
    _add_thoughts(message, (part for part in choice.parts if isinstance(part, Thinking)))
    if sources := _annotations(texts):
        message["annotations"] = sources
    if seals := [part.seal for part in texts if part.seal is not None]:
        message["extra_content"] = signature(seals[-1])
    for part in choice.parts:
        if isinstance(part, Media):
            _add_media(message, part)
    if calls and legacy:
        message["function_call"] = calls[0].get("function", {})
    elif calls:
        message["tool_calls"] = calls
    return message


def call(part: ToolCall) -> dict[str, Any]:
    """A tool call; one without arguments has ``{}``."""
    if part.custom:
        out: dict[str, Any] = {
            "id": part.id,
            "type": "custom",
            "custom": {"name": part.name, "input": part.arguments},
        }
    else:
        arguments = part.arguments if part.arguments.strip() else "{}"
        out = {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments}}
    if part.seal is not None:
        out["extra_content"] = signature(part.seal)
    return out


def signature(seal: Seal) -> dict[str, Any]:
    """A proof of a tool call or a text, as Google's endpoint for this dialect shows it."""
    return {"google": {"thought_signature": wrap(seal, "gemini")}}


def _add_thoughts(message: dict[str, Any], thoughts: Iterable[Thinking]) -> None:
    for thought in thoughts:
        if thought.text and not thought.redacted:
            message["reasoning_content"] = message.get("reasoning_content", "") + thought.text
        if proof := shown(thought):
            message.setdefault(proof[0], []).append(proof[1])


def _annotations(texts: Iterable[Text]) -> list[dict[str, Any]]:
    """Sources of all texts; those that do not say which words they prove stand for their whole text."""
    found: list[dict[str, Any]] = []
    at = 0
    for part in texts:
        end = at + len(part.text)
        found += (each for citation in part.citations if (each := annotation(citation, at, end)))
        at = end
    return found


def _add_media(message: dict[str, Any], part: Media) -> None:
    if part.kind == "image" and (part.data or part.url):
        message.setdefault("images", []).append(image(part))
    elif part.kind == "audio" and part.data:
        message["audio"] = sound(part)


def image(part: Media) -> dict[str, Any]:
    """A generated image in OpenRouter's form."""
    return {"type": "image_url", "image_url": {"url": url_of(part)}}


def sound(part: Media) -> dict[str, Any]:
    """Generated speech in OpenAI's form; its words are in the content."""
    return {
        "id": made_id("audio_", part.data[:64], len(part.data)),
        "data": part.data,
        "expires_at": 0,
        "transcript": "",
        "format": audio_format(part.mime) if part.mime else "",
    }
