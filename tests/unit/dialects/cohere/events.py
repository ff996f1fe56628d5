"""Cohere's requests and events for the tests of this package, and what a stream of them must keep to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from relay.chat import ChatRequest, Message, Text
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.cohere.dialect import COHERE
from relay.endpoints import Operation
from relay.events import Event
from relay.wire.sse import SSEDecoder

CHAT, EMBED, RERANK = "/v2/chat", "/v2/embed", "/v2/rerank"
BACK = COHERE.backs[Operation.CHAT]
FRONT = COHERE.fronts[CHAT]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
TARGET = Target("command", "p")


def asked(path: str = CHAT, request: Any = None) -> Asked:
    """What a client asked."""
    return Asked(Call(path), "request-1", "mine", 1_700_000_000, request)


def heard(body: dict[str, Any]) -> ChatRequest:
    """The hub's request of a client's JSON; model and a message are put in where they are missing."""
    whole = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **body}
    request: ChatRequest = FRONT.parse(json.dumps(whole).encode(), Call(CHAT))
    return request


def sent(*messages: Message, target: Target = TARGET, **fields: Any) -> tuple[dict[str, Any], Built]:
    """The provider's JSON for a hub request; "Hi" is said where nothing is."""
    return wired(ChatRequest("m", messages or (Message("user", (Text("Hi"),)),), **fields), target)


def wired(request: ChatRequest, target: Target = TARGET) -> tuple[dict[str, Any], Built]:
    """A built request as the provider gets it."""
    built = BACK.build(request, target)
    return json.loads(msgspec.json.encode(built.fields)), built


def stream(*events: dict[str, Any]) -> bytes:
    """An event stream of these payloads, named by their types."""
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def delta(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    """An event with something in its message."""
    place = {} if index is None else {"index": index}
    return {"type": kind, **place, "delta": {"message": message}}


def read(data: bytes, pieces: Iterable[bytes] | None = None) -> list[Event]:
    """The events of a stream."""
    assert BACK.reader is not None
    decoder, reader = SSEDecoder(1 << 24), BACK.reader(TARGET)
    frames = [frame for piece in pieces or [data] for frame in decoder.feed(piece)] + decoder.end()
    return [event for frame in frames for event in reader.read(frame)] + list(reader.end())


def written(events: Sequence[Event], *, singly: bool = True) -> bytes:
    """The events of a good answer."""
    assert FRONT.writer is not None
    writer = FRONT.writer(asked())
    pieces = [writer.write([event]) for event in events] if singly else [writer.write(events)]
    return b"".join(pieces) + writer.end()


def checked(data: bytes) -> list[dict[str, Any]]:
    """The payloads, held against the discipline of Cohere's streams.

    Raises:
        AssertionError: an event is out of its place, a block is empty, or the end is not the end.
    """
    frames = SSEDecoder(1 << 24).feed(data)
    assert frames.pop().data == b"[DONE]"
    payloads: list[dict[str, Any]] = []
    open_block: tuple[str, int] | None = None
    grown = False
    counts = {"content": 0, "tool-call": 0, "citation": 0}
    for frame in frames:
        payload = json.loads(frame.data)
        payloads.append(payload)
        assert frame.event.decode() == payload["type"]
        group, _, step = payload["type"].rpartition("-")
        if group == "message":
            continue
        message, index = payload.get("delta", {}).get("message", {}), payload["index"]
        if group == "citation":
            assert index == counts[group] - (step == "end"), payload
            counts[group] += step == "start"
            if step == "start":
                assert message["citations"]["content_index"] < counts["content"]
        elif step == "start":
            assert open_block is None, payload
            assert index == counts[group], payload
            counts[group] += 1
            open_block, grown = (group, index), False
            if group == "tool-call":
                assert message["tool_calls"]["id"]
                assert message["tool_calls"]["function"]["arguments"] == ""
        else:
            assert open_block == (group, index), payload
            grown = grown or step == "delta"
            if step == "end":
                assert grown, "an empty block"
                open_block = None
    assert open_block is None
    kinds = [payload["type"] for payload in payloads]
    assert kinds[0] == "message-start"
    assert kinds.count("message-start") == 1
    assert kinds.index("message-end") == len(kinds) - 1
    last = payloads[-1]["delta"]
    assert last["finish_reason"] in ("COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "ERROR", "ERROR_TOXIC")
    assert isinstance(last["usage"]["tokens"]["output_tokens"], int)
    return payloads
