"""Messages for the tests of this package: ways to read and write them, and what a stream must keep to."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from relay.chat import ChatRequest, Completion, Message, Text
from relay.dialects.anthropic.answer import render
from relay.dialects.anthropic.reading import reader
from relay.dialects.anthropic.request import parse
from relay.dialects.anthropic.sending import build
from relay.dialects.anthropic.writing import writer
from relay.dialects.assembly import assemble
from relay.dialects.codec import Asked, Built, Call, Target
from relay.events import Ended, Erred, Event
from relay.provider import Quirk
from relay.wire.sse import SSEDecoder

CALL = Call("/v1/messages")
OLD = "claude-sonnet-4-20250514"
NEW = "claude-opus-4-8"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

KINDS = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}
"""What grows a block of a type."""


def asked(model: str = "claude-x", tokens: int = 7) -> Asked:
    """What a client asked."""
    return Asked(CALL, "request-1", model, 1_700_000_000, None, tokens)


def heard(body: Any, call: Call = CALL) -> ChatRequest:
    """The hub's request of a client's JSON; ``model`` and a message are put in where they are missing."""
    whole = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}], **body}
    return parse(json.dumps(whole).encode(), call)


def sent(
    *messages: Message, model: str = OLD, stream: bool = False, quirks: Iterable[Quirk] = (), **fields: Any
) -> tuple[dict[str, Any], Built]:
    """The provider's JSON for a hub request; "Hi" is said where nothing is."""
    request = ChatRequest("m", messages or (Message("user", (Text("Hi"),)),), **fields)
    return wired(request, Target(model, "p", stream, frozenset(quirks)))


def wired(request: ChatRequest, target: Target) -> tuple[dict[str, Any], Built]:
    """A built request as the provider gets it."""
    built = build(request, target)
    return json.loads(msgspec.json.encode(built.fields)), built


def read(data: bytes, pieces: Iterable[bytes] | None = None) -> list[Event]:
    """The events of a stream."""
    decoder, understood = SSEDecoder(1 << 24), reader(Target("m"))
    events: list[Event] = []
    for piece in pieces if pieces is not None else [data]:
        for frame in decoder.feed(piece):
            events += understood.read(frame)
    for frame in decoder.end():
        events += understood.read(frame)
    return [*events, *understood.end()]


def streamed(*payloads: Any) -> bytes:
    """A provider's stream."""
    return b"".join(f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n".encode() for payload in payloads)


def written(*batches: Sequence[Event]) -> list[dict[str, Any]]:
    """What a client gets for events, checked."""
    out = writer(asked())
    return checked(b"".join(out.write(batch) for batch in batches) + out.end())


def payloads(data: bytes) -> list[dict[str, Any]]:
    """The payloads of a stream; each must carry its event's name."""
    found = []
    for frame in SSEDecoder(1 << 24).feed(data):
        payload = json.loads(frame.data)
        assert payload["type"] == frame.event.decode(), frame.raw
        found.append(payload)
    return found


def checked(data: bytes, *, failed: bool = False) -> list[dict[str, Any]]:
    """The payloads of a stream that keeps every rule of the Messages API.

    ``message_start`` once and first; blocks one at a time, numbered from 0 without gaps, none empty, each grown
    only by deltas of its kind; then one ``message_delta`` and ``message_stop``, or one error in their place.
    """
    found = payloads(data)
    tail = ["error"] if failed else ["message_delta", "message_stop"]
    assert [payload["type"] for payload in found[-len(tail) :]] == tail, found
    body = found[: -len(tail)]
    if not failed or body:
        check_start(body[0])
        body = body[1:]
    index, kind, size = 0, "", 0
    for payload in body:
        match payload["type"]:
            case "content_block_start":
                assert (kind, payload["index"]) == ("", index), payload
                kind = payload["content_block"]["type"]
                size = 0 if kind in ("text", "thinking") else 1
            case "content_block_delta":
                assert kind, payload
                assert payload["index"] == index, payload
                check_delta(kind, payload["delta"])
                size += 1
            case "content_block_stop":
                assert kind, payload
                assert size, "an empty block"
                assert payload["index"] == index, payload
                index, kind = index + 1, ""
            case other:
                raise AssertionError(other)
    assert failed or not kind, "a block was left open"
    return found


def check_start(payload: dict[str, Any]) -> None:
    """``message_start`` holds an empty message with an id and counts."""
    assert payload["type"] == "message_start", payload
    message = payload["message"]
    assert message["id"].startswith("msg_"), message
    assert (message["content"], message["role"], message["stop_reason"]) == ([], "assistant", None), message
    assert {"input_tokens", "output_tokens"} <= message["usage"].keys(), message


def check_delta(kind: str, delta: dict[str, Any]) -> None:
    """A delta is one of its block's."""
    extra = {"text": "citations_delta", "thinking": "signature_delta"}.get(kind)
    assert delta["type"] in (KINDS.get(kind), extra), (kind, delta)
    if delta["type"] == KINDS.get(kind):
        assert all(value for name, value in delta.items() if name != "type"), delta


def shapes(found: Iterable[dict[str, Any]]) -> list[str]:
    """A stream in short: what starts, grows and stops."""
    lines = []
    for payload in found:
        match payload["type"]:
            case "content_block_start":
                lines.append("start " + payload["content_block"]["type"])
            case "content_block_delta":
                lines.append(next(str(value) for name, value in payload["delta"].items() if name != "type"))
            case "content_block_stop":
                lines.append("stop")
    return lines


def rendered(completion: Completion) -> dict[str, Any]:
    """What a client gets for a whole answer."""
    answer = json.loads(render(completion, asked()))
    assert isinstance(answer, dict)
    return answer


def assembled(events: Iterable[Event]) -> Completion:
    """The answer that a stream's events make."""
    return assemble(event for event in events if not isinstance(event, Ended | Erred))


def pieces(data: bytes) -> list[bytes]:
    """The data cut behind each frame."""
    places = [0, *itertools.accumulate(len(frame.raw) for frame in SSEDecoder(1 << 24).feed(data))]
    return [data[start:end] for start, end in itertools.pairwise([*places, len(data)])]
