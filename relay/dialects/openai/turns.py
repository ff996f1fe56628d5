"""The hub's messages in the words of Chat Completions and of its imitators.

Not carried, and told: a part that only another dialect understands, an image in an assistant's turn, and cache
markers but where the provider takes them. Not carried and not told, because every other dialect's history is full
of it: reasoning where the provider takes none back, or whose proof is another dialect's. A refusal goes back as
text. An assistant's turn of which nothing is left is left out.
See: https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from relay.chat import Media, Message, Native, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from relay.dialects.openai.media import audio_format, url_of
from relay.dialects.openai.naming import Names, call_id
from relay.dialects.openai.thoughts import BLOCKS, DETAILS, entry_of
from relay.errors import InvalidRequest
from relay.provider import Quirk

Fields = dict[str, Any]


class Turns:
    """Builds the messages of one request.

    Attributes:
        dropped: what could not be carried, with repetitions.

    Args:
        names: the tools' names.
        quirks: the provider's deviations.
    """

    def __init__(self, names: Names, quirks: frozenset[Quirk]) -> None:
        self.dropped: list[str] = []
        self._names = names
        self._quirks = quirks
        self._caches = Quirk.CACHE_CONTROL in quirks
        self._one_string = Quirk.STRING_CONTENT in quirks
        self._nine = Quirk.NINE_LETTER_IDS in quirks
        self._pictures: list[Fields] = []

    def build(self, messages: Sequence[Message]) -> list[Fields]:
        """All messages, in order; pictures that tools returned follow the last result as a user's turn.

        Raises:
            InvalidRequest: a part can only be refused by the provider.
        """
        looping = _looping(messages)
        out: list[Fields] = []
        for index, message in enumerate(messages):
            where = f"messages[{index}]"
            if message.role == "tool":
                out += self._results(message, where)
                continue
            self._show(out)
            if message.role == "assistant":
                out += self._assistant(message, looping=index in looping)
            else:
                out.append(self._said(message, where))
        self._show(out)
        return out

    def _show(self, out: list[Fields]) -> None:
        """Pictures and files that tools returned: a tool's message has no place for them."""
        if self._pictures:
            out.append({"role": "user", "content": self._pictures})
            self._pictures = []

    def _said(self, message: Message, where: str) -> Fields:
        """A turn of the user or the system."""
        role = message.role
        if role == "developer" and Quirk.NO_DEVELOPER_ROLE in self._quirks:
            role = "system"
        out: Fields = {"role": role, "content": self._content(message.parts, where, joined=role != "user")}
        if message.name:
            out["name"] = message.name
        return out

    # ── content ──────────────────────────────────────────────────────────────────────

    def _content(self, parts: Iterable[Part], where: str, *, joined: bool) -> str | list[Fields]:
        """Content: one string where it is only text and may be one, else parts."""
        entries = [entry for index, part in enumerate(parts) for entry in self._part(part, f"{where}.content[{index}]")]
        plain = all(entry.keys() == {"type", "text"} for entry in entries)
        if plain and (joined or self._one_string or len(entries) < 2):
            return "\n\n".join(entry["text"] for entry in entries)
        if self._one_string:
            raise InvalidRequest("The provider takes text only in this conversation.", param=where)
        return entries

    def _part(self, part: Part, where: str) -> Iterator[Fields]:
        """One part as content parts, none or one."""
        match part:
            case Text():
                if part.text:
                    yield self._cached({"type": "text", "text": part.text}, part.cache)
            case Refusal():
                yield {"type": "text", "text": part.text}
            case Media():
                yield self._cached(media(part, where, self._dropped), part.cache)
            case Native() if part.origin == "openai":
                yield msgspec.json.decode(part.value)
            case Native():
                self._dropped(f"messages[].content[].{part.kind}")

    def _cached(self, entry: Fields, cache: str | None) -> Fields:
        if cache is None:
            return entry
        if not self._caches:
            self._dropped("cache_control")
            return entry
        return {**entry, "cache_control": marker(cache)}

    def _dropped(self, name: str) -> None:
        self.dropped.append(name)

    # ── results of tools ─────────────────────────────────────────────────────────────

    def _results(self, message: Message, where: str) -> Iterator[Fields]:
        for part in message.parts:
            if isinstance(part, ToolResult):
                yield self._result(part, where)

    def _result(self, result: ToolResult, where: str) -> Fields:
        """One result; a failed one says so in its text, since there is no field for it."""
        call = call_id(result.call, nine=self._nine)
        shown = [part for part in result.content if isinstance(part, Media) and not part.text]
        told = [part for part in result.content if part not in shown]
        content = self._content(told, where, joined=True)
        if isinstance(content, str):
            if result.error and not content.lower().startswith("error"):
                content = f"Error: {content}" if content else "Error"
            if not content and shown:
                content = "The content is in the next message."
            if result.cache is not None:
                entry = self._cached({"type": "text", "text": content}, result.cache)
                content = [entry] if "cache_control" in entry and content else content
        if shown:
            if self._one_string:
                raise InvalidRequest("The provider takes text only as a tool's result.", param=where)
            self._pictures.append({"type": "text", "text": f"Content returned by the tool call {call}:"})
            self._pictures += (media(part, where, self._dropped) for part in shown)
        return {"role": "tool", "tool_call_id": call, "content": content}

    # ── the assistant ────────────────────────────────────────────────────────────────

    def _assistant(self, message: Message, *, looping: bool) -> Iterator[Fields]:
        """An assistant's turn: what was said as one string, the calls, and reasoning where it is taken back."""
        calls = [self._call(part) for part in message.parts if isinstance(part, ToolCall)]
        content = self._spoken(message.parts)
        thoughts = [part for part in message.parts if isinstance(part, Thinking)]
        out: Fields = {"role": "assistant", "content": content}
        reasoning = self._reasoning(thoughts, called=bool(calls), looping=looping)
        if not content and not calls and not any(reasoning.values()):
            return
        if not content:
            empty = Quirk.NO_NULL_CONTENT in self._quirks or not calls
            out["content"] = "" if empty else None
        if message.name:
            out["name"] = message.name
        out |= reasoning
        if calls:
            out["tool_calls"] = calls
        yield out

    def _spoken(self, parts: Sequence[Part]) -> str | list[Fields]:
        """All words of a turn; parts only where a cache marker stands or the provider's own parts do."""
        entries: list[Fields] = []
        for part in parts:
            if isinstance(part, Text | Refusal | Native):
                entries += self._part(part, "messages[].content")
            elif isinstance(part, Media):
                self._dropped(f"messages[].content[].{part.kind}")
        if all(entry.keys() == {"type", "text"} for entry in entries):
            return "".join(entry["text"] for entry in entries)
        return entries

    def _call(self, part: ToolCall) -> Fields:
        call = call_id(part.id, nine=self._nine)
        name = self._names.of(part.name, part.namespace)
        if part.custom and not self._names.is_free_text(part.name):
            return {"id": call, "type": "custom", "custom": {"name": name, "input": part.arguments}}
        arguments = part.arguments if part.arguments.strip() else "{}"
        if part.custom:
            arguments = msgspec.json.encode({"input": part.arguments}).decode()
        out: Fields = {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}
        if part.seal is not None and part.seal.origin == "openai" and Quirk.STRICT_FIELDS not in self._quirks:
            out["extra_content"] = msgspec.Raw(part.seal.value.encode())
        return out

    def _reasoning(self, thoughts: Sequence[Thinking], *, called: bool, looping: bool) -> Fields:
        """Earlier reasoning: entries that this provider proved, else its words where it takes them.

        DeepSeek wants ``reasoning_content`` back in turns that call tools, with every call and be it empty, and once
        refused it elsewhere. See: https://api-docs.deepseek.com/guides/thinking_mode (read 2026-11).
        """
        out: Fields = {}
        if Quirk.STRICT_FIELDS not in self._quirks:
            for thought in thoughts:
                if given := entry_of(thought):
                    out.setdefault(given[0], []).append(given[1])
        words = "".join(thought.text for thought in thoughts if not thought.redacted)
        if Quirk.REASONING_CONTENT in self._quirks:
            if called or (looping and words):
                out["reasoning_content"] = words
        elif Quirk.REASONING_FIELD in self._quirks and words and not (DETAILS in out or BLOCKS in out):
            out["reasoning"] = words
        return out


