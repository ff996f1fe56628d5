"""The dialect ``anthropic``: the Messages API and its token counting.

See: https://docs.claude.com/en/api/messages-streaming and https://docs.claude.com/en/api/errors (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.faults import read_error
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import count, load, mapping, text
from relay.endpoints import Endpoint
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    431: "request_too_large",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


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


def read_counts(usage: Mapping[str, object]) -> Usage:
    """Read a ``usage`` object; cached tokens are not in ``input_tokens`` and are added to it.

    See: https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance (read 2026-11).
    """
    fresh, cached, written, output = (count(usage, name) for name in _COUNTS)
    parts = [part for part in (fresh, cached, written) if part is not None]
    return Usage(
        input=sum(parts) if parts else None,
        cached=cached,
        cache_write=written,
        output=output,
        reasoning=count(mapping(usage.get("output_tokens_details")), "thinking_tokens"),
    )


def usage(endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, stop reason and model of a whole answer; "" where absent. Never raises."""
    answer = mapping(load(body))
    if endpoint.path == "/v1/messages/count_tokens":
        return Usage(input=count(answer, "input_tokens")), "", ""
    return read_counts(mapping(answer.get("usage"))), text(answer.get("stop_reason")), text(answer.get("model"))


def render_error(error: RelayError, request_id: str) -> bytes:
    """Render the JSON body of an error answer."""
    status = error.http_status
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    body = {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": request_id or None}
    return msgspec.json.encode(body)


def stream_error(error: RelayError, request_id: str) -> bytes:
    """Render an error event; the stream ends behind it."""
    return b"event: error\ndata: " + render_error(error, request_id) + b"\n\n"


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
)
