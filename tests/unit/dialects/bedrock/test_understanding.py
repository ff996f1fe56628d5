"""Converse's answers: blocks, finish reasons, faults, and anything at all.

Edge cases of the checklist that are held here: 33 (the forced tool is text again), 45, 47, 48, 50, 51, 52, 53, 69, 71,
77, 80, 82, 108, 111, 125. Pings (49) and usage on several chunks (83) do not occur here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Completion, Finish, Media, Native, Part, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.dialects.bedrock.dialect import BEDROCK
from relay.dialects.bedrock.errors import error_type, read_error
from relay.dialects.codec import Target
from relay.dialects.faults import upstream_error
from relay.dialects.registry import DIALECTS
from relay.endpoints import ENDPOINTS
from relay.errors import InvalidRequest, UpstreamOverloaded, UpstreamRateLimited, UpstreamRefused
from relay.events import Began, Cited, Closed, Counted, Ended, Erred, Event, Finished, Grew, Opened, Sealed
from relay.exchange import Usage
from relay.wire.eventstream import EventStreamDecoder, Header, encode, encode_event, encode_exception
from tests.unit.dialects.bedrock.recorded import BACK, COUNT, read

ANY = Target("m")
KINDS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")
WORDS = [
    "contentBlockIndex",
    "delta",
    "start",
    "text",
    "toolUse",
    "toolResult",
    "input",
    "name",
    "toolUseId",
    "type",
    "reasoningContent",
    "signature",
    "redactedContent",
    "citation",
    "location",
    "usage",
    "inputTokens",
    "stopReason",
    "image",
    "source",
    "bytes",
    "output",
    "message",
    "content",
    "citationsContent",
    "citations",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=8,
)
"""JSON made of Converse's own words, put together in any way."""


def whole(*blocks: Mapping[str, Any], stop: str = "end_turn", **more: Any) -> Completion:
    """What a whole answer with these blocks means."""
    message = {"role": "assistant", "content": blocks}
    body = {"output": {"message": message}, "stopReason": stop, **more}
    answer: Completion = BACK.parse(json.dumps(body).encode(), ANY)
    return answer


def streamed(*events: tuple[str, Mapping[str, Any]]) -> list[Event]:
    """The hub's events of a stream."""
    return read([b"".join(encode_event(name, json.dumps(body).encode()) for name, body in events)])


def start(index: int, **inner: Any) -> tuple[str, Mapping[str, Any]]:
    """A block begins."""
    return "contentBlockStart", {"contentBlockIndex": index, "start": inner}


def delta(index: int, **inner: Any) -> tuple[str, Mapping[str, Any]]:
    """A block grows."""
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": inner}


def stop(index: int) -> tuple[str, Mapping[str, Any]]:
    """A block ends."""
    return "contentBlockStop", {"contentBlockIndex": index}


def tail(reason: str = "end_turn") -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """A good end."""
    return ("messageStop", {"stopReason": reason}), ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}})


PIECES = (
    delta(0, text="a"),
    delta(1, text="b"),
    delta(0, reasoningContent={"text": "t"}),
    delta(0, reasoningContent={"signature": "s"}),
    delta(0, reasoningContent={"redactedContent": "eA=="}),
    delta(0, citation={"title": "t"}),
    start(1, toolUse={"toolUseId": "c", "name": "f"}),
    start(1, toolUse={"name": "relay_structured_output"}),
    start(1, toolUse={"name": "relay_custom_x"}),
    delta(1, toolUse={"input": "{}"}),
    start(0, toolUse={"name": "s", "type": "server_tool_use"}),
    start(0, toolResult={"toolUseId": "c"}),
    delta(0, toolResult=[{"text": "r"}]),
    stop(0),
    stop(1),
    *tail(),
)
"""Events that Bedrock sends."""


def parts(answer: Completion) -> tuple[Part, ...]:
    """What was said."""
    return answer.choices[0].parts


