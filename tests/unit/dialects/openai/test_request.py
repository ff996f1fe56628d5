"""What clients of Chat ask, and how it is refused (edge cases A1 to A41, 54 to 62, 85, 87, 125, 126).

In this dialect a client's request only becomes the hub's; what other providers cannot take (max_tokens required,
temperatures above 1, schemas, stop sequences) is decided where they are spoken to. 10, orphaned calls: kept as they
are, in order; the provider says what is wrong. 26: the user's id is opaque here.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    ChatRequest,
    Citation,
    Media,
    Message,
    Native,
    Part,
    Reasoning,
    Refusal,
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
from relay.dialects.openai.request import parse
from relay.errors import InvalidRequest
from tests.unit.dialects.openai.talk import CALL

USER = {"role": "user", "content": "hi"}
PNG = "iVBORw0KGgoAAAAN"
F = {"type": "function", "function": {"name": "f"}}


def asking(*messages: Any, **fields: Any) -> ChatRequest:
    """The hub's request for a body."""
    return parse(json.dumps({"model": "m", "messages": list(messages) or [USER], **fields}).encode(), CALL)


def assistant(**fields: Any) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", **fields}


def user(*parts: Any) -> dict[str, Any]:
    """A user's message of parts."""
    return {"role": "user", "content": list(parts)}


def url(value: Any) -> dict[str, Any]:
    """An image part."""
    return {"type": "image_url", "image_url": value}


def called(arguments: Any, **fields: Any) -> dict[str, Any]:
    """An assistant's message with one call."""
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": arguments}, **fields}
    return assistant(content=None, tool_calls=[call])


