"""Every recorded exchange with Converse and CountTokens, in each role it can play.

There is no front for this dialect, so recorded requests are read by the tests' own (`recorded.heard`) and
must be built again as they were sent.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from relay.chat import Citation, Completion, Finish, Native, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.dialects.bedrock.errors import error_type, read_error
from relay.dialects.codec import Target
from relay.dialects.quoting import encode
from relay.events import Ended, Finished
from relay.exchange import Usage
from tests.unit.dialects.bedrock.recorded import (
    BACK,
    COUNT,
    FOLDER,
    cases,
    frames,
    heard,
    read,
    sent,
    small_streams,
    streams,
)

FINISHES = {
    "end_turn": Finish.STOP,
    "tool_use": Finish.TOOL_CALLS,
    "max_tokens": Finish.LENGTH,
    "guardrail_intervened": Finish.FILTER,
}
ANY = Target("m")
SLICES = random.Random(4).randrange


def words(body: Mapping[str, Any]) -> str:
    """All that a whole answer says in text."""
    pieces = []
    for block in body["output"]["message"]["content"]:
        pieces.append(block.get("text", ""))
        pieces += [piece["text"] for piece in block.get("citationsContent", {}).get("content", [])]
    return "".join(pieces)


def told(completion: Completion) -> str:
    """All that the hub's answer says in text."""
    return "".join(part.text for part in completion.choices[0].parts if isinstance(part, Text))


def calls(completion: Completion) -> list[tuple[str, str, Any]]:
    """Its tool calls."""
    parts = completion.choices[0].parts
    return [(part.id, part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)]


def folded(data: bytes) -> dict[str, Any]:
    """The whole answer that a stream amounts to, in Converse's own words."""
    blocks: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    for frame in frames(data):
        body = json.loads(frame.data)
        number = body.get("contentBlockIndex", 0)
        match frame.event:
            case b"contentBlockStart":
                blocks[number] = {name: {**inner, "input": ""} for name, inner in body["start"].items()}
            case b"contentBlockDelta":
                _grow(blocks.setdefault(number, {}), body["delta"])
            case b"messageStop":
                answer |= body
            case b"metadata":
                answer["usage"] = body["usage"]
    content = [_closed(blocks[number]) for number in sorted(blocks)]
    return {**answer, "output": {"message": {"role": "assistant", "content": content}}}


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    if "toolResult" in delta:
        block["toolResult"].setdefault("content", []).extend(delta["toolResult"])
    if "citation" in delta:
        block.setdefault("citationsContent", {"citations": []})["citations"].append(delta["citation"])
    for name, value in delta.get("reasoningContent", {}).items():
        inner = block.setdefault("reasoningContent", {})
        if name == "redactedContent":
            inner[name] = value
        else:
            words = inner.setdefault("reasoningText", {})
            words[name] = words.get(name, "") + value


def _closed(block: dict[str, Any]) -> dict[str, Any]:
    if "toolUse" in block:
        return {"toolUse": {**block["toolUse"], "input": json.loads(block["toolUse"]["input"] or "{}")}}
    if "toolResult" in block:
        return {"toolResult": {name: value for name, value in block["toolResult"].items() if name != "input"}}
    return block


