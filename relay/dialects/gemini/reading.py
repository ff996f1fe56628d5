"""Understanding streamed answers of ``streamGenerateContent``.

A chunk is a partial answer; its parts go on where the last chunk's ended. There is no terminal event: a
stream is whole when a finish reason came and the body then ends, so the reasons are told at the end.
See: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse and
https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11).
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from relay.chat import Citation, Finish, Media, Native, Part, Seal, Text, Thinking, ToolCall
from relay.dialects.base import Frame
from relay.dialects.carry import made_id
from relay.dialects.codec import Target
from relay.dialects.faults import describe
from relay.dialects.gemini.grounding import citations, probabilities
from relay.dialects.gemini.naming import FREE_TEXT, free_text
from relay.dialects.gemini.parts import NAME, OUTPUT_TOOL, dump, finish, kind_of, plain_base64
from relay.dialects.gemini.pieces import Arguments
from relay.dialects.gemini.tokens import read_usage
from relay.dialects.lenient import count, load, mapping, sequence, text
from relay.events import Began, Cited, Closed, Counted, Erred, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage

_Count = Annotated[int, msgspec.Meta(ge=0)]


class _TextPart(msgspec.Struct):
    """A part that is text and nothing else."""

    text: str
    thought: bool = False
    thoughtSignature: str = ""


class _TextContent(msgspec.Struct):
    parts: list[_TextPart]


class _TextCandidate(msgspec.Struct):
    content: _TextContent
    index: int = 0
    finishReason: str = ""
    groundingMetadata: msgspec.Raw | None = None
    citationMetadata: msgspec.Raw | None = None
    logprobsResult: msgspec.Raw | None = None


class _Counts(msgspec.Struct):
    """The tokens that a chunk tells."""

    promptTokenCount: _Count | None = None
    toolUsePromptTokenCount: _Count | None = None
    cachedContentTokenCount: _Count | None = None
    candidatesTokenCount: _Count | None = None
    thoughtsTokenCount: _Count | None = None

    def usage(self) -> Usage:
        spoken, thoughts = self.candidatesTokenCount, self.thoughtsTokenCount
        given, tools = self.promptTokenCount, self.toolUsePromptTokenCount
        return Usage(
            input=given if tools is None else (given or 0) + tools,
            cached=self.cachedContentTokenCount,
            output=spoken if thoughts is None else (spoken or 0) + thoughts,
            reasoning=thoughts,
        )


class _TextChunk(msgspec.Struct):
    """The usual chunk: one candidate whose new parts are text."""

    candidates: list[_TextCandidate]
    usageMetadata: _Counts | None = None
    modelVersion: str = ""
    responseId: str = ""
    error: msgspec.Raw | None = None
    promptFeedback: msgspec.Raw | None = None


_MOMENT = re.compile(r"([1-9]\d{3})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z", re.ASCII)
_decode = msgspec.json.Decoder(_TextChunk).decode
_NOTHING: Mapping[str, object] = {}


class _Choice:
    """What is known of one candidate."""

    __slots__ = ("ascii", "block", "called", "calls", "cited", "custom", "finish", "kind", "pending", "pieces", "texts")

    def __init__(self) -> None:
        self.block = -1  # the open block, -1 for none
        self.kind: type[Text] | type[Thinking] | type[ToolCall] = Text  # what it is
        self.texts = 0  # blocks of text so far
        self.ascii = True  # whether the text so far counts the same in bytes and characters
        self.calls = 0  # function calls so far, also those that are answers in disguise
        self.called = False  # whether functions were called
        self.custom = False  # whether the open call takes free text
        self.finish: object = None  # the reason, in Gemini's word or number
        self.cited: set[Citation] = set()
        self.pieces: Arguments | None = None  # of the call that is open
        self.pending: Seal | None = None  # its proof


class GenerateReader:
    """A `relay.dialects.codec.Reader`; see the module."""

    __slots__ = ("_began", "_blocked", "_blocks", "_choices", "_failed", "_response", "_usage")

    def __init__(self, _target: Target) -> None:
        self._began = False
        self._response = ""
        self._blocks = 0
        self._choices: dict[int, _Choice] = {}
        self._usage = Usage()
        self._blocked = False  # whether the prompt was refused
        self._failed = False  # whether an error came

    def read(self, frame: Frame) -> Sequence[Event]:
        """Take one frame."""
        data = frame.data
        if not data or self._failed:
            return ()
        try:
            chunk = _decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._read_any(data)
        if len(chunk.candidates) != 1 or chunk.error is not None or chunk.promptFeedback is not None:
            return self._read_any(data)
        candidate = chunk.candidates[0]
        if candidate.groundingMetadata or candidate.citationMetadata or candidate.logprobsResult:
            return self._read_any(data)
        events: list[Event] = []
        if not self._began:
            self._begin(events, mapping(load(data)))
        choice = self._choice(candidate.index)
        for part in candidate.content.parts:
            self._text(events, choice, candidate.index, part.text, part.thoughtSignature, thought=part.thought)
        if candidate.finishReason:
            choice.finish = candidate.finishReason
        if chunk.usageMetadata is not None:
            self._count(events, chunk.usageMetadata.usage())
        return events

    def end(self) -> Sequence[Event]:
        """The body ended: close what is open, and tell why each candidate ended."""
        if self._failed:
            return ()
        events: list[Event] = []
        for index, choice in self._choices.items():
            self._close(events, choice, index)
            reason = finish(choice.finish, called=choice.called)
            if reason:
                events.append(Finished(reason, choice=index))
        if self._blocked and not any(isinstance(event, Finished) for event in events):
            events.append(Finished(Finish.FILTER))
        return events

    # ── any chunk ────────────────────────────────────────────────────────────────────

    def _read_any(self, data: bytes) -> Sequence[Event]:
        """Take a chunk of any form; a list of chunks is taken one by one."""
        value = load(data)
        events: list[Event] = []
        for chunk in sequence(value) or [value]:
            self.take(events, mapping(chunk))
            if self._failed:
                break
        return events

    def take(self, events: list[Event], chunk: Mapping[str, object]) -> None:
        """Take a decoded chunk, which may be a whole answer."""
        if chunk.get("error"):
            self._failed = True
            events.append(Erred(*describe(chunk)))
            return
        if not chunk:
            return
        if not self._began:
            self._begin(events, chunk)
        for place, candidate in enumerate(map(mapping, sequence(chunk.get("candidates")))):
            index = count(candidate, "index")
            self._candidate(events, candidate, place if index is None else index)
        if text(mapping(chunk.get("promptFeedback")).get("blockReason")):
            self._blocked = True
        self._count(events, read_usage(mapping(chunk.get("usageMetadata"))))

    def _begin(self, events: list[Event], chunk: Mapping[str, object]) -> None:
        self._began = True
        self._response = text(chunk.get("responseId"))
        created = _seconds(text(chunk.get("createTime")))
        tier = text(mapping(chunk.get("usageMetadata")).get("serviceTier"))
        events.append(Began(self._response, text(chunk.get("modelVersion")), created, tier))

    def _choice(self, index: int) -> _Choice:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice()
        return choice

    def _candidate(self, events: list[Event], candidate: Mapping[str, object], index: int) -> None:
        choice = self._choice(index)
        parts = [mapping(part) for part in sequence(mapping(candidate.get("content")).get("parts"))]
        late = [part for part in parts if _only_signed(part)]
        parts = [part for part in parts if not _only_signed(part)]
        spoken = [place for place, part in enumerate(parts) if part.get("text") and part.get("thought") is not True]
        sourced = bool(candidate.get("groundingMetadata") or candidate.get("citationMetadata"))
        for place, part in enumerate(parts):
            self._part(events, choice, index, part, candidate if sourced and place in spoken[-1:] else None)
        if sourced and not spoken:
            self._cite(events, choice, index, candidate)
        for part in late:
            self._part(events, choice, index, part, None)
        chances = probabilities(candidate.get("logprobsResult"))
        if chances:
            events.append(Probable(chances, index))
        choice.finish = candidate.get("finishReason") or choice.finish

    def _count(self, events: list[Event], usage: Usage) -> None:
        """Tell a new count; a detail that is gone from it is 0, because protobuf leaves zeros out."""
        before = self._usage
        if usage in (before, Usage()):
            return
        cached, reasoning = usage.cached, usage.reasoning
        if (cached is None and before.cached and usage.input is not None) or (
            reasoning is None and before.reasoning and usage.output is not None
        ):
            cached = 0 if cached is None and before.cached else cached
            reasoning = 0 if reasoning is None and before.reasoning else reasoning
            usage = Usage(usage.input, cached, None, usage.output, reasoning)
        self._usage = usage
        events.append(Counted(usage))

    # ── parts ────────────────────────────────────────────────────────────────────────

    def _part(
        self,
        events: list[Event],
        choice: _Choice,
        index: int,
        part: Mapping[str, object],
        sources: Mapping[str, object] | None,
    ) -> None:
        """Take a part; ``sources`` is the candidate, where this is the text that its sources speak of."""
        signature = text(part.get("thoughtSignature"))
        if isinstance(part.get("functionCall"), dict):
            self._call(events, choice, index, mapping(part["functionCall"]), signature)
            return
        words = part.get("text")
        if isinstance(words, str):
            self._text(events, choice, index, words, signature, thought=part.get("thought") is True, sources=sources)
            return
        seal = Seal(NAME, signature) if signature else None
        whole = _media(part, seal) or _native(part)
        if whole is not None:
            self._close(events, choice, index)
            self._open(events, choice, index, whole)
            self._close(events, choice, index)
        elif seal is not None:
            self._text(events, choice, index, "", signature, thought=False)

    def _text(
        self,
        events: list[Event],
        choice: _Choice,
        index: int,
        words: str,
        signature: str,
        *,
        thought: bool,
        sources: Mapping[str, object] | None = None,
    ) -> None:
        """Text goes on in the open block; a signed text is a block of its own, a signed thought ends the open one.

        Google asks not to put signed and unsigned texts together.
        """
        kind = Thinking if thought else Text
        if not words and not signature:
            return
        if choice.kind is not kind or choice.pieces is not None or (signature and not thought):
            self._close(events, choice, index)
        if choice.block < 0:
            self._open(events, choice, index, Thinking(summary=True) if thought else Text(""))
        if words:
            if choice.ascii and not thought:
                choice.ascii = words.isascii()
            events.append(Grew(choice.block, words, index))
        if sources is not None:
            self._cite(events, choice, index, sources)
        if signature:
            events.append(Sealed(choice.block, Seal(NAME, signature)))
            self._close(events, choice, index)

    def _call(
        self, events: list[Event], choice: _Choice, index: int, call: Mapping[str, object], signature: str
    ) -> None:
        """A call, whole or a piece of one: pieces after the first have no name."""
        name = text(call.get("name"))
        if choice.pieces is None or name:
            if not name:
                return
            self._close(events, choice, index)
            ident = text(call.get("id")) or made_id("call_", self._response, index, choice.calls, name)
            choice.calls += 1
            choice.pieces = Arguments(mapping(call.get("args")))
            if name == OUTPUT_TOOL:
                self._open(events, choice, index, Text(""))
            else:
                choice.called = True
                choice.custom = name.startswith(FREE_TEXT)
                bare = name.removeprefix(FREE_TEXT)
                self._open(events, choice, index, ToolCall(ident, bare, "", custom=choice.custom))
        choice.pieces.take(call.get("partialArgs"))
        if signature and choice.pending is None and choice.kind is ToolCall:
            choice.pending = Seal(NAME, signature)
        if call.get("willContinue") is not True:
            self._close(events, choice, index)

    def _open(self, events: list[Event], choice: _Choice, index: int, part: Part) -> None:
        choice.block = self._blocks
        self._blocks += 1
        if isinstance(part, Text | Thinking | ToolCall):
            choice.kind = type(part)
        choice.texts += isinstance(part, Text)
        events.append(Opened(choice.block, part, index))

    def _close(self, events: list[Event], choice: _Choice, index: int) -> None:
        """Close the open block, if there is one; a call's arguments are told now."""
        if choice.block < 0:
            return
        if choice.pieces is not None:
            free = choice.custom and choice.kind is ToolCall
            words = free_text(choice.pieces.value) if free else dump(choice.pieces.value).decode()
            if words:
                events.append(Grew(choice.block, words, index))
            if choice.pending is not None:
                events.append(Sealed(choice.block, choice.pending))
            choice.pieces = choice.pending = None
        events.append(Closed(choice.block))
        choice.block = -1

    def _cite(self, events: list[Event], choice: _Choice, index: int, candidate: Mapping[str, object]) -> None:
        """Tell the sources of the open text, each once; with nothing open they get a text of their own."""
        for source in citations(candidate, placed=choice.ascii and choice.texts == 1):
            if source in choice.cited:
                continue
            choice.cited.add(source)
            if choice.block < 0 or choice.kind is not Text or choice.pieces is not None:
                self._close(events, choice, index)
                self._open(events, choice, index, Text(""))
            events.append(Cited(choice.block, source))