MESSAGES: dict[str, tuple[Any, str, tuple[Part, ...]]] = {
    "text": (USER, "user", (Text("hi"),)),
    "3 developer": ({"role": "developer", "content": "d"}, "developer", (Text("d"),)),
    "3 system in parts": (
        {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        "system",
        (Text("a"), Text("b")),
    ),
    "4 empty string": ({"role": "user", "content": ""}, "user", ()),
    "4 null": (assistant(content=None), "assistant", ()),
    "4 no content": (assistant(), "assistant", ()),
    "4 an empty part and null": (user({"type": "text", "text": ""}, {"type": "text", "text": None}), "user", ()),
    "5, 11 a call without content or arguments": (called(""), "assistant", (ToolCall("x", "f", "{}"),)),
    "11 arguments as they are": (called('{ "a": 1.0 }'), "assistant", (ToolCall("x", "f", '{ "a": 1.0 }'),)),
    "11 arguments as an object, and null": (called({"a": 1}), "assistant", (ToolCall("x", "f", '{"a":1}'),)),
    "22 data URL": (user(url({"url": f"data:image/png;base64,{PNG}"})), "user", (Media("image", "image/png", PNG),)),
    "22 plain URL with detail": (
        user(url({"url": "https://h/x.png", "detail": "low"})),
        "user",
        (Media("image", url="https://h/x.png", detail="low"),),
    ),
    "23 parameters, upper case, wrong type": (
        user(url({"url": f"DATA:image/jpeg;charset=utf-8;BASE64,{PNG}"})),
        "user",
        (Media("image", "image/png", PNG),),
    ),
    "23 URL-safe and without padding": (
        user(url({"url": "data:image/x;base64,_-8"})),
        "user",
        (Media("image", "image/x", "/+8="),),
    ),
    "78 Mistral's bare URL": (user(url("https://h/x")), "user", (Media("image", url="https://h/x"),)),
    "25 a PDF": (
        user({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}}),
        "user",
        (Media("document", "application/pdf", "JVBERi0x", name="a.pdf"),),
    ),
    "a text file": (
        user({"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}}),
        "user",
        (Media("document", "text/plain", text="hi", name="a.txt"),),
    ),
    "an uploaded file": (
        user({"type": "file", "file": {"file_id": "file-1"}}),
        "user",
        (Media("document", file_id="file-1"),),
    ),
    "audio": (
        user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
        "user",
        (Media("audio", "audio/mpeg", "AAAA"),),
    ),
    "video": (
        user({"type": "video_url", "video_url": {"url": "https://h/v"}}),
        "user",
        (Media("video", url="https://h/v"),),
    ),
    "32 cache markers": (
        user({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        "user",
        (Text("a", cache="1h"),),
    ),
    "32 never on an empty text": (
        user({"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}),
        "user",
        (),
    ),
    "39 a refusal": (assistant(content=None, refusal="no"), "assistant", (Refusal("no"),)),
    "41 a result in parts, with an image": (
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "r"}, url({"url": "https://h/x"})]},
        "tool",
        (ToolResult("x", (Text("r"), Media("image", url="https://h/x"))),),
    ),
    "an empty result": ({"role": "tool", "tool_call_id": "x", "content": ""}, "tool", (ToolResult("x"),)),
    "a part that nobody knows": (
        user({"type": "new", "x": 1}),
        "user",
        (Native("openai", "new", b'{"type":"new","x":1}'),),
    ),
    "79 reasoning_content comes back": (
        assistant(content="c", reasoning_content="t"),
        "assistant",
        (Thinking("t"), Text("c")),
    ),
    "79 the same in two fields": (
        assistant(content="c", reasoning_content="t", reasoning="t"),
        "assistant",
        (Thinking("t"), Text("c")),
    ),
    "29 thinking_blocks come back": (
        assistant(
            content="c",
            reasoning_content="t",
            thinking_blocks=[
                {"type": "thinking", "thinking": "t", "signature": "sig"},
                {"type": "redacted_thinking", "data": "enc"},
            ],
        ),
        "assistant",
        (Thinking("t", Seal("anthropic", "sig")), Thinking("", Seal("anthropic", "enc"), redacted=True), Text("c")),
    ),
    "90 a foreign proof comes home": (
        assistant(
            content="c",
            thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "relay1.responses.e", "id": "rs_1"}],
        ),
        "assistant",
        (Thinking("", Seal("responses", "e"), id="rs_1"), Text("c")),
    ),
    "79 reasoning_details as a stream left them": (
        assistant(
            content="",
            reasoning_details=[
                {"type": "reasoning.text", "text": "a", "index": 0},
                {"type": "reasoning.text", "text": "b", "index": 0},
                {"type": "reasoning.text", "signature": "s", "index": 0},
            ],
        ),
        "assistant",
        (Thinking("ab", Seal("openai", '{"index":0,"signature":"s","type":"reasoning.text"}')),),
    ),
    "78 Mistral's thinking part": (
        assistant(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]),
        "assistant",
        (Thinking("t"),),
    ),
    "95 a thought signature beside the call": (
        called("{}", extra_content={"google": {"thought_signature": "s"}}),
        "assistant",
        (ToolCall("x", "f", "{}", seal=Seal("gemini", "s")),),
    ),
    "95 a thought signature in the id": (
        called("{}", id=tag("x", Seal("gemini", "s"))),
        "assistant",
        (ToolCall("x", "f", "{}", seal=Seal("gemini", "s")),),
    ),
    "96 a thought signature of a text, and of none": (
        assistant(content="", extra_content={"google": {"thought_signature": "s"}}),
        "assistant",
        (Text("", seal=Seal("gemini", "s")),),
    ),
    "32 a cache marker on the message": (
        {"role": "user", "content": "a", "cache_control": {"type": "ephemeral"}},
        "user",
        (Text("a", cache=""),),
    ),
    "32 a cache marker on a result": (
        {"role": "tool", "tool_call_id": "x", "content": "a", "cache_control": {"ttl": "1h"}},
        "tool",
        (ToolResult("x", (Text("a"),), cache="1h"),),
    ),
    "bare strings as parts": (user("a", ""), "user", (Text("a"),)),
    "Mistral's document": (
        user({"type": "document_url", "document_url": "https://h/d", "document_name": "n"}),
        "user",
        (Media("document", url="https://h/d", name="n"),),
    ),
    "Mistral's sound, a URL": (
        user({"type": "input_audio", "input_audio": "https://h/a"}),
        "user",
        (Media("audio", url="https://h/a"),),
    ),
    "a file that is a picture": (
        user({"type": "file", "file": {"file_data": f"data:application/octet-stream;base64,{PNG}"}}),
        "user",
        (Media("image", "image/png", PNG),),
    ),
    "a file in bare base64": (
        user({"type": "file", "file": {"file_data": "JVBERi0x"}}),
        "user",
        (Media("document", "application/pdf", "JVBERi0x"),),
    ),
    "a data URL without base64": (
        user(url({"url": "data:image/svg+xml,%3Csvg/%3E"})),
        "user",
        (Media("image", "image/svg+xml", "PHN2Zy8+"),),
    ),
    "a refusal as a part": (assistant(content=[{"type": "refusal", "refusal": "no"}]), "assistant", (Refusal("no"),)),
    "sources of an earlier answer": (
        assistant(content="a", annotations=[{"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}]),
        "assistant",
        (Text("a", citations=(Citation("u", "t"),)),),
    ),
    "a proof whose words stand beside it": (
        assistant(content="a", reasoning_content="t", thinking_blocks=[{"type": "thinking", "signature": "s"}]),
        "assistant",
        (Thinking("t", Seal("anthropic", "s")), Text("a")),
    ),
    "a redacted thought beside plain words": (
        assistant(content="a", reasoning="t", thinking_blocks=[{"type": "redacted_thinking", "data": "d"}]),
        "assistant",
        (Thinking("t"), Thinking("", Seal("anthropic", "d"), redacted=True), Text("a")),
    ),
    "a custom tool's call": (
        assistant(tool_calls=[{"id": "x", "type": "custom", "custom": {"name": "f", "input": "a"}}]),
        "assistant",
        (ToolCall("x", "f", "a", custom=True),),
    ),
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "37 no messages": ({"messages": []}, "messages"),
    "messages that are none": ({"messages": 5}, "messages"),
    "no model": ({"model": 5}, "model"),
    "a message that is none": ({"messages": [5]}, "messages[0]"),
    "no role": ({"messages": [{"content": "a"}]}, "messages[0].role"),
    "an unknown role": ({"messages": [USER, {"role": "boss"}]}, "messages[1].role"),
    "content that is none": ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    "a part that is none": ({"messages": [user(5)]}, "messages[0].content[0]"),
    "a part without type": ({"messages": [user({"text": "a"})]}, "messages[0].content[0].type"),
    "11 broken arguments": ({"messages": [called("{")]}, "messages[0].tool_calls[0].function.arguments"),
    "11 arguments that are a list": ({"messages": [called("[]")]}, "messages[0].tool_calls[0].function.arguments"),
    "calls that are none": ({"messages": [assistant(tool_calls=5)]}, "messages[0].tool_calls"),
    "a call that is none": ({"messages": [assistant(tool_calls=[5])]}, "messages[0].tool_calls[0]"),
    "a call without function": (
        {"messages": [assistant(tool_calls=[{"id": "x"}])]},
        "messages[0].tool_calls[0].function",
    ),
    "an old call that is none": ({"messages": [assistant(function_call=5)]}, "messages[0].function_call"),
    "an old result without name": ({"messages": [{"role": "function", "content": "a"}]}, "messages[0].name"),
    "an image that is none": ({"messages": [user(url(5))]}, "messages[0].content[0].image_url"),
    "sound that is none": (
        {"messages": [user({"type": "input_audio"})]},
        "messages[0].content[0].input_audio",
    ),
    "sound that is no base64": (
        {"messages": [user({"type": "input_audio", "input_audio": {"data": "é"}})]},
        "messages[0].content[0].input_audio.data",
    ),
    "a file that is none": ({"messages": [user({"type": "file"})]}, "messages[0].content[0].file"),
    "a budget that is none": ({"reasoning": {"max_tokens": "x"}}, "reasoning.max_tokens"),
    "a choice that is none": ({"tool_choice": 5}, "tool_choice"),
    "a tool whose type is none": ({"tools": [{"type": 5}]}, "tools[0].type"),
    "a function that is none": ({"tools": [{"type": "function"}]}, "tools[0].function"),
    "a schema that is none": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": 5}}},
        "response_format.json_schema.schema",
    ),
    "a call without id": (
        {"messages": [assistant(tool_calls=[{"function": {"name": "f"}}])]},
        "messages[0].tool_calls[0].id",
    ),
    "a result without id": ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id"),
    "22 a broken data URL": (
        {"messages": [user({"type": "text", "text": "a"}, url({"url": "data:image/png;base64"}))]},
        "messages[0].content[1].image_url.url",
    ),
    "22 no base64": (
        {"messages": [user(url({"url": "data:image/png;base64,%%%%"}))]},
        "messages[0].content[0].image_url.url",
    ),
    "an empty URL": ({"messages": [user(url({"url": ""}))]}, "messages[0].content[0].image_url.url"),
    "a file without content": ({"messages": [user({"type": "file", "file": {}})]}, "messages[0].content[0].file"),
    "15 an unknown choice": ({"tool_choice": "perhaps"}, "tool_choice"),
    "a choice that names nothing": ({"tool_choice": {"type": "function"}}, "tool_choice"),
    "a tool without name": ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    "a tool that is none": ({"tools": [5]}, "tools[0]"),
    "parameters that are none": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": 5}}]},
        "tools[0].function.parameters",
    ),
    "a format without schema": ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    "an unknown format": ({"response_format": {"type": "x"}}, "response_format.type"),
    "an unknown effort": ({"reasoning_effort": "very"}, "reasoning_effort"),
    "a temperature that is none": ({"temperature": "hot"}, "temperature"),
}


class MessageTests(SynchronousTestCase):
    """Messages, one by one."""

    def test_messages(self) -> None:
        """Each message has these parts."""
        for name, (message, role, parts) in MESSAGES.items():
            self.assertEqual(asking(message).messages, (Message(role, parts),), name)

    def test_order(self) -> None:
        """7, 36: the order stays, turns are not merged, and the first may be anybody's."""
        talk = [assistant(content="a"), USER, USER, {"role": "system", "content": "s"}]
        self.assertEqual([message.role for message in asking(*talk).messages], ["assistant", "user", "user", "system"])

    def test_legacy(self) -> None:
        """38: calls and results of the old functions find each other."""
        request = asking(
            USER,
            assistant(content=None, function_call={"name": "f", "arguments": "{}"}),
            {"role": "function", "name": "f", "content": "r"},
            functions=[{"name": "f", "description": "d"}],
            function_call={"name": "f"},
        )
        call, result = request.messages[1].parts[0], request.messages[2].parts[0]
        assert isinstance(call, ToolCall)
        assert isinstance(result, ToolResult)
        self.assertEqual((result.call, result.name, result.content), (call.id, "f", (Text("r"),)))
        self.assertEqual((request.tools, request.tool_choice), ((Tool("f", "d"),), ToolChoice("named", ("f",))))
        self.assertEqual(request.names["tools"], "functions")

    def test_names(self) -> None:
        """40: a participant's name is kept, and null is none."""
        messages = asking({**USER, "name": "Ann"}, {**USER, "name": None}).messages
        self.assertEqual([message.name for message in messages], ["Ann", ""])

    def test_unknownMembers(self) -> None:
        """Members of messages without a place are told, unless they say nothing."""
        request = asking(assistant(content="a", prefix=True, weight=None, audio={"id": "a"}))
        self.assertEqual(dict(request.extra), {"messages[].prefix": b"true", "messages[].audio": b'{"id":"a"}'})


class FieldTests(SynchronousTestCase):
    """The other fields."""

    def test_nothingSaid(self) -> None:
        """126: null, and what is the default, mean absent."""
        nulls = dict.fromkeys(
            (
                "stream",
                "tools",
                "tool_choice",
                "response_format",
                "max_tokens",
                "stop",
                "n",
                "seed",
                "user",
                "reasoning",
            ),
        )
        said = asking(**nulls)
        self.assertEqual(said, asking())
        quiet = asking(tools=[], stop=[], store=False, service_tier="auto", response_format={"type": "text"})
        self.assertEqual(quiet, asking())

    def test_values(self) -> None:
        """Fields with a place in the hub."""
        request = asking(
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=5,
            max_completion_tokens=6,
            stop="x",
            temperature=1,
            logit_bias={"5": 1},
            metadata={"a": "b"},
            user="u",
            prompt_cache_key="k",
            service_tier="flex",
            parallel_tool_calls=False,
            modalities=["text", "audio"],
            top_k=3,
        )
        self.assertEqual((request.stream, request.wants_usage, request.stop), (True, True, ("x",)))
        self.assertEqual((request.max_tokens, request.names["max_tokens"]), (6, "max_completion_tokens"))  # 2
        self.assertEqual((request.logit_bias, request.metadata), (b'{"5":1}', b'{"a":"b"}'))
        self.assertEqual((request.user, request.cache_key, request.tier), ("u", "k", "flex"))
        self.assertEqual((request.parallel, request.modalities, request.top_k), (False, ("text", "audio"), 3))
        self.assertEqual(dict(request.extra), {})

    def test_reasoning(self) -> None:
        """27: effort, OpenRouter's object, Anthropic's object."""
        for fields, expected in (
            ({"reasoning_effort": "high"}, Reasoning("high")),
            ({"reasoning_effort": "default"}, None),
            ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning("low", visible=False)),
            ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000)),
            ({"reasoning": {"enabled": True}}, Reasoning("medium")),
            ({"reasoning": {"enabled": False}}, Reasoning("none")),
            ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(budget=1024)),
            ({"thinking": {"type": "adaptive"}, "reasoning_effort": "max"}, Reasoning("max", adaptive=True)),
            ({"thinking": {"type": "disabled"}}, Reasoning("none", 0)),
        ):
            self.assertEqual(asking(**fields).reasoning, expected, str(fields))

    def test_tools(self) -> None:
        """12, 13, 57: functions with and without parameters, free text, provider-run tools."""
        schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}}
        custom = {"type": "custom", "custom": {"name": "c", "description": "d"}}
        function = {"name": "g", "parameters": schema, "strict": True}
        tools = asking(
            tools=[F, {"type": "function", "function": function, "cache_control": {}}, custom, {"type": "x:search"}],
            web_search_options={"search_context_size": "low"},
        ).tools
        self.assertEqual(tools[0], Tool("f"))
        self.assertEqual(tools[1], Tool("g", parameters=tools[1].parameters, strict=True, cache=""))
        self.assertEqual(json.loads(tools[1].parameters), schema)
        self.assertEqual((tools[2].name, tools[2].kind, tools[2].origin), ("c", "custom", "openai"))
        self.assertEqual((tools[3].kind, tools[3].origin), ("x:search", "openai"))
        self.assertEqual((tools[4].kind, tools[4].origin), ("web_search", "openai"))

    def test_flat(self) -> None:
        """A function in the form of Responses is understood, too."""
        self.assertEqual(asking(tools=[{"type": "function", "name": "f"}]).tools, (Tool("f"),))

    def test_choices(self) -> None:
        """15: words, names, allowed tools."""
        allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F]}}
        for choice, expected in (
            ("auto", ToolChoice("auto")),
            ("required", ToolChoice("required")),
            ("any", ToolChoice("required")),
            ("none", ToolChoice("none")),
            (F, ToolChoice("named", ("f",))),
            ({"function": {"name": "f"}}, ToolChoice("named", ("f",))),
            (allowed, ToolChoice("required", ("f",))),
        ):
            self.assertEqual(asking(tools=[F], tool_choice=choice).tool_choice, expected)

    def test_formats(self) -> None:
        """33: JSON, and JSON of a schema in both places where clients put it."""
        schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}}
        for form, expected in (
            ({"type": "json_object"}, ResponseFormat("json_object")),
            ({"type": "json_object", "schema": {"a": 1}}, ResponseFormat("json_schema", b'{"a":1}')),
            (schema, ResponseFormat("json_schema", b'{"a":1}', "n", "", True)),
        ):
            self.assertEqual(asking(response_format=form).format, expected)

    def test_extra(self) -> None:
        """42: what has no place is kept apart, byte for byte."""
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"new": {"a" : 1.0}, "none":null,"store":true}'
        self.assertEqual(dict(parse(body, CALL).extra), {"new": b'{"a" : 1.0}', "store": b"true"})


class RefusalTests(SynchronousTestCase):
    """Requests that cannot be understood."""

    def test_refused(self) -> None:
        """The error names the field."""
        for name, (fields, param) in REFUSED.items():
            self.assertEqual(self._refused({"model": "m", "messages": [USER], **fields}).param, param, name)

    def _refused(self, body: dict[str, Any]) -> InvalidRequest:
        error = self.assertRaises(InvalidRequest, parse, json.dumps(body).encode(), CALL)
        assert isinstance(error, InvalidRequest)
        return error

    def test_garbage(self) -> None:
        """125: no bytes make anything but a request or a refusal."""
        for body in (
            b"",
            b"[]",
            b"null",
            b'{"messages":' + b"[" * 5000,
            b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}',
            b'{"model":"m","messages":[{"role":"user","content":"a"}],"temperature":NaN}',
        ):
            self.assertRaises(InvalidRequest, parse, body, CALL)
