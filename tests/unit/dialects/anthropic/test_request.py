"""What clients of the Messages API ask, in the hub's words.

Of the edge cases of Anthropic clients: 54, 55, 56, 57, 58, 59, 60, 126 here; 61, 62, 63 belong to the dialects
that are translated to.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    Media,
    Message,
    Native,
    Part,
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
from relay.dialects.anthropic.request import parse
from relay.dialects.codec import Call
from relay.errors import InvalidRequest
from tests.unit.dialects.anthropic.messages import CALL, PNG, heard

EPHEMERAL = {"type": "ephemeral"}


def parts(content: Any, role: str = "user") -> tuple[Part, ...]:
    """The parts of a message with this content."""
    return heard({"messages": [{"role": role, "content": content}]}).messages[0].parts


class ContentTests(SynchronousTestCase):
    """Blocks become parts."""

    def test_blocks(self) -> None:
        """Each block that other dialects can say has a part of its own."""
        base64 = {"type": "base64", "media_type": "image/png", "data": PNG}
        pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
        plain = {"type": "text", "media_type": "text/plain", "data": "words"}
        named = {"title": "t", "context": "c", "citations": {"enabled": True}}
        for block, expected in (
            ({"type": "text", "text": "a"}, Text("a")),
            ({"type": "text", "text": "a", "cache_control": EPHEMERAL}, Text("a", cache="")),
            ({"type": "text", "text": "a", "cache_control": {**EPHEMERAL, "ttl": "1h"}}, Text("a", cache="1h")),
            ({"type": "text", "text": None, "citations": None, "cache_control": None}, Text("")),
            ({"type": "image", "source": base64}, Media("image", "image/png", PNG)),
            ({"type": "image", "source": {"type": "url", "url": "https://x/y"}}, Media("image", url="https://x/y")),
            ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, Media("image", file_id="file_1")),
            ({"type": "document", "source": pdf}, Media("document", "application/pdf", "JVBERi0=")),
            (
                {"type": "document", "source": plain, **named},
                Media("document", "text/plain", text="words", name="t", context="c", citations=True),
            ),
            ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thinking("hm", Seal("anthropic", "s"))),
            ({"type": "thinking", "thinking": "hm", "signature": ""}, Thinking("hm")),
            (
                {"type": "redacted_thinking", "data": "d"},
                Thinking(seal=Seal("anthropic", "d"), redacted=True),
            ),
            (
                {"type": "tool_use", "id": "t", "name": "f", "input": {"b": 1.0, "a": 2}},
                ToolCall("t", "f", '{"b": 1.0, "a": 2}'),
            ),
            ({"type": "tool_use", "id": "t", "name": "f", "input": None}, ToolCall("t", "f")),
        ):
            self.assertEqual(parts([block], "assistant"), (expected,), block)

    def test_string(self) -> None:
        """A string is one text; nothing is nothing."""
        self.assertEqual(parts("Hi"), (Text("Hi"),))
        self.assertEqual(parts(None), ())
        self.assertEqual(parts([]), ())

    def test_native(self) -> None:
        """What only this dialect has stays as it is: server tools, search results, unknown kinds (52)."""
        for block in (
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            {"type": "search_result", "source": "u", "title": "t", "content": []},
            {"type": "document", "source": {"type": "content", "content": []}},
            {"type": "of_tomorrow", "x": [1, 2.0]},
        ):
            (part,) = parts([block], "assistant")
            assert isinstance(part, Native)
            self.assertEqual((part.origin, part.kind, json.loads(part.value)), ("anthropic", block["type"], block))

    def test_foreignSeals(self) -> None:
        """Another provider's proofs come home: in signatures, in redacted data, in a call's id."""
        self.assertEqual(
            parts([{"type": "thinking", "thinking": "hm", "signature": "relay1.gemini.c2ln"}], "assistant"),
            (Thinking("hm", Seal("gemini", "c2ln")),),
        )
        self.assertEqual(
            parts([{"type": "redacted_thinking", "data": "relay1.responses.xyz"}], "assistant"),
            (Thinking(seal=Seal("responses", "xyz"), redacted=True),),
        )
        tagged = "call_1__seal_gemini_c2ln"
        self.assertEqual(
            parts([{"type": "tool_use", "id": tagged, "name": "f", "input": {}}], "assistant"),
            (ToolCall("call_1", "f", "{}", seal=Seal("gemini", "sig")),),
        )
        (result,) = parts([{"type": "tool_result", "tool_use_id": tagged, "content": "r"}])
        assert isinstance(result, ToolResult)
        self.assertEqual(result.call, "call_1")

    def test_citations(self) -> None:
        """A citation keeps its own form; one that relay made for another provider's source has none."""
        own = {"type": "char_location", "cited_text": "q", "document_index": 0, "document_title": "t"}
        made = {"type": "web_search_result_location", "cited_text": "q", "encrypted_index": "", "url": "u"}
        (part,) = parts([{"type": "text", "text": "a", "citations": [own, made]}], "assistant")
        assert isinstance(part, Text)
        first, second = part.citations
        self.assertEqual(
            (first.title, first.quote, first.origin, json.loads(first.native)), ("t", "q", "anthropic", own)
        )
        self.assertEqual((second.url, second.quote, second.origin, second.native), ("u", "q", "", b""))


