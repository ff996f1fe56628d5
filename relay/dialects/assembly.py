"""A stream's events as a whole answer, and a whole answer as events."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from relay.chat import Choice, Citation, Completion, Part, Refusal, Seal, Text, Thinking, ToolCall
from relay.events import (
    Began,
    Cited,
    Closed,
    Counted,
    Ended,
    Event,
    Finished,
    Grew,
    Opened,
    Probable,
    Sealed,
)
from relay.exchange import Usage


class _Block:
    """A block while it grows."""

    __slots__ = ("choice", "citations", "part", "pieces", "seal")

    def __init__(self, part: Part, choice: int) -> None:
        self.part = part
        self.choice = choice
        self.pieces: list[str] = []
        self.citations: list[Citation] = []
        self.seal: Seal | None = None

    def whole(self) -> Part:
        part, grown = self.part, "".join(self.pieces)
        if isinstance(part, Text):
            sources = (*part.citations, *self.citations)
            return msgspec.structs.replace(part, text=part.text + grown, citations=sources, seal=self.seal or part.seal)
        if isinstance(part, Thinking):
            return msgspec.structs.replace(part, text=part.text + grown, seal=self.seal or part.seal)
        if isinstance(part, ToolCall):
            return msgspec.structs.replace(part, arguments=_arguments(part, grown), seal=self.seal or part.seal)
        if isinstance(part, Refusal):
            return Refusal(part.text + grown)
        return part


def _arguments(call: ToolCall, grown: str) -> str:
    text = call.arguments + grown
    return text if text.strip() or call.custom else "{}"


class Assembly:
    """Collects events; `completion` is what they say so far."""

    __slots__ = ("_began", "_blocks", "_finished", "_probable", "usage")

    def __init__(self) -> None:
        self._began = Began()
        self._blocks: dict[int, _Block] = {}
        self._finished: dict[int, Finished] = {}
        self._probable: dict[int, list[bytes]] = {}
        self.usage = Usage()

    def take(self, event: Event) -> None:
        """Take one event."""
        match event:
            case Grew():
                self._blocks[event.block].pieces.append(event.text)
            case Opened():
                self._blocks[event.block] = _Block(event.part, event.choice)
            case Sealed():
                self._blocks[event.block].seal = event.seal
            case Cited():
                self._blocks[event.block].citations.append(event.citation)
            case Began():
                self._began = event
            case Finished():
                self._finished[event.choice] = event
            case Counted():
                self.usage = merged(self.usage, event.usage)
            case Probable():
                self._probable.setdefault(event.choice, []).append(event.logprobs)

    def completion(self) -> Completion:
        """The answer so far, blocks in the order in which they were opened."""
        indexes = sorted({0, *self._finished, *(block.choice for block in self._blocks.values())})
        began = self._began
        return Completion(
            id=began.id,
            model=began.model,
            choices=tuple(map(self._choice, indexes)),
            usage=self.usage,
            created=began.created,
            tier=began.tier,
            fingerprint=began.fingerprint,
        )

    def _choice(self, index: int) -> Choice:
        finished = self._finished.get(index)
        blocks = (self._blocks[number] for number in sorted(self._blocks))
        return Choice(
            parts=tuple(block.whole() for block in blocks if block.choice == index),
            finish=finished.reason if finished else "",
            stop=finished.stop if finished else "",
            logprobs=joined(self._probable.get(index, [])),
            index=index,
        )


def assemble(events: Iterable[Event]) -> Completion:
    """The whole answer that a stream of events makes."""
    assembly = Assembly()
    for event in events:
        assembly.take(event)
    return assembly.completion()


def disassemble(completion: Completion) -> list[Event]:
    """The events of a whole answer, as a stream would have brought them."""
    events: list[Event] = [
        Began(completion.id, completion.model, completion.created, completion.tier, completion.fingerprint)
    ]
    block = 0
    for choice in completion.choices:
        for part in choice.parts:
            events += _block(block, part, choice.index)
            block += 1
        if choice.logprobs:
            events.append(Probable(choice.logprobs, choice.index))
        if choice.finish:
            events.append(Finished(choice.finish, choice.stop, choice.index))
    if completion.usage != Usage():
        events.append(Counted(completion.usage))
    events.append(Ended())
    return events


def _block(number: int, part: Part, choice: int) -> list[Event]:
    text, bare = "", part
    seal: Seal | None = None
    citations: tuple[Citation, ...] = ()
    if isinstance(part, Text):
        text, seal, citations = part.text, part.seal, part.citations
        bare = msgspec.structs.replace(part, text="", seal=None, citations=())
    elif isinstance(part, Thinking) and not part.redacted:
        text, seal = part.text, part.seal
        bare = msgspec.structs.replace(part, text="", seal=None)
    elif isinstance(part, ToolCall):
        text, bare = part.arguments, msgspec.structs.replace(part, arguments="")  # its proof may go into its id
    elif isinstance(part, Refusal):
        text, bare = part.text, Refusal("")
    events: list[Event] = [Opened(number, bare, choice)]
    if text:
        events.append(Grew(number, text, choice))
    events += (Cited(number, citation) for citation in citations)
    if seal is not None:
        events.append(Sealed(number, seal))
    events.append(Closed(number))
    return events


def merged(before: Usage, now: Usage) -> Usage:
    """The later report on top of the earlier one, field by field."""
    if before == Usage():
        return now
    fields = {name: value for name in now.__struct_fields__ if (value := getattr(now, name)) is not None}
    return msgspec.structs.replace(before, **fields)


def joined(pieces: list[bytes]) -> bytes:
    """Log probabilities that came in pieces, as one object: lists of the same name are put together."""
    if len(pieces) < 2:
        return pieces[0] if pieces else b""
    whole: dict[str, list[msgspec.Raw]] = {}
    for piece in pieces:
        for name, values in msgspec.json.decode(piece, type=dict[str, list[msgspec.Raw] | None]).items():
            whole.setdefault(name, []).extend(values or ())
    return msgspec.json.encode(whole)
