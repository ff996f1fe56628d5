"""The hub's request in the words of ``/api/chat``.

See: https://docs.ollama.com/api/chat (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import ChatRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from relay.dialects.codec import Built, Target
from relay.dialects.lenient import load, mapping
from relay.dialects.losses import dropped
from relay.dialects.ollama.speaking import Speech
from relay.errors import InvalidRequest

_CARRIED = frozenset(
    {
        "tools",
        "tool_choice",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
        "format",
        "reasoning",
    }
)

_OPTIONS = (
    ("num_predict", "max_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
)

_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}

_NO_PARAMETERS = b'{"type":"object","properties":{}}'


def build(request: ChatRequest, target: Target) -> Built:
    """The body for ``/api/chat``.

    Raises:
        InvalidRequest: an image by URL, sound, video or a binary document, which Ollama does not take; or a
            tool call's arguments are no JSON object.
    """
    lost = dropped(request, _CARRIED | _harmless(request))
    speech = Speech(request.messages)
    fields: dict[str, Any] = {"model": target.model, "messages": speech.messages, "stream": target.stream}
    if not speech.messages:
        raise InvalidRequest("No message has any content.", param="messages")
    if tools := _tools(request, lost):
        fields["tools"] = tools
    if options := _options(request):
        fields["options"] = options
    if request.format is not None and request.format.kind != "text":
        fields["format"] = _format(request.format)
    think = _think(request.reasoning, target.model)
    if think is not None:
        fields["think"] = think
    if request.logprobs:
        fields["logprobs"] = True
        if request.top_logprobs:
            fields["top_logprobs"] = request.top_logprobs
    return Built(fields, tuple(dict.fromkeys([*lost, *speech.lost])))


def _harmless(request: ChatRequest) -> frozenset[str]:
    """Fields whose values say what Ollama does anyway."""
    same = {
        "parallel": request.parallel is not False,
        "n": request.n == 1,
        "modalities": request.modalities == ("text",),
    }
    return frozenset(name for name, holds in same.items() if holds)


def _options(request: ChatRequest) -> dict[str, Any]:
    options = {name: value for name, field in _OPTIONS if (value := getattr(request, field)) is not None}
    if request.stop:
        options["stop"] = request.stop
    return options


def _format(form: ResponseFormat) -> Any:
    """``"json"``, or the schema itself."""
    return Raw(form.schema) if form.kind == "json_schema" and form.schema else "json"


def _think(reasoning: Reasoning | None, model: str) -> bool | str | None:
    """Whether to think, and for gpt-oss how much: other models refuse the words, and it cannot do without.

    A caller that leaves it to the model gets the model's default, because models that cannot think refuse
    ``true``.
    See: https://docs.ollama.com/capabilities/thinking (read 2026-11).
    """
    if reasoning is None:
        return None
    none = reasoning.effort == "none" or reasoning.budget == 0
    if "gpt-oss" in model:
        return "low" if none else _LEVELS.get(reasoning.effort)
    if none:
        return False
    if reasoning.adaptive:
        return True if reasoning.visible and not reasoning.effort else None
    return True if reasoning.effort or reasoning.budget else None


def _tools(request: ChatRequest, lost: list[str]) -> list[dict[str, Any]]:
    """The functions that may be called; Ollama cannot be told that one must be."""
    choice = request.tool_choice or ToolChoice("auto")
    if choice.mode == "none":
        return []
    if choice.mode != "auto" and request.tools:
        lost.append(request.names.get("tool_choice", "tool_choice"))
    functions = _functions(request.tools, lost)
    return [_function(tool) for tool in functions if not choice.names or tool.name in choice.names]


def _functions(tools: Sequence[Tool], lost: list[str]) -> Iterable[Tool]:
    """The tools that are functions; the others are told."""
    for index, tool in enumerate(tools):
        if tool.kind != "function":
            lost.append(f"tools[{index}]")
            continue
        if tool.strict:
            lost.append("tools[].strict")
        yield tool


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = Raw(_schema(tool.parameters))
    return {"type": "function", "function": function}


def _schema(parameters: bytes) -> bytes:
    """The parameters' schema; both ``type`` and ``properties`` must be there."""
    schema = mapping(load(parameters)) if parameters else {}
    if not schema:
        return _NO_PARAMETERS
    if "type" in schema and "properties" in schema:
        return parameters
    own = msgspec.json.decode(parameters, type=dict[str, Raw])
    return msgspec.json.encode({"type": Raw(b'"object"'), "properties": Raw(b"{}"), **own})
