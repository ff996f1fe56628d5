"""Answers for clients of the Responses API.

Of the list of known traps: an error in mid-stream is the end (50); blocks, indexes and ids keep their discipline (65,
67, 73, 74); arguments at once or none (47, 68); late usage (69); no ``[DONE]`` (70); calls are calls whatever the
provider's reason (71, by the hub); usage is never made up (64 is about another dialect).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

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
from relay.dialects.carry import untag
from relay.dialects.responses.writing import ResponsesWriter
from relay.errors import UpstreamError, UpstreamProtocol
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage
from relay.outcome import Stage
from tests.unit.dialects.responses.streaming import (
    BACK,
    FRONT,
    TARGET,
    Judge,
    asked,
    payloads,
    read,
    taken_by_sdk,
    written,
)
from tests.unit.dialects.responses.test_requests import CODEX

USED = Usage(input=9, cached=3, cache_write=2, output=4, reasoning=1)


def judged(*events: Event, **fields: Any) -> Judge:
    """The judged stream of these events."""
    return Judge(written(events, asked(**fields)))


def output(*events: Event, **fields: Any) -> list[dict[str, Any]]:
    """The output of the last event."""
    items: list[dict[str, Any]] = judged(*events, **fields).last["response"]["output"]
    return items


def kinds(judge: Judge) -> list[str]:
    """The types of a stream's events without what they have in common."""
    return [event["type"].removeprefix("response.") for event in judge.events]


