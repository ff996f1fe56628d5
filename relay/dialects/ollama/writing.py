"""Streamed answers for Ollama's clients: a line of JSON for each piece, and a last one with reason and counts.

Text and thoughts go out as they come. A tool call is one whole line, so its arguments are held back until they
are complete. There are no blocks to keep apart, so parallel growth is no trouble.
See: https://docs.ollama.com/api/streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from relay.chat import Media, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import merged
from relay.dialects.codec import Asked
from relay.dialects.ollama.answer import called
from relay.dialects.ollama.lines import own_logprobs, told, word
from relay.dialects.ollama.moments import timestamp
from relay.dialects.quoting import encode, quoted
from relay.errors import RelayError
from relay.events import Began, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage


class _Pending:
    """A tool call whose arguments are still growing."""

    __slots__ = ("call", "pieces", "seal")

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        self.pieces = [call.arguments]
        self.seal: Seal | None = call.seal

    def whole(self) -> ToolCall:
        return msgspec.structs.replace(self.call, arguments="".join(self.pieces), seal=self.seal)


class LineWriter:
    """Writes the lines of ``/api/chat``, or of ``/api/generate``, which knows no tools.

    Args:
        asked: what was asked.
        generate: whether it is ``/api/generate``.
    """

    __slots__ = ("_calls", "_generate", "_model", "_pending", "_reason", "_start", "_suffix", "_usage", "_words")

    def __init__(self, asked: Asked, *, generate: bool) -> None:
        self._generate = generate
        self._model = quoted(asked.model)
        self._suffix = b',"done":false}\n' if generate else b'},"done":false}\n'
        self._begin(asked.created)
        self._words: dict[int, bytes] = {}  # open block of text or thoughts → what its pieces begin with
        self._pending: dict[int, _Pending] = {}
        self._calls = 0
        self._usage = Usage()
        self._reason = ""

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events; see `relay.dialects.codec.Writer`."""
        if len(events) == 1:
            return self._line(events[0])
        return b"".join(map(self._line, events))

    def end(self) -> bytes:
        """Calls that were never closed, and the last line."""
        rest = b"".join(map(self._called, list(self._pending)))
        fields = {"done": True, "done_reason": word(self._reason), **told(self._usage)}
        middle = b'"response":""' if self._generate else b'"message":{"role":"assistant","content":""}'
        return rest + self._start + middle + b"," + msgspec.json.encode(fields)[1:] + b"\n"

    def fail(self, error: RelayError) -> bytes:
        """The error's line."""
        return failed(error)

    def _line(self, event: Event) -> bytes:
        match event:
            case Grew():
                return self._grew(event)
            case Opened():
                return self._opened(event) if event.choice == 0 else b""
            case Closed():
                self._words.pop(event.block, None)
                return self._called(event.block)
            case Sealed():
                if event.block in self._pending:
                    self._pending[event.block].seal = event.seal
            case Counted():
                self._usage = merged(self._usage, event.usage)
            case Finished():
                self._reason = event.reason if event.choice == 0 else self._reason
            case Probable():
                return self._probable(event.logprobs) if event.choice == 0 else b""
            case Began():
                if event.created:
                    self._begin(event.created)
        return b""

    def _begin(self, created: int) -> None:
        self._start = b'{"model":' + self._model + b',"created_at":"' + timestamp(created).encode("ascii") + b'",'

    def _grew(self, event: Grew) -> bytes:
        prefix = self._words.get(event.block)
        if prefix is not None:
            return prefix + quoted(event.text) + self._suffix if event.text else b""
        if event.block in self._pending:
            self._pending[event.block].pieces.append(event.text)
        return b""

    def _opened(self, event: Opened) -> bytes:
        part = event.part
        if isinstance(part, Text | Refusal):
            return self._spoken(event.block, b'"response":' if self._generate else b'"content":', part.text)
        if isinstance(part, Thinking) and not part.redacted:
            key = b'"response":"","thinking":' if self._generate else b'"content":"","thinking":'
            return self._spoken(event.block, key, part.text)
        if isinstance(part, ToolCall) and not self._generate:
            self._pending[event.block] = _Pending(part)
        elif isinstance(part, Media) and part.data:
            data = quoted(part.data)
            return self._piece(
                b'"response":"","image":' + data if self._generate else b'"content":"","images":[%b]' % data
            )
        return b""

    def _spoken(self, block: int, key: bytes, text: str) -> bytes:
        """Begin a block of words."""
        role = b"" if self._generate else b'"message":{"role":"assistant",'
        prefix = self._words[block] = self._start + role + key
        return prefix + quoted(text) + self._suffix if text else b""

    def _piece(self, members: bytes) -> bytes:
        """A line with these members, which for a chat belong to the message."""
        role = b"" if self._generate else b'"message":{"role":"assistant",'
        return self._start + role + members + self._suffix

    def _called(self, block: int) -> bytes:
        """The line of a call that is complete; b"" if the block is none."""
        pending = self._pending.pop(block, None)
        if pending is None:
            return b""
        call = called(pending.whole(), self._calls)
        self._calls += 1
        return self._piece(b'"content":"","tool_calls":[' + encode(call) + b"]")

    def _probable(self, logprobs: bytes) -> bytes:
        entries = own_logprobs(logprobs)
        if not entries:
            return b""
        empty = b'"response":""' if self._generate else b'"message":{"role":"assistant","content":""}'
        return self._start + empty + b',"done":false,"logprobs":' + encode(entries) + b"}\n"


def chat_writer(asked: Asked) -> LineWriter:
    """Make the writer of a streamed chat."""
    return LineWriter(asked, generate=False)


def generate_writer(asked: Asked) -> LineWriter:
    """Make the writer of a streamed generation."""
    return LineWriter(asked, generate=True)


def failed(error: RelayError, _request_id: str = "") -> bytes:
    """The line of an error in mid-stream.

    See: https://docs.ollama.com/api/errors#errors-that-occur-while-streaming (read 2026-11).
    """
    return encode({"error": error.message}) + b"\n"
