"""Claude Code's and Codex' own requests, with tool loops, at providers of other dialects.

The provider is one that refuses what the real one would refuse (see `tests.integration.upstreams`).
"""

from __future__ import annotations

import atexit
import functools
import json
from collections.abc import Mapping
from typing import Any

import attrs
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.agents import BILLING, CLAUDE_HEADERS, CLAUDE_TOOLS, CODEX_HEADERS, claude_code, codex
from tests.integration.servers import folder, started
from tests.integration.twistd import Answer, Twistd
from tests.integration.upstreams import CheckingProvider, Sent, check, tool_names
from tests.unit.dialects.anthropic.messages import checked

MODELS: Mapping[str, tuple[str, str]] = {
    "openai": ("openai", "gpt-5.5"),
    "gemini": ("gemini", "gemini-3-pro"),
    "bedrock": ("bedrock", "anthropic.claude-sonnet-4-6"),
    "newest": ("bedrock", "us.anthropic.claude-opus-4-7-v1:0"),
    "anthropic": ("anthropic", "claude-sonnet-4-6"),
}
"""Provider → the dialect it speaks, and a model there."""

THINKERS = ("gemini", "bedrock", "newest")
"""Providers whose answers begin with a signed thought when the model may think as it likes."""

PROOF = "ZWNobw=="
"""What the echo signs its thoughts with."""

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
"""May come at any time."""

LOST_OF_CLAUDE_CODE: Mapping[str, set[str]] = {
    "openai": {"context_management", "metadata.user_id", "cache_control"},
    "gemini": {"context_management", "metadata.user_id", "cache_control"},
    "bedrock": {"context_management", "metadata.user_id", "anthropic_beta"},
    "newest": {"context_management", "metadata.user_id", "anthropic_beta"},
    "anthropic": set(),
}
"""Provider → what it has no place for."""

LOST_OF_CODEX: Mapping[str, set[str]] = {
    "openai": {
        "client_metadata",
        "tools[].format",
        "tools[].web_search",
        "reasoning.summary",
        "reasoning.encrypted_content",
    },
    "gemini": {
        "client_metadata",
        "prompt_cache_key",
        "text.verbosity",
        "tools[].format",
        "tools[].web_search.external_web_access",
    },
    "anthropic": {
        "client_metadata",
        "prompt_cache_key",
        "text.verbosity",
        "tools[4].format",
        "tools[9].external_web_access",
    },
    "bedrock": {"client_metadata", "prompt_cache_key", "text.verbosity", "tools[].web_search"},
    "newest": {"client_metadata", "prompt_cache_key", "text.verbosity", "tools[].web_search"},
}


@functools.cache
def provider() -> CheckingProvider:
    """The provider of all."""
    made = CheckingProvider()
    atexit.register(made.close)
    return made


@functools.cache
def relay() -> Twistd:
    """A relay that reaches it under each name."""
    directory = folder()
    rows = [
        {"name": name, "baseUrl": provider().url, "dialect": dialect, "auth": {"scheme": "none"}}
        for name, (dialect, _) in MODELS.items()
    ]
    (directory / "relay.json").write_text(json.dumps({"providers": rows}), "utf-8")
    return started(Twistd(["--config=relay.json"], directory=directory))


@attrs.define
class Turn:
    """One request and what came of it."""

    answer: Answer
    sent: Sent

    @property
    def dropped(self) -> set[str]:
        """What relay says it could not carry."""
        return {name for name in self.answer.headers.get("x-relay-dropped", "").split(", ") if name}


class AgentCase(SynchronousTestCase):
    """An agent that asks."""

    def ask(self, path: str, fields: dict[str, Any], headers: Mapping[str, str], tool: str) -> Turn:
        """One streamed request, which the provider must have taken."""
        provider().tool = tool
        provider().problems.clear()
        answer = relay().post(path, fields, headers)
        self.assertEqual((answer.status, provider().problems), (200, []), answer.body[:300])
        self.assertTrue(answer.headers["content-type"].startswith("text/event-stream"))
        return Turn(answer, provider().sent[-1])


