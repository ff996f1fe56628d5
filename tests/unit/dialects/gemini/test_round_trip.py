"""Any request that the hub can hold, built for Gemini and heard from there, keeps its meaning."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    ChatRequest,
    Media,
    Message,
    Reasoning,
    ResponseFormat,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.codec import Call
from relay.dialects.gemini.dialect import GENERATE
from tests.unit.dialects.gemini.generations import BACK, FRONT, target

OWN = st.none() | st.just(Seal("gemini", "c2ln"))
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
NAMES = st.sampled_from(["f", "get_weather", "mcp__x__y", "a.b"])
SCHEMA = b'{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"]}'
ARGUMENTS = st.dictionaries(
    WORDS, st.none() | st.booleans() | st.integers() | WORDS | st.lists(st.integers()), max_size=3
)

TEXTS = st.builds(Text, text=WORDS, seal=OWN)
MEDIA = st.sampled_from(
    [
        Media("image", "image/png", "AAAA", name="a.png"),
        Media("document", "application/pdf", "AAAA"),
        Media("video", url="https://youtu.be/x"),
        Media("audio", "audio/wav", url="gs://b/x.wav"),
    ]
)
THOUGHTS = st.builds(Thinking, text=WORDS, seal=st.just(Seal("gemini", "c2ln")), summary=st.just(True))


def _exchange(number: int, calls: list[tuple[str, dict[str, Any], Any, bool]], words: list[Any]) -> list[Message]:
    """The model's words with its calls, and their results."""
    made = [
        ToolCall(f"c{number}.{i}", name, json.dumps(args), seal=seal) for i, (name, args, seal, _) in enumerate(calls)
    ]
    out = [Message("assistant", (*words, *made))] if words or made else []
    results = (
        ToolResult(call.id, (Text("done"),), call.name, given[3]) for call, given in zip(made, calls, strict=True)
    )
    return [*out, Message("tool", tuple(results))] if made else out


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """A system message maybe, then turns with calls and their results."""
    messages = [Message("system", (Text(draw(WORDS)),))] if draw(st.booleans()) else []
    call = st.tuples(NAMES, ARGUMENTS, OWN, st.booleans())
    for number in range(draw(st.integers(1, 3))):
        messages.append(Message("user", tuple(draw(st.lists(TEXTS | MEDIA, min_size=1, max_size=3)))))
        words = draw(st.lists(TEXTS | THOUGHTS | MEDIA, max_size=2))
        messages += _exchange(number, draw(st.lists(call, max_size=3)), words)
    return tuple(messages)


REQUESTS = st.builds(
    ChatRequest,
    model=st.just("m"),
    messages=conversations(),
    stream=st.booleans(),
    wants_usage=st.just(True),
    tools=st.just((Tool("f", "d", SCHEMA), Tool("g", "e"))),
    tool_choice=st.sampled_from(
        [None, ToolChoice("auto"), ToolChoice("none"), ToolChoice("required"), ToolChoice("named", ("g",))]
    ),
    max_tokens=st.none() | st.integers(1, 9999),
    temperature=st.none() | st.floats(0, 2),
    top_k=st.none() | st.integers(1, 99),
    stop=st.lists(WORDS, max_size=5).map(tuple),
    seed=st.none() | st.integers(0, 99),
    n=st.none() | st.integers(1, 4),
    logprobs=st.none() | st.booleans(),
    format=st.sampled_from([None, ResponseFormat("json_object"), ResponseFormat("json_schema", SCHEMA)]),
    reasoning=st.sampled_from([None, Reasoning(effort="low"), Reasoning(effort="high", visible=True)]),
    modalities=st.sampled_from([(), ("text", "image")]),
    extra=st.sampled_from([{}, {"safetySettings": b"[]", "generationConfig.speechConfig": b'{"a":1}'}]),
)


class RoundTripTests(SynchronousTestCase):
    """Hub → Gemini → hub."""

    @settings(max_examples=100, deadline=None)
    @given(REQUESTS)
    def test_meaning(self, request: ChatRequest) -> None:
        """Nothing is lost where nothing is told as lost."""
        built = BACK.build(request, target("gemini-3-flash-preview"))
        self.assertEqual(built.dropped, ())
        again = FRONT.parse(msgspec.json.encode(built.fields), Call(GENERATE, "m", request.stream))
        self.assertEqual(self.plain(again), self.plain(request))

    def plain(self, request: ChatRequest) -> ChatRequest:
        """A request in one spelling: neighbours of one role as one, no stand-ins for proofs."""
        messages: list[Message] = []
        for message in request.messages:
            parts = tuple(map(self.part, message.parts))
            if messages and messages[-1].role == message.role:
                messages[-1] = Message(message.role, (*messages[-1].parts, *parts))
            else:
                messages.append(Message(message.role, parts))
        return msgspec.structs.replace(request, messages=tuple(messages), names={})

    def part(self, part: Any) -> Any:
        """A part in one spelling."""
        if isinstance(part, ToolCall):
            seal = part.seal if part.seal and part.seal.value == "c2ln" else None
            return msgspec.structs.replace(part, arguments=json.dumps(json.loads(part.arguments)), seal=seal)
        return part
