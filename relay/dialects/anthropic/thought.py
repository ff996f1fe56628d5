"""How much a Claude is to think, in the words that its generation takes.

See: https://platform.claude.com/docs/en/build-with-claude/thinking,
https://platform.claude.com/docs/en/build-with-claude/effort (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import Reasoning
from relay.dialects.anthropic.models import Traits

LEAST = 1024
"""The smallest ``budget_tokens``; also what is left for an answer where the limit is tight."""

_BUDGETS: Mapping[str, int] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 31_999,
}
_EFFORTS: tuple[tuple[int, str], ...] = ((4_096, "low"), (12_288, "medium"), (28_672, "high"))
_NEAREST: Mapping[str, tuple[str, ...]] = {
    "minimal": ("low",),
    "xhigh": ("xhigh", "high"),
    "max": ("max", "xhigh", "high"),
}


class Thought(msgspec.Struct):
    """What is sent.

    Attributes:
        thinking: the ``thinking`` object, or None to leave it out.
        effort: ``output_config.effort``, or None.
        lost: whether what was asked for could not be carried.
    """

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    lost: bool = False

    @property
    def manual(self) -> bool:
        """Whether thinking is on with a budget, which brings restrictions with it."""
        return self.thinking is not None and self.thinking.get("type") == "enabled"


def thought(reasoning: Reasoning | None, traits: Traits, *, effort_only: bool) -> Thought:
    """Decide on thinking and effort.

    Args:
        reasoning: what the client asks for.
        traits: what the model takes.
        effort_only: whether the client set the effort and left thinking to the model's own default.
    """
    if reasoning is None:
        return Thought()
    effort = _effort(reasoning.effort, traits)
    if effort_only:
        return Thought(effort=effort, lost=effort is None)
    if reasoning.effort == "none" or (reasoning.budget == 0 and not reasoning.adaptive):
        return _off(effort, traits)
    if traits.adaptive and (reasoning.budget is None or not traits.budget):
        if effort is None and reasoning.budget is not None:
            effort = _effort(_by_budget(reasoning.budget), traits)
        return Thought(_shown({"type": "adaptive"}, reasoning, traits), effort)
    if traits.budget:
        budget = reasoning.budget or _BUDGETS.get(reasoning.effort, _BUDGETS["high"])
        enabled = {"type": "enabled", "budget_tokens": max(budget, LEAST)}
        # with an explicit budget the effort is a second wish; alone it was the budget's source
        return Thought(_shown(enabled, reasoning, traits), effort if reasoning.budget else None)
    return Thought(lost=True)


def fitted(budget: int, max_tokens: int) -> tuple[int, int]:
    """Budget and limit so that the budget is below the limit, as it must be.

    The budget shrinks to leave room for an answer; where the limit has no room for thinking at all, it is
    raised by the least budget.
    """
    if budget < max_tokens:
        return budget, max_tokens
    if max_tokens >= 2 * LEAST:
        return max_tokens - LEAST, max_tokens
    return LEAST, max_tokens + LEAST


def _off(effort: str | None, traits: Traits) -> Thought:
    if traits.off is None:
        return Thought(effort=effort or ("low" if traits.efforts else None), lost=True)
    if effort in ("xhigh", "max"):
        effort = "high"  # refused together with disabled thinking
    return Thought({"type": traits.off} if traits.off else None, effort)


def _effort(asked: str, traits: Traits) -> str | None:
    """The nearest level that the model has, None for none."""
    return next((level for level in _NEAREST.get(asked, (asked,)) if level in traits.efforts), None)


def _by_budget(budget: int) -> str:
    """The effort that a budget amounts to."""
    return next((effort for limit, effort in _EFFORTS if budget < limit), "xhigh")


def _shown(thinking: dict[str, Any], reasoning: Reasoning, traits: Traits) -> dict[str, Any]:
    """Ask for thoughts to be shown, or not, where the client said so."""
    visible = True if reasoning.visible is None and reasoning.summary else reasoning.visible
    if traits.display and visible is not None:
        thinking["display"] = "summarized" if visible else "omitted"
    return thinking
