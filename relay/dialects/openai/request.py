"""A client's request to ``/v1/chat/completions``.

See: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import ChatRequest, Reasoning, Tool
from relay.dialects.codec import Call
from relay.dialects.openai.messages import Conversation
from relay.dialects.openai.tools import read_choice, read_format, read_function, read_tools, search_tool
from relay.dialects.problems import told
from relay.errors import InvalidRequest

Object = dict[str, Any]


class Sampling(msgspec.Struct):
    """Fields that Chat and Completions share; null counts as not said."""

    model: str = ""
    stream: bool | None = None
    stream_options: Object | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Object | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    metadata: Object | None = None


class _Chat(Sampling, kw_only=True):
    """The rest of Chat's fields."""

    messages: list[Object]
    max_completion_tokens: int | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    functions: list[Object] | None = None
    function_call: Any = None
    web_search_options: Object | None = None
    response_format: Object | None = None
    reasoning_effort: str | None = None
    reasoning: Any = None
    thinking: Any = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    store: Any = None


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CHAT = msgspec.json.Decoder(_Chat)
_KNOWN = frozenset(_Chat.__struct_fields__)
_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})


def parse(body: bytes, call: Call) -> ChatRequest:
    """Read a request.

    Raises:
        InvalidRequest: it is malformed; names the field.
    """
    with told():
        given = _CHAT.decode(body)
        extra = unknown(body, _KNOWN)
        if not given.messages:
            raise InvalidRequest("`messages` must not be empty.", param="messages")
        talk = Conversation()
        for fields in given.messages:
            talk.read(fields)
        extra.update(talk.extra)
        reasoning, said = _reasoning(given, extra)
        tools, choice = _tools(given)
    if given.store:
        extra["store"] = msgspec.json.encode(given.store)
    names = {"parallel": "parallel_tool_calls", "format": "response_format", "reasoning": said}
    if given.functions:
        names |= {"tools": "functions", "tool_choice": "function_call"}
    if given.max_completion_tokens is not None:
        names["max_tokens"] = "max_completion_tokens"
    first = given.max_completion_tokens
    return ChatRequest(
        messages=tuple(talk.messages),
        tools=tools,
        tool_choice=choice,
        parallel=given.parallel_tool_calls,
        max_tokens=given.max_tokens if first is None else first,
        format=read_format(given.response_format),
        reasoning=reasoning,
        logprobs=given.logprobs,
        top_logprobs=given.top_logprobs,
        verbosity=given.verbosity or "",
        modalities=_modalities(given),
        extra=extra,
        names=shared_names(given, names),
        **shared(given, call),
    )


def shared(given: Sampling, call: Call) -> dict[str, Any]:
    """The hub's fields for what Chat and Completions share."""
    options = given.stream_options or {}
    stop = (given.stop,) if isinstance(given.stop, str) else tuple(given.stop or ())
    return {
        "model": given.model or call.model,
        "stream": bool(given.stream),
        "wants_usage": bool(options.get("include_usage")),
        "temperature": given.temperature,
        "top_p": given.top_p,
        "top_k": given.top_k,
        "min_p": given.min_p,
        "stop": tuple(word for word in stop if word),
        "seed": given.seed,
        "n": given.n,
        "presence_penalty": given.presence_penalty,
        "frequency_penalty": given.frequency_penalty,
        "logit_bias": msgspec.json.encode(given.logit_bias) if given.logit_bias else b"",
        "user": given.safety_identifier or given.user or "",
        "metadata": msgspec.json.encode(given.metadata) if given.metadata else b"",
        "tier": "" if given.service_tier in (None, "auto") else given.service_tier,
        "cache_key": given.prompt_cache_key or "",
    }


def shared_names(given: Sampling, names: Mapping[str, str]) -> dict[str, str]:
    """What this dialect calls the hub's fields."""
    user = "safety_identifier" if given.safety_identifier else "user"
    return {"tier": "service_tier", "cache_key": "prompt_cache_key", "user": user, **names}


def unknown(body: bytes, known: frozenset[str]) -> dict[str, bytes]:
    """Fields that are not known and say something, as JSON text."""
    fields = _FIELDS.decode(body)
    return {name: bytes(value) for name, value in fields.items() if name not in known and bytes(value) != b"null"}


def _tools(given: _Chat) -> tuple[tuple[Tool, ...], Any]:
    """Tools and choice, of today's form or of the older one."""
    tools = read_tools(given.tools or (), "tools")
    choice = read_choice(given.tool_choice, "tool_choice")
    if given.functions:
        tools += tuple(read_function(each, f"functions[{at}]") for at, each in enumerate(given.functions))
        choice = choice or read_choice(given.function_call, "function_call")
    if given.web_search_options is not None:
        tools += (search_tool(given.web_search_options),)
    return tools, choice


def _reasoning(given: _Chat, extra: dict[str, bytes]) -> tuple[Reasoning | None, str]:
    """What is said of reasoning, and in which field: OpenAI's, OpenRouter's ``reasoning`` or Anthropic's ``thinking``.

    Members that the hub has no place for stay in ``extra``.
    """
    if given.reasoning_effort in ("auto", "default"):  # Groq's word for what happens anyway
        given.reasoning_effort = None
    effort = _effort(given.reasoning_effort, "reasoning_effort")
    if isinstance(given.reasoning, dict) and given.reasoning:
        return _openrouter(given.reasoning, effort), "reasoning"
    if isinstance(given.thinking, dict) and given.thinking:
        rest = given.thinking.keys() - {"type", "budget_tokens"}
        extra.update({f"thinking.{name}": msgspec.json.encode(given.thinking[name]) for name in sorted(rest)})
        return _thinking(given.thinking, effort), "thinking"
    return (Reasoning(effort) if effort else None), "reasoning_effort"


def _openrouter(given: Mapping[str, Any], effort: str) -> Reasoning:
    """OpenRouter's object: an effort or a budget, and whether the answer shows it."""
    enabled, exclude = given.get("enabled"), given.get("exclude")
    effort = _effort(given.get("effort"), "reasoning.effort") or effort
    budget = _whole(given.get("max_tokens"), "reasoning.max_tokens")
    if enabled is False:
        effort = "none"
    elif enabled is True and not effort and budget is None:
        effort = "medium"
    summary = given.get("summary")
    return Reasoning(
        effort,
        budget,
        summary=summary if isinstance(summary, str) else "",
        visible=not exclude if isinstance(exclude, bool) else None,
    )


def _thinking(given: Mapping[str, Any], effort: str) -> Reasoning | None:
    """The object of Anthropic, which DeepSeek, Zhipu and LiteLLM take, too."""
    kind = given.get("type")
    budget = _whole(given.get("budget_tokens"), "thinking.budget_tokens")
    if kind == "disabled":
        return Reasoning("none", 0)
    return Reasoning(effort, budget, adaptive=budget is None)


def _effort(value: object, param: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or value not in _EFFORTS:
        raise InvalidRequest(f"`{param}` must be one of none, minimal, low, medium, high, xhigh, max.", param=param)
    return value


def _whole(value: object, param: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(f"`{param}` must be a whole number.", param=param)
    return value


def _modalities(given: _Chat) -> tuple[str, ...]:
    """What is asked for beside text, which is written anyway."""
    kinds = tuple(given.modalities or ())
    return () if kinds == ("text",) else kinds
