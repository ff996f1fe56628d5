"""Requests of clients of the Responses API.

Cases of the list of known traps that are about another dialect's requests only have no test here: Chat's legacy
functions (38), Anthropic's tools and roles (54 to 57), Gemini's, Bedrock's, Cohere's and Ollama's forms (92 to 115).
An assistant that speaks first or last (35, 36) is just a message. Names on messages (40) do not exist here.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    Media,
    Message,
    Native,
    Reasoning,
    Refusal,
    ResponseFormat,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.carry import tag
from relay.dialects.codec import Call
from relay.errors import InvalidRequest
from tests.unit.dialects.responses.streaming import CALL, FRONT, parsed

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

CODEX: dict[str, Any] = {
    "model": "gpt-5",
    "instructions": None,
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "You are a coder."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment/>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix it."}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "gAAA"},
        {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "call_1"},
        {"type": "function_call", "name": "find", "namespace": "mcp__docs", "arguments": "{}", "call_id": "call_2"},
        {"type": "function_call_output", "call_id": "call_1", "output": "a.py"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "none"}]},
        {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch", "call_id": "call_3"},
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "Done!"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "shell",
            "description": "Runs a command.",
            "strict": False,
            "parameters": {"type": "object", "properties": {"command": {"type": "array", "items": {"type": "string"}}}},
        },
        {
            "type": "namespace",
            "name": "mcp__docs",
            "description": "The project's documents.",
            "tools": [
                {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}},
                {"type": "function", "name": "open", "parameters": {"type": "object", "properties": {}}},
            ],
        },
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "Edits files.",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
        },
        {"type": "web_search", "external_web_access": False},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0198-thread",
    "client_metadata": {"x-codex-installation-id": "1"},
}


class CodexTests(SynchronousTestCase):
    """The request that Codex really sends."""

    def setUp(self) -> None:
        """Read it."""
        self.request = FRONT.parse(json.dumps(CODEX).encode(), CALL)

    def test_turns(self) -> None:
        """What the model said in a row is one turn, results in a row are one message."""
        roles = [message.role for message in self.request.messages]
        self.assertEqual(roles, ["developer", "user", "user", "assistant", "tool", "assistant", "tool"])
        self.assertEqual(
            self.request.messages[3].parts,
            (
                Thinking("Hm", Seal("responses", "gAAA"), summary=True),
                ToolCall("call_1", "shell", '{"command":["ls"]}'),
                ToolCall("call_2", "mcp__docs__find", "{}", namespace="mcp__docs"),
            ),
        )
        self.assertEqual(
            self.request.messages[4].parts,
            (ToolResult("call_1", (Text("a.py"),)), ToolResult("call_2", (Text("none"),))),
        )
        self.assertEqual(
            self.request.messages[5].parts, (ToolCall("call_3", "apply_patch", "*** Begin Patch", custom=True),)
        )
        self.assertEqual(self.request.messages[6].parts, (ToolResult("call_3", (Text("Done!"),), custom=True),))

    def test_tools(self) -> None:
        """A namespace becomes plain functions whose names are unique; nothing of another type is lost."""
        names = [(tool.kind, tool.name, tool.namespace) for tool in self.request.tools]
        self.assertEqual(
            names,
            [
                ("function", "shell", ""),
                ("function", "mcp__docs__find", "mcp__docs"),
                ("function", "mcp__docs__open", "mcp__docs"),
                ("custom", "apply_patch", ""),
                ("web_search", "web_search", ""),
            ],
        )
        self.assertIn("The project's documents.", self.request.tools[1].description)
        self.assertNotIn("The project's documents.", self.request.tools[2].description)
        self.assertEqual(json.loads(self.request.tools[3].native), CODEX["tools"][2])
        self.assertEqual(json.loads(self.request.tools[0].parameters), CODEX["tools"][0]["parameters"])

    def test_rest(self) -> None:
        """Everything else is where every provider finds it; what is Codex' own is told as extra."""
        request = self.request
        self.assertEqual(request.reasoning, Reasoning(summary="auto", visible=True, encrypted=True))
        self.assertEqual((request.tool_choice, request.parallel), (ToolChoice("auto"), True))
        self.assertEqual((request.stream, request.wants_usage, request.cache_key), (True, True, "0198-thread"))
        self.assertEqual(list(request.extra), ["client_metadata"])


