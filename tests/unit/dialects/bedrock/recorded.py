"""Recorded exchanges with Converse for the tests of this package, and a front that only tests have.

`heard` reads a Converse request into the hub, so that what relay builds can be held against what was sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs
import msgspec

from relay.chat import (
    ChatRequest,
    Media,
    Message,
    Native,
    Part,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from relay.dialects.bedrock.dialect import BEDROCK
from relay.dialects.codec import Built, Target
from relay.endpoints import Operation
from relay.events import Event
from relay.wire.eventstream import EventStreamDecoder, encode_event
from relay.wire.eventstream import Message as Frame

FOLDER = os.environ.get("RELAY_FIXTURES", "")
SMALL = Path(__file__).resolve().parents[3] / "fixtures" / "bedrock"
BACK = BEDROCK.backs[Operation.CHAT]
COUNT = BEDROCK.backs[Operation.COUNT]
LIMIT = 1 << 24

CLAUDE = Target("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock")
NOVA = Target("us.amazon.nova-2-lite-v1:0", "bedrock")


@attrs.frozen
class Case:
    """One recorded exchange."""

    name: str
    folder: Path
    meta: Mapping[str, Any]

    @property
    def target(self) -> Target:
        """Where it went; "" where the recording does not say."""
        path = unquote(self.meta["request"].get("path") or "/model//converse")
        return Target(path.removeprefix("/model/").rpartition("/")[0], "bedrock")

    @property
    def failed(self) -> bool:
        """Whether Bedrock refused."""
        return bool(self.meta["status"] >= 400)

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The answer's header fields."""
        return tuple((name.encode(), value.encode()) for name, value in self.meta["response"]["headers"].items())

    def file(self, name: str) -> bytes | None:
        """A file of the case, or None."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    @property
    def stream(self) -> bytes | None:
        """The binary stream; decoded events are framed again; None for a whole answer."""
        lines = self.file("response.ndjson")
        if lines is not None:
            events = (json.loads(line) for line in lines.splitlines())
            return b"".join(
                encode_event(name, json.dumps(body).encode()) for each in events for name, body in each.items()
            )
        return self.file("response.eventstream.bin")


def cases(dialect: str = "bedrock-converse") -> Iterator[Case]:
    """Every recording of a dialect in the folder that ``RELAY_FIXTURES`` names."""
    for path in sorted((Path(FOLDER) / "bedrock" / dialect).glob("*/meta.json")):
        yield Case(path.parent.name, path.parent, json.loads(path.read_bytes()))


def small_streams() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the recorded streams that come with relay."""
    for path in sorted(SMALL.glob("*.eventstream")):
        yield path.stem, path.read_bytes()


def streams() -> Iterator[tuple[str, bytes]]:
    """All recorded streams at hand."""
    yield from small_streams()
    if FOLDER:
        yield from ((case.name, case.stream) for case in cases() if case.stream is not None)


def frames(data: bytes) -> list[Frame]:
    """The messages of a stream."""
    return EventStreamDecoder(LIMIT).feed(data)


def read(pieces: Iterable[bytes], target: Target = NOVA) -> list[Event]:
    """The hub's events of a stream that comes in pieces."""
    assert BACK.reader is not None
    reader, decoder = BACK.reader(target), EventStreamDecoder(LIMIT)
    events = [event for piece in pieces for frame in decoder.feed(piece) for event in reader.read(frame)]
    return [*events, *reader.end()]


def sent(request: ChatRequest, target: Target = CLAUDE) -> tuple[dict[str, Any], Built]:
    """The body that goes to Bedrock, and what became of the rest."""
    built = BACK.build(request, target)
    return json.loads(msgspec.json.encode(built.fields)), built


# ── a recorded request as the hub's ───────────────────────────────────────────────────


def heard(body: Mapping[str, Any]) -> ChatRequest:
    """Read a Converse request."""
    config = body.get("inferenceConfig", {})
    tools = body.get("toolConfig", {})
    own = ("guardrailConfig", "additionalModelRequestFields")
    return ChatRequest(
        "m",
        (*_system(body.get("system", [])), *(_message(message) for message in body["messages"])),
        tools=tuple(_tools(tools.get("tools", []))),
        tool_choice=_choice(tools.get("toolChoice")),
        max_tokens=config.get("maxTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stop=tuple(config.get("stopSequences", ())),
        extra={name: json.dumps(body[name]).encode() for name in own if name in body},
    )


def _system(blocks: list[dict[str, Any]]) -> list[Message]:
    return [Message("system", tuple(_marked(blocks)))] if blocks else []


def _message(message: Mapping[str, Any]) -> Message:
    return Message(message["role"], tuple(_marked(message["content"])))


def _marked(blocks: list[dict[str, Any]]) -> list[Part]:
    """The parts; a cache point marks the one before it."""
    parts: list[Part] = []
    for block in blocks:
        if "cachePoint" in block:
            parts[-1] = msgspec.structs.replace(parts[-1], cache=block["cachePoint"].get("ttl", ""))
        else:
            parts.append(_part(block))
    return parts


def _part(block: Mapping[str, Any]) -> Part:
    ((kind, inner),) = block.items()
    match kind:
        case "text":
            return Text(inner)
        case "toolUse":
            return ToolCall(inner["toolUseId"], inner["name"], json.dumps(inner["input"]))
        case "toolResult":
            content = tuple(_marked(inner["content"]))
            return ToolResult(inner["toolUseId"], content, error=inner.get("status") == "error")
        case "reasoningContent" if "reasoningText" in inner:
            words = inner["reasoningText"]
            return Thinking(words["text"], Seal("bedrock", words["signature"]))
        case "reasoningContent":
            return Thinking(seal=Seal("bedrock", inner["redactedContent"]), redacted=True)
        case "image" | "document" | "video":
            return _media(kind, inner)
        case _:
            return Native("bedrock", kind, json.dumps(block).encode())


def _media(kind: str, inner: Mapping[str, Any]) -> Media:
    source = inner["source"]
    mime = f"{kind}/{inner['format']}"
    cited = bool(inner.get("citations", {}).get("enabled"))
    url = source.get("s3Location", {}).get("uri", "")
    return Media(kind, mime, source.get("bytes", ""), url, name=inner.get("name", ""), citations=cited)


def _tools(tools: list[dict[str, Any]]) -> list[Tool]:
    found: list[Tool] = []
    for tool in tools:
        if "cachePoint" in tool:
            found[-1] = msgspec.structs.replace(found[-1], cache="")
        elif "toolSpec" in tool:
            spec = tool["toolSpec"]
            schema = json.dumps(spec["inputSchema"]["json"]).encode()
            found.append(Tool(spec["name"], spec.get("description", ""), schema, spec.get("strict")))
        else:
            found.append(Tool("", kind="system", origin="bedrock", native=json.dumps(tool).encode()))
    return found


def _choice(choice: Mapping[str, Any] | None) -> ToolChoice | None:
    if choice is None:
        return None
    if "tool" in choice:
        return ToolChoice("named", (choice["tool"]["name"],))
    return ToolChoice("required" if "any" in choice else "auto")
