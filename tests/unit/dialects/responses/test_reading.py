"""Answers of providers of the Responses API.

Of the list of known traps: failed and incomplete responses are no good ends (50, 51, 90); ids, indexes and events that
are missing or wrong (76, 77) are made up for; errors in each form (80); keep-alives (81); finish reasons (82); usage
counts (83). Lines that are about Chat's chunks only (66 to 69, 75) have no counterpart here.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Citation, Completion, Finish, Media, Native, Part, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.errors import UpstreamRateLimited
from relay.events import Began, Closed, Ended, Erred, Event, Finished, Grew, Opened, Sealed
from relay.exchange import Usage
from relay.wire.sse import Event as Frame
from tests.unit.dialects.responses.streaming import BACK, TARGET, read, stream
from tests.unit.dialects.streams import RESPONSES, recordings, singly

Payload = dict[str, Any]

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 13,
}


def response(*output: Payload, status: str = "completed", **more: Any) -> Payload:
    """A response object."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1700000000,
        "model": "gpt",
        "status": status,
        "output": list(output),
        "usage": USAGE,
        **more,
    }


def message(*texts: str, **more: Any) -> Payload:
    """A message item."""
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content, **more}


def call(name: str = "f", arguments: str | None = '{"a":1}', **more: Any) -> Payload:
    """A function call item."""
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": arguments, **more}


def delta(kind: str, text: str, place: int = 0, **more: Any) -> Payload:
    """A delta."""
    return {"type": f"response.{kind}.delta", "delta": text, "output_index": place, "item_id": f"i{place}", **more}


def added(place: int, item: Payload) -> Payload:
    """An item's announcement."""
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(place: int, item: Payload) -> Payload:
    """An item's end."""
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def completed(*output: Payload, **more: Any) -> Payload:
    """The last event."""
    return {"type": "response.completed", "response": response(*output, **more)}


CREATED = {"type": "response.created", "response": response(status="in_progress", usage=None)}


def heard(*events: Payload) -> Completion:
    """What a stream of these events, behind the first one, says."""
    found = read([stream(CREATED, *events)])
    lawful(found)
    return assemble(found)


def parts(*events: Payload) -> tuple[Part, ...]:
    """The parts of the answer of a stream."""
    return heard(*events).choices[0].parts


def whole(body: object) -> Completion:
    """What a whole response says."""
    return BACK.parse(json.dumps(body).encode(), TARGET)


def lawful(events: list[Event]) -> None:
    """Hold events to the rules of `relay.events`."""
    open_now: set[int] = set()
    last = -1
    for index, event in enumerate(events):
        assert isinstance(event, Began) == (index == 0) or len(events) == 1, "it begins once, and first"
        if isinstance(event, Opened):
            assert event.block > last, "numbers rise"
            last = event.block
            open_now.add(event.block)
        elif isinstance(event, Grew | Sealed | Closed):
            assert event.block in open_now, event
            assert not isinstance(event, Grew) or event.text
            if isinstance(event, Closed):
                open_now.remove(event.block)
        elif isinstance(event, Finished):
            assert not open_now, "blocks are closed before the finish"
        elif isinstance(event, Ended | Erred):
            assert index == len(events) - 1, "nothing follows the end"


