"""Ollama's answers, whole or a line, as a value: what both `parse` and the reader look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import Choice, Completion, Media, Part, Text, Thinking, ToolCall
from relay.dialects.carry import made_id
from relay.dialects.codec import Target
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.ollama.lines import counts, openai_logprobs, reason
from relay.dialects.ollama.moments import seconds
from relay.dialects.quoting import mended


def parse(body: bytes, _target: Target) -> Completion:
    """A whole answer of ``/api/chat``, or of ``/api/generate``.

    Raises:
        ValueError: it is neither.
    """
    answer = load(body)
    if not isinstance(answer, dict) or not ({"message", "response"} & answer.keys()):
        raise ValueError("neither message nor response")
    thinking, content = spoken(answer)
    created_at, model = text(answer.get("created_at")), text(answer.get("model"))
    called = calls(answer, created_at, model, 0)
    parts: list[Part] = []
    if thinking:
        parts.append(Thinking(mended(thinking)))
    if content:
        parts.append(Text(mended(content)))
    finish = reason(text(answer.get("done_reason")), called=bool(called)) if answer.get("done") is not False else ""
    choice = Choice((*parts, *images(answer), *called), finish, logprobs=openai_logprobs(answer.get("logprobs")))
    return Completion(id="", model=model, choices=(choice,), usage=counts(answer), created=seconds(created_at))


def spoken(answer: Mapping[str, object]) -> tuple[str, str]:
    """Thoughts and words."""
    message = mapping(answer.get("message"))
    return (
        text(message.get("thinking")) or text(answer.get("thinking")),
        text(message.get("content")) or text(answer.get("response")),
    )


def images(answer: Mapping[str, object]) -> Sequence[Media]:
    """Images that the model made."""
    found = [*sequence(mapping(answer.get("message")).get("images")), answer.get("image")]
    return [Media("image", mime="image/png", data=data) for image in found if (data := text(image))]


def calls(answer: Mapping[str, object], *seed: object) -> Sequence[ToolCall]:
    """Tool calls, whose arguments are objects; ids are made where there are none.

    Args:
        answer: the answer or the line.
        seed: what tells this answer's calls from those of other turns; its time does.
    """
    found = []
    for index, entry in enumerate(sequence(mapping(answer.get("message")).get("tool_calls"))):
        call = mapping(entry)
        function = mapping(call.get("function"))
        name, arguments = text(function.get("name")), _arguments(function.get("arguments"))
        if name:
            own = text(call.get("id")) or made_id("call_", *seed, index, name, arguments)
            found.append(ToolCall(own, name, arguments))
    return found


def _arguments(value: object) -> str:
    """JSON text of the arguments; a string is passed on as the JSON text that it must be."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    if not isinstance(value, dict):
        return "{}"
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return "{}"
