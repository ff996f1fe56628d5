"""Answers on their way out: pieces of bytes, some of which carry content."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import msgspec

from relay.echo.knobs import NONE, Knobs
from relay.errors import InvalidRequest

Piece = tuple[bytes, bool]
"""Bytes to send together, and whether they carry content (the chunks that knobs count)."""

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"


@attrs.frozen
class Reply:
    """An answer, ready to be sent piece by piece.

    Attributes:
        pieces: what to send, in order.
        content_type: value of the header.
        knobs: delays, and how the answer breaks off.
        length: bytes of a whole answer; None for a streamed one.
        error: makes the in-stream error of a message; None where there is no such thing.
        status: HTTP status.
        headers: more headers.
    """

    pieces: Iterator[Piece]
    content_type: bytes
    knobs: Knobs = NONE
    length: int | None = None
    error: Callable[[str], bytes] | None = None
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def typed(self, content_type: bytes) -> Reply:
        """The same answer under another content type."""
        return attrs.evolve(self, content_type=content_type)


def refuse(knobs: Knobs, *names: str, why: str = "does nothing on this endpoint") -> None:
    """Refuse knobs that would have no effect.

    Raises:
        InvalidRequest: one of those named is turned.
    """
    for name in names:
        if knobs.turned(name):
            raise InvalidRequest(f"echo.{name} {why}.", param=f"echo.{name}")


def whole(body: bytes, knobs: Knobs = NONE, content_type: bytes = JSON) -> Reply:
    """An answer that is there at once. It is sent in two halves, which knobs count as chunks.

    Raises:
        InvalidRequest: a knob asks for what only streams can do.
    """
    refuse(knobs, "endless", "error_after", why="works on event streams only")
    if knobs.fault is not None and knobs.fault.after > 1:
        name = f"echo.{knobs.fault.kind.value}"
        raise InvalidRequest(f"{name}: this answer has two halves; give 0 or 1.", param=name)
    half = (len(body) + 1) // 2
    pieces = iter([(body[:half], True), (body[half:], True)])
    return Reply(pieces, content_type, knobs, length=len(body))


def whole_json(value: object, knobs: Knobs = NONE) -> Reply:
    """A JSON answer that is there at once.

    Raises:
        InvalidRequest: as in `whole`.
    """
    return whole(msgspec.json.encode(value), knobs)


def streamed(pieces: Iterator[Piece], error: Callable[[str], bytes], knobs: Knobs) -> Reply:
    """An event stream."""
    return Reply(pieces, EVENTS, knobs, error=error)


def data(value: object) -> bytes:
    """A frame without a name: OpenAI's chat, completions and audio."""
    return b"data: %b\n\n" % msgspec.json.encode(value)


def event(name: str, value: object) -> bytes:
    """A named frame: Responses, Messages and images."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value))


DONE = b"data: [DONE]\n\n"


def data_error(message: str) -> bytes:
    """OpenAI's in-stream error."""
    return data({"error": {"message": message, "type": "server_error", "param": None, "code": None}})
