"""Whole answers of OpenAI's endpoints."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.registry import DIALECTS
from relay.endpoints import FORWARDED
from relay.exchange import Usage

CASES: list[tuple[str, bytes, tuple[Usage, str, str]]] = [
    (
        "/v1/chat/completions",
        (
            b'{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"\\"usage\\""},'
            b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
        ),
        (Usage(input=3, output=2), "stop", "m"),
    ),
    (
        "/v1/chat/completions",
        b'{"choices":[{"finish_reason":""},{"finish_reason":"length"}],"x_groq":{"usage":{"prompt_tokens":3}}}',
        (Usage(input=3), "length", ""),
    ),
    (
        "/v1/completions",
        b'{"model":"m","choices":[{"text":"x","finish_reason":"length"}],"usage":{"prompt_tokens":3}}',
        (Usage(input=3), "length", "m"),
    ),
    (
        "/v1/embeddings",
        b'{"model":"m","data":[{"embedding":"AAAA"}],"usage":{"prompt_tokens":8,"total_tokens":8}}',
        (Usage(input=8), "", "m"),
    ),
    (
        "/v1/audio/transcriptions",
        b'{"text":"x","usage":{"type":"tokens","input_tokens":4,"output_tokens":1}}',
        (Usage(input=4, output=1), "", ""),
    ),
    ("/v1/audio/transcriptions", b'{"text":"x","usage":{"type":"duration","seconds":3}}', (Usage(), "", "")),
    (
        "/v1/images/generations",
        b'{"data":[{"b64_json":"AAAA"}],"usage":{"input_tokens":5,"output_tokens":9,"total_tokens":14}}',
        (Usage(input=5, output=9), "", ""),
    ),
    ("/v1/rerank", b'{"results":[],"meta":{"tokens":{"input_tokens":5}}}', (Usage(input=5), "", "")),
    ("/v1/rerank", b'{"model":"m","results":[],"usage":{"total_tokens":6}}', (Usage(input=6), "", "m")),
    ("/v1/rerank", b'{"results":[],"meta":{"billed_units":{"search_units":1}}}', (Usage(), "", "")),
    ("/v1/moderations", b'{"id":"x","model":"m","results":[]}', (Usage(), "", "m")),
    ("/v1/chat/completions", b'{"model":null,"choices":null,"usage":null}', (Usage(), "", "")),
    ("/v1/chat/completions", b'{"model":5,"choices":[{"finish_reason":5}],"usage":[]}', (Usage(), "", "")),
    ("/v1/chat/completions", b"", (Usage(), "", "")),
    ("/v1/chat/completions", b"[" * 100000, (Usage(), "", "")),
    ("/v1/chat/completions", b"<html>", (Usage(), "", "")),
]


class UsageTests(SynchronousTestCase):
    """Every endpoint's usage, finish reason and model."""

    def test_answers(self) -> None:
        """Each form is read; what is no answer gives nothing and raises nothing."""
        for path, body, expected in CASES:
            self.assertEqual(DIALECTS["openai"].usage(FORWARDED[path], body), expected, body[:80])
