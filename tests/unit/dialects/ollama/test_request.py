"""What clients of Ollama's API send.

Edge cases 114 and 115 of the list (streaming by default, ids, tool names, images, options, empty messages), and
125, 126 where they touch a request.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Media, Message, Reasoning, ResponseFormat, Seal, Text, Thinking, Tool, ToolCall, ToolResult
from relay.dialects.carry import tag
from relay.dialects.codec import Call
from relay.dialects.ollama.dialect import OLLAMA
from relay.errors import InvalidRequest
from relay.vectors import EmbedRequest
from tests.unit.dialects.ollama.lines import CHAT, EMBED, GENERATE, PNG, heard

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "streaming is the default": ({}, {"stream": True, "wants_usage": True}),
    "null streams": ({"stream": None}, {"stream": True}),
    "false does not": ({"stream": False}, {"stream": False}),
    "options": (
        {
            "options": {
                "num_predict": 5,
                "temperature": 0,
                "top_p": 0.5,
                "top_k": 4,
                "min_p": 0.1,
                "seed": 7,
                "presence_penalty": 1,
                "frequency_penalty": -1,
            }
        },
        {
            "max_tokens": 5,
            "temperature": 0.0,
            "top_p": 0.5,
            "top_k": 4,
            "min_p": 0.1,
            "seed": 7,
            "presence_penalty": 1.0,
            "frequency_penalty": -1.0,
        },
    ),
    "whole numbers as floats": ({"options": {"num_predict": 5.0, "seed": 7.0}}, {"max_tokens": 5, "seed": 7}),
    "no limit": ({"options": {"num_predict": -1}}, {"max_tokens": None}),
    "one stop": ({"options": {"stop": "END"}}, {"stop": ("END",)}),
    "stops, blank ones left out": ({"options": {"stop": ["a", "", "b"]}}, {"stop": ("a", "b")}),
    "JSON": ({"format": "json"}, {"format": ResponseFormat("json_object")}),
    "a schema": (
        {"format": {"type": "object", "properties": {}}},
        {"format": ResponseFormat("json_schema", b'{"type":"object","properties":{}}')},
    ),
    "no format": ({"format": ""}, {"format": None}),
    "thinking": ({"think": True}, {"reasoning": Reasoning(adaptive=True, visible=True)}),
    "thinking, how much": ({"think": "low"}, {"reasoning": Reasoning(effort="low", visible=True)}),
    "no thinking": ({"think": False}, {"reasoning": Reasoning(effort="none")}),
    "log probabilities": ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    "no log probabilities": ({"logprobs": False, "top_logprobs": 0}, {"logprobs": None, "top_logprobs": None}),
    "nulls mean absent": (
        {"options": None, "format": None, "think": None, "keep_alive": None, "x": None, "logprobs": None},
        {"extra": {}, "format": None, "reasoning": None},
    ),
    "what only Ollama has": (
        {"keep_alive": "5m", "options": {"num_ctx": 8192, "mirostat": 1}, "new": [1]},
        {"extra": {"keep_alive": b'"5m"', "new": b"[1]", "options.num_ctx": b"8192", "options.mirostat": b"1"}},
    ),
}

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "messages of the wrong type": (CHAT, {"messages": "Hi"}, "messages"),
    "no messages load the model": (CHAT, {"messages": []}, "messages"),
    "no messages at all": (CHAT, {"messages": None}, "messages"),
    "content in parts": (CHAT, {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
    "an unknown role": (CHAT, {"messages": [{"role": "narrator", "content": "x"}]}, "messages[0].role"),
    "an image that is none": (
        CHAT,
        {"messages": [{"role": "user", "content": "", "images": ["QUJD", "no!"]}]},
        "messages[0].images[1]",
    ),
    "an image by URL": (
        CHAT,
        {"messages": [{"role": "user", "content": "", "images": ["https://example.com/a.png"]}]},
        "messages[0].images[0]",
    ),
    "arguments that are none": (
        CHAT,
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}]},
        "messages[0].tool_calls[0].function.arguments",
    ),
    "arguments cut off": (
        CHAT,
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a":'}}]}]},
        "messages[0].tool_calls[0].function.arguments",
    ),
    "half a token": (CHAT, {"options": {"num_predict": 0.5}}, "options.num_predict"),
    "a temperature in words": (CHAT, {"options": {"temperature": "hot"}}, "options.temperature"),
    "a format in words": (CHAT, {"format": "yaml"}, "format"),
    "thinking in other words": (CHAT, {"think": "a lot"}, "think"),
    "no prompt loads the model": (GENERATE, {"prompt": ""}, "prompt"),
    "no prompt at all": (GENERATE, {"prompt": None}, "prompt"),
    "an image that is none, generating": (GENERATE, {"images": ["!"]}, "images[0]"),
}


class ChatTests(SynchronousTestCase):
    """``/api/chat``."""

    def test_fields(self) -> None:
        """Every field has its place in the hub, or is told apart."""
        for name, (body, expected) in FIELDS.items():
            request = heard(body)
            for field, value in expected.items():
                self.assertEqual(getattr(request, field), value, f"{name}: {field}")

    def test_wrong(self) -> None:
        """A mistake is told with the field's name."""
        for name, (path, body, param) in WRONG.items():
            error = self.assertRaises(InvalidRequest, heard, body, path)
            self.assertEqual(error.param, param, name)

    def test_namesOfLosses(self) -> None:
        """What cannot go on is named as Ollama names it."""
        names = heard({}).names
        self.assertEqual((names["max_tokens"], names["reasoning"]), ("options.num_predict", "think"))

    def test_turns(self) -> None:
        """System, images before words, thoughts before the answer; turns that say nothing are left out."""
        request = heard(
            {
                "messages": [
                    {"role": "System", "content": "Be brief."},
                    {"role": "user", "content": "Look", "images": [PNG]},
                    {"role": "assistant", "content": "", "thinking": ""},
                    {"role": "assistant", "content": "A dot.", "thinking": "Hm."},
                    {"role": "user", "content": None},
                ]
            }
        )
        self.assertEqual(
            request.messages,
            (
                Message("system", (Text("Be brief."),)),
                Message("user", (Media("image", "image/png", PNG), Text("Look"))),
                Message("assistant", (Thinking("Hm."), Text("A dot."))),
            ),
        )

    def test_images(self) -> None:
        """Bare base64 tells its kind by its first bytes; a data URL is taken, too."""
        images = {"/9j/4AAQ": "image/jpeg", "R0lGODlh": "image/gif", "UklGRgAA": "image/webp", "AAAAAAAA": ""}
        for data, mime in images.items():
            (message,) = heard({"messages": [{"role": "user", "images": [data]}]}).messages
            self.assertEqual(message.parts, (Media("image", mime, data),))
        (message,) = heard({"messages": [{"role": "user", "images": ["data:image/x;base64,AAAA"]}]}).messages
        self.assertEqual(message.parts, (Media("image", "image/x", "AAAA"),))

    def test_results(self) -> None:
        """Results find their calls by name and by order, since most clients know no ids; arguments are objects."""
        calls = [
            {"function": {"name": "a", "arguments": {"n": 1}}},
            {"function": {"name": "b"}},
            {"function": {"name": "a", "arguments": '{"n": 2}'}},
        ]
        said = [
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "content": "B", "tool_name": "b"},
            {"role": "tool", "content": "A1", "name": "a"},
            {"role": "tool", "content": "A2"},
            {"role": "tool", "content": "?", "tool_name": "c"},
        ]
        turn, *results = heard({"messages": said}).messages
        made = [part for part in turn.parts if isinstance(part, ToolCall)]
        self.assertEqual([call.arguments for call in made], ['{"n":1}', "{}", '{"n":2}'])
        self.assertEqual(len({call.id for call in made}), 3)
        found = [part for message in results for part in message.parts if isinstance(part, ToolResult)]
        self.assertEqual([result.call for result in found[:3]], [made[1].id, made[0].id, made[2].id])
        self.assertEqual([result.name for result in found], ["b", "a", "a", "c"])
        self.assertNotIn(found[3].call, {call.id for call in made})

    def test_ids(self) -> None:
        """Where a client keeps ids they join, and bring home the proof that travelled in them."""
        own = tag("call_7", Seal("gemini", "proof"))
        said = [
            {"role": "assistant", "tool_calls": [{"id": own, "function": {"name": "a", "arguments": {}}}]},
            {"role": "tool", "content": "A", "tool_call_id": own},
        ]
        turn, result = heard({"messages": said}).messages
        self.assertEqual(turn.parts, (ToolCall("call_7", "a", "{}", seal=Seal("gemini", "proof")),))
        self.assertEqual(result.parts, (ToolResult("call_7", (Text("A"),), "a"),))

    def test_stableIds(self) -> None:
        """A longer conversation gives its earlier calls the same ids."""
        said: list[dict[str, Any]] = [{"role": "assistant", "tool_calls": [{"function": {"name": "a"}}]}]
        short = heard({"messages": said}).messages
        self.assertEqual(heard({"messages": [*said, {"role": "user", "content": "x"}]}).messages[:1], short)

    def test_tools(self) -> None:
        """Functions, with their schema as it came."""
        tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]
        self.assertEqual(heard({"tools": tools}).tools, (Tool("f", "d", b'{"type":"object"}'),))
        self.assertEqual(heard({"tools": []}).tools, ())

    @settings(max_examples=100, deadline=None, database=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["messages", "role", "content", "tool_calls", "function", "images", "options", "name"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        )
    )
    def test_anyJSON(self, value: object) -> None:
        """Whatever JSON comes, it is a request or an `InvalidRequest`."""
        bodies = [value, {"model": "m", "messages": value}, {"model": "m", "prompt": "x", "options": value}]
        bodies.append({"model": "m", "messages": [value], "tools": [value], "format": value, "think": value})
        for body in bodies:
            for path in (CHAT, GENERATE, EMBED):
                try:
                    OLLAMA.fronts[path].parse(json.dumps(body).encode(), Call(path))
                except InvalidRequest:
                    continue

    def test_oddBytes(self) -> None:
        """No JSON, lone surrogates, deep nesting: told, never a crash."""
        for body in (b"", b"{", b'{"model":"\\ud83d","messages":[]}', b'{"messages":' + b"[" * 100_000):
            self.assertRaises(InvalidRequest, OLLAMA.fronts[CHAT].parse, body, Call(CHAT))
        deep = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"
        call = {"function": {"name": "f", "arguments": deep}}
        self.assertRaises(InvalidRequest, heard, {"messages": [{"role": "assistant", "tool_calls": [call]}]})


