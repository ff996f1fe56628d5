"""Streams for the tests of this package: recorded ones, hand-made ones, and ways to feed them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from relay.dialects.base import Listener
from relay.dialects.passthrough import Passthrough
from relay.dialects.registry import DIALECTS
from relay.endpoints import ENDPOINTS, FORWARDED, Endpoint
from relay.wire.sse import SSEDecoder

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"

GENERATE = Endpoint("/v1beta/models/generate", "gemini", streams=True)
"""Stands for Gemini's own endpoint, whose path holds the model."""

CHAT = FORWARDED["/v1/chat/completions"]
MESSAGES = FORWARDED["/v1/messages"]
RESPONSES = FORWARDED["/v1/responses"]
COHERE = ENDPOINTS["/v2/chat"]


def endpoint_of(dialect: str, name: str = "") -> Endpoint:
    """The endpoint that a recording belongs to."""
    if name.startswith("completions"):
        return FORWARDED["/v1/completions"]
    return {"openai": CHAT, "anthropic": MESSAGES, "responses": RESPONSES, "gemini": GENERATE, "cohere": COHERE}[
        dialect
    ]


def recordings() -> Iterator[tuple[str, Endpoint, bytes]]:
    """Dialect/name, endpoint and bytes of each recorded stream in ``tests/fixtures``."""
    for dialect in DIALECTS:
        for path in sorted((FIXTURES / dialect).glob("*.sse")):
            yield f"{dialect}/{path.stem}", endpoint_of(dialect, path.stem), path.read_bytes()


def recording(name: str) -> bytes:
    """One recorded stream."""
    return (FIXTURES / f"{name}.sse").read_bytes()


def passthrough(endpoint: Endpoint, *, strip_usage: bool = False, limit: int = 1 << 20) -> Passthrough:
    """A transcoder for an endpoint's own dialect."""
    return Passthrough(
        DIALECTS[endpoint.front], endpoint, "d", strip_usage=strip_usage, frame_limit=limit, request_id="id"
    )


def singly(data: bytes) -> list[bytes]:
    """The data, byte by byte."""
    return [data[index : index + 1] for index in range(len(data))]


def slices(data: bytes, seed: int) -> list[bytes]:
    """The data, cut in random places."""
    chance = random.Random(seed)
    cuts = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(8))})
    return [data[start:end] for start, end in itertools.pairwise(cuts)]


def ends(data: bytes) -> list[int]:
    """Offsets behind each frame."""
    places, at = [], 0
    for frame in SSEDecoder(1 << 20).feed(data):
        at += len(frame.raw)
        places.append(at)
    return places


def run(transcoder: Passthrough, pieces: Iterable[bytes]) -> bytes:
    """All that comes out, the end included."""
    return b"".join(map(transcoder.feed, pieces)) + transcoder.end()


def hear(endpoint: Endpoint, *data: bytes | str, event: str = "") -> Listener:
    """A listener that has heard these payloads."""
    listener = DIALECTS[endpoint.front].listener(endpoint)
    for item in data:
        payload = item if isinstance(item, bytes) else item.encode()
        head = f"event: {event}\n".encode() if event else b""
        for frame in SSEDecoder(1 << 20).feed(head + b"data: " + payload + b"\n\n"):
            listener.hear(frame)
    return listener
