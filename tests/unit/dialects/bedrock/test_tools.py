"""Tools, tool choice, structured output and thinking, by what each family of models takes.

Edge cases of the checklist that are held here: 5, 11, 12, 13, 14, 15, 16, 17, 18, 27, 28, 29, 33, 34, 56, 57, 110, 126.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import (
    ChatRequest,
    Message,
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
from relay.dialects.bedrock.models import claude_version
from relay.dialects.bedrock.schemas import closed
from relay.dialects.bedrock.tools import ANSWER_TOOL, Names
from relay.dialects.codec import Target
from relay.errors import InvalidRequest
from tests.unit.dialects.bedrock.recorded import CLAUDE, NOVA, sent

OLD = Target("anthropic.claude-3-haiku-20240307-v1:0")
SONNET_4 = Target("us.anthropic.claude-sonnet-4-20250514-v1:0")
SONNET_46 = Target("us.anthropic.claude-sonnet-4-6")
OPUS_5 = Target("us.anthropic.claude-opus-5")
UNFORCED = Target("us.anthropic.claude-opus-5-5")
MISTRAL = Target("mistral.mistral-large-2407-v1:0")
LLAMA = Target("us.meta.llama3-3-70b-instruct-v1:0")
QWEN = Target("qwen.qwen3-32b-v1:0")
GPT = Target("openai.gpt-oss-120b-1:0")
PROFILE = Target("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123")

HI = Message("user", (Text("Hi"),))
F = Tool("f", "Does it.", b'{"type":"object","properties":{"a":{"type":"integer"}}}')
G = Tool("g")
SCHEMA = b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}'
CLOSED = {**json.loads(SCHEMA), "additionalProperties": False}


def body(target: Target = CLAUDE, *messages: Message, **fields: Any) -> dict[str, Any]:
    """What is sent."""
    return sent(ChatRequest("m", messages or (HI,), **fields), target)[0]


def lost(target: Target = CLAUDE, *messages: Message, **fields: Any) -> tuple[str, ...]:
    """What is told as lost."""
    return sent(ChatRequest("m", messages or (HI,), **fields), target)[1].dropped


def history(*calls: ToolCall, think: bool = False) -> tuple[Message, ...]:
    """A conversation that called tools."""
    thought = (Thinking("Hm.", Seal("bedrock", "s")),) if think else ()
    answers = tuple(ToolResult(call.id, (Text("r"),)) for call in calls)
    return HI, Message("assistant", (*thought, *calls)), Message("tool", answers)


class DeclarationTests(SynchronousTestCase):
    """``toolConfig.tools``."""

    def test_declared(self) -> None:
        """A tool has a name, a description if there is one, and a schema that is an object (12)."""
        self.assertEqual(
            body(tools=(F, G, Tool("h", parameters=b'{"properties":{}}'), Tool("i", parameters=b"null")))["toolConfig"],
            {
                "tools": [
                    {
                        "toolSpec": {
                            "name": "f",
                            "description": "Does it.",
                            "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "integer"}}}},
                        }
                    },
                    *(
                        {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}}
                        for name in "ghi"
                    ),
                ]
            },
        )

    def test_definitions(self) -> None:
        """``$defs`` and unknown keywords of a schema survive as they are (13)."""
        schema = b'{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}},"x":1.0}'
        spec = body(tools=(Tool("f", parameters=schema),))["toolConfig"]["tools"][0]["toolSpec"]
        self.assertEqual(spec["inputSchema"]["json"], json.loads(schema))

    def test_noTools(self) -> None:
        """No tools, no ``toolConfig``, whatever the choice (17, 126)."""
        self.assertNotIn("toolConfig", body(tool_choice=ToolChoice("auto")))
        self.assertNotIn("toolConfig", body(tool_choice=ToolChoice("required")))

    def test_historyWithoutTools(self) -> None:
        """Where calls stand in the conversation Converse wants them declared: by their names, as gone (18)."""
        got = body(CLAUDE, *history(ToolCall("c1", "f", "{}"), ToolCall("c2", "my tool")))
        specs = [tool["toolSpec"] for tool in got["toolConfig"]["tools"]]
        used = [block["toolUse"]["name"] for block in got["messages"][1]["content"]]
        self.assertEqual([spec["name"] for spec in specs], used)
        self.assertIn("cannot be called", specs[0]["description"])
        self.assertNotIn("toolChoice", got["toolConfig"])

    def test_strict(self) -> None:
        """Strict tools are closed where the model has them and the schema allows it; else that is told."""
        strict = Tool("f", parameters=SCHEMA, strict=True)
        spec = body(tools=(strict,))["toolConfig"]["tools"][0]["toolSpec"]
        self.assertEqual((spec["strict"], spec["inputSchema"]["json"]), (True, CLOSED))
        for target in (OPUS_5, NOVA, LLAMA):
            self.assertEqual(lost(target, tools=(strict,)), ("tools[].strict",))
        self.assertEqual(lost(tools=(Tool("f", parameters=b'{"type":"object"}', strict=True),)), ("tools[].strict",))
        self.assertEqual(lost(tools=(Tool("f", parameters=SCHEMA, strict=False),)), ())

    def test_foreignTools(self) -> None:
        """Tools that another provider runs cannot be declared, and are named (57)."""
        search = Tool("web_search", kind="web_search", origin="anthropic", native=b"{}")
        self.assertEqual(lost(tools=(F, search)), ("tools[].web_search",))
        own = Tool("", kind="system", origin="bedrock", native=b'{"systemTool":{"name":"nova_grounding"}}')
        self.assertEqual(body(NOVA, tools=(own,))["toolConfig"]["tools"], [{"systemTool": {"name": "nova_grounding"}}])

    def test_cached(self) -> None:
        """A cache point stands behind the tool it marks; Nova caches no tools."""
        marked = (Tool("f", cache=""), G)
        kinds = [next(iter(tool)) for tool in body(tools=marked)["toolConfig"]["tools"]]
        self.assertEqual(kinds, ["toolSpec", "cachePoint", "toolSpec"])
        self.assertEqual(lost(NOVA, tools=marked), ("cache_control",))

    def test_badSchema(self) -> None:
        """A schema that is no JSON is the client's mistake."""
        self.assertRaises(InvalidRequest, body, tools=(Tool("f", parameters=b"{"),))


