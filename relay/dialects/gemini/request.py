"""Hearing ``generateContent`` requests: a client's JSON as the hub's request.

See: https://ai.google.dev/api/generate-content#request-body (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

from relay.chat import ChatRequest, Message, ResponseFormat, Tool, ToolChoice
from relay.dialects import problems
from relay.dialects.codec import Call
from relay.dialects.gemini import contents
from relay.dialects.gemini.fields import Fields, encode, load
from relay.dialects.gemini.parts import NAME
from relay.dialects.gemini.schema import standard
from relay.dialects.gemini.thinking import read
from relay.errors import InvalidRequest

NAMES: Mapping[str, str] = {
    "tool_choice": "toolConfig",
    "max_tokens": "generationConfig.maxOutputTokens",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "stop": "generationConfig.stopSequences",
    "seed": "generationConfig.seed",
    "n": "generationConfig.candidateCount",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "format": "generationConfig.responseSchema",
    "reasoning": "generationConfig.thinkingConfig",
    "tier": "serviceTier",
    "modalities": "generationConfig.responseModalities",
}
"""Hub field → what a Gemini client calls it."""

KINDS: Mapping[str, str] = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
    "fileSearch": "file_search",
    "computerUse": "computer_use",
}
"""Tools that Google runs itself → the hub's kind."""

_TOP = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model", "stream"}
)
_GENERATION = frozenset(
    {
        *("temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed"),
        *("presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "thinkingConfig"),
        *("responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities"),
    }
)
_FUNCTION = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


def parse(body: bytes, call: Call) -> ChatRequest:
    """A client's request.

    Raises:
        InvalidRequest: a field is missing or of the wrong kind; ``param`` names it.
    """
    fields = load(body)
    with problems.told():
        request = read_request(fields, call.model, stream=bool(call.stream))
    if not request.messages:
        raise InvalidRequest("`contents` is required and must not be empty.", param="contents")
    return request


def read_request(fields: Fields, model: str, *, stream: bool = False) -> ChatRequest:
    """The request in an object; ``messages`` may be empty."""
    conversation = contents.Conversation()
    messages: list[Message] = []
    if "systemInstruction" in fields:
        messages += contents.system(fields.values["systemInstruction"], fields.at("systemInstruction"))
    messages += conversation.messages(fields.members("contents"))
    extra = {**fields.rest(_TOP), **conversation.extra}
    choice = _choice(fields, extra)
    tools = tuple(_tools(fields, extra))
    generation = fields.member("generationConfig") or Fields({}, "generationConfig")
    extra.update(generation.rest(_GENERATION))
    thinking = generation.member("thinkingConfig") or Fields({}, "")
    modalities = tuple(map(str.lower, generation.texts("responseModalities")))
    return ChatRequest(
        model=model,
        messages=tuple(messages),
        stream=stream,
        wants_usage=True,
        tools=tools,
        tool_choice=choice if tools else None,
        max_tokens=generation.integer("maxOutputTokens"),
        temperature=generation.number("temperature"),
        top_p=generation.number("topP"),
        top_k=_whole(generation.number("topK")),
        stop=generation.texts("stopSequences"),
        seed=generation.integer("seed"),
        n=generation.integer("candidateCount"),
        presence_penalty=generation.number("presencePenalty"),
        frequency_penalty=generation.number("frequencyPenalty"),
        logprobs=generation.flag("responseLogprobs"),
        top_logprobs=generation.integer("logprobs"),
        format=_format(generation, extra),
        reasoning=read(
            thinking.integer("thinkingBudget"),
            thinking.text("thinkingLevel"),
            visible=thinking.flag("includeThoughts"),
        ),
        tier=fields.text("serviceTier"),
        modalities=() if modalities == ("text",) else modalities,
        extra=extra,
        names=NAMES,
    )


def _whole(value: float | None) -> int | None:
    """``topK``, which protobuf keeps as a float."""
    return None if value is None else round(value)


def _tools(fields: Fields, extra: dict[str, bytes]) -> list[Tool]:
    out: list[Tool] = []
    for group in fields.members("tools"):
        for declaration in group.members("functionDeclarations"):
            out.append(_function(declaration))
            extra.update(declaration.rest(_FUNCTION))
        for kind, settings in group.values.items():
            if kind != "functionDeclarations":
                native = encode({kind: settings})
                out.append(Tool(_snake(kind), kind=KINDS.get(kind, _snake(kind)), origin=NAME, native=native))
    return out


def _function(declaration: Fields) -> Tool:
    name = declaration.named("name")
    given = declaration.member("parametersJsonSchema")
    schema = given and encode(declaration.values["parametersJsonSchema"])
    if not schema and declaration.member("parameters"):
        schema = encode(standard(declaration.values["parameters"]))
    return Tool(name, declaration.text("description"), schema or b"")


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _choice(fields: Fields, extra: dict[str, bytes]) -> ToolChoice | None:
    """``toolConfig``: ``VALIDATED`` is ``auto`` with a promise about arguments that others do not give."""
    config = fields.member("toolConfig")
    calling = config.member("functionCallingConfig") if config else None
    if config is not None:
        extra.update(config.rest(frozenset({"functionCallingConfig"})))
    if calling is None:
        return None
    extra.update(calling.rest(frozenset({"mode", "allowedFunctionNames"})))
    mode, names = calling.text("mode").upper(), calling.texts("allowedFunctionNames")
    match mode:
        case "" | "MODE_UNSPECIFIED" | "AUTO":
            return ToolChoice("auto", names)
        case "VALIDATED":
            extra[calling.at("mode")] = b'"VALIDATED"'
            return ToolChoice("auto", names)
        case "NONE":
            return ToolChoice("none")
        case "ANY":
            return ToolChoice("named" if len(names) == 1 else "required", names)
    raise InvalidRequest(f"`{calling.at('mode')}` must be AUTO, ANY, NONE or VALIDATED.", param=calling.at("mode"))


def _format(generation: Fields, extra: dict[str, bytes]) -> ResponseFormat | None:
    mime = generation.text("responseMimeType")
    schema = generation.raw("responseJsonSchema")
    if not schema and "responseSchema" in generation:
        generation.member("responseSchema")
        schema = encode(standard(generation.values["responseSchema"]))
    if mime in ("", "text/plain"):
        return None
    if mime != "application/json":
        extra[generation.at("responseMimeType")] = encode(mime)
        if schema:
            extra[generation.at("responseSchema")] = schema
        return None
    return ResponseFormat("json_schema", schema, strict=None) if schema else ResponseFormat("json_object")