def check(case: SynchronousTestCase, events: list[Event]) -> None:
    """Hold a reader to the rules of `relay.events`."""
    open_blocks: set[int] = set()
    last, over, finished = -1, False, False
    for position, event in enumerate(events):
        case.assertFalse(over, "something follows the end")
        match event:
            case Began():
                case.assertEqual(position, 0)
            case Opened():
                case.assertGreater(event.block, last)
                case.assertFalse(finished)
                last = event.block
                open_blocks.add(last)
            case Grew() | Sealed() | Cited():
                case.assertIn(event.block, open_blocks)
            case Closed():
                open_blocks.remove(event.block)
            case Finished():
                case.assertEqual((open_blocks, finished), (set(), False))
                finished = True
            case Ended() | Erred():
                over = True
            case Counted():
                pass
    if not over:
        case.assertEqual(open_blocks, set())


class WholeTests(SynchronousTestCase):
    """Answers that come in one piece."""

    def test_blocks(self) -> None:
        """Each kind of block has its part."""
        answer = whole(
            {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}},
            {"reasoningContent": {"reasoningText": {"text": "Unsigned."}}},
            {"reasoningContent": {"redactedContent": "eA=="}},
            {"text": "A"},
            {"text": ""},
            {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
            {"toolUse": {"toolUseId": "c", "name": "f", "input": {"n": 1.5, "s": "ü"}, "type": "tool_use"}},
            {"somethingNew": {"x": 1}},
            stop="tool_use",
        )
        self.assertEqual(
            parts(answer),
            (
                Thinking("Hm.", Seal("bedrock", "s")),
                Thinking("Unsigned."),
                Thinking(seal=Seal("bedrock", "eA=="), redacted=True),
                Text("A"),
                Media("image", "image/jpeg", "AAAA"),
                ToolCall("c", "f", '{"n":1.5,"s":"ü"}'),
                Native("bedrock", "somethingNew", b'{"somethingNew":{"x":1}}'),
            ),
        )

    def test_finish(self) -> None:
        """Stop reasons have the hub's words; those of later versions count as a stop (82)."""
        for reason, meaning in (
            ("end_turn", Finish.STOP),
            ("stop_sequence", Finish.STOP),
            ("max_tokens", Finish.LENGTH),
            ("model_context_window_exceeded", Finish.LENGTH),
            ("guardrail_intervened", Finish.FILTER),
            ("content_filtered", Finish.FILTER),
            ("malformed_tool_use", Finish.FAULT),
            ("malformed_model_output", Finish.FAULT),
            ("refusal", Finish.REFUSAL),
            ("pause_turn", Finish.PAUSE),
            ("something_new", Finish.STOP),
            ("", ""),
        ):
            self.assertEqual(whole({"text": "A"}, stop=reason).choices[0].finish, meaning, reason)

    def test_finishWithCalls(self) -> None:
        """Tools that were called are the reason, whatever Bedrock calls it, unless the answer was cut (71)."""
        use = {"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}
        self.assertEqual(whole(use, stop="end_turn").choices[0].finish, Finish.TOOL_CALLS)
        self.assertEqual(whole(use, stop="max_tokens").choices[0].finish, Finish.LENGTH)

    def test_refusalWithoutWords(self) -> None:
        """An answer without content is one all the same (53)."""
        answer = whole(stop="refusal")
        self.assertEqual((parts(answer), answer.choices[0].finish), ((), Finish.REFUSAL))

    def test_forcedAnswer(self) -> None:
        """The input of relay's own tool is the answer's text, and no tool was called (33)."""
        use = {"toolUse": {"toolUseId": "c", "name": "relay_structured_output", "input": {"a": 1}}}
        answer = whole(use, stop="tool_use")
        self.assertEqual((parts(answer), answer.choices[0].finish), ((Text('{"a":1}'),), Finish.STOP))

    def test_freeText(self) -> None:
        """A call of a tool that takes free text is its text."""
        use = {"toolUse": {"toolUseId": "c", "name": "relay_custom_patch", "input": {"input": "*** Begin"}}}
        self.assertEqual(parts(whole(use)), (ToolCall("c", "patch", "*** Begin", custom=True),))

    def test_missingId(self) -> None:
        """A call without an id gets one, the same each time (77)."""
        use = {"toolUse": {"name": "f", "input": None}}
        (call,) = parts(whole(use))
        assert isinstance(call, ToolCall)
        self.assertEqual((call.arguments, bool(call.id)), ("{}", True))
        self.assertEqual(parts(whole(use)), (call,))

    def test_usage(self) -> None:
        """Cached and written tokens are added to those that are fresh."""
        usage = {"inputTokens": 3, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 5, "outputTokens": 7}
        self.assertEqual(whole(usage=usage).usage, Usage(input=18, cached=10, cache_write=5, output=7))
        self.assertEqual(whole().usage, Usage())

    def test_stopSequence(self) -> None:
        """The stop sequence that Claude was asked to tell is told, wherever it stands."""
        for fields in ({"stop_sequence": "END"}, {"delta": {"stop_sequence": "END"}}):
            answer = whole({"text": "A"}, stop="stop_sequence", additionalModelResponseFields=fields)
            self.assertEqual(answer.choices[0].stop, "END")
        nothing = {"delta": {"stop_sequence": None}}
        self.assertEqual(whole(additionalModelResponseFields=nothing).choices[0].stop, "")

    def test_tierAndTrace(self) -> None:
        """The tier is told; a guardrail's trace has no place and does no harm."""
        answer = whole({"text": "A"}, serviceTier={"type": "priority"}, trace={"guardrail": {"inputAssessment": {}}})
        self.assertEqual(answer.tier, "priority")

    def test_noAnswer(self) -> None:
        """What is no answer is told as such."""
        for body in (b"", b"[]", b'{"message":"no"}', b'{"output":{}}', b'{"output":{"message":[]}}', b"\xff"):
            self.assertRaises(ValueError, BACK.parse, body, ANY)
            self.assertRaises(ValueError, COUNT.parse, body, ANY)

    @given(JSON)
    @settings(max_examples=100, deadline=None)
    def test_anyContent(self, content: object) -> None:
        """Whatever stands in an answer is read or passed over."""
        answer = BACK.parse(json.dumps({"output": {"message": {"content": [content, content]}}}).encode(), ANY)
        self.assertEqual(len(answer.choices), 1)


class StreamTests(SynchronousTestCase):
    """Answers that come in pieces."""

    def test_order(self) -> None:
        """Text, thinking and calls open with their first piece and close before the end, with or without a stop."""
        events = streamed(
            ("messageStart", {"role": "assistant"}),
            delta(0, reasoningContent={"text": "Hm"}),
            delta(0, reasoningContent={"signature": "s1"}),
            delta(0, reasoningContent={"signature": "s2"}),
            stop(0),
            delta(1, text="A"),
            delta(1, text=""),
            delta(1, text="B"),
            start(2, toolUse={"toolUseId": "c", "name": "f"}),
            delta(2, toolUse={"input": ""}),
            delta(2, toolUse={"input": '{"a":'}),
            delta(2, toolUse={"input": "1}"}),
            *tail("tool_use"),
        )
        self.assertEqual(
            events,
            [
                Began(),
                Opened(0, Thinking()),
                Grew(0, "Hm"),
                Sealed(0, Seal("bedrock", "s1s2")),
                Closed(0),
                Opened(1, Text("")),
                Grew(1, "A"),
                Grew(1, "B"),
                Closed(1),
                Opened(2, ToolCall("c", "f", "")),
                Grew(2, '{"a":'),
                Grew(2, "1}"),
                Closed(2),
                Finished(Finish.TOOL_CALLS),
                Counted(Usage(input=1, output=2)),
                Ended(),
            ],
        )

    def test_endInEitherOrder(self) -> None:
        """The end is there once both the stop and the token counts are (69)."""
        events = streamed(delta(0, text="A"), *reversed(tail()))
        self.assertEqual([type(event) for event in events[-3:]], [Closed, Finished, Ended])

    def test_emptyBlocks(self) -> None:
        """Blocks in which nothing is said are not opened."""
        events = streamed(
            delta(0, text=""), stop(0), start(1, text=""), stop(1), delta(2, reasoningContent={}), *tail()
        )
        self.assertEqual([type(event) for event in events], [Began, Finished, Counted, Ended])

    def test_hiddenThinking(self) -> None:
        """Thinking of which only the proof is shown keeps the proof."""
        answer = assemble(streamed(delta(0, reasoningContent={"signature": "s"}), stop(0), *tail()))
        self.assertEqual(parts(answer), (Thinking(seal=Seal("bedrock", "s")),))

    def test_callsWithoutArguments(self) -> None:
        """A call that says nothing of its arguments has none (47)."""
        events = streamed(start(0, toolUse={"toolUseId": "c", "name": "f"}), stop(0), *tail("tool_use"))
        self.assertEqual(parts(assemble(events)), (ToolCall("c", "f", "{}"),))

    def test_forcedAnswer(self) -> None:
        """Relay's own tool is text as it grows, also when nothing grows (33)."""
        begin = start(0, toolUse={"toolUseId": "c", "name": "relay_structured_output"})
        answer = assemble(
            streamed(begin, delta(0, toolUse={"input": '{"a"'}), delta(0, toolUse={"input": ":1}"}), *tail("tool_use"))
        )
        self.assertEqual((parts(answer), answer.choices[0].finish), ((Text('{"a":1}'),), Finish.STOP))
        self.assertEqual(parts(assemble(streamed(begin, stop(0), *tail("tool_use")))), (Text("{}"),))

    def test_freeText(self) -> None:
        """A call of a tool that takes free text comes when it is whole."""
        events = streamed(
            start(0, toolUse={"toolUseId": "c", "name": "relay_custom_patch"}),
            delta(0, toolUse={"input": '{"input":"a\\n'}),
            delta(0, toolUse={"input": 'b"}'}),
            stop(0),
            *tail("tool_use"),
        )
        answer = assemble(events)
        self.assertEqual(parts(answer), (ToolCall("c", "patch", "a\nb", custom=True),))
        self.assertEqual(answer.choices[0].finish, Finish.TOOL_CALLS)

    def test_images(self) -> None:
        """A generated image comes whole."""
        source = {"source": {"bytes": "AAAA"}}
        events = streamed(start(0, image={"format": "png"}), delta(0, image=source), stop(0), *tail())
        self.assertEqual(parts(assemble(events)), (Media("image", "image/png", "AAAA"),))

    def test_exceptions(self) -> None:
        """An exception in a good stream is its end, with Bedrock's words and kind (50, 80, 108)."""
        begun = encode_event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"A"}}')
        for name, kind in (
            ("throttlingException", UpstreamRateLimited),
            ("modelStreamErrorException", UpstreamOverloaded),
            ("internalServerException", UpstreamOverloaded),
            ("serviceUnavailableException", UpstreamOverloaded),
            ("validationException", UpstreamRefused),
        ):
            events = read([begun + encode_exception(name, b'{"message":"no","originalMessage":"really no"}') + begun])
            self.assertEqual(events[-1], Erred("no: really no", name))
            self.assertNotIn(Ended(), events)
            self.assertIs(type(upstream_error("no", name, "d")), kind)

    def test_unmodelledErrors(self) -> None:
        """An error without a model has its words in a header."""
        headers = (Header(":message-type", "error"), Header(":error-code", "500"), Header(":error-message", "broken"))
        self.assertEqual(read([encode(headers, b"")]), [Erred("broken", "500")])

    def test_cut(self) -> None:
        """A stream that is cut closes its blocks and finishes nothing (51)."""
        events = streamed(delta(0, text="A"))
        self.assertEqual(events, [Began(), Opened(0, Text("")), Grew(0, "A"), Closed(0)])

    def test_loneSurrogates(self) -> None:
        """Half an emoji in a piece goes on as it came (125)."""
        data = encode_event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"\\ud83d"}}')
        self.assertIn(Grew(0, "\ud83d"), read([data]))

    @given(st.lists(st.tuples(st.sampled_from((*KINDS, "unknown")), JSON), max_size=8))
    @settings(max_examples=100, deadline=None)
    def test_anyEvents(self, events: list[tuple[str, Any]]) -> None:
        """Any JSON in any event gives events in good order, and never raises."""
        check(self, streamed(*events))

    @given(st.lists(st.tuples(st.sampled_from((*KINDS, "exception")), st.binary(max_size=30)), max_size=6))
    @settings(max_examples=100, deadline=None)
    def test_anyBytes(self, events: list[tuple[str, bytes]]) -> None:
        """Any bytes in any event do no harm."""
        check(self, read(encode_event(name, body) for name, body in events))

    @given(st.lists(st.sampled_from(PIECES), max_size=12))
    @settings(max_examples=100, deadline=None)
    def test_anyOrder(self, events: list[tuple[str, Mapping[str, Any]]]) -> None:
        """Events that Bedrock sends, in an order that it does not, keep to the hub's rules."""
        check(self, streamed(*events))


