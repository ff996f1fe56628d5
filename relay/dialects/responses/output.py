"""Output items of a provider, in parts.

See: https://platform.openai.com/docs/api-reference/responses/object (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

from relay.chat import Citation, Media, Seal, ToolCall
from relay.dialects.carry import made_id, unwrap
from relay.dialects.lenient import mapping, sequence, text
from relay.dialects.quoting import encode
from relay.dialects.responses.names import flat
from relay.dialects.responses.parts import ORIGIN, read_annotation


def opening_call(item: Mapping[str, object]) -> ToolCall:
    """A function's call without its arguments; a missing id is made from what is there."""
    namespace = text(item.get("namespace"))
    name = text(item.get("name"))
    return ToolCall(
        text(item.get("call_id")) or text(item.get("id")) or made_id("call_", name, item.get("arguments")),
        flat(namespace, name),
        "",
        custom=item.get("type") == "custom_tool_call",
        namespace=namespace,
    )


def citations(part: Mapping[str, object]) -> list[Citation]:
    """The sources that a text part names."""
    return [read_annotation(encode(item)) for item in sequence(part.get("annotations")) if isinstance(item, dict)]


def logprobs_of(tokens: object) -> bytes:
    """Log probabilities in the form of OpenAI's Chat dialect, b"" if there are none."""
    found = sequence(tokens)
    return encode({"content": found}) if found else b""


def seal_of(item: Mapping[str, object]) -> Seal | None:
    """The encrypted reasoning of a reasoning item."""
    encrypted = text(item.get("encrypted_content"))
    return unwrap(encrypted, ORIGIN) if encrypted else None


def summary_texts(item: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """What a reasoning item shows: its summaries, and its reasoning itself."""
    return _texts(item.get("summary")), _texts(item.get("content"))


def _texts(parts: object) -> list[str]:
    return [text(mapping(part).get("text")) for part in sequence(parts)]


def media_of(item: Mapping[str, object]) -> Media | None:
    """The image that an item holds, if it does."""
    result = text(item.get("result"))
    if item.get("type") != "image_generation_call" or not result:
        return None
    return Media("image", mime=f"image/{text(item.get('output_format')) or 'png'}", data=result)
