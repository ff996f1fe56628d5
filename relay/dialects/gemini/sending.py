"""Building ``generateContent`` requests from the hub's.

See: https://ai.google.dev/api/generate-content#GenerationConfig, https://ai.google.dev/api/caching#Tool
and, for Vertex AI, https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
(read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import ChatRequest, Message, ResponseFormat
from relay.dialects import losses
from relay.dialects.codec import Built, Target
from relay.dialects.gemini import thinking, turns
from relay.dialects.gemini.schema import declared, subset
from relay.dialects.gemini.toolbox import Toolbox
from relay.errors import InvalidRequest
from relay.provider import Quirk

_CARRIED = frozenset(
    {
        *("tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k", "stop", "seed", "n"),
        *("presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "format", "reasoning"),
        *("tier", "modalities"),
    }
)
_PLAIN: Mapping[str, str] = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
"""Fields whose values go as they are."""

_OWN = frozenset(
    {
        *("safetySettings", "cachedContent", "toolConfig.retrievalConfig", "toolConfig.functionCallingConfig.mode"),
        *("generationConfig.speechConfig", "generationConfig.imageConfig", "generationConfig.mediaResolution"),
    }
)
_DEVELOPER = _OWN | {"toolConfig.includeServerSideToolInvocations", "generationConfig.enableEnhancedCivicAnswers"}
_VERTEX = _OWN | {
    *("labels", "modelArmorConfig", "toolConfig.functionCallingConfig.streamFunctionCallArguments"),
    *("generationConfig.audioTimestamp", "generationConfig.routingConfig", "generationConfig.modelSelectionConfig"),
}
"""Gemini's own fields, by the name under which ``extra`` has them: they go on, whoever sent them.

The Gemini API and Vertex AI each refuse some that the other has, as the converters of google-genai 3.4 show.
"""

_TIERS: Mapping[str, str] = {"default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_MOST_STOPS = 5
_SEEDS = range(-(1 << 31), 1 << 31)
_ANSWER_IN_JSON = "Answer with one JSON object and nothing else."


def build(request: ChatRequest, target: Target) -> Built:
    """The request in Gemini's words.

    A schema for the answer beside functions, which models before 3 refuse, becomes one more function
    whose arguments are the answer; one of the functions must be called then.

    Raises:
        InvalidRequest: Gemini could only refuse it; ``param`` names the field.
    """
    model = thinking.family(target.model)
    toolbox = Toolbox(request, target, model)
    conversation = turns.Turns(target, model, toolbox.names)
    fields = prompt(request, conversation)
    lost = _Lost(request)
    generation: dict[str, Any] = _plain(request, lost)
    _thinking(request, model, generation, lost)
    _formatted(request, toolbox, model, fields, generation)
    toolbox.put(fields)
    if generation:
        fields["generationConfig"] = generation
    if request.tier and request.tier in _TIERS:
        fields["serviceTier"] = _TIERS[request.tier]
    elif request.tier not in ("", "auto"):
        lost.add("tier")
    own = _VERTEX if Quirk.VERTEX in target.quirks else _DEVELOPER
    for place in sorted(own & request.extra.keys()):
        _place(fields, place.split("."), msgspec.Raw(request.extra[place]))
    told = [name for name in losses.dropped(request, _CARRIED | toolbox.carried) if name not in own]
    dropped = dict.fromkeys([*told, *lost.names, *toolbox.lost, *conversation.lost])
    return Built(fields=fields, dropped=tuple(dropped), tool_names=toolbox.names.changed)


class _Lost:
    """Fields that are dropped for their value, in the caller's words."""

    def __init__(self, request: ChatRequest) -> None:
        self._names = request.names
        self.names: list[str] = []

    def add(self, field: str) -> None:
        self.names.append(self._names.get(field, field))


def prompt(request: ChatRequest, conversation: turns.Turns) -> dict[str, Any]:
    """``contents`` and ``systemInstruction``; a prompt of system messages alone is sent as the user's words.

    Raises:
        InvalidRequest: nothing is left to send.
    """
    instructions = [message for message in request.messages if message.role in ("system", "developer")]
    rest = [message for message in request.messages if message.role not in ("system", "developer")]
    contents = conversation.contents(rest)
    if not contents:
        contents = conversation.contents([Message("user", message.parts) for message in instructions])
        instructions = []
    if not contents:
        raise InvalidRequest("The request has no content.", param="messages")
    fields: dict[str, Any] = {"contents": contents}
    instruction = turns.system(instructions)
    if any(getattr(part, "cache", None) is not None for message in instructions for part in message.parts):
        conversation.lost.append("cache_control")
    if instruction:
        fields["systemInstruction"] = instruction
    return fields


def _plain(request: ChatRequest, lost: _Lost) -> dict[str, Any]:
    """What is only called otherwise."""
    out = {name: value for field, name in _PLAIN.items() if (value := getattr(request, field)) is not None}
    stops = [stop for stop in request.stop if stop]
    if stops:
        out["stopSequences"] = stops[:_MOST_STOPS]
    if len(stops) > _MOST_STOPS:
        lost.add("stop")
    if request.seed is not None:
        if request.seed in _SEEDS:
            out["seed"] = request.seed
        else:
            lost.add("seed")
    if request.modalities and request.modalities != ("text",):
        out["responseModalities"] = [modality.upper() for modality in request.modalities]
    return out


def _thinking(request: ChatRequest, model: thinking.Family, generation: dict[str, Any], lost: _Lost) -> None:
    if request.reasoning is None:
        return
    config, missing = thinking.config(request.reasoning, model)
    if config:
        generation["thinkingConfig"] = config
    if missing:
        lost.add("reasoning")


def _formatted(
    request: ChatRequest, toolbox: Toolbox, model: thinking.Family, fields: dict[str, Any], generation: dict[str, Any]
) -> None:
    """The form of the answer, in the way that the model takes beside its tools."""
    form = request.format
    if form is None or form.kind == "text":
        return
    schema = _schema(form) if form.kind == "json_schema" else None
    if toolbox.functions and model.version < (3, 0):
        if schema is not None:
            toolbox.answer_with(schema)
        else:
            parts = fields.get("systemInstruction", {}).get("parts", [])
            fields["systemInstruction"] = {"parts": [*parts, {"text": _ANSWER_IN_JSON}]}
        return
    generation["responseMimeType"] = "application/json"
    if schema is None:
        return
    if model.version >= (2, 0):
        generation["responseJsonSchema"] = schema
    else:
        generation["responseSchema"] = subset(schema)


def _schema(form: ResponseFormat) -> dict[str, Any] | None:
    schema = declared(form.schema, "response_format.json_schema.schema")
    if schema is not None and form.description and "description" not in schema:
        return {**schema, "description": form.description}
    return schema


def _place(fields: dict[str, Any], path: list[str], value: object) -> None:
    """Put a value at a place in nested objects."""
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = value
