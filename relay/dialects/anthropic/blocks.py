"""Content blocks as the hub's parts: what clients send as history and what the provider answers.

A block of a type that only this dialect has (server tools and their results, search results, containers,
documents made of blocks) stays JSON text in a `Native`.

See: https://platform.claude.com/docs/en/api/messages (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from relay.chat import Citation, Media, Native, Part, Raw, Text, Thinking, ToolCall, ToolResult
from relay.dialects import carry
from relay.dialects.anthropic.places import at, fault

ORIGIN = "anthropic"
"""This dialect's name in seals and native parts."""

STRUCTURED = "relay_structured_output"
"""The tool whose input is the answer's text, where a model cannot be held to a schema otherwise."""

FREE_TEXT = "relay_text_"
"""What the name of a tool that takes free text begins with; its input is ``{"input": text}``."""


class CacheControl(msgspec.Struct):
    """A cache marker."""

    type: str | None = None
    ttl: str | None = None


class _Kind(msgspec.Struct):
    type: str


class _Text(msgspec.Struct):
    text: str | None = None
    citations: list[Raw] | None = None
    cache_control: CacheControl | None = None


class _Thinking(msgspec.Struct):
    thinking: str | None = None
    signature: str | None = None


class _Redacted(msgspec.Struct):
    data: str


class _ToolUse(msgspec.Struct):
    id: str
    name: str
    input: Raw = Raw(b"{}")
    cache_control: CacheControl | None = None