class ConversationTests(SynchronousTestCase):
    """Turns of a conversation."""

    def test_system(self) -> None:
        """A system prompt comes first, its blocks in order, the billing header too (54)."""
        self.assertEqual(heard({"system": "Be brief."}).messages[0], Message("system", (Text("Be brief."),)))
        blocks = [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "You are"}]
        self.assertEqual(
            heard({"system": blocks}).messages[0],
            Message("system", (Text("x-anthropic-billing-header: a"), Text("You are"))),
        )
        self.assertEqual([message.role for message in heard({"system": []}).messages], ["user"])

    def test_systemInBetween(self) -> None:
        """A system message in mid-conversation stays where it is (55)."""
        given = [{"role": role, "content": role} for role in ("user", "system", "assistant", "user", "system")]
        self.assertEqual(
            [message.role for message in heard({"messages": given}).messages],
            ["user", "system", "assistant", "user", "system"],
        )

    def test_results(self) -> None:
        """Results of tools are a message of their own before what else the user says (58)."""
        content = [
            {"type": "text", "text": "And?"},
            {"type": "tool_result", "tool_use_id": "a", "content": "1"},
            {"type": "tool_result", "tool_use_id": "b", "content": "2"},
        ]
        self.assertEqual(
            heard({"messages": [{"role": "user", "content": content}]}).messages,
            (
                Message("tool", (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),)))),
                Message("user", (Text("And?"),)),
            ),
        )

    def test_resultContent(self) -> None:
        """A result is text, blocks, an image or nothing, and may be an error (59)."""
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        for content, expected in (
            ("words", (Text("words"),)),
            ("", ()),
            (None, ()),
            ([], ()),
            ([{"type": "text", "text": "a"}, image], (Text("a"), Media("image", "image/png", PNG))),
        ):
            block = {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True}
            self.assertEqual(parts([block]), (ToolResult("t", expected, error=True),))
        self.assertEqual(parts([{"type": "tool_result", "tool_use_id": "t"}]), (ToolResult("t"),))

    def test_oneMessage(self) -> None:
        """Thinking, text and calls of one answer stay one message (60)."""
        content = [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        ]
        self.assertEqual(len(parts(content, "assistant")), 3)


