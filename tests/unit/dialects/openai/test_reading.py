"""Streams of OpenAI's imitators (edge cases D75 to D88), each deviation by its name.

Not tested here, for a reason: 83's ``num_sources_used`` and ``cost`` have no place in relay's usage; 84 (asking for
usage and stripping it) is the delivery's and the writer's; 88's line ends and cuts are `relay.wire.sse`'s, and
`test_recordings` slices every stream.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Choice, Citation, Finish, Media, Part, Refusal, Seal, Text, Thinking, ToolCall
from relay.dialects.assembly import assemble
from relay.dialects.openai import understanding
from relay.events import Began, Counted, Ended, Erred, Finished, Opened
from relay.exchange import Usage
from tests.unit.dialects.openai.talk import delta, read, sse, target, whole

STOP = delta(finish="stop")
SIGNED = Seal("openai", '{"format":"f","index":0,"signature":"sig","type":"reasoning.text"}')
GOOGLE = {"google": {"thought_signature": "abc"}}


def call(*, args: Any = None, **members: Any) -> dict[str, Any]:
    """A delta with one piece of a call; ``name`` and ``args`` go into its function."""
    function = {"name": members.pop("name")} if "name" in members else {}
    return delta(tool_calls=[{**members, "function": {**function, "arguments": args}}])


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    """A chunk whose content is a list."""
    return delta(content=list(items))


PARTS: dict[str, tuple[list[Any], tuple[Part, ...]]] = {
    "text": ([delta(role="assistant", content=""), delta(content="a"), delta(content="b")], (Text("ab"),)),
    "75 Azure's first chunk without choices, chunks without a delta": (
        [
            {"id": "", "model": "", "choices": [], "prompt_filter_results": []},
            {"id": "c1", "choices": [{"index": 0, "finish_reason": None}]},
            delta(content="a"),
        ],
        (Text("a"),),
    ),
    "76 every parallel call has index 0 and an id": (
        [call(index=0, id="x", name="f", args='{"a":1}'), call(index=0, id="y", name="g", args='{"b":2}')],
        (ToolCall("x", "f", '{"a":1}'), ToolCall("y", "g", '{"b":2}')),
    ),
    "76 no index, but ids": (
        [call(id="x", name="f", args=""), call(id="y", name="g", args="{}"), call(id="x", args="{}")],
        (ToolCall("x", "f", "{}"), ToolCall("y", "g", "{}")),
    ),
    "76 neither index nor id after the first piece": (
        [call(id="x", name="f", args='{"a"'), call(args=":1}")],
        (ToolCall("x", "f", '{"a":1}'),),
    ),
    "76 two calls in one chunk without index, then more of both": (
        [
            delta(tool_calls=[{"id": "x", "function": {"name": "f"}}, {"id": "y", "function": {"name": "g"}}]),
            delta(tool_calls=[{"function": {"arguments": "1"}}, {"function": {"arguments": "2"}}]),
        ],
        (ToolCall("x", "f", "1"), ToolCall("y", "g", "2")),
    ),
    "76 the first index is 1": (
        [call(index=1, id="x", name="f", args=""), call(index=1, args="{}")],
        (ToolCall("x", "f", "{}"),),
    ),
    "74 interleaved": (
        [
            call(index=0, id="x", name="f", args=""),
            call(index=1, id="y", name="g", args=""),
            call(index=0, args='{"a":1}'),
            call(index=1, args='{"b":2}'),
        ],
        (ToolCall("x", "f", '{"a":1}'), ToolCall("y", "g", '{"b":2}')),
    ),
    "the name comes after the id, the id with every piece, the name again and empty": (
        [
            call(index=0, id="x", args=""),
            call(index=0, id="x", name="f", args='{"a"'),
            call(index=0, id="x", name="f", args=":1"),
            call(index=0, id="x", name="", args="}"),
        ],
        (ToolCall("x", "f", '{"a":1}'),),
    ),
    "another id with every piece": (
        [call(index=0, id="x", name="f", args='{"a"'), call(index=0, id="z", args=":1}")],
        (ToolCall("x", "f", '{"a":1}'),),
    ),
    "47 no arguments at all, and null": (
        [call(index=0, id="x", name="f", args=None), call(index=1, id="y", name="g", args="")],
        (ToolCall("x", "f", "{}"), ToolCall("y", "g", "{}")),
    ),
    "arguments as an object": ([call(index=0, id="x", name="f", args={"a": 1})], (ToolCall("x", "f", '{"a":1}'),)),
    "a custom tool": (
        [
            delta(tool_calls=[{"index": 0, "id": "x", "type": "custom", "custom": {"name": "f", "input": "a"}}]),
            delta(tool_calls=[{"index": 0, "type": "custom", "custom": {"input": "b"}}]),
        ],
        (ToolCall("x", "f", "ab", custom=True),),
    ),
    "a free-text tool that travels as a function": (
        [call(index=0, id="x", name="f__freetext", args='{"inp'), call(index=0, args='ut":"a\\nb"}')],
        (ToolCall("x", "f", "a\nb", custom=True),),
    ),
    "a tool of a namespace": (
        [call(index=0, id="x", name="s__ns__f", args="{}")],
        (ToolCall("x", "f", "{}", namespace="s"),),
    ),
    "95 a call's thought signature (Google's endpoint)": (
        [call(index=0, id="x", name="f", args="{}", extra_content=GOOGLE)],
        (ToolCall("x", "f", "{}", seal=Seal("openai", '{"google":{"thought_signature":"abc"}}')),),
    ),
    "96 a text's thought signature": (
        [delta(content="a"), delta(content="", extra_content=GOOGLE)],
        (Text("a", seal=Seal("openai", '{"google":{"thought_signature":"abc"}}')),),
    ),
    "79 reasoning_content": (
        [
            delta(role="assistant", content=None, reasoning_content="a"),
            delta(reasoning_content="b"),
            delta(content="c"),
        ],
        (Thinking("ab"), Text("c")),
    ),
    "79 reasoning, with an empty content beside it": (
        [delta(content="", reasoning="a"), delta(content="", reasoning="b"), delta(content="c")],
        (Thinking("ab"), Text("c")),
    ),
    "79 the same reasoning in two fields": (
        [delta(reasoning="a", reasoning_content="a"), delta(content="c")],
        (Thinking("a"), Text("c")),
    ),
    "79 reasoning_details with its signature at the end": (
        [
            delta(
                reasoning="a", reasoning_details=[{"type": "reasoning.text", "text": "a", "format": "f", "index": 0}]
            ),
            delta(
                reasoning="b", reasoning_details=[{"type": "reasoning.text", "text": "b", "format": "f", "index": 0}]
            ),
            delta(
                reasoning_details=[{"type": "reasoning.text", "signature": "sig", "format": "f", "index": 0}],
                content="",
            ),
            delta(content="c"),
        ],
        (Thinking("ab", SIGNED), Text("c")),
    ),
    "79 reasoning_details that are a summary and encrypted": (
        [
            delta(reasoning="s", reasoning_details=[{"type": "reasoning.summary", "summary": "s", "index": 0}]),
            delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "enc", "id": "rs_1", "index": 0}]),
            delta(content="c"),
        ],
        (
            Thinking("s", Seal("openai", '{"index":0,"type":"reasoning.summary"}'), summary=True),
            Thinking(
                "",
                Seal("openai", '{"data":"enc","id":"rs_1","index":0,"type":"reasoning.encrypted"}'),
                redacted=True,
                id="rs_1",
            ),
            Text("c"),
        ),
    ),
    "79 thinking_blocks beside reasoning_content (LiteLLM)": (
        [
            delta(reasoning_content="a", thinking_blocks=[{"type": "thinking", "thinking": "a"}]),
            delta(reasoning_content="", thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "sig"}]),
            delta(content="c"),
        ],
        (Thinking("a", Seal("openai", '{"signature":"sig","type":"thinking"}')), Text("c")),
    ),
    "79 <think> in the content, in pieces": (
        [delta(content=piece) for piece in ("\n<th", "ink>", "\n", "a", "b</", "think", ">\n\n", "\nc", "<think>")],
        (Thinking("ab"), Text("c<think>")),
    ),
    "79 an empty <think>": ([delta(content="<think>\n\n</think>\n\nc")], (Text("c"),)),
    "79 <think> that never ends": ([delta(content="<think>a</thi")], (Thinking("a</thi"),)),
    "what only looks like <think>": (
        [delta(content=" <"), delta(content="thin air")],
        (Text(" <thin air"),),
    ),
    "<think> behind the beginning is text": ([delta(content="a <think>b</think>")], (Text("a <think>b</think>"),)),
    "78 Mistral's content in parts": (
        [
            listed({"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}),
            listed({"type": "thinking", "thinking": "b"}),
            listed({"type": "text", "text": "c"}, {"type": "reference", "reference_ids": [1]}),
            delta(content="d"),
        ],
        (Thinking("ab"), Text("cd")),
    ),
    "text, a call, text": (
        [delta(content="a"), call(index=0, id="x", name="f", args="{}"), delta(content="b")],
        (Text("a"), ToolCall("x", "f", "{}"), Text("b")),
    ),
    "reasoning and content in one delta": ([delta(reasoning="a", content="b")], (Thinking("a"), Text("b"))),
    "a refusal": ([delta(refusal="no "), delta(refusal="way")], (Refusal("no way"),)),
    "sources before the text": (
        [
            delta(content="", annotations=[{"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}]),
            delta(content="a"),
        ],
        (Text("a", citations=(Citation("u", "t"),)),),
    ),
    "Perplexity's sources beside the choices": (
        [{**delta(content="a"), "citations": ["u"]}, {**delta(content="b"), "citations": ["u"], "search_results": []}],
        (Text("ab", citations=(Citation("u"),)),),
    ),
    "an old function call": (
        [delta(function_call={"name": "f", "arguments": ""}), delta(function_call={"arguments": "{}"})],
        (ToolCall("made", "f", "{}"),),
    ),
    "77 no id": (
        [call(index=0, name="f", args='{"a"'), call(index=0, args=":1}")],
        (ToolCall("made", "f", '{"a":1}'),),
    ),
    "76, 77 whole calls with neither id nor index of their own": (
        [call(index=0, name="f", args="{}"), call(index=0, name="f", args='{"a":1}')],
        (ToolCall("made", "f", "{}"), ToolCall("made", "f", '{"a":1}')),
    ),
    "a picture": (
        [delta(content="", images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoA"}}])],
        (Media("image", mime="image/png", data="iVBORw0KGgoA"),),
    ),
    "a picture in the content": (
        [listed({"type": "image_url", "image_url": {"url": "https://h/x"}}, {"type": "image_url"})],
        (Media("image", url="https://h/x"),),
    ),
    "pictures and sound that are none": (
        [delta(content="a", images=[{"image_url": {"url": ""}}], audio={"data": "%"})],
        (Text("a"),),
    ),
    "speech with its words": (
        [delta(audio={"id": "x", "transcript": "a"}), delta(audio={"data": "AAAA", "format": "pcm16"})],
        (Text("a"), Media("audio", mime="audio/pcm", data="AAAA")),
    ),
    "a source that is no URL": (
        [delta(content="a", annotations=[{"type": "file", "file": {"hash": "h"}}])],
        (Text("a", citations=(Citation(origin="openai", native=b'{"type":"file","file":{"hash":"h"}}'),)),),
    ),
    "a call that never gets a name": (
        [call(index=0, id="x", args="{}")],
        (ToolCall("x", "", "{}"),),
    ),
    "an id and a name that come late": (
        [call(index=0, args="{"), call(index=0, id="x", name="f", args="}")],
        (ToolCall("x", "f", "{}"),),
    ),
    "free text whose arguments are odd": (
        [call(index=0, id="x", name="f__freetext", args="plain")],
        (ToolCall("x", "f", "plain", custom=True),),
    ),
    "125 half an emoji in each of two chunks": (
        [
            '{"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}',
            '{"choices":[{"index":0,"delta":{"content":"\\ude00b"}}]}',
        ],
        (Text("a😀b"),),
    ),
    "125 half an emoji and no other half": (
        ['{"choices":[{"index":0,"delta":{"content":"a\\ude00\\ud83d"}}]}', delta(content="b")],
        (Text("a\ufffdb"),),
    ),
    "odd types": (
        [
            {"id": 5, "created": "x", "model": None, "choices": [{"index": "0", "delta": {"content": "a"}}]},
            {"choices": [{"delta": {"content": 5, "tool_calls": 7, "reasoning": [], "annotations": {}}}, None, 3]},
            {"choices": {}, "usage": 5},
        ],
        (Text("a"),),
    ),
    "81 keep-alives that are data": ([": keepalive", delta(content="a"), ": ping", "", "[]", "null"], (Text("a"),)),
    "nothing": ([delta(role="assistant", content="")], ()),
}


def unnamed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Parts whose made ids are not looked at."""
    return tuple(
        msgspec.structs.replace(part, id="made")
        if isinstance(part, ToolCall) and (part.id.startswith("call_") and len(part.id) == 29)
        else part
        for part in parts
    )


