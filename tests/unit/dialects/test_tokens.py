"""Token counts in OpenAI's manner and its variants."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.tokens import read_usage
from relay.exchange import Usage

CASES: list[tuple[str, dict[str, object], Usage]] = [
    (
        "OpenAI Chat",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(input=10, cached=4, output=5, reasoning=3),
    ),
    (
        "Responses",
        {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 2},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
        },
        Usage(input=10, cached=0, cache_write=2, output=5, reasoning=0),
    ),
    ("DeepSeek", {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 6}, Usage(9, 6, None, 1)),
    ("Moonshot", {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 6}, Usage(9, 6, None, 1)),
    ("Mistral", {"prompt_tokens": 9, "completion_tokens": 1, "num_cached_tokens": 6}, Usage(9, 6, None, 1)),
    (
        "xAI counts reasoning only in the total",
        {
            "prompt_tokens": 12,
            "completion_tokens": 2,
            "total_tokens": 334,
            "completion_tokens_details": {"reasoning_tokens": 320},
        },
        Usage(input=12, output=322, reasoning=320),
    ),
    ("Embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
    ("only a total", {"total_tokens": 8}, Usage(input=8)),
    ("audio by the second", {"type": "duration", "seconds": 9}, Usage()),
    (
        "details that are null",
        {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": None},
        Usage(1, None, None, 2),
    ),
    ("odd values", {"prompt_tokens": "9", "completion_tokens": -1, "total_tokens": True}, Usage()),
    ("whole floats", {"prompt_tokens": 9.0, "completion_tokens": 1.5}, Usage(input=9)),
]


class ReadUsageTests(SynchronousTestCase):
    """Every provider's names lead to the same counts."""

    def test_forms(self) -> None:
        """Each form is read; what is not a count is unknown, not zero."""
        for name, given, expected in CASES:
            self.assertEqual(read_usage(given), expected, name)
