"""Images, documents, sound and video as Converse takes them: raw bytes and a format, or a place in S3.

See: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html (read 2026-11).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from relay.chat import Media
from relay.errors import InvalidRequest

_FORMATS: Mapping[str, Mapping[str, str]] = {
    "image": {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"},
    "document": {
        "pdf": "pdf",
        "csv": "csv",
        "doc": "doc",
        "msword": "doc",
        "docx": "docx",
        "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "xls": "xls",
        "vnd.ms-excel": "xls",
        "xlsx": "xlsx",
        "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "html": "html",
        "txt": "txt",
        "plain": "txt",
        "md": "md",
        "markdown": "md",
    },
    "video": {
        "mkv": "mkv",
        "x-matroska": "mkv",
        "mov": "mov",
        "quicktime": "mov",
        "mp4": "mp4",
        "webm": "webm",
        "flv": "flv",
        "x-flv": "flv",
        "mpeg": "mpeg",
        "mpg": "mpg",
        "wmv": "wmv",
        "x-ms-wmv": "wmv",
        "3gpp": "three_gp",
        "3gp": "three_gp",
    },
    "audio": {
        "mp3": "mp3",
        "mpeg": "mp3",
        "opus": "opus",
        "wav": "wav",
        "x-wav": "wav",
        "wave": "wav",
        "aac": "aac",
        "flac": "flac",
        "ogg": "ogg",
        "mp4": "mp4",
        "m4a": "m4a",
        "x-m4a": "m4a",
        "pcm": "pcm",
        "webm": "webm",
    },
}
"""Kind → subtype or file extension → Converse's word for the format."""

_MAGIC = (("iVBORw0KGgo", "png"), ("/9j/", "jpeg"), ("R0lGOD", "gif"), ("UklGR", "webp"), ("JVBERi0", "pdf"))
"""How the base64 of some formats begins: clients call a PNG a JPEG often enough."""

_NAME = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}$")
_LONGEST_NAME = 200


class Documents:
    """Names of the documents of one request: Converse wants each to be unique and of few signs."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, wanted: str) -> str:
        """A name that is free: the one wanted without what Converse refuses, or ``Document`` and a number."""
        stem = _EXTENSION.sub("", wanted)
        plain = " ".join(_NAME.sub("-", stem).split()).strip("- ")[: _LONGEST_NAME - 8]
        name, number = plain or "Document 1", 1
        while name in self._taken:
            number += 1
            name = f"{plain} ({number})" if plain else f"Document {number}"
        self._taken.add(name)
        return name


def block(media: Media, documents: Documents, param: str) -> dict[str, Any]:
    """The content block of an image, document, sound or video.

    Args:
        media: what is sent.
        documents: names given so far.
        param: where the client put it, for errors.

    Raises:
        InvalidRequest: an address (Bedrock fetches nothing, and neither does relay), another provider's file,
            or a format that Converse has no word for.
    """
    if media.file_id:
        raise InvalidRequest(
            "The chosen provider, Bedrock, knows no uploaded files: send the data itself.", param=param
        )
    inner: dict[str, Any] = {"format": _format(media, param), "source": _source(media, param)}
    if media.kind == "document":
        inner = {**inner, "name": documents.name(media.name)}
        if media.context:
            inner["context"] = media.context
        if media.citations:
            inner["citations"] = {"enabled": True}
    return {media.kind: inner}


def _source(media: Media, param: str) -> dict[str, Any]:
    if media.url.startswith("s3://"):
        return {"s3Location": {"uri": media.url}}
    if media.url:
        raise InvalidRequest(
            f"The chosen provider, Bedrock, takes {media.kind}s as data (a data: URL, base64) or from s3:// only, "
            "not from other addresses.",
            param=param,
        )
    if media.text:
        return {"bytes": base64.b64encode(media.text.encode("utf-8", "replace")).decode("ascii")}
    return {"bytes": media.data}


def _format(media: Media, param: str) -> str:
    words = _FORMATS.get(media.kind, {})
    found = next((word for start, word in _MAGIC if media.data.startswith(start)), "")
    if found in words:
        return words[found]
    subtype = media.mime.lower().partition(";")[0].rpartition("/")[2].strip()
    extension = (media.url or media.name).rpartition(".")[2].lower()
    for word in (subtype, extension):
        if word in words:
            return words[word]
    if media.text or (media.kind == "document" and media.mime.lower().startswith("text/")):
        return "txt"
    raise InvalidRequest(
        f"The chosen provider, Bedrock, takes no {media.kind} of type {media.mime or 'unknown'!r}; it takes "
        f"{', '.join(dict.fromkeys(words.values()))}.",
        param=param,
    )
