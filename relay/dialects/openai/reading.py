"""Understanding a streamed answer of Chat Completions, of OpenAI's and of those who imitate it.

A reader keeps no text: only what is open, the few characters at a tag's edge, and for calls without an id their
arguments. ``[DONE]`` after content counts as a good end even where no finish reason came (Snowflake, seen 2026-06).
See: https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence

from relay.dialects.base import Frame
from relay.dialects.codec import Target
from relay.dialects.faults import describe, read_error
from relay.dialects.lenient import mapping, text
from relay.dialects.openai.blocks import Events, Numbers
from relay.dialects.openai.choosing import ChoiceReader
from relay.dialects.openai.chunks import Chunk, mended, read
from relay.dialects.tokens import read_usage
from relay.events import Began, Counted, Ended, Erred, Event


class ChatReader:
    """Reads one stream."""

    __slots__ = ("_begun", "_choices", "_lists", "_numbers", "_over")

    def __init__(self, _target: Target) -> None:
        self._begun = False
        self._over = False
        self._numbers = Numbers()
        self._choices: dict[int, ChoiceReader] = {}
        self._lists: dict[str, object] = {}

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one frame."""
        data = frame.data
        if not data or self._over:
            return ()
        if data.startswith(b"[DONE]"):
            return self._done()
        chunk, sound = read(data)
        if chunk.error or frame.event == b"error":
            self._over = True
            message, code = read_error(data)
            return (Erred(mended(message), mended(code)),)
        return self.take(chunk, sound=sound, seed=data)

    def take(self, chunk: Chunk, *, sound: bool, seed: bytes) -> Events:
        """Take a chunk, or a whole answer, that is no error.

        Args:
            chunk: what it says.
            sound: whether it could be read as it should be; texts of others may hold halves of characters.
            seed: what ids are made from.
        """
        out: Events = []
        choices = chunk.choices
        if not self._begun and (choices or chunk.usage):
            self._begun = True
            out.append(_began(chunk))
        if chunk.citations or chunk.search_results:
            self._lists = mended({"citations": chunk.citations, "search_results": chunk.search_results})
        if choices:
            for choice in choices:
                index = choice.index or 0
                reader = self._choices.get(index)
                if reader is None:
                    reader = self._choices[index] = ChoiceReader(index, self._numbers)
                if not reader.finished:
                    reader.take(choice, out, sound=sound, seed=seed, lists=self._lists)
        if chunk.usage:
            if isinstance(chunk.usage, dict):
                out.append(Counted(read_usage(chunk.usage)))
        elif chunk.x_groq:
            self._groq(chunk.x_groq, out)
        return out

    def end(self) -> Sequence[Event]:
        """The body ended: close what is open."""
        out: Events = []
        if not self._over:
            self._over = True
            for reader in self._choices.values():
                if not reader.finished:
                    reader.close(out, self._lists)
        return out

    def finish(self) -> Events:
        """Finish every choice that spoke, whether or not it said why."""
        out: Events = []
        for reader in self._choices.values():
            if not reader.finished:
                reader.finish("", out, self._lists)
        return out

    def _done(self) -> Events:
        out = self.finish()
        self._over = True
        if not self._begun:
            out.insert(0, Began())
        out.append(Ended())
        return out

    def _groq(self, extra: object, out: Events) -> None:
        """Groq keeps usage, and the reason of an early stop, in an object of its own.

        See: https://console.groq.com/docs/api-reference#chat-create (read 2026-11).
        """
        given = mapping(extra)
        usage = mapping(given.get("usage"))
        if usage:
            if not self._begun:
                self._begun = True
                out.append(Began())
            out.append(Counted(read_usage(usage)))
        if given.get("error"):
            self._over = True
            message, code = describe(given)
            out.append(Erred(mended(message), mended(code)))


def _began(chunk: Chunk) -> Began:
    created = chunk.created
    return Began(
        mended(text(chunk.id)),
        mended(text(chunk.model)),
        int(created) if isinstance(created, int | float) and 0 < created < 1 << 40 else 0,
        mended(text(chunk.service_tier)),
        mended(text(chunk.system_fingerprint)),
    )
