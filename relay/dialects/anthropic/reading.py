"""A provider's streamed message as the hub's events.

A proxy in front of the provider may begin the message twice, leave out a block's end, or put text and input
into a block's start; all of that is understood. Server tools and other native blocks are held until they are
whole, because the hub carries them in one piece.

See: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from relay.chat import Finish, Native, Part, Raw, Refusal, Text, Thinking
from relay.dialects import carry
from relay.dialects.anthropic.blocks import FREE_TEXT, ORIGIN, STRUCTURED, citation, tool_call
from relay.dialects.anthropic.counts import read_counts, read_tier
from relay.dialects.anthropic.understanding import finish, mended, refusal
from relay.dialects.base import Frame
from relay.dialects.codec import Target
from relay.dialects.faults import read_error
from relay.dialects.lenient import load, mapping, text
from relay.events import Began, Cited, Closed, Counted, Ended, Erred, Event, Finished, Grew, Opened, Sealed

_NOTHING: Sequence[Event] = ()

_TAKES: Mapping[str, str] = {"text": "text_delta", "thinking": "thinking_delta", "redacted_thinking": ""}
"""What a block grows by; all others are tools and grow by their input."""


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Raw = Raw(b"")
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None


class _Happening(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: Raw = Raw(b"")
    message: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None


class _Start(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"")
    citations: list[Raw] | None = None


_HAPPENING = msgspec.json.Decoder(_Happening)
_START = msgspec.json.Decoder(_Start)


class _Block:
    """An open block."""

    __slots__ = ("grown", "held", "kind", "native", "number", "pieces", "start", "takes")

    def __init__(self, kind: str, number: int, start: _Start) -> None:
        self.kind = kind
        self.takes = _TAKES.get(kind, "input_json_delta")
        self.number = number
        self.start = start
        self.grown = False
        self.held = False
        self.pieces: list[str] = []
        self.native: dict[str, Any] = {}


class MessagesReader:
    """Understands one streamed message."""

    __slots__ = ("_began", "_blocks", "_called", "_counts", "_done", "_ended", "_next", "_structured", "_tier")

    def __init__(self, _target: Target) -> None:
        self._began = False
        self._done = False
        self._ended = False
        self._called = False
        self._structured = False
        self._next = 0
        self._tier = ""
        self._blocks: dict[int, _Block] = {}
        self._counts: dict[str, Any] = {}

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one frame."""
        data = frame.data
        if not data or self._ended:
            return _NOTHING
        try:
            found = _HAPPENING.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            try:
                found = _HAPPENING.decode(mended(data))
            except (msgspec.MsgspecError, RecursionError):
                return self._odd(frame)
        if found.type == "content_block_delta" and found.delta is not None:
            block = self._blocks.get(found.index)
            return _NOTHING if block is None else self._grow(block, found.delta, data)
        return self._happen(found.type or str(frame.event, "ascii", "replace"), found, data)

    def end(self) -> Sequence[Event]:
        """The body ended: close what is open."""
        if self._ended:
            return _NOTHING
        self._ended = True
        return self._close_all()

    def _odd(self, frame: Frame) -> Sequence[Event]:
        """A frame that is not as documented: an error counts, anything else is passed over."""
        kind = text(mapping(load(frame.data)).get("type")) or str(frame.event, "ascii", "replace")
        return self._fail(frame.data) if kind == "error" else _NOTHING

    def _happen(self, kind: str, found: _Happening, data: bytes) -> Sequence[Event]:
        match kind:
            case "content_block_start":
                return self._open(found.index, found.content_block)
            case "content_block_stop":
                block = self._blocks.pop(found.index, None)
                return _NOTHING if block is None else self._close(block)
            case "message_start":
                return self._begin(found.message or {})
            case "message_delta":
                return self._finish(found)
            case "message_stop":
                self._ended = True
                return [*self._close_all(), Ended()]
            case "error":
                return self._fail(data)
        return _NOTHING

    def _fail(self, data: bytes) -> Sequence[Event]:
        self._ended = True
        return [Erred(*read_error(data))]

    def _begin(self, message: Mapping[str, object]) -> Sequence[Event]:
        """The message begins; a second beginning only ends the blocks of the first."""
        events: list[Event] = [*self._close_all()]
        usage = mapping(message.get("usage"))
        if not self._began:
            self._began = True
            events.append(Began(text(message.get("id")), text(message.get("model")), tier=read_tier(usage)))
        events += self._count(usage)
        return events

    def _count(self, usage: Mapping[str, object]) -> Sequence[Event]:
        """Counts replace those of the same name; null says nothing."""
        if not usage:
            return _NOTHING
        self._counts.update({name: value for name, value in usage.items() if value is not None})
        return [Counted(read_counts(self._counts))]

    def _finish(self, found: _Happening) -> Sequence[Event]:
        events: list[Event] = [*self._count(found.usage or {})]
        delta = found.delta
        if delta is None or not delta.stop_reason or self._done:
            return events
        self._done = True
        events = [*self._close_all(), *events]
        words = refusal(delta.stop_details or {})
        if words:
            events += (Opened(self._next, Refusal("")), Grew(self._next, words), Closed(self._next))
            self._next += 1
        reason = finish(delta.stop_reason, called=self._called, structured=self._structured)
        stop = delta.stop_sequence or ""
        events.append(Finished(reason, stop if reason == Finish.STOP else ""))
        return events

    # ── blocks ───────────────────────────────────────────────────────────────────────

    def _open(self, index: int, raw: Raw) -> Sequence[Event]:
        try:
            start = _START.decode(raw)
        except msgspec.MsgspecError:
            start = _Start(type=text(mapping(load(bytes(raw))).get("type")))
        events: list[Event] = [*self._close_all()]
        if self._done or not start.type:
            return events
        block = self._blocks[index] = _Block(start.type, self._next, start)
        part = self._part(block, start, raw)
        if part is None:
            block.held = True
            return events
        self._next += 1
        events.append(Opened(block.number, part))
        return events + self._given(block, start)

    def _part(self, block: _Block, start: _Start, raw: Raw) -> Part | None:
        """The part as far as it is known; None for one that is held until it is whole."""
        match start.type:
            case "text":
                return Text("")
            case "thinking":
                return Thinking("")
            case "redacted_thinking":
                return Thinking(redacted=True, seal=carry.unwrap(start.data or "", ORIGIN))
            case "tool_use":
                name = start.name or ""
                if name == STRUCTURED:
                    self._structured = True
                    return Text("")
                self._called = True
                if name.startswith(FREE_TEXT):
                    return None
                return tool_call(start.id or "", name, "")
        block.native = dict(mapping(load(bytes(raw))))
        return None

    def _given(self, block: _Block, start: _Start) -> list[Event]:
        """What a block's start says already."""
        words = (start.text if block.kind == "text" else start.thinking if block.kind == "thinking" else None) or ""
        events: list[Event] = [Grew(block.number, words)] if words else []
        if block.kind == "thinking" and start.signature:
            events.append(Sealed(block.number, carry.unwrap(start.signature, ORIGIN)))
        if block.kind == "text":
            events += [event for raw in start.citations or () for event in _cited(block.number, raw)]
        return events

    def _grow(self, block: _Block, delta: _Delta, data: bytes) -> Sequence[Event]:
        kind = delta.type
        if kind == block.takes:
            words = delta.text or delta.partial_json or delta.thinking
            if not words:
                return _NOTHING
            block.grown = True
            if not block.held:
                return [Grew(block.number, words)]
            block.pieces.append(words)
        elif kind == "signature_delta" and block.kind == "thinking" and delta.signature:
            return [Sealed(block.number, carry.unwrap(delta.signature, ORIGIN))]
        elif kind == "citations_delta" and block.kind == "text":
            return _cited(block.number, delta.citation)
        elif block.native:
            _merge(block.native, mapping(mapping(load(data)).get("delta")))
        return _NOTHING

    def _close(self, block: _Block) -> Sequence[Event]:
        if block.held:
            return self._release(block)
        if block.kind == "tool_use" and not block.grown:
            return [Grew(block.number, _input(block)), Closed(block.number)]
        return [Closed(block.number)]

    def _release(self, block: _Block) -> Sequence[Event]:
        """A held block is whole."""
        number, self._next = self._next, self._next + 1
        if block.kind == "tool_use":
            start = block.start
            call = tool_call(start.id or "", start.name or "", "".join(block.pieces) or _input(block))
            opened = msgspec.structs.replace(call, arguments="")
            return [Opened(number, opened), Grew(number, call.arguments), Closed(number)]
        native = block.native
        if block.grown:
            written = load("".join(block.pieces).encode("utf-8", "replace"))
            native["input"] = written if written is not None else native.get("input")
        try:
            value = msgspec.json.encode(native)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return _NOTHING
        return [Opened(number, Native(ORIGIN, block.kind, value)), Closed(number)]

    def _close_all(self) -> list[Event]:
        """Close what a stream left open."""
        if not self._blocks:
            return []
        blocks, self._blocks = self._blocks, {}
        return [event for block in blocks.values() for event in self._close(block)]


def _input(block: _Block) -> str:
    """The input that a tool's start gave, for a tool that no delta followed."""
    given = str(bytes(block.start.input), "utf-8", "replace")
    return given if given.startswith("{") else "{}"


def _cited(number: int, raw: Raw) -> Sequence[Event]:
    try:
        return [Cited(number, citation(raw))]
    except msgspec.MsgspecError:
        return _NOTHING


def _merge(native: dict[str, Any], delta: Mapping[str, object]) -> None:
    """A delta of an unknown kind: words are appended to the member of the same name, other values replace it."""
    for name, value in delta.items():
        if name == "type":
            continue
        before = native.get(name)
        native[name] = before + value if isinstance(before, str) and isinstance(value, str) else value


def reader(target: Target) -> MessagesReader:
    """Make the reader of a streamed message."""
    return MessagesReader(target)
