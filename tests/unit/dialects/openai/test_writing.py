"""What clients of Chat are shown, streamed and whole, for answers of every dialect (edge cases B43 to B53, 64, 73).

Not tested here: 48 to 51 are what Anthropic's reader makes of its stream; 70 and 117 are for other fronts and for the
delivery. 52: a part that only another dialect understands is left out of the answer.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

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
from relay.dialects.assembly import disassemble
from relay.dialects.openai.answer import render
from relay.dialects.openai.writing import ChatWriter
from relay.errors import InternalError
from relay.events import Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage
from tests.unit.dialects.openai.talk import ASKING, asked, judge, payloads, written

WANTS = msgspec.structs.replace(ASKING, wants_usage=True)
OLD = msgspec.structs.replace(ASKING, names={"tools": "functions"})
COUNT = Usage(input=120, cached=70, cache_write=20, output=9, reasoning=4)

CALLED = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}

MESSAGES: dict[str, tuple[tuple[Part, ...], dict[str, Any]]] = {
    "text": ((Text("a"), Text("b")), {"content": "ab"}),
    "nothing": ((), {"content": ""}),
    "47 a call without arguments": (
        (ToolCall("x", "f", ""),),
        {
            "content": None,
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
    ),
    "46 calls are counted, not blocks": (
        (Thinking("t"), Text("a"), ToolCall("x", "f", '{"a":1}'), ToolCall("y", "g", "{}")),
        {
            "content": "a",
            "reasoning_content": "t",
            "tool_calls": [
                {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
    ),
    "53 a refusal": ((Refusal("no"),), {"content": None, "refusal": "no"}),
    "52 another dialect's part": ((Native("anthropic", "server_tool_use", b"{}"), Text("a")), {"content": "a"}),
    "29 a signed thought": (
        (Thinking("t", Seal("anthropic", "sig")), Text("a")),
        {
            "content": "a",
            "reasoning_content": "t",
            "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "sig"}],
        },
    ),
    "31 a redacted thought": (
        (Thinking("", Seal("anthropic", "enc"), redacted=True), Text("a")),
        {"content": "a", "thinking_blocks": [{"type": "redacted_thinking", "data": "enc"}]},
    ),
    "another dialect's proof, with its id": (
        (Thinking("t", Seal("responses", "enc"), id="rs_1", summary=True), Text("a")),
        {
            "content": "a",
            "reasoning_content": "t",
            "thinking_blocks": [
                {
                    "type": "thinking",
                    "thinking": "t",
                    "signature": "relay1.responses.enc",
                    "id": "rs_1",
                    "summary": True,
                }
            ],
        },
    ),
    "this dialect's own proof": (
        (Thinking("t", Seal("openai", '{"index":0,"signature":"s","type":"reasoning.text"}')), Text("a")),
        {
            "content": "a",
            "reasoning_content": "t",
            "reasoning_details": [{"index": 0, "signature": "s", "type": "reasoning.text", "text": "t"}],
        },
    ),
    "95 a call's proof": (
        (ToolCall("x", "f", "{}", seal=Seal("gemini", "s")),),
        {
            "content": None,
            "tool_calls": [
                {
                    "id": "x",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "s"}},
                }
            ],
        },
    ),
    "96 a text's proof": (
        (Text("a", seal=Seal("gemini", "s")),),
        {"content": "a", "extra_content": {"google": {"thought_signature": "s"}}},
    ),
    "a free-text call": (
        (ToolCall("x", "f", "in", custom=True),),
        {"content": None, "tool_calls": [{"id": "x", "type": "custom", "custom": {"name": "f", "input": "in"}}]},
    ),
    "52 sources": (
        (Text("ab"), Text("cd", citations=(Citation("u", "t"), Citation(quote="of a document")))),
        {
            "content": "abcd",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"url": "u", "title": "t", "start_index": 2, "end_index": 4},
                }
            ],
        },
    ),
    "a picture": (
        (Media("image", "image/png", "AAAA"),),
        {
            "content": "",
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        },
    ),
}


def completion(*parts: Part, finish: str = Finish.STOP, usage: Usage = COUNT) -> Completion:
    """An answer of one choice."""
    return Completion("", "up", (Choice(parts, finish),), usage)


def shown(answer: Completion, request: Any = ASKING) -> dict[str, Any]:
    """The body that a client is sent."""
    body: dict[str, Any] = json.loads(render(answer, asked(request)))
    return body


def gathered(chunks: list[dict[str, Any]], index: int = 0) -> dict[str, Any]:
    """A choice's deltas put together as the official SDK does it."""
    message: dict[str, Any] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] == index:
                _gather(message, choice["delta"])
    return message


