"""What a provider streams and answers, in the hub's words.

Of the edge cases of the way back from Anthropic: 43, 44, 45, 47, 48, 49, 50, 51, 52, 53, 117, 125 here. 46 (an index
of its own for tools) is a matter of the dialect that is written.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Citation, Finish, Native, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.anthropic.reading import reader
from relay.dialects.anthropic.understanding import parse, parse_count
from relay.dialects.codec import Target
from relay.events import Began, Closed, Counted, Ended, Erred, Event, Finished, Grew, Opened, Sealed
from relay.exchange import Usage
from relay.vectors import TokenCount
from relay.wire.sse import SSEDecoder
from tests.unit.dialects.anthropic.messages import assembled, pieces, read, streamed

TARGET = Target("m")
START = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 10, "output_tokens": 1}},
}
STOP = {"type": "message_stop"}


def opened(block: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """A block's start."""
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(index: int = 0, **delta: Any) -> dict[str, Any]:
    """A block's delta."""
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(index: int = 0) -> dict[str, Any]:
    """A block's end."""
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    """A ``message_delta``."""
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def answer(*content: Any, reason: str | None = "end_turn", **fields: Any) -> bytes:
    """A whole message."""
    return json.dumps({"id": "msg_1", "content": content, "stop_reason": reason, **fields}).encode()


EVENTS = ("content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_start", "error")
KINDS: tuple[object, ...] = ("text", "tool_use", "thinking", "server_tool_use", {}, 1, None)
DELTAS = ("text_delta", "input_json_delta", "citations_delta", "x", 1, None)
ANY_EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from((*EVENTS, "x"))},
    optional={
        "index": st.integers(-1, 2) | st.none(),
        "delta": st.dictionaries(
            st.sampled_from(("type", "text", "partial_json", "stop_reason", "citation")), st.sampled_from(DELTAS)
        ),
        "content_block": st.dictionaries(
            st.sampled_from(("type", "id", "name", "input", "text")), st.sampled_from(KINDS)
        ),
        "message": st.none() | st.just({"usage": {"input_tokens": "x"}}),
    },
)
"""Events in any order with any content."""

TEXT = {"type": "text", "text": ""}
TOOL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


