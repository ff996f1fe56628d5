"""What relay checks in a request: the fields it relies on, and the gross types of well-known ones.

One `msgspec.Struct` an endpoint. Fields that are not named here are not looked at, so what a provider
adds tomorrow passes today. Null means absent, as clients mean it (``stream: null``, ``tools: null``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

Text = Annotated[str, Meta(min_length=1)]
Items = Annotated[list[Raw], Meta(min_length=1)]
Object = dict[str, Raw]

_CONTENT = (0x22, 0x5B, 0x6E)  # a string, an array, null


class Unfit(ValueError):
    """A rule that types cannot say is broken.

    Args:
        param: the field at fault.
        problem: what is wrong, as the end of a sentence that begins with the field.
    """

    def __init__(self, param: str, problem: str) -> None:
        super().__init__(problem)
        self.param = param
        self.problem = problem


class Shape(msgspec.Struct):
    """What every request has."""

    model: str | None = None
    stream: bool | None = None

    def check(self) -> None:
        """Check what types cannot say.

        Raises:
            Unfit: names the field and the fault.
        """

    def streams(self) -> bool:
        """Whether the client asks for an event stream."""
        return bool(self.stream)

    def wants_usage(self) -> bool:
        """Whether the client asks for a usage report in the stream."""
        return False


class Message(msgspec.Struct):
    """One message of a conversation."""

    role: Text
    content: Raw = Raw(b"null")


class StreamOptions(msgspec.Struct):
    """Chat's ``stream_options``."""

    include_usage: bool | None = None


class _Sampling(Shape):
    """Fields that Chat and Completions share."""

    max_tokens: int | None = None
    n: int | None = None
    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | list[Raw] | None = None
    stream_options: StreamOptions | None = None

    def wants_usage(self) -> bool:
        """Whether ``stream_options.include_usage`` is set."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class Chat(_Sampling, kw_only=True):
    """``/v1/chat/completions``."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: int | None = None
    tools: list[Object] | None = None
    tool_choice: str | Object | None = None
    response_format: Object | None = None
    parallel_tool_calls: bool | None = None

    def check(self) -> None:
        """Check each message's content."""
        _contents(self.messages)


class Completions(_Sampling, kw_only=True):
    """``/v1/completions``."""

    prompt: str | list[Raw] | None


class CountTokens(Shape, kw_only=True):
    """``/v1/messages/count_tokens``."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    system: str | list[Object] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[Raw] | None = None
    tools: list[Object] | None = None
    tool_choice: Object | None = None
    thinking: Object | None = None
    metadata: Object | None = None

    def check(self) -> None:
        """Check each message's content."""
        _contents(self.messages)


class Messages(CountTokens, kw_only=True):
    """``/v1/messages``; ``max_tokens: 0`` fills the prompt cache and writes nothing.

    See: https://docs.claude.com/en/docs/build-with-claude/prompt-caching#pre-warming-the-cache (read 2026-11).
    """

    max_tokens: Annotated[int, Meta(ge=0)]


class Responses(Shape):
    """``/v1/responses``."""

    input: str | list[Raw] | None = None
    instructions: str | list[Raw] | None = None
    prompt: Object | None = None
    previous_response_id: str | None = None
    conversation: str | Object | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Object] | None = None
    tool_choice: str | Object | None = None

    def check(self) -> None:
        """Something must be there to respond to."""
        sources = (self.input, self.prompt, self.previous_response_id, self.conversation)
        if all(source is None for source in sources):
            raise Unfit("input", "is required unless `prompt`, `previous_response_id` or `conversation` is given")


class Embeddings(Shape, kw_only=True):
    """``/v1/embeddings``."""

    input: Text | Items
    dimensions: int | None = None
    encoding_format: str | None = None


class Moderations(Shape, kw_only=True):
    """``/v1/moderations``."""

    input: str | Items


class Images(Shape, kw_only=True):
    """``/v1/images/generations`` and, in JSON, ``/v1/images/edits``."""

    prompt: str
    n: int | None = None


class Speech(Shape, kw_only=True):
    """``/v1/audio/speech``."""

    input: str
    voice: str | Object | None = None
    stream_format: str | None = None

    def streams(self) -> bool:
        """OpenAI asks by ``stream_format: "sse"``, others by ``stream``."""
        return bool(self.stream) or self.stream_format == "sse"


class Rerank(Shape, kw_only=True):
    """``/v1/rerank``."""

    query: str | Object
    documents: Items
    top_n: int | None = None


class Ollama(Shape, kw_only=True):
    """Ollama's ``/api/chat`` and ``/api/generate``, which stream unless told not to."""

    def streams(self) -> bool:
        """Whether the client asks for a stream; it does when it says nothing."""
        return self.stream is not False


def _contents(messages: list[Message]) -> None:
    """A message's content is a string, an array, null or not there."""
    for index, message in enumerate(messages):
        if memoryview(message.content)[0] not in _CONTENT:
            raise Unfit(f"messages[{index}].content", "must be a string or an array")


_SHAPES: Mapping[str, type[Shape]] = {
    "/v1/chat/completions": Chat,
    "/v1/completions": Completions,
    "/v1/embeddings": Embeddings,
    "/v1/responses": Responses,
    "/v1/messages": Messages,
    "/v1/messages/count_tokens": CountTokens,
    "/v1/audio/speech": Speech,
    "/v1/images/generations": Images,
    "/v1/images/edits": Images,
    "/v1/moderations": Moderations,
    "/v1/rerank": Rerank,
    "/api/chat": Ollama,
    "/api/generate": Ollama,
}


def _decoder(shape: type[Any]) -> Callable[[bytes], Shape]:
    """The typed reader of a shape."""
    return msgspec.json.Decoder(shape).decode


READERS: Mapping[str, Callable[[bytes], Shape]] = {path: _decoder(shape) for path, shape in _SHAPES.items()}
"""Canonical path → reader of its request body; endpoints that are not named take `Shape`."""

ANY: Callable[[bytes], Shape] = _decoder(Shape)
"""The reader for an endpoint without a shape of its own."""
