"""OpenAI Audio: text out of uploads, and tones out of text.

A transcript is the prompt, or says which file came and how large it was; no sound is understood.

See: https://platform.openai.com/docs/api-reference/audio (read 2026-11).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import attrs
import msgspec

from relay.echo.answer import Answer, Wish, decide
from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call
from relay.echo.reply import Piece, Reply, data, data_error, refuse, streamed, whole, whole_json
from relay.echo.tones import MAKERS, TYPES
from relay.errors import InvalidRequest

WORD_SECONDS = 0.4
"""How long a word of a transcript lasts."""

LONGEST_SPEECH = 4096
"""Characters that are made into sound."""


class _Upload(msgspec.Struct, frozen=True):
    """The fields of a transcription or translation form."""

    model: str
    prompt: str = ""
    response_format: str = "json"
    stream: bool = False
    granularities: list[str] = msgspec.field(default_factory=list, name="timestamp_granularities[]")
    echo: Knobs | None = None


class _Speech(msgspec.Struct, frozen=True):
    """The fields of a speech request."""

    model: str
    input: Annotated[str, msgspec.Meta(min_length=1)]
    voice: str | dict[str, object]
    response_format: str = "mp3"
    stream_format: Literal["audio", "sse"] | None = None
    echo: Knobs | None = None


def answer_transcription(call: Call) -> Reply:
    """Answer ``POST /v1/audio/transcriptions``.

    Raises:
        InvalidRequest: the form is not what the endpoint takes.
    """
    request, transcript = _heard(call, "transcribe")
    if request.stream:
        return streamed(transcript.stream(), data_error, request.echo or NONE)
    return _written(request, transcript)


def answer_translation(call: Call) -> Reply:
    """Answer ``POST /v1/audio/translations``.

    Raises:
        InvalidRequest: the form is not what the endpoint takes.
    """
    return _written(*_heard(call, "translate"))


def _heard(call: Call, task: str) -> tuple[_Upload, _Transcript]:
    """The request, and what is understood to be said in its file.

    Raises:
        InvalidRequest: no file came.
    """
    request = call.read(_Upload)
    files = [upload for upload in call.files if upload.field == "file"]
    if not files:
        raise InvalidRequest("file: a file field with the audio is missing.", param="file")
    text = request.prompt or f"{files[0].filename} has {files[0].size} bytes"
    return request, _Transcript(task, decide(Wish(request.echo or NONE, text, ())))


def _written(request: _Upload, transcript: _Transcript) -> Reply:
    """A whole transcript in the asked format.

    Raises:
        InvalidRequest: there is no such format.
    """
    knobs = request.echo or NONE
    if request.response_format == "json":
        return whole_json({"text": transcript.text, "usage": transcript.usage()}, knobs)
    if request.response_format == "verbose_json":
        return whole_json(transcript.verbose(timed_words="word" in request.granularities), knobs)
    texts = {"text": f"{transcript.text}\n", "srt": transcript.subtitles(), "vtt": transcript.captions()}
    text = texts.get(request.response_format)
    if text is None:
        raise InvalidRequest(
            "response_format: the echo writes json, text, srt, verbose_json and vtt.", param="response_format"
        )
    return whole(text.encode(), knobs, b"text/plain; charset=utf-8")


@attrs.frozen
class _Transcript:
    """What was heard.

    Attributes:
        task: ``transcribe`` or ``translate``.
        answer: the words.
    """

    task: str
    answer: Answer

    @property
    def text(self) -> str:
        """All words."""
        return self.answer.text

    @property
    def duration(self) -> float:
        """Seconds."""
        return round(self.answer.output_tokens * WORD_SECONDS, 3)

    def usage(self) -> dict[str, object]:
        """Tokens: one for each word, in and out."""
        count = self.answer.output_tokens
        details = {"audio_tokens": count, "text_tokens": 0}
        total = {"input_tokens": count, "output_tokens": count, "total_tokens": 2 * count}
        return {"type": "tokens", **total, "input_token_details": details}

    def stream(self) -> Iterator[Piece]:
        """The transcript as events."""
        for piece in self.answer.stream():
            yield data({"type": "transcript.text.delta", "delta": piece}), True
        yield data({"type": "transcript.text.done", "text": self.text, "usage": self.usage()}), False

    def verbose(self, *, timed_words: bool) -> dict[str, object]:
        """``verbose_json``: times as well."""
        segment = {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": self.duration,
            "text": self.text,
            "tokens": list(range(self.answer.output_tokens)),
            "temperature": 0.0,
            "avg_logprob": -0.1,
            "compression_ratio": 1.0,
            "no_speech_prob": 0.0,
        }
        times = [
            {"word": piece.strip(), "start": round(i * WORD_SECONDS, 3), "end": round((i + 1) * WORD_SECONDS, 3)}
            for i, piece in enumerate(self.answer.pieces)
        ]
        return {
            "task": self.task,
            "language": "english",
            "duration": self.duration,
            "text": self.text,
            "segments": [segment],
            **({"words": times} if timed_words else {}),
            "usage": {"type": "duration", "seconds": self.duration},
        }

    def subtitles(self) -> str:
        """SubRip."""
        return f"1\n{_clock(0, ',')} --> {_clock(self.duration, ',')}\n{self.text}\n\n"

    def captions(self) -> str:
        """WebVTT."""
        return f"WEBVTT\n\n{_clock(0, '.')} --> {_clock(self.duration, '.')}\n{self.text}\n\n"


def _clock(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds and, behind the mark, milliseconds."""
    whole_seconds, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole_seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{mark}{thousandths:03}"


def answer_speech(call: Call) -> Reply:
    """Answer ``POST /v1/audio/speech``: the sound in chunks, a word each.

    Raises:
        InvalidRequest: the body is not what the endpoint takes, the format is not made here,
            or a knob does nothing here.
    """
    request = call.read(_Speech)
    knobs = request.echo or NONE
    make = MAKERS.get(request.response_format)
    if make is None:
        raise InvalidRequest("response_format: the echo makes mp3, wav and pcm.", param="response_format")
    refuse(knobs, "endless", "chunks")
    answer = decide(Wish(knobs, request.input, (request.input,)))
    if len(answer.text) > LONGEST_SPEECH:
        raise InvalidRequest(f"input: longer than {LONGEST_SPEECH} characters.", param="input")
    sounds = make(answer.pieces or ("",))
    if request.stream_format == "sse":
        return streamed(_speech_events(sounds, answer.input_tokens), data_error, knobs)
    refuse(knobs, "error_after", why="works on event streams only")
    return Reply(((sound, True) for sound in sounds), TYPES[request.response_format], knobs)


def _speech_events(sounds: tuple[bytes, ...], count: int) -> Iterator[Piece]:
    """The sound as events."""
    for sound in sounds:
        yield data({"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()}), True
    usage: Mapping[str, int] = {"input_tokens": count, "output_tokens": len(sounds)}
    total = sum(usage.values())
    yield data({"type": "speech.audio.done", "usage": {**usage, "total_tokens": total}}), False
