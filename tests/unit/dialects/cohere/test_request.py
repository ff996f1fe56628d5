"""What clients of Cohere's chat send.

Edge case 112 of the list (tool plans, results as documents, REQUIRED and NONE, ``p`` and ``k``), and 22, 23, 36, 37,
38, 125, 126 where they touch a request.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    Media,
    Message,
    Native,
    Reasoning,
    ResponseFormat,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.carry import tag
from relay.dialects.codec import Call
from relay.dialects.cohere.dialect import COHERE
from relay.errors import InvalidRequest
from tests.unit.dialects.cohere.events import CHAT, EMBED, FRONT, PNG, RERANK, heard

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "whole by default": ({}, {"stream": False, "wants_usage": True}),
    "streamed": ({"stream": True}, {"stream": True}),
    "null means absent": (
        {"stream": None, "tools": None, "thinking": None, "response_format": None, "k": None, "documents": None},
        {"stream": False, "tools": (), "reasoning": None, "format": None, "top_k": None, "extra": {}},
    ),
    "sampling": (
        {
            "max_tokens": 5,
            "temperature": 0,
            "p": 0.5,
            "k": 4,
            "seed": 7,
            "stop_sequences": ["a", ""],
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
        },
        {
            "max_tokens": 5,
            "temperature": 0.0,
            "top_p": 0.5,
            "top_k": 4,
            "seed": 7,
            "stop": ("a",),
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
        },
    ),
    "log probabilities": ({"logprobs": True}, {"logprobs": True}),
    "no log probabilities": ({"logprobs": False}, {"logprobs": None}),
    "a call is due": ({"tool_choice": "REQUIRED"}, {"tool_choice": ToolChoice("required")}),
    "no call": ({"tool_choice": "NONE"}, {"tool_choice": ToolChoice("none")}),
    "text": ({"response_format": {"type": "text"}}, {"format": ResponseFormat("text")}),
    "JSON": ({"response_format": {"type": "json_object"}}, {"format": ResponseFormat("json_object")}),
    "a schema": (
        {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}},
        {"format": ResponseFormat("json_schema", b'{"type":"object"}')},
    ),
    "a schema under its older name": (
        {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
        {"format": ResponseFormat("json_schema", b'{"type":"object"}')},
    ),
    "thinking": ({"thinking": {"type": "enabled"}}, {"reasoning": Reasoning(adaptive=True, visible=True)}),
    "thinking, so much": (
        {"thinking": {"type": "enabled", "token_budget": 9}},
        {"reasoning": Reasoning(budget=9, visible=True)},
    ),
    "no thinking": ({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(effort="none")}),
    "tools": (
        {"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"a": [1.0]}}}]},
        {"tools": (Tool("f", "d", b'{"a":[1.0]}'),)},
    ),
    "strict tools": (
        {"tools": [{"type": "function", "function": {"name": "f"}}], "strict_tools": True},
        {"tools": (Tool("f", strict=True),)},
    ),
    "what only Cohere has": (
        {
            "connectors": [{"id": "web"}],
            "safety_mode": "STRICT",
            "priority": 3,
            "citation_options": {"mode": "FAST"},
            "raw_prompting": None,
            "search_queries": [],
        },
        {
            "extra": {
                "connectors": b'[{"id": "web"}]',
                "safety_mode": b'"STRICT"',
                "priority": b"3",
                "citation_options": b'{"mode": "FAST"}',
            }
        },
    ),
}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "messages of the wrong type": ({"messages": "Hi"}, "messages"),
    "no messages": ({"messages": []}, "messages"),
    "messages without words": ({"messages": [{"role": "user", "content": ""}]}, "messages"),
    "an unknown role": ({"messages": [{"role": "CHATBOT", "content": "x"}]}, "messages[0].role"),
    "content of the wrong type": ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    "a part that is none": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, 5]}]},
        "messages[0].content[1]",
    ),
    "a data URL that is none": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,x"}}]}]},
        "messages[0].content[0].image_url.url",
    ),
    "an image without an address": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ""}}]}]},
        "messages[0].content[0].image_url.url",
    ),
    "a result of no call": ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    "a call without a name": (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {}}]}]},
        "messages[0].tool_calls[0].function.name",
    ),
    "a document that is none": ({"documents": [{"title": "x"}]}, "documents[0]"),
    "documents beside no question": (
        {"documents": ["x"], "messages": [{"role": "system", "content": "x"}]},
        "documents",
    ),
    "another choice": ({"tool_choice": "SOME"}, "tool_choice"),
    "another format": ({"response_format": {"type": "xml"}}, "response_format.type"),
    "another thinking": ({"thinking": {"type": "deep"}}, "thinking.type"),
    "a temperature in words": ({"temperature": "hot"}, "temperature"),
}


class ChatTests(SynchronousTestCase):
    """``/v2/chat``."""

    def test_fields(self) -> None:
        """Every field has its place in the hub, or is told apart."""
        for name, (body, expected) in FIELDS.items():
            request = heard(body)
            for field, value in expected.items():
                self.assertEqual(getattr(request, field), value, f"{name}: {field}")

    def test_wrong(self) -> None:
        """A mistake is told with the field's name."""
        for name, (body, param) in WRONG.items():
            error = self.assertRaises(InvalidRequest, heard, body)
            self.assertEqual(error.param, param, name)

    def test_namesOfLosses(self) -> None:
        """What cannot go on is named as Cohere names it."""
        names = heard({}).names
        self.assertEqual((names["top_p"], names["top_k"], names["stop"]), ("p", "k", "stop_sequences"))

    def test_turns(self) -> None:
        """Strings and parts, thoughts, the plan before its calls; null arguments are none (36, 112)."""
        own = tag("call_7", Seal("gemini", "proof"))
        said = [
            {"role": "assistant", "content": "Hello."},
            {"role": "System", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "text", "text": ""}]},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": ""}],
                "tool_plan": "I will look.",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "look", "arguments": None}},
                    {"id": own, "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}},
                ],
                "citations": [],
            },
            {"role": "assistant", "content": None},
        ]
        self.assertEqual(
            heard({"messages": said}).messages,
            (
                Message("assistant", (Text("Hello."),)),
                Message("system", (Text("Be brief."),)),
                Message("user", (Text("Look"),)),
                Message(
                    "assistant",
                    (
                        Thinking("Hm."),
                        Text("I will look."),
                        ToolCall("1", "look", "{}"),
                        ToolCall("call_7", "look", '{"a":1}', seal=Seal("gemini", "proof")),
                    ),
                ),
            ),
        )

    def test_results(self) -> None:
        """Results are strings, texts, or documents, whose data is the result (112)."""
        contents: dict[str, tuple[Any, tuple[Text, ...]]] = {
            "a string": ("x", (Text("x"),)),
            "nothing": ("", ()),
            "texts": ([{"type": "text", "text": "x"}], (Text("x"),)),
            "documents": (
                [
                    {"type": "document", "document": {"data": {"a": 1}, "id": "7"}},
                    {"type": "document", "document": {"data": '{"b": 2}'}},
                    {"type": "document", "document": {"data": {"text": "words"}}},
                ],
                (Text('{"a":1}'), Text('{"b": 2}'), Text("words")),
            ),
        }
        for name, (content, expected) in contents.items():
            (message,) = heard({"messages": [{"role": "tool", "tool_call_id": "1", "content": content}]}).messages
            self.assertEqual(message.parts, (ToolResult("1", expected),), name)

    def test_images(self) -> None:
        """By URL or in a data URL, whose parameters and letters do not matter (22, 23)."""
        urls = {
            f"data:image/png;base64,{PNG}": Media("image", "image/png", PNG),
            f"DATA:image/PNG;charset=utf-8;BASE64,{PNG}": Media("image", "image/png", PNG),
            "https://example.com/a.png": Media("image", url="https://example.com/a.png"),
        }
        for url, media in urls.items():
            part = {"type": "image_url", "image_url": {"url": url}}
            (message,) = heard({"messages": [{"role": "user", "content": [part]}]}).messages
            self.assertEqual(message.parts, (media,), url)
        part = {"type": "image_url", "image_url": {"url": "https://e.com/a", "detail": "low"}}
        (message,) = heard({"messages": [{"role": "user", "content": [part]}]}).messages
        self.assertEqual(message.parts, (Media("image", url="https://e.com/a", detail="low"),))

    def test_native(self) -> None:
        """A part of an unknown type goes on as it is."""
        (message,) = heard({"messages": [{"role": "user", "content": [{"type": "audio", "x": 1.0}]}]}).messages
        self.assertEqual(message.parts, (Native("cohere", "audio", b'{"type": "audio", "x": 1.0}'),))

    def test_documents(self) -> None:
        """Documents belong to the last question; whether they are cited can be said."""
        said = [
            {"role": "user", "content": "A?"},
            {"role": "assistant", "content": "B"},
            {"role": "user", "content": "C?"},
        ]
        documents = [
            "plain",
            {"id": "doc:1", "data": {"text": "words", "title": "T"}},
            {"id": "d3", "data": {"text": "named"}},
            {"data": {"snippet": "other", "n": 1}},
            {"data": "a string"},
        ]
        request = heard({"messages": said, "documents": documents})
        made = request.messages[2].parts[:5]
        expected = [("", "plain"), ("T", "words"), ("d3", "named"), ("", '{"snippet":"other","n":1}'), ("", "a string")]
        self.assertEqual([(part.name, part.text) for part in made if isinstance(part, Media)], expected)
        self.assertTrue(all(part.citations for part in made if isinstance(part, Media)))
        self.assertEqual((request.messages[2].parts[5], request.extra), (Text("C?"), {}))
        off = heard({"documents": ["x"], "citation_options": {"mode": "OFF"}})
        self.assertEqual(off.messages[0].parts[0], Media("document", "text/plain", text="x"))
        self.assertEqual(off.extra, {})
        two = heard({"documents": [{"id": "mine", "data": {"text": "x", "title": "T"}}]})
        self.assertEqual(list(two.extra), ["documents[].id"])

    @settings(max_examples=100, deadline=None, database=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["messages", "role", "content", "type", "document", "data", "function", "id", "text"]
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
        user = {"role": "user", "content": value}
        bodies = [
            value,
            {"model": "m", "messages": value},
            {"model": "m", "messages": [user], "documents": [value]},
            {"model": "m", "messages": [{"role": "tool", "tool_call_id": "1", "content": [value]}]},
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": value}], "tools": [value]},
            {"model": "m", "texts": value, "inputs": value, "query": "x", "documents": [value]},
        ]
        for body in bodies:
            for path in (CHAT, EMBED, RERANK):
                try:
                    COHERE.fronts[path].parse(json.dumps(body).encode(), Call(path))
                except InvalidRequest:
                    continue

    def test_oddBytes(self) -> None:
        """No JSON, lone surrogates, deep nesting: told, never a crash (125)."""
        for body in (b"", b"{", b'{"model":"\\ud83d","messages":[]}', b'{"messages":' + b"[" * 100_000):
            self.assertRaises(InvalidRequest, FRONT.parse, body, Call(CHAT))
