"""Answers for Ollama's clients, whole and streamed.

Edge cases 114 (one line a call, ``stop`` even for tool calls, errors as lines) and, of those for any front, 43, 44,
46, 47, 50, 52, 53, 66, 67, 68, 69, 74, 116, 125. Not here: 45 and 64 (counts stand in the last line only), 65 and 70
(there are no blocks and no ``[DONE]``), 73 (answers have no id).
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
from relay.dialects.codec import Asked, Call
from relay.dialects.ollama.dialect import OLLAMA
from relay.errors import UpstreamOverloaded
from relay.events import Began, Closed, Counted, Event, Finished, Grew, Opened, Probable
from relay.exchange import Usage
from relay.outcome import Stage
from relay.vectors import Embeddings, EmbedRequest
from tests.unit.dialects.ollama.lines import BACK, CHAT, EMBED, GENERATE, PNG, TARGET, asked, checked, read, written
from tests.unit.dialects.stories import LOGPROBS, stories

USAGE = Usage(input=9, cached=4, output=5, reasoning=2)


def whole(*parts: Part, finish: str = Finish.STOP, path: str = CHAT, **fields: Any) -> dict[str, Any]:
    """A whole answer as a client gets it."""
    completion = Completion("id", "theirs", (Choice(parts, finish, **fields),), USAGE, 1_700_000_123)
    body: dict[str, Any] = json.loads(OLLAMA.fronts[path].render(completion, asked(path)))
    return body


class RenderTests(SynchronousTestCase):
    """Whole answers."""

    def test_chat(self) -> None:
        """Model as asked for, time, message, reason and counts; durations are numbers, too (44)."""
        self.assertEqual(
            whole(Text("a"), Text("b")),
            {
                "model": "mine",
                "created_at": "2023-11-14T22:15:23Z",
                "message": {"role": "assistant", "content": "ab"},
                "done": True,
                "done_reason": "stop",
                "total_duration": 0,
                "load_duration": 0,
                "prompt_eval_count": 9,
                "prompt_eval_duration": 0,
                "eval_count": 5,
                "eval_duration": 0,
            },
        )

    def test_parts(self) -> None:
        """Thoughts, images and calls have their places; what has none is left out (47, 52, 53)."""
        message = whole(
            Thinking("Hm.", Seal("anthropic", "s")),
            Thinking(seal=Seal("anthropic", "s"), redacted=True),
            Refusal("No."),
            Media("image", "image/png", PNG),
            Native("anthropic", "server_tool_use", b"{}"),
            ToolCall("call_1", "look", ""),
            ToolCall("call_2", "look", '{"a":\n1}', seal=Seal("gemini", "p")),
            finish=Finish.TOOL_CALLS,
        )["message"]
        self.assertEqual((message["thinking"], message["content"], message["images"]), ("Hm.", "No.", [PNG]))
        self.assertEqual(
            message["tool_calls"],
            [
                {"id": "call_1", "function": {"index": 0, "name": "look", "arguments": {}}},
                {
                    "id": tag("call_2", Seal("gemini", "p")),
                    "function": {"index": 1, "name": "look", "arguments": {"a": 1}},
                },
            ],
        )

    def test_arguments(self) -> None:
        """Free text and cut JSON become an object, since nothing else has a place."""
        (call,) = whole(ToolCall("1", "patch", "*** Begin", custom=True))["message"]["tool_calls"]
        self.assertEqual(call["function"]["arguments"], {"input": "*** Begin"})
        (call,) = whole(ToolCall("1", "look", '{"a":'))["message"]["tool_calls"]
        self.assertEqual(call["function"]["arguments"], {"input": '{"a":'})

    def test_reasons(self) -> None:
        """There is no word for tool calls; a filter is not passed off as a good end (43)."""
        words = {
            Finish.STOP: "stop",
            Finish.TOOL_CALLS: "stop",
            Finish.REFUSAL: "stop",
            Finish.PAUSE: "stop",
            Finish.LENGTH: "length",
            Finish.FILTER: "content_filter",
            Finish.FAULT: "error",
            "": "stop",
        }
        for finish, word in words.items():
            self.assertEqual(whole(Text("a"), finish=finish)["done_reason"], word, finish)

    def test_generate(self) -> None:
        """A generation has its words at the top, and no message."""
        body = whole(Thinking("Hm."), Text("a"), Media("image", "image/png", PNG), path=GENERATE)
        self.assertEqual((body["response"], body["thinking"], body["image"]), ("a", "Hm.", PNG))
        self.assertNotIn("message", body)

    def test_logprobs(self) -> None:
        """Log probabilities are a list of tokens."""
        (token,) = whole(Text("a"), logprobs=LOGPROBS)["logprobs"]
        self.assertEqual((token["token"], token["logprob"]), ("a", -0.5))

    def test_odd(self) -> None:
        """No choices, no time, a time beyond all calendars, half an emoji: still an answer (125)."""
        for completion in (
            Completion("", "", ()),
            Completion("", "", (Choice((Text("\ud83d"), Thinking("\ude00"))),), created=10**18),
        ):
            body = json.loads(OLLAMA.fronts[CHAT].render(completion, asked()))
            self.assertEqual((body["done"], body["message"]["role"]), (True, "assistant"))

    def test_embeddings(self) -> None:
        """Numbers, also where the provider sent base64."""
        answer = Embeddings("theirs", ((0.5, 1.0), "AACAPwAAAMA="), Usage(input=3))
        body = json.loads(OLLAMA.fronts[EMBED].render(answer, asked(EMBED, EmbedRequest("m", ("a", "b")))))
        self.assertEqual(body["embeddings"], [[0.5, 1.0], [1.0, -2.0]])
        self.assertEqual((body["model"], body["prompt_eval_count"], body["total_duration"]), ("mine", 3, 0))


class WriterTests(SynchronousTestCase):
    """Streamed answers."""

    def test_text(self) -> None:
        """A line a piece, then the last line; a late report of usage gets into it (69)."""
        events: list[Event] = [Began("id", "theirs", 1_700_000_123), Opened(0, Text(""))]
        events += [Grew(0, "a"), Grew(0, ""), Grew(0, '"\n'), Closed(0), Finished(Finish.LENGTH), Counted(USAGE)]
        lines = checked(written(events))
        self.assertEqual([line["message"]["content"] for line in lines], ["a", '"\n', ""])
        self.assertEqual({line["created_at"] for line in lines}, {"2023-11-14T22:15:23Z"})
        last = lines[-1]
        self.assertEqual((last["done_reason"], last["prompt_eval_count"], last["eval_count"]), ("length", 9, 5))

    def test_calls(self) -> None:
        """A call is one whole line; calls may grow at the same time, and text beside them (46, 66, 67, 68, 74)."""
        events: list[Event] = [
            Opened(0, ToolCall("1", "look", "")),
            Opened(1, ToolCall("2", "listen", "")),
            Opened(2, Text("")),
            Grew(1, '{"b"\n'),
            Grew(0, '{"a":1}'),
            Grew(2, "I look."),
            Grew(1, ":2}"),
            Closed(1),
            Closed(2),
            Closed(0),
            Finished(Finish.TOOL_CALLS),
        ]
        text, first, second, last = checked(written(events))
        self.assertEqual(text["message"]["content"], "I look.")
        (call,) = first["message"]["tool_calls"]
        self.assertEqual(call, {"id": "2", "function": {"index": 0, "name": "listen", "arguments": {"b": 2}}})
        (call,) = second["message"]["tool_calls"]
        self.assertEqual(call, {"id": "1", "function": {"index": 1, "name": "look", "arguments": {"a": 1}}})
        self.assertEqual(last["done_reason"], "stop")

    def test_generate(self) -> None:
        """A generation has no tools; thoughts and images have fields of their own."""
        parts = (Thinking("Hm."), Text("a"), ToolCall("1", "look", "{}"), Media("image", "image/png", PNG))
        events = disassemble(Completion("", "", (Choice(parts, Finish.STOP),)))
        lines = checked(written(events, GENERATE), GENERATE)
        said = [(line.get("thinking"), line["response"], line.get("image")) for line in lines]
        self.assertEqual(said, [("Hm.", "", None), (None, "a", None), (None, "", PNG), (None, "", None)])

    def test_halves(self) -> None:
        """Half an emoji in a piece is written as the escape that it was (125)."""
        data = written([Opened(0, Text("")), Grew(0, "\ud83d"), Grew(0, "\ude00"), Closed(0)])
        self.assertIn(rb'"content":"\ud83d"', data)
        self.assertIn(rb'"content":"\ude00"', data)

    def test_fail(self) -> None:
        """An error is a line with nothing but it, whatever was open (50)."""
        make = OLLAMA.fronts[CHAT].writer
        assert make is not None
        writer = make(asked())
        writer.write([Opened(0, Text("a")), Opened(1, ToolCall("1", "look", ""))])
        error = UpstreamOverloaded("too busy", stage=Stage.STREAM)
        self.assertEqual(writer.fail(error), b'{"error":"too busy"}\n')

    def test_otherChoices(self) -> None:
        """A client that gets one answer gets the first."""
        events: list[Event] = [Opened(0, Text("a"), 1), Grew(0, "b", 1), Closed(0), Finished(Finish.LENGTH, choice=1)]
        events += [Opened(1, Text("c")), Closed(1), Probable(LOGPROBS, 1)]
        self.assertEqual([line["message"]["content"] for line in checked(written(events))], ["c", ""])

    def test_logprobs(self) -> None:
        """Log probabilities get a line."""
        lines = checked(written([Opened(0, Text("a")), Probable(LOGPROBS), Probable(b"null"), Closed(0)]))
        self.assertEqual([line["logprobs"][0]["token"] for line in lines if "logprobs" in line], ["a"])

    @settings(max_examples=100, deadline=None, database=None)
    @given(stories(), st.sampled_from((CHAT, GENERATE)), st.booleans())
    def test_anyStory(self, events: list[Event], path: str, singly: bool) -> None:
        """Any legal stream makes legal lines, in pieces or at once."""
        checked(written(events, path, singly=singly), path)

    @settings(max_examples=60, deadline=None, database=None)
    @given(stories())
    def test_agreement(self, events: list[Event]) -> None:
        """Streamed and whole answers say the same."""
        completion = assemble(
            event for event in events if getattr(event, "choice", 0) == 0 or isinstance(event, Opened)
        )
        streamed = assemble(read(written(events)))
        answer = BACK.parse(OLLAMA.fronts[CHAT].render(completion, asked()), TARGET)
        self.assertEqual(self.meaning(streamed), self.meaning(answer))

    def meaning(self, completion: Completion) -> tuple[object, ...]:
        """What both forms hold, whatever the order of lines."""
        (choice,) = completion.choices
        text = "".join(part.text for part in choice.parts if isinstance(part, Text))
        thoughts = "".join(part.text for part in choice.parts if isinstance(part, Thinking))
        calls = sorted(part.arguments for part in choice.parts if isinstance(part, ToolCall))
        return sorted(text), sorted(thoughts), calls, choice.finish, completion.usage

    def test_citations(self) -> None:
        """Sources have no place and do no harm (52)."""
        parts = (Text("a", citations=(Citation(url="https://example.com"),)),)
        events = disassemble(Completion("", "", (Choice(parts, Finish.STOP),)))
        self.assertEqual(len(checked(written(events))), 2)

    def test_ownAsked(self) -> None:
        """Names that need escapes are escaped in every line."""
        make = OLLAMA.fronts[CHAT].writer
        assert make is not None
        writer = make(Asked(Call(CHAT), "r", 'a"b', 0, None))
        data = writer.write([Opened(0, Text("x"))]) + writer.end()
        self.assertEqual([json.loads(line)["model"] for line in data.splitlines()], ['a"b'] * 2)
