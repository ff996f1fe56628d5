"""The blocks of one choice while a reader makes them: one text, thought or refusal open at a time, calls beside it."""

from __future__ import annotations

from typing import Any

import msgspec

from relay.chat import Citation, Part, Refusal, Seal, Text, Thinking
from relay.dialects.lenient import mapping
from relay.dialects.openai.tags import ThinkTags
from relay.dialects.openai.thoughts import sealed
from relay.events import Cited, Closed, Event, Grew, Opened, Sealed

Events = list[Event]


class Numbers:
    """Gives blocks their numbers, across all choices of an answer."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

    def next(self) -> int:
        """The next number."""
        self._last += 1
        return self._last


class Blocks:
    """What of a choice is open.

    Attributes:
        index: the choice's number.
        block: number of the open text, thought or refusal, -1 for none.
        kind: what it is.
        key: of a thought: type and index of the ``reasoning_details`` entry it is, or None for plain words.
        entry: of a thought that must go back as it came: its entry without words.
        tags: looks for thoughts in the text, None once there can be none.
        sources: sources that came before the text they belong to.
    """

    __slots__ = ("block", "entry", "index", "key", "kind", "numbers", "sources", "tags")

    def __init__(self, index: int, numbers: Numbers) -> None:
        self.index = index
        self.numbers = numbers
        self.block = -1
        self.kind: type[Part] = Text
        self.key: tuple[object, object] | None = None
        self.entry: dict[str, Any] | None = None
        self.tags: ThinkTags | None = ThinkTags()
        self.sources: list[Citation] = []

    def say(self, said: str, out: Events) -> None:
        """Text, in which there may be thoughts between tags."""
        tags = self.tags
        if tags is None:
            self.grow(Text, said, out)
            return
        thought, answer = tags.feed(said)
        if tags.plain:
            self.tags = None
        self._both(thought, answer, out)

    def flush(self, out: Events) -> None:
        """What was held back because it might have been a tag."""
        if self.tags is not None:
            tags, self.tags = self.tags, None
            self._both(*tags.end(), out)

    def _both(self, thought: str, answer: str, out: Events) -> None:
        if thought:
            self.grow(Thinking, thought, out)
        if answer:
            self.grow(Text, answer, out)

    def grow(self, kind: type[Text | Thinking | Refusal], said: str, out: Events) -> None:
        """More of a block of this kind; opens it, and closes another one, as needed."""
        if self.block < 0 or self.kind is not kind:
            self.open(kind(""), out)
        out.append(Grew(self.block, said, self.index))

    def open(self, part: Part, out: Events) -> None:
        """Open a block in place of the one that is open."""
        self.close(out)
        self.block, self.kind, self.key, self.entry = self.numbers.next(), type(part), None, None
        out.append(Opened(self.block, part, self.index))
        if self.sources and self.kind is Text:
            out += (Cited(self.block, source) for source in self.sources)
            self.sources = []

    def close(self, out: Events) -> None:
        """Close the block that is open, if one is."""
        if self.block < 0:
            return
        if self.entry is not None and (proof := sealed(self.entry)):
            out.append(Sealed(self.block, proof))
        out.append(Closed(self.block))
        self.block, self.entry = -1, None

    def put(self, part: Part, out: Events) -> None:
        """A part that came whole."""
        self.close(out)
        block = self.numbers.next()
        out += (Opened(block, part, self.index), Closed(block))

    def cite(self, sources: list[Citation], out: Events) -> None:
        """Sources of the text, which may still be to come."""
        if self.block >= 0 and self.kind is Text:
            out += (Cited(self.block, source) for source in sources)
        else:
            self.sources += sources

    def sign(self, extra: object, out: Events) -> None:
        """A proof of the text, as Google's endpoint for this dialect gives it."""
        if not mapping(mapping(extra).get("google")).get("thought_signature"):
            return
        if self.block < 0 or self.kind is not Text:
            self.open(Text(""), out)
        out.append(Sealed(self.block, as_given(extra)))


def as_given(extra: object) -> Seal:
    """``extra_content`` as a proof that only providers of this dialect get back."""
    return Seal("openai", msgspec.json.encode(extra).decode())
