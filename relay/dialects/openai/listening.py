"""Listeners for the event streams of Chat Completions, Completions, audio and images.

See: https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import msgspec

from relay.dialects.base import Frame
from relay.dialects.faults import describe, read_error
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.openai.errors import stream_error
from relay.dialects.tokens import read_usage
from relay.errors import RelayError

DONE = b"data: [DONE]\n\n"

_NONE: frozenset[int | None] = frozenset()
_FIRST: frozenset[int | None] = frozenset({0})


class Choice(msgspec.Struct, gc=False):
    """The part of a choice that tells content and end apart; of a streamed or a whole answer."""

    index: int | None = 0
    delta: dict[str, Any] | None = None
    text: str | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """The part of a chunk, or of a whole answer, that relay needs."""

    model: str | None = None
    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    x_groq: dict[str, Any] | None = None


_CHUNK = msgspec.json.Decoder(Chunk)


def read_chunk(data: bytes) -> Chunk:
    """Read a chunk or a whole answer: typed when it is well formed (0.6 µs), else piece by piece."""
    try:
        return _CHUNK.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _loose(data)


def _loose(data: bytes) -> Chunk:
    """Read what can be read of a chunk whose fields are not of the usual types."""
    body = mapping(load(data))
    choices = [
        Choice(
            index=index if isinstance(index := choice.get("index"), int) else 0,
            delta=dict(mapping(choice.get("delta"))),
            text=text(choice.get("text")),
            finish_reason=text(choice.get("finish_reason")),
        )
        for choice in map(mapping, sequence(body.get("choices")))
    ]
    return Chunk(
        model=text(body.get("model")),
        choices=choices,
        usage=dict(mapping(body.get("usage"))) or None,
        error=body.get("error"),
        x_groq=dict(mapping(body.get("x_groq"))) or None,
    )


class ChatListener(Hearing):
    """Listens to Chat Completions and Completions.

    Content is a delta with anything but a role in it (text, tool calls, reasoning, refusal, audio),
    or a finish reason. A stream without ``[DONE]`` is whole when every choice that spoke has finished.
    """

    __slots__ = ("_finished", "_seen")

    def __init__(self) -> None:
        super().__init__()
        self._seen: Set[int | None] = _NONE
        self._finished: Set[int | None] = _NONE

    def hear(self, frame: Frame) -> bool:
        """Take one frame; True if it is a pure usage report."""
        data = frame.data
        if not data:
            return False
        if self.content and _is_plain(data) and not frame.event:
            self.chunks += 1
            return False
        if data.startswith(b"[DONE]"):
            self.done = True
            return False
        chunk = read_chunk(data)
        if chunk.error or frame.event == b"error":
            self.error = read_error(data)
            self.done = True
            return False
        if chunk.model and not self.model:
            self.model = chunk.model
        if chunk.choices:
            self._choices(chunk.choices)
        if chunk.usage:
            self.usage = read_usage(chunk.usage)
            return not chunk.choices
        if chunk.x_groq:
            self._groq(chunk.x_groq)
        return False

    def _choices(self, choices: list[Choice]) -> None:
        """Note who spoke, who finished, and whether there was content."""
        filled = False
        for choice in choices:
            self._seen = _joined(self._seen, choice.index)
            if choice.finish_reason:
                self.finish = choice.finish_reason
                self._finished = _joined(self._finished, choice.index)
                filled = True
            elif choice.text or (choice.delta and _carries(choice.delta)):
                filled = True
        if filled:
            self.content = True
            self.chunks += 1

    def _groq(self, extra: dict[str, Any]) -> None:
        """Groq keeps usage, and the reason of an early stop, in an object of its own.

        See: https://console.groq.com/docs/api-reference#chat-create (read 2026-11).
        """
        if usage := mapping(extra.get("usage")):
            self.usage = read_usage(usage)
        if extra.get("error"):
            self.error = describe(extra)
            self.done = True

    def closing(self) -> bytes | None:
        """``[DONE]`` if every choice that spoke has finished, else None."""
        return DONE if self._finished and self._seen <= self._finished else None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An error chunk; no ``[DONE]`` follows it."""
        return stream_error(error, request_id)


def _is_plain(data: bytes) -> bool:
    """Whether a chunk is a piece of text of the first choice, and nothing else that has to be noted.

    In JSON a quote inside a string is escaped, so none of these can be part of what the model says.
    """
    return (
        b'"index":0,"delta":{"content":"' in data
        and b'"finish_reason":null' in data
        and b'"content":""' not in data
        and b'"usage":{' not in data
        and b'"error":' not in data
        and data.count(b'"index":') == 1
    )


def _joined(known: Set[int | None], index: int | None) -> Set[int | None]:
    """Known choices and another one. All streams with one choice share a set: it outweighs the rest of a listener."""
    if index in known:
        return known
    if not known and index == 0:
        return _FIRST
    more = known if isinstance(known, set) else set(known)
    more.add(index)
    return more


def _carries(delta: dict[str, Any]) -> bool:
    """Whether a delta holds anything but a role."""
    return bool(delta.get("content")) or any(value and name != "role" for name, value in delta.items())


class _MediaEvent(msgspec.Struct):
    """The part of an audio or image event that relay needs."""

    type: str = ""
    usage: dict[str, Any] | None = None
    error: Any = None


_MEDIA = msgspec.json.Decoder(_MediaEvent)


class MediaListener(Hearing):
    """Listens to streamed transcriptions, speech and images.

    Their last event is named ``….done`` or ``….completed``; since several images may be completed in
    one stream, it counts as a finish reason and the end of the body as the end. Some servers add
    ``[DONE]``. See: https://platform.openai.com/docs/api-reference/audio and
    https://platform.openai.com/docs/api-reference/images-streaming (read 2026-11).
    """

    __slots__ = ()

    def hear(self, frame: Frame) -> bool:
        """Take one frame; there are no pure usage reports here."""
        data = frame.data
        if not data:
            return False
        if data.startswith(b"[DONE]"):
            self.done = True
            return False
        event = _media(data)
        name = event.type or frame.event.decode("ascii", "replace")
        if event.error or name == "error":
            self.error = read_error(data)
            self.done = True
            return False
        self.content = True
        self.chunks += 1
        if name.endswith((".done", ".completed")):
            self.finish = name
        if event.usage:
            self.usage = read_usage(event.usage)
        return False

    def closing(self) -> bytes | None:
        """b"" if a last event came, else None: there is no terminal event to add."""
        return b"" if self.finish else None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An error event, in the form of Chat Completions."""
        return stream_error(error, request_id)


def _media(data: bytes) -> _MediaEvent:
    """Read an audio or image event."""
    try:
        return _MEDIA.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        body = mapping(load(data))
        usage = dict(mapping(body.get("usage"))) or None
        return _MediaEvent(type=text(body.get("type")), usage=usage, error=body.get("error"))