class SmallStreamTests(SynchronousTestCase):
    """The recordings that come with relay, held against what they plainly say."""

    def whole(self, name: str) -> Completion:
        """The answer of a recording."""
        return assemble(read([dict(small_streams())[name]]))

    def test_toolUse(self) -> None:
        """A call of a tool without arguments has the arguments ``{}``."""
        answer = self.whole("tool-use")
        self.assertEqual(calls(answer), [("tooluse_FiC04UZUDhglf3LFbuBaLn", "best_language_to_learn", {})])
        self.assertEqual((answer.choices[0].finish, answer.usage), (Finish.TOOL_CALLS, Usage(input=932, output=18)))

    def test_redactedThinking(self) -> None:
        """Redacted thinking is sealed, shows nothing, and comes before the answer."""
        parts = self.whole("redacted-thinking").choices[0].parts
        self.assertEqual([type(part) for part in parts], [Thinking, Thinking, Text])
        for part in parts[:2]:
            assert isinstance(part, Thinking)
            assert part.seal is not None
            self.assertEqual((part.text, part.redacted, part.seal.origin), ("", True, "bedrock"))

    def test_guardrail(self) -> None:
        """An answer that a guardrail masked is filtered, and still told."""
        answer = self.whole("guardrail")
        self.assertEqual(answer.choices[0].finish, Finish.FILTER)
        self.assertEqual(told(answer), "{ADDRESS} is the capital of Japan {Account Number}.")

    def test_grounded(self) -> None:
        """What Bedrock's own search did is native; sources belong to the text before them."""
        parts = self.whole("grounded").choices[0].parts
        self.assertEqual([type(part) for part in parts], [Native, Native, Text, Text, Text])
        assert isinstance(parts[2], Text)
        assert isinstance(parts[0], Native)
        self.assertEqual(json.loads(parts[0].value)["toolUse"]["input"], {"query": "latest stable Ruby version"})
        found = [(source.url, source.title) for source in parts[2].citations]
        self.assertEqual(
            found,
            [
                ("https://www.ruby-lang.org/en/downloads/", "ruby-lang.org"),
                ("https://mac.install.guide/ruby/", "install.guide"),
            ],
        )
        self.assertEqual(parts[2].text, "The latest stable Ruby version is 4.0.6")


