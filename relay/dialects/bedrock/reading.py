"""Converse's streams as the hub's.

Blocks come one after the other, most of them without a start and some without a stop. A citation may
come in a block of its own behind the text that it belongs to, so a text stays open until the next block begins.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlockDelta.html (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from relay.chat import Part, Seal, Text, Thinking, ToolCall
from relay.dialects import lenient
from relay.dialects.base import Frame
from relay.dialects.bedrock.errors import stream_fault
from relay.dialects.bedrock.tools import ANSWER_TOOL, CUSTOM_PREFIX
from relay.dialects.bedrock.understanding import (
    ORIGIN,
    called,
    citation,
    finish,
    image,
    native,
    read_usage,
    stop_sequence,
)
from relay.dialects.carry import made_id
from relay.dialects.codec import Target
from relay.dialects.lenient import count, mapping, text
from relay.events import Began, Cited, Closed, Counted, Ended, Event, Finished, Grew, Opened, Sealed

_NOTHING: tuple[Event, ...] = ()
_TEXT = "text"
_THINKING = "thinking"
_CALL = "call"
_ANSWER = "answer"
_COLLECT = "collect"
_GROWING = ("", "text", "reasoningContent", "citation")
"""What a start may announce that is opened by its first piece."""


class _ToolDelta(msgspec.Struct):
    input: str = ""


class _Delta(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolDelta | None = None


class _DeltaEvent(msgspec.Struct, rename="camel"):
    delta: _Delta
    content_block_index: int = 0


_DELTA = msgspec.json.Decoder(_DeltaEvent)


class ConverseReader:
    """Understands one ConverseStream."""

    __slots__ = (
        "_began",
        "_called",
        "_collected",
        "_counted",
        "_ended",
        "_finished",
        "_grew",
        "_index",
        "_kind",
        "_number",
        "_opened",
        "_signature",
        "_start",
        "_stopped",
    )

    def __init__(self, _target: Target) -> None:
        self._began = False
        self._called = False
        self._counted = False
        self._finished = False
        self._ended = False
        self._grew = False  # whether the forced answer has had a piece
        self._opened = 0  # blocks opened so far
        self._index = -1  # Converse's number of the open block
        self._number = -1  # ours
        self._kind = ""  # what is open; "" if nothing is
        self._stopped = False  # the open text has had its stop, and waits for citations
        self._signature: list[str] = []
        self._collected: list[str] = []  # pieces of what can only be understood whole
        self._start: Mapping[str, Any] = {}

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one message."""
        if frame.event == b"contentBlockDelta":
            try:
                event = _DELTA.decode(frame.data)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return self._other(frame)
            delta = event.delta
            if event.content_block_index == self._index and not self._stopped:
                if delta.text is not None and self._kind == _TEXT:
                    return (Grew(self._number, delta.text),) if delta.text else _NOTHING
                if delta.tool_use is not None and self._kind == _CALL:
                    return (Grew(self._number, delta.tool_use.input),) if delta.tool_use.input else _NOTHING
        return self._other(frame)

    def end(self) -> Sequence[Event]:
        """The body ended: what is open is closed."""
        return self._close()

    # ── events ────────────────────────────────────────────────────────────────────────

    def _other(self, frame: Frame) -> Sequence[Event]:
        if self._ended:
            return _NOTHING
        fault = stream_fault(frame)
        if fault is not None:
            self._ended, self._kind = True, ""
            return (fault,)
        if self._finished and frame.event != b"metadata":
            return _NOTHING
        body = mapping(lenient.load(frame.data))
        events: list[Event] = []
        if not self._began:
            self._began = True
            events.append(Began())
        match frame.event:
            case b"contentBlockStart":
                events += self._begin(count(body, "contentBlockIndex") or 0, mapping(body.get("start")))
            case b"contentBlockDelta":
                events += self._grow(count(body, "contentBlockIndex") or 0, mapping(body.get("delta")))
            case b"contentBlockStop":
                events += self._stop(count(body, "contentBlockIndex") or 0)
            case b"messageStop":
                events += self._finish(body)
            case b"metadata":
                events += self._count(body)
        return events

    def _begin(self, index: int, start: Mapping[str, object]) -> list[Event]:
        events = self._close()
        if "toolUse" in start:
            return events + self._begin_tool(index, mapping(start["toolUse"]))
        kind = next(iter(start), "")
        if kind not in _GROWING:
            self._collect(index, {kind: start[kind]})
        return events

    def _begin_tool(self, index: int, use: Mapping[str, object]) -> list[Event]:
        name = text(use.get("name"))
        if text(use.get("type")) == "server_tool_use" or name.startswith(CUSTOM_PREFIX):
            self._collect(index, {"toolUse": use})
            return []
        if name == ANSWER_TOOL:
            self._grew = False
            return self._open(index, _ANSWER, Text(""))
        self._called = True
        return self._open(
            index, _CALL, ToolCall(text(use.get("toolUseId")) or made_id("tooluse_", index, name), name, "")
        )

    def _grow(self, index: int, delta: Mapping[str, object]) -> list[Event]:
        if words := text(delta.get("text")):
            return [*self._within(index, _TEXT), Grew(self._number, words)]
        if "reasoningContent" in delta:
            return self._reason(index, mapping(delta["reasoningContent"]))
        if "citation" in delta:
            return self._cite(mapping(delta["citation"]))
        if "toolUse" in delta:
            return self._argue(index, text(mapping(delta["toolUse"]).get("input")))
        if self._kind == _COLLECT and index == self._index:
            self._gather(delta)
        elif "image" in delta:
            self._collect(index, {"image": delta["image"]})
        return []

    def _reason(self, index: int, delta: Mapping[str, object]) -> list[Event]:
        if redacted := text(delta.get("redactedContent")):
            events = self._close()
            return events + self._whole(Thinking(seal=Seal(ORIGIN, redacted), redacted=True))
        words, signature = text(delta.get("text")), text(delta.get("signature"))
        if not (words or signature):
            return []
        events = self._within(index, _THINKING)
        if words:
            events.append(Grew(self._number, words))
        if signature:
            self._signature.append(signature)
        return events

    def _cite(self, source: Mapping[str, object]) -> list[Event]:
        """Citations belong to the open text, or to the one just stopped."""
        return [Cited(self._number, citation(source))] if self._kind == _TEXT and source else []

    def _argue(self, index: int, piece: str) -> list[Event]:
        if not piece or index != self._index:
            return []
        if self._kind == _COLLECT:
            self._collected.append(piece)
            return []
        self._grew = True
        return [Grew(self._number, piece)] if self._kind in (_CALL, _ANSWER) else []

    def _stop(self, index: int) -> list[Event]:
        if self._kind == _TEXT and index == self._index:
            self._stopped = True
            return []
        return self._close() if index == self._index else []

    def _finish(self, body: Mapping[str, object]) -> list[Event]:
        events = self._close()
        reason = text(body.get("stopReason"))
        if reason and not self._finished:
            self._finished = True
            stop = stop_sequence(mapping(body.get("additionalModelResponseFields")))
            events.append(Finished(finish(reason, called=self._called), stop))
        return events + self._over()

    def _count(self, body: Mapping[str, object]) -> list[Event]:
        self._counted = True
        return [Counted(read_usage(mapping(body.get("usage")))), *self._over()]

    def _over(self) -> list[Event]:
        """The end, once both the stop and the token counts are there; they come in either order."""
        if not (self._finished and self._counted) or self._ended:
            return []
        self._ended = True
        return [Ended()]

    # ── blocks ────────────────────────────────────────────────────────────────────────

    def _within(self, index: int, kind: str) -> list[Event]:
        """See to it that a block of this kind and number is open."""
        if self._kind == kind and self._index == index and not self._stopped:
            return []
        part: Part = Text("") if kind == _TEXT else Thinking()
        return self._close() + self._open(index, kind, part)

    def _open(self, index: int, kind: str, part: Part) -> list[Event]:
        self._index, self._kind, self._number = index, kind, self._opened
        self._opened += 1
        return [Opened(self._number, part)]

    def _whole(self, part: Part) -> list[Event]:
        """A block that comes in one piece."""
        number = self._opened
        self._opened += 1
        return [Opened(number, part), Closed(number)]

    def _close(self) -> list[Event]:
        kind, self._kind, self._stopped = self._kind, "", False
        if kind == _COLLECT:
            return self._collection()
        if not kind:
            return []
        events: list[Event] = [Grew(self._number, "{}")] if kind == _ANSWER and not self._grew else []
        if self._signature:
            events.append(Sealed(self._number, Seal(ORIGIN, "".join(self._signature))))
            self._signature = []
        return [*events, Closed(self._number)]

    # ── what can only be understood whole ─────────────────────────────────────────────

    def _collect(self, index: int, start: Mapping[str, object]) -> None:
        self._index, self._kind = index, _COLLECT
        self._start, self._collected = start, []

    def _gather(self, delta: Mapping[str, object]) -> None:
        """More of a tool's result or of an image."""
        kind = next(iter(self._start))
        inner = dict(mapping(self._start[kind]))
        if kind == "toolResult":
            inner["content"] = [*lenient.sequence(inner.get("content")), *lenient.sequence(delta.get("toolResult"))]
        else:
            inner.update(mapping(delta.get(kind)))
        self._start = {kind: inner}

    def _collection(self) -> list[Event]:
        kind = next(iter(self._start))
        start, self._start = mapping(self._start[kind]), {}
        joined, self._collected = "".join(self._collected), []
        part: Part | None
        if kind == "image":
            part = image(start)
        elif kind == "toolUse" and text(start.get("type")) != "server_tool_use":
            return self._custom(start, joined)
        else:
            more = (
                {"input": mapping(lenient.load(joined.encode("utf-8", "surrogatepass")))} if kind == "toolUse" else {}
            )
            part = native(kind, {kind: {**start, **more}})
        return self._whole(part) if part is not None else []

    def _custom(self, start: Mapping[str, object], joined: str) -> list[Event]:
        """A call of a tool that takes free text."""
        part = called(text(start.get("toolUseId")), text(start.get("name")), joined, self._index)
        if not isinstance(part, ToolCall):
            return []
        self._called = True
        number = self._opened
        opened = self._whole(msgspec.structs.replace(part, arguments=""))
        return [opened[0], *([Grew(number, part.arguments)] if part.arguments else []), opened[1]]
