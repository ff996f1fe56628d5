"""What relay reads of a chunk or a whole answer of Chat Completions, typed where it can be.

Almost everything is `Any`: imitators put numbers where strings belong, and a chunk must not fail for that.
"""

from __future__ import annotations

from typing import Any

import msgspec

from relay.dialects.lenient import load, mapping, sequence


class Delta(msgspec.Struct, gc=False):
    """A delta, or a whole message: they have the same members."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    reasoning_details: Any = None
    thinking_blocks: Any = None
    refusal: Any = None
    function_call: Any = None
    annotations: Any = None
    images: Any = None
    audio: Any = None
    extra_content: Any = None

    def is_reasoning(self) -> bool:
        """Whether it holds plain reasoning."""
        return bool(self.reasoning_content or self.reasoning)

    def is_rare(self) -> bool:
        """Whether it holds more than text, plain reasoning and calls."""
        return bool(
            self.reasoning_details
            or self.thinking_blocks
            or self.refusal
            or self.function_call
            or self.annotations
            or self.images
            or self.audio
            or self.extra_content
        )


class Choice(msgspec.Struct, gc=False):
    """A choice of a stream (``delta``) or of a whole answer (``message``)."""

    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: Any = None
    logprobs: Any = None


class Chunk(msgspec.Struct, gc=False):
    """A chunk, or a whole answer."""

    id: Any = None
    model: Any = None
    created: Any = None
    service_tier: Any = None
    system_fingerprint: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None
    citations: Any = None
    search_results: Any = None


_CHUNK = msgspec.json.Decoder(Chunk)
_HIGH = ("\ud800", "\udbff")


def read(data: bytes) -> tuple[Chunk, bool]:
    """Read JSON, and say whether it was as it should be; what cannot be read counts as absent."""
    try:
        return _CHUNK.decode(data), True
    except (msgspec.MsgspecError, ValueError, RecursionError):
        body = mapping(load(data))
    found = [_choice(choice) for choice in map(mapping, sequence(body.get("choices")))]
    return Chunk(**{**_known(Chunk, body), "choices": found}), False


def _choice(source: Any) -> Choice:
    index = source.get("index")
    fields = _known(Choice, source)
    fields["index"] = index if isinstance(index, int) and not isinstance(index, bool) else 0
    for name in ("delta", "message"):
        inner = source.get(name)
        fields[name] = Delta(**_known(Delta, inner)) if isinstance(inner, dict) else None
    return Choice(**fields)


def _known(shape: type[msgspec.Struct], source: Any) -> dict[str, Any]:
    return {name: source[name] for name in shape.__struct_fields__ if name in source}


class Halves:
    r"""Puts characters together that a provider cut in two, and replaces what stays half.

    An emoji is two escapes in JSON (``\ud83d\ude00``); some providers send them in two chunks.
    """

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def mend(self, text: str) -> str:
        """Text that can be encoded; a first half at its end waits for the second."""
        text, self._half = self._half + text, ""
        if text and _HIGH[0] <= text[-1] <= _HIGH[1]:
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mended(value: Any) -> Any:
    """A decoded value in which every string can be encoded."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(name): mended(item) for name, item in value.items()}
    return value