def _only_signed(part: Mapping[str, object]) -> bool:
    """Whether a part is nothing but a proof: an empty text with a signature."""
    return not part.get("text") and part.keys() <= {"text", "thoughtSignature"}


def _media(part: Mapping[str, object], seal: Seal | None) -> Media | None:
    """Generated media; None for what is none."""
    inline, file = mapping(part.get("inlineData")), mapping(part.get("fileData"))
    data, uri = text(inline.get("data")), text(file.get("fileUri"))
    mime = text(inline.get("mimeType")) or text(file.get("mimeType"))
    if data:
        return Media(kind_of(mime), mime, plain_base64(data), name=text(inline.get("displayName")), seal=seal)
    return Media(kind_of(mime, uri), mime, url=uri, seal=seal) if uri else None


def _native(part: Mapping[str, object]) -> Native | None:
    """Code, its result, a server's tool calls, and whatever comes next; None for an empty part."""
    name = next((name for name in part if name not in ("text", "thought", "thoughtSignature")), "")
    return Native(NAME, name, dump(part)) if name else None


def _seconds(created: str) -> int:
    """Unix seconds of a time in UTC as RFC 3339 writes it, 0 if it is none."""
    match = _MOMENT.match(created)
    if match is None or not 1 <= int(match[2]) <= 12:
        return 0
    return max(0, timegm((*map(int, match.groups()), 0, 0, 0)))
