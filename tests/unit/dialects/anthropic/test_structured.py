"""Structured output: natively, by a tool, or by words; edge cases 33 and 34."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Finish, ResponseFormat, Text, Tool, ToolCall, ToolChoice
from relay.dialects.anthropic.request import NAMES
from relay.dialects.anthropic.schemas import closed
from relay.dialects.anthropic.understanding import parse
from relay.dialects.codec import Target
from tests.unit.dialects.anthropic.messages import NEW, OLD, assembled, read, sent, streamed

SCHEMA = b'{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'
FORM = ResponseFormat("json_schema", SCHEMA, name="n", strict=True)
OUTPUT = "relay_structured_output"


def fit(schema: Any) -> Any:
    """A schema after fitting, None if there is no way."""
    found = closed(json.dumps(schema).encode())
    return None if found is None else json.loads(found)


class SchemaTests(SynchronousTestCase):
    """What a schema becomes."""

    def test_closed(self) -> None:
        """Every object is closed, wherever it is (34)."""
        inner = {"type": "object", "properties": {"x": {"type": "string"}}}
        shut = {**inner, "additionalProperties": False}
        given = {
            "$defs": {"d": inner},
            "type": "object",
            "properties": {"a": {"type": "array", "items": inner}, "b": {"anyOf": [inner, {"type": "null"}]}},
            "required": ["a"],
        }
        found = fit(given)
        self.assertEqual((found["additionalProperties"], found["required"]), (False, ["a"]))
        self.assertEqual(found["$defs"]["d"], shut)
        self.assertEqual(found["properties"]["a"]["items"], shut)
        self.assertEqual(found["properties"]["b"]["anyOf"], [shut, {"type": "null"}])

    def test_constraints(self) -> None:
        """What is refused is said in the description; what says nothing goes."""
        for given, expected in (
            ({"type": "integer", "minimum": 1}, {"type": "integer", "description": "{minimum: 1}"}),
            (
                {"type": "string", "description": "d", "maxLength": 3, "format": "uri", "$comment": "c"},
                {"type": "string", "description": "d\n\n{maxLength: 3}", "format": "uri"},
            ),
            ({"type": "string", "format": "color"}, {"type": "string", "description": '{format: "color"}'}),
            ({"type": "array", "items": {}, "minItems": 1}, {"type": "array", "items": {}, "minItems": 1}),
            ({"oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}),
            ({"enum": ["a", 1]}, {"enum": ["a", 1]}),
        ):
            self.assertEqual(fit({"type": "object", "properties": {"p": given}})["properties"]["p"], expected)

    def test_impossible(self) -> None:
        """Recursion, maps of any keys and what is no schema have no form."""
        tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}
        impossible: tuple[Any, ...] = (
            {"$ref": "#/$defs/tree", "$defs": {"tree": tree}},
            {"type": "object", "properties": {"me": {"$ref": "#"}}},
            {"type": "object", "properties": {"a": {"$ref": "https://x/y"}}},
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "object", "properties": []},
            {"anyOf": {}},
            [],
            {"type": "object", "properties": {"a": True}},
        )
        for given in impossible:
            self.assertIsNone(fit(given), given)
        self.assertIsNone(closed(b"broken"))

    def test_shared(self) -> None:
        """A definition that is used twice is not recursive."""
        leaf = {"$ref": "#/$defs/leaf"}
        self.assertIsNotNone(
            fit({"type": "object", "properties": {"a": leaf, "b": leaf}, "$defs": {"leaf": {"type": "string"}}})
        )


class RequestTests(SynchronousTestCase):
    """How it is asked for (33)."""

    def test_native(self) -> None:
        """Newer models have a field for it; this dialect's own schema is not touched."""
        fields, built = sent(model=NEW, format=FORM)
        self.assertEqual(
            fields["output_config"],
            {"format": {"type": "json_schema", "schema": {**json.loads(SCHEMA), "additionalProperties": False}}},
        )
        self.assertEqual((built.dropped, "tools" in fields), ((), False))
        own, _ = sent(model=NEW, format=FORM, names=NAMES)
        self.assertEqual(own["output_config"]["format"]["schema"], json.loads(SCHEMA))

    def test_tool(self) -> None:
        """Older models must call a tool; beside other tools, one of them."""
        fields, _ = sent(format=FORM)
        self.assertEqual(fields["tools"][0]["name"], OUTPUT)
        self.assertEqual(fields["tools"][0]["input_schema"], json.loads(SCHEMA))
        self.assertEqual(fields["tool_choice"], {"type": "tool", "name": OUTPUT})
        fields, _ = sent(format=FORM, tools=(Tool("f"),), parallel=False)
        self.assertEqual([tool["name"] for tool in fields["tools"]], ["f", OUTPUT])
        self.assertEqual(fields["tool_choice"], {"type": "any", "disable_parallel_tool_use": True})
        fields, _ = sent(format=FORM, tools=(Tool("f"),), tool_choice=ToolChoice("named", ("f",)))
        self.assertEqual(fields["tool_choice"], {"type": "tool", "name": "f"})

    def test_words(self) -> None:
        """Where neither goes, and for JSON without a schema, the system prompt says it."""
        listed = ResponseFormat("json_schema", b'{"type":"array"}')
        self.assertIn('{"type":"array"}', sent(format=listed)[0]["system"])
        recursive = ResponseFormat("json_schema", b'{"type":"object","properties":{"me":{"$ref":"#"}}}')
        self.assertIn("JSON Schema", sent(model="claude-opus-5-5", format=recursive)[0]["system"])
        self.assertEqual(sent(model=NEW, format=recursive)[0]["tools"][0]["name"], OUTPUT)
        fields, _ = sent(model=NEW, format=ResponseFormat("json_object"))
        self.assertIn("JSON object", fields["system"])
        unforced, _ = sent(format=FORM, tools=(Tool("f"),), tool_choice=ToolChoice("none"))
        self.assertIn("JSON Schema", unforced["system"])

    def test_text(self) -> None:
        """Plain text is what there is anyway (126)."""
        self.assertEqual(sent(format=ResponseFormat("text")), sent())


