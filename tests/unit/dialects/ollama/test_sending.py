"""Requests in the words of Ollama's API.

Edge cases 114 and 115 (arguments as objects, content as a string, tool names, bare images, options, think), and of
the others those that concern any back: 3, 4, 5, 6, 11, 12, 15, 16, 17, 21, 24, 25, 33, 40, 41, 57, 59, 60, 91.
Not here: 1 and 2 (Ollama has one limit and needs none), 7 to 10 (it takes any order of roles, and results without
calls), 13 (schemas go on as they came), 14 (any tool name is taken), 18 (no such rule), 19 and 20 (any stop, any
temperature), 22, 23 and 104 (the front that took the image has looked at it; here a URL is refused), 26 (there is
no user), 28 to 32 (no signatures and no rules for thinking; foreign thoughts go back as the text they are).
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
from relay.dialects.ollama.dialect import OLLAMA
from relay.endpoints import Operation
from relay.errors import InvalidRequest
from relay.vectors import EmbedRequest
from tests.unit.dialects.ollama.lines import BACK, CHAT, PNG, TARGET, heard, sent, wired

SCHEMA = b'{"type":"object","properties":{"a":{"type":"integer"}}}'
LOOK = Tool("look", "Looks.", SCHEMA)

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "options": (
        {"max_tokens": 5, "temperature": 0.5, "top_p": 0.1, "top_k": 4, "min_p": 0.2, "seed": 7, "stop": ("a",)},
        {
            "options": {
                "num_predict": 5,
                "temperature": 0.5,
                "top_p": 0.1,
                "top_k": 4,
                "min_p": 0.2,
                "seed": 7,
                "stop": ["a"],
            }
        },
        (),
    ),
    "penalties": (
        {"presence_penalty": 1.0, "frequency_penalty": -1.0},
        {"options": {"presence_penalty": 1.0, "frequency_penalty": -1.0}},
        (),
    ),
    "JSON": ({"format": ResponseFormat("json_object")}, {"format": "json"}, ()),
    "a schema": (
        {"format": ResponseFormat("json_schema", SCHEMA, "n", strict=True)},
        {"format": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        (),
    ),
    "text": ({"format": ResponseFormat("text")}, {}, ()),
    "log probabilities": ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}, ()),
    "an effort": ({"reasoning": Reasoning(effort="high")}, {"think": True}, ()),
    "a budget": ({"reasoning": Reasoning(budget=1024)}, {"think": True}, ()),
    "no thinking": ({"reasoning": Reasoning(effort="none")}, {"think": False}, ()),
    "a budget of nothing": ({"reasoning": Reasoning(budget=0)}, {"think": False}, ()),
    "left to the model": ({"reasoning": Reasoning(effort="high", adaptive=True)}, {}, ()),
    "asked for, as much as it likes": ({"reasoning": Reasoning(adaptive=True, visible=True)}, {"think": True}, ()),
    "only a summary": ({"reasoning": Reasoning(summary="auto")}, {}, ()),
    "what it does anyway": ({"n": 1, "parallel": True, "modalities": ("text",)}, {}, ()),
    "what it lacks": (
        {
            "n": 2,
            "parallel": False,
            "user": "u",
            "metadata": b"{}",
            "tier": "flex",
            "logit_bias": b"{}",
            "verbosity": "low",
            "cache_key": "k",
            "modalities": ("audio",),
            "extra": {"store": b"true"},
            "names": {"parallel": "parallel_tool_calls", "tier": "service_tier"},
        },
        {},
        (
            "parallel_tool_calls",
            "n",
            "logit_bias",
            "user",
            "metadata",
            "service_tier",
            "verbosity",
            "modalities",
            "cache_key",
            "store",
        ),
    ),
}

CHOICES: dict[str, tuple[ToolChoice | None, list[str], tuple[str, ...]]] = {
    "free": (None, ["look", "listen"], ()),
    "auto": (ToolChoice("auto"), ["look", "listen"], ()),
    "some of them": (ToolChoice("auto", ("listen",)), ["listen"], ()),
    "none": (ToolChoice("none"), [], ()),
    "any": (ToolChoice("required"), ["look", "listen"], ("tool_choice",)),
    "one": (ToolChoice("named", ("look",)), ["look"], ("tool_choice",)),
}


class BuildTests(SynchronousTestCase):
    """The body for ``/api/chat``."""

    def test_fields(self) -> None:
        """Every field of the hub has its place, or is told as dropped in the caller's words."""
        for name, (fields, expected, lost) in FIELDS.items():
            body, built = sent(**fields)
            plain = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
            self.assertEqual(body, {**plain, **expected}, name)
            self.assertEqual(built.dropped, lost, name)

    def test_stream(self) -> None:
        """Streaming is said in so many words, because absent means yes."""
        self.assertIs(sent()[0]["stream"], False)
        self.assertIs(sent(target=Target("m", stream=True))[0]["stream"], True)

    def test_levels(self) -> None:
        """gpt-oss takes words and cannot do without thinking; other models refuse the words."""
        levels = {"none": "low", "minimal": "low", "low": "low", "medium": "medium", "high": "high", "max": "high"}
        for effort, level in levels.items():
            body, _ = sent(target=Target("gpt-oss:20b"), reasoning=Reasoning(effort=effort))
            self.assertEqual(body["think"], level, effort)

    def test_tools(self) -> None:
        """Functions as they are; ``parameters`` has always a type and properties (12)."""
        tools = (LOOK, Tool("a"), Tool("b", parameters=b"{}"), Tool("c", parameters=b'{"required":[]}'))
        body, built = sent(tools=tools)
        functions = [tool["function"] for tool in body["tools"]]
        self.assertEqual(functions[0]["description"], "Looks.")
        empty = {"type": "object", "properties": {}}
        self.assertEqual(
            [function["parameters"] for function in functions[1:]], [empty, empty, {**empty, "required": []}]
        )
        self.assertEqual(built.dropped, ())

    def test_otherTools(self) -> None:
        """Tools that are no functions, and strictness, are told (57, 91)."""
        tools = (Tool("look", strict=True), Tool("w", kind="web_search"), Tool("p", kind="custom"))
        body, built = sent(tools=tools)
        self.assertEqual([tool["function"]["name"] for tool in body["tools"]], ["look"])
        self.assertEqual(built.dropped, ("tools[].strict", "tools[1]", "tools[2]"))

    def test_choice(self) -> None:
        """Ollama cannot be told to call a tool, but tools can be left out (15, 17)."""
        for name, (choice, names, lost) in CHOICES.items():
            body, built = sent(tools=(LOOK, Tool("listen")), tool_choice=choice)
            self.assertEqual([tool["function"]["name"] for tool in body.get("tools", ())], names, name)
            self.assertEqual(built.dropped, lost, name)
        self.assertEqual(sent(tool_choice=ToolChoice("required"))[1].dropped, ())

    def test_turns(self) -> None:
        """Content is one string; system and developer stand where they stood; empty turns go (3, 4, 6, 39, 115)."""
        body, built = sent(
            Message("system", (Text("A"), Text("B"))),
            Message("user", (Text(""),)),
            Message("developer", (Text("C"),)),
            Message("user", (Text("x"), Text("y"))),
            Message("assistant", (Thinking("Hm.", Seal("anthropic", "s")), Text("p"), Text("q"), Refusal("r"))),
            Message("assistant", (Thinking(seal=Seal("anthropic", "s"), redacted=True),)),
        )
        self.assertEqual(
            body["messages"],
            [
                {"role": "system", "content": "A\nB"},
                {"role": "system", "content": "C"},
                {"role": "user", "content": "x\ny"},
                {"role": "assistant", "content": "pqr", "thinking": "Hm."},
            ],
        )
        self.assertEqual(built.dropped, ())

    def test_calls(self) -> None:
        """Arguments are objects, results know their tool, a failure is said in words (5, 11, 59, 60, 115)."""
        body, _ = sent(
            Message("assistant", (ToolCall("1", "look", '{"a": 1.0}'), ToolCall("2", "listen", ""))),
            Message(
                "tool",
                (
                    ToolResult("1", (Text("x"), Text("y"))),
                    ToolResult("2", (Text("no"), Media("image", "image/png", PNG)), error=True),
                    ToolResult("3", (), name="gone"),
                ),
            ),
        )
        turn, *results = body["messages"]
        self.assertEqual((turn["role"], turn["content"]), ("assistant", ""))
        self.assertEqual(
            turn["tool_calls"],
            [
                {"id": "1", "function": {"name": "look", "arguments": {"a": 1.0}}},
                {"id": "2", "function": {"name": "listen", "arguments": {}}},
            ],
        )
        self.assertEqual(
            results,
            [
                {"role": "tool", "content": "x\ny", "tool_name": "look", "tool_call_id": "1"},
                {
                    "role": "tool",
                    "content": "Error: no",
                    "tool_name": "listen",
                    "tool_call_id": "2",
                    "images": [PNG],
                },
                {"role": "tool", "content": "", "tool_name": "gone", "tool_call_id": "3"},
            ],
        )

    def test_badArguments(self) -> None:
        """Arguments that are no object are a 400 that says so; free text is wrapped (11)."""
        for arguments in ("{", "[1]", '"x"', "12"):
            message = Message("assistant", (ToolCall("1", "look", arguments),))
            error = self.assertRaises(InvalidRequest, sent, message)
            self.assertIn("'look'", error.message)
        body, _ = sent(Message("assistant", (ToolCall("1", "patch", "*** Begin", custom=True),)))
        self.assertEqual(body["messages"][0]["tool_calls"][0]["function"]["arguments"], {"input": "*** Begin"})

    def test_media(self) -> None:
        """Images are bare base64 beside the words, a document of text is words; the rest is refused (25, 41)."""
        body, built = sent(
            Message(
                "user",
                (
                    Text("Look"),
                    Media("image", "image/png", PNG, detail="high"),
                    Media("document", text="Words.", name="a.txt"),
                ),
            )
        )
        self.assertEqual(body["messages"], [{"role": "user", "content": "Look\na.txt:\nWords.", "images": [PNG]}])
        self.assertEqual(built.dropped, ("detail",))
        for media in (
            Media("image", url="https://example.com/a.png"),
            Media("image", file_id="file-1"),
            Media("audio", "audio/wav", PNG),
            Media("video", url="gs://a"),
            Media("document", "application/pdf", PNG),
        ):
            self.assertRaises(InvalidRequest, sent, Message("user", (media,)))

    def test_losses(self) -> None:
        """Names, cache markers and native parts are told once each (24, 32, 40)."""
        _, built = sent(
            Message(
                "user", (Text("a", cache=""), Text("b", cache="1h"), Native("openai", "input_audio", b"{}")), name="n"
            )
        )
        self.assertEqual(built.dropped, ("messages[].name", "cache_control", "messages[].content[].input_audio"))

    def test_nothing(self) -> None:
        """A conversation that says nothing is refused: it would only load the model."""
        self.assertRaises(InvalidRequest, sent, Message("user", (Text(""),)))

    def test_unchanged(self) -> None:
        """The request is the same afterwards, and builds the same again."""
        request = ChatRequest("m", (Message("user", (Text("Hi"),)),), tools=(LOOK,), stop=("a",))
        self.assertEqual(wired(request), wired(request))


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)
IMAGES = st.lists(st.sampled_from([PNG, "/9j/AAAA"]), max_size=2)
ARGUMENTS = st.dictionaries(WORDS, st.integers() | WORDS | st.none() | st.lists(st.booleans(), max_size=2), max_size=3)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A client's request that says something of everything."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": draw(WORDS)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        question: dict[str, Any] = {"role": "user", "content": draw(WORDS)}
        if images := draw(IMAGES):
            question["images"] = images
        messages.append(question)
        names = draw(st.lists(st.sampled_from(["look", "listen"]), max_size=3))
        turn: dict[str, Any] = {"role": "assistant", "content": draw(WORDS)}
        if draw(st.booleans()):
            turn["thinking"] = draw(WORDS)
        if names:
            turn["tool_calls"] = [{"function": {"name": name, "arguments": draw(ARGUMENTS)}} for name in names]
        messages.append(turn)
        messages += ({"role": "tool", "content": draw(WORDS), "tool_name": name} for name in names)
    options = draw(st.fixed_dictionaries({}, optional={"seed": st.integers(0, 9), "stop": st.lists(WORDS, min_size=1)}))
    body: dict[str, Any] = {"messages": messages, "stream": draw(st.booleans())}
    if options:
        body["options"] = options
    if draw(st.booleans()):
        body["format"] = {"type": "object", "properties": {"a": {"type": "string"}}}
    return body


