"""OpenAI Images: a picture in one colour for each prompt.

See: https://platform.openai.com/docs/api-reference/images (read 2026-11).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Annotated

import attrs
import msgspec

from relay.echo.knobs import NONE, Knobs
from relay.echo.reading import Call, Form
from relay.echo.reply import Piece, Reply, data_error, event, refuse, streamed, whole_json
from relay.echo.tones import png
from relay.errors import InvalidRequest

SIZE = "8x8"


class _Request(msgspec.Struct, frozen=True):
    """The fields that matter here."""

    prompt: Annotated[str, msgspec.Meta(min_length=1)]
    n: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = None
    response_format: str | None = None
    output_format: str | None = None
    stream: bool | None = None
    partial_images: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    images: list[object] | None = None
    echo: Knobs | None = None


def answer_generation(call: Call) -> Reply:
    """Answer ``POST /v1/images/generations``.

    Raises:
        InvalidRequest: the body is not what the endpoint takes.
    """
    return _answer(call, call.read(_Request), "image_generation")


def answer_edit(call: Call) -> Reply:
    """Answer ``POST /v1/images/edits``, form or JSON.

    Raises:
        InvalidRequest: the body is not what the endpoint takes, or has no image.
    """
    request = call.read(_Request)
    files = [upload for upload in call.files if upload.field in ("image", "image[]")]
    if not files and not request.images:
        name = "image" if isinstance(call.body, Form) else "images"
        raise InvalidRequest(f"{name}: an image to edit is missing.", param=name)
    return _answer(call, request, "image_edit")


def _answer(call: Call, request: _Request, kind: str) -> Reply:
    """Pictures, whole or streamed.

    Raises:
        InvalidRequest: an address or another format is asked for, or a knob does nothing here.
    """
    if request.response_format not in (None, "b64_json"):
        raise InvalidRequest(
            "response_format: the echo keeps no files, so there is no url to give; ask for b64_json.",
            param="response_format",
        )
    if request.output_format not in (None, "png"):
        raise InvalidRequest("output_format: the echo makes png only.", param="output_format")
    knobs = request.echo or NONE
    refuse(knobs, "text", "chunks", "tool", "endless")
    writer = _Writer(kind, call.now, request)
    if request.stream:
        return streamed(writer.stream(), data_error, knobs)
    return whole_json(writer.whole(), knobs)


@attrs.frozen
class _Writer:
    """Writes one answer, whole or streamed.

    Attributes:
        kind: what the events are called.
        created: Unix seconds.
        request: what was asked for.
    """

    kind: str
    created: int
    request: _Request

    def whole(self) -> dict[str, object]:
        """All pictures."""
        count = self.request.n or 1
        return {
            "created": self.created,
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": SIZE,
            "data": [{"b64_json": self._picture()} for _ in range(count)],
            "usage": self._usage(count),
        }

    def stream(self) -> Iterator[Piece]:
        """One picture as events, unfinished ones first."""
        settings = {
            "created_at": self.created,
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": SIZE,
            "b64_json": self._picture(),
        }
        name = f"{self.kind}.partial_image"
        for index in range(self.request.partial_images or 0):
            yield event(name, {"type": name, **settings, "partial_image_index": index}), True
        name = f"{self.kind}.completed"
        yield event(name, {"type": name, **settings, "usage": self._usage(1)}), True

    def _picture(self) -> str:
        """The picture in base64."""
        return base64.b64encode(png(self.request.prompt)).decode()

    def _usage(self, count: int) -> dict[str, object]:
        """Words in, pictures out."""
        given = len(self.request.prompt.split())
        return {
            "input_tokens": given,
            "input_tokens_details": {"text_tokens": given, "image_tokens": 0},
            "output_tokens": count,
            "total_tokens": given + count,
        }
