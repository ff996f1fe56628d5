"""OpenAI Responses, as the provider.

See: https://platform.openai.com/docs/api-reference/responses and
https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import attrs
import msgspec

from relay.echo.answer import Answer, Finish, Tool, Wish, decide
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, Content, text_of
from relay.echo.reply import Piece, Reply, event, streamed, whole_json


class _Item(msgspec.Struct, frozen=True):
    """One input item: a message, a tool's result, or another that is only taken."""

    type: str = "message"
    role: str = ""
    content: Content = None
    output: Content | dict[str, object] = None

    def text(self) -> str:
        """The text of a message or of a tool's result."""
        if self.type == "function_call_output" and not isinstance(self.output, dict):
            return text_of(self.output)
        return text_of(self.content)


class _Format(msgspec.Struct, frozen=True):
    """``text.format``."""

    type: str
    schema: dict[str, object] | None = None


class _Text(msgspec.Struct, frozen=True):
    """``text``."""

    format: _Format | None = None


class _Request(msgspec.Struct, frozen=True):
    """The fields that matter here; others are taken, and some are repeated in the answer."""

    model: str
    input: str | list[_Item]
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tools: list[dict[str, object]] | None = None
    tool_choice: str | dict[str, object] | None = None
    text: _Text | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    echo: Knobs | None = None


