"""Every recorded exchange of the Responses API, in each role that it can play.

A stream's encrypted reasoning is made anew for its last event, and OpenRouter gives items other ids there; what
a stream and its own last event say is compared without them. xAI's items for its own searches, and its sources
without title, are not in OpenAI's SDK; they go as they are, and are not held to it. Vendors' fields on items
(``phase`` and the like) are not part of the hub.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import ChatRequest, Completion, Finish, Native, Part, Refusal, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble, disassemble
from relay.errors import InvalidRequest
from relay.events import Ended, Finished
from tests.unit.dialects.responses.streaming import (
    BACK,
    CALL,
    FRONT,
    TARGET,
    Judge,
    asked,
    built,
    read,
    taken_by_sdk,
    written,
)
from tests.unit.dialects.streams import ends, singly, slices
from tests.unit.test_recordings import FOLDER, Case, answers, cases, output_tokens, streams

OWN = "openai-responses"
STATE = ("previous_response_id", "conversation", "compaction", "item_reference")
"""What ties a request to the provider that keeps its conversation."""

CARRIED_OTHERWISE = frozenset({"model", "input", "instructions", "stream", "tools", "include", "store", "tool_choice"})
"""Fields that are compared by what they mean, not letter by letter."""


def own_streams() -> Iterator[tuple[Case, bytes]]:
    """The recorded streams."""
    return ((case, data) for case, data in streams() if case.meta["dialect"] == OWN)


def own_answers() -> Iterator[tuple[Case, bytes]]:
    """The recorded good answers that came whole."""
    return ((case, data) for case, data in answers(failed=False) if case.meta["dialect"] == OWN)


def requests() -> Iterator[tuple[Case, bytes, dict[str, Any]]]:
    """The recorded requests, as bytes and as JSON."""
    for case in cases():
        data = case.file("request.json")
        if case.meta["dialect"] == OWN and data is not None:
            yield case, data, json.loads(data)


def last_response(data: bytes) -> dict[str, Any]:
    """The response in a stream's last event."""
    found = [json.loads(line[5:]) for line in data.splitlines() if line.startswith(b"data: {")]
    response: dict[str, Any] = found[-1]["response"]
    return response


def plainly(output: list[dict[str, Any]]) -> tuple[str, list[tuple[str, str]], str]:
    """Text, calls and reasoning of an output, found without relay."""
    text, calls, reasoning = "", [], ""
    for item in output:
        if item["type"] == "message":
            text += "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
        elif item["type"] == "function_call":
            calls.append((item["call_id"], item["arguments"]))
        elif item["type"] == "reasoning":
            reasoning += "".join(part["text"] for part in [*(item.get("summary") or ()), *(item.get("content") or ())])
    return text, calls, reasoning


def read_plainly(completion: Completion) -> tuple[str, list[tuple[str, str]], str]:
    """The same of a hub answer."""
    parts = completion.choices[0].parts
    return (
        "".join(part.text for part in parts if isinstance(part, Text | Refusal)),
        [(part.id, part.arguments) for part in parts if isinstance(part, ToolCall)],
        "".join(part.text for part in parts if isinstance(part, Thinking)).replace("\n\n", ""),
    )


def sameish(parts: tuple[Part, ...]) -> list[Part]:
    """The parts without what a provider writes otherwise in its last event, natives behind the rest."""
    out = [msgspec.structs.replace(part, id="", seal=None) if isinstance(part, Thinking) else part for part in parts]
    return sorted(out, key=lambda part: part.value if isinstance(part, Native) else b"")


