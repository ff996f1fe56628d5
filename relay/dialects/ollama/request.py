"""What clients send to ``/api/chat`` and ``/api/generate``, in the hub's words.

Streaming is the default: a body without ``stream`` asks for it. Usage always stands in the last line.
See: https://docs.ollama.com/api/chat and https://docs.ollama.com/api/generate (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import ChatRequest, Message, Reasoning, ResponseFormat, Text, Tool
from relay.dialects.codec import Call
from relay.dialects.ollama.history import Said, conversation, pictures
from relay.dialects.problems import told
from relay.errors import InvalidRequest

_EMPTY = frozenset({b"null", b'""', b"[]", b"{}", b"false"})
"""What Ollama's own SDK sends for fields that say nothing."""

_LEVELS = frozenset({"low", "medium", "high", "max"})

_NAMES: Mapping[str, str] = {
    "max_tokens": "options.num_predict",
    "temperature": "options.temperature",
    "top_p": "options.top_p",
    "top_k": "options.top_k",
    "min_p": "options.min_p",
    "stop": "options.stop",
    "seed": "options.seed",
    "presence_penalty": "options.presence_penalty",
    "frequency_penalty": "options.frequency_penalty",
    "reasoning": "think",
}


class _Options(msgspec.Struct):
    """The options that the hub knows; numbers may come as floats."""

    num_predict: int | float | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | float | None = None
    min_p: float | None = None
    seed: int | float | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Raw] | None = None


class _Tool(msgspec.Struct):
    function: _Function
    type: str | None = None


class _Body(msgspec.Struct, kw_only=True):
    """What both endpoints take."""

    model: str
    stream: bool | None = None
    format: Raw = Raw(b"null")
    options: _Options | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class _Chat(_Body, kw_only=True):
    messages: list[Said] | None = None
    tools: list[_Tool] | None = None


class _Generate(_Body, kw_only=True):
    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None


class _Rest(msgspec.Struct):
    options: dict[str, Raw] | None = None


_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_REST = msgspec.json.Decoder(_Rest)
_CHAT = msgspec.json.Decoder(_Chat)
_GENERATE = msgspec.json.Decoder(_Generate)


def parse_chat(body: bytes, _call: Call) -> ChatRequest:
    """Read a body of ``/api/chat``.

    Raises:
        InvalidRequest: names the field. A body without messages asks Ollama to load the model, which
            no other provider can do.
    """
    with told():
        chat = _CHAT.decode(body)
        extra = _extra(body, _Chat)
    messages = conversation(chat.messages or [])
    if not messages:
        raise InvalidRequest(
            "`messages` is empty; only a provider that speaks Ollama can load a model.", param="messages"
        )
    tools = tuple(map(_tool, chat.tools or ()))
    return ChatRequest(messages=messages, tools=tools, extra=extra, **_said(chat))


def parse_generate(body: bytes, _call: Call) -> ChatRequest:
    """Read a body of ``/api/generate``: a system message at most, and one user message.

    ``raw``, ``template``, ``context`` and ``suffix`` have no place in the hub.

    Raises:
        InvalidRequest: names the field. A body without a prompt asks Ollama to load the model.
    """
    with told():
        body_ = _GENERATE.decode(body)
        extra = _extra(body, _Generate)
    images = pictures(body_.images or (), "images")
    if not body_.prompt and not images:
        raise InvalidRequest("`prompt` is empty; only a provider that speaks Ollama can load a model.", param="prompt")
    messages = []
    if body_.system:
        messages.append(Message("system", (Text(body_.system),)))
    words = (Text(body_.prompt),) if body_.prompt else ()
    messages.append(Message("user", (*images, *words)))
    return ChatRequest(messages=tuple(messages), extra=extra, **_said(body_))


def _extra(body: bytes, known: type[_Body]) -> dict[str, bytes]:
    """Fields and options that the hub has no place for, unless they say nothing."""
    named, options = frozenset(known.__struct_fields__), frozenset(_Options.__struct_fields__)
    extra = {name: bytes(value) for name, value in _FIELDS.decode(body).items() if name not in named}
    for name, value in (_REST.decode(body).options or {}).items():
        if name not in options:
            extra[f"options.{name}"] = bytes(value)
    return {name: value for name, value in extra.items() if value not in _EMPTY}


def _said(body: _Body) -> dict[str, Any]:
    """Everything but messages, tools and ``extra``."""
    options = body.options or _Options()
    stop = [options.stop] if isinstance(options.stop, str) else options.stop or []
    most = _whole(options.num_predict, "num_predict")
    return {
        "model": body.model,
        "stream": body.stream is not False,
        "wants_usage": True,
        "max_tokens": most if most is not None and most > 0 else None,  # -1 and -2 mean no limit
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": _whole(options.top_k, "top_k"),
        "min_p": options.min_p,
        "seed": _whole(options.seed, "seed"),
        "stop": tuple(filter(None, stop)),
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "logprobs": body.logprobs or None,
        "top_logprobs": body.top_logprobs or None,
        "format": _format(body.format),
        "reasoning": _reasoning(body.think),
        "names": _NAMES,
    }


def _whole(value: float | None, name: str) -> int | None:
    """A whole number, which Ollama also takes in the form of a float."""
    if isinstance(value, float) and not value.is_integer():
        raise InvalidRequest(f"`options.{name}` must be an integer.", param=f"options.{name}")
    return None if value is None else int(value)


def _format(value: Raw) -> ResponseFormat | None:
    """``"json"`` or a JSON Schema.

    See: https://docs.ollama.com/capabilities/structured-outputs (read 2026-11).
    """
    text = bytes(value)
    if text in _EMPTY:
        return None
    if text == b'"json"':
        return ResponseFormat("json_object")
    if text.startswith(b"{"):
        return ResponseFormat("json_schema", schema=msgspec.json.format(text, indent=-1))
    raise InvalidRequest('`format` must be "json" or a JSON Schema.', param="format")


def _reasoning(think: bool | str | None) -> Reasoning | None:
    """``true`` leaves the amount to the model, a word says it.

    See: https://docs.ollama.com/capabilities/thinking (read 2026-11).
    """
    if think is None or think == "":
        return None
    if think is False:
        return Reasoning(effort="none")
    if think is True:
        return Reasoning(adaptive=True, visible=True)
    if think not in _LEVELS:
        raise InvalidRequest('`think` must be true, false, "low", "medium", "high" or "max".', param="think")
    return Reasoning(effort=think, visible=True)


def _tool(tool: _Tool) -> Tool:
    function = tool.function
    schema = msgspec.json.encode(function.parameters) if function.parameters is not None else b""
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=msgspec.json.format(schema, indent=-1) if schema else b"",
    )
