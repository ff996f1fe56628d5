"""Cohere's streams.

A tool plan is read as text. Calls and blocks come one after another; the index of a call's event counts calls,
that of a block's counts blocks, and a citation names its block by ``content_index``.
See: https://docs.cohere.com/v2/docs/streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import Part, Text, Thinking
from relay.dialects.base import Frame
from relay.dialects.codec import Target
from relay.dialects.cohere.understanding import called
from relay.dialects.cohere.words import citation, counts, openai_logprobs, reason
from relay.dialects.faults import read_error
from relay.dialects.lenient import count, load, mapping, sequence, text
from relay.events import Began, Cited, Closed, Counted, Ended, Erred, Event, Finished, Grew, Opened, Probable
from relay.exchange import Usage


class _Content(msgspec.Struct):
    text: str = ""
    thinking: str = ""


class _Message(msgspec.Struct):
    content: _Content


class _Delta(msgspec.Struct):
    message: _Message


class _Event(msgspec.Struct):
    """A usual ``content-delta``."""

    type: str
    delta: _Delta
    index: int = 0
    logprobs: msgspec.Raw = msgspec.Raw(b"")


_USUAL = msgspec.json.Decoder(_Event).decode

_PLAN = -1
"""Stands for the index of the text that is a tool plan."""

_CALL = -2
"""Stands for the index of whatever is a call."""


class EventReader:
    """Reads one streamed answer; one block is open at a time."""

    __slots__ = ("_began", "_block", "_called", "_ended", "_id", "_kind", "_place")

    def __init__(self, _target: Target) -> None:
        self._began = False
        self._ended = False
        self._id = ""
        self._block = -1  # number of the last block
        self._kind: type[Part] | None = None  # of the open block of words
        self._place = _CALL  # Cohere's index of it
        self._called = 0

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one event."""
        data = frame.data
        if not data or self._ended:
            return ()
        if frame.event == b"content-delta":
            try:
                event = _USUAL(data)
            except (msgspec.MsgspecError, RecursionError):
                return self._read(data)
            content = event.delta.message.content
            if event.index == self._place and not event.logprobs:
                if content.text and self._kind is Text and not content.thinking:
                    return (Grew(self._block, content.text),)
                if content.thinking and self._kind is Thinking and not content.text:
                    return (Grew(self._block, content.thinking),)
        return self._read(data)

    def end(self) -> Sequence[Event]:
        """The body ended; a good answer would have had its ``message-end``."""
        return () if self._ended else self._close()

    def _read(self, data: bytes) -> Sequence[Event]:
        """Take any event."""
        value = load(data)
        if not isinstance(value, dict):
            return ()
        delta = mapping(value.get("delta"))
        message = mapping(delta.get("message"))
        place = count(value, "index") or 0
        match text(value.get("type")):
            case "message-start":
                return self._begin(text(value.get("id")))
            case "content-start" | "content-delta":
                events = self._content(mapping(message.get("content")), place)
                probable = openai_logprobs(sequence(value.get("logprobs")) or [value.get("logprobs")])
                return [*events, Probable(probable)] if probable else events
            case "tool-plan-delta":
                return self._grow(Text, text(message.get("tool_plan")), _PLAN)
            case "tool-call-start" | "tool-call-delta":
                return self._call(message.get("tool_calls"), text(value.get("type")) == "tool-call-start")
            case "citation-start":
                return self._cite(message.get("citations"))
            case "content-end":  # a text stays open for citations that come behind it
                return [] if self._kind is Text else self._close()
            case "tool-call-end":
                return self._close()
            case "message-end":
                return self._finish(delta)
        if value.get("error") or ("type" not in value and value.get("message")):
            self._ended = True
            return [Erred(*read_error(data))]
        return ()

    def _begin(self, own: str) -> list[Event]:
        if self._began:
            return []
        self._began = True
        self._id = own
        return [Began(id=own)]

    def _content(self, content: Mapping[str, object], place: int) -> list[Event]:
        """Pieces of thoughts and words."""
        thoughts = self._grow(Thinking, text(content.get("thinking")), place)
        return thoughts + self._grow(Text, text(content.get("text")), place)

    def _grow(self, kind: type[Text | Thinking], piece: str, place: int) -> list[Event]:
        """A piece of words, in the open block if it belongs there."""
        if not piece:
            return []
        if self._kind is kind and self._place == place:
            return [Grew(self._block, piece)]
        before = self._begin("") + self._close()
        self._block += 1
        self._kind, self._place = kind, place
        return [*before, Opened(self._block, kind("")), Grew(self._block, piece)]

    def _call(self, value: object, begins: bool) -> list[Event]:
        """A call's beginning, or more of its arguments; some send a list of one."""
        item = next(iter(sequence(value)), value)
        if begins:
            call = called(item, self._id, self._called)
            if call is None:
                return []
            before = self._begin("") + self._close()
            self._called += 1
            self._block += 1
            self._kind, self._place = type(call), _CALL
            opened = Opened(self._block, msgspec.structs.replace(call, arguments=""))
            piece = text(mapping(mapping(item).get("function")).get("arguments"))
            return [*before, opened, *([Grew(self._block, piece)] if piece else [])]
        piece = text(mapping(mapping(item).get("function")).get("arguments"))
        return [Grew(self._block, piece)] if piece and self._place == _CALL and self._kind is not None else []

    def _cite(self, value: object) -> list[Event]:
        """A citation of the open text; those of thoughts and plans have no place."""
        found: list[Event] = []
        for item in map(mapping, sequence(value) or [value]):
            place = count(item, "content_index")
            if item and self._kind is Text and place in (None, self._place):
                found.append(Cited(self._block, citation(item)))
        return found

    def _close(self) -> list[Event]:
        """Close the open block, if there is one."""
        if self._kind is None:
            return []
        self._kind = None
        return [Closed(self._block)]

    def _finish(self, delta: Mapping[str, object]) -> list[Event]:
        """``message-end``: reason and usage, or what went wrong."""
        self._ended = True
        events: list[Event] = self._close()
        usage = counts(mapping(delta.get("usage")))
        if usage != Usage():
            events.append(Counted(usage))
        if failure := text(delta.get("error")):
            return [*events, Erred(failure, text(delta.get("finish_reason")))]
        if finish := reason(text(delta.get("finish_reason")), called=bool(self._called)):
            events.append(Finished(finish))
        return [*events, Ended()]
