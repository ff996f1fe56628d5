"""What Bedrock says when it refuses: error answers, error types, and exceptions inside streams.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html#API_runtime_ConverseStream_Errors
(read 2026-11).
"""

from __future__ import annotations

from relay.dialects.base import Frame
from relay.dialects.lenient import load, mapping, text
from relay.events import Erred
from relay.exchange import Headers
from relay.wire.eventstream import Message


def read_error(body: bytes) -> tuple[str, str]:
    """Message and code of an error answer; "" where absent. Never raises.

    The type of error usually stands in a header only; see `error_type`.
    """
    error = mapping(load(body))
    said = text(error.get("message")) or text(error.get("Message")) or text(error.get("originalMessage"))
    return said, plain_type(text(error.get("__type")) or text(error.get("code")))


def error_type(headers: Headers) -> str:
    """The type of error that an answer's header names (``ThrottlingException``), "" if none does."""
    value = next((value for name, value in headers if name == b"x-amzn-errortype"), b"")
    return plain_type(value.decode("latin-1"))


def plain_type(name: str) -> str:
    """An error's type without its namespace in front (``aws.x#``) and its address behind (``:http://…``)."""
    return name.partition(":")[0].rpartition("#")[2].strip()


def stream_fault(frame: Frame) -> Erred | None:
    """The error that a message of a stream is, or None."""
    if not isinstance(frame, Message) or frame.head.kind == "event":
        return None
    said, code = read_error(frame.data)
    detail = text(mapping(load(frame.data)).get("originalMessage"))
    if detail and detail not in said:
        said = f"{said}: {detail}" if said else detail
    return Erred(said or str(frame.header(":error-message") or ""), frame.event.decode() or code)
