"""What Gemini answers, in the hub's words: chunk by chunk, and whole.

Edge cases here: 66 to 68 (several things in one chunk), 71 and 101 (reasons), 76 and 77 (parallel calls without ids),
82 (unknown reasons), 83 (usage in every chunk), 93 (ids are made), 96 (proofs on texts and empty parts), 100 (thoughts
are output), 102 (blocked prompts, no content), 103 (arrays, errors, pretty JSON), 105 (arguments in pieces), 125 (cut
characters). 88 is the decoder's, 45, 69 and 75 are other dialects'.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Citation, Completion, Finish, Media, Native, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.dialects.gemini.naming import FREE_TEXT
from relay.dialects.gemini.parts import OUTPUT_TOOL
from relay.events import Counted, Erred, Finished, Grew, Opened, Probable
from relay.exchange import Usage
from tests.unit.dialects.gemini.generations import BACK, check_events, chunk, read, sse, target, words
from tests.unit.dialects.streams import slices

OWN = Seal("gemini", "c2ln")
COUNTS = {"promptTokenCount": 9, "toolUsePromptTokenCount": 1, "candidatesTokenCount": 3, "thoughtsTokenCount": 5}


def call(name: str, **args: Any) -> dict[str, Any]:
    """A function call."""
    return {"functionCall": {"name": name, "args": args}}


class StreamTests(SynchronousTestCase):
    """Chunks become events."""

    def whole(self, *given_chunks: Any) -> Completion:
        """The answer of a stream, which is the same however it is cut, and from a list of chunks."""
        data = sse(*given_chunks)
        events = read([data])
        check_events(events)
        found = assemble(events)
        self.assertEqual(assemble(read(slices(data, 1))), found)
        self.assertEqual(BACK.parse(json.dumps(given_chunks).encode(), target()), found)
        return found

    def test_text(self) -> None:
        """Text grows in one block; ids, model and tokens are taken from the chunks; the last count is right."""
        head = {"responseId": "r", "modelVersion": "g-1", "createTime": "2026-01-02T03:04:05.678901234Z"}
        first = {**chunk({"text": "Hel"}), "usageMetadata": {"promptTokenCount": 9, "serviceTier": "flex"}, **head}
        last = {**chunk({"text": "lo"}, finishReason="STOP"), "usageMetadata": COUNTS, **head}
        found = self.whole(first, last)
        self.assertEqual(found.choices[0].parts, (Text("Hello"),))
        self.assertEqual((found.choices[0].finish, found.usage), (Finish.STOP, Usage(10, None, None, 8, 5)))
        self.assertEqual((found.id, found.model, found.created, found.tier), ("r", "g-1", 1767323045, "flex"))

    def test_incremental(self) -> None:
        """Each chunk's text is told when it comes, and why it ended at the end."""
        events = read([sse(chunk({"text": "a"}), chunk({"text": "b"}, finishReason="STOP"))])
        self.assertEqual([event.text for event in events if isinstance(event, Grew)], ["a", "b"])
        self.assertIsInstance(events[-1], Finished)
        self.assertEqual([event for event in read([sse(chunk({"text": "a"}))]) if isinstance(event, Finished)], [])

    def test_contentBehindReason(self) -> None:
        """Some models say STOP in every chunk: what follows still counts."""
        stop = {"finishReason": "STOP"}
        found = self.whole(chunk({"text": "a"}, **stop), chunk({"text": "b"}, **stop), chunk(call("f"), **stop))
        self.assertEqual((words(found)[0], found.choices[0].finish), ("ab", Finish.TOOL_CALLS))

    def test_thoughtsAndProofs(self) -> None:
        """Thoughts are apart from text; a signed text stands alone; an empty signed part is kept."""
        found = self.whole(
            chunk({"text": "hm", "thought": True}),
            chunk({"text": "m", "thought": True}, index=0),
            chunk({"text": "a"}, {"text": "b", "thoughtSignature": "c2ln"}, {"text": "c"}),
            chunk({"text": "", "thoughtSignature": "c2ln"}, finishReason="STOP"),
        )
        expected = (Thinking("hmm", summary=True), Text("a"), Text("b", seal=OWN), Text("c"), Text("", seal=OWN))
        self.assertEqual(found.choices[0].parts, expected)
        thought = {"text": "t", "thought": True, "thoughtSignature": "c2ln"}
        found = self.whole(chunk(thought, {"text": "u", "thought": True}))
        self.assertEqual(found.choices[0].parts, (Thinking("t", OWN, summary=True), Thinking("u", summary=True)))

    def test_calls(self) -> None:
        """Parallel calls, also of one function with the same arguments, have ids of their own; STOP means calls."""
        first = {**call("f", a=1), "thoughtSignature": "c2ln"}
        found = self.whole({**chunk(first, call("f", a=1), finishReason="STOP"), "responseId": "r"})
        one, two = found.choices[0].parts
        assert isinstance(one, ToolCall)
        assert isinstance(two, ToolCall)
        self.assertEqual((one.seal, two.seal, found.choices[0].finish), (OWN, None, Finish.TOOL_CALLS))
        self.assertNotEqual(one.id, two.id)
        self.assertEqual((one.arguments, two.arguments), ('{"a":1}', '{"a":1}'))
        given_id = {"functionCall": {"id": "x1", "name": "f"}}
        (part,) = self.whole(chunk(given_id)).choices[0].parts
        self.assertEqual(part, ToolCall("x1", "f", "{}"))

    def pieces(self, path: str, value: object, *, more: bool = False, last: bool = False) -> dict[str, Any]:
        """A piece of a call's arguments."""
        kind = "stringValue" if isinstance(value, str) else "boolValue" if isinstance(value, bool) else "numberValue"
        piece: dict[str, Any] = (
            {"jsonPath": path, kind: value} if value is not None else {"jsonPath": path, "nullValue": "NULL_VALUE"}
        )
        if more:
            piece["willContinue"] = True
        return chunk({"functionCall": {"partialArgs": [piece], **({} if last else {"willContinue": True})}})

    def test_argumentsInPieces(self) -> None:
        """Pieces are put together by their paths; texts grow; the end of the call may be missing."""
        begin = chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "c2ln"})
        pieces = [
            self.pieces("$.a", "x", more=True),
            self.pieces("$.a", "y"),
            self.pieces("$.b[0].c", 1.5),
            self.pieces("$.b[1]", True),
            self.pieces("$['d.e']", None),
            self.pieces("$.b[9]", 1),
            self.pieces("oops", 1),
            self.pieces("$.a.b", 1),
        ]
        expected = {"a": "xy", "b": [{"c": 1.5}, True], "d.e": None}
        ended = chunk({"functionCall": {}}, finishReason="STOP")
        for tail in ([ended], [chunk(finishReason="STOP")], [chunk({"text": "t"}), chunk(finishReason="STOP")]):
            found = self.whole(begin, *pieces, *tail)
            part = found.choices[0].parts[0]
            assert isinstance(part, ToolCall)
            self.assertEqual((json.loads(part.arguments), part.seal), (expected, OWN))
            self.assertEqual(found.choices[0].finish, Finish.TOOL_CALLS)
        two = self.whole(begin, self.pieces("$.a", "x"), begin, self.pieces("$.a", "y", last=True))
        self.assertEqual(words(two)[2], [("f", {"a": "x"}), ("f", {"a": "y"})])

    def test_namesOfRelay(self) -> None:
        """The answer's own function becomes text; a free-text tool's argument is its text."""
        found = self.whole(chunk(call(OUTPUT_TOOL, a="x"), finishReason="STOP"))
        self.assertEqual((words(found), found.choices[0].finish), (('{"a":"x"}', "", []), Finish.STOP))
        (part,) = self.whole(chunk(call(FREE_TEXT + "patch", input="*** Begin"))).choices[0].parts
        assert isinstance(part, ToolCall)
        self.assertEqual((part.name, part.arguments, part.custom), ("patch", "*** Begin", True))

    def test_otherParts(self) -> None:
        """Images arrive whole, files by address; code and server tools stay Gemini's."""
        image = {"inlineData": {"mimeType": "image/png", "data": "-_8="}, "thoughtSignature": "c2ln"}
        code = {"executableCode": {"code": "1"}}
        found = self.whole(chunk({"text": "a"}, image, {"fileData": {"fileUri": "gs://b/x.mp4"}}, code, {"text": "b"}))
        self.assertEqual(
            found.choices[0].parts,
            (
                Text("a"),
                Media("image", "image/png", "+/8=", seal=OWN),
                Media("video", "", url="gs://b/x.mp4"),
                Native("gemini", "executableCode", b'{"executableCode":{"code":"1"}}'),
                Text("b"),
            ),
        )

    def test_candidates(self) -> None:
        """Several candidates are several choices."""
        two = {"candidates": [{"content": {"parts": [{"text": t}]}, "index": i} for i, t in ((0, "a"), (1, "b"))]}
        ends = {"candidates": [{"index": 1, "finishReason": "STOP"}, {"index": 0, "finishReason": "MAX_TOKENS"}]}
        found = self.whole(two, two, ends)
        self.assertEqual([choice.parts for choice in found.choices], [(Text("aa"),), (Text("bb"),)])
        self.assertEqual([choice.finish for choice in found.choices], [Finish.LENGTH, Finish.STOP])

    def test_reasons(self) -> None:
        """Each reason; unknown ones are a fault, numbers are protobuf's; no content is no error."""
        table: list[tuple[Any, str]] = [
            ("STOP", Finish.STOP),
            (1, Finish.STOP),
            ("MAX_TOKENS", Finish.LENGTH),
            (2, Finish.LENGTH),
            ("SAFETY", Finish.FILTER),
            ("RECITATION", Finish.FILTER),
            ("IMAGE_SAFETY", Finish.FILTER),
            ("MODEL_ARMOR", Finish.FILTER),
            ("MALFORMED_FUNCTION_CALL", Finish.FAULT),
            ("UNEXPECTED_TOOL_CALL", Finish.FAULT),
            ("SOMETHING_NEW", Finish.FAULT),
            (99, Finish.FAULT),
            ("FINISH_REASON_UNSPECIFIED", ""),
            (None, ""),
        ]
        for reason, expected in table:
            found = self.whole({"candidates": [{"finishReason": reason}], "usageMetadata": {}})
            self.assertEqual((found.choices[0].finish, found.choices[0].parts), (expected, ()), reason)

    def test_blockedPrompt(self) -> None:
        """A refused prompt has no candidates: it is an answer that was withheld."""
        found = self.whole({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})
        self.assertEqual((found.choices[0].finish, found.usage.input), (Finish.FILTER, 4))

    def test_counts(self) -> None:
        """A count is told when it changes; one without numbers says nothing."""
        usage = {"usageMetadata": {"promptTokenCount": 4}}
        data = sse({**chunk({"text": "a"}), "usageMetadata": {"trafficType": "ON_DEMAND"}}, usage, usage)
        self.assertEqual([event for event in read([data]) if isinstance(event, Counted)], [Counted(Usage(input=4))])

    def test_countsThatShrink(self) -> None:
        """Protobuf leaves zeros out: a detail that is gone from the last report is 0, and not what it was."""
        before = {"usageMetadata": {"promptTokenCount": 4, "cachedContentTokenCount": 3, "thoughtsTokenCount": 2}}
        after = {**chunk({"text": "a"}), "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1}}
        self.assertEqual(self.whole(before, after).usage, Usage(5, 0, None, 1, 0))

    def test_errors(self) -> None:
        """An error chunk, alone or in an array, ends the reading; a whole answer cannot be one."""
        error = {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}
        for data in (sse(error), sse([error]), sse([chunk({"text": "a"}), error])):
            self.assertEqual(read([data])[-1], Erred("m", "UNAVAILABLE"))
        for body in (json.dumps(error), json.dumps([error]), "", "[]", "{}", "null", "<html>", '{"choices":[]}'):
            self.assertRaises(ValueError, BACK.parse, body.encode(), target())

    def test_sources(self) -> None:
        """Grounded segments name their sources; each is told once, with places only where they mean characters."""
        grounding = {
            "groundingChunks": [{"web": {"uri": "u", "title": "t"}}, {"retrievedContext": {"fileSearchStore": "s"}}],
            "groundingSupports": [
                {"segment": {"endIndex": 5, "text": "Hello"}, "groundingChunkIndices": [0, 1, 7, "x"]}
            ],
        }
        end = chunk({"text": "", "thoughtSignature": "c2ln"}, groundingMetadata=grounding, finishReason="STOP")
        found = self.whole(chunk({"text": "Hello"}), chunk(groundingMetadata=grounding), end)
        sources = (Citation("u", "t", "Hello", 0, 5), Citation("", "s", "Hello", 0, 5))
        self.assertEqual(found.choices[0].parts, (Text("Hello", citations=sources), Text("", seal=OWN)))
        text, _ = self.whole(chunk({"text": "H\u00e9llo"}), end).choices[0].parts
        assert isinstance(text, Text)
        self.assertEqual(text.citations[0], Citation("u", "t", "Hello"))
        recited = {"citationMetadata": {"citations": [{"endIndex": 3, "uri": "v"}]}}
        (text,) = self.whole(chunk({"text": "Hello"}, **recited)).choices[0].parts
        self.assertEqual(text, Text("Hello", citations=(Citation("v", start=0, end=3),)))
        bare = chunk({"text": "a"}, groundingMetadata={"groundingChunks": [{"web": {"uri": "u"}}]})
        self.assertEqual(self.whole(bare).choices[0].parts, (Text("a", citations=(Citation("u"),)),))

    def test_probabilities(self) -> None:
        """Log probabilities have OpenAI's form, the alternatives beside each token."""
        one = {"token": "\u00e9", "logProbability": -0.5, "tokenId": 1}
        result = {"chosenCandidates": [one, {"token": "b"}], "topCandidates": [{"candidates": [one]}]}
        (event,) = [e for e in read([sse(chunk({"text": "x"}, logprobsResult=result))]) if isinstance(e, Probable)]
        token = {"token": "\u00e9", "logprob": -0.5, "bytes": [195, 169]}
        expected = [
            {**token, "top_logprobs": [token]},
            {"token": "b", "logprob": 0.0, "bytes": [98], "top_logprobs": []},
        ]
        self.assertEqual(json.loads(event.logprobs), {"content": expected})

    def test_halfCharacter(self) -> None:
        """A character cut in two is no exception."""
        parts = b'[{"text":"\\ud83d"},{"functionCall":{"name":"f","args":{"a":"\\ud83d"}}}]'
        data = b'data: {"candidates":[{"content":{"parts":' + parts + b"}}]}\n\n"
        self.assertEqual(words(assemble(read([data])))[2], [("f", {"a": "\ufffd"})])

    def test_deep(self) -> None:
        """JSON nested as deeply as can be read, and deeper, is no exception."""
        for depth in (*range(800, 1010, 7), 5000):
            deep = b"[" * depth + b"]" * depth
            for part in (b'{"functionCall":{"name":"f","args":{"a":%b}}}' % deep, b'{"new":%b}' % deep):
                check_events(read([b'data: {"candidates":[{"content":{"parts":[%b]}}]}\n\n' % part]))

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    def test_anyBytes(self, data: bytes) -> None:
        """No bytes make the reader raise."""
        check_events(read([data, b"\n\ndata: " + data + b"\n\n"]))

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.deferred(lambda: _ODD), max_size=4))
    def test_anyJSON(self, values: list[Any]) -> None:
        """No JSON does either, and its events keep the rules."""
        events = read([sse(*values)])
        erred = [number for number, event in enumerate(events) if isinstance(event, Erred)]
        check_events(events[: erred[0]] if erred else events)


