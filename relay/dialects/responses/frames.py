"""The events of a provider's stream, read from JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from relay.dialects.lenient import load, mapping, text
from relay.dialects.quoting import encode


class StreamEvent(msgspec.Struct):
    """What is needed of an event; values are taken apart only where they are."""

    type: str = ""
    delta: str = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str = ""
    text: str = ""
    refusal: str = ""
    logprobs: Raw = Raw()
    item: Raw = Raw()
    part: Raw = Raw()
    annotation: Raw = Raw()
    response: Raw = Raw()


class TextDelta(msgspec.Struct, gc=False):
    """An event of growing text."""

    type: str
    delta: str
    output_index: int
    content_index: int = 0


_EVENT = msgspec.json.Decoder(StreamEvent)
read_delta = msgspec.json.Decoder(TextDelta).decode
"""Reads a `TextDelta`. Raises msgspec.MsgspecError or ValueError when it is none."""


def read_event(data: bytes) -> StreamEvent:
    """Read an event, piece by piece if it is not as expected. Never raises."""
    try:
        return _EVENT.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _loose(mapping(load(data)))


def opened(raw: Raw) -> Mapping[str, object]:
    """A member that is an object; empty if it is none."""
    return mapping(load(bytes(raw))) if raw else {}


def _loose(body: Mapping[str, object]) -> StreamEvent:
    def number(name: str) -> int | None:
        value = body.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def raw(name: str) -> Raw:
        return Raw(encode(body[name])) if body.get(name) is not None else Raw()

    return StreamEvent(
        type=text(body.get("type")),
        delta=text(body.get("delta")),
        output_index=number("output_index"),
        content_index=number("content_index"),
        summary_index=number("summary_index"),
        item_id=text(body.get("item_id")),
        text=text(body.get("text")),
        refusal=text(body.get("refusal")),
        logprobs=raw("logprobs"),
        item=raw("item"),
        part=raw("part"),
        annotation=raw("annotation"),
        response=raw("response"),
    )
