"""Streams and answers for clients of the Messages API.

Of the edge cases of Anthropic clients: 61, 64 to 71, 73, 74 here. 72 is the errors'
(`tests.unit.dialects.test_errors`), the time limit of 69 is the gateway's.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import anthropic.types
import pydantic
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    Choice,
    Citation,
    Completion,
    Finish,
    Media,
    Native,
    Part,
    Refusal,
    Seal,
    Text,
    Thinking,
    ToolCall,
)
from relay.dialects.anthropic.answer import render_count
from relay.dialects.anthropic.writing import writer
from relay.dialects.assembly import disassemble
from relay.errors import UpstreamOverloaded
from relay.events import Began, Cited, Closed, Counted, Ended, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage
from relay.outcome import Stage
from relay.vectors import TokenCount
from tests.unit.dialects.anthropic.messages import asked, checked, payloads, rendered, shapes, written

EVENTS: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)
NOTHING = Usage()
OWN = Seal("anthropic", "s")
FOREIGN = Seal("gemini", "c2ln")
NATIVE = b'{"type":"server_tool_use","id":"s","name":"web_search","input":{}}'
SOURCE = b'{"type":"char_location","cited_text":"q","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1}'  # noqa: E501


def block(number: int, part: Part, *pieces: str) -> list[Event]:
    """A block's whole life."""
    return [Opened(number, part), *(Grew(number, piece) for piece in pieces), Closed(number)]


def whole(*parts: Part, finish: str = Finish.STOP, stop: str = "", usage: Usage = NOTHING) -> Completion:
    """A completion."""
    return Completion("", "m", (Choice(parts, finish, stop),), usage)


