"""What both directions share: words of the API, kinds of media, and seals in ``thoughtSignature``.

See: https://ai.google.dev/api/caching#Part and https://ai.google.dev/api/generate-content#FinishReason
(read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from relay.chat import Finish, Seal
from relay.dialects.carry import unwrap64, wrap64
from relay.dialects.quoting import encode

NAME = "gemini"
OUTPUT_TOOL = "relay_structured_output"
"""Name of the function whose arguments are the answer, where a model takes no schema beside functions."""

FINISH: Mapping[str, str] = {
    "STOP": Finish.STOP,
    "MAX_TOKENS": Finish.LENGTH,
    "CONTINUATION": Finish.LENGTH,
    "SAFETY": Finish.FILTER,
    "RECITATION": Finish.FILTER,
    "LANGUAGE": Finish.FILTER,
    "BLOCKLIST": Finish.FILTER,
    "PROHIBITED_CONTENT": Finish.FILTER,
    "SPII": Finish.FILTER,
    "IMAGE_SAFETY": Finish.FILTER,
    "IMAGE_PROHIBITED_CONTENT": Finish.FILTER,
    "IMAGE_RECITATION": Finish.FILTER,
    "MODEL_ARMOR": Finish.FILTER,
    "ESCALATION": Finish.FILTER,
    "PUP_LIMITED_DISABLED": Finish.FILTER,
    "OTHER": Finish.FAULT,
    "IMAGE_OTHER": Finish.FAULT,
    "NO_IMAGE": Finish.FAULT,
    "MALFORMED_FUNCTION_CALL": Finish.FAULT,
    "MALFORMED_RESPONSE": Finish.FAULT,
    "UNEXPECTED_TOOL_CALL": Finish.FAULT,
    "TOO_MANY_TOOL_CALLS": Finish.FAULT,
    "MISSING_THOUGHT_SIGNATURE": Finish.FAULT,
}
"""Gemini's reason → the hub's; a word that is not known yet counts as `Finish.FAULT`."""

_NUMBERED = (
    "",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
)
"""Reasons by number: Vertex AI's protobuf clients show enums so (seen 2025-10)."""

REASON: Mapping[str, str] = {
    Finish.STOP: "STOP",
    Finish.TOOL_CALLS: "STOP",
    Finish.PAUSE: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.FILTER: "SAFETY",
    Finish.REFUSAL: "SAFETY",
    Finish.FAULT: "OTHER",
}
"""The hub's reason → Gemini's."""

_REDACTED = "-redacted"
_MAGIC: tuple[tuple[str, str], ...] = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
    ("SUQz", "audio/mpeg"),
)
"""How the base64 of some kinds of files begins."""

_SUFFIX: Mapping[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
}
_USUAL: Mapping[str, str] = {
    "image": "image/jpeg",
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "document": "application/pdf",
}
_YOUTUBE = re.compile(r"https?://(?:(?:www\.|m\.)?youtube\.com/|youtu\.be/)", re.IGNORECASE)


def finish(reason: object, *, called: bool) -> str:
    """The hub's reason for Gemini's word or number; "" if it says nothing. ``called``: functions were called."""
    if isinstance(reason, int) and not isinstance(reason, bool):
        reason = _NUMBERED[reason] if 0 <= reason < len(_NUMBERED) else "OTHER"
    if not isinstance(reason, str) or reason in ("", "FINISH_REASON_UNSPECIFIED"):
        return ""
    found = FINISH.get(reason, Finish.FAULT)
    return Finish.TOOL_CALLS if called and found == Finish.STOP else found


def show(seal: Seal, *, redacted: bool = False) -> str:
    """A proof as ``thoughtSignature``: valid base64, whoever made it."""
    if redacted:
        return wrap64(Seal(seal.origin + _REDACTED, seal.value), NAME)
    return wrap64(seal, NAME)


def take(signature: str) -> tuple[Seal, bool]:
    """The inverse of `show`: the proof, and whether it is the whole of a redacted thought."""
    seal = unwrap64(signature, NAME)
    if seal.origin.endswith(_REDACTED):
        return Seal(seal.origin.removesuffix(_REDACTED), seal.value), True
    return seal, False


def dump(value: Any) -> bytes:
    """A value as JSON, also with halves of characters in its texts: they are replaced.

    What is nested so deeply that only reading it just worked is ``{}``.
    """
    try:
        return encode(value)
    except RecursionError:
        return b"{}"


def is_youtube(url: str) -> bool:
    """Whether a URL is a video's page, which Gemini watches by itself."""
    return _YOUTUBE.match(url) is not None


def kind_of(mime: str, url: str = "") -> str:
    """Which of the hub's kinds of media a type is; without a type the address tells."""
    if not mime and is_youtube(url):
        return "video"
    family = (mime or guess_mime(url)).partition("/")[0]
    return family if family in ("image", "audio", "video") else "document"


def guess_mime(url: str) -> str:
    """The media type that an address' ending stands for, or ""."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return _SUFFIX.get(path.rpartition(".")[2].lower(), "")


def mime_of(kind: str, *, url: str = "", data: str = "") -> str:
    """A media type for what came without one: Gemini wants one, for bytes always, for addresses mostly."""
    for start, mime in _MAGIC:
        if data and data.startswith(start):
            return mime
    return guess_mime(url) or _USUAL.get(kind, "application/octet-stream")


def plain_base64(data: str) -> str:
    """Standard base64 with its padding, from either alphabet."""
    text = data.replace("-", "+").replace("_", "/")
    return text + "=" * (-len(text) % 4) if len(text) % 4 else text
