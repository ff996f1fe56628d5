"""Content parts of input messages and tool outputs, read from a client.

See: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input (read 2026-11).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from relay.chat import Citation, Media, Native, Part, Refusal, Text
from relay.dialects.lenient import load, mapping, text
from relay.dialects.responses.addresses import data_url, kind_of, plain_base64
from relay.dialects.responses.faults import at, wrong

ORIGIN = "responses"


class _Breakpoint(msgspec.Struct):
    ttl: str | None = None


class _Audio(msgspec.Struct):
    data: str
    format: str = "wav"


class _Kind(msgspec.Struct):
    type: str


class _Words(msgspec.Struct):
    text: str
    annotations: list[Raw] | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


class _Refused(msgspec.Struct):
    refusal: str


class _Image(msgspec.Struct):
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


class _File(msgspec.Struct):
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


class _Sound(msgspec.Struct):
    input_audio: _Audio


_KIND = msgspec.json.Decoder(_Kind)
_CONTENT = msgspec.json.Decoder(str | list[Raw] | None)
_WORDS = msgspec.json.Decoder(_Words)
_REFUSED = msgspec.json.Decoder(_Refused)
_IMAGE = msgspec.json.Decoder(_Image)
_FILE = msgspec.json.Decoder(_File)
_SOUND = msgspec.json.Decoder(_Sound)

TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})


def read_content(raw: Raw) -> tuple[Part, ...]:
    """A message's ``content``: a string, parts, or nothing; empty text is left out.

    Raises:
        msgspec.ValidationError: it is neither, or a part is wrong.
    """
    content = _CONTENT.decode(raw) if raw else None
    if content is None or isinstance(content, str):
        return (Text(content),) if content else ()
    parts: list[Part] = []
    for index, item in enumerate(content):
        with at(f"[{index}]"):
            part = read_part(bytes(item))
        if not (isinstance(part, Text) and not part.text):
            parts.append(part)
    return tuple(parts)


def read_part(data: bytes) -> Part:
    """One content part; types that are not known here go as they are."""
    kind = _KIND.decode(data).type
    if kind in TEXTS:
        words = _WORDS.decode(data)
        citations = tuple(read_annotation(bytes(item)) for item in words.annotations or ())
        return Text(words.text, _cache(words.prompt_cache_breakpoint), citations)
    if kind == "refusal":
        return Refusal(_REFUSED.decode(data).refusal)
    if kind in ("input_image", "computer_screenshot"):
        return _image(_IMAGE.decode(data))
    if kind == "input_file":
        return _file(_FILE.decode(data))
    if kind == "input_audio":
        sound = _SOUND.decode(data).input_audio
        return Media("audio", mime=f"audio/{sound.format}", data=sound.data)
    return Native(ORIGIN, kind, data)


def read_annotation(data: bytes) -> Citation:
    """An annotation of answer text; positions are characters of that text."""
    body = mapping(load(data))
    start, end = body.get("start_index"), body.get("end_index")
    return Citation(
        url=text(body.get("url")),
        title=text(body.get("title")) or text(body.get("filename")),
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        origin=ORIGIN,
        native=data,
    )


def _image(image: _Image) -> Media:
    cache = _cache(image.prompt_cache_breakpoint)
    detail = image.detail or ""
    url = image.image_url
    if url and url[:5].lower() == "data:":
        mime, data = data_url(url, "image_url")
        return Media("image", mime=mime, data=data, detail=detail, cache=cache)
    if url:
        return Media("image", url=url, detail=detail, cache=cache)
    if image.file_id:
        return Media("image", file_id=image.file_id, detail=detail, cache=cache)
    raise wrong("an image has an `image_url` or a `file_id`", "image_url")


def _file(file: _File) -> Media:
    cache = _cache(file.prompt_cache_breakpoint)
    name, detail = file.filename or "", file.detail or ""
    if file.file_data:
        if file.file_data[:5].lower() == "data:":
            mime, data = data_url(file.file_data, "file_data")
        else:
            mime, data = plain_base64(file.file_data, name)
        return Media(kind_of(mime), mime=mime, data=data, name=name, detail=detail, cache=cache)
    if file.file_url:
        return Media("document", url=file.file_url, name=name, detail=detail, cache=cache)
    if file.file_id:
        return Media("document", file_id=file.file_id, name=name, detail=detail, cache=cache)
    raise wrong("a file has `file_data`, a `file_url` or a `file_id`", "file_data")


def _cache(mark: _Breakpoint | None) -> str | None:
    return None if mark is None else mark.ttl or ""
