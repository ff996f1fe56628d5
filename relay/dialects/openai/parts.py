"""Content parts of a client's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from relay.chat import Media, Native, Part, Refusal, Text, Thinking
from relay.dialects.openai.media import audio, from_url
from relay.errors import InvalidRequest

Fields = Mapping[str, Any]

_KINDS: Mapping[str, str] = {
    "image_url": "image",
    "video_url": "video",
    "audio_url": "audio",
    "document_url": "document",
}
"""Parts that are a URL and little else; the last three are those of imitators (vLLM, OpenRouter, Mistral)."""


def read_content(content: object, where: str) -> tuple[Part, ...]:
    """A message's content; empty texts are left out, since most providers refuse them.

    Args:
        content: null, a string, or an array of parts.
        where: the field's name, for errors.

    Raises:
        InvalidRequest: a part is malformed.
    """
    if content is None or content == "":
        return ()
    if isinstance(content, str):
        return (Text(content),)
    if not isinstance(content, list):
        raise InvalidRequest(f"`{where}` must be a string or an array.", param=where)
    parts = (read_part(part, f"{where}[{index}]") for index, part in enumerate(content))
    return tuple(part for part in parts if part is not None)


def read_part(part: object, where: str) -> Part | None:
    """One part, None if it is an empty text."""
    if isinstance(part, str):  # some clients write bare strings
        return Text(part) if part else None
    if not isinstance(part, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where)
    kind = part.get("type")
    if not isinstance(kind, str):
        raise InvalidRequest(f"`{where}.type` is required.", param=f"{where}.type")
    if kind in ("text", "input_text", "output_text"):
        words = _string(part, "text", where, required=False)
        return Text(words, cache=cache_of(part)) if words else None
    if kind in _KINDS:
        return _url(part, kind, where)
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(part, where)
    return Native("openai", kind, msgspec.json.encode(part))


def cache_of(holder: Fields) -> str | None:
    """The cache marker of a part or a tool, as OpenRouter and LiteLLM take it from Anthropic.

    See: https://openrouter.ai/docs/features/prompt-caching (read 2026-11).
    """
    marker = holder.get("cache_control")
    if not isinstance(marker, dict):
        return None
    ttl = marker.get("ttl")
    return ttl if isinstance(ttl, str) else ""


def _url(part: Fields, kind: str, where: str) -> Media:
    """A part whose member of its own name is a URL, or an object with one."""
    value = part.get(kind)
    if isinstance(value, str):  # Mistral's form
        return from_url(_KINDS[kind], value, f"{where}.{kind}", cache=cache_of(part), name=_name(part))
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{where}.{kind}` must be an object with a `url`.", param=f"{where}.{kind}")
    url = _string(value, "url", f"{where}.{kind}")
    detail = value.get("detail")
    if not isinstance(detail, str) or detail == "auto":
        detail = ""
    return from_url(_KINDS[kind], url, f"{where}.{kind}.url", detail=detail, cache=cache_of(part), name=_name(part))


def _name(part: Fields) -> str:
    name = part.get("document_name")
    return name if isinstance(name, str) else ""


def _audio(part: Fields, where: str) -> Media:
    value = part.get("input_audio")
    if isinstance(value, str):
        return audio(value, "", f"{where}.input_audio", cache_of(part))
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{where}.input_audio` must be an object.", param=f"{where}.input_audio")
    data = _string(value, "data", f"{where}.input_audio")
    form = _string(value, "format", f"{where}.input_audio", required=False)
    return audio(data, form or "wav", f"{where}.input_audio.data", cache_of(part))


def _file(part: Fields, where: str) -> Media:
    """A ``file`` part: data URL, bare base64, a URL (OpenRouter), or the id of an uploaded file."""
    value = part.get("file")
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{where}.file` must be an object.", param=f"{where}.file")
    name = _string(value, "filename", f"{where}.file", required=False)
    data = _string(value, "file_data", f"{where}.file", required=False)
    if data:
        url = data if data[:5].lower() == "data:" or "://" in data[:10] else f"data:application/pdf;base64,{data}"
        return from_url("document", url, f"{where}.file.file_data", name=name, cache=cache_of(part))
    handle = _string(value, "file_id", f"{where}.file", required=False)
    if not handle:
        raise InvalidRequest(f"`{where}.file` needs `file_data` or `file_id`.", param=f"{where}.file")
    return Media("document", file_id=handle, name=name, cache=cache_of(part))


def _refusal(part: Fields, where: str) -> Refusal:
    return Refusal(_string(part, "refusal", where))


def _thinking(part: Fields, _where: str) -> Thinking | None:
    """Mistral's part for reasoning: a string or a list of texts.

    See: https://docs.mistral.ai/capabilities/reasoning/ (read 2026-11).
    """
    said = thinking_words(part.get("thinking"))
    return Thinking(said) if said else None


def thinking_words(value: object) -> str:
    """The words of a ``thinking`` member."""
    if isinstance(value, list):
        pieces = [item.get("text") for item in value if isinstance(item, dict)]
        return "".join(piece for piece in pieces if isinstance(piece, str))
    return value if isinstance(value, str) else ""


_READERS: Mapping[str, Callable[[Fields, str], Part | None]] = {
    "input_audio": _audio,
    "file": _file,
    "refusal": _refusal,
    "thinking": _thinking,
}


def _string(holder: Fields, name: str, where: str, *, required: bool = True) -> str:
    value = holder.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        problem = "is required" if value is None else "must be a string"
        raise InvalidRequest(f"`{where}.{name}` {problem}.", param=f"{where}.{name}")
    return value
