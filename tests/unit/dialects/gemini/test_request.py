"""What Gemini's clients ask, in the hub's words.

Edge cases here: 37 (no contents), 92 (system, roles), 93 and 94 (calls and results without ids), 95 and 96
(signatures on any part), 97 (Gemini's schema as JSON Schema), 104 (URL-safe base64, files, YouTube), 125 and
126 (odd JSON, nulls).
"""

from __future__ import annotations

import contextlib
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
from relay.dialects.codec import Call
from relay.dialects.gemini.dialect import GENERATE
from relay.dialects.gemini.parts import show
from relay.errors import InvalidRequest
from tests.unit.dialects.gemini.generations import FRONT, parse, user

HI = {"text": "Hi"}

_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_NAMES = [
    "contents",
    "parts",
    "role",
    "text",
    "functionCall",
    "functionResponse",
    "name",
    "args",
    "response",
    "tools",
    "functionDeclarations",
    "parameters",
    "generationConfig",
    "thinkingConfig",
    "inlineData",
    "systemInstruction",
    "responseSchema",
    "responseMimeType",
    "toolConfig",
    "type",
    "items",
    "id",
]


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4)


class ContentsTests(SynchronousTestCase):
    """``contents`` and ``systemInstruction`` become messages."""

    def parts(self, *parts: dict[str, Any]) -> tuple[object, ...]:
        """The parts of the only message."""
        (message,) = parse(user(*parts)).messages
        return message.parts

    def test_rolesAndSystem(self) -> None:
        """The instruction comes first; ``model`` is the assistant; a content without a role is the user's."""
        request = parse(
            {
                "systemInstruction": {"role": "user", "parts": [{"text": "Be"}, {"text": "brief"}]},
                "contents": [{"parts": [HI]}, {"role": "model", "parts": [{"text": "Yes?"}]}],
            }
        )
        self.assertEqual(
            request.messages,
            (
                Message("system", (Text("Be"), Text("brief"))),
                Message("user", (Text("Hi"),)),
                Message("assistant", (Text("Yes?"),)),
            ),
        )
        self.assertEqual((request.model, request.stream, request.wants_usage), ("m", False, True))

    def test_looseForms(self) -> None:
        """A bare string as instruction, an object for a list, snake_case: Google takes them, so do we."""
        for fields in (
            {"system_instruction": "Be brief", "contents": {"parts": HI}},
            {"systemInstruction": {"parts": {"text": "Be brief"}}, "contents": [{"parts": [HI], "role": None}]},
            {"systemInstruction": {"text": "Be brief"}, "contents": [{"parts": [HI], "role": "USER"}]},
        ):
            messages = parse(fields).messages
            self.assertEqual([message.parts for message in messages], [(Text("Be brief"),), (Text("Hi"),)], fields)

    def test_media(self) -> None:
        """Bytes in either base64, uploaded files, addresses and videos."""
        table: list[tuple[dict[str, Any], Media]] = [
            ({"inlineData": {"mimeType": "image/png", "data": "-_8="}}, Media("image", "image/png", "+/8=")),
            ({"inline_data": {"mime_type": "audio/mpeg", "data": "AAA"}}, Media("audio", "audio/mpeg", "AAA=")),
            (
                {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
                Media("document", "application/pdf", "AAAA", name="a.pdf"),
            ),
            (
                {
                    "fileData": {
                        "mimeType": "video/mp4",
                        "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x",
                    }
                },
                Media("video", "video/mp4", file_id="https://generativelanguage.googleapis.com/v1beta/files/x"),
            ),
            ({"fileData": {"fileUri": "files/x"}}, Media("document", file_id="files/x")),
            ({"file_data": {"file_uri": "gs://b/x.png"}}, Media("image", url="gs://b/x.png")),
            ({"fileData": {"fileUri": "https://youtu.be/x"}}, Media("video", url="https://youtu.be/x")),
            ({"fileData": {"fileUri": "https://[", "mimeType": ""}}, Media("document", url="https://[")),
        ]
        for part, expected in table:
            self.assertEqual(self.parts(part), (expected,), part)

    def test_signatures(self) -> None:
        """A proof stands on its part: a text, an empty text, a call, media, a thought; foreign ones are known."""
        self.assertEqual(
            self.parts({"text": "a", "thoughtSignature": "c2ln"}), (Text("a", seal=Seal("gemini", "c2ln")),)
        )
        for empty in ({"text": "", "thoughtSignature": "c2ln"}, {"thoughtSignature": "c2ln"}):
            self.assertEqual(self.parts(empty), (Text("", seal=Seal("gemini", "c2ln")),))
        image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}
        self.assertEqual(self.parts(image), (Media("image", "image/png", "AAAA", seal=Seal("gemini", "c2ln")),))
        foreign = Seal("anthropic", "EqQB")
        self.assertEqual(
            self.parts({"text": "hm", "thought": True, "thoughtSignature": show(foreign)}),
            (Thinking("hm", foreign, summary=True),),
        )
        self.assertEqual(
            self.parts({"text": "", "thought": True, "thoughtSignature": show(foreign, redacted=True)}),
            (Thinking("", foreign, redacted=True),),
        )

    def test_thoughtsInPieces(self) -> None:
        """A streamed thought comes back in pieces, the proof at its end: it is one thought."""
        seal = Seal("anthropic", "EqQB")
        pieces = [{"text": "a", "thought": True}, {"text": "b", "thought": True}]
        end = {"text": "", "thought": True, "thoughtSignature": show(seal)}
        self.assertEqual(
            self.parts(*pieces, end, {"text": "c", "thought": True}),
            (Thinking("ab", seal, summary=True), Thinking("c", summary=True)),
        )

    def test_calls(self) -> None:
        """Calls and results without ids are matched by order and name; ids are made, and are always the same."""
        call = {"functionCall": {"name": "f", "args": {"a": 1.0, "b": 12345678901234567890}}}
        body = {
            "contents": [
                {"parts": [HI]},
                {"role": "model", "parts": [{"text": "ok"}, call, {"functionCall": {"name": "g"}}, call]},
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"name": "f", "response": {"result": "one"}}},
                        {"functionResponse": {"name": "f", "response": {"x": 1}}},
                        {"functionResponse": {"name": "g", "response": {"error": "broken"}}},
                        {"text": "go on"},
                    ],
                },
            ]
        }
        request = parse(body)
        self.assertEqual(request, parse(body))
        _, said, results, after = request.messages
        one, other, two = [part for part in said.parts if isinstance(part, ToolCall)]
        self.assertEqual(one.arguments, '{"a":1.0,"b":12345678901234567890}')
        self.assertEqual((other.name, other.arguments), ("g", "{}"))
        self.assertEqual(len({one.id, two.id, other.id}), 3)
        self.assertEqual(
            results,
            Message(
                "tool",
                (
                    ToolResult(one.id, (Text("one"),), "f"),
                    ToolResult(two.id, (Text('{"x":1}'),), "f"),
                    ToolResult(other.id, (Text("broken"),), "g", error=True),
                ),
            ),
        )
        self.assertEqual((after.role, after.parts), ("user", (Text("go on"),)))

    def test_callIds(self) -> None:
        """Given ids are kept, and bind a result to its call whatever the order; the old role ``function`` works."""
        calls: list[Any] = [{"functionCall": {"id": name, "name": "f", "args": {}}} for name in ("a", "b")]
        answers: list[Any] = [
            {"functionResponse": {"id": name, "name": "f", "response": {}}} for name in ("b", "a", "z")
        ]
        _, results = parse(
            {"contents": [{"role": "model", "parts": calls}, {"role": "function", "parts": answers}]}
        ).messages
        self.assertEqual([part.call for part in results.parts if isinstance(part, ToolResult)], ["b", "a", "z"])

    def test_resultsWithMedia(self) -> None:
        """Files inside a result are its content."""
        part = {
            "functionResponse": {
                "name": "f",
                "response": {"output": "see"},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
            }
        }
        (result,) = self.parts(part)
        assert isinstance(result, ToolResult)
        self.assertEqual(result.content, (Text("see"), Media("image", "image/png", "AAAA")))

    def test_native(self) -> None:
        """What only Gemini knows stays as it is, its proof too."""
        part = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "c2ln"}
        (found,) = self.parts(part)
        assert isinstance(found, Native)
        self.assertEqual((found.origin, found.kind, json.loads(found.value)), ("gemini", "executableCode", part))

    def test_besides(self) -> None:
        """Settings of a part that others do not have are told by their place."""
        file = {"fileData": {"fileUri": "gs://b/x.mp4"}, "videoMetadata": {"fps": 1}}
        self.assertEqual(parse(user(file)).extra, {"contents[0].parts[0].videoMetadata": b'{"fps":1}'})


