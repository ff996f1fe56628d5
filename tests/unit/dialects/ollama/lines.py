"""Ollama's requests and lines for the tests of this package, and what a stream of them must keep to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from relay.chat import ChatRequest, Message, Text
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.ollama.dialect import OLLAMA
from relay.endpoints import Operation
from relay.events import Event
from relay.wire.ndjson import NDJSONDecoder

CHAT, GENERATE, EMBED = "/api/chat", "/api/generate", "/api/embed"
BACK = OLLAMA.backs[Operation.CHAT]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
TARGET = Target("llama", "p")


def asked(path: str = CHAT, request: Any = None) -> Asked:
    """What a client asked."""
    return Asked(Call(path), "request-1", "mine", 1_700_000_000, request)


def heard(body: dict[str, Any], path: str = CHAT) -> ChatRequest:
    """The hub's request of a client's JSON; model and something to answer are put in where they are missing."""
    some: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]} if path == CHAT else {"prompt": "Hi"}
    request: ChatRequest = OLLAMA.fronts[path].parse(json.dumps({"model": "m", **some, **body}).encode(), Call(path))
    return request


def sent(*messages: Message, target: Target = TARGET, **fields: Any) -> tuple[dict[str, Any], Built]:
    """The provider's JSON for a hub request; "Hi" is said where nothing is."""
    request = ChatRequest("m", messages or (Message("user", (Text("Hi"),)),), **fields)
    return wired(request, target)


def wired(request: ChatRequest, target: Target = TARGET) -> tuple[dict[str, Any], Built]:
    """A built request as the provider gets it."""
    built = BACK.build(request, target)
    return json.loads(msgspec.json.encode(built.fields)), built


def read(data: bytes, pieces: Iterable[bytes] | None = None) -> list[Event]:
    """The events of a stream."""
    assert BACK.reader is not None
    decoder, reader = NDJSONDecoder(1 << 24), BACK.reader(TARGET)
    frames = [frame for piece in pieces or [data] for frame in decoder.feed(piece)] + decoder.end()
    return [event for frame in frames for event in reader.read(frame)] + list(reader.end())


def written(events: Sequence[Event], path: str = CHAT, *, singly: bool = True) -> bytes:
    """The lines of a good answer."""
    make = OLLAMA.fronts[path].writer
    assert make is not None
    writer = make(asked(path))
    pieces = [writer.write([event]) for event in events] if singly else [writer.write(events)]
    return b"".join(pieces) + writer.end()


def checked(data: bytes, path: str = CHAT) -> list[dict[str, Any]]:
    """The lines, held against the discipline of Ollama's streams.

    Raises:
        AssertionError: a line is no JSON, says nothing, or the last one is not the one that is done.
    """
    assert data.endswith(b"\n")
    lines = [json.loads(line) for line in data[:-1].split(b"\n")]
    for line in lines:
        assert line["model"] == "mine"
        assert line["created_at"].endswith("Z")
        message = line["message"] if path == CHAT else {"role": "assistant", "content": line["response"], **line}
        assert message["role"] == "assistant"
        assert isinstance(message["content"], str)
        if not line["done"]:
            says = ("content", "thinking", "tool_calls", "images", "image")
            assert any(message.get(name) for name in says) or line.get("logprobs"), line
        for call in message.get("tool_calls", ()):
            assert path == CHAT
            assert isinstance(call["function"]["arguments"], dict)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = lines[-1]
    assert last["done_reason"] in ("stop", "length", "content_filter", "error")
    assert all(isinstance(last[name], int) for name in ("prompt_eval_count", "eval_count", "total_duration"))
    return lines
