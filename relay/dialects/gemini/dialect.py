"""The dialect ``gemini``: Google's ``generateContent`` and ``streamGenerateContent``.

See: https://ai.google.dev/api/generate-content and https://cloud.google.com/apis/design/errors (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.faults import read_error
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import count, load, mapping, sequence, text
from relay.endpoints import Endpoint
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

_STATUS: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


class GenerateListener(Hearing):
    """Listens to a streamed generation; it has no terminal event, only finish reasons."""

    __slots__ = ()

    def hear(self, frame: Frame) -> bool:
        """Take one frame; there are no pure usage reports here."""
        if not frame.data:
            return False
        body = mapping(load(frame.data))
        if body.get("error"):
            self.error = read_error(frame.data)
            self.done = True
            return False
        found, finish, model = _read(body)
        self.model = model or self.model
        self.finish = finish or self.finish
        if found != Usage():
            self.usage = found
        if finish or _filled(body):
            self.content = True
            self.chunks += 1
        return False

    def closing(self) -> bytes | None:
        """b"" if a finish reason was seen, else None: there is no terminal event to add."""
        return b"" if self.finish else None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An error chunk."""
        return stream_error(error, request_id)


def _filled(body: Mapping[str, object]) -> bool:
    """Whether a candidate has a part."""
    candidates = map(mapping, sequence(body.get("candidates")))
    return any(sequence(mapping(candidate.get("content")).get("parts")) for candidate in candidates)


def _read(body: Mapping[str, object]) -> tuple[Usage, str, str]:
    """Usage, finish reason and model of an answer or a chunk; a blocked prompt is finished."""
    counts = mapping(body.get("usageMetadata"))
    thoughts = count(counts, "thoughtsTokenCount")
    spoken = count(counts, "candidatesTokenCount")
    prompt, tools = count(counts, "promptTokenCount"), count(counts, "toolUsePromptTokenCount")
    found = Usage(
        input=_sum(prompt, tools),
        cached=count(counts, "cachedContentTokenCount"),
        output=_sum(spoken, thoughts),
        reasoning=thoughts,
    )
    reasons = (text(mapping(candidate).get("finishReason")) for candidate in sequence(body.get("candidates")))
    blocked = text(mapping(body.get("promptFeedback")).get("blockReason"))
    return found, next(filter(None, reasons), blocked), text(body.get("modelVersion"))


def _sum(*values: int | None) -> int | None:
    """The sum of the known values, None if none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def usage(_endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, finish reason and model of a whole answer; "" where absent. Never raises.

    A stream that was not asked for as events is one JSON array of chunks; the last one tells.
    """
    answer = load(body)
    chunks = sequence(answer) or [answer]
    return _read(mapping(chunks[-1]))


def render_error(error: RelayError, _request_id: str) -> bytes:
    """Render the JSON body of an error answer; the request id travels in a header."""
    status = error.http_status
    word = _STATUS.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return msgspec.json.encode({"error": {"code": status, "message": error.message, "status": word}})


def stream_error(error: RelayError, request_id: str) -> bytes:
    """Render an error chunk; the stream ends behind it."""
    return b"data: " + render_error(error, request_id) + b"\r\n\r\n"


def listener(_endpoint: Endpoint) -> Listener:
    """Make the listener for a streamed generation."""
    return GenerateListener()


GEMINI = Dialect(
    name="gemini",
    heartbeat=b": ping\n",
    decoder=SSEDecoder,
    listener=listener,
    render_error=render_error,
    stream_error=stream_error,
    usage=usage,
    read_error=read_error,
)
