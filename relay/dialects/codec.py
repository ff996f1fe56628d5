"""How a dialect translates: records of pure functions between its wire form and the hub.

A dialect that clients speak has a `Front` for each of its endpoints; one that providers speak has a
`Back` for each operation. Both work on `relay.chat`, `relay.events` and `relay.vectors` only, so no
dialect knows another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import attrs
import msgspec

from relay.dialects.base import Frame
from relay.errors import InvalidRequest, RelayError
from relay.events import Event
from relay.provider import Quirk

Q = TypeVar("Q")
"""The hub's request of an operation: `ChatRequest`, `EmbedRequest`, `RankRequest`."""
A = TypeVar("A")
"""The hub's answer of an operation: `Completion`, `Embeddings`, `Ranking`, `TokenCount`."""


class Call(msgspec.Struct, frozen=True):
    """What the URL says of a request.

    Attributes:
        path: canonical path of the endpoint.
        model: the model in the path, "" where the body names it.
        stream: whether the path asks for a stream; None where the body tells.
        array: whether a stream is asked for as one JSON array (Gemini without ``alt=sse``).
    """

    path: str
    model: str = ""
    stream: bool | None = None
    array: bool = False


class Asked(msgspec.Struct, frozen=True):
    """What the answer must know of the request it answers.

    Attributes:
        call: what the URL said.
        request_id: relay's id of the exchange; ids that the provider leaves out are made from it.
        model: the model as the client named it; answers echo it.
        created: Unix seconds for answers whose provider gives no time.
        request: the hub's request (`ChatRequest` for chat, else the operation's own).
        tokens: relay's estimate of the prompt's tokens, for dialects that tell them at the start of a stream.
    """

    call: Call
    request_id: str
    model: str
    created: int
    request: Any
    tokens: int = 0


class Target(msgspec.Struct, frozen=True):
    """Where a hub request goes.

    Attributes:
        model: the provider's name for the model.
        provider: the provider's name, for messages.
        stream: whether a streamed answer is asked of the provider.
        quirks: the provider's deviations.
        path: canonical path of the endpoint used there.
    """

    model: str
    provider: str = ""
    stream: bool = False
    quirks: frozenset[Quirk] = frozenset()
    path: str = ""


class Built(msgspec.Struct, frozen=True):
    """A request in a provider's words.

    Attributes:
        fields: the JSON body's top level; values are whatever msgspec encodes, `msgspec.Raw` included.
        dropped: what could not be carried, by the caller's field names, each once, in order.
        tool_names: name sent → the client's, for tools whose names the provider would not take.
        headers: header fields that the body needs beside it (``anthropic-beta``).
    """

    fields: Mapping[str, Any]
    dropped: tuple[str, ...] = ()
    tool_names: Mapping[str, str] = msgspec.field(default_factory=dict)
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Reader(Protocol):
    """Understands one streamed answer of a provider. See `relay.events` for the rules it keeps."""

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one frame; a frame that cannot be understood is an `Erred` or nothing, never an exception."""

    def end(self) -> Sequence[Event]:
        """The body ended: close what is open; no `Finished` unless a finish reason came."""


class Writer(Protocol):
    """Writes one streamed answer for a client."""

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events that arrived together; return complete frames, maybe b"".

        `Began` may never come before content when a provider sends none. `Erred` and `Ended` are not passed in.
        """

    def end(self) -> bytes:
        """The answer is whole: the frames that were held back, and the terminal event."""

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error; nothing follows it, no finish and no terminal event."""


def _no_writer(_asked: Asked) -> Writer:
    raise InvalidRequest("This endpoint does not stream.", param="stream")


def _no_reader(_target: Target) -> Reader:
    raise InvalidRequest("The provider does not stream here.", param="stream")


@attrs.frozen
class Front(Generic[Q, A]):
    """One endpoint of a dialect that clients speak.

    Attributes:
        parse: (JSON body, what the URL says) → the hub's request. Raises `InvalidRequest`, which names the field.
        render: (the hub's answer, what was asked) → JSON body.
        writer: makes the writer of a streamed answer; refuses where the operation does not stream.
    """

    parse: Callable[[bytes, Call], Q]
    render: Callable[[A, Asked], bytes]
    writer: Callable[[Asked], Writer] = _no_writer


@attrs.frozen
class Back(Generic[Q, A]):
    """One operation of a dialect that providers speak.

    Attributes:
        path: canonical path of the endpoint that serves it.
        build: the hub's request in the provider's words; the request does not change. Raises `InvalidRequest`
            for what the provider could only refuse.
        parse: (JSON body of a good answer, the target) → the hub's answer. Raises ValueError when it is none.
        reader: makes the reader of a streamed answer; refuses where the operation does not stream.
    """

    path: str
    build: Callable[[Q, Target], Built]
    parse: Callable[[bytes, Target], A]
    reader: Callable[[Target], Reader] = _no_reader
