"""Output items while they are written: the events of each kind of block, and the item that it becomes.

An item's text is kept as JSON text, because three later events repeat it: that of the part, that of the item
and the last one of the stream.

See: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable

from relay.chat import Citation, Refusal, Seal, Text, Thinking
from relay.dialects.carry import wrap
from relay.dialects.quoting import encode, quoted
from relay.dialects.responses.parts import ORIGIN

Emit = Callable[[bytes, bytes], None]
"""Writes an event: its name and the members of its JSON besides type and sequence number."""


class Item:
    """An output item that has been announced.

    Attributes:
        place: its index in the output.
        identity: its id.
        json: the item as JSON text once it is complete, else b"".
    """

    __slots__ = ("identity", "json", "place")

    def __init__(self, place: int, identity: str) -> None:
        self.place = place
        self.identity = identity
        self.json = b""

    def where(self) -> bytes:
        """The members that say which item an event is about."""
        return b'"item_id":%b,"output_index":%d' % (quoted(self.identity), self.place)

    def added(self, emit: Emit, item: bytes) -> None:
        """Announce it."""
        emit(b"response.output_item.added", b'"output_index":%d,"item":%b' % (self.place, item))

    def done(self, emit: Emit, item: bytes) -> None:
        """Tell that it is complete, and keep it."""
        self.json = item
        emit(b"response.output_item.done", b'"output_index":%d,"item":%b' % (self.place, item))


class Growth:
    """Text that grows, and the frame that tells of more of it.

    Args:
        name: the event's name.
        where: the members that say what grows.
        more: members behind the text.
    """

    __slots__ = ("_frame", "overhead", "text")

    def __init__(self, name: bytes, where: bytes, more: bytes = b"") -> None:
        begin = b'event: %b\ndata: {"type":"%b","sequence_number":' % (name, name)
        self._frame = (begin, b',%b,"delta":' % where, more + b"}\n\n")
        self.overhead = sum(map(len, self._frame))
        self.text = bytearray()  # JSON text of the string so far, without its quotes

    def add(self, text: str, number: int) -> bytes:
        """Take more text; returns the frame, ``number`` being its place in the stream."""
        words = quoted(text)
        self.text += words[1:-1]
        begin, where, end = self._frame
        return b"%b%d%b%b%b" % (begin, number, where, words, end)

    def whole(self) -> bytes:
        """The text as JSON text; it is given up."""
        whole = b'"%b"' % bytes(self.text)
        self.text = bytearray()
        return whole


class MessageItem(Item):
    """A message; its parts are `TextBlock`s."""

    __slots__ = ("_parts", "open")

    def __init__(self, place: int, identity: str) -> None:
        super().__init__(place, identity)
        self._parts: list[bytes] = []
        self.open = 0  # parts that are not complete

    def begin(self, emit: Emit) -> None:
        """Announce it, empty."""
        self.added(emit, self._json(b"in_progress", b""))

    def part(self) -> int:
        """The index of one more part."""
        self._parts.append(b"")
        self.open += 1
        return len(self._parts) - 1

    def filled(self, index: int, part: bytes) -> None:
        """A part is complete."""
        self._parts[index] = part
        self.open -= 1

    def finish(self, emit: Emit, status: bytes) -> None:
        """It is complete."""
        self.done(emit, self._json(status, b",".join(self._parts)))
        self._parts.clear()

    def _json(self, status: bytes, content: bytes) -> bytes:
        return b'{"id":%b,"type":"message","status":"%b","role":"assistant","content":[%b]}' % (
            quoted(self.identity),
            status,
            content,
        )


class TextBlock:
    """A `Text` or `Refusal` as a part of a message, its ``item``."""

    __slots__ = ("_annotations", "_index", "_logprobs", "_refusal", "growth", "item", "silent")

    def __init__(self, item: MessageItem, part: Text | Refusal) -> None:
        self.item = item
        self.silent = False
        self._index = item.part()
        self._refusal = isinstance(part, Refusal)
        self._annotations: list[bytes] = []
        self._logprobs: list[bytes] = []
        if self._refusal:
            self.growth = Growth(b"response.refusal.delta", self._where())
        else:
            self.growth = Growth(b"response.output_text.delta", self._where(), b',"logprobs":[]')

    def begin(self, emit: Emit) -> None:
        """Announce the part, empty."""
        emit(b"response.content_part.added", self._where() + b',"part":' + self._json(b'""', b""))

    def probable(self, emit: Emit, text: str, logprobs: bytes) -> int:
        """Write more text, maybe none, with its log probabilities; returns the bytes kept.

        Args:
            emit: writes an event.
            text: the text.
            logprobs: members of the list, JSON text, not empty.
        """
        self._logprobs.append(logprobs)
        if text:
            words = quoted(text)
            self.growth.text += words[1:-1]
            emit(b"response.output_text.delta", b'%b,"delta":%b,"logprobs":[%b]' % (self._where(), words, logprobs))
        return len(text) + len(logprobs)

    def cite(self, emit: Emit, citation: Citation) -> int:
        """Write a source; returns the bytes kept of it."""
        note = annotation(citation)
        if self._refusal or not note:
            return 0
        emit(
            b"response.output_text.annotation.added",
            b'%b,"annotation_index":%d,"annotation":%b' % (self._where(), len(self._annotations), note),
        )
        self._annotations.append(note)
        return len(note)

    def end(self, emit: Emit) -> None:
        """The part is complete."""
        text = self.growth.whole()
        probable = b",".join(self._logprobs)
        if self._refusal:
            emit(b"response.refusal.done", b'%b,"refusal":%b' % (self._where(), text))
        else:
            emit(b"response.output_text.done", b'%b,"text":%b,"logprobs":[%b]' % (self._where(), text, probable))
        part = self._json(text, probable)
        emit(b"response.content_part.done", self._where() + b',"part":' + part)
        self.item.filled(self._index, part)

    def _where(self) -> bytes:
        return b'%b,"content_index":%d' % (self.item.where(), self._index)

    def _json(self, text: bytes, logprobs: bytes) -> bytes:
        if self._refusal:
            return b'{"type":"refusal","refusal":%b}' % text
        notes = b",".join(self._annotations)
        return b'{"type":"output_text","text":%b,"annotations":[%b],"logprobs":[%b]}' % (text, notes, logprobs)


class ThinkingBlock(Item):
    """A `Thinking`: an item of its own, shown as a summary or as the reasoning itself.

    Args:
        place: its index in the output.
        identity: its id.
        part: the thinking as far as it is known.
        summary: whether its text is shown as a summary.
    """

    __slots__ = ("_redacted", "_summary", "growth", "seal", "silent")

    def __init__(self, place: int, identity: str, part: Thinking, *, summary: bool) -> None:
        super().__init__(place, identity)
        self.silent = False
        self._redacted = part.redacted
        self._summary = summary
        self.seal: Seal | None = part.seal
        name = b"response.reasoning_summary_text.delta" if summary else b"response.reasoning_text.delta"
        self.growth = Growth(name, self._where())

    def begin(self, emit: Emit) -> None:
        """Announce it, empty."""
        self.added(emit, self._json(b"", b""))
        if self._redacted:
            return
        name = b"response.reasoning_summary_part.added" if self._summary else b"response.content_part.added"
        emit(name, self._where() + b',"part":' + self._part(b'""'))

    def end(self, emit: Emit) -> None:
        """It is complete."""
        part = b""
        if not self._redacted:
            text = self.growth.whole()
            part = self._part(text)
            kind = b"reasoning_summary" if self._summary else b"reasoning"
            emit(b"response.%b_text.done" % kind, b'%b,"text":%b' % (self._where(), text))
            kind = b"reasoning_summary_part" if self._summary else b"content_part"
            emit(b"response.%b.done" % kind, self._where() + b',"part":' + part)
        self.done(emit, self._json(part, quoted(wrap(self.seal, ORIGIN)) if self.seal else b""))

    def _where(self) -> bytes:
        return self.where() + (b',"summary_index":0' if self._summary else b',"content_index":0')

    def _part(self, text: bytes) -> bytes:
        return b'{"type":"%b","text":%b}' % (b"summary_text" if self._summary else b"reasoning_text", text)

    def _json(self, part: bytes, seal: bytes) -> bytes:
        summary, content = (part, b"") if self._summary else (b"", part)
        shown = b'"summary":[%b]' % summary + (b',"content":[%b]' % content if content else b"")
        proof = b',"encrypted_content":' + seal if seal else b""
        return b'{"id":%b,"type":"reasoning",%b%b}' % (quoted(self.identity), shown, proof)


def annotation(citation: Citation) -> bytes:
    """A source as an annotation, b"" if it has none of the forms that there are."""
    if citation.origin == ORIGIN and citation.native:
        return citation.native
    if citation.url:
        start = citation.start or 0
        return encode(
            {
                "type": "url_citation",
                "url": citation.url,
                "title": citation.title,
                "start_index": start,
                "end_index": citation.end if citation.end is not None else start,
            }
        )
    if citation.title:
        return encode({"type": "file_citation", "file_id": "", "filename": citation.title, "index": citation.end or 0})
    return b""