class NameTests(SynchronousTestCase):
    """Bedrock's names: at most 64 letters, digits, ``_``, ``-`` (14)."""

    def test_changed(self) -> None:
        """Long and odd names are changed the same way everywhere, and mapped back."""
        long = "mcp__server__" + "x" * 70
        request = ChatRequest(
            "m",
            history(ToolCall("c1", long, "{}")),
            tools=(Tool(long), Tool("a.b"), Tool("ok")),
            tool_choice=ToolChoice("named", (long,)),
        )
        got, built = sent(request)
        names = [tool["toolSpec"]["name"] for tool in got["toolConfig"]["tools"]]
        self.assertEqual(got["messages"][1]["content"][0]["toolUse"]["name"], names[0])
        self.assertEqual(got["toolConfig"]["toolChoice"], {"tool": {"name": names[0]}})
        self.assertEqual(built.tool_names, {names[0]: long, names[1]: "a.b"})
        self.assertEqual((names[2], len(names[0])), ("ok", 64))

    @given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=5), st.booleans()), unique=True, max_size=12))
    @settings(max_examples=80, deadline=None)
    def test_always(self, wanted: list[tuple[str, str, bool]]) -> None:
        """Any names are sent as names that Bedrock takes, no two the same, and each is known again."""
        names = Names()
        given_names = [names.sent(*each) for each in [*wanted, (ANSWER_TOOL, "", False)]]
        self.assertEqual(len(set(given_names)), len(given_names))
        self.assertNotIn(ANSWER_TOOL, given_names)
        for (name, _, custom), got in zip(wanted, given_names, strict=False):
            self.assertRegex(got, r"^[a-zA-Z0-9_-]{1,64}$")
            shown = got.removeprefix("relay_custom_") if custom else got
            self.assertEqual(names.changed.get(shown, shown), name)
        self.assertEqual([names.sent(*each) for each in wanted], given_names[:-1])

    def test_ids(self) -> None:
        """Ids that Bedrock refuses are replaced in the call and in its result alike; Mistral wants nine signs."""
        for target, call in ((CLAUDE, "call|" + "x" * 80), (CLAUDE, ""), (MISTRAL, "tooluse_1")):
            turns = body(target, *history(ToolCall(call, "f", "{}")))["messages"]
            used = turns[1]["content"][0]["toolUse"]["toolUseId"]
            self.assertEqual(turns[2]["content"][0]["toolResult"]["toolUseId"], used)
            self.assertRegex(used, r"^[A-Za-z0-9]{9}$" if target is MISTRAL else r"^[a-zA-Z0-9_.:-]{1,64}$")
        kept = body(CLAUDE, *history(ToolCall("functions.f:0", "f")))["messages"][1]["content"][0]["toolUse"]
        self.assertEqual(kept["toolUseId"], "functions.f:0")


