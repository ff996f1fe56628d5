"""Requests to providers of the Responses API.

Of the list of known traps, those on order (7 to 10) hold by form: items are a flat list, results name their call, and
what is missing there is refused by the provider in its own words. A tool without parameters (12), ``$defs`` (13),
names (14), choices (15 to 17), empty text (4), refusals (39), names (40) and results with images (41) are below.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

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
from relay.errors import InvalidRequest
from relay.provider import Quirk
from tests.unit.dialects.responses.streaming import CALL, FRONT, built, parsed, sent
from tests.unit.dialects.responses.test_requests import CODEX

HI = (Message("user", (Text("hi"),)),)
OBJECT = b'{"type":"object","properties":{}}'


def said(*parts: Part, role: str = "assistant") -> list[Any]:
    """The items of one message."""
    items: list[Any] = sent(ChatRequest("m", (Message(role, parts),)))["input"]
    return items


class ItemTests(SynchronousTestCase):
    """Messages as items."""

    def test_roles(self) -> None:
        """Every role stays in place; a provider without developers gets a system message."""
        request = ChatRequest("m", tuple(Message(role, (Text(role),)) for role in ("system", "user", "developer")))
        roles = [(item["role"], item["content"]) for item in sent(request)["input"]]
        self.assertEqual(roles, [("system", "system"), ("user", "user"), ("developer", "developer")])
        roles = [item["role"] for item in sent(request, Quirk.NO_DEVELOPER_ROLE)["input"]]
        self.assertEqual(roles, ["system", "user", "system"])

    def test_empty(self) -> None:
        """Empty text, and a message of nothing else, is not sent (4)."""
        self.assertEqual(said(Text(""), role="user"), [])
        self.assertEqual(said(Text(""), Refusal("")), [])

    def test_assistant(self) -> None:
        """Text, calls and refusals go in their order."""
        self.assertEqual(
            said(Text("a"), Refusal("no"), ToolCall("c", "f", '{"a":1}'), Text("b")),
            [
                {
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
                },
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
                {"role": "assistant", "content": "b"},
            ],
        )

    def test_reasoning(self) -> None:
        """Only this dialect's own proof goes back; other thinking is left out, never sent empty (29, 30)."""
        own = Seal("responses", "gA")
        summary = [{"type": "summary_text", "text": "t"}]
        for part, item in (
            (Thinking("", own, redacted=True), {"type": "reasoning", "summary": [], "encrypted_content": "gA"}),
            (Thinking("t", own), {"type": "reasoning", "summary": summary, "encrypted_content": "gA"}),
            (
                Thinking("t", own, id="rs_1", summary=True),
                {"type": "reasoning", "summary": summary, "id": "rs_1", "encrypted_content": "gA"},
            ),
            (Thinking("t", Seal("anthropic", "sig")), None),
            (Thinking("t"), None),
            (Thinking("", Seal("bedrock", "x"), redacted=True), None),
        ):
            self.assertEqual(said(part), [item] if item else [])

    def test_plainReasoning(self) -> None:
        """A provider that takes plain reasoning back gets it."""
        request = ChatRequest("m", (Message("assistant", (Thinking("t", id="r"), ToolCall("c", "f"))),))
        (reasoning, _) = sent(request, Quirk.REASONING_CONTENT)["input"]
        content = [{"type": "reasoning_text", "text": "t"}]
        self.assertEqual(reasoning, {"type": "reasoning", "summary": [], "id": "r", "content": content})

    def test_results(self) -> None:
        """Results are strings where that says it, parts with images else; failures say so (41, 59)."""
        image = Media("image", url="https://e.x/a.png")
        for result, output in (
            (ToolResult("c"), ""),
            (ToolResult("c", (Text("a"),)), "a"),
            (ToolResult("c", (Text("a"), Text("b"))), "a\n\nb"),
            (ToolResult("c", (Text("a"),), error=True), "Error: a"),
            (ToolResult("c", (Text("Error: a"),), error=True), "Error: a"),
            (
                ToolResult("c", (Text("a"), image)),
                [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "https://e.x/a.png"}],
            ),
        ):
            item = {"type": "function_call_output", "call_id": "c", "output": output}
            self.assertEqual(said(result, role="tool"), [item])

    def test_resultsFirst(self) -> None:
        """What else stands beside a result comes behind it (58)."""
        items = said(Text("and?"), ToolResult("c", (Text("a"),)), role="tool")
        self.assertEqual(items[0]["type"], "function_call_output")
        self.assertEqual(items[1], {"role": "user", "content": "and?"})

    def test_custom(self) -> None:
        """A call of a free-text tool and its result keep their form, also when the result does not tell."""
        request = ChatRequest(
            "m",
            (Message("assistant", (ToolCall("c", "p", "text", custom=True),)), Message("tool", (ToolResult("c"),))),
        )
        self.assertEqual(
            sent(request)["input"],
            [
                {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "text"},
                {"type": "custom_tool_call_output", "call_id": "c", "output": ""},
            ],
        )

    def test_ids(self) -> None:
        """Ids longer than OpenAI takes become short, the same for the call and its result."""
        long = "x" * 300
        (call, result) = said(ToolCall(long, "f"), ToolResult(long), role="assistant")[:1] + said(
            ToolResult(long), role="tool"
        )
        self.assertEqual(call["call_id"], result["call_id"])
        self.assertLessEqual(len(call["call_id"]), 64)

    def test_media(self) -> None:
        """Images, documents and sound in their forms."""
        for media, item in (
            (
                Media("image", mime="image/png", data="iVBO", detail="low"),
                {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "low"},
            ),
            (Media("image", file_id="f"), {"type": "input_image", "file_id": "f"}),
            (
                Media("document", mime="application/pdf", data="JVBE"),
                {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"},
            ),
            (Media("document", url="https://e.x/a"), {"type": "input_file", "file_url": "https://e.x/a"}),
            (Media("document", text="words", name="n"), {"type": "input_text", "text": "n\n\nwords"}),
            (
                Media("audio", mime="audio/mpeg", data="AAAA"),
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            ),
        ):
            (message,) = said(media, Text("x"), role="user")
            self.assertEqual(message["content"][0] if isinstance(message["content"], list) else "", item)

    def test_refused(self) -> None:
        """What no provider of this dialect could take is refused at once (24, 25)."""
        for media in (
            Media("video", url="https://e.x/v"),
            Media("image", url="gs://b/a"),
            Media("document", url="s3://b/a"),
            Media("audio", mime="audio/flac", data="AAAA"),
            Media("audio", url="https://e.x/a"),
        ):
            error = self.assertRaises(InvalidRequest, said, media, role="user")
            self.assertEqual(error.param, "messages")

    def test_made(self) -> None:
        """An image that the model made goes back as the image tool's."""
        (item,) = said(Media("image", mime="image/png", data="iVBO"))
        self.assertEqual((item["type"], item["result"]), ("image_generation_call", "iVBO"))

    def test_told(self) -> None:
        """What has no place is told by the caller's names, each once (32, 40, 52)."""
        request = ChatRequest(
            "m",
            (
                Message("user", (Text("a", cache=""), Text("b", cache="5m")), name="bob"),
                Message("assistant", (Native("anthropic", "server_tool_use", b"{}"), Media("audio", data="A"))),
                Message("user", (Media("document", data="JVBE", context="c", citations=True),)),
            ),
            top_k=3,
            stop=("x",),
            seed=1,
            n=2,
            logit_bias=b"{}",
            extra={"thing": b"1"},
        )
        self.assertEqual(
            built(request).dropped,
            (
                *("top_k", "stop", "seed", "logit_bias", "thing", "n", "messages[].name", "cache_control"),
                *("messages[].server_tool_use", "messages[].audio", "messages[].citations", "messages[].context"),
            ),
        )
        self.assertEqual(built(ChatRequest("m", HI, n=1)).dropped, ())


class ToolTests(SynchronousTestCase):
    """Tools and the choice among them."""

    def test_functions(self) -> None:
        """Schemas are objects'; strictness is always said, since silence means it here (12, 13)."""
        defs = b'{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}}}'
        for parameters, wanted in (
            (b"", {"type": "object", "properties": {}}),
            (b"{}", {"type": "object", "properties": {}}),
            (b'{"type":"object"}', {"type": "object", "properties": {}}),
            (b'{"properties":{"a":{}}}', {"type": "object", "properties": {"a": {}}}),
            (defs, json.loads(defs)),
        ):
            (tool,) = sent(ChatRequest("m", HI, tools=(Tool("f", "d", parameters),)))["tools"]
            self.assertEqual(
                tool, {"type": "function", "name": "f", "description": "d", "parameters": wanted, "strict": False}
            )
        (tool,) = sent(ChatRequest("m", HI, tools=(Tool("f", "", OBJECT, strict=True),)))["tools"]
        self.assertTrue(tool["strict"])

    def test_names(self) -> None:
        """Names that OpenAI refuses are replaced everywhere and mapped back (14)."""
        name = "mcp.server/" + "long" * 20
        request = ChatRequest(
            "m",
            (Message("assistant", (ToolCall("c", name),)),),
            tools=(Tool(name),),
            tool_choice=ToolChoice("named", (name,)),
        )
        body = sent(request)
        short = body["tools"][0]["name"]
        self.assertRegex(short, r"^[A-Za-z0-9_-]{1,64}$")
        self.assertEqual(built(request).tool_names, {short: name})
        self.assertEqual(body["input"][0]["name"], short)
        self.assertEqual(body["tool_choice"], {"type": "function", "name": short})

    def test_namespaces(self) -> None:
        """Namespaces and free-text tools of this dialect's own clients are put together again."""
        request = FRONT.parse(json.dumps(CODEX).encode(), CALL)
        body = sent(request)
        group = body["tools"][1]
        self.assertEqual((group["type"], group["name"]), ("namespace", "mcp__docs"))
        self.assertEqual([tool["name"] for tool in group["tools"]], ["find", "open"])
        self.assertEqual(body["tools"][2:], CODEX["tools"][2:])
        call = body["input"][5]
        self.assertEqual((call["name"], call["namespace"]), ("find", "mcp__docs"))
        self.assertEqual(built(request).tool_names, {})

    def test_chatGrammar(self) -> None:
        """A free-text tool of OpenAI's Chat dialect keeps its grammar."""
        native = {
            "type": "custom",
            "custom": {"name": "p", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}},
        }
        tool = Tool("p", kind="custom", origin="openai", native=json.dumps(native).encode())
        self.assertEqual(
            sent(ChatRequest("m", HI, tools=(tool,)))["tools"],
            [{"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark"}}],
        )

    def test_hosted(self) -> None:
        """Search and code of other dialects become this one's; what it has not is told (57)."""
        native = {"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["e.x"], "max_uses": 3}
        request = ChatRequest(
            "m",
            HI,
            tools=(
                Tool("web_search", kind="web_search", origin="anthropic", native=json.dumps(native).encode()),
                Tool("code_execution", kind="code_execution", origin="gemini"),
                Tool("bash", kind="bash", origin="anthropic", native=b"{}"),
            ),
        )
        self.assertEqual(
            sent(request)["tools"],
            [
                {"type": "web_search", "filters": {"allowed_domains": ["e.x"]}},
                {"type": "code_interpreter", "container": {"type": "auto"}},
            ],
        )
        self.assertEqual(built(request).dropped, ("tools[].bash",))

    def test_choice(self) -> None:
        """Every choice; none without tools (15 to 17)."""
        tools = (Tool("f"), Tool("g", kind="custom"), Tool("web_search", kind="web_search", origin="anthropic"))
        for choice, wanted in (
            (ToolChoice("auto"), "auto"),
            (ToolChoice("none", ("f",)), "none"),
            (ToolChoice("required"), "required"),
            (ToolChoice("named", ("f",)), {"type": "function", "name": "f"}),
            (ToolChoice("named", ("g",)), {"type": "custom", "name": "g"}),
            (ToolChoice("named", ("web_search",)), {"type": "web_search"}),
            (
                ToolChoice("auto", ("f",)),
                {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            ),
        ):
            self.assertEqual(sent(ChatRequest("m", HI, tools=tools, tool_choice=choice))["tool_choice"], wanted)
        bare = sent(ChatRequest("m", HI, tool_choice=ToolChoice("required"), parallel=False))
        self.assertFalse({"tools", "tool_choice", "parallel_tool_calls"} & set(bare))

    def test_noNamedTool(self) -> None:
        """A provider that takes no name gets that one tool and must call one."""
        request = ChatRequest("m", HI, tools=(Tool("f"), Tool("g")), tool_choice=ToolChoice("named", ("g",)))
        body = sent(request, Quirk.NO_NAMED_TOOL)
        self.assertEqual(([tool["name"] for tool in body["tools"]], body["tool_choice"]), (["g"], "required"))


class FieldTests(SynchronousTestCase):
    """Fields beside the input."""

    def test_plain(self) -> None:
        """Every field that exists here is sent under its name, and nothing else."""
        request = ChatRequest(
            "m",
            HI,
            max_tokens=5,
            temperature=0.5,
            top_p=0.9,
            logprobs=True,
            top_logprobs=2,
            user="u",
            metadata=b'{"a":"b"}',
            tier="standard_only",
            verbosity="low",
            cache_key="k",
            modalities=("text",),
        )
        self.assertEqual(
            sent(request),
            {
                "model": "upstream-model",
                "input": [{"role": "user", "content": "hi"}],
                "store": False,
                "max_output_tokens": 16,
                "temperature": 0.5,
                "top_p": 0.9,
                "include": ["message.output_text.logprobs"],
                "top_logprobs": 2,
                "text": {"verbosity": "low"},
                "user": "u",
                "prompt_cache_key": "k",
                "metadata": {"a": "b"},
                "service_tier": "default",
            },
        )
        self.assertEqual(built(request).dropped, ())
        self.assertTrue(built(request, stream=True).fields["stream"])

    def test_odd(self) -> None:
        """Metadata of other than strings, an unknown tier and other outputs than text are told."""
        request = ChatRequest("m", HI, metadata=b'{"a":1}', tier="batch", modalities=("text", "audio"))
        self.assertEqual(built(request).dropped, ("modalities", "metadata", "tier"))

    def test_longNames(self) -> None:
        """Users and cache keys that OpenAI would refuse for their length are told and not sent."""
        for size, lost in ((64, ()), (65, ("user", "cache_key"))):
            made = built(ChatRequest("m", HI, user="u" * size, cache_key="k" * size))
            self.assertEqual((made.dropped, "user" in made.fields), (lost, not lost))

    def test_reasoning(self) -> None:
        """Effort is said or found from a budget; proofs are asked for whenever the model is to think (27)."""
        for reasoning, wanted, proof in (
            (Reasoning("high", summary="auto"), {"effort": "high", "summary": "auto"}, True),
            (Reasoning("none"), {"effort": "none"}, False),
            (Reasoning(budget=0), {"effort": "none"}, False),
            (Reasoning(budget=1024), {"effort": "low"}, True),
            (Reasoning(budget=10000, visible=True), {"effort": "medium", "summary": "auto"}, True),
            (Reasoning(budget=31999), {"effort": "high"}, True),
            (Reasoning(adaptive=True), None, True),
            (Reasoning(encrypted=True), None, True),
        ):
            body = sent(ChatRequest("m", HI, reasoning=reasoning))
            self.assertEqual(body.get("reasoning"), wanted)
            self.assertEqual("reasoning.encrypted_content" in body.get("include", ()), proof, reasoning)

    def test_format(self) -> None:
        """Structured output in each form, also where a provider has no schemas (33)."""
        schema = ResponseFormat("json_schema", OBJECT, "my name", "what", strict=True)
        form = sent(ChatRequest("m", HI, format=schema))["text"]["format"]
        self.assertEqual((form["type"], form["schema"], form["strict"]), ("json_schema", json.loads(OBJECT), True))
        self.assertRegex(form["name"], r"^my_name_")
        body = sent(ChatRequest("m", HI, format=schema), Quirk.NO_JSON_SCHEMA)
        self.assertEqual(body["text"], {"format": {"type": "json_object"}})
        self.assertIn(OBJECT.decode(), body["input"][0]["content"])
        self.assertEqual(body["input"][1:], [{"role": "user", "content": "hi"}])
        self.assertNotIn("text", sent(ChatRequest("m", HI, format=ResponseFormat("text"))))


WORDS = st.text(min_size=1, max_size=6)
KEYS = st.text("abcXYZ09_-", min_size=1, max_size=12)
SEALS = st.builds(Seal, st.just("responses"), KEYS)
OBJECTS = st.dictionaries(WORDS, st.integers() | WORDS, max_size=2).map(
    lambda value: msgspec.json.encode(value).decode()
)
USER_PARTS = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Media, st.just("image"), url=st.just("https://e.x/a.png"), detail=st.sampled_from(["", "low"])),
    st.just(Media("image", mime="image/png", data="iVBORw0KGgoAAAAA")),
    st.just(Media("document", mime="application/pdf", data="JVBERi0xLjQK", name="a.pdf")),
)
SAID_PARTS = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Refusal, WORDS),
    st.builds(ToolCall, KEYS, KEYS, OBJECTS),
    st.builds(ToolCall, KEYS, KEYS, WORDS, custom=st.just(True)),
    st.builds(Thinking, WORDS, SEALS, id=KEYS, summary=st.just(True)),
    st.builds(Thinking, st.just(""), SEALS, redacted=st.just(True), id=KEYS),
)
RESULTS = st.builds(
    ToolResult,
    KEYS.map("r{}".format),
    st.one_of(st.just(()), USER_PARTS.map(lambda part: (part,))),
    custom=st.booleans(),
)
ROLES = st.sampled_from(["system", "developer", "user"])
MESSAGES = st.lists(
    st.one_of(
        st.builds(
            Message,
            st.sampled_from(["system", "developer", "user"]),
            st.lists(USER_PARTS, min_size=1, max_size=3).map(tuple),
        ),
        st.builds(Message, st.just("assistant"), st.lists(SAID_PARTS, min_size=1, max_size=4).map(tuple)),
        st.builds(Message, st.just("tool"), st.lists(RESULTS, min_size=1, max_size=2).map(tuple)),
    ),
    min_size=1,
    max_size=5,
)
REQUESTS = st.builds(
    ChatRequest,
    model=st.just("upstream-model"),
    messages=MESSAGES.map(tuple),
    stream=st.booleans(),
    wants_usage=st.just(True),
    tools=st.lists(
        st.builds(Tool, KEYS, WORDS, st.just(OBJECT), st.booleans()), max_size=3, unique_by=lambda tool: tool.name
    ).map(tuple),
    max_tokens=st.none() | st.integers(16, 99999),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    reasoning=st.none() | st.builds(Reasoning, st.sampled_from(["low", "high"]), encrypted=st.just(True)),
    format=st.none() | st.builds(ResponseFormat, st.just("json_schema"), st.just(OBJECT), KEYS, WORDS, st.booleans()),
    user=KEYS,
    metadata=st.sampled_from([b"", b'{"a":"b"}']),
    tier=st.sampled_from(["", "flex"]),
    verbosity=st.sampled_from(["", "low"]),
    cache_key=KEYS,
)