class RoundTripTests(SynchronousTestCase):
    """Ollama's words → hub → Ollama's words."""

    @settings(max_examples=100, deadline=None, database=None)
    @given(bodies())
    def test_meaning(self, body: dict[str, Any]) -> None:
        """Nothing is lost but ids, which are added."""
        request = heard(body)
        again, built = wired(request, Target("m", stream=request.stream))
        for message in again["messages"]:
            message.pop("tool_call_id", None)
            for call in message.get("tool_calls", ()):
                del call["id"]
        self.assertEqual(again, {"model": "m", **body})
        self.assertEqual(built.dropped, ())


class EmbedTests(SynchronousTestCase):
    """The body for ``/api/embed``."""

    def build(self, request: EmbedRequest) -> tuple[Any, tuple[str, ...]]:
        """Body and losses."""
        built = OLLAMA.backs[Operation.EMBED].build(request, TARGET)
        return built.fields, built.dropped

    def test_fields(self) -> None:
        """Texts, dimensions and truncation; what is cut off cannot be chosen."""
        request = EmbedRequest("m", ("a", "b"), dimensions=3, encoding="base64", truncate="END", single=True)
        self.assertEqual(
            self.build(request), ({"model": "llama", "input": ("a", "b"), "dimensions": 3, "truncate": True}, ())
        )
        request = EmbedRequest("m", ("a",), truncate="START", task="query", title="t", user="u", extra={"x": b"1"})
        self.assertEqual(
            self.build(request), ({"model": "llama", "input": ("a",)}, ("task", "title", "user", "x", "truncate"))
        )

    def test_wrong(self) -> None:
        """Token numbers and images are refused."""
        for item in ((1, 2), (Media("image", "image/png", PNG),)):
            self.assertRaises(InvalidRequest, self.build, EmbedRequest("m", (item,)))

    def test_path(self) -> None:
        """Chats go to ``/api/chat``, also those that came by ``/api/generate``."""
        self.assertEqual((BACK.path, OLLAMA.backs[Operation.EMBED].path), (CHAT, "/api/embed"))
