"""Cohere's answers, whole and streamed, as a provider sends them.

Edge cases 112 (plans, reasons, ``tokens`` before ``billed_units``, null arguments), 113 (errors in ``message-end``,
calls as single objects), 77, 88 and 125.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Choice, Completion, Finish, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.events import Began, Cited, Closed, Counted, Ended, Erred, Event, Finished, Grew, Opened
from relay.exchange import Usage
from tests.unit.dialects.cohere.events import BACK, TARGET, delta, read, stream

START = {"type": "message-start", "id": "a1", "delta": {"message": {"role": "assistant", "content": []}}}
USAGE = {
    "billed_units": {"input_tokens": 1, "output_tokens": 2},
    "tokens": {"input_tokens": 500.0, "output_tokens": 20.0, "reasoning_tokens": 7},
    "cached_tokens": 480,
}
SOURCE = {"type": "document", "id": "d", "document": {"id": "d", "title": "T", "url": "https://e.com"}}
CITATION = {"start": 0, "end": 2, "text": "Hi", "sources": [SOURCE], "type": "TEXT_CONTENT", "content_index": 0}


def end(reason: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    """The last event."""
    return {"type": "message-end", "delta": {"finish_reason": reason, **fields}}


def words(index: int, *pieces: str, kind: str = "text") -> list[dict[str, Any]]:
    """A block of words."""
    start = delta("content-start", index, content={"type": kind, kind: ""})
    middle = [delta("content-delta", index, content={kind: piece}) for piece in pieces]
    return [start, *middle, {"type": "content-end", "index": index}]


def call(index: int, own: str | None, *pieces: str | None) -> list[dict[str, Any]]:
    """A call; the first piece comes with its name."""
    made = {"id": own, "type": "function", "function": {"name": "look", "arguments": pieces[0]}}
    start = delta("tool-call-start", index, tool_calls=made)
    middle = [delta("tool-call-delta", index, tool_calls={"function": {"arguments": piece}}) for piece in pieces[1:]]
    return [start, *middle, {"type": "tool-call-end", "index": index}]


def parsed(message: Any = None, **fields: Any) -> Completion:
    """A whole answer."""
    body = {"id": "a1", "message": message or {}, "finish_reason": "COMPLETE", **fields}
    completion: Completion = BACK.parse(json.dumps(body).encode(), TARGET)
    return completion


class ParseTests(SynchronousTestCase):
    """Whole answers."""

    def test_whole(self) -> None:
        """Thoughts, words, the plan, and calls in this order; counts of ``tokens`` (112)."""
        message = {
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
            "tool_plan": "I look.",
            "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": '{"a":1}'}}],
        }
        completion = parsed(message, finish_reason="TOOL_CALL", usage=USAGE)
        parts = (Thinking("Hm."), Text("Hi"), Text("I look."), ToolCall("1", "look", '{"a":1}'))
        self.assertEqual(completion.choices, (Choice(parts, Finish.TOOL_CALLS),))
        self.assertEqual(completion.usage, Usage(input=500, cached=480, output=20, reasoning=7))
        self.assertEqual(completion.id, "a1")

    def test_usage(self) -> None:
        """Billed units stand in where nothing else is told; images are counted beside the tokens."""
        self.assertEqual(
            parsed(usage={"billed_units": {"input_tokens": 1, "output_tokens": 2}}).usage, Usage(1, output=2)
        )
        counted = {"tokens": {"input_tokens": 34, "output_tokens": 5, "image_tokens": 259}}
        self.assertEqual(parsed(usage=counted).usage, Usage(input=293, output=5))

    def test_reasons(self) -> None:
        """Every word has a finish; calls are the reason of a good end (43)."""
        reasons = {
            "COMPLETE": Finish.STOP,
            "STOP_SEQUENCE": Finish.STOP,
            "MAX_TOKENS": Finish.LENGTH,
            "TOOL_CALL": Finish.TOOL_CALLS,
            "ERROR": Finish.FAULT,
            "TIMEOUT": Finish.FAULT,
            "ERROR_TOXIC": Finish.FILTER,
            "ERROR_LIMIT": Finish.LENGTH,
            "complete": Finish.STOP,
            "NEW": Finish.STOP,
            "": "",
        }
        for word, finish in reasons.items():
            self.assertEqual(parsed(finish_reason=word).choices[0].finish, finish, word)
        called = {"tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "{}"}}]}
        self.assertEqual(parsed(called).choices[0].finish, Finish.TOOL_CALLS)

    def test_arguments(self) -> None:
        """Null, missing and empty arguments are an empty object; an id is made where there is none (77, 112)."""
        functions: tuple[dict[str, Any], ...] = ({"arguments": None}, {}, {"arguments": ""}, {"arguments": {}})
        for function in functions:
            (made,) = parsed({"tool_calls": [{"function": {"name": "look", **function}}]}).choices[0].parts
            assert isinstance(made, ToolCall)
            self.assertEqual((made.name, made.arguments, made.id[:5]), ("look", "{}", "call_"))

    def test_citations(self) -> None:
        """A citation belongs to the block that it names, else to the last text."""
        message = {
            "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}],
            "citations": [CITATION, {**CITATION, "content_index": None, "text": "x"}],
        }
        first, second = parsed(message).choices[0].parts
        assert isinstance(first, Text)
        assert isinstance(second, Text)
        (citation,) = first.citations
        self.assertEqual(
            (citation.url, citation.title, citation.quote, citation.start, citation.end, citation.origin),
            ("https://e.com", "T", "Hi", 0, 2, "cohere"),
        )
        self.assertEqual([one.quote for one in second.citations], ["x"])

    def test_logprobs(self) -> None:
        """Log probabilities are OpenAI's; a chunk of several tokens counts as one."""
        items = [{"text": "Hi", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}, {"text": "", "logprobs": []}]
        found = json.loads(parsed(logprobs=items).choices[0].logprobs)["content"]
        self.assertEqual(found, [{"token": "Hi", "logprob": -0.75, "bytes": None, "top_logprobs": []}])

    def test_lenient(self) -> None:
        """What is odd counts as absent; content may be a string."""
        odd: tuple[Any, ...] = (
            {"content": 5, "tool_calls": {"a": 1}, "citations": [5], "tool_plan": []},
            {"content": [None, 5, {"type": "text"}, {"text": 5}], "tool_calls": [None, {}, {"function": {}}]},
        )
        for message in odd:
            self.assertEqual(parsed(message, usage=[]).choices, (Choice((), Finish.STOP),), message)
        self.assertEqual(parsed({"content": "Hi"}).choices[0].parts, (Text("Hi"),))

    def test_none(self) -> None:
        """What is no answer is none."""
        for body in (b"", b"[]", b"null", b"{}", b'{"message":"bad key"}', b"<html>"):
            self.assertRaises(ValueError, BACK.parse, body, TARGET)


