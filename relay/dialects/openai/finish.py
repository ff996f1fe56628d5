"""Finish reasons: what Chat Completions says and what its imitators say instead.

See: https://platform.openai.com/docs/api-reference/chat/object (``finish_reason``, read 2026-11). Words of
others seen in 2025 and 2026: ``eos`` and ``eos_token`` (Together, TGI), ``tool_call`` (Mistral, Cloudflare),
``model_length`` (Mistral), ``sensitive`` and ``network_error`` (Zhipu), ``insufficient_system_resource``
(DeepSeek), ``end_turn`` and ``tool_use`` (proxies of Claude), ``error`` (OpenRouter, Mistral), ``abort`` (vLLM).
"""

from __future__ import annotations

from collections.abc import Mapping

from relay.chat import Finish

_HUB: Mapping[str, str] = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "eos_token": Finish.STOP,
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "complete": Finish.STOP,
    "completed": Finish.STOP,
    "pause_turn": Finish.PAUSE,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "max_output_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "tool_call": Finish.TOOL_CALLS,
    "tool_use": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.FILTER,
    "content_filtered": Finish.FILTER,
    "safety": Finish.FILTER,
    "sensitive": Finish.FILTER,
    "recitation": Finish.FILTER,
    "refusal": Finish.REFUSAL,
    "error": Finish.FAULT,
    "abort": Finish.FAULT,
    "network_error": Finish.FAULT,
    "insufficient_system_resource": Finish.FAULT,
    "malformed_function_call": Finish.FAULT,
}

_OPENAI: Mapping[str, str] = {
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.FILTER: "content_filter",
    Finish.REFUSAL: "content_filter",
    Finish.PAUSE: "stop",
    Finish.FAULT: "content_filter",
}


def read_finish(reason: str, *, called: bool, refused: bool) -> str:
    """The hub's word for a provider's.

    Args:
        reason: the provider's word; an unknown one, and none, count as ``stop``.
        called: whether the choice called tools.
        refused: whether it held a refusal.
    """
    finish = _HUB.get(reason.lower(), Finish.STOP)
    if finish in (Finish.STOP, Finish.TOOL_CALLS):
        if called:
            return Finish.TOOL_CALLS
        return Finish.REFUSAL if refused else Finish.STOP
    return finish


def write_finish(finish: str, *, called: bool, refused: bool, legacy: bool = False) -> str:
    """OpenAI's word for the hub's.

    Args:
        finish: a value of `relay.chat.Finish`, or "".
        called: whether the choice called tools.
        refused: whether the message shows a ``refusal``; OpenAI finishes such a one with ``stop``.
        legacy: whether the client speaks of functions and not of tools.
    """
    if finish == Finish.REFUSAL and refused:
        return "stop"
    if called and finish in ("", Finish.STOP, Finish.TOOL_CALLS, Finish.PAUSE):
        return "function_call" if legacy else "tool_calls"
    return "stop" if finish == Finish.TOOL_CALLS else _OPENAI.get(finish, "stop")