class StreamTests(SynchronousTestCase):
    """Streams."""

    def test_text(self) -> None:
        """All events of a message, in OpenAI's order, and nothing behind the last."""
        judge = judged(
            Began("x", "y", 5, "default"),
            Opened(0, Text("")),
            Grew(0, "Hel"),
            Grew(0, "lo"),
            Closed(0),
            Finished(Finish.STOP),
            Counted(USED),
        )
        self.assertEqual(
            kinds(judge),
            [
                *("created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"),
                *("output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed"),
            ],
        )
        response = judge.last["response"]
        self.assertEqual(response["output"][0]["content"][0]["text"], "Hello")
        self.assertEqual((response["model"], response["created_at"], response["service_tier"]), ("m", 5, "default"))
        self.assertRegex(response["id"], "^resp_")
        self.assertRegex(response["output"][0]["id"], "^msg_")
        self.assertEqual(
            response["usage"],
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 1},
                "total_tokens": 13,
            },
        )

    def test_nothing(self) -> None:
        """An answer without content, even without a beginning, is a whole stream."""
        self.assertEqual(kinds(judged()), ["created", "in_progress", "completed"])
        self.assertIsNone(judged().last["response"]["usage"])
        self.assertEqual(judged().last["response"]["created_at"], 1700000000)

    def test_empty(self) -> None:
        """Blocks without content are never shown."""
        for part in (Text(""), Refusal(""), Thinking("")):
            self.assertEqual(output(Opened(0, part), Grew(0, ""), Closed(0), Finished(Finish.STOP)), [])

    def test_noBeginning(self) -> None:
        """Content may come first."""
        (item,) = output(Opened(0, Text("a")), Grew(0, "b"), Closed(0), Finished(Finish.STOP))
        self.assertEqual(item["content"][0]["text"], "ab")

    def test_calls(self) -> None:
        """Calls side by side each have their item; one without arguments has an empty object."""
        items = output(
            Opened(0, ToolCall("c1", "f", "")),
            Opened(1, ToolCall("c2", "g", "")),
            Grew(0, '{"a'),
            Opened(2, ToolCall("c3", "h", '{"b":2}')),
            Grew(0, '":1}'),
            Closed(1),
            Closed(0),
            Closed(2),
            Finished(Finish.TOOL_CALLS),
        )
        found = [(item["type"], item["call_id"], item["name"], item["arguments"]) for item in items]
        self.assertEqual(
            found,
            [
                ("function_call", "c1", "f", '{"a":1}'),
                ("function_call", "c2", "g", "{}"),
                ("function_call", "c3", "h", '{"b":2}'),
            ],
        )
        self.assertEqual({item["status"] for item in items}, {"completed"})

    def test_messages(self) -> None:
        """Texts in a row are parts of one message; behind another item a new message begins."""
        items = output(
            *(Opened(0, Text("a")), Closed(0), Opened(1, Refusal("b")), Closed(1), Opened(2, ToolCall("c", "f"))),
            *(Closed(2), Opened(3, Text("d")), Closed(3), Finished(Finish.STOP)),
        )
        self.assertEqual([item["type"] for item in items], ["message", "function_call", "message"])
        self.assertEqual([part["type"] for part in items[0]["content"]], ["output_text", "refusal"])

    def test_thinking(self) -> None:
        """Thinking is a summary where the client asked for one, else the reasoning itself; the proof goes along."""
        thinking = (Opened(0, Thinking("")), Grew(0, "hm"), Sealed(0, Seal("anthropic", "sig")), Closed(0))
        (item,) = output(*thinking, reasoning={"summary": "auto"})
        self.assertEqual(item["summary"], [{"type": "summary_text", "text": "hm"}])
        self.assertEqual(item["encrypted_content"], "relay1.anthropic.sig")
        judge = judged(*thinking)
        (item,) = judge.last["response"]["output"]
        self.assertEqual((item["summary"], item["content"]), ([], [{"type": "reasoning_text", "text": "hm"}]))
        self.assertIn("reasoning_text.delta", kinds(judge))

    def test_proofOnly(self) -> None:
        """Redacted thinking and thinking without words differ, and come home as what they were (31)."""
        for part in (
            Thinking("", Seal("anthropic", "data"), redacted=True),
            Thinking("", Seal("anthropic", "sig")),
            Thinking("", Seal("responses", "gA"), redacted=True, id="rs_own"),
        ):
            (item,) = output(*disassemble(Completion("", "", (Choice((part,)),))), reasoning={"summary": "auto"})
            request = FRONT.parse(json.dumps({"model": "m", "input": [item]}).encode(), asked().call)
            (again,) = request.messages[0].parts
            assert isinstance(again, Thinking)
            self.assertEqual((again.text, again.seal, again.redacted), (part.text, part.seal, part.redacted))
            self.assertEqual(item["id"], part.id or item["id"])

    def test_sealedCalls(self) -> None:
        """A call's proof travels in its id (95)."""
        (item,) = output(Opened(0, ToolCall("c", "f", "", seal=Seal("gemini", "sig"))), Closed(0))
        self.assertEqual(untag(item["call_id"]), ("c", Seal("gemini", "sig")))

    def test_namespaces(self) -> None:
        """A plain function's call is shown in the namespace that the client declared it in (91)."""
        (item,) = output(Opened(0, ToolCall("c", "mcp__docs__find")), Closed(0), tools=CODEX["tools"])
        self.assertEqual((item["name"], item["namespace"]), ("find", "mcp__docs"))

    def test_freeText(self) -> None:
        """A free-text tool that a provider called as a function gives the text (91)."""
        for arguments, text in (
            ('{"input":"*** Begin\\nPatch"}', "*** Begin\nPatch"),
            ('{"patch":"p"}', "p"),
            ('{"a":"b","c":"d"}', '{"a":"b","c":"d"}'),
            ("plain", "plain"),
            ("{}", ""),
            ("", ""),
        ):
            half = len(arguments) // 2
            events: list[Event] = [
                Opened(0, ToolCall("c", "apply_patch", "")),
                Grew(0, arguments[:half]),
                Grew(0, arguments[half:]),
            ]
            judge = judged(*events, Closed(0), Finished(Finish.TOOL_CALLS), tools=CODEX["tools"])
            (item,) = judge.last["response"]["output"]
            self.assertEqual((item["type"], item["name"], item["input"]), ("custom_tool_call", "apply_patch", text))
        (item,) = output(Opened(0, ToolCall("c", "p", "", custom=True)), Grew(0, "go"), Closed(0))
        self.assertEqual((item["type"], item["input"]), ("custom_tool_call", "go"))

    def test_others(self) -> None:
        """Images and this dialect's own items are items; those of another dialect are left out."""
        search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
        items = output(
            *(Opened(0, Native("responses", "web_search_call", json.dumps(search).encode())), Closed(0)),
            *(Opened(1, Native("anthropic", "server_tool_use", b"{}")), Closed(1)),
            *(Opened(2, Media("image", mime="image/webp", data="iVBO")), Closed(2), Finished(Finish.STOP)),
        )
        self.assertEqual(items[0], search)
        self.assertEqual((items[1]["type"], items[1]["result"]), ("image_generation_call", "iVBO"))
        self.assertEqual(len(items), 2)

    def test_citations(self) -> None:
        """Sources are annotations: their own form, an address, or a document's title (52)."""
        native = b'{"type":"file_citation","file_id":"f","filename":"n","index":1}'
        judge = judged(
            Opened(0, Text("ab")),
            Cited(0, Citation("https://e.x", "E", start=0, end=2)),
            Cited(0, Citation(origin="responses", native=native)),
            Cited(0, Citation(title="Doc")),
            Cited(0, Citation(quote="nowhere")),
            Closed(0),
        )
        notes = judge.last["response"]["output"][0]["content"][0]["annotations"]
        self.assertEqual([note["type"] for note in notes], ["url_citation", "file_citation", "file_citation"])
        self.assertEqual(notes[1], json.loads(native))
        self.assertEqual(kinds(judge).count("output_text.annotation.added"), 3)

    def test_logprobs(self) -> None:
        """Log probabilities stand in their delta where they come with it, and in the finished text."""
        tokens = [{"token": text, "logprob": -0.5, "bytes": [97], "top_logprobs": []} for text in "abc"]
        pieces = [Probable(json.dumps({"content": [token]}).encode()) for token in tokens]
        writer = ResponsesWriter(asked())
        data = writer.write([Opened(0, Text("")), Grew(0, "a"), pieces[0]])
        data += writer.write([Grew(0, "b")]) + writer.write([pieces[1]]) + writer.write([Closed(0), pieces[2]])
        judge = Judge(data + writer.write([Finished(Finish.STOP)]) + writer.end())
        deltas = [event for event in judge.events if event["type"] == "response.output_text.delta"]
        self.assertEqual([event["logprobs"] for event in deltas], [tokens[:1], []])
        self.assertEqual(judge.last["response"]["output"][0]["content"][0]["logprobs"], tokens)

    def test_ends(self) -> None:
        """How the finish shows: status, reason, last event, and the last message's own status (43)."""
        for finish, status, reason in (
            (Finish.STOP, "completed", None),
            ("", "completed", None),
            (Finish.TOOL_CALLS, "completed", None),
            (Finish.PAUSE, "completed", None),
            (Finish.LENGTH, "incomplete", "max_output_tokens"),
            (Finish.FILTER, "incomplete", "content_filter"),
            (Finish.REFUSAL, "incomplete", "content_filter"),
            (Finish.FAULT, "failed", None),
        ):
            judge = judged(Opened(0, Text("a")), Closed(0), Finished(finish))
            response = judge.last["response"]
            self.assertEqual(judge.last["type"], f"response.{status}")
            self.assertEqual((response["incomplete_details"] or {}).get("reason"), reason)
            self.assertEqual(response["output"][0]["status"], "completed" if status == "completed" else "incomplete")
            self.assertEqual(response["error"] is not None, status == "failed")
        refused = judged(Opened(0, Refusal("No.")), Closed(0), Finished(Finish.REFUSAL))
        self.assertEqual(refused.last["type"], "response.completed")

    def test_lateUsage(self) -> None:
        """Usage behind the finish, in pieces, is in the last event (45, 69)."""
        judge = judged(
            Counted(Usage(input=9)), Finished(Finish.STOP), Counted(Usage(output=4)), Counted(Usage(output=5))
        )
        self.assertEqual(judge.last["response"]["usage"]["total_tokens"], 14)

    def test_otherChoices(self) -> None:
        """There is one answer here; others are left out."""
        items = output(
            *(
                Opened(0, Text("a")),
                Opened(1, Text("b"), 1),
                Grew(1, "c", 1),
                Closed(1),
                Finished(Finish.LENGTH, choice=1),
            ),
            *(Probable(b'{"content":[{}]}', 1), Closed(0), Finished(Finish.STOP)),
        )
        self.assertEqual([part["text"] for part in items[0]["content"]], ["a"])

    def test_unfinished(self) -> None:
        """Blocks that nobody closed are closed at the end."""
        items = output(Opened(0, Text("a")), Opened(1, ToolCall("c", "f", "")), Opened(2, Thinking("t")))
        self.assertEqual([item["type"] for item in items], ["message", "function_call", "reasoning"])

    def test_errors(self) -> None:
        """At any moment an error is the last event, with the next number (50)."""
        events: list[Event] = [Began(), Opened(0, Text("")), Grew(0, "a"), Closed(0), Finished(Finish.STOP)]
        error = UpstreamError("Broken.", stage=Stage.STREAM)
        for count in range(1, len(events) + 1):
            writer = ResponsesWriter(asked())
            data = b"".join(writer.write([event]) for event in events[:count]) + writer.fail(error)
            judge = Judge(data)
            self.assertEqual((judge.last["type"], judge.last["message"]), ("error", "Broken."))
        (only,) = payloads(ResponsesWriter(asked()).fail(error))
        self.assertEqual(only["sequence_number"], 0)

    def test_bounded(self) -> None:
        """An answer that is too large to be repeated ends with a clear error."""
        for make in (Text(""), Thinking(""), ToolCall("c", "f", "")):
            writer = ResponsesWriter(asked(), largest=1000)
            writer.write([Opened(0, make)])
            writer.write([Grew(0, "x" * 900)])
            error = self.assertRaises(UpstreamProtocol, writer.write, [Grew(0, "x" * 200)])
            self.assertIn("1000 bytes", error.message)
        writer = ResponsesWriter(asked(), largest=1000)
        image = Media("image", mime="image/png", data="A" * 1001)
        self.assertRaises(UpstreamProtocol, writer.write, [Opened(0, image)])

    def test_surrogates(self) -> None:
        """Halves of an emoji make the whole again (125)."""
        data = written([Opened(0, Text("")), Grew(0, "\ud83d"), Grew(0, "\ude00"), Closed(0), Finished(Finish.STOP)])
        last = [
            msgspec.json.decode(frame.split(b"data: ")[1]) for frame in data.split(b"\n\n") if b"completed" in frame
        ]
        self.assertEqual(last[-1]["response"]["output"][0]["content"][0]["text"], "\U0001f600")

    def test_repeated(self) -> None:
        """A response repeats what was asked, on one line however the client wrote it."""
        fields = {**CODEX, "text": {"format": {"type": "json_object"}}, "metadata": {"a": "b"}, "max_output_tokens": 9}
        body = json.dumps({"model": "m", **fields}, indent=1).encode()
        about = msgspec.structs.replace(asked(), request=FRONT.parse(body, asked().call))
        judge = Judge(written([Finished(Finish.STOP)], about))
        for event in (judge.events[0], judge.last):
            response = event["response"]
            self.assertEqual(
                [tool["type"] for tool in response["tools"]], ["function", "namespace", "custom", "web_search"]
            )
            self.assertEqual((response["max_output_tokens"], response["metadata"]), (9, {"a": "b"}))
            self.assertEqual(response["text"]["format"], {"type": "json_object"})
            taken_by_sdk(event)


