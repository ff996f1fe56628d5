"""What each generation of Claude takes, as far as a translated request must know it.

The Messages API refuses what a model does not have, so that a request from another dialect is fitted
to the model by the version in its name. A name without one is taken for the newest Claude; a name that
is no Claude at all belongs to a provider that imitates the API and takes what Claude 4 took.

See, all read 2026-11:
https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting (thinking types by model),
https://platform.claude.com/docs/en/build-with-claude/effort (effort levels by model),
https://platform.claude.com/docs/en/build-with-claude/structured-outputs (models),
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages (models),
https://platform.claude.com/docs/en/models/opus-5-5/migration-guide (forced tools, thinking always on),
https://platform.claude.com/docs/en/about-claude/models/overview.md (most output tokens).
"""

from __future__ import annotations

import functools
import re

import msgspec

_NAME = re.compile(
    r"claude-(?:(?P<family>[a-z]+)-)?(?P<major>\d)(?:[-.](?P<minor>\d{1,2})(?!\d))?(?:-(?P<late>[a-z]+))?",
)
_FAMILY = re.compile(r"claude-(?P<family>[a-z]+)")
_NEWEST = (9, 9)
_ALWAYS_THINKING = frozenset({"fable", "mythos"})
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


class Traits(msgspec.Struct, frozen=True):
    """What one model takes.

    Attributes:
        claude: whether it is one of Anthropic's.
        sampling: whether it takes ``temperature``, ``top_p`` and ``top_k``.
        one_sampling: whether it takes only one of ``temperature`` and ``top_p``.
        adaptive: whether it takes ``thinking: {"type": "adaptive"}``.
        budget: whether it takes ``thinking: {"type": "enabled"}``.
        off: the ``type`` that switches thinking off, "" where leaving ``thinking`` out does,
            None where nothing does.
        efforts: levels of ``output_config.effort``, () if it has none.
        structured: whether it takes ``output_config.format`` and strict tools.
        forced: whether ``tool_choice`` may force a call.
        system: whether ``messages`` may hold the role ``system``.
        display: whether ``thinking.display`` is known.
        max_tokens: asked for where the client does not say.
    """

    claude: bool = True
    sampling: bool = False
    one_sampling: bool = True
    adaptive: bool = True
    budget: bool = False
    off: str | None = None
    efforts: tuple[str, ...] = _EFFORTS
    structured: bool = True
    forced: bool = True
    system: bool = True
    display: bool = True
    max_tokens: int = 32_000


IMITATOR = Traits(
    claude=False,
    sampling=True,
    one_sampling=False,
    adaptive=False,
    budget=True,
    off="disabled",
    efforts=(),
    structured=False,
    system=False,
    display=False,
    max_tokens=8_192,
)
"""A model that is no Claude, behind the same API."""


@functools.lru_cache(maxsize=256)
def traits(model: str) -> Traits:
    """What the model of this name takes, whatever the name has in front (``us.anthropic.``) or behind it."""
    name = model.lower()
    if "claude" not in name:
        return IMITATOR
    family, version = _version(name)
    always = family in _ALWAYS_THINKING
    return Traits(
        sampling=version < (4, 7) and not always,
        one_sampling=version >= (4, 1),
        adaptive=version >= (4, 6) or always,
        budget=(3, 7) <= version < (4, 7) and not always,
        off=_off(family, version),
        efforts=_efforts(family, version),
        structured=version >= (4, 5),
        forced=_forced(family, version),
        system=version >= (5, 0) or version >= (4, 8),
        display=version >= (4, 6),
        max_tokens=_max_tokens(version),
    )


def _version(name: str) -> tuple[str, tuple[int, int]]:
    """Family ("" if not named) and version of a model."""
    match = _NAME.search(name)
    if match is None:
        family = _FAMILY.search(name)
        return (family["family"] if family else ""), _NEWEST
    return match["family"] or match["late"] or "", (int(match["major"]), int(match["minor"] or 0))


def _off(family: str, version: tuple[int, int]) -> str | None:
    if family in _ALWAYS_THINKING:
        return None
    if version < (5, 0):
        return ""
    if version >= (5, 5) and family != "haiku":
        return "between_tools" if family == "sonnet" else None
    return "disabled"


def _efforts(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7) or family in _ALWAYS_THINKING:
        return _EFFORTS
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if (family, version) == ("opus", (4, 5)) else ()


def _forced(family: str, version: tuple[int, int]) -> bool:
    if family in _ALWAYS_THINKING:
        return version < (5, 1)
    return version < (5, 5) or family == "haiku"


def _max_tokens(version: tuple[int, int]) -> int:
    if version < (3, 5):
        return 4_096
    return 8_192 if version < (3, 7) else 32_000
