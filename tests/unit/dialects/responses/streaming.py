"""Ways to drive the Responses API's both ends, and a judge of its streams."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec
from openai.types.responses import ResponseStreamEvent

from relay.chat import ChatRequest, Completion
from relay.dialects.codec import Asked, Back, Built, Call, Front, Target
from relay.dialects.registry import DIALECTS
from relay.endpoints import Operation
from relay.events import Event
from relay.provider import Quirk
from relay.wire.sse import SSEDecoder

DIALECT = DIALECTS["responses"]
FRONT: Front[ChatRequest, Completion] = DIALECT.fronts["/v1/responses"]
BACK: Back[ChatRequest, Completion] = DIALECT.backs[Operation.CHAT]
CALL = Call("/v1/responses")
TARGET = Target("upstream-model", "provider", path="/v1/responses")

TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def parsed(**fields: Any) -> ChatRequest:
    """The hub's form of a request with these fields."""
    return FRONT.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode(), CALL)


def built(request: ChatRequest, *quirks: Quirk, stream: bool = False) -> Built:
    """A hub request in a provider's words."""
    return BACK.build(request, Target("upstream-model", "provider", stream, frozenset(quirks), "/v1/responses"))


def sent(request: ChatRequest, *quirks: Quirk) -> dict[str, Any]:
    """The JSON body that a provider gets."""
    body: dict[str, Any] = json.loads(msgspec.json.encode(built(request, *quirks).fields))
    return body


def asked(**fields: Any) -> Asked:
    """What the answer knows of a request with these fields."""
    return Asked(CALL, "req-1", "m", 1700000000, parsed(**fields))


def written(events: Sequence[Event], about: Asked | None = None) -> bytes:
    """The stream that a client gets for these events, each given on its own."""
    make = FRONT.writer
    assert make is not None
    writer = make(about or asked())
    return b"".join(writer.write([event]) for event in events) + writer.end()


def read(pieces: Iterable[bytes]) -> list[Event]:
    """The events of a provider's stream that comes in pieces."""
    make = BACK.reader
    assert make is not None
    reader, decoder = make(TARGET), SSEDecoder(1 << 24)
    events: list[Event] = []
    for piece in pieces:
        for frame in decoder.feed(piece):
            events += reader.read(frame)
    for frame in decoder.end():
        events += reader.read(frame)
    return [*events, *reader.end()]


def stream(*events: dict[str, Any], named: bool = True) -> bytes:
    """A provider's stream of these events."""
    head = "event: {type}\n" if named else ""
    return "".join(f"{head.format(**event)}data: {json.dumps(event)}\n\n" for event in events).encode()


def payloads(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each checked to be one whole frame whose name is its type."""
    out = []
    for frame in SSEDecoder(1 << 24).feed(data):
        event = json.loads(frame.data)
        assert frame.event.decode() == event["type"], frame.raw
        assert frame.raw.count(b"\n") == 3, frame.raw
        out.append(event)
    assert b"".join(frame.raw for frame in SSEDecoder(1 << 24).feed(data)) == data
    return out


MODELS = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(ResponseStreamEvent)[0])
}
"""Type of an event → the SDK's class for it."""


def taken_by_sdk(event: dict[str, Any]) -> None:
    """Hold an event to the SDK's class for its type.

    Raises:
        ValueError: the SDK does not take it.
        KeyError: it does not know the type.
    """
    MODELS[event["type"]].model_validate(event)


class Judge:
    """Holds a stream to the protocol, and puts its output together from the deltas alone."""

    def __init__(self, data: bytes) -> None:
        self.events = payloads(data)
        self.items: dict[int, dict[str, Any]] = {}
        self._done: dict[int, Any] = {}
        self._texts: dict[tuple[int, str, int], str] = {}
        numbers = [event["sequence_number"] for event in self.events]
        assert numbers == list(range(len(numbers))), numbers
        assert [event["type"] for event in self.events[:2]] == ["response.created", "response.in_progress"]
        kinds = [event["type"] for event in self.events]
        assert sum(kind in TERMINAL or kind == "error" for kind in kinds) == 1, kinds
        assert kinds[-1] in (*TERMINAL, "error"), kinds
        for event in self.events[2:-1]:
            self._take(event)
        self.last = self.events[-1]
        if self.last["type"] != "error":
            self._final(self.last["response"])

    def _take(self, event: dict[str, Any]) -> None:
        kind, place = event["type"], event["output_index"]
        if kind == "response.output_item.added":
            assert place == len(self.items), "items are added in order"
            assert event["item"]["id"] not in [item["id"] for item in self.items.values()]
            self.items[place] = event["item"]
            return
        item = self.items[place]
        assert place not in self._done, "nothing follows an item's end"
        if kind == "response.output_item.done":
            assert event["item"]["id"] == item["id"]
            assert event["item"]["type"] == item["type"]
            self._done[place] = event["item"]
            return
        assert event["item_id"] == item["id"], event
        slot = "summary_index" if "summary" in kind else "content_index"
        field = slot if slot in event else "call"
        key = (place, field, event.get(slot, 0))
        if kind.endswith("part.added"):
            assert key not in self._texts
            assert event[slot] == sum(one[:2] == key[:2] for one in self._texts), "parts are added in order"
            self._texts[key] = ""
        elif kind.endswith(".delta"):
            assert event["delta"], "no empty deltas"
            if field == "call":
                self._texts.setdefault(key, "")
            self._texts[key] += event["delta"]
        elif kind.endswith(("text.done", "refusal.done", "arguments.done", "input.done")):
            whole = next(event[name] for name in ("text", "refusal", "arguments", "input") if name in event)
            assert _joined(whole) == _joined(self._texts.get(key, "")), "deltas make the whole"
        elif kind.endswith("part.done"):
            part = event["part"]
            assert _joined(part.get("text", part.get("refusal"))) == _joined(self._texts[key])

    def _final(self, response: dict[str, Any]) -> None:
        assert set(self._done) == set(self.items), "every item ends"
        assert response["output"] == [self._done[place] for place in range(len(self.items))]
        assert response["id"] == self.events[0]["response"]["id"]
        assert response["status"] == self.last["type"].removeprefix("response.")
        for item in response["output"]:
            if item["type"] == "message":
                assert item["content"], "no empty message"
                assert all(part.get("text", part.get("refusal")) for part in item["content"])


def _joined(text: str) -> str:
    """The text with halves of characters that came apart put together."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
