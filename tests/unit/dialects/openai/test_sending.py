"""What providers of this dialect are sent, and each deviation of an imitator that it is fitted to.

Edge cases A18 (tools may be missing: nothing is asked for them here), A35 (an assistant's turn at the end stays),
C54 to C62, D78, D79, D85 to D87, D89, D91, E99. Not served: an ``o1-mini`` that refuses ``system``, too (85):
the model is gone.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    ChatRequest,
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
from relay.dialects.codec import Built
from relay.dialects.openai.sending import build
from relay.errors import InvalidRequest
from relay.provider import Quirk
from tests.unit.dialects.openai.talk import target

USER = Message("user", (Text("hi"),))
PNG = Media("image", "image/png", "iVBORw0KGgo=")
CALLED = Message("assistant", (ToolCall("x", "f", '{"a":1}'),))
RESULT = Message("tool", (ToolResult("x", (Text("r"),)),))
F, G = Tool("f"), Tool("g", "d", b'{"type":"object"}', strict=True)
BUILT_F = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
DETAIL = {"type": "reasoning.text", "signature": "s", "text": "t"}
OWN = Thinking("t", Seal("openai", '{"signature":"s","type":"reasoning.text"}'))
FOREIGN = Thinking("t", Seal("anthropic", "sig"))


def built(*messages: Message, quirks: tuple[Quirk, ...] = (), model: str = "up", **fields: Any) -> Built:
    """A request's way."""
    request = ChatRequest("m", messages or (USER,), **fields)
    return build(request, target(*quirks, model=model, stream=request.stream))


def fields(*messages: Message, **options: Any) -> dict[str, Any]:
    """The body that is sent."""
    body: dict[str, Any] = json.loads(msgspec.json.encode(built(*messages, **options).fields))
    return body


def sent(*messages: Message, **options: Any) -> list[dict[str, Any]]:
    """The messages that are sent."""
    found: list[dict[str, Any]] = fields(*messages, **options)["messages"]
    return found


def said(*parts: Part) -> Message:
    """An assistant's turn."""
    return Message("assistant", parts)