def _gather(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        have = into.get(name)
        if isinstance(have, str) and isinstance(value, str) and name not in ("type", "index"):
            into[name] = have + value
        elif isinstance(have, dict) and isinstance(value, dict):
            _gather(have, value)
        elif isinstance(have, list) and isinstance(value, list):
            for item in value:
                if "index" not in item:
                    have.append(item)
                elif (old := next((each for each in have if each.get("index") == item["index"]), None)) is not None:
                    _gather(old, item)
                else:
                    have.append(item)
        elif have is None:
            into[name] = json.loads(json.dumps(value))


def without(value: Any) -> Any:
    """A message without what only streams have: indexes of list members, empty content."""
    if isinstance(value, list):
        return [{name: without(member) for name, member in item.items() if name != "index"} for item in value]
    return value


class AnswerTests(SynchronousTestCase):
    """Whole answers."""

    def test_messages(self) -> None:
        """Each answer is shown as this message."""
        for name, (parts, members) in MESSAGES.items():
            message = shown(completion(*parts))["choices"][0]["message"]
            self.assertEqual(message, {"role": "assistant", "refusal": None, **members}, name)

    def test_head(self) -> None:
        """73: the client's name of the model, an id and a time are always there; null usage never."""
        body = shown(completion(Text("a"), usage=Usage()))
        self.assertEqual(
            (body["object"], body["model"], body["created"]), ("chat.completion", "public/model", 1700000000)
        )
        self.assertTrue(body["id"].startswith("chatcmpl-"))
        self.assertNotIn("usage", body)
        given = Completion("id", "up", (Choice((Text("a"),)),), created=7, tier="flex", fingerprint="fp")
        body = shown(given)
        self.assertEqual((body["id"], body["created"], body["service_tier"]), ("id", 7, "flex"))
        self.assertEqual(body["system_fingerprint"], "fp")

    def test_usage(self) -> None:
        """44: prompt tokens include the cached ones."""
        self.assertEqual(
            shown(completion(Text("a")))["usage"],
            {
                "prompt_tokens": 120,
                "completion_tokens": 9,
                "total_tokens": 129,
                "prompt_tokens_details": {"cached_tokens": 70, "cache_write_tokens": 20},
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
        )

    def test_finish(self) -> None:
        """43: every reason in OpenAI's words."""
        call = ToolCall("x", "f")
        for finish, parts, expected in (
            (Finish.STOP, (Text("a"),), "stop"),
            ("", (Text("a"),), "stop"),
            ("", (call,), "tool_calls"),
            (Finish.LENGTH, (call,), "length"),
            (Finish.TOOL_CALLS, (call,), "tool_calls"),
            (Finish.TOOL_CALLS, (Text("a"),), "stop"),
            (Finish.FILTER, (), "content_filter"),
            (Finish.REFUSAL, (), "content_filter"),
            (Finish.REFUSAL, (Refusal("no"),), "stop"),
            (Finish.PAUSE, (Text("a"),), "stop"),
            (Finish.FAULT, (), "content_filter"),
        ):
            answer = completion(*parts, finish=finish)
            self.assertEqual(shown(answer)["choices"][0]["finish_reason"], expected, finish)
            chunks = judge(written(ChatWriter(asked()), disassemble(answer)))
            self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], expected, finish)

    def test_legacy(self) -> None:
        """38: who declared functions is shown a function call."""
        answer = completion(ToolCall("x", "f", '{"a":1}'), finish=Finish.TOOL_CALLS)
        choice = shown(answer, OLD)["choices"][0]
        self.assertEqual(choice["message"]["function_call"], {"name": "f", "arguments": '{"a":1}'})
        self.assertEqual(choice["finish_reason"], "function_call")
        chunks = judge(written(ChatWriter(asked(OLD)), disassemble(answer)))
        self.assertEqual(gathered(chunks)["function_call"], {"name": "f", "arguments": '{"a":1}'})


