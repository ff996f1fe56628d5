"""Writing streamed answers for a client of ``streamGenerateContent``.

A stream is a chain of partial answers: events with ``alt=sse``, else the members of one JSON array.
There is no terminal event; the last chunk has the finish reasons and the tokens. Function calls go out
whole, because that is all that clients of the Gemini API take.
See: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from relay.chat import Citation, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import merged
from relay.dialects.codec import Asked
from relay.dialects.gemini.answer import grounded, response_id, show_call, show_part, signed, usage
from relay.dialects.gemini.errors import render_error
from relay.dialects.gemini.grounding import logprobs_result
from relay.dialects.gemini.parts import REASON, dump
from relay.dialects.quoting import quoted
from relay.errors import RelayError
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage


class _Block:
    """An open block: text goes out at once, a call's arguments wait for its end."""

    __slots__ = ("choice", "head", "part", "pieces", "seal", "tail")

    def __init__(self, part: Text | Thinking | Refusal | ToolCall, choice: int) -> None:
        self.part = part
        self.choice = choice
        self.head = b""  # of a chunk with text, up to the text
        self.tail = b""  # what follows the text
        self.pieces: list[str] | None = None
        self.seal: Seal | None = None


class GenerateWriter:
    """A `relay.dialects.codec.Writer`; see the module.

    Args:
        asked: what the client asked; ``asked.call.array`` chooses the array.
    """

    __slots__ = (
        "_array",
        "_ascii",
        "_asked",
        "_blocks",
        "_done",
        "_end",
        "_finished",
        "_id",
        "_sources",
        "_start",
        "_tail",
        "_usage",
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._array = asked.call.array
        self._start = b"[" if self._array else b"data: "
        self._end = b"" if self._array else b"\r\n\r\n"
        self._id = ""
        self._tail = b""
        self._blocks: dict[int, _Block] = {}
        self._finished: dict[int, str] = {}
        self._sources: dict[int, list[Citation]] = {}
        self._ascii = True
        self._usage = Usage()
        self._done = False

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events; return the chunks that they make."""
        return b"" if self._done else b"".join([self._event(event) for event in events])

    def end(self) -> bytes:
        """The last chunk, and the array's end."""
        if self._done:
            return b""
        out = b"".join([self._closed(block) for block in list(self._blocks)])
        self._done = True
        candidates = [self._last(choice) for choice in sorted(self._finished or {0: ""})]
        body: dict[str, Any] = {"candidates": candidates}
        if counts := usage(self._usage):
            body["usageMetadata"] = counts
        return out + self._chunk(body) + (b"]" if self._array else b"")

    def fail(self, error: RelayError) -> bytes:
        """An error as the last chunk; the array is closed."""
        if self._done:
            return b""
        self._done = True
        out = self._start + render_error(error, self._asked.request_id) + self._end
        return out + b"]" if self._array else out

    # ── events ───────────────────────────────────────────────────────────────────────

    def _event(self, event: Event) -> bytes:
        if type(event) is Grew:
            return self._grew(event)
        match event:
            case Opened():
                return self._opened(event)
            case Closed():
                return self._closed(event.block)
            case Sealed():
                return self._sealed(event)
            case Cited() if block := self._blocks.get(event.block):
                self._sources.setdefault(block.choice, []).append(event.citation)
            case Probable() if result := logprobs_result(event.logprobs):
                return self._chunk({"candidates": [{"logprobsResult": result, "index": event.choice}]})
            case Finished():
                self._finished.setdefault(event.choice, event.reason)
            case Counted():
                now, before = event.usage, self._usage
                replaced = (now.cached is None) <= (before.cached is None) and now.output is not None
                whole = replaced and now.input is not None and (now.reasoning is None) <= (before.reasoning is None)
                self._usage = now if whole and before.cache_write is None else merged(before, now)
            case Began():
                self._id = self._id or event.id
        return b""

    def _grew(self, event: Grew) -> bytes:
        block = self._blocks.get(event.block)
        if block is None or not event.text:
            return b""
        if block.pieces is not None:
            block.pieces.append(event.text)
            return b""
        if self._ascii and not event.text.isascii():
            self._ascii = False
        start = self._start
        if self._array:
            self._start = b",\r\n"
        return start + block.head + quoted(event.text) + block.tail

    def _opened(self, event: Opened) -> bytes:
        part = event.part
        if isinstance(part, Thinking) and part.redacted:
            return self._shown(show_part(part), event.choice)
        if isinstance(part, ToolCall):
            block = self._blocks[event.block] = _Block(part, event.choice)
            block.pieces, block.seal = [part.arguments], part.seal
            return b""
        if not isinstance(part, Text | Thinking | Refusal):
            return self._shown(show_part(part), event.choice)
        block = self._blocks[event.block] = _Block(part, event.choice)
        block.head = b'{"candidates":[{"content":{"parts":[{"text":'
        thought = b',"thought":true' if isinstance(part, Thinking) else b""
        block.tail = thought + b'}],"role":"model"},"index":%d}],' % event.choice + self._names() + self._end
        if isinstance(part, Text) and part.citations:
            self._sources.setdefault(event.choice, []).extend(part.citations)
        out = self._grew(Grew(event.block, part.text)) if part.text else b""
        if not isinstance(part, Refusal) and part.seal is not None:
            out += self._sealed(Sealed(event.block, part.seal))
        return out

    def _sealed(self, event: Sealed) -> bytes:
        """A proof: with its call, else in an empty part of its own, as Gemini itself does in streams."""
        block = self._blocks.get(event.block)
        if block is None:
            return b""
        if block.pieces is not None:
            block.seal = event.seal
            return b""
        thought = {"thought": True} if isinstance(block.part, Thinking) else {}
        return self._shown(signed({"text": "", **thought}, event.seal), block.choice)

    def _closed(self, number: int) -> bytes:
        block = self._blocks.pop(number, None)
        if block is None or block.pieces is None or not isinstance(block.part, ToolCall):
            return b""
        call = msgspec.structs.replace(block.part, seal=block.seal)
        return self._shown(show_call(call, "".join(block.pieces)), block.choice)

    # ── chunks ───────────────────────────────────────────────────────────────────────

    def _shown(self, part: dict[str, Any] | msgspec.Raw | None, choice: int) -> bytes:
        if part is None:
            return b""
        return self._chunk({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": choice}]})

    def _chunk(self, body: dict[str, Any]) -> bytes:
        start = self._start
        if self._array:
            self._start = b",\r\n"
        return start + dump(body)[:-1] + b"," + self._names() + self._end

    def _names(self) -> bytes:
        """The model and the id, which every chunk repeats, and the chunk's closing brace."""
        if not self._tail:
            ident = self._id or response_id(self._asked)
            self._tail = b'"modelVersion":%b,"responseId":%b}' % (dump(self._asked.model), dump(ident))
        return self._tail

    def _last(self, choice: int) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": ""}], "role": "model"}}
        candidate["finishReason"] = REASON.get(self._finished.get(choice, ""), "STOP")
        candidate["index"] = choice
        if sources := self._sources.get(choice):
            candidate["groundingMetadata"] = grounded(sources, placed=self._ascii)
        return candidate
