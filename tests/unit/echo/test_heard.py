"""The echo's streams as relay hears them: the provider side and the dialects agree."""

from __future__ import annotations

import attrs

from twisted.trial.unittest import SynchronousTestCase

from relay.dialects.passthrough import Passthrough
from relay.dialects.registry import DIALECTS
from relay.echo.audio import answer_speech, answer_transcription
from relay.echo.images import answer_generation
from relay.echo.reading import Upload
from relay.echo.reply import Reply
from relay.echo.resources import DOORS
from relay.endpoints import FORWARDED
from relay.errors import TruncatedStream
from tests.unit.echo.asking import ask, submit, text_message

CHAT: dict[str, object] = {"model": "m", "messages": [text_message("one two three")], "stream": True}
USAGE: dict[str, object] = {"stream_options": {"include_usage": True}}


@attrs.frozen
class Case:
    """A request for a stream, and what relay is to find in the answer.

    Attributes:
        path: the endpoint.
        fields: of the request.
        stop: finish reason.
        tokens: input and output, as far as told.
    """

    path: str
    fields: dict[str, object]
    stop: str
    tokens: tuple[int | None, int | None]


CASES = (
    Case("/v1/chat/completions", {**CHAT, **USAGE}, "stop", (3, 3)),
    Case("/v1/chat/completions", CHAT, "stop", (None, None)),
    Case("/v1/chat/completions", {**CHAT, **USAGE, "max_tokens": 2}, "length", (3, 2)),
    Case("/v1/completions", {"model": "m", "prompt": "one two", "stream": True, **USAGE}, "stop", (2, 2)),
    Case("/v1/responses", {"model": "m", "input": "one two", "stream": True}, "completed", (2, 2)),
    Case("/v1/messages", {**CHAT, "max_tokens": 9}, "end_turn", (3, 3)),
)


def stream(case: Case) -> Reply:
    """The echo's answer."""
    return ask(DOORS[case.path].answer, **case.fields)


def transcoder(path: str) -> Passthrough:
    """What relay puts between."""
    endpoint = FORWARDED[path]
    return Passthrough(DIALECTS[endpoint.front], endpoint, "echo", strip_usage=False)


class HeardTests(SynchronousTestCase):
    """What relay finds out by listening."""

    def test_streamsAreWholeAndUnchanged(self) -> None:
        """Bytes go through as they are; usage, finish, content and end are found."""
        for case in CASES:
            heard = transcoder(case.path)
            out = body = b""
            for data, _ in stream(case).pieces:
                body += data
                out += heard.feed(data)
            out += heard.end()
            self.assertEqual(out, body, case)
            self.assertTrue(heard.done, case)
            self.assertEqual(heard.stop, case.stop, case)
            self.assertEqual((heard.usage.input, heard.usage.output), case.tokens, case)

    def test_contentBeginsWhereKnobsCount(self) -> None:
        """Before the first counted chunk relay has not committed to the answer, with it it has."""
        tool = {"type": "function", "name": "t", "function": {"name": "t"}, "input_schema": {"type": "object"}}
        for case in CASES:
            for more in ({}, {"tools": [tool], "echo": {"tool": "t"}}) if case.path != "/v1/completions" else ({},):
                heard = transcoder(case.path)
                for data, content in stream(attrs.evolve(case, fields={**case.fields, **more})).pieces:
                    heard.feed(data)
                    self.assertEqual(heard.started, content, (case, data))
                    if content:
                        break

    def test_cutStreamsAreTruncated(self) -> None:
        """A stream that ends after its first word is not taken for a whole one."""
        for case in CASES:
            heard = transcoder(case.path)
            for data, content in stream(case).pieces:
                heard.feed(data)
                if content:
                    break
            self.assertRaises(TruncatedStream, heard.end)

    def test_errorsAreHeard(self) -> None:
        """The in-stream error of each dialect is one, and is passed on."""
        for case in CASES:
            heard = transcoder(case.path)
            reply = stream(case)
            assert reply.error is not None
            heard.feed(next(reply.pieces)[0])
            error = reply.error("no more")
            self.assertTrue(heard.feed(error).endswith(error), case)
            assert heard.error is not None
            self.assertIn("no more", str(heard.error))

    def test_mediaStreamsAreWhole(self) -> None:
        """Transcripts, sound and pictures come to their end as well."""
        file = Upload("file", "a.wav", 3)
        speech = {"model": "m", "voice": "v", "input": "one two", "stream_format": "sse"}
        for path, reply in (
            ("/v1/audio/transcriptions", submit(answer_transcription, file, model="m", stream="true")),
            ("/v1/audio/speech", ask(answer_speech, **speech)),
            ("/v1/images/generations", ask(answer_generation, prompt="a", stream=True)),
        ):
            heard = transcoder(path)
            body = b"".join(data for data, _ in reply.pieces)
            self.assertEqual(heard.feed(body) + heard.end(), body)
            self.assertTrue(heard.stop.endswith((".done", ".completed")), path)
