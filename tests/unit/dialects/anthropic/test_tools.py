"""Tools, their names and the choice among them; edge cases 12 to 18 and 57."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Message, Text, Tool, ToolCall, ToolChoice, ToolResult
from relay.dialects.anthropic.request import NAMES
from relay.provider import Quirk
from tests.unit.dialects.anthropic.messages import NEW, OLD, sent

F = Tool("f", "d", b'{"type":"object","properties":{"a":{"type":"integer"}}}')


def declared(*tools: Tool, **fields: Any) -> list[dict[str, Any]]:
    """Declarations that are sent."""
    found: list[dict[str, Any]] = sent(tools=tools, **fields)[0].get("tools", [])
    return found


class DeclarationTests(SynchronousTestCase):
    """What is declared."""

    def test_schema(self) -> None:
        """A schema always has a type and properties (12)."""
        empty = {"type": "object", "properties": {}}
        for given, expected in (
            (b"", empty),
            (b"{}", empty),
            (b'{"type":"object"}', empty),
            (b'{"properties":{"a":{}}}', {"type": "object", "properties": {"a": {}}}),
            (b'{"type":"object","properties":{"a":{}}}', {"type": "object", "properties": {"a": {}}}),
            (b"broken", empty),
        ):
            self.assertEqual(declared(Tool("f", parameters=given)), [{"name": "f", "input_schema": expected}], given)

    def test_definitions(self) -> None:
        """Definitions and references survive as they are (13)."""
        schema = b'{"$defs":{"x":{"type":"object"}},"type":"object","properties":{"a":{"$ref":"#/$defs/x"}}}'
        self.assertEqual(declared(Tool("f", parameters=schema))[0]["input_schema"], json.loads(schema))

    def test_names(self) -> None:
        """Names that the provider refuses are changed, and the change is known; no two become one (14)."""
        long = "mcp__" + "x" * 140
        fields, built = sent(tools=(Tool("a.b"), Tool("a b"), Tool(long), Tool("ok-1")))
        names = [tool["name"] for tool in fields["tools"]]
        self.assertEqual((names[0], names[3]), ("a_b", "ok-1"))
        self.assertTrue(all(len(name) <= 128 for name in names))
        self.assertEqual(len(set(names)), 4)
        self.assertEqual(built.tool_names, {names[0]: "a.b", names[1]: "a b", names[2]: long})

    def test_namesInHistory(self) -> None:
        """The history and the choice call a tool by the name that was sent (14)."""
        fields, _ = sent(
            Message("user", (Text("Hi"),)),
            Message("assistant", (ToolCall("t", "a.b"),)),
            Message("tool", (ToolResult("t"),)),
            tools=(Tool("a.b"),),
            tool_choice=ToolChoice("named", ("a.b",)),
        )
        self.assertEqual(fields["messages"][1]["content"][0]["name"], "a_b")
        self.assertEqual(fields["tool_choice"], {"type": "tool", "name": "a_b"})

    def test_namespaces(self) -> None:
        """Tools of the same name in different groups are told apart."""
        fields, built = sent(tools=(Tool("f", namespace="one"), Tool("f", namespace="two"), Tool("g", namespace="one")))
        self.assertEqual([tool["name"] for tool in fields["tools"]], ["one__f", "two__f", "g"])
        self.assertEqual(built.tool_names, {"one__f": "f", "two__f": "f"})

    def test_freeText(self) -> None:
        """A tool that takes free text is a function with one string; its calls in the history, too."""
        tool = Tool("patch", "d", kind="custom", origin="responses", native=b'{"type":"grammar"}')
        fields, built = sent(
            Message("user", (Text("Hi"),)),
            Message("assistant", (ToolCall("t", "patch", "*** Begin", custom=True),)),
            Message("tool", (ToolResult("t", (Text("ok"),), custom=True),)),
            tools=(tool,),
        )
        self.assertEqual(fields["tools"][0]["name"], "relay_text_patch")
        self.assertEqual(fields["tools"][0]["input_schema"]["required"], ["input"])
        call = fields["messages"][1]["content"][0]
        self.assertEqual((call["name"], call["input"]), ("relay_text_patch", {"input": "*** Begin"}))
        self.assertEqual(built.dropped, ("tools[0].format",))

    def test_served(self) -> None:
        """Tools that the provider runs are declared in its own way; what it lacks is told (57)."""
        search = Tool("web_search", kind="web_search", origin="responses", native=b'{"type":"web_search","filters":{}}')
        own = Tool("bash", kind="bash", origin="anthropic", native=b'{"type":"bash_20250124","name":"bash"}')
        fields, built = sent(tools=(search, own, Tool("image_generation", kind="image_generation", origin="responses")))
        self.assertEqual(
            fields["tools"],
            [{"type": "web_search_20250305", "name": "web_search"}, {"type": "bash_20250124", "name": "bash"}],
        )
        self.assertEqual(built.dropped, ("tools[2]",))
        narrow = Tool(
            "web_search", kind="web_search", native=b'{"type":"web_search","filters":{"allowed_domains":["a"]}}'
        )
        self.assertEqual(sent(tools=(narrow,))[1].dropped, ("tools[0].filters",))
        code = Tool("code_execution", kind="code_execution", origin="gemini")
        self.assertEqual(declared(code)[0]["type"], "code_execution_20250825")
        self.assertEqual(sent(tools=(code,), quirks=[Quirk.VERTEX])[1].dropped, ("tools[0]",))

    def test_strict(self) -> None:
        """Strict tools are closed where the model has them, and told where it does not."""
        tool = Tool("f", parameters=b'{"type":"object","properties":{"a":{"type":"integer","minimum":1}}}', strict=True)
        self.assertEqual(sent(tools=(tool,))[1].dropped, ("tools[0].strict",))
        (found,) = declared(tool, model=NEW)
        self.assertIs(found["strict"], True)
        self.assertIs(found["input_schema"]["additionalProperties"], False)
        self.assertNotIn("minimum", found["input_schema"]["properties"]["a"])
        (own,) = declared(tool, model=NEW, names=NAMES)
        self.assertEqual(own["input_schema"], json.loads(tool.parameters))
        self.assertNotIn("strict", declared(Tool("f", strict=False))[0])

    def test_none(self) -> None:
        """Without tools there is no field, for ``tools: []`` is refused (126); history with calls needs none (18)."""
        self.assertNotIn("tools", sent()[0])
        fields, built = sent(
            Message("user", (Text("Hi"),)),
            Message("assistant", (ToolCall("t", "f"),)),
            Message("tool", (ToolResult("t"),)),
        )
        self.assertNotIn("tools", fields)
        self.assertEqual(built.dropped, ())


class ChoiceTests(SynchronousTestCase):
    """Which tool is to be called."""

    def test_modes(self) -> None:
        """Each mode has its type (15)."""
        for choice, expected in (
            (None, None),
            (ToolChoice("auto"), {"type": "auto"}),
            (ToolChoice("required"), {"type": "any"}),
            (ToolChoice("none"), {"type": "none"}),
            (ToolChoice("named", ("f",)), {"type": "tool", "name": "f"}),
        ):
            self.assertEqual(sent(tools=(F,), tool_choice=choice)[0].get("tool_choice"), expected)

    def test_parallel(self) -> None:
        """One call at a time needs a choice, and tools (16)."""
        off = {"disable_parallel_tool_use": True}
        for choice, parallel, expected in (
            (None, False, {"type": "auto", **off}),
            (ToolChoice("required"), False, {"type": "any", **off}),
            (ToolChoice("none"), False, {"type": "none"}),
            (None, True, None),
            (ToolChoice("auto"), True, {"type": "auto", "disable_parallel_tool_use": False}),
        ):
            fields, _ = sent(tools=(F,), tool_choice=choice, parallel=parallel)
            self.assertEqual(fields.get("tool_choice"), expected, (choice, parallel))
        self.assertNotIn("tool_choice", sent(parallel=False)[0])

    def test_withoutTools(self) -> None:
        """A choice among no tools is refused by the provider and not sent (17)."""
        fields, built = sent(tool_choice=ToolChoice("required"))
        self.assertNotIn("tool_choice", fields)
        self.assertEqual(built.dropped, ("tool_choice",))
        self.assertEqual(sent(tool_choice=ToolChoice("auto"))[1].dropped, ())

    def test_allowed(self) -> None:
        """Only the tools that are allowed are declared."""
        fields, _ = sent(tools=(F, Tool("g")), tool_choice=ToolChoice("required", ("g",)))
        self.assertEqual([tool["name"] for tool in fields["tools"]], ["g"])
        self.assertEqual(fields["tool_choice"], {"type": "any"})

    def test_unforced(self) -> None:
        """Models that refuse a forced call get the choice left to them, and it is told (28)."""
        for model, forced in ((OLD, True), (NEW, True), ("claude-opus-5-5", False), ("claude-haiku-5-5", True)):
            fields, built = sent(model=model, tools=(F,), tool_choice=ToolChoice("named", ("f",)))
            self.assertEqual(fields["tool_choice"]["type"], "tool" if forced else "auto", model)
            self.assertEqual(built.dropped, () if forced else ("tool_choice",), model)