class ArgumentTests(SynchronousTestCase):
    """Arguments in the history (5, 11)."""

    def test_objects(self) -> None:
        """Arguments are objects with every digit kept; none and null are the empty one, other JSON is wrapped."""
        for text, sent_as in (
            ('{"a": 1.0, "b": 12345678901234567890123}', {"a": 1.0, "b": 12345678901234567890123}),
            ("", {}),
            ("null", {}),
            ("[1]", {"value": [1]}),
            ('{"a":"\ud83d"}', {"a": "\ufffd"}),
        ):
            use = body(CLAUDE, *history(ToolCall("c", "f", text)))["messages"][1]["content"][0]["toolUse"]
            self.assertEqual(use["input"], sent_as)

    def test_notJSON(self) -> None:
        """Arguments that are no JSON are the client's mistake, and said to be."""
        error = self.assertRaises(InvalidRequest, body, CLAUDE, *history(ToolCall("c", "f", '{"a":')))
        self.assertEqual(error.param, "messages[].tool_calls")

    def test_freeText(self) -> None:
        """A tool that takes free text is a function with one argument, under a name that the reader knows."""
        call = ToolCall("c", "patch", "*** Begin", custom=True)
        got = body(CLAUDE, *history(call), tools=(Tool("patch", kind="custom"),))
        use = got["messages"][1]["content"][0]["toolUse"]
        self.assertEqual((use["name"], use["input"]), ("relay_custom_patch", {"input": "*** Begin"}))
        spec = got["toolConfig"]["tools"][0]["toolSpec"]
        self.assertEqual((spec["name"], spec["inputSchema"]["json"]["required"]), ("relay_custom_patch", ["input"]))


class ChoiceTests(SynchronousTestCase):
    """``toolConfig.toolChoice`` (15, 16, 110)."""

    def choice(self, target: Target, mode: str, *names: str, **fields: Any) -> tuple[Any, list[str], tuple[str, ...]]:
        """The choice sent, the tools declared, and what is lost."""
        fields = {"tools": (F, G), "tool_choice": ToolChoice(mode, names), **fields}
        config = body(target, **fields).get("toolConfig", {"tools": []})
        return config.get("toolChoice"), [t["toolSpec"]["name"] for t in config["tools"]], lost(target, **fields)

    def test_claudeAndNova(self) -> None:
        """They take every form; where nobody knows the model, what is asked is sent."""
        for target in (OLD, CLAUDE, OPUS_5, NOVA, PROFILE):
            self.assertEqual(self.choice(target, "auto"), ({"auto": {}}, ["f", "g"], ()))
            self.assertEqual(self.choice(target, "required"), ({"any": {}}, ["f", "g"], ()))
            self.assertEqual(self.choice(target, "named", "g"), ({"tool": {"name": "g"}}, ["f", "g"], ()))

    def test_mistral(self) -> None:
        """It knows no named tool: any of the one that is left."""
        self.assertEqual(self.choice(MISTRAL, "named", "g"), ({"any": {}}, ["g"], ()))

    def test_others(self) -> None:
        """They take no choice: auto goes without saying, the rest is told, and only a named tool is shown."""
        for target in (LLAMA, QWEN, GPT):
            self.assertEqual(self.choice(target, "auto"), (None, ["f", "g"], ()))
            self.assertEqual(self.choice(target, "required"), (None, ["f", "g"], ("tool_choice",)))
            self.assertEqual(self.choice(target, "named", "g"), (None, ["g"], ("tool_choice",)))
        self.assertEqual(self.choice(UNFORCED, "required"), (None, ["f", "g"], ("tool_choice",)))

    def test_none(self) -> None:
        """Converse knows no ``none``: tools are left out, but where the conversation needs them."""
        self.assertEqual(self.choice(CLAUDE, "none"), (None, [], ()))
        fields: dict[str, Any] = {"tools": (F,), "tool_choice": ToolChoice("none")}
        got = body(CLAUDE, *history(ToolCall("c", "f")), **fields)
        self.assertEqual([*got["toolConfig"]], ["tools"])
        self.assertEqual(lost(CLAUDE, *history(ToolCall("c", "f")), **fields), ("tool_choice",))

    def test_allowedTools(self) -> None:
        """A list of allowed tools is the list of those declared."""
        self.assertEqual(self.choice(CLAUDE, "required", "g"), ({"any": {}}, ["g"], ()))

    def test_oneAtATime(self) -> None:
        """Claude is told in its own form, which may not stand beside Converse's; others cannot be told."""
        for choice, own in (
            (None, {"type": "auto"}),
            (ToolChoice("required"), {"type": "any"}),
            (ToolChoice("named", ("f",)), {"type": "tool", "name": "f"}),
        ):
            got = body(tools=(F,), tool_choice=choice, parallel=False)
            self.assertEqual(
                got["additionalModelRequestFields"], {"tool_choice": {**own, "disable_parallel_tool_use": True}}
            )
            self.assertNotIn("toolChoice", got["toolConfig"])
        self.assertNotIn("additionalModelRequestFields", body(parallel=False))
        self.assertEqual(lost(NOVA, tools=(F,), parallel=False), ("parallel",))
        self.assertEqual(lost(NOVA, tools=(F,), parallel=True), ())


