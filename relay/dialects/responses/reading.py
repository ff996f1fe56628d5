"""A provider's stream of a response, as the hub's events.

What providers leave out is made up for: deltas without the item before them, items without deltas, items that
only the last event holds, a last event without output. What a provider says twice is taken once.

See: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import Finish, Native, Part, Refusal, Text, Thinking
from relay.dialects.base import Frame
from relay.dialects.faults import describe
from relay.dialects.lenient import load, mapping, sequence, text
from relay.dialects.quoting import encode
from relay.dialects.responses.frames import StreamEvent, opened, read_delta, read_event
from relay.dialects.responses.output import (
    citations,
    logprobs_of,
    media_of,
    opening_call,
    seal_of,
    summary_texts,
)
from relay.dialects.responses.pieces import Block, Item
from relay.dialects.tokens import read_usage
from relay.events import (
    Began,
    Cited,
    Closed,
    Counted,
    Ended,
    Erred,
    Event,
    Finished,
    Grew,
    Opened,
    Probable,
    Sealed,
)

_TEXT = b"response.output_text.delta"
_NO_LOGPROBS = b'"logprobs":[]'
_ENDS = frozenset({"response.completed", "response.incomplete", "response.done", "response.failed"})
_BEGINS = frozenset({"response.created", "response.in_progress", "response.queued"})
_CALLS = frozenset({"function_call", "custom_tool_call"})
_LENGTH = frozenset({"max_output_tokens", "max_tokens", "length", "max_messages"})


class ResponsesReader:
    """Understands one streamed response. See `relay.dialects.codec.Reader`."""

    __slots__ = ("_began", "_calls", "_ended", "_events", "_growing", "_items", "_next", "_refused", "_where")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._items: dict[int, Item] = {}  # by place in the output
        self._next = 0  # number of the next block
        self._growing: Block | None = None  # the text that grew last, and where it stands
        self._where = (0, 0)
        self._began = False
        self._calls = False
        self._refused = False
        self._ended = False

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one frame."""
        data = frame.data
        growing = self._growing
        if growing is not None and frame.event == _TEXT and not growing.closed and _NO_LOGPROBS in data:
            try:
                event = read_delta(data)
            except (msgspec.MsgspecError, ValueError):
                pass  # read the long way
            else:
                if (event.output_index, event.content_index) == self._where and event.delta:
                    return (Grew(growing.number, event.delta),)
        if not data or self._ended or data.startswith(b"[DONE]"):
            return ()
        self._take(read_event(data), frame, data)
        events, self._events = self._events, []
        return events

    def end(self) -> Sequence[Event]:
        """The body ended: close what is open."""
        if not self._ended:
            for item in self._items.values():
                self._close(item)
        events, self._events = self._events, []
        return events

    def whole(self, response: Mapping[str, object]) -> Sequence[Event]:
        """The events of a response that came whole."""
        self._finish(response, "")
        events, self._events = self._events, []
        return events

    def _take(self, event: StreamEvent, frame: Frame, data: bytes) -> None:
        kind = event.type or frame.event.decode("ascii", "replace")
        if kind.endswith(".delta"):
            self._delta(kind, event)
        elif kind in _ENDS:
            self._finish(opened(event.response) or mapping(load(data)), kind)
        elif kind in _BEGINS:
            self._begin(opened(event.response))
        elif kind == "response.output_item.added":
            self._added(event)
        elif kind == "response.output_item.done":
            self._done(event)
        elif kind == "response.output_text.done":
            self._text_done(event, event.text)
        elif kind == "response.refusal.done":
            self._text_done(event, event.refusal)
        elif kind == "response.content_part.done":
            self._part_done(event)
        elif kind == "response.output_text.annotation.added":
            self._annotated(event)
        elif kind == "error" or not kind:
            self._error(data, always=kind == "error")

    # ── beginning and end ────────────────────────────────────────────────────────────

    def _begin(self, response: Mapping[str, object]) -> None:
        if self._began:
            return
        self._began = True
        created = response.get("created_at")
        tier = text(response.get("service_tier"))
        self._events.append(
            Began(
                id=text(response.get("id")),
                model=text(response.get("model")),
                created=int(created) if isinstance(created, int | float) and 0 < created < 1e12 else 0,
                tier="" if tier == "auto" else tier,  # what was asked; the last event tells what it became
            )
        )

    def _finish(self, response: Mapping[str, object], kind: str) -> None:
        """Take the whole response: items that are new in it, why it ended, its usage."""
        self._begin(response)
        status = text(response.get("status")) or kind.rpartition(".")[2]
        if status in ("failed", "cancelled") or isinstance(response.get("error"), dict):
            message, code = describe({"error": response.get("error") or {}})
            self._fail(message or f"The response ended as {status}.", code)
            return
        output = sequence(response.get("output"))
        for place, item in enumerate(output):
            if place not in self._items or not self._items[place].done:
                self._item_done(place, mapping(item))
        self._close_all()
        self._events.append(Finished(self._reason(response, status)))
        if usage := mapping(response.get("usage")):
            self._events.append(Counted(read_usage(usage)))
        self._events.append(Ended())
        self._ended = True

    def _reason(self, response: Mapping[str, object], status: str) -> str:
        reason = text(mapping(response.get("incomplete_details")).get("reason"))
        if reason == "content_filter":
            return Finish.FILTER
        if reason in _LENGTH or (status == "incomplete" and reason != "steered"):
            return Finish.LENGTH
        if self._calls:
            return Finish.TOOL_CALLS
        return Finish.REFUSAL if self._refused else Finish.STOP

    def _error(self, data: bytes, *, always: bool) -> None:
        body = mapping(load(data))
        message, code = describe(body)
        if always or (message and "error" in body):
            self._fail(message, code)

    def _fail(self, message: str, code: str) -> None:
        self._events.append(Erred(message or "The provider reported an error in its stream.", code))
        self._ended = True

    # ── items ────────────────────────────────────────────────────────────────────────

    def _place(self, index: int | None, identity: str) -> int:
        """Where an item stands: at its index, or where one with its id is; a new place if there is none.

        Some providers do not number their items, others give several the same number.
        """
        if index is not None:
            item = self._items.get(index)
            if item is None or not identity or item.identity in ("", identity):
                return index
        for place, item in self._items.items():
            if identity and item.identity == identity:
                return place
        if index is not None and not self._items[index].done:
            return index
        last = max(self._items, default=-1)
        return last if last >= 0 and not identity else last + 1

    def _added(self, event: StreamEvent) -> None:
        body = opened(event.item)
        identity = text(body.get("id"))
        place = self._place(event.output_index, identity)
        if place not in self._items:
            self._add(place, body)
        elif self._items[place].identity != identity and event.output_index is not None:
            self._add(max(self._items) + 1, body)

    def _add(self, place: int, body: Mapping[str, object]) -> Item:
        kind = text(body.get("type"))
        item = self._items[place] = Item(kind, text(body.get("id")))
        if kind in _CALLS:
            call = opening_call(body)
            item.custom = call.custom
            self._calls = True
            self._open(item, 0, call)
        return item

    def _open(self, item: Item, index: int, part: Part) -> Block:
        if not self._began:
            self._begin({})
        block = item.blocks[index] = Block(self._next)
        self._next += 1
        self._events.append(Opened(block.number, part))
        return block

    def _find(self, event: StreamEvent, kind: str) -> Item | None:
        """The item that a delta belongs to, made if it was never announced; None if it is done."""
        place = self._place(event.output_index, event.item_id)
        item = self._items.get(place)
        if item is None:
            item = self._items[place] = Item(kind, event.item_id)
        return None if item.done else item

    # ── growth ───────────────────────────────────────────────────────────────────────

    def _delta(self, kind: str, event: StreamEvent) -> None:
        if not event.delta:
            return
        if kind == "response.output_text.delta":
            self._grow_text(event, Text(""))
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            item = self._items.get(self._place(event.output_index, event.item_id))
            if item is not None and not item.done and item.kind in _CALLS:
                self._grow(item.blocks[0], event.delta)
        elif kind == "response.refusal.delta":
            self._grow_text(event, Refusal(""))
        elif "reasoning" in kind:
            self._think(event, summary="summary" in kind)

    def _grow(self, block: Block, more: str) -> None:
        block.grown = True
        self._events.append(Grew(block.number, more))

    def _grow_text(self, event: StreamEvent, part: Text | Refusal) -> None:
        block = self._text(event, part)
        if block is None:
            return
        self._grow(block, event.delta)
        if event.output_index is not None and event.output_index in self._items:
            self._growing, self._where = block, (event.output_index, event.content_index or 0)
        if event.logprobs and event.logprobs != b"[]" and (found := logprobs_of(load(bytes(event.logprobs)))):
            self._events.append(Probable(found))

    def _text(self, event: StreamEvent, part: Text | Refusal) -> Block | None:
        item = self._find(event, "message")
        if item is None or item.kind != "message":
            return None
        index = event.content_index or 0
        if isinstance(part, Refusal):
            self._refused = True
        block = item.blocks.get(index) or self._open(item, index, part)
        return None if block.closed else block

    def _think(self, event: StreamEvent, *, summary: bool) -> None:
        """Reasoning grows; its several texts become one, with a blank line between them."""
        item = self._find(event, "reasoning")
        if item is None or item.kind != "reasoning":
            return
        block = item.blocks.get(0) or self._open(item, 0, Thinking("", id=item.identity, summary=summary))
        place = (summary, (event.summary_index if summary else event.content_index) or 0)
        if block.place is not None and block.place != place:
            self._grow(block, "\n\n")
        block.place = place
        self._grow(block, event.delta)

    def _text_done(self, event: StreamEvent, whole: str) -> None:
        """A text is complete: take it if no delta brought it."""
        if whole and (block := self._text(event, Refusal("") if event.refusal else Text(""))) and not block.grown:
            self._grow(block, whole)

    def _part_done(self, event: StreamEvent) -> None:
        part = opened(event.part)
        item = self._find(event, "message")
        if item is not None and item.kind == "message":
            index = event.content_index or 0
            self._message_part(item, index, part)
            if index in item.blocks:
                self._close_block(item.blocks[index])

    def _message_part(self, item: Item, index: int, part: Mapping[str, object]) -> None:
        """A part of a message is complete: what it has beyond what came already."""
        refusal = part.get("type") == "refusal"
        words = text(part.get("refusal" if refusal else "text"))
        block = item.blocks.get(index)
        if block is None:
            if not words:
                return
            self._refused = self._refused or refusal
            block = self._open(item, index, Refusal("") if refusal else Text(""))
        if block.closed:
            return
        if not block.grown and words:
            self._grow(block, words)
            if found := logprobs_of(part.get("logprobs")):
                self._events.append(Probable(found))
        for citation in citations(part)[block.cited :]:
            block.cited += 1
            self._events.append(Cited(block.number, citation))

    def _annotated(self, event: StreamEvent) -> None:
        note = opened(event.annotation)
        block = self._text(event, Text("")) if note else None
        if block is not None:
            block.cited += 1
            self._events += [Cited(block.number, citation) for citation in citations({"annotations": [note]})]

    # ── ends of items ────────────────────────────────────────────────────────────────

    def _done(self, event: StreamEvent) -> None:
        body = opened(event.item)
        place = self._place(event.output_index, text(body.get("id")))
        if place not in self._items or not self._items[place].done:
            self._item_done(place, body)

    def _item_done(self, place: int, body: Mapping[str, object]) -> None:
        """An item is complete: what it has beyond what came already, and its end."""
        item = self._items.get(place)
        kind = text(body.get("type"))
        if item is None or (item.kind != kind and not item.blocks):
            item = self._add(place, body)
        if item.kind == "message":
            for index, part in self._parts(item, body):
                self._message_part(item, index, part)
        elif item.kind in _CALLS:
            self._call_done(item, body)
        elif item.kind == "reasoning":
            self._reasoning_done(item, body)
        elif kind and not item.blocks:
            self._open(item, 0, media_of(body) or Native("responses", kind, encode(body)))
        self._close(item)

    def _parts(self, item: Item, body: Mapping[str, object]) -> list[tuple[int, Mapping[str, object]]]:
        """The parts of a message by the indexes that the stream used, which some providers count from 1."""
        parts = [mapping(part) for part in sequence(body.get("content"))]
        used = sorted(item.blocks)
        if len(used) == len(parts):
            return list(zip(used, parts, strict=True))
        return list(enumerate(parts))

    def _call_done(self, item: Item, body: Mapping[str, object]) -> None:
        words = text(body.get("input" if item.custom else "arguments"))
        if not item.blocks[0].grown and (words or not item.custom):
            self._grow(item.blocks[0], words if item.custom or words.strip() else "{}")

    def _reasoning_done(self, item: Item, body: Mapping[str, object]) -> None:
        seal = seal_of(body)
        summary, content = summary_texts(body)
        words = "\n\n".join([*summary, *content])
        block = item.blocks.get(0)
        if block is None:
            if not words and seal is None:
                return
            identity = item.identity or text(body.get("id"))
            if not summary and not content:
                self._open(item, 0, Thinking("", seal, redacted=True, id=identity))
                return
            block = self._open(item, 0, Thinking("", id=identity, summary=bool(summary)))
        if not block.grown and words:
            self._grow(block, words)
        if seal is not None:
            self._events.append(Sealed(block.number, seal))

    def _close(self, item: Item) -> None:
        for block in item.blocks.values():
            self._close_block(block)
        item.blocks = {}
        item.done = True

    def _close_block(self, block: Block) -> None:
        if not block.closed:
            block.closed = True
            self._events.append(Closed(block.number))

    def _close_all(self) -> None:
        for item in self._items.values():
            if not item.done:
                if item.kind in _CALLS:
                    self._call_done(item, {})
                self._close(item)
