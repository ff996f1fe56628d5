"""What a provider's refusal is about, in OpenAI's words, whichever words it came in.

Providers tell a prompt that is too long, a prompt that their content policy forbids, and an account
without money in many ways, often with nothing but a plain 400. Agents compact their conversation when
they see the first, and routes have other routes for the first two.
"""

from __future__ import annotations

import re

CONTEXT = "context_length_exceeded"
"""The prompt does not fit into the model's context."""

POLICY = "content_policy_violation"
"""The provider's content policy forbids the prompt or the answer."""

SPENT = "insufficient_quota"
"""The account has nothing left: waiting a moment does not help."""

_CODES = {
    CONTEXT: CONTEXT,
    POLICY: POLICY,
    "content_filter": POLICY,
    "responsibleaipolicyviolation": POLICY,
    "moderation_blocked": POLICY,
    "data_inspection_failed": POLICY,
    "datainspectionfailed": POLICY,
}

_TOO_LONG = re.compile(
    r"maximum context length|context[ _]length[ _]exceeded|prompt is too long|context window"
    r"|input token count .* exceeds|too many (input )?tokens|input is too long",
    re.IGNORECASE,
)

_FORBIDDEN = re.compile(
    r"content[ _-](management|filtering|moderation)[ _-]polic|content[ _]policy"  # Azure, Anthropic, OpenAI
    r"|flagged as potentially violating|rejected as a result of our safety system"  # OpenAI
    r"|violat\w+ (our |the )?(usage|content) (guidelines|polic)"  # xAI
    r"|content exists risk|considered high risk"  # DeepSeek, Moonshot
    r"|may contain inappropriate content|unsafe or sensitive content",  # DashScope, Zhipu
    re.IGNORECASE,
)

_NO_MONEY = re.compile(r"exceeded your current quota|insufficient[ _](quota|balance)", re.IGNORECASE)


def meaning(message: str, code: str, status: int | None) -> str | None:
    """Tell what an error answer or error event is about.

    Args:
        message: the provider's words.
        code: its code or type, "" if it gave none.
        status: the status it came with, or would have had; None if that is not known.

    Returns:
        `CONTEXT`, `POLICY`, `SPENT`, or None for everything else. Where a provider asks to slow down,
        "too many tokens" is about the minute, not about the prompt.
    """
    if status == 429:
        return SPENT if code.lower() == SPENT or _NO_MONEY.search(message) else None
    if status is not None and status >= 500:
        return None
    known = _CODES.get(code.lower())
    if known is not None:
        return known
    if _FORBIDDEN.search(message):
        return POLICY
    return CONTEXT if _TOO_LONG.search(message) else None
