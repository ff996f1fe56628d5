"""Tools and the choice among them, read from a client.

See: https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw

from relay.chat import Tool, ToolChoice
from relay.dialects.responses.encoding import compact
from relay.dialects.responses.faults import at, wrong
from relay.dialects.responses.names import flat

ORIGIN = "responses"

_MODES = frozenset({"auto", "none", "required"})

HOSTED: Mapping[str, str] = {
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "code_interpreter": "code_execution",
}
"""Types of tools that the provider runs, and what the hub calls their kind; others keep their type."""


class _Kind(msgspec.Struct):
    type: str


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Raw] | None = None
    strict: bool | None = None


class _Custom(msgspec.Struct):
    name: str
    description: str | None = None


class _Namespace(msgspec.Struct):
    name: str
    tools: list[Raw]
    description: str | None = None


class _Chosen(msgspec.Struct):
    type: str
    name: str | None = None
    namespace: str | None = None
    server_label: str | None = None
    mode: str | None = None
    tools: list[_Chosen] | None = None


_KIND = msgspec.json.Decoder(_Kind)
_FUNCTION = msgspec.json.Decoder(_Function)
_CUSTOM = msgspec.json.Decoder(_Custom)
_NAMESPACE = msgspec.json.Decoder(_Namespace)
_CHOICE = msgspec.json.Decoder(str | _Chosen | None)


def read_tools(tools: Iterable[Raw]) -> Iterator[Tool]:
    """The declared tools; those of a namespace one by one, under flat names."""
    for index, raw in enumerate(tools):
        with at(f"tools[{index}]"):
            yield from _read(compact(bytes(raw)), "", "")


def _read(data: bytes, namespace: str, about: str) -> Iterator[Tool]:
    """Read one declaration; what a namespace is about is told with its first function."""
    kind = _KIND.decode(data).type
    if kind == "function":
        yield _function(data, namespace, about)
    elif kind == "custom":
        custom = _CUSTOM.decode(data)
        yield Tool(
            flat(namespace, custom.name),
            _described(custom.description, namespace, about),
            kind="custom",
            origin=ORIGIN,
            native=data,
            namespace=namespace,
        )
    elif kind == "namespace" and not namespace:
        group = _NAMESPACE.decode(data)
        for index, raw in enumerate(group.tools):
            with at(f"tools[{index}]"):
                yield from _read(bytes(raw), group.name, "" if index else group.description or "")
    else:
        hosted = HOSTED.get(kind, kind)
        yield Tool(hosted, kind=hosted, origin=ORIGIN, native=data)


def _function(data: bytes, namespace: str, about: str) -> Tool:
    function = _FUNCTION.decode(data)
    return Tool(
        flat(namespace, function.name),
        _described(function.description, namespace, about),
        b"" if function.parameters is None else msgspec.json.encode(function.parameters),
        function.strict,
        namespace=namespace,
    )


def _described(description: str | None, namespace: str, about: str) -> str:
    """A tool's description, with that of its namespace behind it where that is to be told."""
    own = description or ""
    return f"{own}\n\nAbout {namespace}: {about}".lstrip() if about else own


def read_choice(raw: Raw, tools: Sequence[Tool]) -> ToolChoice | None:
    """Which tool must be called.

    Raises:
        msgspec.ValidationError: an unknown word, or an object that names no tool.
    """
    chosen = _CHOICE.decode(raw) if raw else None
    if chosen is None:
        return None
    if isinstance(chosen, str):
        return ToolChoice(_mode(chosen))
    if chosen.type != "allowed_tools":
        return ToolChoice("named", _names(chosen, tools)[:1])
    names = [name for item in chosen.tools or () for name in _names(item, tools)]
    with at("mode"):
        return ToolChoice(_mode(chosen.mode or "auto"), tuple(dict.fromkeys(names)))


def _mode(word: str) -> str:
    if word not in _MODES:
        raise wrong(f"{word!r} is none of {', '.join(sorted(_MODES))}")
    return word


def _names(chosen: _Chosen, tools: Sequence[Tool]) -> tuple[str, ...]:
    """The hub's names of what a choice names: a function, a whole namespace, or a tool of the provider's."""
    if chosen.type == "namespace":
        return tuple(tool.name for tool in tools if tool.namespace == chosen.name)
    if chosen.type not in ("function", "custom"):
        return (HOSTED.get(chosen.type, chosen.type),)
    if not chosen.name:
        raise wrong("a chosen tool has a name", "name")
    if chosen.namespace:
        return (flat(chosen.namespace, chosen.name),)
    known = {tool.name for tool in tools}
    inside = (tool.name for tool in tools if tool.namespace and tool.name == flat(tool.namespace, chosen.name))
    return (chosen.name if chosen.name in known else next(inside, chosen.name),)
