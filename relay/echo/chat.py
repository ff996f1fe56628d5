"""OpenAI Chat Completions, as the provider.

See: https://platform.openai.com/docs/api-reference/chat (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import attrs
import msgspec

from relay.echo.answer import Answer, Finish, Tool, Wish, decide
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, Content, text_of
from relay.echo.reply import DONE, Piece, Reply, data, data_error, streamed, whole_json

_FINISH = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.TOOL: "tool_calls"}

Limit = Annotated[int, msgspec.Meta(ge=1)] | None
Choices = Annotated[int, msgspec.Meta(ge=1, le=128)] | None


class StreamOptions(msgspec.Struct, frozen=True):
    """``stream_options``: whether the stream ends with a usage chunk."""

    include_usage: bool = False


class _Message(msgspec.Struct, frozen=True):
    """One message."""

    role: str
    content: Content = None


class _Function(msgspec.Struct, frozen=True):
    """What a tool is called and takes."""

    name: str
    parameters: dict[str, object] | None = None


class _Tool(msgspec.Struct, frozen=True):
    """One tool; only functions can be called."""

    type: str = "function"
    function: _Function | None = None


class _Schema(msgspec.Struct, frozen=True):
    """``response_format.json_schema``."""

    schema: dict[str, object] | None = None


class _Format(msgspec.Struct, frozen=True):
    """``response_format``."""

    type: str
    json_schema: _Schema | None = None


class _Request(msgspec.Struct, frozen=True):
    """The fields that matter here; the others are taken and ignored."""

    model: str
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Choices = None
    max_tokens: Limit = None
    max_completion_tokens: Limit = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, object] | None = None
    response_format: _Format | None = None
    echo: Knobs | None = None


def answer_chat(call: Call) -> Reply:
    """Answer ``POST /v1/chat/completions``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Request)
    knobs = request.echo or NONE
    answer = decide(_wish(request, knobs))
    writer = _Writer(
        id=call.mint("chatcmpl-"),
        call_id=call.mint("call_"),
        created=call.now,
        model=request.model,
        answer=answer,
        choices=request.n or 1,
    )
    if not request.stream:
        return whole_json(writer.completion(), knobs)
    options = request.stream_options
    return streamed(writer.stream(usage=options is not None and options.include_usage), data_error, knobs)


def stops(stop: str | list[str] | None) -> tuple[str, ...]:
    """OpenAI's ``stop``, which may be one text or a list."""
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def usage_of(input_tokens: int, output_tokens: int) -> dict[str, object]:
    """OpenAI's usage object."""
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _wish(request: _Request, knobs: Knobs) -> Wish:
    """The request, freed from its dialect."""
    texts = tuple(text_of(message.content) for message in request.messages)
    roles = [message.role for message in request.messages]
    after_result = roles[-1] in ("tool", "function")
    users = [text for role, text in zip(roles, texts, strict=True) if role == "user"]
    form = request.response_format
    functions = [tool.function for tool in request.tools or () if tool.function is not None]
    limit = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    return Wish(
        knobs=knobs,
        prompt=texts[-1] if after_result or not users else users[-1],
        texts=texts,
        limit=limit,
        stops=stops(request.stop),
        tools=tuple(Tool(function.name, function.parameters) for function in functions),
        must_call=request.tool_choice not in (None, "auto", "none"),
        choice=_choice(request.tool_choice),
        after_result=after_result,
        schema=form.json_schema.schema if form is not None and form.json_schema is not None else None,
        json=form is not None and form.type == "json_object",
    )


def _choice(choice: str | dict[str, object] | None) -> str:
    """Name of the tool that ``tool_choice`` names, or ""."""
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else ""


@attrs.frozen
class _Writer:
    """Writes one answer, whole or streamed.

    Attributes:
        id: the completion's id.
        call_id: id of the tool call.
        created: Unix seconds.
        model: the model that was asked for.
        answer: what to say.
        choices: how many times to say it.
    """

    id: str
    call_id: str
    created: int
    model: str
    answer: Answer
    choices: int

    def completion(self) -> dict[str, object]:
        """The whole answer."""
        message: dict[str, object] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        if self.answer.tool is None:
            message["content"] = self.answer.text
        else:
            function = {"name": self.answer.tool, "arguments": self.answer.text}
            message["tool_calls"] = [{"id": self.call_id, "type": "function", "function": function}]
        finish = _FINISH[self.answer.finish]
        return {
            **self._head("chat.completion"),
            "choices": [
                {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
                for index in range(self.choices)
            ],
            "usage": self._usage(),
        }

    def stream(self, *, usage: bool) -> Iterator[Piece]:
        """The answer in chunks; with ``usage``, the last but one reports it."""
        extra: dict[str, object] = {"usage": None} if usage else {}
        head = {**self._head("chat.completion.chunk"), **extra}
        for index in range(self.choices):
            yield self._chunk(head, index, self._first_delta()), False
        if self.answer.tool is not None:
            for index in range(self.choices):
                yield self._chunk(head, index, self._tool_delta(self.answer.tool)), True
        for piece in self.answer.stream():
            for index in range(self.choices):
                yield self._chunk(head, index, self._delta(piece)), True
        for index in range(self.choices):
            yield self._chunk(head, index, {}, _FINISH[self.answer.finish]), False
        if usage:
            yield data({**head, "choices": [], "usage": self._usage()}), False
        yield DONE, False

    def _head(self, kind: str) -> dict[str, object]:
        """What every object begins with."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_echo",
        }

    def _usage(self) -> dict[str, object]:
        """Words in and out."""
        return usage_of(self.answer.input_tokens, self.answer.output_tokens * self.choices)

    def _first_delta(self) -> dict[str, object]:
        """The delta that opens a choice."""
        content = "" if self.answer.tool is None else None
        return {"role": "assistant", "content": content, "refusal": None}

    def _tool_delta(self, name: str) -> dict[str, object]:
        """The delta that opens the tool call."""
        function = {"name": name, "arguments": ""}
        return {"tool_calls": [{"index": 0, "id": self.call_id, "type": "function", "function": function}]}

    def _delta(self, piece: str) -> dict[str, object]:
        """A delta with a word, or a piece of the arguments."""
        if self.answer.tool is None:
            return {"content": piece}
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}

    @staticmethod
    def _chunk(head: dict[str, object], index: int, delta: dict[str, object], finish: str | None = None) -> bytes:
        """One frame."""
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data({**head, "choices": [choice]})