FINISH: dict[str, str] = {
    "stop": Finish.STOP,
    "": Finish.STOP,
    "eos": Finish.STOP,
    "length": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "content_filter": Finish.FILTER,
    "tool_call": Finish.STOP,
    "error": Finish.FAULT,
    "insufficient_system_resource": Finish.FAULT,
    "what is this": Finish.STOP,
}


class PartTests(SynchronousTestCase):
    """What each deviation makes."""

    def test_parts(self) -> None:
        """The stream holds these parts, and no others."""
        for name, (chunks, parts) in PARTS.items():
            self.assertEqual(unnamed(whole(*chunks, STOP).choices[0].parts), parts, name)

    def test_made(self) -> None:
        """Ids that were left out are made, different ones, and stay the same when the bytes are read again."""
        for name in ("77 no id", "76, 77 whole calls with neither id nor index of their own"):
            chunks = PARTS[name][0]
            first, second = whole(*chunks), whole(*chunks)
            self.assertEqual(first, second)
            ids = [part.id for part in first.choices[0].parts if isinstance(part, ToolCall)]
            self.assertEqual(len(set(ids)), len(ids))

    def test_wholeAnswer(self) -> None:
        """A whole answer of the same parts is understood alike."""
        message = {
            "role": "assistant",
            "content": None,
            "reasoning": "a",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "signature": "sig", "format": "f", "index": 0},
                {"type": "reasoning.encrypted", "data": "enc"},
            ],
            "tool_calls": [
                {"id": "x", "index": 0, "function": {"name": "f", "arguments": ""}},
                {"id": "", "index": 0, "function": {"name": "f", "arguments": "{}"}},
            ],
        }
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        choice = understanding.parse(body, target()).choices[0]
        encrypted = Seal("openai", '{"data":"enc","type":"reasoning.encrypted"}')
        expected = (
            Thinking("a", SIGNED),
            Thinking(seal=encrypted, redacted=True),
            ToolCall("x", "f", "{}"),
            ToolCall("made", "f", "{}"),
        )
        self.assertEqual(unnamed(choice.parts), expected)
        self.assertEqual(choice.finish, Finish.TOOL_CALLS)

    def test_noAnswer(self) -> None:
        """What is no answer is refused as one."""
        for body in (
            b"",
            b"<html>",
            b"[]",
            b'{"choices":[]}',
            b'{"error":{"message":"m"},"choices":[{}]}',
            b"[" * 9999,
        ):
            self.assertRaises(ValueError, understanding.parse, body, target())


