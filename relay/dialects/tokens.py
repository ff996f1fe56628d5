"""Token counts as OpenAI and those who follow it report them."""

from __future__ import annotations

from collections.abc import Mapping

from relay.dialects.lenient import count, mapping
from relay.exchange import Usage

_OPENAI = frozenset(
    {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
)
_PLAIN_PROMPT = frozenset({"cached_tokens", "audio_tokens", "text_tokens", "image_tokens"})
_NOTHING: dict[str, object] = {}


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Read a ``usage`` object of Chat, Completions, Responses, Embeddings, Images or Audio.

    Knows the names that compatible providers use for cached tokens: DeepSeek
    ``prompt_cache_hit_tokens``, Moonshot ``cached_tokens``, Mistral ``num_cached_tokens``. xAI leaves
    reasoning tokens out of ``completion_tokens`` and only counts them in the total (seen 2025-11);
    they are added, so that ``output`` is what is paid for. An object that has nothing but a total
    (rerank, some embeddings) is all input.
    """
    if usage.keys() <= _OPENAI:
        plain = _read_plain(usage)
        if plain is not None:
            return plain
    prompt = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    completion = _details(usage, "completion_tokens_details", "output_tokens_details")
    given = count(usage, "prompt_tokens", "input_tokens")
    output = count(usage, "completion_tokens", "output_tokens")
    total = count(usage, "total_tokens")
    reasoning = _first(count(completion, "reasoning_tokens"), count(usage, "reasoning_tokens"))
    if given is not None and output is not None and reasoning and total == given + output + reasoning:
        output += reasoning
    if given is None and output is None:
        given = total
    return Usage(
        input=given,
        cached=_first(
            count(prompt, "cached_tokens"),
            count(usage, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"),
        ),
        cache_write=_first(
            count(prompt, "cache_write_tokens", "cache_creation_tokens"),
            count(usage, "cache_creation_input_tokens"),
        ),
        output=output,
        reasoning=reasoning,
    )


def _read_plain(usage: Mapping[str, object]) -> Usage | None:
    """Usage just as OpenAI writes it, read the short way; None if it is not quite that."""
    given, output, total = usage.get("prompt_tokens"), usage.get("completion_tokens"), usage.get("total_tokens")
    prompt = usage.get("prompt_tokens_details") or _NOTHING
    completion = usage.get("completion_tokens_details") or _NOTHING
    if type(given) is not int or type(output) is not int or given < 0 or output < 0 or total != given + output:
        return None
    if type(prompt) is not dict or type(completion) is not dict or not prompt.keys() <= _PLAIN_PROMPT:
        return None
    cached, reasoning = prompt.get("cached_tokens"), completion.get("reasoning_tokens")
    if type(cached) is not int or cached < 0:
        cached = None
    if type(reasoning) is not int or reasoning < 0:
        reasoning = None
    return Usage(input=given, cached=cached, output=output, reasoning=reasoning)


def _details(usage: Mapping[str, object], *names: str) -> Mapping[str, object]:
    """The first of the named objects that is there."""
    return next((details for name in names if (details := mapping(usage.get(name)))), {})


def _first(*values: int | None) -> int | None:
    """The first value that is known."""
    return next((value for value in values if value is not None), None)
