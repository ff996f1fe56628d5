"""What a client says of tools and of the answer's form.

See: https://platform.openai.com/docs/api-reference/chat/create (``tools``, ``tool_choice``, ``response_format``;
read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from relay.chat import ResponseFormat, Tool, ToolChoice
from relay.dialects.lenient import mapping, text
from relay.dialects.openai.parts import cache_of
from relay.errors import InvalidRequest

Fields = Mapping[str, Any]

SEARCH = "web_search_options"

_MODES: Mapping[str, str] = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def read_tools(tools: Sequence[object], param: str) -> tuple[Tool, ...]:
    """The tools that a request declares.

    Raises:
        InvalidRequest: one of them is malformed.
    """
    return tuple(_tool(tool, f"{param}[{index}]") for index, tool in enumerate(tools))


def _tool(tool: object, where: str) -> Tool:
    if not isinstance(tool, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where)
    kind = tool.get("type", "function")
    if kind == "function":
        function = tool.get("function")
        if isinstance(function, dict):
            return read_function(function, f"{where}.function", cache_of(tool))
        if "name" in tool:  # the flat form of Responses, which some clients send here
            return read_function(tool, where, cache_of(tool))
        raise InvalidRequest(f"`{where}.function` must be an object.", param=f"{where}.function")
    if kind == "custom" and isinstance(custom := tool.get("custom"), dict):
        name = _name(custom, f"{where}.custom")
        native = msgspec.json.encode(tool)
        return Tool(name, text(custom.get("description")), kind="custom", origin="openai", native=native)
    if not isinstance(kind, str) or not kind:
        raise InvalidRequest(f"`{where}.type` must be a string.", param=f"{where}.type")
    return Tool(text(tool.get("name")) or kind, kind=kind, origin="openai", native=msgspec.json.encode(tool))


def read_function(function: Fields, where: str, cache: str | None = None) -> Tool:
    """A function, of ``tools`` or of the older ``functions``.

    Raises:
        InvalidRequest: it has no name, or its parameters are no object.
    """
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidRequest(f"`{where}.parameters` must be an object.", param=f"{where}.parameters")
    strict = function.get("strict")
    return Tool(
        _name(function, where),
        text(function.get("description")),
        msgspec.json.encode(parameters) if parameters else b"",
        strict if isinstance(strict, bool) else None,
        cache=cache,
    )


def search_tool(options: Fields) -> Tool:
    """``web_search_options``, which turns on the provider's own search."""
    return Tool("web_search", kind="web_search", origin="openai", native=msgspec.json.encode({SEARCH: options}))


def read_choice(choice: object, param: str) -> ToolChoice | None:
    """``tool_choice`` or the older ``function_call``.

    Raises:
        InvalidRequest: it is neither a known word nor a known object.
    """
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in _MODES:
            raise InvalidRequest(f"`{param}` must be one of auto, none, required, or an object.", param=param)
        return ToolChoice(_MODES[choice])
    if not isinstance(choice, dict):
        raise InvalidRequest(f"`{param}` must be a string or an object.", param=param)
    if choice.get("type") == "allowed_tools":
        allowed = mapping(choice.get("allowed_tools")) or choice
        tools = allowed.get("tools")
        names = tuple(_chosen(tool, param) for tool in tools) if isinstance(tools, list) else ()
        return ToolChoice("required" if allowed.get("mode") == "required" else "auto", names)
    mode = _MODES.get(text(choice.get("type")))
    if mode is not None:  # {"type": "auto"}
        return ToolChoice(mode)
    return ToolChoice("named", (_chosen(choice, param),))


def _chosen(choice: object, param: str) -> str:
    """The name in ``{"type": "function", "function": {"name"}}`` and its like."""
    source = mapping(choice)
    inner = mapping(source.get("function")) or mapping(source.get("custom")) or source
    name = text(inner.get("name"))
    if not name:
        raise InvalidRequest(f"`{param}` must name a tool.", param=param)
    return name


def read_format(form: Fields | None) -> ResponseFormat | None:
    """``response_format``; plain text is what is written anyway, so it counts as not said.

    Raises:
        InvalidRequest: the type is unknown, or ``json_schema`` has no schema.
    """
    if form is None or form.get("type") in ("text", None):
        return None
    kind = form["type"]
    if kind == "json_object":
        schema = form.get("schema")  # Together, Fireworks and llama.cpp put a schema here
        if not isinstance(schema, dict):
            return ResponseFormat("json_object")
        return ResponseFormat("json_schema", msgspec.json.encode(schema))
    if kind != "json_schema":
        raise InvalidRequest("`response_format.type` is not known.", param="response_format.type")
    given = form.get("json_schema")
    where = "response_format.json_schema"
    if not isinstance(given, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where)
    schema, strict = given.get("schema", {}), given.get("strict")
    if not isinstance(schema, dict):
        raise InvalidRequest(f"`{where}.schema` must be an object.", param=f"{where}.schema")
    return ResponseFormat(
        "json_schema",
        msgspec.json.encode(schema),
        text(given.get("name")),
        text(given.get("description")),
        strict if isinstance(strict, bool) else None,
    )


def _name(holder: Fields, where: str) -> str:
    name = holder.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(f"`{where}.name` is required.", param=f"{where}.name")
    return name
