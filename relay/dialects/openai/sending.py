"""A chat request in the words of Chat Completions, as OpenAI and its imitators take it.

Fallbacks, told to nobody because nothing is lost: allowed tools become the only tools; a named tool where none can
be named becomes the only one, and required; ``json_schema`` where there is none becomes ``json_object`` and an
instruction; a free-text tool becomes a function (`relay.dialects.openai.naming`); a thinking budget becomes an
effort (`relay.dialects.openai.effort`). ``top_k`` and ``min_p``, which OpenAI has not, go to providers that do not
refuse unknown fields.
See: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from relay.chat import ChatRequest, Message, Text, Tool
from relay.dialects.codec import Built, Target
from relay.dialects.losses import dropped
from relay.dialects.openai.effort import effort_of, never_thinks
from relay.dialects.openai.naming import FREE_TEXT_SCHEMA, Names, schema_name
from relay.dialects.openai.tools import SEARCH
from relay.dialects.openai.turns import Turns, marker
from relay.provider import Quirk

Fields = dict[str, Any]

LONGEST_ID = 64
"""Most characters of ``user`` and ``prompt_cache_key`` that OpenAI takes; Claude Code names users in 150.

See: https://github.com/maximhq/bifrost/pull/1000 and https://github.com/looplj/axonhub/issues/1669 (read 2026-11).
"""

_CARRIED = frozenset(
    {
        *("tools", "tool_choice", "parallel", "max_tokens", "temperature", "top_p", "stop", "seed", "n"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "format", "reasoning"),
        *("user", "metadata", "tier", "verbosity", "modalities", "cache_key", "top_k", "min_p"),
    }
)
_SEARCH = f'{{"{SEARCH}":'.encode()
_TIERS = {"standard": "default", "standard_only": "default"}
_KNOWN_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')


def build(request: ChatRequest, target: Target) -> Built:
    """A request's top-level fields.

    Raises:
        InvalidRequest: the provider could only refuse it.
    """
    return _Building(request, target).built()


class _Building:
    """One request on its way."""

    def __init__(self, request: ChatRequest, target: Target) -> None:
        self._request = request
        self._target = target
        self._quirks = target.quirks
        self._dropped = dropped(request, _CARRIED)
        self._names = Names(request.tools)
        self._fields: Fields = {"model": target.model}

    def built(self) -> Built:
        request, fields = self._request, self._fields
        turns = Turns(self._names, self._quirks)
        fields["messages"] = messages = turns.build(request.messages)
        self._stream()
        self._sampling()
        self._add_tools()
        self._add_format(messages)
        self._add_reasoning()
        self._add_rest()
        self._dropped += turns.dropped
        return Built(fields, tuple(dict.fromkeys(self._dropped)), self._names.sent)

    def _name(self, field: str) -> str:
        return self._request.names.get(field, field)

    def _drop(self, name: str) -> None:
        self._dropped.append(name)

    def _stream(self) -> None:
        if self._target.stream:
            self._fields["stream"] = True
            if Quirk.NO_STREAM_USAGE not in self._quirks:
                self._fields["stream_options"] = {"include_usage": True}

    def _sampling(self) -> None:
        """Numbers, as they are."""
        request, fields = self._request, self._fields
        if request.max_tokens is not None:
            completion = Quirk.MAX_COMPLETION_TOKENS in self._quirks
            fields["max_completion_tokens" if completion else "max_tokens"] = request.max_tokens
        plain = ("temperature", "top_p", "seed", "n", "presence_penalty", "frequency_penalty", "logprobs")
        for name in (*plain, "top_logprobs"):
            value = getattr(request, name)
            if value is not None:
                fields[name] = value
        for name in ("top_k", "min_p"):
            value = getattr(request, name)
            if value is None:
                continue
            if Quirk.STRICT_FIELDS in self._quirks:
                self._drop(self._name(name))
            else:
                fields[name] = value
        if request.stop:
            fields["stop"] = list(request.stop)
        if request.logit_bias:
            fields["logit_bias"] = msgspec.Raw(request.logit_bias)

    def _add_rest(self) -> None:
        """Who asks, and how it is to be served."""
        request, fields = self._request, self._fields
        for name, field in (("user", "user"), ("verbosity", "verbosity"), ("cache_key", "prompt_cache_key")):
            value = getattr(request, name)
            if len(value) > LONGEST_ID and name != "verbosity":
                self._drop(self._name(name))
            elif value:
                fields[field] = value
        if request.metadata:
            fields["metadata"] = msgspec.Raw(request.metadata)
        if tier := _TIERS.get(request.tier, request.tier):
            if tier in _KNOWN_TIERS:
                fields["service_tier"] = tier
            else:
                self._drop(self._name("tier"))
        kinds = [kind for kind in request.modalities if kind != "audio"]
        if len(kinds) < len(request.modalities):  # speech needs a voice, which the hub does not know
            self._drop(self._name("modalities"))
        if kinds and kinds != ["text"]:
            fields["modalities"] = kinds

    # ── tools ────────────────────────────────────────────────────────────────────────

    def _add_tools(self) -> None:
        request, fields = self._request, self._fields
        choice = request.tool_choice
        allowed: Sequence[str] = choice.names if choice else ()
        named = choice is not None and choice.mode == "named" and Quirk.NO_NAMED_TOOL not in self._quirks
        tools = [tool for tool in request.tools if named or not allowed or tool.name in allowed]
        built = [entry for tool in tools if (entry := self._tool(tool)) is not None]
        if not built:
            return
        fields["tools"] = built
        if request.parallel is not None:
            fields["parallel_tool_calls"] = request.parallel
        if choice is None:
            return
        if named:
            fields["tool_choice"] = self._named(choice.names[0])
        elif choice.mode in ("required", "named"):
            fields["tool_choice"] = "any" if Quirk.ANY_FOR_REQUIRED in self._quirks else "required"
        else:
            fields["tool_choice"] = choice.mode

    def _named(self, name: str) -> Fields:
        tool = next((tool for tool in self._request.tools if tool.name == name), None)
        sent = self._names.of(name, tool.namespace if tool else "")
        if tool is not None and tool.kind == "custom" and tool.origin == "openai":
            return {"type": "custom", "custom": {"name": sent}}
        return {"type": "function", "function": {"name": sent}}

    def _tool(self, tool: Tool) -> Fields | msgspec.Raw | None:
        """One tool; None for one that only another dialect's provider runs."""
        if tool.kind not in ("function", "custom"):
            return self._provider_tool(tool)
        if tool.kind == "custom" and tool.origin == "openai":
            return msgspec.Raw(tool.native)
        name = self._names.of(tool.name, tool.namespace)
        function: Fields = {"name": name}
        if tool.description:
            function["description"] = tool.description
        function["parameters"] = msgspec.Raw(tool.parameters) if tool.parameters else _NO_PARAMETERS
        if tool.kind == "custom":
            function["parameters"] = msgspec.Raw(FREE_TEXT_SCHEMA)
            if b'"grammar"' in tool.native:
                self._drop("tools[].format")
        elif tool.strict is not None:
            function["strict"] = tool.strict
        out: Fields = {"type": "function", "function": function}
        if tool.cache is not None:
            if Quirk.CACHE_CONTROL in self._quirks:
                out["cache_control"] = marker(tool.cache)
            else:
                self._drop("cache_control")
        return out

    def _provider_tool(self, tool: Tool) -> msgspec.Raw | None:
        if tool.origin != "openai":
            self._drop(f"tools[].{tool.kind}")
            return None
        if tool.native.startswith(_SEARCH):
            self._fields |= msgspec.json.decode(tool.native)
            return None
        return msgspec.Raw(tool.native)

    # ── form and thought ─────────────────────────────────────────────────────────────

    def _add_format(self, messages: list[Fields]) -> None:
        form = self._request.format
        if form is None or form.kind == "text":
            return
        if form.kind == "json_schema" and Quirk.NO_JSON_SCHEMA not in self._quirks:
            schema: Fields = {"name": schema_name(form.name), "schema": msgspec.Raw(form.schema or b"{}")}
            schema |= {"description": form.description} if form.description else {}
            schema |= {"strict": form.strict} if form.strict is not None else {}
            self._fields["response_format"] = {"type": "json_schema", "json_schema": schema}
            return
        self._fields["response_format"] = {"type": "json_object"}
        if form.kind == "json_schema":
            instruct(messages, schema_instruction(form.schema))
        elif not _speaks_of_json(self._request.messages):
            instruct(messages, "Answer with a JSON object.")

    def _add_reasoning(self) -> None:
        reasoning = self._request.reasoning
        if reasoning is None:
            return
        fields, name = self._fields, self._name("reasoning")
        if reasoning.summary:
            self._drop(f"{name}.summary")
        if reasoning.encrypted:
            self._drop(f"{name}.encrypted_content")
        effort = effort_of(reasoning, self._target.model)
        if not effort:
            return
        off = effort == "none"
        if Quirk.THINKING_OBJECT in self._quirks:
            fields["thinking"] = {"type": "disabled" if off else "enabled"}
        elif Quirk.ENABLE_THINKING in self._quirks:
            fields["enable_thinking"] = not off
            if reasoning.budget:
                fields["thinking_budget"] = reasoning.budget
            return
        switched = Quirk.THINKING_OBJECT in self._quirks
        if never_thinks(self._target.model) or Quirk.NO_REASONING_EFFORT in self._quirks:
            if not (off or switched):
                self._drop(name)
        elif not (switched and (off or not reasoning.effort)):
            fields["reasoning_effort"] = effort


def schema_instruction(schema: bytes) -> str:
    """The words that ask for JSON of a schema where the provider cannot be bound to it."""
    return f"Answer with a JSON object that follows this JSON Schema, and nothing else:\n{schema.decode()}"


def instruct(messages: list[Fields], words: str) -> None:
    """Add an instruction to the first system message, or as one; some templates take a single one only."""
    first = messages[0] if messages else {}
    if first.get("role") in ("system", "developer") and isinstance(first["content"], str):
        messages[0] = {**first, "content": f"{first['content']}\n\n{words}" if first["content"] else words}
    else:
        messages.insert(0, {"role": "system", "content": words})


def _speaks_of_json(messages: Sequence[Message]) -> bool:
    """Whether the word stands in the conversation; without it ``json_object`` is refused."""
    texts = (part.text for message in messages for part in message.parts if isinstance(part, Text))
    return any("json" in text.lower() for text in texts)
