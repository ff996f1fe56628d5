"""What both directions know of Ollama's answers: reasons, counts and log probabilities.

See: https://docs.ollama.com/api/chat (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relay.chat import Finish
from relay.dialects.lenient import count, load, mapping, sequence
from relay.exchange import Usage

_WORDS: Mapping[str, str] = {
    Finish.LENGTH: "length",
    Finish.FILTER: "content_filter",
    Finish.FAULT: "error",
}
"""What Ollama knows is ``stop`` and ``length``; the others are told as they are, since the field is open."""

_REASONS: Mapping[str, str] = {word: finish for finish, word in _WORDS.items()}


def word(finish: str) -> str:
    """``done_reason`` of a finish; tool calls end with ``stop``, too."""
    return _WORDS.get(finish, "stop")


def reason(done_reason: str, *, called: bool) -> str:
    """The finish of a ``done_reason``, given whether tools were called."""
    finish = _REASONS.get(done_reason, Finish.STOP)
    return Finish.TOOL_CALLS if called and finish == Finish.STOP else finish


def counts(answer: Mapping[str, object]) -> Usage:
    """Tokens of a whole answer or of the last line.

    ``prompt_eval_count`` is missing when the whole prompt was cached.
    """
    return Usage(input=count(answer, "prompt_eval_count"), output=count(answer, "eval_count"))


def told(usage: Usage) -> dict[str, int]:
    """Counts and nanoseconds of the last line; no other provider tells those, and clients expect numbers."""
    return {
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_count": usage.input or 0,
        "prompt_eval_duration": 0,
        "eval_count": usage.output or 0,
        "eval_duration": 0,
    }


def openai_logprobs(value: object) -> bytes:
    """Ollama's list in OpenAI's form, b"" if there is none.

    See: https://docs.ollama.com/api/chat#logprobs (read 2026-11).
    """
    tokens = [_token(entry) for item in sequence(value) if (entry := mapping(item))]
    return msgspec.json.encode({"content": tokens}) if tokens else b""


def _token(entry: Mapping[str, object]) -> dict[str, object]:
    top = [
        {"token": other.get("token"), "logprob": other.get("logprob"), "bytes": other.get("bytes")}
        for other in map(mapping, sequence(entry.get("top_logprobs")))
    ]
    return {
        "token": entry.get("token"),
        "logprob": entry.get("logprob"),
        "bytes": entry.get("bytes"),
        "top_logprobs": top,
    }


def own_logprobs(logprobs: bytes) -> list[object]:
    """OpenAI's form as Ollama's list."""
    return sequence(mapping(load(logprobs)).get("content"))