class StreamTests(SynchronousTestCase):
    """What goes for the stream as a whole."""

    def test_finish(self) -> None:
        """82: finish reasons in others' words are OpenAI's in the hub, and calls decide (71)."""
        for reason, expected in FINISH.items():
            self.assertEqual(whole(delta(content="a"), delta(finish=reason)).choices[0].finish, expected, reason)
            called = whole(call(index=0, id="x", name="f", args="{}"), delta(finish=reason)).choices[0].finish
            good = expected == Finish.STOP
            self.assertEqual(called, Finish.TOOL_CALLS if good else expected, reason)
        self.assertEqual(whole(delta(refusal="no"), STOP).choices[0].finish, Finish.REFUSAL)

    def test_finishTwice(self) -> None:
        """OpenRouter repeats the finish reason with the usage; only the first counts."""
        again = {**delta(finish="stop", content="late"), "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
        events = read([sse(delta(content="a"), STOP, again)])
        self.assertEqual([event for event in events if isinstance(event, Finished)], [Finished("stop")])
        self.assertEqual(assemble(events).choices, (Choice((Text("a"),), "stop"),))
        self.assertEqual(assemble(events).usage, Usage(input=3, output=4))

    def test_noFinish(self) -> None:
        """``[DONE]`` is a good end though no reason came; a body that just ends is not."""
        self.assertEqual(whole(delta(content="a")).choices[0].finish, "stop")
        events = read([sse(delta(content="a"), done=False)])
        self.assertFalse([event for event in events if isinstance(event, Finished | Ended)])

    def test_usage(self) -> None:
        """83: the last report counts: on every chunk, Groq's own, behind the finish, before any choice."""
        counts = {"prompt_tokens": 3, "completion_tokens": 4}
        for chunks in (
            [{**delta(content="a"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}}, {**STOP, "usage": counts}],
            [delta(content="a"), STOP, {"choices": [], "usage": counts}],
            [delta(content="a"), {**STOP, "x_groq": {"id": "r", "usage": counts}}],
            [{"choices": [], "usage": counts}, delta(content="a"), STOP],
            [delta(content="a"), {"x_groq": {"usage": counts}}],
        ):
            self.assertEqual(whole(*chunks).usage, Usage(input=3, output=4), str(chunks))

    def test_began(self) -> None:
        """The head is the first chunk's that has one."""
        first = {"id": "", "choices": [], "prompt_filter_results": []}
        head = {**delta(content="a"), "service_tier": "default", "system_fingerprint": "fp"}
        events = read([sse(first, head, delta(content="b"))])
        self.assertEqual(events[0], Began("c1", "m", 5, "default", "fp"))

    def test_errors(self) -> None:
        """80, 50: an error inside the stream ends it, in whichever form it comes."""
        bad: list[tuple[Any, Erred]] = [
            ({"error": {"message": "m", "code": 401}}, Erred("m", "401")),
            ({**delta(finish="error"), "error": {"message": "m", "code": "c"}}, Erred("m", "c")),
            ({"error": "text", "code": "c"}, Erred("text", "c")),
            ({**delta(content="b"), "x_groq": {"error": "over_capacity"}}, Erred("over_capacity", "")),
        ]
        for chunk, expected in bad:
            events = read([sse(delta(content="a"), chunk, delta(content="late"), STOP)])
            self.assertEqual(events[-1], expected, str(chunk))
        named = b'data: {"choices":[]}\n\nevent: error\ndata: {"message":"m","code":"tool_use_failed"}\n\n'
        self.assertEqual(read([named])[-1], Erred("m", "tool_use_failed"))

    def test_choices(self) -> None:
        """Several choices are kept apart."""
        completion = whole(delta(1, content="b"), delta(0, content="a"), delta(1, "length"), delta(0, "stop"))
        self.assertEqual(
            completion.choices, (Choice((Text("a"),), "stop", index=0), Choice((Text("b"),), "length", index=1))
        )

    def test_logprobs(self) -> None:
        """Log probabilities are handed on; what is none is not."""
        good = {"content": [{"token": "a", "logprob": -1.0}], "refusal": None}
        chunk = delta(content="a")
        for logprobs, seen in ((good, True), ({"content": None}, False), ({"content": 5}, False), ({"x": {}}, False)):
            chunk["choices"][0]["logprobs"] = logprobs
            self.assertEqual(bool(whole(chunk, STOP).choices[0].logprobs), seen)

    def test_commonCase(self) -> None:
        """Plain text is one event a chunk."""
        events = read([sse(delta(role="assistant", content=""), *(delta(content=f"{n}") for n in range(5)), STOP)])
        self.assertEqual(len([event for event in events if isinstance(event, Opened)]), 1)
        self.assertEqual(len(events), 1 + 1 + 5 + 1 + 1 + 1)

    def test_manyReports(self) -> None:
        """Every report is handed on, for streams that are cut."""
        chunks = [{**delta(content="a"), "usage": {"prompt_tokens": 1, "completion_tokens": n}} for n in range(3)]
        self.assertEqual(len([event for event in read([sse(*chunks)]) if isinstance(event, Counted)]), 3)