class StreamTests(SynchronousTestCase):
    """Events from frames."""

    def test_text(self) -> None:
        """A plain answer, event by event."""
        data = streamed(
            START,
            opened(TEXT),
            {"type": "ping"},
            grown(type="text_delta", text="Hi"),
            closed(),
            ended(output_tokens=5),
            STOP,
        )
        self.assertEqual(
            read(data),
            [
                Began("msg_1", "claude"),
                Counted(Usage(input=10, output=1)),
                Opened(0, Text("")),
                Grew(0, "Hi"),
                Closed(0),
                Counted(Usage(input=10, output=5)),
                Finished("stop"),
                Ended(),
            ],
        )

    def test_thinking(self) -> None:
        """Thinking grows, is sealed; redacted thinking comes whole."""
        data = streamed(
            START,
            opened({"type": "thinking", "thinking": "", "signature": ""}),
            grown(type="thinking_delta", thinking="hm"),
            grown(type="signature_delta", signature="s"),
            closed(),
            opened({"type": "redacted_thinking", "data": "d"}, 1),
            closed(1),
        )
        self.assertEqual(
            read(data)[2:],
            [
                Opened(0, Thinking("")),
                Grew(0, "hm"),
                Sealed(0, Seal("anthropic", "s")),
                Closed(0),
                Opened(1, Thinking(seal=Seal("anthropic", "d"), redacted=True)),
                Closed(1),
            ],
        )

    def test_tools(self) -> None:
        """Arguments grow; a tool without any gets the empty object (47)."""
        data = streamed(
            opened(TOOL),
            grown(type="input_json_delta", partial_json=""),
            grown(type="input_json_delta", partial_json='{"a":'),
            grown(type="input_json_delta", partial_json="1}"),
            closed(),
            opened({**TOOL, "id": "u"}, 1),
            closed(1),
            ended("tool_use"),
        )
        (choice,) = assembled(read(data)).choices
        self.assertEqual(choice.parts, (ToolCall("t", "f", '{"a":1}'), ToolCall("u", "f", "{}")))
        self.assertEqual(choice.finish, Finish.TOOL_CALLS)

    def test_givenAtStart(self) -> None:
        """A block's start may hold text, thinking, a signature or the input already (48)."""
        data = streamed(
            opened({"type": "text", "text": "a"}),
            grown(type="text_delta", text="b"),
            closed(),
            opened({"type": "thinking", "thinking": "c", "signature": "s"}, 1),
            closed(1),
            opened({**TOOL, "input": {"x": 1.0}}, 2),
            closed(2),
        )
        self.assertEqual(
            assembled(read(data)).choices[0].parts,
            (Text("ab"), Thinking("c", Seal("anthropic", "s")), ToolCall("t", "f", '{"x": 1.0}')),
        )

    def test_twice(self) -> None:
        """A message that a proxy begins again begins once here (48, 117)."""
        data = streamed(START, START, opened(TEXT), grown(type="text_delta", text="a"), START, opened(TEXT),
                        grown(type="text_delta", text="b"), closed(), ended(), STOP)  # fmt: skip
        events = read(data)
        self.assertEqual(sum(isinstance(event, Began) for event in events), 1)
        self.assertEqual(assembled(events).choices[0].parts, (Text("a"), Text("b")))

    def test_usage(self) -> None:
        """Later counts replace those they name; cached tokens are part of the input (44, 45)."""
        usage = {
            "input_tokens": 1,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "output_tokens": 1,
        }
        start = {"type": "message_start", "message": {"usage": {**usage, "service_tier": "standard"}}}
        events = read(
            streamed(start, ended(None, input_tokens=None, output_tokens=9), ended("end_turn", input_tokens=5))
        )
        self.assertEqual(events[0], Began(tier="default"))
        self.assertEqual(assembled(events).usage, Usage(input=125, cached=100, cache_write=20, output=9))

    def test_served(self) -> None:
        """Server tools and their results are carried in one piece (52)."""
        use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
        result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]}
        data = streamed(
            opened(use),
            grown(type="input_json_delta", partial_json='{"query":'),
            grown(type="input_json_delta", partial_json='"q"}'),
            closed(),
            opened(result, 1),
            closed(1),
            opened({"type": "compaction", "content": None}, 2),
            grown(2, type="compaction_delta", content="sum"),
            grown(2, type="compaction_delta", content="mary"),
            closed(2),
            ended(),
        )
        parts = assembled(read(data)).choices[0].parts
        self.assertTrue(all(isinstance(part, Native) and part.origin == "anthropic" for part in parts))
        values = [json.loads(part.value) for part in parts if isinstance(part, Native)]
        self.assertEqual(
            values, [{**use, "input": {"query": "q"}}, result, {"type": "compaction", "content": "summary"}]
        )

    def test_citations(self) -> None:
        """Sources of a text come with it (52)."""
        source = {
            "type": "web_search_result_location",
            "url": "u",
            "title": "t",
            "cited_text": "c",
            "encrypted_index": "e",
        }
        data = streamed(
            opened(TEXT), grown(type="citations_delta", citation=source), grown(type="text_delta", text="a"), closed()
        )
        (part,) = assembled(read(data)).choices[0].parts
        native = json.dumps(source).encode()
        self.assertEqual(part, Text("a", citations=(Citation("u", "t", "c", origin="anthropic", native=native),)))

    def test_finishes(self) -> None:
        """Each reason in the hub's words (43); tools that were called count more than ``end_turn``."""
        for reason, expected in (
            ("end_turn", Finish.STOP),
            ("stop_sequence", Finish.STOP),
            ("max_tokens", Finish.LENGTH),
            ("model_context_window_exceeded", Finish.LENGTH),
            ("tool_use", Finish.TOOL_CALLS),
            ("refusal", Finish.REFUSAL),
            ("pause_turn", Finish.PAUSE),
            ("of_tomorrow", Finish.STOP),
        ):
            self.assertEqual(assembled(read(streamed(START, ended(reason)))).choices[0].finish, expected)
            self.assertEqual(parse(answer(reason=reason), TARGET).choices[0].finish, expected)
            called = {Finish.STOP: Finish.TOOL_CALLS}.get(expected, expected)
            self.assertEqual(assembled(read(streamed(opened(TOOL), closed(), ended(reason)))).choices[0].finish, called)
            self.assertEqual(parse(answer(TOOL, reason=reason), TARGET).choices[0].finish, called)

    def test_stopSequence(self) -> None:
        """The sequence that was written is told."""
        delta = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
        events = read(streamed(START, {"type": "message_delta", "delta": delta}))
        self.assertIn(Finished(Finish.STOP, "END"), events)
        self.assertEqual(
            parse(answer(TEXT, reason="stop_sequence", stop_sequence="END"), TARGET).choices[0].stop, "END"
        )

    def test_refusal(self) -> None:
        """A refusal without content is an answer; the provider's words for it are kept (53)."""
        self.assertEqual(assembled(read(streamed(START, ended("refusal"), STOP))).choices[0].parts, ())
        self.assertEqual(parse(answer(reason="refusal"), TARGET).choices[0].parts, ())
        delta = {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "No."}}
        events = read(streamed(START, {"type": "message_delta", "delta": delta}))
        self.assertEqual(assembled(events).choices[0].parts, (Refusal("No."),))
        self.assertIsInstance(events[-1], Finished)
        self.assertEqual(
            parse(answer(reason="refusal", stop_details=delta["stop_details"]), TARGET).choices[0].parts,
            (Refusal("No."),),
        )

    def test_error(self) -> None:
        """An error in mid-stream ends it, and there is no finish (50)."""
        fault = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        events = read(streamed(START, opened(TEXT), fault, ended(), STOP))
        self.assertEqual(events[-1], Erred("busy", "overloaded_error"))
        self.assertFalse(any(isinstance(event, Finished | Ended) for event in events))

    def test_cut(self) -> None:
        """A stream that ends early has its blocks closed, but neither finish nor end (51)."""
        events = read(streamed(START, opened(TEXT), grown(type="text_delta", text="a")))
        self.assertEqual(events[-1], Closed(0))
        self.assertFalse(any(isinstance(event, Finished | Ended) for event in events))

    def test_nameless(self) -> None:
        """Events are known by their payload when the frame has no name."""
        data = streamed(START, opened(TEXT), grown(type="text_delta", text="a"), closed(), ended(), STOP)
        bare = b"\n".join(line for line in data.split(b"\n") if not line.startswith(b"event:"))
        self.assertEqual(read(bare), read(data))

    def test_surrogates(self) -> None:
        """Half an emoji does not stop a stream (125)."""
        frame = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\ud83d"}}\n\n'
        events = read(streamed(opened(TEXT)) + frame + streamed(closed()))
        (part,) = assembled(events).choices[0].parts
        assert isinstance(part, Text)
        self.assertTrue(part.text.startswith("a"))

    def test_bounded(self) -> None:
        """A long text leaves nothing behind in the reader."""
        understood = reader(TARGET)
        (start, delta) = SSEDecoder(1 << 20).feed(streamed(opened(TEXT), grown(type="text_delta", text="x" * 100)))
        understood.read(start)
        for _ in range(100):
            self.assertEqual(len(understood.read(delta)), 1)
        self.assertEqual([block.pieces for block in understood._blocks.values()], [[]])

    def test_oddities(self) -> None:
        """What is not as documented is passed over (125)."""
        for payload in (
            b"nonsense",
            b"[]",
            b"null",
            b'"text"',
            b"{}",
            b'{"type":5}',
            b'{"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"a"}}',
            b'{"type":"content_block_delta","index":"0","delta":5}',
            b'{"type":"content_block_start","index":0,"content_block":[]}',
            b'{"type":"content_block_start"}',
            b'{"type":"content_block_stop","index":3}',
            b'{"type":"message_start","message":{"id":5,"model":[],"usage":[]}}',
            b'{"type":"message_delta","delta":{"stop_reason":5}}',
            b"[" * 10000,
        ):
            events = read(b"data: " + payload + b"\n\n")
            self.assertFalse(any(isinstance(event, Grew | Finished | Erred | Ended) for event in events), payload)

    @settings(max_examples=100, deadline=None, database=None)
    @given(st.binary(max_size=200), st.sampled_from((b"", b"content_block_start", b"message_delta", b"error")))
    def test_anyBytes(self, payload: bytes, name: bytes) -> None:
        """No bytes make a reader raise."""
        understood = reader(TARGET)
        for frame in SSEDecoder(1 << 20).feed(b"event: " + name + b"\ndata: " + payload + b"\n\n"):
            understood.read(frame)
        understood.end()

    @settings(max_examples=100, deadline=None, database=None)
    @given(st.lists(ANY_EVENT, max_size=8))
    def test_anyEvents(self, payloads: list[dict[str, Any]]) -> None:
        """No order and no content of events breaks the hub's rules."""
        self.legal(read(streamed(*payloads)))

    def legal(self, events: list[Event]) -> None:
        """Blocks rise, grow only while they are open, and are all closed at the finish."""
        last, open_blocks, over = -1, set(), False
        for event in events:
            self.assertFalse(over)
            match event:
                case Opened():
                    self.assertGreater(event.block, last)
                    last = event.block
                    open_blocks.add(last)
                case Grew() | Sealed():
                    self.assertIn(event.block, open_blocks)
                case Closed():
                    open_blocks.remove(event.block)
                case Finished():
                    self.assertEqual(open_blocks, set())
                case Ended() | Erred():
                    over = True
        self.assertTrue(not open_blocks or over)