class InputTests(SynchronousTestCase):
    """Input items and their parts."""

    def parts(self, *content: dict[str, Any], role: str = "user") -> tuple[object, ...]:
        """The hub's parts of a message's content."""
        return parsed(input=[{"role": role, "content": list(content)}]).messages[0].parts

    def test_string(self) -> None:
        """A string is what the user says; instructions come before it."""
        request = parsed(input="hi", instructions="Be brief.")
        self.assertEqual(request.messages, (Message("system", (Text("Be brief."),)), Message("user", (Text("hi"),))))

    def test_images(self) -> None:
        """Data URLs of any spelling, addresses and files are images; a wrong type is put right (22 to 24)."""
        urls = [
            f"data:image/png;base64,{PNG}",
            f"data:image/png;charset=utf-8;base64,{PNG}",
            f"DATA:image/png;BASE64,{PNG}",
            f"data:image/jpeg;base64,{PNG}",
            f"data:;base64,{PNG}",
        ]
        for url in urls:
            self.assertEqual(
                self.parts({"type": "input_image", "image_url": url, "detail": "low"}),
                (Media("image", mime="image/png", data=PNG, detail="low"),),
            )
        self.assertEqual(
            self.parts({"type": "input_image", "image_url": "https://e.x/a.png"}),
            (Media("image", url="https://e.x/a.png"),),
        )
        self.assertEqual(self.parts({"type": "input_image", "file_id": "file-1"}), (Media("image", file_id="file-1"),))

    def test_files(self) -> None:
        """Files come as data URL, plain base64, address or id, with their name (25)."""
        pdf = "JVBERi0xLjQK"
        for data in (f"data:application/pdf;base64,{pdf}", pdf):
            self.assertEqual(
                self.parts({"type": "input_file", "file_data": data, "filename": "a.pdf"}),
                (Media("document", mime="application/pdf", data=pdf, name="a.pdf"),),
            )
        self.assertEqual(
            self.parts({"type": "input_file", "file_data": "aGk=", "filename": "a.txt"}),
            (Media("document", mime="text/plain", data="aGk=", name="a.txt"),),
        )
        self.assertEqual(
            self.parts({"type": "input_file", "file_url": "https://e.x/a.pdf"}),
            (Media("document", url="https://e.x/a.pdf"),),
        )
        self.assertEqual(self.parts({"type": "input_file", "file_id": "f"}), (Media("document", file_id="f"),))

    def test_sound(self) -> None:
        """Sound keeps its form."""
        self.assertEqual(
            self.parts({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
            (Media("audio", mime="audio/mp3", data="AAAA"),),
        )

    def test_cacheMarks(self) -> None:
        """A cache breakpoint is the hub's cache marker (32)."""
        mark = {"mode": "explicit", "ttl": "12h"}
        self.assertEqual(
            self.parts({"type": "input_text", "text": "a", "prompt_cache_breakpoint": mark}), (Text("a", "12h"),)
        )
        self.assertEqual(
            self.parts({"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}),
            (Text("a", ""),),
        )

    def test_refusal(self) -> None:
        """A refusal in the history stays one (39)."""
        self.assertEqual(self.parts({"type": "refusal", "refusal": "No."}, role="assistant"), (Refusal("No."),))

    def test_annotations(self) -> None:
        """Sources of earlier answers stay with their text."""
        note = {"type": "url_citation", "url": "https://e.x", "title": "E", "start_index": 0, "end_index": 2}
        (part,) = self.parts({"type": "output_text", "text": "ok", "annotations": [note]}, role="assistant")
        assert isinstance(part, Text)
        (citation,) = part.citations
        self.assertEqual((citation.url, citation.title, citation.start, citation.end), ("https://e.x", "E", 0, 2))
        self.assertEqual(json.loads(citation.native), note)

    def test_emptyText(self) -> None:
        """Empty text is left out, and a message of nothing else (4)."""
        request = parsed(input=[{"role": "user", "content": ""}, {"role": "user", "content": "a"}])
        self.assertEqual(request.messages, (Message("user", (Text("a"),)),))
        request = parsed(
            input=[
                {"role": "assistant", "content": [{"type": "output_text", "text": ""}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
            ]
        )
        self.assertEqual(request.messages, (Message("assistant", (ToolCall("c", "f", "{}"),)),))

    def test_nothing(self) -> None:
        """No input at all is refused (37)."""
        for value in ("", [], None, [{"role": "user", "content": None}]):
            self.assertEqual(self.failed(input=value), "input")

    def test_arguments(self) -> None:
        """Arguments of no use to any provider are refused, and the call is named (11)."""
        for arguments in ("{", "[1]", '"a"', "{} {}"):
            param = self.failed(input=[{"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments}])
            self.assertEqual(param, "input[0].arguments")

    def test_results(self) -> None:
        """A result is a string, parts with images and files, or nothing (41, 59)."""
        image = {"type": "input_image", "image_url": "https://e.x/a.png"}
        for output, content in (
            ("ok", (Text("ok"),)),
            ("", ()),
            (None, ()),
            ([{"type": "input_text", "text": "ok"}, image], (Text("ok"), Media("image", url="https://e.x/a.png"))),
            ({"a": 1}, (Text('{"a": 1}'),)),
        ):
            request = parsed(input=[{"type": "function_call_output", "call_id": "c", "output": output}])
            self.assertEqual(request.messages, (Message("tool", (ToolResult("c", content),)),))

    def test_sealedCalls(self) -> None:
        """A proof that travelled in a call's id comes home, and the id is the provider's again (95)."""
        seal = Seal("gemini", "c2ln+/==")
        call = tag("call_1", seal)
        request = parsed(
            input=[
                {"type": "function_call", "call_id": call, "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": call, "output": "ok"},
            ]
        )
        self.assertEqual(request.messages[0].parts, (ToolCall("call_1", "f", seal=seal),))
        self.assertEqual(request.messages[1].parts, (ToolResult("call_1", (Text("ok"),)),))

    def test_reasoning(self) -> None:
        """Encrypted reasoning is a seal, of this dialect or of the one that it came from (30, 31)."""
        for item, part in (
            ({"encrypted_content": "gA", "summary": []}, Thinking("", Seal("responses", "gA"), redacted=True)),
            (
                {
                    "encrypted_content": "gA",
                    "summary": [{"type": "summary_text", "text": "a"}, {"text": "b"}],
                    "id": "r",
                },
                Thinking("a\n\nb", Seal("responses", "gA"), id="r", summary=True),
            ),
            (
                {"encrypted_content": "relay1.anthropic.sig", "content": [{"type": "reasoning_text", "text": "a"}]},
                Thinking("a", Seal("anthropic", "sig")),
            ),
            (
                {"encrypted_content": "relay1.anthropic.sig", "summary": [{"type": "summary_text", "text": ""}]},
                Thinking("", Seal("anthropic", "sig"), summary=True),
            ),
        ):
            request = parsed(input=[{"type": "reasoning", **item}])
            self.assertEqual(request.messages, (Message("assistant", (part,)),))

    def test_bareHandle(self) -> None:
        """Reasoning of which only the handle is there says nothing."""
        request = parsed(input=[{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "a"}])
        self.assertEqual(request.messages, (Message("user", (Text("a"),)),))

    def test_natives(self) -> None:
        """Items of tools that the provider runs go as they are, in their place."""
        search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
        output = {"type": "shell_call_output", "call_id": "c", "output": []}
        request = parsed(
            input=[{"role": "user", "content": "a"}, search, {"role": "assistant", "content": "b"}, output]
        )
        roles = [message.role for message in request.messages]
        self.assertEqual(roles, ["user", "assistant", "user"])
        native = request.messages[1].parts[0]
        assert isinstance(native, Native)
        self.assertEqual(
            (native.origin, native.kind, json.loads(native.value)), ("responses", "web_search_call", search)
        )
        self.assertEqual(request.messages[1].parts[1], Text("b"))

    def test_imagesMade(self) -> None:
        """An image that the model made is an image of the assistant's."""
        item = {
            "type": "image_generation_call",
            "id": "ig",
            "result": PNG,
            "output_format": "webp",
            "status": "completed",
        }
        self.assertEqual(
            parsed(input=[item]).messages, (Message("assistant", (Media("image", mime="image/webp", data=PNG),)),)
        )

    def test_laterTools(self) -> None:
        """Tools that are declared between the items count."""
        request = parsed(
            input=[
                {"role": "user", "content": "a"},
                {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "late"}]},
            ]
        )
        self.assertEqual([tool.name for tool in request.tools], ["late"])

    def test_phase(self) -> None:
        """The phase of an earlier message has no place, and is told."""
        request = parsed(input=[{"role": "assistant", "content": "a", "phase": "commentary"}])
        self.assertEqual(dict(request.extra), {"input[].phase": b'"commentary"'})

    def test_severalLines(self) -> None:
        """JSON that a client wrote on several lines is kept on one, for it may go into a stream."""
        tool = {"type": "mcp", "server_label": "a", "server_url": "https://e.x"}
        body = json.dumps({"model": "m", "input": "a", "tools": [tool]}, indent=2).encode()
        self.assertNotIn(b"\n", FRONT.parse(body, CALL).tools[0].native)

    def failed(self, **fields: Any) -> str | None:
        """The parameter that a refusal names."""
        param: str | None = self.assertRaises(InvalidRequest, parsed, **fields).param
        return param


class FieldTests(SynchronousTestCase):
    """Fields beside the input."""

    def test_absent(self) -> None:
        """Null, and what says no more than nothing, is as if it were not there (126)."""
        plain = parsed()
        silent: tuple[dict[str, Any], ...] = (
            dict.fromkeys(
                ["stream", "tools", "tool_choice", "text", "reasoning", "max_output_tokens", "metadata", "include"]
            ),
            {"tools": [], "text": {"format": {"type": "text"}}, "store": False, "background": False},
            {"truncation": "disabled", "previous_response_id": None, "conversation": None, "include": []},
        )
        for fields in silent:
            self.assertEqual(parsed(**fields), plain)

    def test_plain(self) -> None:
        """Every plain field has its place."""
        request = parsed(
            max_output_tokens=100,
            temperature=0.5,
            top_p=1,
            top_logprobs=3,
            user="u",
            metadata={"a": "b"},
            service_tier="flex",
            prompt_cache_key="k",
            parallel_tool_calls=False,
            text={"verbosity": "low"},
            stream=True,
        )
        self.assertEqual((request.max_tokens, request.temperature, request.top_p), (100, 0.5, 1.0))
        self.assertEqual((request.logprobs, request.top_logprobs), (True, 3))
        self.assertEqual((request.user, request.metadata, request.tier), ("u", b'{"a":"b"}', "flex"))
        self.assertEqual((request.cache_key, request.parallel, request.verbosity), ("k", False, "low"))
        self.assertTrue(request.stream)
        self.assertEqual(request.extra, {})

    def test_path(self) -> None:
        """What the path says goes before what the body says."""
        call = Call("/v1/responses", model="from-path", stream=True)
        request = FRONT.parse(b'{"input":"a"}', call)
        self.assertEqual((request.model, request.stream), ("from-path", True))

    def test_user(self) -> None:
        """The newer name of the user's id is told by that name."""
        request = parsed(safety_identifier="s")
        self.assertEqual((request.user, request.names["user"]), ("s", "safety_identifier"))
        self.assertEqual(list(parsed(user="u", safety_identifier="s").extra), ["safety_identifier"])

    def test_format(self) -> None:
        """A schema keeps its text and its name."""
        form = {"type": "json_schema", "name": "n", "schema": {"type": "object", "b": 1.0}, "strict": True}
        self.assertEqual(
            parsed(text={"format": form}).format,
            ResponseFormat("json_schema", b'{"type":"object","b":1.0}', "n", "", True),
        )
        self.assertEqual(parsed(text={"format": {"type": "json_object"}}).format, ResponseFormat("json_object"))

    def test_reasoning(self) -> None:
        """Effort and summary are read, the deprecated name of the summary too; what is new is told."""
        request = parsed(reasoning={"effort": "high", "generate_summary": "concise", "context": "all_turns"})
        self.assertEqual(request.reasoning, Reasoning("high", summary="concise", visible=True))
        self.assertEqual(list(request.extra), ["reasoning.context"])

    def test_choice(self) -> None:
        """Each form of choice; a tool of a namespace is found by its own name (15)."""
        tools = [
            {"type": "function", "name": "f"},
            {"type": "namespace", "name": "ns", "description": "", "tools": [{"type": "function", "name": "g"}]},
            {"type": "web_search_preview"},
        ]
        allowed = {"type": "allowed_tools", "mode": "required"}
        for choice, wanted in (
            ("none", ToolChoice("none")),
            ("required", ToolChoice("required")),
            ({"type": "function", "name": "f"}, ToolChoice("named", ("f",))),
            ({"type": "function", "name": "g"}, ToolChoice("named", ("ns__g",))),
            ({"type": "function", "name": "g", "namespace": "ns"}, ToolChoice("named", ("ns__g",))),
            ({"type": "custom", "name": "f"}, ToolChoice("named", ("f",))),
            ({"type": "web_search_preview"}, ToolChoice("named", ("web_search",))),
            (
                {**allowed, "tools": [{"type": "function", "name": "f"}, {"type": "namespace", "name": "ns"}]},
                ToolChoice("required", ("f", "ns__g")),
            ),
        ):
            self.assertEqual(parsed(tools=tools, tool_choice=choice).tool_choice, wanted)

    def test_unknown(self) -> None:
        """Unknown fields, and those without a place, are kept by name and told."""
        request = parsed(
            store=True,
            truncation="auto",
            max_tool_calls=3,
            new_thing={"a": [1]},
            include=["web_search_call.action.sources", "reasoning.encrypted_content"],
        )
        self.assertEqual(
            dict(request.extra),
            {
                "store": b"true",
                "truncation": b'"auto"',
                "max_tool_calls": b"3",
                "new_thing": b'{"a": [1]}',
                "include": b'["web_search_call.action.sources"]',
            },
        )


class RefusalTests(SynchronousTestCase):
    """Requests that cannot be meant, or that no other provider can serve."""

    def test_state(self) -> None:
        """A conversation that lives with the provider is never left out silently."""
        for name, value in (
            ("previous_response_id", "resp_1"),
            ("conversation", "conv_1"),
            ("conversation", {"id": "conv_1"}),
            ("prompt", {"id": "pmpt_1"}),
        ):
            error = self.assertRaises(InvalidRequest, parsed, **{name: value})
            self.assertEqual(error.param, name)
            self.assertIn("`input`", error.message)

    def test_storedItems(self) -> None:
        """Nor are items that stand for something stored or sealed."""
        for item in (
            {"type": "item_reference", "id": "msg_1"},
            {"id": "msg_1"},
            {"type": "compaction", "encrypted_content": "gA"},
        ):
            error = self.assertRaises(InvalidRequest, parsed, input=[{"role": "user", "content": "a"}, item])
            self.assertEqual(error.param, "input[1]")

    def test_params(self) -> None:
        """A wrong value is named with its whole path."""
        tool = {"type": "function", "name": "f"}
        for fields, param in (
            ({"input": 3}, "input"),
            ({"input": [3]}, "input[0]"),
            ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role"),
            ({"input": [{"role": "user", "content": 3}]}, "input[0].content"),
            ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
            ({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type"),
            (
                {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]}]},
                "input[0].content[0].image_url",
            ),
            (
                {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:a/b;base64,%"}]}]},
                "input[0].content[0].image_url",
            ),
            ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
            ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name"),
            ({"input": [{"type": "function_call_output", "output": "a"}]}, "input[0].call_id"),
            (
                {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": 1}]}]},
                "input[0].output[0].type",
            ),
            ({"tools": [tool, {"type": "function"}]}, "tools[1].name"),
            (
                {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]},
                "tools[0].tools[0].name",
            ),
            ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
            ({"tools": {}}, "tools"),
            ({"tool_choice": "any"}, "tool_choice"),
            ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
            ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
            ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
            ({"max_output_tokens": "many"}, "max_output_tokens"),
            ({"temperature": []}, "temperature"),
            ({"reasoning": "high"}, "reasoning"),
            ({"metadata": "a"}, "metadata"),
        ):
            self.assertEqual(self.assertRaises(InvalidRequest, parsed, **fields).param, param, str(fields))

    def test_noJSON(self) -> None:
        """What is no JSON object is refused, too."""
        for body in (b"", b"{", b"[]", b"3", b'{"input": "\\ud83d"}', b"[" * 5000, b'{"input":' + b"[" * 5000):
            self.assertRaises(InvalidRequest, FRONT.parse, body, CALL)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("type", "role", "content", "text", "image_url", "file_data", "call_id", "name", "arguments", "output"),
        *("summary", "encrypted_content", "tools", "parameters", "format", "schema", "mode", "input", "id"),
        *("namespace", "annotations", "result"),
    ]
)
KINDS = st.sampled_from(
    [
        *("message", "function_call", "function_call_output", "custom_tool_call", "reasoning", "input_text"),
        *("input_image", "input_file", "refusal", "namespace", "function", "custom", "web_search", "user"),
        *("assistant", "additional_tools", "image_generation_call"),
    ]
)
FIELDS = st.sampled_from(
    ["input", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "instructions", "model"]
)
LIKELY = st.recursive(
    KINDS | st.text(max_size=4) | st.none() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=14,
)


class AnyJSONTests(SynchronousTestCase):
    """Whatever a client sends."""

    @settings(max_examples=100, deadline=None)
    @given(st.dictionaries(FIELDS, LIKELY | JSON, max_size=4))
    def test_anyJSON(self, body: dict[str, object]) -> None:
        """Any JSON is read or refused, never a fault of relay's."""
        try:
            request = FRONT.parse(msgspec.json.encode(body), CALL)
        except InvalidRequest as error:
            self.assertTrue(error.message)
        else:
            self.assertTrue(request.messages)
