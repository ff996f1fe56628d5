"""Ways to run Gemini's front and back, and checks of what they owe: for the tests beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec

from relay.chat import ChatRequest, Choice, Completion, Message, Text, Thinking, ToolCall
from relay.dialects.codec import Asked, Built, Call, Target
from relay.dialects.gemini.dialect import GEMINI, GENERATE
from relay.endpoints import Operation
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.provider import Quirk
from relay.wire.sse import SSEDecoder

FOLDER = os.environ.get("RELAY_FIXTURES", "")
FRONT = GEMINI.fronts[GENERATE]
BACK = GEMINI.backs[Operation.CHAT]


def parse(body: object, *, model: str = "m", stream: bool = False) -> ChatRequest:
    """A client's JSON as the hub's request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request: ChatRequest = FRONT.parse(data, Call(GENERATE, model, stream))
    return request


def user(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A request of one turn of the user."""
    return {"contents": [{"role": "user", "parts": list(parts)}], **fields}


def ask(*messages: Message, **fields: Any) -> ChatRequest:
    """A hub request; of one word if no messages are given."""
    return ChatRequest("m", messages or (Message("user", (Text("Hi"),)),), **fields)


def target(model: str = "gemini-2.5-flash", *, vertex: bool = False) -> Target:
    """Google's own API, or Vertex AI."""
    return Target(model, "google", quirks=frozenset({Quirk.VERTEX} if vertex else ()), path=GENERATE)


def build(request: ChatRequest, model: str = "gemini-2.5-flash", *, vertex: bool = False) -> tuple[Any, Built]:
    """The request as Gemini gets it, decoded, and all that the builder says."""
    built = BACK.build(request, target(model, vertex=vertex))
    return json.loads(msgspec.json.encode(built.fields)), built


def asked(request: ChatRequest | None = None, *, array: bool = False) -> Asked:
    """What an answer must know."""
    return Asked(Call(GENERATE, "m", True, array), "req-1", "m", 1_700_000_000, request or ask())


def sse(*chunks: object) -> bytes:
    """Chunks as the provider streams them."""
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)


def chunk(*parts: dict[str, Any], **candidate: Any) -> dict[str, Any]:
    """A chunk of one candidate."""
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **candidate}]}


def read(pieces: Iterable[bytes], of: Target | None = None) -> list[Event]:
    """All events of a stream, its end included."""
    assert BACK.reader is not None
    reader, decoder = BACK.reader(of or target()), SSEDecoder(1 << 24)
    frames = [frame for piece in pieces for frame in decoder.feed(piece)] + list(decoder.end())
    return [event for frame in frames for event in reader.read(frame)] + list(reader.end())


def written(events: Sequence[Event], *, array: bool = False, together: bool = False) -> bytes:
    """All that the writer makes of events, one by one or at once."""
    assert FRONT.writer is not None
    writer = FRONT.writer(asked(array=array))
    groups = [list(events)] if together else [[event] for event in events]
    return b"".join(map(writer.write, groups)) + writer.end()


def chunks(data: bytes) -> list[dict[str, Any]]:
    """The chunks of an event stream, which must be nothing but whole data events."""
    events = data.split(b"\r\n\r\n")
    assert events.pop() == b"", data[-80:]
    assert all(event.startswith(b"data: ") and b"\n" not in event for event in events), data
    return [json.loads(event[6:]) for event in events]


def check_chunks(found: Sequence[dict[str, Any]]) -> None:
    """Hold a whole written stream against what Gemini's own look like.

    Raises:
        AssertionError: a part is empty, a model or id changes, or the ends are not at the end.
    """
    assert found, "a stream has at least one chunk"
    assert len({(one["modelVersion"], one["responseId"]) for one in found}) <= 2  # the id may come late
    for one in found[:-1]:
        for candidate in one["candidates"]:
            assert "finishReason" not in candidate, one
            parts = candidate.get("content", {}).get("parts", [])
            assert parts or "logprobsResult" in candidate, one
            for part in parts:
                assert set(part) - {"text", "thought"} or part["text"], f"empty part: {one}"
                assert part.get("functionCall", {"args": {}})["args"] is not None, one
    last = found[-1]["candidates"]
    assert all(candidate["finishReason"] for candidate in last), found[-1]
    assert [candidate["index"] for candidate in last] == sorted({candidate["index"] for candidate in last})


def check_events(events: Sequence[Event]) -> None:
    """Hold a reader's events against the rules of `relay.events`.

    Raises:
        AssertionError: a rule is broken.
    """
    opened: dict[int, int] = {}
    closed: set[int] = set()
    finished: set[int] = set()
    last = -1
    for number, event in enumerate(events):
        match event:
            case Began():
                assert number == 0, "Began comes first, once"
            case Opened():
                assert event.block > last
                assert event.choice not in finished
                last, opened[event.block] = event.block, event.choice
            case Grew():
                assert event.block in opened.keys() - closed
                assert event.text
                assert opened[event.block] == event.choice
            case Sealed() | Cited():
                assert event.block in opened.keys() - closed
            case Closed():
                assert event.block in opened.keys() - closed
                closed.add(event.block)
            case Finished():
                assert event.choice not in finished
                assert {block for block, choice in opened.items() if choice == event.choice} <= closed
                finished.add(event.choice)
            case Counted() | Probable():
                pass


def joined(completion: Completion) -> Completion:
    """The answer with neighbouring texts as one: writers give a proof a part of its own."""
    return msgspec.structs.replace(completion, choices=tuple(map(_joined, completion.choices)))


def _joined(choice: Choice) -> Choice:
    parts: list[Any] = []
    for part in choice.parts:
        before = parts[-1] if parts else None
        if isinstance(part, Text) and isinstance(before, Text) and before.seal is None:
            cited = before.citations + part.citations
            parts[-1] = Text(before.text + part.text, citations=cited, seal=part.seal)
        else:
            parts.append(part)
    return msgspec.structs.replace(choice, parts=tuple(parts))


def words(completion: Completion) -> tuple[str, str, list[tuple[str, Any]]]:
    """Text, thoughts and calls of the first answer."""
    parts = completion.choices[0].parts
    return (
        "".join(part.text for part in parts if isinstance(part, Text)),
        "".join(part.text for part in parts if isinstance(part, Thinking)),
        [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)],
    )


@attrs.frozen
class Case:
    """One recorded exchange."""

    name: str
    folder: Path
    meta: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether the provider answered."""
        return bool(self.meta["status"] < 400) and not self.error

    @property
    def error(self) -> bool:
        """Whether the body of a good status is an error."""
        return "stream_error" in self.meta["kinds"]

    @property
    def target(self) -> Target:
        """Where the recorded request went."""
        path = self.meta["request"].get("path") or "models/gemini-2.5-flash:generateContent"
        return target(path.rpartition("/")[2].partition(":")[0], vertex=self.name.startswith("vertexai"))

    def file(self, name: str) -> bytes | None:
        """A file of the case, or None."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None


def cases(dialect: str = "gemini-generate") -> Iterator[Case]:
    """All recordings of a dialect in the folder that ``RELAY_FIXTURES`` names."""
    for path in sorted(Path(FOLDER).glob(f"*/{dialect}/*/meta.json")):
        meta = json.loads(path.read_text("utf-8"))
        yield Case(path.parent.relative_to(FOLDER).as_posix(), path.parent, meta)
