"""Bedrock's Converse, as the provider.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from relay.echo.answer import Answer, Finish, Tool, Wish, decide
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, words
from relay.echo.reply import Piece, Reply, refuse, streamed, whole_json
from relay.wire.eventstream import encode_event, encode_exception

EVENTS = b"application/vnd.amazon.eventstream"

_REASONS = {Finish.STOP: "end_turn", Finish.LENGTH: "max_tokens", Finish.TOOL: "tool_use"}


class _Result(msgspec.Struct, rename="camel"):
    content: list[dict[str, object]] = []


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_result: _Result | None = None


class _Message(msgspec.Struct):
    role: str
    content: list[_Block]


class _Schema(msgspec.Struct):
    json: dict[str, object] | None = None


class _Spec(msgspec.Struct, rename="camel"):
    name: str
    input_schema: _Schema | None = None


class _Tool(msgspec.Struct, rename="camel"):
    tool_spec: _Spec | None = None


class _Named(msgspec.Struct):
    name: str = ""


class _Choice(msgspec.Struct):
    any: dict[str, object] | None = None
    tool: _Named | None = None


class _ToolConfig(msgspec.Struct, rename="camel"):
    tools: list[_Tool] = []
    tool_choice: _Choice | None = None


class _Inference(msgspec.Struct, rename="camel"):
    max_tokens: int | None = None
    stop_sequences: list[str] = []


class _Request(msgspec.Struct, rename="camel"):
    """The fields that matter here; the others are taken and ignored."""

    messages: list[_Message]
    system: list[_Block] = []
    inference_config: _Inference | None = None
    tool_config: _ToolConfig | None = None
    echo: Knobs | None = None

    def texts(self) -> tuple[str, ...]:
        """Every text of the request."""
        blocks = [*self.system, *(block for message in self.messages for block in message.content)]
        return tuple(filter(None, map(_text, blocks)))


class _Converse(msgspec.Struct):
    converse: _Request


class _Counted(msgspec.Struct):
    input: _Converse
    echo: Knobs | None = None


def answer_converse(call: Call) -> Reply:
    """Answer ``POST /model/{model}/converse`` and ``converse-stream``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Request)
    knobs = request.echo or NONE
    answer = decide(_wish(request, knobs))
    call_id = call.mint("tooluse_")
    if not call.stream:
        return whole_json(_message(answer, call_id), knobs)
    return streamed(_stream(answer, call_id), _error, knobs).typed(EVENTS)


def answer_count(call: Call) -> Reply:
    """Answer ``POST /model/{model}/count-tokens``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Counted)
    knobs = request.echo or NONE
    refuse(knobs, "text", "chunks", "tool")
    return whole_json({"inputTokens": words(request.input.converse.texts())}, knobs)


def _text(block: _Block) -> str:
    if block.tool_result is not None:
        return " ".join(str(item["text"]) for item in block.tool_result.content if "text" in item)
    return block.text or ""


def _wish(request: _Request, knobs: Knobs) -> Wish:
    config, limits = request.tool_config or _ToolConfig(), request.inference_config or _Inference()
    last, choice = request.messages[-1], config.tool_choice or _Choice()
    tools = (tool.tool_spec for tool in config.tools if tool.tool_spec is not None)
    return Wish(
        knobs=knobs,
        prompt=next(filter(None, map(_text, reversed(last.content))), ""),
        texts=request.texts(),
        limit=limits.max_tokens,
        stops=tuple(limits.stop_sequences),
        tools=tuple(Tool(spec.name, spec.input_schema.json if spec.input_schema else None) for spec in tools),
        must_call=choice.any is not None or choice.tool is not None,
        choice=choice.tool.name if choice.tool is not None else "",
        after_result=any(block.tool_result is not None for block in last.content),
    )


def _usage(answer: Answer) -> dict[str, int]:
    taken, said = answer.input_tokens, answer.output_tokens
    return {"inputTokens": taken, "outputTokens": said, "totalTokens": taken + said}


def _message(answer: Answer, call_id: str) -> dict[str, object]:
    block: dict[str, object] = {"text": answer.text}
    if answer.tool is not None:
        arguments = msgspec.json.decode(answer.text)
        block = {"toolUse": {"toolUseId": call_id, "name": answer.tool, "input": arguments}}
    return {
        "output": {"message": {"role": "assistant", "content": [block]}},
        "stopReason": _REASONS[answer.finish],
        "usage": _usage(answer),
        "metrics": {"latencyMs": 1},
    }


def _event(name: str, value: object) -> bytes:
    return encode_event(name, msgspec.json.encode(value))


def _stream(answer: Answer, call_id: str) -> Iterator[Piece]:
    yield _event("messageStart", {"role": "assistant"}), False
    if answer.tool is not None:
        start = {"toolUse": {"toolUseId": call_id, "name": answer.tool}}
        yield _event("contentBlockStart", {"contentBlockIndex": 0, "start": start}), False
    for piece in answer.stream():
        delta = {"text": piece} if answer.tool is None else {"toolUse": {"input": piece}}
        yield _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}), True
    yield _event("contentBlockStop", {"contentBlockIndex": 0}), False
    yield _event("messageStop", {"stopReason": _REASONS[answer.finish]}), False
    yield _event("metadata", {"usage": _usage(answer), "metrics": {"latencyMs": 1}}), False


def _error(message: str) -> bytes:
    return encode_exception("internalServerException", msgspec.json.encode({"message": message}))
