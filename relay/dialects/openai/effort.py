"""How much to think, in the words that a model takes.

OpenAI's models differ: those before reasoning refuse the field, o-series and the first GPT-5 know neither ``none``
nor what is above ``high``, ``minimal`` came with GPT-5 and ``max`` with GPT-5.6. Imitators take ``low``,
``medium`` and ``high``. See: https://platform.openai.com/docs/guides/reasoning (read 2026-11).
"""

from __future__ import annotations

import re

from relay.chat import Reasoning

_PLAIN = re.compile(r"(?:^|[/.:])(?:gpt-(?:3|4)|chatgpt-4o|davinci|babbage)")
_FIRST = re.compile(r"(?:^|[/.:])gpt-5(?![.\d])")
_SERIES = re.compile(r"(?:^|[/.:])o[1-9](?!\d)")
_MOST = re.compile(r"(?:^|[/.:])gpt-(?:5\.[6-9]|[6-9])")
_OWN = re.compile(r"(?:^|[/.:])(?:gpt-[5-9]|o[1-9](?!\d))")

_LOW, _MEDIUM = 2048, 8192


def effort_of(reasoning: Reasoning, model: str) -> str:
    """The value of ``reasoning_effort``; "" where nothing is to be said.

    A budget becomes the effort that spends about as much. A model that decides by itself (``adaptive``) does
    so without the field.

    Args:
        reasoning: what the client asks for.
        model: the provider's name for the model.
    """
    effort = reasoning.effort
    if not effort and reasoning.budget is not None:
        effort = _by_budget(reasoning.budget)
    if not effort:
        return ""
    if not _OWN.search(model):
        return {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    if _SERIES.search(model):
        return {"none": "low", "minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    if _FIRST.search(model):
        return {"none": "minimal", "xhigh": "high", "max": "high"}.get(effort, effort)
    later = {"minimal": "low"} if _MOST.search(model) else {"minimal": "low", "max": "xhigh"}
    return later.get(effort, effort)


def never_thinks(model: str) -> bool:
    """Whether this is a model of OpenAI's from before reasoning, which refuses the field."""
    return _PLAIN.search(model) is not None


def _by_budget(budget: int) -> str:
    if budget == 0:
        return "none"
    if budget <= _LOW:
        return "low"
    return "medium" if budget <= _MEDIUM else "high"
