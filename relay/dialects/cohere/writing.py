"""Streamed answers for Cohere's clients: ``message-start``, blocks, calls, ``message-end`` and ``[DONE]``.

One block or call is open at a time, because clients keep one: what grows beside it is held back until it is
closed. A block begins with its first words, so that none is empty.
See: https://docs.cohere.com/v2/docs/streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from relay.chat import Part, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import merged
from relay.dialects.codec import Asked
from relay.dialects.cohere.answer import called
from relay.dialects.cohere.words import cited, own_logprobs, told, word
from relay.dialects.quoting import encode, quoted
from relay.errors import RelayError
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage

DONE = b"data: [DONE]\n\n"

_EMPTY = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}


class EventWriter:
    """Writes one streamed answer.

    Args:
        asked: what was asked.
    """

    __slots__ = (
        "_begun",
        "_blocks",
        "_calls",
        "_citations",
        "_contents",
        "_early",
        "_grown",
        "_id",
        "_open",
        "_part",
        "_prefix",
        "_reason",
        "_stop",
        "_suffix",
        "_usage",
        "_waiting",
    )

    def __init__(self, asked: Asked) -> None:
        self._id = asked.request_id
        self._begun = False
        self._open = -1  # the hub's number of the block that may be written, -1 for none
        self._part: Part | None = None  # what that block is
        self._grown = False  # whether anything of it was written
        self._prefix = self._suffix = b""  # around its next piece
        self._early: list[Cited] = []  # citations that came before the first words of the open block
        self._waiting: dict[int, list[Event]] = {}  # later blocks, held back; in the order of opening
        self._blocks: dict[int, int] = {}  # the hub's number of a text → number of the content block
        self._contents = self._calls = self._citations = 0
        self._usage = Usage()
        self._reason = self._stop = ""

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events; see `relay.dialects.codec.Writer`."""
        if len(events) == 1:
            event = events[0]
            if type(event) is Grew and event.block == self._open and self._grown:
                return self._prefix + quoted(event.text) + self._suffix if event.text else b""
            return self._take(event)
        return self._take_all(events)

    def end(self) -> bytes:
        """Close what is open, then ``message-end`` with reason and usage."""
        rest = self._start()
        while self._open >= 0:
            rest += self._close()
        delta = {"finish_reason": word(self._reason, self._stop), "usage": told(self._usage)}
        return rest + _frame("message-end", delta=delta) + DONE

    def fail(self, error: RelayError) -> bytes:
        """``message-end`` with the error in it."""
        return failed(error)

    def _take_all(self, events: Sequence[Event]) -> bytes:
        """Take several events; a call's proof that is among them gets into the call's id, which goes out first."""
        seals = {event.block: event.seal for event in events if type(event) is Sealed}
        return b"".join([self._take(_sealed(event, seals) if seals else event) for event in events])

    def _take(self, event: Event) -> bytes:
        match event:
            case Grew() | Sealed() | Cited() | Closed():
                return self._continue(event)
            case Opened():
                return self._opened(event)
            case Counted():
                self._usage = merged(self._usage, event.usage)
            case Finished():
                if event.choice == 0:
                    self._reason, self._stop = event.reason, event.stop
            case Probable():
                return self._probable(event.logprobs) if event.choice == 0 else b""
            case Began():
                self._id = event.id or self._id
                return self._start()
        return b""

    def _opened(self, event: Opened) -> bytes:
        """A block begins: it gets the place, or waits for it."""
        if event.choice != 0 or not isinstance(event.part, Text | Refusal | Thinking | ToolCall):
            return b""
        if isinstance(event.part, Thinking) and event.part.redacted:
            return b""
        if self._open >= 0:
            self._waiting[event.block] = [event]
            return b""
        self._open, self._part, self._grown = event.block, event.part, False
        return self._grow(event.part.arguments if isinstance(event.part, ToolCall) else event.part.text)

    def _continue(self, event: Grew | Sealed | Cited | Closed) -> bytes:
        """More of a block that was opened."""
        if event.block in self._waiting:
            self._waiting[event.block].append(event)
            return b""
        if isinstance(event, Cited):
            return self._cite(event)
        if event.block != self._open:
            return b""
        match event:
            case Grew():
                return self._grow(event.text)
            case Sealed():
                if isinstance(self._part, ToolCall) and not self._grown:
                    self._part = msgspec.structs.replace(self._part, seal=event.seal)
            case Closed():
                return self._close()
        return b""

    def _grow(self, text: str) -> bytes:
        """Words or arguments of the open block, and its beginning if it has none yet."""
        if not text:
            return b""
        begin = b"" if self._grown else self._begin()
        piece = begin + self._prefix + quoted(text) + self._suffix
        if self._early:
            piece += b"".join(map(self._cite, self._early))
            self._early.clear()
        return piece

    def _begin(self) -> bytes:
        """The first frame of the open block."""
        self._grown = True
        start, part = self._start(), self._part
        if isinstance(part, ToolCall):
            index = self._calls
            self._calls += 1
            self._around(b"tool-call-delta", index, b'"tool_calls":{"function":{"arguments":', b"}}")
            return start + _frame("tool-call-start", index, message={"tool_calls": called(part, "")})
        index = self._contents
        self._contents += 1
        kind = "thinking" if isinstance(part, Thinking) else "text"
        self._around(b"content-delta", index, b'"content":{"%b":' % kind.encode("ascii"), b"}")
        if kind == "text":
            self._blocks[self._open] = index
        return start + _frame("content-start", index, message={"content": {"type": kind, kind: ""}})

    def _around(self, name: bytes, index: int, key: bytes, closing: bytes) -> None:
        """Set what stands around each piece of the open block."""
        self._prefix = b'event: %b\ndata: {"type":"%b","index":%d,"delta":{"message":{%b' % (name, name, index, key)
        self._suffix = closing + b"}}}\n\n"

    def _close(self) -> bytes:
        """The last frame of the open block; then those that waited get their turn."""
        out = b""
        if isinstance(self._part, ToolCall):
            if not self._grown:  # no arguments: clients parse what they have put together
                out = self._grow("{}")
            out += _frame("tool-call-end", self._calls - 1)
        elif self._grown:
            out = _frame("content-end", self._contents - 1)
        self._open, self._part, self._grown = -1, None, False
        self._early.clear()
        while self._waiting and self._open < 0:
            out += self._take_all(self._waiting.pop(next(iter(self._waiting))))
        return out

    def _cite(self, event: Cited) -> bytes:
        """A citation begins and ends at once, behind the first words that it may belong to."""
        if event.block not in self._blocks:
            if event.block == self._open and isinstance(self._part, Text):
                self._early.append(event)
            return b""
        index = self._citations
        self._citations += 1
        said = cited(event.citation, self._blocks[event.block])
        return _frame("citation-start", index, message={"citations": said}) + _frame("citation-end", index)

    def _probable(self, logprobs: bytes) -> bytes:
        """Log probabilities stand beside a piece of content; an empty one carries those that come alone."""
        if not self._grown or isinstance(self._part, ToolCall):
            return b""
        index = self._contents - 1
        message = {"content": {"thinking" if isinstance(self._part, Thinking) else "text": ""}}
        return b"".join(
            _frame("content-delta", index, message=message, logprobs=item) for item in own_logprobs(logprobs)
        )

    def _start(self) -> bytes:
        """``message-start``, once."""
        if self._begun:
            return b""
        self._begun = True
        return _frame("message-start", id=self._id, message=_EMPTY)


def _sealed(event: Event, seals: Mapping[int, Seal]) -> Event:
    """The event, a call's beginning with the proof that will come for it."""
    if type(event) is Opened and isinstance(event.part, ToolCall) and event.block in seals:
        return Opened(event.block, msgspec.structs.replace(event.part, seal=seals[event.block]), event.choice)
    return event


def _frame(kind: str, index: int | None = None, *, message: Any = None, **fields: Any) -> bytes:
    """One event; ``message`` stands in its ``delta``."""
    body: dict[str, Any] = {"type": kind}
    if index is not None:
        body["index"] = index
    if message is not None:
        body["delta"] = {"message": message}
    return b"event: " + kind.encode("ascii") + b"\ndata: " + encode({**body, **fields}) + b"\n\n"


def failed(error: RelayError, _request_id: str = "") -> bytes:
    """The event of an error in mid-stream: ``message-end`` has a place for it."""
    return _frame("message-end", delta={"finish_reason": "ERROR", "error": error.message})
