"""What holds for all requests, all streams and all answers, tried with generated ones."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import ChatRequest, Choice, Completion, Refusal, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble, disassemble
from relay.dialects.openai import answer, request, sending, understanding
from relay.dialects.openai.adapt import ADAPTED, adapt
from relay.dialects.openai.completions import CompletionsWriter
from relay.dialects.openai.reading import ChatReader
from relay.dialects.openai.writing import ChatWriter
from relay.errors import InvalidRequest
from relay.events import Event, Grew, Opened
from relay.provider import Quirk
from relay.wire.sse import Event as Frame
from tests.unit.dialects.openai.generated import FIELDS, chunks, completions, jsons, legal_events, whole_requests, words
from tests.unit.dialects.openai.talk import CALL, asked, judge, judge_events, payloads, read, sse, target, written

LOOSE = settings(max_examples=50, deadline=None, database=None, derandomize=True)


class RequestTests(SynchronousTestCase):
    """Requests."""

    @LOOSE
    @given(whole_requests)
    def test_thereAndBack(self, sent: ChatRequest) -> None:
        """A request sent to a provider of this dialect, read as a client's, is the same request."""
        built = sending.build(sent, target())
        again = request.parse(msgspec.json.encode(built.fields), CALL)
        self.assertEqual(msgspec.structs.replace(again, names={}), sent)
        self.assertEqual((built.dropped, dict(built.tool_names)), ((), {}))

    @LOOSE
    @given(st.recursive(jsons, lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner)))
    def test_anyJSON(self, value: Any) -> None:
        """Any JSON is a request or is refused; what is read can be built and adapted."""
        body = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
        if isinstance(value, dict):
            body |= value
        raw = msgspec.json.decode(json.dumps(body), type=dict[str, msgspec.Raw])
        adapt(raw, ADAPTED)
        with contextlib.suppress(InvalidRequest):
            found = request.parse(json.dumps(body).encode(), CALL)
            sending.build(found, target(*(set(Quirk) - {Quirk.STRING_CONTENT})))


class StreamTests(SynchronousTestCase):
    """Readers and writers."""

    @LOOSE
    @given(st.lists(chunks, max_size=6))
    def test_anyChunks(self, found: list[dict[str, Any]]) -> None:
        """Whatever a provider sends, the rules of the hub's stream hold, and the client's stream is well-formed."""
        events = read([sse(*found)])
        judge(written(ChatWriter(asked()), events))
        for writer in (ChatWriter(asked()), CompletionsWriter(asked())):
            writer.write([event for event in events if type(event).__name__ not in ("Erred", "Ended")])
            writer.end()

    @LOOSE
    @given(st.lists(st.binary(max_size=40) | chunks.map(lambda chunk: json.dumps(chunk).encode()), max_size=6))
    def test_anyBytes(self, found: list[bytes]) -> None:
        """No bytes make a reader or the whole answer's parser raise but ValueError."""
        reader = ChatReader(target())
        events: list[Event] = []
        for data in found:
            events += reader.read(Frame(data, b"", data))
            with contextlib.suppress(ValueError):
                understanding.parse(data, target())
        judge_events([*events, *reader.end()])

    @LOOSE
    @given(legal_events())
    def test_anyEvents(self, events: list[Event]) -> None:
        """Any legal order of events makes a well-formed stream, which holds all the words."""
        sent = written(ChatWriter(asked()), events)
        judge(sent)
        spoken: dict[str, str] = {}
        for chunk in payloads(sent):
            for choice in chunk["choices"]:
                delta = choice["delta"]
                for member in ("content", "reasoning_content", "refusal"):
                    spoken[member] = spoken.get(member, "") + (delta.get(member) or "")
        expected: dict[str, str] = {"content": "", "reasoning_content": "", "refusal": ""}
        kinds = {Text: "content", Thinking: "reasoning_content", Refusal: "refusal"}
        opened: dict[int, str | None] = {}
        for event in events:
            if isinstance(event, Opened):
                opened[event.block] = kinds.get(type(event.part))
            elif isinstance(event, Grew) and (name := opened[event.block]) is not None:
                expected[name] += event.text
        self.assertEqual(spoken or expected, expected)

    @LOOSE
    @given(completions)
    def test_streamedIsWhole(self, completion: Completion) -> None:
        """What a client reads of a stream, and of the whole answer, is the same."""
        streamed = assemble(read([written(ChatWriter(asked()), disassemble(completion))]))
        whole = understanding.parse(answer.render(completion, asked()), target())
        for one, other in zip(streamed.choices, whole.choices, strict=True):
            for kind in (Text, Refusal):
                self.assertEqual(spoken_of(one, kind), spoken_of(other, kind))
            self.assertEqual(called_of(one), called_of(other))
            self.assertEqual(one.finish, other.finish)

    @LOOSE
    @given(st.lists(words, max_size=8), st.booleans())
    def test_tags(self, pieces: list[str], inside: bool) -> None:
        """Thoughts between tags are found however the text is sliced."""
        pieces = ["<think>", *pieces, "</think>", "end"] if inside else pieces
        text = "".join(pieces)
        sliced = assemble(read([sse(*({"choices": [{"delta": {"content": piece}}]} for piece in pieces))]))
        singly = assemble(read([sse(*({"choices": [{"delta": {"content": piece}}]} for piece in text))]))
        self.assertEqual(singly.choices[0].parts, sliced.choices[0].parts)


def spoken_of(choice: Choice, kind: type[Any]) -> str:
    """All words of a kind."""
    return "".join(part.text for part in choice.parts if isinstance(part, kind))


def called_of(choice: Choice) -> list[tuple[str, str, str]]:
    """Calls by what matters."""
    return [(part.id, part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCall)]