class SettingsTests(SynchronousTestCase):
    """Tools and ``generationConfig``."""

    def test_generation(self) -> None:
        """Each setting has its place in the hub; numbers may be strings, as protobuf allows."""
        config = {
            "temperature": 0.5,
            "topP": 0.9,
            "top_k": 40.0,
            "candidateCount": 2,
            "maxOutputTokens": "100",
            "stopSequences": ["END"],
            "presencePenalty": 0.1,
            "frequencyPenalty": -0.1,
            "seed": 7,
            "responseLogprobs": True,
            "logprobs": 3,
            "responseModalities": ["TEXT", "IMAGE"],
            "speechConfig": {"a": 1},
        }
        request = parse(user(HI, generationConfig=config, safetySettings=[], cachedContent="c", serviceTier="flex"))
        self.assertEqual(
            (request.temperature, request.top_p, request.top_k, request.n, request.max_tokens), (0.5, 0.9, 40, 2, 100)
        )
        self.assertEqual(
            (request.stop, request.presence_penalty, request.frequency_penalty, request.seed), (("END",), 0.1, -0.1, 7)
        )
        self.assertEqual((request.logprobs, request.top_logprobs), (True, 3))
        self.assertEqual((request.modalities, request.tier), (("text", "image"), "flex"))
        extra = {"safetySettings": b"[]", "cachedContent": b'"c"', "generationConfig.speechConfig": b'{"a":1}'}
        self.assertEqual(request.extra, extra)

    def test_absent(self) -> None:
        """Null and what is the default anyway say nothing."""
        nulls = {"maxOutputTokens": None, "thinkingConfig": None, "responseModalities": ["TEXT"]}
        request = parse(user(HI, generationConfig=nulls, tools=None, toolConfig=None, safetySettings=None))
        self.assertEqual(request, parse(user(HI)))
        self.assertEqual(request.extra, {})

    def test_thinking(self) -> None:
        """Budgets, levels and whether thoughts are shown."""
        table: list[tuple[dict[str, Any], Reasoning | None]] = [
            ({"thinkingBudget": 0}, Reasoning(budget=0)),
            ({"thinking_budget": 1024, "include_thoughts": True}, Reasoning(budget=1024, visible=True)),
            ({"thinkingBudget": -1}, Reasoning(adaptive=True)),
            ({"thinkingLevel": "HIGH"}, Reasoning(effort="high")),
            ({"thinkingLevel": "minimal", "includeThoughts": False}, Reasoning(effort="minimal", visible=False)),
            ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, None),
            ({}, None),
        ]
        for config, expected in table:
            found = parse(user(HI, generationConfig={"thinkingConfig": config})).reasoning
            self.assertEqual(found, expected, config)

    def test_format(self) -> None:
        """JSON with either kind of schema, without one, and what is no JSON."""
        json_type = {"responseMimeType": "application/json"}
        native = {
            **json_type,
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
        }
        standard = b'{"type":"object","properties":{"a":{"type":["string","null"]}}}'
        table: list[tuple[dict[str, Any], ResponseFormat | None]] = [
            ({}, None),
            ({"responseMimeType": "text/plain"}, None),
            (json_type, ResponseFormat("json_object")),
            (native, ResponseFormat("json_schema", standard)),
            (
                {**json_type, "responseJsonSchema": {"type": "object"}},
                ResponseFormat("json_schema", b'{"type":"object"}'),
            ),
        ]
        for config, expected in table:
            self.assertEqual(parse(user(HI, generationConfig=config)).format, expected, config)
        enum = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}}
        request = parse(user(HI, generationConfig=enum))
        self.assertEqual(request.format, None)
        self.assertEqual(set(request.extra), {"generationConfig.responseMimeType", "generationConfig.responseSchema"})

    def test_tools(self) -> None:
        """Functions with either kind of schema; Google's own tools keep their declaration."""
        tools = [
            {
                "function_declarations": [
                    {
                        "name": "f",
                        "description": "d",
                        "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
                    },
                    {"name": "g", "parametersJsonSchema": {"type": "object"}, "behavior": "BLOCKING"},
                    {"name": "h"},
                ]
            },
            {"googleSearch": {"x": 1}, "codeExecution": {}},
        ]
        request = parse(user(HI, tools=tools))
        self.assertEqual(
            request.tools,
            (
                Tool("f", "d", b'{"type":"object","properties":{"a":{"type":"integer"}}}'),
                Tool("g", "", b'{"type":"object"}'),
                Tool("h"),
                Tool("google_search", kind="web_search", origin="gemini", native=b'{"googleSearch":{"x":1}}'),
                Tool("code_execution", kind="code_execution", origin="gemini", native=b'{"codeExecution":{}}'),
            ),
        )
        self.assertEqual(request.extra, {"tools[0].functionDeclarations[1].behavior": b'"BLOCKING"'})

    def test_choice(self) -> None:
        """Modes in either case; allowed names; nothing without tools."""
        table: list[tuple[dict[str, Any], ToolChoice]] = [
            ({"mode": "AUTO"}, ToolChoice("auto")),
            ({"mode": "none"}, ToolChoice("none")),
            ({"mode": "ANY"}, ToolChoice("required")),
            ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice("named", ("f",))),
            ({"mode": "ANY", "allowed_function_names": ["f", "g"]}, ToolChoice("required", ("f", "g"))),
            ({"mode": "VALIDATED"}, ToolChoice("auto")),
        ]
        tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
        for config, expected in table:
            fields = {"toolConfig": {"functionCallingConfig": config}}
            self.assertEqual(parse(user(HI, tools=tools, **fields)).tool_choice, expected, config)
            self.assertEqual(parse(user(HI, **fields)).tool_choice, None)