def merged(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages as this dialect tells them apart: what the assistant says in a row, and results in a row, is one."""
    out: list[Message] = []
    for message in messages:
        if out and message.role in ("assistant", "tool") and out[-1].role == message.role:
            out[-1] = Message(message.role, (*out[-1].parts, *message.parts))
        else:
            out.append(message)
    return tuple(out)


class RoundTripTests(SynchronousTestCase):
    """A hub request through this dialect and back."""

    @settings(max_examples=100, deadline=None)
    @given(REQUESTS)
    def test_meaning(self, request: ChatRequest) -> None:
        """Nothing changes its meaning."""
        fields = built(request, stream=request.stream)
        again = FRONT.parse(msgspec.json.encode(fields.fields), CALL)
        wanted = msgspec.structs.replace(request, messages=merged(request.messages), names=again.names)
        self.assertEqual(again, wanted)
        self.assertEqual(fields.dropped, ())

    def test_codex(self) -> None:
        """Codex' request comes out as it went in, but for what is told or only written otherwise."""
        request = FRONT.parse(json.dumps(CODEX).encode(), CALL)
        again = FRONT.parse(msgspec.json.encode(built(request, stream=True).fields), CALL)
        self.assertEqual(again.messages, request.messages)
        self.assertEqual([tool.name for tool in again.tools], [tool.name for tool in request.tools])
        self.assertEqual(built(request).dropped, ("client_metadata",))
        self.assertEqual(parsed(tools=CODEX["tools"]).tools, request.tools)
