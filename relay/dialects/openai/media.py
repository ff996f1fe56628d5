"""Images, sound and files in OpenAI's content parts: data URLs and what they hold."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from relay.chat import Media
from relay.errors import InvalidRequest

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n"

_MAGIC: Mapping[str, str] = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "JVBERi0": "application/pdf",
}
"""How files of a type begin, in base64."""

_AUDIO: Mapping[str, str] = {"wav": "audio/wav", "mp3": "audio/mpeg", "pcm16": "audio/pcm"}
_FORMATS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/pcm": "pcm16",
}


def from_url(kind: str, url: str, param: str, *, name: str = "", detail: str = "", cache: str | None = None) -> Media:
    """A part whose content is at a URL, or in a ``data:`` URL.

    Args:
        kind: ``image``, ``audio``, ``video`` or ``document``; an image that is a PDF in fact becomes a document.
        url: as the client gave it.
        param: the field, for errors.
        name: file name, or "".
        detail: OpenAI's ``detail``.
        cache: see `relay.chat`.

    Raises:
        InvalidRequest: a data URL is malformed, or the URL is empty.
    """
    if url[:5].lower() != "data:":
        if not url.strip():
            raise InvalidRequest(f"`{param}` must not be empty.", param=param)
        return Media(kind, url=url, name=name, detail=detail, cache=cache)
    mime, data = data_url(url, param)
    mime = _sniffed(data) or mime
    if kind == "document" and mime.startswith("image/"):
        kind = "image"
    elif mime == "application/pdf":
        kind = "document"
    elif kind == "document" and mime.startswith("text/") and (text := _text(data)) is not None:
        return Media(kind, mime=mime, text=text, name=name, cache=cache)
    return Media(kind, mime=mime, data=data, name=name, detail=detail, cache=cache)


def data_url(url: str, param: str) -> tuple[str, str]:
    """Media type and standard base64 of a ``data:`` URL; parameters and upper case are understood.

    See: https://www.rfc-editor.org/rfc/rfc2397 (section 3).

    Raises:
        InvalidRequest: it has no comma, or its data is no base64.
    """
    head, comma, body = url[5:].partition(",")
    if not comma or not body:
        raise InvalidRequest(f"`{param}` is a data URL without data.", param=param)
    mime, *parameters = head.split(";")
    mime = mime.strip().lower() or "text/plain"
    if any(parameter.strip().lower() == "base64" for parameter in parameters):
        return mime, standard(body, param)
    return mime, base64.b64encode(unquote_to_bytes(body)).decode("ascii")


def standard(data: str, param: str) -> str:
    """Base64 in the standard alphabet with padding; blanks and the URL-safe alphabet are put right.

    Raises:
        InvalidRequest: it is no base64.
    """
    try:
        raw = data.encode("ascii")
    except UnicodeEncodeError:
        raw = b"?"
    if b"%" in raw[-12:]:
        raw = unquote_to_bytes(raw)
    body = raw.translate(_URL_SAFE, _BLANKS).rstrip(b"=")
    if not body or body.translate(None, _ALPHABET) or len(body) % 4 == 1:
        raise InvalidRequest(f"`{param}` is not valid base64.", param=param)
    return (body + b"=" * (-len(body) % 4)).decode("ascii")


def audio(data: str, form: str, param: str, cache: str | None = None) -> Media:
    """Sound of an ``input_audio`` part; Mistral allows a URL there."""
    if data[:5].lower() == "data:" or "://" in data[:10]:
        return from_url("audio", data, param, cache=cache)
    return Media("audio", mime=_AUDIO.get(form, f"audio/{form}"), data=standard(data, param), cache=cache)


def audio_format(mime: str) -> str:
    """OpenAI's word for a media type of sound."""
    return _FORMATS.get(mime) or mime.rpartition("/")[2].removeprefix("x-")


def url_of(media: Media) -> str:
    """Where a part is, as a URL: its own, or a ``data:`` URL."""
    return media.url or f"data:{media.mime or _sniffed(media.data) or 'application/octet-stream'};base64,{media.data}"


def _sniffed(data: str) -> str:
    """The media type that the data shows, "" if it is none of the common ones."""
    if data.startswith("UklGR") and len(data) >= 16 and base64.b64decode(data[:16])[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _MAGIC.items() if data.startswith(magic)), "")


def _text(data: str) -> str | None:
    """The words of a text file, None if they are not UTF-8."""
    try:
        return base64.b64decode(data).decode()
    except ValueError:
        return None
