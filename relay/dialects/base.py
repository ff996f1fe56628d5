"""What a dialect is: a record of functions, not a base class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from relay.endpoints import Endpoint, Operation
from relay.errors import RelayError
from relay.exchange import Usage

if TYPE_CHECKING:
    from relay.dialects.codec import Back, Front


EVENTS = "text/event-stream"
"""Media type of server-sent events."""


class Frame(Protocol):
    """One unit of a stream, cut but not understood."""

    @property
    def raw(self) -> bytes:
        """Its bytes exactly as they came, separators included."""

    @property
    def event(self) -> bytes:
        """The event's name, b"" where the framing has none."""

    @property
    def data(self) -> bytes:
        """The payload; b"" for comments and blank events."""


class FrameDecoder(Protocol):
    """Cuts a byte stream into frames, linear in its length however it is sliced."""

    def feed(self, data: bytes) -> Sequence[Frame]:
        """Return the frames completed by these bytes.

        Raises:
            ValueError: a frame is larger than the decoder's limit.
        """

    def end(self) -> Sequence[Frame]:
        """Return what is left when no more bytes come: at most one unterminated frame."""


class Listener(Protocol):
    """Understands the frames of one streamed answer without changing them.

    Attributes:
        usage: tokens as reported so far.
        model: the model that the provider says it served, or "".
        finish: the finish or stop reason, "" until one came.
        content: whether any frame so far carried content.
        chunks: how many frames carried content.
        done: whether the terminal event came.
        error: what the provider's in-stream error says (message, code), or None.
    """

    usage: Usage
    model: str
    finish: str
    content: bool
    chunks: int
    done: bool
    error: tuple[str, str] | None

    def hear(self, frame: Frame) -> bool:
        """Take one frame; True if it is a pure usage report (a chunk without choices)."""

    def closing(self) -> bytes | None:
        """The missing terminal event, when a finish reason was seen and the stream then ended; else None.

        b"" where the dialect has no terminal event.
        """

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """The in-stream error that may follow the frames heard so far, as complete frames."""


def _no_wait(_body: bytes) -> float | None:
    return None


@attrs.frozen
class Dialect:
    """A wire language.

    Attributes:
        name: as in provider files.
        heartbeat: bytes that keep a streamed answer alive and that every client ignores.
        decoder: makes the frame decoder of its streams; the argument is the frame size limit.
        listener: makes the listener for a streamed answer of an endpoint.
        render_error: (error, request id) → JSON body of an error answer.
        stream_error: (error, request id) → bytes of an in-stream error, complete frames.
        usage: JSON answer body → its usage, finish reason and model ("" where absent);
            never raises.
        read_error: error answer body → (message, code), "" where absent; never raises.
        retry_after: error answer body → seconds that it asks to wait, None if it does not say; never raises.
        stream_type: media type of its streams.
        fronts: canonical path → how clients' requests there are translated.
        backs: operation → how requests to providers are translated.
    """

    name: str
    heartbeat: bytes
    decoder: Callable[[int], FrameDecoder]
    listener: Callable[[Endpoint], Listener]
    render_error: Callable[[RelayError, str], bytes]
    stream_error: Callable[[RelayError, str], bytes]
    usage: Callable[[Endpoint, bytes], tuple[Usage, str, str]]
    read_error: Callable[[bytes], tuple[str, str]]
    retry_after: Callable[[bytes], float | None] = _no_wait
    stream_type: str = EVENTS
    fronts: Mapping[str, Front[Any, Any]] = attrs.field(factory=dict)
    backs: Mapping[Operation, Back[Any, Any]] = attrs.field(factory=dict)
