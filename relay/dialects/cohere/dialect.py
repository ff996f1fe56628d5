"""The dialect ``cohere``: chat, embed and rerank of Cohere's API, version 2.

See: https://docs.cohere.com/reference/chat-stream and https://docs.cohere.com/reference/errors (read 2026-11).
"""

from __future__ import annotations

from relay.dialects.base import Dialect, Frame, Listener
from relay.dialects.codec import Back, Front
from relay.dialects.cohere import embedding, ranking
from relay.dialects.cohere.answer import render
from relay.dialects.cohere.reading import EventReader
from relay.dialects.cohere.request import parse as parse_chat
from relay.dialects.cohere.sending import build
from relay.dialects.cohere.understanding import parse
from relay.dialects.cohere.words import counts
from relay.dialects.cohere.writing import DONE, EventWriter, failed
from relay.dialects.faults import read_error
from relay.dialects.hearing import Hearing
from relay.dialects.lenient import load, mapping, text
from relay.dialects.quoting import encode
from relay.endpoints import Endpoint, Operation
from relay.errors import RelayError
from relay.exchange import Usage
from relay.wire.sse import SSEDecoder

_CONTENT = frozenset({b"content-delta", b"tool-plan-delta", b"tool-call-start", b"tool-call-delta", b"citation-start"})
_SILENT = frozenset({b"message-start", b"content-start", b"content-end", b"tool-call-end", b"citation-end", b"debug"})


class ChatListener(Hearing):
    """Listens to a streamed chat; ``message-end`` has reason, usage and maybe an error, ``[DONE]`` ends it."""

    __slots__ = ()

    def hear(self, frame: Frame) -> bool:
        """Take one event; there are no pure usage reports here."""
        if frame.event in _CONTENT:
            self._count()
        elif frame.data and frame.event not in _SILENT:
            self._hear(frame.data)
        return False

    def _count(self) -> None:
        self.content = True
        self.chunks += 1

    def _hear(self, data: bytes) -> None:
        """Take an event that ends the answer, or has no name."""
        if data.startswith(b"[DONE]"):
            self.done = True
            return
        body = mapping(load(data))
        kind = text(body.get("type"))
        if kind == "message-end":
            self._end(body)
        elif kind.encode("ascii", "replace") in _CONTENT:
            self._count()
        elif body.get("error") or (not kind and body.get("message")):
            self.error = read_error(data)
            self.done = True

    def _end(self, body: object) -> None:
        delta = mapping(mapping(body).get("delta"))
        self.finish = text(delta.get("finish_reason")) or "COMPLETE"
        found = counts(mapping(delta.get("usage")))
        if found != Usage():
            self.usage = found
        if failure := text(delta.get("error")):
            self.error = (failure, self.finish)
            self.done = True

    def closing(self) -> bytes | None:
        """``[DONE]`` if ``message-end`` was seen, else None."""
        return DONE if self.finish else None

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """An error event."""
        return failed(error)


def usage(_endpoint: Endpoint, body: bytes) -> tuple[Usage, str, str]:
    """Usage and finish reason of a whole answer, which names no model. Never raises."""
    answer = mapping(load(body))
    found = mapping(answer.get("usage")) or mapping(answer.get("meta"))
    return counts(found), text(answer.get("finish_reason")), ""


def render_error(error: RelayError, request_id: str) -> bytes:
    """Render the JSON body of an error answer."""
    return encode({"id": request_id, "message": error.message})


def listener(_endpoint: Endpoint) -> Listener:
    """Make the listener for a streamed chat."""
    return ChatListener()


COHERE = Dialect(
    name="cohere",
    heartbeat=b": ping\n",
    decoder=SSEDecoder,
    listener=listener,
    render_error=render_error,
    stream_error=failed,
    usage=usage,
    read_error=read_error,
    fronts={
        "/v2/chat": Front(parse_chat, render, EventWriter),
        "/v2/embed": Front(embedding.parse_request, embedding.render),
        "/v2/rerank": Front(ranking.parse_request, ranking.render),
    },
    backs={
        Operation.CHAT: Back("/v2/chat", build, parse, EventReader),
        Operation.EMBED: Back("/v2/embed", embedding.build, embedding.parse_answer),
        Operation.RANK: Back("/v2/rerank", ranking.build, ranking.parse_answer),
    },
)
