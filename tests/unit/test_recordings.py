"""Every recorded exchange of the folder that ``RELAY_FIXTURES`` names, through the dialects.

Each case there is a folder with ``meta.json``, ``request.json`` and ``response.json`` or ``response.sse``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.passthrough import Passthrough
from relay.dialects.registry import DIALECTS
from relay.dialects.request import read_request
from relay.endpoints import FORWARDED, Endpoint
from relay.errors import TruncatedStream
from relay.exchange import Usage
from tests.unit.dialects.streams import GENERATE, ends, passthrough, slices

FOLDER = os.environ.get("RELAY_FIXTURES", "")

ENDPOINTS: dict[str, Endpoint] = {
    "openai-chat": FORWARDED["/v1/chat/completions"],
    "openai-completions": FORWARDED["/v1/completions"],
    "openai-responses": FORWARDED["/v1/responses"],
    "openai-embeddings": FORWARDED["/v1/embeddings"],
    "openai-images": FORWARDED["/v1/images/generations"],
    "openai-moderations": FORWARDED["/v1/moderations"],
    "openai-audio-speech": FORWARDED["/v1/audio/speech"],
    "openai-audio-transcription": FORWARDED["/v1/audio/transcriptions"],
    "anthropic-messages": FORWARDED["/v1/messages"],
    "anthropic-count-tokens": FORWARDED["/v1/messages/count_tokens"],
    "cohere-rerank": FORWARDED["/v1/rerank"],
    "gemini-generate": GENERATE,
}
"""A recording's dialect → the endpoint that it would go through."""

CHANGED: dict[str, tuple[bytes, bytes]] = {
    # the last event has no blank line
    "openai-compatible/openai-chat/anthropic-fallback-tool-call": (b"", b"\n"),
    # no [DONE] after the finish reason
    "perplexity/openai-chat/streaming-responses-perplexity-sonar-supports-streaming-responses": (
        b"",
        b"data: [DONE]\n\n",
    ),
    # a [DONE] behind the terminal event of a Responses stream
    "openrouter/openai-responses/openai-responses-raw-cot-stream-openrouter": (b"data: [DONE]\n\n", b""),
}
"""The streams that do not pass unchanged: what is taken off at the end, and what is put there."""


@attrs.frozen
class Case:
    """One recorded exchange."""

    name: str
    folder: Path
    meta: dict[str, Any]
    endpoint: Endpoint

    @property
    def failed(self) -> bool:
        """Whether the provider answered with an error status."""
        return bool(self.meta["status"] >= 400)

    def file(self, name: str) -> bytes | None:
        """A file of the case, or None."""
        path = self.folder / name
        return path.read_bytes() if path.exists() else None


def cases() -> Iterator[Case]:
    """All cases of a dialect that relay speaks."""
    for path in sorted(Path(FOLDER).glob("*/*/*/meta.json")):
        meta = json.loads(path.read_text("utf-8"))
        endpoint = ENDPOINTS.get(meta["dialect"])
        if endpoint is not None:
            yield Case(path.parent.relative_to(FOLDER).as_posix(), path.parent, meta, endpoint)


def streams() -> Iterator[tuple[Case, bytes]]:
    """All streamed answers."""
    for case in cases():
        data = case.file("response.sse")
        if data is not None:
            yield case, data


def answers(*, failed: bool) -> Iterator[tuple[Case, bytes]]:
    """All non-streamed answers, the good or the bad ones."""
    for case in cases():
        data = case.file("response.json")
        if data is not None and case.failed is failed:
            yield case, data


def run(case: Case, pieces: list[bytes]) -> tuple[bytes, Passthrough]:
    """A stream's way through, whole."""
    transcoder = passthrough(case.endpoint, limit=1 << 24)
    return b"".join(map(transcoder.feed, pieces)) + transcoder.end(), transcoder