def answer_response(call: Call) -> Reply:
    """Answer ``POST /v1/responses``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    request = call.read(_Request)
    knobs = request.echo or NONE
    answer = decide(_wish(request, knobs))
    item_id = call.mint("msg_" if answer.tool is None else "fc_")
    writer = _Writer(call.mint("resp_"), item_id, call.mint("call_"), call.now, request, answer)
    if not request.stream:
        return whole_json(writer.response(), knobs)
    # The error is a frame of the sequence as well: it takes the next number.
    numbered = _Numbered()
    return streamed(numbered.count(writer.stream()), numbered.error, knobs)


def _wish(request: _Request, knobs: Knobs) -> Wish:
    """The request, freed from its dialect."""
    items = [_Item(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    users = [item.text() for item in items if item.role == "user"]
    after_result = bool(items) and items[-1].type == "function_call_output"
    form = request.text.format if request.text is not None else None
    return Wish(
        knobs=knobs,
        prompt=items[-1].text() if after_result else (users[-1] if users else ""),
        texts=(request.instructions or "", *(item.text() for item in items)),
        limit=request.max_output_tokens,
        tools=tuple(_functions(request.tools or [])),
        must_call=request.tool_choice not in (None, "auto", "none"),
        choice=_choice(request.tool_choice),
        after_result=after_result,
        schema=form.schema if form is not None and form.type == "json_schema" else None,
        json=form is not None and form.type == "json_object",
    )


def _functions(tools: list[dict[str, object]]) -> Iterator[Tool]:
    """The tools that can be called."""
    for tool in tools:
        name, schema = tool.get("name"), tool.get("parameters")
        if tool.get("type") == "function" and isinstance(name, str):
            yield Tool(name, schema if isinstance(schema, Mapping) else None)


def _choice(choice: str | dict[str, object] | None) -> str:
    """Name of the tool that ``tool_choice`` names, or ""."""
    name = choice.get("name") if isinstance(choice, Mapping) else None
    return name if isinstance(name, str) else ""


class _Numbered:
    """Gives the events of a stream their sequence numbers, from 0 without gaps."""

    def __init__(self) -> None:
        self._next = 0

    def count(self, events: Iterator[tuple[dict[str, object], bool]]) -> Iterator[Piece]:
        """The frames of the events."""
        for value, content in events:
            yield self._frame(value), content

    def error(self, message: str) -> bytes:
        """The in-stream error."""
        return self._frame({"type": "error", "code": "server_error", "message": message, "param": None})

    def _frame(self, value: dict[str, object]) -> bytes:
        """One event with its number."""
        number = self._next
        self._next += 1
        return event(str(value["type"]), {**value, "sequence_number": number})


@attrs.frozen
class _Writer:
    """Writes one answer, whole or streamed.

    Attributes:
        id: the response's id.
        item_id: id of its one output item.
        call_id: id of the tool call.
        created: Unix seconds.
        request: whose settings are repeated.
        answer: what to say.
    """

    id: str
    item_id: str
    call_id: str
    created: int
    request: _Request
    answer: Answer

    def response(self) -> dict[str, object]:
        """The whole answer."""
        cut = self.answer.finish is Finish.LENGTH
        return {
            **self._head("incomplete" if cut else "completed", [self._item(self._status())]),
            "completed_at": None if cut else self.created,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": {
                "input_tokens": self.answer.input_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": self.answer.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": self.answer.input_tokens + self.answer.output_tokens,
            },
        }

    def stream(self) -> Iterator[tuple[dict[str, object], bool]]:
        """The answer as events, and whether each carries content."""
        begun = self._head("in_progress", [])
        yield {"type": "response.created", "response": begun}, False
        yield {"type": "response.in_progress", "response": begun}, False
        empty: dict[str, object] = {"content": []} if self.answer.tool is None else {"arguments": ""}
        added = {**self._item("in_progress"), **empty}
        yield {"type": "response.output_item.added", "output_index": 0, "item": added}, False
        yield from self._text() if self.answer.tool is None else self._arguments()
        item = self._item(self._status())
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}, False
        response = self.response()
        yield {"type": f"response.{response['status']}", "response": response}, False

    def _text(self) -> Iterator[tuple[dict[str, object], bool]]:
        """The events of a message's one part."""
        place = {"item_id": self.item_id, "output_index": 0, "content_index": 0}
        yield {"type": "response.content_part.added", **place, "part": _part("")}, False
        for piece in self.answer.stream():
            yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}, True
        text = self.answer.text
        yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}, False
        yield {"type": "response.content_part.done", **place, "part": _part(text)}, False

    def _arguments(self) -> Iterator[tuple[dict[str, object], bool]]:
        """The events of a call's arguments."""
        place = {"item_id": self.item_id, "output_index": 0}
        for piece in self.answer.stream():
            yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}, True
        done = {"type": "response.function_call_arguments.done", **place, "arguments": self.answer.text}
        yield {**done, "name": self.answer.tool}, False

    def _status(self) -> str:
        """Status of the item at its end."""
        return "incomplete" if self.answer.finish is Finish.LENGTH else "completed"

    def _item(self, status: str) -> dict[str, object]:
        """The output item, full."""
        if self.answer.tool is None:
            content = [_part(self.answer.text)]
            return {"id": self.item_id, "type": "message", "status": status, "role": "assistant", "content": content}
        return {
            "id": self.item_id,
            "type": "function_call",
            "status": status,
            "name": self.answer.tool,
            "arguments": self.answer.text,
            "call_id": self.call_id,
        }

    def _head(self, status: str, output: list[dict[str, object]]) -> dict[str, object]:
        """The response object, with the request's settings and no usage yet."""
        request = self.request
        form = request.text.format if request.text is not None else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": request.metadata or {},
            "model": request.model,
            "output": output,
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": request.previous_response_id,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": request.store is not False,
            "temperature": 1.0 if request.temperature is None else request.temperature,
            "text": {"format": {"type": "text"} if form is None else _format(form)},
            "tool_choice": request.tool_choice or "auto",
            "tools": [_described(tool) for tool in request.tools or ()],
            "top_p": 1.0 if request.top_p is None else request.top_p,
            "truncation": "disabled",
            "usage": None,
        }


def _part(text: str) -> dict[str, object]:
    """A text part."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _format(form: _Format) -> dict[str, object]:
    """The asked format as the answer repeats it."""
    if form.schema is None:
        return {"type": form.type}
    return {"type": form.type, "name": "answer", "schema": form.schema, "strict": True}


def _described(tool: dict[str, object]) -> dict[str, object]:
    """A tool as the answer repeats it: functions with every field."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": True, **tool}