class WholeTests(SynchronousTestCase):
    """Answers that come whole."""

    def test_answer(self) -> None:
        """Text, calls, usage and the head of a response."""
        answer = whole(response(message("a", "b"), call(), service_tier="default"))
        self.assertEqual((answer.id, answer.model, answer.created), ("resp_1", "gpt", 1700000000))
        self.assertEqual(answer.tier, "default")
        self.assertEqual(answer.usage, Usage(input=9, cached=3, cache_write=2, output=4, reasoning=1))
        (choice,) = answer.choices
        self.assertEqual(choice.parts, (Text("a"), Text("b"), ToolCall("call_1", "f", '{"a":1}')))
        self.assertEqual(choice.finish, Finish.TOOL_CALLS)

    def test_finish(self) -> None:
        """Why a response ended (43, 82, 90)."""
        refusal = message(content=[{"type": "refusal", "refusal": "No."}])
        for body, finish in (
            (response(message("a")), Finish.STOP),
            (response(message("a"), status="complete"), Finish.STOP),
            (response(refusal), Finish.REFUSAL),
            (response(call()), Finish.TOOL_CALLS),
            (response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), Finish.LENGTH),
            (response(call(), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), Finish.LENGTH),
            (response(status="incomplete", incomplete_details={"reason": "content_filter"}), Finish.FILTER),
            (response(status="incomplete", incomplete_details=None), Finish.LENGTH),
        ):
            self.assertEqual(whole(body).choices[0].finish, finish)
        self.assertEqual(whole(response(refusal)).choices[0].parts, (Refusal("No."),))

    def test_reasoning(self) -> None:
        """Reasoning with words, with a proof, with both; a bare handle says nothing."""
        words = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
        for item, part in (
            ({"summary": words}, Thinking("a\n\nb", id="rs", summary=True)),
            ({"summary": [], "content": [{"type": "reasoning_text", "text": "c"}]}, Thinking("c", id="rs")),
            ({"summary": [], "encrypted_content": "gA"}, Thinking("", Seal("responses", "gA"), redacted=True, id="rs")),
            (
                {"summary": words[:1], "encrypted_content": "gA"},
                Thinking("a", Seal("responses", "gA"), id="rs", summary=True),
            ),
            ({"summary": []}, None),
        ):
            found = whole(response({"type": "reasoning", "id": "rs", **item})).choices[0].parts
            self.assertEqual(found, (part,) if part else ())

    def test_natives(self) -> None:
        """Other items go as they are; an image that was made is an image."""
        search = {"type": "web_search_call", "id": "ws", "status": "completed"}
        image = {"type": "image_generation_call", "id": "ig", "result": "iVBO", "output_format": "webp"}
        native, media = whole(response(search, image)).choices[0].parts
        assert isinstance(native, Native)
        self.assertEqual(
            (native.origin, native.kind, json.loads(native.value)), ("responses", "web_search_call", search)
        )
        self.assertEqual(media, Media("image", mime="image/webp", data="iVBO"))

    def test_citations(self) -> None:
        """Sources belong to their text."""
        note = {"type": "url_citation", "url": "https://e.x", "title": "E", "start_index": 1, "end_index": 2}
        item = message(content=[{"type": "output_text", "text": "ab", "annotations": [note]}])
        (part,) = whole(response(item)).choices[0].parts
        assert isinstance(part, Text)
        (citation,) = part.citations
        native = citation.native
        self.assertEqual(citation, Citation("https://e.x", "E", start=1, end=2, origin="responses", native=native))

    def test_logprobs(self) -> None:
        """Log probabilities take the hub's form."""
        token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
        content = [{"type": "output_text", "text": "a", "annotations": [], "logprobs": [token]}]
        found = whole(response(message(content=content))).choices[0].logprobs
        self.assertEqual(json.loads(found), {"content": [token]})

    def test_namespaces(self) -> None:
        """A call in a namespace has the flat name, and remembers the namespace."""
        (part,) = whole(response(call(namespace="ns"))).choices[0].parts
        self.assertEqual(part, ToolCall("call_1", "ns__f", '{"a":1}', namespace="ns"))

    def test_failed(self) -> None:
        """A failed response is an error with the provider's words, whatever its HTTP status."""
        body = response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."})
        error = self.assertRaises(UpstreamRateLimited, whole, body)
        self.assertEqual(error.message, "Slow down.")

    def test_noAnswer(self) -> None:
        """What is no response at all is said to be none."""
        bodies: list[Any] = [{}, [], None, {"choices": []}, {"output": "a"}]
        for body in bodies:
            self.assertRaises(ValueError, whole, body)
        self.assertRaises(ValueError, BACK.parse, b"<html>", TARGET)

    def test_odd(self) -> None:
        """Odd or missing things are read as far as they go (47, 77, 125)."""
        answer = whole({"output": [None, 3, {"type": "message"}, {"type": "function_call"}, {"type": "reasoning"}]})
        (part,) = answer.choices[0].parts
        assert isinstance(part, ToolCall)
        self.assertEqual((part.name, part.arguments), ("", "{}"))
        self.assertTrue(part.id)
        text = BACK.parse(b'{"output":[{"type":"message","content":[{"text":"\\ud83d"}]}]}', TARGET)
        self.assertEqual(text.choices[0].parts, (Text("\ud83d"),))


