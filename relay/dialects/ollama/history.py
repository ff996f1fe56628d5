"""A conversation as Ollama's clients tell it: ids are rare, results name the tool, images are bare base64."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw

from relay.chat import Media, Message, Part, Text, Thinking, ToolCall, ToolResult
from relay.dialects.carry import made_id, untag
from relay.errors import InvalidRequest

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,", re.IGNORECASE)

_MAGIC = (
    ("iVBORw", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
    ("SUkq", "image/tiff"),
    ("TU0A", "image/tiff"),
)

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

_NONE = (b"null", b'""')


class _Called(msgspec.Struct):
    name: str
    arguments: Raw = Raw(b"null")


class _ToolCall(msgspec.Struct):
    function: _Called
    id: str | None = None


class Said(msgspec.Struct):
    """One message; ``id`` and ``tool_call_id`` are there in newer versions only."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_name: str | None = None
    name: str | None = None
    tool_call_id: str | None = None


def conversation(said: Sequence[Said]) -> tuple[Message, ...]:
    """The hub's messages; those that say nothing are left out.

    Raises:
        InvalidRequest: names the field.
    """
    messages = []
    waiting: list[ToolCall] = []  # calls that have no result yet, oldest first
    for index, one in enumerate(said):
        where = f"messages[{index}]"
        role = one.role.lower()
        if role not in _ROLES:
            raise InvalidRequest(f"`{where}.role` must be system, user, assistant or tool.", param=f"{where}.role")
        images = pictures(one.images or (), f"{where}.images")
        words = (Text(one.content),) if one.content else ()
        if role == "tool":
            messages.append(Message("tool", (_result(one, (*words, *images), waiting, index),)))
            continue
        parts: tuple[Part, ...] = (*images, *words)
        if role == "assistant":
            thinking = (Thinking(one.thinking),) if one.thinking else ()
            waiting = [_call(call, where, index, number) for number, call in enumerate(one.tool_calls or ())]
            parts = (*thinking, *words, *images, *waiting)
        if parts:
            messages.append(Message(role, parts))
    return tuple(messages)


def _call(call: _ToolCall, where: str, index: int, number: int) -> ToolCall:
    """A call of an earlier turn; without an id it gets one that its place makes."""
    arguments = _arguments(call.function.arguments, f"{where}.tool_calls[{number}].function.arguments")
    name = call.function.name
    own, seal = untag(call.id) if call.id else (made_id("call_", index, number, name), None)
    return ToolCall(own, name, arguments, seal=seal)


def _arguments(value: Raw, where: str) -> str:
    """JSON text of an object; also read where a client sends it in a string, as other dialects do."""
    text = bytes(value)
    if text in _NONE:
        return "{}"
    try:
        if text.startswith(b'"'):
            text = msgspec.json.decode(text, type=str).encode()
        msgspec.json.decode(text, type=dict[str, Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(f"`{where}` must be an object.", param=where) from error
    return msgspec.json.format(text, indent=-1).decode()


def _result(one: Said, content: tuple[Part, ...], waiting: list[ToolCall], index: int) -> ToolResult:
    """A result, joined to its call by id, else by name, else by order."""
    name = one.tool_name or one.name or ""
    given = untag(one.tool_call_id)[0] if one.tool_call_id else ""
    by_id = (call for call in waiting if call.id == given)
    by_name = (call for call in waiting if call.name == name)
    in_order = iter(() if given or name else waiting)
    call = next(by_id, None) or next(by_name, None) or next(in_order, None)
    if call is not None:
        waiting.remove(call)
        return ToolResult(call.id, content, name or call.name)
    return ToolResult(given or made_id("call_", index, name), content, name)


def pictures(images: Iterable[str], where: str) -> tuple[Media, ...]:
    """Images in bare base64, or in a data URL.

    Raises:
        InvalidRequest: names the one that is neither.
    """
    return tuple(_picture(image, f"{where}[{index}]") for index, image in enumerate(images))


def _picture(image: str, where: str) -> Media:
    mime = ""
    if match := _DATA_URL.match(image):
        mime, image = match[1].lower(), image[match.end() :]
    if not _BASE64.fullmatch(image):
        raise InvalidRequest(f"`{where}` must be an image in base64.", param=where)
    mime = next((kind for magic, kind in _MAGIC if image.startswith(magic)), mime)
    return Media("image", mime=mime, data=image)
