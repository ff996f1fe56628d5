"""How much a Gemini model is to think: budgets of tokens (2.5) and levels (3 and later) by model family.

See: https://ai.google.dev/gemini-api/docs/generate-content/thinking,
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/thinking and, for what an effort is
in tokens, https://ai.google.dev/gemini-api/docs/openai#thinking (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from relay.chat import Reasoning

_MODEL = re.compile(r"(?:.*/)?gemini-(?:(\d+)(?:\.(\d+))?|(?=pro-latest|flash))-?(.*)", re.IGNORECASE)
_NEWEST = (3, 99)
"""Taken for names without a number, such as ``gemini-flash-latest``."""

_UNKNOWN = (2, 0)
"""Taken for tuned models and aliases: JSON Schema, and nothing said of thinking."""

_OLD = (0, 0)
_GEMMA = re.compile(r"(?:^|/)gemma", re.IGNORECASE)
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_STEPS: tuple[tuple[int, str], ...] = ((512, "minimal"), (4096, "low"), (16384, "medium"), (32768, "high"))
"""Most tokens to think → the level for them."""

_BUDGETS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}


class Family(msgspec.Struct, frozen=True):
    """What a model's name says of it.

    Attributes:
        version: (major, minor); `_UNKNOWN` for a name that does not tell, `_OLD` for Gemma.
        tier: what follows the version: ``pro``, ``flash``, ``flash-lite``, ``hydrogen`` …
    """

    version: tuple[int, int]
    tier: str

    @property
    def thinks(self) -> bool:
        """Whether it thinks at all."""
        return self.version >= (3, 0) or (self.version >= (2, 5) and "image" not in self.tier)

    @property
    def levels(self) -> tuple[str, ...]:
        """The thinking levels that it takes, () where it takes budgets."""
        if self.version < (3, 0):
            return ()
        if self.version >= (4, 0):
            return _LEVELS[1:]
        if self.tier.startswith("pro"):
            return _LEVELS[1:4] if self.version >= (3, 1) else ("low", "high")
        lite = self.tier.startswith("flash-lite")
        return _LEVELS[:4] if lite or self.version <= (3, 6) else _LEVELS[1:4]

    @property
    def budgets(self) -> tuple[int, int]:
        """Least and most tokens of a budget; 0 switches thinking off except for Pro."""
        if self.tier.startswith("pro"):
            return 128, 32768
        return (512, 24576) if self.tier.startswith("flash-lite") else (1, 24576)


def family(model: str) -> Family:
    """Read a model's name, with or without what stands before it in a path."""
    match = _MODEL.fullmatch(model)
    if match is None:
        return Family(_OLD if _GEMMA.search(model) else _UNKNOWN, "")
    version = (int(match[1]), int(match[2] or 0)) if match[1] else _NEWEST
    return Family(version, match[3].lower())


def config(reasoning: Reasoning, model: Family) -> tuple[dict[str, Any], list[str]]:
    """The ``thinkingConfig`` for a model, and what of the request it cannot say ("effort", "budget")."""
    if not model.thinks:
        wanted = reasoning.effort not in ("", "none") or bool(reasoning.budget) or reasoning.adaptive
        return {}, ["effort"] if wanted else []
    out: dict[str, Any] = {}
    if reasoning.visible is not None or reasoning.summary:
        out["includeThoughts"] = reasoning.visible is not False
    if model.levels:
        level = _level(reasoning, model.levels)
        if level:
            out["thinkingLevel"] = level.upper()
    else:
        budget = _budget(reasoning, model)
        if budget is not None:
            out["thinkingBudget"] = budget
    return out, []


def _level(reasoning: Reasoning, levels: tuple[str, ...]) -> str:
    """The nearest level that the model takes; "" for its own choice."""
    if reasoning.effort:
        wanted = {"none": "minimal", "max": "xhigh"}.get(reasoning.effort, reasoning.effort)
    elif reasoning.budget is not None:
        wanted = next((level for most, level in _STEPS if reasoning.budget <= most), "xhigh")
    else:
        return ""
    rank = _LEVELS.index(wanted) if wanted in _LEVELS else _LEVELS.index("medium")
    return min(levels, key=lambda level: (abs(_LEVELS.index(level) - rank), -_LEVELS.index(level)))


def _budget(reasoning: Reasoning, model: Family) -> int | None:
    """Tokens to think, within what the model takes; −1 where it decides itself."""
    if reasoning.budget is None and not reasoning.effort:
        return -1 if reasoning.adaptive else None
    wanted = reasoning.budget if reasoning.budget is not None else _BUDGETS.get(reasoning.effort, _BUDGETS["medium"])
    least, most = model.budgets
    if wanted <= 0 and not model.tier.startswith("pro"):
        return 0
    return max(least, min(most, wanted))


def read(budget: int | None, level: str, *, visible: bool | None) -> Reasoning | None:
    """The hub's form of a client's ``thinkingConfig``; None if it says nothing."""
    effort = "" if level.upper() in ("", "THINKING_LEVEL_UNSPECIFIED") else level.lower()
    if budget is None and not effort and visible is None:
        return None
    if budget is not None and budget < 0:
        return Reasoning(effort=effort, adaptive=True, visible=visible)
    return Reasoning(effort=effort, budget=budget, visible=visible)
