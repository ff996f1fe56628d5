"""Answers for Cohere's clients, whole and streamed.

Edge cases 112, 113 and, of those for any front, 43, 44, 46, 47, 50, 52, 53, 65, 66, 67, 68, 69, 74, 116, 117, 125. Not
here: 45 and 64 (counts stand in ``message-end`` only), 49 (a comment keeps the stream alive), 73 (any id will do).
"""

from __future__ import annotations

import json
from typing import Any

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
from relay.dialects.assembly import assemble, disassemble
from relay.dialects.carry import tag
from relay.errors import UpstreamOverloaded
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage
from relay.outcome import Stage
from tests.unit.dialects.cohere.events import BACK, FRONT, PNG, TARGET, asked, checked, read, written
from tests.unit.dialects.stories import LOGPROBS, stories

USAGE = Usage(input=9, cached=4, output=5, reasoning=2)
FOREIGN = Citation(url="https://example.com", title="T", quote="q", start=0, end=1, origin="openai", native=b"{}")


def whole(*parts: Part, finish: str = Finish.STOP, **fields: Any) -> dict[str, Any]:
    """A whole answer as a client gets it."""
    body: dict[str, Any] = json.loads(
        FRONT.render(Completion("id", "theirs", (Choice(parts, finish, **fields),), USAGE), asked())
    )
    return body


class RenderTests(SynchronousTestCase):
    """Whole answers."""

    def test_text(self) -> None:
        """Id, message, reason and usage; cached and reasoning tokens where they are known (44, 112)."""
        self.assertEqual(
            whole(Text("a"), Text("b")),
            {
                "id": "id",
                "message": {
                    "role": "assistant",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                },
                "finish_reason": "COMPLETE",
                "usage": {
                    "billed_units": {"input_tokens": 9, "output_tokens": 5},
                    "tokens": {"input_tokens": 9, "output_tokens": 5, "reasoning_tokens": 2},
                    "cached_tokens": 4,
                },
            },
        )

    def test_parts(self) -> None:
        """Thoughts and calls have their places; what has none is left out (47, 52, 53)."""
        message = whole(
            Thinking("Hm.", Seal("anthropic", "s")),
            Thinking(seal=Seal("anthropic", "s"), redacted=True),
            Text(""),
            Refusal("No."),
            Media("image", "image/png", PNG),
            Native("anthropic", "server_tool_use", b"{}"),
            ToolCall("1", "look", ""),
            ToolCall("2", "look", '{"a":1}', seal=Seal("gemini", "p")),
            finish=Finish.TOOL_CALLS,
        )["message"]
        self.assertEqual(message["content"], [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "No."}])
        ids = [call["id"] for call in message["tool_calls"]]
        self.assertEqual(ids, ["1", tag("2", Seal("gemini", "p"))])
        self.assertEqual([call["function"]["arguments"] for call in message["tool_calls"]], ["{}", '{"a":1}'])

    def test_nothing(self) -> None:
        """An answer without words has an empty block, since clients look at the first; calls need none."""
        self.assertEqual(whole()["message"]["content"], [{"type": "text", "text": ""}])
        self.assertNotIn("content", whole(ToolCall("1", "look", "{}"))["message"])
        body = json.loads(FRONT.render(Completion("", "", ()), asked()))
        self.assertEqual((body["id"], body["usage"]["tokens"]), ("request-1", {"input_tokens": 0, "output_tokens": 0}))

    def test_reasons(self) -> None:
        """Every finish has a word (43)."""
        words = {
            Finish.STOP: "COMPLETE",
            Finish.TOOL_CALLS: "TOOL_CALL",
            Finish.LENGTH: "MAX_TOKENS",
            Finish.REFUSAL: "COMPLETE",
            Finish.PAUSE: "COMPLETE",
            Finish.FILTER: "ERROR_TOXIC",
            Finish.FAULT: "ERROR",
            "": "COMPLETE",
        }
        for finish, word in words.items():
            self.assertEqual(whole(Text("a"), finish=finish)["finish_reason"], word, finish)
        self.assertEqual(whole(Text("a"), stop="END")["finish_reason"], "STOP_SEQUENCE")

    def test_citations(self) -> None:
        """Others' citations name a document; Cohere's own come back as they came, in their new place."""
        own = Citation(quote="b", origin="cohere", native=b'{"start":0,"end":1,"sources":[{"type":"tool"}]}')
        bare = Citation(title="T", quote="c")
        citations = whole(Thinking("t"), Text("abc", citations=(FOREIGN, own, bare)))["message"]["citations"]
        self.assertEqual(
            citations,
            [
                {
                    "start": 0,
                    "end": 1,
                    "text": "q",
                    "sources": [
                        {
                            "type": "document",
                            "id": "https://example.com",
                            "document": {"title": "T", "url": "https://example.com"},
                        }
                    ],
                    "type": "TEXT_CONTENT",
                    "content_index": 1,
                },
                {"start": 0, "end": 1, "sources": [{"type": "tool"}], "content_index": 1},
                {
                    "text": "c",
                    "sources": [{"type": "document", "id": "T", "document": {"title": "T"}}],
                    "type": "TEXT_CONTENT",
                    "content_index": 1,
                },
            ],
        )

    def test_logprobs(self) -> None:
        """Log probabilities are items of text; token numbers are not known."""
        self.assertEqual(
            whole(Text("a"), logprobs=LOGPROBS)["logprobs"], [{"text": "a", "token_ids": [], "logprobs": [-0.5]}]
        )

    def test_halves(self) -> None:
        """Halves of an emoji are joined in a whole answer (125)."""
        self.assertEqual(whole(Text("\ud83d\ude00"))["message"]["content"][0]["text"], "😀")