class GenerateTests(SynchronousTestCase):
    """``/api/generate``."""

    def test_messages(self) -> None:
        """System and prompt are two messages, images go before the words."""
        request = heard({"system": "Be brief.", "prompt": "Look", "images": [PNG], "think": False}, GENERATE)
        self.assertEqual(
            request.messages,
            (
                Message("system", (Text("Be brief."),)),
                Message("user", (Media("image", "image/png", PNG), Text("Look"))),
            ),
        )
        self.assertEqual((request.stream, request.reasoning), (True, Reasoning(effort="none")))

    def test_extra(self) -> None:
        """Template, context, raw and suffix have no place; what the SDK sends for nothing is not told."""
        said = {"raw": True, "template": "{{.Prompt}}", "context": [1, 2], "suffix": "}", "keep_alive": 0}
        self.assertEqual(
            heard(said, GENERATE).extra,
            {
                "raw": b"true",
                "template": b'"{{.Prompt}}"',
                "context": b"[1, 2]",
                "suffix": b'"}"',
                "keep_alive": b"0",
            },
        )
        quiet = {"system": "", "template": "", "context": [], "raw": False, "images": [], "format": "", "options": {}}
        self.assertEqual(heard(quiet, GENERATE).extra, {})


class EmbedTests(SynchronousTestCase):
    """``/api/embed``."""

    def parse(self, **body: Any) -> EmbedRequest:
        """The hub's request."""
        request: EmbedRequest = OLLAMA.fronts[EMBED].parse(json.dumps({"model": "m", **body}).encode(), Call(EMBED))
        return request

    def test_fields(self) -> None:
        """One text or several, the length of vectors, and what happens to what is too long."""
        one = self.parse(input="a", truncate=False, dimensions=3, keep_alive="1m", options=None)
        self.assertEqual((one.inputs, one.single, one.truncate, one.dimensions), (("a",), True, "NONE", 3))
        self.assertEqual(one.extra, {"keep_alive": b'"1m"'})
        several = self.parse(input=["a", "b"], truncate=True)
        self.assertEqual((several.inputs, several.single, several.truncate), (("a", "b"), False, "END"))

    def test_wrong(self) -> None:
        """Input must be text, and some."""
        for value in ([], [1, 2], None, {"a": 1}):
            error = self.assertRaises(InvalidRequest, self.parse, input=value)
            self.assertTrue((error.param or "").startswith("input"), value)
