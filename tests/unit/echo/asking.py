"""Asking the echo's endpoints without HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from relay.echo.reading import Call, Form, Upload
from relay.echo.reply import Reply

NOW = 1_700_000_000

Endpoint = Callable[[Call], Reply]


def call(body: bytes | Form) -> Call:
    """A request at a fixed time, whose ids are numbered."""
    numbers = itertools.count(1)
    return Call(body, NOW, lambda prefix: f"{prefix}{next(numbers)}")


def ask(endpoint: Endpoint, **fields: object) -> Reply:
    """The reply to a JSON request."""
    return endpoint(call(json.dumps(fields).encode()))


def submit(endpoint: Endpoint, *files: Upload, **fields: object) -> Reply:
    """The reply to a form."""
    return endpoint(call(Form(fields, files)))


def sent(reply: Reply) -> bytes:
    """All bytes of a reply that ends."""
    return b"".join(data for data, _ in reply.pieces)


def value(reply: Reply) -> Any:  # JSON
    """The JSON of a whole reply."""
    body = sent(reply)
    assert reply.length == len(body), (reply.length, body)
    return json.loads(body)


def frames(data: bytes) -> list[tuple[str, Any]]:
    """Event names ("" if there is none) and values of frames; ``[DONE]`` as a string."""
    found = []
    for frame in data.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in frame.split("\n"))
        text = lines["data"]
        found.append((lines.get("event", ""), text if text == "[DONE]" else json.loads(text)))
    return found


def events(reply: Reply) -> list[tuple[str, Any]]:
    """The frames of a streamed reply that ends."""
    assert reply.length is None, reply.length
    return frames(sent(reply))


def content(reply: Reply) -> list[bytes]:
    """The pieces that carry content, of a reply that ends."""
    return [data for data, carries in reply.pieces if carries]


def text_message(text: str, role: str = "user") -> dict[str, object]:
    """A message."""
    return {"role": role, "content": text}


WEATHER_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
WEATHER_CALL = '{"city": "sample"}'
