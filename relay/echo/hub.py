"""The dialects of which the echo has no form of its own, by way of relay's hub: Gemini, Cohere, Ollama, Bedrock.

Requests are read by the dialect's front and answers written by it, so an answer here is as good as relay's own
to a client of that dialect; Bedrock, which no client speaks to relay, is in `relay.echo.bedrock`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec

from relay.chat import (
    ChatRequest,
    Choice,
    Completion,
    Finish,
    Part,
    Seal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from relay.dialects import codec
from relay.dialects.codec import Asked, Front
from relay.dialects.registry import DIALECTS
from relay.echo.answer import Answer, Tool, Wish, decide, split
from relay.echo.answer import Finish as Reason
from relay.echo.embeddings import vectors
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, words
from relay.echo.reply import JSON, Piece, Reply, refuse, streamed, whole
from relay.errors import RelayError
from relay.events import Began, Closed, Counted, Event, Finished, Grew, Opened, Sealed
from relay.exchange import Usage
from relay.vectors import Embeddings, EmbedRequest, Ranking, RankRequest, TokenCount

_FINISH = {Reason.STOP: Finish.STOP, Reason.LENGTH: Finish.LENGTH, Reason.TOOL: Finish.TOOL_CALLS}
_DIMENSIONS = 1536


class _Turned(msgspec.Struct):
    """Where the knobs are."""

    echo: Knobs | None = None


class _Failure(RelayError):
    """The error that a knob asks for in mid-stream."""

    status = 503


def answerer(dialect: str, path: str) -> Callable[[Call], Reply]:
    """What answers the requests of one endpoint of a dialect."""

    def answer(call: Call) -> Reply:
        knobs = call.read(_Turned).echo or NONE
        front = DIALECTS[dialect].fronts[path]
        url = codec.Call(path, call.model, call.stream, call.array)
        asked = Asked(url, call.mint(""), call.model, call.now, front.parse(cast("bytes", call.body), url))
        request = asked.request
        if isinstance(request, EmbedRequest):
            return _whole(front, asked, _embedded(request), knobs)
        if isinstance(request, RankRequest):
            return _whole(front, asked, _ranked(request), knobs)
        named = msgspec.structs.replace(asked, model=asked.model or request.model)
        if "count" in path.lower():
            return _whole(front, named, TokenCount(words(texts(request))), knobs)
        return _chat(dialect, front, named, knobs)

    return answer


def _whole(front: Front[Any, Any], asked: Asked, result: object, knobs: Knobs) -> Reply:
    refuse(knobs, "text", "chunks", "tool")
    return whole(front.render(result, asked), knobs)


def _embedded(request: EmbedRequest) -> Embeddings:
    inputs = tuple(item if isinstance(item, str) else str(item) for item in request.inputs)
    count = request.dimensions or _DIMENSIONS
    numbers = (struct.unpack(f"<{count}f", vector) for vector in vectors(inputs, count))
    return Embeddings(request.model, tuple(numbers), Usage(input=words(inputs)))


def _ranked(request: RankRequest) -> Ranking:
    wanted = set(request.query.lower().split())
    scores = [
        (index, len(wanted & set(document.lower().split())) / max(len(wanted), 1))
        for index, document in enumerate(request.documents)
    ]
    best = sorted(scores, key=lambda score: -score[1])
    return Ranking(request.model, tuple(best[: request.top]), units=1)


# ── chat ──────────────────────────────────────────────────────────────────────────────


def _chat(dialect: str, front: Front[Any, Any], asked: Asked, knobs: Knobs) -> Reply:
    request: ChatRequest = asked.request
    answer = decide(wish(request, knobs))
    seal = Seal(dialect, "ZWNobw==")
    thoughts = _thoughts(request, answer)
    call_id = asked.request_id[:9]
    if not request.stream:
        return whole(front.render(completion(answer, asked, thoughts, seal, call_id), asked), knobs)
    told = _Told(front, asked)
    pieces = told.pieces(happen(answer, thoughts, seal, call_id), _usage(answer, thoughts))
    content_type = JSON if asked.call.array else DIALECTS[dialect].stream_type.encode()
    return streamed(pieces, told.fail, knobs).typed(content_type)


def wish(request: ChatRequest, knobs: Knobs) -> Wish:
    """A hub request as the echo understands it."""
    last = request.messages[-1]
    users = [message for message in request.messages if message.role in ("user", "tool")]
    choice, form = request.tool_choice, request.format
    return Wish(
        knobs=knobs,
        prompt=_text(users[-1].parts) if users else "",
        texts=texts(request),
        limit=request.max_tokens,
        stops=request.stop,
        tools=tuple(Tool(tool.name, _schema(tool.parameters)) for tool in request.tools if tool.kind == "function"),
        must_call=choice is not None and choice.mode in ("required", "named"),
        choice=choice.names[0] if choice is not None and choice.mode == "named" and choice.names else "",
        after_result=last.role == "tool",
        schema=_schema(form.schema) if form is not None and form.schema else None,
        json=form is not None and form.kind == "json_object",
    )


def _schema(schema: bytes) -> dict[str, object] | None:
    return msgspec.json.decode(schema, type=dict[str, object]) if schema else None


def texts(request: ChatRequest) -> tuple[str, ...]:
    """Every text of a request."""
    return tuple(_text(message.parts) for message in request.messages)


def _text(parts: tuple[Part, ...]) -> str:
    spoken: list[str] = []
    for part in parts:
        if isinstance(part, Text):
            spoken.append(part.text)
        elif isinstance(part, ToolResult):
            spoken.append(_text(part.content))
    return " ".join(filter(None, spoken))


def _thoughts(request: ChatRequest, answer: Answer) -> tuple[str, ...]:
    asks = request.reasoning
    thinks = asks is not None and asks.budget != 0 and (asks.visible or asks.budget or asks.effort not in ("", "none"))
    if not thinks:
        return ()
    return split(f"Someone wants to hear {len(answer.pieces)} pieces. I shall repeat them.")


def _usage(answer: Answer, thoughts: tuple[str, ...]) -> Usage:
    return Usage(
        input=answer.input_tokens,
        output=answer.output_tokens + len(thoughts),
        reasoning=len(thoughts) or None,
    )


def completion(answer: Answer, asked: Asked, thoughts: tuple[str, ...], seal: Seal, call_id: str) -> Completion:
    """The whole answer in the hub's form."""
    parts: list[Part] = [Thinking("".join(thoughts), seal)] if thoughts else []
    if answer.tool is not None:
        parts.append(ToolCall(call_id, answer.tool, answer.text))
    else:
        parts.append(Text(answer.text))
    choice = Choice(tuple(parts), _FINISH[answer.finish], answer.stop or "")
    return Completion(f"echo-{asked.request_id}", asked.model, (choice,), _usage(answer, thoughts), asked.created)