class WholeTests(SynchronousTestCase):
    """Answers that are given whole."""

    def test_sameAsStream(self) -> None:
        """A whole answer is what its stream ends with."""
        completion = Completion(
            "x",
            "y",
            (Choice((Thinking("t"), Text("a"), ToolCall("c", "f", '{"a":1}')), Finish.TOOL_CALLS),),
            USED,
            5,
            "default",
        )
        whole = json.loads(FRONT.render(completion, asked()))
        self.assertEqual(whole, Judge(written(disassemble(completion))).last["response"])
        Response.model_validate(whole)

    def test_logprobs(self) -> None:
        """Log probabilities of a whole answer belong to its last text."""
        token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
        parts = (Text("a"), ToolCall("c", "f"))
        logprobs = json.dumps({"content": [token]}).encode()
        completion = Completion("", "", (Choice(parts, Finish.TOOL_CALLS, logprobs=logprobs),))
        whole = json.loads(FRONT.render(completion, asked()))
        self.assertEqual(whole["output"][0]["content"][0]["logprobs"], [token])


WORDS = st.text(min_size=1, max_size=5)
SEALS = st.builds(Seal, st.sampled_from(["responses", "anthropic", "gemini"]), WORDS)
GROWN: st.SearchStrategy[Part] = st.one_of(
    st.just(Text("")),
    st.just(Refusal("")),
    st.builds(Thinking, st.just(""), id=st.just(""), summary=st.booleans()),
    st.builds(ToolCall, WORDS, WORDS, st.just(""), custom=st.booleans(), seal=st.none() | SEALS),
)
AT_ONCE: st.SearchStrategy[Part] = st.one_of(
    st.builds(Thinking, st.just(""), SEALS, redacted=st.just(True)),
    st.just(Media("image", mime="image/png", data="iVBO")),
    st.just(Media("audio", data="A")),
    st.just(Native("anthropic", "x", b"{}")),
)
SOURCES = st.builds(Citation, st.just("https://e.x"), WORDS)