STREAMS: dict[str, tuple[bytes, list[Event]]] = {
    "text": (
        stream(START, *words(0, "Hi", " you"), end(usage=USAGE)),
        [
            Opened(0, Text("")),
            Grew(0, "Hi"),
            Grew(0, " you"),
            Closed(0),
            Counted(Usage(input=500, cached=480, output=20, reasoning=7)),
            Finished(Finish.STOP),
            Ended(),
        ],
    ),
    "thoughts, then words": (
        stream(START, *words(0, "H", "m", kind="thinking"), *words(1, "Hi"), end("MAX_TOKENS")),
        [
            Opened(0, Thinking("")),
            Grew(0, "H"),
            Grew(0, "m"),
            Closed(0),
            Opened(1, Text("")),
            Grew(1, "Hi"),
            Closed(1),
            Finished(Finish.LENGTH),
            Ended(),
        ],
    ),
    "a plan and two calls": (
        stream(
            START,
            delta("tool-plan-delta", tool_plan="I"),
            delta("tool-plan-delta", tool_plan=" look."),
            *call(0, "1", "", '{"a"', ":1}"),
            *call(1, "2", None),
            end("TOOL_CALL"),
        ),
        [
            Opened(0, Text("")),
            Grew(0, "I"),
            Grew(0, " look."),
            Closed(0),
            Opened(1, ToolCall("1", "look", "")),
            Grew(1, '{"a"'),
            Grew(1, ":1}"),
            Closed(1),
            Opened(2, ToolCall("2", "look", "")),
            Closed(2),
            Finished(Finish.TOOL_CALLS),
            Ended(),
        ],
    ),
    "a whole call, though complete": (
        stream(START, *call(0, "1", "{}"), end()),
        [Opened(0, ToolCall("1", "look", "")), Grew(0, "{}"), Closed(0), Finished(Finish.TOOL_CALLS), Ended()],
    ),
    "an empty block": (stream(START, *words(0), end()), [Finished(Finish.STOP), Ended()]),
    "an error at the end": (
        stream(START, *words(0, "Hi"), end("ERROR", error="broken", usage={"tokens": {"output_tokens": 1}})),
        [Opened(0, Text("")), Grew(0, "Hi"), Closed(0), Counted(Usage(output=1)), Erred("broken", "ERROR")],
    ),
    "an error without words": (
        stream(START, end("ERROR")),
        [Finished(Finish.FAULT), Ended()],
    ),
    "an error of its own": (
        stream(START) + b'data: {"message":"rate limited"}\n\n' + stream(end()),
        [Erred("rate limited", "")],
    ),
    "cut off": (stream(START, *words(0, "Hi")[:2]), [Opened(0, Text("")), Grew(0, "Hi"), Closed(0)]),
}