def happen(answer: Answer, thoughts: tuple[str, ...], seal: Seal, call_id: str) -> Iterator[tuple[list[Event], bool]]:
    """The same as events, and which of them carry content."""
    yield [Began(f"echo-{call_id}")], False
    block = 0
    if thoughts:
        yield [Opened(0, Thinking())], False
        for thought in thoughts:
            yield [Grew(0, thought)], True
        yield [Sealed(0, seal), Closed(0)], False
        block = 1
    opened = Text("") if answer.tool is None else ToolCall(call_id, answer.tool, "")
    yield [Opened(block, opened)], False
    for piece in answer.stream():
        yield [Grew(block, piece)], True
    yield [Closed(block), Finished(_FINISH[answer.finish], answer.stop or "")], False


class _Told:
    """One streamed answer in the words of a front.

    Args:
        front: writes it.
        asked: what was asked.
    """

    def __init__(self, front: Front[Any, Any], asked: Asked) -> None:
        self._front = front
        self._asked = asked
        self._writer = front.writer(asked)
        self._taken = 0

    def pieces(self, events: Iterator[tuple[list[Event], bool]], usage: Usage) -> Iterator[Piece]:
        """What is to be sent, one after the other."""
        for happened, content in events:
            data = self._writer.write(happened)
            self._taken += content
            if data:
                yield data, content
        yield self._writer.write([Counted(usage)]) + self._writer.end(), False

    def fail(self, message: str) -> bytes:
        """The in-stream error. Of the chunks that were taken the last was not sent, so one is as good as none."""
        writer = self._writer if self._taken > 1 else self._front.writer(self._asked)
        return writer.fail(_Failure(message))
