"""Equal front and back: bytes go through, and relay knows what they said."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.passthrough import Opaque, Passthrough
from relay.endpoints import FORWARDED, Endpoint
from relay.errors import (
    InternalError,
    TruncatedStream,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRefused,
)
from relay.exchange import Usage
from relay.outcome import Stage
from tests.unit.dialects.streams import (
    CHAT,
    GENERATE,
    MESSAGES,
    RESPONSES,
    ends,
    passthrough,
    recording,
    recordings,
    run,
    singly,
    slices,
)

HELLO = b'data: {"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}],"usage":null}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
REPORT = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"
ANSWER = HELLO + TEXT + STOP + REPORT + DONE
ERROR = b'data: {"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}\n\n'
NEXT = b"data: {}\n\n"

KNOWN: dict[str, tuple[Usage, str, str]] = {
    "openai/azure-empty-first-choices": (
        Usage(input=347, cached=403, output=18, reasoning=0),
        "tool_calls",
        "grok-4-1-fast-non-reasoning",
    ),
    "openai/tool-call-and-usage": (Usage(input=57, cached=0, output=17, reasoning=0), "tool_calls", "muse-spark-1.1"),
    "openai/completions": (Usage(), "stop", "davinci:2023-07-21-v2"),
    "anthropic/tool-use": (
        Usage(input=542, cached=0, cache_write=0, output=62),
        "tool_use",
        "claude-haiku-4-5-20251001",
    ),
    "gemini/function-calls": (Usage(input=37, output=14), "STOP", "gemini-2.0-flash"),
}
"""Recordings whose counts were read by eye."""


def outcome(
    endpoint: Endpoint, pieces: Iterable[bytes], *, strip: bool = False
) -> tuple[bytes, tuple[object, ...], Passthrough]:
    """What comes out of a stream, what became known (or the error that ended it), and the transcoder."""
    transcoder = passthrough(endpoint, strip_usage=strip)
    out = b"".join(map(transcoder.feed, pieces))
    try:
        out += transcoder.end()
        error = None
    except UpstreamError as raised:
        error = (type(raised), raised.message)
    told = transcoder.error and (type(transcoder.error), transcoder.error.message)
    known = (
        transcoder.usage,
        transcoder.stop,
        transcoder.model,
        transcoder.chunks,
        transcoder.started,
        transcoder.done,
    )
    return out, (*known, told, error), transcoder


class RecordedTests(SynchronousTestCase):
    """Every recorded stream of ``tests/fixtures``, in every way it can arrive."""

    def test_unchanged(self) -> None:
        """The bytes are the same; only an end that was missing is added, and what follows the end is dropped."""
        for name, endpoint, data in recordings():
            out, _, _ = outcome(endpoint, [data])
            expected = data
            if name == "openai/last-event-unterminated":
                expected = data + b"\n"
            if name == "responses/reasoning-and-done-marker":
                expected = data.removesuffix(DONE)
            self.assertEqual(out, expected, name)

    def test_slicing(self) -> None:
        """Byte by byte, in random slices, and with other bytes behind the end: the same bytes, the same knowledge."""
        for name, endpoint, data in recordings():
            whole, known, transcoder = outcome(endpoint, [data])
            for pieces in (singly(data), *(slices(data, seed) for seed in range(20))):
                self.assertEqual(outcome(endpoint, pieces)[:2], (whole, known), name)
            if transcoder.done and whole == data:
                self.assertEqual(outcome(endpoint, [data + NEXT])[:2], (whole, known), name)
                self.assertEqual(outcome(endpoint, [data, NEXT])[:2], (whole, known), name)

    def test_cut(self) -> None:
        """Cut behind each frame: an error, unless a finish reason was seen; never a tidy end without one."""
        for name, endpoint, data in recordings():
            for place in (0, *ends(data)):
                transcoder = passthrough(endpoint)
                out = transcoder.feed(data[:place])
                if transcoder.error is None and not transcoder.done and not transcoder.stop:
                    self.assertRaises(TruncatedStream, transcoder.end)
                else:
                    tail = transcoder.end()
                    self.assertTrue((out + tail).startswith(out), name)
                    self.assertTrue(transcoder.done or transcoder.error or transcoder.stop, name)

    def test_cutInAFrame(self) -> None:
        """Cut anywhere inside a frame, nothing of that frame comes out."""
        for name, endpoint, data in recordings():
            places = [0, *ends(data)]
            for start, end in itertools.pairwise(places):
                transcoder = passthrough(endpoint)
                self.assertEqual(
                    transcoder.feed(data[: start + (end - start) // 2]), transcoder_out(endpoint, data[:start]), name
                )

    def test_known(self) -> None:
        """Usage, finish reason and model are what the provider said."""
        for name, expected in KNOWN.items():
            endpoint = next(endpoint for found, endpoint, _ in recordings() if found == name)
            _, known, _ = outcome(endpoint, [recording(name)])
            self.assertEqual(known[:3], expected, name)

    def test_errors(self) -> None:
        """A recorded error in the stream is known, and its bytes are in the output."""
        overloaded = passthrough(MESSAGES)
        data = recording("anthropic/error-overloaded")
        self.assertEqual(run(overloaded, [data]), data)
        self.assertIsInstance(overloaded.error, UpstreamOverloaded)
        self.assertEqual(overloaded.error and overloaded.error.http_status, 529)
        refused = passthrough(CHAT)
        data = recording("openai/error-after-reasoning")
        self.assertEqual(run(refused, [data]), data)
        self.assertIsInstance(refused.error, UpstreamRefused)
        self.assertTrue(refused.started)


def transcoder_out(endpoint: Endpoint, data: bytes) -> bytes:
    """What one feed gives."""
    return passthrough(endpoint).feed(data)


class PassthroughTests(SynchronousTestCase):
    """The rules, one by one."""

    def test_stripUsage(self) -> None:
        """Exactly the pure usage report is left out, and it is known all the same."""
        stripped = HELLO + TEXT + STOP + DONE
        for pieces in ([ANSWER], singly(ANSWER)):
            out, known, _ = outcome(CHAT, pieces, strip=True)
            self.assertEqual(out, stripped)
            self.assertEqual(known[0], Usage(input=3, output=1))
        self.assertEqual(outcome(CHAT, [ANSWER])[0], ANSWER)

    def test_keptWhenStripping(self) -> None:
        """Usage beside a choice, Azure's empty first chunk and null usage stay."""
        beside = b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":3}}\n\n'
        azure = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
        null = b'data: {"choices":[],"usage":null}\n\n'
        data = azure + null + TEXT + beside + STOP + DONE
        self.assertEqual(outcome(CHAT, [data], strip=True)[0], data)

    def test_started(self) -> None:
        """The first chunk with content commits; a role, a comment and an error do not."""
        transcoder = passthrough(CHAT)
        self.assertEqual(transcoder.feed(b": wait\n\n" + HELLO), b": wait\n\n" + HELLO)
        self.assertFalse(transcoder.started)
        transcoder.feed(TEXT)
        self.assertTrue(transcoder.started)
        failed = passthrough(CHAT)
        self.assertEqual(failed.feed(HELLO + ERROR), HELLO + ERROR)
        self.assertFalse(failed.started)

    def test_emptyAnswer(self) -> None:
        """A stream that ends well without content is an answer, too."""
        transcoder = passthrough(CHAT)
        transcoder.feed(HELLO + DONE)
        self.assertTrue(transcoder.started)
        self.assertTrue(transcoder.done)

    def test_wholeFramesOnly(self) -> None:
        """A frame comes out with its last byte and not before."""
        transcoder = passthrough(CHAT)
        self.assertEqual(transcoder.feed(TEXT + STOP[:-1]), TEXT)
        self.assertEqual(transcoder.feed(STOP[-1:]), STOP)

    def test_error(self) -> None:
        """An error is known by kind, its frame goes out, and nothing behind it, not even ``[DONE]``."""
        for pieces in ([HELLO + TEXT + ERROR + DONE], singly(HELLO + TEXT + ERROR + DONE), [HELLO, TEXT, ERROR, DONE]):
            transcoder = passthrough(CHAT)
            self.assertEqual(run(transcoder, pieces), HELLO + TEXT + ERROR)
            error = transcoder.error
            assert isinstance(error, UpstreamRateLimited)
            self.assertEqual((error.message, error.stage, error.deployment), ("slow down", Stage.STREAM, "d"))

    def test_errorThenFailed(self) -> None:
        """A Responses stream may say its error twice; both go out, and the first is kept."""
        data = (
            b'event: error\ndata: {"type":"error","error":{"message":"first","code":"server_error"}}\n\n'
            b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"message":"second"}}}\n\n'
        )
        for pieces in ([data], singly(data)):
            transcoder = passthrough(RESPONSES)
            self.assertEqual(run(transcoder, pieces), data)
            self.assertEqual(transcoder.error and transcoder.error.message, "first")
            self.assertTrue(transcoder.done)

    def test_missingEnd(self) -> None:
        """A finish reason and a clean end make a stream whole: the terminal event is added."""
        for data in (HELLO + TEXT + STOP, HELLO + TEXT + STOP + REPORT):
            self.assertEqual(outcome(CHAT, [data])[0], data + DONE)
        message = recording("anthropic/tool-use")
        cut = message[: message.index(b"event: message_stop")]
        self.assertEqual(outcome(MESSAGES, [cut])[0], cut + b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        self.assertEqual(outcome(GENERATE, [recording("gemini/text")])[0], recording("gemini/text"))

    def test_unterminatedLastFrame(self) -> None:
        """A whole last frame without its blank line is completed; a torn one is dropped."""
        for line in (b"\n", b"\r\n", b"\r"):
            for missing in (line, line * 2, line[-1:]):
                stop = STOP.replace(b"\n\n", line * 2)
                out, known, _ = outcome(CHAT, [TEXT + stop.removesuffix(missing)])
                self.assertEqual(known[-1], None)
                self.assertEqual(len(ends(out)), 3, out)
                self.assertTrue(out.endswith(DONE))
        self.assertEqual(outcome(CHAT, [TEXT + STOP + DONE[:-1]])[0], TEXT + STOP + DONE)
        self.assertEqual(outcome(CHAT, [TEXT + STOP + DONE[:-2]])[0], TEXT + STOP + DONE)
        self.assertEqual(outcome(CHAT, [TEXT + STOP + REPORT[:-20]])[0], TEXT + STOP + DONE)
        self.assertEqual(outcome(CHAT, [TEXT + STOP + REPORT[:-2]], strip=True)[0], TEXT + STOP + DONE)
        self.assertEqual(outcome(CHAT, [TEXT + STOP + b": bye\n"])[0], TEXT + STOP + DONE)

    def test_truncated(self) -> None:
        """Without a finish reason the end is a cut, also when nothing came at all."""
        for data in (b"", HELLO, HELLO + TEXT, HELLO + TEXT + STOP[:-20], b"\n", b": only a comment\n\n"):
            error = self.assertRaises(TruncatedStream, run, passthrough(CHAT), [data])
            self.assertEqual((error.stage, error.deployment), (Stage.STREAM, "d"))
        cut = recording("responses/text").rpartition(b"event: ")[0]
        self.assertRaises(TruncatedStream, run, passthrough(RESPONSES), [cut])

    def test_tooLarge(self) -> None:
        """A frame beyond the limit is a malformed answer."""
        for pieces in ([b"data: " + b"x" * 200 + b"\n\n"], singly(b"data: " + b"x" * 200)):
            transcoder = passthrough(CHAT, limit=100)
            self.assertRaises(UpstreamProtocol, run, transcoder, pieces)

    def test_jsonError(self) -> None:
        """A JSON error under the type of a stream is the error it says, however it is sliced."""
        body = b'{\n  "error": {\n    "code": 429,\n\n    "message": "quota",\n"status": "RESOURCE_EXHAUSTED"}\n}\n'
        for start in (b"", b"\n ", b"\xef\xbb\xbf"):
            for pieces in ([start + body], singly(start + body), [start + b"[" + body + b"]"]):
                transcoder = passthrough(GENERATE)
                self.assertEqual(b"".join(map(transcoder.feed, pieces)), b"")
                error = self.assertRaises(UpstreamRateLimited, transcoder.end)
                self.assertEqual((error.message, error.http_status, transcoder.started), ("quota", 429, False))

    def test_jsonAnswer(self) -> None:
        """Other JSON under the type of a stream is a malformed answer; so is JSON without end."""
        transcoder = passthrough(CHAT)
        self.assertEqual(transcoder.feed(b'{"choices":[]}'), b"")
        self.assertIs(type(self.assertRaises(UpstreamError, transcoder.end)), UpstreamProtocol)
        endless = passthrough(CHAT, limit=100)
        self.assertRaises(UpstreamProtocol, run, endless, [b"[1,2,3,4,"] * 20)

    def test_longMessage(self) -> None:
        """A provider's message is kept to 2000 characters."""
        transcoder = passthrough(CHAT)
        transcoder.feed(b'data: {"error":{"message":"' + b"x" * 9000 + b'"}}\n\n')
        self.assertEqual(len(transcoder.error.message) if transcoder.error else 0, 2000)

    def test_fail(self) -> None:
        """Relay's own error takes the dialect's form."""
        for endpoint, event in ((CHAT, None), (MESSAGES, "error"), (RESPONSES, "error"), (GENERATE, None)):
            lines = passthrough(endpoint).fail(InternalError("m")).decode().splitlines()
            self.assertEqual(lines[0], f"event: {event}") if event else None
            body = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
            self.assertEqual(body["error"]["message"], "m")
            self.assertEqual(lines[-1], "")
            if endpoint is MESSAGES:
                self.assertEqual(body["request_id"], "id")

    def test_speech(self) -> None:
        """An audio stream is whole when its last event came and the body ended."""
        path = FORWARDED["/v1/audio/speech"]
        first = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
        last = b'data: {"type":"speech.audio.done","usage":{"input_tokens":2,"output_tokens":5}}\n\n'
        out, known, _ = outcome(path, [first + last])
        self.assertEqual((out, known[0], known[-1]), (first + last, Usage(input=2, output=5), None))
        self.assertRaises(TruncatedStream, run, passthrough(path), [first])

    @settings(max_examples=200, deadline=None, database=None)
    @given(
        st.lists(
            st.sampled_from(
                [HELLO, TEXT, STOP, REPORT, b": ping\n", b"\r\n", b"data: x\n\n", b"data: \xff\n\n", b"event: error\n"]
            ),
            max_size=8,
        ),
        st.integers(0, 1000),
    )
    def test_anyStream(self, frames: list[bytes], seed: int) -> None:
        """Whatever frames come in whatever slices: the output is the same, and a prefix of the input until the end."""
        data = b"".join(frames)
        transcoder = passthrough(CHAT)
        self.assertTrue(data.startswith(transcoder.feed(data)))
        self.assertEqual(outcome(CHAT, slices(data, seed))[:2], outcome(CHAT, [data])[:2])


class OpaqueTests(SynchronousTestCase):
    """Bodies that relay does not look into."""

    def test_bytes(self) -> None:
        """Bytes pass, the first commits, any end is good, and there is no form for an error."""
        transcoder = Opaque("d")
        self.assertFalse(transcoder.started)
        self.assertEqual(transcoder.feed(b""), b"")
        self.assertFalse(transcoder.started)
        self.assertEqual(transcoder.feed(b"\xff\x00data: [DONE]\n\n"), b"\xff\x00data: [DONE]\n\n")
        self.assertEqual((transcoder.started, transcoder.done, transcoder.chunks), (True, False, 1))
        self.assertEqual((transcoder.end(), transcoder.fail(InternalError("m"))), (b"", b""))
        self.assertEqual(
            (transcoder.usage, transcoder.error, transcoder.model, transcoder.stop), (Usage(), None, "", "")
        )
