"""The hub's messages as input items.

Roles stay in place, also those of the system: ``instructions`` is not used, because several of those who
speak this dialect take it as something else than a message. Items go without ids, since the request asks the
provider to store nothing; only reasoning keeps the id that its provider gave it.

See: https://platform.openai.com/docs/guides/conversation-state (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Raw

from relay.chat import ChatRequest, Media, Message, Native, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.carry import made_id
from relay.dialects.responses.declaring import name_for
from relay.dialects.responses.names import LONGEST, own
from relay.dialects.responses.parts import ORIGIN
from relay.errors import InvalidRequest
from relay.provider import Quirk

_FETCHED = ("http://", "https://")
_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}


class Replay:
    """Turns messages into items.

    Args:
        request: the hub's request.
        quirks: the provider's deviations.

    Attributes:
        items: those so far.
        lost: what could not be carried, by the caller's names, in order, maybe more than once.
    """

    def __init__(self, request: ChatRequest, quirks: frozenset[Quirk]) -> None:
        self.items: list[Any] = []
        self.lost: list[str] = []
        self._field = request.names.get("messages", "messages")
        self._quirks = quirks
        calls = (part for message in request.messages for part in message.parts if isinstance(part, ToolCall))
        self._custom = frozenset(call.id for call in calls if call.custom)

    def take(self, messages: Iterable[Message]) -> None:
        """Take messages.

        Raises:
            InvalidRequest: one holds what no model behind this dialect takes.
        """
        for message in messages:
            if message.name:
                self._lose("name")
            if message.role == "assistant":
                self._assistant(message.parts)
            else:
                self._others(message)

    def _lose(self, what: str) -> None:
        self.lost.append(f"{self._field}[].{what}")

    def _others(self, message: Message) -> None:
        """A message of anyone but the assistant; results of tools come first, as every provider wants them."""
        rest: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part)
            elif isinstance(part, Native):
                self._native(part)
            else:
                rest.append(part)
        role = "user" if message.role == "tool" else message.role
        if role == "developer" and Quirk.NO_DEVELOPER_ROLE in self._quirks:
            role = "system"
        content = self._content(rest)
        if content:
            self.items.append({"role": role, "content": content})

    def _native(self, part: Native) -> None:
        if part.origin == ORIGIN:
            self.items.append(Raw(part.value))
        else:
            self._lose(part.kind)

    # ── what the assistant said ──────────────────────────────────────────────────────

    def _assistant(self, parts: Sequence[Part]) -> None:
        said: list[Any] = []
        for part in parts:
            if isinstance(part, Text | Refusal):
                self._marked(part)
                if part.text:
                    said.append(_said(part))
                continue
            self._say(said)
            said = []
            self._other(part)
        self._say(said)

    def _say(self, said: list[Any]) -> None:
        if len(said) == 1 and said[0]["type"] == "output_text":
            self.items.append({"role": "assistant", "content": said[0]["text"]})
        elif said:
            self.items.append({"role": "assistant", "content": said})

    def _other(self, part: Part) -> None:
        match part:
            case ToolCall():
                self.items.append(_call(part))
            case Thinking():
                self._thinking(part)
            case Native():
                self._native(part)
            case Media(kind="image") if part.data:
                made = made_id("ig_", part.data)
                self.items.append(
                    {"type": "image_generation_call", "id": made, "result": part.data, "status": "completed"}
                )
            case Media():
                self._lose(part.kind)

    def _thinking(self, part: Thinking) -> None:
        """Reasoning goes back with the proof that this dialect's provider gave, or where plain text is taken.

        Without either it is left out: a provider that stores nothing cannot know it.
        """
        proof = part.seal.value if part.seal is not None and part.seal.origin == ORIGIN else ""
        plain = Quirk.REASONING_CONTENT in self._quirks or Quirk.REASONING_FIELD in self._quirks
        if not proof and not (plain and part.text):
            return
        item: dict[str, Any] = {"type": "reasoning", "summary": []}
        if part.id:
            item["id"] = part.id
        if part.text and proof and (part.summary or not part.id):
            item["summary"] = [{"type": "summary_text", "text": part.text}]
        elif part.text:
            item["content"] = [{"type": "reasoning_text", "text": part.text}]
        if proof:
            item["encrypted_content"] = proof
        self.items.append(item)

    # ── what was said to it ──────────────────────────────────────────────────────────

    def _result(self, result: ToolResult) -> None:
        custom = result.custom or result.call in self._custom
        content = [self._part(part) for part in result.content if not isinstance(part, Native)]
        for part in result.content:
            if isinstance(part, Native):
                self._lose(part.kind)
        given = [item for item in content if item is not None]
        output: Any = given
        if all(item["type"] == "input_text" for item in given):
            output = "\n\n".join(item["text"] for item in given)
        if result.error:
            output = _marked_error(output)
        kind = "custom_tool_call_output" if custom else "function_call_output"
        self.items.append({"type": kind, "call_id": _call_id(result.call), "output": output})

    def _content(self, parts: Sequence[Part]) -> Any:
        """A message's content: a string where that says it, parts else; empty if nothing is left."""
        items = [item for part in parts if (item := self._part(part)) is not None]
        if items and all(item["type"] == "input_text" for item in items):
            if len(items) == 1:
                return items[0]["text"]
            if Quirk.STRING_CONTENT in self._quirks:
                return "\n\n".join(item["text"] for item in items)
        return items

    def _part(self, part: Part) -> dict[str, Any] | None:
        self._marked(part)
        match part:
            case Text() | Refusal():
                return {"type": "input_text", "text": part.text} if part.text else None
            case Media(kind="image"):
                return _image(part, self._field)
            case Media(kind="document"):
                return self._document(part)
            case Media(kind="audio"):
                return _sound(part, self._field)
            case Media():
                raise InvalidRequest(
                    f"This provider takes no {part.kind}.", param=self._field, code="unsupported_content"
                )
        return None

    def _document(self, media: Media) -> dict[str, Any]:
        if media.citations:
            self._lose("citations")
        if media.context:
            self._lose("context")
        return _document(media, self._field)

    def _marked(self, part: Part) -> None:
        """Note a cache marker: this provider caches by itself, and only its newest models take markers."""
        if getattr(part, "cache", None) is not None:
            self.lost.append("cache_control")


