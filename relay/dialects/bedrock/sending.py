"""The hub's request in Converse's words.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import ChatRequest, ResponseFormat
from relay.dialects import losses
from relay.dialects.bedrock import betas
from relay.dialects.bedrock.models import Traits, traits
from relay.dialects.bedrock.reasoning import Thinking, thinking
from relay.dialects.bedrock.schemas import closed, object_schema
from relay.dialects.bedrock.tools import Toolbox
from relay.dialects.bedrock.turns import Conversation
from relay.dialects.codec import Built, Target
from relay.errors import InvalidRequest

_CARRIED = frozenset(
    {
        "tools",
        "tool_choice",
        "parallel",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "format",
        "reasoning",
        "metadata",
        "tier",
    }
)
"""Hub fields with a place in Converse; what of them a model does not take is told by name."""

_BETAS = "anthropic_beta"

_OWN = frozenset(
    {
        "guardrailConfig",
        "performanceConfig",
        "requestMetadata",
        "promptVariables",
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
    }
)
"""Fields that only Converse has: a client that writes them means it."""

_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
"""What CountTokens takes of a Converse request."""

_TIERS = {"default": "default", "standard": "default", "flex": "flex", "priority": "priority", "reserved": "reserved"}
_NO_TIER = ("auto", "standard_only")
_STOP_PATHS = ["/stop_sequence", "/delta/stop_sequence"]
_META = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")
_MOST_META = 16
_ONLY_JSON = "Answer with one JSON object and nothing else: no other words, no code fence."
_BY_SCHEMA = "It must be valid against this JSON Schema: "


class _Building:
    """One request while it is put together.

    Args:
        request: the hub's request.
        target: where it goes.
    """

    def __init__(self, request: ChatRequest, target: Target) -> None:
        if not request.messages:
            raise InvalidRequest("At least one message is required.", param=request.names.get("messages", "messages"))
        self.request = request
        self.traits: Traits = traits(target.model)
        self.lost: dict[str, None] = {}
        self.fields: dict[str, Any] = {}
        self.more: dict[str, Any] = {}
        self.talk = Conversation(request, self.traits, self.lost)

    def lose(self, field: str) -> None:
        """Note that a hub field could not be carried."""
        self.lost[self.request.names.get(field, field)] = None

    def prompt(self) -> None:
        """Messages, system, tools, form of the answer, thinking: everything that counts as input."""
        answer = self._format()
        messages = self.talk.messages()
        box = Toolbox(self.request, self.traits, self.talk.names, self.lost, answer)
        choosing = box.choosing(self.talk.called)
        self.fields["messages"] = messages
        if self.talk.system:
            self.fields["system"] = self.talk.system
        if choosing.config is not None:
            self.fields["toolConfig"] = choosing.config
        self.more.update(choosing.extra or {})
        self.thought = self._thinking(forced=choosing.forced)
        for name, value in self.thought.fields.items():
            self.more[name] = {**self.more[name], **value} if isinstance(self.more.get(name), dict) else value

    def _format(self) -> Mapping[str, Any] | None:
        """Ask for structured output; returns the schema of a forced answer where that is the way."""
        wanted = self.request.format
        if wanted is None or wanted.kind == "text":
            return None
        if wanted.kind == "json_schema" and wanted.schema:
            native = closed(wanted.schema) if self.traits.structured else None
            if native is not None:
                self.fields["outputConfig"] = {"textFormat": _text_format(wanted, native)}
                return None
            if "any" in self.traits.tool_choice:
                schema = object_schema(wanted.schema, self.request.names.get("format", "format"))
                return schema if isinstance(schema, dict) else msgspec.json.decode(bytes(schema))
        self._instruct(wanted)
        return None

    def _instruct(self, wanted: ResponseFormat) -> None:
        """The last way: ask in words."""
        words = _ONLY_JSON
        if wanted.schema:
            words = f"{words} {_BY_SCHEMA}{wanted.schema.decode('utf-8', 'replace')}"
        self.talk.system.append({"text": words})

    def _thinking(self, *, forced: bool) -> Thinking:
        thought = thinking(self.request.reasoning, self.traits, self.request.max_tokens)
        if thought.lost:
            self.lose("reasoning")
        if thought.fixed and (forced or not self.talk.thinks_first()):
            self.lose("reasoning")
            return Thinking(max_tokens=self.request.max_tokens)
        return thought

    def inference(self) -> None:
        """Limits and sampling."""
        request = self.request
        config: dict[str, Any] = {}
        if self.thought.max_tokens is not None:
            config["maxTokens"] = max(self.thought.max_tokens, 1)
        if self._samples("temperature", request.temperature):
            config["temperature"] = min(max(float(request.temperature or 0.0), 0.0), 1.0)
        if self._samples("top_p", request.top_p):
            if not (self.traits.one_sampler and "temperature" in config):
                config["topP"] = min(max(float(request.top_p or 0.0), 0.0), 1.0)
            elif request.top_p != 1:
                self.lose("top_p")
        if stops := self._stops():
            config["stopSequences"] = stops
            if self.traits.family == "claude":
                self.fields["additionalModelResponseFieldPaths"] = _STOP_PATHS
        if config:
            self.fields["inferenceConfig"] = config
        self._top_k()

    def _samples(self, field: str, value: float | None) -> bool:
        """Whether a sampling field was given and can be sent; Claude samples not while it thinks."""
        if value is None:
            return False
        free = self.traits.sampling and not self.thought.on and not self.thought.bare
        if value == 1 and field != "top_k" and not free:
            return False  # what the model does anyway
        if free:
            return True
        self.lose(field)
        return False

    def _top_k(self) -> None:
        """It is each family's own field."""
        top_k = self.request.top_k
        if not self._samples("top_k", top_k):
            return
        if self.traits.family == "claude":
            self.more["top_k"] = top_k
        elif self.traits.family == "nova":
            self.more["inferenceConfig"] = {"topK": top_k}
        elif self.traits.family == "mistral":
            self.more["top_k"] = top_k
        else:
            self.lose("top_k")

    def _stops(self) -> list[str]:
        """Stop sequences; blank ones are refused."""
        blanks = self.traits.family != "claude"
        given = self.request.stop if self.traits.stops else ()
        kept = [stop for stop in given if stop and (blanks or stop.strip())]
        if len(kept) < len(self.request.stop):
            self.lose("stop")
        return kept

    def rest(self) -> None:
        """Metadata, tier, and Converse's own fields."""
        if self.request.metadata:
            meta = _metadata(self.request.metadata)
            if meta:
                self.fields["requestMetadata"] = meta
            elif meta is None:
                self.lose("metadata")
        if tier := _TIERS.get(self.request.tier):
            self.fields["serviceTier"] = {"type": tier}
        elif self.request.tier and self.request.tier not in _NO_TIER:
            self.lose("tier")
        self._extra()

    def _extra(self) -> None:
        for name, value in self.request.extra.items():
            if name == "additionalModelRequestFields":
                own = msgspec.json.decode(value)
                self.more.update(own if isinstance(own, dict) else {})
            elif name in _OWN:
                self.fields[name] = msgspec.Raw(value)
            elif name == _BETAS:
                known, others = betas.kept(value, self.traits)
                if known:
                    self.more[name] = known
                if others:
                    self.lost[name] = None

    def close(self) -> dict[str, Any]:
        """The body."""
        if self.more:
            self.fields["additionalModelRequestFields"] = self.more
        return self.fields

    def dropped(self) -> tuple[str, ...]:
        """Everything that could not be carried, each once."""
        plain = [name for name in losses.dropped(self.request, _CARRIED) if name not in _OWN and name != _BETAS]
        return tuple(dict.fromkeys([*plain, *self.lost]))


