"""Every recorded generation, as a client's request, as a provider's answer, and there and back.

A request that goes through the hub to Gemini again keeps its meaning, but for what is normalised: a function without
arguments loses its empty schema, Gemini's own schemas become JSON Schema, a functions' result ``output`` becomes
``result``, `responseModalities` of text alone is left out, and what is told as dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import ChatRequest, Finish, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble, disassemble
from relay.dialects.codec import Call
from relay.dialects.gemini.dialect import GENERATE
from relay.dialects.gemini.schema import declared, says_nothing
from relay.events import Finished
from relay.exchange import Usage
from tests.unit.dialects.gemini.generations import (
    BACK,
    FOLDER,
    FRONT,
    Case,
    asked,
    cases,
    check_chunks,
    check_events,
    chunks,
    joined,
    read,
    target,
    written,
)
from tests.unit.dialects.streams import ends, recording, slices


def requests() -> Iterator[tuple[Case, bytes]]:
    """All requests that were answered well."""
    for case in cases():
        body = case.file("request.json")
        if body is not None and case.good:
            yield case, body


def streams() -> Iterator[tuple[Case, bytes]]:
    """All streamed answers."""
    for case in cases():
        data = case.file("response.sse")
        if data is not None:
            yield case, data


def wholes() -> Iterator[tuple[Case, bytes]]:
    """All answers that came as JSON, arrays of chunks too."""
    for case in cases():
        data = case.file("response.json")
        if data is not None and case.good:
            yield case, data


def plainly(values: list[Any]) -> dict[str, Any]:
    """What chunks hold, found without relay."""
    candidates = [candidate for value in values for candidate in value.get("candidates", ())]
    parts = [part for candidate in candidates for part in (candidate.get("content") or {}).get("parts", ())]
    counts: dict[str, Any] = {}
    for value in values:  # the last report counts
        found = value.get("usageMetadata") or {}
        counts = found if "promptTokenCount" in found else counts
    spoken, thoughts = counts.get("candidatesTokenCount"), counts.get("thoughtsTokenCount")
    return {
        "text": "".join(part.get("text", "") for part in parts if not part.get("thought")),
        "thoughts": "".join(part.get("text", "") for part in parts if part.get("thought")),
        "calls": [part["functionCall"]["name"] for part in parts if part.get("functionCall", {}).get("name")],
        "args": [part["functionCall"]["args"] for part in parts if part.get("functionCall", {}).get("args")],
        "signatures": sorted(part["thoughtSignature"] for part in parts if part.get("thoughtSignature")),
        "reason": next((one["finishReason"] for one in reversed(candidates) if one.get("finishReason")), None),
        "output": None if spoken is None and thoughts is None else (spoken or 0) + (thoughts or 0),
        "input": counts.get("promptTokenCount"),
    }


class RecordingTests(SynchronousTestCase):
    """What real clients and Google sent."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_requests(self) -> None:
        """Every request that Google took is taken, and says the same when it is built for Google again."""
        seen = 0
        for case, body in requests():
            request = FRONT.parse(body, Call(GENERATE, "m"))
            built = BACK.build(request, case.target)
            again = FRONT.parse(msgspec.json.encode(built.fields), Call(GENERATE, "m"))
            self.assertEqual(self.meaning(again), self.meaning(request), case.name)
            self.assertLessEqual(set(built.dropped), {"modelArmorConfig", "labels"}, case.name)
            seen += 1
        self.assertGreater(seen, 70)

    def meaning(self, request: ChatRequest) -> tuple[ChatRequest, bytes]:
        """A request without what may change, and on Vertex AI without ids of calls."""
        tools = []
        for tool in request.tools:
            schema = declared(tool.parameters, "")
            tools.append(msgspec.structs.replace(tool, parameters=b"") if schema and says_nothing(schema) else tool)
        extra = {name: value for name, value in request.extra.items() if "includeServerSide" not in name}
        encoded = msgspec.json.encode([self.unnamed(message) for message in request.messages])
        for number, ident in enumerate(dict.fromkeys(self.ids(request))):
            encoded = encoded.replace(json.dumps(ident).encode(), b'"%d"' % number)
        return msgspec.structs.replace(request, tools=tuple(tools), extra=extra, messages=()), encoded

    def unnamed(self, message: Any) -> Any:
        """A message as it is encoded, its kinds of parts beside it."""
        return message.role, [(type(part).__name__, part) for part in message.parts]

    def ids(self, request: ChatRequest) -> Iterator[str]:
        """The ids of calls, in order."""
        for message in request.messages:
            yield from (part.id for part in message.parts if isinstance(part, ToolCall))

    def test_streams(self) -> None:
        """Every stream is understood, however it is cut, and says what it plainly holds."""
        seen = 0
        for case, data in streams():
            events = read([data], case.target)
            check_events(events)
            found = assemble(events)
            values = [json.loads(line[5:]) for line in data.splitlines() if line.startswith(b"data:")]
            self.holds(found, plainly(values), case.name)
            self.assertEqual(assemble(read((data[i : i + 1] for i in range(len(data))), case.target)), found, case.name)
            for seed in range(2):
                self.assertEqual(assemble(read(slices(data, seed), case.target)), found, case.name)
            self.assertEqual(joined(BACK.parse(json.dumps(values).encode(), case.target)), joined(found), case.name)
            seen += 1
        self.assertGreater(seen, 15)

    def test_cut(self) -> None:
        """A stream cut at a frame ends only if its reason came."""
        for case, data in streams():
            for end in ends(data)[:-1]:
                events = read([data[:end]], case.target)
                check_events(events)
                told = any(isinstance(event, Finished) for event in events)
                self.assertEqual(told, b'"finishReason"' in data[:end], case.name)

    def test_wholes(self) -> None:
        """Every whole answer, and every array of chunks, says what it plainly holds."""
        seen = 0
        for case, data in wholes():
            value = json.loads(data)
            self.holds(BACK.parse(data, case.target), plainly(value if isinstance(value, list) else [value]), case.name)
            seen += 1
        self.assertGreater(seen, 60)

    def holds(self, found: Any, plain: dict[str, Any], name: str) -> None:
        """Hold an answer against what its JSON plainly says."""
        (choice,) = found.choices
        parts = choice.parts
        self.assertEqual("".join(part.text for part in parts if isinstance(part, Text)), plain["text"], name)
        self.assertEqual("".join(part.text for part in parts if isinstance(part, Thinking)), plain["thoughts"], name)
        calls = [part for part in parts if isinstance(part, ToolCall)]
        self.assertEqual([call.name for call in calls], plain["calls"], name)
        args = [value for call in calls if (value := json.loads(call.arguments))]
        self.assertEqual(args[: len(plain["args"])], plain["args"], name)
        self.assertEqual(len({call.id for call in calls}), len(calls), name)
        self.assertEqual(found.usage.output, plain["output"], name)
        self.assertGreaterEqual(found.usage.input or 0, plain["input"] or 0, name)
        signed = [part.seal for part in parts if isinstance(part, Text | Thinking | ToolCall) and part.seal]
        natives = [json.loads(part.value).get("thoughtSignature") for part in parts if hasattr(part, "value")]
        signatures = sorted([*(seal.value for seal in signed), *filter(None, natives)])
        self.assertEqual(signatures, plain["signatures"], name)
        if plain["reason"] in ("STOP", 1):
            self.assertEqual(choice.finish, Finish.TOOL_CALLS if calls else Finish.STOP, name)
        else:
            self.assertNotIn(choice.finish, (Finish.STOP, Finish.TOOL_CALLS, ""), name)

    def test_thereAndBack(self) -> None:
        """Every answer can be told to Gemini's own clients, whole and as a stream, and is understood the same."""
        seen = 0
        for case, data in wholes():
            answer = BACK.parse(data, case.target)
            rendered = BACK.parse(FRONT.render(answer, asked()), target())
            self.same(rendered, answer, case.name)
            streamed = written(disassemble(answer)[:-1])
            check_chunks(chunks(streamed))
            self.same(assemble(read([streamed])), answer, case.name)
            seen += 1
        self.assertGreater(seen, 60)

    def same(self, found: Any, sent: Any, name: str) -> None:
        """What must not change on the way."""
        for one, two in zip(joined(found).choices, joined(sent).choices, strict=True):
            texts = [[part for part in choice.parts if part != Text("")] for choice in (one, two)]
            bare = [
                [msgspec.structs.replace(part, citations=()) if isinstance(part, Text) else part for part in parts]
                for parts in texts
            ]
            self.assertEqual([part for part in bare[0] if part != Text("")], bare[1], name)
            self.assertEqual(one.finish, two.finish, name)
        if sent.usage != Usage():
            self.assertEqual((found.usage.input or 0), (sent.usage.input or 0), name)
            self.assertEqual((found.usage.output or 0), (sent.usage.output or 0), name)
        self.assertEqual(found.id, sent.id or found.id, name)


class SmallSetTests(SynchronousTestCase):
    """The few recordings that stand beside the tests."""

    def test_streams(self) -> None:
        """Text and calls."""
        found = assemble(read([recording("gemini/text")]))
        self.assertEqual(found.choices[0].parts, (Text("Paris"),))
        self.assertEqual((found.usage, found.tier), (Usage(6, None, None, 36, 35), "standard"))
        calls = assemble(read([recording("gemini/function-calls")])).choices[0]
        self.assertEqual(calls.finish, Finish.TOOL_CALLS)
        cities = [json.loads(part.arguments)["city"] for part in calls.parts if isinstance(part, ToolCall)]
        self.assertEqual(cities, ["Paris", "London"])
