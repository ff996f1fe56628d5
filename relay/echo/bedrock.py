"""Bedrock's Converse, as the provider.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from relay.echo.answer import Answer, Finish, Tool, Wish, decide, split
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, words
from relay.echo.reply import Piece, Reply, refuse, streamed, whole_json
from relay.errors import InvalidRequest
from relay.wire.eventstream import encode_event, encode_exception

EVENTS = b"application/vnd.amazon.eventstream"
THOUGHTS = split("Someone wants to hear something. I shall repeat it.")
SIGNATURE = "ZWNobw=="

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


class _JSONSchema(msgspec.Struct):
    schema: str = "{}"


class _Structure(msgspec.Struct, rename="camel"):
    json_schema: _JSONSchema | None = None


class _TextFormat(msgspec.Struct):
    structure: _Structure | None = None


class _Output(msgspec.Struct, rename="camel"):
    text_format: _TextFormat | None = None


class _Thinking(msgspec.Struct):
    type: str = ""


class _Additional(msgspec.Struct):
    thinking: _Thinking | None = None


class _Request(msgspec.Struct, rename="camel"):
    """The fields that matter here; the others are taken and ignored."""

    messages: list[_Message]
    system: list[_Block] = []
    inference_config: _Inference | None = None
    tool_config: _ToolConfig | None = None
    output_config: _Output | None = None
    additional_model_request_fields: _Additional | None = None
    echo: Knobs | None = None

    def texts(self) -> tuple[str, ...]:
        """Every text of the request."""
        blocks = [*self.system, *(block for message in self.messages for block in message.content)]
        return tuple(filter(None, map(_text, blocks)))

    def schema(self) -> dict[str, object] | None:
        """The schema that the answer must follow, if one is given.

        Raises:
            InvalidRequest: it is not JSON.
        """
        form = self.output_config.text_format if self.output_config is not None else None
        structure = form.structure if form is not None else None
        if structure is None or structure.json_schema is None:
            return None
        try:
            return msgspec.json.decode(structure.json_schema.schema, type=dict[str, object])
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The schema is not JSON: {error}.", param="outputConfig") from error

    def thinks(self) -> bool:
        """Whether thinking is asked for, as Claude is asked."""
        more = self.additional_model_request_fields
        return more is not None and more.thinking is not None and more.thinking.type in ("enabled", "adaptive")


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
    thoughts = THOUGHTS if request.thinks() else ()
    if not call.stream:
        return whole_json(_message(answer, call_id, thoughts), knobs)
    return streamed(_stream(answer, call_id, thoughts), _error, knobs).typed(EVENTS)


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
        schema=request.schema(),
    )


def _usage(answer: Answer, thoughts: tuple[str, ...]) -> dict[str, int]:
    taken, said = answer.input_tokens, answer.output_tokens + len(thoughts)
    return {"inputTokens": taken, "outputTokens": said, "totalTokens": taken + said}


def _message(answer: Answer, call_id: str, thoughts: tuple[str, ...]) -> dict[str, object]:
    block: dict[str, object] = {"text": answer.text}
    if answer.tool is not None:
        arguments = msgspec.json.decode(answer.text)
        block = {"toolUse": {"toolUseId": call_id, "name": answer.tool, "input": arguments}}
    thought = {"reasoningContent": {"reasoningText": {"text": "".join(thoughts), "signature": SIGNATURE}}}
    return {
        "output": {"message": {"role": "assistant", "content": [thought, block] if thoughts else [block]}},
        "stopReason": _REASONS[answer.finish],
        "usage": _usage(answer, thoughts),
        "metrics": {"latencyMs": 1},
    }


def _event(name: str, value: object) -> bytes:
    return encode_event(name, msgspec.json.encode(value))


def _stream(answer: Answer, call_id: str, thoughts: tuple[str, ...]) -> Iterator[Piece]:
    yield _event("messageStart", {"role": "assistant"}), False
    index = 0
    if thoughts:
        for thought in thoughts:
            yield _delta(0, {"reasoningContent": {"text": thought}}), True
        yield _delta(0, {"reasoningContent": {"signature": SIGNATURE}}), False
        yield _event("contentBlockStop", {"contentBlockIndex": 0}), False
        index = 1
    if answer.tool is not None:
        start = {"toolUse": {"toolUseId": call_id, "name": answer.tool}}
        yield _event("contentBlockStart", {"contentBlockIndex": index, "start": start}), False
    for piece in answer.stream():
        yield _delta(index, {"text": piece} if answer.tool is None else {"toolUse": {"input": piece}}), True
    yield _event("contentBlockStop", {"contentBlockIndex": index}), False
    yield _event("messageStop", {"stopReason": _REASONS[answer.finish]}), False
    yield _event("metadata", {"usage": _usage(answer, thoughts), "metrics": {"latencyMs": 1}}), False


def _delta(index: int, delta: object) -> bytes:
    return _event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})


def _error(message: str) -> bytes:
    return encode_exception("internalServerException", msgspec.json.encode({"message": message}))
