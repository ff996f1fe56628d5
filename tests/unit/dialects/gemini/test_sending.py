"""What Gemini and Vertex AI are asked, from the hub's words.

Edge cases here: 2, 3, 39, 92 (system and developer messages, roles, refusals), 4 and 6 (empty texts), 7 (merging), 9
and 93 (results follow their calls, in order), 10 (a result without its call becomes text; a call without its result
is left for Gemini to judge, because inventing a result would change the conversation), 11 (arguments), 12 and 98
(empty schemas), 14 (names), 15 and 17 (tool choice), 19 and 26 (stop, user), 21 (what has no counterpart), 22 to 25
(media), 30 and 31 (foreign proofs), 33, 99 (structured output), 40 (names of messages), 41 and 94 (results), 42
(unknown fields), 57 (others' server tools), 95 (proofs of calls), 97 (schemas), 100 (thinking), 104 (addresses).

Not here: 1, 16, 20, 27 to 29, 32, 34 to 36 are rules of Anthropic; Gemini takes conversations that begin or end with
either role. 18: Gemini takes calls in the history without tools. 107: the path is made of the model's name elsewhere.
"""

from __future__ import annotations

from typing import Any

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
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.gemini.naming import FREE_TEXT
from relay.dialects.gemini.parts import OUTPUT_TOOL
from relay.dialects.gemini.thinking import config, family
from relay.dialects.gemini.turns import SKIP
from relay.errors import InvalidRequest
from tests.unit.dialects.gemini.generations import ask, build

SCHEMA = b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}'
OWN = Seal("gemini", "c2ln")
FOREIGN = Seal("anthropic", "EqQB")
F = Tool("f", "d", SCHEMA)
G3 = "gemini-3-flash-preview"


def said(*parts: Any, role: str = "user", **fields: Any) -> Message:
    """A message."""
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts), **fields)