class RecordingTests(SynchronousTestCase):
    """What providers sent and were sent."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_requests(self) -> None:
        """Every recorded request is read, but those that hang on a stored conversation, which are refused."""
        seen = refused = 0
        for case, data, body in requests():
            seen += 1
            if any(body.get(name) for name in STATE[:2]) or any(f'"{name}"'.encode() in data for name in STATE[2:]):
                refused += 1
                self.assertRaises(InvalidRequest, FRONT.parse, data, CALL)
                continue
            request = FRONT.parse(data, CALL)
            self.assertEqual(request.model, body.get("model") or "", case.name)
            self.assertEqual(request.stream, bool(body.get("stream")), case.name)
            self.assertTrue(request.messages, case.name)
        self.assertGreater(seen, 90)
        self.assertLess(refused, 15)

    def test_sentAgain(self) -> None:
        """A request through the hub to its own dialect says what it said; what it does not say is told."""
        seen = 0
        for case, data, body in requests():
            try:
                request = FRONT.parse(data, CALL)
            except InvalidRequest:
                continue
            seen += 1
            fields = built(request, stream=request.stream)
            again = FRONT.parse(msgspec.json.encode(fields.fields), CALL)
            self.assertEqual(again.messages, unmarked(request).messages, case.name)
            self.assertEqual([tool.name for tool in again.tools], [tool.name for tool in request.tools], case.name)
            self.assertEqual(again.tool_choice, request.tool_choice if request.tools else None, case.name)
            self.assertEqual((again.format, again.reasoning), (request.format, request.reasoning), case.name)
            sent = json.loads(msgspec.json.encode(fields.fields))
            for name in set(body) - CARRIED_OTHERWISE:
                told = any(lost.startswith(name) for lost in fields.dropped)
                if name in sent and isinstance(body[name], dict) and name in ("reasoning", "text"):
                    continue  # compared above
                self.assertTrue(told or body[name] is None or sent.get(name) == body[name], (case.name, name))
        self.assertGreater(seen, 75)

    def test_streams(self) -> None:
        """A recorded stream is read the same however it is sliced, and says what its last event says."""
        seen = 0
        for case, data in own_streams():
            seen += 1
            events = read([data])
            self.assertIsInstance(events[-1], Ended, case.name)
            for seed in range(2):
                self.assertEqual(read(slices(data, seed)), events, case.name)
            if len(data) < 30000:
                self.assertEqual(read(singly(data)), events, case.name)
            self.compare(case, assemble(events), last_response(data))
            whole = BACK.parse(json.dumps(last_response(data)).encode(), TARGET)
            streamed = assemble(events)
            self.assertEqual(sameish(streamed.choices[0].parts), sameish(whole.choices[0].parts), case.name)
            self.assertEqual(streamed.usage, whole.usage, case.name)
            self.assertEqual(streamed.choices[0].finish, whole.choices[0].finish, case.name)
        self.assertGreater(seen, 25)

    def test_cut(self) -> None:
        """Cut behind any frame before the last one, no stream is taken for whole."""
        for case, data in own_streams():
            for end in ends(data.removesuffix(b"data: [DONE]\n\n"))[:-1][-40:]:
                events = read([data[:end]])
                self.assertFalse([event for event in events if isinstance(event, Finished | Ended)], case.name)
                assemble(events)

    def test_answers(self) -> None:
        """A recorded whole answer is read as what it plainly says."""
        seen = 0
        for case, data in own_answers():
            seen += 1
            self.compare(case, BACK.parse(data, TARGET), json.loads(data))
        self.assertGreater(seen, 70)

    def compare(self, case: Case, completion: Completion, response: dict[str, Any]) -> None:
        """Compare a hub answer with a response object, read without relay."""
        text, calls, reasoning = plainly(response["output"])
        found = read_plainly(completion)
        self.assertEqual(found[:2], (text, calls), case.name)
        self.assertEqual(found[2], reasoning.replace("\n\n", ""), case.name)
        wanted = Finish.TOOL_CALLS if calls else Finish.STOP
        self.assertEqual(completion.choices[0].finish, wanted, case.name)
        if response.get("usage"):
            self.assertEqual(completion.usage.output, output_tokens(response["usage"]), case.name)
            self.assertEqual(completion.usage.input, response["usage"]["input_tokens"], case.name)
        self.assertEqual(completion.model, response["model"], case.name)

    def test_givenAgain(self) -> None:
        """An answer through the hub for a client of its own dialect is the same answer, streamed and whole."""
        seen = 0
        for case, completion in self.completions():
            seen += 1
            about = asked(reasoning={"summary": "auto"} if any(map(is_summary, completion.choices[0].parts)) else None)
            body = FRONT.render(completion, about)
            data = written(disassemble(completion), about)
            judge = Judge(data)
            for again in (BACK.parse(body, TARGET), assemble(read([data]))):
                self.assertEqual(unnamed(again), unnamed(completion), case.name)
                self.assertEqual(again.choices[0].finish, completion.choices[0].finish, case.name)
                self.assertEqual(again.usage.output, completion.usage.output, case.name)
            if b"x_search_call" not in body:
                Response.model_validate_json(body)
                for event in judge.events:
                    taken_by_sdk(event)
        self.assertGreater(seen, 100)

    def completions(self) -> Iterator[tuple[Case, Completion]]:
        """All recorded answers in the hub's form."""
        for case, data in own_streams():
            yield case, assemble(read([data]))
        for case, data in own_answers():
            yield case, BACK.parse(data, TARGET)

    @settings(max_examples=20, deadline=None)
    @given(st.data())
    def test_slices(self, chance: st.DataObject) -> None:
        """Where a read ends never matters."""
        data = min((data for _, data in own_streams()), key=len)
        cuts = sorted(chance.draw(st.sets(st.integers(0, len(data)), max_size=20)))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        self.assertEqual(read(pieces), read([data]))


def unnamed(completion: Completion) -> list[Part]:
    """An answer's parts without the ids of reasoning, which xAI gives several times."""
    parts = completion.choices[0].parts
    return [msgspec.structs.replace(part, id="") if isinstance(part, Thinking) else part for part in parts]


def is_summary(part: Part) -> bool:
    """Whether a part is a summary of reasoning."""
    return isinstance(part, Thinking) and part.summary


def unmarked(request: ChatRequest) -> ChatRequest:
    """The request without cache markers, which are told as dropped, ids of messages, and reasoning without proof."""

    def plain(part: Part) -> Part:
        return msgspec.structs.replace(part, cache=None, citations=()) if isinstance(part, Text) else part

    messages = []
    for message in request.messages:
        parts = tuple(plain(part) for part in message.parts if not (isinstance(part, Thinking) and part.seal is None))
        messages.append(msgspec.structs.replace(message, parts=parts, id=""))
    return msgspec.structs.replace(request, messages=tuple(messages))
