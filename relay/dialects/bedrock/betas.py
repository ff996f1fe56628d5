"""Which of Anthropic's betas Bedrock knows; it refuses a request that names any other one.

See: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
and, for the newest models, https://github.com/anthropics/claude-code/issues/49370 (read 2026-11).
"""

from __future__ import annotations

import msgspec

from relay.dialects.bedrock.models import Traits

_KNOWN = frozenset(
    {
        "computer-use-2024-10-22",
        "computer-use-2025-01-24",
        "context-1m-2025-08-07",
        "context-management-2025-06-27",
        "dev-full-thinking-2025-05-14",
        "effort-2025-11-24",
        "interleaved-thinking-2025-05-14",
        "output-128k-2025-02-19",
        "token-efficient-tools-2025-02-19",
        "tool-examples-2025-10-29",
        "tool-search-tool-2025-10-19",
    }
)
_NEWEST = frozenset({"interleaved-thinking-2025-05-14"})
"""What Claude from 4.7 on takes there; the rest of what it can do needs no beta."""


def kept(value: bytes, traits: Traits) -> tuple[list[str], bool]:
    """The betas that may be sent to a model, and whether others were named.

    Args:
        value: a JSON array of names; what is none counts as others.
        traits: what the model takes.
    """
    try:
        named = msgspec.json.decode(value, type=list[str])
    except msgspec.MsgspecError:
        return [], True
    if traits.family != "claude":
        return [], True
    known = _NEWEST if traits.thinking == "adaptive" else _KNOWN
    known_ones = [name for name in named if name in known]
    return known_ones, len(known_ones) < len(named)