class DialectTests(SynchronousTestCase):
    """The record itself."""

    def test_known(self) -> None:
        """It is registered, and its streams are AWS's."""
        self.assertIs(DIALECTS["bedrock"], BEDROCK)
        self.assertEqual(BEDROCK.stream_type, "application/vnd.amazon.eventstream")
        self.assertIsInstance(BEDROCK.decoder(99), EventStreamDecoder)

    def test_errorTypes(self) -> None:
        """A type stands in a header or in the body, with or without namespace and address (111)."""
        plain = b"ThrottlingException"
        for value in (plain, plain + b":http://internal.amazon.com/coral/", b"aws#" + plain):
            self.assertEqual(error_type(((b"date", b"x"), (b"x-amzn-errortype", value))), "ThrottlingException")
        self.assertEqual(error_type(()), "")
        typed = b'{"__type":"com.amazon.coral#AccessDeniedException","Message":"no"}'
        self.assertEqual(read_error(typed), ("no", "AccessDeniedException"))
        for odd in (b"", b"<html>", b"[1]", b'{"message":5}', b"\xff"):
            self.assertEqual(read_error(odd), ("", ""))

    def test_listener(self) -> None:
        """A listener hears content, usage, the finish reason, the end, and a fault."""
        endpoint = ENDPOINTS["/model/{model}/converse"]
        listener = BEDROCK.listener(endpoint)
        pure = []
        for name, body in (("messageStart", {}), delta(0, text="A"), *tail("max_tokens")):
            (frame,) = EventStreamDecoder(9999).feed(encode_event(name, json.dumps(body).encode()))
            pure.append(listener.hear(frame))
        self.assertEqual(pure, [False, False, False, True])
        self.assertEqual(
            (listener.content, listener.chunks, listener.finish, listener.done), (True, 1, "max_tokens", True)
        )
        self.assertEqual((listener.usage, listener.closing()), (Usage(input=1, output=2), b""))
        other = BEDROCK.listener(endpoint)
        self.assertIsNone(other.closing())
        (fault,) = EventStreamDecoder(9999).feed(other.fail(InvalidRequest("no"), "id"))
        other.hear(fault)
        self.assertEqual((other.error, other.done), (("no", "validationException"), True))

    def test_usage(self) -> None:
        """Usage of a whole answer and of a count; nonsense has none."""
        converse, count = ENDPOINTS["/model/{model}/converse"], ENDPOINTS["/model/{model}/count-tokens"]
        body = b'{"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2}}'
        self.assertEqual(BEDROCK.usage(converse, body), (Usage(input=1, output=2), "end_turn", ""))
        self.assertEqual(BEDROCK.usage(count, b'{"inputTokens":5}'), (Usage(input=5), "", ""))
        self.assertEqual(BEDROCK.usage(converse, b"\xff"), (Usage(), "", ""))
        self.assertEqual(BEDROCK.render_error(InvalidRequest("no"), "id"), b'{"message":"no"}')
