"""Anthropic Messages and their token count, as the provider.

See: https://docs.anthropic.com/en/api/messages and
https://docs.anthropic.com/en/docs/build-with-claude/streaming (read 2026-11).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated

import attrs
import msgspec

from relay.echo.answer import Answer, Finish, Tool, Wish, decide, split
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, Content, Part, text_of, words
from relay.echo.reply import Piece, Reply, event, refuse, streamed, whole_json


class _Message(msgspec.Struct, frozen=True):
    """One turn."""

    role: str
    content: Content


class _Tool(msgspec.Struct, frozen=True):
    """One tool; those that the server runs have no schema and cannot be called."""

    name: str
    input_schema: dict[str, object] | None = None


class _Choice(msgspec.Struct, frozen=True):
    """``tool_choice``: auto, any, tool or none."""

    type: str
    name: str = ""


class _Thinking(msgspec.Struct, frozen=True):
    """``thinking``: the echo thinks when it is ``enabled``, not when it may choose."""

    type: str


class _Format(msgspec.Struct, frozen=True):
    """``output_config.format``."""

    type: str
    schema: dict[str, object] | None = None


class _Config(msgspec.Struct, frozen=True):
    """``output_config``."""

    format: _Format | None = None


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that count as input."""

    model: str
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    system: Content = None
    echo: Knobs | None = None

    def texts(self) -> tuple[str, ...]:
        """Every text of the request."""
        return (text_of(self.system), *(text_of(message.content) for message in self.messages))


class _Request(_Counted, frozen=True, kw_only=True):
    """The fields that matter here; the others are taken and ignored."""

    max_tokens: Annotated[int, msgspec.Meta(ge=1)]
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    output_config: _Config | None = None


def answer_message(call: Call) -> Reply:
    """Answer ``POST /v1/messages``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Request)
    knobs = request.echo or NONE
    thinks = request.thinking is not None and request.thinking.type == "enabled"
    answer = decide(_wish(request, knobs))
    thoughts = split(f"Someone wants to hear {len(answer.pieces)} pieces. I shall repeat them.") if thinks else ()
    writer = _Writer(call.mint("msg_"), call.mint("toolu_"), request.model, answer, thoughts)
    if not request.stream:
        return whole_json(writer.message(), knobs)
    return streamed(writer.stream(), _error, knobs)


def answer_count(call: Call) -> Reply:
    """Answer ``POST /v1/messages/count_tokens``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Counted)
    knobs = request.echo or NONE
    refuse(knobs, "text", "chunks", "tool")
    return whole_json({"input_tokens": words(request.texts())}, knobs)


def _error(message: str) -> bytes:
    """The in-stream error."""
    return event("error", {"type": "error", "error": {"type": "overloaded_error", "message": message}})


def _wish(request: _Request, knobs: Knobs) -> Wish:
    """The request, freed from its dialect."""
    users = [message.content for message in request.messages if message.role == "user"]
    last = request.messages[-1].content
    results = [part for part in last if part.type == "tool_result"] if isinstance(last, list) else []
    choice = request.tool_choice
    form = request.output_config.format if request.output_config is not None else None
    return Wish(
        knobs=knobs,
        prompt=_spoken(users[-1]) if users else "",
        texts=request.texts(),
        limit=request.max_tokens,
        stops=tuple(request.stop_sequences or ()),
        tools=tuple(
            Tool(tool.name, tool.input_schema) for tool in request.tools or () if tool.input_schema is not None
        ),
        must_call=choice is not None and choice.type in ("any", "tool"),
        choice=choice.name if choice is not None and choice.type == "tool" else "",
        after_result=bool(results),
        schema=form.schema if form is not None and form.type == "json_schema" else None,
    )


def _spoken(content: Content) -> str:
    """What to repeat of the user's turn: its last text, or what the tools gave."""
    if not isinstance(content, list):
        return text_of(content)
    spoken: list[Part] = [part for part in content if part.type == "text"]
    return text_of(spoken[-1:] or content)