class StreamTests(SynchronousTestCase):
    """Answers that come as streams."""

    def test_text(self) -> None:
        """Deltas, and the events around them, say the text once."""
        item = message("Hello", id="i0")
        part = {"output_index": 0, "content_index": 0, "item_id": "i0"}
        for events in (
            [
                added(0, message(id="i0")),
                {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}, **part},
                delta("output_text", "Hel", content_index=0),
                delta("output_text", "lo", content_index=0, logprobs=[]),
                {"type": "response.output_text.done", "text": "Hello", **part},
                {"type": "response.content_part.done", "part": item["content"][0], **part},
                done(0, item),
                completed(item),
            ],
            [delta("output_text", "Hel"), delta("output_text", "lo"), completed(item)],  # nothing announced
            [delta("output_text", "Hello"), completed()],  # a last event without output
            [{"type": "response.output_text.done", "text": "Hello", **part}, completed(item)],  # no deltas
            [{"type": "response.content_part.done", "part": item["content"][0], **part}, completed(item)],
            [done(0, item), completed(item)],
            [completed(item)],  # nothing but the last event
        ):
            self.assertEqual(heard(*events).choices[0].parts, (Text("Hello"),))

    def test_noNames(self) -> None:
        """Events are known by their type where the framing names none."""
        item = message("a", id="i0")
        found = read([stream(CREATED, delta("output_text", "a"), completed(item), named=False)])
        self.assertEqual(assemble(found).choices[0].parts, (Text("a"),))

    def test_indexFromOne(self) -> None:
        """A provider that counts parts from 1 does not have them taken twice (bedrock-mantle, seen 2026)."""
        item = message("a", id="i0")
        self.assertEqual(
            parts(delta("output_text", "a", content_index=1), done(0, item), completed(item)), (Text("a"),)
        )

    def test_calls(self) -> None:
        """Calls with deltas, with arguments at once, with none, side by side (47, 68, 74, 76)."""
        first, second = call(id="i0"), call("g", "{}", id="i1", call_id="call_2")
        empty = {"arguments": ""}
        for events in (
            [
                added(0, {**first, **empty}),
                added(1, {**second, **empty}),
                delta("function_call_arguments", '{"a"', 0),
                delta("function_call_arguments", "{", 1),
                delta("function_call_arguments", ":1}", 0),
                delta("function_call_arguments", "}", 1),
                done(1, second),
                done(0, first),
                completed(first, second),
            ],
            [added(0, {**first, **empty}), done(0, first), added(1, {**second, **empty}), completed(first, second)],
            [completed(first, second)],
            [done(0, first), done(1, {**second, **empty}), completed()],
        ):
            answer = heard(*events)
            self.assertEqual(
                answer.choices[0].parts, (ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "g", "{}"))
            )
            self.assertEqual(answer.choices[0].finish, Finish.TOOL_CALLS)

    def test_sameIndex(self) -> None:
        """Items that all have the same index are told apart by their ids."""
        first, second = call(id="i0"), call("g", "{}", id="i9", call_id="call_2")
        found = parts(added(0, first), done(0, first), added(0, second), done(0, second), completed(first, second))
        self.assertEqual(found, (ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "g", "{}")))

    def test_noIndex(self) -> None:
        """Items without an index are told apart by their ids, too."""
        events = [added(0, message(id="i0")), delta("output_text", "a", 0), added(1, call(id="i1", arguments=""))]
        events += [delta("function_call_arguments", '{"a":1}', 1), completed(message("a"), call())]
        for event in events:
            event.pop("output_index", None)
        self.assertEqual(parts(*events), (Text("a"), ToolCall("call_1", "f", '{"a":1}')))

    def test_custom(self) -> None:
        """A free-text tool's input is its text."""
        item = {"type": "custom_tool_call", "id": "i0", "call_id": "c", "name": "p", "input": "go"}
        wanted = (ToolCall("c", "p", "go", custom=True),)
        self.assertEqual(
            parts(
                added(0, {**item, "input": ""}), delta("custom_tool_call_input", "go"), done(0, item), completed(item)
            ),
            wanted,
        )
        self.assertEqual(parts(done(0, item), completed(item)), wanted)

    def test_reasoning(self) -> None:
        """Several summaries are one thinking; the proof is that of the finished item."""
        item = {
            "type": "reasoning",
            "id": "i0",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "encrypted_content": "late",
        }
        wanted = (Thinking("a\n\nb", Seal("responses", "late"), id="i0", summary=True),)
        bare = {"type": "reasoning", "id": "i0", "summary": [], "encrypted_content": "early"}
        self.assertEqual(
            parts(
                added(0, bare),
                delta("reasoning_summary_text", "a", summary_index=0),
                delta("reasoning_summary_text", "b", summary_index=1),
                done(0, item),
                completed(item),
            ),
            wanted,
        )
        self.assertEqual(parts(added(0, bare), done(0, item), completed(item)), wanted)
        self.assertEqual(
            parts(added(0, bare), done(0, bare), completed(bare)),
            (Thinking("", Seal("responses", "early"), redacted=True, id="i0"),),
        )

    def test_reasoningBehindText(self) -> None:
        """Reasoning that is finished behind the text (OpenRouter) stays before it, once."""
        words = {"type": "reasoning", "id": "i0", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]}
        item = message("a", id="i1")
        found = parts(
            added(0, {"type": "reasoning", "id": "i0", "summary": []}),
            delta("reasoning_text", "r", 0),
            added(1, message(id="i1")),
            delta("output_text", "a", 1),
            done(1, item),
            done(0, words),
            completed({**words, "id": "other"}, item),
        )
        self.assertEqual(found, (Thinking("r", id="i0"), Text("a")))

    def test_citations(self) -> None:
        """Sources come once, announced or not (52)."""
        notes = [
            {"type": "url_citation", "url": f"https://e.x/{n}", "start_index": 0, "end_index": 1} for n in range(2)
        ]
        item = message(id="i0", content=[{"type": "output_text", "text": "a", "annotations": notes}])
        told = {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "item_id": "i0"}
        for events in (
            [delta("output_text", "a"), {**told, "annotation": notes[0]}, done(0, item)],
            [delta("output_text", "a"), done(0, item)],
            [],
        ):
            (part,) = parts(*events, completed(item))
            assert isinstance(part, Text)
            self.assertEqual([citation.url for citation in part.citations], ["https://e.x/0", "https://e.x/1"])

    def test_logprobs(self) -> None:
        """Log probabilities of deltas are put together."""
        tokens = [{"token": text, "logprob": -0.5, "top_logprobs": []} for text in "ab"]
        answer = heard(
            delta("output_text", "a", logprobs=tokens[:1]), delta("output_text", "b", logprobs=tokens[1:]), completed()
        )
        self.assertEqual(json.loads(answer.choices[0].logprobs), {"content": tokens})

    def test_finish(self) -> None:
        """The last event tells why it ended; incomplete is no stop (90)."""
        last = {
            "type": "response.incomplete",
            "response": response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        }
        answer = heard(delta("output_text", "a"), last)
        self.assertEqual((answer.choices[0].finish, answer.usage.output), (Finish.LENGTH, 4))

    def test_errors(self) -> None:
        """Errors of each form end the stream, with no finish (50, 80)."""
        fault = {"code": "server_error", "message": "Broken."}
        for event in (
            {"type": "error", **fault},
            {"type": "error", "error": fault},
            {"type": "response.failed", "response": response(status="failed", error=fault)},
            {"error": fault},
        ):
            events = read([stream(CREATED, delta("output_text", "a"), event, completed(), named=False)])
            self.assertEqual(events[-1], Erred("Broken.", "server_error"))
            self.assertFalse([found for found in events if isinstance(found, Finished)])
        events = read([stream({"type": "response.failed", "response": response(status="failed", error=None)})])
        self.assertEqual(events[-1], Erred("The response ended as failed."))

    def test_cut(self) -> None:
        """A stream that is cut has its blocks closed and no finish (51)."""
        events = read([stream(CREATED, delta("output_text", "a"), added(1, call(id="i1", arguments="")))])
        self.assertEqual([type(event) for event in events][-2:], [Closed, Closed])
        self.assertFalse([found for found in events if isinstance(found, Finished)])

    def test_silence(self) -> None:
        """Comments, pings, unknown events and markers say nothing (49, 81)."""
        for data in (
            b": ping\n\n",
            b"data: [DONE]\n\n",
            b'event: keepalive\ndata: {"type":"keepalive"}\n\n',
            b'data: {"type":"response.web_search_call.searching","output_index":0}\n\n',
            b'data: {"type":"response.new_thing.delta","delta":{"a":1},"output_index":7}\n\n',
            b"data: : keepalive\n\n",
        ):
            self.assertEqual(read([data]), [])

    def test_surrogates(self) -> None:
        """Halves of an emoji in two deltas are kept (125)."""
        data = stream(CREATED) + b"".join(
            b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","output_index":0,'
            b'"content_index":0,"delta":"%b","logprobs":[]}\n\n' % half
            for half in (b"\\ud83d", b"\\ude00")
        )
        self.assertEqual(assemble(read([data])).choices[0].parts, (Text("\ud83d\ude00"),))


