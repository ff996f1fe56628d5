"""Recorded exchanges with the Messages API, in every role that they can play.

The small set of ``tests/fixtures`` always; with ``RELAY_FIXTURES`` the whole folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic.types.beta
import msgspec
import pydantic

from twisted.trial.unittest import SynchronousTestCase

from relay.chat import Completion, Finish, Native, Part, Text, Thinking, ToolCall
from relay.dialects.anthropic.answer import render
from relay.dialects.anthropic.dialect import usage as told_usage
from relay.dialects.anthropic.request import parse as parse_request
from relay.dialects.anthropic.sending import build_count
from relay.dialects.anthropic.understanding import parse, parse_count
from relay.dialects.anthropic.writing import writer
from relay.dialects.codec import Call, Target
from relay.endpoints import FORWARDED
from relay.events import Began, Closed, Ended, Erred, Finished, Opened
from relay.exchange import Usage
from tests.unit.dialects.anthropic.messages import asked, assembled, checked, pieces, read, wired
from tests.unit.dialects.streams import FIXTURES, singly, slices

FOLDER = os.environ.get("RELAY_FIXTURES", "")
TARGET = Target("m")
SPLICED = "spliced-message-start"
"""A proxy began the message again in the middle of a call; what came before stands."""

FINISHES = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "pause_turn": Finish.PAUSE,
    "refusal": Finish.REFUSAL,
}

MESSAGE: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(anthropic.types.beta.BetaMessage)


def files(name: str, dialect: str = "anthropic-messages") -> Iterator[tuple[str, bytes]]:
    """Case and content of each recorded file of a name, good answers and their requests only."""
    for path in sorted(Path(FOLDER).glob(f"anthropic/{dialect}/*/{name}")) if FOLDER else ():
        if json.loads((path.parent / "meta.json").read_text("utf-8"))["status"] == 200:
            yield path.parent.name, path.read_bytes()


def streams() -> Iterator[tuple[str, bytes]]:
    """All streamed answers."""
    for path in sorted((FIXTURES / "anthropic").glob("*.sse")):
        yield path.stem, path.read_bytes()
    yield from files("response.sse")


def blocks_of(data: bytes) -> list[dict[str, Any]]:
    """The blocks of a stream, put together without relay."""
    found: list[dict[str, Any]] = []
    for line in data.splitlines():
        if not line.startswith(b"data:"):
            continue
        payload = json.loads(line[5:])
        if payload["type"] == "content_block_start":
            found.append({**payload["content_block"], "pieces": ""})
        elif payload["type"] == "content_block_delta":
            delta = payload["delta"]
            found[-1]["pieces"] += delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
    for block in found:
        words = block.pop("pieces")
        if block["type"] in ("text", "thinking"):
            block[block["type"]] += words
        elif words:
            block["input"] = words
    return found


def facts(part: Part) -> tuple[Any, ...]:
    """What a part says."""
    match part:
        case Text():
            return "text", part.text
        case Thinking(redacted=True):
            return "redacted_thinking", part.seal.value if part.seal else ""
        case Thinking():
            return "thinking", part.text
        case ToolCall():
            return "tool_use", part.id, part.name
        case Native():
            return (part.kind,)
    raise AssertionError(part)


def plain(block: dict[str, Any]) -> tuple[Any, ...]:
    """What a block says."""
    match block["type"]:
        case "text":
            return "text", block["text"]
        case "thinking":
            return "thinking", block["thinking"]
        case "redacted_thinking":
            return "redacted_thinking", block["data"]
        case "tool_use":
            return "tool_use", block["id"], block["name"]
        case kind:
            return (kind,)


def known(usage: Usage) -> Usage:
    """Usage as a client gets it: no count is missing."""
    return Usage(usage.input, usage.cached or 0, usage.cache_write or 0, usage.output, usage.reasoning)


class StreamTests(SynchronousTestCase):
    """Streamed answers."""

    def test_content(self) -> None:
        """Text, thinking, calls and the rest are what the recording plainly holds, in order."""
        for name, data in streams():
            parts = assembled(read(data)).choices[0].parts
            self.assertEqual(list(map(facts, parts)), list(map(plain, blocks_of(data))), name)
            if name == SPLICED:
                continue
            for part in parts:
                if isinstance(part, ToolCall):
                    self.assertIsInstance(json.loads(part.arguments), dict, name)

    def test_end(self) -> None:
        """One beginning, one finish with the right reason, one end; or one error."""
        for name, data in streams():
            events = read(data)
            self.assertEqual(sum(isinstance(event, Began) for event in events), 1, name)
            if any(isinstance(event, Erred) for event in events):
                self.assertIsInstance(events[-1], Erred)
                self.assertIn(b'"type":"error"', data.replace(b" ", b""))
                continue
            reason = next(
                json.loads(line[5:])["delta"]["stop_reason"]
                for line in data.splitlines()
                if b'"message_delta"' in line and line.startswith(b"data")
            )
            (finished,) = [event for event in events if isinstance(event, Finished)]
            self.assertEqual((finished.reason, type(events[-1])), (FINISHES[reason], Ended), name)

    def test_slices(self) -> None:
        """Byte by byte, in random slices, frame by frame: the same events."""
        for name, data in streams():
            expected = read(data)
            ways = [pieces(data), *(slices(data, seed) for seed in range(3))]
            if len(data) < 20_000:
                ways.append(singly(data))
            for way in ways:
                self.assertEqual(read(data, way), expected, name)

    def test_cut(self) -> None:
        """Cut behind any frame, a stream has its blocks closed and never a finish that it did not have."""
        for name, data in streams():
            whole = read(data)
            frames = pieces(data)
            for count in range(0, len(frames), max(len(frames) // 40, 1)):
                events = read(b"".join(frames[:count]))
                opened = [event.block for event in events if isinstance(event, Opened)]
                closed = [event.block for event in events if isinstance(event, Closed)]
                if not any(isinstance(event, Erred) for event in events):
                    self.assertEqual(opened, closed, name)
                finished = [event for event in events if isinstance(event, Finished)]
                self.assertIn(finished, ([], [event for event in whole if isinstance(event, Finished)]), name)

    def test_roundTrip(self) -> None:
        """Written for a client and read again, nothing has changed but the model's name."""
        for name, data in streams():
            events = [event for event in read(data) if not isinstance(event, Ended | Erred)]
            out = writer(asked())
            again = b"".join(out.write([event]) for event in events) + out.end()
            checked(again)
            one, two = assembled(events), assembled(read(again))
            self.same(one, two, name)

    def same(self, one: Completion, two: Completion, name: str) -> None:
        """The parts that say something, the finish and the tokens are equal."""
        said = tuple(part for part in one.choices[0].parts if not isinstance(part, Text) or part.text)
        self.assertEqual(two.choices[0].parts, said, name)
        if one.choices[0].finish:
            self.assertEqual((two.choices[0].finish, two.choices[0].stop), (one.choices[0].finish, one.choices[0].stop))
        self.assertEqual(known(two.usage), known(one.usage), name)


