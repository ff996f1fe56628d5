"""Output items while they are written: the events of each kind of block, and the item that it becomes.

An item's text is kept as JSON text, because three later events repeat it: that of the part, that of the item
and the last one of the stream.

See: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable

from relay.chat import Citation, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.carry import tag, wrap
from relay.dialects.lenient import load
from relay.dialects.responses.encoding import dumped, quoted
from relay.dialects.responses.names import own
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

    __slots__ = ("_annotations", "_index", "_logprobs", "_refusal", "_text", "head", "item", "tail")

    def __init__(self, item: MessageItem, part: Text | Refusal) -> None:
        self.item = item
        self._index = item.part()
        self._refusal = isinstance(part, Refusal)
        self._text = bytearray()
        self._annotations: list[bytes] = []
        self._logprobs: list[bytes] = []
        self.head = b"response.refusal.delta" if self._refusal else b"response.output_text.delta"
        self.tail = self._where() + b',"delta":'

    def begin(self, emit: Emit) -> None:
        """Announce the part, empty."""
        emit(b"response.content_part.added", self._where() + b',"part":' + self._json(b'""', b""))

    def delta(self, emit: Emit, text: str, logprobs: bytes = b"") -> int:
        """Write more text; returns the bytes kept of it."""
        quoted_text = quoted(text)
        self._text += quoted_text[1:-1]
        if self._refusal:
            emit(self.head, self.tail + quoted_text)
        else:
            self.probable(logprobs)
            emit(self.head, b'%b%b,"logprobs":[%b]' % (self.tail, quoted_text, logprobs))
        return len(quoted_text)

    def probable(self, logprobs: bytes) -> None:
        """Keep log probabilities: members of the list, JSON text."""
        if logprobs:
            self._logprobs.append(logprobs)

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
        text = b'"%b"' % bytes(self._text)
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

    __slots__ = ("_redacted", "_summary", "_text", "head", "seal", "tail")

    def __init__(self, place: int, identity: str, part: Thinking, *, summary: bool) -> None:
        super().__init__(place, identity)
        self._redacted = part.redacted
        self._summary = summary
        self._text = bytearray()
        self.seal: Seal | None = part.seal
        self.head = b"response.reasoning_summary_text.delta" if summary else b"response.reasoning_text.delta"
        self.tail = self._where() + b',"delta":'

    def begin(self, emit: Emit) -> None:
        """Announce it, empty."""
        self.added(emit, self._json(b"", b""))
        if self._redacted:
            return
        name = b"response.reasoning_summary_part.added" if self._summary else b"response.content_part.added"
        emit(name, self._where() + b',"part":' + self._part(b'""'))

    def delta(self, emit: Emit, text: str, _logprobs: bytes = b"") -> int:
        """Write more text; returns the bytes kept of it."""
        quoted_text = quoted(text)
        self._text += quoted_text[1:-1]
        emit(self.head, self.tail + quoted_text)
        return len(quoted_text)

    def end(self, emit: Emit) -> None:
        """It is complete."""
        part = b""
        if not self._redacted:
            text = b'"%b"' % bytes(self._text)
            part = self._part(text)
            kind = b"reasoning_summary" if self._summary else b"reasoning"
            emit(b"response.%b_text.done" % kind, b'%b,"text":%b' % (self._where(), text))
            kind = b"reasoning_summary_part" if self._summary else b"content_part"
            emit(b"response.%b.done" % kind, self._where() + b',"part":' + part)
        self.done(emit, self._json(part, wrap(self.seal, ORIGIN).encode() if self.seal else b""))
        self._text.clear()

    def _where(self) -> bytes:
        return self.where() + (b',"summary_index":0' if self._summary else b',"content_index":0')

    def _part(self, text: bytes) -> bytes:
        return b'{"type":"%b","text":%b}' % (b"summary_text" if self._summary else b"reasoning_text", text)

    def _json(self, part: bytes, seal: bytes) -> bytes:
        summary, content = (part, b"") if self._summary else (b"", part)
        shown = b'"summary":[%b]' % summary + (b',"content":[%b]' % content if content else b"")
        proof = b',"encrypted_content":' + quoted(seal.decode()) if seal else b""
        return b'{"id":%b,"type":"reasoning",%b%b}' % (quoted(self.identity), shown, proof)


class CallBlock(Item):
    """A `ToolCall`: an item of its own.

    Args:
        place: its index in the output.
        identity: its id.
        call: the call as far as it is known.
        custom: whether the client declared the tool as one of free text.
        namespace: the namespace that the client declared it in, or "".
    """

    __slots__ = ("_call", "_custom", "_namespace", "_text", "_wrapped", "head", "tail")

    def __init__(self, place: int, identity: str, call: ToolCall, *, custom: bool, namespace: str) -> None:
        super().__init__(place, identity)
        self._call = call
        self._custom = custom
        self._wrapped = custom and not call.custom  # the provider knows functions only
        self._namespace = namespace
        self._text = bytearray()
        self.head = b"response.custom_tool_call_input" if custom else b"response.function_call_arguments"
        self.tail = self.where() + b',"delta":'

    def begin(self, emit: Emit) -> None:
        """Announce it, without arguments."""
        self.added(emit, self._json(b"in_progress", b'""'))

    def delta(self, emit: Emit, text: str, _logprobs: bytes = b"") -> int:
        """Write more of the arguments; returns the bytes kept of them."""
        quoted_text = quoted(text)
        self._text += quoted_text[1:-1]
        if not self._wrapped:
            emit(self.head + b".delta", self.tail + quoted_text)
        return len(quoted_text)

    def end(self, emit: Emit) -> None:
        """It is complete; a function without arguments has an empty object of them."""
        if self._wrapped:
            self._wrapped = False
            words = free_text(bytes(self._text))
            self._text.clear()
            if words:
                self.delta(emit, words)
        elif not self._custom and not self._text.strip():
            self._text.clear()
            self.delta(emit, "{}")
        text = b'"%b"' % bytes(self._text)
        emit(self.head + b".done", b'%b,"%b":%b' % (self.where(), b"input" if self._custom else b"arguments", text))
        self.done(emit, self._json(b"completed", text))
        self._text.clear()

    def _json(self, status: bytes, text: bytes) -> bytes:
        call = self._call
        name = own(self._namespace, call.name)
        group = b',"namespace":' + quoted(self._namespace) if self._namespace else b""
        return b'{"id":%b,"type":"%b","status":"%b","%b":%b,"call_id":%b,"name":%b%b}' % (
            quoted(self.identity),
            b"custom_tool_call" if self._custom else b"function_call",
            status,
            b"input" if self._custom else b"arguments",
            text,
            quoted(tag(call.id, call.seal)),
            quoted(name),
            group,
        )


def free_text(escaped: bytes) -> str:
    """The text for a custom tool whose provider could only fill in a function's arguments.

    Such a tool goes out as a function with one string; whatever that is called, it is the text. Arguments
    of another form are the text themselves.
    """
    arguments = load(b'"%b"' % escaped)
    if not isinstance(arguments, str):
        return ""
    filled = load(arguments.encode("utf-8", "surrogatepass"))
    if isinstance(filled, dict):
        words = [value for value in filled.values() if isinstance(value, str)]
        if "input" in filled and isinstance(filled["input"], str):
            return filled["input"]
        if len(filled) == len(words) == 1:
            return words[0]
        if not filled:
            return ""
    return arguments


def annotation(citation: Citation) -> bytes:
    """A source as an annotation, b"" if it has none of the forms that there are."""
    if citation.origin == ORIGIN and citation.native:
        return citation.native
    if citation.url:
        start = citation.start or 0
        return dumped(
            {
                "type": "url_citation",
                "url": citation.url,
                "title": citation.title,
                "start_index": start,
                "end_index": citation.end if citation.end is not None else start,
            }
        )
    if citation.title:
        return dumped({"type": "file_citation", "file_id": "", "filename": citation.title, "index": citation.end or 0})
    return b""