class AnswerTests(SynchronousTestCase):
    """The tool's input is the text, and no tool was called (33)."""

    def test_whole(self) -> None:
        """A whole answer."""
        for others, finish in (
            ([], Finish.STOP),
            ([{"type": "tool_use", "id": "u", "name": "f", "input": {}}], Finish.TOOL_CALLS),
        ):
            content = [{"type": "tool_use", "id": "t", "name": OUTPUT, "input": {"a": 1}}, *others]
            body = json.dumps({"content": content, "stop_reason": "tool_use"}).encode()
            (choice,) = parse(body, Target(OLD)).choices
            self.assertEqual((choice.parts[0], choice.finish), (Text('{"a": 1}'), finish))

    def test_streamed(self) -> None:
        """A streamed one."""
        block = {"type": "tool_use", "id": "t", "name": OUTPUT, "input": {}}
        data = streamed(
            {"type": "message_start", "message": {}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ":1}"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
            {"type": "message_stop"},
        )
        (choice,) = assembled(read(data)).choices
        self.assertEqual((choice.parts, choice.finish), ((Text('{"a":1}'),), Finish.STOP))

    def test_freeText(self) -> None:
        """A tool that takes free text gets its text back, whole and streamed."""
        block = {"type": "tool_use", "id": "t", "name": "relay_text_patch", "input": {"input": "*** é\n"}}
        whole = parse(json.dumps({"content": [block], "stop_reason": "tool_use"}).encode(), Target(OLD))
        data = streamed(
            {"type": "content_block_start", "index": 0, "content_block": {**block, "input": {}}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"inp'}},
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": 'ut":"*** \\u00e9\\n"}'},
            },
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        )
        expected = (ToolCall("t", "patch", "*** é\n", custom=True),)
        self.assertEqual(whole.choices[0].parts, expected)
        self.assertEqual(assembled(read(data)).choices, whole.choices)
