"""Tools as clients declare them.

See: https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-reference (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from relay.chat import Raw, Tool, ToolChoice
from relay.dialects.anthropic.blocks import ORIGIN, CacheControl, cache
from relay.dialects.anthropic.places import at, fault

_DATED = re.compile(r"_\d{8}$")
_MODES = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}


class _Tool(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: Raw = Raw(b"null")
    strict: bool | None = None
    cache_control: CacheControl | None = None


class Choice(msgspec.Struct):
    """A ``tool_choice``."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_TOOL = msgspec.json.Decoder(_Tool)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_PLAIN = frozenset(_Tool.__struct_fields__)


def tools(declared: Sequence[Raw]) -> tuple[tuple[Tool, ...], dict[str, bytes]]:
    """The tools of a request.

    Returns:
        The tools, and what is said about functions that the hub has no place for (``tools[0].defer_loading``).

    Raises:
        InvalidRequest: a declaration is malformed; names the field.
    """
    found: list[Tool] = []
    more: dict[str, bytes] = {}
    for index, raw in enumerate(declared):
        place = f"tools[{index}]"
        with at(place):
            tool = _tool(raw, place)
            if tool.kind == "function":
                fields = _FIELDS.decode(raw)
                more |= {f"{place}.{name}": bytes(fields[name]) for name in fields if name not in _PLAIN}
        found.append(tool)
    return tuple(found), more


def _tool(raw: Raw, place: str) -> Tool:
    tool = _TOOL.decode(raw)
    if tool.type not in (None, "custom"):
        # Anthropic's own tools are versioned by date; the rest of the world calls them by the bare name
        kind = _DATED.sub("", tool.type)
        name = tool.name or kind
        return Tool(name, kind=kind, origin=ORIGIN, native=bytes(raw), cache=cache(tool.cache_control))
    if not tool.name:
        raise fault(f"{place}.name", "is required")
    schema = bytes(tool.input_schema)
    if schema == b"null":
        schema = b""
    elif not schema.startswith(b"{"):
        raise fault(f"{place}.input_schema", "must be an object")
    return Tool(
        tool.name,
        description=tool.description or "",
        parameters=schema,
        strict=tool.strict,
        cache=cache(tool.cache_control),
    )


def choice(given: Choice) -> tuple[ToolChoice, bool | None]:
    """The tool choice, and whether several tools may be called at once (None if not said).

    Raises:
        InvalidRequest: an unknown type, or no name where one is needed.
    """
    mode = _MODES.get(given.type)
    if mode is None:
        raise fault("tool_choice.type", "must be auto, any, tool or none")
    if mode == "named" and not given.name:
        raise fault("tool_choice.name", "is required")
    names = (given.name,) if mode == "named" and given.name else ()
    parallel = None if given.disable_parallel_tool_use is None else not given.disable_parallel_tool_use
    return ToolChoice(mode, names), parallel
