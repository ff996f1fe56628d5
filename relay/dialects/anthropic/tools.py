"""Tools, their names and the choice among them, as the provider takes them.

See: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (read 2026-11).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import ChatRequest, Raw, Tool, ToolCall, ToolChoice
from relay.dialects.anthropic.blocks import FREE_TEXT, ORIGIN
from relay.dialects.anthropic.models import Traits
from relay.dialects.anthropic.schemas import closed
from relay.provider import Quirk

_LONGEST = 128
_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_STRICT = 20
_EMPTY = Raw(b'{"type":"object","properties":{}}')
_FREE = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}

_SERVER: Mapping[str, Mapping[str, str]] = {
    "web_search": {"type": "web_search_20250305", "name": "web_search"},
    "web_fetch": {"type": "web_fetch_20250910", "name": "web_fetch"},
    "code_execution": {"type": "code_execution_20250825", "name": "code_execution"},
}
"""Tools that other dialects' providers run themselves, too, and the declaration that needs no beta header."""

_NOT_ON_VERTEX = frozenset({"web_fetch", "code_execution"})


class Names:
    """The names that tools have on the way to the provider.

    Attributes:
        changed: name as the reader gives it → the client's, where they differ.
    """

    def __init__(self, declared: tuple[Tool, ...]) -> None:
        self.changed: dict[str, str] = {}
        self._sent: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()
        often = Counter(tool.name for tool in declared)
        self._shared = {name for name, count in often.items() if count > 1}

    def sent(self, name: str, namespace: str = "", *, custom: bool = False) -> str:
        """The name sent for a tool; always the same for the same tool."""
        key = (namespace, name)
        if key not in self._sent:
            self._sent[key] = self._fit(f"{namespace}__{name}" if namespace and name in self._shared else name)
            if self._sent[key] != name:
                self.changed[self._sent[key]] = name
        return FREE_TEXT + self._sent[key] if custom else self._sent[key]

    def _fit(self, name: str) -> str:
        most = _LONGEST - len(FREE_TEXT)
        fit = _REFUSED.sub("_", name) or "_"
        if len(fit) > most or fit in self._taken:
            digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            fit = f"{fit[: most - 9]}_{digest}"
        self._taken.add(fit)
        return fit


def declare(
    request: ChatRequest, names: Names, traits: Traits, quirks: frozenset[Quirk], *, own: bool
) -> tuple[list[Any], list[str]]:
    """Declarations of the tools that may be called, and what could not be carried.

    Args:
        request: whose tools these are.
        names: what they are called on the way.
        traits: what the model takes.
        quirks: the provider's deviations.
        own: whether the client spoke this dialect, so that its schemas are as they must be.
    """
    allowed = request.tool_choice.names if request.tool_choice and request.tool_choice.mode != "named" else ()
    found: list[Any] = []
    lost: list[str] = []
    strict = traits.structured and sum(tool.strict is True for tool in request.tools) <= _MOST_STRICT
    for index, tool in enumerate(request.tools):
        if allowed and tool.name not in allowed:
            continue
        place = f"tools[{index}]"
        if tool.kind == "function":
            found.append(_function(tool, names, place, lost, strict=strict, own=own))
        elif tool.kind == "custom":
            found.append(_free(tool, names))
            if tool.native:
                lost.append(f"{place}.format")
        else:
            served = _served(tool, place, lost, quirks)
            found += [] if served is None else [served]
    return found, lost


def _function(tool: Tool, names: Names, place: str, lost: list[str], *, strict: bool, own: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"name": names.sent(tool.name, tool.namespace)}
    if tool.description:
        found["description"] = tool.description
    found["input_schema"] = schema = _schema(tool.parameters)
    if tool.strict:
        narrow = closed(bytes(schema)) if strict else None
        if narrow is not None:
            found |= {"input_schema": schema if own else Raw(narrow), "strict": True}
        else:
            lost.append(f"{place}.strict")
    return _marked(found, tool.cache)


def _schema(parameters: bytes) -> Raw:
    """The schema, with the ``type`` and ``properties`` that must be there."""
    try:
        members = msgspec.json.decode(parameters, type=dict[str, Raw]) if parameters else {}
    except msgspec.MsgspecError:
        return _EMPTY
    if "type" in members and "properties" in members:
        return Raw(parameters)
    return Raw(msgspec.json.encode({"type": "object", "properties": {}, **members}))


def _free(tool: Tool, names: Names) -> dict[str, Any]:
    """A tool that takes free text, as a function with one string."""
    found: dict[str, Any] = {"name": names.sent(tool.name, tool.namespace, custom=True), "input_schema": _FREE}
    if tool.description:
        found["description"] = tool.description
    return _marked(found, tool.cache)


def _served(tool: Tool, place: str, lost: list[str], quirks: frozenset[Quirk]) -> Any:
    """A tool that the provider runs, None if it has none like it."""
    if tool.origin == ORIGIN and tool.native:
        return Raw(tool.native)
    declaration = _SERVER.get(tool.kind)
    if declaration is None or (Quirk.VERTEX in quirks and tool.kind in _NOT_ON_VERTEX):
        lost.append(place)
        return None
    try:
        more = msgspec.json.decode(tool.native, type=dict[str, Any]) if tool.native else {}
    except msgspec.MsgspecError:
        more = {}
    lost += (f"{place}.{name}" for name, value in more.items() if name not in ("type", "name") and value)
    return _marked(dict(declaration), tool.cache)


def _marked(found: dict[str, Any], cache: str | None) -> dict[str, Any]:
    if cache is not None:
        found["cache_control"] = marker(cache)
    return found


def marker(cache: str) -> dict[str, str]:
    """A cache marker; the lifetime is the provider's own where none is named."""
    return {"type": "ephemeral", "ttl": cache} if cache in ("5m", "1h") else {"type": "ephemeral"}


def choose(
    choice: ToolChoice | None, parallel: bool | None, names: Names, tools: tuple[Tool, ...]
) -> dict[str, Any] | None:
    """The ``tool_choice`` object, None to leave the choice to the model."""
    mode = choice.mode if choice else "auto"
    if mode == "none":
        return {"type": "none"}
    found: dict[str, Any] = {"type": {"required": "any", "named": "tool"}.get(mode, "auto")}
    if choice and mode == "named":
        declared = next((tool for tool in tools if tool.name == choice.names[0]), None)
        found["name"] = _chosen(choice.names[0], declared, names)
    if parallel is not None and (parallel is False or choice):
        found["disable_parallel_tool_use"] = not parallel
    return found if choice or parallel is False else None


def _chosen(name: str, tool: Tool | None, names: Names) -> str:
    if tool is None:
        return names.sent(name)
    if tool.kind in ("function", "custom"):
        return names.sent(tool.name, tool.namespace, custom=tool.kind == "custom")
    return _SERVER.get(tool.kind, {}).get("name", tool.name)


def called(call: ToolCall, names: Names) -> str:
    """The name of a tool in the history."""
    return names.sent(call.name, call.namespace, custom=call.custom)
