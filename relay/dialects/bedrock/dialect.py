"""The dialect ``bedrock``: Amazon Bedrock's Converse and CountTokens.

No client of relay's speaks it; a listener is there all the same, since a dialect is one record for both sides.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (read 2026-11).
"""

from __future__ import annotations

import msgspec

from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.bedrock.errors import read_error, stream_fault
from relay.dialects.bedrock.reading import ConverseReader
from relay.dialects.bedrock.sending import build, build_count
from relay.dialects.bedrock.understanding import parse, parse_count, read_usage
from relay.dialects.codec import Back
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import count, load, mapping, text
from relay.endpoints import Endpoint, Operation
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.eventstream import EventStreamDecoder, encode_exception

CONVERSE = "/model/{model}/converse"
COUNT_TOKENS = "/model/{model}/count-tokens"

STREAM_TYPE = "application/vnd.amazon.eventstream"

_CONTENT = (b"contentBlockDelta", b"contentBlockStart")
_EXCEPTIONS = {429: "throttlingException", 503: "serviceUnavailableException"}


class ConverseListener(Hearing):
    """Listens to a ConverseStream; it ends with the message of its token counts."""

    __slots__ = ()

    def hear(self, frame: Frame) -> bool:
        """Take one message; True if it is the report of token counts."""
        if frame.event in _CONTENT:
            self.content = True
            self.chunks += 1
            return False
        fault = stream_fault(frame)
        if fault is not None:
            self.error = fault.message, fault.code
            self.done = True
            return False
        body = mapping(load(frame.data))
        if frame.event == b"messageStop":
            self.finish = text(body.get("stopReason")) or self.finish
        elif frame.event == b"metadata":
            self.usage = read_usage(mapping(body.get("usage")))
            self.done = bool(self.finish)
            return True
        return False

    def closing(self) -> bytes | None:
        """b"" if a stop reason was seen, else None: the token counts cannot be made up."""
        return b"" if self.finish else None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An exception."""
        return stream_error(error, request_id)


def usage(endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage and stop reason of a whole answer; it names no model. Never raises."""
    answer = mapping(load(body))
    if endpoint.path == COUNT_TOKENS:
        return Usage(input=count(answer, "inputTokens")), "", ""
    return read_usage(mapping(answer.get("usage"))), text(answer.get("stopReason")), ""


def render_error(error: RelayError, _request_id: str) -> bytes:
    """Render the JSON body of an error answer."""
    return msgspec.json.encode({"message": error.message})


def stream_error(error: RelayError, request_id: str) -> bytes:
    """Render an exception; the stream ends behind it."""
    status = error.http_status
    name = _EXCEPTIONS.get(status, "validationException" if status < 500 else "internalServerException")
    return encode_exception(name, render_error(error, request_id))


def listener(_endpoint: Endpoint) -> Listener:
    """Make the listener for a stream."""
    return ConverseListener()


BEDROCK = Dialect(
    name="bedrock",
    heartbeat=b"",
    decoder=EventStreamDecoder,
    listener=listener,
    render_error=render_error,
    stream_error=stream_error,
    usage=usage,
    read_error=read_error,
    stream_type=STREAM_TYPE,
    backs={
        Operation.CHAT: Back(CONVERSE, build, parse, ConverseReader),
        Operation.COUNT: Back(COUNT_TOKENS, build_count, parse_count),
    },
)