class WriterTests(SynchronousTestCase):
    """Streamed answers."""

    def kinds(self, data: bytes) -> list[str]:
        """The types of the events."""
        return [payload["type"] for payload in checked(data)]

    def test_text(self) -> None:
        """Start, block, end; usage that comes late gets into the end (69); the role comes once (117)."""
        events: list[Event] = [Began("id"), Opened(0, Text("")), Grew(0, "a"), Grew(0, '"\n'), Grew(0, "")]
        events += [Closed(0), Finished(Finish.LENGTH), Counted(USAGE)]
        data = written(events)
        self.assertEqual(
            self.kinds(data),
            ["message-start", "content-start", "content-delta", "content-delta", "content-end", "message-end"],
        )
        payloads = checked(data)
        self.assertEqual((payloads[0]["id"], payloads[0]["delta"]["message"]["role"]), ("id", "assistant"))
        self.assertEqual(payloads[3]["delta"]["message"]["content"], {"text": '"\n'})
        self.assertEqual(payloads[-1]["delta"]["finish_reason"], "MAX_TOKENS")
        self.assertEqual(payloads[-1]["delta"]["usage"]["cached_tokens"], 4)

    def test_calls(self) -> None:
        """Calls are counted from 0 whatever came first; what grows beside an open one waits (46, 65 to 68, 74, 113)."""
        events: list[Event] = [
            Opened(0, Thinking("")),
            Grew(0, "Hm."),
            Opened(1, ToolCall("1", "look", "")),
            Closed(0),
            Opened(2, ToolCall("2", "look", "", seal=Seal("gemini", "p"))),
            Grew(2, '{"b"'),
            Grew(1, '{"a"'),
            Grew(2, ":2}"),
            Closed(2),
            Grew(1, ":1}"),
            Closed(1),
            Opened(3, ToolCall("3", "stop", "")),
            Closed(3),
            Finished(Finish.TOOL_CALLS),
        ]
        for singly in (True, False):
            data = written(events, singly=singly)
            calls = [payload for payload in checked(data) if payload["type"].startswith("tool-call")]
            pieces: dict[int, str] = {}
            for payload in calls:
                call = payload.get("delta", {}).get("message", {}).get("tool_calls")
                self.assertNotIsInstance(call, list)
                if call:
                    pieces[payload["index"]] = pieces.get(payload["index"], "") + call["function"]["arguments"]
            self.assertEqual(pieces, {0: '{"a":1}', 1: '{"b":2}', 2: "{}"})
            starts = [one["delta"]["message"]["tool_calls"]["id"] for one in calls if one["type"] == "tool-call-start"]
            self.assertEqual(starts, ["1", tag("2", Seal("gemini", "p")), "3"])

    def test_proofs(self) -> None:
        """A proof gets into the id if it comes before the arguments went out, or with them."""
        call, seal = ToolCall("1", "look", ""), Seal("gemini", "p")
        together = written([Opened(0, call), Grew(0, "{}"), Sealed(0, seal), Closed(0)], singly=False)
        before = written([Opened(0, call), Sealed(0, seal), Grew(0, "{}"), Closed(0)])
        late = written([Opened(0, call), Grew(0, "{}"), Sealed(0, seal), Closed(0)])
        for data, own in ((together, tag("1", seal)), (before, tag("1", seal)), (late, "1")):
            (start,) = (payload for payload in checked(data) if payload["type"] == "tool-call-start")
            self.assertEqual(start["delta"]["message"]["tool_calls"]["id"], own)

    def test_emptyBlocks(self) -> None:
        """Blocks without words, hidden thoughts and parts without a form leave nothing behind."""
        events: list[Event] = []
        parts: tuple[Part, ...] = (
            Text(""),
            Thinking(""),
            Thinking(redacted=True),
            Media("image", data=PNG),
            Native("x", "y", b"{}"),
        )
        for block, part in enumerate(parts):
            events += [Opened(block, part), Closed(block)]
        self.assertEqual(self.kinds(written(events)), ["message-start", "message-end"])

    def test_unclosed(self) -> None:
        """A good end closes what is open, and what waits."""
        data = written([Opened(0, Text("a")), Opened(1, Thinking("b")), Opened(2, ToolCall("1", "look", ""))])
        self.assertEqual(self.kinds(data).count("content-end"), 2)
        self.assertEqual(self.kinds(data).count("tool-call-end"), 1)

    def test_citations(self) -> None:
        """A citation begins and ends at once, inside its block, and names it."""
        events: list[Event] = [Opened(0, Thinking("t")), Closed(0), Opened(1, Text("ab")), Cited(1, FOREIGN)]
        payloads = checked(written([*events, Cited(0, FOREIGN), Cited(1, FOREIGN), Closed(1)]))
        kinds = [payload["type"] for payload in payloads if payload["type"].startswith("citation")]
        self.assertEqual(kinds, ["citation-start", "citation-end"] * 2)
        places = [one["delta"]["message"]["citations"]["content_index"] for one in payloads if one["type"] == kinds[0]]
        self.assertEqual(places, [1, 1])

    def test_logprobs(self) -> None:
        """Log probabilities stand beside an empty piece of the open text."""
        payloads = checked(written([Opened(0, Text("a")), Probable(LOGPROBS), Closed(0), Probable(LOGPROBS)]))
        (found,) = (payload for payload in payloads if "logprobs" in payload)
        self.assertEqual(found["logprobs"], {"text": "a", "token_ids": [], "logprobs": [-0.5]})
        self.assertEqual(found["delta"]["message"]["content"], {"text": ""})

    def test_fail(self) -> None:
        """An error is a ``message-end`` that says so, and no ``[DONE]`` (50, 113)."""
        assert FRONT.writer is not None
        writer = FRONT.writer(asked())
        writer.write([Opened(0, Text("a"))])
        data = writer.fail(UpstreamOverloaded("too busy", stage=Stage.STREAM))
        self.assertEqual(
            data,
            b"event: message-end\n"
            b'data: {"type":"message-end","delta":{"finish_reason":"ERROR","error":"too busy"}}\n\n',
        )

    def test_otherChoices(self) -> None:
        """A client that gets one answer gets the first."""
        events: list[Event] = [Opened(0, Text("a"), 1), Grew(0, "b", 1), Closed(0), Finished(Finish.LENGTH, choice=1)]
        payloads = checked(written([*events, Opened(1, Text("c")), Closed(1), Probable(LOGPROBS, 1)]))
        self.assertNotIn("b", [one.get("delta", {}).get("message", {}).get("content", {}) for one in payloads[1:-1]])
        self.assertEqual(payloads[-1]["delta"]["finish_reason"], "COMPLETE")

    def test_halves(self) -> None:
        """Half an emoji in a piece is written as the escape that it was (125)."""
        data = written([Opened(0, Text("a")), Grew(0, "\ud83d"), Grew(0, "\ude00"), Closed(0)])
        self.assertIn(rb'{"text":"\ud83d"}', data)

    @settings(max_examples=100, deadline=None, database=None)
    @given(stories(), st.booleans())
    def test_anyStory(self, events: list[Event], singly: bool) -> None:
        """Any legal stream makes a legal stream, in pieces or at once."""
        checked(written(events, singly=singly))

    @settings(max_examples=60, deadline=None, database=None)
    @given(stories())
    def test_agreement(self, events: list[Event]) -> None:
        """Streamed and whole answers say the same, but for proofs and log probabilities that came too late."""
        events = [event for event in events if not isinstance(event, Sealed | Probable)]
        answer = BACK.parse(FRONT.render(assemble(events), asked()), TARGET)
        streamed = assemble(read(written(events)))
        self.assertEqual(self.meaning(streamed), self.meaning(answer))

    def meaning(self, completion: Completion) -> tuple[object, ...]:
        """What both forms hold; calls stand behind the words in a whole answer."""
        (choice,) = completion.choices
        calls = [part for part in choice.parts if isinstance(part, ToolCall)]
        words = [part for part in choice.parts if not isinstance(part, ToolCall)]
        return calls, sorted(map(repr, words)), choice.finish, completion.usage

    def test_roundTrip(self) -> None:
        """Written and read again an answer is the same."""
        parts = (Thinking("Hm."), Text("ab", citations=(FOREIGN,)), ToolCall("1", "look", '{"a":1}'))
        completion = Completion("id", "", (Choice(parts, Finish.TOOL_CALLS),), USAGE)
        for again in (
            BACK.parse(FRONT.render(completion, asked()), TARGET),
            assemble(read(written(disassemble(completion)))),
        ):
            (choice,) = again.choices
            text = choice.parts[1]
            assert isinstance(text, Text)
            self.assertEqual((choice.parts[0], text.text, choice.parts[2]), (parts[0], "ab", parts[2]))
            self.assertEqual((text.citations[0].url, text.citations[0].quote), ("https://example.com", "q"))
            self.assertEqual((again.id, again.usage, choice.finish), ("id", USAGE, Finish.TOOL_CALLS))