MESSAGES: dict[str, tuple[tuple[Message, ...], tuple[Quirk, ...], list[dict[str, Any]]]] = {
    "text": ((USER,), (), [{"role": "user", "content": "hi"}]),
    "85 developer": ((Message("developer", (Text("d"),)),), (), [{"role": "developer", "content": "d"}]),
    "85 developer as system": (
        (Message("developer", (Text("d"),)),),
        (Quirk.NO_DEVELOPER_ROLE,),
        [{"role": "system", "content": "d"}],
    ),
    "54 system blocks in order, as one string": (
        (Message("system", (Text("a"), Text("b", cache="5m"))),),
        (),
        [{"role": "system", "content": "a\n\nb"}],
    ),
    "55 system in mid-conversation": (
        (USER, Message("system", (Text("s"),)), USER),
        (),
        [{"role": "user", "content": "hi"}, {"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
    ),
    "32 cache markers where they are taken": (
        (Message("system", (Text("a"), Text("b", cache="1h"))),),
        (Quirk.CACHE_CONTROL,),
        [
            {
                "role": "system",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                ],
            }
        ],
    ),
    "texts of a user": (
        (Message("user", (Text("a"), Text("b"))),),
        (),
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    ),
    "texts as one string": (
        (Message("user", (Text("a"), Text("b"))),),
        (Quirk.STRING_CONTENT,),
        [{"role": "user", "content": "a\n\nb"}],
    ),
    "an image": (
        (Message("user", (Text("a"), msgspec.structs.replace(PNG, detail="low"))),),
        (),
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
                ],
            }
        ],
    ),
    "5 calls without words": (
        (CALLED,),
        (),
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            }
        ],
    ),
    "60 words, thoughts and calls in one turn": (
        (said(FOREIGN, Text("a"), ToolCall("x", "f", "")),),
        (),
        [
            {
                "role": "assistant",
                "content": "a",
                "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            }
        ],
    ),
    "87 a turn of which nothing is left": ((USER, said(FOREIGN), USER), (), [{"role": "user", "content": "hi"}] * 2),
    "39 a refusal": ((said(Refusal("no")),), (), [{"role": "assistant", "content": "no"}]),
    "8, 58 results, each a message": (
        (Message("tool", (ToolResult("x", (Text("a"), Text("b"))), ToolResult("y", error=True))), USER),
        (),
        [
            {"role": "tool", "tool_call_id": "x", "content": "a\n\nb"},
            {"role": "tool", "tool_call_id": "y", "content": "Error"},
            {"role": "user", "content": "hi"},
        ],
    ),
    "59 a failed result says so once": (
        (Message("tool", (ToolResult("x", (Text("gone"),), error=True), ToolResult("y", (Text("Error: gone"),)))),),
        (),
        [
            {"role": "tool", "tool_call_id": "x", "content": "Error: gone"},
            {"role": "tool", "tool_call_id": "y", "content": "Error: gone"},
        ],
    ),
    "41 images of results follow the last result": (
        (Message("tool", (ToolResult("x", (PNG,)),)), Message("tool", (ToolResult("y", (Text("b"),)),)), USER),
        (),
        [
            {"role": "tool", "tool_call_id": "x", "content": "The content is in the next message."},
            {"role": "tool", "tool_call_id": "y", "content": "b"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Content returned by the tool call x:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                ],
            },
            {"role": "user", "content": "hi"},
        ],
    ),
    "79 reasoning_content in a turn with calls": (
        (USER, said(FOREIGN, ToolCall("x", "f", "{}")), RESULT, said(Thinking("u"), Text("a"))),
        (Quirk.REASONING_CONTENT,),
        [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "t",
                "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "x", "content": "r"},
            {"role": "assistant", "content": "a", "reasoning_content": "u"},
        ],
    ),
    "79 empty reasoning_content with a call": (
        (CALLED,),
        (Quirk.REASONING_CONTENT, Quirk.NO_NULL_CONTENT),
        [
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "",
                "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            }
        ],
    ),
    "79 no reasoning_content elsewhere": (
        (USER, said(FOREIGN, Text("a")), USER),
        (Quirk.REASONING_CONTENT,),
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "hi"}],
    ),
    "79 reasoning": (
        (said(FOREIGN, Text("a")),),
        (Quirk.REASONING_FIELD,),
        [{"role": "assistant", "content": "a", "reasoning": "t"}],
    ),
    "79 reasoning_details go back as they came": (
        (said(OWN, Text("a")),),
        (Quirk.REASONING_FIELD,),
        [{"role": "assistant", "content": "a", "reasoning_details": [DETAIL]}],
    ),
    "42 reasoning_details not where unknown fields are refused": (
        (said(OWN, Text("a")),),
        (Quirk.STRICT_FIELDS,),
        [{"role": "assistant", "content": "a"}],
    ),
    "a signature of a provider of this dialect": (
        (said(ToolCall("x", "f", "{}", seal=Seal("openai", '{"google":{"thought_signature":"s"}}'))),),
        (),
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "x",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {"thought_signature": "s"}},
                    }
                ],
            }
        ],
    ),
}


class MessageTests(SynchronousTestCase):
    """Messages in the provider's words."""

    def test_messages(self) -> None:
        """Each conversation is sent so."""
        for name, (messages, quirks, expected) in MESSAGES.items():
            self.assertEqual(sent(*messages, quirks=quirks), expected, name)

    def test_nineLetters(self) -> None:
        """78: a call and its result get the same nine letters; an id that fits stays."""
        long = Message("assistant", (ToolCall("toolu_01", "f"), ToolCall("abcDEF123", "g")))
        turns = sent(long, Message("tool", (ToolResult("toolu_01"),)), quirks=(Quirk.NINE_LETTER_IDS,))
        first, second = (call["id"] for call in turns[0]["tool_calls"])
        self.assertEqual(turns[1]["tool_call_id"], first)
        self.assertRegex(first, r"\A[A-Za-z0-9]{9}\Z")
        self.assertEqual(second, "abcDEF123")

    def test_longIds(self) -> None:
        """An id that is too long for OpenAI is replaced in both places."""
        turns = sent(Message("assistant", (ToolCall("x" * 80, "f"),)), Message("tool", (ToolResult("x" * 80),)))
        self.assertEqual(turns[0]["tool_calls"][0]["id"], turns[1]["tool_call_id"])
        self.assertLessEqual(len(turns[1]["tool_call_id"]), 64)

    def test_refused(self) -> None:
        """25, 104: what the provider could only refuse is refused here, and the place is named."""
        for part, quirks in (
            (Media("image", url="gs://b/x"), ()),
            (Media("image", file_id="f"), ()),
            (Media("audio", url="https://h/a"), ()),
            (PNG, (Quirk.STRING_CONTENT,)),
        ):
            error = self.assertRaises(InvalidRequest, built, Message("user", (Text("a"), part)), quirks=quirks)
            self.assertIn("messages[0]", str(error.param))

    def test_media(self) -> None:
        """Sound, video, files and documents have their own forms."""
        for part, expected in (
            (
                Media("audio", "audio/mpeg", "AAAA"),
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            ),
            (Media("video", url="https://h/v"), {"type": "video_url", "video_url": {"url": "https://h/v"}}),
            (Media("document", file_id="f"), {"type": "file", "file": {"file_id": "f"}}),
            (Media("document", text="t", name="n"), {"type": "text", "text": "n\n\nt"}),
            (
                Media("document", "application/pdf", "AAAA", name="a.pdf"),
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            ),
        ):
            self.assertEqual(sent(Message("user", (part, Text("x"))))[0]["content"][0], expected)

    def test_told(self) -> None:
        """What is not carried is told once, thoughts of others excepted."""
        message = Message(
            "user", (Text("a", cache=""), Text("b", cache=""), Native("anthropic", "search_result", b"{}"))
        )
        image = said(PNG, Text("a"), FOREIGN)
        document = Message("user", (Media("document", text="t", context="c", citations=True),))
        self.assertEqual(
            built(message, image, document).dropped,
            (
                "cache_control",
                "messages[].content[].search_result",
                "messages[].content[].image",
                "messages[].content[].context",
                "messages[].content[].citations",
            ),
        )


