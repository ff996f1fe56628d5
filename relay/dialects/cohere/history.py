"""A conversation, and the documents beside it, as Cohere's clients tell it.

A tool plan is text that comes before the calls: other dialects have no place of its own for it, and clients of
theirs send such text back. Documents of the request become parts of the last user message.
See: https://docs.cohere.com/v2/docs/chat-api and https://docs.cohere.com/v2/docs/tool-use-overview (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from relay.chat import Media, Message, Native, Part, Text, Thinking, ToolCall, ToolResult
from relay.dialects.carry import untag
from relay.dialects.cohere.words import NAME
from relay.dialects.lenient import load, mapping, text
from relay.errors import InvalidRequest

_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*?);base64,([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


class _Function(msgspec.Struct):
    name: str
    arguments: str | None = None


class _Call(msgspec.Struct):
    id: str
    function: _Function


class Said(msgspec.Struct):
    """One message."""

    role: str
    content: Raw = Raw(b"null")
    tool_calls: list[_Call] | None = None
    tool_plan: str | None = None
    tool_call_id: str | None = None


class _ImageURL(msgspec.Struct):
    url: str
    detail: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    thinking: str | None = None
    image_url: _ImageURL | str | None = None
    document: Raw = Raw(b"null")


_ITEMS = msgspec.json.Decoder(list[Raw])
_PART = msgspec.json.Decoder(_Part)


def conversation(said: Sequence[Said], documents: Sequence[Media]) -> tuple[Message, ...]:
    """The hub's messages; those that say nothing are left out.

    Raises:
        InvalidRequest: names the field.
    """
    messages = [message for index, one in enumerate(said) if (message := _message(one, f"messages[{index}]"))]
    if documents:
        last = next((index for index in reversed(range(len(messages))) if messages[index].role == "user"), None)
        if last is None:
            raise InvalidRequest("`documents` needs a user message.", param="documents")
        messages[last] = msgspec.structs.replace(messages[last], parts=(*documents, *messages[last].parts))
    return tuple(messages)


def _message(said: Said, where: str) -> Message | None:
    role = said.role.lower()
    if role not in _ROLES:
        raise InvalidRequest(f"`{where}.role` must be system, user, assistant or tool.", param=f"{where}.role")
    content = _content(said.content, f"{where}.content")
    if role == "tool":
        if not said.tool_call_id:
            raise InvalidRequest(f"`{where}.tool_call_id` is required.", param=f"{where}.tool_call_id")
        return Message("tool", (ToolResult(untag(said.tool_call_id)[0], content),))
    plan = (Text(said.tool_plan),) if said.tool_plan else ()
    parts = (*content, *plan, *map(_called, said.tool_calls or ()))
    return Message(role, parts) if parts else None


def _called(call: _Call) -> ToolCall:
    own, seal = untag(call.id)
    arguments = call.function.arguments or ""
    return ToolCall(own, call.function.name, arguments if arguments.strip() else "{}", seal=seal)


def _content(value: Raw, where: str) -> tuple[Part, ...]:
    """Content as a string, an array of parts, or null."""
    data = bytes(value)
    if data == b"null":
        return ()
    try:
        if data.startswith(b'"'):
            words = msgspec.json.decode(data, type=str)
            return (Text(words),) if words else ()
        items = _ITEMS.decode(data)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"`{where}` must be a string or an array.", param=where) from error
    parts = (_part(bytes(item), f"{where}[{index}]") for index, item in enumerate(items))
    return tuple(part for part in parts if part is not None)


def _part(data: bytes, where: str) -> Part | None:
    try:
        part = _PART.decode(data)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"`{where}` is not a content part: {error}.", param=where) from error
    match part.type:
        case "text":
            return Text(part.text) if part.text else None
        case "thinking":
            return Thinking(part.thinking) if part.thinking else None
        case "image_url" if part.image_url is not None:
            return picture(part.image_url, f"{where}.image_url")
        case "document":
            return Text(document(bytes(part.document), f"{where}.document").text)
    return Native(NAME, part.type, data)


def picture(image: _ImageURL | str, where: str) -> Media:
    """An image by URL, or in a data URL.

    Raises:
        InvalidRequest: it is neither.
    """
    url, detail = (image, "") if isinstance(image, str) else (image.url, image.detail or "")
    if url[:5].lower() != "data:":
        if not url:
            raise InvalidRequest(f"`{where}.url` must not be empty.", param=f"{where}.url")
        return Media("image", url=url, detail=detail)
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise InvalidRequest(f"`{where}.url` must be a URL, or a data URL in base64.", param=f"{where}.url")
    return Media("image", mime=match[1].lower(), data=match[3], detail=detail)


def document(data: bytes, where: str, *, citations: bool = False) -> Media:
    """A document: a string, or an object whose ``data`` is one or has fields of its own.

    Text and title are kept apart if there is nothing else, so that other providers can show them.

    Raises:
        InvalidRequest: it is neither.
    """
    value = load(data)
    if isinstance(value, str):
        return Media("document", "text/plain", text=value, citations=citations)
    body = mapping(value).get("data")
    name = text(mapping(value).get("id"))
    if isinstance(body, str):
        return Media("document", "text/plain", text=body, name=name, citations=citations)
    if not isinstance(body, dict):
        raise InvalidRequest(f"`{where}` must be a string or have `data`.", param=where)
    if body.keys() <= {"text", "title"} and isinstance(body.get("text"), str):
        title = text(body.get("title")) or name
        return Media("document", "text/plain", text=text(body["text"]), name=title, citations=citations)
    return Media("document", "text/plain", text=msgspec.json.encode(body).decode(), name=name, citations=citations)
