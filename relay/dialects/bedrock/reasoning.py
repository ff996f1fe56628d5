"""How a request's wish for thinking is told to each family of models behind Converse.

It has no field of its own that all of them take; it goes into ``additionalModelRequestFields``.

See: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html,
https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import Reasoning
from relay.dialects.bedrock.models import Traits

LEAST_BUDGET = 1024
"""Tokens below which Claude refuses a budget."""

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_EFFORTS = ((2048, "low"), (8192, "medium"), (1 << 62, "high"))


class Thinking(msgspec.Struct, frozen=True):
    """What thinking does to a request.

    Attributes:
        fields: for ``additionalModelRequestFields``.
        max_tokens: the request's limit, raised where the thinking needs it; None for none.
        on: whether the model thinks under Claude's rules: no sampling, no forced tool.
        fixed: whether Claude's older rules hold, too: a turn that calls tools must begin with its signed thinking.
        bare: whether neither sampling nor a limit may be set (Nova at its highest effort).
        lost: whether the wish could not be met.
    """

    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)
    max_tokens: int | None = None
    on: bool = False
    fixed: bool = False
    bare: bool = False
    lost: bool = False


def thinking(wish: Reasoning | None, traits: Traits, max_tokens: int | None) -> Thinking:
    """Say how a model is asked to think.

    Args:
        wish: what the client asked for.
        traits: what the model takes.
        max_tokens: most tokens of the answer, thinking included; None if not said.
    """
    off = Thinking(max_tokens=max_tokens)
    if wish is None:
        return off
    if wish.effort == "none" or wish.budget == 0:
        return off if traits.thinking != "effort" else _flat(wish, max_tokens)
    if not (wish.effort or wish.budget or wish.adaptive):  # only how thoughts are shown was said
        return off
    match traits.thinking:
        case "budget":
            return _budget(wish, max_tokens)
        case "either":
            return _budget(wish, max_tokens) if wish.budget and not wish.effort else _adaptive(wish, traits, max_tokens)
        case "adaptive":
            return _adaptive(wish, traits, max_tokens)
        case "nova":
            return _nova(wish, max_tokens)
        case "effort":
            return _flat(wish, max_tokens)
    return msgspec.structs.replace(off, lost=True)


def _budget(wish: Reasoning, limit: int | None) -> Thinking:
    """Claude up to 4.5: so many tokens, fewer than the answer's limit; of our own choice at most half of it."""
    budget = wish.budget or _BUDGETS.get(wish.effort or "high", 8192)
    if limit is not None:
        budget = min(budget, limit - 1 if wish.budget else limit // 2)
    budget = max(budget, LEAST_BUDGET)
    if limit is not None and limit <= budget:
        limit += budget
    fields = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    return Thinking(fields, limit, on=True, fixed=True)


def _adaptive(wish: Reasoning, traits: Traits, limit: int | None) -> Thinking:
    """Claude from 4.6 on: as much as the model sees fit, at an effort."""
    own: dict[str, Any] = {"type": "adaptive"}
    if traits.thinking == "adaptive" and (wish.visible is not None or wish.summary):
        own["display"] = "omitted" if wish.visible is False else "summarized"
    fields: dict[str, Any] = {"thinking": own}
    effort = _effort(wish)
    if effort:
        if effort == "xhigh" and traits.thinking == "either":
            effort = "high"
        fields["output_config"] = {"effort": "low" if effort == "minimal" else effort}
    return Thinking(fields, limit, on=True)


def _nova(wish: Reasoning, limit: int | None) -> Thinking:
    """Nova 2: three efforts, the highest of which takes no limit; where there is one, the middle is the most."""
    effort = {"minimal": "low", "xhigh": "high", "max": "high"}.get(_effort(wish), _effort(wish)) or "medium"
    lost = effort == "high" and limit is not None
    if lost:
        effort = "medium"
    fields = {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
    return Thinking(fields, limit, bare=effort == "high", lost=lost)


def _flat(wish: Reasoning, limit: int | None) -> Thinking:
    """OpenAI's models: their own field."""
    effort = "none" if wish.budget == 0 else _effort(wish) or "medium"
    return Thinking({"reasoning_effort": "xhigh" if effort == "max" else effort}, limit)


def _effort(wish: Reasoning) -> str:
    """The effort asked for, or about as much as the budget allows; "" if neither was said."""
    if wish.effort or not wish.budget:
        return wish.effort
    return next(word for most, word in _EFFORTS if wish.budget <= most)
