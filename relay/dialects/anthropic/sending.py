"""The hub's request in the provider's words.

What the Messages API is known to refuse is not sent but told: it takes no unknown fields, and its newer
models take neither sampling parameters nor, some of them, forced tools. Structured output is asked for
natively where the model and the schema allow it; else by a tool that must be called (`STRUCTURED`), whose
input the reader gives out as text; else by words in the system prompt.

See: https://platform.claude.com/docs/en/api/messages and, for Vertex AI,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from relay.chat import ChatRequest, Raw, ResponseFormat
from relay.dialects import losses
from relay.dialects.anthropic import schemas
from relay.dialects.anthropic.blocks import STRUCTURED
from relay.dialects.anthropic.models import Traits, traits
from relay.dialects.anthropic.parts import Parts
from relay.dialects.anthropic.request import EFFORT, NAMES
from relay.dialects.anthropic.thought import Thought, fitted, thought
from relay.dialects.anthropic.tools import Names, choose, declare
from relay.dialects.anthropic.turns import converse
from relay.dialects.codec import Built, Target
from relay.provider import Quirk

_CARRIED = frozenset(
    {
        "tools", "tool_choice", "parallel", "max_tokens", "temperature", "top_p", "top_k", "stop", "format",
        "reasoning", "user", "tier",
    }
)  # fmt: skip
_TIERS: Mapping[str, str] = {"auto": "auto", "default": "standard_only"}
_PERSONAL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?[\d\s().-]{7,}")
_LONGEST_USER = 256
_MOST_MARKERS = 4
_COUNTED = frozenset(
    {
        "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control",
        "anthropic_version", "mcp_servers", "context_management", "speed",
    }
)  # fmt: skip
_VERTEX_VERSION = "vertex-2023-10-16"


def build(request: ChatRequest, target: Target) -> Built:
    """Write a request to ``/v1/messages``.

    Raises:
        InvalidRequest: the provider could only refuse it.
    """
    return _Draft(request, target).built(counting=False)


def build_count(request: ChatRequest, target: Target) -> Built:
    """Write a request to ``/v1/messages/count_tokens``.

    Raises:
        InvalidRequest: the provider could only refuse it.
    """
    return _Draft(request, target).built(counting=True)


class _Draft:
    """A request that is being written."""

    def __init__(self, request: ChatRequest, target: Target) -> None:
        self.request = request
        self.target = target
        self.traits: Traits = traits(target.model)
        self.own = request.names.get("user") == NAMES["user"]
        self.names = Names(request.tools)
        self.parts = Parts(self.names, own=self.own)
        self.lost = dict.fromkeys(losses.dropped(request, _CARRIED))
        self.fields: dict[str, Any] = {}

    def built(self, *, counting: bool) -> Built:
        """All of it."""
        self._converse()
        self._declare()
        self._think()
        self._limit()
        self._sample()
        self._plain()
        self._extra()
        self.lost |= self.parts.lost
        self._mark()
        fields = self._addressed(counting=counting)
        return Built(fields, dropped=tuple(self.lost), tool_names=self.names.changed)

    def _lose(self, field: str) -> None:
        self.lost[self.request.names.get(field, field)] = None

    # ── what is said ─────────────────────────────────────────────────────────────────

    def _converse(self) -> None:
        self.talk = converse(self.request.messages, self.parts, mid_system=self.traits.system)

    def _declare(self) -> None:
        """Tools, the choice among them, and structured output, which may be one of them."""
        request = self.request
        tools, lost = declare(request, self.names, self.traits, self.target.quirks, own=self.own)
        self.lost |= dict.fromkeys(lost)
        choice = choose(request.tool_choice, request.parallel, self.names, request.tools) if tools else None
        if request.tool_choice and not tools and request.tool_choice.mode not in ("auto", "none"):
            self._lose("tool_choice")
        tools, choice = self._form(tools, choice)
        if choice and choice["type"] in ("any", "tool") and not self.traits.forced:
            self._lose("tool_choice")
            choice = {**choice, "type": "auto"}
            choice.pop("name", None)
        if tools:
            self.fields["tools"] = tools
        if choice:
            self.fields["tool_choice"] = choice

    def _form(self, tools: list[Any], choice: dict[str, Any] | None) -> tuple[list[Any], dict[str, Any] | None]:
        """Structured output: natively, by a tool, or by words."""
        form = self.request.format
        if form is None or form.kind == "text":
            return tools, choice
        if form.kind == "json_object":
            self._instruct("Answer with one JSON object and nothing else.")
            return tools, choice
        native = self._native_schema(form)
        if native is not None:
            self.fields["output_config"] = {"format": {"type": "json_schema", "schema": Raw(native)}}
            return tools, choice
        if not (self.traits.forced and schemas.is_object(form.schema)) or (choice and choice["type"] == "none"):
            words = "Answer with JSON that follows this JSON Schema, and with nothing else:\n"
            self._instruct(words + str(form.schema, "utf-8", "replace"))
            return tools, choice
        about = form.description or "Give the final answer to the user by calling this tool."
        tool = {"name": STRUCTURED, "description": about, "input_schema": Raw(form.schema)}
        if choice and choice["type"] in ("any", "tool"):
            return [*tools, tool], choice
        forced: dict[str, Any] = {"type": "any"} if tools else {"type": "tool", "name": STRUCTURED}
        if choice and "disable_parallel_tool_use" in choice:
            forced["disable_parallel_tool_use"] = choice["disable_parallel_tool_use"]
        return [*tools, tool], forced

    def _native_schema(self, form: ResponseFormat) -> bytes | None:
        if not self.traits.structured:
            return None
        return form.schema if self.own else schemas.closed(form.schema)

    def _instruct(self, words: str) -> None:
        self.talk.system.append({"type": "text", "text": words})

    # ── how it is answered ───────────────────────────────────────────────────────────

    def _think(self) -> None:
        effort_only = self.request.names.get("reasoning") == EFFORT
        found = thought(self.request.reasoning, self.traits, effort_only=effort_only)
        forced = self.fields.get("tool_choice", {}).get("type") in ("any", "tool")
        if found.manual and (forced or (not self.own and self.talk.unsigned())):
            # refused together; a forced tool is a promise about the answer, and a tool loop cannot be signed later
            found = Thought({"type": "adaptive"} if self.traits.adaptive else None, found.effort, lost=True)
        if found.lost:
            self._lose("reasoning")
        if found.effort:
            self.fields["output_config"] = {**self.fields.get("output_config", {}), "effort": found.effort}
        if found.thinking:
            self.fields["thinking"] = found.thinking
        self.manual = found.manual

    def _limit(self) -> None:
        limit = self.request.max_tokens
        if not self.manual:
            self.fields["max_tokens"] = self.traits.max_tokens if limit is None else limit
            return
        thinking = self.fields["thinking"]
        budget: int = thinking["budget_tokens"]
        if limit is None:
            limit = max(self.traits.max_tokens, budget + self.traits.max_tokens // 2)
        thinking["budget_tokens"], self.fields["max_tokens"] = fitted(budget, limit)

    def _sample(self) -> None:
        """Sampling parameters; a default value says nothing and is not missed."""
        request = self.request
        asked = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
        given = {name: value for name, value in asked.items() if value is not None}
        if not self.traits.sampling:
            for name, value in given.items():
                if name == "top_k" or value != 1:
                    self._lose(name)
            return
        if self.manual:  # temperature must be 1, top_k is refused, top_p may be 0.95 and more
            kept = {"top_p"} if given.get("top_p", 1) >= 0.95 else set()
            for name in given.keys() - kept - ({"temperature"} if given.get("temperature") == 1 else set()):
                self._lose(name)
            given = {name: value for name, value in given.items() if name in kept}
        if self.traits.one_sampling and "temperature" in given and given.pop("top_p", 1) != 1:
            self._lose("top_p")
        if given.get("temperature", 0) > 1:
            given["temperature"] = 1.0
            self._lose("temperature")
        self.fields |= given

    def _plain(self) -> None:
        """Stop sequences, the end user, the tier."""
        request = self.request
        stops = [stop for stop in request.stop if stop.strip()]
        if len(stops) < len(request.stop):
            self._lose("stop")
        if stops:
            self.fields["stop_sequences"] = stops
        if request.user and (self.own or _harmless(request.user)):
            self.fields["metadata"] = {"user_id": request.user}
        elif request.user:
            self._lose("user")
        tier = _TIERS.get(request.tier)
        if tier:
            self.fields["service_tier"] = tier
        elif request.tier:
            self._lose("tier")
        if self.target.stream:
            self.fields["stream"] = True
        self._forget()

    def _forget(self) -> None:
        """What is set but only says what holds anyway is not lost."""
        request = self.request
        for field, empty in (("n", 1), ("logprobs", False), ("modalities", ("text",)), ("presence_penalty", 0),
                             ("frequency_penalty", 0)):  # fmt: skip
            if getattr(request, field) == empty:
                self.lost.pop(request.names.get(field, field), None)

    def _extra(self) -> None:
        """Fields of this dialect that the hub has no place for go on when the client spoke it, too."""
        if not self.own:
            return
        for name, value in self.request.extra.items():
            if name.isidentifier() and name not in self.fields:
                self.fields[name] = Raw(value)
                self.lost.pop(name, None)

    # ── the whole ────────────────────────────────────────────────────────────────────

    def _mark(self) -> None:
        """At most four cache markers: the first, which most requests share, and the last three."""
        tools = [tool for tool in self.fields.get("tools", ()) if isinstance(tool, dict)]
        blocks = [block for turn in self.talk.turns for block in turn.blocks]
        inner = [nested for block in blocks if isinstance(block, dict) for nested in _nested(block)]
        marked = [
            block
            for block in (*tools, *self.talk.system, *inner)
            if isinstance(block, dict) and "cache_control" in block
        ]
        if len(marked) > _MOST_MARKERS:
            self.lost["cache_control"] = None
            for block in marked[1 : 1 - _MOST_MARKERS]:
                del block["cache_control"]

    def _addressed(self, *, counting: bool) -> dict[str, Any]:
        """The fields in a reader's order, with the model where it is to be named."""
        head: dict[str, Any] = {}
        vertex = Quirk.VERTEX in self.target.quirks
        if vertex:
            head["anthropic_version"] = _VERTEX_VERSION
        if counting or not vertex:
            head["model"] = self.target.model
        head["max_tokens"] = self.fields.pop("max_tokens")
        if self.talk.system:
            head["system"] = _short(self.talk.system)
        whole = {**head, "messages": self.talk.wire(), **self.fields}
        return {name: value for name, value in whole.items() if name in _COUNTED} if counting else whole


def _short(system: list[Any]) -> Any:
    """A system prompt of one plain text as a string."""
    if len(system) == 1 and isinstance(system[0], dict) and system[0].keys() == {"type", "text"}:
        return system[0]["text"]
    return system


def _nested(block: dict[str, Any]) -> list[Any]:
    """A block and, for a tool's result, what is in it, in the order of the prompt."""
    content = block.get("content")
    return [*content, block] if isinstance(content, list) else [block]


def _harmless(user: str) -> bool:
    """Whether an end user's id may be sent: Anthropic refuses e-mail addresses and telephone numbers."""
    return len(user) <= _LONGEST_USER and not _PERSONAL.fullmatch(user)
