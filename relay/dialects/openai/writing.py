"""A streamed answer as clients of ``/v1/chat/completions`` read it.

See: https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11). The first chunk of a choice says
its role; finish reasons are held back to the end, and behind them comes the usage, if it was asked for. Chunks
of tool calls, images, ``thinking_blocks`` and ``reasoning_details`` carry an ``index``: SDKs put such lists together
by it. A thought's proof is shown when its block closes, together with all its words, because two thoughts may
not be mixed up; the words of one open thought are kept for that, up to `_LONGEST_THOUGHT` characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from relay.chat import Citation, Media, Part, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import merged
from relay.dialects.carry import made_id
from relay.dialects.codec import Asked
from relay.dialects.openai.answer import image, is_legacy, signature, sound
from relay.dialects.openai.citations import annotation
from relay.dialects.openai.errors import stream_error
from relay.dialects.openai.finish import write_finish
from relay.dialects.openai.listening import DONE
from relay.dialects.openai.thoughts import shown
from relay.dialects.openai.usage import write_usage
from relay.errors import RelayError
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage

_LONGEST_THOUGHT = 1 << 20
_encode = msgspec.json.Encoder().encode


class _Block:
    """A block that is open.

    Attributes:
        part: as it was opened.
        choice: the choice's number.
        head: all that stands before the words in a chunk that adds to it.
        tail: all that stands behind them.
        words: a thought's words so far, None when they are not kept.
        wrote: whether anything of it went out.
    """

    __slots__ = ("choice", "head", "number", "part", "seal", "size", "sources", "start", "tail", "words", "wrote")

    def __init__(self, part: Part, choice: int, head: bytes, tail: bytes) -> None:
        self.part = part
        self.choice = choice
        self.head = head
        self.tail = tail
        self.number = 0
        self.words: list[str] | None = [] if isinstance(part, Thinking) else None
        self.size = 0
        self.seal: Seal | None = getattr(part, "seal", None)
        self.sources: list[Citation] = []
        self.start = 0
        self.wrote = False


class _State:
    """What is known of one choice."""

    __slots__ = ("calls", "finish", "images", "length", "proofs", "refused")

    def __init__(self) -> None:
        self.finish = ""
        self.calls = 0
        self.images = 0
        self.proofs: dict[str, int] = {}
        self.refused = False
        self.length = 0


class ChatWriter:
    """Writes one stream. `fail` and `end` are the last call."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._legacy = is_legacy(asked)
        self._began = Began()
        self._head = b""
        self._blocks: dict[int, _Block] = {}
        self._states: dict[int, _State] = {}
        self._usage = Usage()

    def write(self, events: Sequence[Event]) -> bytes:
        """Take events; return complete frames."""
        out: list[bytes] = []
        for event in events:
            kind = type(event)
            if kind is Grew:
                block = self._blocks[event.block]  # type: ignore[union-attr]
                out.append(self._grow(block, event.text))  # type: ignore[union-attr]
            elif kind is not Counted:
                out.append(self._other(event))
            else:
                self._usage = merged(self._usage, event.usage)  # type: ignore[union-attr]
        return b"".join(out)

    def end(self) -> bytes:
        """What was held back: open blocks, finish reasons, usage, ``[DONE]``."""
        out = [self._close(number) for number in sorted(self._blocks)]
        if not self._states:
            out.append(self._role(0))
        for index in sorted(self._states):
            state = self._states[index]
            called = state.calls > 0
            reason = write_finish(state.finish, called=called, refused=state.refused, legacy=self._legacy)
            out.append(self._chunk(index, {}, reason))
        usage = write_usage(self._usage) if self._wants_usage() else None
        if usage:
            out.append(self._head + b'"choices":[],"usage":' + _encode(usage) + b"}\n\n")
        out.append(DONE)
        return b"".join(out)

    def fail(self, error: RelayError) -> bytes:
        """The in-stream error."""
        return stream_error(error, self._asked.request_id)

    def _wants_usage(self) -> bool:
        return self._asked.request is not None and bool(self._asked.request.wants_usage)

    def _other(self, event: Event) -> bytes:
        """Any event but growth and usage."""
        match event:
            case Opened():
                return self._open(event)
            case Closed():
                return self._close(event.block)
            case Sealed():
                return self._seal(self._blocks[event.block], event.seal)
            case Cited():
                self._blocks[event.block].sources.append(event.citation)
            case Probable():
                return self._role(event.choice) + self._chunk(event.choice, {}, None, event.logprobs)
            case Finished():
                start = self._role(event.choice)
                self._states[event.choice].finish = event.reason
                return start
            case Began():
                self._began = event
        return b""

    # ── blocks ───────────────────────────────────────────────────────────────────────

    def _open(self, event: Opened) -> bytes:
        part, choice = event.part, event.choice
        start = self._role(choice)
        state = self._states[choice]
        if isinstance(part, ToolCall):
            return start + self._call(event, part, state)
        if isinstance(part, Media):
            return start + self._media(part, choice, state)
        name = {Text: "content", Thinking: "reasoning_content", Refusal: "refusal"}.get(type(part))
        if name is None:  # another dialect's own part: there is no place for it
            self._blocks[event.block] = _Block(part, choice, b"", b"")
            return start
        head, tail = self._around(choice, f'"{name}":'.encode(), b"")
        block = self._blocks[event.block] = _Block(part, choice, head, tail)
        block.start = state.length
        if isinstance(part, Refusal):
            state.refused = True
        if isinstance(part, Text):
            block.sources += part.citations
        if isinstance(part, Thinking) and part.redacted:
            block.words = None
            return start
        words = getattr(part, "text", "")
        grown = self._grow(block, words) if words else b""
        return start + grown + (self._signed(choice, part.seal) if isinstance(part, Text) and part.seal else b"")

    def _call(self, event: Opened, part: ToolCall, state: _State) -> bytes:
        """The first chunk of a tool call: id, name, and the arguments so far."""
        number, state.calls = state.calls, state.calls + 1
        if self._legacy:
            inside, end = b'"function_call":{"arguments":', b"}"
            first: dict[str, Any] = {"function_call": {"name": part.name, "arguments": part.arguments}}
        else:
            member = b"custom" if part.custom else b"function"
            words = b"input" if part.custom else b"arguments"
            inside = b'"tool_calls":[{"index":%d,"%b":{"%b":' % (number, member, words)
            end = b"}}]"
            body = {"name": part.name, words.decode(): part.arguments}
            kind = member.decode()
            entry: dict[str, Any] = {"index": number, "id": part.id, "type": kind, kind: body}
            if part.seal is not None:
                entry["extra_content"] = signature(part.seal)
            first = {"tool_calls": [entry]}
        block = self._blocks[event.block] = _Block(part, event.choice, *self._around(event.choice, inside, end))
        block.number = number
        block.wrote = bool(part.arguments)
        if self._legacy and number:  # there is room for one
            block.head = b""
            return b""
        return self._chunk(event.choice, first, None)

    def _media(self, part: Media, choice: int, state: _State) -> bytes:
        if part.kind == "image" and (part.data or part.url):
            entry = {"index": state.images, **image(part)}
            state.images += 1
            return self._chunk(choice, {"images": [entry]}, None)
        if part.kind == "audio" and part.data:
            return self._chunk(choice, {"audio": sound(part)}, None)
        return b""

    def _grow(self, block: _Block, words: str) -> bytes:
        if not words or not block.head:
            return b""
        block.wrote = True
        if block.words is not None:
            block.size += len(words)
            if block.size <= _LONGEST_THOUGHT:
                block.words.append(words)
            else:
                block.words.clear()
        elif type(block.part) is Text:
            self._states[block.choice].length += len(words)
        return block.head + _encode(words) + block.tail

    def _seal(self, block: _Block, seal: Seal) -> bytes:
        block.seal = seal
        part = block.part
        if isinstance(part, ToolCall) and block.head and not self._legacy:
            entry = {"index": block.number, "extra_content": signature(seal)}
            return self._chunk(block.choice, {"tool_calls": [entry]}, None)
        return self._signed(block.choice, seal) if isinstance(part, Text) else b""

    def _signed(self, choice: int, seal: Seal) -> bytes:
        """A proof of a text."""
        return self._chunk(choice, {"content": "", "extra_content": signature(seal)}, None)

    def _close(self, number: int) -> bytes:
        """What is only known at the end of a block: ``{}`` for no arguments, proofs, sources."""
        block = self._blocks.pop(number, None)
        if block is None:
            return b""
        part, choice = block.part, block.choice
        if isinstance(part, ToolCall):
            return b"" if block.wrote or part.custom or not block.head else block.head + b'"{}"' + block.tail
        if isinstance(part, Thinking):
            words = part.text if part.redacted else "".join(block.words or ())
            proof = shown(Thinking(words, block.seal, part.redacted, part.id, part.summary))
            return self._proof(choice, *proof) if proof else b""
        end = self._states[choice].length
        found = [each for source in block.sources if (each := annotation(source, block.start, end))]
        return self._chunk(choice, {"annotations": found}, None) if found else b""

    def _proof(self, choice: int, name: str, entry: dict[str, Any]) -> bytes:
        proofs = self._states[choice].proofs
        index = proofs[name] = proofs.get(name, -1) + 1
        return self._chunk(choice, {name: [{"index": index, **entry}]}, None)

    # ── chunks ───────────────────────────────────────────────────────────────────────

    def _role(self, choice: int) -> bytes:
        """The first chunk of a choice, if it has not gone out yet."""
        if choice in self._states:
            return b""
        self._states[choice] = _State()
        if not self._head:
            began, asked = self._began, self._asked
            head: dict[str, Any] = {
                "id": began.id or made_id("chatcmpl-", asked.request_id),
                "object": "chat.completion.chunk",
                "created": began.created or asked.created,
                "model": asked.model,
            }
            head |= {"service_tier": began.tier} if began.tier else {}
            head |= {"system_fingerprint": began.fingerprint} if began.fingerprint else {}
            self._head = b"data: " + _encode(head)[:-1] + b","
        return self._chunk(choice, {"role": "assistant", "content": "", "refusal": None}, None)

    def _chunk(self, choice: int, delta: dict[str, Any], finish: str | None, logprobs: bytes = b"null") -> bytes:
        body = {"index": choice, "delta": delta, "logprobs": msgspec.Raw(logprobs), "finish_reason": finish}
        return self._head + b'"choices":[' + _encode(body) + b"]}\n\n"

    def _around(self, choice: int, inside: bytes, end: bytes) -> tuple[bytes, bytes]:
        """What stands before and behind the words of a chunk that adds them."""
        head = self._head + b'"choices":[{"index":%d,"delta":{' % choice + inside
        return head, end + b'},"logprobs":null,"finish_reason":null}]}\n\n'