class StructuredOutputTests(SynchronousTestCase):
    """``response_format`` and its like (33, 34)."""

    WANTED = ResponseFormat("json_schema", SCHEMA, "trip", "A trip.", strict=True)

    def test_native(self) -> None:
        """Where the model has it, the schema is sent closed, as text."""
        for target in (CLAUDE, QWEN, GPT):
            wanted = body(target, format=self.WANTED)["outputConfig"]["textFormat"]
            self.assertEqual(wanted["type"], "json_schema")
            definition = wanted["structure"]["jsonSchema"]
            self.assertEqual(json.loads(definition["schema"]), CLOSED)
            self.assertEqual((definition["name"], definition["description"]), ("trip", "A trip."))

    def test_forcedTool(self) -> None:
        """Elsewhere a tool that only relay knows is forced; beside the client's tools one of all must be called."""
        for target in (OLD, SONNET_46, OPUS_5, NOVA):
            got = body(target, format=self.WANTED)
            (tool,) = got["toolConfig"]["tools"]
            self.assertEqual(tool["toolSpec"]["name"], ANSWER_TOOL)
            self.assertEqual(tool["toolSpec"]["inputSchema"]["json"], json.loads(SCHEMA))
            self.assertEqual(got["toolConfig"]["toolChoice"], {"tool": {"name": ANSWER_TOOL}})
        self.assertEqual(body(NOVA, format=self.WANTED, tools=(F,))["toolConfig"]["toolChoice"], {"any": {}})
        self.assertEqual(body(MISTRAL, format=self.WANTED)["toolConfig"]["toolChoice"], {"any": {}})
        alone = body(NOVA, format=self.WANTED, tools=(F,), tool_choice=ToolChoice("none"))
        self.assertEqual([t["toolSpec"]["name"] for t in alone["toolConfig"]["tools"]], [ANSWER_TOOL])

    def test_inWords(self) -> None:
        """Where neither is possible the model is asked in words; so it is for any JSON."""
        for target in (LLAMA, UNFORCED):
            system = body(target, format=self.WANTED)["system"]
            self.assertIn(SCHEMA.decode(), system[-1]["text"])
        got = body(format=ResponseFormat("json_object"))
        self.assertIn("JSON object", got["system"][0]["text"])
        self.assertNotIn("toolConfig", got)

    def test_text(self) -> None:
        """Plain text asks for nothing (126)."""
        self.assertEqual([*body(format=ResponseFormat("text"))], ["messages"])

    def test_schemasThatCannotBeClosed(self) -> None:
        """Open maps, bounds and recursion are not for structured output: the tool is used for them."""
        inner: dict[str, Any] = {"type": "object", "properties": {"b": {"$ref": "#/$defs/N"}}}
        odd: tuple[dict[str, Any], ...] = (
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object", "properties": {}, "additionalProperties": True},
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}},
            {"type": "object", "properties": {"a": {"type": "array", "minItems": 2}}},
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/N"}}, "$defs": {"N": inner}},
            {"type": "object", "properties": {"a": {"$ref": "#"}}},
            {"oneOf": []},
        )
        for schema in odd:
            text = json.dumps(schema).encode()
            self.assertIsNone(closed(text), text)
            got = body(format=ResponseFormat("json_schema", text))
            self.assertEqual(got["toolConfig"]["tools"][0]["toolSpec"]["name"], ANSWER_TOOL)

    def test_closed(self) -> None:
        """Every object is closed, in lists, alternatives and definitions, too."""
        leaf = {"type": "object", "properties": {"x": {"type": ["string", "null"]}}}
        done = {**leaf, "additionalProperties": False}
        schema = {
            "type": "object",
            "properties": {"a": {"type": "array", "items": leaf}, "b": {"anyOf": [leaf, {"$ref": "#/$defs/L"}]}},
            "$defs": {"L": leaf},
        }
        self.assertEqual(
            closed(json.dumps(schema).encode()),
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": done}, "b": {"anyOf": [done, {"$ref": "#/$defs/L"}]}},
                "$defs": {"L": done},
                "additionalProperties": False,
            },
        )


