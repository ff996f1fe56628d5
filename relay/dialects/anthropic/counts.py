"""Token counts as the Messages API reports them: cached tokens stand beside ``input_tokens``, not in it.

See: https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

from relay.dialects.lenient import count, mapping
from relay.exchange import Usage

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")

_TIERS: Mapping[str, str] = {"standard": "default"}
"""Anthropic's word for the tier that served → the hub's; the others are the same."""


def read_counts(usage: Mapping[str, object]) -> Usage:
    """Read a ``usage`` object; cached tokens are not in ``input_tokens`` and are added to it."""
    fresh, cached, written, output = (count(usage, name) for name in _COUNTS)
    parts = [part for part in (fresh, cached, written) if part is not None]
    return Usage(
        input=sum(parts) if parts else None,
        cached=cached,
        cache_write=written,
        output=output,
        reasoning=count(mapping(usage.get("output_tokens_details")), "thinking_tokens"),
    )


def write_counts(usage: Usage, estimate: int) -> dict[str, object]:
    """Write a ``usage`` object; every count that clients rely on is there.

    Args:
        usage: tokens as reported.
        estimate: the prompt's tokens where the provider did not say.
    """
    cached, written = usage.cached or 0, usage.cache_write or 0
    whole = estimate if usage.input is None else usage.input
    counts: dict[str, object] = {
        "input_tokens": max(whole - cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output or 0,
    }
    if usage.reasoning is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counts


def read_tier(usage: Mapping[str, object]) -> str:
    """The service tier that a ``usage`` object names, in the hub's words, or ""."""
    tier = usage.get("service_tier")
    return _TIERS.get(tier, tier) if isinstance(tier, str) else ""


def write_tier(tier: str) -> str | None:
    """The hub's service tier in Anthropic's words; None for one that it does not have."""
    return {"default": "standard", "priority": "priority", "batch": "batch"}.get(tier)
