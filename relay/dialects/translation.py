"""An answer on its way from a provider's dialect to the client's other one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from relay.chat import Completion, Finish, Media, Native, Part, ToolCall
from relay.dialects.assembly import disassemble, merged
from relay.dialects.base import EVENTS, Dialect
from relay.dialects.codec import Asked, Back, Built, Front, Reader, Target, Writer
from relay.dialects.faults import upstream_error
from relay.dialects.sniff import Sniffer
from relay.errors import RelayError, TruncatedStream, UpstreamProtocol
from relay.events import Began, Counted, Ended, Erred, Event, Finished, Grew, Opened
from relay.exchange import Usage
from relay.outcome import Stage
from relay.secret import Redactor
from relay.vectors import TokenCount

FRAME_LIMIT = 16 * 1024 * 1024
"""Most bytes of one frame of a stream."""


@attrs.frozen
class Translation:
    """How one exchange's answer is translated.

    Attributes:
        dialect: what the provider speaks.
        front: the client's side.
        back: the provider's side.
        asked: what the client asked.
        target: where the request goes.
        built: the request in the provider's words.
    """

    dialect: Dialect
    front: Front[Any, Any]
    back: Back[Any, Any]
    asked: Asked
    target: Target
    built: Built

    def whole(self, body: bytes, deployment: str, mask: Callable[[], Redactor] = Redactor) -> Whole:
        """Translate an answer that came whole.

        Raises:
            UpstreamError: as in `parse`.
        """
        answer = self.parse(body, deployment, mask)
        finish = answer.choices[0].finish if isinstance(answer, Completion) and answer.choices else ""
        usage = Usage() if isinstance(answer, TokenCount) else answer.usage
        return Whole(self.front.render(answer, self.asked), usage, finish)

    def parse(self, body: bytes, deployment: str, mask: Callable[[], Redactor] = Redactor) -> Any:
        """The hub's form of a whole answer.

        Raises:
            UpstreamError: it is an error in spite of its status.
            UpstreamProtocol: it is no answer of the provider's dialect.
        """
        try:
            answer = self.back.parse(body, self.target)
        except ValueError as error:
            message, code = self.dialect.read_error(body)
            if message:
                raise upstream_error(mask().text(message), code, deployment) from error
            raise UpstreamProtocol(
                "The provider's answer is not what its dialect allows.", stage=Stage.STREAM, deployment=deployment
            ) from error
        if isinstance(answer, Completion):
            return _renamed(answer, self.built.tool_names)
        return answer

    def transcoder(self, deployment: str, mask: Callable[[], Redactor] = Redactor) -> Translated:
        """The transcoder of an answer that comes as a stream."""
        return Translated(self, self.back.reader(self.target), self.front.writer(self.asked), deployment, mask)


class Whole(msgspec.Struct, frozen=True):
    """A whole answer in the client's dialect: JSON body, tokens, and why it ended ("" where that means nothing)."""

    body: bytes
    usage: Usage
    finish: str