class ClaudeCodeTests(AgentCase):
    """`claude -p`."""

    def turn(self, fields: dict[str, Any], tool: str) -> tuple[Turn, list[dict[str, Any]], str]:
        """The request, the blocks of its answer, and the reason of its end."""
        turn = self.ask("/v1/messages?beta=true", fields, CLAUDE_HEADERS, tool)
        payloads = checked(turn.answer.body.replace(PING, b""))
        reasons = [payload["delta"] for payload in payloads if payload["type"] == "message_delta"]
        starts = [payload["message"] for payload in payloads if payload["type"] == "message_start"]
        self.assertGreater(starts[0]["usage"]["input_tokens"], 0)  # else its context display breaks
        return turn, blocks(payloads), reasons[0]["stop_reason"]

    def test_toolLoop(self) -> None:
        """A call with a thought before it, both sent back with the result, and words at the end."""
        for name, (_, model) in MODELS.items():
            fields = claude_code(f"{name}/{model}")
            self.assertGreater(len(json.dumps(fields)), 77_000)
            turn, said, reason = self.turn(fields, "Bash")
            self.assertEqual((turn.dropped, reason), (LOST_OF_CLAUDE_CODE[name], "tool_use"), name)
            use = said[-1]
            self.assertEqual((use["name"], use["input"]), ("Bash", {"command": "sample"}))
            self.assertEqual([block["type"] for block in said[:-1]], ["thinking"] * (name in THINKERS), name)
            result = {"type": "tool_result", "tool_use_id": use["id"], "content": "a.txt", "is_error": False}
            fields["messages"] += [{"role": "assistant", "content": said}, {"role": "user", "content": [result]}]
            turn, said, reason = self.turn(fields, "Bash")
            self.assertEqual((said[-1]["text"], reason), ("a.txt", "end_turn"), name)
            self.assertEqual(PROOF in json.dumps(turn.sent.fields), name in THINKERS, name)

    def test_sent(self) -> None:
        """All 24 tools, all instructions and the limit reach the provider; nothing of the client's key does."""
        for name, (_, model) in MODELS.items():
            turn, _, _ = self.turn(claude_code(f"{name}/{model}"), "")
            self.assertEqual(tool_names(turn.sent.fields), list(CLAUDE_TOOLS), name)
            body = json.dumps(turn.sent.fields)
            for words in (BILLING, "You are an agent in a terminal.", "plan mode", "List the files."):
                self.assertIn(words, body, name)
            self.assertIn("32000", body)
            self.assertNotIn("authorization", turn.sent.headers)

    def test_failedTool(self) -> None:
        """Results with an error and an image, and two calls in one turn."""
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
        uses = [{"type": "tool_use", "id": f"toolu_{n}", "name": "Bash", "input": {"command": "ls"}} for n in (1, 2)]
        results = [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "it failed", "is_error": True},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": [image, {"type": "text", "text": "seen"}]},
        ]
        for name, (_, model) in MODELS.items():
            fields = claude_code(f"{name}/{model}")
            more = [{"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral"}}]
            fields["messages"] += [
                {"role": "assistant", "content": uses},
                {"role": "user", "content": [*results, *more]},
            ]
            _, said, reason = self.turn(fields, "")
            self.assertEqual((said[-1]["text"], reason), ("Go on.", "end_turn"), name)


