"""Sounds and pictures that are as small as valid ones can be."""

from __future__ import annotations

import io
import math
import struct
import wave
import zlib
from collections.abc import Callable, Mapping

RATE = 24_000
"""Samples a second, as OpenAI's ``pcm``."""

_SAMPLES = RATE // 20
_SILENT_FRAME = bytes.fromhex("fff364c4") + bytes(140)
"""An MPEG-2 layer III frame, 48 kbit/s, 24 kHz, mono: 24 ms in which nothing sounds."""


def _tone(pitch: int) -> bytes:
    """50 ms of a sine: 16-bit little-endian mono."""
    step = 2 * math.pi * pitch / RATE
    return struct.pack(f"<{_SAMPLES}h", *(round(6000 * math.sin(step * i)) for i in range(_SAMPLES)))


def pcm(words: tuple[str, ...]) -> tuple[bytes, ...]:
    """A tone for each word, pitched by its length, without a header."""
    pitches = [220 + 40 * min(len(word.strip()), 20) for word in words]
    tones = {pitch: _tone(pitch) for pitch in set(pitches)}
    return tuple(tones[pitch] for pitch in pitches)


def wav(words: tuple[str, ...]) -> tuple[bytes, ...]:
    """A tone for each word; the first comes with the header."""
    tones = pcm(words)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(b"".join(tones))
    body = file.getvalue()
    start = len(body) - sum(map(len, tones))
    first = start + len(tones[0])
    return (body[:first], *tones[1:])


def mp3(words: tuple[str, ...]) -> tuple[bytes, ...]:
    """A frame of silence for each word."""
    return tuple(_SILENT_FRAME for _ in words)


MAKERS: Mapping[str, Callable[[tuple[str, ...]], tuple[bytes, ...]]] = {"mp3": mp3, "wav": wav, "pcm": pcm}
"""``response_format`` → words to sounds, one for each word (at least one word)."""

TYPES: Mapping[str, bytes] = {"mp3": b"audio/mpeg", "wav": b"audio/wav", "pcm": b"audio/pcm"}
"""``response_format`` → content type."""


def png(text: str) -> bytes:
    """An 8 by 8 picture in one colour, which depends on the text.

    See: https://www.w3.org/TR/png-3/ sections 5 and 11.
    """
    colour = struct.pack(">I", zlib.crc32(text.encode()))[:3]
    rows = (b"\0" + colour * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Length, kind, content and check sum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