class StreamTests(SynchronousTestCase):
    """All streams at hand, however they come."""

    def test_slicing(self) -> None:
        """Byte by byte and in random slices the events are the same."""
        for name, data in streams():
            whole = read([data])
            self.assertEqual(read(data[at : at + 1] for at in range(len(data))), whole, name)
            for _ in range(3):
                cuts = sorted({0, len(data), *(SLICES(len(data)) for _ in range(8))})
                self.assertEqual(read(data[a:b] for a, b in itertools.pairwise(cuts)), whole, name)

    def test_streamedEqualsWhole(self) -> None:
        """A stream says what the same answer would have said in one piece, token counts included."""
        for name, data in streams():
            self.assertEqual(assemble(read([data])), BACK.parse(json.dumps(folded(data)).encode(), ANY), name)

    def test_cutAtEachFrame(self) -> None:
        """A stream that is cut says no more than it said, and never that it is complete."""
        for name, data in streams():
            full = told(assemble(read([data])))
            cut = frames(data)
            for count in range(len(cut)):
                events = read(frame.raw for frame in cut[:count])
                stopped = any(frame.event == b"messageStop" for frame in cut[:count])
                self.assertEqual(any(isinstance(event, Finished) for event in events), stopped, name)
                self.assertFalse(any(isinstance(event, Ended) for event in events), name)
                self.assertTrue(full.startswith(told(assemble(events))), name)

    def test_cutInAFrame(self) -> None:
        """Half a message says nothing."""
        for name, data in streams():
            last = frames(data)[-1].raw
            self.assertEqual(read([data[: -len(last) // 2]]), read([data[: -len(last)]]), name)


class RecordingTests(SynchronousTestCase):
    """The folder that ``RELAY_FIXTURES`` names."""

    def setUp(self) -> None:
        """Skip where there is none."""
        if not FOLDER:
            raise SkipTest("RELAY_FIXTURES names no folder of recordings")

    def test_wholeAnswers(self) -> None:
        """Text, tool calls, finish reason and usage of each whole answer are what it plainly holds."""
        count = 0
        for case in cases():
            data = case.file("response.json")
            if data is None or case.failed:
                continue
            count += 1
            body, answer = json.loads(data), BACK.parse(data, case.target)
            usage = body["usage"]
            cached, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
            self.assertEqual(told(answer), words(body), case.name)
            self.assertEqual(answer.choices[0].finish, FINISHES[body["stopReason"]], case.name)
            self.assertEqual(answer.usage.input, usage["totalTokens"] - usage["outputTokens"], case.name)
            self.assertEqual((answer.usage.cached, answer.usage.cache_write), (cached, written), case.name)
            uses = [block["toolUse"] for block in body["output"]["message"]["content"] if "toolUse" in block]
            self.assertEqual(calls(answer), [(u["toolUseId"], u["name"], u["input"]) for u in uses], case.name)
        self.assertEqual(count, 35)

    def test_streams(self) -> None:
        """Each streamed answer is there: those with a metadata message end, and say their tokens."""
        found = [case for case in cases() if case.stream is not None]
        self.assertEqual(len(found), 13)
        for case in found:
            assert case.stream is not None
            events, body = read([case.stream]), folded(case.stream)
            answer = assemble(events)
            self.assertEqual(told(answer), words(body), case.name)
            self.assertEqual(answer.choices[0].finish, FINISHES[body["stopReason"]], case.name)
            self.assertEqual(isinstance(events[-1], Ended), "usage" in body, case.name)
            if "usage" in body:
                self.assertEqual(answer.usage.output, body["usage"]["outputTokens"], case.name)

    def test_citations(self) -> None:
        """Sources of a document and of a search result keep title, quotation and their own form."""
        (pdf,) = (case for case in cases() if "cites-pdf" in case.name)
        answer = BACK.parse(pdf.file("response.json") or b"", ANY)
        first = answer.choices[0].parts[0]
        assert isinstance(first, Text)
        (source,) = first.citations
        self.assertEqual((source.title, source.quote), ("sample", "Sample PDF\r\nThis is a simple PDF file. "))
        self.assertEqual(json.loads(source.native)["location"]["documentPage"]["start"], 1)
        (search,) = (case for case in cases() if "cites-tool-results-returned-as-2" in case.name)
        text = BACK.parse(search.file("response.json") or b"", ANY).choices[0].parts[0]
        assert isinstance(text, Text)
        self.assertIsInstance(text.citations[0], Citation)
        self.assertEqual(text.citations[0].url, "https://example.com/ruby-facts")

    def test_requests(self) -> None:
        """Each recorded request is built as it was sent, but for what `normal` says."""
        count = 0
        for case in cases():
            data = case.file("request.json")
            if data is None:
                continue
            count += 1
            body = json.loads(data)
            built, report = sent(heard(body), case.target)
            self.assertEqual(normal(built), normal(body), case.name)
            self.assertEqual(report.dropped, LOST.get(case.name, ()), case.name)
        self.assertEqual(count, 44)

    def test_errors(self) -> None:
        """Refusals keep Bedrock's words; the type stands in a header, without its address (edge case 111)."""
        found = {case.name: case for case in [*cases(), *cases("bedrock-count-tokens")] if case.failed}
        self.assertEqual(len(found), 4)
        for case in found.values():
            body = case.file("response.json") or b""
            self.assertEqual(read_error(body), (json.loads(body)["message"], ""), case.name)
        self.assertEqual(error_type(found["doc-error-429-throttling"].headers), "ThrottlingException")
        self.assertEqual(error_type(found["converse-stream-with-invalid-model"].headers), "ValidationException")

    def test_counting(self) -> None:
        """Requests for a count are built as they were sent, and the count is read."""
        count = 0
        for case in cases("bedrock-count-tokens"):
            body = json.loads(case.file("request.json") or b"")
            if case.failed:
                continue
            count += 1
            built = COUNT.build(heard(body["input"]["converse"]), case.target)
            self.assertEqual(
                normal(json.loads(encode(built.fields))["input"]["converse"]), normal(body["input"]["converse"])
            )
            answer = COUNT.parse(case.file("response.json") or b"", case.target)
            self.assertEqual(answer.tokens, json.loads(case.file("response.json") or b"")["inputTokens"])
        self.assertEqual(count, 2)


LOST: dict[str, tuple[str, ...]] = {}
"""Recorded requests of which something is lost, though Bedrock took it."""


def normal(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request without what means nothing.

    Empty parts are left out, a result's good status goes without saying, turns of one role in a row are one, and
    Claude is asked for the stop sequence that it wrote.
    """
    done = {name: value for name, value in body.items() if value not in ([], {}, None)}
    done.pop("additionalModelResponseFieldPaths", None)
    messages: list[dict[str, Any]] = []
    for message in done["messages"]:
        content = [_without_status(block) for block in message["content"]]
        if messages and messages[-1]["role"] == message["role"]:
            messages[-1]["content"] += content
        else:
            messages.append({"role": message["role"], "content": content})
    return {**done, "messages": messages}


def _without_status(block: dict[str, Any]) -> dict[str, Any]:
    result = block.get("toolResult")
    if result is None or result.get("status") != "success":
        return block
    return {"toolResult": {name: value for name, value in result.items() if name != "status"}}
