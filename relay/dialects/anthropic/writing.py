"""The hub's events as a streamed message for a client.

The Messages API has one open block at a time, numbered without gaps, and clients break on anything else.
So a block that opens while another is open waits until that one is closed; a text or thinking block opens
with its first words, so that none is ever empty. How the message ended is held back until the end, because
many providers report their usage last.

See: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import Native, Part, Refusal, Text, Thinking, ToolCall
from relay.dialects import carry
from relay.dialects.anthropic.answer import cited, ending, envelope, thinking_block, tool_block
from relay.dialects.anthropic.blocks import ORIGIN
from relay.dialects.anthropic.counts import write_counts, write_tier
from relay.dialects.anthropic.errors import stream_error
from relay.dialects.assembly import merged
from relay.dialects.codec import Asked
from relay.dialects.quoting import encode, mended, quoted
from relay.errors import RelayError
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Sealed
from relay.exchange import Usage

_DELTAS: Mapping[type, bytes] = {
    Text: b'{"type":"text_delta","text":',
    Refusal: b'{"type":"text_delta","text":',
    Thinking: b'{"type":"thinking_delta","thinking":',
    ToolCall: b'{"type":"input_json_delta","partial_json":',
}


class _Block:
    """A block of the hub; ``prefix`` is the beginning of its deltas once it is open on the wire."""

    __slots__ = ("closed", "extras", "part", "pieces", "prefix", "seal")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.prefix = b""
        self.pieces: list[str] = []
        self.extras: list[bytes] = []
        self.closed = False
        self.seal = part.seal if isinstance(part, Thinking) else None
        words = part.arguments if isinstance(part, ToolCall) else getattr(part, "text", "")
        if words:
            self.pieces.append(words)

    @property
    def ready(self) -> bool:
        """Whether there is something to open the block for."""
        return bool(self.pieces or self.extras) or isinstance(self.part, ToolCall)


class MessagesWriter:
    """Writes one streamed message."""

    __slots__ = (
        "_asked",
        "_began",
        "_blocks",
        "_called",
        "_finished",
        "_index",
        "_over",
        "_started",
        "_usage",
        "_wire",
    )

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._began: Began | None = None
        self._blocks: dict[int, _Block] = {}
        self._wire: _Block | None = None
        self._index = 0
        self._usage = Usage()
        self._finished = Finished("")
        self._called = False
        self._started = False
        self._over = False

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events; return complete frames."""
        if self._over:
            return b""
        out: list[bytes] = []
        for event in events:
            if isinstance(event, Grew):
                block = self._blocks.get(event.block)
                if block is not None:
                    self._grow(block, event.text, out)
            elif isinstance(event, Opened):
                self._open(event, out)
            elif isinstance(event, Closed):
                self._close(event.block, out)
            else:
                self._note(event, out)
        if not self._started and (out or self._began is not None):
            out.insert(0, self._start())
        return b"".join(out)

    def end(self) -> bytes:
        """Close what is open, tell how the message ended and what it cost."""
        if self._over:
            return b""
        self._over = True
        out: list[bytes] = []
        for block in self._blocks.values():
            block.closed = True
        self._pump(out)
        if not self._started:
            out.insert(0, self._start())
        reason, stop = ending(self._finished.reason, self._finished.stop, called=self._called)
        ended = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": stop},
            "usage": write_counts(self._usage, self._asked.tokens),
        }
        out.append(_frame(b"message_delta", encode(ended)))
        out.append(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        return b"".join(out)

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error."""
        if self._over:
            return b""
        self._over = True
        return stream_error(error, self._asked.request_id)

    def _start(self) -> bytes:
        self._started = True
        began = self._began or Began()
        message = envelope(began.id, self._asked)
        message["usage"] = write_counts(self._usage, self._asked.tokens)
        tier = write_tier(began.tier)
        if tier is not None:
            message["usage"]["service_tier"] = tier
        return _frame(b"message_start", encode({"type": "message_start", "message": message}))

    def _note(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Counted():
                self._usage = merged(self._usage, event.usage)
            case Began():
                self._began = self._began or event
            case Finished(choice=0):
                self._finished = event
            case Sealed():
                block = self._blocks.get(event.block)
                if block is not None and isinstance(block.part, Thinking):
                    block.seal = event.seal
            case Cited():
                self._cite(event, out)

    # ── blocks ───────────────────────────────────────────────────────────────────────

    def _open(self, event: Opened, out: list[bytes]) -> None:
        part = event.part
        if event.choice != 0:
            return
        if isinstance(part, Native) and part.origin != ORIGIN:
            return
        if isinstance(part, Text | Thinking | Refusal | ToolCall | Native):
            block = self._blocks[event.block] = _Block(part)
            if isinstance(part, ToolCall):
                self._called = True
            if self._wire is None and block.ready:
                self._begin(block, out)

    def _grow(self, block: _Block, words: str, out: list[bytes]) -> None:
        if block.prefix:
            if words:
                out.append(self._delta(block, words))
        elif words:
            block.pieces.append(words)
            if self._wire is None:
                self._begin(block, out)

    def _cite(self, event: Cited, out: list[bytes]) -> None:
        block = self._blocks.get(event.block)
        source = cited(event.citation)
        if block is None or source is None or not isinstance(block.part, Text):
            return
        block.extras.append(encode({"type": "citations_delta", "citation": source}))
        if block.prefix:
            self._flush(block, out)
        elif self._wire is None:
            self._begin(block, out)

    def _close(self, number: int, out: list[bytes]) -> None:
        block = self._blocks.get(number)
        if block is None:
            return
        block.closed = True
        if block is self._wire or self._wire is None:
            self._pump(out)

    def _pump(self, out: list[bytes]) -> None:
        """Stop the open block if it is complete, then let those that waited have their turn."""
        if self._wire is not None:
            if not self._wire.closed:
                return
            self._stop(self._wire, out)
        for number in list(self._blocks):
            block = self._blocks[number]
            if block.closed:
                del self._blocks[number]
            if block.prefix:
                continue  # it had its turn
            if isinstance(block.part, Native) or _redacted(block):
                if block.closed:
                    self._whole(block, out)
            elif block.ready or (block.closed and block.seal is not None):
                self._begin(block, out)
                if not block.closed:
                    return
                self._stop(block, out)

    def _begin(self, block: _Block, out: list[bytes]) -> None:
        """Open a block on the wire."""
        self._wire = block
        number = b"%d" % self._index
        start = b'{"type":"content_block_start","index":' + number + b',"content_block":'
        out.append(_frame(b"content_block_start", start + encode(self._opening(block.part)) + b"}"))
        head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":' + number + b',"delta":'
        block.prefix = head + _DELTAS[type(block.part)]
        if isinstance(block.part, ToolCall) and block.part.custom:
            out.append(block.prefix + encode('{"input":"') + b"}}\n\n")
        self._flush(block, out)

    def _opening(self, part: Part) -> dict[str, object]:
        if isinstance(part, ToolCall):
            return tool_block(part, self._index, self._asked)
        if isinstance(part, Thinking):
            return {"type": "thinking", "thinking": "", "signature": ""}
        return {"type": "text", "text": ""}

    def _delta(self, block: _Block, words: str) -> bytes:
        part = block.part
        if isinstance(part, ToolCall) and part.custom:  # text inside of a string inside of the input
            words = str(quoted(mended(words)), "utf-8")[1:-1]
        return block.prefix + quoted(words) + b"}}\n\n"

    def _flush(self, block: _Block, out: list[bytes]) -> None:
        """Write what was held back."""
        if block.pieces:
            out.append(self._delta(block, "".join(block.pieces)))
            block.pieces.clear()
        head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % self._index
        out += (head + extra + b"}\n\n" for extra in block.extras)
        block.extras.clear()

    def _stop(self, block: _Block, out: list[bytes]) -> None:
        """Close a block on the wire."""
        if block.seal is not None:
            proof = carry.wrap(block.seal, ORIGIN)
            block.extras.append(encode({"type": "signature_delta", "signature": proof}))
            self._flush(block, out)
        elif isinstance(block.part, ToolCall) and block.part.custom:
            out.append(block.prefix + encode('"}') + b"}}\n\n")
        out.append(_stopped(self._index))
        self._index += 1
        self._wire = None

    def _whole(self, block: _Block, out: list[bytes]) -> None:
        """A block that comes in one piece."""
        part = block.part
        shown: object = None
        if isinstance(part, Native):
            shown = msgspec.Raw(part.value)
        elif isinstance(part, Thinking):
            shown = thinking_block(msgspec.structs.replace(part, text="", seal=block.seal))
        if shown is not None:
            start = {"type": "content_block_start", "index": self._index, "content_block": shown}
            out.append(_frame(b"content_block_start", encode(start)))
            out.append(_stopped(self._index))
            self._index += 1


def _redacted(block: _Block) -> bool:
    """Whether a thinking block has no words, only a proof that this dialect shows as redacted."""
    part, seal = block.part, block.seal
    if not isinstance(part, Thinking) or block.pieces:
        return False
    return part.redacted or (block.closed and seal is not None and seal.origin != ORIGIN)


def _frame(event: bytes, data: bytes) -> bytes:
    return b"event: " + event + b"\ndata: " + data + b"\n\n"


def _stopped(index: int) -> bytes:
    return _frame(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % index)


def writer(asked: Asked) -> MessagesWriter:
    """Make the writer of a streamed message."""
    return MessagesWriter(asked)