@st.composite
def blocks(draw: st.DrawFn) -> list[Any]:
    """One block: its part, then steps of growth, then its end."""
    if draw(st.booleans()):
        part = draw(GROWN)
        steps: list[Any] = draw(st.lists(st.one_of(WORDS, SOURCES if isinstance(part, Text) else WORDS), max_size=3))
        if isinstance(part, Thinking) and draw(st.booleans()):
            steps.append(draw(SEALS))
        return [part, *steps, None]
    return [draw(AT_ONCE), None]


@st.composite
def answers(draw: st.DrawFn, *, mixed: bool) -> list[Event]:
    """A lawful sequence of events; ``mixed`` has several blocks open at the same time."""
    waiting = draw(st.lists(blocks(), max_size=4))
    running: dict[int, list[Any]] = {}
    events: list[Event] = [Began("x", "y", 5)] if draw(st.booleans()) else []
    number = 0
    while waiting or running:
        if waiting and (not running or (mixed and draw(st.booleans()))):
            part, *steps = waiting.pop(0)
            events.append(Opened(number, part))
            running[number] = steps
            number += 1
            continue
        block = draw(st.sampled_from(sorted(running))) if mixed else min(running)
        events.append(_step(block, running[block].pop(0)))
        if not running[block]:
            del running[block]
    called = any(isinstance(event, Opened) and isinstance(event.part, ToolCall) for event in events)
    finish = Finished(Finish.TOOL_CALLS if called else draw(st.sampled_from([Finish.STOP, Finish.LENGTH])))
    ends: list[Event] = [finish, Counted(USED)]
    return [*events, *draw(st.permutations(ends))]