class WholeTests(SynchronousTestCase):
    """Whole answers."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_answers(self) -> None:
        """Parts, finish and tokens are what the recording plainly holds."""
        seen = 0
        for name, data in files("response.json"):
            seen += 1
            body, found = json.loads(data), parse(data, TARGET)
            (choice,) = found.choices
            self.assertEqual(list(map(facts, choice.parts)), list(map(plain, body["content"])), name)
            calls = [json.loads(part.arguments) for part in choice.parts if isinstance(part, ToolCall)]
            self.assertEqual(calls, [block["input"] for block in body["content"] if block["type"] == "tool_use"], name)
            self.assertEqual(choice.finish, FINISHES[body["stop_reason"]], name)
            self.assertEqual(found.usage, told_usage(FORWARDED["/v1/messages"], data)[0], name)
            self.assertEqual((found.id, found.model), (body["id"], body["model"]))
        self.assertGreater(seen, 30)

    def test_roundTrip(self) -> None:
        """Rendered for a client and parsed again, nothing has changed; the blocks are the provider's own."""
        for name, data in files("response.json"):
            found = parse(data, TARGET)
            again = render(found, asked())
            self.assertEqual(parse(again, TARGET).choices, found.choices, name)
            self.assertEqual(known(parse(again, TARGET).usage), known(found.usage), name)
            body = json.loads(again)
            self.assertEqual(
                [bare(block) for block in body["content"]], [bare(block) for block in json.loads(data)["content"]], name
            )
            if taken(json.loads(data)):  # the SDK does not know every block that the provider sends
                MESSAGE.validate_python(body)

    def test_counts(self) -> None:
        """Counted tokens."""
        seen = 0
        for _, data in files("response.json", "anthropic-count-tokens"):
            seen += 1
            self.assertEqual(parse_count(data, TARGET).tokens, json.loads(data)["input_tokens"])
        self.assertEqual(seen, 3)


