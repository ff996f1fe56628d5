"""What the tests of this package talk with: recordings, streams of chunks, and a judge of what a client is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec

from relay.chat import ChatRequest, Completion, Message, Text
from relay.dialects.assembly import assemble
from relay.dialects.codec import Asked, Call, Target, Writer
from relay.dialects.openai.reading import ChatReader
from relay.events import Ended, Erred, Event
from relay.provider import Quirk
from relay.wire.sse import SSEDecoder

FOLDER = os.environ.get("RELAY_FIXTURES", "")
SMALL = Path(__file__).resolve().parents[3] / "fixtures" / "openai"

CALL = Call("/v1/chat/completions")
ASKING = ChatRequest("m", (Message("user", (Text("hi"),)),))


def asked(request: Any = ASKING, path: str = "/v1/chat/completions") -> Asked:
    """The question that an answer belongs to."""
    return Asked(Call(path), "req1", "public/model", 1700000000, request)


def target(*quirks: Quirk, model: str = "up", stream: bool = False) -> Target:
    """A provider with these deviations."""
    return Target(model, "p", stream, frozenset(quirks), "/v1/chat/completions")


@attrs.frozen
class Case:
    """One recorded exchange."""

    name: str
    folder: Path
    meta: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether the provider answered well."""
        return bool(self.meta["status"] < 400)

    def file(self, name: str) -> bytes | None:
        """A file of the case, or None."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None


def cases(dialect: str) -> Iterator[Case]:
    """All recordings of a dialect."""
    for path in sorted(Path(FOLDER).glob(f"*/{dialect}/*/meta.json")) if FOLDER else ():
        yield Case(path.parent.relative_to(FOLDER).as_posix(), path.parent, json.loads(path.read_text("utf-8")))


def requests(dialect: str = "openai-chat") -> Iterator[tuple[Case, bytes]]:
    """All recorded requests."""
    for case in cases(dialect):
        data = case.file("request.json")
        if data is not None:
            yield case, data


def answers(dialect: str = "openai-chat") -> Iterator[tuple[Case, bytes]]:
    """All whole good answers."""
    for case in cases(dialect):
        data = case.file("response.json")
        if data is not None and case.good and "error" not in json.loads(data):
            yield case, data


def streams(dialect: str = "openai-chat") -> Iterator[tuple[str, bytes]]:
    """All streams, the few of the repository first."""
    for path in sorted(SMALL.glob("*.sse")):
        if path.stem != "completions":
            yield path.stem, path.read_bytes()
    for case in cases(dialect):
        data = case.file("response.sse")
        if data is not None:
            yield case.name, data


def payloads(data: bytes) -> list[dict[str, Any]]:
    """The JSON payloads of a stream."""
    frames = [frame.data for frame in SSEDecoder(1 << 24).feed(data + b"\n\n")]
    return [json.loads(frame) for frame in frames if frame.startswith(b"{")]


def read(pieces: Iterable[bytes], **options: Any) -> list[Event]:
    """The events of a stream that comes in these pieces."""
    decoder, reader = SSEDecoder(1 << 24), ChatReader(target(**options))
    events: list[Event] = []
    for piece in pieces:
        for frame in decoder.feed(piece):
            events += reader.read(frame)
    for frame in decoder.end():
        events += reader.read(frame)
    events += reader.end()
    judge_events(events)
    return events


def sse(*chunks: dict[str, Any] | str, done: bool = True) -> bytes:
    """A stream of chunks; strings are data as they are."""
    texts = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    return "".join(f"data: {text}\n\n" for text in [*texts, *(["[DONE]"] if done else [])]).encode()


def delta(index: int = 0, finish: str | None = None, **members: Any) -> dict[str, Any]:
    """A chunk with one delta."""
    choice = {"index": index, "delta": members, "finish_reason": finish}
    return {"id": "c1", "model": "m", "created": 5, "choices": [choice]}


def whole(*chunks: dict[str, Any] | str) -> Completion:
    """What a stream of chunks makes."""
    return assemble(read([sse(*chunks)]))


def written(writer: Writer, events: Sequence[Event]) -> bytes:
    """All that a client is sent for these events, if they end well."""
    return writer.write([event for event in events if not isinstance(event, Ended | Erred)]) + writer.end()


def judge_events(events: Sequence[Event]) -> None:
    """Check the rules of `relay.events`."""
    seen: dict[int, tuple[bool, int]] = {}
    finished: set[int] = set()
    for number, event in enumerate(events):
        match type(event).__name__:
            case "Began":
                assert number == 0, "Began is not first"
            case "Opened":
                block, choice = event.block, event.choice  # type: ignore[union-attr]
                assert not seen or block > max(seen), "numbers do not rise"
                assert choice not in finished, "opened behind the finish"
                seen[block] = (True, choice)
            case "Grew" | "Sealed" | "Cited":
                assert seen[event.block][0], "a closed block grows"  # type: ignore[union-attr]
            case "Closed":
                assert seen[event.block][0], "closed twice"  # type: ignore[union-attr]
                seen[event.block] = (False, seen[event.block][1])  # type: ignore[union-attr]
            case "Finished":
                index = event.choice  # type: ignore[union-attr]
                assert index not in finished, "finished twice"
                assert not [block for block, (is_open, of) in seen.items() if is_open and of == index], "still open"
                finished.add(index)
            case "Ended" | "Erred":
                assert number == len(events) - 1, "something follows the end"


def judge(data: bytes, *, usage: bool = False) -> list[dict[str, Any]]:
    """Check a stream of Chat Completions as a strict client does, and return its chunks.

    Every chunk has the same head; a choice begins with its role and ends with its finish reason; calls are numbered
    from 0 and named once; the usage report stands behind all of it, and ``[DONE]`` comes last, once.
    """
    frames = SSEDecoder(1 << 24).feed(data)
    assert b"".join(frame.raw for frame in frames) == data, "the stream ends within a frame"
    assert [frame.data == b"[DONE]" for frame in frames] == [False] * (len(frames) - 1) + [True]
    chunks = [msgspec.json.decode(frame.data) for frame in frames[:-1]]
    assert chunks
    heads = {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in chunks}
    assert len(heads) == 1
    assert all(chunk["choices"] for chunk in (chunks[:-1] if usage else chunks)), "an empty chunk"
    roles: set[int] = set()
    finished: set[int] = set()
    calls: dict[int, int] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            index, member = choice["index"], choice["delta"]
            assert ("role" in member) == (index not in roles), "the role comes first, once"
            roles.add(index)
            assert index not in finished, "a choice goes on behind its finish"
            if choice["finish_reason"] is not None:
                finished.add(index)
            for call in member.get("tool_calls", ()):
                if "id" in call:
                    assert call["index"] == calls.get(index, 0), "calls are not numbered in order"
                    calls[index] = call["index"] + 1
                    assert call["type"] in call
                assert call["index"] < calls[index]
    assert roles == finished
    return chunks
