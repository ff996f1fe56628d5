"""What a provider's refusal is about."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.faults import upstream_error
from relay.dialects.refusals import CONTEXT, POLICY, SPENT, meaning

SAID: list[tuple[int | None, str, str, str | None]] = [
    (400, "context_length_exceeded", "This model's maximum context length is 8192 tokens.", CONTEXT),
    (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", CONTEXT),
    (400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens", CONTEXT),
    (400, "ValidationException", "Input is too long for requested model.", CONTEXT),
    (None, "context_length_exceeded", "Your input exceeds the context window of this model.", CONTEXT),
    (
        400,
        "content_filter",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        POLICY,
    ),
    (400, "content_policy_violation", "Your request was rejected as a result of our safety system.", POLICY),
    (400, "invalid_prompt", "Your prompt was flagged as potentially violating our usage policy.", POLICY),
    (400, "invalid_request_error", "Output blocked by content filtering policy", POLICY),
    (400, "invalid_request_error", "Content Exists Risk", POLICY),
    (403, "permission-denied", "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO", POLICY),
    (400, "data_inspection_failed", "Input data may contain inappropriate content.", POLICY),
    (400, "DataInspectionFailed", "no", POLICY),
    (429, "insufficient_quota", "no", SPENT),
    (429, "", "You exceeded your current quota, please check your plan and billing details.", SPENT),
    (429, "ThrottlingException", "Too many tokens, please wait before trying again.", None),
    (429, "rate_limit_exceeded", "Rate limit reached for gpt-4o on tokens per min (TPM)", None),
    (500, "server_error", "The content policy service failed; maximum context length unknown.", None),
    (400, "invalid_request_error", "Unknown parameter: 'foo'.", None),
    (400, "", "", None),
    (401, "invalid_api_key", "Incorrect API key provided", None),
]
"""Status, code and words → what it is about."""


class MeaningTests(SynchronousTestCase):
    """Codes and words of many providers."""

    def test_said(self) -> None:
        """Each is known for what it is, and nothing else is taken for it."""
        for status, code, message, about in SAID:
            self.assertEqual(meaning(message, code, status), about, message)

    def test_inStreams(self) -> None:
        """Errors inside streams carry it as their code."""
        for code, message, about in (
            ("context_length_exceeded", "too long", CONTEXT),
            ("content_filter", "no", POLICY),
            ("insufficient_quota", "no", SPENT),
            ("rate_limit_error", "slow down", "upstream_rate_limited"),
            ("overloaded_error", "overloaded", "upstream_overloaded"),
        ):
            self.assertEqual(upstream_error(message, code, "d").code, about)
