"""What a client of Gemini is answered: whole, streamed as events, and as one array.

Edge cases here: 46 and 74 (parallel calls that grow at once), 50 and 51 (errors are no good end), 65 and 67 (no empty
parts), 73 (model and id), 84 (usage at the end), 103 (the array), 108 (late usage).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
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
from relay.errors import UpstreamOverloaded
from relay.events import Began, Closed, Counted, Event, Finished, Grew, Opened, Sealed
from relay.exchange import Usage
from relay.outcome import Stage
from tests.unit.dialects.gemini.generations import (
    BACK,
    FRONT,
    asked,
    check_chunks,
    check_events,
    chunks,
    joined,
    read,
    target,
    written,
)

OWN = Seal("gemini", "c2ln")
FOREIGN = Seal("anthropic", "EqQB")
USED = Usage(input=10, cached=4, output=8, reasoning=5)
ERROR = UpstreamOverloaded("too busy", stage=Stage.STREAM, upstream_status=503)

ANSWER = Completion(
    id="r-1",
    model="g",
    choices=(
        Choice(
            parts=(
                Thinking("hmm", FOREIGN, summary=True),
                Text("Hel\u00e9", citations=(Citation("u", "t", "Hel"),)),
                ToolCall("1", "f", '{"a":1}', seal=OWN),
                ToolCall("2", "g"),
                Media("image", "image/png", "AAAA"),
                Native("gemini", "executableCode", b'{"executableCode":{"code":"1"}}'),
            ),
            finish=Finish.TOOL_CALLS,
            logprobs=b'{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]}',
        ),
    ),
    usage=USED,
)


def unsourced(completion: Completion) -> tuple[Completion, list[Citation]]:
    """An answer and its sources apart: a stream tells them at its end, where other things may stand between."""
    (choice,) = completion.choices
    texts = [part for part in choice.parts if isinstance(part, Text)]
    sources = [source for text in texts for source in text.citations]
    bare = [msgspec.structs.replace(part, citations=()) if isinstance(part, Text) else part for part in choice.parts]
    kept = tuple(part for part in bare if part != Text(""))
    return msgspec.structs.replace(completion, choices=(msgspec.structs.replace(choice, parts=kept),)), sources


class RenderTests(SynchronousTestCase):
    """Whole answers."""

    def rendered(self, *parts: Part, finish: str = Finish.STOP, usage: Usage = USED) -> Any:
        """The JSON of an answer."""
        return json.loads(FRONT.render(Completion("", "g", (Choice(parts, finish),), usage), asked()))

    def test_body(self) -> None:
        """The model's name is the client's, the id is made where there is none, thoughts are beside the answer."""
        body = self.rendered(Text("Hi"))
        candidate = {"content": {"parts": [{"text": "Hi"}], "role": "model"}, "finishReason": "STOP", "index": 0}
        counts = {
            "promptTokenCount": 10,
            "candidatesTokenCount": 3,
            "totalTokenCount": 18,
            "cachedContentTokenCount": 4,
            "thoughtsTokenCount": 5,
        }
        self.assertEqual((body["candidates"], body["usageMetadata"], body["modelVersion"]), ([candidate], counts, "m"))
        self.assertTrue(body["responseId"])
        self.assertNotIn("usageMetadata", self.rendered(usage=Usage()))
        self.assertEqual(self.rendered()["candidates"][0]["content"], {"role": "model"})

    def test_parts(self) -> None:
        """Each kind of part; what only another dialect knows, or is empty, is left out."""
        table: list[tuple[Part, Any]] = [
            (Text(""), None),
            (Text("", seal=OWN), {"text": "", "thoughtSignature": "c2ln"}),
            (Thinking("a"), {"text": "a", "thought": True}),
            (Thinking(""), None),
            (Refusal("no"), {"text": "no"}),
            (Refusal(""), None),
            (ToolCall("1", "f", ""), {"functionCall": {"id": "1", "name": "f", "args": {}}}),
            (ToolCall("1", "f", "{"), {"functionCall": {"id": "1", "name": "f", "args": {"input": "{"}}}),
            (ToolCall("1", "f", "x", custom=True), {"functionCall": {"id": "1", "name": "f", "args": {"input": "x"}}}),
            (
                Media("image", url="https://x/a.png"),
                {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a.png"}},
            ),
            (Media("document", text="w"), {"text": "w"}),
            (Native("anthropic", "x", b"{}"), None),
        ]
        for part, expected in table:
            parts = self.rendered(part)["candidates"][0]["content"].get("parts", [])
            self.assertEqual(parts, [] if expected is None else [expected], part)

    def test_reasons(self) -> None:
        """Each reason has a word that Gemini's clients know."""
        words = {
            Finish.STOP: "STOP",
            Finish.LENGTH: "MAX_TOKENS",
            Finish.TOOL_CALLS: "STOP",
            Finish.FILTER: "SAFETY",
            Finish.REFUSAL: "SAFETY",
            Finish.PAUSE: "STOP",
            Finish.FAULT: "OTHER",
            "": "STOP",
        }
        for finish, expected in words.items():
            self.assertEqual(self.rendered(Text("a"), finish=finish)["candidates"][0]["finishReason"], expected)

    def test_roundTrip(self) -> None:
        """An answer comes back as it was, but for foreign proofs, which come back in the next request."""
        found = BACK.parse(FRONT.render(ANSWER, asked()), target())
        own = Thinking("hmm", Seal("gemini", "cmVsYXkxLmFudGhyb3BpYy5FcVFC"), summary=True)
        parts = (own, *ANSWER.choices[0].parts[1:])
        self.assertEqual(found.choices[0].parts, parts)
        self.assertEqual(
            (found.choices[0].finish, found.choices[0].logprobs), (Finish.TOOL_CALLS, ANSWER.choices[0].logprobs)
        )
        self.assertEqual((found.usage, found.id, found.model), (USED, "r-1", "m"))


