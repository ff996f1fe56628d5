"""The dialect ``responses``: OpenAI's Responses API.

See: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.codec import Back, Front, Target
from relay.dialects.faults import describe, read_error
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import load, mapping, text
from relay.dialects.openai.errors import render_error
from relay.dialects.responses.answer import render
from relay.dialects.responses.errors import error_event
from relay.dialects.responses.reading import ResponsesReader
from relay.dialects.responses.request import parse as parse_request
from relay.dialects.responses.sending import build
from relay.dialects.responses.understanding import parse
from relay.dialects.responses.writing import ResponsesWriter
from relay.dialects.tokens import read_usage
from relay.endpoints import Endpoint, Operation
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

PATH = "/v1/responses"

_PRELUDE = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "keepalive",
    }
)
"""Events that come before any content. What is not among them counts as content, also what is not known yet."""

_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _Answer(msgspec.Struct):
    """The part of a response object that relay needs."""

    model: str | None = None
    status: str | None = None
    usage: dict[str, Any] | None = None
    incomplete_details: dict[str, Any] | None = None
    error: Any = None


class _Event(msgspec.Struct):
    """The part of an event that relay needs."""

    type: str = ""
    response: _Answer | None = None


_EVENT = msgspec.json.Decoder(_Event)
_ANSWER = msgspec.json.Decoder(_Answer)


class ResponsesListener(Hearing):
    """Listens to a streamed response; ``response.failed`` and ``error`` are errors."""

    __slots__ = ("_heard",)

    def __init__(self) -> None:
        super().__init__()
        self._heard = 0  # events so far, which is the next sequence number

    def hear(self, frame: Frame) -> bool:
        """Take one frame; there are no pure usage reports here."""
        data = frame.data
        if not data or data.startswith(b"[DONE]"):  # some compatible servers add [DONE]
            return False
        self._heard += 1
        if frame.event.endswith(b".delta"):
            self.content = True
            self.chunks += 1
            return False
        name = frame.event.decode("ascii", "replace") or _event(data).type
        if name == "error":
            self.error = read_error(data)
        elif name in _TERMINAL:
            self._end(name, data)
        elif name not in _PRELUDE:
            self.content = True
            self.chunks += 1
        elif not self.model:
            answer = _event(data).response
            self.model = (answer.model if answer else None) or ""
        return False

    def _end(self, name: str, data: bytes) -> None:
        """Take the terminal event, which holds the whole response."""
        self.done = True
        answer = _event(data).response or _Answer()
        self.model = answer.model or self.model
        self.finish = _finish(answer)
        if answer.usage:
            self.usage = read_usage(answer.usage)
        if name == "response.failed":
            self.error = self.error or describe({"error": answer.error})
        else:
            self.content = True

    def closing(self) -> bytes | None:
        """None: nothing but a terminal event says that a response is whole."""
        return None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An error event that carries the stream's next sequence number."""
        return error_event(error, self._heard)


def _event(data: bytes) -> _Event:
    """Read an event, piece by piece if it is not well formed."""
    try:
        return _EVENT.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        body = mapping(load(data))
        return _Event(type=text(body.get("type")), response=_loose(body.get("response")))


def _answer(data: bytes) -> _Answer:
    """Read a whole response object, piece by piece if it is not well formed."""
    try:
        return _ANSWER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _loose(load(data))


def _loose(value: object) -> _Answer:
    """Read what can be read of a response object."""
    body = mapping(value)
    return _Answer(
        model=text(body.get("model")),
        status=text(body.get("status")),
        usage=dict(mapping(body.get("usage"))) or None,
        incomplete_details=dict(mapping(body.get("incomplete_details"))) or None,
        error=body.get("error"),
    )


def _finish(answer: _Answer) -> str:
    """Why a response is incomplete, else its status."""
    return text(mapping(answer.incomplete_details).get("reason")) or answer.status or ""


def stream_error(error: RelayError, _request_id: str) -> bytes:
    """Render an error event for a stream in which nothing else was sent."""
    return error_event(error, 0)


def listener(_endpoint: Endpoint) -> Listener:
    """Make the listener for a streamed response."""
    return ResponsesListener()


def usage(_endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, finish reason and model of a whole response; "" where absent. Never raises."""
    answer = _answer(body)
    found = read_usage(answer.usage) if answer.usage else Usage()
    return found, _finish(answer), answer.model or ""


def reader(_target: Target) -> ResponsesReader:
    """Make the reader of a provider's streamed response."""
    return ResponsesReader()


RESPONSES = Dialect(
    name="responses",
    heartbeat=b": ping\n",
    decoder=SSEDecoder,
    listener=listener,
    render_error=render_error,
    stream_error=stream_error,
    usage=usage,
    read_error=read_error,
    fronts={PATH: Front(parse_request, render, ResponsesWriter)},
    backs={Operation.CHAT: Back(PATH, build, parse, reader)},
)
