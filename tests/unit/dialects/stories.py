"""Legal streams of the hub, made up at random, and recordings: for the dialects whose tests use them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from hypothesis import strategies as st

from relay.chat import Citation, Finish, Media, Native, Part, Refusal, Seal, Text, Thinking, ToolCall
from relay.events import Began, Cited, Closed, Counted, Event, Finished, Grew, Opened, Probable, Sealed
from relay.exchange import Usage

FOLDER = os.environ.get("RELAY_FIXTURES", "")

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
"""Text, maybe empty."""

PARTS: tuple[Part, ...] = (
    Text(""),
    Text("begun"),
    Thinking(""),
    Thinking("begun"),
    Thinking(seal=Seal("anthropic", "hidden"), redacted=True),
    Refusal(""),
    ToolCall("call_1", "look", ""),
    ToolCall("call_1", "look", "", seal=Seal("gemini", "c2ln")),
    Media("image", "image/png", "QUJD"),
    Native("anthropic", "server_tool_use", b"{}"),
)

LOGPROBS = b'{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]}'


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """A stream as a reader may give it: blocks that overlap, several choices, reports at any time."""
    events: list[Event] = [Began("id", "m", 5)] if draw(st.booleans()) else []
    growing: dict[int, Opened] = {}
    for number in range(draw(st.integers(0, 5))):
        events += _grown(draw, growing)
        part = draw(st.sampled_from(PARTS))
        opened = Opened(number, part, draw(st.sampled_from((0, 0, 0, 1))))
        events.append(opened)
        growing[number] = opened
        if draw(st.integers(0, 3)):
            events += _closed(draw, growing, number)
    for number in list(growing):
        events += _closed(draw, growing, number)
    calls = any(isinstance(event, Opened) and isinstance(event.part, ToolCall) for event in events)
    if draw(st.booleans()):
        events.append(Finished(Finish.TOOL_CALLS if calls else draw(st.sampled_from((Finish.STOP, Finish.LENGTH)))))
    events += [Counted(usage) for usage in draw(st.lists(st.just(Usage(input=3, output=4)), max_size=2))]
    return events


def _grown(draw: st.DrawFn, growing: dict[int, Opened]) -> list[Event]:
    """Something of the open blocks."""
    events: list[Event] = []
    for number, opened in growing.items():
        if isinstance(opened.part, ToolCall):
            continue  # its arguments come before it closes, so that they are JSON
        if isinstance(opened.part, Text | Refusal | Thinking) and not getattr(opened.part, "redacted", False):
            events.append(Grew(number, draw(WORDS), opened.choice))
        if isinstance(opened.part, Text) and draw(st.booleans()):
            events.append(Cited(number, Citation(url="https://example.com", title="t", quote="q", start=0, end=1)))
        if draw(st.integers(0, 4)) == 0:
            events.append(Probable(LOGPROBS, opened.choice))
    return events


def _closed(draw: st.DrawFn, growing: dict[int, Opened], number: int) -> list[Event]:
    """The rest of a block."""
    opened = growing[number]
    events = _grown(draw, {number: opened})
    if isinstance(opened.part, ToolCall):
        pieces = draw(st.sampled_from(((), ("{}",), ('{"a":', "1}"), ('{\n"a": "\\n"', "}"))))
        events += [Grew(number, piece, opened.choice) for piece in pieces]
        if draw(st.booleans()):
            events.append(Sealed(number, Seal("gemini", "c2ln")))
    del growing[number]
    return [*events, Closed(number)]


@attrs.frozen
class Recording:
    """One recorded exchange."""

    name: str
    folder: Path
    meta: dict[str, Any]

    def file(self, name: str) -> bytes | None:
        """A file of it, or None."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None


def recordings(*dialects: str) -> Iterator[Recording]:
    """The recordings in these dialects, as their ``meta.json`` calls them."""
    for path in sorted(Path(FOLDER).glob("*/*/*/meta.json")):
        meta = json.loads(path.read_text("utf-8"))
        if meta["dialect"] in dialects:
            yield Recording(path.parent.relative_to(FOLDER).as_posix(), path.parent, meta)