class StreamTests(SynchronousTestCase):
    """Streamed answers."""

    def test_sameAsWhole(self) -> None:
        """A streamed answer says what the whole one says, also as an array, event by event or at once."""
        whole = BACK.parse(FRONT.render(ANSWER, asked()), target())
        events = disassemble(ANSWER)[:-1]
        for together in (False, True):
            data = written(events, together=together)
            check_chunks(chunks(data))
            self.assertEqual(unsourced(assemble(read([data]))), unsourced(whole))
            listed = json.loads(written(events, array=True, together=together))
            self.assertEqual(listed, chunks(data))

    def test_frames(self) -> None:
        """Text goes out at once, a call when it is whole, reasons and tokens at the very end."""
        assert FRONT.writer is not None
        writer = FRONT.writer(asked())
        text: list[Event] = [Began("r"), Opened(0, Text("")), Grew(0, 'a"\n')]
        self.assertEqual(
            writer.write(text),
            b'data: {"candidates":[{"content":{"parts":[{"text":"a\\"\\n"}],"role":"model"},"index":0}],'
            b'"modelVersion":"m","responseId":"r"}\r\n\r\n',
        )
        call: list[Event] = [
            Closed(0),
            Opened(1, ToolCall("1", "f", "")),
            Grew(1, '{"a"'),
            Grew(1, ":1}"),
            Sealed(1, OWN),
        ]
        self.assertEqual(writer.write(call), b"")
        (sent,) = chunks(writer.write([Closed(1)]))
        part = {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}
        self.assertEqual(sent["candidates"][0]["content"]["parts"], [part])
        self.assertEqual(writer.write([Finished(Finish.TOOL_CALLS), Counted(Usage(input=3))]), b"")
        self.assertEqual(writer.write([Counted(Usage(output=2))]), b"")
        (last,) = chunks(writer.end())
        self.assertEqual(last["candidates"][0]["finishReason"], "STOP")
        self.assertEqual(
            last["usageMetadata"], {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
        )
        self.assertEqual((writer.end(), writer.write(text), writer.fail(ERROR)), (b"", b"", b""))

    def test_interleaved(self) -> None:
        """Two calls that grow at once come out one after the other, each whole."""
        calls: list[Event] = [
            Opened(0, ToolCall("1", "f", "")),
            Opened(1, ToolCall("2", "g", "")),
            Grew(0, '{"a":'),
            Grew(1, '{"b":'),
            Grew(0, "1}"),
            Grew(1, "2}"),
        ]
        found = assemble(read([written([*calls, Closed(1), Closed(0), Finished(Finish.TOOL_CALLS)])]))
        self.assertEqual([part.id for part in found.choices[0].parts if isinstance(part, ToolCall)], ["2", "1"])
        unclosed = assemble(read([written(calls)]))
        self.assertEqual(len(unclosed.choices[0].parts), 2)

    def test_nothing(self) -> None:
        """An answer of nothing is one good chunk, and a good array."""
        (last,) = chunks(written([]))
        self.assertEqual(last["candidates"][0]["finishReason"], "STOP")
        self.assertEqual(len(json.loads(written([], array=True))), 1)

    def test_fail(self) -> None:
        """An error is the last thing, a chunk of its own; the array stays JSON."""
        begun: list[Event] = [Opened(0, Text("")), Grew(0, "a")]
        for events in ([], begun):
            for array in (False, True):
                assert FRONT.writer is not None
                writer = FRONT.writer(asked(array=array))
                data = writer.write(events) + writer.fail(ERROR)
                found = json.loads(data) if array else chunks(data)
                self.assertEqual(found[-1], {"error": {"code": 503, "message": "too busy", "status": "UNAVAILABLE"}})
                self.assertEqual(len(found), 1 + bool(events))
                self.assertEqual((writer.end(), writer.fail(ERROR)), (b"", b""))

    def test_halfCharacter(self) -> None:
        """Half of a character does not stop the stream; in a text the other half may follow."""
        found = chunks(written([Opened(0, Text("")), Grew(0, "a\ud83d")]))
        self.assertEqual(found[0]["candidates"][0]["content"]["parts"], [{"text": "a\ud83d"}])
        call: list[Event] = [Opened(0, ToolCall("1", "f", "")), Grew(0, '{"a":"\\ud83d"}'), Closed(0)]
        self.assertEqual(len(chunks(written(call))), 2)


_TEXTS = st.text(max_size=8)
_SEALS = st.none() | st.sampled_from([OWN, FOREIGN])
_CALLS = st.builds(
    ToolCall, id=st.sampled_from("abc"), name=st.sampled_from("fg"), arguments=st.just('{"a":1}'), seal=_SEALS
)
_PARTS: st.SearchStrategy[Any] = (
    st.builds(Text, text=_TEXTS, seal=st.none() | st.just(OWN))
    | st.builds(Thinking, text=_TEXTS, seal=_SEALS, summary=st.just(True))
    | st.builds(Thinking, seal=st.just(FOREIGN), redacted=st.just(True))
    | _CALLS
    | st.builds(Refusal, text=_TEXTS)
    | st.just(Media("image", "image/png", "AAAA"))
    | st.just(Native("gemini", "executableCode", b'{"executableCode":{"code":"1"}}'))
    | st.just(Native("anthropic", "x", b"{}"))
)
_CHOICES = st.builds(
    Choice,
    parts=st.lists(_PARTS, max_size=5).map(tuple),
    finish=st.sampled_from(["", "stop", "length", "content_filter"]),
)


class PropertyTests(SynchronousTestCase):
    """Any answer."""

    @settings(max_examples=100, deadline=None)
    @given(st.lists(_CHOICES, min_size=1, max_size=2), st.data())
    def test_anyEvents(self, choices: list[Choice], data: st.DataObject) -> None:
        """Whatever events come, the stream is well formed, and says what the whole answer says."""
        numbered = tuple(Choice(choice.parts, choice.finish, index=i) for i, choice in enumerate(choices))
        completion = Completion("r", "m", numbered, USED)
        events = disassemble(completion)[:-1]
        streamed = written(events)
        found = chunks(streamed)
        check_chunks(found)
        again = read([streamed])
        check_events(again)
        whole = BACK.parse(FRONT.render(completion, asked()), target())
        for one, two in zip(joined(whole).choices, joined(assemble(again)).choices, strict=False):
            self.assertEqual(self.said(one), self.said(two))
        cut = data.draw(st.integers(0, len(events)))
        assert FRONT.writer is not None
        writer = FRONT.writer(asked(array=True))
        broken = b"".join(writer.write([event]) for event in events[:cut]) + writer.fail(ERROR)
        self.assertIn("error", json.loads(broken)[-1])

    def said(self, choice: Choice) -> tuple[str, str, list[str], int]:
        """What of a choice must agree."""
        text = "".join(part.text for part in choice.parts if isinstance(part, Text))
        thoughts = "".join(part.text for part in choice.parts if isinstance(part, Thinking))
        calls = [part.arguments for part in choice.parts if isinstance(part, ToolCall)]
        return text, thoughts, calls, sum(isinstance(part, Media | Native) for part in choice.parts)