class ThinkingTests(SynchronousTestCase):
    """Reasoning effort and budgets (27, 28, 29, 56)."""

    def fields(self, target: Target, wish: Reasoning, **others: Any) -> Any:
        """What goes beside Converse's own fields."""
        return body(target, reasoning=wish, **others).get("additionalModelRequestFields")

    def test_budgets(self) -> None:
        """Up to Claude 4.5 thinking has a budget: at least 1024, below the limit, which gives way if it must."""
        for wish, limit, budget, raised in (
            (Reasoning("low"), None, 2048, None),
            (Reasoning("medium"), 32000, 8192, 32000),
            (Reasoning("high"), 4096, 2048, 4096),
            (Reasoning("high"), 100, 1024, 1124),
            (Reasoning(budget=5000), 4096, 4095, 4096),
            (Reasoning(budget=10), None, 1024, None),
            (Reasoning(adaptive=True), 32000, 16000, 32000),
        ):
            got = body(SONNET_4, reasoning=wish, max_tokens=limit)
            fields = {"thinking": {"type": "enabled", "budget_tokens": budget}}
            self.assertEqual(got["additionalModelRequestFields"], fields)
            self.assertEqual(got.get("inferenceConfig", {}).get("maxTokens"), raised)

    def test_adaptive(self) -> None:
        """From 4.6 on Claude thinks as it sees fit, at an effort; from 4.7 on it takes no budget."""
        adaptive = {"type": "adaptive"}
        for target, wish, expected in (
            (SONNET_46, Reasoning("low"), {"thinking": adaptive, "output_config": {"effort": "low"}}),
            (SONNET_46, Reasoning("xhigh"), {"thinking": adaptive, "output_config": {"effort": "high"}}),
            (SONNET_46, Reasoning(adaptive=True), {"thinking": adaptive}),
            (SONNET_46, Reasoning(budget=3000), {"thinking": {"type": "enabled", "budget_tokens": 3000}}),
            (OPUS_5, Reasoning("minimal"), {"thinking": adaptive, "output_config": {"effort": "low"}}),
            (OPUS_5, Reasoning("xhigh"), {"thinking": adaptive, "output_config": {"effort": "xhigh"}}),
            (OPUS_5, Reasoning(budget=3000), {"thinking": adaptive, "output_config": {"effort": "medium"}}),
            (
                OPUS_5,
                Reasoning("high", visible=True),
                {"thinking": {**adaptive, "display": "summarized"}, "output_config": {"effort": "high"}},
            ),
            (OPUS_5, Reasoning(adaptive=True, visible=False), {"thinking": {**adaptive, "display": "omitted"}}),
        ):
            self.assertEqual(self.fields(target, wish), expected)

    def test_otherFamilies(self) -> None:
        """Nova 2 and OpenAI's models have fields of their own; where there is none, that is told."""
        config = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
        self.assertEqual(self.fields(NOVA, Reasoning("minimal")), config)
        self.assertEqual(self.fields(GPT, Reasoning("high")), {"reasoning_effort": "high"})
        self.assertEqual(self.fields(GPT, Reasoning("none")), {"reasoning_effort": "none"})
        for target in (OLD, LLAMA, Target("us.amazon.nova-pro-v1:0")):
            self.assertEqual(lost(target, reasoning=Reasoning("high")), ("reasoning",))

    def test_novasHighest(self) -> None:
        """Nova's highest effort takes neither limit nor sampling; a limit counts for more than the effort."""
        got = body(NOVA, reasoning=Reasoning("high"), temperature=0.3)
        self.assertNotIn("inferenceConfig", got)
        self.assertEqual(lost(NOVA, reasoning=Reasoning("high"), temperature=0.3), ("temperature",))
        limited = body(NOVA, reasoning=Reasoning("high"), max_tokens=50)
        self.assertEqual(limited["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"], "medium")
        self.assertEqual(lost(NOVA, reasoning=Reasoning("high"), max_tokens=50), ("reasoning",))

    def test_off(self) -> None:
        """No thinking is the default, and asks for nothing; so does a wish that is only about showing it."""
        for wish in (
            Reasoning("none"),
            Reasoning(budget=0),
            Reasoning(),
            Reasoning(summary="auto"),
            Reasoning(visible=True),
        ):
            for target in (OLD, SONNET_4, SONNET_46, OPUS_5, NOVA, LLAMA):
                self.assertIsNone(self.fields(target, wish))
                self.assertEqual(lost(target, reasoning=wish), ())

    def test_samplingWhileThinking(self) -> None:
        """Claude samples not while it thinks: a temperature of 1 is what it does, others are lost (28)."""
        got = body(SONNET_4, reasoning=Reasoning("low"), temperature=1.0, top_k=5)
        self.assertNotIn("inferenceConfig", got)
        self.assertEqual(lost(SONNET_4, reasoning=Reasoning("low"), temperature=1.0), ())
        self.assertEqual(lost(SONNET_4, reasoning=Reasoning("low"), temperature=0.5, top_k=5), ("temperature", "top_k"))

    def test_forcedTools(self) -> None:
        """With a budget no tool can be forced: the tool counts for more. Adaptive thinking has no such rule (28)."""
        fields: dict[str, Any] = {"tools": (F,), "tool_choice": ToolChoice("required"), "reasoning": Reasoning("low")}
        self.assertNotIn("additionalModelRequestFields", body(SONNET_4, **fields))
        self.assertEqual(lost(SONNET_4, **fields), ("reasoning",))
        self.assertEqual(lost(SONNET_46, **fields), ())

    def test_callsWithoutTheirThinking(self) -> None:
        """A turn that called tools must begin with its signed thinking; without it, this call does without (29)."""
        fields: dict[str, Any] = {"tools": (F,), "reasoning": Reasoning("low")}
        bare, kept = history(ToolCall("c", "f")), history(ToolCall("c", "f"), think=True)
        self.assertEqual(lost(SONNET_4, *bare, **fields), ("reasoning",))
        self.assertEqual(lost(SONNET_4, *kept, **fields), ())
        self.assertEqual(lost(SONNET_46, *bare, **fields), ())

    def test_besideOneAtATime(self) -> None:
        """Thinking and a limit to one call share ``additionalModelRequestFields``."""
        got = body(SONNET_46, tools=(F,), parallel=False, reasoning=Reasoning("low"))
        self.assertEqual(sorted(got["additionalModelRequestFields"]), ["output_config", "thinking", "tool_choice"])


class ModelTests(SynchronousTestCase):
    """Which model is which."""

    def test_versions(self) -> None:
        """Claude's versions are read from ids of every age; an unknown one counts as the newest."""
        for name, version in (
            ("anthropic.claude-instant-v1", (1, 0)),
            ("anthropic.claude-v2:1", (2, 0)),
            ("anthropic.claude-3-haiku-20240307-v1:0", (3, 0)),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", (3, 7)),
            ("anthropic.claude-sonnet-4-20250514-v1:0", (4, 0)),
            ("anthropic.claude-opus-4-1-20250805-v1:0", (4, 1)),
            ("global.anthropic.claude-opus-4-6-v1", (4, 6)),
            ("anthropic.claude-opus-5-5", (5, 5)),
        ):
            self.assertEqual(claude_version(name), version, name)
        self.assertGreater(claude_version("anthropic.claude-mythos-preview"), (9, 0))

    def test_arn(self) -> None:
        """An ARN that names its model is read like the model's id."""
        arn = Target(
            "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0"
        )
        got = body(arn, reasoning=Reasoning("low"))["additionalModelRequestFields"]["thinking"]
        self.assertEqual(got["type"], "enabled")