class BlockTests(SynchronousTestCase):
    """One block at a time, none empty."""

    def test_text(self) -> None:
        """Text as it comes."""
        found = written(
            [Began("x", "m")], [Opened(0, Text(""))], [Grew(0, "a")], [Grew(0, "b")], [Closed(0), Finished("stop")]
        )
        self.assertEqual(shapes(found), ["start text", "a", "b", "stop"])

    def test_empty(self) -> None:
        """A block that says nothing is not there (4)."""
        for part in (Text(""), Thinking(""), Refusal(""), Thinking(redacted=True)):
            self.assertEqual(shapes(written(block(0, part), [Finished("stop")])), [], part)
            self.assertEqual(rendered(whole(part))["content"], [], part)

    def test_toolFirst(self) -> None:
        """A call may come first; a text that was opened before and says nothing does not stand in front (67)."""
        tool = ToolCall("t", "f", "")
        found = written([Opened(0, Text("")), Opened(1, tool), Grew(1, "{}"), Closed(1), Closed(0)])
        self.assertEqual(shapes(found), ["start tool_use", "{}", "stop"])

    def test_splitKinds(self) -> None:
        """Thinking and text that come together become two blocks (66)."""
        events = [Opened(0, Thinking("")), Grew(0, "hm"), Closed(0), *block(1, Text(""), "a"), Finished("stop")]
        self.assertEqual(shapes(written(events)), ["start thinking", "hm", "stop", "start text", "a", "stop"])

    def test_wholeCall(self) -> None:
        """Name and arguments in one chunk still give a start and a delta (68)."""
        found = written(block(0, ToolCall("t", "f", ""), '{"a":1}'))
        self.assertEqual(shapes(found), ["start tool_use", '{"a":1}', "stop"])
        self.assertEqual(found[1]["content_block"], {"type": "tool_use", "id": "t", "name": "f", "input": {}})
        given = written([Opened(0, ToolCall("t", "f", '{"a":1}')), Closed(0)])
        self.assertEqual(shapes(given), shapes(found))

    def test_interleaved(self) -> None:
        """Calls whose arguments come in turns are written one behind the other (74)."""
        one, two = ToolCall("t1", "f", ""), ToolCall("t2", "g", "")
        events: list[Event] = [Opened(0, one), Opened(1, two), Grew(0, "{"), Grew(1, "["), Grew(0, "}"), Grew(1, "]")]
        found = written(*([event] for event in events), [Closed(1)], [Closed(0)], [Finished("tool_calls")])
        self.assertEqual(shapes(found), ["start tool_use", "{", "}", "stop", "start tool_use", "[]", "stop"])

    def test_textBehindCall(self) -> None:
        """Text that grows while a call is open waits for its turn."""
        found = written(
            [Opened(0, Text("")), Opened(1, ToolCall("t", "f", "")), Grew(0, "a"), Grew(1, "{}"), Grew(0, "b")]
        )
        self.assertEqual(shapes(found), ["start tool_use", "{}", "stop", "start text", "ab", "stop"])

    def test_thinking(self) -> None:
        """Signatures stand behind the words; foreign ones say whose they are; redacted thinking is whole."""
        for part, pieces, expected in (
            (Thinking(""), ["hm"], ["start thinking", "hm", "stop"]),
            (Thinking("", OWN), ["hm"], ["start thinking", "hm", "s", "stop"]),
            (Thinking("", OWN), [], ["start thinking", "s", "stop"]),
            (Thinking("", FOREIGN), ["hm"], ["start thinking", "hm", "relay1.gemini.c2ln", "stop"]),
            (Thinking("", FOREIGN), [], ["start redacted_thinking", "stop"]),
            (Thinking(redacted=True, seal=OWN), [], ["start redacted_thinking", "stop"]),
        ):
            self.assertEqual(shapes(written(block(0, part, *pieces))), expected, part)
        sealed = written([Opened(0, Thinking("")), Sealed(0, OWN), Grew(0, "hm"), Closed(0)])
        self.assertEqual(shapes(sealed), ["start thinking", "hm", "s", "stop"])

    def test_sealedCall(self) -> None:
        """A call's proof travels in its id."""
        found = written(block(0, ToolCall("t", "f", "", seal=FOREIGN), "{}"))
        self.assertEqual(found[1]["content_block"]["id"], "t__seal_gemini_YzJsbg")

    def test_freeText(self) -> None:
        """Free text becomes an input with one string, whole and streamed."""
        text = 'a"\n\\é'
        found = written(block(0, ToolCall("t", "f", "", custom=True), text[:2], text[2:]))
        self.assertEqual(json.loads("".join(shapes(found)[1:-1])), {"input": text})
        self.assertEqual(rendered(whole(ToolCall("t", "f", text, custom=True)))["content"][0]["input"], {"input": text})

    def test_native(self) -> None:
        """This dialect's own blocks pass in one piece; other dialects' and media have no form (52)."""
        for part, expected in (
            (Native("anthropic", "server_tool_use", NATIVE), ["start server_tool_use", "stop"]),
            (Native("responses", "x", b"{}"), []),
            (Media("image", "image/png", "AAAA"), []),
        ):
            self.assertEqual(shapes(written(block(0, part))), expected)
            self.assertEqual(len(rendered(whole(part))["content"]), len(expected) // 2)

    def test_citations(self) -> None:
        """Sources: this dialect's as they are, other web sources as search results, others not at all (52)."""
        own, web, book = Citation(origin="anthropic", native=SOURCE), Citation("u", "t", "q"), Citation(title="t")
        events: list[Event] = [
            Opened(0, Text("")),
            Grew(0, "a"),
            *(Cited(0, source) for source in (own, web, book)),
            Closed(0),
        ]
        found = [payload["delta"]["citation"] for payload in written(events) if "citation" in payload.get("delta", {})]
        expected = {
            "type": "web_search_result_location",
            "cited_text": "q",
            "encrypted_index": "",
            "title": "t",
            "url": "u",
        }
        self.assertEqual(found, [json.loads(SOURCE), expected])
        answer = rendered(whole(Text("a", citations=(own, web, book))))
        self.assertEqual(answer["content"][0]["citations"], found)

    def test_surrogates(self) -> None:
        """Half an emoji does not stop a stream or an answer (125)."""
        out = writer(asked()).write([Opened(0, Text("")), Grew(0, "a\ud83d")])
        self.assertIn(b"text_delta", out)
        self.assertIn("a", rendered(whole(Text("a\ud83d")))["content"][0]["text"])

    def test_otherChoices(self) -> None:
        """There is one answer; others are not written."""
        events = [
            *block(0, Text(""), "a"),
            Opened(1, Text(""), 1),
            Grew(1, "b", 1),
            Closed(1),
            Finished("length", choice=1),
        ]
        found = written(events)
        self.assertEqual((shapes(found)[1], found[-2]["delta"]["stop_reason"]), ("a", "end_turn"))


class EnvelopeTests(SynchronousTestCase):
    """How a message begins and ends."""

    def test_id(self) -> None:
        """The id looks like one and is stable; the model is the one that was asked for (73)."""
        for provided, expected in (("msg_1", "msg_1"), ("chatcmpl-1", None), ("", None)):
            message = written([Began(provided, "upstream")])[0]["message"]
            answer = rendered(Completion(provided, "upstream", (Choice((Text("a"),)),)))
            for found in (message, answer):
                self.assertEqual(found["model"], "claude-x")
                self.assertTrue(found["id"] == expected or (expected is None and found["id"].startswith("msg_")))
            self.assertEqual(message["id"], answer["id"])

    def test_noBeginning(self) -> None:
        """Without `Began` the message begins with its first block, once."""
        self.assertEqual(
            written([Opened(0, Text(""))], [Grew(0, "a")], [Began("x")], [Closed(0)])[0]["type"], "message_start"
        )
        self.assertEqual(
            [payload["type"] for payload in written([])], ["message_start", "message_delta", "message_stop"]
        )

    def test_estimate(self) -> None:
        """Until the provider counts, the prompt is estimated; then it is corrected (64)."""
        found = written(
            [Began()], block(0, Text(""), "a"), [Finished("stop"), Counted(Usage(input=90, cached=40, output=5))]
        )
        self.assertEqual(found[0]["message"]["usage"]["input_tokens"], 7)
        expected = {
            "input_tokens": 50,
            "cache_read_input_tokens": 40,
            "cache_creation_input_tokens": 0,
            "output_tokens": 5,
        }
        self.assertEqual(found[-2]["usage"], expected)
        known = written([Began(), Counted(Usage(input=90, cached=40))])
        self.assertEqual(known[0]["message"]["usage"]["input_tokens"], 50)
        self.assertEqual(written([Began()])[-2]["usage"]["input_tokens"], 7)

    def test_lateUsage(self) -> None:
        """Counts behind the finish still get into the end; they replace field by field (44, 45, 69)."""
        found = written(
            [Finished("stop")], [Counted(Usage(input=5, output=1))], [Counted(Usage(output=9, reasoning=4))]
        )
        self.assertEqual((found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]), (5, 9))
        self.assertEqual(found[-2]["usage"]["output_tokens_details"], {"thinking_tokens": 4})

    def test_reasons(self) -> None:
        """Each finish has its reason (43); calls make it ``tool_use`` (71); an unknown sequence stays null (61)."""
        call, text = ToolCall("t", "f"), Text("a")
        for part, finish, stop, expected in (
            (text, Finish.STOP, "", ("end_turn", None)),
            (text, Finish.STOP, "END", ("stop_sequence", "END")),
            (text, Finish.LENGTH, "", ("max_tokens", None)),
            (text, Finish.FILTER, "", ("refusal", None)),
            (text, Finish.REFUSAL, "", ("refusal", None)),
            (text, Finish.PAUSE, "", ("pause_turn", None)),
            (text, Finish.FAULT, "", ("end_turn", None)),
            (text, "", "", ("end_turn", None)),
            (call, Finish.TOOL_CALLS, "", ("tool_use", None)),
            (call, Finish.STOP, "", ("tool_use", None)),
            (call, Finish.LENGTH, "", ("max_tokens", None)),
        ):
            completion = whole(part, finish=finish, stop=stop)
            answer, delta = rendered(completion), written(disassemble(completion)[:-1])[-2]["delta"]
            for found in (answer, delta):
                self.assertEqual((found["stop_reason"], found["stop_sequence"]), expected, (part, finish))

    def test_tier(self) -> None:
        """The tier that served is told where there is a word for it."""
        self.assertEqual(written([Began(tier="default")])[0]["message"]["usage"]["service_tier"], "standard")
        self.assertNotIn("service_tier", written([Began(tier="flex")])[0]["message"]["usage"])

    def test_fail(self) -> None:
        """An error may come at any moment; nothing follows it, no ``[DONE]`` either (50, 70)."""
        error = UpstreamOverloaded("busy", stage=Stage.STREAM, deployment="d")
        moments: tuple[list[Event], ...] = ([], [Began()], [Began(), Opened(0, Text("")), Grew(0, "a")])
        for events in moments:
            out = writer(asked())
            data = out.write(events) + out.fail(error)
            found = checked(data, failed=True)
            self.assertEqual(found[-1]["error"], {"type": "overloaded_error", "message": "busy"})
            self.assertEqual((out.write([Grew(0, "b")]), out.end(), out.fail(error)), (b"", b"", b""))

    def test_endOnce(self) -> None:
        """The end comes once, and there is no ``[DONE]`` (70)."""
        out = writer(asked())
        data = out.write([Began()]) + out.end()
        self.assertNotIn(b"[DONE]", data)
        self.assertEqual((out.end(), out.write([Began()])), (b"", b""))

    def test_count(self) -> None:
        """Counted tokens."""
        self.assertEqual(json.loads(render_count(TokenCount(14), asked())), {"input_tokens": 14})