class KeptTests(SynchronousTestCase):
    """The recorded streams that are kept beside the tests."""

    def test_streams(self) -> None:
        """Each is read the same however it is sliced, and says what its last event says."""
        seen = 0
        for name, endpoint, data in recordings():
            if endpoint is not RESPONSES:
                continue
            seen += 1
            events = read([data])
            lawful(events)
            self.assertEqual(read(singly(data)), events, name)
            last = [line[6:] for line in data.splitlines() if line.startswith(b"data: {")][-1]
            streamed, told = assemble(events), whole(json.loads(last)["response"])
            self.assertEqual(streamed.choices[0].parts[-1], told.choices[0].parts[-1], name)
            self.assertEqual(streamed.usage, told.usage, name)
        self.assertGreater(seen, 1)


TYPES = st.sampled_from(
    [
        *(f"response.{name}" for name in ("created", "completed", "failed", "output_item.added", "output_item.done")),
        *(f"response.{name}.delta" for name in ("output_text", "refusal", "reasoning_text", "reasoning_summary_text")),
        *(f"response.{name}.delta" for name in ("function_call_arguments", "custom_tool_call_input")),
        *(f"response.{name}.done" for name in ("output_text", "content_part", "refusal")),
        *("response.output_text.annotation.added", "error", ""),
    ]
)
ODD: st.SearchStrategy[Any] = st.none() | st.integers(-1, 2) | st.text(max_size=3) | st.just([]) | st.just({})
ITEMS = st.sampled_from(
    [
        message(),
        message("a", "b"),
        call(),
        call(arguments=None),
        {"type": "custom_tool_call", "name": "c"},
        {"type": "reasoning", "encrypted_content": "x"},
        {"type": "reasoning", "summary": [{"text": "s"}]},
        {"type": "web_search_call"},
        {},
    ]
)
ODD_EVENTS = st.fixed_dictionaries(
    {"type": TYPES},
    optional={
        "delta": ODD,
        "output_index": ODD,
        "content_index": ODD,
        "summary_index": ODD,
        "item_id": ODD,
        "text": ODD,
        "item": ITEMS | ODD,
        "part": st.just({"type": "output_text", "text": "p"}) | ODD,
        "annotation": ODD,
        "logprobs": ODD,
        "response": st.builds(lambda items: response(*items), st.lists(ITEMS, max_size=3)) | ODD,
        "error": ODD,
    },
)


class AnyBytesTests(SynchronousTestCase):
    """Whatever a provider sends."""

    @settings(max_examples=100, deadline=None)
    @given(st.lists(ODD_EVENTS, max_size=8))
    def test_oddEvents(self, events: list[Payload]) -> None:
        """Events in any order with odd members are read without a fault, and what comes out is lawful."""
        lawful(read([stream(*events, named=False)]))

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(st.binary(max_size=30), max_size=5), st.sampled_from([b"", b"error", b"response.output_text.delta"])
    )
    def test_anyBytes(self, payloads: list[bytes], name: bytes) -> None:
        """Any bytes as payload raise nothing."""
        assert BACK.reader is not None
        reader = BACK.reader(TARGET)
        for payload in payloads:
            reader.read(Frame(payload, name, payload))
        reader.end()

    @settings(max_examples=60, deadline=None)
    @given(
        st.recursive(
            ODD | ITEMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
        )
    )
    def test_anyAnswer(self, output: object) -> None:
        """Any output in a response is read without a fault."""
        try:
            whole({"object": "response", "output": output, "usage": output, "created_at": output, "id": output})
        except ValueError:
            self.fail("a response object is an answer")
