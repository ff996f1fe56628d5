"""Images and documents in Anthropic's blocks.

See: https://platform.claude.com/docs/en/build-with-claude/vision and
https://platform.claude.com/docs/en/build-with-claude/pdf-support (read 2026-11).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from relay.chat import Media
from relay.dialects.anthropic.places import fault

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)
_PDF = "application/pdf"
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})


def block(media: Media, *, own_files: bool) -> dict[str, Any]:
    """The block of an image or a document.

    Args:
        media: what is sent.
        own_files: whether a file id is one of this dialect's.

    Raises:
        InvalidRequest: the provider has no such input.
    """
    if media.kind == "image":
        return {"type": "image", "source": _image(media, own_files)}
    if media.kind != "document":
        raise fault("messages", f"holds {media.kind}, which this provider does not take")
    found: dict[str, Any] = {"type": "document", "source": _document(media, own_files)}
    if media.name:
        found["title"] = media.name
    if media.context:
        found["context"] = media.context
    if media.citations:
        found["citations"] = {"enabled": True}
    return found


def _image(media: Media, own_files: bool) -> dict[str, Any]:
    if media.data:
        mime = sniffed(media.data) or media.mime.lower().replace("image/jpg", "image/jpeg")
        if mime not in _IMAGES:
            raise fault("messages", f"holds an image of type {media.mime or 'unknown'}; JPEG, PNG, GIF, WebP are taken")
        return {"type": "base64", "media_type": mime, "data": media.data}
    return _elsewhere(media, own_files)


def _document(media: Media, own_files: bool) -> dict[str, Any]:
    if media.text:
        return _plain(media.text)
    if not media.data:
        return _elsewhere(media, own_files)
    mime = sniffed(media.data) or media.mime.lower().partition(";")[0]
    if mime == _PDF:
        return {"type": "base64", "media_type": _PDF, "data": media.data}
    if mime.startswith("text/") or mime in _TEXTS:
        return _plain(_decoded(media.data))
    raise fault("messages", f"holds a document of type {mime or 'unknown'}; PDF and plain text are taken")


def _elsewhere(media: Media, own_files: bool) -> dict[str, Any]:
    """A source that the provider fetches itself."""
    if media.url.startswith(("https://", "http://")):
        return {"type": "url", "url": media.url}
    if media.url:
        raise fault("messages", "holds a URL that this provider cannot fetch; https is needed")
    if media.file_id and own_files:
        return {"type": "file", "file_id": media.file_id}
    raise fault("messages", "holds a file id of another provider; send the file itself")


def _plain(text: str) -> dict[str, Any]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise fault("messages", "holds a text document that is not base64 of UTF-8") from error


def sniffed(data: str) -> str:
    """The media type that the bytes themselves show, "" if none of the known ones."""
    try:
        head = base64.b64decode(data[:24], validate=True)
    except (binascii.Error, ValueError):
        return ""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _MAGIC if head.startswith(magic)), "")