def _said(part: Text | Refusal) -> dict[str, str]:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    return {"type": "output_text", "text": part.text}


def _call(call: ToolCall) -> dict[str, str]:
    name = own(call.namespace, call.name) if call.namespace else name_for(call.name)
    item = {"type": "function_call", "call_id": _call_id(call.id), "name": name}
    if call.namespace:
        item["namespace"] = call.namespace
    if call.custom:
        return {**item, "type": "custom_tool_call", "input": call.arguments}
    return {**item, "arguments": call.arguments or "{}"}


def _call_id(call: str) -> str:
    """A call's id as OpenAI takes it: not empty, at most 64 characters; the same for the call and its result.

    See: https://github.com/decolua/9router/issues/393 (the refusal in OpenAI's words, 2026-03).
    """
    return call if 0 < len(call) <= LONGEST else made_id("call_", call)


def _marked_error(output: Any) -> Any:
    """Say in the text that a call failed; the dialect has no field for it."""
    if isinstance(output, str):
        return output if output.lower().startswith("error") else f"Error: {output}".strip()
    return [{"type": "input_text", "text": "Error:"}, *output]


def _image(media: Media, field: str) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "input_image"}
    if media.data:
        item["image_url"] = f"data:{media.mime or 'image/png'};base64,{media.data}"
    elif media.url:
        item["image_url"] = _fetched(media.url, field)
    else:
        item["file_id"] = media.file_id
    if media.detail:
        item["detail"] = media.detail
    return item


def _document(media: Media, field: str) -> dict[str, Any]:
    if media.text:
        return {"type": "input_text", "text": f"{media.name}\n\n{media.text}" if media.name else media.text}
    if media.data:
        mime = media.mime or "application/pdf"
        name = media.name or f"document.{mime.rpartition('/')[2]}"
        return {"type": "input_file", "filename": name, "file_data": f"data:{mime};base64,{media.data}"}
    if media.url:
        return {"type": "input_file", "file_url": _fetched(media.url, field)}
    return {"type": "input_file", "file_id": media.file_id}


def _sound(media: Media, field: str) -> dict[str, Any]:
    form = _SOUNDS.get(media.mime)
    if not media.data or form is None:
        raise InvalidRequest("This provider takes sound as base64 of wav or mp3 only.", param=field)
    return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}


def _fetched(url: str, field: str) -> str:
    """An address that the provider can fetch."""
    if not url.lower().startswith(_FETCHED):
        raise InvalidRequest("This provider fetches http and https addresses only.", param=field)
    return url
