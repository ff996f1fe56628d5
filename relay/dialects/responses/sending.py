"""The hub's request in the words of a provider of the Responses API.

The provider is asked to store nothing (``store: false``): no other dialect's client could find it again.
Reasoning is then asked for in encrypted form wherever the client asks for thinking, so that the next request
can bring it back. Stop sequences, seeds, penalties and ``n`` do not exist here and are told as dropped.

See: https://platform.openai.com/docs/api-reference/responses/create (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from relay.chat import ChatRequest, Message, Text, ToolChoice
from relay.dialects import losses
from relay.dialects.codec import Built, Target
from relay.dialects.openai.sending import LONGEST_ID
from relay.dialects.responses.declaring import (
    choose,
    declare,
    effort_of,
    form_of,
    plain_metadata,
    thinking_of,
)
from relay.dialects.responses.replay import Replay
from relay.dialects.responses.request import ENCRYPTED, LOGPROBS
from relay.provider import Quirk

LEAST_TOKENS = 16
"""The smallest ``max_output_tokens`` that OpenAI takes."""

_CARRIED = frozenset(
    {
        "tools",
        "tool_choice",
        "parallel",
        "max_tokens",
        "temperature",
        "top_p",
        "logprobs",
        "top_logprobs",
        "format",
        "reasoning",
        "user",
        "metadata",
        "tier",
        "verbosity",
        "modalities",
        "cache_key",
        "n",
    }
)
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_TIER_WORDS = {"standard_only": "default", "standard": "default"}


def build(request: ChatRequest, target: Target) -> Built:
    """Say a request in the provider's words.

    Raises:
        InvalidRequest: it holds what no provider of this dialect takes.
    """
    lost = losses.dropped(request, _CARRIED)
    names: dict[str, str] = {}
    replay = Replay(request, target.quirks)
    replay.take(request.messages)
    fields: dict[str, Any] = {"model": target.model, "input": replay.items, "store": False}
    if target.stream:
        fields["stream"] = True
    _tools(request, target, fields, lost, names)
    _sampling(request, fields)
    _text(request, target, fields)
    _reasoning(request, fields)
    _rest(request, fields, lost)
    told = tuple(dict.fromkeys([*lost, *replay.lost]))
    return Built(fields, told, names)


def _tools(
    request: ChatRequest, target: Target, fields: dict[str, Any], lost: list[str], names: dict[str, str]
) -> None:
    choice, tools = request.tool_choice, request.tools
    if any(tool.cache is not None for tool in tools):
        lost.append("cache_control")
    if choice is not None and choice.mode == "named" and Quirk.NO_NAMED_TOOL in target.quirks:
        tools = tuple(tool for tool in tools if tool.name in choice.names) or tools
        choice = ToolChoice("required")
    declared = declare(tools, lost, names)
    if not declared:
        return
    fields["tools"] = declared
    if choice is not None:
        fields["tool_choice"] = choose(choice, tools)
    if request.parallel is not None:
        fields["parallel_tool_calls"] = request.parallel


def _sampling(request: ChatRequest, fields: dict[str, Any]) -> None:
    if request.max_tokens is not None:
        fields["max_output_tokens"] = max(request.max_tokens, LEAST_TOKENS)
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None:
            fields[name] = value
    if request.logprobs:
        fields["include"] = [LOGPROBS]
        if request.top_logprobs is not None:
            fields["top_logprobs"] = request.top_logprobs


def _text(request: ChatRequest, target: Target, fields: dict[str, Any]) -> None:
    form = form_of(request.format)
    if form is not None and form["type"] == "json_schema" and Quirk.NO_JSON_SCHEMA in target.quirks:
        schema = (request.format.schema if request.format else b"").decode()
        words = f"Answer with one JSON object that follows this JSON Schema, and nothing else:\n{schema}"
        extra = Replay(request, target.quirks)
        extra.take([Message("system", (Text(words),))])
        fields["input"] = [*extra.items, *fields["input"]]
        form = {"type": "json_object"}
    text: dict[str, Any] = {"format": form} if form is not None else {}
    if request.verbosity:
        text["verbosity"] = request.verbosity
    if text:
        fields["text"] = text


def _reasoning(request: ChatRequest, fields: dict[str, Any]) -> None:
    wanted = request.reasoning
    if wanted is None:
        return
    thinking = thinking_of(wanted)
    if thinking:
        fields["reasoning"] = thinking
    if wanted.encrypted or effort_of(wanted) not in ("", "none") or wanted.adaptive or wanted.visible:
        fields["include"] = [*fields.get("include", ()), ENCRYPTED]


def _rest(request: ChatRequest, fields: dict[str, Any], lost: list[str]) -> None:
    told = request.names
    if request.n is not None and request.n > 1:
        lost.append("n")
    if set(request.modalities) - {"text"}:
        lost.append(told.get("modalities", "modalities"))
    for name, field in (("user", "user"), ("cache_key", "prompt_cache_key")):
        value = getattr(request, name)
        if len(value) > LONGEST_ID:
            lost.append(told.get(name, name))
        elif value:
            fields[field] = value
    if request.metadata:
        metadata = plain_metadata(request.metadata)
        if metadata is None:
            lost.append(told.get("metadata", "metadata"))
        else:
            fields["metadata"] = metadata
    if request.tier:
        tier = _TIER_WORDS.get(request.tier, request.tier)
        if tier in _TIERS:
            fields["service_tier"] = tier
        else:
            lost.append(told.get("tier", "tier"))