class _ToolResult(msgspec.Struct):
    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class _Source(msgspec.Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Raw = Raw(b"null")


class _Enabled(msgspec.Struct):
    enabled: bool | None = None


class _Media(msgspec.Struct):
    source: _Source
    title: str | None = None
    context: str | None = None
    citations: _Enabled | None = None
    cache_control: CacheControl | None = None


class _Citation(msgspec.Struct):
    type: str | None = None
    url: str | None = None
    source: str | None = None
    title: str | None = None
    document_title: str | None = None
    cited_text: str | None = None
    encrypted_index: str | None = None


_KIND = msgspec.json.Decoder(_Kind)
_TEXT = msgspec.json.Decoder(_Text)
_THINKING = msgspec.json.Decoder(_Thinking)
_REDACTED = msgspec.json.Decoder(_Redacted)
_TOOL_USE = msgspec.json.Decoder(_ToolUse)
_TOOL_RESULT = msgspec.json.Decoder(_ToolResult)
_MEDIA = msgspec.json.Decoder(_Media)
_CITATION = msgspec.json.Decoder(_Citation)


def content(value: str | Sequence[Raw] | None, place: str) -> tuple[Part, ...]:
    """The parts of a message's or a result's ``content``.

    Args:
        value: a string, blocks as JSON text, or nothing.
        place: where it stands, for messages.

    Raises:
        InvalidRequest: a block is not what its type demands; names the field.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (Text(value),)
    parts: list[Part] = []
    for index, raw in enumerate(value):
        here = f"{place}[{index}]"
        with at(here):
            parts.append(part(raw, here))
    return tuple(parts)


def part(raw: Raw, place: str) -> Part:
    """The part that one block is.

    Raises:
        msgspec.MsgspecError: the block is not what its type demands.
        InvalidRequest: a nested block is not; names the field.
    """
    kind = _KIND.decode(raw).type
    reader = _READERS.get(kind)
    return reader(raw, place) if reader is not None else Native(ORIGIN, kind, bytes(raw))


def cache(marker: CacheControl | None) -> str | None:
    """The hub's word for a cache marker."""
    return None if marker is None else marker.ttl or ""


def citation(raw: Raw) -> Citation:
    """A citation; one that relay wrote for another provider's source (no ``encrypted_index``) is no native one.

    Raises:
        msgspec.MsgspecError: it is no object, or its fields are not strings.
    """
    found = _CITATION.decode(raw)
    foreign = found.type == "web_search_result_location" and not found.encrypted_index
    return Citation(
        url=found.url or found.source or "",
        title=found.title or found.document_title or "",
        quote=found.cited_text or "",
        origin="" if foreign else ORIGIN,
        native=b"" if foreign else bytes(raw),
    )


def tool_call(call: str, name: str, arguments: str, marker: str | None = None) -> ToolCall:
    """A tool call; the id may hold another dialect's seal, and the name may say that it takes free text."""
    bare, seal = carry.untag(call)
    if name.startswith(FREE_TEXT):
        return ToolCall(bare, name.removeprefix(FREE_TEXT), free_text(arguments), custom=True, cache=marker, seal=seal)
    return ToolCall(bare, name, arguments, cache=marker, seal=seal)


def free_text(arguments: str) -> str:
    """The text in the input of a tool that takes free text; the input itself when there is none."""
    try:
        found = msgspec.json.decode(arguments, type=dict[str, str]).get("input")
    except msgspec.MsgspecError:
        found = None
    return arguments if found is None else found


def _read_text(raw: Raw, place: str) -> Part:
    block = _TEXT.decode(raw)
    sources: list[Citation] = []
    for index, source in enumerate(block.citations or ()):
        with at(f"{place}.citations[{index}]"):
            sources.append(citation(source))
    return Text(block.text or "", cache=cache(block.cache_control), citations=tuple(sources))


def _read_thinking(raw: Raw, _place: str) -> Part:
    block = _THINKING.decode(raw)
    seal = carry.unwrap(block.signature, ORIGIN) if block.signature else None
    return Thinking(block.thinking or "", seal=seal)


def _read_redacted(raw: Raw, _place: str) -> Part:
    return Thinking(redacted=True, seal=carry.unwrap(_REDACTED.decode(raw).data, ORIGIN))


def _read_tool_use(raw: Raw, _place: str) -> Part:
    block = _TOOL_USE.decode(raw)
    arguments = str(bytes(block.input), "utf-8", "replace")
    arguments = "{}" if arguments == "null" else arguments
    return tool_call(block.id, block.name, arguments, cache(block.cache_control))


def _read_tool_result(raw: Raw, place: str) -> Part:
    block = _TOOL_RESULT.decode(raw)
    given = None if block.content == "" else block.content
    return ToolResult(
        call=carry.untag(block.tool_use_id)[0],
        content=content(given, f"{place}.content"),
        error=bool(block.is_error),
        cache=cache(block.cache_control),
    )


def _read_image(raw: Raw, place: str) -> Part:
    return _read_media(raw, place, "image")


def _read_document(raw: Raw, place: str) -> Part:
    return _read_media(raw, place, "document")


def _read_media(raw: Raw, place: str, kind: str) -> Part:
    block = _MEDIA.decode(raw)
    source = block.source
    about: dict[str, Any] = {
        "name": block.title or "",
        "context": block.context or "",
        "citations": bool(block.citations and block.citations.enabled),
        "cache": cache(block.cache_control),
    }
    mime = source.media_type or ""
    match source.type:
        case "base64":
            return Media(kind, mime, data=_given(source.data, place, "data"), **about)
        case "url":
            return Media(kind, mime, url=_given(source.url, place, "url"), **about)
        case "file":
            return Media(kind, mime, file_id=_given(source.file_id, place, "file_id"), **about)
        case "text":
            return Media(kind, mime or "text/plain", text=_given(source.data, place, "data"), **about)
    return Native(ORIGIN, kind, bytes(raw))


def _given(value: str | None, place: str, field: str) -> str:
    if not value:
        raise fault(f"{place}.source.{field}", "is required")
    return value


_READERS: Mapping[str, Callable[[Raw, str], Part]] = {
    "text": _read_text,
    "thinking": _read_thinking,
    "redacted_thinking": _read_redacted,
    "tool_use": _read_tool_use,
    "tool_result": _read_tool_result,
    "image": _read_image,
    "document": _read_document,
}