class CodexTests(AgentCase):
    """`codex exec`."""

    def turn(self, fields: dict[str, Any], tool: str) -> tuple[Turn, list[dict[str, Any]], dict[str, Any]]:
        """The request, the items of its answer, and the final response."""
        turn = self.ask("/v1/responses", fields, CODEX_HEADERS, tool)
        lines = turn.answer.body.decode().splitlines()
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        for event in events:
            known().validate_python(event)
        self.assertEqual([event["sequence_number"] for event in events], list(range(len(events))))
        self.assertEqual([line.removeprefix("event: ") for line in lines if line.startswith("event: ")], types(events))
        done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        final = events[-1]["response"]
        self.assertEqual((events[-1]["type"], final["output"]), ("response.completed", done))
        self.assertGreater(final["usage"]["total_tokens"], 0)
        return turn, done, final

    def test_toolLoops(self) -> None:
        """A plain function, one in a namespace, and one that takes free text; results sent back, words at the end."""
        wanted: Mapping[str, dict[str, Any]] = {
            "exec_command": {"type": "function_call", "name": "exec_command", "arguments": {"cmd": "sample"}},
            "read_page": {
                "type": "function_call",
                "name": "read_page",
                "namespace": "mcp__docs",
                "arguments": {"url": "sample"},
            },
            "apply_patch": {"type": "custom_tool_call", "name": "apply_patch", "input": "sample"},
        }
        for name in LOST_OF_CODEX:
            for tool, call in wanted.items():
                fields = codex(f"{name}/{MODELS[name][1]}")
                self.assertGreater(len(json.dumps(fields)), 40_000)
                turn, items, _ = self.turn(fields, tool)
                self.assertEqual(turn.dropped, LOST_OF_CODEX[name], name)
                made = dict(items[-1])
                if "arguments" in made:
                    made["arguments"] = json.loads(made["arguments"])
                self.assertEqual({key: made.get(key) for key in call}, call, name)
                self.assertEqual([item["type"] for item in items[:-1]], ["reasoning"] * (name in THINKERS), name)
                self.assertTrue(all(item["encrypted_content"] for item in items[:-1]), name)
                output = {"type": f"{made['type']}_output", "call_id": made["call_id"], "output": "done it"}
                fields["input"] += [*items, output]
                turn, items, final = self.turn(fields, tool)
                self.assertEqual((items[-1]["content"][0]["text"], final["status"]), ("done it", "completed"), name)
                self.assertEqual(PROOF in json.dumps(turn.sent.fields), name in THINKERS, name)

    def test_nothingIsKept(self) -> None:
        """``store: false`` is what the answer repeats, and what relay does."""
        _, _, final = self.turn(codex("gemini/gemini-3-pro"), "")
        self.assertFalse(final["store"])


class CheckTests(SynchronousTestCase):
    """The provider of these tests does refuse."""

    def test_refused(self) -> None:
        """A field that does not exist, wherever it stands, and turns out of order."""
        user: Any = {"role": "user", "content": [{"text": "a"}]}
        odd: Any = {"role": "user", "content": [{"text": "a", "cache_control": {}}]}
        parts: Any = {"role": "user", "parts": [{"text": "a"}]}
        said: Any = {"role": "user", "content": [{"type": "text", "text": "a"}]}
        cases: tuple[tuple[str, dict[str, Any], bool], ...] = (
            ("/model/m/converse", {"messages": [user]}, True),
            ("/model/m/converse", {"messages": [user], "metadata": {}}, False),
            ("/model/m/converse", {"messages": [odd]}, False),
            ("/model/m/converse", {"messages": [user, user]}, False),
            ("/v1beta/models/m:generateContent", {"contents": [parts]}, True),
            ("/v1beta/models/m:generateContent", {"contents": [{**parts, "name": "a"}]}, False),
            ("/v1beta/models/m:generateContent", {"contents": [parts], "metadata": {}}, False),
            ("/v1/chat/completions", {"model": "m", "messages": [said]}, True),
            ("/v1/chat/completions", {"model": "m", "messages": [said], "thinking": {}}, False),
            ("/v1/chat/completions", {"model": "m", "messages": [{**said, "cache_control": {}}]}, False),
            ("/v1/messages", {"model": "m", "max_tokens": 1, "messages": [said]}, True),
            ("/v1/messages", {"model": "m", "max_tokens": 1, "messages": [{**said, "name": "n"}]}, False),
            ("/v1/messages", {"model": "m", "max_tokens": 1, "messages": [said], "seed": 1}, False),
        )
        for path, fields, good in cases:
            self.assertEqual(not check(path, fields, "m"), good, (path, fields))


@functools.cache
def known() -> TypeAdapter[Any]:
    """The events that the openai SDK knows."""
    return TypeAdapter(ResponseStreamEvent)


def types(events: list[dict[str, Any]]) -> list[str]:
    """The types of events."""
    return [event["type"] for event in events]


def blocks(payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks of a streamed message, as a client puts them together."""
    found: list[dict[str, Any]] = []
    for payload in payloads:
        if payload["type"] == "content_block_start":
            found.append({**payload["content_block"], "json": ""})
        elif payload["type"] == "content_block_delta":
            block = found[payload["index"]]
            for name, value in payload["delta"].items():
                if name == "partial_json":
                    block["json"] += value
                elif name != "type":
                    block[name] = block.get(name, "") + value
    for block in found:
        text = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(text)
    return found