def build(request: ChatRequest, target: Target) -> Built:
    """Put a chat request into Converse's words.

    Raises:
        InvalidRequest: no messages, media from an address, arguments or schemas that are no JSON.
    """
    building = _Building(request, target)
    building.prompt()
    building.inference()
    building.rest()
    return Built(building.close(), building.dropped(), building.talk.names.changed)


def build_count(request: ChatRequest, target: Target) -> Built:
    """Put a request for its tokens' count into words; only what counts as input goes along.

    Raises:
        InvalidRequest: as for `build`.
    """
    building = _Building(request, target)
    building.prompt()
    dropped = tuple(building.lost)
    building.rest()
    fields = {name: value for name, value in building.close().items() if name in _COUNTED}
    return Built({"input": {"converse": fields}}, dropped, building.talk.names.changed)


def _text_format(wanted: ResponseFormat, schema: Any) -> dict[str, Any]:
    definition = {"schema": msgspec.json.encode(schema).decode("utf-8")}
    if wanted.name:
        definition["name"] = wanted.name
    if wanted.description:
        definition["description"] = wanted.description
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}


def _metadata(text: bytes) -> dict[str, str] | None:
    """Metadata if Bedrock takes it: at most 16 pairs of short plain text; None if not."""
    try:
        pairs = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError:
        return None
    plain = all(key and _META.fullmatch(key) and _META.fullmatch(value) for key, value in pairs.items())
    return pairs if plain and len(pairs) <= _MOST_META else None