@attrs.frozen
class _Writer:
    """Writes one answer, whole or streamed.

    Attributes:
        id: the message's id.
        call_id: id of the tool use.
        model: the model that was asked for.
        answer: what to say.
        thoughts: words of the thinking block; none if it does not think.
    """

    id: str
    call_id: str
    model: str
    answer: Answer
    thoughts: tuple[str, ...]

    def message(self) -> dict[str, object]:
        """The whole answer."""
        content: list[dict[str, object]] = []
        if self.thoughts:
            content.append({"type": "thinking", "thinking": "".join(self.thoughts), "signature": self._signature()})
        if self.answer.tool is None:
            content.append({"type": "text", "text": self.answer.text})
        else:
            arguments: object = msgspec.json.decode(self.answer.text)
            content.append(self._tool_use(self.answer.tool, arguments))
        return {**self._head(content, self.answer.output_tokens + len(self.thoughts)), **self._stop()}

    def stream(self) -> Iterator[Piece]:
        """The answer as events."""
        none = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        yield event("message_start", {"type": "message_start", "message": {**self._head([], 1), **none}}), False
        if self.thoughts:
            yield from self._thinking()
        index = 1 if self.thoughts else 0
        if self.answer.tool is None:
            yield self._block_start(index, {"type": "text", "text": ""}), False
        else:
            yield self._block_start(index, self._tool_use(self.answer.tool, {})), True
        yield event("ping", {"type": "ping"}), False
        for piece in self.answer.stream():
            yield self._block_delta(index, self._delta(piece)), True
        yield event("content_block_stop", {"type": "content_block_stop", "index": index}), False
        usage = self._usage(self.answer.output_tokens + len(self.thoughts))
        yield event("message_delta", {"type": "message_delta", "delta": self._stop(), "usage": usage}), False
        yield event("message_stop", {"type": "message_stop"}), False

    def _thinking(self) -> Iterator[Piece]:
        """The events of the thinking block."""
        yield self._block_start(0, {"type": "thinking", "thinking": "", "signature": ""}), False
        for thought in self.thoughts:
            yield self._block_delta(0, {"type": "thinking_delta", "thinking": thought}), True
        yield self._block_delta(0, {"type": "signature_delta", "signature": self._signature()}), False
        yield event("content_block_stop", {"type": "content_block_stop", "index": 0}), False

    def _head(self, content: list[dict[str, object]], output: int) -> dict[str, object]:
        """The message object without its end."""
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "usage": {**self._usage(output), "service_tier": "standard"},
        }

    def _stop(self) -> dict[str, object]:
        """Why it ended."""
        reasons = {Finish.STOP: "end_turn", Finish.LENGTH: "max_tokens", Finish.TOOL: "tool_use"}
        stop = self.answer.stop
        reason = "stop_sequence" if stop is not None else reasons[self.answer.finish]
        return {"stop_reason": reason, "stop_sequence": stop, "stop_details": None}

    def _usage(self, output: int) -> dict[str, object]:
        """Words in and out."""
        return {
            "input_tokens": self.answer.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": min(len(self.thoughts), output)},
        }

    def _signature(self) -> str:
        """The signature of the thoughts: opaque to clients, who send it back."""
        return base64.b64encode(f"echo {self.id}".encode()).decode()

    def _tool_use(self, name: str, arguments: object) -> dict[str, object]:
        """A tool use block."""
        return {"type": "tool_use", "id": self.call_id, "name": name, "input": arguments}

    def _delta(self, piece: str) -> dict[str, object]:
        """A delta with a word, or a piece of the arguments."""
        if self.answer.tool is None:
            return {"type": "text_delta", "text": piece}
        return {"type": "input_json_delta", "partial_json": piece}

    @staticmethod
    def _block_start(index: int, block: dict[str, object]) -> bytes:
        """The frame that opens a block."""
        value = {"type": "content_block_start", "index": index, "content_block": block}
        return event("content_block_start", value)

    @staticmethod
    def _block_delta(index: int, delta: dict[str, object]) -> bytes:
        """A frame inside a block."""
        return event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