class StreamTests(SynchronousTestCase):
    """Streams."""

    def test_sameAsWhole(self) -> None:
        """Each answer, streamed and put together by the client, is the answer that is shown whole."""
        for name, (parts, _) in MESSAGES.items():
            answer = completion(*parts)
            message = gathered(judge(written(ChatWriter(asked()), disassemble(answer))))
            expected = shown(answer)["choices"][0]["message"]
            expected["content"] = expected["content"] or ""
            self.assertEqual(
                {key: without(value) for key, value in message.items()},
                {key: without(value) for key, value in expected.items()},
                name,
            )

    def test_usage(self) -> None:
        """69, 84: the usage comes last, with no choices, if it was asked for, whenever it came."""
        events: list[Event] = [
            Counted(Usage(input=120, cached=70)),
            Opened(0, Text("")),
            Grew(0, "a"),
            Closed(0),
            Finished("stop"),
            Counted(Usage(output=9)),
        ]
        chunks = judge(written(ChatWriter(asked(WANTS)), events), usage=True)
        self.assertEqual(chunks[-1]["choices"], [])
        self.assertEqual(chunks[-1]["usage"]["total_tokens"], 129)
        self.assertFalse(any("usage" in chunk for chunk in judge(written(ChatWriter(asked()), events))))

    def test_sameUsage(self) -> None:
        """The streamed usage is the usage of the whole answer."""
        answer = completion(Text("a"))
        chunks = judge(written(ChatWriter(asked(WANTS)), disassemble(answer)), usage=True)
        self.assertEqual(chunks[-1]["usage"], shown(answer)["usage"])

    def test_interleaved(self) -> None:
        """74: calls that grow by turns keep their numbers; a text may come between."""
        events: list[Event] = [
            Opened(0, ToolCall("x", "f", "")),
            Opened(1, ToolCall("y", "g", "")),
            Grew(0, '{"a"'),
            Grew(1, "{}"),
            Opened(2, Text("")),
            Grew(2, "t"),
            Grew(0, ":1}"),
            Finished("tool_calls"),
        ]
        message = gathered(judge(written(ChatWriter(asked()), events)))
        arguments = [call["function"]["arguments"] for call in message["tool_calls"]]
        self.assertEqual((message["content"], arguments), ("t", ['{"a":1}', "{}"]))

    def test_neverEmpty(self) -> None:
        """A block in which nothing came leaves no chunk; an open call without arguments gets ``{}``."""
        events: list[Event] = [Opened(0, Text("")), Closed(0), Opened(1, Thinking()), Closed(1)]
        self.assertEqual(len(judge(written(ChatWriter(asked()), events))), 2)
        chunks = judge(written(ChatWriter(asked()), [Opened(0, ToolCall("x", "f", ""))]))
        self.assertEqual(gathered(chunks)["tool_calls"][0]["function"]["arguments"], "{}")

    def test_empty(self) -> None:
        """An answer of nothing is still an answer."""
        chunks = judge(written(ChatWriter(asked()), []))
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks], [None, "stop"])

    def test_choices(self) -> None:
        """Several choices are kept apart."""
        answer = Completion(
            "", "", (Choice((Text("a"),), "stop"), Choice((ToolCall("x", "f"),), "tool_calls", index=1))
        )
        chunks = judge(written(ChatWriter(asked()), disassemble(answer)))
        self.assertEqual(gathered(chunks)["content"], "a")
        self.assertEqual(gathered(chunks, 1)["tool_calls"][0]["index"], 0)

    def test_longThought(self) -> None:
        """The words of a thought that is too long to keep are left out of its proof, not of the answer."""
        piece = "x" * 1000
        events: list[Event] = [Opened(0, Thinking()), *(Grew(0, piece) for _ in range(1100))]
        events += [Sealed(0, Seal("anthropic", "s")), Closed(0)]
        message = gathered(judge(written(ChatWriter(asked()), events)))
        self.assertEqual(len(message["reasoning_content"]), 1100000)
        self.assertEqual(message["thinking_blocks"][0]["thinking"], "")

    def test_logprobs(self) -> None:
        """Log probabilities stand in a chunk."""
        logprobs = b'{"content":[{"token":"a","logprob":-1.0}]}'
        chunks = judge(written(ChatWriter(asked()), [Opened(0, Text("a")), Probable(logprobs)]))
        found = [choice["logprobs"] for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]]
        self.assertEqual(found, [json.loads(logprobs)])

    def test_fail(self) -> None:
        """50: at any moment an error ends the stream, without ``[DONE]`` and without a finish."""
        events = disassemble(completion(Thinking("t"), Text("a"), ToolCall("x", "f", "{}")))[:-1]
        for count in range(len(events)):
            writer = ChatWriter(asked())
            sent = writer.write(events[:count]) + writer.fail(InternalError("broken"))
            chunks = payloads(sent)
            self.assertEqual(chunks[-1]["error"]["message"], "broken")
            self.assertNotIn(b"[DONE]", sent)
            reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", ())]
            self.assertFalse(any(reasons))

    def test_oneByOne(self) -> None:
        """It does not matter how many events come at once."""
        events = disassemble(completion(*(part for parts, _ in MESSAGES.values() for part in parts)))[:-1]
        single = ChatWriter(asked())
        one = b"".join(single.write([event]) for event in events) + single.end()
        self.assertEqual(one, written(ChatWriter(asked()), events))