class FieldTests(SynchronousTestCase):
    """Everything beside the messages."""

    def test_settings(self) -> None:
        """Settings have the hub's names, and messages for the client have the client's."""
        request = heard(
            {
                "max_tokens": 5,
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 3,
                "stop_sequences": ["a", "b"],
                "stream": True,
                "metadata": {"user_id": '{"device":"d"}', "more": 1},
                "service_tier": "standard_only",
            }
        )
        self.assertEqual((request.max_tokens, request.temperature, request.top_p, request.top_k), (5, 0.5, 0.9, 3))
        self.assertEqual((request.stop, request.stream, request.wants_usage), (("a", "b"), True, True))
        self.assertEqual((request.user, request.tier), ('{"device":"d"}', "default"))
        self.assertEqual(dict(request.extra), {"metadata.more": b"1"})
        self.assertEqual(request.names["stop"], "stop_sequences")

    def test_call(self) -> None:
        """A model and a stream in the URL win over the body."""
        request = heard({"stream": True}, Call("/v1/messages", model="path", stream=False))
        self.assertEqual((request.model, request.stream), ("path", False))

    def test_absent(self) -> None:
        """Null and empty mean absent (126)."""
        fields = ("system", "temperature", "top_p", "top_k", "stop_sequences", "stream", "tools", "tool_choice")
        more = ("thinking", "output_config", "output_format", "metadata", "service_tier", "container")
        nothing = dict.fromkeys((*fields, *more))
        self.assertEqual(heard(nothing), heard({}))
        self.assertEqual(heard({"tools": [], "stop_sequences": [], "metadata": {}, "output_config": {}}), heard({}))

    def test_extra(self) -> None:
        """Fields that only this dialect has are kept as they are."""
        request = heard({"context_management": {"edits": []}, "output_config": {"task_budget": {"a": 1.0}}})
        self.assertEqual(
            dict(request.extra), {"context_management": b'{"edits": []}', "output_config.task_budget": b'{"a": 1.0}'}
        )

    def test_tools(self) -> None:
        """Functions become functions; a type of ``custom`` does not leak; server tools stay native (57)."""
        schema = {"type": "object", "properties": {"b": {}, "a": {}}}
        function = {"name": "f", "description": "d", "input_schema": schema, "strict": True, "cache_control": EPHEMERAL}
        expected = Tool("f", "d", json.dumps(schema).encode(), strict=True, cache="")
        search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
        bash = {"type": "bash_20250124", "name": "bash"}
        request = heard({"tools": [function, {**function, "type": "custom"}, search, bash, {"name": "g"}]})
        self.assertEqual(request.tools[:2], (expected, expected))
        self.assertEqual(
            [tool.kind for tool in request.tools], ["function", "function", "web_search", "bash", "function"]
        )
        self.assertEqual(json.loads(request.tools[2].native), search)
        self.assertEqual(request.tools[4], Tool("g"))

    def test_toolExtras(self) -> None:
        """What only this dialect says of a function is named."""
        request = heard({"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]})
        self.assertEqual(dict(request.extra), {"tools[0].defer_loading": b"true"})

    def test_choice(self) -> None:
        """Each choice, and whether calls may be parallel."""
        for given, choice, parallel in (
            ({"type": "auto"}, ToolChoice("auto"), None),
            ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
            ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice("named", ("f",)), True),
            ({"type": "none"}, ToolChoice("none"), None),
        ):
            request = heard({"tool_choice": given})
            self.assertEqual((request.tool_choice, request.parallel), (choice, parallel), given)

    def test_thinking(self) -> None:
        """Adaptive, enabled and disabled thinking, and effort (56)."""
        for given, expected in (
            ({"thinking": {"type": "adaptive"}}, Reasoning(adaptive=True)),
            ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(budget=2000)),
            ({"thinking": {"type": "disabled"}}, Reasoning(budget=0)),
            ({"thinking": {"type": "between_tools"}}, Reasoning(budget=0)),
            ({"thinking": {"type": "adaptive", "display": "summarized"}}, Reasoning(adaptive=True, visible=True)),
            ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(adaptive=True, visible=False)),
            ({"output_config": {"effort": "high"}}, Reasoning(effort="high")),
            (
                {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
                Reasoning(effort="max", adaptive=True),
            ),
        ):
            self.assertEqual(heard(given).reasoning, expected, given)

    def test_format(self) -> None:
        """Structured output under today's name, yesterday's, and as another relay's tool."""
        expected = ResponseFormat("json_schema", b'{"type": "object"}')
        form = {"type": "json_schema", "schema": {"type": "object"}}
        self.assertEqual(heard({"output_config": {"format": form}}).format, expected)
        self.assertEqual(heard({"output_format": form}).format, expected)
        tool = {"name": "relay_structured_output", "input_schema": {"type": "object"}}
        request = heard({"tools": [tool], "tool_choice": {"type": "tool", "name": "relay_structured_output"}})
        self.assertEqual((request.format, request.tools, request.tool_choice), (expected, (), None))

    def test_claudeCode(self) -> None:
        """The first request of Claude Code parses completely."""
        request = heard(
            {
                "model": "claude-opus-4-8",
                "max_tokens": 32000,
                "stream": True,
                "system": [
                    {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197; cch=00000;"},
                    {"type": "text", "text": "You are Claude Code.", "cache_control": EPHEMERAL},
                    {"type": "text", "text": "Rules", "cache_control": {**EPHEMERAL, "ttl": "1h", "scope": "global"}},
                ],
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": EPHEMERAL}]},
                    {"role": "system", "content": "Available skills"},
                ],
                "tools": [
                    {"name": f"Tool{number}", "description": "d", "input_schema": {"$schema": "s", "type": "object"}}
                    for number in range(24)
                ],
                "metadata": {"user_id": '{"device_id":"d","session_id":"s"}'},
                "thinking": {"type": "adaptive"},
                "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
                "output_config": {"effort": "high"},
            }
        )
        self.assertEqual([message.role for message in request.messages], ["system", "user", "system"])
        self.assertEqual(len(request.messages[0].parts), 3)
        self.assertEqual((len(request.tools), request.max_tokens, request.stream), (24, 32000, True))
        self.assertEqual(request.reasoning, Reasoning(effort="high", adaptive=True))
        self.assertEqual(list(request.extra), ["context_management"])


