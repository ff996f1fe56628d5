"""Data URLs, and what kind of bytes they hold."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Mapping

from relay.dialects.responses.faults import wrong

_DATA = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_SUFFIXES: Mapping[str, str] = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "mp3": "audio/mp3",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def data_url(url: str, field: str) -> tuple[str, str]:
    """Media type and standard base64 of a data URL, whatever parameters it has.

    What the first bytes plainly are wins over a type that was declared wrongly: providers check it.

    Raises:
        msgspec.ValidationError: it is no data URL, or holds nothing.
    """
    match = _DATA.match(url)
    if match is None:
        raise wrong("the data URL is malformed", field)
    rest = url[match.end() :]
    if "base64" in match[2].lower().split(";"):
        data = _standard(rest)
    else:
        data = base64.b64encode(urllib.parse.unquote_to_bytes(rest)).decode("ascii")
    if not data or not _BASE64.fullmatch(data):
        raise wrong("the data URL holds no base64", field)
    return sniffed(data) or match[1].lower() or "text/plain", data


def plain_base64(data: str, name: str) -> tuple[str, str]:
    """Media type and standard base64 of file data that came without a data URL."""
    data = _standard(data)
    if not _BASE64.fullmatch(data):
        raise wrong("this is no base64", "file_data")
    return sniffed(data) or _SUFFIXES.get(name.rpartition(".")[2].lower(), "application/pdf"), data


def sniffed(data: str) -> str:
    """The media type that the first bytes tell, or ""."""
    try:
        head = base64.b64decode(data[:24] + "=" * (-len(data[:24]) % 4))
    except (binascii.Error, ValueError):
        return ""
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if head[8:12] == b"WEBP" else "audio/wav"
    return next((mime for magic, mime in _MAGIC if head.startswith(magic)), "")


def kind_of(mime: str) -> str:
    """The hub's kind of media for a file of this type."""
    kind = mime.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "document"


def _standard(data: str) -> str:
    """The standard alphabet, without blanks, padded."""
    if any(blank in data for blank in "\r\n \t"):
        data = "".join(data.split())
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    return data if len(data) % 4 == 0 else data + "=" * (-len(data) % 4)
