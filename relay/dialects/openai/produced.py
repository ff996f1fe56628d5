"""Images and speech that a model made.

See: https://openrouter.ai/docs/features/multimodal/image-generation (``images``) and
https://platform.openai.com/docs/guides/audio (``audio``; read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator

from relay.chat import Media, Text
from relay.dialects.lenient import mapping, sequence, text
from relay.dialects.openai.media import from_url, standard
from relay.errors import InvalidRequest


def produced(images: object, audio: object) -> Iterator[Media | Text]:
    """The parts in a message's or delta's ``images`` and ``audio``; speech comes with its words."""
    for image in map(mapping, sequence(images)):
        url = text(mapping(image.get("image_url")).get("url"))
        try:
            yield from_url("image", url, "images")
        except InvalidRequest:
            continue
    sound = mapping(audio)
    if words := text(sound.get("transcript")):
        yield Text(words)
    if data := text(sound.get("data")):
        try:
            yield Media("audio", mime=_mime(text(sound.get("format"))), data=standard(data, "audio"))
        except InvalidRequest:
            return


def _mime(form: str) -> str:
    return {"": "", "mp3": "audio/mpeg", "pcm16": "audio/pcm"}.get(form, f"audio/{form}")
