"""Understanding one choice: what a delta, or a whole message, adds to it."""

from __future__ import annotations

from typing import Any

import msgspec

from relay.chat import Refusal, Text, Thinking, ToolCall
from relay.dialects.carry import made_id
from relay.dialects.lenient import mapping, sequence, text
from relay.dialects.openai.blocks import Blocks, Events, Numbers, as_given
from relay.dialects.openai.calls import Calls, OpenCall, Piece, free_text, read_function_call, read_piece
from relay.dialects.openai.chunks import Choice, Delta, Halves, mended
from relay.dialects.openai.citations import read_annotations, read_sources
from relay.dialects.openai.finish import read_finish
from relay.dialects.openai.parts import read_content, thinking_words
from relay.dialects.openai.produced import produced
from relay.dialects.openai.thoughts import from_entry, is_redacted, without_words, words
from relay.errors import InvalidRequest
from relay.events import Cited, Closed, Finished, Grew, Opened, Probable, Sealed


class _Logprobs(msgspec.Struct):
    """Log probabilities as OpenAI gives them."""

    content: list[Any] | None = None
    refusal: list[Any] | None = None


class ChoiceReader:
    """Reads one choice.

    Attributes:
        finished: whether its finish reason came; what follows is not heard.
    """

    __slots__ = ("_blocks", "_calls", "_halves", "_index", "_refused", "finished")

    def __init__(self, index: int, numbers: Numbers) -> None:
        self._index = index
        self._blocks = Blocks(index, numbers)
        self._calls = Calls()
        self._halves: tuple[Halves, Halves] | None = None
        self._refused = False
        self.finished = False

    def take(self, choice: Choice, out: Events, *, sound: bool, seed: bytes, lists: dict[str, object]) -> None:
        """Take what a chunk says of this choice.

        Args:
            choice: what it says; of delta and message the delta counts, since Perplexity repeats all in the message.
            out: where events go.
            sound: whether the chunk was as it should be; the text of others may hold halves of characters.
            seed: what ids are made from.
            lists: sources that stand beside the choices.
        """
        delta = choice.delta or choice.message
        if delta is not None:
            if not sound:
                delta = self._mend(delta)
            if not self._usual(delta, out):
                self._delta(delta, out, whole=choice.delta is None, seed=seed)
        if choice.logprobs:
            self._probable(choice, out)
        if choice.finish_reason:
            self.finish(text(choice.finish_reason), out, lists)

    def finish(self, reason: str, out: Events, lists: dict[str, object]) -> None:
        """The finish reason came, or a good end without one."""
        self.close(out, lists)
        self.finished = True
        called = bool(self._calls.all)
        out.append(Finished(read_finish(reason, called=called, refused=self._refused), "", self._index))

    def close(self, out: Events, lists: dict[str, object]) -> None:
        """Close what is open."""
        blocks = self._blocks
        blocks.flush(out)
        if lists and self._index == 0 and blocks.kind is Text and blocks.block >= 0:
            out += (Cited(blocks.block, source) for source in read_sources(lists))
        blocks.close(out)
        for call in self._calls.all:
            self._settle(call, out)

    def _usual(self, delta: Delta, out: Events) -> bool:
        """Take a delta that only adds to what is open, as nearly all of them do; False if it is another one."""
        if delta.is_rare():
            return False
        blocks, content, calls = self._blocks, delta.content, delta.tool_calls
        if calls:
            grown = self._calls.grown(calls) if not content and not delta.is_reasoning() else None
            if grown is None:
                return False
            out.append(Grew(grown[0], grown[1], self._index))
            return True
        if blocks.block < 0 or blocks.tags is not None:
            return False
        if delta.is_reasoning():
            words = delta.reasoning_content or delta.reasoning
            if content or blocks.kind is not Thinking or blocks.key is not None or type(words) is not str:
                return False
            out.append(Grew(blocks.block, words, self._index))
            return True
        if type(content) is not str or blocks.kind is not Text:
            return False
        if content:
            out.append(Grew(blocks.block, content, self._index))
        return True

    def _delta(self, delta: Delta, out: Events, *, whole: bool, seed: bytes) -> None:
        """All that a delta may hold, in the order in which it belongs."""
        blocks = self._blocks
        self._thoughts(delta, out, whole=whole)
        if isinstance(delta.content, str):
            if delta.content:
                blocks.say(delta.content, out)
        elif delta.content:
            self._listed(delta.content, out)
        if isinstance(delta.refusal, str) and delta.refusal:
            blocks.grow(Refusal, delta.refusal, out)
            self._refused = True
        if delta.annotations:
            blocks.cite(list(read_annotations(delta.annotations)), out)
        if delta.extra_content:
            blocks.sign(delta.extra_content, out)
        for part in produced(delta.images, delta.audio):
            if isinstance(part, Text):
                blocks.say(part.text, out)
            else:
                blocks.put(part, out)
        if delta.tool_calls or delta.function_call:
            self._called(delta, out, whole=whole, seed=seed)

    def _listed(self, content: object, out: Events) -> None:
        """Content as a list: Mistral's thoughts and texts, images."""
        blocks = self._blocks
        for item in sequence(content):
            entry = mapping(item)
            kind = text(entry.get("type"))
            if kind == "thinking":
                blocks.tags = None
                if said := thinking_words(entry.get("thinking")):
                    blocks.grow(Thinking, said, out)
            elif said := text(entry.get("text")) or text(item):
                blocks.say(said, out)
            elif kind == "image_url":
                try:
                    parts = read_content([item], "content")
                except InvalidRequest:
                    continue
                for part in parts:
                    blocks.put(part, out)

    # ── reasoning apart from text ────────────────────────────────────────────────────

    def _thoughts(self, delta: Delta, out: Events, *, whole: bool) -> None:
        """Reasoning in any of its fields; where two say the same, the entries count."""
        plain = text(delta.reasoning_content) or text(delta.reasoning)
        if not (plain or delta.reasoning_details or delta.thinking_blocks):
            return
        entries = [*map(mapping, sequence(delta.reasoning_details)), *map(mapping, sequence(delta.thinking_blocks))]
        told = (bool(delta.reasoning_details) or whole) and any(map(words, entries))
        if plain or entries:
            self._blocks.tags = None
        if plain and not told:
            self._blocks.grow(Thinking, plain, out)
        for entry in entries:
            self._entry(dict(entry), out, spoken=bool(plain) and not told, whole=whole)

    def _entry(self, entry: dict[str, Any], out: Events, *, spoken: bool, whole: bool) -> None:
        """One entry of ``reasoning_details`` or ``thinking_blocks``, or a piece of one.

        Args:
            entry: what came.
            out: where events go.
            spoken: whether its words came in a field of their own with it.
            whole: whether it is all of the entry.
        """
        thought = from_entry(entry)
        if thought is None:
            return
        blocks = self._blocks
        if is_redacted(entry) or (whole and thought.text):
            blocks.put(thought, out)
            return
        key = (entry.get("type"), entry.get("index"))
        going = blocks.block >= 0 and blocks.kind is Thinking
        proves = going and blocks.key is None and (spoken or thought.seal is not None)
        if not proves:  # else the words came in plain, and this is only their proof
            if not going or blocks.key != key:
                blocks.open(Thinking(id=thought.id, summary=thought.summary), out)
                blocks.key = key
            if thought.text and not spoken:
                out.append(Grew(blocks.block, thought.text, self._index))
        if thought.seal is not None:
            blocks.entry = without_words(entry)
            if entry.get("signature"):
                blocks.close(out)

    # ── calls ────────────────────────────────────────────────────────────────────────

    def _called(self, delta: Delta, out: Events, *, whole: bool, seed: bytes) -> None:
        pieces = [read_piece(call) for call in sequence(delta.tool_calls)]
        if not pieces and mapping(delta.function_call):
            old = read_function_call(delta.function_call)
            pieces = [old] if old.name or old.words else []
        for place, piece in enumerate(pieces):
            call, new = self._calls.of(piece, place, alone=len(pieces) == 1, whole=whole)
            if new:
                call.given = bool(piece.id)
                call.id = piece.id or made_id("call_", seed, self._index, len(self._calls.all))
            elif piece.id and not call.given and call.block < 0:
                call.given, call.id = True, piece.id
            self._more(call, piece, out)

    def _more(self, call: OpenCall, piece: Piece, out: Events) -> None:
        if not call.name and piece.name:
            call.named(piece.name)
        if call.block < 0 and call.name:
            self._open(call, out, custom=piece.custom)
        if piece.words:
            self._add(call, piece.words, out)
        if piece.proof is not None and call.block >= 0:
            out.append(Sealed(call.block, as_given(piece.proof)))

    def _open(self, call: OpenCall, out: Events, *, custom: bool) -> None:
        self._blocks.close(out)
        call.block = self._blocks.numbers.next()
        part = ToolCall(call.id, call.name, "", custom=custom or call.free, namespace=call.space)
        out.append(Opened(call.block, part, self._index))
        held, call.held = call.held, []
        for words_held in held:
            self._add(call, words_held, out)

    def _add(self, call: OpenCall, said: str, out: Events) -> None:
        if not call.given:
            call.text += said
        if call.block < 0 or call.free:
            call.held.append(said)
        else:
            out.append(Grew(call.block, said, self._index))

    def _settle(self, call: OpenCall, out: Events) -> None:
        """Close a call; one that never got a name is shown without."""
        if call.block < 0:
            self._open(call, out, custom=False)
        if call.free and (said := free_text("".join(call.held))):
            out.append(Grew(call.block, said, self._index))
        out.append(Closed(call.block))

    # ── the rest ─────────────────────────────────────────────────────────────────────

    def _probable(self, choice: Choice, out: Events) -> None:
        try:
            found = msgspec.convert(mended(choice.logprobs), _Logprobs)
        except msgspec.ValidationError:
            return
        if found.content or found.refusal:
            out.append(Probable(msgspec.json.encode(found), self._index))

    def _mend(self, delta: Delta) -> Delta:
        """A delta in which halves of characters were put together, across chunks for text and reasoning."""
        content, thought = self._halves = self._halves or (Halves(), Halves())
        changed: dict[str, Any] = {}
        for name in delta.__struct_fields__:
            value = getattr(delta, name)
            if name == "content" and isinstance(value, str):
                changed[name] = content.mend(value)
            elif name in ("reasoning_content", "reasoning") and isinstance(value, str):
                changed[name] = thought.mend(value)
            else:
                changed[name] = mended(value)
        return Delta(**changed)