class InputTests(SynchronousTestCase):
    """A call's arguments as an object."""

    def test_input(self) -> None:
        """An object passes as it is, nothing is the empty one, anything else is put into one."""
        for arguments, expected in (
            ("", {}),
            ('{"a":1}', {"a": 1}),
            ("[1]", {"arguments": "[1]"}),
            ('{"a', {"arguments": '{"a'}),
        ):
            self.assertEqual(rendered(whole(ToolCall("t", "f", arguments)))["content"][0]["input"], expected)

    def test_nameless(self) -> None:
        """A call without an id gets one."""
        self.assertTrue(rendered(whole(ToolCall("", "f")))["content"][0]["id"].startswith("toolu_"))


WORDS = st.text(max_size=4)
PARTS: st.SearchStrategy[Part] = st.sampled_from(
    (
        Text(""),
        Thinking(""),
        Thinking("", OWN),
        Thinking("", FOREIGN),
        Thinking(redacted=True, seal=OWN),
        Refusal(""),
        ToolCall("t", "f", ""),
        ToolCall("t", "f", "", custom=True),
        ToolCall("", "f", "", seal=FOREIGN),
        Native("anthropic", "server_tool_use", NATIVE),
        Native("gemini", "x", b"{}"),
        Media("image", "image/png", "AAAA"),
    )
)


