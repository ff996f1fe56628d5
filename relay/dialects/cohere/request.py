"""What clients send to ``/v2/chat``, in the hub's words.

See: https://docs.cohere.com/reference/chat (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from relay.chat import ChatRequest, Reasoning, ResponseFormat, Tool, ToolChoice
from relay.dialects.codec import Call
from relay.dialects.cohere.history import Said, conversation, document
from relay.dialects.lenient import load, mapping
from relay.dialects.problems import told
from relay.errors import InvalidRequest

NAMES: Mapping[str, str] = {
    "top_p": "p",
    "top_k": "k",
    "stop": "stop_sequences",
    "format": "response_format",
    "reasoning": "thinking",
}

_EMPTY = frozenset({b"null", b"[]", b"{}", b'""'})


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Raw] | None = None


class _Tool(msgspec.Struct):
    function: _Function
    type: str | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: dict[str, Raw] | None = None
    schema: dict[str, Raw] | None = None


class _Thinking(msgspec.Struct):
    type: str
    token_budget: int | None = None


class _Citations(msgspec.Struct):
    mode: str | None = None


class _Chat(msgspec.Struct, kw_only=True):
    model: str
    messages: list[Said]
    stream: bool | None = None
    tools: list[_Tool] | None = None
    strict_tools: bool | None = None
    tool_choice: str | None = None
    documents: list[Raw] | None = None
    citation_options: _Citations | None = None
    response_format: _Format | None = None
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    k: int | None = None
    p: float | None = None
    logprobs: bool | None = None
    thinking: _Thinking | None = None


_CHAT = msgspec.json.Decoder(_Chat)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])


def parse(body: bytes, _call: Call) -> ChatRequest:
    """Read a body of ``/v2/chat``.

    Raises:
        InvalidRequest: names the field.
    """
    with told():
        chat = _CHAT.decode(body)
        fields = _FIELDS.decode(body)
    off = chat.citation_options is not None and (chat.citation_options.mode or "").upper() in ("OFF", "DISABLED")
    documents = [
        document(bytes(item), f"documents[{index}]", citations=not off)
        for index, item in enumerate(chat.documents or ())
    ]
    messages = conversation(chat.messages, documents)
    if not messages:
        raise InvalidRequest("`messages` must hold something to answer.", param="messages")
    return ChatRequest(
        model=chat.model,
        messages=messages,
        stream=bool(chat.stream),
        wants_usage=True,
        tools=tuple(_tool(tool, chat.strict_tools) for tool in chat.tools or ()),
        tool_choice=_choice(chat.tool_choice),
        max_tokens=chat.max_tokens,
        temperature=chat.temperature,
        top_p=chat.p,
        top_k=chat.k,
        stop=tuple(filter(None, chat.stop_sequences or ())),
        seed=chat.seed,
        presence_penalty=chat.presence_penalty,
        frequency_penalty=chat.frequency_penalty,
        logprobs=chat.logprobs or None,
        format=_format(chat.response_format),
        reasoning=_reasoning(chat.thinking),
        extra=_extra(fields, chat, off=off),
        names=NAMES,
    )


def _extra(fields: Mapping[str, Raw], chat: _Chat, *, off: bool) -> dict[str, bytes]:
    """Fields that the hub has no place for, unless they say nothing."""
    extra = {name: bytes(value) for name, value in fields.items() if name not in _Chat.__struct_fields__}
    if chat.citation_options is not None and chat.citation_options.mode and not (off and chat.documents):
        extra["citation_options"] = bytes(fields["citation_options"])
    if any(_keeps_two_names(index, bytes(item)) for index, item in enumerate(chat.documents or ())):
        extra["documents[].id"] = b"true"
    return {name: value for name, value in extra.items() if value not in _EMPTY}


def _keeps_two_names(index: int, item: bytes) -> bool:
    """Whether a document has a title and an id that is not the one it would get anyway; the hub has one name."""
    found = mapping(load(item))
    return bool(mapping(found.get("data")).get("title")) and found.get("id") not in (None, "", f"doc:{index}")


def _tool(tool: _Tool, strict: bool | None) -> Tool:
    function = tool.function
    schema = b"" if function.parameters is None else msgspec.json.encode(function.parameters)
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=msgspec.json.format(schema, indent=-1) if schema else b"",
        strict=strict,
    )


def _choice(choice: str | None) -> ToolChoice | None:
    """There are two words only; absent means that the model is free."""
    if not choice:
        return None
    mode = choice.lower()
    if mode not in ("required", "none", "auto"):
        raise InvalidRequest("`tool_choice` must be REQUIRED or NONE.", param="tool_choice")
    return ToolChoice(mode)


def _format(form: _Format | None) -> ResponseFormat | None:
    """``json_object`` with a schema is what others call ``json_schema``."""
    if form is None:
        return None
    schema = form.json_schema if form.json_schema is not None else form.schema
    if form.type == "json_object" and schema is not None:
        return ResponseFormat("json_schema", schema=msgspec.json.format(msgspec.json.encode(schema), indent=-1))
    if form.type not in ("text", "json_object"):
        raise InvalidRequest("`response_format.type` must be text or json_object.", param="response_format.type")
    return ResponseFormat(form.type)


def _reasoning(thinking: _Thinking | None) -> Reasoning | None:
    """See https://docs.cohere.com/docs/reasoning (read 2026-11)."""
    if thinking is None:
        return None
    if thinking.type == "disabled":
        return Reasoning(effort="none")
    if thinking.type != "enabled":
        raise InvalidRequest("`thinking.type` must be enabled or disabled.", param="thinking.type")
    return Reasoning(budget=thinking.token_budget, adaptive=thinking.token_budget is None, visible=True)
