"""The response object around the output: what it repeats of the request, its status and usage.

See: https://platform.openai.com/docs/api-reference/responses/object (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from relay.chat import ChatRequest, Finish
from relay.dialects.carry import made_id
from relay.dialects.codec import Asked
from relay.dialects.responses.declaring import choose, declare, effort_of, form_of
from relay.exchange import Usage

_STATUS: dict[str, tuple[str, str | None]] = {
    Finish.LENGTH: ("incomplete", "max_output_tokens"),
    Finish.FILTER: ("incomplete", "content_filter"),
    Finish.FAULT: ("failed", None),
}
UNUSABLE = {"code": "server_error", "message": "The model's answer was unusable."}


def response(
    asked: Asked,
    *,
    status: str,
    created: int,
    tier: str = "",
    reason: str | None = None,
    output: Iterable[bytes] = (),
    usage: Usage | None = None,
) -> bytes:
    """A response object as JSON text.

    Args:
        asked: the request that it answers.
        status: ``in_progress``, ``completed``, ``incomplete`` or ``failed``.
        created: Unix seconds.
        tier: the service tier used, "" if unknown.
        reason: why it is incomplete, or None.
        output: the items, JSON text each.
        usage: tokens, None before the end.
    """
    body: dict[str, Any] = {
        "id": response_id(asked),
        "object": "response",
        "created_at": created or asked.created,
        "status": status,
        "background": False,
        "error": UNUSABLE if status == "failed" else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "max_tool_calls": None,
        "model": asked.model,
        "output": Raw(b"[" + b",".join(output) + b"]"),
        "previous_response_id": None,
        "service_tier": tier or None,
        "store": False,
        "truncation": "disabled",
        "usage": None if usage is None else _usage(usage),
    }
    if isinstance(asked.request, ChatRequest):
        body |= _repeated(asked.request)
    return msgspec.json.encode(body)


def response_id(asked: Asked) -> str:
    """The id of the response to a request."""
    return made_id("resp_", asked.request_id, length=48)


def status_of(finish: str, *, refused: bool) -> tuple[str, str | None]:
    """Status of a response and why it is incomplete; ``refused`` if its refusal stands in the output."""
    if finish == Finish.REFUSAL and not refused:
        return "incomplete", "content_filter"
    return _STATUS.get(finish, ("completed", None))


def _repeated(request: ChatRequest) -> dict[str, Any]:
    wanted = request.reasoning
    return {
        "max_output_tokens": request.max_tokens,
        "metadata": Raw(request.metadata or b"{}"),
        "parallel_tool_calls": request.parallel is not False,
        "prompt_cache_key": request.cache_key or None,
        "reasoning": {
            "effort": (effort_of(wanted) or None) if wanted else None,
            "summary": (wanted.summary or None) if wanted else None,
        },
        "temperature": request.temperature,
        "text": {"format": form_of(request.format) or {"type": "text"}, "verbosity": request.verbosity or "medium"},
        "tool_choice": choose(request.tool_choice, request.tools) if request.tool_choice else "auto",
        "tools": declare(request.tools, [], {}),
        "top_logprobs": request.top_logprobs or 0,
        "top_p": request.top_p,
        "user": request.user or None,
    }


def _usage(usage: Usage) -> dict[str, Any] | None:
    """Usage in this dialect's words; null if the provider told nothing."""
    if usage.input is None and usage.output is None:
        return None
    given, output = usage.input or 0, usage.output or 0
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": usage.cached or 0, "cache_write_tokens": usage.cache_write or 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": given + output,
    }
