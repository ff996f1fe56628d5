"""The dialect ``gemini``: Google's ``generateContent`` and ``streamGenerateContent``.

See: https://ai.google.dev/api/generate-content and https://cloud.google.com/apis/design/errors (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.codec import Back, Front
from relay.dialects.gemini import answer, counting, embedding, request, sending, understanding
from relay.dialects.gemini.errors import read_error, render_error, retry_after, stream_error
from relay.dialects.gemini.reading import GenerateReader
from relay.dialects.gemini.tokens import read_usage
from relay.dialects.gemini.writing import GenerateWriter
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import load, mapping, sequence, text
from relay.endpoints import Endpoint, Operation
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

GENERATE = "/v1beta/models/{model}:generateContent"
COUNT = "/v1beta/models/{model}:countTokens"
EMBED = "/v1beta/models/{model}:batchEmbedContents"


class _Content(msgspec.Struct):
    parts: list[msgspec.Raw] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    """The part of a chunk that relay needs."""

    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: dict[str, Any] | None = None
    model_version: str | None = None
    error: Any = None


_CHUNKS = msgspec.json.Decoder(_Chunk)


def _read_chunk(data: bytes) -> _Chunk:
    """Read a chunk; what is not of the usual form is read leniently."""
    try:
        return _CHUNKS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        body = mapping(load(data))
    found, finish, model = _read(body)
    parts = _Content([msgspec.Raw(b"{}")]) if _filled(body) else None
    usage = dict(mapping(body.get("usageMetadata"))) if found != Usage() else None
    return _Chunk([_Candidate(parts, finish)], None, usage, model, body.get("error"))


class GenerateListener(Hearing):
    """Listens to a streamed generation; it has no terminal event, only finish reasons."""

    __slots__ = ()

    def hear(self, frame: Frame) -> bool:
        """Take one frame; there are no pure usage reports here."""
        data = frame.data
        if not data:
            return False
        chunk = _read_chunk(data)
        if chunk.error:
            self.error = read_error(data)
            self.done = True
            return False
        if chunk.model_version:
            self.model = chunk.model_version
        finish = chunk.prompt_feedback.block_reason if chunk.prompt_feedback else None
        filled = False
        for candidate in chunk.candidates or ():
            finish = candidate.finish_reason or finish
            filled = filled or bool(candidate.content and candidate.content.parts)
        self.finish = finish or self.finish
        if chunk.usage_metadata:
            self.usage = read_usage(chunk.usage_metadata)
        if finish or filled:
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
    found = read_usage(mapping(body.get("usageMetadata")))
    reasons = (text(mapping(candidate).get("finishReason")) for candidate in sequence(body.get("candidates")))
    blocked = text(mapping(body.get("promptFeedback")).get("blockReason"))
    return found, next(filter(None, reasons), blocked), text(body.get("modelVersion"))


def usage(_endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage, finish reason and model of a whole answer; "" where absent. Never raises.

    A stream that was not asked for as events is one JSON array of chunks; the last one tells.
    """
    value = load(body)
    chunks = sequence(value) or [value]
    return _read(mapping(chunks[-1]))


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
    retry_after=retry_after,
    fronts={
        GENERATE: Front(request.parse, answer.render, GenerateWriter),
        COUNT: Front(counting.parse_request, counting.render),
        "/v1beta/models/{model}:embedContent": Front(embedding.parse_one, embedding.render),
        EMBED: Front(embedding.parse_batch, embedding.render),
    },
    backs={
        Operation.CHAT: Back(GENERATE, sending.build, understanding.parse, GenerateReader),
        Operation.COUNT: Back(COUNT, counting.build, counting.parse_answer),
        Operation.EMBED: Back(EMBED, embedding.build, embedding.parse_answer),
    },
)