def _looping(messages: Sequence[Message]) -> set[int]:
    """Numbers of the assistant's messages in turns of the user in which tools were called."""
    found: set[int] = set()
    turn: list[int] = []
    called = False
    for index, message in enumerate(messages):
        if message.role == "user":
            found.update(turn if called else ())
            turn, called = [], False
        elif message.role == "assistant":
            turn.append(index)
            called = called or any(isinstance(part, ToolCall) for part in message.parts)
    found.update(turn if called else ())
    return found


def marker(cache: str) -> Fields:
    """A cache marker as Anthropic, OpenRouter and LiteLLM write it."""
    return {"type": "ephemeral", "ttl": cache} if cache else {"type": "ephemeral"}


def media(part: Media, where: str, drop: Any) -> Fields:
    """An image, sound, video or file.

    Args:
        part: what it is.
        where: its place, for errors.
        drop: told the names of members that have no place.

    Raises:
        InvalidRequest: it is somewhere that the provider cannot reach.
    """
    if part.context:
        drop("messages[].content[].context")
    if part.citations:
        drop("messages[].content[].citations")
    if part.text:
        return {"type": "text", "text": f"{part.name}\n\n{part.text}" if part.name else part.text}
    if part.url.startswith(("gs://", "s3://")):
        raise InvalidRequest("The provider cannot read files in a storage bucket.", param=where)
    if part.kind == "image" and not part.file_id:
        image: Fields = {"url": url_of(part)}
        if part.detail:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if part.kind == "video" and not part.file_id:
        return {"type": "video_url", "video_url": {"url": url_of(part)}}
    if part.kind == "audio" and part.data:
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": audio_format(part.mime or "wav")}}
    if part.kind != "document":
        raise InvalidRequest(f"The provider cannot take this {part.kind}.", param=where)
    if part.file_id:
        return {"type": "file", "file": {"file_id": part.file_id}}
    return {"type": "file", "file": {"filename": part.name or "document.pdf", "file_data": url_of(part)}}
