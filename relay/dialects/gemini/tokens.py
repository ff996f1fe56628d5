"""``usageMetadata`` as usage.

See: https://ai.google.dev/api/generate-content#UsageMetadata (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping

from relay.dialects.lenient import count
from relay.exchange import Usage


def read_usage(counts: Mapping[str, object]) -> Usage:
    """Thoughts count as output, what tools put into the prompt as input."""
    thoughts = count(counts, "thoughtsTokenCount")
    return Usage(
        input=_sum(count(counts, "promptTokenCount"), count(counts, "toolUsePromptTokenCount")),
        cached=count(counts, "cachedContentTokenCount"),
        output=_sum(count(counts, "candidatesTokenCount"), thoughts),
        reasoning=thoughts,
    )


def _sum(*values: int | None) -> int | None:
    """The sum of the known values, None if none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