class ToolTests(SynchronousTestCase):
    """Tools, their names, and which must be called."""

    def test_tools(self) -> None:
        """12, 57: functions; other providers' own tools are told."""
        search = Tool("web_search", kind="web_search", origin="anthropic", native=b"{}")
        own = Tool("x:y", kind="x:y", origin="openai", native=b'{"type":"x:y"}')
        body = built(tools=(F, G, search, own), parallel=False)
        sent_tools = json.loads(msgspec.json.encode(body.fields["tools"]))
        function = {"name": "g", "description": "d", "parameters": {"type": "object"}, "strict": True}
        self.assertEqual(sent_tools, [BUILT_F, {"type": "function", "function": function}, {"type": "x:y"}])
        self.assertEqual(body.fields["parallel_tool_calls"], False)
        self.assertEqual(body.dropped, ("tools[].web_search",))

    def test_noTools(self) -> None:
        """16, 17: without tools there is no choice and nothing is parallel."""
        body = fields(tool_choice=ToolChoice("auto"), parallel=True)
        self.assertEqual(body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}, set())

    def test_choice(self) -> None:
        """15, 78: each mode, and the fallbacks where a word or a name is not taken."""
        named = {"type": "function", "function": {"name": "f"}}
        for choice, quirks, expected, count in (
            (ToolChoice("auto"), (), "auto", 2),
            (ToolChoice("none"), (), "none", 2),
            (ToolChoice("required"), (), "required", 2),
            (ToolChoice("required"), (Quirk.ANY_FOR_REQUIRED,), "any", 2),
            (ToolChoice("named", ("f",)), (), named, 2),
            (ToolChoice("named", ("f",)), (Quirk.NO_NAMED_TOOL,), "required", 1),
            (ToolChoice("auto", ("f",)), (), "auto", 1),
        ):
            body = fields(tools=(F, G), tool_choice=choice, quirks=quirks)
            self.assertEqual((body["tool_choice"], len(body["tools"])), (expected, count))

    def test_names(self) -> None:
        """14: names that are not taken are replaced everywhere, and known again."""
        tools = (Tool("a.b"), Tool("n" * 70))
        body = built(
            Message("assistant", (ToolCall("x", "a.b"),)), tools=tools, tool_choice=ToolChoice("named", ("a.b",))
        )
        names = [tool["function"]["name"] for tool in body.fields["tools"]]
        self.assertEqual(names[0], "a_b")
        self.assertEqual(len(names[1]), 64)
        self.assertEqual(dict(body.tool_names), {names[0]: "a.b", names[1]: "n" * 70})
        self.assertEqual(body.fields["messages"][0]["tool_calls"][0]["function"]["name"], "a_b")
        self.assertEqual(body.fields["tool_choice"], {"type": "function", "function": {"name": "a_b"}})

    def test_namespaces(self) -> None:
        """91: tools of one name in two namespaces are told apart; others keep their name."""
        tools = (Tool("read", namespace="a"), Tool("read", namespace="b"), Tool("write", namespace="a"))
        names = [tool["function"]["name"] for tool in built(tools=tools).fields["tools"]]
        self.assertEqual(names, ["a__ns__read", "b__ns__read", "write"])

    def test_ownTools(self) -> None:
        """Free-text tools and searches that were declared in this dialect go as they came."""
        custom = Tool("c", kind="custom", origin="openai", native=b'{"type":"custom","custom":{"name":"c"}}')
        search = Tool("web_search", kind="web_search", origin="openai", native=b'{"web_search_options":{"a":1}}')
        history = said(ToolCall("x", "c", "in", custom=True))
        body = fields(history, tools=(custom, search), tool_choice=ToolChoice("named", ("c",)))
        self.assertEqual(body["tools"], [{"type": "custom", "custom": {"name": "c"}}])
        self.assertEqual(body["tool_choice"], {"type": "custom", "custom": {"name": "c"}})
        self.assertEqual(body["web_search_options"], {"a": 1})
        call = {"id": "x", "type": "custom", "custom": {"name": "c", "input": "in"}}
        self.assertEqual(body["messages"][0]["tool_calls"], [call])

    def test_freeText(self) -> None:
        """91: a free-text tool becomes a function of one string, in the history, too."""
        tool = Tool("patch", "d", kind="custom", origin="responses", native=b'{"format":{"type":"grammar"}}')
        history = Message("assistant", (ToolCall("x", "patch", "a\nb", custom=True),))
        body = built(history, tools=(tool,))
        function = json.loads(msgspec.json.encode(body.fields["tools"]))[0]["function"]
        self.assertEqual((function["name"], function["parameters"]["required"]), ("patch__freetext", ["input"]))
        call = body.fields["messages"][0]["tool_calls"][0]["function"]
        self.assertEqual((call["name"], json.loads(call["arguments"])), ("patch__freetext", {"input": "a\nb"}))
        self.assertEqual(body.dropped, ("tools[].format",))


