"""What the models behind Converse take, by their ids.

Converse is one form for all models, and Bedrock refuses what a model does not take.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-structured-outputs.html (read 2026-11).
"""

from __future__ import annotations

import re

import msgspec

ANY_TOOL = frozenset({"auto", "any"})
EVERY_CHOICE = frozenset({"auto", "any", "tool"})

_CLAUDE = re.compile(
    r"claude-(?:v(?P<v>\d)|(?P<old>\d)(?:-(?P<half>\d))?-[a-z]+|[a-z]+-(?P<new>\d{1,2})(?:-(?P<minor>\d{1,2}))?(?!\d))"
)
_NEWEST = (99, 0)
_BUDGETS = (3, 7)
_ADAPTIVE = (4, 6)
_ONLY_ADAPTIVE = (4, 7)
_STRUCTURED = re.compile(r"claude-(?:sonnet-4-5|haiku-4-5|opus-4-5|opus-4-6)")
_OPEN_STRUCTURED = re.compile(r"(?:qwen|google|nvidia|minimax|moonshot(?:ai)?|openai)\.")
_UNFORCED = re.compile(r"claude-opus-5-5")


class Traits(msgspec.Struct, frozen=True):
    """What one model takes.

    Attributes:
        family: ``claude``, ``nova``, ``mistral``, ``openai``, or "" for others and for unknown ones (an
            application inference profile's ARN does not tell its model).
        tool_choice: forms of ``toolChoice``.
        thinking: how thinking is asked for: ``budget`` (tokens), ``either`` (adaptive or tokens), ``adaptive``
            (nothing else), ``nova``, ``effort`` (``reasoning_effort``), or "" if it cannot be.
        sampling: whether ``temperature``, ``top_p`` and ``top_k`` may be set.
        one_sampler: whether only one of ``temperature`` and ``top_p`` may be.
        stops: whether ``stopSequences`` may be set.
        structured: whether ``outputConfig.textFormat`` is supported.
        strict: whether ``toolSpec.strict`` is.
        cache: whether cache points are; ``cache_tools`` whether also behind tools.
        rich_results: whether tool results may hold images and documents, and have a status.
    """

    family: str = ""
    tool_choice: frozenset[str] = frozenset()
    thinking: str = ""
    sampling: bool = True
    one_sampler: bool = False
    stops: bool = True
    structured: bool = False
    strict: bool = False
    cache: bool = False
    cache_tools: bool = False
    rich_results: bool = False


_UNKNOWN = Traits(tool_choice=EVERY_CHOICE, cache=True, cache_tools=True, rich_results=True)
"""A profile or an imported model: nobody knows, so what the client asks for is sent."""


def traits(model: str) -> Traits:
    """What a model takes.

    Args:
        model: a model id with or without a region in front, an inference profile's id, or an ARN.
    """
    name = model.lower()
    if "claude" in name:
        return _claude(name)
    if "amazon.nova" in name:
        second = "nova-2" in name
        return Traits("nova", EVERY_CHOICE, "nova" if second else "", cache=True, rich_results=True)
    if "mistral." in name:
        return Traits("mistral", ANY_TOOL)
    if "openai." in name:
        closed = "openai.gpt-oss" not in name
        return Traits("openai", thinking="effort", sampling=not closed, stops=not closed, structured=True)
    if name.startswith("arn:") and not re.search(r"/(?:[a-z-]+\.)?[a-z0-9]+\.[a-z]", name):
        return _UNKNOWN
    return Traits(structured=_OPEN_STRUCTURED.search(name) is not None)


def _claude(name: str) -> Traits:
    version = claude_version(name)
    if version < (3, 0):
        return Traits("claude")
    thinking = ""
    if version >= _BUDGETS:
        thinking = "budget" if version < _ADAPTIVE else "either" if version < _ONLY_ADAPTIVE else "adaptive"
    return Traits(
        "claude",
        frozenset({"auto"}) if _UNFORCED.search(name) else EVERY_CHOICE,
        thinking,
        sampling=version < _ONLY_ADAPTIVE,
        one_sampler=version >= (4, 1),
        structured=_STRUCTURED.search(name) is not None,
        strict=(4, 5) <= version < _ONLY_ADAPTIVE,
        cache=version >= (3, 5),
        cache_tools=version >= (3, 5),
        rich_results=True,
    )


def claude_version(name: str) -> tuple[int, int]:
    """Version of a Claude model; one without a number that is understood counts as the newest."""
    match = _CLAUDE.search(name)
    if match is None:
        return (1, 0) if "claude-instant" in name else _NEWEST
    if match["v"]:
        return int(match["v"]), 0
    if match["old"]:
        return int(match["old"]), int(match["half"] or 0)
    return int(match["new"]), int(match["minor"] or 0)
