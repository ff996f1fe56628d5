"""Tools as Converse takes them: names, declarations, choice, and the tools that only relay uses.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import ChatRequest, Tool, ToolCall
from relay.dialects.bedrock.models import Traits
from relay.dialects.bedrock.schemas import closed, object_schema
from relay.dialects.carry import made_id

ANSWER_TOOL = "relay_structured_output"
"""The forced tool whose input is the answer's text, where a model has no structured output of its own."""

CUSTOM_PREFIX = "relay_custom_"
"""Begins the name of a function that stands for a tool that takes free text: its one argument is that text."""

CUSTOM_ARGUMENT = "input"

_LONGEST = 64
_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")
_CUSTOM_SCHEMA = {
    "type": "object",
    "properties": {CUSTOM_ARGUMENT: {"type": "string", "description": "The tool's whole input, as plain text."}},
    "required": [CUSTOM_ARGUMENT],
}
_GONE = "This tool was used before and cannot be called now."


class Names:
    """Tool names as Bedrock takes them: 1 to 64 letters, digits, ``_`` and ``-``.

    Attributes:
        changed: name as the answer's reader gives it → the client's name, where the two differ.
    """

    __slots__ = ("_given", "changed")

    def __init__(self) -> None:
        self._given: dict[tuple[str, str, bool], str] = {}
        self.changed: dict[str, str] = {}

    def sent(self, name: str, namespace: str = "", custom: bool = False) -> str:
        """What a tool is called at Bedrock: always the same for the same tool."""
        key = (name, namespace, custom)
        if key not in self._given:
            self._given[key] = self._new(name, namespace, custom)
        return self._given[key]

    def _new(self, name: str, namespace: str, custom: bool) -> str:
        prefix = CUSTOM_PREFIX if custom else ""
        room = _LONGEST - len(prefix)
        fit = _fitting(name, room)
        if prefix + fit in self._given.values() or (fit == ANSWER_TOOL and not custom):
            fit = _fitting(f"{namespace}__{name}", room)
            while prefix + fit in self._given.values() or fit == ANSWER_TOOL:
                fit = _fitting(f"{fit} ", room)
        if fit != name:
            self.changed[fit] = name
        return prefix + fit

    def __len__(self) -> int:
        return len(self._given)


def _fitting(name: str, room: int) -> str:
    plain = _REFUSED.sub("_", name)
    if plain == name and 0 < len(name) <= room:
        return name
    return f"{plain[: room - 9]}_{made_id('', name, length=8)}"


def call_id(call: str, traits: Traits) -> str:
    """A tool call's id as Bedrock takes it; the same for the call and for its result.

    Mistral's models want nine letters and digits.
    """
    if traits.family == "mistral":
        return call if re.fullmatch(r"[A-Za-z0-9]{9}", call) else made_id("", call, length=9)
    return call if re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", call) else made_id("tooluse_", call)


def call_input(call: ToolCall, param: str) -> Any:
    """A call's arguments as an object.

    Raises:
        InvalidRequest: they are no JSON.
    """
    if call.custom:
        return {CUSTOM_ARGUMENT: call.arguments}
    return object_schema(call.arguments, param)


class Choosing(msgspec.Struct, frozen=True):
    """What becomes of a request's tools.

    Attributes:
        config: ``toolConfig``, or None.
        extra: ``tool_choice`` for ``additionalModelRequestFields``, where Claude's own form says more.
        forced: whether a tool must be called.
    """

    config: dict[str, Any] | None = None
    extra: Mapping[str, Any] | None = None
    forced: bool = False