class MistakeTests(SynchronousTestCase):
    """A client's mistake is a 400 that names the field."""

    def test_mistakes(self) -> None:
        """The field is named, however deep it is."""
        text = {"type": "text", "text": 5}
        said = [{"role": "user", "content": "Hi"}]
        for body, param in (
            ({"messages": []}, "messages"),
            ({"messages": None}, "messages"),
            ({"messages": [None]}, "messages[0]"),
            ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
            ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
            ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
            ({"messages": [*said, {"role": "user", "content": [text]}]}, "messages[1].content[0].text"),
            ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
            ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "messages[0].content[0].type"),
            (
                {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
                "messages[0].content[0].source.data",
            ),
            (
                {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": []}]}]},
                "messages[0].content[0].tool_use_id",
            ),
            (
                {
                    "messages": [
                        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [text]}]}
                    ]
                },
                "messages[0].content[0].content[0].text",
            ),
            ({"system": 5}, "system"),
            ({"system": [text]}, "system[0].text"),
            ({"max_tokens": "5"}, "max_tokens"),
            ({"stop_sequences": "a"}, "stop_sequences"),
            ({"tools": {}}, "tools"),
            ({"tools": [{"description": "d"}]}, "tools[0].name"),
            ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
            ({"tool_choice": "auto"}, "tool_choice"),
            ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
            ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
            ({"thinking": {"type": "much"}}, "thinking.type"),
            ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
            ({"metadata": {"user_id": 5}}, "metadata.user_id"),
            ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
            ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
        ):
            error = self.assertRaises(InvalidRequest, heard, body)
            self.assertEqual(error.param, param, body)
            self.assertIn(f"`{param}`", error.message)

    def test_noRequest(self) -> None:
        """Whatever is no JSON object is refused, not an error of relay's (125)."""
        for body in (b"", b"null", b"[]", b"5", b"{", b'{"messages":"\\ud83d"}', b"[" * 5000, b'{"messages":NaN}'):
            self.assertRaises(InvalidRequest, parse, body, CALL)
