"""Token counts as clients of Chat Completions read them."""

from __future__ import annotations

from typing import Any

from relay.exchange import Usage


def write_usage(usage: Usage) -> dict[str, Any] | None:
    """The ``usage`` object, None if nothing is known; ``cache_write_tokens`` is OpenRouter's name.

    See: https://platform.openai.com/docs/api-reference/chat/object (``usage``, read 2026-11).
    """
    if usage.input is None and usage.output is None:
        return None
    given, written = usage.input or 0, usage.output or 0
    out: dict[str, Any] = {"prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written}
    details = {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write}
    known = {name: value for name, value in details.items() if value is not None}
    if known:
        out["prompt_tokens_details"] = known
    if usage.reasoning is not None:
        out["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return out
