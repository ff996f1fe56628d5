"""The hub's messages in Cohere's form.

Text before calls is their ``tool_plan``. Documents that are text stand beside the messages. A tool's result is
a string, or several documents; images in it follow in a user message, since results take none.
See: https://docs.cohere.com/reference/chat and https://docs.cohere.com/v2/docs/tool-use-overview (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import Media, Message, Native, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.cohere.words import NAME, is_object
from relay.errors import InvalidRequest

_NAMES = {"audio": "sound", "video": "video", "document": "binary documents"}


class Speech:
    """A conversation, translated once.

    Attributes:
        messages: Cohere's messages.
        documents: what belongs into the request's ``documents``.
        citations: whether citations of a document are asked for.
        lost: what could not be held, in the caller's words.
    """

    def __init__(self, messages: Sequence[Message], tools: Mapping[str, str]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self.citations = False
        self.lost: list[str] = []
        self._tools = tools  # the client's name of a tool → the one that is sent
        self._shown: list[dict[str, Any]] = []  # images of results, until the results end
        for message in messages:
            if message.role != "tool":
                self._show()
            self._say(message)
        self._show()

    def _say(self, message: Message) -> None:
        if message.name:
            self.lost.append("messages[].name")
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            self._answer(result)
        rest = [part for part in message.parts if not isinstance(part, ToolResult)]
        if not rest:
            return
        if message.role == "assistant":
            self._assistant(rest)
        else:
            self._utter("system" if message.role == "developer" else message.role, rest)

    def _assistant(self, parts: Sequence[Part]) -> None:
        """An answer of an earlier turn. Thoughts go back if no other provider's proof belongs to them."""
        words = "".join(part.text for part in parts if isinstance(part, Text | Refusal))
        content: list[dict[str, Any]] = [
            {"type": "thinking", "thinking": part.text}
            for part in parts
            if isinstance(part, Thinking) and part.text and (part.seal is None or part.seal.origin == NAME)
        ]
        said: dict[str, Any] = {"role": "assistant"}
        calls = [self._call(part) for part in parts if isinstance(part, ToolCall)]
        if calls:
            said["tool_calls"] = calls
            if words:
                said["tool_plan"] = words
        elif words:
            content.append({"type": "text", "text": words})
        if content:
            said["content"] = words if len(content) == 1 and words and not calls else content
        self._note(parts)
        if len(said) > 1:
            self.messages.append(said)

    def _utter(self, role: str, parts: Sequence[Part]) -> None:
        """A system's or a user's message; one that says nothing is left out."""
        content: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case Text() | Refusal() if part.text:
                    content.append({"type": "text", "text": part.text})
                case Media(kind="image"):
                    content.append(self._image(part))
                case Media():
                    self._document(part)
        self._note(parts)
        if len(content) == 1 and "text" in content[0]:
            self.messages.append({"role": role, "content": content[0]["text"]})
        elif content:
            self.messages.append({"role": role, "content": content})

    def _answer(self, result: ToolResult) -> None:
        """A tool's result; that it is an error is said in words."""
        words = []
        for part in result.content:
            match part:
                case Text() if part.text:
                    words.append(part.text)
                case Media(kind="image"):
                    self._shown.append(self._image(part))
                case Media():
                    words.append(_words(part))
        if result.error:
            words = [f"Error: {' '.join(words)}"]
        content: Any = words[0] if words else ""
        if len(words) > 1:
            content = [{"type": "document", "document": {"data": _data(text)}} for text in words]
        self._note([*result.content, result])
        self.messages.append({"role": "tool", "tool_call_id": result.call, "content": content})

    def _show(self) -> None:
        """The images of the results that have just ended."""
        if self._shown:
            said = {"type": "text", "text": "The images that the tools returned:"}
            self.messages.append({"role": "user", "content": [said, *self._shown]})
            self._shown = []

    def _call(self, call: ToolCall) -> dict[str, Any]:
        arguments = call.arguments if call.arguments.strip() else "{}"
        if call.custom:
            arguments = msgspec.json.encode({"input": call.arguments}).decode()
        elif not is_object(arguments.encode("utf-8", "replace")):
            raise InvalidRequest(f"The arguments of the call of {call.name!r} are not a JSON object.", param="messages")
        name = self._tools.get(call.name, call.name)
        return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _image(self, image: Media) -> dict[str, Any]:
        if not image.url and not image.data:
            raise InvalidRequest(
                "This provider takes images by URL or as base64 only, not by file id.", param="messages"
            )
        url = image.url or f"data:{image.mime or 'image/png'};base64,{image.data}"
        said = {"url": url, "detail": image.detail} if image.detail else {"url": url}
        return {"type": "image_url", "image_url": said}

    def _document(self, document: Media) -> None:
        data = {"text": _words(document)}
        self.citations = self.citations or document.citations
        self.documents.append({"data": {"title": document.name, **data} if document.name else data})
        if document.context:
            self.lost.append("context")

    def _note(self, parts: Sequence[Part]) -> None:
        """Tell what these parts have that has no place; Cohere keeps the beginning of a prompt by itself."""
        for part in parts:
            if isinstance(part, Native):
                self.lost.append(f"messages[].content[].{part.kind}")
            elif isinstance(part, Text | Media | ToolCall | ToolResult) and part.cache is not None:
                self.lost.append("cache_control")


def _words(document: Media) -> str:
    """A document's text.

    Raises:
        InvalidRequest: it has none.
    """
    if not document.text:
        what = _NAMES.get(document.kind, document.kind)
        raise InvalidRequest(f"This provider takes text and images only, not {what}.", param="messages")
    return document.text


def _data(text: str) -> Any:
    """One of several results: a JSON object as it is, any text as its content."""
    data = text.encode("utf-8", "replace")
    return Raw(data) if is_object(data) else {"content": text}
