"""Tests of `relay.echo.audio`, `relay.echo.images` and `relay.echo.tones`."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib

from twisted.trial.unittest import SynchronousTestCase

from relay.echo.audio import LONGEST_SPEECH, answer_speech, answer_transcription, answer_translation
from relay.echo.images import answer_edit, answer_generation
from relay.echo.reading import Upload
from relay.echo.tones import RATE, png
from relay.errors import InvalidRequest
from tests.unit.echo.asking import Endpoint, ask, content, events, sent, submit, value

FILE = Upload("file", "a.wav", 7)
IMAGE = Upload("image[]", "a.png", 7)


class TranscriptTests(SynchronousTestCase):
    """``/v1/audio/transcriptions`` and ``translations``."""

    def test_fileIsDescribed(self) -> None:
        """Name and size tell that it arrived whole."""
        answer = value(submit(answer_transcription, FILE, model="m"))
        self.assertEqual(answer["text"], "a.wav has 7 bytes")
        self.assertEqual((answer["usage"]["type"], answer["usage"]["total_tokens"]), ("tokens", 8))

    def test_promptOrKnobIsTheTranscript(self) -> None:
        """A prompt says what is heard, the knob goes before it."""
        for endpoint in (answer_transcription, answer_translation):
            self.assertEqual(value(submit(endpoint, FILE, model="m", prompt="hello"))["text"], "hello")
            answer = value(submit(endpoint, FILE, model="m", prompt="hello", echo='{"text": "other"}'))
            self.assertEqual(answer["text"], "other")

    def test_formats(self) -> None:
        """Text, subtitles and captions, as text."""
        for name, text in (
            ("text", "one two\n"),
            ("srt", "1\n00:00:00,000 --> 00:00:00,800\none two\n\n"),
            ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:00.800\none two\n\n"),
        ):
            reply = submit(answer_transcription, FILE, model="m", prompt="one two", response_format=name)
            self.assertEqual(sent(reply).decode(), text)
            self.assertTrue(reply.content_type.startswith(b"text/plain"))

    def test_longTimes(self) -> None:
        """Hours, minutes and seconds each have their place."""
        fields = {"model": "m", "prompt": "w", "response_format": "srt", "echo": '{"chunks": 10001}'}
        self.assertIn(b"--> 01:06:40,400\n", sent(submit(answer_transcription, FILE, **fields)))

    def test_verboseHasTimes(self) -> None:
        """Segments always, words when asked for; the task is the endpoint's."""
        fields: dict[str, object] = {"model": "m", "prompt": "one two", "response_format": "verbose_json"}
        answer = value(submit(answer_translation, FILE, **fields))
        self.assertEqual((answer["task"], answer["duration"]), ("translate", 0.8))
        self.assertEqual(answer["segments"][0]["end"], 0.8)
        self.assertNotIn("words", answer)
        fields["timestamp_granularities[]"] = ["word", "segment"]
        answer = value(submit(answer_transcription, FILE, **fields))
        self.assertEqual(answer["words"][1], {"word": "two", "start": 0.4, "end": 0.8})

    def test_streamIsWordByWord(self) -> None:
        """Deltas, then the whole with its usage."""
        found = events(submit(answer_transcription, FILE, model="m", prompt="one two", stream="true"))
        self.assertEqual([event.get("delta") for _, event in found], ["one", " two", None])
        self.assertEqual((found[-1][1]["type"], found[-1][1]["text"]), ("transcript.text.done", "one two"))
        self.assertEqual(found[-1][1]["usage"]["output_tokens"], 2)

    def test_faultsAreRefused(self) -> None:
        """A form without file, model or a format that exists."""
        other = Upload("sound", "a.wav", 7)
        for files, fields, param in (
            ((), {"model": "m"}, "file"),
            ((other,), {"model": "m"}, "file"),
            ((FILE,), {}, "model"),
            ((FILE,), {"model": "m", "response_format": "mp3"}, "response_format"),
        ):
            error = self.assertRaises(InvalidRequest, submit, answer_transcription, *files, **fields)
            self.assertEqual(error.param, param)