def _step(block: int, step: Any) -> Event:
    if step is None:
        return Closed(block)
    if isinstance(step, Citation):
        return Cited(block, step)
    return Sealed(block, step) if isinstance(step, Seal) else Grew(block, step)


def expected(part: Part) -> Part | None:
    """The part as this dialect's reader gives it back; None for what cannot be shown."""
    match part:
        case Text(text=""):
            return None
        case Text():
            return Text(part.text, citations=tuple(Citation(cited.url, cited.title) for cited in part.citations))
        case Refusal(text="") | Native() | Media(kind="audio"):
            return None
        case Thinking(text="", seal=None):
            return None
        case Thinking():
            return Thinking(part.text, part.seal, redacted=part.redacted)
        case ToolCall():
            arguments = part.arguments if part.custom or part.arguments.strip() else "{}"
            return ToolCall(part.id, part.name, arguments, custom=part.custom, seal=part.seal)
    return part


def shown(part: Part) -> Part:
    """A part that was read again, without what this dialect made up or wrote otherwise."""
    match part:
        case Text():
            return Text(part.text, citations=tuple(Citation(cited.url, cited.title) for cited in part.citations))
        case Thinking():
            return Thinking(part.text, part.seal, redacted=part.redacted)
        case ToolCall():
            call, seal = untag(part.id)
            return msgspec.structs.replace(part, id=call, seal=seal)
    return part


class AnyEventsTests(SynchronousTestCase):
    """Whatever a reader may give."""

    @settings(max_examples=100, deadline=None)
    @given(answers(mixed=True))
    def test_wellFormed(self, events: list[Event]) -> None:
        """Any lawful sequence makes a stream that keeps the protocol and that OpenAI's SDK takes."""
        judge = Judge(written(events))
        for event in judge.events:
            taken_by_sdk(event)
        self.assertEqual(Judge(written(events)).events, judge.events, "the same events make the same stream")

    @settings(max_examples=100, deadline=None)
    @given(answers(mixed=False))
    def test_readAgain(self, events: list[Event]) -> None:
        """What is written is read again as what it was, streamed and whole."""
        before = assemble(events)
        wanted = tuple(part for part in map(expected, before.choices[0].parts) if part is not None)
        streamed = assemble(read([written(events)]))
        whole = BACK.parse(FRONT.render(before, asked()), TARGET)
        for again in (streamed, whole):
            self.assertEqual(tuple(map(shown, again.choices[0].parts)), wanted)
            self.assertEqual(again.usage, USED)
        finishes = {before.choices[0].finish, Finish.REFUSAL, Finish.STOP}
        self.assertIn(streamed.choices[0].finish, finishes)