class ReaderTests(SynchronousTestCase):
    """Streamed answers."""

    def test_streams(self) -> None:
        """Each stream is understood, whole, byte by byte, and cut anywhere in two (88)."""
        for name, (data, expected) in STREAMS.items():
            whole = [Began(id="a1"), *expected]
            self.assertEqual(read(data), whole, name)
            self.assertEqual(read(data + b"data: [DONE]\n\n"), whole, name)
            self.assertEqual(read(data, [data[at : at + 1] for at in range(len(data))]), whole, name)
            self.assertEqual(read(data.replace(b"\n", b"\r\n")), whole, name)
            for cut in range(0, len(data), 11):
                self.assertEqual(read(data, [data[:cut], data[cut:]]), whole, name)

    def test_unnamed(self) -> None:
        """Events without names, and calls in lists of one, are understood, too."""
        for name, (data, expected) in STREAMS.items():
            lines = [line for line in data.split(b"\n") if not line.startswith(b"event:")]
            self.assertEqual(read(b"\n".join(lines)), [Began(id="a1"), *expected], name)
        listed = delta("tool-call-start", 0, tool_calls=[{"id": "1", "function": {"name": "look", "arguments": ""}}])
        events = read(
            stream(START, listed, delta("tool-call-delta", 0, tool_calls=[{"function": {"arguments": "{}"}}]))
        )
        self.assertEqual(events[1:3], [Opened(0, ToolCall("1", "look", "")), Grew(0, "{}")])

    def test_citations(self) -> None:
        """Citations come within their text, also behind its end; those of thoughts and plans have no place."""
        cite = delta("citation-start", 0, citations=CITATION)
        thought = delta("citation-start", 1, citations={**CITATION, "content_index": 7})
        for events in (
            [START, *words(0, "Hi")[:2], cite, {"type": "citation-end", "index": 0}, thought, words(0)[-1], end()],
            [START, *words(0, "Hi"), cite, thought, end()],
        ):
            kinds = [type(event) for event in read(stream(*events))]
            self.assertEqual(kinds, [Began, Opened, Grew, Cited, Closed, Finished, Ended])
        self.assertNotIn(Cited, [type(event) for event in read(stream(START, cite, end()))])

    def test_logprobs(self) -> None:
        """Log probabilities come beside a piece."""
        piece = {**delta("content-delta", 0, content={"text": "Hi"}), "logprobs": {"text": "Hi", "logprobs": [-0.5]}}
        (choice,) = assemble(read(stream(START, piece, piece, end()))).choices
        self.assertEqual([entry["logprob"] for entry in json.loads(choice.logprobs)["content"]], [-0.5, -0.5])

    def test_noStart(self) -> None:
        """A stream without its first event begins with its first words."""
        self.assertEqual(read(stream(*words(0, "Hi")[1:2]))[:2], [Began(), Opened(0, Text(""))])

    def test_halves(self) -> None:
        """Half an emoji in a piece is passed on (125)."""
        data = rb'{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"\ud83d"}}}}'
        self.assertIn(Grew(0, "\ud83d"), read(b"event: content-delta\ndata: " + data + b"\n\n"))

    @settings(max_examples=100, deadline=None, database=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        "message-start",
                        "content-start",
                        "content-delta",
                        "content-end",
                        "tool-plan-delta",
                        "tool-call-start",
                        "tool-call-delta",
                        "tool-call-end",
                        "citation-start",
                        "message-end",
                        "new",
                    ]
                ),
                st.sampled_from(
                    [
                        b"null",
                        b"{}",
                        b"[",
                        b'{"message":5}',
                        b'{"message":{"content":{"text":"a"},"tool_plan":"b"}}',
                        b'{"message":{"content":{"thinking":"a"}}}',
                        b'{"message":{"tool_calls":{"id":"1","function":{"name":"f","arguments":"{}"}}}}',
                        b'{"message":{"tool_calls":[5],"citations":[5]}}',
                        b'{"message":{"citations":{"content_index":0}}}',
                        b'{"finish_reason":5,"usage":{"tokens":5},"error":{}}',
                    ]
                ),
            ),
            max_size=10,
        )
    )
    def test_anyEvents(self, sent: list[tuple[str, bytes]]) -> None:
        """Whatever comes: no exception, and the rules of the hub's streams hold."""
        data = b"".join(
            b'event: %b\ndata: {"type":"%b","index":0,"delta":%b}\n\n' % (kind.encode(), kind.encode(), body)
            for kind, body in sent
        )
        open_blocks: set[int] = set()
        last = -1
        events = read(data)
        for event in events:
            if isinstance(event, Opened):
                self.assertGreater(event.block, last)
                last = event.block
                open_blocks.add(last)
            elif isinstance(event, Grew | Cited | Closed):
                self.assertIn(event.block, open_blocks)
                if isinstance(event, Closed):
                    open_blocks.remove(event.block)
            elif isinstance(event, Finished):
                self.assertFalse(open_blocks)
        ends = [event for event in events if isinstance(event, Ended | Erred)]
        self.assertTrue(not ends or ends == [events[-1]])

    @settings(max_examples=50, deadline=None, database=None)
    @given(st.binary(max_size=60))
    def test_anyBytes(self, data: bytes) -> None:
        """No bytes raise."""
        read(data)
        read(b"event: content-delta\ndata: " + data + b"\n\n")
