"""A client's Messages request as the hub's.

See: https://platform.claude.com/docs/en/api/messages (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.chat import ChatRequest, Message, Raw, Reasoning, ResponseFormat, Tool, ToolChoice, ToolResult
from relay.dialects.anthropic.blocks import STRUCTURED, content
from relay.dialects.anthropic.declared import Choice, choice, tools
from relay.dialects.anthropic.places import at, fault
from relay.dialects.codec import Call
from relay.dialects.problems import told

NAMES: Mapping[str, str] = {
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "tier": "service_tier",
    "parallel": "tool_choice.disable_parallel_tool_use",
    "format": "output_config.format",
    "reasoning": "thinking",
}
"""The hub's fields that the Messages API calls otherwise; they also mark a request as one of its own."""

EFFORT = "output_config.effort"
"""What the reasoning is called where a client sets the effort and leaves ``thinking`` to the model."""

_TIERS: Mapping[str, str] = {"standard_only": "default"}
_ROLES = frozenset({"user", "assistant", "system"})


class _Message(msgspec.Struct):
    role: str
    content: str | list[Raw] | None = None


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct):
    type: str | None = None
    schema: Raw = Raw(b"null")


class _OutputConfig(msgspec.Struct):
    effort: str | None = None
    format: _Format | None = None


class _Body(msgspec.Struct):
    messages: list[_Message]
    model: str | None = None
    system: str | list[Raw] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    tools: list[Raw] | None = None
    tool_choice: Choice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    metadata: dict[str, Raw] | None = None
    service_tier: str | None = None


_BODY = msgspec.json.Decoder(_Body)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_KNOWN = frozenset(_Body.__struct_fields__)
_STRING = msgspec.json.Decoder(str | None)
_PLAIN_OUTPUT = frozenset(_OutputConfig.__struct_fields__)


def parse(body: bytes, call: Call) -> ChatRequest:
    """Read a request to ``/v1/messages`` or ``/v1/messages/count_tokens``.

    Raises:
        InvalidRequest: not JSON, or a field that is missing or of the wrong type; names the field.
    """
    with told():
        given = _BODY.decode(body)
        fields = _FIELDS.decode(body)
        extra = _others(fields, "", _KNOWN)
        if given.output_config is not None:
            extra |= _others(_FIELDS.decode(fields["output_config"]), "output_config.", _PLAIN_OUTPUT)
    if not given.messages:
        raise fault("messages", "must hold at least one message")
    declared, more = tools(given.tools or ())
    reasoning, called = _reasoning(given)
    chosen, parallel = choice(given.tool_choice) if given.tool_choice is not None else (None, None)
    form = _format(given)
    if any(tool.name == STRUCTURED for tool in declared):
        declared, chosen, form = _unforced(declared, chosen, form)
    user, unknown = _metadata(given.metadata or {})
    return ChatRequest(
        model=call.model or given.model or "",
        messages=_messages(given),
        stream=bool(given.stream) if call.stream is None else call.stream,
        wants_usage=True,
        tools=declared,
        tool_choice=chosen,
        parallel=parallel,
        max_tokens=given.max_tokens,
        temperature=given.temperature,
        top_p=given.top_p,
        top_k=given.top_k,
        stop=tuple(given.stop_sequences or ()),
        format=form,
        reasoning=reasoning,
        user=user,
        tier=_TIERS.get(given.service_tier or "", given.service_tier or ""),
        extra=extra | more | unknown,
        names={**NAMES, "reasoning": called},
    )


def _messages(given: _Body) -> tuple[Message, ...]:
    found: list[Message] = []
    if given.system:
        found.append(Message("system", content(given.system, "system")))
    for index, message in enumerate(given.messages):
        place = f"messages[{index}]"
        if message.role not in _ROLES:
            raise fault(f"{place}.role", "must be user, assistant or system")
        parts = content(message.content, f"{place}.content")
        results = tuple(part for part in parts if isinstance(part, ToolResult))
        if results:
            # other dialects want a call's results before anything else that the user says
            found.append(Message("tool", results))
            parts = tuple(part for part in parts if not isinstance(part, ToolResult))
            if not parts:
                continue
        found.append(Message(message.role, parts))
    return tuple(found)


def _reasoning(given: _Body) -> tuple[Reasoning | None, str]:
    """What is said of thinking and effort, and what the client calls it."""
    thinking = given.thinking
    effort = (given.output_config.effort if given.output_config else None) or ""
    if thinking is None:
        return (Reasoning(effort=effort), EFFORT) if effort else (None, NAMES["reasoning"])
    visible = {"summarized": True, "omitted": False}.get(thinking.display or "")
    budget: int | None = None
    match thinking.type:
        case "enabled":
            budget = thinking.budget_tokens
            if budget is None or budget < 1:
                raise fault("thinking.budget_tokens", "must be a number of tokens, at least 1024")
        case "disabled" | "between_tools":
            budget = 0
        case "adaptive":
            pass
        case _:
            raise fault("thinking.type", "must be adaptive, enabled or disabled")
    reasoning = Reasoning(effort=effort, budget=budget, adaptive=thinking.type == "adaptive", visible=visible)
    return reasoning, NAMES["reasoning"]


def _format(given: _Body) -> ResponseFormat | None:
    """``output_config.format``, or the older ``output_format``."""
    place, form = "output_config.format", given.output_config.format if given.output_config else None
    if form is None:
        place, form = "output_format", given.output_format
    if form is None:
        return None
    if form.type != "json_schema":
        raise fault(f"{place}.type", "must be json_schema")
    schema = bytes(form.schema)
    if not schema.startswith(b"{"):
        raise fault(f"{place}.schema", "must be an object")
    return ResponseFormat("json_schema", schema=schema)


def _unforced(
    declared: tuple[Tool, ...], chosen: ToolChoice | None, form: ResponseFormat | None
) -> tuple[tuple[Tool, ...], ToolChoice | None, ResponseFormat | None]:
    """The tool by which another relay asked for structured output is that output's schema again."""
    schema = next(tool.parameters for tool in declared if tool.name == STRUCTURED)
    others = tuple(tool for tool in declared if tool.name != STRUCTURED)
    forced = chosen is not None and chosen.mode in ("required", "named")
    return others, None if forced else chosen, form or ResponseFormat("json_schema", schema=schema)


def _metadata(metadata: Mapping[str, Raw]) -> tuple[str, dict[str, bytes]]:
    """The end user's id, and what else is said."""
    with at("metadata.user_id"):
        user = _STRING.decode(metadata["user_id"]) if "user_id" in metadata else None
    return user or "", _others(metadata, "metadata.", frozenset({"user_id"}))


def _others(fields: Mapping[str, Raw], prefix: str, known: frozenset[str]) -> dict[str, bytes]:
    """What the hub has no place for, null being nothing."""
    found = {prefix + name: bytes(raw) for name, raw in fields.items() if name not in known}
    return {name: value for name, value in found.items() if value != b"null"}