class TurnsTests(SynchronousTestCase):
    """Messages become contents."""

    def contents(self, *messages: Message, model: str = "gemini-2.5-flash", vertex: bool = False) -> list[Any]:
        """The contents of a request."""
        found: list[Any] = build(ask(*messages), model, vertex=vertex)[0]["contents"]
        return found

    def test_system(self) -> None:
        """System and developer messages are hoisted in order, wherever they stand; empty texts are left out."""
        fields, built = build(ask(said("a", "", role="system"), said("Hi"), said("b", role="developer")))
        self.assertEqual(fields["systemInstruction"], {"parts": [{"text": "a"}, {"text": "b"}]})
        self.assertEqual(fields["contents"], [{"role": "user", "parts": [{"text": "Hi"}]}])
        self.assertEqual(built.dropped, ())

    def test_systemAlone(self) -> None:
        """Gemini wants contents: a prompt of system messages alone is the user's; nothing at all is refused."""
        fields, _ = build(ask(said("a", role="system")))
        self.assertEqual(fields, {"contents": [{"role": "user", "parts": [{"text": "a"}]}]})
        self.assertRaises(InvalidRequest, build, ask(said("")))

    def test_merged(self) -> None:
        """Neighbours of one role are one turn; a message that says nothing is none."""
        found = self.contents(said("a"), said("b"), said("", role="assistant"), said("c"), said("d", role="assistant"))
        self.assertEqual(
            found,
            [
                {"role": "user", "parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
                {"role": "model", "parts": [{"text": "d"}]},
            ],
        )

    def conversation(self) -> tuple[Message, ...]:
        """Two calls, and their results the other way round."""
        return (
            said("Hi"),
            said("", ToolCall("1", "f", '{"a":"x"}', seal=OWN), ToolCall("2", "g", ""), role="assistant"),
            said(ToolResult("2", (Text("two"),), error=True), role="tool"),
            said(ToolResult("1", (Text('{"k":1}'),)), role="tool"),
            said("go on"),
        )

    def test_calls(self) -> None:
        """Results stand in the order of their calls, ahead of the user's words, with the call's name."""
        _, model, user = self.contents(*self.conversation())
        self.assertEqual(
            model["parts"],
            [
                {"functionCall": {"id": "1", "name": "f", "args": {"a": "x"}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "2", "name": "g", "args": {}}},
            ],
        )
        self.assertEqual(
            user["parts"],
            [
                {"functionResponse": {"id": "1", "name": "f", "response": {"k": 1}}},
                {"functionResponse": {"id": "2", "name": "g", "response": {"error": "two"}}},
                {"text": "go on"},
            ],
        )

    def test_vertexHasNoIds(self) -> None:
        """Vertex AI refuses ids of calls and results."""
        for content in self.contents(*self.conversation(), vertex=True):
            for part in content["parts"]:
                inner = part.get("functionCall") or part.get("functionResponse") or {}
                self.assertNotIn("id", inner)

    def test_responses(self) -> None:
        """A result is an object: JSON objects as they are, everything else in an envelope."""
        table: list[tuple[ToolResult, dict[str, Any]]] = [
            (ToolResult("1", (Text("x"), Text("y"))), {"result": "x\ny"}),
            (ToolResult("1"), {"result": ""}),
            (ToolResult("1", (Text("[1]"),)), {"result": "[1]"}),
            (ToolResult("1", (Text("{oops"),)), {"result": "{oops"}),
            (ToolResult("1", (Text('{"a":1}'),), error=True), {"error": '{"a":1}'}),
            (ToolResult("1", (Text('{"error":{"code":1}}'),), error=True), {"error": {"code": 1}}),
        ]
        for result, expected in table:
            call = said(ToolCall("1", "f"), role="assistant")
            *_, user = self.contents(said("Hi"), call, said(result, role="tool"))
            self.assertEqual(user["parts"][0]["functionResponse"]["response"], expected, result)

    def test_resultWithoutCall(self) -> None:
        """A client trimmed the call away: Gemini takes no such result, so its words stay as text, and it is told."""
        fields, built = build(ask(said(ToolResult("9", (Text("late"),)), role="tool"), said("Hi")))
        self.assertEqual(fields["contents"][0]["parts"], [{"text": "late"}, {"text": "Hi"}])
        self.assertEqual(built.dropped, ("tool_call_id",))

    def test_resultsWithMedia(self) -> None:
        """Gemini 3 takes images inside of a result; others, and sounds, get them behind it."""
        image, sound = Media("image", "image/png", "AAAA"), Media("audio", "audio/mpeg", "AAAA")
        messages = (
            said("Hi"),
            said(ToolCall("1", "f", seal=OWN), role="assistant"),
            said(ToolResult("1", (Text("see"), image, sound)), role="tool"),
        )
        blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        noise = {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}}
        answer, *after = self.contents(*messages, model=G3)[-1]["parts"]
        self.assertEqual((answer["functionResponse"]["parts"], after), ([blob], [noise]))
        answer, *after = self.contents(*messages)[-1]["parts"]
        self.assertNotIn("parts", answer["functionResponse"])
        self.assertEqual(after, [blob, noise])

    def test_arguments(self) -> None:
        """Arguments are an object; what is none is the client's mistake."""
        for arguments, expected in (("", {}), (" ", {}), ("null", {}), ('{"a":1.0}', {"a": 1.0})):
            _, model = self.contents(said("Hi"), said(ToolCall("1", "f", arguments), role="assistant"))
            self.assertEqual(model["parts"][0]["functionCall"]["args"], expected)
        for arguments in ("{", "[]", '"x"', "{} {}"):
            call = said(ToolCall("1", "f", arguments), role="assistant")
            error = self.assertRaises(InvalidRequest, build, ask(said("Hi"), call))
            self.assertIn("arguments", error.param or "")

    def test_proofs(self) -> None:
        """Only Gemini's own proofs go back; thoughts without one stay away, and foreign ones are never shown."""
        thoughts = (Thinking("a", OWN), Thinking("b", FOREIGN), Thinking("c"), Thinking("", FOREIGN, redacted=True))
        texts = (Text("d", seal=OWN), Text("e", seal=FOREIGN), Text("", seal=OWN), Refusal("no"))
        _, model = self.contents(said("Hi"), said(*thoughts, *texts, role="assistant"))
        self.assertEqual(
            model["parts"],
            [
                {"text": "a", "thought": True, "thoughtSignature": "c2ln"},
                {"text": "d", "thoughtSignature": "c2ln"},
                {"text": "e"},
                {"text": "", "thoughtSignature": "c2ln"},
                {"text": "no"},
            ],
        )

    def test_unsignedCalls(self) -> None:
        """Gemini 3 refuses unsigned calls of the current turn: the first of each step gets what Google documents."""

        def step(ident: str, seal: Seal | None = None) -> tuple[Message, Message]:
            calls = (ToolCall(ident, "f", seal=seal), ToolCall(ident + "b", "f"))
            results = (ToolResult(ident), ToolResult(ident + "b"))
            return said(*calls, role="assistant"), said(*results, role="tool")

        messages = (said("Hi"), *step("1"), said("next"), *step("2", FOREIGN), *step("3", OWN))
        found = self.contents(*messages, model=G3)
        signatures = [
            [part.get("thoughtSignature") for part in content["parts"]]
            for content in found
            if content["role"] == "model"
        ]
        self.assertEqual(signatures, [[None, None], [SKIP, None], ["c2ln", None]])
        older = [part for content in self.contents(*messages) for part in content["parts"]]
        self.assertNotIn(SKIP, [part.get("thoughtSignature") for part in older])

    def test_media(self) -> None:
        """Bytes get a type, addresses that Gemini reads go as they are."""
        files = "https://generativelanguage.googleapis.com/v1beta/files/x"
        table: list[tuple[Media, dict[str, Any]]] = [
            (Media("image", "image/png", "AAAA"), {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
            (Media("image", data="/9j/AAAA"), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/AAAA"}}),
            (
                Media("document", text="words", name="a.txt"),
                {"inlineData": {"mimeType": "text/plain", "data": "d29yZHM=", "displayName": "a.txt"}},
            ),
            (
                Media("image", url="https://x/a.png?b"),
                {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a.png?b"}},
            ),
            (Media("image", url="https://x/a"), {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x/a"}}),
            (
                Media("video", url="gs://b/a.mov"),
                {"fileData": {"mimeType": "video/quicktime", "fileUri": "gs://b/a.mov"}},
            ),
            (Media("video", url="https://youtu.be/x"), {"fileData": {"fileUri": "https://youtu.be/x"}}),
            (Media("document", file_id="files/x"), {"fileData": {"fileUri": files}}),
        ]
        for media, expected in table:
            self.assertEqual(self.contents(said(media))[0]["parts"], [expected], media)
        youtube = self.contents(said(Media("video", url="https://youtu.be/x")), vertex=True)[0]["parts"][0]
        self.assertEqual(youtube["fileData"]["mimeType"], "video/mp4")

    def test_unreadableMedia(self) -> None:
        """Another provider's file, and addresses that Gemini cannot open, are refused here."""
        for media in (
            Media("image", file_id="file-abc"),
            Media("image", url="s3://b/x"),
            Media("image", url="ftp://x"),
        ):
            self.assertRaises(InvalidRequest, build, ask(said(media)))
        self.assertRaises(InvalidRequest, build, ask(said(Media("image", file_id="files/x"))), vertex=True)

    def test_native(self) -> None:
        """Gemini's own parts go back as they came; Vertex AI has no server tool calls; others' are told."""
        code = Native("gemini", "executableCode", b'{"executableCode":{"code":"1"}}')
        tool = Native("gemini", "toolCall", b'{"toolCall":{"id":"x"}}')
        other = Native("anthropic", "server_tool_use", b"{}")
        fields, built = build(ask(said("Hi"), said(code, tool, other, role="assistant")))
        self.assertEqual(fields["contents"][1]["parts"], [{"executableCode": {"code": "1"}}, {"toolCall": {"id": "x"}}])
        self.assertEqual(built.dropped, ("server_tool_use",))
        _, built = build(ask(said("Hi"), said(code, tool, role="assistant")), vertex=True)
        self.assertEqual(built.dropped, ("toolCall",))

    def test_told(self) -> None:
        """Names of speakers, cache markers and details of images are told."""
        image = Media("image", "image/png", "AAAA", detail="high")
        _, built = build(ask(said(Text("Hi", cache="5m"), image, name="Ann")))
        self.assertEqual(built.dropped, ("messages[].name", "cache_control", "detail"))


class SettingsTests(SynchronousTestCase):
    """Tools, choice, form of the answer, thinking, and the rest."""

    def test_plain(self) -> None:
        """Settings go to their places."""
        fields, built = build(
            ask(
                max_tokens=9,
                temperature=1.5,
                top_p=0.5,
                top_k=3,
                stop=("a", "", "b"),
                seed=1,
                n=2,
                presence_penalty=0.1,
                frequency_penalty=0.2,
                logprobs=True,
                top_logprobs=4,
                modalities=("text", "image"),
                tier="default",
                parallel=True,
            )
        )
        self.assertEqual(
            fields["generationConfig"],
            {
                "maxOutputTokens": 9,
                "temperature": 1.5,
                "topP": 0.5,
                "topK": 3,
                "stopSequences": ["a", "b"],
                "seed": 1,
                "candidateCount": 2,
                "presencePenalty": 0.1,
                "frequencyPenalty": 0.2,
                "responseLogprobs": True,
                "logprobs": 4,
                "responseModalities": ["TEXT", "IMAGE"],
            },
        )
        self.assertEqual((fields["serviceTier"], built.dropped), ("standard", ()))

    def test_dropped(self) -> None:
        """What Gemini has no place for is told in the caller's words, and never sent."""
        request = ask(
            user="u",
            metadata=b"{}",
            logit_bias=b"{}",
            min_p=0.1,
            parallel=False,
            verbosity="low",
            cache_key="k",
            seed=1 << 40,
            stop=tuple("abcdef"),
            tier="scale",
            extra={"store": b"true", "safetySettings": b"[]", "labels": b"{}"},
            names={"parallel": "parallel_tool_calls", "tier": "service_tier"},
        )
        fields, built = build(request)
        self.assertEqual(set(fields), {"contents", "generationConfig", "safetySettings"})
        self.assertEqual(
            set(built.dropped),
            {"user", "metadata", "logit_bias", "min_p", "parallel_tool_calls", "verbosity", "cache_key"}
            | {"seed", "stop", "service_tier", "store", "labels"},
        )
        fields, built = build(request, vertex=True)
        self.assertEqual(fields["labels"], {})
        self.assertNotIn("labels", built.dropped)

    def test_functions(self) -> None:
        """JSON Schema as it is, Gemini's own form for old models, nothing for no arguments."""
        empty = (Tool("e"), Tool("e2", parameters=b"{}"), Tool("e3", parameters=b'{"type":"object","properties":{}}'))
        fields, built = build(ask(tools=(F, *empty)))
        (group,) = fields["tools"]
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        self.assertEqual(
            group["functionDeclarations"],
            [
                {"name": "f", "description": "d", "parametersJsonSchema": schema},
                *({"name": tool.name} for tool in empty),
            ],
        )
        self.assertEqual((fields.keys(), built.dropped), ({"contents", "tools"}, ()))
        fields, _ = build(ask(tools=(F,)), "gemini-1.5-pro")
        own = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}
        self.assertEqual(fields["tools"][0]["functionDeclarations"][0]["parameters"], own)
        self.assertRaises(InvalidRequest, build, ask(tools=(Tool("f", parameters=b"[]"),)))

    def test_names(self) -> None:
        """Names that Gemini does not take are changed, in the history too, and can be changed back."""
        long, odd = "m" * 70, "1 né"
        tools = (Tool(long), Tool(odd), Tool("x", namespace="a"), Tool("x", namespace="b"), Tool(OUTPUT_TOOL))
        call = said(ToolCall("1", odd), ToolCall("2", "x", namespace="b"), role="assistant")
        results = said(ToolResult("1"), ToolResult("2"), role="tool")
        fields, built = build(ask(said("Hi"), call, results, tools=tools))
        sent = [one["name"] for one in fields["tools"][0]["functionDeclarations"]]
        self.assertEqual(len(set(sent)), 5)
        for name in sent:
            self.assertRegex(name, r"^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$")
        self.assertEqual([built.tool_names[name] for name in sent], [long, odd, "x", "x", OUTPUT_TOOL])
        parts = [part for content in fields["contents"][1:] for part in content["parts"]]
        used = [(part.get("functionCall") or part["functionResponse"])["name"] for part in parts]
        self.assertEqual(used, [sent[1], sent[3], sent[1], sent[3]])

    def test_freeText(self) -> None:
        """A tool that takes free text is a function with one string, and its name tells so."""
        tool = Tool("patch", "d", kind="custom", origin="responses", native=b'{"type":"text"}')
        call = said(ToolCall("1", "patch", "*** Begin", custom=True), role="assistant")
        fields, built = build(ask(said("Hi"), call, tools=(tool,)))
        declaration = fields["tools"][0]["functionDeclarations"][0]
        self.assertEqual(declaration["name"], FREE_TEXT + "patch")
        self.assertEqual(declaration["parametersJsonSchema"]["required"], ["input"])
        part = fields["contents"][1]["parts"][0]["functionCall"]
        self.assertEqual((part["name"], part["args"]), (FREE_TEXT + "patch", {"input": "*** Begin"}))
        self.assertEqual(built.dropped, ("tools[].format",))

    def test_choice(self) -> None:
        """The choice among functions; none without functions."""
        tools = (F, Tool("g"))
        table: list[tuple[ToolChoice, dict[str, Any] | None]] = [
            (ToolChoice("auto"), {"mode": "AUTO"}),
            (ToolChoice("none"), {"mode": "NONE"}),
            (ToolChoice("required"), {"mode": "ANY"}),
            (ToolChoice("required", ("f", "g")), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
            (ToolChoice("named", ("g",)), {"mode": "ANY", "allowedFunctionNames": ["g"]}),
        ]
        for choice, expected in table:
            fields, _ = build(ask(tools=tools, tool_choice=choice))
            self.assertEqual(fields["toolConfig"]["functionCallingConfig"], expected, choice)
        fields, _ = build(ask(tools=tools, tool_choice=ToolChoice("auto", ("g",))))
        self.assertEqual(fields["tools"], [{"functionDeclarations": [{"name": "g"}]}])
        fields, built = build(ask(tool_choice=ToolChoice("required")))
        self.assertEqual((set(fields), built.dropped), ({"contents"}, ("tool_choice",)))

    def test_strict(self) -> None:
        """Strict functions are what Gemini calls validated; old models cannot."""
        strict = Tool("f", parameters=SCHEMA, strict=True)
        fields, built = build(ask(tools=(strict,)))
        self.assertEqual(fields["toolConfig"], {"functionCallingConfig": {"mode": "VALIDATED"}})
        self.assertEqual(built.dropped, ())
        self.assertEqual(build(ask(tools=(strict,)), "gemini-2.0-flash")[1].dropped, ("tools[].strict",))

    def test_googlesTools(self) -> None:
        """Search and code run at Google whoever asks; beside functions only from Gemini 3 on."""
        search = Tool("web_search", kind="web_search", origin="responses", native=b'{"type":"web_search","filters":{}}')
        code = Tool("code", kind="code_execution", origin="gemini", native=b'{"codeExecution":{}}')
        files = Tool("file_search", kind="file_search", origin="responses", native=b"{}")
        fields, built = build(ask(tools=(search, code, files)))
        self.assertEqual(fields["tools"], [{"googleSearch": {}}, {"codeExecution": {}}])
        self.assertEqual(built.dropped, ("tools[].web_search.filters", "tools[].file_search"))
        fields, built = build(ask(tools=(search, F)))
        self.assertEqual((len(fields["tools"]), built.dropped), (1, ("tools[].web_search",)))
        fields, _ = build(ask(tools=(search, F)), G3)
        self.assertEqual(fields["toolConfig"], {"includeServerSideToolInvocations": True})
        self.assertEqual(fields["tools"][0], {"googleSearch": {}})
        self.assertNotIn("toolConfig", build(ask(tools=(search, F)), G3, vertex=True)[0])

    def test_structured(self) -> None:
        """A schema for the answer, beside functions too."""
        form = ResponseFormat("json_schema", SCHEMA, "n", "what it is")
        schema = {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "required": ["a"],
            "description": "what it is",
        }
        wanted = {"responseMimeType": "application/json", "responseJsonSchema": schema}
        self.assertEqual(build(ask(format=form))[0]["generationConfig"], wanted)
        self.assertEqual(build(ask(format=form, tools=(F,)), G3)[0]["generationConfig"], wanted)
        old = build(ask(format=form), "gemini-1.5-flash")[0]["generationConfig"]
        self.assertEqual(old["responseSchema"]["type"], "OBJECT")
        fields, built = build(ask(format=form, tools=(F,)))
        self.assertEqual([one["name"] for one in fields["tools"][0]["functionDeclarations"]], ["f", OUTPUT_TOOL])
        self.assertEqual(fields["toolConfig"], {"functionCallingConfig": {"mode": "ANY"}})
        self.assertEqual((fields.get("generationConfig"), built.dropped), (None, ()))

    def test_anyJSON(self) -> None:
        """An answer of any JSON: the media type, or beside functions of older models words in the instruction."""
        form = ResponseFormat("json_object")
        self.assertEqual(build(ask(format=form))[0]["generationConfig"], {"responseMimeType": "application/json"})
        fields, _ = build(ask(said("S", role="system"), said("Hi"), format=form, tools=(F,)))
        self.assertEqual(len(fields["systemInstruction"]["parts"]), 2)
        self.assertNotIn("generationConfig", fields)
        self.assertNotIn("generationConfig", build(ask(format=ResponseFormat("text")))[0])

    def test_gemmaHasNoThoughts(self) -> None:
        """What the model cannot do is told, unless nothing was asked for."""
        self.assertEqual(build(ask(reasoning=Reasoning(effort="high")), "gemma-3-27b-it")[1].dropped, ("reasoning",))
        self.assertEqual(build(ask(reasoning=Reasoning(effort="none")), "gemini-2.0-flash")[1].dropped, ())


class ThinkingTests(SynchronousTestCase):
    """Effort, budget and level by model family."""

    def test_table(self) -> None:
        """Each family gets what it takes, the nearest where it does not take what was asked."""
        table: list[tuple[str, Reasoning, dict[str, Any]]] = [
            ("gemini-2.5-flash", Reasoning(effort="none"), {"thinkingBudget": 0}),
            ("gemini-2.5-flash", Reasoning(effort="low"), {"thinkingBudget": 1024}),
            ("gemini-2.5-flash", Reasoning(effort="max"), {"thinkingBudget": 24576}),
            ("gemini-2.5-flash", Reasoning(budget=0), {"thinkingBudget": 0}),
            (
                "gemini-2.5-flash",
                Reasoning(adaptive=True, visible=True),
                {"includeThoughts": True, "thinkingBudget": -1},
            ),
            ("gemini-2.5-flash", Reasoning(adaptive=True, effort="high"), {"thinkingBudget": 24576}),
            (
                "gemini-2.5-flash",
                Reasoning(effort="medium", summary="auto"),
                {"includeThoughts": True, "thinkingBudget": 8192},
            ),
            ("gemini-2.5-flash-lite", Reasoning(budget=100), {"thinkingBudget": 512}),
            ("gemini-2.5-pro", Reasoning(effort="none"), {"thinkingBudget": 128}),
            ("gemini-2.5-pro", Reasoning(budget=99999), {"thinkingBudget": 32768}),
            ("models/gemini-2.5-pro", Reasoning(visible=False), {"includeThoughts": False}),
            ("gemini-3-pro-preview", Reasoning(effort="medium"), {"thinkingLevel": "HIGH"}),
            ("gemini-3-pro-preview", Reasoning(effort="none"), {"thinkingLevel": "LOW"}),
            ("gemini-3.1-pro-preview", Reasoning(effort="medium"), {"thinkingLevel": "MEDIUM"}),
            ("gemini-3.1-flash-lite", Reasoning(effort="none"), {"thinkingLevel": "MINIMAL"}),
            ("gemini-3-flash-preview", Reasoning(budget=0), {"thinkingLevel": "MINIMAL"}),
            ("gemini-3-flash-preview", Reasoning(budget=4096), {"thinkingLevel": "LOW"}),
            ("gemini-3-flash-preview", Reasoning(budget=20000), {"thinkingLevel": "HIGH"}),
            ("gemini-3-flash-preview", Reasoning(adaptive=True), {}),
            ("gemini-3.8-flash", Reasoning(effort="minimal"), {"thinkingLevel": "LOW"}),
            ("gemini-flash-latest", Reasoning(effort="xhigh"), {"thinkingLevel": "HIGH"}),
            ("gemini-4-hydrogen", Reasoning(effort="max"), {"thinkingLevel": "XHIGH"}),
            ("gemini-4-hydrogen", Reasoning(effort="odd"), {"thinkingLevel": "MEDIUM"}),
            ("gemini-2.5-flash-image", Reasoning(effort="none"), {}),
        ]
        for model, reasoning, expected in table:
            self.assertEqual(config(reasoning, family(model)), (expected, []), (model, reasoning))