class Toolbox:
    """Makes ``toolConfig`` of a request.

    Args:
        request: the request.
        traits: what the model takes.
        names: names of tools; those of the conversation have been given.
        lost: takes the caller's names of what cannot be carried.
        answer: the schema of a forced answer, or None.
    """

    def __init__(
        self,
        request: ChatRequest,
        traits: Traits,
        names: Names,
        lost: dict[str, None],
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        self._request = request
        self._traits = traits
        self._names = names
        self._lost = lost
        self._answer = answer

    def choosing(self, called: Mapping[str, None]) -> Choosing:
        """Put it together.

        Args:
            called: names, as sent, of the tools that the conversation called.
        """
        mode, tools = self._mode(), []
        if mode != "none" or (called and self._answer is None):
            tools = self._tools(mode)
        if self._answer is not None:
            tools.append(_spec(ANSWER_TOOL, "Give the final answer.", self._answer))
        declared = {str(tool["toolSpec"]["name"]) for tool in tools if "toolSpec" in tool}
        if called and not tools:  # Converse wants declarations wherever calls stand in the conversation
            tools = [
                _spec(name, _GONE, {"type": "object", "properties": {}}) for name in called if name not in declared
            ]
            mode = "auto"
        if not tools:
            return Choosing()
        return self._choice(mode, tools)

    def _mode(self) -> str:
        choice = self._request.tool_choice
        return "auto" if choice is None else choice.mode

    def _lose(self, field: str) -> None:
        self._lost[self._request.names.get(field, field)] = None

    # ── declarations ──────────────────────────────────────────────────────────────────

    def _tools(self, mode: str) -> list[dict[str, Any]]:
        allowed = self._allowed(mode)
        declared: list[dict[str, Any]] = []
        for tool in self._request.tools:
            if tool.kind not in ("function", "custom"):
                self._native(tool, declared)
            elif not allowed or tool.name in allowed:
                declared.append(self._declare(tool))
                self._mark(tool, declared)
        return declared

    def _allowed(self, mode: str) -> tuple[str, ...]:
        """Names of the tools that may be called; () for all."""
        choice = self._request.tool_choice
        if choice is None or not choice.names:
            return ()
        if mode == "named" and "tool" in self._traits.tool_choice:
            return ()
        return choice.names

    def _native(self, tool: Tool, declared: list[dict[str, Any]]) -> None:
        if tool.origin == "bedrock" and tool.native:
            declared.append(msgspec.json.decode(tool.native))
        else:
            self._lose(f"tools[].{tool.kind}")

    def _declare(self, tool: Tool) -> dict[str, Any]:
        name = self._names.sent(tool.name, tool.namespace, tool.kind == "custom")
        if tool.kind == "custom":
            return _spec(name, tool.description, _CUSTOM_SCHEMA)
        schema = object_schema(tool.parameters, "tools")
        declared = _spec(name, tool.description, schema)
        if tool.strict:
            if self._traits.strict and closed(tool.parameters) is not None:
                declared["toolSpec"]["strict"] = True
                declared["toolSpec"]["inputSchema"] = {"json": closed(tool.parameters)}
            else:
                self._lose("tools[].strict")
        return declared

    def _mark(self, tool: Tool, declared: list[dict[str, Any]]) -> None:
        if tool.cache is None:
            return
        if self._traits.cache_tools:
            declared.append(cache_point(tool.cache, self._traits))
        else:
            self._lose("cache_control")

    # ── choice ────────────────────────────────────────────────────────────────────────

    def _choice(self, mode: str, tools: list[dict[str, Any]]) -> Choosing:
        config: dict[str, Any] = {"tools": tools}
        kind, name = self._kind(mode, tools)
        single = self._request.parallel is False
        if single and self._traits.family == "claude":
            own = {"type": kind, **({"name": name} if name else {}), "disable_parallel_tool_use": True}
            return Choosing(config, {"tool_choice": own}, forced=kind != "auto")
        if single:
            self._lose("parallel")
        said = self._request.tool_choice is not None and self._request.tool_choice.mode == "auto"
        if kind in self._traits.tool_choice and (kind != "auto" or said):
            config["toolChoice"] = {kind: {"name": name} if name else {}}
        return Choosing(config, forced=kind != "auto")

    def _kind(self, mode: str, tools: list[dict[str, Any]]) -> tuple[str, str]:
        """Converse's form of the choice, as near as the model takes it, and the tool's name."""
        takes = self._traits.tool_choice
        if self._answer is not None:
            only = len(tools) == 1 and "tool" in takes
            return ("tool", ANSWER_TOOL) if only else ("any", "")
        if mode == "none":  # tools stand here for the conversation's sake only
            self._lose("tool_choice")
            return "auto", ""
        if mode == "named" and "tool" in takes and self._request.tool_choice:
            return "tool", self._named(self._request.tool_choice.names[0])
        if mode in ("named", "required"):
            if "any" in takes:
                return "any", ""
            self._lose("tool_choice")
        return "auto", ""

    def _named(self, name: str) -> str:
        found = next((tool for tool in self._request.tools if tool.name == name), None)
        return self._names.sent(name, found.namespace, found.kind == "custom") if found else self._names.sent(name)


def _spec(name: str, description: str, schema: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": name}
    if description.strip():
        spec["description"] = description
    spec["inputSchema"] = {"json": schema}
    return {"toolSpec": spec}


def cache_point(lifetime: str, traits: Traits) -> dict[str, Any]:
    """A cache point; only Claude's models choose a lifetime."""
    point = {"type": "default"}
    if lifetime == "1h" and traits.family != "nova":
        point["ttl"] = lifetime
    return {"cachePoint": point}