@st.composite
def legal(draw: st.DrawFn) -> list[list[Event]]:
    """Any legal sequence of events in any batches: blocks side by side, counts anywhere, several choices."""
    events: list[Event] = [Began("msg_1", "m")] if draw(st.booleans()) else []
    parts = draw(st.lists(PARTS, max_size=5))
    lives: list[list[Event]] = []
    for number, part in enumerate(parts):
        choice = draw(st.sampled_from((0, 0, 0, 1)))
        grows = isinstance(part, Text | Refusal | ToolCall) or (isinstance(part, Thinking) and not part.redacted)
        middle: list[Event] = (
            [Grew(number, words, choice) for words in draw(st.lists(WORDS, max_size=3))] if grows else []
        )
        if isinstance(part, Thinking) and draw(st.booleans()):
            middle.append(Sealed(number, draw(st.sampled_from((OWN, FOREIGN)))))
        if isinstance(part, Text) and draw(st.booleans()):
            middle.insert(0, Cited(number, Citation("u")))
        lives.append([Opened(number, part, choice), *middle, Closed(number)])
    while any(lives):
        unopened = [number for number, life in enumerate(lives) if life and isinstance(life[0], Opened)]
        going = [number for number, life in enumerate(lives) if life and number not in unopened]
        events.append(lives[draw(st.sampled_from([*going, *unopened[:1]]))].pop(0))
    events += [Finished("stop"), Finished("length", choice=1), Probable(b"{}")]
    events.insert(draw(st.integers(0, len(events))), Counted(Usage(input=3, output=1)))
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=4)))
    return [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]