class RequestTests(SynchronousTestCase):
    """Requests that the provider took."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_roundTrip(self) -> None:
        """Through the hub and back every request says the same."""
        seen = 0
        for name, data in files("request.json"):
            seen += 1
            request = parse_request(data, Call("/v1/messages"))
            fields, built = wired(request, Target(request.model, stream=request.stream))
            self.assertEqual(built.dropped, (), name)
            self.assertEqual(normal(fields), normal(json.loads(data)), name)
        self.assertGreater(seen, 45)

    def test_counts(self) -> None:
        """Requests to count tokens, too."""
        for name, data in files("request.json", "anthropic-count-tokens"):
            request = parse_request(data, Call("/v1/messages/count_tokens"))
            built = build_count(request, Target(request.model))
            self.assertEqual(normal(json.loads(msgspec.json.encode(built.fields))), normal(json.loads(data)), name)


def taken(body: dict[str, Any]) -> bool:
    """Whether the SDK's own type takes what the provider sent."""
    try:
        MESSAGE.validate_python(body)
    except pydantic.ValidationError:
        return False
    return True


def bare(block: dict[str, Any]) -> dict[str, Any]:
    """A block without members that only say that there is nothing, and without who called a tool."""
    return {name: value for name, value in block.items() if value is not None and name != "caller"}


def normal(body: dict[str, Any]) -> dict[str, Any]:
    """A request's meaning.

    Documented changes: text as one block, neighbours of one role merged, blank text and empty descriptions left
    out, ``stream: false`` and ``is_error: false`` too, and a temperature of 1 where thinking demands it.
    """
    turns: list[tuple[str, list[Any]]] = []
    for message in body["messages"]:
        blocks = [normal_block(block) for block in listed(message["content"]) if block.get("text", "x").strip()]
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], blocks))
    rest = {name: value for name, value in body.items() if name not in ("messages", "system", "tools", "stream")}
    if "thinking" in rest and rest.get("temperature") == 1:
        del rest["temperature"]
    tools = [{name: value for name, value in tool.items() if value != ""} for tool in body.get("tools") or ()]
    system = [block for block in listed(body.get("system") or []) if block["text"].strip()]
    return {"turns": turns, "system": system, "tools": tools, "stream": bool(body.get("stream")), **rest}


def listed(content: Any) -> list[dict[str, Any]]:
    """Content as blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def normal_block(block: dict[str, Any]) -> dict[str, Any]:
    """A block's meaning."""
    found = {name: value for name, value in block.items() if value is not None and (name, value) != ("is_error", False)}
    if found["type"] == "tool_result":
        found["content"] = [normal_block(inner) for inner in listed(found.get("content", []))]
    return found