class Translated:
    """A `relay.dialects.transcode.Transcoder` between two dialects.

    Args:
        translation: what is known of the exchange.
        reader: understands the provider.
        writer: writes for the client.
        deployment: the deployment's name, for errors.
        mask: gives the filter for the provider's errors; asked only when there is one.
    """

    __slots__ = (
        "_closed",
        "_decoder",
        "_deployment",
        "_finished",
        "_mask",
        "_names",
        "_reader",
        "_sniffer",
        "_translation",
        "_writer",
        "chunks",
        "done",
        "error",
        "model",
        "started",
        "stop",
        "usage",
    )

    def __init__(
        self,
        translation: Translation,
        reader: Reader,
        writer: Writer,
        deployment: str,
        mask: Callable[[], Redactor] = Redactor,
    ) -> None:
        dialect = translation.dialect
        self._translation = translation
        self._reader = reader
        self._writer = writer
        self._deployment = deployment
        self._mask = mask
        self._names = translation.built.tool_names
        self._decoder = dialect.decoder(FRAME_LIMIT)
        self._sniffer = Sniffer(FRAME_LIMIT) if dialect.stream_type == EVENTS else None
        self._finished = False
        self._closed = False
        self.usage = Usage()
        self.model = ""
        self.stop = ""
        self.chunks = 0
        self.started = False
        self.done = False
        self.error: RelayError | None = None

    def feed(self, data: bytes) -> bytes:
        """Take upstream bytes; return client bytes, maybe b"".

        Raises:
            UpstreamProtocol: a frame is too large.
        """
        if self.done:
            return b""
        try:
            if self._sniffer is not None and self._is_json(self._sniffer, data):
                return b""
            frames = self._decoder.feed(data)
        except ValueError as error:
            raise self._malformed(f"The provider sent a stream that cannot be read: {error}.") from error
        read = self._reader.read
        if len(frames) == 1:
            return self._take(read(frames[0]))
        out = []
        for frame in frames:
            out.append(self._take(read(frame)))
            if self.done:
                break
        return b"".join(out)

    def end(self) -> bytes:
        """The body ended cleanly; return the last client bytes.

        Raises:
            TruncatedStream: neither a terminal event nor a finish reason was seen.
            UpstreamError: the body was an error answer in JSON, and no stream.
        """
        if self._closed or self.error is not None:
            return b""
        if self._sniffer is not None and self._sniffer.body is not None:
            return self._answered_whole(bytes(self._sniffer.body))
        tail = b"".join([self._take(self._reader.read(frame)) for frame in self._decoder.end()])
        return tail if self.done else tail + self._ended()

    def _ended(self) -> bytes:
        """The body ended without a terminal event: good if a finish reason came."""
        tail = self._take(self._reader.end())
        if self.done:
            return tail
        if not self._finished:
            raise TruncatedStream(
                "The provider's stream ended before it was complete.", stage=Stage.STREAM, deployment=self._deployment
            )
        return tail + self._close()

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error of the client's dialect."""
        self._closed = True
        return self._writer.fail(error)

    def _take(self, events: Sequence[Event]) -> bytes:
        """Note what the events say, and write them."""
        if len(events) == 1 and type(events[0]) is Grew:
            self.started = True
            self.chunks += 1
            return self._writer.write(events)
        return self._take_several(events)

    def _take_several(self, events: Sequence[Event]) -> bytes:
        out: list[Event] = []
        content = False
        for event in events:
            match event:
                case Grew():
                    content = True
                case Opened():
                    content = content or isinstance(event.part, ToolCall | Native | Media)
                    out.append(self._opened(event))
                    continue
                case Began():
                    self.model = event.model or self.model
                case Counted():
                    self.usage = merged(self.usage, event.usage)
                case Finished():
                    self._finished = True
                    self.stop = self.stop or event.reason
                case Erred():
                    return self._erred(out, event)
                case Ended():
                    self.done = True
                    break
            out.append(event)
        if content:
            self.started = True
            self.chunks += 1
        written = self._writer.write(out) if out else b""
        return written + self._close() if self.done else written

    def _opened(self, event: Opened) -> Opened:
        """A block's beginning, with the client's own name of a tool."""
        if not self._names:
            return event
        return Opened(event.block, _original(event.part, self._names), event.choice)

    def _erred(self, before: list[Event], event: Erred) -> bytes:
        """The provider's in-stream error, told in the client's form; nothing follows it."""
        self.done = self._closed = True
        self.error = upstream_error(self._mask().text(event.message), event.code, self._deployment)
        return (self._writer.write(before) if before else b"") + self._writer.fail(self.error)

    def _close(self) -> bytes:
        """The end of a good answer."""
        self._closed = True
        self.started = True
        written = b""
        if not self._finished:
            self.stop = Finish.STOP
            written = self._writer.write([Finished(Finish.STOP)])
        return written + self._writer.end()

    def _is_json(self, sniffer: Sniffer, data: bytes) -> bool:
        taken = sniffer.took(data)
        if not taken and not sniffer.fresh:
            self._sniffer = None
        return taken

    def _answered_whole(self, body: bytes) -> bytes:
        """A JSON body where a stream was asked for: an error, or the whole answer at once."""
        return self.whole(self._translation.parse(body, self._deployment, self._mask))

    def whole(self, completion: Completion) -> bytes:
        """A provider answered a streamed request with a whole answer: write it as a stream."""
        return self._take_several(disassemble(completion))

    def _malformed(self, message: str) -> UpstreamProtocol:
        return UpstreamProtocol(message, stage=Stage.STREAM, deployment=self._deployment)


def _renamed(completion: Completion, names: Mapping[str, str]) -> Completion:
    """The answer with the client's own names of tools."""
    if not names:
        return completion
    choices = (
        msgspec.structs.replace(choice, parts=tuple(_original(part, names) for part in choice.parts))
        for choice in completion.choices
    )
    return msgspec.structs.replace(completion, choices=tuple(choices))


def _original(part: Part, names: Mapping[str, str]) -> Part:
    if isinstance(part, ToolCall) and part.name in names:
        return msgspec.structs.replace(part, name=names[part.name])
    return part