class AnyOrderTests(SynchronousTestCase):
    """Whatever is legal comes out well-formed."""

    @settings(max_examples=100, deadline=None, database=None)
    @given(legal())
    def test_discipline(self, batches: list[list[Event]]) -> None:
        """Every rule of the stream holds, nothing is lost, and the SDK's types take it."""
        found = written(*batches)
        for payload in found:
            EVENTS.validate_python(payload)
        self.assertEqual(sorted(said(found)), sorted(meant(itertools.chain.from_iterable(batches))))

    @settings(max_examples=50, deadline=None, database=None)
    @given(legal(), st.integers(0, 5))
    def test_failures(self, batches: list[list[Event]], after: int) -> None:
        """An error at any moment gives a well-formed end."""
        out = writer(asked())
        data = b"".join(out.write(batch) for batch in batches[:after])
        checked(data + out.fail(UpstreamOverloaded("busy", stage=Stage.STREAM, deployment="d")), failed=True)

    @settings(max_examples=50, deadline=None, database=None)
    @given(st.lists(PARTS, max_size=4), st.sampled_from(("stop", "length", "tool_calls", "")))
    def test_wholeIsStream(self, parts: list[Part], finish: str) -> None:
        """A whole answer and its stream say the same, and the SDK's type takes it."""
        completion = whole(*parts, finish=finish, usage=Usage(input=9, cached=2, output=3))
        answer = rendered(completion)
        anthropic.types.Message.model_validate(answer)
        stream = written([event for event in disassemble(completion) if not isinstance(event, Ended)])
        self.assertEqual(
            [payload["content_block"]["type"] for payload in stream if "content_block" in payload],
            [found["type"] for found in answer["content"]],
        )
        self.assertEqual(stream[-2]["usage"], answer["usage"])
        self.assertEqual(stream[-2]["delta"]["stop_reason"], answer["stop_reason"])


def said(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The words of each block of a stream that has any, by what kind of words they are."""
    words: dict[int, list[str]] = {}
    for payload in found:
        delta = payload.get("delta", {})
        for name in ("text", "thinking", "partial_json"):
            if name in delta:
                words.setdefault(payload["index"], [name]).append(delta[name])
    return [(name, "".join(pieces)) for name, *pieces in words.values()]


def meant(events: Any) -> list[tuple[str, str]]:
    """The words of each block of the first choice that has any."""
    words: dict[int, list[str]] = {}
    custom: set[int] = set()
    for event in events:
        if isinstance(event, Opened) and event.choice == 0:
            name = {Thinking: "thinking", ToolCall: "partial_json"}.get(type(event.part), "text")
            words[event.block] = [name]
            if isinstance(event.part, ToolCall) and event.part.custom:
                custom.add(event.block)
        elif isinstance(event, Grew) and event.block in words:
            words[event.block].append(event.text)
    whole = {number: (name, "".join(pieces)) for number, (name, *pieces) in words.items()}
    texts = {
        number: (
            name,
            json.dumps({"input": text}, ensure_ascii=False, separators=(",", ":")) if number in custom else text,
        )
        for number, (name, text) in whole.items()
    }
    return [(name, text) for name, text in texts.values() if text]


class FrameTests(SynchronousTestCase):
    """The frames themselves."""

    def test_bytes(self) -> None:
        """Each frame is an event line and a data line that agree."""
        out = writer(asked())
        data = out.write([Opened(0, Text("")), Grew(0, "é\n")]) + out.end()
        self.assertEqual(len(payloads(data)), 6)
        self.assertIn(
            'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
            '"delta":{"type":"text_delta","text":"é\\n"}}\n\n'.encode(),
            data,
        )
