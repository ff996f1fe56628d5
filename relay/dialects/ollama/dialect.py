"""The dialect ``ollama``: chat, generate and embed of Ollama's own API, streamed as newline-delimited JSON.

See: https://docs.ollama.com/api/streaming and https://docs.ollama.com/api/errors (read 2026-11).
"""

from __future__ import annotations

import msgspec

from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.codec import Back, Front
from relay.dialects.faults import read_error
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import load, mapping, text
from relay.dialects.ollama import embedding
from relay.dialects.ollama.answer import render_chat, render_generate
from relay.dialects.ollama.lines import counts
from relay.dialects.ollama.reading import LineReader
from relay.dialects.ollama.request import parse_chat, parse_generate
from relay.dialects.ollama.sending import build
from relay.dialects.ollama.understanding import parse
from relay.dialects.ollama.writing import chat_writer, failed, generate_writer
from relay.dialects.quoting import encode
from relay.endpoints import Endpoint, Operation
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.ndjson import NDJSONDecoder


class _Message(msgspec.Struct):
    content: str = ""
    thinking: str | None = None


class _Piece(msgspec.Struct):
    """A line that brings words and is neither the last one nor an error."""

    done: bool
    model: str = ""
    message: _Message | None = None
    response: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"")

    def speaks(self) -> bool:
        """Whether there are any words."""
        return bool(self.response or (self.message is not None and (self.message.content or self.message.thinking)))


_PIECE = msgspec.json.Decoder(_Piece).decode


class LineListener(Hearing):
    """Listens to the lines of a streamed answer; the last one has ``done``, the reason and the counts."""

    __slots__ = ()

    def hear(self, frame: Frame) -> bool:
        """Take one line; there are no pure usage reports here."""
        if not frame.data:
            return False
        try:
            piece = _PIECE(frame.data)
        except (msgspec.MsgspecError, RecursionError):
            self._hear(frame.data)
            return False
        if piece.done or piece.error or not piece.speaks():
            self._hear(frame.data)
            return False
        self.model = piece.model or self.model
        self.content = True
        self.chunks += 1
        return False

    def _hear(self, data: bytes) -> None:
        """Take a line that is not only words."""
        line = mapping(load(data))
        if line.get("error"):
            self.error = read_error(data)
            self.done = True
            return
        self.model = text(line.get("model")) or self.model
        message = mapping(line.get("message"))
        spoken = (
            *(message.get(name) for name in ("content", "thinking", "tool_calls", "images")),
            line.get("response"),
        )
        if any(spoken) or line.get("thinking") or line.get("image"):
            self.content = True
            self.chunks += 1
        if line.get("done") is True:
            self.finish = text(line.get("done_reason")) or "stop"
            self.usage = counts(line)
            self.done = True

    def closing(self) -> bytes | None:
        """None: without its last line an answer is not whole."""
        return None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An error's line."""
        return failed(error)


def usage(_endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, reason and model of a whole answer; "" where absent. Never raises."""
    answer = mapping(load(body))
    return counts(answer), text(answer.get("done_reason")), text(answer.get("model"))


def render_error(error: RelayError, _request_id: str) -> bytes:
    """Render the JSON body of an error answer; the request id travels in a header."""
    return encode({"error": error.message})


def listener(_endpoint: Endpoint) -> Listener:
    """Make the listener for a streamed answer."""
    return LineListener()


OLLAMA = Dialect(
    name="ollama",
    heartbeat=b"",
    decoder=NDJSONDecoder,
    listener=listener,
    render_error=render_error,
    stream_error=failed,
    usage=usage,
    read_error=read_error,
    stream_type="application/x-ndjson",
    fronts={
        "/api/chat": Front(parse_chat, render_chat, chat_writer),
        "/api/generate": Front(parse_generate, render_generate, generate_writer),
        "/api/embed": Front(embedding.parse_request, embedding.render),
    },
    backs={
        Operation.CHAT: Back("/api/chat", build, parse, LineReader),
        Operation.EMBED: Back("/api/embed", embedding.build, embedding.parse_answer),
    },
)