class WholeTests(SynchronousTestCase):
    """Whole answers."""

    def test_answer(self) -> None:
        """Id, model, parts, reason, tokens and tier."""
        usage = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "service_tier": "priority"}
        found = parse(answer({"type": "text", "text": "Hi"}, TOOL, model="claude", usage=usage), TARGET)
        self.assertEqual((found.id, found.model, found.tier), ("msg_1", "claude", "priority"))
        self.assertEqual(found.choices[0].parts, (Text("Hi"), ToolCall("t", "f", "{}")))
        self.assertEqual(found.usage, Usage(input=4, cached=3, output=2))

    def test_numbers(self) -> None:
        """Arguments keep their text: big numbers, order, ``1.0`` (124)."""
        arguments = '{"b":1.0,"a":12345678901234567890123}'
        body = (
            '{"content":[{"type":"tool_use","id":"t","name":"f","input":' + arguments + '}],"stop_reason":"tool_use"}'
        )
        self.assertEqual(parse(body.encode(), TARGET).choices[0].parts, (ToolCall("t", "f", arguments),))

    def test_malformedBlocks(self) -> None:
        """A block that is none is passed over; the rest of the answer is good."""
        found = parse(
            answer(5, {"type": "text", "text": 5}, {"type": "tool_use"}, {"type": "text", "text": "a"}), TARGET
        )
        self.assertEqual(found.choices[0].parts, (Text("a"),))

    def test_surrogates(self) -> None:
        """Half an emoji does not spoil an answer (125)."""
        (part,) = (
            parse(b'{"content":[{"type":"text","text":"a\\ud83d"}],"stop_reason":"end_turn"}', TARGET).choices[0].parts
        )
        assert isinstance(part, Text)
        self.assertTrue(part.text.startswith("a"))

    def test_none(self) -> None:
        """What is no answer is told as that."""
        for body in (
            b"",
            b"[]",
            b"null",
            b"<html>",
            b"{}",
            b'{"content":"a"}',
            b'{"error":{"message":"m"}}',
            b"[" * 9999,
        ):
            self.assertRaises(ValueError, parse, body, TARGET)

    def test_count(self) -> None:
        """Counted tokens, or no answer."""
        self.assertEqual(parse_count(b'{"input_tokens":14}', TARGET), TokenCount(14))
        for body in (b"", b"{}", b'{"input_tokens":"x"}'):
            self.assertRaises(ValueError, parse_count, body, TARGET)


class SliceTests(SynchronousTestCase):
    """Slicing means nothing."""

    @settings(max_examples=50, deadline=None, database=None)
    @given(st.data())
    def test_slices(self, chance: st.DataObject) -> None:
        """The same events, however the bytes are cut."""
        data = streamed(
            START,
            opened(TEXT),
            grown(type="text_delta", text="é😀"),
            closed(),
            opened(TOOL, 1),
            closed(1),
            ended("tool_use"),
            STOP,
        )
        cuts = sorted(chance.draw(st.lists(st.integers(0, len(data)), max_size=9)))
        sliced = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        self.assertEqual(read(data, sliced), read(data))
        self.assertEqual(read(data, pieces(data)), read(data))
