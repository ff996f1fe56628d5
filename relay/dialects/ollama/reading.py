"""Ollama's streams: a line for each piece of text or thought, calls whole, counts in the last line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from relay.chat import Part, Text, Thinking
from relay.dialects.base import Frame
from relay.dialects.codec import Target
from relay.dialects.faults import read_error
from relay.dialects.lenient import load, mapping, text
from relay.dialects.ollama.lines import counts, openai_logprobs, reason
from relay.dialects.ollama.moments import seconds
from relay.dialects.ollama.understanding import calls, images, spoken
from relay.events import Began, Closed, Counted, Ended, Erred, Event, Finished, Grew, Opened, Probable
from relay.exchange import Usage


class _Message(msgspec.Struct):
    content: str = ""
    thinking: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"")
    images: msgspec.Raw = msgspec.Raw(b"")


class _Line(msgspec.Struct):
    """The usual line: words and nothing else."""

    message: _Message
    done: bool
    error: msgspec.Raw = msgspec.Raw(b"")
    logprobs: msgspec.Raw = msgspec.Raw(b"")


_USUAL = msgspec.json.Decoder(_Line).decode


class LineReader:
    """Reads the lines of one streamed answer; one block is open at a time."""

    __slots__ = ("_began", "_block", "_called", "_ended", "_kind", "_seed")

    def __init__(self, _target: Target) -> None:
        self._began = False
        self._seed: tuple[str, str] = ("", "")  # tells this answer's calls from those of other turns
        self._block = -1  # number of the last block
        self._kind: type[Part] | None = None  # of the open block
        self._called = 0
        self._ended = False

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one line."""
        data = frame.data
        if not data or self._ended:
            return ()
        if self._kind is None:
            return self._read(data)
        try:
            line = _USUAL(data)
        except (msgspec.MsgspecError, RecursionError):
            return self._read(data)
        message = line.message
        if not (line.done or message.tool_calls or line.logprobs or line.error or message.images):
            if message.content and not message.thinking and self._kind is Text:
                return (Grew(self._block, message.content),)
            if message.thinking and not message.content and self._kind is Thinking:
                return (Grew(self._block, message.thinking),)
        return self._read(data)

    def end(self) -> Sequence[Event]:
        """The body ended; a good answer would have had its last line."""
        return () if self._ended else self._close()

    def _read(self, data: bytes) -> Sequence[Event]:
        """Take any line."""
        value = load(data)
        if not isinstance(value, dict):
            return ()
        if value.get("error"):
            self._ended = True
            return [Erred(*read_error(data))]
        events = self._begin(value)
        thinking, content = spoken(value)
        if thinking:
            events += self._grow(Thinking, thinking)
        if content:
            events += self._grow(Text, content)
        for image in images(value):
            events += [*self._close(), self._open(image), Closed(self._block)]
        events += self._call(value)
        if probable := openai_logprobs(value.get("logprobs")):
            events.append(Probable(probable))
        if value.get("done") is True:
            events += self._finish(value)
        return events

    def _begin(self, line: Mapping[str, object]) -> list[Event]:
        if self._began:
            return []
        self._began = True
        created_at, model = text(line.get("created_at")), text(line.get("model"))
        self._seed = (created_at, model)
        return [Began(model=model, created=seconds(created_at))]

    def _grow(self, kind: type[Text | Thinking], piece: str) -> list[Event]:
        """A piece of words, in the open block if that is of its kind."""
        if self._kind is kind:
            return [Grew(self._block, piece)]
        before = self._close()
        opened = self._open(kind(""))
        self._kind = kind
        return [*before, opened, Grew(self._block, piece)]

    def _call(self, line: Mapping[str, object]) -> list[Event]:
        events: list[Event] = []
        for call in calls(line, *self._seed, self._called):
            self._called += 1
            events += self._close()
            events.append(self._open(msgspec.structs.replace(call, arguments="")))
            events += [Grew(self._block, call.arguments), Closed(self._block)]
        return events

    def _open(self, part: Part) -> Opened:
        self._block += 1
        return Opened(self._block, part)

    def _close(self) -> list[Event]:
        """Close the open block of words, if there is one."""
        if self._kind is None:
            return []
        self._kind = None
        return [Closed(self._block)]

    def _finish(self, line: Mapping[str, object]) -> list[Event]:
        self._ended = True
        events: list[Event] = self._close()
        usage = counts(mapping(line))
        events.append(Finished(reason(text(line.get("done_reason")), called=bool(self._called))))
        if usage != Usage():
            events.append(Counted(usage))
        events.append(Ended())
        return events