class FieldTests(SynchronousTestCase):
    """The other fields."""

    def test_plain(self) -> None:
        """Nothing that was not said is sent."""
        self.assertEqual(fields(), {"model": "up", "messages": [{"role": "user", "content": "hi"}]})

    def test_stream(self) -> None:
        """63: usage is asked for in every stream, but where that is refused."""
        self.assertEqual(fields(stream=True)["stream_options"], {"include_usage": True})
        self.assertNotIn("stream_options", fields(stream=True, quirks=(Quirk.NO_STREAM_USAGE,)))

    def test_limit(self) -> None:
        """62, 86: the limit has the name that the provider takes."""
        self.assertEqual(fields(max_tokens=5)["max_tokens"], 5)
        body = fields(max_tokens=5, quirks=(Quirk.MAX_COMPLETION_TOKENS,))
        self.assertEqual((body["max_completion_tokens"], "max_tokens" in body), (5, False))

    def test_dropped(self) -> None:
        """42, 56: a caller's own fields never go on, and are told in the caller's words."""
        request: dict[str, Any] = {"extra": {"context_management": b"{}"}, "top_k": 5, "tier": "batch"}
        names = {"top_k": "topK", "tier": "service_tier"}
        lost = built(quirks=(Quirk.STRICT_FIELDS,), names=names, **request)
        self.assertEqual(lost.dropped, ("context_management", "topK", "service_tier"))
        self.assertEqual(built(names=names, **request).fields["top_k"], 5)

    def test_longNames(self) -> None:
        """Users and cache keys that OpenAI would refuse for their length are told and not sent."""
        for size, lost in ((64, ()), (65, ("metadata.user_id", "cache_key"))):
            made = built(user="u" * size, cache_key="k" * size, names={"user": "metadata.user_id"})
            self.assertEqual((made.dropped, "user" in made.fields), (lost, not lost))

    def test_tier(self) -> None:
        """Anthropic's word for the ordinary tier is OpenAI's ``default``."""
        self.assertEqual(fields(tier="standard_only")["service_tier"], "default")

    def test_format(self) -> None:
        """33, 34: a schema, with the name that OpenAI demands; JSON and words where there is none."""
        schema = ResponseFormat("json_schema", b'{"type":"object"}', name="a b", strict=True)
        expected = {"name": "a_b", "schema": {"type": "object"}, "strict": True}
        self.assertEqual(fields(format=schema)["response_format"], {"type": "json_schema", "json_schema": expected})
        loose = fields(Message("system", (Text("s"),)), USER, format=schema, quirks=(Quirk.NO_JSON_SCHEMA,))
        self.assertEqual(loose["response_format"], {"type": "json_object"})
        self.assertTrue(loose["messages"][0]["content"].startswith("s\n\nAnswer with a JSON object"))
        self.assertIn('{"type":"object"}', loose["messages"][0]["content"])

    def test_json(self) -> None:
        """``json_object`` is refused where nobody speaks of JSON, so somebody does."""
        form = ResponseFormat("json_object")
        self.assertEqual(sent(format=form)[0], {"role": "system", "content": "Answer with a JSON object."})
        self.assertEqual(len(sent(Message("user", (Text("As JSON!"),)), format=form)), 1)

    def test_effort(self) -> None:
        """27, 56: effort in the words of the model; a budget becomes one; models that never think are not asked."""
        plus = (Quirk.THINKING_OBJECT,)
        table: list[tuple[Reasoning, str, tuple[Quirk, ...], dict[str, Any]]] = [
            (Reasoning("high"), "gpt-5.2", (), {"reasoning_effort": "high"}),
            (Reasoning("max"), "gpt-5.2", (), {"reasoning_effort": "xhigh"}),
            (Reasoning("max"), "openai/gpt-6-astra", (), {"reasoning_effort": "max"}),
            (Reasoning("xhigh"), "gpt-5-mini", (), {"reasoning_effort": "high"}),
            (Reasoning("none"), "gpt-5", (), {"reasoning_effort": "minimal"}),
            (Reasoning("none"), "o3", (), {"reasoning_effort": "low"}),
            (Reasoning("max"), "qwen3", (), {"reasoning_effort": "high"}),
            (Reasoning(budget=1024), "qwen3", (), {"reasoning_effort": "low"}),
            (Reasoning(budget=4000), "qwen3", (), {"reasoning_effort": "medium"}),
            (Reasoning(budget=32000), "qwen3", (), {"reasoning_effort": "high"}),
            (Reasoning(adaptive=True), "qwen3", (), {}),
            (Reasoning("high"), "gpt-4o", (), {}),
            (Reasoning("high"), "llama", (Quirk.NO_REASONING_EFFORT,), {}),
            (Reasoning("none", 0), "deepseek-chat", plus, {"thinking": {"type": "disabled"}}),
            (Reasoning("high"), "deepseek", plus, {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
            (Reasoning(budget=9), "qwen", (Quirk.ENABLE_THINKING,), {"enable_thinking": True, "thinking_budget": 9}),
            (Reasoning("none"), "qwen", (Quirk.ENABLE_THINKING,), {"enable_thinking": False}),
        ]
        keys = {"reasoning_effort", "thinking", "enable_thinking", "thinking_budget"}
        for reasoning, model, quirks, expected in table:
            body = fields(reasoning=reasoning, model=model, quirks=quirks)
            self.assertEqual({name: body[name] for name in body.keys() & keys}, expected, f"{model} {reasoning}")
        self.assertEqual(built(reasoning=Reasoning("high"), model="gpt-4o").dropped, ("reasoning",))
        self.assertEqual(built(reasoning=Reasoning("none"), model="gpt-4o").dropped, ())

    def test_toldOfReasoning(self) -> None:
        """Summaries and encrypted reasoning cannot be asked for here."""
        names = {"reasoning": "thinking"}
        lost = built(reasoning=Reasoning("high", summary="auto", encrypted=True), names=names).dropped
        self.assertEqual(lost, ("thinking.summary", "thinking.encrypted_content"))

    def test_modalities(self) -> None:
        """Pictures can be asked for; speech needs a voice that the hub does not know."""
        self.assertEqual(fields(modalities=("image", "text"))["modalities"], ["image", "text"])
        spoken = built(modalities=("text", "audio"))
        self.assertEqual(("modalities" in spoken.fields, spoken.dropped), (False, ("modalities",)))

    def test_unchanged(self) -> None:
        """The request is not changed: an attempt may be repeated with it."""
        request = ChatRequest("m", (USER,), tools=(F,), format=ResponseFormat("json_object"))
        first = build(request, target())
        self.assertEqual(msgspec.json.encode(build(request, target()).fields), msgspec.json.encode(first.fields))
