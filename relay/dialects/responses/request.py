"""A client's request to ``/v1/responses`` as the hub's.

Carried to no other provider, and refused with the reason: a conversation that lives with the provider
(``previous_response_id``, ``conversation``, ``prompt``, item references, compactions). What says only
what is so anyhow (``store: false``, ``background: false``, ``truncation: disabled``) is not told as lost.

See: https://platform.openai.com/docs/api-reference/responses/create (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import ChatRequest, Message, Reasoning, ResponseFormat, Text
from relay.dialects import problems
from relay.dialects.codec import Call
from relay.dialects.responses.encoding import compact
from relay.dialects.responses.faults import at, stateful, wrong
from relay.dialects.responses.items import Turns
from relay.dialects.responses.tools import read_choice, read_tools
from relay.errors import InvalidRequest

NAMES: Mapping[str, str] = {
    "messages": "input",
    "parallel": "parallel_tool_calls",
    "max_tokens": "max_output_tokens",
    "format": "text.format",
    "verbosity": "text.verbosity",
    "tier": "service_tier",
    "cache_key": "prompt_cache_key",
    "logprobs": "include",
}
"""Hub field → its name in this dialect, where that differs."""

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

_STATE: Mapping[str, str] = {
    "previous_response_id": "A stored response",
    "conversation": "A stored conversation",
    "prompt": "A stored prompt",
}
_SAYS_NOTHING: Mapping[str, tuple[bytes, ...]] = {
    "store": (b"false",),
    "background": (b"false",),
    "truncation": (b'"disabled"',),
    "include": (b"[]",),
}
"""Values that ask for nothing that a translation would not do anyhow."""


class _Format(msgspec.Struct):
    type: str
    name: str | None = None
    schema: dict[str, Raw] | None = None
    description: str | None = None
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Thinking(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class _Body(msgspec.Struct):
    model: str | None = None
    input: str | list[Raw] | None = None
    instructions: str | None = None
    stream: bool | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = Raw()
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    text: _Text | None = None
    reasoning: _Thinking | None = None
    include: list[str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None


_BODY = msgspec.json.Decoder(_Body)
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_KNOWN = frozenset(_Body.__struct_fields__) - {"include"}


def parse(data: bytes, call: Call) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequest: a field is wrong, or asks for a state that only its provider has.
    """
    with problems.told():
        body = _BODY.decode(data)
        fields = _FIELDS.decode(data)
        for name, what in _STATE.items():
            if bytes(fields.get(name, b"null")) != b"null":
                raise stateful(name, what)
        return _request(body, fields, call)


def _request(body: _Body, fields: Mapping[str, Raw], call: Call) -> ChatRequest:
    turns = _turns(body)
    messages = turns.end()
    if not messages:
        raise InvalidRequest("`input` is empty.", param="input")
    tools = (*read_tools(body.tools or ()), *turns.tools)
    with at("tool_choice"):
        choice = read_choice(body.tool_choice, tools)
    written = body.text or _Text()
    wanted = body.include or []
    return ChatRequest(
        model=body.model or call.model,
        messages=messages,
        stream=bool(body.stream) if call.stream is None else call.stream,
        wants_usage=True,  # the last event always holds it
        tools=tools,
        tool_choice=choice,
        parallel=body.parallel_tool_calls,
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        logprobs=True if LOGPROBS in wanted or body.top_logprobs else None,
        top_logprobs=body.top_logprobs,
        format=_format(written.format),
        reasoning=_reasoning(body.reasoning, encrypted=ENCRYPTED in wanted),
        user=body.user or body.safety_identifier or "",
        metadata=msgspec.json.encode(body.metadata) if body.metadata else b"",
        tier=body.service_tier or "",
        verbosity=written.verbosity or "",
        cache_key=body.prompt_cache_key or "",
        extra=_extra(body, fields, turns),
        names=NAMES if body.user or not body.safety_identifier else {**NAMES, "user": "safety_identifier"},
    )


def _turns(body: _Body) -> Turns:
    turns = Turns([Message("system", (Text(body.instructions),))] if body.instructions else [])
    if isinstance(body.input, str):
        if body.input:
            turns.messages.append(Message("user", (Text(body.input),)))
        return turns
    for index, item in enumerate(body.input or ()):
        path = f"input[{index}]"
        with at(path):
            turns.take(bytes(item), path)
    return turns


def _format(wanted: _Format | None) -> ResponseFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    with at("text.format"):
        if wanted.type not in ("json_object", "json_schema"):
            raise wrong(f"{wanted.type!r} is none of json_object, json_schema, text", "type")
        if wanted.type == "json_object":
            return ResponseFormat("json_object")
        if wanted.schema is None:
            raise wrong("a JSON Schema is missing", "schema")
    schema = compact(msgspec.json.encode(wanted.schema))
    return ResponseFormat("json_schema", schema, wanted.name or "", wanted.description or "", wanted.strict)


def _reasoning(wanted: _Thinking | None, *, encrypted: bool) -> Reasoning | None:
    if wanted is None:
        return Reasoning(encrypted=True) if encrypted else None
    summary = wanted.summary or wanted.generate_summary or ""
    return Reasoning(
        effort=wanted.effort or "",
        summary=summary,
        visible=True if summary and summary != "none" else None,
        encrypted=encrypted,
    )


def _extra(body: _Body, fields: Mapping[str, Raw], turns: Turns) -> Mapping[str, bytes]:
    """What has no place in the hub, by its name in this dialect."""
    extra: dict[str, bytes] = {}
    for name, raw in fields.items():
        value = bytes(raw)
        if name not in _KNOWN and name != "include" and value != b"null" and value not in _SAYS_NOTHING.get(name, ()):
            extra[name] = value
    rest = [wish for wish in body.include or () if wish not in (ENCRYPTED, LOGPROBS)]
    if rest:
        extra["include"] = msgspec.json.encode(rest)
    if body.reasoning is not None:
        for name in ("context", "mode"):
            if value_of := getattr(body.reasoning, name):
                extra[f"reasoning.{name}"] = msgspec.json.encode(value_of)
    if body.user and body.safety_identifier:
        extra["safety_identifier"] = msgspec.json.encode(body.safety_identifier)
    extra.update(turns.lost)
    return extra
