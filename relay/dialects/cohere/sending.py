"""The hub's request in the words of ``/v2/chat``.

See: https://docs.cohere.com/reference/chat (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Raw

from relay.chat import ChatRequest, Reasoning, ResponseFormat, Tool, ToolCall, ToolChoice
from relay.dialects.codec import Built, Target
from relay.dialects.cohere.speaking import Speech
from relay.dialects.lenient import load, mapping
from relay.dialects.losses import dropped
from relay.errors import InvalidRequest

_CARRIED = frozenset(
    {
        "tools",
        "tool_choice",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "format",
        "reasoning",
    }
)

_MOST_STOPS = 5

_BUDGETS = {"minimal": 512, "low": 1024, "medium": 4096}
"""Tokens for an effort; above them the model thinks without a bound."""

_NO_PARAMETERS = b'{"type":"object","properties":{}}'

_UNFIT = re.compile(r"[^A-Za-z0-9_]")


def build(request: ChatRequest, target: Target) -> Built:
    """The body for ``/v2/chat``.

    Raises:
        InvalidRequest: sound, video or a binary document, an image by file id, a message list without content, or
            a tool call whose arguments are no JSON object.
    """
    lost = dropped(request, _CARRIED | _harmless(request))
    names = _names(_mentioned(request))
    speech = Speech(request.messages, names)
    if not speech.messages:
        raise InvalidRequest("No message has any content.", param="messages")
    fields: dict[str, Any] = {"model": target.model, "messages": speech.messages, "stream": target.stream}
    tools = _tools(request, names, fields, lost)
    if speech.documents:
        fields["documents"] = speech.documents
        if not speech.citations:
            fields["citation_options"] = {"mode": "OFF"}
    fields |= _sampling(request, lost)
    if (thinking := _thinking(request.reasoning)) is not None:
        fields["thinking"] = thinking
    if request.format is not None and request.format.kind != "text":
        _form(request, request.format, fields, lost, free=not tools and not speech.documents)
    sent = {name: own for own, name in names.items() if own != name}
    return Built(fields, tuple(dict.fromkeys([*lost, *speech.lost])), sent)


def _harmless(request: ChatRequest) -> frozenset[str]:
    """Fields whose values say what Cohere does anyway."""
    same = {
        "parallel": request.parallel is not False,
        "n": request.n == 1,
        "modalities": request.modalities == ("text",),
        "top_logprobs": not request.top_logprobs,
    }
    return frozenset(name for name, holds in same.items() if holds)


def _sampling(request: ChatRequest, lost: list[str]) -> dict[str, Any]:
    """Numbers within Cohere's bounds: ``p`` 0.01 to 0.99, ``k`` up to 500, penalties 0 to 1, five stops."""
    fields: dict[str, Any] = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "logprobs": request.logprobs or None,
        "p": None if request.top_p is None else min(max(request.top_p, 0.01), 0.99),
        "k": None if request.top_k is None else min(max(request.top_k, 0), 500),
        "stop_sequences": request.stop[:_MOST_STOPS] or None,
    }
    if len(request.stop) > _MOST_STOPS:
        lost.append(request.names.get("stop", "stop"))
    for name in ("presence_penalty", "frequency_penalty"):
        value = getattr(request, name)
        if value is not None:
            fields[name] = min(max(value, 0.0), 1.0)
            if fields[name] != value:
                lost.append(request.names.get(name, name))
    return {name: value for name, value in fields.items() if value is not None}


def _thinking(reasoning: Reasoning | None) -> dict[str, Any] | None:
    """Reasoning on or off, within a budget; what is left to the model is not said.

    See: https://docs.cohere.com/docs/reasoning (read 2026-11).
    """
    if reasoning is None:
        return None
    if reasoning.effort == "none" or reasoning.budget == 0:
        return {"type": "disabled"}
    budget = reasoning.budget or _BUDGETS.get(reasoning.effort)
    if budget is not None:
        return {"type": "enabled", "token_budget": budget}
    if reasoning.effort or (reasoning.adaptive and reasoning.visible):
        return {"type": "enabled"}
    return None


def _form(request: ChatRequest, form: ResponseFormat, fields: dict[str, Any], lost: list[str], *, free: bool) -> None:
    """A JSON answer; beside tools or documents Cohere takes no format, so the model is asked in words."""
    if free:
        fields["response_format"] = {"type": "json_object"}
        if form.schema:
            fields["response_format"]["json_schema"] = Raw(form.schema)
        return
    lost.append(request.names.get("format", "response_format"))
    schema = f" that follows this JSON Schema: {form.schema.decode()}" if form.schema else ""
    wish = f"Give your final answer as one JSON object{schema}, and write nothing else."
    fields["messages"] = [{"role": "system", "content": wish}, *fields["messages"]]


def _tools(request: ChatRequest, names: Mapping[str, str], fields: dict[str, Any], lost: list[str]) -> bool:
    """Put in the tools, and which of them must be called; True if there are any.

    There is no word for one tool by its name: that tool alone is sent, and some tool is required.
    """
    choice = request.tool_choice or ToolChoice("auto")
    lost += [f"tools[{index}]" for index, tool in enumerate(request.tools) if tool.kind != "function"]
    functions = [tool for tool in request.tools if tool.kind == "function"]
    if choice.names:
        functions = [tool for tool in functions if tool.name in choice.names]
    if not functions:
        return False
    fields["tools"] = [_function(tool, names[tool.name]) for tool in functions]
    if choice.mode != "auto":
        fields["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
    if any(tool.strict for tool in functions):
        if all(tool.strict and _requires(tool.parameters) for tool in functions):
            fields["strict_tools"] = True
        else:
            lost.append("tools[].strict")
    return True


def _requires(parameters: bytes) -> bool:
    """Whether a schema requires a parameter; strict tools must.

    See: https://docs.cohere.com/v2/docs/tool-use-parameter-types (read 2026-11).
    """
    return bool(mapping(load(parameters)).get("required"))


def _function(tool: Tool, name: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = Raw(tool.parameters or _NO_PARAMETERS)
    return {"type": "function", "function": function}


def _mentioned(request: ChatRequest) -> list[str]:
    """Names of the functions that are declared, and of those that were called earlier."""
    declared = [tool.name for tool in request.tools if tool.kind == "function"]
    parts = (part for message in request.messages for part in message.parts)
    return declared + [part.name for part in parts if isinstance(part, ToolCall)]


def _names(names: Sequence[str]) -> Mapping[str, str]:
    """Each tool's name → one of letters, digits and ``_`` only, that does not begin with a digit; all different.

    See: https://docs.oracle.com/en-us/iaas/tools/python/latest/api/generative_ai_inference/models/oci.generative_ai_inference.models.CohereToolV2.html
    (read 2026-11).
    """
    sent: dict[str, str] = {}
    taken = {name for name in names if _fits(name)}
    for name in names:
        if name in sent:
            continue
        fit = name
        if not _fits(name):
            plain = _UNFIT.sub("_", name)
            fit = plain = f"_{plain}" if plain[:1].isdigit() or not plain else plain
            number = 2
            while fit in taken:
                fit, number = f"{plain}_{number}", number + 1
            taken.add(fit)
        sent[name] = fit
    return sent


def _fits(name: str) -> bool:
    return bool(name) and not _UNFIT.search(name) and not name[0].isdigit()