class SpeechTests(SynchronousTestCase):
    """``/v1/audio/speech``."""

    def speak(self, **more: object) -> bytes:
        """The sound of two words."""
        return sent(ask(answer_speech, **{"model": "m", "voice": "alloy", "input": "one two", **more}))

    def test_wavIsValid(self) -> None:
        """One chunk is sent a word, and the file says how long it is."""
        reply = ask(answer_speech, model="m", voice="alloy", input="one two", response_format="wav")
        pieces = content(reply)
        self.assertEqual((len(pieces), reply.content_type, reply.length), (2, b"audio/wav", None))
        with wave.open(io.BytesIO(b"".join(pieces))) as sound:
            self.assertEqual((sound.getnframes(), sound.getframerate(), sound.getsampwidth()), (RATE // 10, RATE, 2))

    def test_pcmIsTheSoundAlone(self) -> None:
        """The same samples without a header."""
        self.assertTrue(self.speak(response_format="wav").endswith(self.speak(response_format="pcm")))

    def test_mp3IsTheDefault(self) -> None:
        """Frames of the length that their heads announce."""
        sound = self.speak()
        length = 72 * 48_000 // 24_000
        self.assertEqual(len(sound), 2 * length)
        self.assertEqual((sound[:2], sound[length : length + 2]), (b"\xff\xf3", b"\xff\xf3"))

    def test_soundComesInEvents(self) -> None:
        """The events hold the bytes that the other form sends."""
        found = events(
            ask(answer_speech, model="m", voice="alloy", input="one two", response_format="pcm", stream_format="sse")
        )
        sound = b"".join(base64.b64decode(event["audio"]) for _, event in found[:-1])
        self.assertEqual(sound, self.speak(response_format="pcm"))
        self.assertEqual((found[-1][1]["type"], found[-1][1]["usage"]["total_tokens"]), ("speech.audio.done", 4))

    def test_knobSaysTheText(self) -> None:
        """Other words, other tones; no words, one tone."""
        self.assertEqual(self.speak(echo={"text": "one two"}), self.speak())
        self.assertEqual(len(self.speak(echo={"text": ""}, response_format="pcm")), RATE // 10)

    def test_faultsAreRefused(self) -> None:
        """Formats that are not made, texts that are too long, knobs that have no meaning for sound."""
        for more, param in (
            ({"response_format": "flac"}, "response_format"),
            ({"input": ""}, "input"),
            ({"input": "a" * (LONGEST_SPEECH + 1)}, "input"),
            ({"stream_format": "mp4"}, "stream_format"),
            ({"echo": {"endless": True}}, "echo.endless"),
            ({"echo": {"chunks": 3}}, "echo.chunks"),
            ({"echo": {"error_after": 0}}, "echo.error_after"),
        ):
            error = self.assertRaises(InvalidRequest, self.speak, **more)
            self.assertEqual(error.param, param)


class ImageTests(SynchronousTestCase):
    """``/v1/images/generations`` and ``edits``."""

    def test_picturesAreAsMany(self) -> None:
        """``n`` pictures in base64."""
        answer = value(ask(answer_generation, prompt="a cat", n=2))
        self.assertEqual([base64.b64decode(item["b64_json"]) for item in answer["data"]], [png("a cat")] * 2)
        self.assertEqual((answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]), (2, 2))

    def test_pictureIsValid(self) -> None:
        """Signature, check sums and as many bytes as the head announces."""
        data = png("a cat")
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        place, found = 8, {}
        while place < len(data):
            (length,) = struct.unpack(">I", data[place : place + 4])
            chunk = data[place + 4 : place + 8 + length]
            self.assertEqual(data[place + 8 + length : place + 12 + length], struct.pack(">I", zlib.crc32(chunk)))
            found[chunk[:4]] = chunk[4:]
            place += 12 + length
        width, height = struct.unpack(">II", found[b"IHDR"][:8])
        self.assertEqual(len(zlib.decompress(found[b"IDAT"])), height * (1 + 3 * width))
        self.assertEqual(list(found), [b"IHDR", b"IDAT", b"IEND"])
        self.assertNotEqual(png("a dog"), data)

    def test_picturesAreStreamed(self) -> None:
        """As many unfinished ones as asked for, then the picture; edits have names of their own."""
        image = {"image_url": "data:,"}
        for endpoint, kind, more in (
            (answer_generation, "image_generation", {}),
            (answer_edit, "image_edit", {"images": [image]}),
        ):
            found = events(ask(endpoint, prompt="a", stream=True, partial_images=2, **more))
            names = [f"{kind}.partial_image"] * 2 + [f"{kind}.completed"]
            self.assertEqual([name for name, _ in found], names)
            self.assertEqual([event["type"] for _, event in found], names)

    def test_editsTakeFormsAndJSON(self) -> None:
        """An upload, or images in the JSON body."""
        self.assertEqual(len(value(submit(answer_edit, IMAGE, prompt="a", n="2"))["data"]), 2)
        self.assertEqual(len(value(ask(answer_edit, prompt="a", images=[{"file_id": "f"}]))["data"]), 1)

    def test_faultsAreRefused(self) -> None:
        """What the echo cannot give is explained."""
        endpoint: Endpoint
        for endpoint, fields, param in (
            (answer_generation, {}, "prompt"),
            (answer_generation, {"prompt": "a", "response_format": "url"}, "response_format"),
            (answer_generation, {"prompt": "a", "output_format": "webp"}, "output_format"),
            (answer_generation, {"prompt": "a", "echo": {"text": "b"}}, "echo.text"),
            (answer_edit, {"prompt": "a"}, "images"),
        ):
            error = self.assertRaises(InvalidRequest, ask, endpoint, **fields)
            self.assertEqual(error.param, param)
        error = self.assertRaises(InvalidRequest, submit, answer_edit, FILE, prompt="a")
        self.assertEqual(error.param, "image")