_NAMES = (
    "candidates",
    "content",
    "parts",
    "text",
    "thought",
    "thoughtSignature",
    "functionCall",
    "name",
    "args",
    "partialArgs",
    "willContinue",
    "jsonPath",
    "stringValue",
    "finishReason",
    "index",
    "usageMetadata",
    "groundingMetadata",
    "groundingChunks",
    "inlineData",
    "data",
    "promptFeedback",
    "blockReason",
    "responseId",
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4)


_PART: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from(["", "a", "\u00e9"]),
        "thought": st.booleans(),
        "thoughtSignature": st.sampled_from(["", "c2ln"]),
        "functionCall": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["", "f", OUTPUT_TOOL]),
                "args": st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
                "willContinue": st.booleans(),
                "partialArgs": st.lists(
                    st.fixed_dictionaries(
                        {"jsonPath": st.sampled_from(["$.a", "$.a[0]", "$"]), "stringValue": st.just("x")}
                    ),
                    max_size=2,
                ),
            },
        ),
        "executableCode": st.just({}),
    },
)
_ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3), _containers, max_leaves=15
) | st.lists(_PART, max_size=4).map(lambda parts: chunk(*parts))


class OpenedTests(SynchronousTestCase):
    """What a block says when it begins."""

    def test_callsBeginBeforeTheirArguments(self) -> None:
        """A call that comes in pieces is told at once, its arguments when they are whole."""
        begin = chunk({"functionCall": {"name": "f", "willContinue": True}})
        events = read([sse(begin)])
        self.assertIsInstance(events[1], Opened)
        self.assertEqual([event.text for event in events if isinstance(event, Grew)], ["{}"])
