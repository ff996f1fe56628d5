"""Requests in the words of Cohere's chat.

Edge case 112 (plans, results, choice, ``p`` and ``k``), and of those that concern any back: 3, 4, 5, 6, 11, 12, 14,
15, 16, 17, 19, 21, 22, 24, 25, 27, 30, 31, 33, 39, 40, 41, 57, 58, 59, 60, 61, 85, 87, 91. Not here: 1 and 2 (no
limit is required, there is one name for it), 7 to 10 (any order of roles is taken; orphans are the client's), 13
(schemas go on as they came), 18 (calls need no declared tools), 20 (any temperature of 0 or more), 26 (there is no
user), 28 and 29 (thinking is unsigned and free), 34 (no rule for ``additionalProperties``), 35 to 37 (the
conversation is not changed).
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    ChatRequest,
    Media,
    Message,
    Native,
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
from relay.dialects.codec import Target
from relay.errors import InvalidRequest
from tests.unit.dialects.cohere.events import PNG, heard, sent, wired

SCHEMA = b'{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
LOOK = Tool("look", "Looks.", SCHEMA)

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "sampling": (
        {"max_tokens": 5, "temperature": 0.5, "top_p": 0.1, "top_k": 4, "seed": 7, "stop": ("a",), "logprobs": True},
        {"max_tokens": 5, "temperature": 0.5, "p": 0.1, "k": 4, "seed": 7, "stop_sequences": ["a"], "logprobs": True},
        (),
    ),
    "the ends of p and k": ({"top_p": 1.0, "top_k": 1000}, {"p": 0.99, "k": 500}, ()),
    "penalties": (
        {"presence_penalty": 0.5, "frequency_penalty": 1.0},
        {"presence_penalty": 0.5, "frequency_penalty": 1.0},
        (),
    ),
    "penalties out of bounds": (
        {"presence_penalty": -1.0, "frequency_penalty": 1.5},
        {"presence_penalty": 0.0, "frequency_penalty": 1.0},
        ("presence_penalty", "frequency_penalty"),
    ),
    "too many stops": (
        {"stop": tuple("abcdef"), "names": {"stop": "stop_sequences"}},
        {"stop_sequences": list("abcde")},
        ("stop_sequences",),
    ),
    "JSON": ({"format": ResponseFormat("json_object")}, {"response_format": {"type": "json_object"}}, ()),
    "a schema": (
        {"format": ResponseFormat("json_schema", b'{"type":"object"}', "n", strict=True)},
        {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}},
        (),
    ),
    "text": ({"format": ResponseFormat("text")}, {}, ()),
    "little effort": (
        {"reasoning": Reasoning(effort="low")},
        {"thinking": {"type": "enabled", "token_budget": 1024}},
        (),
    ),
    "much effort": ({"reasoning": Reasoning(effort="high")}, {"thinking": {"type": "enabled"}}, ()),
    "a budget": ({"reasoning": Reasoning(budget=2048)}, {"thinking": {"type": "enabled", "token_budget": 2048}}, ()),
    "no thinking": ({"reasoning": Reasoning(effort="none")}, {"thinking": {"type": "disabled"}}, ()),
    "a budget of nothing": ({"reasoning": Reasoning(budget=0)}, {"thinking": {"type": "disabled"}}, ()),
    "left to the model": ({"reasoning": Reasoning(adaptive=True)}, {}, ()),
    "only a summary": ({"reasoning": Reasoning(summary="auto")}, {}, ()),
    "what it does anyway": ({"n": 1, "parallel": True, "modalities": ("text",), "top_logprobs": 0}, {}, ()),
    "what it lacks": (
        {
            "n": 2,
            "parallel": False,
            "min_p": 0.1,
            "top_logprobs": 3,
            "user": "u",
            "metadata": b"{}",
            "tier": "flex",
            "logit_bias": b"{}",
            "verbosity": "low",
            "cache_key": "k",
            "extra": {"store": b"true"},
        },
        {},
        (
            "parallel",
            "min_p",
            "n",
            "logit_bias",
            "top_logprobs",
            "user",
            "metadata",
            "tier",
            "verbosity",
            "cache_key",
            "store",
        ),
    ),
}

CHOICES: dict[str, tuple[ToolChoice | None, list[str], str | None]] = {
    "free": (None, ["look", "listen"], None),
    "auto": (ToolChoice("auto"), ["look", "listen"], None),
    "some of them": (ToolChoice("auto", ("listen",)), ["listen"], None),
    "none": (ToolChoice("none"), ["look", "listen"], "NONE"),
    "any": (ToolChoice("required"), ["look", "listen"], "REQUIRED"),
    "one": (ToolChoice("named", ("look",)), ["look"], "REQUIRED"),
}


class BuildTests(SynchronousTestCase):
    """The body for ``/v2/chat``."""

    def test_fields(self) -> None:
        """Every field of the hub has its place, or is told as dropped (16, 19, 21, 27, 33, 61)."""
        for name, (fields, expected, lost) in FIELDS.items():
            body, built = sent(**fields)
            plain = {"model": "command", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
            self.assertEqual(body, {**plain, **expected}, name)
            self.assertEqual(built.dropped, lost, name)
        self.assertIs(sent(target=Target("m", stream=True))[0]["stream"], True)

    def test_choice(self) -> None:
        """One tool by name is that tool alone, and some tool is required (15, 112); without tools no word (17)."""
        for name, (choice, names, word) in CHOICES.items():
            body, built = sent(tools=(LOOK, Tool("listen")), tool_choice=choice)
            self.assertEqual([tool["function"]["name"] for tool in body["tools"]], names, name)
            self.assertEqual((body.get("tool_choice"), built.dropped), (word, ()), name)
        self.assertNotIn("tool_choice", sent(tool_choice=ToolChoice("required"))[0])

    def test_strict(self) -> None:
        """Strictness is for all tools, and every one must require something."""
        strict = Tool("look", parameters=SCHEMA, strict=True)
        self.assertIs(sent(tools=(strict,))[0]["strict_tools"], True)
        for other in (Tool("a"), Tool("a", parameters=SCHEMA), Tool("a", parameters=b'{"required":[]}', strict=True)):
            body, built = sent(tools=(strict, other))
            self.assertNotIn("strict_tools", body)
            self.assertEqual(built.dropped, ("tools[].strict",))

    def test_names(self) -> None:
        """Names of tools are letters, digits and ``_``; the client's come back, also in its history (14)."""
        names = ["mcp__a-b", "mcp__a.b", "mcp__a_b", "7up", "ok"]
        call = ToolCall("1", "mcp__a-b", "{}")
        body, built = sent(
            Message("assistant", (call, ToolCall("2", "go-ne", "{}"))), tools=tuple(Tool(name) for name in names)
        )
        sent_names = [tool["function"]["name"] for tool in body["tools"]]
        self.assertEqual(sent_names, ["mcp__a_b_2", "mcp__a_b_3", "mcp__a_b", "_7up", "ok"])
        self.assertEqual(
            built.tool_names, {"mcp__a_b_2": "mcp__a-b", "mcp__a_b_3": "mcp__a.b", "_7up": "7up", "go_ne": "go-ne"}
        )
        calls = [one["function"]["name"] for one in body["messages"][0]["tool_calls"]]
        self.assertEqual(calls, ["mcp__a_b_2", "go_ne"])

    def test_otherTools(self) -> None:
        """Tools that are no functions are told; parameters are always there (12, 57, 91)."""
        body, built = sent(tools=(Tool("look"), Tool("w", kind="web_search"), Tool("p", kind="custom")))
        (tool,) = body["tools"]
        self.assertEqual(tool["function"], {"name": "look", "parameters": {"type": "object", "properties": {}}})
        self.assertEqual(built.dropped, ("tools[1]", "tools[2]"))

    def test_formatBesideTools(self) -> None:
        """Cohere takes no format beside tools or documents: the model is asked in words, and the loss is told."""
        form = ResponseFormat("json_schema", b'{"type":"object"}')
        document = Message("user", (Media("document", text="x"), Text("Hi")))
        for body, built in (sent(format=form, tools=(LOOK,)), sent(document, format=form)):
            self.assertNotIn("response_format", body)
            self.assertEqual(body["messages"][0]["role"], "system")
            self.assertIn('{"type":"object"}', body["messages"][0]["content"])
            self.assertEqual(built.dropped, ("response_format",))

    def test_turns(self) -> None:
        """Developers are systems, empty turns go, text before calls is their plan (3 to 6, 39, 60, 85, 87, 112)."""
        calls = (ToolCall("1", "look", '{"a": 1}'), ToolCall("2", "look", ""))
        body, built = sent(
            Message("system", (Text("A"), Text("B"))),
            Message("user", (Text(""),)),
            Message("developer", (Text("C"),)),
            Message("user", (Text("x"), Media("image", url="https://e.com/a", detail="low"))),
            Message("assistant", (Text("p"), Text("q"), Refusal("r"))),
            Message("assistant", (Thinking("Hm."), Text("I look."), *calls)),
            Message("assistant", (Text(""), *calls)),
            Message("assistant", (Thinking("t"), Text("a"))),
        )
        wire = [
            {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
            {"id": "2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
        ]
        self.assertEqual(
            body["messages"],
            [
                {"role": "system", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
                {"role": "system", "content": "C"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "x"},
                        {"type": "image_url", "image_url": {"url": "https://e.com/a", "detail": "low"}},
                    ],
                },
                {"role": "assistant", "content": "pqr"},
                {
                    "role": "assistant",
                    "tool_calls": wire,
                    "tool_plan": "I look.",
                    "content": [{"type": "thinking", "thinking": "Hm."}],
                },
                {"role": "assistant", "tool_calls": wire},
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}],
                },
            ],
        )
        self.assertEqual(built.dropped, ())

    def test_foreignThoughts(self) -> None:
        """Thoughts with another provider's proof, or hidden ones, stay behind (30, 31)."""
        for thinking in (Thinking("a", Seal("anthropic", "s")), Thinking(seal=Seal("gemini", "s"), redacted=True)):
            body, _ = sent(Message("assistant", (thinking, Text("b"))))
            self.assertEqual(body["messages"], [{"role": "assistant", "content": "b"}])

    def test_results(self) -> None:
        """One text is a string, several are documents; failures are said, images follow (41, 58, 59, 112)."""
        body, built = sent(
            Message(
                "tool",
                (
                    ToolResult("1", (Text("x"),)),
                    ToolResult("2", (Text('{"a":1}'), Text("y"), Media("document", text="z"))),
                ),
            ),
            Message("tool", (ToolResult("3", (Text("no"), Media("image", "image/png", PNG)), error=True),)),
            Message("tool", (ToolResult("4"),)),
            Message("user", (Text("And?"),)),
        )
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        self.assertEqual(
            body["messages"],
            [
                {"role": "tool", "tool_call_id": "1", "content": "x"},
                {
                    "role": "tool",
                    "tool_call_id": "2",
                    "content": [
                        {"type": "document", "document": {"data": {"a": 1}}},
                        {"type": "document", "document": {"data": {"content": "y"}}},
                        {"type": "document", "document": {"data": {"content": "z"}}},
                    ],
                },
                {"role": "tool", "tool_call_id": "3", "content": "Error: no"},
                {"role": "tool", "tool_call_id": "4", "content": ""},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "The images that the tools returned:"}, image],
                },
                {"role": "user", "content": "And?"},
            ],
        )
        self.assertEqual(built.dropped, ())

    def test_badArguments(self) -> None:
        """Arguments that are no object are a 400 that says so; free text is wrapped (11)."""
        for arguments in ("{", "[1]", '"x"', "12"):
            error = self.assertRaises(InvalidRequest, sent, Message("assistant", (ToolCall("1", "look", arguments),)))
            self.assertIn("'look'", error.message)
        body, _ = sent(Message("assistant", (ToolCall("1", "patch", "*** Begin", custom=True),)))
        self.assertEqual(body["messages"][0]["tool_calls"][0]["function"]["arguments"], '{"input":"*** Begin"}')

    def test_documents(self) -> None:
        """Documents of text stand beside the messages; nobody asked for citations, so none are made (25)."""
        document = Media("document", text="words", name="T", context="c")
        body, built = sent(Message("user", (document, Text("Hi"))))
        self.assertEqual(body["documents"], [{"data": {"title": "T", "text": "words"}}])
        self.assertEqual((body["citation_options"], built.dropped), ({"mode": "OFF"}, ("context",)))
        body, _ = sent(Message("user", (Media("document", text="words", citations=True), Text("Hi"))))
        self.assertEqual(body["documents"], [{"data": {"text": "words"}}])
        self.assertNotIn("citation_options", body)

    def test_media(self) -> None:
        """What Cohere does not take is refused in words (25)."""
        for media in (
            Media("image", file_id="file-1"),
            Media("audio", "audio/wav", PNG),
            Media("video", url="gs://a"),
            Media("document", "application/pdf", PNG),
        ):
            self.assertRaises(InvalidRequest, sent, Message("user", (media,)))

    def test_losses(self) -> None:
        """Names, cache markers and native parts are told once each (32, 40)."""
        parts = (Text("a", cache=""), Text("b", cache="1h"), Native("openai", "audio", b"{}"))
        _, built = sent(Message("user", parts, name="n"))
        self.assertEqual(built.dropped, ("messages[].name", "cache_control", "messages[].content[].audio"))
        _, built = sent(Message("user", (Text("x"),)), Message("tool", (ToolResult("1", cache=""),)))
        self.assertEqual(built.dropped, ("cache_control",))

    def test_nothing(self) -> None:
        """A conversation that says nothing is refused."""
        self.assertRaises(InvalidRequest, sent, Message("user", (Text(""),)))


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A client's request that says something of everything, in the form that relay writes."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 3))):
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        parts = [{"type": "text", "text": draw(WORDS)}, image]
        messages.append({"role": "user", "content": draw(WORDS) if draw(st.booleans()) else parts})
        ids = draw(st.lists(st.sampled_from("abc"), max_size=3, unique=True))
        said: dict[str, Any] = {"role": "assistant"}
        if ids:
            said["tool_calls"] = [
                {"id": f"{own}{turn}", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
                for own in ids
            ]
            if draw(st.booleans()):
                said["tool_plan"] = draw(WORDS)
        if draw(st.booleans()):
            said["content"] = [{"type": "thinking", "thinking": draw(WORDS)}]
            if not ids:
                said["content"].append({"type": "text", "text": draw(WORDS)})
        elif not ids:
            said["content"] = draw(WORDS)
        messages.append(said)
        messages += ({"role": "tool", "tool_call_id": f"{own}{turn}", "content": draw(WORDS)} for own in ids)
    body: dict[str, Any] = {"messages": messages, "stream": draw(st.booleans())}
    if draw(st.booleans()):
        body["tools"] = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
        body |= draw(st.sampled_from(({}, {"tool_choice": "REQUIRED"}, {"tool_choice": "NONE"})))
    elif draw(st.booleans()):
        body["response_format"] = {"type": "json_object", "json_schema": {"type": "object"}}
    if draw(st.booleans()):
        body |= {"p": 0.5, "k": 3, "thinking": {"type": "enabled", "token_budget": 5}, "stop_sequences": ["a"]}
    return body


class RoundTripTests(SynchronousTestCase):
    """Cohere's words → hub → Cohere's words."""

    @settings(max_examples=100, deadline=None, database=None)
    @given(bodies())
    def test_meaning(self, body: dict[str, Any]) -> None:
        """Nothing is lost."""
        request = heard(body)
        again, built = wired(request, Target("m", stream=request.stream))
        self.assertEqual(again, {"model": "m", **body})
        self.assertEqual(built.dropped, ())

    def test_unchanged(self) -> None:
        """The request is the same afterwards, and builds the same again."""
        request = ChatRequest("m", (Message("user", (Text("Hi"),)),), tools=(LOOK,), stop=("a",))
        self.assertEqual(wired(request), wired(request))
