"""The dialect ``anthropic``: the Messages API and its token counting.

See: https://docs.claude.com/en/api/messages-streaming and https://docs.claude.com/en/api/errors (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

from relay.dialects.anthropic.answer import render, render_count
from relay.dialects.anthropic.counts import read_counts
from relay.dialects.anthropic.errors import render_error, stream_error
from relay.dialects.anthropic.reading import reader
from relay.dialects.anthropic.request import parse
from relay.dialects.anthropic.sending import build, build_count
from relay.dialects.anthropic.understanding import parse as read_answer
from relay.dialects.anthropic.understanding import parse_count as read_count
from relay.dialects.anthropic.writing import writer
from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.codec import Back, Front
from relay.dialects.faults import read_error
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import count, load, mapping, text
from relay.endpoints import Endpoint, Operation
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class MessagesListener(Hearing):
    """Listens to a streamed message.

    ``message_start`` brings the first counts and ``message_delta`` replaces those that it names.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, object] = {}

    def hear(self, frame: Frame) -> bool:
        """Take one frame; there are no pure usage reports here."""
        if frame.event == b"content_block_delta":
            self.content = True
            self.chunks += 1
            return False
        if not frame.data or frame.event == b"ping":
            return False
        body = mapping(load(frame.data))
        match text(body.get("type")) or frame.event.decode("ascii", "replace"):
            case "content_block_delta":
                self.content = True
                self.chunks += 1
            case "content_block_start":
                self._begin(mapping(body.get("content_block")))
            case "message_start":
                message = mapping(body.get("message"))
                self.model = text(message.get("model")) or self.model
                self._count(message)
            case "message_delta":
                self.finish = text(mapping(body.get("delta")).get("stop_reason")) or self.finish
                self._count(body)
            case "message_stop":
                self.done = True
            case "error":
                self.error = read_error(frame.data)
                self.done = True
        return False

    def _begin(self, block: Mapping[str, object]) -> None:
        """A block that starts empty, as text and thinking do, is not content yet."""
        kind = text(block.get("type"))
        if kind not in ("text", "thinking") or block.get(kind):
            self.content = True
            self.chunks += 1

    def _count(self, source: Mapping[str, object]) -> None:
        """Replace the counts that are named, keep the others."""
        usage = mapping(source.get("usage"))
        if usage:
            self._counts.update({name: value for name, value in usage.items() if value is not None})
            self.usage = read_counts(self._counts)

    def closing(self) -> bytes | None:
        """``message_stop`` if a stop reason was seen, else None."""
        return _STOP if self.finish else None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An error event."""
        return stream_error(error, request_id)


def usage(endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, stop reason and model of a whole answer; "" where absent. Never raises."""
    answer = mapping(load(body))
    if endpoint.path == "/v1/messages/count_tokens":
        return Usage(input=count(answer, "input_tokens")), "", ""
    return read_counts(mapping(answer.get("usage"))), text(answer.get("stop_reason")), text(answer.get("model"))


def listener(_endpoint: Endpoint) -> Listener:
    """Make the listener for a streamed message."""
    return MessagesListener()


ANTHROPIC = Dialect(
    name="anthropic",
    heartbeat=b'event: ping\ndata: {"type":"ping"}\n\n',
    decoder=SSEDecoder,
    listener=listener,
    render_error=render_error,
    stream_error=stream_error,
    usage=usage,
    read_error=read_error,
    fronts={
        "/v1/messages": Front(parse, render, writer),
        "/v1/messages/count_tokens": Front(parse, render_count),
    },
    backs={
        Operation.CHAT: Back("/v1/messages", build, read_answer, reader),
        Operation.COUNT: Back("/v1/messages/count_tokens", build_count, read_count),
    },
)