def reported(value: object) -> Iterator[dict[str, Any]]:
    """Every usage object in a JSON value, wherever it is."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name in ("usage", "usageMetadata") and isinstance(member, dict):
                yield member
            else:
                yield from reported(member)
    elif isinstance(value, list):
        for member in value:
            yield from reported(member)


def payloads(data: bytes) -> Iterator[object]:
    """The JSON payloads of a recorded stream; all of them are one line."""
    for line in data.splitlines():
        if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
            yield json.loads(line[5:])


def output_tokens(usage: dict[str, Any]) -> int | None:
    """The output count of a usage object, before reasoning that is counted apart."""
    for name in ("completion_tokens", "output_tokens", "candidatesTokenCount"):
        if isinstance(usage.get(name), int):
            return int(usage[name])
    return None


class RecordingTests(SynchronousTestCase):
    """What real providers sent and were sent."""

    if not FOLDER:
        skip = "RELAY_FIXTURES names no folder of recordings"

    def test_streamsUnchanged(self) -> None:
        """Every streamed answer passes byte for byte, whole and in slices, and its end is recognised."""
        seen = 0
        for case, data in streams():
            seen += 1
            off, on = CHANGED.get(case.name, (b"", b""))
            expected = data.removesuffix(off) + on
            out, transcoder = run(case, [data])
            self.assertEqual(out, expected, case.name)
            self.assertTrue(transcoder.done or transcoder.stop, case.name)
            self.assertEqual(transcoder.error is not None, "stream_error" in case.meta["kinds"], case.name)
            self.assertTrue(transcoder.started or transcoder.error, case.name)
            self.assertTrue(transcoder.model, case.name)
            for seed in range(3):
                sliced, again = run(case, slices(data, seed))
                self.assertEqual(sliced, expected, case.name)
                self.assertEqual(again.usage, transcoder.usage, case.name)
        self.assertGreater(seen, 100)

    def test_streamsCut(self) -> None:
        """A stream cut before its finish reason is never taken for whole."""
        seen = 0
        for case, data in streams():
            places = ends(data)
            transcoder = passthrough(case.endpoint, limit=1 << 24)
            transcoder.feed(data[: places[len(places) // 2 - 1]] if len(places) > 1 else b"")
            if not (transcoder.stop or transcoder.done or transcoder.error):
                seen += 1
                self.assertRaises(TruncatedStream, transcoder.end)
        self.assertGreater(seen, 90)

    def test_streamsUsage(self) -> None:
        """Where a stream reports usage, the last report is known."""
        seen = 0
        for case, data in streams():
            last = [usage for payload in payloads(data) for usage in reported(payload)]
            if not any(map(output_tokens, last)):
                continue
            seen += 1
            _, transcoder = run(case, [data])
            told = output_tokens(last[-1]) or 0
            apart = transcoder.usage.reasoning or 0
            self.assertIn(transcoder.usage.output, (told, told + apart), case.name)
            self.assertIsNotNone(transcoder.usage.input, case.name)
        self.assertGreater(seen, 80)

    def test_stripUsage(self) -> None:
        """Stripping takes out nothing but chunks without choices that have usage."""
        seen = 0
        for case, data in streams():
            transcoder = passthrough(case.endpoint, strip_usage=True, limit=1 << 24)
            out = transcoder.feed(data) + transcoder.end()
            kept, sent = list(payloads(out)), list(payloads(data))
            gone = [payload for payload in sent if payload not in kept]
            seen += len(gone)
            for payload in gone:
                assert isinstance(payload, dict)
                self.assertEqual((bool(payload.get("choices")), bool(payload.get("usage"))), (False, True), case.name)
        self.assertGreater(seen, 10)

    def test_answers(self) -> None:
        """Every whole answer that reports usage has it read, and its finish reason where it has one."""
        seen = 0
        for case, data in answers(failed=False):
            usage, finish, _ = DIALECTS[case.endpoint.front].usage(case.endpoint, data)
            body = json.loads(data)
            counts = [found for found in reported(body) if found.get("type") != "duration"]
            counts = [found for found in counts if output_tokens(found) is not None or "prompt_tokens" in found]
            if counts:
                seen += 1
                self.assertNotEqual(usage, Usage(), case.name)
            wanted = finish_of(body[-1] if isinstance(body, list) else body)
            self.assertEqual(finish, wanted, case.name)
        self.assertGreater(seen, 300)

    def test_errors(self) -> None:
        """Every error answer's message is read, in whichever form it came."""
        seen = 0
        for case, data in answers(failed=True):
            seen += 1
            message, _ = DIALECTS[case.endpoint.front].read_error(data)
            self.assertTrue(message, case.name)
            self.assertIn(
                message, json.dumps(json.loads(data), ensure_ascii=False).replace('\\"', '"').replace("\\n", "\n")
            )
        self.assertGreater(seen, 20)

    def test_requests(self) -> None:
        """Every request that a provider took is taken, and is sent on with equal values."""
        seen = 0
        for case in cases():
            body = case.file("request.json")
            if body is None or case.endpoint is GENERATE or case.failed:
                continue
            sent = json.loads(body)
            if case.meta["provider"] == "azure" and "model" not in sent:
                continue  # the model is in the path there
            seen += 1
            request = read_request(case.endpoint, body)
            self.assertEqual(request.model, sent.get("model") or "", case.name)
            self.assertEqual(request.stream, bool(sent.get("stream")), case.name)
            self.assertEqual(json.loads(request.encode(request.model)), sent, case.name)
            self.assertEqual(json.loads(request.encode("other")), {**sent, "model": "other"}, case.name)
        self.assertGreater(seen, 350)


def finish_of(body: dict[str, Any]) -> str:
    """The finish reason of a whole answer, found without relay."""
    blocked = body.get("promptFeedback") or {}
    incomplete = body.get("incomplete_details") or {}
    reasons: list[object] = [candidate.get("finishReason") for candidate in body.get("candidates") or ()]
    reasons += [choice.get("finish_reason") for choice in body.get("choices") or ()]
    reasons += [blocked.get("blockReason"), body.get("stop_reason")]
    if body.get("object") == "response":
        reasons += [incomplete.get("reason"), body.get("status")]
    return next((reason for reason in reasons if isinstance(reason, str) and reason), "")