class MistakeTests(SynchronousTestCase):
    """A client's mistake names its field, and no JSON at all is a 500."""

    def test_named(self) -> None:
        """Wrong types and missing fields."""
        table: list[tuple[Any, str | None]] = [
            ({}, "contents"),
            ({"contents": []}, "contents"),
            ({"contents": [{"parts": []}]}, "contents"),
            ({"contents": "x"}, "contents[0]"),
            ({"contents": [{"role": "robot", "parts": [HI]}]}, "contents[0].role"),
            (user({"text": 5}), "contents[0].parts[0].text"),
            (user({"text": "a", "inlineData": {"data": "AAAA"}}), "contents[0].parts[0]"),
            (user({"inlineData": {"mimeType": "image/png"}}), "contents[0].parts[0].inlineData.data"),
            (user({"fileData": {}}), "contents[0].parts[0].fileData.fileUri"),
            (user({"functionCall": {}}), "contents[0].parts[0].functionCall.name"),
            (user({"functionCall": {"name": "f", "args": []}}), "contents[0].parts[0].functionCall.args"),
            (user(HI, generationConfig={"temperature": "hot"}), "generationConfig.temperature"),
            (user(HI, generationConfig={"maxOutputTokens": 1.5}), "generationConfig.maxOutputTokens"),
            (user(HI, generationConfig={"stopSequences": [1]}), "generationConfig.stopSequences[0]"),
            (user(HI, tools=[{"functionDeclarations": [{}]}]), "tools[0].functionDeclarations[0].name"),
            (user(HI, toolConfig={"functionCallingConfig": {"mode": "X"}}), "toolConfig.functionCallingConfig.mode"),
            ([], None),
            ("x", None),
        ]
        for body, param in table:
            error = self.assertRaises(InvalidRequest, parse, body)
            self.assertEqual(error.param, param, body)

    def test_noJSON(self) -> None:
        """Bytes that are no JSON, and JSON nested without end."""
        for data in (b"", b"{", b"\xff", b'{"contents": NaN}', b'{"contents":' + b"[" * 100_000):
            self.assertRaises(InvalidRequest, parse, data)

    @settings(max_examples=100, deadline=None)
    @given(st.recursive(_LEAVES, _containers, max_leaves=20))
    def test_anyJSON(self, value: object) -> None:
        """Any JSON is a request or an `InvalidRequest`."""
        with contextlib.suppress(InvalidRequest):
            FRONT.parse(json.dumps(value).encode(), Call(GENERATE, "m"))
