"""The hub's messages in Ollama's form: one string of content, images beside it, arguments as objects.

See: https://docs.ollama.com/capabilities/tool-calling and https://docs.ollama.com/capabilities/vision (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import Media, Message, Native, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from relay.errors import InvalidRequest

_NAMES = {"audio": "sound", "video": "video", "document": "a binary document"}


class Speech:
    """A conversation, translated once.

    Attributes:
        messages: Ollama's messages.
        lost: what they could not hold, in the caller's words.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.lost: list[str] = []
        self._tools: dict[str, str] = {}  # id of a call → the function's name
        for message in messages:
            self._say(message)

    def _say(self, message: Message) -> None:
        if message.name:
            self.lost.append("messages[].name")
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            self._answer(result)
        rest = [part for part in message.parts if not isinstance(part, ToolResult)]
        if rest or not results:
            self._utter(message.role, rest)

    def _answer(self, result: ToolResult) -> None:
        """A tool's result; that it is an error is said in words."""
        content, images = self._content(result.content, "\n")
        name = result.name or self._tools.get(result.call, "")
        said: dict[str, Any] = {"role": "tool", "content": f"Error: {content}" if result.error else content}
        if name:
            said["tool_name"] = name
        if result.call:
            said["tool_call_id"] = result.call
        if images:
            said["images"] = images
        self._mark(result.cache)
        self.messages.append(said)

    def _utter(self, role: str, parts: Sequence[Part]) -> None:
        """A message of any other role; one that says nothing is left out."""
        assistant = role == "assistant"
        content, images = self._content(parts, "" if assistant else "\n")
        said: dict[str, Any] = {"role": "system" if role == "developer" else role, "content": content}
        thoughts = "".join(part.text for part in parts if isinstance(part, Thinking) and not part.redacted)
        if thoughts:
            said["thinking"] = thoughts
        if images:
            said["images"] = images
        if calls := [self._call(part) for part in parts if isinstance(part, ToolCall)]:
            said["tool_calls"] = calls
        if content or len(said) > 2:
            self.messages.append(said)

    def _content(self, parts: Sequence[Part], separator: str) -> tuple[str, list[str]]:
        """The words in one string, and the images."""
        words, images = [], []
        for part in parts:
            match part:
                case Text():
                    words.append(part.text)
                    self._mark(part.cache)
                case Refusal():
                    words.append(part.text)
                case Media():
                    self._mark(part.cache)
                    if part.kind == "image":
                        images.append(self._image(part))
                    else:
                        words.append(_document(part))
                case Native():
                    self.lost.append(f"messages[].content[].{part.kind}")
        return separator.join(filter(None, words)), images

    def _image(self, image: Media) -> str:
        if not image.data:
            raise InvalidRequest("This provider takes images as base64 only, not by URL or file id.", param="messages")
        if image.detail not in ("", "auto"):
            self.lost.append("detail")
        return image.data

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._tools[call.id] = call.name
        self._mark(call.cache)
        return {"id": call.id, "function": {"name": call.name, "arguments": Raw(_arguments(call))}}

    def _mark(self, cache: str | None) -> None:
        """Ollama keeps the beginning of a prompt by itself; a marker has no place."""
        if cache is not None:
            self.lost.append("cache_control")


def _document(document: Media) -> str:
    """A document of plain text, under its name."""
    if not document.text:
        what = _NAMES.get(document.kind, document.kind)
        raise InvalidRequest(f"This provider takes text and images only, not {what}.", param="messages")
    return f"{document.name}:\n{document.text}" if document.name else document.text


def _arguments(call: ToolCall) -> bytes:
    """Arguments as an object; those of a free-text tool become its ``input``."""
    if call.custom:
        return msgspec.json.encode({"input": call.arguments})
    data = call.arguments.encode("utf-8", "replace") if call.arguments.strip() else b"{}"
    try:
        msgspec.json.decode(data, type=dict[str, Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(
            f"The arguments of the call of {call.name!r} are not a JSON object.", param="messages"
        ) from error
    return data
